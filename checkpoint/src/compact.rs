//! Compaction: the live state in a new file, which takes the log's place in one rename.
//!
//! The bulk is written without any lock; only what was appended meanwhile is copied under it.

use std::sync::Arc;

use crate::draft::{Draft, Failed};
use crate::group::Group;
use crate::journal::Journal;
use crate::run::{Run, Tail, View};
use crate::{Result, recover};

/// A log below this is never compacted by itself.
pub(crate) const SMALL: u64 = 1 << 20;

/// Whether compacting would pay: amortised, each byte is copied a bounded number of times.
pub(crate) fn is_due(run: &Run, not_before: u64) -> bool {
    let view = run.view();
    view.end.offset > not_before.max(SMALL).max(2 * view.index.live())
}

/// Compacts; does nothing if another process did so meanwhile.
pub(crate) fn compact(run: &Run, group: &Group<Journal>) -> Result<()> {
    let (old, mut draft) = group.claim(|journal| {
        journal.locked(true, || {
            let mut tail = run.tail();
            tail.check_poison(run)?;
            recover::catch_up(run, &mut tail)?;
            Ok((copy(&run.view()), Draft::begin(&*run.folder, &run.id, true)?))
        })
    })???;
    draft.fold(&old)?;
    group.claim(|journal| journal.locked(true, || finish(run, &old, draft)))??
}

/// Under the lock: the rest, and the rename.
fn finish(run: &Run, old: &View, mut draft: Draft<'_>) -> Result<()> {
    let mut tail = run.tail();
    tail.check_poison(run)?;
    recover::catch_up(run, &mut tail)?;
    if tail.log.identity() != old.log.identity() {
        return Ok(());
    }
    draft.follow(&tail.log, &old.end, &tail.end)?;
    match draft.publish() {
        Ok(view) => {
            let durable = view.end.seq;
            run.replace(&mut tail, view, durable);
            Ok(())
        }
        Err(failed) => {
            // Whether the new file or the old one is found after a crash is open now. Others flush
            // the entry before they go on with what they find; this handle cannot go on with both.
            if failed.renamed {
                tail.poisoned = Some(format!("a compaction failed: {}", failed.error));
            }
            Err(failed.error)
        }
    }
}

/// Moves everything, an unflushed group included, to a new file. Under the lock, by the leader.
pub(crate) fn rescue(run: &Run, tail: &mut Tail) -> Result<(), Failed> {
    let old = copy(&run.view());
    let mut draft = Draft::begin(&*run.folder, &run.id, true)?;
    draft.fold(&old)?;
    draft.follow(&tail.log, &old.end, &tail.end)?;
    let view = draft.publish()?;
    let durable = view.end.seq;
    run.replace(tail, view, durable);
    Ok(())
}

/// The state as it is now: its file stays open for as long as this lives.
pub(crate) fn copy(view: &View) -> View {
    View {
        log: Arc::clone(&view.log),
        index: view.index.clone(),
        end: view.end.clone(),
        updated_at: view.updated_at,
    }
}
