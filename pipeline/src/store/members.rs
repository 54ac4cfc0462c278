//! A whole fan-out, read record by record.

use std::sync::Arc;

use super::{StepName, Store};
use crate::fault::Fault;
use crate::index::{Frozen, Origins};
use crate::many::Members;

/// The values of a fan-out that has all of them.
pub(crate) struct StoredMembers {
    store: Arc<dyn Store>,
    frozen: Frozen,
    /// The stage whose records hold them; empty if they are held here.
    stage: String,
}

impl StoredMembers {
    pub(crate) fn new(store: Arc<dyn Store>, frozen: Frozen, stage: &str) -> Self {
        StoredMembers { store, frozen, stage: stage.to_string() }
    }
}

impl Members for StoredMembers {
    fn len(&self) -> usize {
        self.frozen.len()
    }

    fn key(&self, n: usize) -> Option<&str> {
        Some(self.frozen.keys.get(self.frozen.position(n)?)?)
    }

    fn value(&self, n: usize) -> Result<Arc<str>, Fault> {
        let gone = || Fault::fatal(format!("there is no item {n} in this fan-out"));
        let position = self.frozen.position(n).ok_or_else(gone)?;
        match &self.frozen.from {
            Origins::Held(values) => values.get(position).cloned().ok_or_else(gone),
            Origins::Stage(_) => {
                let key = self.frozen.keys.get(position).ok_or_else(gone)?;
                let item = self.frozen.around.child(key);
                let step = StepName { stage: &self.stage, item: &item };
                let mut read = self.store.values(&[step]).map_err(Fault::fatal)?;
                read.pop().ok_or_else(gone)
            }
        }
    }
}
