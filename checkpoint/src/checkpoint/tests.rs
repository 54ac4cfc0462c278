//! What a handle does where only its inside shows it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tempfile::TempDir;

use super::Checkpoint;
use crate::compact::{self, SMALL, is_due};
use crate::draft::Draft;
use crate::group::Held as _;
use crate::index::Slot;
use crate::left_out::Check;
use crate::log::{Guard, Log, append_behind};
use crate::run::{Run, View};
use crate::sim::left_out::{LeftOut, without};
use crate::vfs::LOG;
use crate::{Batch, Durability, Error, RunId, Seq, frame};

fn opened() -> (TempDir, Checkpoint) {
    let root = tempfile::tempdir().unwrap();
    let handle = Checkpoint::open(root.path(), &RunId::new("deck-42").unwrap()).unwrap();
    (root, handle)
}

/// Makes the view say that the log ends at `offset`, and that a node's value has `len` bytes.
fn pretend(run: &Run, offset: u64, len: u32) {
    let mut view = compact::copy(&run.view());
    view.end.offset = offset;
    view.index.apply("x", Some(Slot { offset: 0, len, sum: 0, seq: 1, time: 0 }));
    let durable = view.end.seq;
    run.replace(&mut run.tail(), view, durable);
}

#[test]
fn a_handle_of_another_process_does_nothing() {
    let (_root, mut handle) = opened();
    handle.save("a", &1).unwrap();
    Arc::get_mut(&mut handle.inner).unwrap().opened_by = 0;
    let forked = |error: Error| matches!(error, Error::Forked { opened_by: 0, .. });
    assert!(forked(handle.save("a", &2).unwrap_err()));
    assert!(forked(handle.save_all(Batch::new()).unwrap_err()));
    assert!(forked(handle.get::<i32>("a").unwrap_err()));
    assert!(forked(handle.remove("a").unwrap_err()));
    assert!(forked(handle.compact().unwrap_err()));
}

#[test]
fn a_panic_of_a_writer_is_told_with_the_run_s_folder() {
    let (_root, handle) = opened();
    let panicked = catch_unwind(AssertUnwindSafe(|| handle.inner.group.claim(|_| panic!("here"))));
    assert!(panicked.is_err());
    let Err(Error::Poisoned { path, .. }) = handle.save("a", &1) else { panic!("it was saved") };
    assert_eq!(path, handle.inner.run.folder.path());
}

#[test]
fn a_lock_that_is_not_free_in_time_is_told_to_the_saver() {
    let (root, handle) = opened();
    let run = handle.inner.run.id.clone();
    let timed = Checkpoint::builder(root.path(), &run).lock_timeout(Duration::from_millis(2));
    let timed = timed.open().unwrap();
    let saved = handle.inner.group.claim(|journal| journal.locked(true, || timed.save("a", &1)));
    assert!(matches!(saved.unwrap().unwrap(), Err(Error::Locked { .. })));
    timed.save("a", &1).unwrap();
}

#[test]
fn a_log_is_compacted_when_it_is_large_and_twice_its_live_state() {
    let (_root, handle) = opened();
    let run = &handle.inner.run;
    pretend(run, SMALL, 1);
    assert!(!is_due(run, 0));
    pretend(run, SMALL + 1, 1);
    assert!(is_due(run, 0) && is_due(run, SMALL));
    assert!(!is_due(run, SMALL + 1));
    // With its name and what is around it a node of that size takes 1_000_000 bytes.
    pretend(run, 2_000_000, 1_000_000 - 91);
    assert!(!is_due(run, 0));
    pretend(run, 2_000_001, 1_000_000 - 91);
    assert!(is_due(run, 0));
}

#[test]
fn a_log_of_old_values_is_compacted_by_itself() {
    let (_root, handle) = opened();
    let log = handle.inner.run.log_path();
    let value = "x".repeat(300_000);
    for _ in 0..4 {
        handle.save("a", &value).unwrap();
    }
    assert!(std::fs::metadata(&log).unwrap().len() < 1_000_000);
    assert_eq!(handle.get::<String>("a").unwrap().unwrap().value, value);
}

