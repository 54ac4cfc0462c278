//! Each call's contract under a clock that is moved by hand.

use ratelimit::testing::ManualClock;
use ratelimit::{AcquireError, Cancel, Rate, RateLimiter, SECOND};
use std::{thread, time::Duration};

const MS: Duration = Duration::from_millis(1);

fn ten_a_second() -> (RateLimiter, ManualClock) {
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder([("calls", Rate::per_second(10))]).clock(clock.clone());
    (limiter.build().unwrap(), clock)
}

/// Ten requests and a thousand tokens a second.
fn two_limits() -> (RateLimiter<2>, ManualClock) {
    let clock = ManualClock::new();
    let limits = [("requests", Rate::per_second(10)), ("tokens", Rate::per_second(1000))];
    (RateLimiter::builder(limits).clock(clock.clone()).build().unwrap(), clock)
}

#[test]
fn it_starts_empty_and_never_runs_ahead_of_its_rate() {
    let (limiter, clock) = ten_a_second();
    for n in 1..=100 {
        let refused = limiter.try_acquire_one().unwrap_err();
        assert_eq!((refused.retry_after, refused.limit.as_str()), (100 * MS, "calls"), "{n}");
        clock.advance(refused.retry_after);
        assert_eq!(limiter.try_acquire_one().unwrap().granted_at(), 100 * MS * n);
    }
}

#[test]
fn credit_stops_at_the_burst() {
    let (limiter, clock) = ten_a_second();
    clock.advance(Duration::MAX);
    assert_eq!((0..100).filter(|_| limiter.try_acquire_one().is_ok()).count(), 10);
}

#[test]
fn the_scarcest_limit_decides_and_all_are_taken_together() {
    let (limiter, clock) = two_limits();
    clock.advance(SECOND);
    drop(limiter.try_acquire([1, 900]).unwrap());
    let refused = limiter.try_acquire([1, 200]).unwrap_err();
    assert_eq!((refused.retry_after, refused.limit.as_str()), (100 * MS, "tokens"));
    assert_eq!(limiter.stats().limits[0].available, 9, "a refusal takes nothing");
    clock.advance(refused.retry_after);
    drop(limiter.try_acquire([1, 200]).unwrap());
    assert_eq!(limiter.stats().limits[1].available, 0);
}

#[test]
fn a_cost_above_the_burst_fails_at_once_and_says_so() {
    let (limiter, clock) = two_limits();
    clock.advance(SECOND);
    let error = limiter.acquire([1, 1001]).unwrap_err();
    let expected =
        AcquireError::ExceedsBurst { limit: limiter.names()[1].clone(), cost: 1001, burst: 1000 };
    assert_eq!(error, expected);
    assert!(limiter.try_acquire([1, 1001]).unwrap_err().is_never());
    assert_eq!(limiter.reserve([1, 1001]).unwrap_err(), expected);
}

#[test]
fn waiters_leave_in_order_at_their_own_time_even_if_they_wake_late() {
    let (limiter, clock) = ten_a_second();
    thread::scope(|scope| {
        let mut waiters = Vec::new();
        for n in 1..=5 {
            waiters.push(scope.spawn(|| limiter.acquire_one().granted_at()));
            clock.wait_for_sleepers(n);
        }
        assert!(limiter.try_acquire_one().is_err(), "nobody jumps the line");
        clock.advance(350 * MS); // three are due, long since
        clock.advance(10 * SECOND);
        let granted: Vec<_> = waiters.into_iter().map(|w| w.join().unwrap()).collect();
        assert_eq!(granted, [100 * MS, 200 * MS, 300 * MS, 400 * MS, 500 * MS]);
    });
}

#[test]
fn settling_refunds_or_charges_the_difference() {
    let (limiter, clock) = two_limits();
    clock.advance(SECOND);
    limiter.try_acquire([1, 1000]).unwrap().settle([1, 400]);
    assert_eq!(limiter.stats().limits[1].available, 600);
    let mut permit = limiter.try_acquire([1, 600]).unwrap();
    permit.settle_limit("tokens", 900).unwrap();
    assert_eq!(permit.cost().amounts(), [1, 900]);
    assert_eq!(limiter.stats().limits[1].available, -300);
    let unknown = permit.settle_limit("pages", 1).unwrap_err();
    let text = "there is no limit \"pages\": this limiter has requests, tokens";
    assert_eq!(unknown.to_string(), text);
    drop(permit);
    assert_eq!(limiter.try_acquire([1, 1]).unwrap_err().retry_after, 301 * MS);
    clock.advance(100 * SECOND);
    limiter.try_acquire([1, 1]).unwrap().settle([0, 0]);
    assert_eq!(limiter.stats().limits[1].available, 1000, "a refund stops at the burst");
}

