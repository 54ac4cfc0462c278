//! `pipeline` beside what people use for the same: what a step costs that does nothing.
//!
//! Everybody takes a list of items through a step that adds one, eight at a time. What is kept of it
//! differs, and stands in the entry's name: ours records each step's start and its result under a key
//! of everything that it was made of, so that a run that was killed goes on, and pays nothing twice.
//! Nobody else here does; the tables say what that costs.

#[path = "../pipeline/contests.rs"]
mod contests;
#[path = "../pipeline/peers.rs"]
mod others;

use peers::{Bars, Settings};

fn main() {
    let settings = Settings::from_args();
    let mut bars = Bars::new("pipeline");
    // `--only <part>` runs one of them.
    let only = std::env::args().skip_while(|a| a != "--only").nth(1);
    let asked = |part: &str| only.as_ref().is_none_or(|only| only == part);
    if asked("memory") {
        contests::in_memory(&settings, &mut bars);
    }
    if asked("disk") {
        contests::on_disk(&settings, &mut bars);
    }
    if asked("resume") {
        contests::found_again(&settings, &mut bars);
    }
    if asked("limit") {
        contests::under_a_limit(&settings, &mut bars);
    }
    bars.finish();
}