#[test]
fn a_compaction_that_failed_is_not_tried_at_each_save() {
    let (root, handle) = opened();
    let run = &handle.inner.run;
    pretend(run, SMALL + 1, 1);
    std::fs::remove_file(root.path().join("deck-42").join(LOG)).unwrap();
    handle.inner.compact_if_due();
    // ORDERING: Relaxed: one thread.
    assert_eq!(handle.inner.compact_from.load(Ordering::Relaxed), 2 * SMALL + 1);
    // ORDERING: Relaxed: one thread.
    assert!(!handle.inner.compacting.load(Ordering::Relaxed));
}

#[test]
fn a_compacted_log_is_another_file_with_the_same_state() {
    let (_root, handle) = opened();
    for n in 0..20 {
        handle.save("a", &n).unwrap();
    }
    let run = &handle.inner.run;
    let before = (run.view().log.identity(), run.view().end.offset);
    compact::compact(run, &handle.inner.group).unwrap();
    assert_ne!(run.view().log.identity(), before.0);
    assert!(run.view().end.offset < before.1);
    assert_eq!(handle.get::<i32>("a").unwrap().unwrap().value, 19);
}

fn state(run: &Run) -> View {
    compact::copy(&run.view())
}

#[test]
fn what_follows_a_draft_s_state_is_found_at_its_new_place() {
    let (_root, handle) = opened();
    for n in 0..20 {
        handle.save("a", &n).unwrap();
    }
    let run = &handle.inner.run;
    let old = state(run);
    let mut draft = Draft::begin(&*run.folder, &run.id, true).unwrap();
    draft.fold(&old).unwrap();
    handle.save("b", &"follows").unwrap();
    handle.save_all(Batch::new().put("c", &1).unwrap().put("d", &[2, 3]).unwrap()).unwrap();
    let now = state(run);
    draft.follow(&now.log, &old.end, &now.end).unwrap();
    let made = draft.publish().unwrap();
    for (node, json) in [("a", "19"), ("b", "\"follows\""), ("c", "1"), ("d", "[2,3]")] {
        let slot = made.index.get(node).unwrap();
        assert_eq!(made.log.find(slot).unwrap().json, json, "{node}");
    }
}

#[test]
fn a_draft_that_is_dropped_leaves_no_file() {
    let (root, handle) = opened();
    let files = || std::fs::read_dir(root.path().join("deck-42")).unwrap().count();
    let (run, before) = (&handle.inner.run, files());
    let draft = Draft::begin(&*run.folder, &run.id, true).unwrap();
    assert_eq!(files(), before + 1);
    drop(draft);
    assert_eq!(files(), before);
}

fn pretend_a_flush(run: &Run) {
    run.tail().flushing = true;
    // ORDERING: Relaxed; this thread alone.
    run.to_be_flushed.store(true, Ordering::Relaxed);
}

#[test]
fn only_a_hurried_record_goes_behind_a_flush() {
    let (_root, handle) = opened();
    let run = &handle.inner.run;
    let request = |guard| handle.request("a", Some(b"1"), guard, Durability::Process).unwrap();
    assert_eq!(append_behind(run, &request(Guard::Free)), None, "there is no flush");
    pretend_a_flush(run);
    assert_eq!(append_behind(run, &request(Guard::Absent)), None, "it has a guard");
    assert_eq!(append_behind(run, &request(Guard::Free)), Some(Seq(1)));
    assert_eq!(run.tail().durable, 0);
    assert!(handle.contains("a"));
    let seq = handle.save_with("b", &2, Durability::Process).unwrap();
    assert_eq!((seq, run.tail().durable), (Seq(2), 0));
    // What is promised to be on disk waits for its own flush.
    pretend_a_flush(run);
    let seq = handle.save_with("c", &3, Durability::Disk).unwrap();
    assert_eq!((seq, run.tail().durable), (Seq(3), 3));
    pretend_a_flush(run);
    run.tail().poisoned = Some("a test".to_owned());
    assert_eq!(append_behind(run, &request(Guard::Free)), None, "the handle is poisoned");
}

