//! The tests' random searches, for minutes instead of seconds: real processes killed, disks crashed,
//! schedules compared. Each prints what it tried; a failure names what repeats it.

use crate::shell;
use anyhow::{Result, bail};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which crate's searches; all without it
    krate: Option<String>,
    /// How much, instead of each search's own amount: rounds, seconds, schedules, threads, items
    #[arg(long)]
    amount: Option<u64>,
    /// As little as `cargo test` does
    #[arg(long, conflicts_with = "amount")]
    quick: bool,
}

#[derive(clap::Args)]
pub(crate) struct CrashArguments {
    /// How many distinct disks to try
    #[arg(long, default_value_t = 100_000)]
    states: u64,
}

/// A test that takes its size from the environment.
struct Search {
    krate: &'static str,
    what: &'static str,
    /// The test's program, and the part of its name that chooses it.
    test: &'static str,
    variable: &'static str,
    amount: u64,
}

const CRASH: Search = Search {
    krate: "checkpoint",
    what: "distinct disks after a crash at every call",
    test: "--lib sim::crash",
    variable: "RATCHET_CRASH_STATES",
    amount: 100_000,
};

const SEARCHES: [Search; 6] = [
    Search {
        krate: "checkpoint",
        what: "rounds of 4 processes of 8 threads, killed at random",
        test: "--test processes nothing_acknowledged",
        variable: "RATCHET_CHAOS_ROUNDS",
        amount: 500,
    },
    Search {
        krate: "workqueue",
        what: "seconds of random panics, delays, cancels and closes under a watchdog",
        test: "--test chaos",
        variable: "RATCHET_CHAOS_SECONDS",
        amount: 300,
    },
    Search {
        krate: "ratelimit",
        what: "random schedules against an exact reference",
        test: "--test schedules random",
        variable: "RATCHET_CHAOS_SCHEDULES",
        amount: 10_000_000,
    },
    Search {
        krate: "threadlocal",
        what: "threads that come and go, memory flat",
        test: "--test many_threads",
        variable: "RATCHET_CHAOS_THREADS",
        amount: 1_000_000,
    },
    Search {
        krate: "pipeline",
        what: "runs killed at random times until they are done",
        test: "--test killed random_times",
        variable: "RATCHET_CHAOS_ROUNDS",
        amount: 1_000,
    },
    Search {
        krate: "pipeline",
        what: "items through three stages in bounded memory",
        test: "--test many",
        variable: "RATCHET_ITEMS",
        amount: 1_000_000,
    },
];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let chosen = |search: &&Search| arguments.krate.as_deref().is_none_or(|k| k == search.krate);
    let searches: Vec<&Search> = SEARCHES.iter().filter(chosen).collect();
    if searches.is_empty() {
        bail!("no searches for {}", arguments.krate.as_deref().unwrap_or_default());
    }
    for search in searches {
        let amount = arguments.amount.unwrap_or(search.amount);
        start(search, (!arguments.quick).then_some(amount))?;
    }
    Ok(())
}

pub(crate) fn crash(arguments: &CrashArguments) -> Result<()> {
    start(&CRASH, Some(arguments.states))
}

/// With the test's own amount if none is given.
fn start(search: &Search, amount: Option<u64>) -> Result<()> {
    let Search { krate, what, test, variable, .. } = search;
    let mut cargo = shell::cargo_with("test --release --package");
    cargo.arg(krate).args(test.split(' ')).args(["--", "--nocapture"]);
    match amount {
        Some(amount) => {
            println!("== {krate}: {amount} {what}");
            cargo.env(variable, amount.to_string());
        }
        None => println!("== {krate}: a few {what}"),
    }
    shell::run(&mut cargo)
}
