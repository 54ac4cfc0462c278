//! Taking in what is in a log: a whole file at open, a tail whenever others have written.
//!
//! Damage that a later record vouches for is [`Error::Corrupt`] and is left alone. A torn tail was
//! promised to nobody: it is kept aside, cut off, and the cut is flushed before anything follows.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::index::{self, Index};
use crate::left_out::{Check, left_out};
use crate::run::{Run, Tail, View};
use crate::scan::{LogFile, Position, Rest, Scan, judge};
use crate::vfs::{FILLER, Flush, Folder, LOG, read_full, uninterrupted, write_all};
use crate::{Error, Result, RunId, time};

/// Written again at once.
const COPY: usize = 1 << 16;

/// A whole log taken in, and what was done to it.
#[derive(Debug)]
pub(crate) struct Adopted {
    pub(crate) view: View,
    pub(crate) records: u64,
    pub(crate) torn_bytes: u64,
    pub(crate) quarantined: Option<String>,
}

/// Opens the log under its name and makes it safe to append to and to answer from.
///
/// Under the exclusive lock, once for each descriptor: the entries that lead to the file are
/// flushed, a torn tail is cut, and what no record vouches for is written once more, as a failed
/// flush of somebody who is gone may have left it clean in memory but not on disk.
pub(crate) fn adopt(folder: &dyn Folder, run: &RunId) -> Result<Adopted> {
    let path = folder.path().join(LOG);
    let file = uninterrupted(|| folder.open(LOG, true)).map_err(Error::io("open", &path))?;
    uninterrupted(|| folder.sync(Flush::FoundEntry))
        .map_err(Error::io("flush the folder of", &path))?;
    uninterrupted(|| folder.sync_parent(Flush::FoundEntry))
        .map_err(Error::io("flush the root of", &path))?;
    let (log, start) = LogFile::open(file, &path, Some(run))?;
    let whole = read_whole(&log, start)?;
    let (torn_bytes, quarantined) =
        if whole.clean { (0, None) } else { cut(folder, &log, &whole.end)? };
    write_again(&log, whole.proven, whole.end.offset)?;
    let view = View {
        index: whole.index,
        updated_at: whole.updated_at,
        end: whole.end,
        log: Arc::new(log),
    };
    Ok(Adopted { view, records: whole.records, torn_bytes, quarantined })
}

/// A log read from its start to its last good record.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) index: Index,
    pub(crate) end: Position,
    pub(crate) updated_at: Option<std::time::SystemTime>,
    pub(crate) records: u64,
    /// Up to here some record says that all is on disk.
    pub(crate) proven: u64,
    /// Sequence numbers and ends of the records behind it, that nothing vouches for yet.
    unproven: VecDeque<(u64, u64)>,
    pub(crate) clean: bool,
}

/// Folds everything that verifies.
pub(crate) fn read_whole(log: &LogFile, start: Position) -> Result<Whole> {
    let mut whole = Whole {
        index: Index::default(),
        proven: start.offset,
        end: start,
        updated_at: None,
        records: 1,
        unproven: VecDeque::new(),
        clean: false,
    };
    whole.read_on(log)?;
    Ok(whole)
}

impl Whole {
    /// Goes on from the end with bytes that are read anew; whether it came any further.
    pub(crate) fn read_on(&mut self, log: &LogFile) -> Result<bool> {
        let begun = self.end.offset;
        let mut last_time = None;
        let mut scan = Scan::new(log, self.end.clone(), log.len()?);
        while let Some((span, line, record)) = scan.next()? {
            self.records += 1;
            index::changes(&record, span, line, |node, slot| self.index.apply(node, slot));
            let last_time = last_time.get_or_insert_with(String::new);
            last_time.clear();
            last_time.push_str(record.body.time().unwrap_or_default());
            let end = span.offset + u64::from(span.len);
            self.unproven.push_back((scan.position().seq, end));
            let durable = scan.position().durable;
            while let Some(&(_, end)) = self.unproven.front().filter(|(seq, _)| *seq <= durable) {
                self.proven = end;
                self.unproven.pop_front();
            }
        }
        self.clean = scan.is_clean()?;
        self.end = scan.position().clone();
        if let Some(time) = last_time.filter(|_| self.end.seq > 0) {
            self.updated_at = time::parse(&time);
        }
        Ok(self.end.offset > begun)
    }
}

