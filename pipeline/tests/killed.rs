//! A run that is killed pays once.
//!
//! A child process is killed with SIGKILL after its k-th call, for every k, or at random times
//! (`RATCHET_CHAOS_ROUNDS`), and started again until it is done. A ledger outside of it counts the
//! calls: a repeated call must have been in flight at a kill, must carry the same idempotency key,
//! and must have been told that it is in doubt.

#![allow(clippy::ignored_unit_patterns)] // what a user writes: `_` for no adapter

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pipeline::{Cx, Options, Pipeline, RunId};

struct Numbers;

const ITEMS: usize = 6;
/// one, two and three for each item, and the last.
const CALLS: usize = 3 * ITEMS + 1;
/// As many calls can be in flight: the workers of all stages.
const WORKERS: usize = 2 + 2 + 1 + 1;

/// One line in the ledger: what is called, under which key, and whether it was told of a doubt.
fn pay(ledger: &Path, cx: &Cx<'_>) {
    let line = format!("{} {} {} {}\n", cx.stage(), cx.item(), cx.idempotency_key(), cx.in_doubt());
    let mut file = OpenOptions::new().create(true).append(true).open(ledger).unwrap();
    file.write_all(line.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(1)); // a service takes its time: kills hit calls
}

fn run(dir: &Path) -> String {
    let ledgers = || dir.join("ledger");
    let (l1, l2, l3, l4) = (ledgers(), ledgers(), ledgers(), ledgers());
    let mut p = Pipeline::new("killed");
    let n = p.items(Numbers, 0..ITEMS, |n| *n);
    let one = p.each("one", n).workers(2).run(move |_, cx, n| {
        pay(&l1, cx);
        Ok(n * 10)
    });
    let two = p.each("two", n).workers(2).run(move |_, cx, n| {
        pay(&l2, cx);
        cx.file("txt", |path| Ok(fs::write(path, format!("file {n}"))?))
    });
    let three = p.each("three", (one, two)).run(move |_, cx, (one, two)| {
        pay(&l3, cx);
        Ok(format!("{one} {}", fs::read_to_string(cx.path(two))?))
    });
    let last = p.collect("last", three).run(move |_, cx, all| {
        pay(&l4, cx);
        Ok(all.into_iter().collect::<Vec<_>>().join(", "))
    });
    let report = p.run(last, &Options::new(dir, RunId::new("r").unwrap())).unwrap();
    report.output.clone().unwrap_or_else(|| panic!("{report}"))
}

/// The process that is killed: this test, started by the others.
#[test]
fn child() {
    if let Some(dir) = std::env::var_os("RATCHET_KILLED_DIR") {
        let output = run(Path::new(&dir));
        fs::write(Path::new(&dir).join("output"), output).unwrap();
    }
}

fn start(dir: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--test-threads=1"]).env("RATCHET_KILLED_DIR", dir);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn lines(dir: &Path) -> usize {
    fs::read_to_string(dir.join("ledger")).map_or(0, |text| text.lines().count())
}

/// Checks the ledger of a finished run; gives how many calls were repeated.
fn audit(dir: &Path, kills: usize) -> usize {
    let expected: Vec<_> = (0..ITEMS).map(|n| format!("{} file {n}", n * 10)).collect();
    assert_eq!(fs::read_to_string(dir.join("output")).unwrap(), expected.join(", "));
    let ledger = fs::read_to_string(dir.join("ledger")).unwrap();
    let mut calls = BTreeMap::<_, Vec<_>>::new();
    for line in ledger.lines() {
        let words: Vec<_> = line.split(' ').collect();
        calls.entry((words[0], words[1])).or_default().push((words[2], words[3]));
    }
    assert_eq!(calls.len(), CALLS);
    for (step, calls) in &calls {
        // The first may be in doubt, too: killed after its start was recorded, before it was made.
        let (first, again) = (&calls[0], &calls[1..]);
        for call in again {
            assert_eq!((call.0, call.1), (first.0, "true"), "{step:?}: {calls:?}");
        }
    }
    let repeated = ledger.lines().count() - CALLS;
    assert!(repeated <= kills * WORKERS, "{repeated} repeated calls after {kills} kills");
    repeated
}

#[test]
fn killed_after_every_call_it_pays_once() {
    let mut repeated = 0;
    for k in 1..CALLS {
        let dir = tempfile::tempdir().unwrap();
        let mut first = start(dir.path());
        while lines(dir.path()) < k && first.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        first.kill().unwrap();
        first.wait().unwrap();
        assert!(start(dir.path()).wait().unwrap().success());
        repeated += audit(dir.path(), 1);
    }
    println!("{} kills, {repeated} repeated calls", CALLS - 1);
}

#[test]
fn killed_again_and_again_at_random_times_it_pays_once() {
    let rounds = std::env::var("RATCHET_CHAOS_ROUNDS").ok().and_then(|n| n.parse().ok());
    let (mut kills, mut repeated, mut chance) = (0, 0, 7_u64);
    for _ in 0..rounds.unwrap_or(3) {
        let dir = tempfile::tempdir().unwrap();
        let mut here = 0;
        loop {
            let mut child = start(dir.path());
            // xorshift: any spread over the run's whole length will do.
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            std::thread::sleep(Duration::from_micros(chance % 60_000));
            if here < 20 && child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                here += 1;
            }
            if child.wait().unwrap().success() {
                break;
            }
        }
        kills += here;
        repeated += audit(dir.path(), here);
    }
    println!("{kills} kills at random times, {repeated} repeated calls");
}
