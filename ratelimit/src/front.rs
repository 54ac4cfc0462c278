//! What a caller looks at first: the levels, and whether they are for the taking.

use crate::{Cost, bucket::Levels, stats::Tally, sync::mutant};

/// Under the limiter's spin lock. The fast path touches nothing else.
///
/// While `shut` is set, only a holder of the line lock changes any of this.
#[derive(Debug)]
pub(crate) struct Front<const N: usize> {
    pub(crate) levels: Levels<N>,
    /// A newcomer has to go by the line: somebody waits there, a limit is paused, or as many permits
    /// are held as may be. One flag for all three, so that the fast path looks at one.
    pub(crate) shut: bool,
    /// Permits that are held; counted only where they are bounded.
    held: usize,
    /// The bound on permits in flight; `usize::MAX`: none.
    held_max: usize,
    /// `set_rate` was called: a new limiter would not be the same.
    pub(crate) rate_changed: bool,
    pub(crate) tally: Tally<N>,
}

impl<const N: usize> Front<N> {
    pub(crate) fn new(levels: Levels<N>, held_max: usize) -> Self {
        Self { levels, shut: false, held: 0, held_max, rate_changed: false, tally: Tally::new() }
    }

    /// May one more permit be held?
    pub(crate) fn has_place(&self) -> bool {
        self.held < self.held_max
    }

    /// Charges all limits at once and counts the permit.
    #[inline]
    pub(crate) fn take(&mut self, cost: Cost<N>) {
        self.levels.take(cost);
        self.count(cost);
    }

    #[inline]
    pub(crate) fn count(&mut self, cost: Cost<N>) {
        self.tally.granted(cost);
        if self.held_max != usize::MAX {
            self.held += 1;
            self.shut |= !self.has_place() && !mutant("bound-unseen");
        }
    }

    /// Shuts or opens the fast path, after a change. `waiting`: is anybody in line?
    pub(crate) fn shut_if(&mut self, waiting: bool) {
        let paused = self.levels.are_paused() && !mutant("pause-unseen");
        self.shut = waiting || paused || !self.has_place();
    }

    /// A permit is held no longer.
    pub(crate) fn release(&mut self) {
        if self.held_max != usize::MAX && !mutant("place-kept") {
            debug_assert!(self.held > 0, "a permit was given back twice");
            self.held = self.held.saturating_sub(1);
        }
    }

    pub(crate) fn held(&self) -> usize {
        self.held
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::bucket::{Bucket, Limit};
    use crate::moment::Moment;

    fn front(held_max: usize) -> Front<1> {
        let bucket = Bucket::new(Moment::ZERO, Limit::new(1, 1, 9), true);
        Front::new(Levels::new(Moment::ZERO, [bucket]), held_max)
    }

    /// A front shut for no reason sends everybody by the line: right, and several times as slow.
    #[test]
    fn the_last_place_shuts_the_fast_path_and_a_free_one_opens_it() {
        let mut front = front(2);
        front.count(1.into());
        assert!(!front.shut, "one more may be held");
        front.count(1.into());
        assert!(front.shut);
        front.release();
        front.shut_if(false);
        assert!(!front.shut);
        front.shut_if(true);
        assert!(front.shut);
    }

    #[test]
    fn a_pause_shuts_it() {
        let mut front = front(usize::MAX);
        front.levels.pause(0, crate::SECOND);
        front.shut_if(false);
        assert!(front.shut);
    }
}
