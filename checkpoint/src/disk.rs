//! The real file system behind the seam.

use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use atomicwrites::{AtomicFile, OverwriteBehavior};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::lock::Lock;
use crate::vfs::{File, Flush, Folder, Identity, LOCK, LOG, LockFile, QUARANTINE, VIEW, Writing};

const TEMPORARY: &str = ".log-";
const PRIVATE: Mode = Mode::from_raw_mode(0o600);

/// How many torn tails a run keeps, and how much of each.
const ASIDE_FILES_MAX: usize = 16;
const ASIDE_BYTES_MAX: usize = 1 << 20;

/// A run's folder, held by descriptors: moving it away does not redirect us, nor does a change of
/// the working folder.
#[derive(Debug)]
pub(crate) struct Disk {
    /// Absolute.
    path: PathBuf,
    root: OwnedFd,
    folder: OwnedFd,
}

impl Disk {
    /// The folder `<root>/<name>`, if it is there and is one: no symbolic link.
    pub(crate) fn open(root: &Path, name: &str) -> io::Result<Self> {
        let directory = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let root_fd = rustix::fs::open(root, directory, Mode::empty())?;
        let folder =
            rustix::fs::openat(&root_fd, name, directory | OFlags::NOFOLLOW, Mode::empty())?;
        Ok(Self { path: std::path::absolute(root)?.join(name), root: root_fd, folder })
    }

    /// The path, for what works by path alone, while it still leads to the folder that is open.
    fn by_path(&self) -> io::Result<&Path> {
        let (open, named) = (rustix::fs::fstat(&self.folder)?, rustix::fs::lstat(&self.path)?);
        if (open.st_dev, open.st_ino) == (named.st_dev, named.st_ino) {
            return Ok(&self.path);
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "another folder has taken this one's place"))
    }

    /// Makes `<root>/<name>` where it is missing, the root's own path included.
    pub(crate) fn create(root: &Path, name: &str) -> io::Result<Self> {
        make_durable(root)?;
        match fs::DirBuilder::new().mode(0o700).create(root.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        Self::open(root, name)
    }

    /// The folder for what is kept aside, and a new name in it: names sort by time.
    fn aside(&self, kind: &str) -> io::Result<(PathBuf, String)> {
        let aside = self.by_path()?.join(QUARANTINE);
        if let Err(error) = fs::DirBuilder::new().mode(0o700).create(&aside)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(error);
        }
        let since = self.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let name = format!("{:020}-{:08x}.{kind}", since.as_nanos(), self.nonce());
        Ok((aside, name))
    }

    /// Whoever is making the file holds a lock on it; the kernel frees that when he dies.
    fn remove_if_left(&self, name: &str) -> io::Result<()> {
        let file = self.open_at(name, OFlags::RDONLY)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => self.remove(name),
            Err(_) => Ok(()),
        }
    }

    fn open_at(&self, name: &str, flags: OFlags) -> io::Result<fs::File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(fs::File::from(rustix::fs::openat(&self.folder, name, flags, PRIVATE)?))
    }
}

/// Creates the folders of `path` that are missing and flushes each one's entry.
fn make_durable(path: &Path) -> io::Result<()> {
    if path.is_dir() || path.as_os_str().is_empty() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    make_durable(parent)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs::File::open(parent)?.sync_all(),
    }
}

impl Folder for Disk {
    fn path(&self) -> &Path {
        &self.path
    }

    fn open(&self, name: &str, writable: bool) -> io::Result<Arc<dyn File>> {
        let flags = if writable { OFlags::RDWR } else { OFlags::RDONLY };
        Ok(Arc::new(DiskFile::new(self.open_at(name, flags)?)?))
    }

