//! Durations and dates as headers write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// From this many seconds on a number is a date, counted from 1970, and no duration: 2001-09-09.
const EPOCH_FROM: u64 = 1_000_000_000;

const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";

/// Whole seconds, or with a fraction, which some send.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(decimal(text)?).ok()
}

pub(super) fn milliseconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(decimal(text)? / 1000.0).ok()
}

/// Seconds from now, or since 1970 as GitHub counts.
pub(super) fn seconds_or_epoch(text: &str, now: SystemTime) -> Option<Duration> {
    match text.parse::<u64>() {
        Ok(seconds) if seconds >= EPOCH_FROM => Some(until(seconds, 0, now)),
        _ => seconds(text),
    }
}

/// A number that is written in digits alone: no sign, no exponent, no `inf`.
fn decimal(text: &str) -> Option<f64> {
    let plain = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    if plain { text.parse().ok() } else { None }
}

/// A duration as Go prints it: `1s`, `6m0s`, `8.64s`, `20ms`, `1h0m3.5s`. A bare number: seconds.
pub(super) fn go_duration(text: &str) -> Option<Duration> {
    if let Some(bare) = seconds(text) {
        return Some(bare);
    }
    let (mut rest, mut sum) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = rest.split_at(digits);
        let letters = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let (unit, next) = unit.split_at(letters);
        let factor = match unit {
            "d" => 86_400.0,
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(decimal(number)? * factor).ok()?;
        sum = sum.checked_add(part)?;
        rest = next;
    }
    (!text.is_empty()).then_some(sum)
}

/// Time until an HTTP date (RFC 9110 §5.6.7): the form in use, or one of the two obsolete ones.
/// A date that has passed is no time at all.
pub(super) fn until_http_date(text: &str, now: SystemTime) -> Option<Duration> {
    let (_, rest) = text.split_once([',', ' '])?;
    let parts: Vec<&str> = rest.split([' ', '-']).filter(|part| !part.is_empty()).collect();
    let ([day, month, year, time, "GMT"] | [month, day, time, year]) = *parts.as_slice() else {
        return None;
    };
    let month = MONTHS.find(month).filter(|at| at % 3 == 0 && month.len() == 3)? / 3 + 1;
    let mut full_year: u64 = year.parse().ok()?;
    if year.len() == 2 {
        // RFC 9110: a two-digit year that seems more than 50 years ahead is in the past.
        let this_year = 1970 + since_epoch(now).as_secs() / 31_556_952;
        full_year += this_year / 100 * 100;
        full_year -= if full_year > this_year + 50 { 100 } else { 0 };
    }
    let clock: Vec<&str> = time.split(':').collect();
    let [hour, minute, second] = *clock.as_slice() else { return None };
    let seconds = instant(
        [full_year, u64::try_from(month).ok()?, day.parse().ok()?],
        [hour.parse().ok()?, minute.parse().ok()?, second.parse().ok()?],
    )?;
    Some(until(u64::try_from(seconds).ok()?, 0, now))
}

/// Time until an RFC 3339 instant, as `2024-03-05T17:12:01.5Z` or with `+01:00`.
pub(super) fn until_rfc3339(text: &str, now: SystemTime) -> Option<Duration> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let date: Vec<u64> = date.split('-').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [year, month, day] = *date.as_slice() else { return None };
    let zone_at = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at(zone_at);
    let (whole, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let clock: Vec<u64> = whole.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [hour, minute, second] = *clock.as_slice() else { return None };
    let nanos =
        decimal(&format!("0.{fraction}")).and_then(|f| Duration::try_from_secs_f64(f).ok())?;
    let local = instant([year, month, day], [hour, minute, second])?;
    let seconds = local.checked_sub(offset(zone)?)?;
    Some(until(u64::try_from(seconds).ok()?, nanos.subsec_nanos(), now))
}

/// Seconds east of Greenwich.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Seconds since 1970 of a date and time in UTC, or nothing if there is no such.
///
/// Days by Howard Hinnant's `days_from_civil` ("chrono-Compatible Low-Level Date Algorithms").
fn instant([year, month, day]: [u64; 3], [hour, minute, second]: [u64; 3]) -> Option<i64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days_in_month = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u64::from(leap),
        _ => return None,
    };
    // 60 is a leap second.
    let valid = year <= 9999 && (1..=days_in_month).contains(&day);
    if !valid || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (year, shifted) =
        if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = i64::try_from(era * 146_097 + day_of_era).ok()? - 719_468;
    Some(days * 86_400 + i64::try_from(hour * 3600 + minute * 60 + second).ok()?)
}

fn until(seconds: u64, nanos: u32, now: SystemTime) -> Duration {
    Duration::new(seconds, nanos).saturating_sub(since_epoch(now))
}

fn since_epoch(now: SystemTime) -> Duration {
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}
