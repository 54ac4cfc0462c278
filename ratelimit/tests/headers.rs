//! Header sets as providers document or send them, and what is made of garbled ones.

use ratelimit::headers::{LimitHeaders, Reset};
use ratelimit::testing::ManualClock;
use ratelimit::{MINUTE, Rate, RateLimiter};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Wed, 21 Oct 2015 07:28:00 GMT, the date of RFC 9110's own examples.
const NOW_S: u64 = 1_445_412_480;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW_S)
}

fn read(headers: &[(&'static str, &'static str)]) -> LimitHeaders {
    LimitHeaders::read(headers.iter().copied(), now())
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The table of `OpenAI`'s guide "Rate limits", section "Rate limits in headers".
const OPENAI: [(&str, &str); 6] = [
    ("x-ratelimit-limit-requests", "60"),
    ("x-ratelimit-limit-tokens", "150000"),
    ("x-ratelimit-remaining-requests", "59"),
    ("x-ratelimit-remaining-tokens", "149984"),
    ("x-ratelimit-reset-requests", "1s"),
    ("x-ratelimit-reset-tokens", "6m0s"),
];

#[test]
fn openai() {
    let seen = read(&OPENAI);
    let requests = seen.get("requests").unwrap();
    assert_eq!((requests.limit, requests.remaining), (Some(60), Some(59)));
    assert_eq!(requests.reset, Some(Reset::FullIn(seconds(1))));
    let tokens = seen.get("Tokens").unwrap();
    assert_eq!((tokens.limit, tokens.remaining), (Some(150_000), Some(149_984)));
    assert_eq!(tokens.reset, Some(Reset::FullIn(seconds(360))));
    assert_eq!((seen.limits.len(), seen.retry_after, seen.unread.len()), (2, None, 0));
}

#[test]
fn durations_as_go_prints_them() {
    let cases = [
        ("20ms", 20_000_000),
        ("2ms", 2_000_000),
        ("8.64s", 8_640_000_000),
        ("1m26.4s", 86_400_000_000),
        ("1h0m3.5s", 3_603_500_000_000),
        ("0s", 0),
        ("150µs", 150_000),
        ("2d3h", 183_600_000_000_000),
        ("3h2m1s", 10_921_000_000_000),
        ("5us", 5_000),
        ("5μs", 5_000),
        ("30ns", 30),
        ("7", 7_000_000_000),
    ];
    for (text, nanos) in cases {
        let seen = LimitHeaders::read([("X-RateLimit-Reset-Requests", text)], now());
        let expected = Some(Reset::FullIn(Duration::from_nanos(nanos)));
        assert_eq!(seen.get("requests").and_then(|l| l.reset), expected, "{text}");
    }
}

/// The names of Anthropic's page "Rate limits", section "Response headers"; times are RFC 3339.
#[test]
fn anthropic() {
    let seen = read(&[
        ("anthropic-ratelimit-requests-limit", "50"),
        ("anthropic-ratelimit-requests-remaining", "49"),
        ("anthropic-ratelimit-requests-reset", "2015-10-21T07:28:01Z"),
        ("anthropic-ratelimit-input-tokens-limit", "30000"),
        ("anthropic-ratelimit-input-tokens-remaining", "29000"),
        ("anthropic-ratelimit-input-tokens-reset", "2015-10-21T09:28:02.5+02:00"),
        ("anthropic-ratelimit-output-tokens-remaining", "8000"),
        ("anthropic-ratelimit-output-tokens-reset", "2015-10-21T07:27:00Z"),
        ("anthropic-ratelimit-unified-status", "allowed"),
        ("retry-after", "12"),
    ]);
    let requests = seen.get("requests").unwrap();
    assert_eq!((requests.limit, requests.remaining), (Some(50), Some(49)));
    assert_eq!(requests.reset, Some(Reset::FullIn(seconds(1))));
    let input = seen.get("input_tokens").unwrap();
    assert_eq!(input.reset, Some(Reset::FullIn(Duration::from_millis(2500))));
    let output = seen.get("output-tokens").unwrap();
    assert_eq!(output.reset, Some(Reset::FullIn(Duration::ZERO)), "it has passed");
    assert_eq!(seen.retry_after, Some(seconds(12)));
    assert_eq!(seen.unread, []);
}

/// Examples of draft-ietf-httpapi-ratelimit-headers, and Hugging Face's variant of them.
#[test]
fn the_ietf_draft() {
    let seen = read(&[
        ("RateLimit-Policy", r#""burst";q=100;w=60,"daily";q=1000;w=86400"#),
        ("RateLimit", r#""burst";r=50;t=30, "daily";r=0;pk=:cHNsZGtmago=:"#),
    ]);
    let burst = seen.get("burst").unwrap();
    assert_eq!((burst.limit, burst.remaining), (Some(100), Some(50)));
    assert_eq!(burst.reset, Some(Reset::WindowEndsIn(seconds(30))));
    let daily = seen.get("daily").unwrap();
    assert_eq!((daily.limit, daily.remaining, daily.reset), (Some(1000), Some(0), None));

    let hub = read(&[
        ("ratelimit", r#""api";r=495;t=140"#),
        ("ratelimit-policy", r#""fixed window";"api";q=500;w=300"#),
    ]);
    assert_eq!((hub.get("api").unwrap().limit, hub.limits.len()), (Some(500), 1));

    let equals = read(&[("ratelimit", r#""a=b";r=1"#)]);
    assert_eq!((equals.limits[0].name.as_str(), equals.limits[0].remaining), ("a=b", Some(1)));

    let bare = read(&[("ratelimit", r"a\;r=1")]);
    assert_eq!(bare.limits[0].remaining, Some(1), "no escape outside quotes");

    let odd = read(&[("ratelimit", r#""a, \"b;";r=1"#)]);
    assert_eq!(odd.limits[0].remaining, Some(1));
}

/// The older draft's example, and the names and the date of GitHub's documentation.
#[test]
fn limits_without_a_name() {
    let seen = read(&[
        ("RateLimit-Limit", "100, 100;w=10"),
        ("RateLimit-Remaining", "50"),
        ("RateLimit-Reset", "50"),
    ]);
    let only = seen.get("").unwrap();
    assert_eq!((only.limit, only.remaining), (Some(100), Some(50)));
    assert_eq!(only.reset, Some(Reset::WindowEndsIn(seconds(50))));
    let github = read(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1445412540")]);
    assert_eq!(github.get("").unwrap().reset, Some(Reset::WindowEndsIn(seconds(60))));
}

#[test]
fn retry_after_in_every_form() {
    let cases = [
        ("120", 120_000),
        ("0", 0),
        ("1.5", 1500),
        ("Wed, 21 Oct 2015 07:28:30 GMT", 30_000),
        ("Wed, 21 Oct 2015 07:27:30 GMT", 0),
        ("Wednesday, 21-Oct-15 07:29:00 GMT", 60_000),
        ("Wed Oct 21 07:28:05 2015", 5_000),
        ("Fri, 01 Jan 2016 00:00:00 GMT", 6_193_920_000),
        ("Mon, 29 Feb 2016 07:28:00 GMT", 131 * 86_400_000),
    ];
    for (text, millis) in cases {
        let seen = LimitHeaders::read([("Retry-After", text)], now());
        assert_eq!(seen.retry_after, Some(Duration::from_millis(millis)), "{text}");
    }
    let both = read(&[("retry-after-ms", "2500"), ("retry-after", "2")]);
    assert_eq!(both.retry_after, Some(Duration::from_millis(2500)), "the later one");
}

fn reset_of(name: &str, value: &str, now: SystemTime) -> Option<Duration> {
    let seen = LimitHeaders::read([(name, value)], now);
    assert_eq!(seen.unread.len(), usize::from(seen.limits.iter().all(|l| l.reset.is_none())));
    seen.limits.iter().find_map(|limit| limit.reset).map(|reset| match reset {
        Reset::FullIn(time) | Reset::WindowEndsIn(time) => time,
    })
}

/// Days counted one by one, through years of each kind.
#[test]
fn dates_are_days_since_1970() {
    let mut days = 0;
    for year in 1970..=2401 {
        let leap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
        let tried = matches!(year, 1970..=1973 | 1999..=2001 | 2099..=2101 | 2399..=2401);
        let february = if leap { 29 } else { 28 };
        let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for (month, length) in (1..).zip(months) {
            for day in (0..=length + 1).filter(|_| tried) {
                let date = format!("{year}-{month:02}-{day:02}T00:00:00Z");
                let read = reset_of("anthropic-ratelimit-tokens-reset", &date, UNIX_EPOCH);
                let there = (1..=length).contains(&day);
                assert_eq!(read, there.then(|| seconds((days + day - 1) * 86_400)), "{date}");
            }
            days += length;
        }
    }
}

#[test]
fn times_of_day_and_zones_at_their_ends() {
    let cases = [
        ("1970-01-01T23:59:59Z", Some(86_399_000)),
        ("1970-01-01t23:59:60z", Some(86_400_000)),
        ("1970-01-01 01:02:03.25Z", Some(3_723_250)),
        ("1970-01-01T24:00:00Z", None),
        ("1970-01-01T00:60:00Z", None),
        ("1970-01-01T00:00:61Z", None),
        ("1970-01-02T00:00:00+23:59", Some(60_000)),
        ("1970-01-01T00:00:00-23:59", Some(86_340_000)),
        ("1970-01-02T00:00:00+24:00", None),
        ("1970-01-02T00:00:00+00:60", None),
        ("1970-01-02T00:00:00+01", None),
        ("1969-12-31T23:59:59Z", None),
        ("0000-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59Z", Some(253_402_300_799_000)),
        ("10000-01-01T00:00:00Z", None),
        ("1970-00-01T00:00:00Z", None),
        ("1970-01-01T00:00Z", None),
        ("1970-01T00:00:00Z", None),
    ];
    for (text, millis) in cases {
        let read = reset_of("anthropic-ratelimit-tokens-reset", text, UNIX_EPOCH);
        assert_eq!(read, millis.map(Duration::from_millis), "{text}");
    }
}

#[test]
fn years_of_two_digits_are_at_most_50_ahead() {
    let day = 86_400;
    let cases = [
        ("Wednesday, 21-Oct-65 07:28:00 GMT", Some(seconds((50 * 365 + 13) * day))),
        ("Thursday, 21-Oct-66 07:28:00 GMT", None),
        ("Thursday, 21-Oct-99 07:28:00 GMT", Some(Duration::ZERO)),
        ("Wed Oct  1 07:28:05 2015", Some(Duration::ZERO)),
        ("Sun Nov  1 07:28:00 2015", Some(seconds(11 * day))),
    ];
    for (text, expected) in cases {
        let seen = LimitHeaders::read([("Retry-After", text)], now());
        assert_eq!(seen.retry_after, expected, "{text}");
    }
}

#[test]
fn a_large_number_without_a_name_is_a_date() {
    let at = |now| move |text| reset_of("ratelimit-reset", text, UNIX_EPOCH + seconds(now));
    assert_eq!(at(0)("999999999"), Some(seconds(999_999_999)));
    assert_eq!(at(7)("999999999"), Some(seconds(999_999_999)));
    assert_eq!(at(7)("1000000000"), Some(seconds(999_999_993)));
    assert_eq!(at(7)("1.5"), Some(Duration::from_millis(1500)));
}

#[test]
fn of_two_times_to_come_again_the_later_one_counts() {
    for headers in [["2", "9"], ["9", "2"]] {
        let seen = read(&[("retry-after", headers[0]), ("retry-after", headers[1])]);
        assert_eq!(seen.retry_after, Some(seconds(9)));
    }
}

#[test]
fn what_is_garbled_is_kept_apart_and_changes_nothing() {
    let cases = [
        ("retry-after", "soon"),
        ("retry-after", "-1"),
        ("retry-after", "1e9"),
        ("retry-after", "Wed, 31 Feb 2016 07:28:00 GMT"),
        ("retry-after", "Wed, 21 Bla 2015 07:28:00 GMT"),
        ("retry-after", "Wed, 21 JanFeb 2015 07:28:00 GMT"),
        ("retry-after", "Wed, 21 anF 2015 07:28:00 GMT"),
        ("retry-after", "Wed, 21 Oct 2015 24:28:00 GMT"),
        ("retry-after", ""),
        ("retry-after-ms", "NaN"),
        ("x-ratelimit-remaining-tokens", "many"),
        ("x-ratelimit-remaining-tokens", "-5"),
        ("x-ratelimit-remaining-tokens", "18446744073709551616"),
        ("x-ratelimit-reset-tokens", "5 fortnights"),
        ("x-ratelimit-reset-tokens", "1h1"),
        ("x-ratelimit-reset-tokens", "1.2.3s"),
        ("x-ratelimit-reset-tokens", "99999999999999999999d"),
        ("x-ratelimit-reset-tokens", "s"),
        ("x-ratelimit-reset-tokens", ""),
        ("anthropic-ratelimit-tokens-reset", "2015-13-21T07:28:00Z"),
        ("anthropic-ratelimit-tokens-reset", "2015-02-29T07:28:00Z"),
        ("anthropic-ratelimit-tokens-reset", "2015-10-21T07:28:00+25:00"),
        ("anthropic-ratelimit-tokens-reset", "tomorrow"),
        ("ratelimit", r#""open;r=1"#),
        ("ratelimit", r#""a";r=x"#),
        ("ratelimit", r#""a";r=1;t=x"#),
        ("ratelimit", r#""a""#),
        ("ratelimit", r#""a";r=1;"#),
        ("ratelimit", r#"a;r=1;"b"#),
        ("ratelimit", ""),
        ("ratelimit-policy", "100;w=60"),
        ("ratelimit-reset", "later"),
    ];
    for (name, value) in cases {
        let seen = LimitHeaders::read([(name, value)], now());
        assert_eq!(seen.unread, [(name.to_owned(), value.to_owned())]);
        assert_eq!(seen.retry_after, None, "{name}: {value}");
        let told = seen.limits.iter().any(|l| l.remaining.is_some() || l.reset.is_some());
        assert!(!told, "{name}: {value} gave {:?}", seen.limits);
    }
    let others = [("content-type", "text/plain"), ("x-ratelimit-used", "7"), ("ratelimiter", "x")];
    assert_eq!(LimitHeaders::read(others, now()), LimitHeaders::default());
}

#[test]
fn a_limiter_takes_over_what_the_headers_say() {
    let clock = ManualClock::new();
    let limits =
        [("requests", Rate::at_most(60, MINUTE)), ("tokens", Rate::per_minute(6000).burst(6000))];
    let build = RateLimiter::builder(limits).start_full().clock(clock.clone());
    let limiter = build.build().unwrap();
    read(&[("x-ratelimit-remaining-tokens", "1000")]).apply(&limiter, [5, 300]);
    let stats = limiter.stats();
    assert_eq!((stats.limits[0].available, stats.limits[1].available), (1, 700));
    read(&[("Retry-After", "3"), ("x-ratelimit-remaining-requests", "0")]).apply(&limiter, [0, 0]);
    let stats = limiter.stats();
    assert!(stats.limits.iter().all(|l| l.paused_for == seconds(3) && l.available == 0));
    clock.advance(seconds(3));

    let single = RateLimiter::per_second(100.0);
    read(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "60")]).apply(&single, 0);
    assert!(single.stats().limits[0].paused_for > seconds(59), "a window that is used up");
    let open = RateLimiter::per_second(100.0);
    read(&[("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "60")]).apply(&open, 0);
    read(&[("x-ratelimit-remaining-rate", "0"), ("x-ratelimit-reset-rate", "60s")]).apply(&open, 0);
    assert!(open.stats().limits[0].paused_for.is_zero(), "one is left, or it refills meanwhile");
    let two = RateLimiter::new([("a", Rate::per_second(1)), ("b", Rate::per_second(1))]).unwrap();
    read(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "60")]).apply(&two, [0, 0]);
    assert!(two.stats().limits.iter().all(|l| l.paused_for.is_zero()), "nobody knows which");
}
