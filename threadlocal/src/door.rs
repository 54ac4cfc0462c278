//! The door of a seat: who is in does not come in again, and what he was told inside is done when he
//! comes out.

use std::cell::Cell;

use crate::error::Reentry;

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
    /// Goes in, or says that the thread is in already.
    #[inline]
    pub(crate) fn enter(&self) -> Result<Inside<'_>, Reentry> {
        if self.busy.replace(true) {
            return Err(Reentry);
        }
        Ok(Inside(self))
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

    /// What was said; asked once, at the end of the use.
    #[inline]
    pub(crate) fn after(&self) -> After {
        if self.after.get() == After::Stay { After::Stay } else { self.after.take() }
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

/// The thread is in; dropped, it is out.
pub(crate) struct Inside<'a>(&'a Door);

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.busy.set(false);
    }
}
