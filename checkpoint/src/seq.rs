//! The number of a record: the order of everything.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of a record in its run: unique and without gaps across threads and processes.
///
/// Order is always by `Seq`, never by time. Zero is the state before the first record.
#[derive(
    Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seq(pub(crate) u64);

impl Seq {
    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::Seq;

    #[test]
    fn a_number_is_shown_as_one() {
        assert_eq!(format!("{:>4}", Seq(42)), "  42");
    }
}