#[test]
fn no_record_goes_behind_a_flush_without_a_number() {
    let (_root, handle) = opened();
    let run = &handle.inner.run;
    let request = || handle.request("a", Some(b"1"), Guard::Free, Durability::Process).unwrap();
    pretend_a_flush(run);
    run.tail().end.seq = frame::SEQ_MAX;
    assert_eq!(append_behind(run, &request()), None);
    run.tail().end.seq = frame::SEQ_MAX - 1;
    assert_eq!(append_behind(run, &request()), Some(Seq(frame::SEQ_MAX)));
}

#[test]
fn a_group_needs_a_number_for_each_of_its_records() {
    let (_root, handle) = opened();
    let run = &handle.inner.run;
    let request = || handle.request("a", Some(b"1"), Guard::Free, Durability::Disk).unwrap();
    let one = request();
    assert_eq!(Log::bytes(&one), one.body.unwrap().len());
    run.tail().end.seq = frame::SEQ_MAX - 1;
    let mut log = Log::new(Arc::clone(run));
    let refused = format!("{:?}", log.append(vec![request(), request()]));
    assert_eq!(refused.matches("no numbers left").count(), 2, "{refused}");
    let fits = format!("{:?}", log.append(vec![request()]));
    assert!(fits.contains("AwaitsFlush(Done"), "{fits}");
}

#[test]
fn what_waits_for_its_flush_is_shown_after_it() {
    let (_root, handle) = opened();
    let run = &handle.inner.run;
    let request = |node, durability| handle.request(node, Some(b"1"), Guard::Free, durability);
    let mut log = Log::new(Arc::clone(run));
    log.append(vec![request("a", Durability::Disk).unwrap()]);
    assert!(!handle.contains("a"));
    log.flush().unwrap();
    assert!(handle.contains("a"));
    // A writer that does not wait sees his own record at once, alone and in company.
    log.append(vec![request("b", Durability::Process).unwrap()]);
    assert!(handle.contains("b"));
    log.append(vec![
        request("c", Durability::Process).unwrap(),
        request("d", Durability::Disk).unwrap(),
    ]);
    assert!(handle.contains("c"));
}

#[test]
fn of_two_first_writers_in_one_group_one_is_refused() {
    let (_root, handle) = opened();
    let request = |guard| handle.request("a", Some(b"1"), guard, Durability::Process).unwrap();
    let mut log = Log::new(Arc::clone(&handle.inner.run));
    let answers = log.append(vec![request(Guard::Absent), request(Guard::Absent)]);
    assert_eq!(format!("{answers:?}"), "[Settled(Ok(Done(Seq(1)))), Settled(Ok(Refused))]");
}

/// Where no flush comes, nobody stops at the tail to learn it.
#[test]
fn the_hint_stands_from_before_the_appending_to_the_end_of_the_flush() {
    let (_root, handle) = opened();
    let run = &handle.inner.run;
    let request = |durability| handle.request("a", Some(b"1"), Guard::Free, durability).unwrap();
    // ORDERING: Relaxed; this thread alone.
    let hint = || run.to_be_flushed.load(Ordering::Relaxed);
    let mut log = Log::new(Arc::clone(run));
    log.append(vec![request(Durability::Process)]);
    assert!(!hint());
    log.append(vec![request(Durability::Process), request(Durability::Disk)]);
    assert!(hint());
    log.flush().unwrap();
    assert!(!hint());
    run.tail().poisoned = Some("a test".to_owned());
    log.append(vec![request(Durability::Disk)]);
    assert!(!hint(), "there is nothing to flush");
    let tail = run.tail();
    assert_eq!(
        append_behind(run, &request(Durability::Process)),
        None,
        "the tail is not waited for"
    );
    drop(tail);
    // Somebody has the tail and will flush: he is waited for.
    run.tail().poisoned = None;
    std::thread::scope(|scope| {
        let tail = run.tail();
        let appending =
            scope.spawn(|| Log::new(Arc::clone(run)).append(vec![request(Durability::Disk)]));
        while !hint() {
            std::thread::yield_now();
        }
        drop(tail);
        appending.join().unwrap();
    });
}

