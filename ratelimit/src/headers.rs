//! What a provider's response headers say about its limits.
//!
//! Works on plain pairs of name and value, whatever the HTTP client. Understood are
//!
//! | who | headers | source |
//! |---|---|---|
//! | everybody | `Retry-After` in seconds or as a date, `retry-after-ms` | RFC 9110 §10.2.3 |
//! | OpenAI and those who follow it | `x-ratelimit-{limit,remaining,reset}-{requests,tokens,…}` | OpenAI, "Rate limits", "Rate limits in headers" |
//! | Anthropic | `anthropic-ratelimit-{requests,tokens,input-tokens,…}-{limit,remaining,reset}` | Anthropic, "Rate limits", "Response headers" |
//! | the IETF draft | `RateLimit`, `RateLimit-Policy` | draft-ietf-httpapi-ratelimit-headers-08 to -11 |
//! | its older form, GitHub | `[X-]RateLimit-{Limit,Remaining,Reset}` | …-headers-06; GitHub, "Rate limits for the REST API" |
//!
//! ```
//! use ratelimit::{MINUTE, Rate, RateLimiter, headers::LimitHeaders};
//! use std::time::SystemTime;
//!
//! let limits = [("requests", Rate::at_most(60, MINUTE)), ("tokens", Rate::at_most(150_000, MINUTE))];
//! let limiter = RateLimiter::new(limits)?;
//! let response = [
//!     ("x-ratelimit-remaining-requests", "59"),
//!     ("x-ratelimit-remaining-tokens", "149984"),
//!     ("retry-after", "20"),
//! ];
//! let seen = LimitHeaders::read(response, SystemTime::now());
//! seen.apply(&limiter, [3, 2400]); // three calls are on their way that it has not counted yet
//! assert!(limiter.stats().limits[0].paused_for > std::time::Duration::from_secs(19));
//! # Ok::<(), ratelimit::BuildError>(())
//! ```

mod dates;
mod draft;

use crate::{Cost, RateLimiter};
use std::time::{Duration, SystemTime};

/// What one response's headers say about the provider's limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitHeaders {
    /// Do not call again before this has passed: from `Retry-After` or `retry-after-ms`.
    pub retry_after: Option<Duration>,
    /// The limits that are spoken of, in the order in which they first appear.
    pub limits: Vec<HeaderLimit>,
    /// Headers that belong here and could not be read, as they came. They are left aside, since a
    /// garbled header is no reason to fail a call that succeeded.
    pub unread: Vec<(String, String)>,
}

/// What the headers say about one limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderLimit {
    /// Its name in the headers, in lower case: `requests`, `input-tokens`, a policy's name. Empty
    /// where the headers give none, as GitHub's do.
    pub name: String,
    /// The most that a window may see.
    pub limit: Option<u64>,
    /// What is left.
    pub remaining: Option<u64>,
    /// When more is there.
    pub reset: Option<Reset>,
}

/// When a limit has more to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// It refills all the time and is full after this, as with Anthropic's limits and `OpenAI`'s.
    FullIn(Duration),
    /// A window ends after this; once it is used up, nothing is given before: the IETF draft's.
    WindowEndsIn(Duration),
}

enum Field {
    Limit,
    Remaining,
    Reset,
}

