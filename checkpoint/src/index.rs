//! Where each node's value stands in the log: all that is held in memory.
//!
//! As in Bitcask (Sheehy and Smith, 2010): names in memory, values on disk.

use std::collections::BTreeMap;

use crate::frame::{Body, Record};

/// Where a line stands in its file, its newline included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) offset: u64,
    pub(crate) len: u32,
}

/// One node's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) span: Span,
    /// What this node alone takes: less than the line if that is a batch.
    pub(crate) share: u32,
    pub(crate) seq: u64,
}

/// A node and what became of it: `None` is removed.
pub(crate) type Change = (Box<str>, Option<Slot>);

/// The state: the fold of all records up to some seq.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    nodes: BTreeMap<Box<str>, Slot>,
    /// Sum of the nodes' shares: what a compacted log would take, about.
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
                self.live += u64::from(slot.share);
                match self.nodes.get_mut(node) {
                    Some(old) => Some(std::mem::replace(old, slot)),
                    None => self.nodes.insert(node.into(), slot),
                }
            }
            None => self.nodes.remove(node),
        };
        self.live -= before.map_or(0, |slot| u64::from(slot.share));
    }
}

/// Calls `each` with every change that a record makes.
pub(crate) fn changes(record: &Record<'_>, span: Span, mut each: impl FnMut(&str, Option<Slot>)) {
    let slot = |share| Some(Slot { span, share, seq: record.seq });
    match &record.body {
        Body::Open { .. } | Body::Base { .. } => {}
        Body::Put { node, .. } => each(node, slot(span.len)),
        Body::Remove { node, .. } => each(node, None),
        Body::Batch { changes, .. } => {
            for (node, value) in changes {
                // What the node would take as a line of its own: 80 bytes of head and time.
                let share = |v: &serde_json::value::RawValue| v.get().len() + node.len() + 80;
                let share = value.map(|v| u32::try_from(share(v)).unwrap_or(u32::MAX));
                each(node, share.and_then(slot));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Index, Slot, Span};

    #[test]
    fn live_bytes_follow_the_nodes() {
        let slot = |share| Some(Slot { span: Span { offset: 0, len: 9 }, share, seq: 1 });
        let mut index = Index::default();
        index.apply("a", slot(9));
        index.apply("b", slot(5));
        index.apply("a", slot(7));
        assert_eq!((index.live(), index.len()), (12, 2));
        index.apply("a", None);
        index.apply("a", None);
        assert_eq!((index.live(), index.len()), (5, 1));
        assert_eq!(index.from("b").count(), 1);
        assert_eq!(index.from("c").count(), 0);
    }

    #[test]
    fn a_node_takes_little_memory() {
        // 11 slots a leaf, at least half of them used, beside 16 bytes for the name's pointer.
        assert!(size_of::<Slot>() + 16 <= 40 + 8, "{}", size_of::<Slot>());
    }
}
