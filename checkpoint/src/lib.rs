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
//!
//! A run is a folder with a journal: [`Checkpoint::save`] appends a line and waits for one flush,
//! which all threads that save at that time share. Names are in memory, values stay in the journal.
//! [`read`], [`verify`] and [`runs`] look at a run without a handle; [`salvage`] rescues a damaged
//! one; [`mod@format`] describes every byte.
//!
//! # Guarantees
//!
//! Each with the test that shows it; those of `sim` are unit tests on a simulated disk.
//!
//! - **Durable.** A save that returned `Ok` is found after a power loss at any moment, it or a
//!   later one of its node ([`Durability::Disk`]); what is found is the fold of the records 1..k,
//!   without gaps: `sim::crash::nothing_promised_is_lost`, `nothing_acknowledged_is_lost_to_kills`.
//! - **Flushed.** Between the write and the return stands a successful `fdatasync`:
//!   `between_the_last_write_and_the_acknowledgement_stands_a_flush`.
//! - **Atomic.** A batch is all or nothing; only values that somebody saved are found:
//!   `sim::crash`, `a_run_is_a_map`.
//! - **Ordered.** Numbers are unique and without gaps, across processes, and no `update` is lost:
//!   `sim::crash`, `no_update_is_lost_between_processes`.
//! - **Checked.** A flipped byte is [`Error::Corrupt`] and never a wrong value, but for the last
//!   group; a log cut short is a prefix: `every_byte.rs`.
//! - **Honest.** After [`Error::NotWritten`] nothing of it is found, and the handle goes on:
//!   `sim::crash`, `a_full_disk_is_no_space`, `a_file_size_limit_is_no_space`.
//! - **Live.** Every call returns, also when a flush or the lock fails or a leader panics:
//!   `loom_group.rs`.
//! - **Readable.** A reader without a lock gets a prefix, beside writers and compactions, too:
//!   `savers_beside_compactions_lose_nothing`, `sim::crash`.
//! - **Monotone.** A handle's view never goes back: `sim::script`, after each call.
//! - **Repeatable.** Recovering twice, or crashing within, changes nothing more: `sim::crash`.
//! - **Flat.** Bytes and system calls of a save do not depend on what is in the run:
//!   `bytes_and_calls_of_a_save_do_not_depend_on_the_state`,
//!   `the_calls_of_a_save_are_the_same_one_by_one`; what they cost: the bench `save`, and
//!   `xtask/peers/src/bin/checkpoint.rs`.
//! - **Robust.** Any bytes in the log's place, and any damage to it: no call panics or hangs,
//!   [`read`], [`verify`], [`runs`] and [`Checkpoint::open`] agree, and [`salvage`] keeps what
//!   verifies: `any_bytes_are_judged_alike`, `any_damage_is_found_or_harmless`, and for hours
//!   `cargo xtask fuzz`; `salvage_works_on_every_damaged_log`.
//! - **Refused, not half done.** A typed error that says what holds, and the handle goes on where it
//!   can: two handles in one process (`no_update_is_lost`), fork
//!   (`a_handle_does_not_work_in_a_forked_child`), no permission (`who_may_not_write_may_read`,
//!   `who_may_not_read_is_told`), read-only media (`read_only_media_can_be_read`), a link in the
//!   folder's place (`a_link_in_place_of_the_folder_or_the_log_is_not_followed`), another working
//!   folder or a folder that was moved away (`a_run_stays_where_it_was_opened`), a full disk
//!   (`a_full_disk_is_no_space`), no descriptors left (`a_descriptor_limit_is_an_error_and_no_more`).
//! - **Tested tests.** Every flush, check and rule is left out in turn, and each is missed:
//!   `sim::crash::whatever_is_left_out_is_missed`.
//!
//! Each prints what it tried: `cargo xtask crash` the distinct disks after a crash (100 000), the
//! faults injected, and the disk mutants caught; `cargo xtask chaos checkpoint` the rounds of kills
//! (500), the acknowledgements, and how many were lost; `cargo test -p checkpoint --test every_byte
//! -- --nocapture` the bytes flipped, cut and salvaged; `cargo xtask loom checkpoint` the schedules
//! of the group commit; `cargo xtask fuzz` the inputs.
//!
//! # Not promised
//!
//! - **Damage in the last group of the log** (of each process, where several write in turns) looks
//!   like a torn tail, as no later record vouches for it: it is cut off, kept in `quarantine/`, and
//!   told by [`OpenReport`]. A file cut short at a record's end looks like a shorter run.
//! - **Network file systems**: `flock` may exclude nobody there. They are refused, unless allowed.
//! - **Disks and hypervisors that lie about flushes**. Assumed is also that a flushed byte is not
//!   damaged by a torn write beside it, that a sector is written whole or not at all, that the
//!   kernel tells every open descriptor of a failed write-back (Linux since 4.13), and that a
//!   freed block does not come back inside of a file's committed size (ext4 as mounted by default,
//!   xfs, btrfs).
//! - **Clocks**: `updated_at` is what a process's clock said. Order is by [`Seq`] alone.
//! - **Fork**: a handle is [`Error::Forked`] in the child; but a child that is forked without exec
//!   keeps the lock's descriptor, and with it a lock that was held at that moment.
//! - **Fairness** with a [`lock_timeout`](Builder::lock_timeout): then the lock is polled.
//! - **[`Durability::Process`]** survives the process, not the machine; if the disk fails under it,
//!   it may be lost with the group before it.
#![forbid(unsafe_code)]

mod batch;
mod builder;
mod checkpoint;
mod compact;
mod disk;
mod draft;
mod error;
mod finite;
pub mod format;
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
mod read_ahead;
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
