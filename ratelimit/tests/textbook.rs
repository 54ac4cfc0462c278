//! The textbook's own test, at its own numbers. The one test in real time: it shows that the clock,
//! the sleeping and the arithmetic belong together in the world.

use ratelimit::RateLimiter;
use std::{thread, time::Instant};

#[test]
fn forty_permits_at_ten_a_second_from_four_threads() {
    let limiter = RateLimiter::per_second(10.0);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10).for_each(|_| drop(limiter.acquire_one())));
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    assert!((3.8..=4.5).contains(&seconds), "40 permits at 10 a second took {seconds:.2} s");
    assert_eq!(limiter.stats().granted, 40);
}
