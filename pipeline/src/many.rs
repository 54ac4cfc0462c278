//! All values of a fan-out as one input, each read from its record when it is asked for.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::fault::Fault;

/// Where the values of a fan-out are read from.
#[doc(hidden)]
pub trait Members: Send + Sync {
    /// How many there are.
    fn len(&self) -> usize;
    /// The key of the `n`th item.
    fn key(&self, n: usize) -> Option<&str>;
    /// The recorded value of the `n`th item, as JSON.
    fn value(&self, n: usize) -> Result<Arc<str>, Fault>;
}

/// The members while a step runs, and what went wrong with them.
#[doc(hidden)]
pub struct HeldMany {
    members: Arc<dyn Members>,
    broken: RefCell<Option<Fault>>,
}

impl HeldMany {
    pub(crate) fn new(members: Arc<dyn Members>) -> Self {
        HeldMany { members, broken: RefCell::new(None) }
    }

    /// An iterator cannot return an error without making every user unwrap: it ends, and the step
    /// fails here whatever its closure returned.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        self.broken.take().map_or(Ok(()), Err)
    }
}

impl fmt::Debug for HeldMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeldMany({})", self.members.len())
    }
}

/// All values of a fan-out, in the order of its items. `Copy`; it stays on its step's thread.
///
/// Nothing is held in memory: each value is read from its record as the iterator comes to it, so a
/// stage may go through a million of them. A record that cannot be read ends the iterator and fails
/// the step, whatever the closure makes of what it got.
pub struct Many<'a, T> {
    held: &'a HeldMany,
    of: PhantomData<fn() -> T>,
}

impl<'a, T> Many<'a, T> {
    pub(crate) fn new(held: &'a HeldMany) -> Self {
        Many { held, of: PhantomData }
    }
}

impl<T> Clone for Many<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Many<'_, T> {}

impl<T> fmt::Debug for Many<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Many({})", self.held.members.len())
    }
}

impl<'a, T: DeserializeOwned + 'a> Many<'a, T> {
    /// How many values there are. Failed items are not among them (see
    /// [`allow_missing`](crate::Stage::allow_missing)).
    pub fn len(self) -> usize {
        self.held.members.len()
    }

    /// Whether the fan-out has no items.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The values, in the order of the items. Reads one record a step; blocks on the disk.
    pub fn iter(self) -> impl Iterator<Item = T> + 'a {
        self.keyed().map(|(_, value)| value)
    }

    /// The values with their items' keys, in the order of the items.
    pub fn keyed(self) -> impl Iterator<Item = (&'a str, T)> + 'a {
        let held = self.held;
        (0..held.members.len()).map_while(move |n| {
            let key = held.members.key(n).unwrap_or_default();
            let read = held.members.value(n).and_then(|json| {
                serde_json::from_str(&json).map_err(|error| {
                    Fault::fatal(format!(
                        "the recorded result of item `{key}` does not read back ({error}): \
                         raise the `.version(..)` of the stage it came from"
                    ))
                })
            });
            match read {
                Ok(value) => Some((key, value)),
                Err(fault) => {
                    *held.broken.borrow_mut() = Some(fault);
                    None
                }
            }
        })
    }
}

impl<'a, T: DeserializeOwned + 'a> IntoIterator for Many<'a, T> {
    type Item = T;
    type IntoIter = Box<dyn Iterator<Item = T> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}