#[test]
fn a_pause_stops_everybody_and_afterwards_callers_keep_their_spacing() {
    let (limiter, clock) = ten_a_second();
    clock.advance(SECOND);
    limiter.pause_for(5 * SECOND);
    limiter.pause_for(SECOND); // a shorter one does not shorten it
    assert_eq!(limiter.try_acquire_one().unwrap_err().retry_after, 5100 * MS);
    assert_eq!(limiter.stats().limits[0].paused_for, 5 * SECOND);
    assert_eq!(limiter.try_acquire(0).unwrap_err().retry_after, 5 * SECOND);
    clock.advance(5 * SECOND);
    assert!(limiter.try_acquire_one().is_err());
    clock.advance(100 * MS);
    assert!(limiter.try_acquire_one().is_ok());
    assert!(limiter.try_acquire_one().is_err(), "no herd");
}

#[test]
fn a_limit_paused_alone_stops_even_those_who_cost_it_nothing() {
    let (limiter, clock) = two_limits();
    clock.advance(SECOND);
    limiter.pause_limit(1, SECOND);
    let refused = limiter.try_acquire([1, 0]).unwrap_err();
    assert_eq!((refused.retry_after, refused.limit.as_str()), (SECOND, "tokens"));
    let waiting = limiter.reserve([10, 0]).unwrap();
    clock.advance(999 * MS);
    assert!(!waiting.is_ready());
    clock.advance(MS);
    assert_eq!(waiting.wait().unwrap().granted_at(), 2 * SECOND);
    // The other limit was full, and went on earning from its grant on.
    clock.advance(SECOND);
    assert_eq!(limiter.stats().limits[0].available, 10);
    assert!(limiter.try_acquire([10, 0]).is_ok());
}

#[test]
fn resuming_ends_a_pause_for_those_who_wait() {
    let (limiter, clock) = ten_a_second();
    limiter.pause_for(Duration::MAX);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| limiter.acquire_one().granted_at());
        clock.wait_for_sleepers(1);
        clock.advance(SECOND);
        limiter.resume();
        while clock.next_wake() != Some(1100 * MS) {
            thread::yield_now();
        }
        clock.advance(100 * MS);
        assert_eq!(waiter.join().unwrap(), 1100 * MS);
    });
}

#[test]
fn a_wait_that_cannot_end_in_time_fails_at_once_and_takes_nothing() {
    let (limiter, clock) = ten_a_second();
    let AcquireError::Timeout { retry_after, limit } =
        limiter.acquire_timeout(2, 199 * MS).unwrap_err()
    else {
        panic!("not a time-out");
    };
    assert_eq!((retry_after, limit.as_str()), (200 * MS, "calls"));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| limiter.acquire_timeout(2, 200 * MS).map(drop));
        clock.wait_for_sleepers(1);
        clock.advance(200 * MS);
        assert_eq!(waiter.join().unwrap(), Ok(()));
    });
    assert!(limiter.acquire_timeout(1, Duration::ZERO).is_err());
}

#[test]
fn a_cancelled_waiter_takes_nothing_and_those_behind_move_up() {
    let (limiter, clock) = ten_a_second();
    let cancel = Cancel::new();
    thread::scope(|scope| {
        let first = scope.spawn(|| limiter.acquire_until(10, &cancel).map(drop));
        clock.wait_for_sleepers(1);
        let second = scope.spawn(|| limiter.acquire_one().granted_at());
        clock.wait_for_sleepers(2);
        cancel.cancel();
        assert_eq!(first.join().unwrap(), Err(AcquireError::Cancelled));
        while clock.next_wake() != Some(100 * MS) {
            thread::yield_now();
        }
        clock.advance(100 * MS);
        assert_eq!(second.join().unwrap(), 100 * MS);
    });
    assert_eq!(limiter.acquire_until(1, &cancel).unwrap_err(), AcquireError::Cancelled);
}

