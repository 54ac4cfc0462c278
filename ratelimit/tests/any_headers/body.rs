//! Any headers: they are read or kept apart, and never more than that.
//!
//! One body for the property tests and for the fuzzer (`cargo xtask fuzz`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ratelimit::headers::{LimitHeaders, Reset};
use ratelimit::testing::ManualClock;
use ratelimit::{MINUTE, Rate, RateLimiter};

/// Names that are understood, so that values get past them.
const NAMES: [&str; 12] = [
    "Retry-After",
    "retry-after-ms",
    "ratelimit",
    "RateLimit-Policy",
    "ratelimit-limit",
    "x-ratelimit-remaining",
    "X-RateLimit-Reset",
    "x-ratelimit-limit-requests",
    "x-ratelimit-reset-tokens",
    "anthropic-ratelimit-requests-reset",
    "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-input-tokens-limit",
];

/// Reads headers and gives what they say to a limiter; `at` is now, in seconds since 1970.
pub(crate) fn check(headers: &[(u8, &str, &str)], at: u64) {
    let now = UNIX_EPOCH + Duration::from_secs(at);
    let named = |&(which, name, value)| {
        (NAMES.get(usize::from(which) % (NAMES.len() + 1)).copied().unwrap_or(name), value)
    };
    let headers: Vec<(&str, &str)> = headers.iter().map(named).collect();
    let seen = LimitHeaders::read(headers.iter().copied(), now);
    assert!(seen.unread.iter().all(|(name, value)| headers.contains(&(name, value))));
    assert!(seen.unread.len() <= headers.len());
    assert_eq!(seen, LimitHeaders::read(headers.iter().copied(), now), "not always the same");
    for limit in &seen.limits {
        assert!(seen.get(&limit.name).is_some(), "{limit:?} is not found by its name");
    }
    let clock = ManualClock::new();
    let limits = [("requests", Rate::at_most(60, MINUTE)), ("tokens", Rate::at_most(9000, MINUTE))];
    let limiter = RateLimiter::builder(limits).clock(clock.clone()).build().unwrap();
    seen.apply(&limiter, [3, 2400]);
    for limit in limiter.stats().limits {
        let asked = seen.retry_after.unwrap_or_default();
        assert!(limit.paused_for >= asked.min(Duration::from_secs(1)), "{asked:?} was not kept");
    }
}

/// A date in each of RFC 9110's three forms and in RFC 3339's, from any day to any other.
pub(crate) fn dates_come_back(date: u64, now: u64) {
    // Up to the last second of 9999.
    let (date, now) = (date % 253_402_300_800, now % 4_000_000_000);
    let at = UNIX_EPOCH + Duration::from_secs(now);
    let ahead = Duration::from_secs(date.saturating_sub(now));
    let [year, month, day] = civil(date / 86_400);
    let (hour, minute, second) = (date / 3600 % 24, date / 60 % 60, date % 60);
    let weekday = usize::try_from(date / 86_400 % 7).unwrap();
    let names = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
    let (long, short) = (names[weekday], &names[weekday][..3]);
    let months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let word = usize::try_from(month).unwrap() * 3;
    let word = &months[word - 3..word];
    let time = format!("{hour:02}:{minute:02}:{second:02}");

    let fixed = format!("{short}, {day:02} {word} {year:04} {time} GMT");
    assert_eq!(retry_after(&fixed, at), Some(ahead), "{fixed}");
    let ascii = format!("{short} {word} {day:2} {time} {year:04}");
    assert_eq!(retry_after(&ascii, at), Some(ahead), "{ascii}");
    let rfc3339 = format!("{year:04}-{month:02}-{day:02}T{time}Z");
    let reset = [("anthropic-ratelimit-requests-reset", &*rfc3339)];
    let seen = LimitHeaders::read(reset, at);
    let found = seen.get("requests").and_then(|limit| limit.reset);
    assert_eq!(found, Some(Reset::FullIn(ahead)), "{rfc3339}");
    // Two digits mean this century, or the last where that would be more than 50 years ahead.
    let [this_year, ..] = civil(now / 86_400);
    if year <= this_year + 49 && year / 100 == this_year / 100 {
        let obsolete = format!("{long}, {day:02}-{word}-{:02} {time} GMT", year % 100);
        assert_eq!(retry_after(&obsolete, at), Some(ahead), "{obsolete}");
    }
}

fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    LimitHeaders::read([("retry-after", value)], now).retry_after
}

/// Year, month and day of a count of days since 1970, one by one: slow and plain.
fn civil(mut days: u64) -> [u64; 3] {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    for (month, length) in (1..).zip(lengths) {
        if days < length {
            return [year, month, days + 1];
        }
        days -= length;
    }
    unreachable!("a year has no more months")
}
