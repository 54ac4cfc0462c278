//! A run's state: shared by threads and processes, durable when `save` returns, readable without a
//! lock.
//!
//! ```
//! # let workspace = tempfile::tempdir().unwrap();
//! # let root = workspace.path();
//! use checkpoint::{Checkpoint, Entry, RunId};
//!
//! let checkpoint = Checkpoint::open(root, &RunId::new("deck-42")?)?;
//! checkpoint.save("audio-1", &("audio-1.flac", 4.2))?; // on disk when it returns
//!
//! let audio: Option<Entry<(String, f64)>> = checkpoint.get("audio-1")?;
//! assert_eq!(audio.unwrap().value.1, 4.2);
//!
//! checkpoint.update("cost", |old: Option<f64>| Some(old.unwrap_or(0.0) + 0.02))?;
//! # Ok::<(), checkpoint::Error>(())
//! ```
#![forbid(unsafe_code)]

mod batch;
mod builder;
mod checkpoint;
mod compact;
mod disk;
mod draft;
mod error;
mod finite;
mod frame;
mod group;
mod import;
mod index;
mod journal;
mod left_out;
mod lock;
mod log;
mod names;
mod read;
mod record;
mod recover;
mod run;
mod runs;
mod salvage;
mod scan;
mod seq;
#[cfg(test)]
mod sim;
mod snapshot;
mod sync;
mod time;
mod value;
mod vfs;

pub use batch::Batch;
pub use builder::{Builder, Durability, OpenReport};
pub use checkpoint::{Checkpoint, Saved};
pub use error::{Error, Result};
pub use import::import_json;
pub use names::RunId;
pub use read::{Verified, read, verify};
pub use runs::{RunInfo, delete, runs};
pub use salvage::{Salvaged, salvage};
pub use seq::Seq;
pub use snapshot::{Entry, Names, Snapshot};

/// What the models drive: not part of the promise.
#[doc(hidden)]
pub mod model {
    pub use crate::group::{Appended, Group, Held, Sink};
}

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
