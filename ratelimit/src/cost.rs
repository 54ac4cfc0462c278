//! What a call takes from each limit.

/// What one call takes from each of a limiter's `N` limits, in the order in which they were given.
///
/// Made from an array, or from a bare `u64` where there is one limit. No other integer converts, so
/// that an unsuffixed literal in `acquire(1)` or `acquire([1, 800])` is a `u64` without annotation.
///
/// ```
/// use ratelimit::Cost;
/// let requests_and_tokens: Cost<2> = [1, 800].into();
/// assert_eq!(requests_and_tokens.amounts(), [1, 800]);
/// assert_eq!(Cost::<1>::from(3).amounts(), [3]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cost<const N: usize>([u64; N]);

impl<const N: usize> Cost<N> {
    /// The amount for each limit.
    pub const fn amounts(self) -> [u64; N] {
        self.0
    }

    /// The same, with another amount for one limit.
    pub(crate) fn with(mut self, limit: usize, amount: u64) -> Self {
        self.0[limit] = amount;
        self
    }
}

impl<const N: usize> From<[u64; N]> for Cost<N> {
    fn from(amounts: [u64; N]) -> Self {
        Self(amounts)
    }
}

impl From<u64> for Cost<1> {
    fn from(amount: u64) -> Self {
        Self([amount])
    }
}
