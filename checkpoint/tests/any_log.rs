//! Any bytes, and any damage: what the fuzzer drives for hours, here for a moment.

#[path = "any_log/bytes.rs"]
mod bytes;
#[path = "any_log/damaged.rs"]
mod damaged;

use std::collections::BTreeMap;

use checkpoint::{Error, RunId, Salvaged, read, salvage};
use proptest::prelude::*;

/// In memory where that is to be had: no disk is asked anything.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Lines that are records but for their checksums, and what is nearly so.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let seq = prop_oneof![8 => 0_u64..6, 1 => Just((1 << 53) - 1), 1 => Just(u64::MAX)];
    let body = prop_oneof![
        8 => "\"put\",\"n[0-3]\",\"2026-11-24T22:43:0[0-9]Z\",(1|\\[\\]|\\{\"a\":1\\}|null)",
        2 => Just("\"remove\",\"n1\",\"2026-11-24T22:43:00Z\"".to_owned()),
        2 => Just("\"batch\",\"x\",[[\"put\",\"n1\",2],[\"remove\",\"n2\"]]".to_owned()),
        2 => "\"base\",[0-3],\"[0-9a-f]{8}\",\"t\"",
        1 => "\"open\",1,\"r\",\"00000007\",(true|false)",
        1 => "\\PC{0,20}",
    ];
    let line = (seq, 0_u64..6, body).prop_map(|(seq, durable, body)| {
        format!("[\"00000000\",\"00000000\",{seq},{durable},{body}]\n")
    });
    let first = prop_oneof![
        4 => Just("[\"00000000\",\"00000000\",0,0,\"open\",1,\"r\",\"00000007\",false]\n"),
        1 => Just("[\"00000000\",\"00000000\",0,0,\"open\",1,\"r\",\"00000007\",true]\n"),
        1 => Just("[\"00000000\",\"00000000\",0,0,\"open\",2,\"r\",\"00000007\",true]\n"),
        1 => Just(""),
    ];
    let ordered = prop::collection::vec(line, 0..8);
    (first, ordered, any::<bool>()).prop_map(|(first, lines, in_order)| {
        let mut log = first.as_bytes().to_vec();
        for (seq, line) in (1..).zip(&lines) {
            let rest = line.splitn(4, ',').nth(3).unwrap_or_default();
            let line = if in_order {
                format!("[\"00000000\",\"00000000\",{seq},{rest}")
            } else {
                line.clone()
            };
            log.extend_from_slice(line.as_bytes());
        }
        log
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_judged_alike(log in prop_oneof![4 => lines(), 1 => any::<Vec<u8>>()], seal in 0..4) {
        let root = folder();
        let log = if seal > 0 { bytes::with_checksums(&log, 7) } else { log };
        bytes::check(root.path(), &log);
    }

    #[test]
    fn any_damage_is_found_or_harmless(
        steps in prop::collection::vec(any::<u8>(), 1..12),
        at: usize, old in 0..80_usize, new in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let root = folder();
        damaged::check(root.path(), &steps, &damaged::Damage { at, old, new });
    }
}

/// Salvages a log of these lines; `0` stands for a checksum that is made right.
fn salvaged(lines: &[&str]) -> (Salvaged, BTreeMap<String, u64>) {
    let (root, run) = (folder(), RunId::new("r").unwrap());
    let first = "0,0,\"open\",1,\"r\",\"00000007\",false".to_owned();
    let lines = std::iter::once(first).chain(lines.iter().map(|line| (*line).to_owned()));
    let lines = lines.map(|line| format!("[\"00000000\",\"00000000\",{line}]\n"));
    let log = lines.collect::<Vec<_>>().concat();
    let log = bytes::with_checksums(log.as_bytes(), 7);
    bytes::check(root.path(), &log);
    std::fs::remove_dir_all(root.path().join("r/quarantine")).unwrap();
    std::fs::write(root.path().join("r/checkpoint.log"), log).unwrap();
    assert!(matches!(read(root.path(), &run), Err(Error::Corrupt { .. })));
    let salvaged = salvage(root.path(), &run).unwrap();
    let snapshot = read(root.path(), &run).unwrap();
    let value = |node: &str| snapshot.get::<u64>(node).unwrap().unwrap().value;
    (salvaged, snapshot.iter().map(|node| (node.to_owned(), value(node))).collect())
}

#[test]
fn a_log_that_ends_before_what_it_vouches_for_is_damaged() {
    // As compaction copies them: it knows all up to 3 to be on disk.
    let (salvaged, state) = salvaged(&[
        "1,3,\"put\",\"a\",\"2026-11-24T22:43:00Z\",1",
        "2,3,\"put\",\"b\",\"2026-11-24T22:43:00Z\",2",
    ]);
    assert_eq!(state, BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]));
    assert_eq!((salvaged.seq.get(), salvaged.lost), (3, vec![]));
    let gaps: Vec<_> = salvaged.lost_seqs.iter().map(|s| (s.0.get(), s.1.get())).collect();
    assert_eq!(gaps, [(3, 3)]);
}

