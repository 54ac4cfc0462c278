//! The locked log: appends a group, makes it durable, and undoes or poisons when that fails.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use crate::group::{Appended, Held};
use crate::index::{Change, Slot};
use crate::left_out::{Check, left_out};
use crate::run::{Run, Tail};
use crate::scan::Position;
use crate::vfs::{FILLER, Flush, uninterrupted, write_all};
use crate::{Durability, Error, Result, Seq, compact, frame, recover, time};

/// What a caller wants of the log.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) changes: Vec<(Box<str>, Option<Place>)>,
    /// The record's body; `None` if only the guard's answer is wanted.
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) time: SystemTime,
    pub(crate) guard: Guard,
    pub(crate) durability: Durability,
}

/// A value within the body of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Bytes from the value's start to the body's end.
    pub(crate) to_end: usize,
    pub(crate) len: u32,
    /// Its CRC-32C.
    pub(crate) sum: u32,
}

impl Place {
    pub(crate) fn of(json: &[u8], to_end: usize) -> Self {
        let len = u32::try_from(json.len()).unwrap_or(u32::MAX);
        Self { to_end, len, sum: crc32c::crc32c(json) }
    }
}

/// What must hold of the request's first node, or nothing is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    Free,
    Absent,
    Present,
    /// It is as it was seen: written by this seq, or absent.
    Seen(Option<u64>),
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Done(Seq),
    /// The guard did not hold.
    Refused,
}

/// The log under the exclusive file lock.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) run: Arc<Run>,
    /// Where the group that is being committed begins.
    start: Option<Position>,
    /// How long the last flush took: the measure of how long gathering pays.
    pub(crate) last_flush: Duration,
}

/// A group on its way into the log.
struct Framed {
    bytes: Vec<u8>,
    end: Position,
    changes: Vec<Change>,
    updated_at: Option<SystemTime>,
    answers: Vec<Appended<Reply>>,
    /// A `Process` record is among them.
    hurried: bool,
}

impl Log {
    pub(crate) fn new(run: Arc<Run>) -> Self {
        Self { run, start: None, last_flush: Duration::ZERO }
    }
}

impl Held for Log {
    type Request = Request;
    type Reply = Reply;

    fn bytes(request: &Request) -> usize {
        request.body.as_ref().map_or(0, Vec::len)
    }

    fn append(&mut self, group: Vec<Request>) -> Vec<Appended<Reply>> {
        let run = Arc::clone(&self.run);
        let to_be_flushed = group.iter().any(|request| request.durability == Durability::Disk);
        // ORDERING: Relaxed: a hint. Who misses it waits for this group's turn.
        run.to_be_flushed.store(to_be_flushed, Ordering::Relaxed);
        let mut tail = run.tail();
        let size = group.len();
        let ready = tail
            .check_poison(&run)
            .and_then(|()| recover::catch_up(&run, &mut tail))
            .and_then(|()| tail.check_numbers(&run, size));
        let framed = ready.map(|()| frame_group(&run, &tail, group));
        let written = framed.and_then(|framed| {
            write(&run, &mut tail, &framed.bytes)?;
            Ok(framed)
        });
        let answers = match written {
            Err(error) => (0..size).map(|_| Appended::Settled(Err(error.again()))).collect(),
            Ok(framed) => {
                self.start = Some(tail.end.clone());
                tail.take(framed.end, framed.changes, framed.updated_at);
                // From here on others of this process may append behind, under the file lock that
                // the leader goes on holding.
                tail.flushing =
                    framed.answers.iter().any(|a| matches!(a, Appended::AwaitsFlush(_)));
                // A record that is not waited for is seen by its writer as soon as he goes on.
                if framed.hurried || !tail.flushing {
                    run.publish(&mut tail);
                }
                framed.answers
            }
        };
        // ORDERING: Relaxed, as above.
        run.to_be_flushed.store(tail.flushing, Ordering::Relaxed);
        answers
    }