/// The bytes from `at` to the end of the file, without its filler.
pub(crate) fn rest_of(log: &LogFile, at: &Position) -> Result<Vec<u8>> {
    let len = usize::try_from(log.len()?.saturating_sub(at.offset)).unwrap_or(usize::MAX);
    let mut rest = vec![0; len];
    let read = read_full(&*log.file, &mut rest, at.offset).map_err(log.failed("read"))?;
    rest.truncate(read);
    // Filler behind is no part of it; one is kept, as it may end a line.
    while rest.ends_with(&[FILLER, FILLER]) {
        rest.pop();
    }
    Ok(rest)
}

/// Cuts a torn tail off, or finds that it is damage. Under the exclusive lock.
fn cut(folder: &dyn Folder, log: &LogFile, at: &Position) -> Result<(u64, Option<String>)> {
    let rest = rest_of(log, at)?;
    if judge(&rest, at, log.nonce) == Rest::Damaged {
        return Err(log.corrupt(at));
    }
    let torn = rest.len() as u64;
    // A copy is a courtesy: that there is no space for it must not keep a run from being opened.
    let kept = folder.keep_aside(&rest);
    if let Err(error) = &kept {
        tracing::warn!(path = %log.path.display(), %error, "a torn tail could not be kept aside");
    }
    tracing::warn!(path = %log.path.display(), offset = at.offset, torn, "a torn tail was cut off");
    uninterrupted(|| log.file.set_len(at.offset)).map_err(log.failed("cut a torn tail off"))?;
    uninterrupted(|| log.file.sync_all(Flush::TornTail)).map_err(log.failed("flush"))?;
    Ok((torn, kept.ok()))
}

/// Writes `from..to` once more in place and flushes.
fn write_again(log: &LogFile, mut from: u64, to: u64) -> Result<()> {
    let mut copy = vec![0; COPY];
    if left_out(Check::WritingAgain) {
        from = to;
    }
    while from < to {
        let len = usize::try_from(to - from).unwrap_or(COPY).min(COPY);
        let read = read_full(&*log.file, &mut copy[..len], from).map_err(log.failed("read"))?;
        if read == 0 {
            break;
        }
        write_all(&*log.file, &copy[..read], from).map_err(log.failed("write again"))?;
        from += read as u64;
    }
    uninterrupted(|| log.file.sync_all(Flush::Again)).map_err(log.failed("flush"))
}

/// Takes in what other processes did since this handle last held the exclusive lock.
pub(crate) fn catch_up(run: &Run, tail: &mut Tail) -> Result<()> {
    if stands_elsewhere(run, tail)? {
        let adopted = adopt(&*run.folder, &run.id)?;
        if adopted.view.end.seq < tail.end.seq {
            return Err(tail.log.corrupt(&adopted.view.end));
        }
        let durable = adopted.view.end.seq;
        run.replace(tail, adopted.view, durable);
        return Ok(());
    }
    if !follow(run, tail)? {
        cut(&*run.folder, &tail.log, &tail.end)?;
        tail.allocated = tail.end.offset;
    }
    Ok(())
}

/// The same under the shared lock, where nothing may be changed.
///
/// Returns `false` if another file has taken the log's place: that needs the exclusive lock.
pub(crate) fn look(run: &Run, tail: &mut Tail) -> Result<bool> {
    if stands_elsewhere(run, tail)? {
        return Ok(false);
    }
    if !follow(run, tail)? {
        let rest = rest_of(&tail.log, &tail.end)?;
        if judge(&rest, &tail.end, tail.log.nonce) == Rest::Damaged {
            return Err(tail.log.corrupt(&tail.end));
        }
    }
    Ok(true)
}

fn stands_elsewhere(run: &Run, tail: &Tail) -> Result<bool> {
    let there = uninterrupted(|| run.folder.identity(LOG))
        .map_err(Error::io("look at", &run.log_path()))?;
    match there {
        None => Err(run.no_such_run()),
        Some(there) => Ok(there != tail.log.identity()),
    }
}

