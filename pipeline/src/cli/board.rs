//! How far each stage of a live run is, counted from its events.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::human;
use crate::event::Event;
use crate::gate::Gate;
use crate::graph::Graph;

/// Speed is that of the last so long.
const MEMORY: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct Board {
    stages: Vec<About>,
    scopes: Vec<(String, Option<usize>)>,
    counts: Mutex<Counts>,
}

/// What does not change about a stage.
struct About {
    name: String,
    scope: usize,
    gate: Option<Arc<dyn Gate>>,
}

/// Under one lock, so that the figures of a look belong together.
#[derive(Default)]
struct Counts {
    stages: Vec<Stage>,
    /// By fan-out: items that were opened, and fan-outs that gave all.
    items: BTreeMap<String, (u64, u64)>,
}

#[derive(Default)]
struct Stage {
    needed: bool,
    steps: u64,
    ran: u64,
    reused: u64,
    failed: u64,
    blocked: u64,
    left: u64,
    /// Steps that were handed to the stage's queue and have not ended.
    in_hand: u64,
    /// Items whose call is under way.
    running: BTreeSet<String>,
    /// When the board was looked at, and how many steps had run.
    looks: VecDeque<(Instant, u64)>,
}

/// One look at one stage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    pub(super) name: String,
    pub(super) steps: u64,
    /// Steps that have ended in any way.
    pub(super) ended: u64,
    /// Whether there will be no more steps than these.
    pub(super) sealed: bool,
    reused: u64,
    failed: u64,
    blocked: u64,
    left: u64,
    per_second: Option<f64>,
    waiting_on: Option<String>,
}

impl Board {
    pub(super) fn new(graph: &Graph) -> Self {
        let about = graph.stages.iter().map(|stage| About {
            name: stage.name.clone(),
            scope: stage.scope,
            gate: stage.gate.clone(),
        });
        let stages = graph.stages.iter().map(|_| Stage::default()).collect();
        Board {
            stages: about.collect(),
            scopes: graph.scopes.iter().map(|scope| (scope.name.clone(), scope.parent)).collect(),
            counts: Mutex::new(Counts { stages, items: BTreeMap::new() }),
        }
    }

    pub(super) fn name(&self, stage: usize) -> &str {
        &self.stages[stage].name
    }

    pub(super) fn count(&self, event: &Event<'_>) {
        let mut counts = self.lock();
        let Counts { stages, items } = &mut *counts;
        match event {
            Event::Began { stages: needed } => {
                for (about, stage) in self.stages.iter().zip(stages) {
                    stage.needed = needed.contains(&&*about.name);
                    stage.steps = u64::from(about.scope == 0);
                }
            }
            Event::Opened { fan_out, stages: opened } => {
                items.entry((*fan_out).to_string()).or_default().0 += 1;
                opened.iter().for_each(|&stage| stages[stage].steps += 1);
            }
            Event::Closed { fan_out } => items.entry((*fan_out).to_string()).or_default().1 += 1,
            Event::Reused { stage, .. } => stages[*stage].reused += 1,
            Event::Queued { stage, .. } => stages[*stage].in_hand += 1,
            Event::Started { stage, item, .. } => {
                stages[*stage].running.insert((*item).to_string());
            }
            Event::Again { stage, item, .. } | Event::RateLimited { stage, item, .. } => {
                stages[*stage].running.remove(*item);
            }
            Event::Done { stage, item, .. } => {
                stages[*stage].ran += 1;
                stages[*stage].end(item);
            }
            Event::Failed { stage, item, .. } => {
                stages[*stage].failed += 1;
                stages[*stage].end(item);
            }
            Event::Blocked { stage, .. } => stages[*stage].blocked += 1,
            Event::Left { stage, .. } => stages[*stage].left += 1,
            Event::Ended { .. } => {}
        }
    }

