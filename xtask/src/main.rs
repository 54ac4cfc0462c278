//! Every command that a maintainer of this workspace needs: `cargo xtask --help` lists them.
//!
//! One file per command; [`shell`] runs programs and says what failed.

mod bench;
mod chaos;
mod ci;
mod fuzz;
mod licences;
mod loom;
mod mutants;
mod report;
mod shell;
mod tidy;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The crates that are model-checked, in the order in which they are shown.
const PRIMITIVES: [&str; 4] = ["checkpoint", "workqueue", "ratelimit", "threadlocal"];

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Every command that a maintainer of this workspace needs")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The gate: everything that must hold before a change lands
    Ci(ci::Arguments),
    /// What no compiler checks: the map of files, comments at atomics, mutants with their models
    Tidy,
    /// Model checking: every interleaving of the primitives' cores that loom can reach
    Loom(loom::Arguments),
    /// criterion benches, and ours beside theirs with --peers
    Bench(bench::Arguments),
    /// Random searches for minutes: processes killed, schedules compared, threads by the million
    Chaos(chaos::Arguments),
    /// The simulated disk of `checkpoint`: crash at every call, in every way, and look
    Crash(chaos::CrashArguments),
    /// libFuzzer over what reads other people's bytes: logs, headers
    Fuzz(fuzz::Arguments),
    /// cargo-mutants over one crate, with what survives and why
    Mutants(mutants::Arguments),
    /// Licences and sources of all dependencies, against deny.toml
    Licences,
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<()> {
    std::env::set_current_dir(shell::root())?;
    match command {
        Command::Ci(arguments) => ci::run(arguments),
        Command::Tidy => tidy::run(),
        Command::Loom(arguments) => loom::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
        Command::Fuzz(arguments) => fuzz::run(arguments),
        Command::Mutants(arguments) => mutants::run(arguments),
        Command::Chaos(arguments) => chaos::run(arguments),
        Command::Crash(arguments) => chaos::crash(arguments),
        Command::Licences => licences::run(),
    }
}
