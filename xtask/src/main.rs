//! Every command that a maintainer needs.

fn main() {}
