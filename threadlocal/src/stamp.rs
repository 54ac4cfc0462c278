//! Stamps, which are never used twice, and the generation of a storage, which is the newest of its
//! stamps.

use std::sync::atomic::AtomicU64 as StaticU64;

use crate::sync::{AtomicU64, Ordering, mutant};

/// A number that was never given out before: equal stamps mean the same storage *and* the same
/// generation of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp(u64);

impl Stamp {
    /// What a storage shows once its last handle is gone; no adapter carries it.
    const OVER: Self = Self(0);

    /// What an adapter carries whose user panicked: stale in every generation.
    const BROKEN: Self = Self(u64::MAX);

    /// A new one. 2⁶⁴ of them last for 584 years at one a nanosecond.
    pub(crate) fn fresh() -> Self {
        static NEXT: StaticU64 = StaticU64::new(1);
        // ORDERING: Relaxed; only uniqueness is asked, which an atomic addition gives in any order.
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The stamp that an adapter must carry to be used: a storage's present generation.
///
/// Written by `invalidate` and by the end of the storage, read by every use. It never shows a stamp
/// again that it showed before, so "equal" cannot mean "equal again".
#[derive(Debug)]
pub(crate) struct Generation(AtomicU64);

impl Generation {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(Stamp::fresh().0))
    }

    /// The present stamp. Whoever builds an adapter reads it *before* building, so that an
    /// invalidation during the building makes the result stale.
    #[inline]
    pub(crate) fn now(&self) -> Stamp {
        // ORDERING: Acquire pairs with the Release half of `advance`: who sees the new stamp sees
        // all that was written before `invalidate`, new credentials for instance.
        Stamp(self.0.load(Ordering::Acquire))
    }

    /// Makes every adapter built so far stale.
    pub(crate) fn advance(&self) {
        let fresh = Stamp::fresh().0;
        if mutant("invalidate-by-store") {
            // ORDERING: the defect itself: a store cuts the chain that `advance` keeps.
            self.0.store(fresh, Ordering::Release);
            return;
        }
        // ORDERING: AcqRel, and a swap rather than a store: of two invalidations at once the later
        // one in this variable's order then continues the release sequence of the earlier, so that
        // who sees only its stamp still sees what came before *both* of them.
        self.0.swap(fresh, Ordering::AcqRel);
    }

    /// The storage's last handle is gone.
    pub(crate) fn end(&self) {
        // ORDERING: Release pairs with `is_over`; what the last handle did comes before.
        self.0.store(Stamp::OVER.0, Ordering::Release);
    }

    /// Whether the storage's last handle is gone.
    pub(crate) fn is_over(&self) -> bool {
        self.now() == Stamp::OVER
    }
}

/// An adapter and the generation that it was built in.
#[derive(Debug)]
pub(crate) struct Built<T> {
    stamp: Stamp,
    adapter: T,
}

impl<T> Built<T> {
    /// `stamp` is the generation's from before the building began.
    pub(crate) fn new(stamp: Stamp, adapter: T) -> Self {
        Self { stamp, adapter }
    }

    #[inline]
    pub(crate) fn is_of(&self, generation: Stamp) -> bool {
        self.stamp == generation
    }

    /// Whether a user panicked with it in hand: nobody knows in what state it is.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_of(Stamp::BROKEN)
    }

    /// Runs `f` on the adapter. If that panics the adapter is broken, from before anybody else can
    /// reach it.
    #[inline]
    pub(crate) fn lend<R>(&mut self, f: impl FnOnce(&mut T) -> R) -> R {
        let breaks = Breaks(&mut self.stamp);
        let result = f(&mut self.adapter);
        std::mem::forget(breaks);
        result
    }

    pub(crate) fn into_adapter(self) -> T {
        self.adapter
    }
}

/// Dropped only by a panic: marks the adapter as broken.
struct Breaks<'a>(&'a mut Stamp);

impl Drop for Breaks<'_> {
    fn drop(&mut self) {
        *self.0 = Stamp::BROKEN;
    }
}
