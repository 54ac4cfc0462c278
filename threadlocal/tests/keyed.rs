//! `PerThreadMap`: one adapter per thread and key.

mod census;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use census::{Adapter, Census};
use threadlocal::{PerThreadMap, UseError, leave, sweep};

fn map(census: &Census) -> PerThreadMap<String, Adapter, &'static str> {
    let make = census.maker();
    PerThreadMap::new(move |key: &String| if key == "bad" { Err("no such key") } else { make() })
}

#[test]
fn one_adapter_per_thread_and_key() {
    let census = Census::new();
    let map = map(&census);
    let net = map.with("net", |a| a.number()).unwrap();
    let disk = map.with("disk", |a| a.number()).unwrap();
    assert_ne!(net, disk);
    assert_eq!(map.with("net", |a| a.number()).unwrap(), net);
    let there = map.clone();
    thread::spawn(move || assert_ne!(there.with("net", |a| a.number()).unwrap(), net))
        .join()
        .unwrap();
    assert_eq!((map.len(), census.alive(), map.is_empty()), (2, 2, false));
    assert!(format!("{map:?}").contains("live: 2"), "{map:?}");
    leave();
    assert_eq!((map.len(), census.alive(), map.is_empty()), (0, 0, true));
}

#[test]
fn keys_nest_and_one_key_does_not() {
    let census = Census::new();
    let map = map(&census);
    map.with("a", |outer| {
        map.with("b", Adapter::touch).unwrap();
        assert!(matches!(map.with("a", |_| ()), Err(UseError::Reentry)));
        outer.touch();
    })
    .unwrap();
    assert_eq!(census.built(), 2);
}

#[test]
fn a_failed_make_leaves_no_key_behind() {
    let census = Census::new();
    let map = map(&census);
    assert!(matches!(map.with("bad", |_| ()), Err(UseError::Make("no such key"))));
    assert!(matches!(map.with("bad", |_| ()), Err(UseError::Make("no such key"))));
    assert_eq!((map.len(), census.built()), (0, 0));
}

#[test]
fn a_panic_discards_that_keys_adapter_alone() {
    let census = Census::new();
    let map = map(&census);
    let other = map.with("other", |a| a.number()).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| map.with("this", |_| panic!("in use")))).is_err());
    assert_eq!((map.len(), census.alive()), (1, 1));
    map.with("this", Adapter::touch).unwrap();
    assert_eq!(map.with("other", |a| a.number()).unwrap(), other);
}

#[test]
fn invalidate_renews_and_forgets_unused_keys() {
    let census = Census::new();
    let map = map(&census);
    for key in ["a", "b", "c"] {
        map.with(key, Adapter::touch).unwrap();
    }
    map.invalidate();
    map.with("a", Adapter::touch).unwrap();
    assert_eq!((map.len(), census.alive(), census.built()), (1, 1, 4));
    assert_eq!(census.most_alive(), 3, "the old ones go before a new one comes");
}

#[test]
fn invalidate_inside_a_use_spares_the_adapter_in_hand() {
    let census = Census::new();
    let map = map(&census);
    map.with("a", |outer| {
        map.invalidate();
        map.with("b", Adapter::touch).unwrap();
        assert!(matches!(map.with("a", |_| ()), Err(UseError::Reentry)));
        outer.touch();
    })
    .unwrap();
    assert_eq!(map.with("a", |a| a.uses()).unwrap(), 0);
}

#[test]
fn discard_forgets_one_key() {
    let census = Census::new();
    let map = map(&census);
    map.with("a", Adapter::touch).unwrap();
    map.with("b", Adapter::touch).unwrap();
    map.discard("a");
    map.discard("never used");
    assert_eq!((map.len(), census.alive()), (1, 1));
    map.with("b", |_| map.discard("b")).unwrap();
    assert_eq!((map.len(), census.alive()), (0, 0));
}

#[test]
fn leave_inside_a_use_waits_for_its_end() {
    let census = Census::new();
    let map = map(&census);
    map.with("idle", Adapter::touch).unwrap();
    map.with("a", |outer| {
        leave();
        assert_eq!(census.alive(), 1);
        outer.touch();
    })
    .unwrap();
    assert_eq!((map.len(), census.alive()), (0, 0));
}

#[test]
fn adapters_outlive_the_map_until_their_thread_sweeps() {
    let census = Census::new();
    let map = map(&census);
    map.with("a", Adapter::touch).unwrap();
    drop(map);
    assert_eq!(census.alive(), 1);
    sweep();
    assert_eq!(census.alive(), 0);
}
