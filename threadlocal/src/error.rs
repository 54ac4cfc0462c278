//! Why an adapter could not be used.

/// Why `with` did not run its closure. Nothing was changed by the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UseError<E> {
    /// The maker failed, with its own error as the source. Nothing is left behind: the next use on
    /// this thread tries again.
    #[error("this thread's adapter could not be made; its next use tries again")]
    Make(#[source] E),
    /// This thread is inside a `with` or `for_each` of the same storage already.
    #[error(
        "this thread is using its adapter already; return from that `with` or `for_each` first, \
         or call `with_or_temp`"
    )]
    Reentry,
    /// The thread is ending and its adapters are gone.
    #[error(
        "this thread is ending and its adapter is gone; use it before thread-local values are \
         dropped, or from another thread"
    )]
    ThreadExiting,
}

/// The calling thread is inside a `with` or `for_each` of the storage that it wants to go through:
/// waiting there could wait for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this thread is inside a `with` or `for_each` of this storage; \
     return from it before going through all adapters"
)]
pub struct Reentry;

impl<E> From<Reentry> for UseError<E> {
    fn from(_: Reentry) -> Self {
        Self::Reentry
    }
}

/// The calling thread's table is gone or being emptied.
#[derive(Debug)]
pub(crate) struct ThreadExiting;

impl<E> From<ThreadExiting> for UseError<E> {
    fn from(_: ThreadExiting) -> Self {
        Self::ThreadExiting
    }
}
