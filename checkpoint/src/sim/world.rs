//! The simulated disk: what is in the cache, what is on the disk, and what was not flushed between.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::files::{SimFolder, dead};
use super::oracle::Oracle;
use crate::vfs::Folder;

/// What a disk writes whole or not at all. Smaller than in life, so that small logs have many.
pub(super) const PIECE: usize = 64;

/// A file: what the system shows, and what is on the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Inode {
    pub(super) cache: Vec<u8>,
    pub(super) disk: Vec<u8>,
    /// Pieces of the cache that the next flush writes.
    pub(super) dirty: BTreeSet<usize>,
    /// What it was before it was cut: until that is flushed, the disk may hold any of it.
    pub(super) before_cut: Vec<Inode>,
    /// How many flushes failed: every descriptor that was open reports each once.
    pub(super) failures: u64,
}

/// A change of the folder that is not flushed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Entry {
    Make(String, usize),
    Rename(String, String),
    Remove(String),
}

/// Everything that a crash chooses from.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) inodes: Vec<Inode>,
    pub(super) names: BTreeMap<String, usize>,
    pub(super) disk_names: BTreeMap<String, usize>,
    pub(super) pending: Vec<Entry>,
    /// The folder's own entry is on the disk.
    pub(super) folder: bool,
    /// Blocks that were freed, with what they still hold.
    pub(super) freed: Vec<Vec<u8>>,
}

/// Which calls go wrong, counted among those that can go wrong in that way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) fault: Fault,
    pub(super) at: u64,
    pub(super) persistent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// `ENOSPC`: writing and making files.
    NoSpace,
    /// `EIO`: everything that changes or flushes.
    Io,
    /// `EINTR`: anything, once.
    Interrupted,
    /// Half of what was to be written.
    Short,
    /// The process dies: a write is half done, nothing follows.
    Kill,
}

/// A state after one call, and what had been promised by then.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) state: State,
    pub(super) oracle: Oracle,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) state: State,
    pub(super) oracle: Oracle,
    /// One entry for each change, if it is recorded.
    pub(super) trace: Option<Vec<Moment>>,
    pub(super) plan: Option<Plan>,
    counted: u64,
    pub(super) faults: u64,
    pub(super) dead: HashSet<u32>,
    pub(super) owners: HashMap<String, u32>,
    pub(super) clock: u64,
}

/// The disk, shared by all simulated processes.
#[derive(Debug, Clone)]
pub(super) struct World(Arc<Mutex<Inner>>);

/// What a call is, for the faults that fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Read,
    Write,
    Make,
    Change,
    Flush,
}

impl World {
    pub(super) fn new(state: State, oracle: Oracle, seed: u64) -> Self {
        let inner = Inner {
            state,
            oracle,
            trace: None,
            plan: None,
            counted: 0,
            faults: 0,
            dead: HashSet::new(),
            owners: HashMap::new(),
            clock: seed,
        };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// The run's folder as process `process` sees it.
    pub(super) fn folder(&self, process: u32) -> Box<dyn Folder> {
        Box::new(SimFolder::new(self.clone(), process))
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and decides how it goes wrong, if it does.
    pub(super) fn call(&self, process: u32, call: Call) -> io::Result<Option<Fault>> {
        let mut inner = self.inner();
        if inner.dead.contains(&process) {
            return Err(io::Error::other("the process is dead"));
        }
        let Some(plan) = inner.plan else { return Ok(None) };
        let fits = match plan.fault {
            Fault::NoSpace => matches!(call, Call::Write | Call::Make),
            Fault::Io | Fault::Kill => call != Call::Read,
            Fault::Interrupted => true,
            Fault::Short => call == Call::Write,
        };
        if !fits {
            return Ok(None);
        }
        inner.counted += 1;
        let now = inner.counted - 1;
        if now < plan.at || (now > plan.at && !plan.persistent) {
            return Ok(None);
        }
        inner.faults += 1;
        match plan.fault {
            Fault::NoSpace => Err(io::ErrorKind::StorageFull.into()),
            // A failed flush does more than fail.
            Fault::Io if call == Call::Flush => Ok(Some(Fault::Io)),
            Fault::Io => Err(rustix::io::Errno::IO.into()),
            Fault::Interrupted => Err(io::ErrorKind::Interrupted.into()),
            // Half fits; if it is for good, nothing fits after that.
            Fault::Short if now > plan.at => Err(io::ErrorKind::StorageFull.into()),
            Fault::Short => Ok(Some(Fault::Short)),
            Fault::Kill => {
                inner.dead.insert(process);
                if call == Call::Write { Ok(Some(Fault::Kill)) } else { Err(dead()) }
            }
        }
    }

    /// From now on calls go wrong like this, counted from here.
    pub(super) fn fail(&self, plan: Option<Plan>) {
        let mut inner = self.inner();
        (inner.plan, inner.counted) = (plan, 0);
    }

    /// The promises have changed, if the disk has not: that is a moment, too.
    pub(super) fn mark(&self) {
        self.change(|_| ());
    }

    /// Makes a change and records what the disk and the promises are then.
    pub(super) fn change<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let inner = &mut *self.inner();
        let result = work(&mut inner.state);
        if let Some(trace) = &mut inner.trace {
            trace.push(Moment { state: inner.state.clone(), oracle: inner.oracle.clone() });
        }
        result
    }
}

impl Inode {
    pub(super) fn flush(&mut self, all: bool) {
        if self.cache.len() > self.disk.len() || all {
            self.disk.resize(self.cache.len(), 0);
        }
        if all {
            self.before_cut.clear();
        }
        for before in &mut self.before_cut {
            // The cut itself is not flushed: what is flushed stands in what was there.
            for piece in &self.dirty {
                let range = piece * PIECE..((piece + 1) * PIECE).min(self.cache.len());
                for bytes in [&mut before.cache, &mut before.disk] {
                    bytes.resize(bytes.len().max(range.end), 0);
                    bytes[range.clone()].copy_from_slice(&self.cache[range.clone()]);
                }
            }
        }
        for piece in std::mem::take(&mut self.dirty) {
            let range = piece * PIECE..((piece + 1) * PIECE).min(self.cache.len());
            if !range.is_empty() {
                self.disk[range.clone()].copy_from_slice(&self.cache[range]);
            }
        }
    }
}