#[test]
fn a_dropped_reservation_gives_its_place_and_its_charge_back() {
    let (limiter, clock) = ten_a_second();
    let first = limiter.reserve(5).unwrap();
    let second = limiter.reserve(5).unwrap();
    let third = limiter.reserve(1).unwrap();
    assert_eq!(
        (first.ready_in(), second.ready_in(), third.ready_in()),
        (500 * MS, SECOND, 1100 * MS)
    );
    drop(second);
    assert_eq!((first.ready_in(), third.ready_in()), (500 * MS, 600 * MS));
    clock.advance(500 * MS);
    assert!(first.is_ready());
    drop(first); // it was charged by now
    assert_eq!(third.ready_in(), Duration::ZERO);
    assert_eq!(third.wait().unwrap().granted_at(), 500 * MS);
    assert_eq!(limiter.stats().limits[0].available, 4);
}

#[test]
fn a_reservation_that_never_had_to_wait_gives_all_back_when_it_is_dropped() {
    let clock = ManualClock::new();
    let limits = [("calls", Rate::per_second(10))];
    let limiter = RateLimiter::builder(limits).in_flight(1).clock(clock.clone()).build().unwrap();
    clock.advance(SECOND);
    let granted = limiter.reserve(6).unwrap();
    let stats = limiter.stats();
    assert_eq!((granted.is_ready(), stats.limits[0].available, stats.in_flight), (true, 4, 1));
    drop(granted);
    let stats = limiter.stats();
    assert_eq!((stats.limits[0].available, stats.in_flight), (10, 0));
}

#[test]
fn another_rate_is_felt_by_those_who_wait() {
    let (limiter, clock) = ten_a_second();
    let small = limiter.reserve(1).unwrap();
    let large = limiter.reserve(10).unwrap();
    let last = limiter.reserve(1).unwrap();
    limiter.set_rate(0, Rate::per_second(1).burst(5)).unwrap();
    assert_eq!((small.ready_in(), last.ready_in()), (SECOND, 2 * SECOND));
    let error = large.wait().unwrap_err();
    assert!(matches!(error, AcquireError::ExceedsBurst { cost: 10, burst: 5, .. }), "{error}");
    clock.advance(2 * SECOND);
    assert_eq!(last.wait().unwrap().granted_at(), 2 * SECOND);
}

#[test]
fn what_the_provider_says_lowers_a_level_and_never_raises_it() {
    let (limiter, clock) = two_limits();
    clock.advance(SECOND);
    limiter.observe(1, 5000, 0);
    assert_eq!(limiter.stats().limits[1].available, 1000);
    limiter.observe(1, 300, 100);
    assert_eq!(limiter.stats().limits[1].available, 200);
    limiter.observe(1, 0, 100);
    assert_eq!(limiter.stats().limits[1].available, -100);
}

#[test]
fn permits_in_flight_are_bounded_and_a_dropped_one_lets_the_next_through() {
    let clock = ManualClock::new();
    let limits = [("calls", Rate::per_second(10))];
    let limiter = RateLimiter::builder(limits).in_flight(2).clock(clock.clone()).build().unwrap();
    clock.advance(SECOND);
    let first = limiter.try_acquire_one().unwrap();
    let _second = limiter.acquire_owned(1).unwrap();
    assert_eq!(limiter.try_acquire_one().unwrap_err().limit, "in_flight");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| limiter.acquire_one().granted_at());
        clock.wait_for_sleepers(1);
        clock.advance(SECOND);
        drop(first);
        assert_eq!(waiter.join().unwrap(), 2 * SECOND, "granted when a place came free");
    });
    assert_eq!(limiter.stats().in_flight, 1);
}

#[test]
fn a_clock_that_goes_backwards_credits_nothing() {
    let (limiter, clock) = ten_a_second();
    clock.set(SECOND);
    assert_eq!(limiter.stats().limits[0].available, 10);
    drop(limiter.try_acquire(10).unwrap());
    clock.set(Duration::ZERO);
    assert!(limiter.try_acquire_one().is_err());
    clock.set(1099 * MS);
    assert!(limiter.try_acquire_one().is_err());
    clock.set(1100 * MS);
    assert!(limiter.try_acquire_one().is_ok());
}
