//! What is refused, and that each refusal names the thing and the remedy.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use checkpoint::{Batch, Checkpoint, Error, RunId, read, salvage, verify};

fn run() -> RunId {
    RunId::new("deck-42").unwrap()
}

/// A run of ten nodes, closed by dropping it.
fn ten(root: &Path) {
    let checkpoint = Checkpoint::open(root, &run()).unwrap();
    for node in 0..10 {
        checkpoint.save(&format!("node-{node}"), &node).unwrap();
    }
}

fn log(root: &Path) -> std::path::PathBuf {
    root.join("deck-42/checkpoint.log")
}

/// Root may do what permissions forbid others.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The log without the white space that is kept ready behind the last record.
fn records(log: &Path) -> Vec<u8> {
    let mut bytes = fs::read(log).unwrap();
    while bytes.ends_with(b"\n\n") {
        bytes.pop();
    }
    bytes
}

#[test]
fn a_path_is_no_name() {
    let message = RunId::new("../x").unwrap_err().to_string();
    assert!(message.contains("\"../x\"") && message.contains("a letter or digit"), "{message}");
}

#[test]
fn a_node_needs_a_name() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::open(root.path(), &run()).unwrap();
    for bad in ["", &"x".repeat(513)] {
        assert!(matches!(checkpoint.save(bad, &1), Err(Error::InvalidName { .. })));
        let batch = Batch::new().put("good", &1).unwrap().remove(bad);
        assert!(matches!(checkpoint.save_all(batch), Err(Error::InvalidName { .. })));
    }
    assert!(checkpoint.load().unwrap().is_empty());
}

#[test]
fn what_does_not_come_back_is_not_taken() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::open(root.path(), &run()).unwrap();
    let message = checkpoint.save("n", &f64::NAN).unwrap_err().to_string();
    assert!(message.contains("\"n\"") && message.contains("NaN"), "{message}");
    assert!(matches!(Batch::new().put("n", &[f32::INFINITY]), Err(Error::Type { .. })));
    checkpoint.save("n", "text").unwrap();
    let message = checkpoint.get::<u32>("n").unwrap_err().to_string();
    assert!(message.contains("\"n\"") && message.contains("saved as"), "{message}");
}

#[test]
fn a_value_above_the_limit_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let builder = Checkpoint::builder(root.path(), &run()).max_value_bytes(100);
    let checkpoint = builder.open().unwrap();
    checkpoint.save("n", &"x".repeat(98)).unwrap();
    let error = checkpoint.save("big", &"x".repeat(99)).unwrap_err();
    assert!(matches!(error, Error::TooLarge { bytes: 101, limit: 100, .. }), "{error}");
    assert!(error.to_string().contains("max_value_bytes"), "{error}");
    let batch = (0..10).fold(Batch::new(), |b, n| b.put(&format!("n{n}"), &"xxxxx").unwrap());
    assert!(matches!(checkpoint.save_all(batch), Err(Error::TooLarge { .. })));
    assert_eq!(checkpoint.load().unwrap().len(), 1);
}

