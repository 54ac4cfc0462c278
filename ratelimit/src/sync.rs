//! Std (and `spin`) or loom, chosen once. The only file that says `cfg(loom)`.
//!
//! The levels sit behind [`Spin`]: a spin lock whose waiters yield, or loom's mutex under the model
//! checker, since loom cannot see the atomics inside `spin` and a model would pass vacuously.
//! `Arc` is std's in both worlds: it guards nothing here, and loom's knows no trait objects.

pub(crate) use std::sync::Arc;

#[cfg(loom)]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};

/// Locks a std mutex whose data holds its invariant at every step that can panic.
///
/// Nothing that runs under these locks calls a user's code, so a poisoned one means a panic inside
/// this crate between two complete states: the data is used as it stands.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits on a condition variable; poison is treated as in [`lock`].
pub(crate) fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition.wait(guard).unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits on a condition variable for at most `limit`. Under loom time does not pass: no time-out.
#[cfg(not(loom))]
pub(crate) fn wait_timeout<'a, T>(
    condition: &Condvar,
    guard: MutexGuard<'a, T>,
    limit: std::time::Duration,
) -> MutexGuard<'a, T> {
    let waited = condition.wait_timeout(guard, limit);
    waited.unwrap_or_else(std::sync::PoisonError::into_inner).0
}

#[cfg(loom)]
pub(crate) fn wait_timeout<'a, T>(
    condition: &Condvar,
    guard: MutexGuard<'a, T>,
    _limit: std::time::Duration,
) -> MutexGuard<'a, T> {
    wait(condition, guard)
}

#[cfg(loom)]
pub(crate) use self::modelled::{Spin, SpinGuard};
#[cfg(not(loom))]
pub(crate) use self::real::{Spin, SpinGuard};

#[cfg(not(loom))]
mod real {
    /// A spin lock for critical sections of a few nanoseconds.
    ///
    /// Why not a std mutex: it parks. The bucket behind one in `xtask/peers` takes 46 to 74 ns of CPU
    /// a permit with 1 to 8 threads on two cores, this 37 to 44. Why not a compare-and-swap for one
    /// limit: it is not faster. Nearly all of a permit's cost is reading the clock, and one
    /// uncontended lock hides behind that as well as one compare-and-swap does; with more threads
    /// those who fail to swap begin anew. governor, which swaps, takes 40 to 51 there; with the time
    /// stamp counter 14 to 15, this 12 to 15.
    ///
    /// Its waiters yield: on few cores a holder that was preempted then costs a yield, where
    /// spinning would cost the rest of a time slice.
    ///
    /// On cache lines of its own (they are fetched in pairs of 64 bytes), or whoever takes a permit
    /// would also take the lines away on which others find the clock.
    #[repr(align(128))]
    pub(crate) struct Spin<T>(spin::mutex::SpinMutex<T, spin::relax::Yield>);

    pub(crate) type SpinGuard<'a, T> = spin::mutex::SpinMutexGuard<'a, T, spin::relax::Yield>;

    impl<T> Spin<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(spin::mutex::SpinMutex::new(value))
        }

        #[inline]
        pub(crate) fn lock(&self) -> SpinGuard<'_, T> {
            self.0.lock()
        }

        #[inline]
        pub(crate) fn try_lock(&self) -> Option<SpinGuard<'_, T>> {
            self.0.try_lock()
        }
    }
}

#[cfg(loom)]
mod modelled {
    /// The stand-in that loom can see.
    pub(crate) struct Spin<T>(loom::sync::Mutex<T>);

    pub(crate) type SpinGuard<'a, T> = loom::sync::MutexGuard<'a, T>;

    impl<T> Spin<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> SpinGuard<'_, T> {
            super::lock(&self.0)
        }

        pub(crate) fn try_lock(&self) -> Option<SpinGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }
}

/// Is the named fault switched on? `false` in every ordinary build, decided at compile time.
#[cfg(not(loom))]
#[inline]
pub(crate) const fn mutant(_name: &str) -> bool {
    false
}

/// Is the named fault switched on by `RATCHET_MUTANT`?
#[cfg(loom)]
pub(crate) fn mutant(name: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var("RATCHET_MUTANT").ok()).as_deref() == Some(name)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_free_lock_is_had_at_the_first_try_and_a_held_one_is_not() {
        let spin = Spin::new(1);
        assert_eq!(spin.try_lock().map(|held| *held), Some(1));
        let held = spin.lock();
        assert!(spin.try_lock().is_none());
        drop(held);
    }
}
