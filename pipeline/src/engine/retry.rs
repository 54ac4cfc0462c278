//! What to do after an attempt failed: how long to wait, and when to give up waiting.

use std::collections::hash_map::RandomState;
use std::error::Error;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, ErrorKind};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::fault::Fault;

/// The pause before attempt number `failed + 1`, chosen at random between nothing and a bound that
/// doubles: `min(longest, first * 2^(failed - 1))`.
///
/// "Full jitter": of those who failed together, no two come back together (Brooker, "Exponential
/// Backoff And Jitter", AWS Architecture Blog, 2015).
pub(super) fn backoff(
    (first, longest): (Duration, Duration),
    failed: u32,
    chance: f64,
) -> Duration {
    let doublings = failed.saturating_sub(1).min(31);
    let bound = first.saturating_mul(1 << doublings).min(longest);
    bound.mul_f64(chance.clamp(0.0, 1.0))
}

/// A number in 0..1 that nobody can foresee: std's keys for hash maps are random for each.
pub(super) fn chance() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

/// Since when a stage's service has had no capacity, without an answer in between.
#[derive(Default)]
pub(super) struct Capacity(Mutex<Option<Instant>>);

impl Capacity {
    /// It answered.
    pub(super) fn is_there(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// It refused: for how long it will have done so once `pause` is over.
    pub(super) fn is_short(&self, now: Instant, pause: Duration) -> Duration {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.duration_since(*since.get_or_insert(now)).saturating_add(pause)
    }
}

/// Without space on the disk no item can succeed: the run stops instead of failing them all.
pub(super) fn full_disk(fault: Fault) -> Fault {
    let (Fault::Fatal(cause) | Fault::Transient(cause)) = &fault else { return fault };
    let is_full = |error: &io::Error| {
        let kind = error.kind();
        matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
    };
    let mut next: Option<&(dyn Error + 'static)> = Some(&**cause);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(is_full) {
            return Fault::halt(format!("no space for the run's files: {fault}; make space"));
        }
        next = error.source();
    }
    fault
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

    #[test]
    fn a_pause_is_anything_up_to_a_bound_that_doubles() {
        let bounds: Vec<u64> =
            (1..=8).map(|failed| backoff(BOUNDS, failed, 1.0).as_secs()).collect();
        assert_eq!(bounds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff(BOUNDS, 5, 0.0), Duration::ZERO);
        assert_eq!(backoff(BOUNDS, 3, 0.25), Duration::from_secs(1));
        assert_eq!(backoff(BOUNDS, u32::MAX, 1.0).as_secs(), 60);
    }

    #[test]
    fn chances_differ_and_lie_in_their_range() {
        let chances: Vec<f64> = (0..100).map(|_| chance()).collect();
        assert!(chances.iter().all(|chance| (0.0..1.0).contains(chance)));
        assert!(chances.windows(2).any(|pair| pair[0].to_bits() != pair[1].to_bits()));
        let mean = chances.iter().sum::<f64>() / 100.0;
        assert!((0.2..0.8).contains(&mean), "{mean}");
    }

    #[test]
    fn a_shortage_lasts_until_an_answer() {
        let (capacity, now) = (Capacity::default(), Instant::now());
        let second = Duration::from_secs(1);
        assert_eq!(capacity.is_short(now, second), second);
        assert_eq!(capacity.is_short(now + 5 * second, second), 6 * second);
        capacity.is_there();
        assert_eq!(capacity.is_short(now + 9 * second, second), second);
    }

    #[test]
    fn a_full_disk_halts_however_deep_it_is_hidden() {
        let full = || io::Error::from(ErrorKind::StorageFull);
        assert!(matches!(full_disk(Fault::transient(full())), Fault::Halt(_)));
        let wrapped = anyhow::Error::from(full()).context("cannot write the clip");
        assert!(matches!(full_disk(Fault::fatal(wrapped)), Fault::Halt(_)));
        assert!(matches!(full_disk(Fault::fatal("no")), Fault::Fatal(_)));
        assert!(matches!(full_disk(Fault::transient("no")), Fault::Transient(_)));
    }
}
