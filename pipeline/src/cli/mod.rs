//! The command line of a pipeline: [`Pipeline::main`] for a program that is nothing else,
//! [`Command`] for one with arguments of its own.
//!
//! ```no_run
//! use clap::Parser;
//!
//! #[derive(Parser)]
//! struct Args {
//!     /// The deck to be made into a film.
//!     #[arg(long, global = true, default_value = "deck.md")]
//!     deck: std::path::PathBuf,
//!     #[command(flatten)]
//!     command: pipeline::cli::Command,
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     let args = Args::parse();
//!     let mut p = pipeline::Pipeline::new("narrated-slides");
//!     let deck = p.value("deck", args.deck.display().to_string());
//!     let film = p.each("film", deck).run(|_, _, deck| Ok(format!("a film of {deck}")));
//!     p.command(film, args.command)
//! }
//! ```
//!
//! | command | what it does |
//! |---|---|
//! | `run` (default) | does what is not done yet |
//! | `plan` | says what would run and why, what it takes and costs as far as that can be said |
//! | `status` | counts of each stage, and the calls in doubt after a kill |
//! | `failures [STAGE]` | causes, attempts, cost |
//! | `retry [STAGE [ITEM..]]` | runs what failed and what depends on it, nothing else |
//! | `results [STAGE..]` | what is recorded, as a table or with `--jsonl` whole |
//! | `verify` | reads every byte of checkpoint and artefacts; names damage and its remedy |
//! | `graph` | stages with their counts, as `--mermaid` or `--dot` |
//! | `report` | one page of HTML to look at: stages, timeline, failures |
//! | `trace` | what each worker did and when, as Chrome's trace events: a file for Perfetto |
//! | `export --joblog` | what ended, in the columns of GNU parallel's job log |
//!
//! Options of `run`: `--workers STAGE=N`, `--only STAGE`, `--limit N` (items of each source),
//! `--halt-after N`, `--dry-run`. Most commands take `--json`; `status` takes `--watch`. `verify`
//! takes `--salvage`: of a damaged checkpoint it keeps every record that still verifies, and the
//! old file aside.
//!
//! Where runs lie is `--root` (default `workspace/runs`), which of them is `--run` (default: the
//! pipeline's name). `status`, `failures`, `results`, `verify`, `graph`, `report`, `trace` and `export`
//! take no lock, make nothing and pull no item, `--salvage` excepted; `plan` pulls all items and makes
//! nothing.
//!
//! `run` shows a line for each stage on a terminal, and off it a plain line when a stage is over
//! and every 10 s; both go to standard error. Its `--json` events go to standard output: names,
//! counts, times and the causes of failures, never a value or an input. Everything else prints to
//! standard output, and a reader that leaves early (`results | head`) is no error.
//!
//! Steps that failed are tried again by the next `run`, whatever else it does. `retry` leaves
//! everything else that is missing as it is: new items, changed ones, those that never ran.
//!
//! Exit codes: 0 all done, 1 error (of `verify`: damage), 2 usage (an argument, a stage or a run
//! that is not there), 3 finished with failures, 5 halted, 75 the run is in use, 130 interrupted.

mod axis;
mod board;
mod events;
mod exit;
mod export;
mod failures;
mod forecast;
mod graph;
mod human;
mod pace;
mod page;
mod plan;
mod progress;
mod report;
mod results;
mod retry;
mod run;
mod signals;
mod status;
mod table;
mod timeline;
mod trace;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use checkpoint::RunId;
use clap::{ArgMatches, Args, FromArgMatches, Parser, Subcommand};

use crate::error::RunError;
use crate::pipeline::Pipeline;
use crate::report::Report;
use crate::target::Target;

type Outcome = Result<ExitCode, exit::Trouble>;

/// The subcommands, and which run they are about. Flatten it into a parser:
/// `#[command(flatten)] command: Command`. Without a subcommand it is `run`.
#[derive(Clone, Debug)]
pub struct Command(Parts);

// No doc comments on what is flattened: clap would take them for the program's own description.
#[derive(Args, Clone, Debug)]
struct Parts {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    what: Option<What>,
}

// Which run.
#[derive(Args, Clone, Debug)]
struct Place {
    /// Where runs are kept, each in a folder of its own
    #[arg(long, global = true, value_name = "DIR", default_value = "workspace/runs")]
    root: PathBuf,
    /// The run's name; the same name continues the same run [default: the pipeline's name]
    #[arg(long = "run", global = true, value_name = "ID", value_parser = run_id)]
    run: Option<RunId>,
}

