//! Which threads to wake once the lock is free again.

/// How many to wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Call {
    #[default]
    Nobody,
    One,
    All,
}

/// Which threads to wake once the lock is free again.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Wakes {
    pub(crate) workers: Call,
    pub(crate) producers: bool,
    pub(crate) waiters: bool,
}

impl Wakes {
    pub(crate) fn any(&self) -> bool {
        self.workers > Call::Nobody || self.producers || self.waiters
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_of_the_three_is_a_reason_to_wake() {
        let nobody = Wakes::default();
        assert!(!nobody.any());
        assert!(Wakes { workers: Call::One, ..Wakes::default() }.any());
        assert!(Wakes { producers: true, ..Wakes::default() }.any());
        assert!(Wakes { waiters: true, ..Wakes::default() }.any());
    }
}
