//! What a flush that fails does to a handle, step by step.

use super::oracle::Oracle;
use super::script::{options, run_id};
use super::world::{Fault, Plan, State, World};
use crate::builder::open_in;
use crate::vfs::LOG;
use crate::{Checkpoint, Error};

/// A run with one record, and its handle.
fn opened() -> (World, Checkpoint) {
    let world = World::new(State::default(), Oracle::new(), 1);
    let handle = open_in(world.folder(1), run_id(), options()).expect("opened");
    handle.save("a", &1).expect("saved");
    (world, handle)
}

/// What a save meets if its `at`-th call that can fail does: its result, and whether the log is
/// another file afterwards.
fn save_with_fault(at: u64) -> (crate::Result<crate::Seq>, bool) {
    let (world, handle) = opened();
    let before = world.inner().state.names[LOG];
    world.fail(Some(Plan { fault: Fault::Io, at, persistent: false }));
    let result = handle.save("b", &2);
    world.fail(None);
    let moved = world.inner().state.names[LOG] != before;
    handle.save("c", &3).expect("the handle goes on");
    assert_eq!(handle.contains("b"), result.is_ok());
    let again = open_in(world.folder(2), run_id(), options()).expect("opened");
    assert_eq!(again.contains("b"), result.is_ok());
    (result, moved)
}

#[test]
fn a_write_that_fails_is_undone_and_a_flush_that_fails_moves_the_log() {
    let (written, moved) = save_with_fault(0);
    assert!(matches!(written, Err(Error::NotWritten { .. })), "{written:?}");
    assert!(!moved);
    let (flushed, moved) = save_with_fault(1);
    assert!(flushed.is_ok() && moved, "{flushed:?}");
}

#[test]
fn a_disk_that_stays_broken_poisons_the_handle() {
    let (world, handle) = opened();
    // The write passes, its flush and whatever comes after fail.
    world.fail(Some(Plan { fault: Fault::Io, at: 1, persistent: true }));
    let error = handle.save("b", &2).expect_err("the flush fails");
    assert!(matches!(error, Error::Unknown { .. }), "{error}");
    world.fail(None);
    let error = handle.save("c", &3).expect_err("the handle is poisoned");
    assert!(matches!(error, Error::Poisoned { .. }) && error.to_string().contains("/sim/run"));
    assert!(matches!(handle.refresh(), Err(Error::Poisoned { .. })));
    assert!(matches!(handle.compact(), Err(Error::Poisoned { .. })));
    // What was there before can be read, and another handle goes on.
    assert_eq!(handle.get::<i32>("a").expect("read").expect("there").value, 1);
    let again = open_in(world.folder(2), run_id(), options()).expect("opened");
    again.save("c", &3).expect("saved");
}