    fn identity(&self, name: &str) -> io::Result<Option<Identity>> {
        match identity_at(&self.folder, name) {
            Ok(identity) => Ok(Some(identity)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn create_temporary(&self) -> io::Result<(String, Arc<dyn File>)> {
        loop {
            let name = format!("{TEMPORARY}{}-{:08x}.tmp", std::process::id(), self.nonce());
            let file = match self.open_at(&name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                file => file?,
            };
            // A sweep that came between creating and locking has removed it: take another.
            rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
            if file.metadata()?.nlink() > 0 {
                return Ok((name, Arc::new(DiskFile::new(file)?)));
            }
        }
    }

    fn sweep(&self) -> io::Result<()> {
        for entry in rustix::fs::Dir::read_from(&self.folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let swept = if name.starts_with(TEMPORARY) {
                self.remove_if_left(name)
            } else if name.starts_with(".atomicwrite") {
                // Views are written under the run's lock, which we hold: nobody is at it.
                fs::remove_dir_all(self.by_path()?.join(name))
            } else {
                continue;
            };
            match swept {
                // Its owner was quicker.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                swept => swept?,
            }
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.folder, from, &self.folder, to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.folder, name, AtFlags::empty())?)
    }

    fn sync(&self, _: Flush) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.folder)?)
    }

    fn sync_parent(&self, _: Flush) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.root)?)
    }

    fn keep_aside(&self, bytes: &[u8]) -> io::Result<String> {
        let (aside, name) = self.aside("tail")?;
        let mut kept: Vec<_> = fs::read_dir(&aside)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "tail"))
            .collect();
        kept.sort();
        for old in kept.iter().rev().skip(ASIDE_FILES_MAX - 1) {
            fs::remove_file(old)?;
        }
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(aside.join(&name))?;
        file.write_all_at(&bytes[..bytes.len().min(ASIDE_BYTES_MAX)], 0)?;
        file.sync_all()?;
        Ok(format!("{QUARANTINE}/{name}"))
    }

    fn keep_log_aside(&self) -> io::Result<String> {
        let (aside, name) = self.aside("log")?;
        rustix::fs::linkat(
            &self.folder,
            LOG,
            rustix::fs::CWD,
            aside.join(&name),
            AtFlags::empty(),
        )?;
        fs::File::open(&aside)?.sync_all()?;
        Ok(format!("{QUARANTINE}/{name}"))
    }

    fn clear(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.by_path()?)? {
            let entry = entry?;
            if entry.file_name() == LOCK {
                continue;
            }
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        self.sync(Flush::Deleted)
    }

    fn replace_view(&self, write: &mut Writing<'_>) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = AtomicFile::new(self.by_path()?.join(VIEW), OverwriteBehavior::AllowOverwrite);
        let written = file.write_with_options(
            |file| {
                let mut buffered = io::BufWriter::with_capacity(1 << 16, file);
                write(&mut buffered)?;
                io::Write::flush(&mut buffered)
            },
            options,
        );
        Ok(written?)
    }

    fn lock_file(&self) -> io::Result<Box<dyn LockFile>> {
        let file = self.open_at(LOCK, OFlags::RDWR | OFlags::CREATE)?;
        Ok(Box::new(Lock::new(file)))
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn nonce(&self) -> u32 {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        // std seeds each state's keys from the system's random source; the count keeps calls apart.
        let mut hasher = std::hash::RandomState::new().build_hasher();
        // ORDERING: Relaxed: only the number's uniqueness matters, nothing is published with it.
        hasher.write_u64(CALLS.fetch_add(1, Ordering::Relaxed));
        let random = hasher.finish();
        (random >> 32) as u32
    }
}

/// Which file a name stands for, without a look at its times.
///
/// Since Linux 6.13 somebody who asks for a file's times makes the next write to it take a time that
/// is new to the nanosecond ("multigrain timestamps", Documentation/filesystems/multigrain-ts.rst):
/// the inode changes with every record then, and every flush commits it. Each save looks at the log,
/// so that would cost it half as much again.
#[cfg(target_os = "linux")]
fn identity_at(folder: &OwnedFd, name: &str) -> Result<Identity, Errno> {
    let (flags, wanted) = (AtFlags::SYMLINK_NOFOLLOW, rustix::fs::StatxFlags::INO);
    match rustix::fs::statx(folder, name, flags, wanted) {
        Ok(found) => Ok(Identity {
            device: rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
        }),
        // Older than Linux 4.11, or a sandbox that does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => stat_identity_at(folder, name),
        Err(error) => Err(error),
    }
}

