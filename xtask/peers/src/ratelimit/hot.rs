//! A permit is there: what taking it costs.

use governor::clock::{MonotonicClock, QuantaClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter as Governor};
use ours_ratelimit::{Rate, RateLimiter};
use peers::{Bars, Contest, Settings};
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Rate and burst of everybody: more than any of them can take.
const PLENTY: u32 = 1_000_000_000;

const ROUNDS: usize = 41;

type Direct<C> = Governor<NotKeyed, InMemoryState, C, NoOpMiddleware<I<C>>>;
type I<C> = <C as governor::clock::Clock>::Instant;

/// One limit, everywhere the same: 10⁹ a second, 10⁹ there at the start.
pub(crate) fn run(settings: &Settings, bars: &mut Bars) {
    // Many short slices: what else the machine does then hits everybody alike.
    let rounds = if settings.quick { settings.rounds } else { ROUNDS };
    let settings = &Settings { rounds, ..*settings };
    for threads in [1, 2, 4, 8] {
        let each = settings.scaled(500_000) / threads;
        let (std_clock, tsc) = (ours(false), ours(true));
        let two = two_limits();
        let governor_std: Direct<MonotonicClock> =
            Governor::direct_with_clock(quota(), MonotonicClock);
        let governor_tsc: Direct<QuantaClock> =
            Governor::direct_with_clock(quota(), QuantaClock::default());
        let leaky = leaky_bucket::RateLimiter::builder()
            .max(PLENTY as usize)
            .initial(PLENTY as usize)
            .refill(1_000_000)
            .interval(Duration::from_millis(1))
            .build();
        let namesake = ratelimit::Ratelimiter::builder(u64::from(PLENTY))
            .max_tokens(u64::from(PLENTY))
            .initial_available(u64::from(PLENTY))
            .build()
            .expect("a rate that is in range");
        let bucket = MutexBucket::new();
        let outcome = Contest::new(format!("a permit that is there, {threads} threads"))
            .entry("ours, Instant", || {
                together(threads, each, || std_clock.try_acquire_one().is_ok())
            })
            .entry("ours, TSC", || together(threads, each, || tsc.try_acquire_one().is_ok()))
            .entry("ours, two limits", || {
                together(threads, each, || two.try_acquire([1, 1]).is_ok())
            })
            .entry("governor, Instant", || together(threads, each, || governor_std.check().is_ok()))
            .entry("governor, TSC", || together(threads, each, || governor_tsc.check().is_ok()))
            .entry("leaky-bucket", || together(threads, each, || leaky.try_acquire(1)))
            .entry("ratelimit (namesake)", || {
                together(threads, each, || namesake.try_wait().is_ok())
            })
            .entry("std mutex bucket", || together(threads, each, || bucket.take()))
            .run(settings);
        let name = |what: &str| format!("{what}, {threads} threads");
        let by_instant = outcome.ratio("ours, Instant", "governor, Instant");
        bars.at_most(&name("÷ governor, both Instant"), by_instant, 1.0);
        let by_tsc = outcome.ratio("ours, TSC", "governor, TSC");
        bars.at_most(&name("÷ governor, both TSC"), by_tsc, 1.0);
        let two = outcome.ratio("ours, two limits", "ours, Instant");
        bars.at_most(&name("two limits ÷ one"), two, 2.0);
    }
}

fn ours(tsc: bool) -> RateLimiter {
    let rate = Rate::per_second(PLENTY).burst(u64::from(PLENTY));
    let builder = RateLimiter::builder([("calls", rate)]).start_full();
    let builder = if tsc { builder.quanta() } else { builder };
    builder.build().expect("a rate that is in range")
}

fn two_limits() -> RateLimiter<2> {
    let rate = Rate::per_second(PLENTY).burst(u64::from(PLENTY));
    let builder = RateLimiter::builder([("requests", rate), ("tokens", rate)]).start_full();
    builder.build().expect("rates that are in range")
}

fn quota() -> Quota {
    let plenty = NonZeroU32::new(PLENTY).expect("not zero");
    Quota::per_second(plenty)
}

fn together(threads: u64, each: u64, take: impl Fn() -> bool + Sync) -> u64 {
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..each {
                    assert!(take(), "a permit was not there");
                }
            });
        }
    });
    threads * each
}

/// What everybody writes first: floating point behind a mutex.
struct MutexBucket(Mutex<(Instant, f64)>);

impl MutexBucket {
    fn new() -> Self {
        Self(Mutex::new((Instant::now(), f64::from(PLENTY))))
    }

    fn take(&self) -> bool {
        let Ok(mut state) = self.0.lock() else { return false };
        let now = Instant::now();
        let earned = (now - state.0).as_secs_f64() * f64::from(PLENTY);
        *state = (now, (state.1 + earned).min(f64::from(PLENTY)));
        if state.1 < 1.0 {
            return false;
        }
        state.1 -= 1.0;
        true
    }
}
