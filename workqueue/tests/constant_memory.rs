//! Any number of items in constant memory. One test, since it measures the whole process.
//!
//! `RATCHET_STREAM_ITEMS` sets the size; 1 000 000 is what the documentation speaks of.
#![cfg(target_os = "linux")]

use workqueue::{Outcome, WorkQueue, map_completed, map_ordered};

fn items() -> u64 {
    std::env::var("RATCHET_STREAM_ITEMS").ok().and_then(|n| n.parse().ok()).unwrap_or(50_000)
}

/// The most memory that this process ever had, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn memory_stays_constant_over_any_number_of_items() {
    const LIMIT: usize = 256;
    let builder = || WorkQueue::builder().workers(2).capacity(LIMIT).batch(16);
    let run = |items: u64| {
        let mut ordered = map_ordered(0..items, builder(), |n| n);
        let in_order = ordered.by_ref().enumerate().all(
            |(n, outcome)| matches!(outcome, Outcome::Done { value, .. } if value == n as u64),
        );
        assert!(in_order);
        let mut completed = map_completed(0..items, builder(), |n| n);
        let sum: u64 = completed.by_ref().map(|outcome| outcome.into_result().unwrap()).sum();
        assert_eq!(sum, items * (items - 1) / 2);
        for (pulled, live_max) in
            [(ordered.pulled(), ordered.live_max()), (completed.pulled(), completed.live_max())]
        {
            assert_eq!(pulled as u64, items);
            assert!(live_max <= LIMIT);
        }
        ordered.live_max().max(completed.live_max())
    };
    run(2_000);
    let before = peak_kib();
    let live_max = run(items());
    let grown = peak_kib() - before;
    println!("items: {}, live at most: {live_max}, memory grew by: {grown} KiB", items());
    assert!(grown < 4096, "{grown} KiB more after {} items", items());
}