impl LimitHeaders {
    /// Reads what the headers say. `now` turns dates into durations.
    ///
    /// Names may be in any case. Other headers are passed over.
    pub fn read<'h>(
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
        now: SystemTime,
    ) -> Self {
        let mut seen = Self::default();
        for (name, value) in headers {
            let lower = name.to_ascii_lowercase();
            if seen.take(&lower, value.trim(), now).is_none() {
                tracing::debug!(name, value, "a limit header could not be read");
                seen.unread.push((name.to_owned(), value.to_owned()));
            }
        }
        seen
    }

    /// What is said about the limit of this name. Case does not matter, nor `_` against `-`.
    pub fn get(&self, name: &str) -> Option<&HeaderLimit> {
        self.limits.iter().find(|limit| same_name(&limit.name, name))
    }

    /// Tells a limiter: what is left goes to [`observe`](RateLimiter::observe), less what is on its
    /// way to the provider and not counted by it yet; `retry_after` goes to
    /// [`pause_for`](RateLimiter::pause_for); a window that is used up pauses its limit to its end.
    ///
    /// Limits are matched by name as in [`get`](LimitHeaders::get). Where the limiter has one limit
    /// and the headers speak of one without a name, that is meant.
    pub fn apply<const N: usize>(&self, limiter: &RateLimiter<N>, in_flight: impl Into<Cost<N>>) {
        let in_flight = in_flight.into().amounts();
        for (index, name) in limiter.names().iter().enumerate() {
            let unnamed = || if N == 1 { self.get("") } else { None };
            let Some(seen) = self.get(name).or_else(unnamed) else { continue };
            let Some(remaining) = seen.remaining else { continue };
            limiter.observe(index, remaining, in_flight[index]);
            if let (0, Some(Reset::WindowEndsIn(end))) = (remaining, seen.reset) {
                limiter.pause_limit(index, end);
            }
        }
        if let Some(length) = self.retry_after {
            limiter.pause_for(length);
        }
    }

    /// Takes one header in, or passes it over; `None` if it belongs here and cannot be read.
    fn take(&mut self, name: &str, value: &str, now: SystemTime) -> Option<()> {
        match name {
            "retry-after" => {
                let length =
                    dates::seconds(value).or_else(|| dates::until_http_date(value, now))?;
                self.retry(length);
            }
            "retry-after-ms" => self.retry(dates::milliseconds(value)?),
            "ratelimit" => {
                for (policy, remaining, reset) in draft::limits(value)? {
                    let limit = self.limit(&policy);
                    limit.remaining = Some(remaining);
                    limit.reset = reset.map(Reset::WindowEndsIn).or(limit.reset);
                }
            }
            "ratelimit-policy" => {
                for (policy, quota) in draft::policies(value)? {
                    self.limit(&policy).limit = Some(quota);
                }
            }
            _ => return self.take_field(name, value, now),
        }
        Some(())
    }

    fn take_field(&mut self, name: &str, value: &str, now: SystemTime) -> Option<()> {
        if let Some(rest) = name.strip_prefix("anthropic-ratelimit-") {
            let (limit, field) = rest.rsplit_once('-')?;
            let Some(field) = field_named(field) else { return Some(()) };
            let full = |value: &str| dates::until_rfc3339(value, now).map(Reset::FullIn);
            return self.set(limit, &field, value, full);
        }
        let bare = name.strip_prefix("x-").unwrap_or(name);
        let Some(rest) = bare.strip_prefix("ratelimit-") else { return Some(()) };
        let (field, limit) = rest.split_once('-').unwrap_or((rest, ""));
        let Some(field) = field_named(field) else { return Some(()) };
        if limit.is_empty() {
            // The older draft puts the windows behind the number: `100, 100;w=60`.
            let number = value.split([',', ';']).next().unwrap_or(value).trim();
            let ends = |value: &str| dates::seconds_or_epoch(value, now).map(Reset::WindowEndsIn);
            return self.set(limit, &field, number, ends);
        }
        self.set(limit, &field, value, |value| dates::go_duration(value).map(Reset::FullIn))
    }

    fn set(
        &mut self,
        name: &str,
        field: &Field,
        value: &str,
        reset: impl FnOnce(&str) -> Option<Reset>,
    ) -> Option<()> {
        match field {
            Field::Limit => self.limit(name).limit = Some(value.parse().ok()?),
            Field::Remaining => self.limit(name).remaining = Some(value.parse().ok()?),
            Field::Reset => self.limit(name).reset = Some(reset(value)?),
        }
        Some(())
    }

    /// Of two answers to "when again" the later one is the safe one.
    fn retry(&mut self, length: Duration) {
        self.retry_after = Some(self.retry_after.map_or(length, |known| known.max(length)));
    }

    fn limit(&mut self, name: &str) -> &mut HeaderLimit {
        let known = self.limits.iter().position(|limit| same_name(&limit.name, name));
        let index = known.unwrap_or_else(|| {
            self.limits.push(HeaderLimit { name: name.to_lowercase(), ..HeaderLimit::default() });
            self.limits.len() - 1
        });
        &mut self.limits[index]
    }
}

fn field_named(name: &str) -> Option<Field> {
    Some(match name {
        "limit" => Field::Limit,
        "remaining" => Field::Remaining,
        "reset" => Field::Reset,
        _ => return None,
    })
}

fn same_name(a: &str, b: &str) -> bool {
    let letters = |name: &str| {
        name.bytes()
            .map(|c| if c == b'_' { b'-' } else { c.to_ascii_lowercase() })
            .collect::<Vec<_>>()
    };
    letters(a) == letters(b)
}
