//! Many values of a log, read in fewer pieces than one each where they lie behind one another.

use crate::Result;
use crate::index::Slot;
use crate::scan::{Found, LogFile};

/// A value that begins so close behind the last piece is taken for the next one.
const NEAR: u64 = 4 << 10;
/// Then so much is read at once.
const AHEAD: u32 = 64 << 10;

/// A walk through a log's values, fast in the log's own order and right in any. What it is asked for
/// was written before its first reading.
#[derive(Debug)]
pub(crate) struct ReadAhead<'l> {
    log: &'l LogFile,
    /// Bytes of the file from `start` on.
    piece: Vec<u8>,
    start: u64,
}

impl<'l> ReadAhead<'l> {
    pub(crate) fn new(log: &'l LogFile) -> Self {
        Self { log, piece: Vec::new(), start: 0 }
    }

    /// As [`LogFile::find`].
    pub(crate) fn find(&mut self, slot: Slot) -> Result<Found> {
        if self.held(slot).is_none() {
            let end = self.start + self.piece.len() as u64;
            let near = slot.offset.checked_sub(end).is_some_and(|gap| gap <= NEAR);
            let len = if near { slot.len.max(AHEAD) } else { slot.len };
            self.piece = self.log.bytes(slot.offset, len)?;
            self.start = slot.offset;
        }
        // A file that ends too early has less, and what is less does not verify.
        let bytes = self.held(slot).unwrap_or(&self.piece);
        self.log.verified(slot, bytes.to_vec())
    }

    fn held(&self, slot: Slot) -> Option<&[u8]> {
        let from = usize::try_from(slot.offset.checked_sub(self.start)?).ok()?;
        self.piece.get(from..from + slot.len as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;
    use std::sync::{Arc, Mutex};

    use super::{AHEAD, ReadAhead};
    use crate::Error;
    use crate::index::Slot;
    use crate::scan::LogFile;
    use crate::vfs::{File, Flush, Identity};

    /// Bytes, and how many were asked for at each reading.
    #[derive(Debug)]
    struct Counting(Vec<u8>, Mutex<Vec<usize>>);

    impl File for Counting {
        fn identity(&self) -> Identity {
            Identity { device: 0, inode: 0 }
        }

        fn len(&self) -> io::Result<u64> {
            Ok(self.0.len() as u64)
        }

        fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
            let rest = self.0.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
            let some = rest.len().min(into.len());
            into[..some].copy_from_slice(&rest[..some]);
            if some > 0 {
                self.1.lock().unwrap().push(some);
            }
            Ok(some)
        }

        fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn set_len(&self, _: u64) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn sync_data(&self, _: Flush) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn sync_all(&self, _: Flush) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    /// Values of a hundred bytes, each after a thousand of something else.
    fn values(count: usize) -> (Arc<Counting>, LogFile, Vec<(Slot, String)>) {
        let (mut bytes, mut slots) = (Vec::new(), Vec::new());
        for n in 0..count {
            bytes.extend([b'-'; 1000]);
            let value = format!("{n:0100}");
            let sum = crc32c::crc32c(value.as_bytes());
            slots.push((
                Slot { offset: bytes.len() as u64, len: 100, sum, seq: 1, time: 0 },
                value.clone(),
            ));
            bytes.extend(value.as_bytes());
        }
        let file = Arc::new(Counting(bytes, Mutex::default()));
        let log =
            LogFile { file: Arc::clone(&file) as Arc<dyn File>, path: PathBuf::new(), nonce: 0 };
        (file, log, slots)
    }

    #[test]
    fn values_behind_one_another_are_read_together() {
        let (file, log, slots) = values(1000);
        let mut values = ReadAhead::new(&log);
        for (slot, value) in &slots {
            assert_eq!(values.find(*slot).unwrap().json, *value);
        }
        let read = file.1.lock().unwrap();
        assert!(read.len() <= 1_100_000 / AHEAD as usize + 3, "{read:?}");
    }

    #[test]
    fn values_far_from_one_another_are_read_alone() {
        let (file, log, slots) = values(1000);
        let mut values = ReadAhead::new(&log);
        for (slot, value) in slots.iter().step_by(10).rev() {
            assert_eq!(values.find(*slot).unwrap().json, *value);
        }
        for (slot, value) in slots.iter().skip(7).step_by(10) {
            assert_eq!(values.find(*slot).unwrap().json, *value);
        }
        assert!(file.1.lock().unwrap().iter().all(|read| *read == 100));
    }

    #[test]
    fn a_value_that_is_not_what_it_was_is_damage() {
        let (_, log, slots) = values(3);
        let find = |slot: Slot| ReadAhead::new(&log).find(slot);
        let (last, _) = slots[2];
        assert!(find(last).is_ok());
        for slot in [
            Slot { sum: 0, ..last },
            Slot { len: 101, ..last },
            Slot { len: 99, ..last },
            Slot { offset: last.offset + 1, ..last },
            Slot { offset: 1 << 40, ..last },
        ] {
            assert!(
                matches!(find(slot), Err(Error::Corrupt { offset, .. }) if offset == slot.offset)
            );
        }
    }
}
