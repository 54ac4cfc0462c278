//! A limiter for each key, and what becomes of keys that nobody uses any more.

use ratelimit::testing::ManualClock;
use ratelimit::{KeyedRateLimiter, Rate, RateLimiter, SECOND};
use std::thread;

fn keyed(clock: &ManualClock) -> KeyedRateLimiter<u64, 1> {
    let clock = clock.clone();
    KeyedRateLimiter::new(move |_| {
        let limits = [("calls", Rate::per_second(10))];
        RateLimiter::builder(limits).clock(clock.clone()).build().unwrap()
    })
}

#[test]
fn each_key_has_its_own_limits_and_keeps_them() {
    let clock = ManualClock::new();
    let limiters = keyed(&clock);
    let (one, other) = (limiters.get(&1), limiters.get(&2));
    clock.advance(SECOND);
    drop(one.try_acquire(10).unwrap());
    assert!(limiters.get(&1).try_acquire_one().is_err(), "the same limiter");
    assert!(other.try_acquire(10).is_ok());
    assert_eq!((limiters.len(), limiters.is_empty()), (2, false));
}

#[test]
fn a_key_in_use_is_kept_and_an_idle_one_is_dropped() {
    let clock = ManualClock::new();
    let limiters = keyed(&clock);
    let held = limiters.get(&0);
    drop(limiters.get(&1)); // not full yet
    assert_eq!(limiters.sweep(), 2);
    drop(limiters.get(&2));
    clock.advance(SECOND);
    let owned = limiters.get(&2).acquire_owned(1).unwrap();
    limiters.get(&3).pause_for(100 * SECOND);
    limiters.get(&4).set_rate(0, Rate::per_second(5)).unwrap();
    clock.advance(10 * SECOND);
    assert_eq!(limiters.sweep(), 4, "0 is held, 2 has a permit out, 3 is paused, 4 was changed");
    drop((held, owned));
    assert_eq!(limiters.sweep(), 2);
    clock.advance(200 * SECOND);
    assert_eq!(limiters.sweep(), 1, "the changed rate would be forgotten");
}

/// A million keys touched once: at no time more than twice those in use, and nothing left.
#[test]
fn memory_stays_bounded() {
    let clock = ManualClock::new();
    let limiters = keyed(&clock);
    let (mut most, keys) = (0, if cfg!(debug_assertions) { 100_000 } else { 1_000_000 });
    for key in 0..keys {
        drop(limiters.get(&key));
        clock.advance(SECOND / 100); // a hundred are not full yet
        most = most.max(limiters.len());
    }
    assert!(most <= 202, "{most} limiters were kept");
    clock.advance(SECOND);
    assert_eq!(limiters.sweep(), 0);
}

#[test]
fn all_who_ask_at_once_get_the_same_limiter() {
    let limiters: KeyedRateLimiter<&str, 1> = KeyedRateLimiter::new(|_| {
        let limits = [("calls", Rate::per_second(10))];
        let build = RateLimiter::builder(limits).start_full().clock(ManualClock::new());
        build.build().unwrap()
    });
    let taken = thread::scope(|scope| {
        let one = || (0..5).filter(|_| limiters.get(&"host").try_acquire_one().is_ok()).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    });
    assert_eq!((taken, limiters.len()), (10, 1));
}

/// Looks at the map when it is dropped.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Curious(u32);

static CURIOUS: std::sync::LazyLock<KeyedRateLimiter<Curious, 1>> =
    std::sync::LazyLock::new(|| {
        KeyedRateLimiter::new(|_| {
            RateLimiter::builder([("calls", Rate::per_second(1.0))]).start_full().build().unwrap()
        })
    });

impl Drop for Curious {
    fn drop(&mut self) {
        CURIOUS.len();
    }
}

#[test]
fn keys_are_dropped_outside_the_lock() {
    for number in 0..200 {
        CURIOUS.get(&Curious(number));
    }
    CURIOUS.sweep();
    assert!(CURIOUS.is_empty());
}
