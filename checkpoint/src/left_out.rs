//! Checks that the crash tests leave out, one at a time, to see that each is missed.

/// One thing that the code does and could forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// A line's checksum.
    Checksum,
    /// The chain from each record to the one before.
    Prev,
    /// Seqs without gaps.
    Seq,
    /// Damage is told from a torn tail: here all is a torn tail.
    Damage,
    /// A torn tail is told from damage: here all is damage.
    Tear,
    /// After a failed flush the file is not flushed again.
    NewFile,
    /// Unproven records are written again.
    WritingAgain,
    /// A failed write is undone.
    Undo,
    /// An answer that rests on unflushed records waits for their flush.
    SettledFlush,
}

/// Never, outside of the tests.
#[cfg(not(test))]
pub(crate) const fn left_out(_: Check) -> bool {
    false
}

#[cfg(test)]
pub(crate) use crate::sim::left_out::is_check_left_out as left_out;
