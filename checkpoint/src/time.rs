//! Times as the log writes them: UTC, RFC 3339.

use std::time::SystemTime;

use jiff::Timestamp;

/// `2026-11-24T22:43:00.123456789Z`. A clock outside of the years that RFC 3339 can name is clamped.
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_time_comes_back_to_the_nanosecond() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_795_560_180, 123_456_789);
        let text = super::format(time);
        assert_eq!(text, "2026-11-24T22:43:00.123456789Z");
        assert_eq!(super::parse(&text), Some(time));
        assert_eq!(super::parse("yesterday"), None);
    }
}
