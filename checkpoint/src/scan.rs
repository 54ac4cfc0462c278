//! Reading a log line by line, each verified against the one before.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::frame::{self, Body, FORMAT, Record};
use crate::index::{Slot, Span};
use crate::left_out::{Check, left_out};
use crate::vfs::{FILLER, File, Identity, read_full, uninterrupted};
use crate::{Error, Result, RunId, Seq, time};

/// Read at once while scanning.
const CHUNK: usize = 1 << 20;

/// An open log that begins with a good first line.
#[derive(Debug, Clone)]
pub(crate) struct LogFile {
    pub(crate) file: Arc<dyn File>,
    pub(crate) path: PathBuf,
    pub(crate) nonce: u32,
}

/// The end of a verified record, and what the chain of checks goes on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    /// Where the next record begins.
    pub(crate) offset: u64,
    pub(crate) seq: u64,
    /// The next record's `prev`.
    pub(crate) crc: u32,
    /// The highest seq that a record up to here says is on disk.
    pub(crate) durable: u64,
    pub(crate) part: Part,
}

/// Which part of a file a position is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// Seqs are contiguous.
    Journal,
    /// Puts keep the seqs that they had; a base with this count and checksum must come.
    Compacted { count: u64, checksum: u32 },
}

/// What a node's line says.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) json: String,
    pub(crate) updated_at: SystemTime,
    pub(crate) seq: Seq,
}

impl LogFile {
    /// Reads the first line; a log is renamed into place whole, so a bad one is damage.
    ///
    /// `run` must be the name in it, if given.
    pub(crate) fn open(
        file: Arc<dyn File>,
        path: &Path,
        run: Option<&RunId>,
    ) -> Result<(Self, Position)> {
        let corrupt = || corrupt_at(path, 0, 0);
        let mut head = vec![0; 1024];
        let read = read_full(&*file, &mut head, 0).map_err(Error::io("read", path))?;
        let end = memchr::memchr(b'\n', &head[..read]).ok_or_else(corrupt)?;
        let record = frame::parse_open(&head[..end]).ok_or_else(corrupt)?;
        let Body::Open { format, run: named, nonce, compacted } = record.body else {
            return Err(corrupt());
        };
        if format != FORMAT {
            let path = path.to_owned();
            return Err(Error::UnsupportedVersion { path, found: format, supported: FORMAT });
        }
        if run.is_some_and(|run| run.as_str() != named) || record.seq != 0 || record.prev != 0 {
            return Err(corrupt());
        }
        let part =
            if compacted { Part::Compacted { count: 0, checksum: 0 } } else { Part::Journal };
        let position =
            Position { offset: end as u64 + 1, seq: 0, crc: record.crc, durable: 0, part };
        Ok((Self { file, path: path.to_owned(), nonce }, position))
    }

    pub(crate) fn identity(&self) -> Identity {
        self.file.identity()
    }

    pub(crate) fn len(&self) -> Result<u64> {
        uninterrupted(|| self.file.len()).map_err(self.failed("look at"))
    }

    /// Whether filler begins at `offset`. Where it does not, the file ends there, or something was
    /// appended.
    pub(crate) fn has_filler_at(&self, offset: u64) -> Result<bool> {
        let mut byte = [0];
        let read = read_full(&*self.file, &mut byte, offset).map_err(self.failed("read"))?;
        Ok(read == 1 && byte == [FILLER])
    }

    pub(crate) fn failed(&self, doing: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        Error::io(doing, &self.path)
    }

    pub(crate) fn corrupt(&self, at: &Position) -> Error {
        corrupt_at(&self.path, at.offset, at.seq)
    }

    /// `len` bytes from `offset` on, or fewer at the end.
    pub(crate) fn bytes(&self, offset: u64, len: u32) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len as usize];
        let read = read_full(&*self.file, &mut bytes, offset).map_err(self.failed("read"))?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Reads one node's value back and verifies it.
    pub(crate) fn find(&self, slot: Slot) -> Result<Found> {
        self.verified(slot, self.bytes(slot.offset, slot.len)?)
    }

    /// What stands in `bytes`, which were read where `slot` says.
    pub(crate) fn verified(&self, slot: Slot, bytes: Vec<u8>) -> Result<Found> {
        let whole = bytes.len() == slot.len as usize && crc32c::crc32c(&bytes) == slot.sum;
        let json = String::from_utf8(bytes).ok().filter(|_| whole);
        let damaged = || corrupt_at(&self.path, slot.offset, slot.seq.saturating_sub(1));
        let json = json.ok_or_else(damaged)?;
        Ok(Found { json, updated_at: time::from_nanos(slot.time), seq: Seq(slot.seq) })
    }
}

