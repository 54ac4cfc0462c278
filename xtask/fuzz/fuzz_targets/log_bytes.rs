//! Any bytes as a log of `checkpoint`, as they are or with their checksums made right.
#![no_main]

#[path = "../../../checkpoint/tests/any_log/bytes.rs"]
mod bytes;
#[path = "folder.rs"]
mod folder;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    folder::with(|root| match input.split_first() {
        Some((b'[', _)) => bytes::check(root, input),
        Some((_, log)) => bytes::check(root, &bytes::with_checksums(log, 7)),
        None => bytes::check(root, input),
    });
});
