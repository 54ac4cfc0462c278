//! Four threads block for permits at a fixed rate: how exactly they come.

use governor::clock::{Clock, MonotonicClock};
use governor::{Quota, RateLimiter as Governor};
use ours_ratelimit::{Rate, RateLimiter};
use peers::{Bars, Settings};
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

const THREADS: u64 = 4;

/// Rates, and how many milliseconds a slice takes.
const SLICES: [(u64, u64); 4] = [(100, 1000), (1_000, 500), (10_000, 250), (50_000, 250)];
/// Up to this rate lateness has a bar.
const COMPARED: u64 = 1_000;
const ROUNDS: usize = 15;
/// The two that are compared by their worst hundredth run so many times as often where they are.
const MORE: usize = 3;

/// Waits at a rate, for a time, and tells how it went.
type Entry = (&'static str, fn(u64, Duration) -> Figures);

pub(crate) fn run(settings: &Settings, bars: &mut Bars) {
    const ENTRIES: [Entry; 5] = [
        ("ours", ours),
        ("slot and sleep", slot_and_sleep),
        ("governor, sleep and retry", governor),
        ("ratelimit (namesake), sleep and retry", namesake),
        ("leaky-bucket, one runtime a thread", leaky),
    ];
    let (rounds, shorter) = if settings.quick { (1, 5) } else { (ROUNDS, 1) };
    for (rate, millis) in SLICES {
        let slice = Duration::from_millis(millis / shorter);
        let more = if rate <= COMPARED { rounds * MORE } else { rounds };
        println!("\n### {rate} a second, {THREADS} threads that block, {rounds} × {slice:?}\n");
        if more > rounds {
            println!("The first two: {more} times.\n");
        }
        println!("| | granted ÷ asked | p50 late | p99 late | lowest to highest p99 | CPU |");
        println!("|---|--:|--:|--:|--:|--:|");
        let mut all: [Vec<Figures>; ENTRIES.len()] = std::array::from_fn(|_| Vec::new());
        for round in 0..more {
            let entries = if round < rounds { ENTRIES.len() } else { 2 };
            for turn in 0..entries {
                let index = (round + turn) % entries;
                all[index].push(ENTRIES[index].1(rate, slice));
            }
        }
        for ((name, _), rounds) in ENTRIES.iter().zip(&all) {
            print(name, rounds, slice);
        }
        judge(rate, &all[0], &all[1], bars);
    }
}

fn print(name: &str, rounds: &[Figures], slice: Duration) {
    let of = |figure: fn(&Figures) -> f64| median(rounds.iter().map(figure).collect());
    let all: Vec<&Figures> = rounds.iter().collect();
    let (granted, p50, p99) = (of(|f| f.granted), pooled(&all, 50), pooled(&all, 99));
    let each = || rounds.iter().map(|round| percentile(&round.late_us, 99));
    let (low, high) = (each().fold(f64::INFINITY, f64::min), each().fold(0.0, f64::max));
    let cpu = 100.0 * of(|f| f.cpu) / slice.as_secs_f64();
    println!(
        "| {name} | {granted:.3} | {p50:.0} µs | {p99:.0} µs | {low:.0} to {high:.0} µs | {cpu:.1} % |"
    );
}

fn judge(rate: u64, ours: &[Figures], least: &[Figures], bars: &mut Bars) {
    let granted = median(ours.iter().map(|f| f.granted).collect());
    if rate <= 10_000 {
        bars.at_least(&format!("granted ÷ asked at {rate} a second"), granted, 0.99);
    }
    let earliest = ours.iter().map(|round| round.late_us[0]).fold(f64::INFINITY, f64::min);
    bars.at_least(&format!("no permit before it is due at {rate} a second, µs"), earliest, 0.0);
    if rate <= COMPARED {
        // For an idle machine, which it has to be for half of the rounds.
        let p99 = median(ours.iter().map(|round| percentile(&round.late_us, 99)).collect());
        bars.at_most(&format!("p99 late in the median round at {rate} a second, µs"), p99, 1000.0);
        // Both sleep the same way: a tenth is what the scheduler makes of it.
        let ratio = pooled(&quiet(ours), 99) / pooled(&quiet(least), 99);
        bars.at_most(
            &format!("p99 late ÷ slot and sleep's, quieter half of the rounds, at {rate} a second"),
            ratio,
            1.1,
        );
    }
}

struct Figures {
    granted: f64,
    /// How late each permit came, sorted.
    late_us: Vec<f64>,
    cpu: f64,
}

/// The quieter half of the rounds: in the others the machine's host was busy elsewhere for a moment,
/// which makes some permits milliseconds late, whoever waits for them.
fn quiet(rounds: &[Figures]) -> Vec<&Figures> {
    let mut rounds: Vec<&Figures> = rounds.iter().collect();
    let p99 = |round: &Figures| percentile(&round.late_us, 99);
    rounds.sort_by(|a, b| p99(a).total_cmp(&p99(b)));
    rounds.truncate(rounds.len().div_ceil(2));
    rounds
}

/// A percentile over all rounds: a slice of a hundred permits has no 99th of its own to speak of.
fn pooled(rounds: &[&Figures], share: usize) -> f64 {
    let mut all: Vec<f64> = rounds.iter().flat_map(|round| &round.late_us).copied().collect();
    all.sort_by(f64::total_cmp);
    percentile(&all, share)
}

fn percentile(sorted: &[f64], share: usize) -> f64 {
    sorted[sorted.len() * share / 100]
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// When permits are due.
#[derive(Clone, Copy)]
struct Plan {
    start: Instant,
    rate: u64,
    slice: Duration,
    /// The k-th is due `(k + first_due) ÷ rate` after the start.
    first_due: u64,
}

impl Plan {
    /// To be called before the limiter is made: its time must not begin earlier.
    fn new(rate: u64, slice: Duration, first_due: u64) -> Self {
        Self { start: Instant::now(), rate, slice, first_due }
    }

    /// Runs the threads. A worker asks whether to go on before each permit; the answer also notes
    /// when the one before came.
    fn run(self, worker: impl Fn(&dyn Fn() -> bool) + Sync) -> Figures {
        let (cpu, times) = (cpu_time(), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let own = std::cell::RefCell::new(Vec::new());
                    let started = std::cell::Cell::new(false);
                    worker(&|| {
                        let now = self.start.elapsed();
                        if started.replace(true) {
                            own.borrow_mut().push(now);
                        }
                        now < self.slice
                    });
                    times.lock().expect("no thread panicked").append(&mut own.borrow_mut());
                });
            }
        });
        let cpu = cpu_time().saturating_sub(cpu).as_secs_f64();
        let mut times = times.into_inner().expect("no thread panicked");
        times.sort_unstable();
        // Those who waited when the slice ended came after it.
        times.retain(|at| *at <= self.slice);
        let due = |k: usize| (k as f64 + self.first_due as f64) / self.rate as f64;
        let late = times.iter().enumerate().map(|(k, at)| (at.as_secs_f64() - due(k)) * 1e6);
        let mut late_us: Vec<f64> = late.collect();
        let span = times.last().map_or(1.0, Duration::as_secs_f64);
        // A limiter that keeps up gives its last when that is due.
        let granted = due(times.len() - 1) / span;
        late_us.sort_by(f64::total_cmp);
        Figures { granted, late_us, cpu }
    }
}