fn corrupt_at(path: &Path, offset: u64, last: u64) -> Error {
    Error::Corrupt { path: path.to_owned(), offset, last_good_seq: Seq(last) }
}

/// A walk over a log from a position up to a length.
#[derive(Debug)]
pub(crate) struct Scan<'f> {
    log: &'f LogFile,
    limit: u64,
    at: Position,
    /// Bytes of the file from `at.offset` on are `buffer[start..]`.
    buffer: Vec<u8>,
    start: usize,
}

impl<'f> Scan<'f> {
    pub(crate) fn new(log: &'f LogFile, at: Position, limit: u64) -> Self {
        Self { log, limit, at, buffer: Vec::new(), start: 0 }
    }

    /// The next record with its line, or `None` at the end and at the first bad byte.
    pub(crate) fn next(&mut self) -> Result<Option<(Span, &[u8], Record<'_>)>> {
        let Some(len) = self.line_len()? else { return Ok(None) };
        let line = &self.buffer[self.start..self.start + len];
        let Some(record) = frame::parse(&line[..len - 1], self.log.nonce) else {
            return Ok(None);
        };
        let Ok(short) = u32::try_from(len) else { return Ok(None) };
        let span = Span { offset: self.at.offset, len: short };
        if self.at.step(&record, line).is_none() {
            return Ok(None);
        }
        self.start += len;
        Ok(Some((span, line, record)))
    }

    /// The end of the last record that verified.
    pub(crate) fn position(&self) -> &Position {
        &self.at
    }

    /// Whether every byte up to the limit verified, or is filler, and nothing is known to follow.
    pub(crate) fn is_clean(&self) -> Result<bool> {
        if self.at.must_go_on() {
            return Ok(false);
        }
        let mut at = self.at.offset;
        while at < self.limit {
            let more = (self.limit - at).min(CHUNK as u64);
            let bytes = self.log.bytes(at, u32::try_from(more).unwrap_or(u32::MAX))?;
            if bytes.is_empty() || bytes.iter().any(|byte| *byte != FILLER) {
                return Ok(false);
            }
            at += bytes.len() as u64;
        }
        Ok(true)
    }

    /// Length of the next line with its newline, reading on as needed.
    fn line_len(&mut self) -> Result<Option<usize>> {
        let mut searched = 0;
        loop {
            let rest = &self.buffer[self.start..];
            if let Some(at) = memchr::memchr(b'\n', &rest[searched..]) {
                return Ok(Some(searched + at + 1));
            }
            searched = rest.len();
            let known = self.at.offset + searched as u64;
            let more = usize::try_from(self.limit.saturating_sub(known)).unwrap_or(CHUNK);
            let more = more.min(CHUNK.max(searched));
            self.buffer.drain(..self.start);
            self.start = 0;
            self.buffer.resize(searched + more, 0);
            let read = read_full(&*self.log.file, &mut self.buffer[searched..], known)
                .map_err(self.log.failed("read"))?;
            self.buffer.truncate(searched + read);
            if read == 0 {
                return Ok(None);
            }
        }
    }
}

impl Position {
    /// Whether the file itself says that it goes on here: it cannot end before a compacted part's
    /// base, nor before a record that one up to here says is on disk.
    fn must_go_on(&self) -> bool {
        self.part != Part::Journal || self.durable > self.seq
    }

    /// Moves over `line` (with its newline) if it may stand here.
    pub(crate) fn step(&mut self, record: &Record<'_>, line: &[u8]) -> Option<()> {
        if record.prev != self.crc && !left_out(Check::Prev) {
            return None;
        }
        match (&mut self.part, &record.body) {
            (_, Body::Open { .. }) | (Part::Journal, Body::Base { .. }) => return None,
            (Part::Journal, _) => {
                if record.seq != self.seq + 1 && !left_out(Check::Seq) {
                    return None;
                }
                self.seq = record.seq;
            }
            (Part::Compacted { count, checksum }, Body::Put { .. }) => {
                *count += 1;
                *checksum = crc32c::crc32c_append(*checksum, line);
            }
            (Part::Compacted { count, checksum }, Body::Base { count: all, checksum: sum, .. }) => {
                if count != all || checksum != sum {
                    return None;
                }
                self.seq = record.seq;
                self.part = Part::Journal;
            }
            (Part::Compacted { .. }, _) => return None,
        }
        self.offset += line.len() as u64;
        self.crc = record.crc;
        self.durable = self.durable.max(record.durable);
        Some(())
    }
}

