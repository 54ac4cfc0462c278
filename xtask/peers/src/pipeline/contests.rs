//! What a step costs: in memory, on disk, found again, under a limit.

use std::cell::Cell;
use std::path::Path;
use std::time::Instant;

use peers::{Bars, Contest, Measured, Settings};
use pipeline::{Durability, Node, Options, Per, Pipeline, Rate, RateLimiter, Root, RunId};
use tempfile::TempDir;

use crate::others::{append_and_flush, gnu_parallel, is_here, python, threads, xargs};

const OURS: &str = "ours, start and result recorded";
const WORKERS: usize = 8;

struct Numbers;

/// On the disk that the build is on: a temporary folder may be memory.
fn folder() -> TempDir {
    let beside = std::env::current_exe().expect("a path");
    tempfile::tempdir_in(beside.parent().expect("a folder")).expect("a folder")
}

/// `items` through so many stages, and the number of them at the end.
fn ours(root: &Path, run: u64, items: u64, stages: usize, durability: Durability) -> u64 {
    let mut p = Pipeline::new("numbers");
    let first = p.items(Numbers, 0..items, |n| *n);
    let last: Node<u64, Per<Root, Numbers>> = (0..stages).fold(first, |node, n| {
        let stage = p.each(&format!("stage-{n}"), node).workers(WORKERS);
        stage.run(|(), _, n| Ok(n + 1))
    });
    let count = p.collect("count", last).run(|(), _, all| Ok(all.len() as u64));
    let options = Options::new(root, id(run)).durability(durability);
    let report = p.run(count, &options).expect("finished");
    assert_eq!(report.output, Some(items));
    items * stages as u64
}

fn id(run: u64) -> RunId {
    RunId::new(format!("run-{run}")).expect("a name")
}

/// A run of a new name at each call; the run before is deleted.
fn fresh(root: &Path, items: u64, stages: usize, durability: Durability) -> impl FnMut() -> u64 {
    let (root, runs) = (root.to_owned(), Cell::new(0_u64));
    move || {
        let run = runs.replace(runs.get() + 1);
        if let Some(before) = run.checked_sub(1) {
            std::fs::remove_dir_all(root.join(id(before).as_str())).expect("removed");
        }
        ours(&root, run, items, stages, durability)
    }
}

/// Recorded without waiting for the disk: a kill of the process loses nothing of it.
pub fn in_memory(settings: &Settings, bars: &mut Bars) {
    let (one, three, others) = (folder(), folder(), folder());
    let items = settings.scaled(10_000);
    let (many, few) = (items * 5, settings.scaled(500).max(50));
    let mut contest = Contest::new("steps that do nothing, eight at a time, no flush waited for")
        .entry(OURS, fresh(one.path(), items, 1, Durability::Process))
        .entry("ours, three stages", fresh(three.path(), items, 3, Durability::Process))
        .entry("threads and a counter, nothing kept", move || threads(many));
    if is_here("python3", "Python") {
        contest =
            contest.entry("Python, ThreadPoolExecutor, nothing kept", move || python(many, None));
    }
    if is_here("xargs", "xargs") {
        contest = contest.entry("xargs -P 8 true, nothing kept", move || xargs(few, None));
    }
    if is_here("parallel", "GNU") {
        let folder = others.path().to_owned();
        contest =
            contest.entry("GNU parallel with its job log", move || gnu_parallel(few, &folder));
    }
    let outcome = contest.run(settings);
    let cpu = |name| outcome.figures(name).cpu_ns() / 1e3;
    bars.at_most("CPU a step, µs", cpu(OURS), 20.0);
    bars.at_most("CPU a step in three stages, µs", cpu("ours, three stages"), 20.0);
}

/// Each result is on the disk before anything goes on from it.
pub fn on_disk(settings: &Settings, bars: &mut Bars) {
    let (own, bare, database, marks) = (folder(), folder(), folder(), folder());
    let items = settings.scaled(2_000);
    let few = settings.scaled(200).max(20);
    let limit = "append and fdatasync, one after the other";
    let mut contest = Contest::new("steps that do nothing, eight at a time, each on the disk")
        .entry(OURS, fresh(own.path(), items, 1, Durability::Disk))
        .entry(limit, || append_and_flush(bare.path(), few));
    if is_here("python3", "Python") {
        let path = database.path().join("results.db");
        contest = contest.entry("Python, ThreadPoolExecutor and SQLite, WAL FULL", move || {
            python(few, Some(&path))
        });
    }
    if is_here("xargs", "xargs") {
        let root = marks.path().to_owned();
        contest = contest.entry("xargs -P 8, a synced file for each", move || {
            let folder = tempfile::tempdir_in(&root).expect("a folder");
            xargs(few, Some(folder.path()))
        });
    }
    let outcome = contest.run(settings);
    let ratio = outcome.compared(limit, OURS);
    bars.at_least("durable steps for one append and fdatasync", ratio, 5.0);
}

/// A run that is done is run again: everything is looked up, and nothing is called.
pub fn found_again(settings: &Settings, bars: &mut Bars) {
    let root = folder();
    let (items, stages) = (if settings.quick { 10_000 } else { 500_000 }, 2);
    ours(root.path(), 0, items, stages, Durability::Process);
    let mut seconds = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        let steps = ours(root.path(), 0, items, stages, Durability::Process);
        seconds.push(start.elapsed().as_secs_f64() * 1e6 / steps as f64);
    }
    println!("\n{} steps found again, seconds for a million: {seconds:.2?}", items * stages as u64);
    bars.at_most("a million steps found again, seconds", Measured::of(seconds), 2.0);
}

/// Eight workers at a limiter that could use more of them.
pub fn under_a_limit(settings: &Settings, bars: &mut Bars) {
    let rate = 1_000.0;
    let items = settings.scaled(3_000).max(500);
    let mut used = Vec::new();
    for _ in 0..5 {
        let (root, began) = (folder(), Instant::now());
        let limiter =
            RateLimiter::new([("calls", Rate::per_second(rate).burst(1))]).expect("a rate");
        let mut p = Pipeline::new("limited");
        let number = p.items(Numbers, 0..items, |n| *n);
        let stage = p.each("call", number).workers(WORKERS).limit(&limiter, |_| 1);
        let calls = stage.run(move |(), _, _| Ok(began.elapsed().as_nanos() as u64));
        let all = p.collect("all", calls).run(|(), _, all| Ok(all.into_iter().collect::<Vec<_>>()));
        let options = Options::new(root.path(), id(0)).durability(Durability::Process);
        let mut calls = p.run(all, &options).expect("finished").output.expect("all of them");
        calls.sort_unstable();
        let between = (calls[calls.len() - 1] - calls[0]) as f64 / 1e9;
        used.push((calls.len() - 1) as f64 / between / rate);
    }
    println!("\nof {rate} calls a second were made: {used:.3?}");
    bars.at_least("share of a limit that is used", Measured::of(used), 0.98);
}
