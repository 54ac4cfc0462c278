//! Random actions on a run beside the same on a plain map; and savers beside compactions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use checkpoint::{Batch, Checkpoint, Durability, RunId, Saved, read, verify};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

fn run() -> RunId {
    RunId::new("r").unwrap()
}

/// A value of many shapes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Value {
    Nothing,
    Flag(bool),
    Whole(i64),
    Real(f64),
    Text(String),
    Many(Vec<Value>),
    Named { a: Option<String>, b: BTreeMap<String, u64> },
}

#[derive(Debug, Clone)]
enum Action {
    Save(String, Value),
    Hurried(String, Value),
    Batch(Vec<(String, Option<Value>)>),
    Once(String, Value),
    Update(String, Value),
    Remove(String),
    Compact,
    Reopen,
    Other,
}

fn value() -> impl Strategy<Value = Value> {
    let real = prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO;
    let leaf = prop_oneof![
        Just(Value::Nothing),
        any::<bool>().prop_map(Value::Flag),
        any::<i64>().prop_map(Value::Whole),
        real.prop_map(Value::Real),
        any::<String>().prop_map(Value::Text),
        (any::<Option<String>>(), prop::collection::btree_map(any::<String>(), any::<u64>(), 0..3))
            .prop_map(|(a, b)| Value::Named { a, b }),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| prop::collection::vec(inner, 0..3).prop_map(Value::Many))
}

fn action() -> impl Strategy<Value = Action> {
    let node = || prop_oneof!["[abc]", "[\\PC\"\\\\\n]{1,5}"];
    prop_oneof![
        4 => (node(), value()).prop_map(|(n, v)| Action::Save(n, v)),
        1 => (node(), value()).prop_map(|(n, v)| Action::Hurried(n, v)),
        2 => prop::collection::vec((node(), prop::option::of(value())), 0..5)
            .prop_map(Action::Batch),
        1 => (node(), value()).prop_map(|(n, v)| Action::Once(n, v)),
        1 => (node(), value()).prop_map(|(n, v)| Action::Update(n, v)),
        2 => node().prop_map(Action::Remove),
        1 => Just(Action::Compact),
        1 => Just(Action::Reopen),
        1 => Just(Action::Other),
    ]
}

fn apply(handle: &Checkpoint, map: &mut BTreeMap<String, Value>, action: Action) {
    match action {
        Action::Save(node, value) => {
            handle.save(&node, &value).unwrap();
            map.insert(node, value);
        }
        Action::Hurried(node, value) => {
            handle.save_with(&node, &value, Durability::Process).unwrap();
            map.insert(node, value);
        }
        Action::Batch(changes) => {
            let batch = changes.iter().fold(Batch::new(), |batch, (node, value)| match value {
                Some(value) => batch.put(node, value).unwrap(),
                None => batch.remove(node),
            });
            handle.save_all(batch).unwrap();
            for (node, value) in changes {
                match value {
                    Some(value) => map.insert(node, value),
                    None => map.remove(&node),
                };
            }
        }
        Action::Once(node, value) => match handle.save_once(&node, &value).unwrap() {
            Saved::Inserted(_) => assert!(map.insert(node, value).is_none()),
            Saved::Existing(entry) => assert_eq!(Some(&entry.value), map.get(&node)),
        },
        Action::Update(node, value) => {
            let seen = map.get(&node).cloned();
            handle
                .update(&node, |old: Option<Value>| {
                    assert_eq!(old, seen);
                    Some(value.clone())
                })
                .unwrap();
            map.insert(node, value);
        }
        Action::Remove(node) => {
            assert_eq!(handle.remove(&node).unwrap(), map.remove(&node).is_some());
        }
        Action::Compact => handle.compact().unwrap(),
        Action::Reopen | Action::Other => {}
    }
}

fn check(snapshot: &checkpoint::Snapshot, map: &BTreeMap<String, Value>) {
    let found: BTreeMap<String, Value> = snapshot
        .iter()
        .map(|node| (node.to_owned(), snapshot.get(node).unwrap().unwrap().value))
        .collect();
    assert_eq!(&found, map);
    let json: serde_json::Value = serde_json::to_value(snapshot).unwrap();
    assert_eq!(json["nodes"].as_object().unwrap().len(), map.len());
}

