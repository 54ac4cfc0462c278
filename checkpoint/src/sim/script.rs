//! What is done to the simulated disk: scripts of several processes that take turns.

use std::cell::RefCell;

use super::oracle::{Action, Nodes};
use super::states::Random;
use super::world::World;
use crate::builder::{Options, open_in};
use crate::group::{Appended, Held as _, Sink as _};
use crate::log::{Guard, Reply};
use crate::{Batch, Checkpoint, Durability, Error, Result, RunId, Saved, Seq, Snapshot};

/// One call of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Save(usize),
    /// Two saves in one group.
    Pair(usize),
    Hurried(usize),
    Batch(usize),
    Remove(usize),
    Once(usize),
    Update(usize),
    Compact(usize),
    Refresh(usize),
    /// Drops the handle; the next call opens another.
    Drop(usize),
}

pub(super) fn run_id() -> RunId {
    RunId::new("run").expect("a good name")
}

pub(super) fn options() -> Options {
    Options { durability: Durability::Disk, lock_timeout: None, max_value_bytes: 1 << 20 }
}

/// A script of `len` calls by up to three processes.
pub(super) fn random_script(len: usize, random: &mut Random) -> Vec<Step> {
    let processes = 1 + random.below(3);
    let step = |_| {
        let process = random.below(processes);
        match random.below(16) {
            0..=2 => Step::Save(process),
            3 | 4 => Step::Pair(process),
            5 => Step::Hurried(process),
            6 | 7 => Step::Batch(process),
            8 => Step::Remove(process),
            9 => Step::Once(process),
            10 | 11 => Step::Update(process),
            12 | 13 => Step::Compact(process),
            14 => Step::Refresh(process),
            _ => Step::Drop(process),
        }
    };
    (0..len).map(step).collect()
}

/// The processes of a script.
pub(super) struct Players {
    world: World,
    handles: [Option<(Checkpoint, u32)>; 3],
    next_process: u32,
    random: Random,
}

impl Players {
    pub(super) fn new(world: &World, seed: u64) -> Self {
        let random = Random::new(seed);
        Self { world: world.clone(), handles: [None, None, None], next_process: 1, random }
    }

    /// Makes one call and tells the oracle; an error is a promise that was broken.
    pub(super) fn play(&mut self, step: Step) -> Result<(), String> {
        let (Step::Save(of)
        | Step::Pair(of)
        | Step::Hurried(of)
        | Step::Batch(of)
        | Step::Remove(of)
        | Step::Once(of)
        | Step::Update(of)
        | Step::Compact(of)
        | Step::Refresh(of)
        | Step::Drop(of)) = step;
        if step == Step::Drop(of) {
            self.handles[of] = None;
            return Ok(());
        }
        if self.handles[of].is_none() {
            self.open(of)?;
        }
        let Some((handle, process)) = self.handles[of].clone() else { return Ok(()) };
        let before = handle.snapshot().seq();
        let failed = self.call(step, &handle, process)?;
        self.world.mark();
        if handle.snapshot().seq() < before {
            return Err(format!("{step:?}: the view went back"));
        }
        if let Some(error) = failed {
            if matches!(error, Error::Corrupt { .. }) {
                return Err(format!("{step:?}: {error}"));
            }
            let gone = matches!(error, Error::Unknown { .. } | Error::Poisoned { .. });
            if gone || self.world.inner().dead.contains(&process) {
                self.handles[of] = None;
            }
        }
        Ok(())
    }

    fn open(&mut self, of: usize) -> Result<(), String> {
        self.next_process += 1;
        let process = self.next_process;
        match open_in(self.world.folder(process), run_id(), options()) {
            Err(error @ Error::Corrupt { .. }) => Err(format!("open: {error}")),
            // Whatever else was injected: the next call tries again.
            Err(_) => Ok(()),
            Ok(handle) => {
                let snapshot = handle.snapshot();
                let (seq, nodes) = (snapshot.seq(), nodes(&snapshot)?);
                let oracle = &mut self.world.inner().oracle;
                oracle.settle(to_usize(seq))?;
                oracle.promise(seq);
                if *oracle.now() != nodes {
                    return Err(format!("opened {nodes:?}, not {:?}", oracle.now()));
                }
                self.handles[of] = Some((handle, process));
                Ok(())
            }
        }
    }

