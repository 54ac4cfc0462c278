//! Std or loom, chosen once: the only file that knows which.
//!
//! Statics (the stamps' counter, the indices in use) stay std's in both builds: they outlive a run of
//! the model, nobody waits for them, and no promise leans on their order, only on uniqueness.

pub(crate) use chosen::{
    Arc, AtomicBool, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering, mutant, thread_local,
};

#[cfg(not(loom))]
mod chosen {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
    pub(crate) use std::sync::{Arc, Mutex, MutexGuard};
    pub(crate) use std::thread_local;

    /// Whether the named defect is switched on: never, outside the models.
    pub(crate) const fn mutant(_name: &str) -> bool {
        false
    }
}

#[cfg(loom)]
mod chosen {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
    pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
    pub(crate) use loom::thread_local;

    /// Whether the named defect is switched on by `RATCHET_MUTANT`.
    pub(crate) fn mutant(name: &str) -> bool {
        static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
        CHOSEN.get_or_init(|| std::env::var("RATCHET_MUTANT").ok()).as_deref() == Some(name)
    }
}

/// Locks, also after a panic of another holder: every critical section of this crate leaves its data
/// whole at each point where foreign code can unwind through it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Locks if nobody holds it.
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(std::sync::TryLockError::WouldBlock) => None,
    }
}
