//! Several changes that happen together or not at all.

use serde::Serialize;

use crate::value::to_json;
use crate::{Result, names};

/// Changes for [`Checkpoint::save_all`](crate::Checkpoint::save_all): all or nothing, also after a
/// crash.
///
/// ```
/// # let root = tempfile::tempdir().unwrap();
/// # use checkpoint::{Batch, Checkpoint, RunId};
/// # let checkpoint = Checkpoint::open(root.path(), &RunId::new("deck-42")?)?;
/// checkpoint.save_all(Batch::new().put("clip-1", &"clip-1.mp4")?.remove("clip-1/parts"))?;
/// # Ok::<(), checkpoint::Error>(())
/// ```
#[derive(Debug, Default, Clone)]
#[must_use = "a batch does nothing until save_all takes it"]
pub struct Batch {
    pub(crate) changes: Vec<(Box<str>, Option<Vec<u8>>)>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value. Of several changes of one node the last counts.
    ///
    /// # Errors
    /// [`Error::Type`](crate::Error::Type) if `value` has no JSON form that reads back: NaN and
    /// infinite numbers have none. The node's name is checked by `save_all`.
    pub fn put<T: Serialize + ?Sized>(mut self, node: &str, value: &T) -> Result<Self> {
        self.changes.push((node.into(), Some(to_json(node, value)?)));
        Ok(self)
    }

    /// Adds a removal; of a node that is not there it is no error.
    pub fn remove(mut self, node: &str) -> Self {
        self.changes.push((node.into(), None));
        self
    }

    /// How many changes it has.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(crate) fn check_names(&self) -> Result<()> {
        self.changes.iter().try_for_each(|(node, _)| names::check_node(node))
    }
}

#[cfg(test)]
mod tests {
    use super::Batch;

    #[test]
    fn a_batch_counts_its_changes_and_knows_their_names() {
        assert!(Batch::new().is_empty());
        assert_eq!(Batch::new().len(), 0);
        let two = Batch::new().put("a", &1).unwrap().remove("b");
        assert!(!two.is_empty());
        assert_eq!(two.len(), 2);
        two.check_names().unwrap();
        assert!(two.remove("").check_names().is_err());
    }
}
