//! The real file system, call by call.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use tempfile::TempDir;

use super::{Disk, make_durable};
use crate::vfs::{File as _, Flush, Folder as _, LOCK, LOG};

fn made() -> (TempDir, Disk) {
    let root = tempfile::tempdir().unwrap();
    let disk = Disk::create(root.path(), "run").unwrap();
    (root, disk)
}

#[test]
fn a_folder_is_made_with_all_that_lead_to_it() {
    let root = tempfile::tempdir().unwrap();
    let deep = root.path().join("a/b/c");
    Disk::create(&deep, "run").unwrap();
    Disk::create(&deep, "run").unwrap();
    assert!(deep.join("run").is_dir());
    fs::write(deep.join("file"), "").unwrap();
    assert!(Disk::open(&deep, "file").is_err(), "a file is no folder");
    // Whoever makes it at the same time is no error; what cannot be made is one.
    make_durable(&deep.join("file")).unwrap();
    assert!(make_durable(&deep.join("file/x")).is_err());
}

#[test]
fn a_name_and_a_descriptor_tell_the_same_file() {
    let (root, disk) = made();
    assert_eq!(disk.identity(LOG).unwrap(), None);
    let (name, file) = disk.create_temporary().unwrap();
    assert_eq!(disk.identity(&name).unwrap(), Some(file.identity()));
    disk.rename(&name, LOG).unwrap();
    assert_eq!(disk.identity(LOG).unwrap(), Some(file.identity()));
    assert_eq!(file.write_at(b"0123456789", 0).unwrap(), 10);
    file.set_len(4).unwrap();
    assert_eq!(file.len().unwrap(), 4);
    assert_eq!(fs::read(root.path().join("run").join(LOG)).unwrap(), b"0123");
    disk.remove(LOG).unwrap();
    assert_eq!(disk.identity(LOG).unwrap(), None);
}

/// It would hold the run's lock, and keep deleted files on the disk, for as long as it runs.
#[test]
fn a_program_that_is_started_inherits_no_descriptor() {
    use rustix::io::{FdFlags, fcntl_getfd};
    let (_root, disk) = made();
    let file = disk.open_at(LOCK, OFlags::RDWR | OFlags::CREATE).unwrap();
    for descriptor in [disk.root.as_fd(), disk.folder.as_fd(), file.as_fd()] {
        assert!(fcntl_getfd(descriptor).unwrap().contains(FdFlags::CLOEXEC));
    }
}

#[test]
fn a_new_file_cannot_be_made_in_a_folder_that_is_gone() {
    let (root, disk) = made();
    fs::remove_dir(root.path().join("run")).unwrap();
    assert_eq!(disk.create_temporary().unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[cfg(target_os = "linux")]
#[test]
fn a_flush_that_fails_is_an_error() {
    use super::DiskFile;
    use crate::vfs::Identity;
    use rustix::fs::Mode;

    // A descriptor that only names a file: nothing can be flushed or cut through it.
    let name_only = |path: &Path| {
        rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap()
    };
    let (root, disk) = made();
    disk.sync(Flush::NewEntry).unwrap();
    disk.sync_parent(Flush::NewEntry).unwrap();
    let path = root.path().join("run");
    fs::write(path.join(LOG), "").unwrap();
    let dead = Disk { root: name_only(root.path()), folder: name_only(&path), path };
    assert!(dead.sync(Flush::NewEntry).is_err());
    assert!(dead.sync_parent(Flush::NewEntry).is_err());
    let file = fs::File::from(name_only(&dead.path.join(LOG)));
    let file = DiskFile { file, identity: Identity { device: 0, inode: 0 } };
    assert!(file.sync_data(Flush::Group).is_err());
    assert!(file.sync_all(Flush::NewFile).is_err());
    assert!(file.set_len(0).is_err());
}

#[test]
fn what_cannot_be_swept_is_an_error() {
    let (root, disk) = made();
    let (run, view) = (root.path().join("run"), ".atomicwrite-x");
    fs::create_dir(run.join(view)).unwrap();
    disk.sweep().unwrap();
    assert!(!run.join(view).exists());
    fs::write(run.join(view), "").unwrap();
    assert!(disk.sweep().is_err(), "it is no folder");
    fs::remove_file(run.join(view)).unwrap();
    fs::create_dir(run.join(view)).unwrap();
    // By its path it cannot be found any more.
    fs::rename(&run, root.path().join("moved")).unwrap();
    fs::create_dir(&run).unwrap();
    assert_eq!(disk.sweep().unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(root.path().join("moved").join(view).exists());
}

#[test]
fn torn_tails_are_kept_within_bounds() {
    let (root, disk) = made();
    let aside = root.path().join("run/quarantine");
    for n in 0..20_u8 {
        disk.keep_aside(&[n]).unwrap();
        // Whatever else is there is not counted, nor removed.
        fs::write(aside.join(format!("{n}.log")), "").unwrap();
    }
    let tails = |aside: &Path| {
        let names = fs::read_dir(aside).unwrap().map(|entry| entry.unwrap().path());
        let mut tails: Vec<_> = names.filter(|n| n.extension().unwrap() == "tail").collect();
        tails.sort();
        tails
    };
    let kept = tails(&aside);
    assert_eq!(kept.len(), 16);
    assert_eq!(fs::read_dir(&aside).unwrap().count(), 16 + 20);
    assert_eq!(fs::read(kept.last().unwrap()).unwrap(), [19]);
    let long = disk.keep_aside(&vec![b'x'; 1_100_000]).unwrap();
    assert_eq!(fs::metadata(root.path().join("run").join(long)).unwrap().len(), 1_048_576);
}

#[test]
fn a_cleared_folder_holds_its_lock_file_alone() {
    let (root, disk) = made();
    let run = root.path().join("run");
    drop(disk.lock_file().unwrap());
    disk.keep_aside(b"x").unwrap();
    fs::write(run.join(LOG), "").unwrap();
    disk.clear().unwrap();
    let left: Vec<_> = fs::read_dir(&run).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, [LOCK]);
}

#[test]
fn nonces_differ() {
    let (_root, disk) = made();
    assert!((0..8).map(|_| disk.nonce()).collect::<HashSet<_>>().len() > 1);
}

/// It sleeps, since that is what it tests: at least so long.
#[test]
fn a_pause_lasts() {
    let (_root, disk) = made();
    let begun = Instant::now();
    disk.pause(Duration::from_millis(2));
    assert!(begun.elapsed() >= Duration::from_millis(2));
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_made_says_why() {
    // Nobody may make a folder there, in whatever way it is mounted, if it is.
    let root = Path::new("/sys/kernel");
    if root.is_dir() {
        let error = Disk::create(root, "run").unwrap_err();
        assert_ne!(error.kind(), io::ErrorKind::NotFound, "{error}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn network_file_systems_are_known_by_their_number() {
    use super::{kind_of, network_kind};
    assert_eq!(kind_of(0x6969), Some("nfs"));
    // As a signed number of 32 bits comes in a field of 64.
    assert_eq!(kind_of(-0x0100_0000_0000 + 0xff_ff53_4d42), Some("smb"));
    assert_eq!(kind_of(0xef53), None, "ext4");
    assert!(network_kind(Path::new("/no/such/folder")).is_err());
}
