//! Every interleaving of the limiter's locks, within a bound, on a clock that is moved by hand.
//!
//! | who | does |
//! |---|---|
//! | one to three threads | `acquire_one`, `acquire_until`, `try_acquire` |
//! | the main thread, meanwhile | `pause_for`, `settle`, `set_rate`, `stats`, moving the clock, dropping a permit, dropping a reservation |
//! | another thread | `cancel` |
//!
//! A wake-up that is lost shows as a deadlock: loom's time does not pass, so no sleep ends by itself.
#![cfg(loom)]

use loom::thread;
use ratelimit::testing::ManualClock;
use ratelimit::{AcquireError, Cancel, Rate, RateLimiter, SECOND};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{sync::Arc, time::Duration};

/// Three threads and a clock that moves: exhaustive exploration does not end in minutes, since every
/// look at the clock is a lock of its own, and five preemptions take one and a half.
const FOUR: Option<usize> = Some(4);

fn explore(bound: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = bound;
    builder.max_branches = 20_000;
    let iterations = Arc::new(AtomicUsize::new(0));
    let counted = iterations.clone();
    builder.check(move || {
        // ORDERING: Relaxed, a count that is read when all is over.
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let bound = bound.map_or("none".to_owned(), |bound| bound.to_string());
    // ORDERING: as above.
    println!("bound: {bound} iterations: {}", iterations.load(Ordering::Relaxed));
}

/// One permit a second, at most `burst` kept; the clock shows `start` seconds.
fn limiter(burst: u64, start: u64) -> (RateLimiter, ManualClock) {
    let clock = ManualClock::new();
    let limits = [("calls", Rate::per_second(1).burst(burst))];
    let limiter = RateLimiter::builder(limits).clock(clock.clone()).build().unwrap();
    clock.set(Duration::from_secs(start));
    (limiter, clock)
}

/// Starts a caller that blocks for one permit and tells the second of its grant.
fn caller(limiter: &RateLimiter) -> thread::JoinHandle<u64> {
    let limiter = limiter.clone();
    thread::spawn(move || limiter.acquire_one().granted_at().as_secs())
}

fn available(limiter: &RateLimiter) -> i64 {
    limiter.stats().limits[0].available
}

/// R1, R3: three at once never run ahead of the rate.
///
/// Kills: sleep-credited-twice
#[test]
fn three_callers() {
    explore(FOUR, || {
        let (limiter, clock) = limiter(3, 0);
        let callers = [caller(&limiter), caller(&limiter)];
        clock.advance(SECOND);
        clock.advance(SECOND);
        clock.advance(SECOND);
        let mut granted: Vec<u64> = callers.into_iter().map(|c| c.join().unwrap()).collect();
        granted.push(limiter.acquire_one().granted_at().as_secs());
        granted.sort_unstable();
        assert!(granted.iter().zip(1..).all(|(at, earliest)| *at >= earliest), "{granted:?}");
        assert_eq!(available(&limiter), 0);
    });
}

/// R6: no grant during a pause, and afterwards not a herd but the spacing of the rate.
///
/// Kills: credit-kept-over-pause
#[test]
fn two_callers_and_a_pause() {
    explore(FOUR, || {
        let (limiter, clock) = limiter(2, 2);
        let callers = [caller(&limiter), caller(&limiter)];
        limiter.pause_for(10 * SECOND);
        clock.advance(10 * SECOND); // it ends at 12
        clock.advance(SECOND);
        clock.advance(SECOND);
        let granted: Vec<u64> = callers.into_iter().map(|c| c.join().unwrap()).collect();
        let after = |second| granted.iter().filter(|at| (3..=second).contains(*at)).count();
        assert_eq!((after(12), after(13) <= 1), (0, true), "{granted:?}");
    });
}

/// R2: who is late loses nothing, nor do those behind: each is granted at its own time.
///
/// Kills: late-wake-up-loses-credit
#[test]
fn two_late_callers() {
    explore(None, || {
        let (limiter, clock) = limiter(1, 0);
        let first = limiter.reserve(1).unwrap();
        let second = limiter.reserve(1).unwrap();
        let other = limiter.clone();
        let looker = thread::spawn(move || drop(other.stats()));
        clock.advance(5 * SECOND);
        assert_eq!(first.wait().unwrap().granted_at(), SECOND);
        assert_eq!(second.wait().unwrap().granted_at(), 2 * SECOND);
        looker.join().unwrap();
    });
}

/// R3: a newcomer does not pass those who wait, though what it asks for may be there.
///
/// Kills: line-jumped
#[test]
fn a_newcomer_against_the_line() {
    explore(None, || {
        let (limiter, clock) = limiter(2, 0);
        let first = limiter.reserve(2).unwrap();
        let other = limiter.clone();
        let newcomer = thread::spawn(move || other.try_acquire_one().is_ok());
        clock.advance(SECOND); // one is there, for which the first in line saves
        let passed = newcomer.join().unwrap();
        clock.advance(SECOND);
        assert_eq!((passed, first.wait().unwrap().granted_at()), (false, 2 * SECOND));
    });
}

/// R3: who comes while another joins the line is granted before it or not at all.
#[test]
fn a_newcomer_while_another_joins() {
    explore(None, || {
        let (limiter, clock) = limiter(2, 1);
        let other = limiter.clone();
        let newcomer = thread::spawn(move || other.try_acquire_one().is_ok());
        let first = limiter.reserve(2).unwrap();
        let passed = newcomer.join().unwrap();
        let due = if passed { 3 } else { 2 };
        clock.set(Duration::from_secs(5));
        assert_eq!(first.wait().unwrap().granted_at(), Duration::from_secs(due));
    });
}

/// R6: what is given back during a pause is not granted before its end.
///
/// Kills: pause-unseen
#[test]
fn refund_during_a_pause() {
    explore(None, || {
        let (limiter, clock) = limiter(3, 3);
        let permit = limiter.try_acquire(3).unwrap();
        limiter.pause_for(SECOND);
        let other = limiter.clone();
        let newcomer = thread::spawn(move || other.try_acquire_one().is_ok());
        permit.settle(0);
        assert!(!newcomer.join().unwrap());
        assert!(limiter.try_acquire_one().is_err());
        clock.advance(SECOND);
        assert!(limiter.try_acquire_one().is_ok());
    });
}

/// As many permits are held as may be: of two who ask at once, one gets it.
///
/// Kills: bound-unseen
#[test]
fn two_callers_and_one_place() {
    explore(None, || {
        let build = RateLimiter::builder([("calls", Rate::per_second(2))]);
        let build = build.start_full().in_flight(1).clock(ManualClock::new());
        let limiter = build.build().unwrap();
        let other = limiter.clone();
        let asking = thread::spawn(move || other.try_acquire_one().map(std::mem::forget).is_ok());
        let mine = limiter.try_acquire_one();
        assert!(mine.is_ok() != asking.join().unwrap());
        assert_eq!(limiter.stats().in_flight, 1);
    });
}

/// A smaller burst is felt by the next caller, and what it cannot hold is gone.
#[test]
fn set_rate_against_a_newcomer() {
    explore(None, || {
        let (limiter, _clock) = limiter(3, 3);
        let other = limiter.clone();
        let newcomer = thread::spawn(move || other.try_acquire(2).is_ok());
        limiter.set_rate(0, Rate::per_second(1).burst(1)).unwrap();
        newcomer.join().unwrap();
        assert!(limiter.try_acquire(2).unwrap_err().is_never());
        assert_eq!(available(&limiter), 1);
    });
}

/// R7: a pause for ages neither overflows nor ends.
///
/// Kills: ages-overflow
#[test]
fn a_pause_for_ages() {
    explore(None, || {
        let (limiter, clock) = limiter(3, 3);
        let other = limiter.clone();
        let pauser = thread::spawn(move || other.pause_for(Duration::MAX));
        limiter.pause_for(SECOND);
        pauser.join().unwrap();
        assert_eq!(limiter.stats().limits[0].paused_for, Duration::MAX);
        clock.advance(Duration::MAX);
        assert!(limiter.try_acquire_one().unwrap_err().is_never());
    });
}

/// R4: whoever looks sees a permit taken from both limits or from none.
///
/// Kills: levels-one-at-a-time
#[test]
fn two_limits() {
    explore(None, || {
        let clock = ManualClock::new();
        let limits = ["requests", "tokens"].map(|name| (name, Rate::per_second(1)));
        let limiter = RateLimiter::builder(limits).start_full().clock(clock).build().unwrap();
        let other = limiter.clone();
        let taker = thread::spawn(move || drop(other.try_acquire([1, 1]).unwrap()));
        let limits = limiter.stats().limits;
        assert_eq!(limits[0].available, limits[1].available);
        taker.join().unwrap();
    });
}

/// R9: a cancelled waiter wakes, though its time never comes.
///
/// Kills: waiters-not-woken
#[test]
fn cancel_against_a_wait() {
    explore(None, || {
        let (limiter, _clock) = limiter(1, 0);
        let cancel = Cancel::new();
        let (waiting, flag) = (limiter.clone(), cancel.clone());
        let waiter = thread::spawn(move || waiting.acquire_until(1, &flag).map(drop));
        cancel.cancel();
        assert_eq!(waiter.join().unwrap(), Err(AcquireError::Cancelled));
        assert_eq!(limiter.stats().waiting, 0);
    });
}

/// R4, R5: cancelled or granted, never something between, and the next in line gets the rest.
#[test]
fn cancel_against_a_grant() {
    explore(None, || {
        let (limiter, clock) = limiter(1, 0);
        let cancel = Cancel::new();
        let (waiting, flag) = (limiter.clone(), cancel.clone());
        let waiter = thread::spawn(move || waiting.acquire_until(1, &flag).map(drop));
        let canceller = thread::spawn(move || cancel.cancel());
        clock.advance(SECOND);
        canceller.join().unwrap();
        let left = i64::from(waiter.join().unwrap().is_err());
        assert_eq!(available(&limiter), left);
    });
}

/// R5: what one caller gives back, the next one gets, at once.
///
/// Kills: refund-lost
#[test]
fn refund_against_acquire() {
    explore(None, || {
        let (limiter, _clock) = limiter(1, 1);
        let permit = limiter.try_acquire_one().unwrap();
        let waiter = caller(&limiter);
        permit.settle(0);
        assert_eq!(waiter.join().unwrap(), 1);
        assert_eq!(available(&limiter), 0);
    });
}

/// R5: who leaves the line makes way for those behind.
#[test]
fn a_dropped_reservation_against_a_wait() {
    explore(None, || {
        let (limiter, clock) = limiter(1, 0);
        let first = limiter.reserve(1).unwrap();
        let waiter = caller(&limiter);
        drop(first);
        clock.advance(SECOND);
        assert_eq!(waiter.join().unwrap(), 1);
    });
}

/// A faster rate is felt by those who sleep for the slower one.
///
/// Kills: earlier-turn-not-told
#[test]
fn set_rate_against_a_wait() {
    explore(None, || {
        let (limiter, clock) = limiter(1, 0);
        limiter.set_rate(0, Rate::per(1, 10 * SECOND)).unwrap();
        let waiter = caller(&limiter);
        limiter.set_rate(0, Rate::per_second(1)).unwrap();
        clock.advance(SECOND);
        assert_eq!(waiter.join().unwrap(), 1);
    });
}

/// Nobody sleeps while holding a lock: others look and change while a caller waits.
///
/// Kills: sleep-under-lock
#[test]
fn a_look_during_a_wait() {
    explore(None, || {
        let (limiter, clock) = limiter(1, 0);
        let waiter = caller(&limiter);
        assert_eq!(available(&limiter), 0);
        clock.advance(SECOND);
        assert_eq!(waiter.join().unwrap(), 1);
    });
}

/// A dropped permit hands its place to the next in line.
///
/// Kills: place-kept
#[test]
fn a_dropped_permit_against_a_wait() {
    explore(None, || {
        let limits = [("calls", Rate::per_second(2))];
        let build = RateLimiter::builder(limits).start_full().in_flight(1);
        let limiter = build.clock(ManualClock::new()).build().unwrap();
        let permit = limiter.try_acquire_one().unwrap();
        let waiter = caller(&limiter);
        drop(permit);
        assert_eq!(waiter.join().unwrap(), 0);
        assert_eq!(limiter.stats().in_flight, 0);
    });
}
