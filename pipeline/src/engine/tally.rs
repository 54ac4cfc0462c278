//! What a run has done so far, counted.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::report::{Failure, StageReport};

/// A report lists so many failures; all of them are in the checkpoint.
const FAILURES_LISTED: usize = 1_000;

/// Under one lock, so that the figures of a look belong together.
pub(super) struct Tally(Mutex<Counts>);

#[derive(Clone, Default)]
pub(super) struct Counts {
    /// By stage.
    pub(super) stages: Vec<StageReport>,
    pub(super) failures: Vec<Failure>,
    pub(super) spent_usd: f64,
    /// By stage: steps that are known of.
    pub(super) steps: Vec<u64>,
    /// By scope: items that its fan-outs gave, and how many of its fan-outs have given all.
    pub(super) items: Vec<u64>,
    pub(super) closed: Vec<u64>,
}

impl Tally {
    pub(super) fn new(stages: impl Iterator<Item = String>, scopes: usize) -> Self {
        let stages: Vec<_> =
            stages.map(|name| StageReport { name, ..StageReport::default() }).collect();
        Tally(Mutex::new(Counts {
            steps: vec![0; stages.len()],
            stages,
            items: vec![0; scopes],
            closed: vec![0; scopes],
            ..Counts::default()
        }))
    }

    pub(super) fn ran(&self, stage: usize, spent_usd: f64) {
        let mut counts = self.lock();
        counts.stages[stage].ran += 1;
        counts.spent_usd += spent_usd;
    }

    pub(super) fn reused(&self, stage: usize) {
        self.lock().stages[stage].reused += 1;
    }

    pub(super) fn blocked(&self, stage: usize) {
        self.lock().stages[stage].blocked += 1;
    }

    /// Counts a failure; gives how many steps failed and ran in all stages.
    pub(super) fn failed(&self, stage: usize, failure: Failure, spent_usd: f64) -> (u64, u64) {
        let mut counts = self.lock();
        counts.stages[stage].failed += 1;
        counts.spent_usd += spent_usd;
        if counts.failures.len() < FAILURES_LISTED {
            counts.failures.push(failure);
        }
        let sum = |of: fn(&StageReport) -> u64| counts.stages.iter().map(of).sum();
        (sum(|stage| stage.failed), sum(|stage| stage.ran))
    }

    /// An item was opened, and with it a step of each of these stages.
    pub(super) fn opened(&self, scope: usize, stages: &[usize]) {
        let mut counts = self.lock();
        counts.items[scope] += 1;
        for &stage in stages {
            counts.steps[stage] += 1;
        }
    }

    /// A fan-out has given all its items.
    pub(super) fn closed(&self, scope: usize) {
        self.lock().closed[scope] += 1;
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Figures are added to; a panic in between leaves them readable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
