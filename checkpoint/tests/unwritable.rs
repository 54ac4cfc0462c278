//! Folders that may not be written: typed errors for an ordinary user, and what still works.
//!
//! Permission bits do not bind root: started by root, the part that is refused runs as nobody, in
//! a child process that gives its privileges up.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use checkpoint::{Checkpoint, Error, RunId, delete, read, runs, salvage, verify};

const NOBODY: u32 = 65_534;

fn run() -> RunId {
    RunId::new("r").unwrap()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn ten(root: &Path) {
    let checkpoint = Checkpoint::open(root, &run()).unwrap();
    for node in 0..10 {
        checkpoint.save(&format!("node-{node}"), &node).unwrap();
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Everything in and under `root`: readable by all, writable by nobody but root.
fn forbid_writing(root: &Path) {
    for entry in fs::read_dir(root.join("r")).unwrap() {
        set_mode(&entry.unwrap().path(), 0o444);
    }
    set_mode(&root.join("r"), 0o555);
    set_mode(root, 0o555);
}

/// Runs `check` in a child process as an ordinary user, who is neither root nor owns more.
fn as_ordinary_user(check: &str, root: &Path) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["worker_entry", "--exact", "--nocapture", "--test-threads=1"]);
    command.env("RATCHET_WORKER", check).env("RATCHET_ROOT", root).stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("CHECKED"), "{text}{why}");
}

/// Not a test of its own: what the children do.
#[test]
fn worker_entry() {
    let Ok(check) = std::env::var("RATCHET_WORKER") else { return };
    let root = PathBuf::from(std::env::var_os("RATCHET_ROOT").unwrap());
    if is_root() {
        // SAFETY: plain calls; glibc gives up the privileges of all threads.
        let failed = unsafe {
            libc::setgroups(0, std::ptr::null())
                | libc::setresgid(NOBODY, NOBODY, NOBODY)
                | libc::setresuid(NOBODY, NOBODY, NOBODY)
        };
        assert_eq!(failed, 0, "{}", std::io::Error::last_os_error());
    }
    assert!(!is_root());
    match &*check {
        "readable" => readable(&root, "ermission"),
        "closed" => closed(&root),
        other => panic!("no such check: {other}"),
    }
    println!("CHECKED");
}

/// Reading works, writing is refused with what, where and why; nothing was changed.
fn readable(root: &Path, why: &str) {
    let log = fs::read(root.join("r/checkpoint.log")).unwrap();
    assert_eq!(read(root, &run()).unwrap().get::<i32>("node-7").unwrap().unwrap().value, 7);
    assert_eq!(verify(root, &run()).unwrap().seq.get(), 10);
    assert_eq!(runs(root).unwrap().len(), 1);
    let new = RunId::new("new").unwrap();
    for refused in [
        Checkpoint::open(root, &run()).map(drop),
        Checkpoint::open(root, &new).map(drop),
        Checkpoint::open(root.join("deep/er"), &new).map(drop),
        salvage(root, &run()).map(drop),
        delete(root, &run()),
    ] {
        let error = refused.unwrap_err();
        let message = error.to_string();
        let place = root.file_name().unwrap().to_str().unwrap();
        assert!(matches!(error, Error::Io { .. }) && message.contains(place), "{message}");
        assert!(message.contains(why), "{message}");
    }
    let message = Checkpoint::open(root, &run()).unwrap_err().to_string();
    assert!(message.contains("checkpoint::read needs only to read"), "{message}");
    assert_eq!(fs::read(root.join("r/checkpoint.log")).unwrap(), log);
    assert_eq!(fs::read_dir(root).unwrap().count(), 1);
}

/// Not even reading works.
fn closed(root: &Path) {
    for refused in [
        Checkpoint::open(root, &run()).map(drop),
        read(root, &run()).map(drop),
        verify(root, &run()).map(drop),
        salvage(root, &run()).map(drop),
        delete(root, &run()),
    ] {
        let error = refused.unwrap_err();
        let message = error.to_string();
        assert!(matches!(error, Error::Io { .. }) && message.contains("ermission"), "{message}");
    }
}

#[test]
fn who_may_not_write_may_read() {
    let root = tempfile::tempdir().unwrap();
    ten(root.path());
    forbid_writing(root.path());
    as_ordinary_user("readable", root.path());
    set_mode(root.path(), 0o755);
    set_mode(&root.path().join("r"), 0o755);
}

#[test]
fn who_may_not_read_is_told() {
    let root = tempfile::tempdir().unwrap();
    ten(root.path());
    set_mode(root.path(), 0o755);
    set_mode(&root.path().join("r"), 0o000);
    as_ordinary_user("closed", root.path());
    set_mode(&root.path().join("r"), 0o755);
}

#[test]
fn a_handle_whose_folder_becomes_unwritable_saves_and_says_what_it_cannot() {
    let root = tempfile::tempdir().unwrap();
    ten(root.path());
    let checkpoint = Checkpoint::open(root.path(), &run()).unwrap();
    set_mode(&root.path().join("r"), 0o500);
    // The log is open already.
    checkpoint.save("more", &1).unwrap();
    let compacted = checkpoint.compact();
    if is_root() {
        compacted.unwrap();
    } else {
        assert!(matches!(compacted, Err(Error::Io { .. })), "{compacted:?}");
    }
    checkpoint.save("after", &1).unwrap();
    assert_eq!(checkpoint.load().unwrap().len(), 12);
    set_mode(&root.path().join("r"), 0o700);
}

#[test]
fn read_only_media_can_be_read() {
    let root = tempfile::tempdir().unwrap();
    let mount = |arguments: &[&str]| {
        let command = Command::new(arguments[0]).args(&arguments[1..]).arg(root.path()).output();
        command.is_ok_and(|output| output.status.success())
    };
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs"]) {
        println!("SKIPPED: read_only_media_can_be_read: may not mount a tmpfs here");
        return;
    }
    let checked = std::panic::catch_unwind(|| {
        ten(root.path());
        assert!(mount(&["mount", "-o", "remount,ro"]), "it stays writable");
        readable(root.path(), "Read-only");
    });
    assert!(mount(&["umount"]), "the tmpfs stays mounted");
    checked.unwrap();
}
