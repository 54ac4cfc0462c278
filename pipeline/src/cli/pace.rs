//! How long what a forecast counts would take, and what it would cost, as far as it can be said.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::forecast::StageForecast;
use crate::error::RunError;
use crate::gate::{Foreseen, Gate};
use crate::graph::Graph;
use crate::inputs::Given;
use crate::look::Look;

/// So many places in a limiter's line tell how long more would take; so many records, how long a
/// call takes and what it costs.
const SAMPLE: usize = 1_000;

/// Costs of steps that are to run, by stage.
#[derive(Default)]
pub(super) struct Pace {
    lines: BTreeMap<usize, Line>,
}

struct Line {
    gate: Arc<dyn Gate>,
    /// What each step that could be told was given: places are taken in the end, stage by stage.
    given: Vec<Vec<Given>>,
}

/// Of one stage.
#[derive(Clone, Copy, Default)]
pub(super) struct Guess {
    /// At least, under its limits; of its calls so far if those take longer.
    pub(super) takes: Option<Duration>,
    pub(super) costs_usd: Option<f64>,
    /// Of one step, as they have been so far.
    pub(super) each_usd: Option<f64>,
}

impl Pace {
    /// Whether more steps of the stage would tell more.
    pub(super) fn wants(&self, stage: usize) -> bool {
        self.lines.get(&stage).is_none_or(|line| line.given.len() < SAMPLE)
    }

    /// A step of the stage is to run; its inputs, if they are all there.
    pub(super) fn takes(&mut self, stage: usize, gate: &Arc<dyn Gate>, given: Option<&[Given]>) {
        let new = || Line { gate: Arc::clone(gate), given: Vec::new() };
        self.lines.entry(stage).or_insert_with(new).given.extend(given.map(<[Given]>::to_vec));
    }

    /// For each stage of a forecast.
    pub(super) fn guesses(
        &self,
        graph: &Graph,
        stages: &[StageForecast],
        found: Option<&Look>,
    ) -> Result<Vec<Guess>, RunError> {
        stages.iter().map(|stage| self.guess(graph, stage, found)).collect()
    }

    fn guess(
        &self,
        graph: &Graph,
        stage: &StageForecast,
        found: Option<&Look>,
    ) -> Result<Guess, RunError> {
        if stage.run == 0 || stage.more {
            return Ok(Guess::default());
        }
        let mut guess = Guess { takes: self.under_limits(stage), ..Guess::default() };
        let Some(look) = found else { return Ok(guess) };
        let (mut steps, mut micros, mut usd) = (0_u64, 0_u64, 0.0);
        for step in look.steps(Some(&stage.name)).take(SAMPLE) {
            let ran = step?.record.ran;
            steps += 1;
            micros = micros.saturating_add(ran.ran_us);
            usd += ran.spent_usd;
        }
        if steps > 0 {
            let workers = (graph.stages[stage.id].settings.workers as u64).min(stage.run);
            let calls = micros as f64 / 1e6 / steps as f64 * stage.run as f64 / workers as f64;
            let calls = Duration::try_from_secs_f64(calls).unwrap_or(Duration::MAX);
            guess.takes = Some(guess.takes.unwrap_or_default().max(calls));
            guess.each_usd = Some(usd / steps as f64);
            guess.costs_usd = Some(usd / steps as f64 * stage.run as f64);
        }
        Ok(guess)
    }

    /// When the last call would begin, if each began as early as its limiter lets it.
    fn under_limits(&self, stage: &StageForecast) -> Option<Duration> {
        let line = self.lines.get(&stage.id)?;
        // This process is alone with its limiters: nobody is put off.
        let places: Vec<Box<dyn Foreseen + '_>> =
            line.given.iter().filter_map(|given| line.gate.foresee(given)).collect();
        let last = places.last()?.due_in();
        let times = stage.run as f64 / places.len() as f64;
        Some(Duration::try_from_secs_f64(last.as_secs_f64() * times).unwrap_or(Duration::MAX))
    }
}
