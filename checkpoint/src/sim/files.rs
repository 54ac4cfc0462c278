//! Folder, files and lock of the simulated disk, behind the seam that the real ones stand behind.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::left_out::{LeftOut, is_left_out};
use super::world::{Call, Entry, Fault, Inode, PIECE, State, World};
use crate::vfs::{File, Flush, Folder, Identity, LockFile, Writing};

pub(super) fn dead() -> io::Error {
    io::Error::other("the process is dead")
}

/// A process's view of the run's folder.
#[derive(Debug)]
pub(super) struct SimFolder {
    world: World,
    process: u32,
}

#[derive(Debug)]
struct SimFile {
    world: World,
    process: u32,
    inode: usize,
    seen: Mutex<u64>,
}

impl SimFolder {
    pub(super) fn new(world: World, process: u32) -> Self {
        Self { world, process }
    }

    fn file(&self, inode: usize) -> Arc<dyn File> {
        let seen = Mutex::new(self.world.inner().state.inodes[inode].failures);
        Arc::new(SimFile { world: self.world.clone(), process: self.process, inode, seen })
    }

    fn flush(&self, why: Flush, work: impl FnOnce(&mut State)) -> io::Result<()> {
        match self.world.call(self.process, Call::Flush)? {
            Some(_) => Err(rustix::io::Errno::IO.into()),
            None if is_left_out(LeftOut::Flush(why)) => Ok(()),
            None => {
                self.world.change(work);
                Ok(())
            }
        }
    }
}

impl Folder for SimFolder {
    fn path(&self) -> &Path {
        Path::new("/sim/run")
    }

