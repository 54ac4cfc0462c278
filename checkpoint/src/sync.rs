//! std or loom, chosen once: the only place that says `cfg(loom)`.

#[cfg(not(loom))]
pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard};

#[cfg(loom)]
pub(crate) use loom::sync::{Arc, Condvar, Mutex, MutexGuard};

/// How often who waits in the queue lets others go first before he sleeps: without a flush a turn
/// takes some microseconds, as going to sleep and being woken does. More often, and those who are
/// served first begin the next group without the others: with 8, eight threads had 5.6 to 5.7 saves a
/// flush in three runs of the comparison with others, with 4 they have 6.8 to 7.7.
#[cfg(not(loom))]
pub(crate) const YIELDS: u32 = 4;

/// A model goes through all orders anyway.
#[cfg(loom)]
pub(crate) const YIELDS: u32 = 0;

/// Whether the named mutation is switched on: never, outside of a model.
#[cfg(not(loom))]
pub(crate) const fn mutant(_name: &str) -> bool {
    false
}

/// Whether the named mutation is switched on, by `RATCHET_MUTANT`.
#[cfg(loom)]
pub(crate) fn mutant(name: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var("RATCHET_MUTANT").ok()).as_deref() == Some(name)
}
