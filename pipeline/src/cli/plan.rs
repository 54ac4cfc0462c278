//! `plan`: what would run and why, what that would take and cost; changes nothing.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::forecast::{Forecast, Reason, StageForecast, Step, forecast};
use super::pace::{Guess, Pace};
use super::table::{Table, figures, words};
use super::{Outcome, Place, exit, human};
use crate::engine;
use crate::error::RunError;
use crate::inputs::Wire;
use crate::look::{Life, Look};
use crate::options::Options;
use crate::pipeline::Pipeline;

/// So many items of a reason are named; JSON has all.
const ITEMS_SHOWN: usize = 3;

#[derive(Args, Clone, Debug, Default)]
pub(super) struct Plan {
    /// Plan only this stage and what it needs; may be given several times
    #[arg(long, value_name = "STAGE")]
    pub(super) only: Vec<String>,
    /// Print JSON, with every step that would run
    #[arg(long)]
    pub(super) json: bool,
}

/// What is known of a run that is to be planned.
struct Known<'k> {
    run: &'k str,
    found: Option<Look>,
    forecast: Forecast,
    guesses: Vec<Guess>,
}

impl Plan {
    /// Reads the deck, and looks up every step of it.
    pub(super) fn go(self, pipeline: Pipeline, target: &[Wire], place: &Place) -> Outcome {
        let run = place.run()?;
        let found = match Look::at(&place.root, run) {
            Ok(look) => Some(look),
            Err(RunError::NoSuchRun { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let made_by = found.as_ref().and_then(Look::record).map(|record| record.pipeline.clone());
        if let Some(other) = made_by.filter(|other| *other != pipeline.name) {
            let (run, wanted) = (run.as_str().to_string(), pipeline.name);
            return Err(RunError::OtherPipeline { run, found: other, wanted }.into());
        }
        let mut options = Options::new(&place.root, run.clone());
        for stage in &self.only {
            options = options.only(stage);
        }
        let mut graph = pipeline.graph;
        let target = engine::settle_options(&mut graph, target, &options)?;
        let mut guesses = Pace::default();
        let (forecast, graph) =
            forecast(&pipeline.name, run.as_str(), graph, &target, found.as_ref(), &mut guesses)?;
        let guesses = guesses.guesses(&graph, &forecast.stages, found.as_ref())?;
        let known = Known { run: run.as_str(), found, forecast, guesses };
        let mut out = exit::out();
        if self.json {
            writeln!(out, "{}", known.as_json())?;
        } else {
            known.tell(&mut out)?;
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Known<'_> {
    fn tell(&self, out: &mut impl Write) -> io::Result<()> {
        let sum = |of: fn(&StageForecast) -> u64| self.forecast.stages.iter().map(of).sum::<u64>();
        let (run, reused) = (sum(|stage| stage.run), sum(|stage| stage.reused));
        let more = self.forecast.stages.iter().any(|stage| stage.more);
        let steps = human::count(run, "step");
        if run == 0 {
            return writeln!(out, "run {}: nothing to do, {reused} kept", self.run);
        }
        let at_least = if more { "at least " } else { "" };
        writeln!(out, "run {}: {at_least}{steps} to run, {reused} kept\n", self.run)?;
        writeln!(out, "{}", self.table())?;
        let slowest = self.guesses.iter().filter_map(|guess| guess.takes).max();
        let costs: Vec<f64> = self.guesses.iter().filter_map(|guess| guess.costs_usd).collect();
        let spent = costs.iter().sum::<f64>();
        if let Some(slowest) = slowest.filter(|slowest| *slowest >= Duration::from_secs(1)) {
            write!(out, "\nat least {}, for the slowest stage", human::span(slowest))?;
            if spent > 0.0 {
                write!(out, "; about {} by what steps cost so far", human::usd(spent))?;
            }
            writeln!(out)?;
        } else if spent > 0.0 {
            writeln!(out, "\nabout {}, by what steps cost so far", human::usd(spent))?;
        }
        self.doubts(out)
    }

    fn table(&self) -> Table {
        let mut table = Table::new([
            words("stage"),
            figures("run"),
            figures("kept"),
            figures("takes"),
            figures("costs"),
            words("why"),
        ]);
        for (stage, guess) in self.forecast.stages.iter().zip(&self.guesses) {
            let dash = || "-".to_string();
            let run = match (stage.run, stage.more) {
                (0, false) => dash(),
                (run, more) => format!("{run}{}", if more { "+" } else { "" }),
            };
            let reused = if stage.reused == 0 { dash() } else { stage.reused.to_string() };
            let takes = guess.takes.filter(|takes| takes.as_millis() > 0);
            let takes = takes.map_or_else(dash, human::span);
            let costs = guess.costs_usd.filter(|usd| *usd > 0.0).map_or_else(dash, human::usd);
            let mut why = self.reasons(stage).into_iter();
            let first = why.next().unwrap_or_default();
            table.row([stage.name.clone(), run, reused, takes, costs, first]);
            for next in why {
                let blank = String::new;
                table.row([blank(), blank(), blank(), blank(), blank(), next]);
            }
        }
        table
    }

    /// `2 input `style` changed: s0, s1`, one for each reason.
    fn reasons(&self, stage: &StageForecast) -> Vec<String> {
        let mut reasons: Vec<(&Reason, Vec<&str>)> = Vec::new();
        for step in self.forecast.steps.iter().filter(|step| step.stage == stage.id) {
            match reasons.iter_mut().find(|(reason, _)| *reason == &step.reason) {
                Some((_, items)) => items.push(step.item.shown()),
                None => reasons.push((&step.reason, vec![step.item.shown()])),
            }
        }
        reasons.sort();
        let mut said: Vec<String> =
            reasons.iter().map(|(reason, items)| named(&self.said(reason), items)).collect();
        if stage.more {
            said.push("its items come of a list that is to be made".to_string());
        }
        said
    }

    fn said(&self, reason: &Reason) -> String {
        match reason {
            Reason::InDoubt if self.is_running() => "in flight".into(),
            Reason::InDoubt => "in doubt".into(),
            Reason::Failed => "failed last time".into(),
            Reason::File(what) => what.clone(),
            Reason::Version { from, to } => format!("version {to}, was {from}"),
            Reason::Input(names) => format!("input {names} changed"),
            Reason::New => "new".into(),
            Reason::Behind => "if what it needs comes out otherwise".into(),
        }
    }

    fn is_running(&self) -> bool {
        matches!(self.found.as_ref().map(Look::life), Some(Life::Running { .. }))
    }

    /// What may have been paid for already.
    fn doubts(&self, out: &mut impl Write) -> io::Result<()> {
        if self.is_running() {
            return Ok(());
        }
        let doubts: Vec<&Step> =
            self.forecast.steps.iter().filter(|step| step.reason == Reason::InDoubt).collect();
        if doubts.is_empty() {
            return Ok(());
        }
        let cost = |step: &&Step| {
            let guess = self.forecast.stages.iter().zip(&self.guesses);
            guess.filter(|(stage, _)| stage.id == step.stage).find_map(|(_, guess)| guess.each_usd)
        };
        let spent: f64 = doubts.iter().filter_map(cost).sum();
        let steps = human::count(doubts.len() as u64, "step");
        write!(out, "\n{steps} in doubt: begun, and may have been paid for")?;
        if spent > 0.0 {
            write!(out, "; again that is about {}", human::usd(spent))?;
        }
        writeln!(out, ". `status` lists the idempotency keys")
    }

    fn as_json(&self) -> Value {
        let stages = self.forecast.stages.iter().zip(&self.guesses).map(|(stage, guess)| {
            json!({
                "name": stage.name, "run": stage.run, "kept": stage.reused,
                "more": stage.more, "takes_s": guess.takes.map(|takes| takes.as_secs_f64()),
                "costs_usd": guess.costs_usd,
            })
        });
        let name = |id| self.forecast.stages.iter().find(|s| s.id == id).map(|s| &*s.name);
        let steps = self.forecast.steps.iter().map(|step| {
            let why = match &step.reason {
                Reason::InDoubt => "in_doubt",
                Reason::Failed => "failed",
                Reason::File(_) => "file",
                Reason::Version { .. } => "version",
                Reason::Input(_) => "input",
                Reason::New => "new",
                Reason::Behind => "behind",
            };
            let said = self.said(&step.reason);
            json!({
                "stage": name(step.stage), "item": step.item.shown(), "why": why, "said": said,
            })
        });
        json!({
            "run": self.run, "stages": stages.collect::<Vec<_>>(),
            "steps": steps.collect::<Vec<_>>(),
        })
    }
}

/// A reason with the first of its items.
fn named(reason: &str, items: &[&str]) -> String {
    let items: Vec<String> =
        items.iter().filter(|item| !item.is_empty()).map(|i| human::line(i)).collect();
    if items.is_empty() {
        reason.to_string()
    } else {
        format!("{reason}: {}", human::some(&items, ITEMS_SHOWN))
    }
}
