//! The bodies of records, built outside of every lock.

use std::io::Write as _;

use serde::Serialize;

use crate::RunId;
use crate::frame::FORMAT;

/// `"open",format,run,nonce,compacted`: the first line of every file.
pub(crate) fn open(run: &RunId, nonce: u32, compacted: bool) -> Vec<u8> {
    format!("\"open\",{FORMAT},\"{run}\",\"{nonce:08x}\",{compacted}").into_bytes()
}

/// `"put",node,time,value`.
pub(crate) fn put(node: &str, time: &str, value: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(node.len() + time.len() + value.len() + 16);
    body.extend_from_slice(b"\"put\",");
    string(&mut body, node);
    let _ = write!(body, ",\"{time}\",");
    body.extend_from_slice(value);
    body
}

/// `"remove",node,time`.
pub(crate) fn remove(node: &str, time: &str) -> Vec<u8> {
    let mut body = b"\"remove\",".to_vec();
    string(&mut body, node);
    let _ = write!(body, ",\"{time}\"");
    body
}

/// `"batch",time,[["put",node,value],["remove",node],…]`; calls `at` with where each value begins.
pub(crate) fn batch<'a>(
    time: &str,
    changes: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
    mut at: impl FnMut(usize),
) -> Vec<u8> {
    let mut body = format!("\"batch\",\"{time}\",[").into_bytes();
    for (index, (node, value)) in changes.enumerate() {
        body.extend_from_slice(if index == 0 { b"[" } else { b",[" });
        body.extend_from_slice(if value.is_some() { b"\"put\"," } else { b"\"remove\"," });
        string(&mut body, node);
        if let Some(value) = value {
            body.reserve(value.len() + 64);
            body.push(b',');
            at(body.len());
            body.extend_from_slice(value);
        }
        body.push(b']');
    }
    body.push(b']');
    body
}

/// `"base",count,checksum,time`: ends the compacted part.
pub(crate) fn base(count: u64, checksum: u32, time: &str) -> Vec<u8> {
    format!("\"base\",{count},\"{checksum:08x}\",\"{time}\"").into_bytes()
}

