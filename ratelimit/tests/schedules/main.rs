//! Random schedules of every call, on a clock that is moved by hand, against an exact reference.
//!
//! After each call: the same answer, the same figures, the same stamps, every window checked (R1 to
//! R7). A failure names its seed: add it to `seeds.txt`, which is replayed first, always.
//!
//! `RATCHET_CHAOS_SCHEDULES=10000000 cargo test --release -p ratelimit --test schedules -- --nocapture`

mod reference;
mod run;
mod windows;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, thread, time::Instant};

/// Without optimisation a schedule takes ten times as long.
const SCHEDULES: u64 = if cfg!(debug_assertions) { 10_000 } else { 100_000 };
const REPLAYED: &str = include_str!("seeds.txt");

fn number(name: &str, default: u64) -> u64 {
    let Ok(text) = env::var(name) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}"))
}

fn schedule(seed: u64) -> u64 {
    let calls = catch_unwind(AssertUnwindSafe(|| match seed % 3 {
        0 => run::schedule::<1>(seed),
        1 => run::schedule::<2>(seed),
        _ => run::schedule::<3>(seed),
    }));
    calls.unwrap_or_else(|_| panic!("schedule {seed} differs: add {seed} to seeds.txt"))
}

#[test]
fn seeds_that_once_failed_hold() {
    REPLAYED.lines().filter_map(|line| line.parse().ok()).for_each(|seed| {
        schedule(seed);
    });
}

#[test]
fn random_schedules_equal_the_reference() {
    let count = number("RATCHET_CHAOS_SCHEDULES", SCHEDULES);
    let first = number("RATCHET_CHAOS_SEED", 0);
    let (next, calls) = (AtomicU64::new(first), AtomicU64::new(0));
    let start = Instant::now();
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    // ORDERING: Relaxed, both counters publish nothing.
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed - first >= count {
                        break;
                    }
                    calls.fetch_add(schedule(seed), Ordering::Relaxed);
                }
            });
        }
    });
    let (calls, time) = (calls.into_inner(), start.elapsed().as_secs_f64());
    println!("schedules: {count} calls: {calls} differences: 0 time: {time:.1} s");
}
