//! A log in the making: under a name of its own until it is whole and flushed.

use std::sync::Arc;
use std::time::SystemTime;

use crate::frame;
use crate::index::{self, Index, Slot};
use crate::read_ahead::ReadAhead;
use crate::run::View;
use crate::scan::{LogFile, Part, Position, Scan};
use crate::vfs::{Flush, Folder, LOG, uninterrupted, write_all};
use crate::{Error, Result, RunId, record, time};

/// Written at once.
const CHUNK: usize = 1 << 20;

/// A file that becomes the log by [`Draft::publish`], or goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Draft<'f> {
    folder: &'f dyn Folder,
    name: String,
    published: bool,
    log: LogFile,
    /// Sealed, but not handed to the system yet.
    buffer: Vec<u8>,
    /// The end of what is sealed.
    at: Position,
    index: Index,
    updated_at: Option<SystemTime>,
}

/// Making a draft the log failed; with `renamed` it may or may not be the log after a crash.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    pub(crate) renamed: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, renamed: false }
    }
}

impl<'f> Draft<'f> {
    /// A new file with its first line.
    pub(crate) fn begin(folder: &'f dyn Folder, run: &RunId, compacted: bool) -> Result<Self> {
        let path = folder.path().join(LOG);
        let (name, file) = uninterrupted(|| folder.create_temporary())
            .map_err(Error::io("make a new file beside", &path))?;
        let log = LogFile { file, path, nonce: folder.nonce() };
        let part =
            if compacted { Part::Compacted { count: 0, checksum: 0 } } else { Part::Journal };
        let at = Position { offset: 0, seq: 0, crc: 0, durable: 0, part };
        let (buffer, index) = (Vec::new(), Index::default());
        let mut draft =
            Self { folder, name, published: false, log, buffer, at, index, updated_at: None };
        let body = record::open(run, draft.log.nonce, compacted);
        draft.seal(0, 0, &body)?;
        Ok(draft)
    }

    /// Writes a state: every node as a record of its own, in the order of the old file.
    pub(crate) fn fold(&mut self, view: &View) -> Result<()> {
        let mut nodes: Vec<(&str, Slot)> = view.index.from("").collect();
        nodes.sort_unstable_by_key(|(_, slot)| slot.offset);
        let mut values = ReadAhead::new(&view.log);
        for (node, slot) in nodes {
            let found = values.find(slot)?;
            self.put(node, found.updated_at, &found.json, slot.seq, view.end.seq)?;
        }
        self.base(view.end.seq, view.updated_at)
    }

    /// One node of the compacted part.
    pub(crate) fn put(
        &mut self,
        node: &str,
        time: SystemTime,
        json: &str,
        seq: u64,
        durable: u64,
    ) -> Result<()> {
        let body = record::put(node, &time::format(time), json.as_bytes());
        self.seal(seq, durable, &body)?;
        let slot = Slot {
            // Behind it come only the bracket and the newline.
            offset: self.at.offset - json.len() as u64 - 2,
            len: u32::try_from(json.len()).unwrap_or(u32::MAX),
            sum: crc32c::crc32c(json.as_bytes()),
            seq,
            time: time::to_nanos(time),
        };
        self.index.apply(node, Some(slot));
        Ok(())
    }

    /// Ends the compacted part: the state is that after `seq`.
    pub(crate) fn base(&mut self, seq: u64, updated_at: Option<SystemTime>) -> Result<()> {
        if let Part::Compacted { count, checksum } = self.at.part {
            let when = time::format(updated_at.unwrap_or(SystemTime::UNIX_EPOCH));
            self.seal(seq, seq, &record::base(count, checksum, &when))?;
        }
        self.updated_at = updated_at;
        Ok(())
    }

    /// Copies the records after `from` of the old file, up to `to`.
    pub(crate) fn follow(&mut self, old: &LogFile, from: &Position, to: &Position) -> Result<()> {
        let mut scan = Scan::new(old, from.clone(), to.offset);
        while let Some((span, line, record)) = scan.next()? {
            let body = frame::body_of(line.strip_suffix(b"\n").unwrap_or(line));
            self.seal(record.seq, to.seq, body)?;
            // The head may have grown; the distance to the end is the same.
            let (old_end, end) = (span.offset + u64::from(span.len), self.at.offset);
            let index = &mut self.index;
            index::changes(&record, span, line, |node, slot| {
                let moved = |slot: Slot| Slot { offset: end - (old_end - slot.offset), ..slot };
                index.apply(node, slot.map(moved));
            });
            self.updated_at = record.body.time().and_then(time::parse);
        }
        if scan.position().offset == to.offset { Ok(()) } else { Err(old.corrupt(scan.position())) }
    }

    /// Flushes it, gives it the log's name, and flushes that. Only under the exclusive lock.
    pub(crate) fn publish(mut self) -> Result<View, Failed> {
        self.write()?;
        let path = self.log.path.clone();
        uninterrupted(|| self.log.file.sync_all(Flush::NewFile))
            .map_err(Error::io("flush the new", &path))?;
        uninterrupted(|| self.folder.rename(&self.name, LOG))
            .map_err(Error::io("rename a new file to", &path))?;
        self.published = true;
        for flushed in [
            uninterrupted(|| self.folder.sync(Flush::NewEntry)),
            uninterrupted(|| self.folder.sync_parent(Flush::NewEntry)),
        ] {
            flushed
                .map_err(Error::io("flush the folder of", &path))
                .map_err(|error| Failed { error, renamed: true })?;
        }
        Ok(View {
            log: Arc::new(self.log.clone()),
            index: std::mem::take(&mut self.index),
            end: self.at.clone(),
            updated_at: self.updated_at,
        })
    }

    fn seal(&mut self, seq: u64, durable: u64, body: &[u8]) -> Result<()> {
        let start = self.buffer.len();
        let prev = self.at.crc;
        let crc = frame::seal(&mut self.buffer, self.log.nonce, prev, seq, durable, body);
        let line = &self.buffer[start..];
        let len = line.len();
        let opening = self.at.offset == 0;
        match &mut self.at.part {
            Part::Compacted { .. } if opening => {}
            Part::Compacted { count, checksum } if !body.starts_with(b"\"base\"") => {
                *count += 1;
                *checksum = crc32c::crc32c_append(*checksum, line);
            }
            part => {
                *part = Part::Journal;
                self.at.seq = seq;
            }
        }
        self.at.offset += len as u64;
        self.at.crc = crc;
        self.at.durable = self.at.durable.max(durable);
        if self.buffer.len() >= CHUNK {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        let written = self.at.offset - self.buffer.len() as u64;
        write_all(&*self.log.file, &self.buffer, written)
            .map_err(Error::io("write a new file beside", &self.log.path))?;
        self.buffer.clear();
        Ok(())
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.published {
            // What cannot be removed now is swept by the next open.
            let _ = self.folder.remove(&self.name);
        }
    }
}
