//! The chapter's own test, and the promises of its `SafeCheckpoint` that a single file shows.

use checkpoint::{Batch, Checkpoint, Durability, Error, RunId, Saved};

fn run() -> RunId {
    RunId::new("deck-42").unwrap()
}

#[test]
fn four_threads_save_a_hundred_times_each_and_all_is_there() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::open(root.path(), &run()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let checkpoint = checkpoint.clone();
            scope.spawn(move || {
                for step in 0..100 {
                    checkpoint.save(&format!("node-{thread}-{step}"), &(thread, step)).unwrap();
                }
            });
        }
    });
    let check = |snapshot: checkpoint::Snapshot| {
        assert_eq!((snapshot.len(), snapshot.seq().get()), (400, 400));
        for thread in 0..4 {
            for step in 0..100 {
                let entry = snapshot.get::<(i32, i32)>(&format!("node-{thread}-{step}")).unwrap();
                assert_eq!(entry.unwrap().value, (thread, step));
            }
        }
    };
    check(checkpoint.load().unwrap());
    check(checkpoint::read(root.path(), &run()).unwrap());
    checkpoint.close().unwrap();
    check(Checkpoint::open(root.path(), &run()).unwrap().load().unwrap());
}

#[test]
fn a_value_comes_back_and_the_last_one_counts() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::open(root.path(), &run()).unwrap();
    assert_eq!(checkpoint.get::<u32>("a").unwrap(), None);
    let first = checkpoint.save("a", &1).unwrap();
    let second = checkpoint.save_with("a", &2, Durability::Process).unwrap();
    assert!(first < second);
    let entry = checkpoint.get::<u32>("a").unwrap().unwrap();
    assert_eq!((entry.value, entry.seq), (2, second));
    assert!(matches!(checkpoint.get::<String>("a"), Err(Error::Type { .. })));
    assert!(checkpoint.remove("a").unwrap());
    assert!(!checkpoint.remove("a").unwrap());
    assert!(!checkpoint.contains("a"));
}

#[test]
fn a_batch_is_one_record_and_the_first_writer_wins() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::open(root.path(), &run()).unwrap();
    checkpoint.save("b", &0).unwrap();
    let batch = Batch::new().put("a", &1).unwrap().remove("b").put("a", &2).unwrap();
    let seq = checkpoint.save_all(batch).unwrap();
    assert_eq!(seq.get(), 2);
    assert_eq!(checkpoint.get::<i32>("a").unwrap().unwrap().value, 2);
    assert!(!checkpoint.contains("b"));
    let Saved::Existing(entry) = checkpoint.save_once("a", &3).unwrap() else { panic!() };
    assert_eq!((entry.value, entry.seq), (2, seq));
    assert!(matches!(checkpoint.save_once("c", &3).unwrap(), Saved::Inserted(_)));
}

#[test]
fn no_update_is_lost() {
    let root = tempfile::tempdir().unwrap();
    let first = Checkpoint::open(root.path(), &run()).unwrap();
    // A second handle excludes the first through the file lock, as another process would.
    let second = Checkpoint::open(root.path(), &run()).unwrap();
    std::thread::scope(|scope| {
        for handle in [&first, &second, &first] {
            scope.spawn(move || {
                for _ in 0..20 {
                    handle.update("n", |old: Option<u32>| Some(old.unwrap_or(0) + 1)).unwrap();
                }
            });
        }
    });
    assert_eq!(first.load().unwrap().get::<u32>("n").unwrap().unwrap().value, 60);
    first.update("n", |_: Option<u32>| None).unwrap();
    assert!(second.load().unwrap().is_empty());
}

#[test]
fn a_view_for_people_is_written_at_the_end() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::open(root.path(), &run()).unwrap();
    checkpoint.save("a", &[1, 2]).unwrap();
    checkpoint.close().unwrap();
    let text = std::fs::read_to_string(root.path().join("deck-42/checkpoint.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&json["format"], &json["run"], &json["seq"]),
        (&1.into(), &"deck-42".into(), &1.into())
    );
    assert_eq!(json["nodes"]["a"]["value"], serde_json::json!([1, 2]));
    assert!(json["nodes"]["a"]["updated_at"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn a_textbook_file_becomes_a_run_and_a_run_can_be_deleted() {
    let root = tempfile::tempdir().unwrap();
    let json = r#"{"audio-1": {"file": "a.flac"}, "n": 3, "updated_at": "2026-01-01T00:00:00"}"#;
    checkpoint::import_json(root.path(), &run(), json.as_bytes()).unwrap();
    let runs = checkpoint::runs(root.path()).unwrap();
    assert_eq!((runs.len(), runs[0].nodes, runs[0].name.as_str()), (1, 2, "deck-42"));
    let handle = Checkpoint::open(root.path(), &run()).unwrap();
    checkpoint::delete(root.path(), &run()).unwrap();
    assert!(matches!(handle.save("a", &1), Err(Error::NoSuchRun { .. })));
    assert!(checkpoint::runs(root.path()).unwrap().is_empty());
    assert!(matches!(checkpoint::read(root.path(), &run()), Err(Error::NoSuchRun { .. })));
    assert!(matches!(checkpoint::delete(root.path(), &run()), Err(Error::NoSuchRun { .. })));
    assert!(Checkpoint::open(root.path(), &run()).unwrap().load().unwrap().is_empty());
}
