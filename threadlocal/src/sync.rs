//! Std (and `spin`) or loom, chosen once: the only file that knows which.
//!
//! Statics (the stamps' counter, the indices in use) stay std's in both builds: they outlive a run of
//! the model, nobody waits for them, and no promise leans on their order, only on uniqueness.

pub(crate) use chosen::{
    Arc, AtomicU8, AtomicU64, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, TryLock,
    TryLockGuard, const_thread_local, fence, mutant,
};

#[cfg(not(loom))]
mod chosen {
    pub(crate) use spin::mutex::{SpinMutex as TryLock, SpinMutexGuard as TryLockGuard};
    pub(crate) use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering, fence};
    pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard};

    /// A thread-local value made by a constant expression: reached without asking whether it is.
    macro_rules! const_thread_local {
        ($name:ident: $type:ty = $value:expr) => {
            std::thread_local!(static $name: $type = const { $value });
        };
    }
    pub(crate) use const_thread_local;

    /// Whether the named defect is switched on: never, outside the models.
    // Inline, or every hit would call it: a use is compiled in its user's crate.
    #[inline]
    pub(crate) const fn mutant(_name: &str) -> bool {
        false
    }
}

#[cfg(loom)]
mod chosen {
    pub(crate) use loom::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering, fence};
    pub(crate) use loom::sync::{Arc, Condvar, Mutex, MutexGuard};

    use std::ops::{Deref, DerefMut};
    use std::sync::{Mutex as Data, MutexGuard as DataGuard, PoisonError};

    use loom::sync::atomic::AtomicBool;

    macro_rules! const_thread_local {
        ($name:ident: $type:ty = $value:expr) => {
            loom::thread_local!(static $name: $type = $value);
        };
    }
    pub(crate) use const_thread_local;

    /// What the crate uses of `spin::mutex::SpinMutex`, within the model's sight and with the orderings
    /// of its own. Loom's own lock will not do: it cannot be taken again after a panic of its holder.
    pub(crate) struct TryLock<T> {
        held: AtomicBool,
        /// Only locked by whoever holds the lock: never waited for, and unseen by the model.
        data: Data<T>,
    }

    pub(crate) struct TryLockGuard<'a, T> {
        held: &'a AtomicBool,
        data: Option<DataGuard<'a, T>>,
    }

    impl<T> TryLock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self { held: AtomicBool::new(false), data: Data::new(value) }
        }

        pub(crate) fn try_lock(&self) -> Option<TryLockGuard<'_, T>> {
            // ORDERING: as spin's: Acquire pairs with the Release of the unlocking.
            self.held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).ok()?;
            let data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
            Some(TryLockGuard { held: &self.held, data: Some(data) })
        }
    }

    impl<T> Deref for TryLockGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.data.as_ref().expect("taken out by the drop alone")
        }
    }

    impl<T> DerefMut for TryLockGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.data.as_mut().expect("taken out by the drop alone")
        }
    }

    impl<T> Drop for TryLockGuard<'_, T> {
        fn drop(&mut self) {
            self.data = None;
            // ORDERING: as spin's: Release pairs with the Acquire in `try_lock`.
            self.held.store(false, Ordering::Release);
        }
    }

    /// Whether the named defect is switched on by `RATCHET_MUTANT`.
    pub(crate) fn mutant(name: &str) -> bool {
        static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
        CHOSEN.get_or_init(|| std::env::var("RATCHET_MUTANT").ok()).as_deref() == Some(name)
    }
}

/// Locks, also after a panic of another holder: no critical section of this crate runs foreign code,
/// and each leaves its data whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits on the condition; as for panics, see [`lock`].
pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(std::sync::PoisonError::into_inner)
}