#[cfg(not(target_os = "linux"))]
fn identity_at(folder: &OwnedFd, name: &str) -> Result<Identity, Errno> {
    stat_identity_at(folder, name)
}

fn stat_identity_at(folder: &OwnedFd, name: &str) -> Result<Identity, Errno> {
    let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(Identity { device: stat.st_dev, inode: stat.st_ino })
}

/// An open file with the identity that it was opened with.
#[derive(Debug)]
struct DiskFile {
    file: fs::File,
    identity: Identity,
}

impl DiskFile {
    fn new(file: fs::File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let identity = Identity { device: metadata.dev(), inode: metadata.ino() };
        Ok(Self { file, identity })
    }
}

impl File for DiskFile {
    fn identity(&self) -> Identity {
        self.identity
    }

    /// By seeking, see [`identity_at`]; nothing here uses the descriptor's position.
    fn len(&self) -> io::Result<u64> {
        Ok(rustix::fs::seek(&self.file, rustix::fs::SeekFrom::End(0))?)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Ok(rustix::fs::ftruncate(self.file.as_fd(), len)?)
    }

    // Not std's `sync_data`/`sync_all`: those retry EINTR themselves, here one rule does it.
    #[cfg(not(target_vendor = "apple"))]
    fn sync_data(&self, _: Flush) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(&self.file)?)
    }

    /// `F_FULLFSYNC` there: Apple's fsync leaves bytes in the drive's cache.
    #[cfg(target_vendor = "apple")]
    fn sync_data(&self, _: Flush) -> io::Result<()> {
        Ok(rustix::fs::fcntl_fullfsync(&self.file)?)
    }

    #[cfg(not(target_vendor = "apple"))]
    fn sync_all(&self, _: Flush) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.file)?)
    }

    #[cfg(target_vendor = "apple")]
    fn sync_all(&self, _: Flush) -> io::Result<()> {
        Ok(rustix::fs::fcntl_fullfsync(&self.file)?)
    }
}

/// The kind of network file system that `path` is on, if it is on one.
#[cfg(target_os = "linux")]
pub(crate) fn network_kind(path: &Path) -> io::Result<Option<&'static str>> {
    Ok(kind_of(rustix::fs::statfs(path)?.f_type))
}

/// 32 bits count, whatever the field's width and sign on this machine.
#[cfg(target_os = "linux")]
fn kind_of(number: rustix::fs::FsWord) -> Option<&'static str> {
    let number = number & 0xffff_ffff;
    NETWORK_KINDS.iter().find(|(known, _)| *known == number).map(|(_, kind)| *kind)
}

/// Numbers of statfs(2). FUSE is not among them: what is behind it may be local.
#[cfg(target_os = "linux")]
const NETWORK_KINDS: [(rustix::fs::FsWord, &str); 10] = [
    (0x0000_6969, "nfs"),
    (0xff53_4d42, "smb"),
    (0xfe53_4d42, "smb"),
    (0x0000_517b, "smb"),
    (0x5346_414f, "afs"),
    (0x6b41_4653, "afs"),
    (0x7375_7245, "coda"),
    (0x00c3_6400, "ceph"),
    (0x0102_1997, "9p"),
    (0x0bd0_0bd0, "lustre"),
];

/// Elsewhere nothing tells; the documentation does.
#[cfg(not(target_os = "linux"))]
pub(crate) fn network_kind(_path: &Path) -> io::Result<Option<&'static str>> {
    Ok(None)
}

#[cfg(test)]
mod tests;
