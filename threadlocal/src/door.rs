//! The door of a seat: who is in does not come in again, and what he was told inside is done when he
//! comes out.

use std::cell::Cell;

use crate::error::UseError;

/// A thread's own note on whether it is inside a use, and what becomes of the adapter afterwards.
#[derive(Debug, Default)]
pub(crate) struct Door {
    busy: Cell<bool>,
    after: Cell<After>,
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
    /// Goes in; false if the thread is in already.
    #[inline]
    pub(crate) fn enter(&self) -> bool {
        !self.busy.replace(true)
    }

    /// Goes out. Says whether something was asked for meanwhile: see `take_after`.
    #[inline]
    pub(crate) fn go_out(&self) -> bool {
        self.busy.set(false);
        self.has_after()
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.busy.get()
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

    /// The seat is given up. False when it was already.
    pub(crate) fn close(&self) -> bool {
        !self.left.replace(true)
    }

    /// Whether the seat is given up: look for a new one.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.left.get()
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
