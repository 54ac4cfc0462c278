//! One consistent state, and what is read of it.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::de::DeserializeOwned;
use serde::ser::{Error as _, SerializeMap as _};
use serde::{Serialize, Serializer};

use crate::index::{Index, Slot};
use crate::read_ahead::ReadAhead;
use crate::scan::LogFile;
use crate::{Result, RunId, Seq, time, value};

/// A value with when and in which order it was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<T> {
    /// The value.
    pub value: T,
    /// When it was saved, by the clock of the process that did it: for people, not for order.
    pub updated_at: SystemTime,
    /// The record that brought it.
    pub seq: Seq,
}

/// The state of a run after one of its records.
///
/// It stays as it is while the run goes on. Names are in memory; values are read and verified when
/// they are asked for, through a descriptor of its own. Serializes to
/// `{"format":1,"run":…,"seq":…,"updated_at":…,"nodes":{name:{"value":…,"updated_at":…}}}`.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) run: RunId,
    pub(crate) log: Arc<LogFile>,
    pub(crate) index: Arc<Index>,
    pub(crate) seq: Seq,
    pub(crate) updated_at: Option<SystemTime>,
}

impl Snapshot {
    /// Reads one value; `None` if the node is not there.
    ///
    /// # Errors
    /// [`Error::Type`](crate::Error::Type) if it does not read back as `T`,
    /// [`Error::Corrupt`](crate::Error::Corrupt) if its bytes were damaged since.
    pub fn get<T: DeserializeOwned>(&self, node: &str) -> Result<Option<Entry<T>>> {
        read_entry(&self.log, node, self.index.get(node))
    }

    /// The names of all nodes, in order.
    pub fn iter(&self) -> Names<'_> {
        Names(Box::new(self.index.from("").map(|(node, _)| node)))
    }

    /// The names that begin with `prefix`, in order.
    pub fn prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let nodes = self.index.from(prefix).map(|(node, _)| node);
        nodes.take_while(move |node| node.starts_with(prefix))
    }

    /// Whether the node is there.
    pub fn contains(&self, node: &str) -> bool {
        self.index.get(node).is_some()
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The run.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The last record that is in it.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// When that record was written; `None` before the first.
    pub fn updated_at(&self) -> Option<SystemTime> {
        self.updated_at
    }
}

impl<'a> IntoIterator for &'a Snapshot {
    type Item = &'a str;
    type IntoIter = Names<'a>;

    fn into_iter(self) -> Names<'a> {
        self.iter()
    }
}

/// The names of a snapshot's nodes, in order.
pub struct Names<'a>(Box<dyn Iterator<Item = &'a str> + Send + Sync + 'a>);

impl<'a> Iterator for Names<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.0.next()
    }
}

impl fmt::Debug for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names")
    }
}

/// Reads and verifies what a slot points to.
pub(crate) fn read_entry<T: DeserializeOwned>(
    log: &LogFile,
    node: &str,
    slot: Option<Slot>,
) -> Result<Option<Entry<T>>> {
    let Some(slot) = slot else { return Ok(None) };
    let found = log.find(slot)?;
    let value = value::from_json(node, &found.json)?;
    Ok(Some(Entry { value, updated_at: found.updated_at, seq: found.seq }))
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("run", &self.run)
            .field("seq", &self.seq)
            .field("nodes", &self.len())
            .finish_non_exhaustive()
    }
}

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("format", &crate::frame::FORMAT)?;
        map.serialize_entry("run", &self.run)?;
        map.serialize_entry("seq", &self.seq)?;
        map.serialize_entry("updated_at", &self.updated_at.map(time::format))?;
        map.serialize_entry("nodes", &Nodes(self))?;
        map.end()
    }
}

struct Nodes<'a>(&'a Snapshot);

#[derive(Serialize)]
struct Node<'a> {
    value: &'a serde_json::value::RawValue,
    updated_at: String,
}

impl Serialize for Nodes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        let mut values = ReadAhead::new(&self.0.log);
        for (name, slot) in self.0.index.from("") {
            let found = values.find(slot).map_err(S::Error::custom)?;
            let updated_at = time::format(found.updated_at);
            let value = serde_json::from_str(&found.json).map_err(S::Error::custom)?;
            map.serialize_entry(name, &Node { value, updated_at })?;
        }
        map.end()
    }
}
