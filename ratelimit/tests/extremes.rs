//! R7: the largest and smallest rates, costs and times, in every combination.

use ratelimit::testing::ManualClock;
use ratelimit::{DAY, Rate, RateLimiter, SECOND};
use std::time::Duration;

const NANO: Duration = Duration::from_nanos(1);

fn rates() -> Vec<Rate> {
    let year = DAY * 366;
    let odd_year = year.saturating_sub(NANO);
    vec![
        Rate::per(1, DAY),
        Rate::per(1, DAY).burst(u64::MAX),
        Rate::per_second(1e9),
        Rate::per_second(1e9).burst(u64::MAX),
        Rate::per_second(999_999_999).burst(1),
        Rate::per_second(1.000_000_1),
        Rate::per(31_622_400_000_000_000 - 1, year).burst(u64::MAX),
        Rate::per(367, odd_year).burst(u64::MAX),
        Rate::at_most(1, DAY),
        Rate::at_most(u64::MAX, Duration::from_secs(u64::MAX / 1_000_000_000) + SECOND)
            .burst(u64::MAX - 1_000_000_000_000),
    ]
}

#[test]
fn nothing_overflows() {
    const TIMES: [Duration; 6] =
        [Duration::ZERO, NANO, SECOND, DAY, Duration::from_secs(u64::MAX / 2), Duration::MAX];
    const COSTS: [u64; 5] = [0, 1, 1 << 20, u64::MAX - 1, u64::MAX];
    let mut tried = 0;
    for rate in rates() {
        for full in [false, true] {
            for time in TIMES {
                for cost in COSTS {
                    let clock = ManualClock::new();
                    let build = RateLimiter::builder([("calls", rate)]).clock(clock.clone());
                    let build = if full { build.start_full() } else { build };
                    // `at_most` of a period that cannot be held exactly is refused, not wrong.
                    let Ok(limiter) = build.build() else { continue };
                    tried += 1;
                    all_calls(&limiter, &clock, cost, time);
                }
            }
        }
    }
    assert!(tried > 500, "only {tried} combinations were built");
}

fn all_calls(limiter: &RateLimiter, clock: &ManualClock, cost: u64, time: Duration) {
    let _ = limiter.try_acquire(cost);
    clock.advance(time);
    if let Ok(mut permit) = limiter.try_acquire(cost) {
        for _ in 0..300 {
            permit.adjust(u64::MAX);
            permit.adjust(0);
        }
        for _ in 0..300 {
            // Debts add up, each the largest there is.
            let _ = limiter.try_acquire(0).map(|permit| permit.settle(u64::MAX));
        }
    }
    let line: Vec<_> = (0..20).filter_map(|_| limiter.reserve(cost).ok()).collect();
    let _ = limiter.acquire_timeout(cost, Duration::ZERO);
    limiter.pause_for(time);
    limiter.observe(0, 0, u64::MAX);
    limiter.observe(0, u64::MAX, 0);
    limiter.set_rate(0, Rate::per_second(7).burst(u64::MAX)).unwrap();
    let waits: Vec<_> = line.iter().map(ratelimit::Reservation::ready_in).collect();
    assert!(waits.is_sorted(), "later in line, later in time");
    clock.advance(time);
    limiter.resume();
    clock.set(Duration::ZERO);
    drop(line);
    limiter.set_rate(0, Rate::per_second(7).burst(7)).unwrap();
    clock.advance(Duration::MAX);
    let there = limiter.stats().limits[0].available;
    assert!(there <= 7, "{there} is above the burst");
}

#[test]
fn a_pause_for_ever_ends_only_by_hand() {
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder([("calls", Rate::per_second(1))]).clock(clock.clone());
    let limiter = limiter.build().unwrap();
    clock.advance(SECOND);
    limiter.pause_for(Duration::MAX);
    limiter.pause_for(Duration::MAX);
    assert!(limiter.try_acquire_one().unwrap_err().is_never(), "as good as never");
    clock.advance(Duration::MAX);
    assert!(limiter.try_acquire_one().is_err());
    limiter.resume();
    assert!(limiter.try_acquire_one().is_err(), "nothing piled up meanwhile");
}
