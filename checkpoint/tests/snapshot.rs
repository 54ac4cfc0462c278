//! What a snapshot and a handle say of a state, from memory and after opening it again.

use std::collections::BTreeMap;
use std::fs;
use std::time::SystemTime;

use checkpoint::{Batch, Checkpoint, Error, RunId, read, verify};
use serde::Serialize;

fn run() -> RunId {
    RunId::new("r").unwrap()
}

#[test]
fn a_snapshot_is_one_state_in_order() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::open(root.path(), &run()).unwrap();
    let empty = checkpoint.load().unwrap();
    assert!(empty.is_empty() && empty.updated_at().is_none() && empty.seq().get() == 0);
    let before = SystemTime::now();
    for node in ["b/2", "a", "b/1", "c", "b"] {
        checkpoint.save(node, &node.len()).unwrap();
    }
    let snapshot = checkpoint.load().unwrap();
    assert_eq!(snapshot.iter().collect::<Vec<_>>(), ["a", "b", "b/1", "b/2", "c"]);
    assert_eq!((&snapshot).into_iter().count(), 5);
    assert_eq!(snapshot.prefix("b/").collect::<Vec<_>>(), ["b/1", "b/2"]);
    assert_eq!(snapshot.prefix("d").count(), 0);
    assert!(snapshot.contains("b/1") && !snapshot.contains("b/"));
    assert_eq!((snapshot.len(), snapshot.is_empty()), (5, false));
    assert_eq!((snapshot.run(), snapshot.seq().get()), (&run(), 5));
    assert!(snapshot.updated_at().unwrap() >= before);
    checkpoint.remove("a").unwrap();
    assert!(snapshot.contains("a") && !checkpoint.load().unwrap().contains("a"));
    assert!(empty.is_empty(), "it changed");
}

type Seen = BTreeMap<String, (serde_json::Value, SystemTime, u64)>;

#[test]
fn times_and_numbers_come_back_however_they_were_written() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::open(root.path(), &run()).unwrap();
    checkpoint.save("put", &1).unwrap();
    let batch = Batch::new().put("one", &[1, 2]).unwrap().put("two", "two").unwrap();
    checkpoint.save_all(batch.remove("put")).unwrap();
    checkpoint.save("put", &3).unwrap();
    let all = |snapshot: checkpoint::Snapshot| -> (Option<SystemTime>, Seen) {
        let entry = |name: &str| snapshot.get(name).unwrap().unwrap();
        let seen = snapshot.iter().map(|name| {
            let entry = entry(name);
            (name.to_owned(), (entry.value, entry.updated_at, entry.seq.get()))
        });
        (snapshot.updated_at(), seen.collect())
    };
    let written = all(checkpoint.load().unwrap());
    assert_eq!(written.1.values().map(|entry| entry.2).collect::<Vec<_>>(), [2, 3, 2]);
    assert_eq!(written.0, Some(written.1["put"].1));
    let reopened = || all(Checkpoint::open(root.path(), &run()).unwrap().load().unwrap());
    assert_eq!(written, reopened());
    assert_eq!(written, all(read(root.path(), &run()).unwrap()));
    checkpoint.compact().unwrap();
    assert_eq!(written, all(checkpoint.load().unwrap()));
    assert_eq!(written, reopened());
    // What another handle wrote is taken in with its time, too.
    let other = Checkpoint::open(root.path(), &run()).unwrap();
    other.save("put", &4).unwrap();
    assert_eq!(all(checkpoint.load().unwrap()), all(other.load().unwrap()));
}