/// Verifies and applies what stands behind the tail; whether that was all good.
fn follow(run: &Run, tail: &mut Tail) -> Result<bool> {
    // What every save comes to asks the system once, and not for the length, too.
    if tail.log.has_filler_at(tail.end.offset)? {
        return Ok(true);
    }
    let len = tail.log.len()?;
    if len < tail.end.offset {
        return Err(tail.log.corrupt(&tail.end));
    }
    tail.allocated = len;
    if len == tail.end.offset {
        return Ok(true);
    }
    let log = Arc::clone(&tail.log);
    let mut scan = Scan::new(&log, tail.end.clone(), len);
    while let Some((span, line, record)) = scan.next()? {
        index::changes(&record, span, line, |node, slot| tail.pending.push((node.into(), slot)));
        tail.updated_at = record.body.time().and_then(time::parse);
    }
    tail.end = scan.position().clone();
    tail.durable = tail.durable.max(tail.end.durable);
    let clean = scan.is_clean()?;
    run.publish(tail);
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;
    use std::sync::{Arc, Mutex};

    use super::{COPY, read_whole, write_again};
    use crate::scan::LogFile;
    use crate::vfs::{File, Flush, Folder as _, Identity, LOG};
    use crate::{Checkpoint, RunId, read};

    /// Has a byte at every place, and notes what is written.
    #[derive(Debug, Default)]
    struct Noting(Mutex<Vec<(u64, usize)>>);

    impl File for Noting {
        fn identity(&self) -> Identity {
            Identity { device: 0, inode: 0 }
        }

        fn len(&self) -> io::Result<u64> {
            Ok(u64::MAX)
        }

        fn read_at(&self, into: &mut [u8], _: u64) -> io::Result<usize> {
            Ok(into.len())
        }

        fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
            self.0.lock().unwrap().push((offset, bytes.len()));
            Ok(bytes.len())
        }

        fn set_len(&self, _: u64) -> io::Result<()> {
            Ok(())
        }

        fn sync_data(&self, _: Flush) -> io::Result<()> {
            Ok(())
        }

        fn sync_all(&self, _: Flush) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_written_again_is_all_of_it_and_no_more() {
        let file = Arc::new(Noting::default());
        let log = LogFile { file: file.clone(), path: PathBuf::new(), nonce: 0 };
        write_again(&log, 10, 10 + 2 * COPY as u64 + 5).unwrap();
        let copy = COPY as u64;
        let pieces = [(10, COPY), (10 + copy, COPY), (10 + 2 * copy, 5)];
        assert_eq!(*file.0.lock().unwrap(), pieces);
    }

    #[test]
    fn a_state_has_the_time_of_its_last_record_and_none_before_the_first() {
        let root = tempfile::tempdir().unwrap();
        let run = RunId::new("a").unwrap();
        let handle = Checkpoint::open(root.path(), &run).unwrap();
        handle.compact().unwrap();
        assert_eq!(read(root.path(), &run).unwrap().updated_at(), None);
        handle.save("a", &1).unwrap();
        let saved = read(root.path(), &run).unwrap().updated_at();
        assert!(saved.is_some());
        assert_eq!(handle.load().unwrap().updated_at(), saved);
    }

    #[test]
    fn a_reader_goes_on_where_more_was_written() {
        let root = tempfile::tempdir().unwrap();
        let run = RunId::new("a").unwrap();
        let handle = Checkpoint::open(root.path(), &run).unwrap();
        let folder = crate::disk::Disk::open(root.path(), "a").unwrap();
        let file = folder.open(LOG, false).unwrap();
        let (log, start) = LogFile::open(file, &PathBuf::new(), Some(&run)).unwrap();
        let mut whole = read_whole(&log, start).unwrap();
        assert!(!whole.read_on(&log).unwrap());
        handle.save("a", &1).unwrap();
        assert!(whole.read_on(&log).unwrap());
        assert!(!whole.read_on(&log).unwrap());
    }
}
