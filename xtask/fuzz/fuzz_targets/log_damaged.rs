//! A log that `checkpoint` made, then damaged in one place.
#![no_main]

#[path = "../../../checkpoint/tests/any_log/damaged.rs"]
mod damaged;
#[path = "folder.rs"]
mod folder;

use damaged::{Damage, check};
use libfuzzer_sys::fuzz_target;

#[derive(arbitrary::Arbitrary, Debug)]
struct Input {
    steps: Vec<u8>,
    at: u16,
    old: u8,
    new: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let steps = &input.steps[..input.steps.len().min(16)];
    let damage = Damage { at: input.at.into(), old: input.old.into(), new: input.new };
    folder::with(|root| check(root, steps, &damage));
});
