//! A clock that is moved by hand, for tests that take no time and end the same way every time.

use crate::sync::{Arc, Condvar, Mutex, lock, wait};
use crate::{Clock, Parker};
use std::{fmt, time::Duration};

/// A clock that only moves when told to. Clones show the same time.
///
/// ```
/// use ratelimit::{Rate, RateLimiter, testing::ManualClock};
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let limiter =
///     RateLimiter::builder([("calls", Rate::per_second(10))]).clock(clock.clone()).build()?;
/// assert!(limiter.try_acquire_one().is_err()); // it starts empty
/// clock.advance(Duration::from_millis(100));
/// assert!(limiter.try_acquire_one().is_ok());
/// # Ok::<(), ratelimit::BuildError>(())
/// ```
///
/// Threads that wait on it sleep until it is moved past their time.
/// [`wait_for_sleepers`](ManualClock::wait_for_sleepers) lets a test be sure that they do.
#[derive(Clone, Default)]
pub struct ManualClock(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    slept: Condvar,
}

/// Under one lock, so that nobody falls asleep between a look at the time and its next move.
#[derive(Default)]
struct State {
    now: Duration,
    sleepers: Vec<(Parker, Option<Duration>)>,
}

impl Default for Inner {
    fn default() -> Self {
        Self { state: Mutex::new(State::default()), slept: Condvar::new() }
    }
}

impl ManualClock {
    /// A clock that shows zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the clock forward, at most to `Duration::MAX`, and wakes those whose time has come.
    pub fn advance(&self, step: Duration) {
        let mut state = lock(&self.0.state);
        let now = state.now.saturating_add(step);
        state.move_to(now);
    }

    /// Sets the clock, backwards too, and wakes those whose time has come.
    pub fn set(&self, now: Duration) {
        lock(&self.0.state).move_to(now);
    }

    /// How many threads sleep on this clock.
    pub fn sleepers(&self) -> usize {
        lock(&self.0.state).sleepers.len()
    }

    /// The nearest time for which a thread sleeps: a test that sets the clock to it skips no wake-up.
    pub fn next_wake(&self) -> Option<Duration> {
        lock(&self.0.state).sleepers.iter().filter_map(|(_, until)| *until).min()
    }

    /// Blocks until at least `count` threads sleep on this clock.
    pub fn wait_for_sleepers(&self, count: usize) {
        let mut state = lock(&self.0.state);
        while state.sleepers.len() < count {
            state = wait(&self.0.slept, state);
        }
    }
}

impl State {
    fn move_to(&mut self, now: Duration) {
        self.now = now;
        self.sleepers.retain(|(parker, until)| {
            let due = until.is_some_and(|until| until <= now);
            if due {
                parker.wake();
            }
            !due
        });
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        lock(&self.0.state).now
    }

    fn park(&self, parker: &Parker, until: Option<Duration>) {
        {
            let mut state = lock(&self.0.state);
            if until.is_some_and(|until| until <= state.now) {
                return;
            }
            state.sleepers.push((parker.clone(), until));
            self.0.slept.notify_all();
        }
        parker.park();
        lock(&self.0.state).sleepers.retain(|(sleeper, _)| !sleeper.is(parker));
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.0.state);
        f.debug_struct("ManualClock")
            .field("now", &state.now)
            .field("sleepers", &state.sleepers.len())
            .finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn who_sleeps_is_counted_until_he_wakes() {
        let (clock, parker) = (ManualClock::new(), Parker::new());
        std::thread::scope(|scope| {
            scope.spawn(|| clock.park(&parker, None));
            clock.wait_for_sleepers(1);
            let asleep = clock.sleepers();
            parker.wake();
            assert_eq!(asleep, 1);
        });
        assert_eq!(clock.sleepers(), 0);
    }
}