fn string(out: &mut Vec<u8>, text: &str) {
    // A string always has a JSON form, and a Vec always takes it.
    let _ = text.serialize(&mut serde_json::Serializer::new(out));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{base, batch, open, put, remove};
    use crate::RunId;
    use crate::frame::{Body, SEQ_MAX, body_of, nonce_that_fits, parse, parse_open, seal};
    use crate::scan::later_records;

    const TIME: &str = "2026-11-24T22:43:00Z";

    fn line(nonce: u32, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        seal(&mut out, nonce, 0x1234_abcd, 7, 5, body);
        assert_eq!(out.pop(), Some(b'\n'));
        out
    }

    #[test]
    fn every_kind_comes_back() {
        let run = RunId::new("deck-42").unwrap();
        let opened = line(9, &open(&run, 9, true));
        let record = parse_open(&opened).unwrap();
        assert!(matches!(record.body, Body::Open { format: 1, nonce: 9, compacted: true, .. }));
        let put = line(9, &put("a\"\n", TIME, b"{\"x\":[1]}"));
        let record = parse(&put, 9).unwrap();
        assert_eq!((record.prev, record.seq, record.durable), (0x1234_abcd, 7, 5));
        let Body::Put { node, time, value } = record.body else { panic!("{record:?}") };
        assert_eq!((&*node, time, value.get()), ("a\"\n", TIME, "{\"x\":[1]}"));
        let removed = line(9, &remove("a", TIME));
        assert!(matches!(parse(&removed, 9).unwrap().body, Body::Remove { .. }));
        let changes = [("a", Some(&b"1"[..])), ("b", None)];
        let many = line(9, &batch(TIME, changes.into_iter(), drop));
        let Body::Batch { changes, .. } = parse(&many, 9).unwrap().body else { panic!() };
        assert_eq!((changes.len(), changes[1].1.is_none()), (2, true));
        let based = line(9, &base(3, 4, TIME));
        assert!(matches!(parse(&based, 9).unwrap().body, Body::Base { count: 3, checksum: 4, .. }));
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let good = line(77, &put("audio-1", TIME, b"\"Aa\""));
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                assert!(parse(&bad, 77).is_none(), "byte {at} bit {bit}");
            }
        }
        assert!(parse(&good, 78).is_none(), "another file's nonce");
    }

    #[test]
    fn a_record_inside_of_a_value_is_none() {
        // Sealed with the bracket that closes the outer line, as a hostile value could be.
        let mut inner = line(5, &put("x", TIME, b"1"));
        inner.push(b']');
        let crc = crc32c::crc32c_append(5, &inner[12..]);
        inner[2..10].copy_from_slice(format!("{crc:08x}").as_bytes());
        assert!(parse(&inner, 5).is_none());
    }

    #[test]
    fn numbers_end_where_json_has_them_exactly() {
        assert_eq!(SEQ_MAX, 9_007_199_254_740_991);
        for (seq, durable, good) in [
            (SEQ_MAX, SEQ_MAX, true),
            (SEQ_MAX + 1, 0, false),
            (0, SEQ_MAX + 1, false),
            (u64::MAX, u64::MAX, false),
        ] {
            let mut line = Vec::new();
            seal(&mut line, 9, 1, seq, durable, &remove("a", TIME));
            let record = parse(&line[..line.len() - 1], 9);
            assert_eq!(record.map(|r| (r.seq, r.durable)), good.then_some((seq, durable)));
        }
    }

    #[test]
    fn a_record_has_the_fields_of_its_kind_and_no_more() {
        for body in [
            "\"put\",\"a\",\"t\",1,2",
            "\"put\",\"a\",\"t\"",
            "\"remove\",\"a\",\"t\",1",
            "\"batch\",\"t\",[[\"put\",\"a\"]]",
            "\"batch\",\"t\",[[\"remove\",\"a\",1]]",
            "\"batch\",\"t\",[[\"drop\",\"a\"]]",
            "\"base\",1,\"0000000\",\"t\"",
            "\"base\",1,\"0000000G\",\"t\"",
            "\"base\",-1,\"00000000\",\"t\"",
            "\"note\",\"a\"",
        ] {
            assert!(parse(&line(9, body.as_bytes()), 9).is_none(), "{body}");
        }
    }

    #[test]
    fn a_search_looks_at_each_array_once() {
        // To sum up each one's rest of the line would be 80 GB.
        let shaped = line(5, &put("x", TIME, b"1"));
        let value = vec![shaped; 50_000].join(&b',');
        let mut torn = line(5, &put("long", TIME, &[b"[", &*value, b"]"].concat()));
        torn[0] = b'{';
        torn.push(b'\n');
        assert_eq!(later_records(&torn, 5).count(), 0);
    }

    #[test]
    fn the_nonce_can_be_computed_from_a_line() {
        for nonce in [0, 1, 0xdead_beef, u32::MAX] {
            assert_eq!(nonce_that_fits(&line(nonce, &remove("a", TIME))), Some(nonce));
        }
    }

    #[test]
    fn a_body_can_be_sealed_again() {
        let body = put("a", TIME, b"[1,2]");
        assert_eq!(body_of(&line(3, &body)), body);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>, like in "\\PC{0,60}", nonce: u32) {
            let almost = [b"[\"00000000\",\"00000000\",1,0,", like.as_bytes(), b"]\n"].concat();
            for bytes in [bytes, almost] {
                prop_assert!(parse(&bytes, nonce).is_none());
                prop_assert!(parse_open(&bytes).is_none());
                prop_assert_eq!(later_records(&bytes, nonce).count(), 0);
                let _ = nonce_that_fits(&bytes);
            }
        }

        #[test]
        fn what_is_sealed_is_found_wherever_it_stands(
            node in "\\PC{1,20}", before: Vec<u8>, after: Vec<u8>, nonce: u32, seq in 0..=SEQ_MAX,
        ) {
            let mut bytes = before.clone();
            seal(&mut bytes, nonce, 1, seq, 2, &put(&node, TIME, b"[1,\"x\"]"));
            bytes.extend_from_slice(&after);
            let found: Vec<_> = later_records(&bytes, nonce).collect();
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!((found[0].0, found[0].1.seq), (before.len(), seq));
            let Body::Put { node: named, value, .. } = &found[0].1.body else { panic!() };
            prop_assert_eq!((&**named, value.get()), (&*node, "[1,\"x\"]"));
        }
    }
}