#[test]
fn damage_names_its_offset_and_the_remedy_and_can_be_salvaged() {
    let root = tempfile::tempdir().unwrap();
    ten(root.path());
    let mut bytes = records(&log(root.path()));
    let lines: Vec<usize> =
        bytes.iter().enumerate().filter(|b| *b.1 == b'\n').map(|b| b.0).collect();
    // In the fifth record; nine follow it and say that it was on disk.
    let offset = lines[4] as u64 + 1;
    bytes[lines[4] + 40] ^= 1;
    fs::write(log(root.path()), &bytes).unwrap();
    for error in [
        Checkpoint::open(root.path(), &run()).unwrap_err(),
        read(root.path(), &run()).unwrap_err(),
        verify(root.path(), &run()).unwrap_err(),
    ] {
        let message = error.to_string();
        assert!(message.contains(&format!("byte {offset}")) && message.contains("salvage"));
        let Error::Corrupt { offset: at, last_good_seq, .. } = error else { panic!("{error}") };
        assert_eq!((at, last_good_seq.get()), (offset, 4));
    }
    assert_eq!(fs::read(log(root.path())).unwrap(), bytes, "nothing was changed");
    assert_eq!(checkpoint::runs(root.path()).unwrap()[0].damaged_at, Some(offset));

    let salvaged = salvage(root.path(), &run()).unwrap();
    assert_eq!((salvaged.nodes, salvaged.seq.get()), (9, 10));
    assert_eq!((salvaged.lost.len(), salvaged.lost[0].0), (1, offset));
    assert_eq!(
        salvaged.lost_seqs.iter().map(|s| (s.0.get(), s.1.get())).collect::<Vec<_>>(),
        [(5, 5)]
    );
    let aside = root.path().join("deck-42").join(salvaged.kept_aside.unwrap());
    assert_eq!(fs::read(aside).unwrap(), bytes);
    let checkpoint = Checkpoint::open(root.path(), &run()).unwrap();
    assert!(!checkpoint.contains("node-4") && checkpoint.contains("node-9"));
    assert_eq!(checkpoint.save("more", &1).unwrap().get(), 11);
}

#[test]
fn a_torn_tail_is_cut_kept_and_reported() {
    let root = tempfile::tempdir().unwrap();
    ten(root.path());
    let bytes = records(&log(root.path()));
    fs::write(log(root.path()), &bytes[..bytes.len() - 5]).unwrap();
    assert_eq!(verify(root.path(), &run()).unwrap().seq.get(), 9);
    let checkpoint = Checkpoint::open(root.path(), &run()).unwrap();
    let report = checkpoint.report();
    assert_eq!((report.nodes, report.records), (9, 10));
    assert!(report.torn_bytes > 50);
    let aside = root.path().join("deck-42").join(report.quarantined.as_ref().unwrap());
    assert!(bytes[..bytes.len() - 5].ends_with(&fs::read(aside).unwrap()));
    assert_eq!(checkpoint.save("more", &1).unwrap().get(), 10);
    assert_eq!(Checkpoint::open(root.path(), &run()).unwrap().report().torn_bytes, 0);
}

#[test]
fn a_running_leader_meets_the_torn_tail_of_another() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::open(root.path(), &run()).unwrap();
    checkpoint.save("a", &1).unwrap();
    let mut bytes = records(&log(root.path()));
    let before = bytes.len();
    bytes.extend_from_slice(b"[\"0123abcd\",\"half a rec");
    let file = fs::OpenOptions::new().write(true).open(log(root.path())).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
    assert_eq!(checkpoint.load().unwrap().len(), 1, "a reader passes it over");
    assert!(fs::metadata(log(root.path())).unwrap().len() >= bytes.len() as u64);
    assert_eq!(checkpoint.save("b", &2).unwrap().get(), 2);
    assert_eq!(verify(root.path(), &run()).unwrap().torn_bytes, 0);
    // Cut to less than was seen: that is no torn tail.
    file.set_len(before as u64 - 1).unwrap();
    assert!(matches!(checkpoint.save("c", &3), Err(Error::Corrupt { .. })));
}

#[test]
fn another_version_is_not_touched() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("deck-42")).unwrap();
    let rest = "\"00000000\",0,0,\"open\",2,\"deck-42\",\"00000007\",false]";
    let crc = crc32c::crc32c_append(7, rest.as_bytes());
    fs::write(log(root.path()), format!("[\"{crc:08x}\",{rest}\n")).unwrap();
    let error = Checkpoint::open(root.path(), &run()).unwrap_err();
    assert!(matches!(error, Error::UnsupportedVersion { found: 2, supported: 1, .. }), "{error}");
}

#[test]
fn the_log_of_another_run_is_not_taken() {
    let root = tempfile::tempdir().unwrap();
    ten(root.path());
    fs::rename(root.path().join("deck-42"), root.path().join("deck-43")).unwrap();
    let other = RunId::new("deck-43").unwrap();
    assert!(matches!(Checkpoint::open(root.path(), &other), Err(Error::Corrupt { offset: 0, .. })));
}