#[test]
fn a_value_longer_than_what_is_read_at_once_comes_back() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::open(root.path(), &run()).unwrap();
    let long: String = (0..3_000_000_u32).map(|at| char::from(b'a' + (at % 23) as u8)).collect();
    checkpoint.save("before", &1).unwrap();
    checkpoint.save("long", &long).unwrap();
    checkpoint.save("after", &2).unwrap();
    drop(checkpoint);
    let verified = verify(root.path(), &run()).unwrap();
    assert_eq!((verified.records, verified.nodes, verified.seq.get()), (4, 3, 3));
    assert!(verified.bytes > 3_000_000 && verified.torn_bytes == 0);
    let checkpoint = Checkpoint::open(root.path(), &run()).unwrap();
    assert_eq!(checkpoint.get::<String>("long").unwrap().unwrap().value, long);
    checkpoint.compact().unwrap();
    assert_eq!(checkpoint.get::<String>("long").unwrap().unwrap().value, long);
    // Torn in its middle it is a torn tail, however long.
    checkpoint.save("long", &long).unwrap();
    let path = root.path().join("r/checkpoint.log");
    let bytes = verify(root.path(), &run()).unwrap().bytes;
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(bytes - 1_000_000).unwrap();
    let report = Checkpoint::open(root.path(), &run()).unwrap().report().clone();
    assert_eq!(report.nodes, 3);
    assert!(report.torn_bytes > 2_000_000 && report.torn_bytes < 2_000_200, "{report:?}");
    let kept = root.path().join("r").join(report.quarantined.unwrap());
    assert_eq!(fs::metadata(kept).unwrap().len(), 1 << 20, "a long tail is kept in part");
}

#[test]
fn bytes_that_were_damaged_since_are_no_value() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::open(root.path(), &run()).unwrap();
    checkpoint.save("a", "some value").unwrap();
    let snapshot = checkpoint.load().unwrap();
    let path = root.path().join("r/checkpoint.log");
    let good = fs::read(&path).unwrap();
    let at = good.windows(10).position(|bytes| bytes == b"some value").unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"t", at as u64).unwrap();
    for found in [snapshot.get::<String>("a"), checkpoint.get::<String>("a")] {
        let Err(Error::Corrupt { offset, last_good_seq, .. }) = found else { panic!("{found:?}") };
        // The value's quote.
        assert_eq!((offset, last_good_seq.get()), (at as u64 - 1, 0));
    }
    assert!(serde_json::to_string(&snapshot).is_err());
}

#[derive(Serialize)]
struct Newtype(f64);
#[derive(Serialize)]
struct Pair(u8, f64);
#[derive(Serialize)]
struct Named {
    number: Option<f64>,
}
#[derive(Serialize)]
enum Kinds {
    Unit,
    Newtype(f64),
    Pair(u8, f64),
    Named { number: f64 },
}

#[test]
fn a_nan_is_found_wherever_it_hides() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::open(root.path(), &run()).unwrap();
    let refused = |result: Result<checkpoint::Seq, Error>, what: &str| {
        assert!(matches!(result, Err(Error::Type { .. })), "{what}: {result:?}");
    };
    // A `null` stands in each, so that the value is looked at; the finite ones are taken.
    for (short, bad) in [(1.5_f32, false), (f32::NAN, true), (f32::NEG_INFINITY, true)] {
        let number = f64::from(short);
        let results = [
            ("f32", checkpoint.save("n", &(None::<u8>, short))),
            ("tuple", checkpoint.save("n", &(None::<u8>, (), number))),
            ("sequence", checkpoint.save("n", &[None, Some(number)])),
            ("newtype", checkpoint.save("n", &(None::<u8>, Newtype(number)))),
            ("tuple struct", checkpoint.save("n", &(None::<u8>, Pair(1, number)))),
            (
                "struct",
                checkpoint.save("n", &[Named { number: None }, Named { number: Some(number) }]),
            ),
            ("newtype variant", checkpoint.save("n", &(None::<u8>, Kinds::Newtype(number)))),
            ("tuple variant", checkpoint.save("n", &(None::<u8>, Kinds::Pair(1, number)))),
            ("struct variant", checkpoint.save("n", &(Kinds::Unit, (), Kinds::Named { number }))),
            ("map", checkpoint.save("n", &BTreeMap::from([("a", None), ("b", Some(number))]))),
        ];
        for (what, result) in results {
            if bad {
                refused(result, what);
            } else {
                assert!(result.is_ok(), "{what}: {result:?}");
            }
        }
    }
    let message = checkpoint.save("n", &f64::NAN).unwrap_err().to_string();
    assert!(message.contains("NaN has no JSON form, save it as a string"), "{message}");
    assert_eq!(checkpoint.load().unwrap().seq().get(), 10);
}