fn cpu_time() -> Duration {
    let own = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(own.tv_sec.unsigned_abs(), own.tv_nsec.unsigned_abs() as u32)
}

fn ours(rate: u64, slice: Duration) -> Figures {
    let plan = Plan::new(rate, slice, 1);
    let limits = [("calls", Rate::per(rate, Duration::from_secs(1)))];
    let limiter = RateLimiter::new(limits).expect("a rate that is in range");
    plan.run(|more| {
        while more() {
            drop(limiter.acquire_one());
        }
    })
}

/// The least that can be done: no refunds, no pauses, one limit, no looking at the line.
fn slot_and_sleep(rate: u64, slice: Duration) -> Figures {
    let plan = Plan::new(rate, slice, 1);
    let step = Duration::from_secs(1) / u32::try_from(rate).expect("a small rate");
    let next = Mutex::new(Instant::now() + step);
    plan.run(|more| {
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
fn governor(rate: u64, slice: Duration) -> Figures {
    let plan = Plan::new(rate, slice, 0);
    let one = NonZeroU32::new(1).expect("not zero");
    let rate_ = NonZeroU32::new(u32::try_from(rate).expect("a small rate")).expect("not zero");
    let limiter =
        Governor::direct_with_clock(Quota::per_second(rate_).allow_burst(one), MonotonicClock);
    plan.run(|more| {
        while more() {
            while let Err(not_yet) = limiter.check() {
                thread::sleep(not_yet.wait_time_from(MonotonicClock.now()));
            }
        }
    })
}

fn namesake(rate: u64, slice: Duration) -> Figures {
    let plan = Plan::new(rate, slice, 1);
    let limiter = ratelimit::Ratelimiter::new(rate);
    plan.run(|more| {
        while more() {
            while let Err(ratelimit::TryWaitError::Insufficient(wait)) = limiter.try_wait() {
                thread::sleep(wait);
            }
        }
    })
}

fn leaky(rate: u64, slice: Duration) -> Figures {
    let plan = Plan::new(rate, slice, 1);
    // It refills by whole intervals; below a millisecond its timer does not go.
    let per_ms = usize::try_from((rate / 1000).max(1)).expect("a small rate");
    let interval = Duration::from_millis(if rate < 1000 { 1000 / rate } else { 1 });
    let limiter = leaky_bucket::RateLimiter::builder()
        .max(usize::try_from(rate).expect("a small rate"))
        .initial(0)
        .refill(per_ms)
        .interval(interval)
        .build();
    plan.run(|more| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime");
        while more() {
            runtime.block_on(limiter.acquire_one());
        }
    })
}
