//! Keeping what still verifies of a damaged log. Only ever done on request.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::value::RawValue;

use crate::builder::lock_file;
use crate::draft::Draft;
use crate::frame::{self, Body, Record};
use crate::lock::locked;
use crate::read::folder_of;
use crate::recover::read_whole;
use crate::scan::{LogFile, later_records};
use crate::vfs::{FILLER, File, Folder, LOG, read_full};
use crate::{Error, Result, RunId, Seq, time};

/// What [`salvage`] kept, and what it could not keep.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Salvaged {
    /// Records that verified.
    pub records: u64,
    /// Nodes in the new state.
    pub nodes: usize,
    /// The last record of the new state; the next save follows it.
    pub seq: Seq,
    /// Stretches of the old file in which nothing verified: offset and length.
    pub lost: Vec<(u64, u64)>,
    /// Records of the journal that are known to be lost: first and last seq of each gap.
    pub lost_seqs: Vec<(Seq, Seq)>,
    /// The old file, relative to the run's folder; `None` if nothing was wrong and nothing changed.
    pub kept_aside: Option<String>,
}

/// Rewrites a damaged run from every record that still verifies, and says what was lost.
///
/// The damaged file is kept in `quarantine/`. A node whose last record is lost has the value of the
/// record before it, or is there again if that was a removal: look at `lost_seqs`. Reads the whole
/// log into memory. A run without damage is left as it is.
///
/// # Errors
/// [`Error::NoSuchRun`], [`Error::Locked`], [`Error::Io`]; [`Error::Corrupt`] if not one record
/// verifies.
pub fn salvage(root: impl AsRef<Path>, run: &RunId) -> Result<Salvaged> {
    let folder = folder_of(root.as_ref(), run)?;
    let there = folder.identity(LOG).map_err(Error::io("look at", folder.path()))?;
    if there.is_none() {
        return Err(Error::NoSuchRun { path: folder.path().to_owned() });
    }
    locked(&mut *lock_file(&*folder)?, &*folder, true, None, || salvage_in(&*folder, run))?
}

/// The state that the good records make, and what lies between them.
#[derive(Default)]
struct Kept<'a> {
    nodes: BTreeMap<String, (u64, &'a str, &'a RawValue)>,
    records: u64,
    seq: u64,
    updated_at: Option<&'a str>,
    lost: Vec<(u64, u64)>,
    lost_seqs: Vec<(Seq, Seq)>,
    /// The next seq, once the journal part has begun.
    next: Option<u64>,
}

pub(crate) fn salvage_in(folder: &dyn Folder, run: &RunId) -> Result<Salvaged> {
    let path = folder.path().join(LOG);
    let file = folder.open(LOG, false).map_err(Error::io("open", &path))?;
    if let Some(sound) = sound(&file, &path, run)? {
        return Ok(sound);
    }
    let len = file.len().map_err(Error::io("look at", &path))?;
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    let read = read_full(&*file, &mut bytes, 0).map_err(Error::io("read", &path))?;
    bytes.truncate(read);
    while bytes.ends_with(&[FILLER, FILLER]) {
        bytes.pop();
    }
    let corrupt = || Error::Corrupt { path: path.clone(), offset: 0, last_good_seq: Seq(0) };
    let nonce = find_nonce(&bytes).ok_or_else(corrupt)?;
    let kept = Kept::collect(&bytes, nonce);
    let mut salvaged = Salvaged {
        records: kept.records,
        nodes: kept.nodes.len(),
        seq: Seq(kept.seq),
        lost: kept.lost,
        lost_seqs: kept.lost_seqs,
        kept_aside: None,
    };
    let mut draft = Draft::begin(folder, run, true)?;
    for (node, (seq, time, value)) in kept.nodes {
        let time = time::parse(time).unwrap_or(SystemTime::UNIX_EPOCH);
        draft.put(&node, time, value.get(), seq, 0)?;
    }
    draft.base(kept.seq, kept.updated_at.and_then(time::parse))?;
    let aside = folder.keep_log_aside().map_err(Error::io("keep aside", &path))?;
    draft.publish().map_err(|failed| failed.error)?;
    salvaged.kept_aside = Some(aside);
    Ok(salvaged)
}

