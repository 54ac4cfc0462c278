//! Any bytes as a log: every call returns, and all of them say the same.
//!
//! One body for the property tests and for the fuzzer (`cargo xtask fuzz`).

use std::fs;
use std::path::Path;

use checkpoint::{Checkpoint, Error, RunId, Verified, read, runs, salvage, verify};
use serde_json::Value;

/// Makes the lines' checksums right: random bytes would never get past them.
pub(crate) fn with_checksums(log: &[u8], nonce: u32) -> Vec<u8> {
    let (mut out, mut last) = (Vec::new(), *b"00000000");
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        let (mut line, newline) = match line.strip_suffix(b"\n") {
            Some(line) => (line.to_vec(), true),
            None => (line.to_vec(), false),
        };
        if line.len() > 23 && line.starts_with(b"[\"") {
            line[13..21].copy_from_slice(&last);
            let crc = crc32c::crc32c_append(nonce, &line[12..]);
            last.copy_from_slice(format!("{crc:08x}").as_bytes());
            line[2..10].copy_from_slice(&last);
        }
        out.extend_from_slice(&line);
        out.extend(newline.then_some(b'\n'));
    }
    out
}

/// Puts `log` in a run's place under `root` and asks everybody.
pub(crate) fn check(root: &Path, log: &[u8]) {
    let shown = std::panic::AssertUnwindSafe(|| check_all(root, log));
    if let Err(broken) = std::panic::catch_unwind(shown) {
        eprintln!("the log was:\n{}", log.escape_ascii());
        std::panic::resume_unwind(broken);
    }
}

fn check_all(root: &Path, log: &[u8]) {
    let run = RunId::new("r").unwrap();
    let folder = root.join("r");
    let path = folder.join("checkpoint.log");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).unwrap();
    fs::write(&path, log).unwrap();

    let verified = read_alike(root, &run, log);
    let opened = Checkpoint::open(root, &run);
    match (&verified, opened) {
        (Some(verified), Ok(handle)) => {
            let report = handle.report();
            assert_eq!((report.nodes, report.torn_bytes), (verified.nodes, verified.torn_bytes));
            assert_eq!(report.records, verified.records);
            drop(handle);
            let again = verify(root, &run).unwrap();
            assert_eq!(
                (again.seq, again.bytes, again.torn_bytes),
                (verified.seq, verified.bytes, 0)
            );
            goes_on(root, &run, verified.seq.get());
            fs::write(&path, log).unwrap();
        }
        (None, Err(Error::Corrupt { .. } | Error::UnsupportedVersion { .. })) => {
            assert_eq!(fs::read(&path).unwrap(), log, "a refusal changed something");
        }
        other => panic!("verified and opened: {other:?}"),
    }
    match (verified, salvage(root, &run)) {
        // Not one record, or none of ours.
        (None, Err(Error::Corrupt { .. })) => assert_eq!(fs::read(&path).unwrap(), log),
        (before, Ok(salvaged)) => {
            let after = verify(root, &run).unwrap();
            assert_eq!((after.nodes, after.seq), (salvaged.nodes, salvaged.seq));
            match before {
                Some(before) if before.torn_bytes == 0 => {
                    assert_eq!(salvaged.kept_aside, None, "{salvaged:?}");
                    assert_eq!((before.nodes, before.seq), (salvaged.nodes, salvaged.seq));
                }
                _ => assert!(salvaged.kept_aside.is_some()),
            }
            goes_on(root, &run, salvaged.seq.get());
        }
        other => panic!("salvage: {other:?}"),
    }
}

/// Those who only read are of one mind, and change nothing.
fn read_alike(root: &Path, run: &RunId, log: &[u8]) -> Option<Verified> {
    let verified = verify(root, run);
    let snapshot = read(root, run);
    let listed = runs(root);
    assert_eq!(fs::read(root.join("r/checkpoint.log")).unwrap(), log, "reading changed something");
    match (verified, snapshot, listed) {
        (Ok(verified), Ok(snapshot), Ok(listed)) => {
            let seen = (verified.nodes, verified.seq);
            assert_eq!(seen, (snapshot.len(), snapshot.seq()));
            assert_eq!((listed[0].nodes, listed[0].damaged_at), (verified.nodes, None));
            assert!(verified.bytes + verified.torn_bytes <= log.len() as u64);
            for node in &snapshot {
                match snapshot.get::<Value>(node) {
                    Ok(entry) => assert!(entry.is_some(), "{node:?} is listed and not there"),
                    // Deeper than serde_json reads: `save` refuses that, but these are any bytes.
                    Err(Error::Type { .. }) => {}
                    Err(error) => panic!("{node:?}: {error}"),
                }
            }
            Some(verified)
        }
        (Err(one), Err(two), listed) => {
            assert_eq!(one.to_string(), two.to_string());
            match (&one, listed) {
                (Error::Corrupt { offset, .. }, Ok(listed)) => {
                    assert_eq!(listed[0].damaged_at, Some(*offset));
                }
                (Error::UnsupportedVersion { .. }, Err(three)) => {
                    assert_eq!(one.to_string(), three.to_string());
                }
                other => panic!("not of one mind: {other:?}"),
            }
            None
        }
        other => panic!("not of one mind: {other:?}"),
    }
}

/// What was taken in can be appended to.
fn goes_on(root: &Path, run: &RunId, last: u64) {
    let handle = Checkpoint::open(root, run).unwrap();
    match handle.save("more", &1) {
        Ok(seq) => assert_eq!(seq.get(), last + 1),
        // Numbers end where JSON's do.
        Err(Error::NotWritten { .. }) if last == (1 << 53) - 1 => {}
        Err(error) => panic!("{error}"),
    }
}
