//! Any headers and any date: what the fuzzer drives for hours, here for a moment.

#[path = "any_headers/body.rs"]
mod body;

use proptest::prelude::*;

proptest! {
    #[test]
    fn any_headers_are_read_or_kept_apart(
        headers in prop::collection::vec(
            (any::<u8>(), "\\PC{0,12}", "[0-9a-zA-Z\";=,.:+ \\-]{0,30}|\\PC{0,20}"), 0..6,
        ),
        now: u32,
    ) {
        let headers: Vec<_> = headers.iter().map(|(w, name, value)| (*w, &**name, &**value)).collect();
        body::check(&headers, now.into());
    }

    #[test]
    fn dates_come_back_in_every_form(date: u64, days in -40_000_i64..40_000, second in 0_i64..86_400, now: u32) {
        body::dates_come_back(date, now.into());
        let near = i64::from(now) + days * 86_400 + second;
        body::dates_come_back(u64::try_from(near).unwrap_or(0), now.into());
    }
}
