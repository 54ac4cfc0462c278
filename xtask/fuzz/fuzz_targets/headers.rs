//! Any headers of a response to `ratelimit`, and dates in every form.
#![no_main]

#[path = "../../../ratelimit/tests/any_headers/body.rs"]
mod body;

use libfuzzer_sys::fuzz_target;

#[derive(arbitrary::Arbitrary, Debug)]
struct Input<'a> {
    headers: Vec<(u8, &'a str, &'a str)>,
    now: u32,
    date: u64,
}

fuzz_target!(|input: Input<'_>| {
    body::check(&input.headers, input.now.into());
    body::dates_come_back(input.date, input.now.into());
});