#[derive(Subcommand, Clone, Debug)]
enum What {
    /// Run what is not done yet (default)
    Run(run::Run),
    /// Show what would run and why; changes nothing
    Plan(plan::Plan),
    /// Show how far a run is, live or dead; takes no lock
    Status(status::Status),
    /// Show what failed, why, and after how many attempts
    Failures(failures::Failures),
    /// Run what failed and what depends on it, nothing else (`run` tries it again, too)
    Retry(retry::Retry),
    /// Print what is recorded
    Results(results::Results),
    /// Check every byte of the checkpoint and of every artefact
    Verify(verify::Verify),
    /// Draw the stages, and how far each is
    Graph(graph::Graph),
    /// Print one page of HTML to look at: stages, timeline, failures
    Report,
    /// Print what each worker did and when, as Chrome's trace events, for ui.perfetto.dev
    Trace,
    /// Print the run in another tool's format
    Export(export::Export),
}

fn run_id(text: &str) -> Result<RunId, String> {
    RunId::new(text).map_err(|error| error.to_string())
}

/// Runs the pipeline; what is recorded does not run again. Or looks at a run, live or dead.
#[derive(Parser)]
struct Program {
    #[command(flatten)]
    command: Command,
}

impl Command {
    /// Another default for `--run` than the pipeline's name.
    #[must_use]
    pub fn default_run(mut self, run: RunId) -> Self {
        self.0.place.run.get_or_insert(run);
        self
    }

    /// Where runs are kept: `--root`.
    pub fn root(&self) -> &std::path::Path {
        &self.0.place.root
    }

    /// Whether this is `run`: whether anything will be called and made.
    pub fn is_run(&self) -> bool {
        matches!(self.0.what, None | Some(What::Run(_) | What::Retry(_)))
    }
}

impl FromArgMatches for Command {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Parts::from_arg_matches(matches).map(Command)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl Args for Command {
    fn augment_args(parser: clap::Command) -> clap::Command {
        Parts::augment_args(parser)
    }

    fn augment_args_for_update(parser: clap::Command) -> clap::Command {
        Parts::augment_args_for_update(parser)
    }
}

impl Pipeline {
    /// The whole program: parses the process's arguments, does what they say, prints what there is
    /// to say, and gives the exit code. Blocks until that is done.
    ///
    /// Ends the process for `--help` and for arguments that cannot be parsed (exit code 2), as clap
    /// does.
    ///
    /// # Panics
    /// If the target is another pipeline's node.
    pub fn main<R: Target>(self, target: R) -> ExitCode {
        let command = Program::parse().command;
        self.command(target, command)
    }

    /// Does what an already parsed command says, and blocks until that is done.
    ///
    /// Installs handlers for SIGINT, SIGTERM and SIGHUP when it runs the pipeline: the first signal
    /// stops the run in order, the second ends the process at once.
    ///
    /// # Panics
    /// If the target is another pipeline's node.
    pub fn command<R: Target>(self, target: R, command: Command) -> ExitCode {
        self.command_then(target, command, |_| Ok(()))
    }

    /// [`command`](Pipeline::command), and then `finish` with the report of a run that has an
    /// output: to copy the film out of the run's folder, say. An error of it is the program's.
    ///
    /// # Panics
    /// If the target is another pipeline's node.
    pub fn command_then<R: Target>(
        self,
        target: R,
        command: Command,
        finish: impl FnOnce(&Report<R::Output>) -> Result<(), Box<dyn std::error::Error>>,
    ) -> ExitCode {
        let name = self.name.clone();
        let Parts { place, what } = command.0;
        let place = match place.run {
            Some(_) => place,
            None => match RunId::new(&name) {
                Ok(run) => Place { run: Some(run), ..place },
                Err(error) => return exit::complain(&name, &error, exit::USAGE),
            },
        };
        let job = |pipeline, target| run::Job {
            pipeline,
            target,
            place: &place,
            finish: Box::new(finish),
        };
        let done = match what.unwrap_or_else(|| What::Run(run::Run::default())) {
            What::Run(run) => run.go(job(self, target), None),
            What::Plan(plan) => {
                let wires = self.target(target.wires());
                plan.go(self, &wires, &place)
            }
            What::Retry(retry) => retry.go(job(self, target)),
            What::Status(status) => status.go(&place),
            What::Failures(failures) => failures.go(&place),
            What::Results(results) => results.go(&place),
            What::Verify(verify) => verify.go(&place),
            What::Graph(graph) => {
                let wires = self.target(target.wires());
                graph.go(&self, &wires, &place)
            }
            What::Report => report::go(&place),
            What::Trace => trace::go(&place),
            What::Export(export) => export.go(&place),
        };
        done.unwrap_or_else(|trouble| trouble.complain(&name))
    }
}

impl Place {
    /// Set by [`Pipeline::command_then`] before anything else.
    fn run(&self) -> Result<&RunId, RunError> {
        self.run.as_ref().ok_or_else(|| RunError::Output { cause: "no run was named".into() })
    }
}
