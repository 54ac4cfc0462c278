//! How one run is to go.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use checkpoint::{Durability, RunId};

use crate::event::Event;
use crate::name::Item;
use crate::stop::Stop;

/// Where a run lies, and how it is to go.
///
/// ```
/// use pipeline::{Halt, Options, RunId, Stop};
/// let stop = Stop::new();
/// let options = Options::new("workspace/runs", RunId::new("deck-42")?)
///     .stop(stop.clone())
///     .halt(Halt::after(20))
///     .workers("audio", 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "options do nothing until they are given to `Pipeline::run`"]
pub struct Options {
    pub(crate) root: PathBuf,
    pub(crate) run: RunId,
    pub(crate) stop: Stop,
    pub(crate) halt: Option<Halt>,
    pub(crate) workers: Vec<(String, usize)>,
    pub(crate) only: Vec<String>,
    pub(crate) window: usize,
    pub(crate) grace: Duration,
    pub(crate) durability: Durability,
    pub(crate) observe: Option<Observe>,
    pub(crate) admit: Option<Admit>,
}

/// Who watches a run.
pub(crate) type Observe = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// Which steps may run, by stage and item; the others are left for another run.
pub(crate) type Admit = Arc<dyn Fn(&str, &Item) -> bool + Send + Sync>;

impl Options {
    /// The run `run` in the folder `root`, which is made if it is not there. The run's own folder
    /// is `<root>/<run>`.
    pub fn new(root: impl Into<PathBuf>, run: RunId) -> Self {
        Options {
            root: root.into(),
            run,
            stop: Stop::new(),
            halt: None,
            workers: Vec::new(),
            only: Vec::new(),
            window: 256,
            grace: Duration::from_secs(30),
            durability: Durability::Disk,
            observe: None,
            admit: None,
        }
    }

    /// Ends the run in order when `stop` is used.
    pub fn stop(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// When to give up; without it a run keeps going whatever fails.
    pub fn halt(mut self, halt: Halt) -> Self {
        self.halt = Some(halt);
        self
    }

    /// Another number of workers for one stage than the pipeline says.
    pub fn workers(mut self, stage: &str, workers: usize) -> Self {
        self.workers.push((stage.to_string(), workers));
        self
    }

    /// Runs only this stage and what it needs; several add up. The run's output is there only if
    /// its target is among them.
    pub fn only(mut self, stage: &str) -> Self {
        self.only.push(stage.to_string());
        self
    }

    /// How many items of each fan-out may be open at once, 256 unless told otherwise: pulled from
    /// their source and not yet through the stages that hold them. At least 1.
    pub fn window(mut self, items: usize) -> Self {
        self.window = items.max(1);
        self
    }

    /// How long a stopped or halted run waits for the steps in flight, 30 s unless told otherwise.
    /// What takes longer is abandoned: its thread goes on, its result is discarded, and it runs
    /// again when the run is continued.
    pub fn grace(mut self, longest: Duration) -> Self {
        self.grace = longest;
        self
    }

    /// What a recorded step survives: [`Durability::Disk`], a power loss, unless told otherwise;
    /// [`Durability::Process`], only the process's death, without waiting for the disk.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Calls `observe` with everything that happens, on the thread where it happens.
    #[cfg_attr(not(feature = "cli"), allow(dead_code))]
    pub(crate) fn observe(mut self, observe: Observe) -> Self {
        self.observe = Some(observe);
        self
    }

    /// Leaves out the steps that `admit` does not let through, and what depends on them.
    #[cfg_attr(not(feature = "cli"), allow(dead_code))]
    pub(crate) fn admit(mut self, admit: Option<Admit>) -> Self {
        self.admit = admit;
        self
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("root", &self.root)
            .field("run", &self.run)
            .field("halt", &self.halt)
            .field("workers", &self.workers)
            .field("only", &self.only)
            .field("window", &self.window)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}

/// When a run gives up: nothing new starts, what is in flight is recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Halt(When);

#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    After(u64),
    Percent(f64),
}

impl Halt {
    /// A percentage says nothing before that many steps have ended.
    const STEPS_MIN: u64 = 50;

    /// When `failures` steps have failed in this run; 0 counts as 1.
    pub fn after(failures: u64) -> Self {
        Halt(When::After(failures.max(1)))
    }

    /// When more than `percent` of the steps that ended in this run have failed, once 50 have.
    pub fn percent(percent: impl Into<f64>) -> Self {
        Halt(When::Percent(percent.into()))
    }

    /// Why to halt, if it is time.
    pub(crate) fn due(self, failed: u64, ran: u64) -> Option<String> {
        match self.0 {
            When::After(most) if failed >= most => {
                Some(format!("{failed} {} failed", if failed == 1 { "step" } else { "steps" }))
            }
            When::Percent(most) => {
                let ended = failed + ran;
                let share = 100.0 * failed as f64 / ended.max(1) as f64;
                (ended >= Self::STEPS_MIN && share > most)
                    .then(|| format!("{failed} of {ended} steps failed, more than {most} %"))
            }
            When::After(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_halts_at_its_bound_and_not_before() {
        assert_eq!(Halt::after(2).due(1, 100), None);
        assert!(Halt::after(2).due(2, 0).unwrap().contains("2 steps failed"));
        assert!(Halt::after(0).due(1, 0).is_some());
        assert_eq!(Halt::after(0).due(0, 9), None);
        assert_eq!(Halt::percent(10.0).due(49, 0), None);
        assert_eq!(Halt::percent(10.0).due(5, 45), None);
        assert!(Halt::percent(10.0).due(6, 44).is_some());
    }
}