/// What there is to say of a log in which nothing is wrong.
fn sound(file: &Arc<dyn File>, path: &Path, run: &RunId) -> Result<Option<Salvaged>> {
    let whole = LogFile::open(Arc::clone(file), path, Some(run))
        .and_then(|(log, start)| read_whole(&log, start));
    match whole {
        Ok(whole) if whole.clean => Ok(Some(Salvaged {
            records: whole.records,
            nodes: whole.index.len(),
            seq: Seq(whole.end.seq),
            lost: Vec::new(),
            lost_seqs: Vec::new(),
            kept_aside: None,
        })),
        Ok(_) | Err(Error::Corrupt { .. } | Error::UnsupportedVersion { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

impl<'a> Kept<'a> {
    fn collect(bytes: &'a [u8], nonce: u32) -> Self {
        let mut kept = Self::default();
        let mut at = 0;
        while at < bytes.len() {
            let Some((skipped, record)) = later_records(&bytes[at..], nonce).next() else {
                kept.lost.push((at as u64, (bytes.len() - at) as u64));
                break;
            };
            if skipped > 0 {
                kept.lost.push((at as u64, skipped as u64));
            }
            at += skipped;
            let len = memchr::memchr(b'\n', &bytes[at..]).map_or(0, |end| end + 1);
            if !kept.take(at, record) {
                kept.lost.push((at as u64, len as u64));
            }
            at += len;
        }
        if let Some(next) = kept.next.filter(|next| *next <= kept.seq) {
            // The last ones are gone, but a record before them says that they were on disk.
            kept.lost_seqs.push((Seq(next), Seq(kept.seq)));
        }
        kept
    }

    /// Whether the record may stand there: what is left of an earlier life of a block is no news.
    fn take(&mut self, at: usize, record: Record<'a>) -> bool {
        let fits = match &record.body {
            Body::Open { .. } => at == 0,
            Body::Base { .. } => self.next.is_none(),
            _ => self.next.is_none_or(|next| record.seq >= next),
        };
        if !fits {
            return false;
        }
        self.records += 1;
        self.seq = self.seq.max(record.seq).max(record.durable);
        match record.body {
            Body::Open { compacted, .. } => self.next = (!compacted).then_some(1),
            Body::Base { time, .. } => {
                self.next = Some(record.seq + 1);
                self.updated_at = Some(time);
            }
            Body::Put { node, time, value } => {
                self.set(record.seq, time, node, Some(value));
                self.passes(record.seq);
            }
            Body::Remove { node, time } => {
                self.set(record.seq, time, node, None);
                self.passes(record.seq);
            }
            Body::Batch { time, changes } => {
                for (node, value) in changes {
                    self.set(record.seq, time, node, value);
                }
                self.updated_at = Some(time);
                self.passes(record.seq);
            }
        }
        true
    }

    fn set(&mut self, seq: u64, time: &'a str, node: Cow<'_, str>, value: Option<&'a RawValue>) {
        match value {
            Some(value) => self.nodes.insert(node.into_owned(), (seq, time, value)),
            None => self.nodes.remove(&*node),
        };
        self.updated_at = Some(time);
    }

    /// Notes what is missing before a record of the journal.
    fn passes(&mut self, seq: u64) {
        if let Some(next) = self.next {
            if seq > next {
                self.lost_seqs.push((Seq(next), Seq(seq - 1)));
            }
            self.next = Some(seq + 1);
        }
    }
}

/// The file's nonce: from its first line, or, if that is damaged, from where lines agree.
///
/// A checksum determines the seed that it was made with. Two lines that name the same seed are no
/// accident; a single line is believed if it follows the first line, or if that one names it.
fn find_nonce(bytes: &[u8]) -> Option<u32> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = lines.next()?;
    if let Some(Body::Open { nonce, .. }) = frame::parse_open(first).map(|record| record.body) {
        return Some(nonce);
    }
    let first = String::from_utf8_lossy(first);
    let mut votes: HashMap<u32, u32> = HashMap::new();
    for line in lines {
        let Some(nonce) = frame::nonce_that_fits(line) else { continue };
        let prev = line.get(13..21).and_then(|prev| std::str::from_utf8(prev).ok());
        let follows = prev.is_some_and(|prev| first.get(2..10) == Some(prev));
        let named = first.contains(&format!("{nonce:08x}"));
        *votes.entry(nonce).or_default() += 1 + u32::from(follows) + u32::from(named);
    }
    votes.into_iter().filter(|(_, votes)| *votes > 1).max_by_key(|(_, votes)| *votes).map(|v| v.0)
}

#[cfg(test)]
mod tests {
    use super::{Kept, find_nonce, salvage};
    use crate::vfs::LOG;
    use crate::{Checkpoint, RunId, Seq, frame, record};

    const NONCE: u32 = 0x0bad_cafe;
    const TIME: &str = "2026-11-24T22:43:00Z";

    /// Lines with these bodies and seqs, each with its newline.
    fn lines(bodies: &[(u64, Vec<u8>)]) -> Vec<Vec<u8>> {
        let mut prev = 0;
        let seal = |(seq, body): &(u64, Vec<u8>)| {
            let mut line = Vec::new();
            prev = frame::seal(&mut line, NONCE, prev, *seq, 0, body);
            line
        };
        bodies.iter().map(seal).collect()
    }

    fn open(compacted: bool) -> (u64, Vec<u8>) {
        (0, record::open(&RunId::new("a").unwrap(), NONCE, compacted))
    }

    fn put(seq: u64) -> (u64, Vec<u8>) {
        (seq, record::put("a", TIME, b"1"))
    }

    #[test]
    fn a_run_without_damage_is_left_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let run = RunId::new("a").unwrap();
        Checkpoint::open(root.path(), &run).unwrap().save("a", &1).unwrap();
        let log = root.path().join("a").join(LOG);
        let before = std::fs::read(&log).unwrap();
        let salvaged = salvage(root.path(), &run).unwrap();
        assert_eq!((salvaged.kept_aside, salvaged.records, salvaged.seq), (None, 2, Seq(1)));
        assert_eq!(std::fs::read(&log).unwrap(), before);
        // A torn tail is no damage, but it is not nothing either.
        std::fs::write(&log, [before.trim_ascii_end(), b"\ntorn"].concat()).unwrap();
        let salvaged = salvage(root.path(), &run).unwrap();
        assert!(salvaged.kept_aside.is_some());
        assert_eq!((salvaged.nodes, salvaged.seq), (1, Seq(1)));
    }

    #[test]
    fn what_is_lost_has_its_place_and_its_length() {
        let good = lines(&[open(false), put(1), put(2)]);
        let bytes = [&*good[0], b"12345", &good[1], &good[2], b"123"].concat();
        let kept = Kept::collect(&bytes, NONCE);
        assert_eq!(kept.records, 3);
        let end = bytes.len() as u64 - 3;
        assert_eq!(kept.lost, [(good[0].len() as u64, 5), (end, 3)]);
        assert!(kept.lost_seqs.is_empty());
    }

    #[test]
    fn after_a_base_the_seqs_go_on_behind_it() {
        let base = (5, record::base(1, 0, TIME));
        let good = lines(&[open(true), put(3), base, put(8)]);
        let kept = |lines: &[&[u8]]| {
            let bytes = lines.concat();
            let kept = Kept::collect(&bytes, NONCE);
            (kept.records, kept.lost_seqs)
        };
        let all: Vec<&[u8]> = good.iter().map(|line| &**line).collect();
        assert_eq!(kept(&all), (4, vec![(Seq(6), Seq(7))]));
        // A first line that is not first, and a second base, are of an earlier life.
        assert_eq!(kept(&[&*all.concat(), all[0], all[2]]), (4, vec![(Seq(6), Seq(7))]));
    }

    #[test]
    fn a_first_line_and_a_base_count_in_their_place_alone() {
        let base = |seq| (seq, record::base(1, 0, TIME));
        let kept = |bodies: &[(u64, Vec<u8>)]| {
            let bytes = lines(bodies).concat();
            let kept = Kept::collect(&bytes, NONCE);
            (kept.records, kept.seq, kept.lost.len())
        };
        // Their numbers alone would let them pass: nothing is expected yet, or a lower one is.
        assert_eq!(kept(&[open(true), open(false), put(3), base(5)]), (3, 5, 1));
        assert_eq!(kept(&[open(false), put(1), base(5)]), (2, 1, 1));
    }

    #[test]
    fn the_nonce_is_believed_on_the_word_of_two() {
        let good = lines(&[open(false), put(1), put(2)]);
        assert_eq!(find_nonce(&good.concat()), Some(NONCE));
        let damaged = |at: &[usize]| {
            let mut first = good[0].clone();
            for at in at {
                first[*at] = b'?';
            }
            first
        };
        let named = good[0].windows(8).position(|digits| digits == b"0badcafe").unwrap();
        // Two lines that agree; one that follows the first; one that it names; one alone.
        let (no_crc, no_name, neither) = (damaged(&[2]), damaged(&[named]), damaged(&[2, named]));
        assert_eq!(find_nonce(&[&*neither, &good[1], &good[2]].concat()), Some(NONCE));
        assert_eq!(find_nonce(&[&*no_name, &good[1]].concat()), Some(NONCE));
        assert_eq!(find_nonce(&[&*no_crc, &good[1]].concat()), Some(NONCE));
        assert_eq!(find_nonce(&[&*neither, &good[1]].concat()), None);
        assert_eq!(find_nonce(&[&*no_name, &good[2]].concat()), None);
    }
}