/// What the bytes after the last good record are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nobody was promised them.
    Torn,
    /// A record, most likely a later one, vouches for what is damaged here.
    Damaged,
}

/// Judges `bytes`, which begin at the first bad byte after `at`.
///
/// The search starts again at every byte, not at newlines: the damage may be a newline.
pub(crate) fn judge(bytes: &[u8], at: &Position, nonce: u32) -> Rest {
    if left_out(Check::Damage) {
        return Rest::Torn;
    }
    if at.must_go_on() || left_out(Check::Tear) {
        return Rest::Damaged;
    }
    let vouched = later_records(bytes, nonce).any(|(_, record)| record.durable > at.seq);
    if vouched { Rest::Damaged } else { Rest::Torn }
}

/// Every self-consistent record in `bytes`, wherever it begins, with its offset there.
pub(crate) fn later_records(bytes: &[u8], nonce: u32) -> impl Iterator<Item = (usize, Record<'_>)> {
    let lines = memchr::memchr_iter(b'\n', bytes).scan(0, |start, end| {
        let begun = std::mem::replace(start, end + 1);
        Some((begun, &bytes[begun..end]))
    });
    lines.flat_map(move |(start, line)| {
        let brackets = memchr::memchr_iter(b'[', line);
        brackets.filter_map(move |at| Some((start + at, frame::found(&line[at..], nonce)?)))
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{CHUNK, FILLER, LogFile, Part, Position, Scan};
    use crate::disk::Disk;
    use crate::vfs::{Folder as _, write_all};
    use crate::{frame, record};

    fn at(seq: u64, durable: u64, part: Part) -> Position {
        Position { offset: 10, seq, crc: 0, durable, part }
    }

    #[test]
    fn only_filler_up_to_the_limit_is_clean() {
        let root = tempfile::tempdir().unwrap();
        let (_, file) = Disk::create(root.path(), "a").unwrap().create_temporary().unwrap();
        let log = LogFile { file, path: PathBuf::new(), nonce: 0 };
        let end = (10 + CHUNK + 10) as u64;
        write_all(&*log.file, &vec![FILLER; CHUNK + 20], 0).unwrap();
        write_all(&*log.file, b"x", end).unwrap();
        let clean = |limit| Scan::new(&log, at(1, 1, Part::Journal), limit).is_clean().unwrap();
        assert!(clean(10) && clean(12) && clean(end));
        assert!(!clean(end + 1), "there is more behind the filler");
        write_all(&*log.file, b"x", 13).unwrap();
        assert!(clean(12) && !clean(14), "what stands behind the limit is not looked at");
        assert!(log.has_filler_at(10).unwrap() && !log.has_filler_at(13).unwrap());
        assert!(!log.has_filler_at(end + 1).unwrap(), "the file's end");
    }

    #[test]
    fn a_file_goes_on_up_to_its_base_and_to_what_it_vouches_for() {
        assert!(!at(1, 1, Part::Journal).must_go_on());
        assert!(at(1, 2, Part::Journal).must_go_on());
        assert!(at(1, 1, Part::Compacted { count: 0, checksum: 0 }).must_go_on());
    }

    #[test]
    fn a_base_has_the_count_and_the_checksum_of_what_it_ends() {
        for (count, checksum, good) in [(1, 5, true), (2, 5, false), (1, 6, false)] {
            let mut line = Vec::new();
            frame::seal(&mut line, 7, 0, 9, 0, &record::base(count, checksum, "t"));
            let record = frame::parse(&line[..line.len() - 1], 7).unwrap();
            let mut position = at(0, 0, Part::Compacted { count: 1, checksum: 5 });
            assert_eq!(position.step(&record, &line).is_some(), good, "{count} {checksum}");
        }
    }
}
