//! A long run against a service that refuses at random and loses answers it has worked for: it
//! finishes, pays for nothing twice that its provider can recognise, and keeps to the limit.

mod permits;
mod program;
mod service;

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use permits::{MINUTE_NS, Permit, assert_no_window_above};
use service::{Call, Reply, Service};

const SLIDES: usize = 200;
/// Requests in any minute, at each endpoint. The run ends well within a minute, so the count is
/// looked at in every stretch of time, not in minutes alone.
const LIMIT: usize = 600;
/// What the program's limiters hold at most: a second's worth of requests, the largest chat.
const BURST: u64 = LIMIT as u64 / 60;
/// Tokens in any minute, at the chat's endpoint.
const TOKENS: u64 = 200_000;
const TOKENS_BURST: u64 = 8_000;
/// Calls at once, at each endpoint.
const WORKERS: usize = 8;

/// Dice that fall alike in every run: a linear congruential generator with Knuth's constants.
struct Dice(Mutex<u64>);

impl Dice {
    fn one_of(&self, sides: u64) -> u64 {
        let mut state = self.0.lock().expect("no panic while it is held");
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*state >> 33) % sides
    }
}

/// One answer in fifty is lost after the work was done, one call in fifty is refused, and once
/// nothing moves for so long that every limit fills up.
fn moody() -> Service {
    let dice = Dice(Mutex::new(42));
    Service::start(move |call, before| {
        if (call.endpoint, before) == ("speech", SLIDES / 2) {
            // Real time: it is the limiters of another process that must fill up.
            thread::sleep(Duration::from_millis(1_500));
        }
        match dice.one_of(50) {
            0 => Reply::Lost,
            1 => Reply::Refuse(429, vec![("Retry-After", "1".into())], "slow down".into()),
            _ => Reply::Work(vec![("x-ratelimit-limit-requests", LIMIT.to_string())]),
        }
    })
}

#[test]
fn two_hundred_slides_get_through_a_service_in_a_bad_mood() {
    let service = moody();
    let folder = tempfile::tempdir().unwrap();
    let deck: Vec<String> = (0..SLIDES).map(|n| format!("# Number {n}\n- a point")).collect();
    program::write_deck(folder.path(), &deck.iter().map(String::as_str).collect::<Vec<_>>());
    let (url, limit) = (service.url(), LIMIT.to_string());
    let args = ["run", "--deck", "deck.md", "--size", "32x32", "--provider", "openai"];
    let more = ["--base-url", &url, "--requests-per-minute", &limit, "--out", "film.mp4"];
    let mut command = program::slides(folder.path(), &[&args[..], &more].concat());
    command.env("OPENAI_API_KEY", "secret").env("RUST_LOG", "pipeline=debug");
    let ended = program::end(&mut command);
    assert_eq!(ended.code, Some(0), "no slide fails for want of capacity: {}", ended.err);
    assert!(ended.err.contains(" 0 failed"), "{}", ended.err);
    assert!(folder.path().join("film.mp4").exists());

    let all = service.calls().clone();
    for (endpoint, stage) in [("chat", "script"), ("speech", "audio"), ("images", "image")] {
        let calls: Vec<&Call> = all.iter().filter(|call| call.endpoint == endpoint).collect();
        assert!(calls.len() > SLIDES, "{endpoint}: the dice were kind, nothing was tested");
        assert_same_key(&calls);
        assert_permits_within_limits(endpoint, &permits::read(&ended.err, stage), calls.len());
        assert_within_limit(&calls);
    }
}

/// Every repeat has the key of the first: a provider that has seen it need not work again.
fn assert_same_key(calls: &[&Call]) {
    let mut keys: Vec<(&str, &str)> =
        calls.iter().map(|c| (c.about.as_str(), c.idempotency_key.as_str())).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), SLIDES, "one key for each slide, and one slide for each key");
    for call in calls.iter().filter(|call| !call.done) {
        let again = calls.iter().any(|c| c.about == call.about && c.at > call.at);
        assert!(again, "{} was refused and not asked for again", call.about);
    }
}

/// By the limiter's own stamps: no window sees more than a burst and what the rate earns in it.
fn assert_permits_within_limits(endpoint: &str, permits: &[Permit], calls: usize) {
    assert_eq!(permits.len(), calls, "{endpoint}: each call had a permit, and no permit no call");
    let names: &[&str] = if endpoint == "chat" { &["requests", "tokens"] } else { &["requests"] };
    for permit in permits {
        assert_eq!(permit.limits, names, "{endpoint}");
    }
    let refunded = permits.iter().filter(|permit| permit.settled.is_some()).count();
    // An answer with work in it says how many tokens it took.
    assert_eq!(refunded, if endpoint == "chat" { SLIDES } else { 0 }, "{endpoint}");
    let busiest = assert_no_window_above(permits, 0, LIMIT as u64, BURST);
    assert!(
        busiest > 0.6,
        "{endpoint}: the limit was not reached ({busiest:.3}), nothing was tested"
    );
    if endpoint == "chat" {
        assert_no_window_above(permits, 1, TOKENS, TOKENS_BURST);
    }
}

/// By the service's own count: no stretch of time sees more than its share of the limit. A limit
/// of so many a minute is kept as a burst of a second's worth and the rate (`Rate::at_most`).
fn assert_within_limit(calls: &[&Call]) {
    let a_second = LIMIT as f64 / 60.0;
    for (n, first) in calls.iter().enumerate() {
        for (m, last) in calls.iter().enumerate().skip(n) {
            let stretch = last.at.saturating_sub(first.at).as_secs_f64();
            // What was granted may wait on its way and arrive together: each worker's one call.
            let most = a_second + a_second * stretch + WORKERS as f64;
            let count = m - n + 1;
            assert!(count as f64 <= most, "{count} calls within {stretch} s, at most {most}");
        }
        let minute = first.at + Duration::from_nanos(MINUTE_NS);
        let in_minute = calls[n..].iter().filter(|call| call.at < minute).count();
        assert!(in_minute <= LIMIT);
    }
}
