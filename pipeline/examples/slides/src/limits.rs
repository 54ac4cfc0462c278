//! How much a service's endpoints allow, and what their answers teach about it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use ratelimit::headers::LimitHeaders;
use ratelimit::{BuildError, MINUTE, Rate, RateLimiter};

/// One endpoint's limiter, with what is on its way there.
#[derive(Debug)]
pub struct Endpoint<const N: usize> {
    limiter: RateLimiter<N>,
    state: Mutex<State<N>>,
}

/// Under one lock, held for a few instructions. `in_flight` is the sum of the costs of the calls
/// that have begun and not ended; `most` never rises.
#[derive(Debug)]
struct State<const N: usize> {
    in_flight: [u64; N],
    /// What each limit allows a minute, as far as is known.
    most: [u64; N],
}

/// A call on its way; dropped when its answer is there, or is not to come.
#[derive(Debug)]
pub(crate) struct OnItsWay<'e, const N: usize> {
    endpoint: &'e Endpoint<N>,
    cost: [u64; N],
}

impl Endpoint<1> {
    /// An endpoint that allows so many requests in any minute.
    ///
    /// # Errors
    ///
    /// If `requests` is zero.
    pub fn requests(requests: u64) -> Result<Endpoint<1>, BuildError> {
        Endpoint::new(["requests"], [requests])
    }
}

impl Endpoint<2> {
    /// An endpoint that allows so many requests, and so many tokens, in any minute.
    ///
    /// # Errors
    ///
    /// If either is zero.
    pub fn requests_and_tokens(requests: u64, tokens: u64) -> Result<Endpoint<2>, BuildError> {
        Endpoint::new(["requests", "tokens"], [requests, tokens])
    }
}

impl<const N: usize> Endpoint<N> {
    fn new(names: [&'static str; N], most: [u64; N]) -> Result<Endpoint<N>, BuildError> {
        let limits = std::array::from_fn(|at| (names[at], rate(names[at], most[at])));
        let state = Mutex::new(State { in_flight: [0; N], most });
        Ok(Endpoint { limiter: RateLimiter::new(limits)?, state })
    }

    /// What the endpoint's stage waits for.
    pub fn limiter(&self) -> &RateLimiter<N> {
        &self.limiter
    }

    /// Counts a call as on its way until the guard is dropped.
    pub(crate) fn begin(&self, cost: [u64; N]) -> OnItsWay<'_, N> {
        let mut state = self.state();
        for (sum, cost) in state.in_flight.iter_mut().zip(cost) {
            *sum += cost;
        }
        drop(state);
        OnItsWay { endpoint: self, cost }
    }

    fn state(&self) -> MutexGuard<'_, State<N>> {
        // Sums and minima: each is whole after every instruction.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<const N: usize> OnItsWay<'_, N> {
    /// Takes in what the answer's headers say: what is left, when to call again, and a limit that
    /// is lower than was thought. A higher one is not believed: the limit may be shared.
    pub(crate) fn heard<'h>(
        self,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    ) -> LimitHeaders {
        let said = LimitHeaders::read(headers, SystemTime::now());
        let endpoint = self.endpoint;
        // This call has been counted by the one who answered it.
        drop(self);
        let mut state = endpoint.state();
        for (at, name) in endpoint.limiter.names().iter().enumerate() {
            let limit = said.get(name).and_then(|seen| seen.limit).filter(|limit| *limit > 0);
            if let Some(limit) = limit.filter(|limit| *limit < state.most[at]) {
                state.most[at] = limit;
                // Zero was left out, and the index is the limiter's own: it cannot be refused.
                let _ = endpoint.limiter.set_rate(at, rate(name, limit));
            }
        }
        let in_flight = state.in_flight;
        drop(state);
        said.apply(&endpoint.limiter, in_flight);
        said
    }
}

impl<const N: usize> Drop for OnItsWay<'_, N> {
    fn drop(&mut self) {
        for (sum, cost) in self.endpoint.state().in_flight.iter_mut().zip(self.cost) {
            *sum -= cost;
        }
    }
}

/// The largest number of tokens that one call may be thought to need.
pub(crate) const TOKENS_MOST: u64 = 8_000;

/// No minute sees more than `most`. Tokens come in lumps, so their burst holds the largest.
fn rate(name: impl AsRef<str>, most: u64) -> Rate {
    let rate = Rate::at_most(most, MINUTE);
    if name.as_ref() == "tokens" { rate.burst(TOKENS_MOST.min(most.max(1))) } else { rate }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, MINUTE};

    fn headers(limit: &str, remaining: &str) -> [(&'static str, String); 2] {
        [
            ("x-ratelimit-limit-requests", limit.to_string()),
            ("x-ratelimit-remaining-requests", remaining.to_string()),
        ]
    }

    fn hear(endpoint: &Endpoint<1>, limit: &str, remaining: &str) {
        let headers = headers(limit, remaining);
        endpoint.begin([1]).heard(headers.iter().map(|(name, value)| (*name, value.as_str())));
    }

    fn level(endpoint: &Endpoint<1>) -> i64 {
        endpoint.limiter().stats().limits[0].available
    }

    #[test]
    fn a_lower_limit_is_learnt_and_a_higher_one_is_not_believed() {
        let endpoint = Endpoint::requests(600).unwrap();
        hear(&endpoint, "60", "59");
        assert_eq!(endpoint.state().most, [60]);
        hear(&endpoint, "6000", "5999");
        assert_eq!(endpoint.state().most, [60]);
        for nonsense in ["0", "-5", "many"] {
            hear(&endpoint, nonsense, "1");
            assert_eq!(endpoint.state().most, [60], "{nonsense}");
        }
    }

    #[test]
    fn what_is_left_lowers_the_level_by_what_others_have_on_their_way() {
        let endpoint = Endpoint::requests(600).unwrap();
        let others = [endpoint.begin([1]), endpoint.begin([1])];
        hear(&endpoint, "600", "0");
        assert!(level(&endpoint) <= -2, "{}", level(&endpoint));
        drop(others);
        assert_eq!(endpoint.state().in_flight, [0]);
    }

    #[test]
    fn retry_after_pauses_the_endpoint() {
        let endpoint = Endpoint::requests_and_tokens(60, 1_000).unwrap();
        let said = endpoint.begin([1, 10]).heard([("retry-after", "20")]);
        assert_eq!(said.retry_after, Some(MINUTE / 3));
        assert!(endpoint.limiter().stats().limits.iter().all(|l| l.paused_for > MINUTE / 4));
    }

    #[test]
    fn an_endpoint_that_allows_nothing_cannot_be() {
        assert!(Endpoint::requests(0).is_err());
        assert!(Endpoint::requests_and_tokens(1, 0).is_err());
        // The smallest that can be: no burst above the limit.
        assert!(Endpoint::requests_and_tokens(1, 1).is_ok());
    }
}
