//! Adapters that are counted: how many were built, are alive, were alive at most.

#![allow(dead_code, reason = "each test file uses its part")]

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, ThreadId};

#[derive(Debug, Default)]
struct Counts {
    built: AtomicUsize,
    ended: AtomicUsize,
    most_alive: AtomicUsize,
    fail: AtomicBool,
    panic: AtomicBool,
}

/// Whoever makes the adapters, and counts them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Census(Arc<Counts>);

impl Census {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn maker(&self) -> impl Fn() -> Result<Adapter, &'static str> + Send + Sync + use<> {
        let census = self.clone();
        move || census.make()
    }

    pub(crate) fn make(&self) -> Result<Adapter, &'static str> {
        assert!(!self.0.panic.load(SeqCst), "a maker that panics");
        if self.0.fail.load(SeqCst) {
            return Err("no luck");
        }
        let number = self.0.built.fetch_add(1, SeqCst);
        self.0.most_alive.fetch_max(self.alive(), SeqCst);
        let home = thread::current().id();
        Ok(Adapter { number, home, uses: Cell::new(0), census: self.clone() })
    }

    /// From now on the maker fails, or no longer.
    pub(crate) fn fail(&self, fail: bool) {
        self.0.fail.store(fail, SeqCst);
    }

    /// From now on the maker panics, or no longer.
    pub(crate) fn panic(&self, panic: bool) {
        self.0.panic.store(panic, SeqCst);
    }

    pub(crate) fn built(&self) -> usize {
        self.0.built.load(SeqCst)
    }

    pub(crate) fn ended(&self) -> usize {
        self.0.ended.load(SeqCst)
    }

    pub(crate) fn alive(&self) -> usize {
        self.built() - self.ended()
    }

    pub(crate) fn most_alive(&self) -> usize {
        self.0.most_alive.load(SeqCst)
    }
}

/// `Send`, not `Sync`, and counted.
#[derive(Debug)]
pub(crate) struct Adapter {
    number: usize,
    home: ThreadId,
    uses: Cell<usize>,
    census: Census,
}

impl Adapter {
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    pub(crate) fn home(&self) -> ThreadId {
        self.home
    }

    pub(crate) fn touch(&mut self) {
        self.uses.set(self.uses.get() + 1);
    }

    pub(crate) fn uses(&self) -> usize {
        self.uses.get()
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        self.census.0.ended.fetch_add(1, SeqCst);
    }
}