#[test]
fn what_an_earlier_life_of_a_block_left_is_not_salvaged() {
    let (salvaged, state) = salvaged(&[
        "1,0,\"put\",\"a\",\"2026-11-24T22:43:00Z\",1",
        "2,1,\"put\",\"a\",\"2026-11-24T22:43:00Z\",2",
        "1,0,\"put\",\"a\",\"2026-11-24T22:43:00Z\",1",
        "4,3,\"put\",\"b\",\"2026-11-24T22:43:00Z\",4",
    ]);
    assert_eq!(state, BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 4)]));
    let gaps: Vec<_> = salvaged.lost_seqs.iter().map(|s| (s.0.get(), s.1.get())).collect();
    assert_eq!((gaps, salvaged.lost.len(), salvaged.records), (vec![(3, 3)], 1, 4));
}

#[test]
fn a_first_line_or_a_base_elsewhere_is_not_salvaged() {
    let (salvaged, state) = salvaged(&[
        "1,0,\"put\",\"a\",\"2026-11-24T22:43:00Z\",1",
        "0,0,\"open\",1,\"r\",\"00000007\",true",
        "9,0,\"base\",0,\"00000000\",\"2026-11-24T22:43:00Z\"",
        "3,2,\"put\",\"b\",\"2026-11-24T22:43:00Z\",3",
        "4,3,\"remove\",\"a\",\"2026-11-24T22:43:00Z\"",
    ]);
    assert_eq!(state, BTreeMap::from([("b".to_owned(), 3)]));
    assert_eq!((salvaged.lost.len(), salvaged.records, salvaged.seq.get()), (2, 4, 4));
    let gaps: Vec<_> = salvaged.lost_seqs.iter().map(|s| (s.0.get(), s.1.get())).collect();
    assert_eq!(gaps, [(2, 2)]);
}

/// Whether `verify` calls a log of this first line damaged from its first byte on.
fn is_refused(first: &str) -> bool {
    let (root, run) = (folder(), RunId::new("r").unwrap());
    std::fs::create_dir(root.path().join("r")).unwrap();
    let log = bytes::with_checksums(format!("{first}\n").as_bytes(), 7);
    std::fs::write(root.path().join("r/checkpoint.log"), log).unwrap();
    matches!(checkpoint::verify(root.path(), &run), Err(Error::Corrupt { offset: 0, .. }))
}

#[test]
fn a_first_line_is_as_every_first_line() {
    let good = "[\"00000000\",\"00000000\",0,0,\"open\",1,\"r\",\"00000007\",false]";
    assert!(!is_refused(good));
    for (from, to) in [
        (",0,0,", ",1,0,"),
        ("\"r\"", "\"s\""),
        ("\"open\"", "\"shut\""),
        ("7\"", "8\""),
        ("false", "0"),
        ("[", " ["),
    ] {
        assert!(is_refused(&good.replacen(from, to, 1)), "{to}");
    }
    // Nothing stands before it, so its `prev` is none.
    let follows = "[\"00000000\",\"0000000a\",0,0,\"open\",1,\"r\",\"00000007\",false]";
    let sum = crc32c::crc32c_append(7, &follows.as_bytes()[12..]);
    let follows = follows.replacen("00000000", &format!("{sum:08x}"), 1);
    let (root, run) = (folder(), RunId::new("r").unwrap());
    std::fs::create_dir(root.path().join("r")).unwrap();
    std::fs::write(root.path().join("r/checkpoint.log"), follows + "\n").unwrap();
    assert!(matches!(read(root.path(), &run), Err(Error::Corrupt { offset: 0, .. })));
}
