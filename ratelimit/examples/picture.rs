//! Draws what three limiters let through, against the line that none may cross.
//!
//! `cargo run -p ratelimit --example picture > ratelimit/grants.svg`
//!
//! Four callers that want as much as they can get, at 10 a second, on a simulated clock; whoever
//! sleeps wakes up 0 to 40 ms late, as on a busy machine. The textbook's limiter is a model of a few
//! lines, below: it starts full and credits each sleep twice. governor is governor itself, with its
//! default quota: it starts full, and refuses, so each caller sleeps for as long as it is told and
//! asks again. The third is this crate. Full at the start means that any second may see twice 10.

use governor::clock::{Clock, FakeRelativeClock};
use governor::{Quota, RateLimiter as Governor};
use ratelimit::testing::ManualClock;
use ratelimit::{RateLimiter, Reservation};
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::time::Duration;

const RATE: NonZeroU32 = NonZeroU32::new(10).unwrap();
const SPAN: Duration = Duration::from_secs(4);
const CALLERS: usize = 4;

fn main() {
    print!("{}", svg());
}

/// The whole picture.
pub(crate) fn svg() -> String {
    let mut chart = Chart::new();
    chart.line(0.0, "10 a second");
    chart.line(f64::from(RATE.get()), "10 at once, then 10 a second");
    chart.steps("the textbook's: every sleep credited twice", "#d1495b", &textbook());
    chart.steps("governor, full at the start", "#8d96a3", &governor());
    chart.steps("ratelimit, empty at the start", "#00798c", &ours());
    chart.svg + "</svg>\n"
}

/// How late the n-th wake-up is: the same for everybody, the same every time.
fn lateness(n: usize) -> Duration {
    Duration::from_millis(n as u64 * 7919 % 41)
}

/// The textbook's loop: it sleeps until a permit is there but does not move its own clock, so the
/// time slept is credited once more at the next call. It sleeps under its lock: one after another.
fn textbook() -> Vec<Duration> {
    let rate = f64::from(RATE.get());
    let (mut now, mut last, mut level) = (Duration::ZERO, Duration::ZERO, rate);
    let mut grants = Vec::new();
    while now <= SPAN {
        level = f64::min(rate, level + now.saturating_sub(last).as_secs_f64() * rate);
        last = now;
        if level < 1.0 {
            now += Duration::from_secs_f64((1.0 - level) / rate) + lateness(grants.len());
            level = 0.0;
        } else {
            level -= 1.0;
        }
        grants.push(now);
    }
    grants
}

/// Everybody sleeps for as long as the last refusal said, then asks again.
fn governor() -> Vec<Duration> {
    let clock = FakeRelativeClock::default();
    let limiter = Governor::direct_with_clock(Quota::per_second(RATE), clock.clone());
    let (mut now, mut wakes, mut grants) = (Duration::ZERO, [Duration::ZERO; CALLERS], Vec::new());
    for n in 0.. {
        wakes.sort();
        let wake = wakes[0];
        clock.advance(wake.saturating_sub(now));
        now = wake;
        if now > SPAN {
            break;
        }
        match limiter.check() {
            Ok(()) => grants.push(now),
            Err(not_yet) => wakes[0] += not_yet.wait_time_from(clock.now()) + lateness(n),
        }
    }
    grants
}

/// Everybody waits in line; each sees its permit as late as it wakes up.
fn ours() -> Vec<Duration> {
    let clock = ManualClock::new();
    let rate = ratelimit::Rate::per_second(RATE.get());
    let limiter = RateLimiter::builder([("calls", rate)]).clock(clock.clone());
    let Ok(limiter) = limiter.build() else { return Vec::new() };
    let reserve = || limiter.reserve(1);
    let mut line: Vec<Reservation<'_, 1>> = (0..CALLERS).filter_map(|_| reserve().ok()).collect();
    let mut grants = Vec::new();
    for n in 0.. {
        let first = line.remove(0);
        clock.advance(first.ready_in());
        let Ok(permit) = first.wait() else { break };
        if permit.granted_at() > SPAN {
            break;
        }
        grants.push(permit.granted_at() + lateness(n));
        line.extend(reserve().ok());
    }
    grants.sort();
    grants
}

const WIDTH: f64 = 760.0;
const LEFT: f64 = 60.0;
const BOTTOM: f64 = 360.0;
/// Grants at the upper end of the scale.
const MOST: f64 = 100.0;

/// An SVG that gets longer.
struct Chart {
    svg: String,
    series: usize,
}

impl Chart {
    fn new() -> Self {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} 420\" \
             font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        for step in 0..=4 {
            let seconds = SPAN.as_secs_f64() * f64::from(step) / 4.0;
            let grants = MOST * f64::from(step) / 4.0;
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {y:.1}H{right:.1}\" stroke=\"#eee\"/>\
                 <text x=\"{x:.1}\" y=\"380\" text-anchor=\"middle\">{seconds:.0} s</text>\
                 <text x=\"52\" y=\"{label:.1}\" text-anchor=\"end\">{grants:.0}</text>",
                x = x(seconds),
                y = y(grants),
                right = WIDTH - 20.0,
                label = y(grants) + 4.0,
            );
        }
        Self { svg, series: 0 }
    }

    /// What may be let through: so many at once, then the rate.
    fn line(&mut self, at_once: f64, name: &str) {
        let span = SPAN.as_secs_f64();
        let end = at_once + f64::from(RATE.get()) * span;
        let _ = writeln!(
            self.svg,
            "<path d=\"M{LEFT} {:.1}L{:.1} {:.1}\" stroke=\"black\" stroke-dasharray=\"6 4\" \
             fill=\"none\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
            y(at_once),
            x(span),
            y(end),
            x(span),
            if at_once > 0.0 { y(end) - 14.0 } else { y(end) + 26.0 },
        );
    }

    fn steps(&mut self, name: &str, colour: &str, grants: &[Duration]) {
        let mut path = format!("M{LEFT} {BOTTOM}");
        for (count, at) in grants.iter().enumerate().filter(|(_, at)| **at <= SPAN) {
            let _ = write!(path, "H{:.1}V{:.1}", x(at.as_secs_f64()), y(count as f64 + 1.0));
        }
        let top = 40 + self.series * 20;
        let _ = writeln!(
            self.svg,
            "<path d=\"{path}\" stroke=\"{colour}\" stroke-width=\"2\" fill=\"none\"/>\
             <rect x=\"80\" y=\"{top}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>\
             <text x=\"102\" y=\"{}\">{name}</text>",
            top + 6
        );
        self.series += 1;
    }
}

fn x(seconds: f64) -> f64 {
    LEFT + seconds / SPAN.as_secs_f64() * (WIDTH - LEFT - 20.0)
}

fn y(grants: f64) -> f64 {
    BOTTOM - grants / MOST * (BOTTOM - 30.0)
}
