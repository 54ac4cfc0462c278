//! A log that the crate made, then damaged in one place: damage is found or was harmless.
//!
//! One body for the property tests and for the fuzzer (`cargo xtask fuzz`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use checkpoint::{Batch, Checkpoint, Error, RunId, Snapshot, read, salvage, verify};

type State = BTreeMap<String, u64>;

/// What happens to the log: `old` bytes from `at` on become `new`.
#[derive(Debug, Clone)]
pub(crate) struct Damage {
    pub(crate) at: usize,
    pub(crate) old: usize,
    pub(crate) new: Vec<u8>,
}

/// Makes a run step by step as `steps` says; returns its log and the state after each seq.
fn make(root: &Path, run: &RunId, steps: &[u8]) -> (Vec<u8>, Vec<State>) {
    let _ = fs::remove_dir_all(root.join("r"));
    let handle = Checkpoint::open(root, run).unwrap();
    let (mut states, mut state) = (vec![State::new()], State::new());
    for (value, step) in (1000_u64..).zip(steps) {
        let (node, other) = (format!("n{}", step % 4), format!("n{}", step / 4 % 4));
        match step / 16 {
            0..9 => {
                handle.save(&node, &value).unwrap();
                state.insert(node, value);
            }
            9..12 => {
                let batch = Batch::new().put(&node, &value).unwrap();
                handle.save_all(batch.remove(&other).put("both", &value).unwrap()).unwrap();
                state.insert(node, value);
                state.remove(&other);
                state.insert("both".to_owned(), value);
            }
            12..15 => {
                if !handle.remove(&node).unwrap() {
                    continue;
                }
                state.remove(&node);
            }
            _ => {
                handle.compact().unwrap();
                continue;
            }
        }
        states.push(state.clone());
    }
    let mut log = fs::read(root.join("r/checkpoint.log")).unwrap();
    while log.ends_with(b"\n\n") {
        log.pop();
    }
    (log, states)
}

fn state(snapshot: &Snapshot) -> State {
    let value = |name: &str| snapshot.get::<u64>(name).unwrap().unwrap().value;
    snapshot.iter().map(|name| (name.to_owned(), value(name))).collect()
}

/// A line's seq and durable, and whether it is a record of the journal part.
fn numbers(line: &[u8]) -> (u64, u64, bool) {
    let line: serde_json::Value = serde_json::from_slice(line).unwrap();
    let kind = line[4].as_str().unwrap();
    (line[2].as_u64().unwrap(), line[3].as_u64().unwrap(), !matches!(kind, "open" | "base"))
}

/// Makes a log, damages it, and asks everybody.
pub(crate) fn check(root: &Path, steps: &[u8], damage: &Damage) {
    let run = RunId::new("r").unwrap();
    let (good, states) = make(root, &run, steps);
    let at = damage.at % (good.len() + 1);
    let end = (at + damage.old).min(good.len());
    let bad = [&good[..at], &damage.new, &good[end..]].concat();
    let path = root.join("r/checkpoint.log");
    fs::write(&path, &bad).unwrap();

    // Whole lines behind the damage say so much of what must be there.
    let mut from = 0;
    let lines: Vec<(usize, &[u8])> = good
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| {
            from += line.len();
            (from - line.len(), line)
        })
        .collect();
    let behind = lines.iter().filter(|(start, _)| *start >= end);
    let vouched = behind.map(|(_, line)| numbers(line).1).max().unwrap_or(0);
    let before = lines.iter().filter(|(start, line)| start + line.len() <= at);
    let intact = before.map(|(_, line)| numbers(line).0).max().unwrap_or(0);

    match (read(root, &run), verify(root, &run)) {
        (Ok(snapshot), Ok(verified)) => {
            let seq = snapshot.seq().get();
            assert_eq!(verified.seq.get(), seq);
            assert!(seq >= vouched, "silent loss: {seq} of {vouched}, {damage:?}");
            let within = usize::try_from(seq).unwrap();
            assert_eq!(state(&snapshot), states[within], "a wrong value, {damage:?}");
        }
        (Err(Error::Corrupt { .. }), Err(Error::Corrupt { .. })) => assert_ne!(bad, good),
        (Err(Error::UnsupportedVersion { .. }), Err(Error::UnsupportedVersion { .. })) => {
            assert!(at < lines[0].1.len());
        }
        other => panic!("{other:?}, {damage:?}"),
    }
    let salvaged = match salvage(root, &run) {
        Ok(salvaged) => salvaged,
        // Only where next to nothing is left.
        Err(Error::Corrupt { .. }) => {
            let left = lines.iter().filter(|(start, l)| start + l.len() <= at || *start >= end);
            assert!(left.count() < 3, "{damage:?}");
            return;
        }
        Err(error) => panic!("{error}, {damage:?}"),
    };
    let found = read(root, &run).unwrap();
    assert_eq!((found.len(), found.seq()), (salvaged.nodes, salvaged.seq));
    assert!(found.seq().get() >= vouched.max(intact));
    for (node, value) in state(&found) {
        let saved = states.iter().any(|state| state.get(&node) == Some(&value));
        assert!(saved, "{node} was never {value}, {damage:?}");
    }
    if bad != good && salvaged.kept_aside.is_none() {
        // Nothing is missed: the damage was white space behind the end, or a cut at a record's end.
        assert_eq!(verify(root, &run).unwrap().torn_bytes, 0);
    }
}