    fn flush(&mut self) -> Result<()> {
        let run = Arc::clone(&self.run);
        let (log, seq) = {
            let tail = run.tail();
            (Arc::clone(&tail.log), tail.end.seq)
        };
        let begun = Instant::now();
        let flushed = uninterrupted(|| log.file.sync_data(Flush::Group));
        self.last_flush = begun.elapsed();
        let mut tail = run.tail();
        tail.flushing = false;
        // ORDERING: Relaxed, as in `append`.
        run.to_be_flushed.store(false, Ordering::Relaxed);
        tail.check_poison(&run)?;
        match flushed {
            Ok(()) => {
                tail.durable = tail.durable.max(seq);
                run.publish(&mut tail);
                Ok(())
            }
            Err(_) if left_out(Check::NewFile) => {
                log.file.sync_data(Flush::Group).map_err(log.failed("flush"))?;
                tail.durable = tail.durable.max(seq);
                run.publish(&mut tail);
                Ok(())
            }
            Err(error) => self.rescue(&run, &mut tail, error),
        }
    }
}

impl Log {
    /// After a failed flush the pages are clean but not on disk, and every later flush of that file
    /// says Ok. So it is never tried again there: the whole state moves to a new file, once.
    fn rescue(&self, run: &Run, tail: &mut Tail, error: io::Error) -> Result<()> {
        let path = run.log_path();
        tracing::warn!(path = %path.display(), %error, "a flush failed, moving to a new file");
        let moved = compact::rescue(run, tail);
        let Err(failed) = moved else { return Ok(()) };
        tracing::error!(path = %path.display(), error = %failed.error, "moving failed, too");
        tail.poisoned = Some(format!("a flush failed: {error}"));
        tail.pending.clear();
        if let (false, Some(start)) = (failed.renamed, &self.start) {
            // No further: acknowledged records of other processes may stand before it. It is not
            // flushed: nothing that was promised rests on it, whoever follows verifies or rewrites.
            if let Err(error) = uninterrupted(|| tail.log.file.set_len(start.offset)) {
                tracing::error!(path = %path.display(), %error, "the group could not be cut off");
            }
        }
        Err(Error::Unknown { path, source: error })
    }
}

impl Tail {
    /// Whether there are numbers left for so many records: only a forged log runs out of them.
    fn check_numbers(&self, run: &Run, records: usize) -> Result<()> {
        if self.end.seq + records as u64 <= frame::SEQ_MAX {
            return Ok(());
        }
        let source = io::Error::other("it has no numbers left");
        Err(Error::NotWritten { path: run.log_path(), source })
    }

    fn take(&mut self, end: Position, changes: Vec<Change>, updated_at: Option<SystemTime>) {
        self.end = end;
        self.pending.extend(changes);
        self.updated_at = updated_at.or(self.updated_at);
    }
}

/// Appends a `Process` record behind a flush that is under way; `None` if there is none, or if it
/// did not work: then the ordinary way tells why.
pub(crate) fn append_behind(run: &Run, request: &Request) -> Option<Seq> {
    // ORDERING: Relaxed: a hint. Who sees an old one looks at the tail in vain, or waits in the queue.
    if !run.to_be_flushed.load(Ordering::Relaxed) {
        return None;
    }
    let mut tail = run.tail();
    let numbers = tail.check_numbers(run, 1);
    let poisoned = tail.poisoned.is_some();
    if !tail.flushing || poisoned || numbers.is_err() || request.guard != Guard::Free {
        return None;
    }
    let mut framed = Framed::after(&tail);
    framed.add(&tail, request.body.as_deref()?, &request.changes, request.time);
    if let Err(error) = write_all(&*tail.log.file, &framed.bytes, tail.end.offset) {
        // Not flushed here: on one descriptor only one flush gets to see a write-back error, and
        // that must be the leader's. What is left is a torn tail that nobody was promised.
        let cut = uninterrupted(|| tail.log.file.set_len(tail.end.offset));
        tail.allocated = tail.end.offset;
        if let Err(cut) = cut {
            tail.poisoned = Some(format!("a failed write ({error}) could not be undone: {cut}"));
        }
        return None;
    }
    let seq = framed.end.seq;
    tail.take(framed.end, framed.changes, framed.updated_at);
    run.publish(&mut tail);
    Some(Seq(seq))
}