#[test]
fn a_link_in_place_of_the_folder_or_the_log_is_not_followed() {
    let root = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    ten(elsewhere.path());
    symlink(elsewhere.path().join("deck-42"), root.path().join("deck-42")).unwrap();
    let error = Checkpoint::open(root.path(), &run()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("link"), "{error}");
    assert!(matches!(read(root.path(), &run()), Err(Error::Io { .. })));
    fs::remove_file(root.path().join("deck-42")).unwrap();
    fs::create_dir(root.path().join("deck-42")).unwrap();
    symlink(log(elsewhere.path()), log(root.path())).unwrap();
    assert!(matches!(Checkpoint::open(root.path(), &run()), Err(Error::Io { .. })));
}

#[test]
fn a_file_in_place_of_the_folder_is_named() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("deck-42"), "").unwrap();
    let error = Checkpoint::open(root.path(), &run()).unwrap_err();
    assert!(error.to_string().contains("deck-42"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_written_can_still_be_read() {
    let root = tempfile::tempdir().unwrap();
    ten(root.path());
    let folder = root.path().join("deck-42");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
    fs::set_permissions(folder.join("checkpoint.lock"), fs::Permissions::from_mode(0o400)).unwrap();
    assert_eq!(read(root.path(), &run()).unwrap().len(), 10);
    let opened = Checkpoint::open(root.path(), &run());
    if is_root() {
        opened.unwrap();
    } else {
        let message = opened.unwrap_err().to_string();
        assert!(message.contains("deck-42") && message.contains("ermission"), "{message}");
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_lock_that_is_held_is_reported_with_its_holder() {
    let root = tempfile::tempdir().unwrap();
    ten(root.path());
    let file = fs::File::open(root.path().join("deck-42/checkpoint.lock")).unwrap();
    let lock = fd_lock::RwLock::new(file);
    let _held = lock.read().unwrap();
    let builder = Checkpoint::builder(root.path(), &run()).lock_timeout(Duration::from_millis(5));
    let error = builder.open().unwrap_err();
    let Error::Locked { holder, waited, .. } = &error else { panic!("{error}") };
    assert!(*waited >= Duration::from_millis(5));
    if fs::read_to_string("/proc/locks").is_ok_and(|locks| locks.contains("FLOCK")) {
        assert_eq!(*holder, Some(std::process::id()), "{error}");
    }
}

#[test]
fn modes_keep_others_out() {
    let root = tempfile::tempdir().unwrap();
    ten(root.path());
    Checkpoint::open(root.path(), &run()).unwrap().close().unwrap();
    let mode =
        |path: &str| fs::metadata(root.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("deck-42"), 0o700);
    for file in ["checkpoint.log", "checkpoint.lock", "checkpoint.json"] {
        assert_eq!(mode(&format!("deck-42/{file}")), 0o600, "{file}");
    }
}

#[test]
fn what_a_kill_left_is_swept_and_what_lives_is_not() {
    let root = tempfile::tempdir().unwrap();
    ten(root.path());
    let folder = root.path().join("deck-42");
    fs::create_dir(folder.join(".atomicwriteABC")).unwrap();
    fs::write(folder.join(".atomicwriteABC/tmpfile.tmp"), "x").unwrap();
    fs::write(folder.join(".log-1-0000.tmp"), "x").unwrap();
    fs::write(folder.join(".log-2-0000.tmp"), "x").unwrap();
    let lives = fs::File::open(folder.join(".log-2-0000.tmp")).unwrap();
    let lives = fd_lock::RwLock::new(lives);
    let _held = lives.read().unwrap();
    Checkpoint::open(root.path(), &run()).unwrap();
    let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(
        names.iter().filter(|n| n.to_string_lossy().starts_with('.')).count(),
        1,
        "{names:?}"
    );
    assert!(folder.join(".log-2-0000.tmp").exists());
}

#[test]
fn an_import_that_is_no_checkpoint_makes_nothing() {
    let root = tempfile::tempdir().unwrap();
    for bad in ["", "[1]", "{\"a\":", "{\"\": 1}"] {
        assert!(checkpoint::import_json(root.path(), &run(), bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(!root.path().join("deck-42").exists());
}
