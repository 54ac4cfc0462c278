//! Where each node's value stands in the log: all that is held in memory.
//!
//! As in Bitcask (Sheehy and Smith, 2010): names in memory, values on disk.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::frame::{Body, Record};
use crate::time;

/// Where a line stands in its file, its newline included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) offset: u64,
    pub(crate) len: u32,
}

/// One node's value: where its JSON stands, alone and without its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) offset: u64,
    pub(crate) len: u32,
    /// CRC-32C of the JSON, taken when its line was verified: a value is read without its line,
    /// which may be a large batch.
    pub(crate) sum: u32,
    pub(crate) seq: u64,
    /// Nanoseconds since 1970.
    pub(crate) time: i64,
}

/// A node and what became of it: `None` is removed.
pub(crate) type Change = (Box<str>, Option<Slot>);

/// The state: the fold of all records up to some seq.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    nodes: BTreeMap<Box<str>, Slot>,
    /// What a compacted log would take, about.
    live: u64,
}

impl Index {
    pub(crate) fn get(&self, node: &str) -> Option<Slot> {
        self.nodes.get(node).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn live(&self) -> u64 {
        self.live
    }

    /// All nodes in order of name, from the first that is not before `from`.
    pub(crate) fn from<'a>(&'a self, from: &str) -> impl Iterator<Item = (&'a str, Slot)> {
        let bounds = (std::ops::Bound::Included(from), std::ops::Bound::Unbounded);
        self.nodes.range::<str, _>(bounds).map(|(node, slot)| (&**node, *slot))
    }

    pub(crate) fn apply(&mut self, node: &str, slot: Option<Slot>) {
        let before = match slot {
            Some(slot) => {
                self.live += share(node, slot);
                // One way down the tree: opening a large run is spent on little else.
                self.nodes.insert(node.into(), slot)
            }
            None => self.nodes.remove(node),
        };
        self.live -= before.map_or(0, |slot| share(node, slot));
    }
}

/// What a node takes as a line of its own: beside name and value some 90 bytes.
fn share(node: &str, slot: Slot) -> u64 {
    u64::from(slot.len) + node.len() as u64 + 90
}

/// Calls `each` with every change that a record makes; `line` is what it was parsed from.
pub(crate) fn changes(
    record: &Record<'_>,
    span: Span,
    line: &[u8],
    mut each: impl FnMut(&str, Option<Slot>),
) {
    let time = record.body.time().and_then(time::parse).map_or(0, time::to_nanos);
    let slot = |value: &RawValue| {
        let json = value.get();
        // The value is a part of the line.
        let at = (json.as_ptr() as usize).saturating_sub(line.as_ptr() as usize);
        Slot {
            offset: span.offset + at as u64,
            len: u32::try_from(json.len()).unwrap_or(u32::MAX),
            sum: crc32c::crc32c(json.as_bytes()),
            seq: record.seq,
            time,
        }
    };
    match &record.body {
        Body::Open { .. } | Body::Base { .. } => {}
        Body::Put { node, value, .. } => each(node, Some(slot(value))),
        Body::Remove { node, .. } => each(node, None),
        Body::Batch { changes, .. } => {
            for (node, value) in changes {
                each(node, value.map(slot));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Index, Slot};

    #[test]
    fn live_bytes_follow_the_nodes() {
        let slot = |len| Some(Slot { offset: 0, len, sum: 0, seq: 1, time: 0 });
        let mut index = Index::default();
        index.apply("a", slot(9));
        index.apply("b", slot(5));
        index.apply("a", slot(7));
        assert_eq!((index.live(), index.len()), (12 + 2 * 91, 2));
        index.apply("a", None);
        index.apply("a", None);
        assert_eq!((index.live(), index.len()), (5 + 91, 1));
        assert_eq!(index.from("b").count(), 1);
        assert_eq!(index.from("c").count(), 0);
    }

    #[test]
    fn a_node_takes_little_memory() {
        // A leaf has 11 of these beside 16 bytes for the name's pointer; names that come in order
        // leave it 6/11 full.
        assert!((size_of::<Slot>() + 16) * 11 / 6 <= 100, "{}", size_of::<Slot>());
    }
}
