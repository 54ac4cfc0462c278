//! Four threads block for permits at a fixed rate: how exactly they come.

use governor::clock::{Clock, MonotonicClock};
use governor::{Quota, RateLimiter as Governor};
use ours_ratelimit::{Rate, RateLimiter};
use peers::{Bars, Settings};
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const THREADS: u64 = 4;

pub(crate) fn run(settings: &Settings, bars: &mut Bars) {
    for rate in [100, 1_000, 10_000, 50_000] {
        let asked = if settings.quick { rate / 5 } else { rate * 2 };
        println!("\n### {rate} a second, {THREADS} threads that block, {asked} permits\n");
        println!("| | granted ÷ asked | p50 late | p99 late | CPU |\n|---|--:|--:|--:|--:|");
        let rounds = if settings.quick { 1 } else { 3 };
        let entries: [(&str, fn(u64, u64) -> Figures); 5] = [
            ("ours", ours),
            ("slot and sleep", slot_and_sleep),
            ("governor, sleep and retry", governor),
            ("ratelimit (namesake), sleep and retry", namesake),
            ("leaky-bucket, one runtime a thread", leaky),
        ];
        let mut all: Vec<Vec<Figures>> = entries.iter().map(|_| Vec::new()).collect();
        for _ in 0..rounds {
            for ((_, work), figures) in entries.iter().zip(&mut all) {
                figures.push(work(rate, asked));
            }
        }
        let medians: Vec<Figures> = all.into_iter().map(median).collect();
        for ((name, _), figures) in entries.iter().zip(&medians) {
            let Figures { granted, p50_us, p99_us, cpu } = figures;
            println!("| {name} | {granted:.3} | {p50_us:.0} µs | {p99_us:.0} µs | {cpu:.3} s |");
        }
        judge(rate, &medians[0], &medians[1], bars);
    }
}

fn judge(rate: u64, ours: &Figures, least: &Figures, bars: &mut Bars) {
    if rate <= 10_000 {
        bars.at_least(&format!("granted ÷ asked at {rate} a second"), ours.granted, 0.99);
    }
    bars.at_most(&format!("granted ÷ asked at {rate} a second, never above"), ours.granted, 1.0);
    if rate <= 1_000 {
        bars.at_most(&format!("p99 late at {rate} a second, µs"), ours.p99_us, 1000.0);
        let ratio = ours.p99_us / least.p99_us;
        bars.at_most(&format!("p99 late ÷ slot and sleep's at {rate} a second"), ratio, 1.1);
    }
}

struct Figures {
    granted: f64,
    p50_us: f64,
    p99_us: f64,
    cpu: f64,
}

fn median(mut rounds: Vec<Figures>) -> Figures {
    rounds.sort_by(|a, b| a.p99_us.total_cmp(&b.p99_us));
    let middle = rounds.len() / 2;
    rounds.swap_remove(middle)
}

/// Runs the threads; the k-th permit is due `k ÷ rate` after the start.
fn measure(
    rate: u64,
    asked: u64,
    first_due: u64,
    worker: impl Fn(&dyn Fn() -> bool) + Sync,
) -> Figures {
    let (start, cpu) = (Instant::now(), cpu_time());
    let (left, times) = (AtomicU64::new(asked), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let own = std::cell::RefCell::new(Vec::new());
                let started = std::cell::Cell::new(false);
                worker(&|| {
                    if started.replace(true) {
                        own.borrow_mut().push(start.elapsed());
                    }
                    // ORDERING: Relaxed, a count of tasks that publishes nothing.
                    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                        .is_ok()
                });
                times.lock().expect("no thread panicked").append(&mut own.borrow_mut());
            });
        }
    });
    let cpu = cpu_time().saturating_sub(cpu).as_secs_f64();
    let mut times = times.into_inner().expect("no thread panicked");
    times.sort_unstable();
    let due = |k: usize| (k as f64 + first_due as f64) / rate as f64;
    let mut late: Vec<f64> =
        times.iter().enumerate().map(|(k, at)| (at.as_secs_f64() - due(k)) * 1e6).collect();
    let span = times.last().map_or(1.0, Duration::as_secs_f64);
    // The last one is due at `asked ÷ rate`; a limiter that keeps up ends then.
    let granted = due(times.len() - 1) / span;
    late.sort_by(f64::total_cmp);
    Figures { granted, p50_us: late[late.len() / 2], p99_us: late[late.len() * 99 / 100], cpu }
}

fn cpu_time() -> Duration {
    let own = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(own.tv_sec.unsigned_abs(), own.tv_nsec.unsigned_abs() as u32)
}

fn ours(rate: u64, asked: u64) -> Figures {
    let limits = [("calls", Rate::per(rate, Duration::from_secs(1)))];
    let limiter = RateLimiter::new(limits).expect("a rate that is in range");
    measure(rate, asked, 1, |more| {
        while more() {
            drop(limiter.acquire_one());
        }
    })
}

/// The least that can be done: no refunds, no pauses, one limit, no looking at the line.
fn slot_and_sleep(rate: u64, asked: u64) -> Figures {
    let step = Duration::from_secs(1) / u32::try_from(rate).expect("a small rate");
    let next = Mutex::new(Instant::now() + step);
    measure(rate, asked, 1, |more| {
        while more() {
            let due = {
                let mut next = next.lock().expect("no thread panicked");
                let due = *next;
                *next += step;
                due
            };
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    })
}

/// A burst of one, or it would start with a second's worth: its first permit is due at once.
fn governor(rate: u64, asked: u64) -> Figures {
    let one = NonZeroU32::new(1).expect("not zero");
    let rate_ = NonZeroU32::new(u32::try_from(rate).expect("a small rate")).expect("not zero");
    let limiter =
        Governor::direct_with_clock(Quota::per_second(rate_).allow_burst(one), MonotonicClock);
    measure(rate, asked, 0, |more| {
        while more() {
            while let Err(not_yet) = limiter.check() {
                thread::sleep(not_yet.wait_time_from(MonotonicClock.now()));
            }
        }
    })
}

fn namesake(rate: u64, asked: u64) -> Figures {
    let limiter = ratelimit::Ratelimiter::new(rate);
    measure(rate, asked, 1, |more| {
        while more() {
            while let Err(ratelimit::TryWaitError::Insufficient(wait)) = limiter.try_wait() {
                thread::sleep(wait);
            }
        }
    })
}

fn leaky(rate: u64, asked: u64) -> Figures {
    // It refills by whole intervals; below a millisecond its timer does not go.
    let per_ms = usize::try_from((rate / 1000).max(1)).expect("a small rate");
    let interval = Duration::from_millis(if rate < 1000 { 1000 / rate } else { 1 });
    let limiter = leaky_bucket::RateLimiter::builder()
        .max(usize::try_from(rate).expect("a small rate"))
        .initial(0)
        .refill(per_ms)
        .interval(interval)
        .build();
    measure(rate, asked, 1, |more| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime");
        while more() {
            runtime.block_on(limiter.acquire_one());
        }
    })
}
