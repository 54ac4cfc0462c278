//! One process works on a run: `pipeline.lock` in its folder, held for as long as the run lasts.
//!
//! The kernel frees the lock when its holder dies, however that comes about: it is never stale, and
//! the file is never removed. What stands in it is for people.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use fd_lock::RwLock;

use crate::error::RunError;

const FILE: &str = "pipeline.lock";

/// Calls `work` while this process holds the run, whose folder is made if it is not there.
///
/// # Errors
/// [`RunError::InUse`] if another process (or another run in this one) has it, at once;
/// [`RunError::Workspace`] if the folder or the file cannot be made.
pub(crate) fn hold<T>(
    run_dir: &Path,
    run: &str,
    work: impl FnOnce() -> Result<T, RunError>,
) -> Result<T, RunError> {
    std::fs::create_dir_all(run_dir).map_err(|source| RunError::Workspace {
        doing: "make the run's folder",
        path: run_dir.to_path_buf(),
        source,
    })?;
    let path = run_dir.join(FILE);
    let broken = |doing| {
        let path = path.clone();
        move |source| RunError::Workspace { doing, path, source }
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.open(&path).map_err(broken("open"))?;
    let mut lock = RwLock::new(file);
    let mut held = match lock.try_write() {
        Ok(held) => held,
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            let (pid, host) = holder(run_dir);
            return Err(RunError::InUse { run: run.to_string(), pid, host });
        }
        Err(error) => return Err(broken("lock")(error)),
    };
    sign(&mut held).map_err(broken("write"))?;
    work()
}

/// Who works on the run, if somebody does. Takes no lock where the kernel tells (`/proc`);
/// elsewhere a shared one, for an instant.
#[cfg_attr(not(feature = "cli"), allow(dead_code))]
pub(crate) fn in_use(run_dir: &Path) -> Option<(u32, Option<String>)> {
    let file = File::open(run_dir.join(FILE)).ok()?;
    let Ok(locks) = std::fs::read_to_string("/proc/locks") else {
        return match RwLock::new(file).try_read() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Some(holder(run_dir)),
            _ => None,
        };
    };
    let inode = format!(":{}", file.metadata().ok()?.ino());
    let (pid, host) = holder(run_dir);
    // The list of all locks is read in pieces, and those that come and go meanwhile move it under
    // the reader's place: what is in it is held, what is not in it may be. The files that the
    // holder has open tell it for certain, to whoever may look at them.
    (has_flock(&locks, &inode) || holds(pid, &inode)).then_some((pid, host))
}

/// Whether a list of the kernel's (proc(5)) has a lock of that file by flock(2).
fn has_flock(locks: &str, inode: &str) -> bool {
    locks.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.any(|word| word == "FLOCK") && words.any(|word| word.ends_with(inode))
    })
}

fn holds(pid: u32, inode: &str) -> bool {
    let open = std::fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
    let mut told = open.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    told.any(|told| has_flock(&told, inode))
}

fn sign(file: &mut File) -> std::io::Result<()> {
    let host = hostname().unwrap_or_default();
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{} {host}", std::process::id())
}

/// What the holder wrote; process 0 if it has not yet.
fn holder(run_dir: &Path) -> (u32, Option<String>) {
    let mut text = String::new();
    if let Ok(file) = File::open(run_dir.join(FILE)) {
        // At most what `sign` writes: a process id and a name.
        let _ = file.take(512).read_to_string(&mut text);
    }
    let mut words = text.split_whitespace();
    let pid = words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
    (pid, words.next().map(str::to_string))
}

fn hostname() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_run_is_held_once_and_its_holder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let run_dir = dir.path().join("r");
        let second = hold(&run_dir, "r", || {
            assert_eq!(in_use(&run_dir).map(|(pid, _)| pid), Some(std::process::id()));
            Ok(hold(&run_dir, "r", || Ok(())).unwrap_err())
        });
        let text = second.unwrap().to_string();
        assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
        assert_eq!(in_use(&run_dir), None);
        hold(&run_dir, "r", || Ok(())).unwrap();
    }

    /// The list of all locks is read in pieces, and what others do meanwhile moves it under the
    /// reader's place: a lock that is held all the time is missing now and then.
    #[test]
    fn a_live_run_is_live_however_many_locks_come_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let file = |n: u32| File::create(dir.path().join(n.to_string())).unwrap();
        let over = AtomicBool::new(false);
        let come_and_go = |of: u32| {
            let mut locks: Vec<_> = (0..100).map(|n| RwLock::new(file(of + n))).collect();
            // ORDERING: a flag alone; nothing is read by it.
            while !over.load(Ordering::Relaxed) {
                let held: Vec<_> = locks.iter_mut().map(|lock| lock.write().unwrap()).collect();
                drop(held);
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| come_and_go(0));
            scope.spawn(|| come_and_go(100));
            let looks = hold(&dir.path().join("r"), "r", || {
                Ok((0..500).filter(|_| in_use(&dir.path().join("r")).is_some()).count())
            });
            // ORDERING: as above.
            over.store(true, Ordering::Relaxed);
            assert_eq!(looks.unwrap(), 500);
        });
    }
}