    fn open(&self, name: &str, _writable: bool) -> io::Result<Arc<dyn File>> {
        self.world.call(self.process, Call::Read)?;
        let inode = self.world.inner().state.names.get(name).copied();
        inode.map(|inode| self.file(inode)).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn identity(&self, name: &str) -> io::Result<Option<Identity>> {
        self.world.call(self.process, Call::Read)?;
        let inode = self.world.inner().state.names.get(name).copied();
        Ok(inode.map(|inode| Identity { device: 0, inode: inode as u64 }))
    }

    fn create_temporary(&self) -> io::Result<(String, Arc<dyn File>)> {
        self.world.call(self.process, Call::Make)?;
        let name = format!(".log-{:08x}", self.nonce());
        let inode = self.world.change(|state| {
            state.inodes.push(Inode::default());
            let inode = state.inodes.len() - 1;
            state.names.insert(name.clone(), inode);
            state.pending.push(Entry::Make(name.clone(), inode));
            inode
        });
        self.world.inner().owners.insert(name.clone(), self.process);
        Ok((name, self.file(inode)))
    }

    fn sweep(&self) -> io::Result<()> {
        let left: Vec<String> = {
            let inner = self.world.inner();
            let lives = |name: &String| {
                inner.owners.get(name).is_some_and(|owner| !inner.dead.contains(owner))
            };
            let names = inner.state.names.keys();
            names.filter(|name| name.starts_with(".log-") && !lives(name)).cloned().collect()
        };
        left.iter().try_for_each(|name| self.remove(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.world.call(self.process, Call::Change)?;
        self.world.change(|state| {
            let inode = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
            if let Some(old) = state.names.insert(to.to_owned(), inode) {
                let content = state.inodes[old].cache.clone();
                state.freed.push(content);
            }
            state.pending.push(Entry::Rename(from.to_owned(), to.to_owned()));
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.world.call(self.process, Call::Change)?;
        self.world.change(|state| {
            let inode = state.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
            let content = state.inodes[inode].cache.clone();
            state.freed.push(content);
            state.pending.push(Entry::Remove(name.to_owned()));
            Ok(())
        })
    }

    fn sync(&self, why: Flush) -> io::Result<()> {
        self.flush(why, |state| {
            state.disk_names = state.names.clone();
            state.pending.clear();
        })
    }

    fn sync_parent(&self, why: Flush) -> io::Result<()> {
        self.flush(why, |state| state.folder = true)
    }

    fn keep_aside(&self, _bytes: &[u8]) -> io::Result<String> {
        self.world.call(self.process, Call::Make)?;
        Ok("quarantine/tail".to_owned())
    }

    fn keep_log_aside(&self) -> io::Result<String> {
        self.world.call(self.process, Call::Make)?;
        Ok("quarantine/log".to_owned())
    }

    fn clear(&self) -> io::Result<()> {
        Ok(())
    }

    fn replace_view(&self, write: &mut Writing<'_>) -> io::Result<()> {
        self.world.call(self.process, Call::Make)?;
        write(&mut io::sink())
    }

    fn lock_file(&self) -> io::Result<Box<dyn LockFile>> {
        self.world.call(self.process, Call::Read)?;
        Ok(Box::new(SimLock { world: self.world.clone(), process: self.process }))
    }

    fn pause(&self, _time: Duration) {}

    fn now(&self) -> SystemTime {
        let mut inner = self.world.inner();
        inner.clock += 1;
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + inner.clock)
    }

    fn nonce(&self) -> u32 {
        let mut inner = self.world.inner();
        inner.clock += 1;
        // Fibonacci hashing: equal for equal runs, far apart for near clocks.
        (inner.clock.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
    }
}

/// One simulated process acts at a time, between whole calls of the crate: nobody ever waits.
#[derive(Debug)]
struct SimLock {
    world: World,
    process: u32,
}

impl LockFile for SimLock {
    fn with(&mut self, _exclusive: bool, _wait: bool, work: &mut dyn FnMut()) -> io::Result<()> {
        self.world.call(self.process, Call::Read)?;
        work();
        Ok(())
    }

    fn holder(&self) -> Option<u32> {
        None
    }
}

impl SimFile {
    fn flush(&self, why: Flush, all: bool) -> io::Result<()> {
        let fault = self.world.call(self.process, Call::Flush)?;
        if is_left_out(LeftOut::Flush(why)) {
            return Ok(());
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        self.world.change(|state| {
            let inode = &mut state.inodes[self.inode];
            if fault.is_some() {
                // The pages are clean now, and not all of them on the disk.
                inode.failures += 1;
                let part = inode.failures % 3;
                if part > 0 {
                    inode.dirty.retain(|piece| !(*piece as u64).is_multiple_of(part));
                    inode.flush(true);
                }
                inode.dirty.clear();
            } else {
                inode.flush(all);
            }
            let failed = *seen != inode.failures;
            *seen = inode.failures;
            if failed { Err(rustix::io::Errno::IO.into()) } else { Ok(()) }
        })
    }
}

impl File for SimFile {
    fn identity(&self) -> Identity {
        Identity { device: 0, inode: self.inode as u64 }
    }

    fn len(&self) -> io::Result<u64> {
        self.world.call(self.process, Call::Read)?;
        Ok(self.world.inner().state.inodes[self.inode].cache.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.world.call(self.process, Call::Read)?;
        let inner = self.world.inner();
        let cache = &inner.state.inodes[self.inode].cache;
        let rest = cache.get(index(offset)..).unwrap_or_default();
        let read = rest.len().min(into.len());
        into[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let fault = self.world.call(self.process, Call::Write)?;
        let len = if fault.is_some() { bytes.len().div_ceil(2) } else { bytes.len() };
        self.world.change(|state| {
            let inode = &mut state.inodes[self.inode];
            let (from, to) = (index(offset), index(offset) + len);
            if inode.cache.len() < to {
                inode.cache.resize(to, 0);
            }
            inode.cache[from..to].copy_from_slice(&bytes[..len]);
            inode.dirty.extend(from / PIECE..to.div_ceil(PIECE));
        });
        if fault == Some(Fault::Kill) { Err(dead()) } else { Ok(len) }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = index(len);
        self.world.call(self.process, Call::Change)?;
        self.world.change(|state| {
            let inode = &mut state.inodes[self.inode];
            let before = Inode { before_cut: Vec::new(), ..inode.clone() };
            inode.before_cut.push(before);
            let cut = inode.cache.split_off(len.min(inode.cache.len()));
            // At the offset that it had: a block comes back where it was.
            let mut block = vec![0; len];
            block.extend(cut);
            let end = len.div_ceil(PIECE);
            inode.dirty.retain(|piece| *piece < end);
            state.freed.push(block);
        });
        Ok(())
    }

    fn sync_data(&self, why: Flush) -> io::Result<()> {
        self.flush(why, false)
    }

    fn sync_all(&self, why: Flush) -> io::Result<()> {
        self.flush(why, true)
    }
}

/// Simulated files are small.
fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("a simulated file fits into memory")
}