    fn call(
        &mut self,
        step: Step,
        handle: &Checkpoint,
        process: u32,
    ) -> Result<Option<Error>, String> {
        let node = format!("n{}", self.random.below(4));
        let value = "v".repeat(self.random.below(200)) + &self.next_process.to_string();
        let json = format!("\"{value}\"");
        let put = |node: &str| (node.to_owned(), Some(json.clone()));
        match step {
            Step::Save(_) | Step::Hurried(_) => {
                let on_disk = matches!(step, Step::Save(_));
                let durability = if on_disk { Durability::Disk } else { Durability::Process };
                self.begin(vec![put(&node)]);
                let result = handle.save_with(&node, &value, durability);
                self.end(result, on_disk, process)
            }
            Step::Pair(_) => self.pair(handle, &node, &value, process),
            Step::Batch(_) => {
                let other = format!("n{}", self.random.below(4));
                self.begin(vec![put(&node), put("both"), (other.clone(), None)]);
                let batch = Batch::new().put(&node, &value).and_then(|b| b.put("both", &value));
                let result = batch.and_then(|batch| handle.save_all(batch.remove(&other)));
                self.end(result, true, process)
            }
            Step::Remove(_) => {
                self.begin(vec![(node.clone(), None)]);
                match handle.remove(&node) {
                    Ok(true) => self.end(Ok(handle.snapshot().seq()), true, process),
                    Ok(false) => self.answered(handle, &node, None),
                    Err(error) => self.end(Err(error), true, process),
                }
            }
            Step::Once(_) => {
                self.begin(vec![put(&node)]);
                match handle.save_once(&node, &value) {
                    Ok(Saved::Inserted(seq)) => self.end(Ok(seq), true, process),
                    Ok(Saved::Existing(entry)) => {
                        self.answered(handle, &node, Some(&format!("\"{}\"", entry.value)))
                    }
                    Err(error) => self.end(Err(error), true, process),
                }
            }
            Step::Update(_) => self.update(handle, &node, process),
            Step::Compact(_) => Ok(handle.compact().err()),
            Step::Refresh(_) => Ok(handle.refresh().err()),
            Step::Drop(_) => Ok(None),
        }
    }

    /// As two threads would: one append, one flush, an answer for each.
    fn pair(
        &mut self,
        handle: &Checkpoint,
        node: &str,
        value: &str,
        process: u32,
    ) -> Result<Option<Error>, String> {
        let long = format!("\"{value}\"");
        let (first, second) = (vec![("a".to_owned(), Some("1".to_owned()))], {
            vec![(node.to_owned(), Some(long.clone()))]
        });
        self.begin(first);
        self.begin(second.clone());
        let requests = [("a", "1"), (node, &*long)].map(|(node, json)| {
            handle.request(node, Some(json.as_bytes()), Guard::Free, Durability::Disk)
        });
        let requests: Result<Vec<_>> = requests.into_iter().collect();
        let answers = requests.and_then(|requests| {
            handle.inner.group.claim(|journal| {
                journal.hold(|held| {
                    let held = held?;
                    let appended = held.append(requests);
                    let answers = appended.into_iter().map(|answer| match answer {
                        Appended::Settled(outcome) => outcome,
                        Appended::AwaitsFlush(reply) => Ok(reply),
                    });
                    let answers: Vec<Reply> = answers.collect::<Result<_>>()?;
                    held.flush()?;
                    Ok(answers)
                })
            })?
        });
        match answers {
            Ok(answers) => {
                let [Reply::Done(one), Reply::Done(two)] = answers[..] else {
                    return Err(format!("a pair got {answers:?}"));
                };
                self.world.inner().oracle.cancel();
                self.end(Ok(one), true, process)?;
                self.begin(second);
                self.end(Ok(two), true, process)
            }
            Err(error) => {
                let again = error.again();
                self.end(Err(error), true, process)?;
                self.end(Err(again), true, process)
            }
        }
    }

    fn update(
        &mut self,
        handle: &Checkpoint,
        node: &str,
        process: u32,
    ) -> Result<Option<Error>, String> {
        let seen = RefCell::new(None);
        self.begin(vec![]);
        let result = handle.update(node, |old: Option<String>| {
            let new = old
                .as_ref()
                .map_or("u".to_owned(), |old| format!("{}u", &old[..old.len().min(20)]));
            let action = vec![(node.to_owned(), Some(format!("\"{new}\"")))];
            self.world.inner().oracle.change_last(action);
            *seen.borrow_mut() = old;
            Some(new)
        });
        if result.is_ok() {
            let seen = seen.into_inner().map(|old| format!("\"{old}\""));
            let oracle = &self.world.inner().oracle;
            if oracle.is_decided() && oracle.now().get(node) != seen.as_ref() {
                return Err(format!("an update of {node} was lost: it saw {seen:?}"));
            }
        }
        self.end(result, true, process)
    }

    fn begin(&self, action: Action) {
        self.world.inner().oracle.begin(action);
    }

    fn end(
        &self,
        result: Result<Seq>,
        on_disk: bool,
        process: u32,
    ) -> Result<Option<Error>, String> {
        let mut inner = self.world.inner();
        let killed = inner.dead.contains(&process);
        inner.oracle.end(result.as_ref().copied(), on_disk, killed)?;
        Ok(result.err())
    }

    /// A call that wrote nothing has said what is there: that must stay.
    fn answered(
        &self,
        handle: &Checkpoint,
        node: &str,
        value: Option<&str>,
    ) -> Result<Option<Error>, String> {
        let oracle = &mut self.world.inner().oracle;
        oracle.cancel();
        let seq = handle.snapshot().seq();
        oracle.settle(to_usize(seq))?;
        oracle.promise(seq);
        if oracle.now().get(node).map(String::as_str) != value {
            return Err(format!("{node} was said to be {value:?}"));
        }
        Ok(None)
    }
}

fn to_usize(seq: Seq) -> usize {
    usize::try_from(seq.get()).unwrap_or(usize::MAX)
}

/// A snapshot as text.
pub(super) fn nodes(snapshot: &Snapshot) -> Result<Nodes, String> {
    let slots = snapshot.index.from("");
    slots
        .map(|(name, slot)| {
            let found = snapshot.log.find(slot).map_err(|error| error.to_string())?;
            Ok((name.to_owned(), found.json))
        })
        .collect()
}