/// Decides every guard in order and frames what is to be written.
fn frame_group(run: &Run, tail: &Tail, group: Vec<Request>) -> Framed {
    let mut framed = Framed::after(tail);
    // What this group has changed so far, on top of the view: for guards alone.
    let guarded = group.iter().any(|request| request.guard != Guard::Free);
    let mut changed: HashMap<Box<str>, Option<u64>> = HashMap::new();
    let view = run.view();
    for request in group {
        let holds = match (request.guard, request.changes.first()) {
            (Guard::Free, _) | (_, None) => true,
            (guard, Some((node, _))) => {
                let now = changed.get(node).copied();
                let now = now.unwrap_or_else(|| view.index.get(node).map(|slot| slot.seq));
                match guard {
                    Guard::Free => true,
                    Guard::Absent => now.is_none(),
                    Guard::Present => now.is_some(),
                    Guard::Seen(seen) => now == seen,
                }
            }
        };
        let reply = match &request.body {
            Some(body) if holds => {
                framed.add(tail, body, &request.changes, request.time);
                framed.hurried |= request.durability == Durability::Process;
                if guarded {
                    for (node, place) in request.changes {
                        changed.insert(node, place.map(|_| framed.end.seq));
                    }
                }
                Reply::Done(Seq(framed.end.seq))
            }
            _ if holds => Reply::Done(Seq(framed.end.seq)),
            _ => Reply::Refused,
        };
        // An answer that rests on what is not on disk yet waits for the flush like a write.
        let unsure = framed.end.seq > tail.durable
            && !(left_out(Check::SettledFlush) && reply == Reply::Refused);
        let wait = unsure && request.durability == Durability::Disk;
        framed.answers.push(if wait {
            Appended::AwaitsFlush(reply)
        } else {
            Appended::Settled(Ok(reply))
        });
    }
    framed
}

impl Framed {
    fn after(tail: &Tail) -> Self {
        Self {
            bytes: Vec::new(),
            end: tail.end.clone(),
            changes: Vec::new(),
            updated_at: None,
            answers: Vec::new(),
            hurried: false,
        }
    }

    fn add(
        &mut self,
        tail: &Tail,
        body: &[u8],
        changes: &[(Box<str>, Option<Place>)],
        time: SystemTime,
    ) {
        let before = self.bytes.len();
        let seq = self.end.seq + 1;
        let (nonce, durable) = (tail.log.nonce, tail.durable);
        let crc = frame::seal(&mut self.bytes, nonce, self.end.crc, seq, durable, body);
        let len = self.bytes.len() - before;
        // Behind the body come the bracket and the newline.
        let body_end = self.end.offset + len as u64 - 2;
        for (node, place) in changes {
            let slot = place.map(|place| Slot {
                offset: body_end - place.to_end as u64,
                len: place.len,
                sum: place.sum,
                seq,
                time: time::to_nanos(time),
            });
            self.changes.push((node.clone(), slot));
        }
        self.end.offset += len as u64;
        self.end.seq = seq;
        self.end.crc = crc;
        self.end.durable = self.end.durable.max(durable);
        self.updated_at = Some(time);
    }
}

/// Space is made in steps that grow with the log, up to this.
const STEP_MAX: u64 = 256 << 10;
const STEP_MIN: u64 = 4 << 10;

/// Makes space behind `end` when the log has outgrown what there was. It need not work: then the
/// next flush records a new size, that is all.
fn make_space(tail: &mut Tail, end: u64) {
    if end <= tail.allocated {
        return;
    }
    // There may be some that this handle does not know of.
    if let Ok(len) = tail.log.len()
        && end < len
    {
        tail.allocated = len;
        return;
    }
    let step = (end / 2).clamp(STEP_MIN, STEP_MAX);
    let filler = vec![FILLER; usize::try_from(step).unwrap_or(0)];
    if write_all(&*tail.log.file, &filler, end).is_err() {
        // What was written of it is filler, too.
        tracing::debug!(path = %tail.log.path.display(), "no space was made ahead");
    }
    tail.allocated = end + step;
}

/// Appends, or undoes what it could and flushes that.
fn write(run: &Run, tail: &mut Tail, bytes: &[u8]) -> Result<()> {
    let start = tail.end.offset;
    let Err(error) = write_all(&*tail.log.file, bytes, start) else {
        make_space(tail, start + bytes.len() as u64);
        return Ok(());
    };
    tail.allocated = start;
    let path = run.log_path();
    if left_out(Check::Undo) {
        return Err(Error::NotWritten { path, source: error });
    }
    let undone = uninterrupted(|| tail.log.file.set_len(start))
        .and_then(|()| uninterrupted(|| tail.log.file.sync_all(Flush::Undo)));
    match undone {
        Ok(()) => Err(Error::NotWritten { path, source: error }),
        Err(undoing) => {
            tail.poisoned =
                Some(format!("a failed write ({error}) could not be undone: {undoing}"));
            Err(Error::Unknown { path, source: undoing })
        }
    }
}
