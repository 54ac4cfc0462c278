//! The door of a seat: what its thread was told inside is done when it comes out.

use std::cell::Cell;

use crate::error::UseError;

/// A thread's own notes on its seat. That it is inside a use it sees by the slot or by the borrow: a
/// mark of its own would be one more thing to write on each hit.
#[derive(Debug, Default)]
pub(crate) struct Door {
    /// The thread goes through everybody's adapters, with none of its own in hand.
    touring: Cell<bool>,
    after: Cell<After>,
    closed: Cell<bool>,
    left: Cell<bool>,
}

/// What is done with the adapter when the use ends.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// It stays for the next use.
    #[default]
    Stay,
    /// `discard` was called inside: it is dropped.
    Discard,
    /// The thread gave its seat up inside.
    Leave,
}

impl Door {
    #[inline]
    pub(crate) fn is_touring(&self) -> bool {
        self.touring.get()
    }

    pub(crate) fn set_touring(&self, touring: bool) {
        self.touring.set(touring);
    }

    /// Says what to do after the use that is under way.
    pub(crate) fn afterwards(&self, after: After) {
        if self.after.get() != After::Leave {
            self.after.set(after);
        }
    }

    #[inline]
    pub(crate) fn has_after(&self) -> bool {
        self.after.get() != After::Stay
    }

    /// What was asked for, once.
    pub(crate) fn take_after(&self) -> After {
        self.after.take()
    }

    /// Nothing is built here any more.
    pub(crate) fn close(&self) {
        self.closed.set(true);
    }

    /// The seat is given up. False when it was already.
    pub(crate) fn leave(&self) -> bool {
        self.close();
        !self.left.replace(true)
    }

    /// Whether nothing is built here any more: look for a new seat.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }
}

/// What came of a try to use the adapter that is there.
pub(crate) enum Hit<R, F> {
    Used(R),
    /// There is no current one; the closure comes back unused.
    Vacant(F),
    /// The thread is inside already, or may not wait for what it would have to wait for; the closure
    /// comes back unused.
    Inside(F),
}

/// Why there was no use.
pub(crate) enum Missed<F, E> {
    Make(E),
    /// As [`Hit::Inside`].
    Inside(F),
}

impl<F, E> From<Missed<F, E>> for UseError<E> {
    fn from(missed: Missed<F, E>) -> Self {
        match missed {
            Missed::Make(error) => Self::Make(error),
            Missed::Inside(_) => Self::Reentry,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_left_once_and_closed_before_that() {
        let door = Door::default();
        assert!(!door.is_closed());
        door.close();
        assert!(door.is_closed());
        assert!(door.leave(), "closed, and not left yet");
        assert!(!door.leave(), "left already");
        let door = Door::default();
        assert!(door.leave() && door.is_closed());
    }
}
