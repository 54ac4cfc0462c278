//! Ours beside governor, leaky-bucket, the `ratelimit` crate and a bucket behind a std mutex.
//!
//! Hot: a permit is there; 1, 2, 4 and 8 threads take them from one limiter. What ours does besides,
//! and they do not: it keeps an order among waiters, knows pauses and refunds, and counts.
//! Precise: four threads block for permits at a fixed rate; how many are granted of those that the
//! rate allows, how late the k-th comes, and what CPU that takes. "slot and sleep" is the least that
//! can be done: a mutex hands out due times, and each caller sleeps until its own.
//!
//! `-- hot` or `-- precise` runs that half alone, `--quick` a smoke run of either.

#[path = "../ratelimit/hot.rs"]
mod hot;
#[path = "../ratelimit/precise.rs"]
mod precise;

use peers::{Bars, Settings};

fn main() {
    let settings = Settings::from_args();
    let mut bars = Bars::new("ratelimit");
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    if only.as_deref() != Some("precise") {
        hot::run(&settings, &mut bars);
    }
    if only.as_deref() != Some("hot") {
        precise::run(&settings, &mut bars);
    }
    bars.finish();
}
