//! Coming from another limiter, or from none: a page of the documentation, without items.
#![doc = ""]
#![doc = include_str!("../docs/moving.md")]