#[test]
fn what_changes_nothing_needs_no_flush_if_all_is_on_disk() {
    let (_root, handle) = opened();
    handle.save("a", &1).unwrap();
    let run = &handle.inner.run;
    let request = |durability| handle.request("a", Some(b"1"), Guard::Absent, durability).unwrap();
    let mut log = Log::new(Arc::clone(run));
    let answer = |log: &mut Log, request| format!("{:?}", log.append(vec![request]));
    assert_eq!(answer(&mut log, request(Durability::Disk)), "[Settled(Ok(Refused))]");
    run.tail().durable = 0;
    assert_eq!(answer(&mut log, request(Durability::Disk)), "[AwaitsFlush(Refused)]");
    assert_eq!(answer(&mut log, request(Durability::Process)), "[Settled(Ok(Refused))]");
}

/// So it is this that they miss, and not the wait of those who write.
#[test]
fn what_the_crash_tests_leave_out_is_the_wait_of_a_refusal_alone() {
    let (_root, handle) = opened();
    handle.save("a", &1).unwrap();
    let run = &handle.inner.run;
    let request = |guard| handle.request("a", Some(b"1"), guard, Durability::Disk).unwrap();
    let mut log = Log::new(Arc::clone(run));
    run.tail().durable = 0;
    let (refused, done) = without(LeftOut::Check(Check::SettledFlush), || {
        (log.append(vec![request(Guard::Absent)]), log.append(vec![request(Guard::Free)]))
    });
    assert_eq!(format!("{refused:?}"), "[Settled(Ok(Refused))]");
    assert_eq!(format!("{done:?}"), "[AwaitsFlush(Done(Seq(2)))]");
}

#[test]
fn an_update_removes_what_is_there_and_is_content_if_it_is_not() {
    let (_root, handle) = opened();
    handle.update::<i32>("a", |old| old.map(|_| 1)).unwrap();
    assert!(!handle.contains("a"));
    handle.save("a", &1).unwrap();
    handle.update::<i32>("a", |_| None).unwrap();
    assert!(!handle.contains("a"));
}

#[test]
fn space_is_made_behind_the_log_as_it_grows() {
    let (root, handle) = opened();
    let run = &handle.inner.run;
    let space = || {
        let len = std::fs::metadata(run.log_path()).unwrap().len();
        let tail = run.tail();
        assert_eq!(tail.allocated, len);
        (tail.end.offset, len - tail.end.offset)
    };
    handle.save("a", &1).unwrap();
    assert_eq!(space().1, 4096);
    let (end, before) = space();
    handle.save("a", &1).unwrap();
    assert_eq!(space().1, before - (space().0 - end), "there is space still");
    handle.save("b", &"x".repeat(100_000)).unwrap();
    assert_eq!(space().1, space().0 / 2);
    handle.save("c", &"x".repeat(900_000)).unwrap();
    assert_eq!(space().1, 262_144);
    let (end, before) = space();
    let other = Checkpoint::open(root.path(), &run.id).unwrap();
    other.save("d", &1).unwrap();
    handle.save("e", &1).unwrap();
    assert_eq!(space().1, before - (space().0 - end), "whoever comes finds what there is");
}

#[test]
fn a_handle_that_looks_finds_what_others_damaged() {
    let (root, handle) = opened();
    let other = Checkpoint::open(root.path(), &handle.inner.run.id).unwrap();
    let start = handle.inner.run.view().end.offset;
    other.save("a", &1).unwrap();
    other.save("b", &2).unwrap();
    let log = handle.inner.run.log_path();
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[usize::try_from(start).unwrap() + 40] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let Err(Error::Corrupt { offset, .. }) = handle.refresh() else { panic!("it was not seen") };
    assert_eq!(offset, start);
}
