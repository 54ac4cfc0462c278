//! Draws what three limiters let through, against the line that none may cross.
//!
//! `cargo run -p ratelimit --example picture > ratelimit/grants.svg`
//!
//! 4 callers that want as much as they can get, at 10 a second, on a simulated clock: the textbook's
//! limiter (it credits each sleep twice), the loop that people write around a limiter that only
//! refuses, such as governor's with a burst of one (who wakes up late has lost that credit; each
//! wake-up is 0 to 40 ms late here, as on a busy machine), and this crate with the same lateness.
//! The first two are models of a few lines, below; the third is the crate itself.

use ratelimit::testing::ManualClock;
use ratelimit::{Rate, RateLimiter, Reservation};
use std::fmt::Write as _;
use std::time::Duration;

const RATE: f64 = 10.0;
const SECONDS: f64 = 4.0;
const CALLERS: usize = 4;

fn main() {
    print!("{}", svg());
}

/// The whole picture.
pub(crate) fn svg() -> String {
    let series = [
        ("textbook: every sleep credited twice", "#d1495b", textbook()),
        ("sleep and retry: what late wake-ups miss is lost", "#8d96a3", sleep_and_retry()),
        ("ratelimit", "#00798c", ours()),
    ];
    let (width, height, left, bottom) = (760.0, 420.0, 60.0, 360.0);
    let most = 100.0;
    let x = |seconds: f64| left + seconds / SECONDS * (width - left - 20.0);
    let y = |grants: f64| bottom - grants / most * (bottom - 30.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for step in 0..=4 {
        let (at, count) = (f64::from(step) * SECONDS / 4.0, f64::from(step) * most / 4.0);
        let (gx, gy) = (x(at), y(count));
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {gy:.1}H{:.1}\" stroke=\"#eee\"/>\
             <text x=\"{gx:.1}\" y=\"380\" text-anchor=\"middle\">{at:.0} s</text>\
             <text x=\"52\" y=\"{:.1}\" text-anchor=\"end\">{count:.0}</text>",
            width - 20.0,
            gy + 4.0
        );
    }
    let _ = writeln!(
        svg,
        "<path d=\"M{left} {bottom}L{:.1} {:.1}\" stroke=\"black\" stroke-dasharray=\"6 4\" \
         fill=\"none\"/><text x=\"{:.1}\" y=\"{:.1}\">the limit: 10 a second</text>",
        x(SECONDS),
        y(RATE * SECONDS),
        x(3.05),
        y(18.0)
    );
    for (row, (name, colour, grants)) in series.iter().enumerate() {
        let mut path = format!("M{left} {bottom}");
        for (count, at) in grants.iter().enumerate().filter(|(_, at)| **at <= SECONDS) {
            let _ = write!(path, "H{:.1}V{:.1}", x(*at), y(count as f64 + 1.0));
        }
        let _ = writeln!(
            svg,
            "<path d=\"{path}\" stroke=\"{colour}\" stroke-width=\"2\" fill=\"none\"/>\
             <rect x=\"80\" y=\"{}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>\
             <text x=\"102\" y=\"{}\">{name}</text>",
            40 + row * 20,
            46 + row * 20
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// How late the n-th wake-up is, in seconds: the same for everybody, the same every time.
fn lateness(n: usize) -> f64 {
    (n * 7919 % 41) as f64 / 1000.0
}

/// The textbook's loop: it sleeps until a permit is there but does not move its own clock, so the
/// time slept is credited once more at the next call. It sleeps under its lock: one after another.
fn textbook() -> Vec<f64> {
    let (mut now, mut last, mut level) = (0.0, 0.0, RATE);
    let mut grants = Vec::new();
    while now <= SECONDS {
        level = f64::min(RATE, level + (now - last) * RATE);
        last = now;
        if level < 1.0 {
            now += (1.0 - level) / RATE;
            level = 0.0;
        } else {
            level -= 1.0;
        }
        grants.push(now);
    }
    grants
}

/// Everybody sleeps until a cell is free by the last answer, then asks again.
fn sleep_and_retry() -> Vec<f64> {
    let (mut free_at, mut wakes, mut n) = (1.0 / RATE, [0.0_f64; CALLERS], 0);
    let mut grants = Vec::new();
    loop {
        let Some(caller) = (0..CALLERS).min_by(|a, b| wakes[*a].total_cmp(&wakes[*b])) else {
            return grants;
        };
        let now = wakes[caller];
        if now > SECONDS {
            return grants;
        }
        if now >= free_at {
            // A burst of one: what was not fetched in time is lost.
            grants.push(now);
            free_at = now + 1.0 / RATE;
        }
        n += 1;
        wakes[caller] = free_at + lateness(n);
    }
}

/// The crate itself; each caller sees its permit as late as it wakes up.
fn ours() -> Vec<f64> {
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder([("calls", Rate::per_second(RATE))]).clock(clock.clone());
    let Ok(limiter) = limiter.build() else { return Vec::new() };
    let reserve = || limiter.reserve(1);
    let mut line: Vec<Reservation<'_, 1>> = (0..CALLERS).filter_map(|_| reserve().ok()).collect();
    let mut grants = Vec::new();
    for n in 1.. {
        let first = line.remove(0);
        clock.advance(first.ready_in());
        let Ok(permit) = first.wait() else { break };
        let seen = permit.granted_at() + Duration::from_secs_f64(lateness(n));
        if seen.as_secs_f64() > SECONDS {
            break;
        }
        grants.push(seen.as_secs_f64());
        line.extend(reserve().ok());
    }
    grants.sort_by(f64::total_cmp);
    grants
}
