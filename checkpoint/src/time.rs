//! Times as the log writes them: UTC, RFC 3339.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// `2026-11-24T22:43:00.123456789Z`. A clock outside of the years that RFC 3339 can name is
/// clamped.
pub(crate) fn format(time: SystemTime) -> String {
    let timestamp = Timestamp::try_from(time).unwrap_or_else(|_| {
        if time < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX }
    });
    timestamp.to_string()
}

/// The time that a log or a textbook checkpoint names, if it is one.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    SystemTime::try_from(text.parse::<Timestamp>().ok()?).ok()
}

/// Nanoseconds since 1970, clamped to the years 1677 to 2262.
pub(crate) fn to_nanos(time: SystemTime) -> i64 {
    let (after, span) = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(span) => (true, span),
        Err(before) => (false, before.duration()),
    };
    let nanos = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    if after { nanos } else { -nanos }
}

/// The time that [`to_nanos`] came from.
pub(crate) fn from_nanos(nanos: i64) -> SystemTime {
    let span = Duration::from_nanos(nanos.unsigned_abs());
    if nanos < 0 { SystemTime::UNIX_EPOCH - span } else { SystemTime::UNIX_EPOCH + span }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    #[test]
    fn what_rfc_3339_cannot_name_is_clamped_to_its_end() {
        let far = Duration::from_secs(1 << 40);
        let text = super::format(SystemTime::UNIX_EPOCH + far);
        assert!(text.starts_with("9999-12-30"), "{text}");
        let text = super::format(SystemTime::UNIX_EPOCH - far);
        assert!(text.starts_with("-009999-01-02"), "{text}");
    }

    #[test]
    fn a_time_comes_back_to_the_nanosecond() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_795_560_180, 123_456_789);
        let text = super::format(time);
        assert_eq!(text, "2026-11-24T22:43:00.123456789Z");
        assert_eq!(super::parse(&text), Some(time));
        assert_eq!(super::parse("yesterday"), None);
        for time in [time, SystemTime::UNIX_EPOCH - Duration::new(3, 7)] {
            assert_eq!(super::from_nanos(super::to_nanos(time)), time);
        }
    }
}
