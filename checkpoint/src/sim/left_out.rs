//! The switch of the crash tests: what the code and the disk leave out on this thread.

use std::cell::Cell;

use crate::left_out::Check;
use crate::vfs::Flush;

/// One thing that is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeftOut {
    /// The disk says Ok to this flush and does nothing.
    Flush(Flush),
    /// The code does not check.
    Check(Check),
}

thread_local! {
    static NOW: Cell<Option<LeftOut>> = const { Cell::new(None) };
}

/// Whether `what` is left out on this thread.
pub(crate) fn is_left_out(what: LeftOut) -> bool {
    NOW.get() == Some(what)
}

/// The same for what stands in the code.
pub(crate) fn is_check_left_out(check: Check) -> bool {
    is_left_out(LeftOut::Check(check))
}

/// Runs `work` without `what`.
pub(crate) fn without<R>(what: LeftOut, work: impl FnOnce() -> R) -> R {
    NOW.set(Some(what));
    let result = work();
    NOW.set(None);
    result
}
