//! What `stats`, permits and refusals tell, and the ways to wait that end early.

use ratelimit::testing::ManualClock;
use ratelimit::{AcquireError, Cancel, LimitName, Rate, RateLimiter, SECOND};
use std::{collections::HashMap, sync::Arc, thread, time::Duration};

const MS: Duration = Duration::from_millis(1);

fn two_limits() -> (RateLimiter<2>, ManualClock) {
    let clock = ManualClock::new();
    let limits = [("requests", Rate::per_second(10)), ("tokens", Rate::per_second(1000))];
    (RateLimiter::builder(limits).clock(clock.clone()).build().unwrap(), clock)
}

fn ten_a_second() -> (RateLimiter, ManualClock) {
    let clock = ManualClock::new();
    let limits = [("calls", Rate::per_second(10))];
    // A clock behind an `Arc` is that clock.
    let limiter = RateLimiter::builder(limits).clock(Arc::new(clock.clone())).build();
    (limiter.unwrap(), clock)
}

fn timeout(retry_after: Duration, limit: &LimitName) -> AcquireError {
    AcquireError::Timeout { retry_after, limit: limit.clone() }
}

#[test]
fn waits_and_refusals_count_for_the_limit_that_caused_them() {
    let (limiter, clock) = two_limits();
    let first = limiter.reserve([1, 200]).unwrap(); // at 200 ms, for the tokens
    let second = limiter.reserve([2, 10]).unwrap(); // at 300 ms, for the requests
    assert!(limiter.try_acquire([1, 1]).is_err());
    assert!(limiter.try_acquire([1, 1001]).unwrap_err().is_never());
    let [requests, _] = limiter.names();
    let refused = limiter.acquire_timeout([1, 1], 399 * MS).unwrap_err();
    assert_eq!(refused, timeout(400 * MS, requests));
    assert_eq!(limiter.stats().waiting, 2);
    clock.advance(SECOND);
    let permit = first.wait().unwrap();
    assert_eq!((permit.granted_at(), permit.waited()), (200 * MS, 200 * MS));
    assert_eq!((permit.cost().amounts(), permit.limits()), ([1, 200], limiter.names()));
    assert_eq!(second.wait().unwrap().waited(), 300 * MS);
    let stats = limiter.stats();
    assert_eq!((stats.waiting, stats.granted, stats.refused, stats.in_flight), (0, 2, 3, 0));
    assert_eq!(stats.total_wait, 500 * MS);
    let figures = |index: usize| {
        let limit = &stats.limits[index];
        (limit.granted, limit.refused, limit.available, limit.total_wait, limit.paused_for)
    };
    assert_eq!(figures(0), (3, 2, 7, 300 * MS, Duration::ZERO));
    assert_eq!(figures(1), (210, 1, 790, 200 * MS, Duration::ZERO));
}

#[test]
fn a_bound_in_flight_counts_its_own_refusals() {
    let build = RateLimiter::builder([("calls", Rate::per_second(10))]).start_full().in_flight(2);
    let limiter = build.clock(ManualClock::new()).build().unwrap();
    let held = [limiter.try_acquire_one().unwrap(), limiter.try_acquire_one().unwrap()];
    assert_eq!(limiter.stats().in_flight, 2);
    let refused = limiter.try_acquire_one().unwrap_err();
    assert_eq!((refused.limit.as_str(), refused.retry_after), ("in_flight", Duration::ZERO));
    let stats = limiter.stats();
    assert_eq!((stats.refused, stats.limits[0].refused, stats.granted), (1, 0, 2));
    drop(held);
    assert_eq!(limiter.stats().in_flight, 0);
    assert!(limiter.acquire_owned(8).is_ok());
    assert_eq!(limiter.stats().in_flight, 0);
}

#[test]
fn a_wait_may_end_at_its_last_instant_and_no_later() {
    let (limiter, clock) = ten_a_second();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| limiter.acquire_timeout(1, 100 * MS).map(|p| p.granted_at()));
        clock.wait_for_sleepers(1);
        clock.advance(100 * MS);
        assert_eq!(waiter.join().unwrap(), Ok(100 * MS));
        assert_eq!(clock.sleepers(), 0);
        // A pause puts the turn off, beyond the time there is.
        let waiter = scope.spawn(|| limiter.acquire_timeout(1, 100 * MS).map(drop));
        clock.wait_for_sleepers(1);
        limiter.pause_for(SECOND);
        clock.advance(100 * MS);
        assert_eq!(waiter.join().unwrap(), Err(timeout(SECOND, &limiter.names()[0])));
    });
    let stats = limiter.stats();
    assert_eq!((stats.waiting, stats.granted, stats.refused), (0, 1, 1));
}

#[test]
fn time_and_cancel_together_end_a_wait_at_whichever_comes_first() {
    let (limiter, clock) = ten_a_second();
    let [name] = limiter.names();
    let cancel = Cancel::new();
    let short = limiter.acquire_within(1, 99 * MS, &cancel).map(drop);
    assert_eq!(short, Err(timeout(100 * MS, name)));
    let reserved = limiter.reserve(1).unwrap();
    assert_eq!(reserved.wait_timeout(99 * MS).map(drop), Err(timeout(100 * MS, name)));
    assert_eq!(limiter.stats().waiting, 0, "its place was given back");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| limiter.acquire_within(1, SECOND, &cancel).map(drop));
        clock.wait_for_sleepers(1);
        cancel.cancel();
        assert_eq!(waiter.join().unwrap(), Err(AcquireError::Cancelled));
    });
    let reserved = limiter.reserve(1).unwrap();
    assert_eq!(reserved.wait_until(&cancel).map(drop), Err(AcquireError::Cancelled));
    let granted = limiter.reserve(1).unwrap();
    assert_eq!((granted.is_ready(), granted.ready_in()), (false, 100 * MS));
    clock.advance(100 * MS);
    assert_eq!((granted.is_ready(), granted.ready_in()), (true, Duration::ZERO));
    assert_eq!(granted.wait_until(&cancel).unwrap().granted_at(), 100 * MS, "it was there");
}

#[test]
fn an_owned_permit_outlives_its_limiter_and_settles() {
    let (limiter, clock) = ten_a_second();
    clock.advance(SECOND);
    let mut permit = limiter.acquire_owned(4).unwrap();
    assert_eq!((permit.cost().amounts(), permit.granted_at()), ([4], SECOND));
    permit.settle_limit("calls", 3).unwrap();
    assert_eq!(limiter.stats().limits[0].available, 7);
    let unknown = permit.settle_limit("pages", 1).unwrap_err();
    assert_eq!((unknown.name.as_str(), unknown.known.as_str()), ("pages", "calls"));
    drop(limiter);
    permit.settle(1);
}

#[test]
fn a_name_is_a_string() {
    let limiter = RateLimiter::per_minute(1.0);
    let [name] = limiter.names();
    let by_name = HashMap::from([(name.clone(), 7)]);
    assert_eq!(by_name.get("rate"), Some(&7));
    assert!(*name == *"rate" && *name == "rate" && *name != "other" && *name != *"other");
    assert_eq!((name.as_str(), name.len(), AsRef::<str>::as_ref(name)), ("rate", 4, "rate"));
    assert_eq!(format!("{name:>6}|{name:?}"), "  rate|\"rate\"");
    assert_eq!((limiter.limit_index("rate"), limiter.limit_index("calls")), (Some(0), None));
}
