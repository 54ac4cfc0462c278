//! A limiter for each key, for as long as the key is in use.

use crate::RateLimiter;
use crate::sync::{Mutex, lock};
use std::collections::HashMap;
use std::{fmt, hash::Hash};

/// Below this many keys nothing is swept: a sweep would cost more than it frees.
const SWEPT_FROM: usize = 64;

/// A limiter for each key: each customer, each model, each host.
///
/// ```
/// use ratelimit::{KeyedRateLimiter, RateLimiter};
///
/// let hosts = KeyedRateLimiter::new(|_host: &String| RateLimiter::per_second(1000.0));
/// hosts.get(&"example.org".to_string()).acquire_one();
/// assert_eq!(hosts.len(), 1);
/// ```
///
/// A key is dropped once a new limiter would be no stricter than its own: nobody holds that limiter
/// or an owned permit of it, nobody waits, nothing is paused, no rate was changed, and every level is
/// full. That is looked for whenever the keys have doubled since the last look, so memory is bounded
/// by about twice the keys in use, and `get` costs a constant time on average. A key that comes back
/// gets a new limiter, which starts as the maker says: an empty one makes it wait anew.
///
/// `Send` and `Sync` if its keys and its maker are; share it behind an `Arc` or in a `static`.
pub struct KeyedRateLimiter<K, const N: usize> {
    make: Box<dyn Fn(&K) -> RateLimiter<N> + Send + Sync>,
    keys: Mutex<Keys<K, N>>,
}

struct Keys<K, const N: usize> {
    limiters: HashMap<K, RateLimiter<N>>,
    /// At this many keys the idle ones are dropped.
    swept_at: usize,
}

impl<K: Hash + Eq + Clone, const N: usize> KeyedRateLimiter<K, N> {
    /// `make` makes the limiter of a key that has none. It runs outside every lock.
    pub fn new(make: impl Fn(&K) -> RateLimiter<N> + Send + Sync + 'static) -> Self {
        let keys = Keys { limiters: HashMap::new(), swept_at: SWEPT_FROM };
        Self { make: Box::new(make), keys: Mutex::new(keys) }
    }

    /// The limiter of this key, made if there is none. Whoever asks at the same time gets the same.
    ///
    /// Blocks for the map's lock alone: a few tens of nanoseconds, or a sweep.
    pub fn get(&self, key: &K) -> RateLimiter<N> {
        if let Some(known) = lock(&self.keys).limiters.get(key) {
            return known.clone();
        }
        let made = (self.make)(key);
        // Dropped when the lock is free: a key's `Drop` may look at the map.
        let mut idle = Vec::new();
        let mut keys = lock(&self.keys);
        if keys.limiters.len() >= keys.swept_at {
            idle = keys.sweep();
        }
        let limiter = keys.limiters.entry(key.clone()).or_insert(made).clone();
        drop(keys);
        drop(idle);
        limiter
    }

    /// Drops the keys that are idle now and gives their memory back; tells how many are left.
    pub fn sweep(&self) -> usize {
        let mut keys = lock(&self.keys);
        let idle = keys.sweep();
        let left = keys.limiters.len();
        drop(keys);
        drop(idle);
        left
    }
}

impl<K, const N: usize> KeyedRateLimiter<K, N> {
    /// How many keys have a limiter.
    pub fn len(&self) -> usize {
        lock(&self.keys).limiters.len()
    }

    /// Does no key have a limiter?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Hash + Eq, const N: usize> Keys<K, N> {
    /// Takes the idle ones out, for the caller to drop.
    fn sweep(&mut self) -> Vec<(K, RateLimiter<N>)> {
        // A handle is cloned from the map's own under the lock only, so one that is alone stays so.
        let idle = self.limiters.extract_if(|_, limiter| limiter.is_idle()).collect();
        self.limiters.shrink_to(self.limiters.len() * 2);
        self.swept_at = (self.limiters.len() * 2).max(SWEPT_FROM);
        idle
    }
}

impl<K, const N: usize> fmt::Debug for KeyedRateLimiter<K, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedRateLimiter").field("keys", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{Rate, SECOND, testing::ManualClock};

    /// A key is idle a second of its clock after its last use.
    fn keyed(clock: &ManualClock) -> KeyedRateLimiter<usize, 1> {
        let clock = clock.clone();
        KeyedRateLimiter::new(move |_| {
            let build = RateLimiter::builder([("calls", Rate::per_second(1))]);
            build.clock(clock.clone()).build().unwrap()
        })
    }

    #[test]
    fn few_keys_are_not_worth_a_sweep() {
        let clock = ManualClock::new();
        let limiters = keyed(&clock);
        (0..SWEPT_FROM).for_each(|key| drop(limiters.get(&key)));
        clock.advance(SECOND);
        drop(limiters.get(&0));
        assert_eq!(limiters.len(), SWEPT_FROM, "a known key is no reason");
        drop(limiters.get(&SWEPT_FROM));
        assert_eq!(limiters.len(), 1);
        drop(limiters.get(&0));
        assert_eq!(limiters.len(), 2, "the next sweep is far");
        clock.advance(SECOND);
        drop(limiters.get(&1));
        assert_eq!(limiters.len(), 3);
    }

    /// Room for as many again: neither a map that grows at once again, nor all the old memory.
    #[test]
    fn a_sweep_leaves_room_to_double() {
        let clock = ManualClock::new();
        let limiters = keyed(&clock);
        let used: Vec<_> = (0..100).map(|key| limiters.get(&key)).collect();
        (100..1000).for_each(|key| drop(limiters.get(&key)));
        clock.advance(SECOND);
        assert_eq!(limiters.sweep(), used.len());
        let keys = lock(&limiters.keys);
        assert_eq!(keys.swept_at, 200);
        assert!((200..500).contains(&keys.limiters.capacity()), "{}", keys.limiters.capacity());
    }
}
