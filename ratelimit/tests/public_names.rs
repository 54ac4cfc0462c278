//! Every public item under its name, and what may cross threads.

use ratelimit::headers::{HeaderLimit, LimitHeaders, Reset};
use ratelimit::testing::ManualClock;
use ratelimit::{
    AcquireError, BuildError, Builder, Cancel, Clock, Cost, DAY, HOUR, KeyedRateLimiter, LimitName,
    LimitStats, MINUTE, MonotonicClock, NotYet, OwnedPermit, Parker, Permit, Rate, RateError,
    RateLimiter, Reservation, SECOND, Stats, UnknownLimit,
};
use std::{error::Error, fmt::Debug, time::Duration};

fn shared<T: Send + Sync + Debug>() {}
fn error<T: Error + Send + Sync + Clone + PartialEq + 'static>() {}

#[test]
fn everything_public_is_debug_and_crosses_threads() {
    shared::<RateLimiter>();
    shared::<RateLimiter<2>>();
    shared::<Builder<2>>();
    shared::<Permit<'static, 2>>();
    shared::<OwnedPermit<2>>();
    shared::<Reservation<'static, 2>>();
    shared::<Cancel>();
    shared::<KeyedRateLimiter<String, 2>>();
    shared::<Cost<2>>();
    shared::<Rate>();
    shared::<(Stats, LimitStats, LimitName)>();
    shared::<(ManualClock, MonotonicClock, Parker, Box<dyn Clock>)>();
    shared::<(LimitHeaders, HeaderLimit, Reset)>();
    error::<BuildError>();
    error::<RateError>();
    error::<AcquireError>();
    error::<NotYet>();
    error::<UnknownLimit>();
}

/// The signatures that other crates build on; a change here is a change for every user.
#[test]
fn every_method_is_there() -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::new();
    let limits = [("requests", Rate::per_minute(500)), ("tokens", Rate::at_most(200_000, MINUTE))];
    let _: Result<RateLimiter<2>, BuildError> = RateLimiter::new(limits);
    let builder: Builder<2> = RateLimiter::builder(limits);
    let limiter = builder.in_flight(3).start_full().clock(clock.clone()).build()?;
    let _: Result<Permit<'_, 2>, AcquireError> = limiter.acquire([1, 10]);
    let _: Result<Permit<'_, 2>, AcquireError> = limiter.acquire_timeout([1, 10], SECOND);
    let cancel = Cancel::new();
    let _: Result<Permit<'_, 2>, AcquireError> = limiter.acquire_until([1, 10], &cancel);
    let _: Result<Permit<'_, 2>, AcquireError> = limiter.acquire_within([1, 10], SECOND, &cancel);
    let _: Result<Permit<'_, 2>, NotYet> = limiter.try_acquire([1, 10]);
    let _: Result<OwnedPermit<2>, AcquireError> = limiter.acquire_owned([1, 10]);
    let reservation: Reservation<'_, 2> = limiter.reserve([1, 10])?;
    let _: Duration = reservation.ready_in();
    assert!(reservation.is_ready());
    let mut permit: Permit<'_, 2> = reservation.wait()?;
    let _: (Duration, Duration) = (permit.granted_at(), permit.waited());
    let _: (&[LimitName; 2], [u64; 2]) = (permit.limits(), permit.cost().amounts());
    permit.adjust([1, 20]);
    let _: Result<(), UnknownLimit> = permit.settle_limit("tokens", 30);
    permit.settle([1, 10]);
    limiter.pause_limit(0, SECOND);
    limiter.pause_for(HOUR.min(DAY));
    limiter.resume();
    limiter.observe(1, 1000, 100);
    let _: Result<(), RateError> = limiter.set_rate(0, Rate::per(5, SECOND).burst(10));
    let _: (Stats, &[LimitName; 2]) = (limiter.stats(), limiter.names());
    assert_eq!(limiter.limit_index("tokens"), Some(1));
    cancel.cancel();
    assert!(cancel.is_cancelled());

    let single: RateLimiter<1> = RateLimiter::per_second(1000.0);
    let _: RateLimiter = RateLimiter::per_minute(6000.0);
    let _: Permit<'_, 1> = single.acquire_one();
    let _: Result<Permit<'_, 1>, NotYet> = single.try_acquire_one();
    let _: Result<Permit<'_, 1>, AcquireError> = single.acquire(1);
    Ok(())
}

#[test]
fn the_named_lengths_of_time_are_what_they_say() {
    assert_eq!((SECOND * 60, MINUTE * 60, HOUR * 24), (MINUTE, HOUR, DAY));
    assert_eq!(SECOND.as_millis(), 1000);
}

#[test]
fn a_limits_name_reads_like_a_string() {
    let limiter = RateLimiter::per_second(1.0);
    let name: &LimitName = &limiter.names()[0];
    let borrowed: &str = std::borrow::Borrow::borrow(name);
    assert_eq!((name.as_ref(), borrowed, name.as_str(), &**name), ("rate", "rate", "rate", "rate"));
    assert!(*name == *"rate" && *name == "rate" && *name != "calls");
    assert_eq!(format!("{name:>6} {name:?}"), "  rate \"rate\"");
}

#[test]
fn what_is_no_limiter_is_refused_by_name() {
    let twice = RateLimiter::new([("a", Rate::per_second(1)), ("a", Rate::per_second(2))]);
    assert_eq!(
        twice.unwrap_err().to_string(),
        "two limits are called \"a\": give each its own name"
    );
    let none: [(&str, Rate); 0] = [];
    assert_eq!(RateLimiter::new(none).unwrap_err(), BuildError::NoLimits);
    let closed = RateLimiter::builder([("a", Rate::per_second(1))]).in_flight(0).build();
    assert_eq!(closed.unwrap_err(), BuildError::NoneInFlight);
    let wrong = RateLimiter::new([("calls", Rate::per_second(-3))]).unwrap_err().to_string();
    let expected = "limit \"calls\": a rate of -3 is not a rate: use a finite number above zero";
    assert_eq!(wrong, expected);
    let limiter = RateLimiter::per_second(1.0);
    let nowhere = limiter.set_rate(1, Rate::per_second(1)).unwrap_err();
    assert_eq!(nowhere, RateError::NoSuchLimit { index: 1, limits: 1 });
}

#[test]
#[should_panic(expected = "a rate of NaN is not a rate")]
fn per_second_panics_on_what_is_no_rate() {
    let _ = RateLimiter::per_second(f64::NAN);
}

#[test]
#[should_panic(expected = "there is no limit 1: the limiter has 1, counted from 0")]
fn a_limit_that_does_not_exist_is_a_mistake_in_the_program() {
    RateLimiter::per_second(1.0).observe(1, 0, 0);
}
