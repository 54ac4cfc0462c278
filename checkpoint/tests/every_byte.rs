//! Every byte of a log flipped in three bits, and the log cut at every offset.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use checkpoint::{Batch, Checkpoint, Error, RunId, Snapshot, read, salvage};

fn run() -> RunId {
    RunId::new("r").unwrap()
}

/// In memory where that is to be had: thousands of logs are written, and no disk is asked anything.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn nodes(snapshot: &Snapshot) -> BTreeMap<String, String> {
    let get = |name: &str| snapshot.get::<String>(name).unwrap().unwrap().value;
    snapshot.iter().map(|name| (name.to_owned(), get(name))).collect()
}

/// A log with every kind of record, and the state after each seq.
fn make(root: &Path) -> Vec<BTreeMap<String, String>> {
    let checkpoint = Checkpoint::open(root, &run()).unwrap();
    let mut states = vec![BTreeMap::new()];
    for step in 0..8 {
        let value = format!("[\"0123abcd\",\"{step}");
        match step {
            2 => {
                let batch = Batch::new().put("b", &value).unwrap().remove("n0");
                checkpoint.save_all(batch.put("c", &value).unwrap()).unwrap();
            }
            5 => assert!(checkpoint.remove("c").unwrap()),
            _ => drop(checkpoint.save(&format!("n{step}"), &value).unwrap()),
        }
        states.push(nodes(&checkpoint.load().unwrap()));
        if step == 3 {
            checkpoint.compact().unwrap();
        }
    }
    states
}

/// Where the last line begins: it is the last group, which nothing vouches for.
fn last_line(log: &[u8]) -> usize {
    log[..log.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1
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
fn a_flipped_bit_is_damage_or_in_the_last_group_and_never_a_wrong_value() {
    let root = folder();
    let states = make(root.path());
    let path = root.path().join("r/checkpoint.log");
    let log = records(&path);
    let last = last_line(&log);
    let (mut tried, mut corrupt, mut torn) = (0, 0, 0);
    for at in 0..log.len() {
        for bit in [0, 3, 5] {
            let mut bad = log.clone();
            bad[at] ^= 1 << bit;
            fs::write(&path, &bad).unwrap();
            tried += 1;
            match read(root.path(), &run()) {
                Err(Error::Corrupt { .. } | Error::UnsupportedVersion { .. }) => corrupt += 1,
                Err(error) => panic!("byte {at} bit {bit}: {error}"),
                Ok(snapshot) => {
                    torn += 1;
                    assert!(at >= last, "byte {at} bit {bit} of {} went unseen", log.len());
                    assert_eq!(nodes(&snapshot), states[states.len() - 2]);
                }
            }
        }
    }
    println!(
        "bytes: {tried} flips of {} bytes, {corrupt} corrupt, {torn} in the last group",
        log.len()
    );
}

#[test]
fn salvage_works_on_every_damaged_log() {
    let root = folder();
    let states = make(root.path());
    let whole = states.last().unwrap();
    let path = root.path().join("r/checkpoint.log");
    let log = records(&path);
    let (mut tried, mut kept_all) = (0, 0);
    for (at, bit) in (0..log.len()).flat_map(|at| [(at, 0), (at, 3), (at, 5)]) {
        let mut bad = log.clone();
        bad[at] ^= 1 << bit;
        fs::write(&path, &bad).unwrap();
        let salvaged = salvage(root.path(), &run()).unwrap();
        let what = format!("byte {at} bit {bit}: {salvaged:?}");
        tried += 1;
        // What was lost is said: it lies around the flipped byte, which is kept with the old file.
        let aside = root.path().join("r").join(salvaged.kept_aside.as_ref().unwrap());
        assert_eq!(fs::read(aside).unwrap(), bad, "{what}");
        assert!(!salvaged.lost.is_empty(), "{what}");
        assert!(salvaged.lost.iter().all(|l| l.0 <= at as u64 && at as u64 <= l.0 + l.1), "{what}");
        let found = read(root.path(), &run()).unwrap();
        assert_eq!((found.len(), found.seq()), (salvaged.nodes, salvaged.seq), "{what}");
        let found = nodes(&found);
        // One record is lost at most: what is there is a value that was saved.
        for (name, value) in &found {
            assert!(states.iter().any(|state| state.get(name) == Some(value)), "{what}: {name}");
        }
        assert!(found.len() + 2 >= whole.len(), "{what}: {found:?}");
        let gone: u64 = salvaged.lost_seqs.iter().map(|seqs| seqs.1.get() - seqs.0.get() + 1).sum();
        assert!(gone <= 2, "{what}");
        kept_all += usize::from(found == *whole);
        fs::remove_dir_all(root.path().join("r/quarantine")).unwrap();
    }
    println!("bytes: {tried} damaged logs salvaged, {kept_all} of them whole");
}

#[test]
fn a_log_cut_anywhere_is_a_prefix() {
    let root = folder();
    let states = make(root.path());
    let path = root.path().join("r/checkpoint.log");
    let log = records(&path);
    let text = String::from_utf8_lossy(&log);
    let base = text.find("\"base\"").unwrap();
    let base = base + log[base..].iter().position(|byte| *byte == b'\n').unwrap();
    for len in 0..=log.len() {
        fs::write(&path, &log[..len]).unwrap();
        match read(root.path(), &run()) {
            // The compacted part is renamed into place whole.
            Err(Error::Corrupt { .. }) => assert!(len <= base, "cut at {len} of {}", log.len()),
            Err(error) => panic!("cut at {len}: {error}"),
            Ok(snapshot) => {
                assert!(len > base);
                let seq = usize::try_from(snapshot.seq().get()).unwrap();
                assert_eq!(nodes(&snapshot), states[seq], "cut at {len}");
                let opened = Checkpoint::open(root.path(), &run()).unwrap();
                assert_eq!(nodes(&opened.load().unwrap()), states[seq]);
            }
        }
    }
    println!("bytes: cut at {} offsets", log.len() + 1);
}
