//! A slide deck becomes a narrated video.

fn main() {}
