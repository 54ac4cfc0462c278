//! The run's file lock: `flock` through `fd-lock`.
//!
//! The kernel frees it when its holder dies, so there are no stale locks and nothing to break.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use std::path::Path;
use std::time::{Duration, Instant};

use crate::vfs::{Folder, LOCK, LockFile};
use crate::{Error, Result};

/// Runs `work` under the run's lock; waits at most `timeout` for it, or as long as it takes.
///
/// Without a timeout the kernel wakes the waiters. With one this polls, as `flock` has no timed
/// form, and a poller can lose against those who come and go: it is not fair.
pub(crate) fn locked<R>(
    lock: &mut dyn LockFile,
    folder: &dyn Folder,
    exclusive: bool,
    timeout: Option<Duration>,
    work: impl FnOnce() -> R,
) -> Result<R> {
    let (start, mut pause) = (Instant::now(), Duration::from_millis(1));
    let (mut work, mut result) = (Some(work), None);
    loop {
        let attempt = lock.with(exclusive, timeout.is_none(), &mut || {
            result = work.take().map(|work| work());
        });
        match attempt {
            Ok(()) => {
                return result.ok_or_else(|| refused(folder.path(), io::ErrorKind::Other.into()));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let waited = start.elapsed();
                let left = timeout.unwrap_or_default().saturating_sub(waited);
                if left.is_zero() {
                    let path = folder.path().join(LOCK);
                    return Err(Error::Locked { path, holder: lock.holder(), waited });
                }
                folder.pause(pause.min(left));
                pause = (pause * 2).min(Duration::from_millis(10));
            }
            Err(error) => return Err(refused(folder.path(), error)),
        }
    }
}

fn refused(folder: &Path, error: io::Error) -> Error {
    Error::io("lock", &folder.join(LOCK))(error)
}

/// How often a holder is looked for where the kernel lists locks.
const LOOKS: usize = 10;

#[derive(Debug)]
pub(crate) struct Lock {
    file: fd_lock::RwLock<fs::File>,
    inode: Option<(u64, u64)>,
}

impl Lock {
    pub(crate) fn new(file: fs::File) -> Self {
        let inode = file.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
        Self { file: fd_lock::RwLock::new(file), inode }
    }
}

impl LockFile for Lock {
    fn with(&mut self, exclusive: bool, wait: bool, work: &mut dyn FnMut()) -> io::Result<()> {
        match (exclusive, wait) {
            (true, true) => guarded(self.file.write()?, work),
            (true, false) => guarded(self.file.try_write()?, work),
            (false, true) => guarded(self.file.read()?, work),
            (false, false) => guarded(self.file.try_read()?, work),
        }
        Ok(())
    }

    fn holder(&self) -> Option<u32> {
        let inode = self.inode?;
        // The list is read in pieces, and those that come and go meanwhile move it under the reader's
        // place: a lock that is held all the time is missing now and then.
        (0..LOOKS).find_map(|_| holder_in(&fs::read_to_string("/proc/locks").ok()?, inode))
    }
}

/// The guard unlocks when it goes, also when `work` panics.
fn guarded<G>(_guard: G, work: &mut dyn FnMut()) {
    work();
}

/// `7: FLOCK  ADVISORY  WRITE 4711 fd:00:131093 0 EOF`: device numbers in hex (`man 5 proc`).
fn holder_in(locks: &str, (device, inode): (u64, u64)) -> Option<u32> {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let file = format!("{major:02x}:{minor:02x}:{inode}");
    locks.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        // A waiter's line has an arrow in its second field.
        match fields.as_slice() {
            [_, "FLOCK", _, _, pid, of, ..] if *of == file => pid.parse().ok(),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::{Lock, holder_in, locked};
    use crate::Error;
    use crate::disk::Disk;
    use crate::vfs::LockFile;

    /// Says each of these once, the last one first, and then that it has the lock.
    #[derive(Debug)]
    struct Saying(Vec<io::ErrorKind>);

    impl LockFile for Saying {
        fn with(&mut self, _: bool, _: bool, work: &mut dyn FnMut()) -> io::Result<()> {
            if let Some(kind) = self.0.pop() {
                return Err(kind.into());
            }
            work();
            Ok(())
        }

        fn holder(&self) -> Option<u32> {
            Some(4711)
        }
    }

    #[test]
    fn a_signal_is_no_refusal_and_a_refusal_is_no_waiting() {
        use io::ErrorKind::{Interrupted, PermissionDenied, WouldBlock};
        let root = tempfile::tempdir().unwrap();
        let folder = Disk::create(root.path(), "a").unwrap();
        let lock = |timeout, said: &[io::ErrorKind]| {
            locked(&mut Saying(said.to_vec()), &folder, true, timeout, || "worked")
        };
        let long = Some(Duration::from_secs(3600));
        assert_eq!(lock(None, &[Interrupted, Interrupted]).unwrap(), "worked");
        assert_eq!(lock(long, &[WouldBlock, Interrupted, WouldBlock]).unwrap(), "worked");
        assert!(matches!(lock(None, &[PermissionDenied]), Err(Error::Io { .. })));
        assert!(matches!(lock(long, &[PermissionDenied]), Err(Error::Io { .. })));
        let none = lock(Some(Duration::ZERO), &[WouldBlock]);
        assert!(matches!(none, Err(Error::Locked { holder: Some(4711), .. })));
    }

    #[test]
    fn the_holder_is_read_and_waiters_are_not() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 fe:00:99 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 8 fe:00:99 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 4711 fe:00:99 0 EOF\n";
        let device = rustix::fs::makedev(0xfe, 0);
        assert_eq!(holder_in(locks, (device, 99)), Some(4711));
        assert_eq!(holder_in(locks, (device, 98)), None);
    }

    #[test]
    fn the_holder_is_named_however_many_locks_come_and_go() {
        let root = tempfile::tempdir().unwrap();
        let lock = |n: u32| Lock::new(File::create(root.path().join(n.to_string())).unwrap());
        let mut held = lock(200);
        let other = Lock::new(File::open(root.path().join("200")).unwrap());
        let _guard = held.file.write().unwrap();
        if !fs::read_to_string("/proc/locks").is_ok_and(|locks| locks.contains("FLOCK")) {
            return; // A system whose kernel does not tell.
        }
        let over = AtomicBool::new(false);
        let come_and_go = |of: u32| {
            let mut locks: Vec<_> = (0..100).map(|n| lock(of + n)).collect();
            // ORDERING: a flag alone; nothing is read by it.
            while !over.load(Ordering::Relaxed) {
                let held: Vec<_> =
                    locks.iter_mut().map(|lock| lock.file.write().unwrap()).collect();
                drop(held);
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| come_and_go(0));
            scope.spawn(|| come_and_go(100));
            let named = (0..500).filter(|_| other.holder() == Some(std::process::id())).count();
            // ORDERING: as above.
            over.store(true, Ordering::Relaxed);
            assert_eq!(named, 500);
        });
    }
}
