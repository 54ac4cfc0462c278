//! `run`: does what is not done yet.

use std::error::Error;
use std::process::ExitCode;

use clap::Args;

use super::board::Board;
use super::plan::Plan;
use super::progress::Progress;
use super::{Outcome, Place, events, exit, signals};
use crate::options::{Admit, Halt, Options};
use crate::pipeline::Pipeline;
use crate::report::Report;
use crate::stop::Stop;
use crate::target::Target;

#[derive(Args, Clone, Debug, Default)]
pub(super) struct Run {
    /// Another number of workers for a stage; may be given several times
    #[arg(long, value_name = "STAGE=N", value_parser = workers)]
    workers: Vec<(String, usize)>,
    /// Run only this stage and what it needs; may be given several times
    #[arg(long, value_name = "STAGE")]
    only: Vec<String>,
    /// Take only the first N items of each source, to try a pipeline out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Stop starting steps once so many have failed
    #[arg(long, value_name = "N")]
    halt_after: Option<u64>,
    /// Show what would run and why, and change nothing: as `plan` does
    #[arg(long = "dry-run")]
    dry: bool,
    /// Print what happens as JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// What is to be run, in which run, and what comes after it.
pub(super) struct Job<'j, R: Target> {
    pub(super) pipeline: Pipeline,
    pub(super) target: R,
    pub(super) place: &'j Place,
    /// Called with the report of a run that has an output.
    pub(super) finish: Finish<'j, R::Output>,
}

pub(super) type Finish<'j, T> = Box<dyn FnOnce(&Report<T>) -> Result<(), Box<dyn Error>> + 'j>;

impl Run {
    /// With what `retry` has of its options.
    pub(super) fn of_retry(json: bool) -> Self {
        Run { json, ..Run::default() }
    }

    /// Runs only what `admit` lets through, if it is there.
    pub(super) fn go<R: Target>(self, job: Job<'_, R>, admit: Option<Admit>) -> Outcome {
        let Job { mut pipeline, target, place, finish } = job;
        if let Some(items) = self.limit {
            pipeline.graph.take(items as usize);
        }
        if self.dry {
            let wires = pipeline.target(target.wires());
            return Plan { only: self.only, json: self.json }.go(pipeline, &wires, place);
        }
        let (name, stop) = (pipeline.name.clone(), Stop::new());
        let progress = Progress::start(Board::new(&pipeline.graph), self.json);
        signals::install(&stop, progress.say());
        let options = Options::new(&place.root, place.run()?.clone()).stop(stop);
        let options = self.apply(options).observe(progress.observer()).admit(admit);
        let report = pipeline.run(target, &options);
        drop(progress); // its last look, before anything else is said
        let report = report?;
        if self.json {
            events::report(&report);
        } else {
            eprintln!("{name}: {report}");
        }
        if report.output.is_some()
            && let Err(error) = finish(&report)
        {
            return Ok(exit::complain(&name, &error, exit::ERROR));
        }
        Ok(ExitCode::from(exit::of_report(&report)))
    }

    fn apply(&self, mut options: Options) -> Options {
        if let Some(failures) = self.halt_after {
            options = options.halt(Halt::after(failures));
        }
        for (stage, workers) in &self.workers {
            options = options.workers(stage, *workers);
        }
        for stage in &self.only {
            options = options.only(stage);
        }
        options
    }
}

fn workers(text: &str) -> Result<(String, usize), String> {
    let (stage, number) = text.split_once('=').ok_or("write it as STAGE=N, as in `audio=8`")?;
    match number.parse() {
        Ok(workers) if workers > 0 => Ok((stage.to_string(), workers)),
        _ => Err(format!("`{number}` is no number of workers: 1 or more")),
    }
}
