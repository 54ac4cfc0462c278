//! Ours beside SQLite (WAL, synchronous=FULL), redb, fjall and the textbook's design.
//!
//! Everybody does the same: one node of 200 bytes is saved under its name and is on the disk when
//! the call returns. The limit is the disk's own: 270 bytes appended and `fdatasync`. What ours does
//! besides: several processes share a run (redb and fjall lock them out), a log that people can
//! read. What it does not: transactions that read, queries, keys larger than memory.

#[path = "../checkpoint/contests.rs"]
mod contests;
#[path = "../checkpoint/stores.rs"]
mod stores;

use peers::{Bars, Settings};

fn main() {
    // A child of the contest between processes.
    if let Some(task) = std::env::args().skip_while(|a| a != "--child").nth(1) {
        return contests::child(&task);
    }
    let settings = Settings::from_args();
    let mut bars = Bars::new("checkpoint");
    // `--only <part>` runs one of them.
    let only = std::env::args().skip_while(|a| a != "--only").nth(1);
    let asked = |part: &str| only.as_ref().is_none_or(|only| only == part);
    if asked("flat") {
        contests::flat(&settings, &mut bars);
    }
    if asked("one") {
        contests::one_thread(&settings, &mut bars);
    }
    if asked("eight") {
        contests::eight_threads(&settings, &mut bars);
    }
    if asked("processes") {
        contests::four_processes(&settings);
    }
    if asked("opening") {
        contests::opening(&settings, &mut bars);
    }
    if asked("textbook") {
        contests::textbook_in_rust(&settings);
        contests::textbook_in_python(&settings);
    }
    bars.finish();
}
