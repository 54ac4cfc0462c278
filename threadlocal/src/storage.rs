//! What every storage has, whatever it keeps: an index into each thread's table, a name of its own,
//! a generation.

use std::collections::BTreeSet;
use std::sync::{Mutex as StaticMutex, PoisonError};

use crate::stamp::{Generation, Stamp};
use crate::sync::Arc;
use crate::table;

/// One storage, from its making to the drop of its last handle.
#[derive(Debug)]
pub(crate) struct Storage {
    /// Where its seats are in each thread's table. Given again to another storage later.
    pub(crate) index: usize,
    /// Never given again: tells its seats from those that an earlier owner of `index` left behind.
    pub(crate) name: Stamp,
    /// Shared with the seats, which outlive the storage until their threads sweep them away.
    pub(crate) generation: Arc<Generation>,
}

impl Storage {
    pub(crate) fn new() -> Self {
        Self {
            index: INDICES.lock().unwrap_or_else(PoisonError::into_inner).take(),
            name: Stamp::fresh(),
            generation: Arc::new(Generation::new()),
        }
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.generation.end();
        table::note_end_of_storage();
        INDICES.lock().unwrap_or_else(PoisonError::into_inner).put_back(self.index);
    }
}

/// The indices in use are `0..unused` less `free`: as few as there are storages at the busiest
/// moment, so that no thread's table grows for ever.
struct Indices {
    unused: usize,
    free: BTreeSet<usize>,
}

static INDICES: StaticMutex<Indices> =
    StaticMutex::new(Indices { unused: 0, free: BTreeSet::new() });

impl Indices {
    /// The lowest free one: tables stay short.
    fn take(&mut self) -> usize {
        self.free.pop_first().unwrap_or_else(|| {
            self.unused += 1;
            self.unused - 1
        })
    }

    fn put_back(&mut self, index: usize) {
        debug_assert!(index < self.unused, "an index comes back that was never given out");
        let fresh = self.free.insert(index);
        debug_assert!(fresh, "an index comes back twice");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_index_is_given_first() {
        let mut indices = Indices { unused: 0, free: BTreeSet::new() };
        assert_eq!([indices.take(), indices.take(), indices.take()], [0, 1, 2]);
        indices.put_back(1);
        indices.put_back(0);
        assert_eq!([indices.take(), indices.take(), indices.take()], [0, 1, 3]);
    }
}