proptest! {
    // Each case flushes some twenty times: few, but of a new kind each run.
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_run_is_a_map(actions in prop::collection::vec(action(), 1..25)) {
        let root = tempfile::tempdir().unwrap();
        let open = || Checkpoint::open(root.path(), &run()).unwrap();
        let (mut handle, mut other, mut map) = (open(), open(), BTreeMap::new());
        for action in actions {
            match action {
                Action::Reopen => handle = open(),
                Action::Other => {
                    other.refresh().unwrap();
                    std::mem::swap(&mut handle, &mut other);
                    handle.refresh().unwrap();
                }
                action => {
                    // `update` sees this handle's view first, so it must be the newest.
                    apply(&handle, &mut map, action);
                }
            }
            check(&handle.load().unwrap(), &map);
        }
        check(&read(root.path(), &run()).unwrap(), &map);
        check(&open().load().unwrap(), &map);
        prop_assert_eq!(verify(root.path(), &run()).unwrap().nodes, map.len());
    }
}

#[test]
fn savers_beside_compactions_lose_nothing() {
    let root = tempfile::tempdir().unwrap();
    let first = Checkpoint::open(root.path(), &run()).unwrap();
    let second = Checkpoint::open(root.path(), &run()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let savers: Vec<_> = (0..4)
            .map(|thread| {
                let handle = if thread % 2 == 0 { &first } else { &second };
                scope.spawn(move || {
                    for step in 0..60 {
                        let node = format!("{thread}-{step}");
                        let durability =
                            if step % 3 == 0 { Durability::Process } else { Durability::Disk };
                        handle.save_with(&node, &(thread, step), durability).unwrap();
                        assert_eq!(handle.get::<(i32, i32)>(&node).unwrap().unwrap().value.1, step);
                    }
                })
            })
            .collect();
        for handle in [&first, &second] {
            let (done, root) = (&done, &root);
            scope.spawn(move || {
                // ORDERING: Relaxed: a moment later is as good.
                while !done.load(Ordering::Relaxed) {
                    handle.compact().unwrap();
                    handle.load().unwrap();
                    read(root.path(), &run()).unwrap();
                }
            });
        }
        for saver in savers {
            saver.join().unwrap();
        }
        // ORDERING: Relaxed, as above.
        done.store(true, Ordering::Relaxed);
    });
    let verified = verify(root.path(), &run()).unwrap();
    assert_eq!((verified.nodes, verified.seq.get(), verified.torn_bytes), (240, 240, 0));
    let snapshot = Checkpoint::open(root.path(), &run()).unwrap().load().unwrap();
    for thread in 0..4 {
        for step in 0..60 {
            let entry = snapshot.get::<(i32, i32)>(&format!("{thread}-{step}")).unwrap();
            assert_eq!(entry.unwrap().value, (thread, step));
        }
    }
}

#[test]
fn reading_a_batch_costs_no_more_for_being_one() {
    let root = tempfile::tempdir().unwrap();
    let handle = Checkpoint::open(root.path(), &run()).unwrap();
    let text = "x".repeat(100);
    let batch = (0..2000).fold(Batch::new(), |b, n| b.put(&format!("n{n}"), &text).unwrap());
    handle.save_all(batch).unwrap();
    let snapshot = handle.load().unwrap();
    for node in &snapshot {
        assert_eq!(snapshot.get::<String>(node).unwrap().unwrap().value, text);
    }
    assert!(serde_json::to_string(&snapshot).unwrap().len() > 200_000);
}

#[test]
fn what_is_nested_too_deep_to_come_back_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let handle = Checkpoint::open(root.path(), &run()).unwrap();
    for depth in [10, 100, 126, 127, 128, 200, 5000] {
        let text = "[".repeat(depth) + &"]".repeat(depth);
        let value = serde_json::value::RawValue::from_string(text).unwrap();
        if handle.save("n", &value).is_ok() {
            assert!(handle.get::<serde_json::Value>("n").is_ok(), "depth {depth}");
        } else {
            assert!(depth > 120, "depth {depth} was refused");
        }
    }
}