    /// The stages that are needed, as they are now.
    pub(super) fn look(&self, now: Instant) -> Vec<View> {
        let mut counts = self.lock();
        let Counts { stages, items } = &mut *counts;
        let needed = self.stages.iter().zip(stages).filter(|(_, stage)| stage.needed);
        let view = |(about, stage): (&About, &mut Stage)| View {
            name: about.name.clone(),
            steps: stage.steps,
            ended: stage.ran + stage.reused + stage.failed + stage.blocked + stage.left,
            sealed: self.is_sealed(items, about.scope),
            reused: stage.reused,
            failed: stage.failed,
            blocked: stage.blocked,
            left: stage.left,
            per_second: stage.speed(now),
            waiting_on: if stage.waits() { about.waiting_on() } else { None },
        };
        needed.map(view).collect()
    }

    /// Whether a fan-out, and all around it, have given all their items.
    fn is_sealed(&self, items: &BTreeMap<String, (u64, u64)>, scope: usize) -> bool {
        let (name, parent) = &self.scopes[scope];
        let Some(parent) = *parent else { return true };
        let around = match parent {
            0 => 1,
            parent => items.get(&self.scopes[parent].0).map_or(0, |(opened, _)| *opened),
        };
        items.get(name).is_some_and(|(_, closed)| *closed == around)
            && self.is_sealed(items, parent)
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Figures are added to; a panic in between leaves them readable.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl About {
    fn waiting_on(&self) -> Option<String> {
        let wait = self.gate.as_ref()?.waited_for()?;
        Some(match wait.paused_for {
            Duration::ZERO => format!("waiting on {}", wait.limit),
            pause => format!("{} paused for {}", wait.limit, human::span(pause)),
        })
    }
}

impl Stage {
    fn end(&mut self, item: &str) {
        self.in_hand = self.in_hand.saturating_sub(1);
        self.running.remove(item);
    }

    /// Whether steps stand between the queue and their call.
    fn waits(&self) -> bool {
        self.in_hand > self.running.len() as u64
    }

    fn speed(&mut self, now: Instant) -> Option<f64> {
        if self.ran == 0 {
            self.looks.clear(); // what was waited for before the first is no slowness of the stage
        }
        self.looks.push_back((now, self.ran));
        while self.looks.get(1).is_some_and(|(at, _)| now.duration_since(*at) > MEMORY) {
            self.looks.pop_front();
        }
        let &(at, ran) = self.looks.front()?;
        let (time, steps) = (now.duration_since(at).as_secs_f64(), self.ran - ran);
        (time >= 1.0 && steps > 0).then(|| steps as f64 / time)
    }
}

impl View {
    pub(super) fn is_over(&self) -> bool {
        self.sealed && self.ended == self.steps
    }

    /// `12/20`; `12/20+` while more may come.
    pub(super) fn share(&self) -> String {
        format!("{}/{}{}", self.ended, self.steps, if self.sealed { "" } else { "+" })
    }

    /// What else there is to say: `2 failed, 3.1/s, 4 s to go, waiting on tokens`.
    pub(super) fn remarks(&self) -> String {
        let mut said = Vec::new();
        for (n, what) in [
            (self.failed, "failed"),
            (self.blocked, "blocked"),
            (self.left, "left"),
            (self.reused, "reused"),
        ] {
            if n > 0 {
                said.push(format!("{n} {what}"));
            }
        }
        if !self.is_over() {
            if let Some(per_second) = self.per_second {
                said.push(speed(per_second));
                if self.sealed {
                    let left = (self.steps - self.ended.min(self.steps)) as f64 / per_second;
                    // A speed that is next to nothing says nothing about the end.
                    if let Ok(left) = Duration::try_from_secs_f64(left.ceil()) {
                        said.push(format!("{} to go", human::span(left)));
                    }
                }
            }
            said.extend(self.waiting_on.clone());
        }
        said.join(", ")
    }
}

fn speed(per_second: f64) -> String {
    match per_second {
        fast if fast >= 10.0 => format!("{fast:.0}/s"),
        fast if fast >= 1.0 => format!("{fast:.1}/s"),
        slow => format!("{:.0}/min", slow * 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(scopes: &[(&str, Option<usize>)], stages: &[(&str, usize)]) -> Board {
        let about = |&(name, scope): &(&str, usize)| About { name: name.into(), scope, gate: None };
        Board {
            stages: stages.iter().map(about).collect(),
            scopes: scopes.iter().map(|(name, parent)| (name.to_string(), *parent)).collect(),
            counts: Mutex::new(Counts {
                stages: stages.iter().map(|_| Stage::default()).collect(),
                items: BTreeMap::new(),
            }),
        }
    }

    fn done(item: &str) -> Event<'_> {
        Event::Done { stage: 0, item, worker: 0, took: Duration::ZERO, spent_usd: 0.0 }
    }

    #[test]
    fn a_stage_is_over_when_its_fan_out_is() {
        let board = board(&[("", None), ("A", Some(0)), ("A/B", Some(1))], &[("s", 2)]);
        board.count(&Event::Began { stages: &["s"] });
        board.count(&Event::Opened { fan_out: "A", stages: &[] });
        board.count(&Event::Opened { fan_out: "A/B", stages: &[0] });
        board.count(&Event::Closed { fan_out: "A/B" });
        board.count(&Event::Queued { stage: 0, item: "a/b" });
        board.count(&done("a/b"));
        let now = Instant::now();
        let view = &board.look(now)[0];
        assert_eq!((view.share(), view.is_over()), ("1/1+".into(), false));
        board.count(&Event::Opened { fan_out: "A", stages: &[] });
        board.count(&Event::Closed { fan_out: "A" });
        assert!(!board.look(now)[0].sealed, "the second item's fan-out is open");
        board.count(&Event::Closed { fan_out: "A/B" });
        let view = &board.look(now)[0];
        assert_eq!((view.share(), view.is_over()), ("1/1".into(), true));
    }

    #[test]
    fn speed_is_that_of_the_last_half_minute() {
        let board = board(&[("", None), ("A", Some(0))], &[("s", 1)]);
        board.count(&Event::Began { stages: &["s"] });
        for _ in 0..100 {
            board.count(&Event::Opened { fan_out: "A", stages: &[0] });
        }
        let start = Instant::now();
        assert_eq!(board.look(start)[0].remarks(), "");
        (0..20).for_each(|_| board.count(&done("")));
        let two = board.look(start + Duration::from_secs(10))[0].remarks();
        assert_eq!(two, "2.0/s", "how many there will be is not known");
        board.count(&Event::Closed { fan_out: "A" });
        let view = &board.look(start + Duration::from_secs(10))[0];
        assert_eq!(view.remarks(), "2.0/s, 40 s to go");
        board.look(start + Duration::from_secs(41));
        (0..10).for_each(|_| board.count(&done("")));
        let view = &board.look(start + Duration::from_secs(60))[0];
        assert_eq!(view.remarks(), "12/min, 5 min 50 s to go", "10 since the look at 10 s");
    }

    #[test]
    fn steps_in_hand_without_a_call_wait() {
        let board = board(&[("", None), ("A", Some(0))], &[("s", 1)]);
        for item in ["a", "b"] {
            board.count(&Event::Queued { stage: 0, item });
        }
        let (worker, attempt, waited) = (0, 1, Duration::ZERO);
        board.count(&Event::Started { stage: 0, item: "a", worker, attempt, waited });
        assert!(board.lock().stages[0].waits());
        board.count(&Event::Started { stage: 0, item: "b", worker, attempt, waited });
        assert!(!board.lock().stages[0].waits());
        board.count(&Event::RateLimited { stage: 0, item: "b", pause: Duration::ZERO });
        assert!(board.lock().stages[0].waits());
        board.count(&done("a"));
        board.count(&Event::Failed { stage: 0, item: "b", attempts: 1, cause: "" });
        assert!(!board.lock().stages[0].waits());
    }
}
