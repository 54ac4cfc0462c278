//! Many items through three stages: constant memory beyond the checkpoint's index, and a fast
//! resume. `RATCHET_ITEMS` sets how many (2 000 unless told otherwise); the figures are printed.

#![allow(clippy::ignored_unit_patterns)] // what a user writes: `_` for no adapter

use std::time::{Duration, Instant};

use pipeline::{Durability, Options, Pipeline, Report, RunId};

struct Numbers;

fn run(root: &std::path::Path, items: u64) -> (Report<u64>, Duration) {
    let mut p = Pipeline::new("many");
    let n = p.items(Numbers, 0..items, |n| *n);
    let one = p.each("one", n).run(|_, _, n| Ok(n + 1));
    let two = p.each("two", one).run(|_, _, n| Ok(n * 2));
    let three = p.each("three", (one, two)).run(|_, _, (one, two)| Ok(one + two));
    let sum = p.collect("sum", three).run(|_, _, all| Ok(all.into_iter().sum::<u64>()));
    let options = Options::new(root, RunId::new("r").unwrap()).durability(Durability::Process);
    let began = Instant::now();
    let report = p.run(sum, &options).unwrap();
    (report, began.elapsed())
}

/// The process's memory and CPU time so far, where Linux tells.
fn usage() -> (u64, Duration) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<u64> =
        resident.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok());
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|t| t.parse::<u64>().ok()).unwrap_or_default();
    // utime and stime, in ticks of 10 ms.
    (kib.unwrap_or_default() / 1_024, Duration::from_millis(10 * (ticks(11) + ticks(12))))
}

#[test]
fn many_items_go_through_and_are_found_again() {
    let items = std::env::var("RATCHET_ITEMS").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000);
    let root = tempfile::tempdir().unwrap();
    let (memory, cpu) = usage();
    let (report, took) = run(root.path(), items);
    let expected = (1..=items).map(|n| 3 * n).sum::<u64>();
    assert_eq!(report.output, Some(expected));
    let (after, cpu_after) = usage();
    let steps = 3 * items + 1;
    let each = |time: Duration| time / u32::try_from(steps).unwrap();
    println!(
        "{steps} steps: {took:.2?}, {:.2?} a step, {:.2?} CPU a step; {memory} -> {after} MiB",
        each(took),
        each(cpu_after.saturating_sub(cpu))
    );
    let (report, took) = run(root.path(), items);
    assert_eq!(report.output, Some(expected));
    assert_eq!(report.stages.iter().map(|stage| stage.ran).sum::<u64>(), 0);
    println!("found again: {took:.2?}, {:.2?} a step; {} MiB", each(took), usage().0);
}
