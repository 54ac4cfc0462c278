//! One line of the log: how it is sealed, and when it counts as a record.
//!
//! `["<crc>","<prev>",seq,durable,<body>]` and a newline. The checksum is CRC-32C (RFC 3720,
//! appendix B.4) over every byte after its own comma up to the newline, seeded with the file's
//! nonce, so a line of another file, or of an earlier life of this one, is not a record here.

use std::borrow::Cow;
use std::io::Write as _;

use serde::de::{Deserializer as _, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::left_out::{Check, left_out};

/// The format that this version writes and reads.
pub(crate) const FORMAT: u64 = 1;

/// The highest number a record may have: every reader of JSON has it exactly (RFC 8259, section 6).
/// At a million saves a second it lasts for 285 years.
pub(crate) const SEQ_MAX: u64 = (1 << 53) - 1;

/// `["` + crc + `",`: where the checksummed part of a line begins.
const SEALED_AT: usize = 12;

/// `["` + crc + `","` + prev + `",`: where the numbers begin.
const NUMBERS_AT: usize = 23;

/// A line that verified.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) crc: u32,
    pub(crate) prev: u32,
    pub(crate) seq: u64,
    pub(crate) durable: u64,
    pub(crate) body: Body<'a>,
}

/// What a record says.
#[derive(Debug)]
pub(crate) enum Body<'a> {
    Open { format: u64, run: Cow<'a, str>, nonce: u32, compacted: bool },
    Put { node: Cow<'a, str>, time: &'a str, value: &'a RawValue },
    Remove { node: Cow<'a, str>, time: &'a str },
    Batch { time: &'a str, changes: Vec<(Cow<'a, str>, Option<&'a RawValue>)> },
    Base { count: u64, checksum: u32, time: &'a str },
}

impl Body<'_> {
    /// When it was written; `None` for what carries no state.
    pub(crate) fn time(&self) -> Option<&str> {
        match self {
            Self::Open { .. } => None,
            Self::Base { time, .. }
            | Self::Put { time, .. }
            | Self::Remove { time, .. }
            | Self::Batch { time, .. } => Some(time),
        }
    }
}

/// What a line has besides its body takes no more: two checks, two numbers, and what is between.
const HEAD_MAX: usize = 64;

/// Appends a whole line to `out`; returns its checksum, the next line's `prev`.
pub(crate) fn seal(
    out: &mut Vec<u8>,
    nonce: u32,
    prev: u32,
    seq: u64,
    durable: u64,
    body: &[u8],
) -> u32 {
    let start = out.len();
    out.reserve(body.len() + HEAD_MAX);
    out.extend_from_slice(b"[\"00000000\",");
    // Writing to a Vec never fails.
    let _ = write!(out, "\"{prev:08x}\",{seq},{durable},");
    out.extend_from_slice(body);
    out.push(b']');
    let crc = crc32c::crc32c_append(nonce, &out[start + SEALED_AT..]);
    let _ = write!(&mut out[start + 2..start + 10], "{crc:08x}");
    out.push(b'\n');
    crc
}

/// The record that `line` (without its newline) is, if it is one under this nonce.
pub(crate) fn parse(line: &[u8], nonce: u32) -> Option<Record<'_>> {
    if holds(line, nonce) { fields(line) } else { None }
}

/// The same for bytes that may begin anywhere. The shape comes first: a long value may hold many
/// arrays that look like records, and none of them ends where the line does.
pub(crate) fn found(line: &[u8], nonce: u32) -> Option<Record<'_>> {
    claimed_crc(line)?;
    let record = fields(line)?;
    holds(line, nonce).then_some(record)
}

fn holds(line: &[u8], nonce: u32) -> bool {
    claimed_crc(line).is_some_and(|crc| {
        crc32c::crc32c_append(nonce, &line[SEALED_AT..]) == crc || left_out(Check::Checksum)
    })
}

/// The first line of a file: it brings the nonce that it is sealed with.
pub(crate) fn parse_open(line: &[u8]) -> Option<Record<'_>> {
    match fields(line)?.body {
        Body::Open { nonce, .. } => parse(line, nonce),
        _ => None,
    }
}

/// The seed under which the line's checksum holds: CRC run backwards over its bytes.
///
/// Every line has one; a nonce is found when lines agree.
pub(crate) fn nonce_that_fits(line: &[u8]) -> Option<u32> {
    let crc = claimed_crc(line)?;
    fields(line)?;
    // CRC-32C steps are bijections of the 32-bit state, so each can be undone by its top byte.
    let table = reverse_table();
    let mut state = !crc;
    for &byte in line.get(SEALED_AT..)?.iter().rev() {
        let (index, entry) = table[(state >> 24) as usize];
        state = ((state ^ entry) << 8) + u32::from(index ^ byte);
    }
    Some(!state)
}

/// For each top byte of a CRC table's entry: its index and the entry.
fn reverse_table() -> [(u8, u32); 256] {
    let mut table = [(0, 0); 256];
    for index in 0..=u8::MAX {
        let entry =
            (0..8).fold(
                u32::from(index),
                |c, _| {
                    if c & 1 == 1 { (c >> 1) ^ 0x82f6_3b78 } else { c >> 1 }
                },
            );
        table[(entry >> 24) as usize] = (index, entry);
    }
    table
}

/// The part of a verified line that does not change when it is sealed anew.
pub(crate) fn body_of(line: &[u8]) -> &[u8] {
    let numbers = &line[NUMBERS_AT..];
    let mut commas = numbers.iter().enumerate().filter(|(_, b)| **b == b',').map(|(at, _)| at);
    let body = commas.nth(1).map_or(numbers.len(), |at| at + 1);
    let end = numbers.len().saturating_sub(1);
    &numbers[body.min(end)..end]
}

/// The checksum that a line claims, if it starts as every line does: cheap, so that a search can
/// ask it at every offset.
fn claimed_crc(line: &[u8]) -> Option<u32> {
    let is = |at: usize, text: &[u8]| line.get(at..at + text.len()) == Some(text);
    let shaped = is(0, b"[\"") && is(10, b"\",\"") && is(NUMBERS_AT - 2, b"\",");
    hex(line.get(SEALED_AT + 1..NUMBERS_AT - 2)).filter(|_| shaped)?;
    hex(line.get(2..10))
}

/// Eight lower-case hex digits and nothing else.
fn hex(digits: Option<&[u8]>) -> Option<u32> {
    let digits = digits.filter(|digits| digits.len() == 8)?;
    digits.iter().try_fold(0_u32, |sum, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(sum * 16 + u32::from(value))
    })
}

/// The line as an array of the shape that its kind asks for, up to its last byte.
fn fields(line: &[u8]) -> Option<Record<'_>> {
    let mut json = serde_json::Deserializer::from_slice(line);
    let record = json.deserialize_seq(Fields).ok()?;
    json.end().ok()?;
    Some(record)
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Record<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a record")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Record<'de>, A::Error> {
        let crc = next_hex(&mut seq)?;
        let prev = next_hex(&mut seq)?;
        let number = next(&mut seq)?;
        let durable = next(&mut seq)?;
        if number > SEQ_MAX || durable > SEQ_MAX {
            return Err(A::Error::custom("no record has such a number"));
        }
        let body = match next::<&str, A>(&mut seq)? {
            "put" => {
                let Text(node) = next(&mut seq)?;
                Body::Put { node, time: next(&mut seq)?, value: next(&mut seq)? }
            }
            "remove" => {
                let Text(node) = next(&mut seq)?;
                Body::Remove { node, time: next(&mut seq)? }
            }
            "batch" => {
                let time = next(&mut seq)?;
                let changes: Vec<Change<'de>> = next(&mut seq)?;
                Body::Batch { time, changes: changes.into_iter().map(|c| (c.0, c.1)).collect() }
            }
            "open" => {
                let format = next(&mut seq)?;
                let Text(run) = next(&mut seq)?;
                Body::Open { format, run, nonce: next_hex(&mut seq)?, compacted: next(&mut seq)? }
            }
            "base" => Body::Base {
                count: next(&mut seq)?,
                checksum: next_hex(&mut seq)?,
                time: next(&mut seq)?,
            },
            kind => return Err(A::Error::custom(format!("no kind of record: {kind}"))),
        };
        match seq.next_element::<IgnoredAny>()? {
            None => Ok(Record { crc, prev, seq: number, durable, body }),
            Some(_) => Err(A::Error::custom("more fields than the kind has")),
        }
    }
}

/// A string, borrowed where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Text<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_str(TextVisitor).map(Self)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// `["put",node,value]` or `["remove",node]` inside of a batch.
struct Change<'a>(Cow<'a, str>, Option<&'a RawValue>);

impl<'de> serde::Deserialize<'de> for Change<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_seq(ChangeVisitor)
    }
}

struct ChangeVisitor;

impl<'de> Visitor<'de> for ChangeVisitor {
    type Value = Change<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a change of a batch")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Change<'de>, A::Error> {
        let kind = next::<&str, A>(&mut seq)?;
        let Text(node) = next(&mut seq)?;
        let value = match kind {
            "put" => Some(next(&mut seq)?),
            "remove" => None,
            _ => return Err(A::Error::custom("no kind of change")),
        };
        match seq.next_element::<IgnoredAny>()? {
            None => Ok(Change(node, value)),
            Some(_) => Err(A::Error::custom("more fields than a change has")),
        }
    }
}

fn next<'de, T: serde::Deserialize<'de>, A: SeqAccess<'de>>(seq: &mut A) -> Result<T, A::Error> {
    seq.next_element()?.ok_or_else(|| A::Error::custom("a field is missing"))
}

fn next_hex<'de, A: SeqAccess<'de>>(seq: &mut A) -> Result<u32, A::Error> {
    let digits = next::<&str, A>(seq)?;
    hex(Some(digits.as_bytes())).ok_or_else(|| A::Error::custom("not eight hex digits"))
}

#[cfg(test)]
mod tests {
    use super::{Body, SEALED_AT, claimed_crc, parse, seal};

    #[test]
    fn a_record_says_when_it_was_written() {
        for (body, expected) in [
            ("\"put\",\"a\",\"t1\",1", "t1"),
            ("\"remove\",\"a\",\"t2\"", "t2"),
            ("\"batch\",\"t3\",[]", "t3"),
            ("\"base\",0,\"00000000\",\"t4\"", "t4"),
        ] {
            let mut line = Vec::new();
            seal(&mut line, 7, 0, 1, 0, body.as_bytes());
            let record = parse(&line[..line.len() - 1], 7).unwrap();
            assert_eq!(record.body.time(), Some(expected));
        }
        let open = Body::Open { format: 1, run: "a".into(), nonce: 7, compacted: false };
        assert_eq!(open.time(), None);
    }

    #[test]
    fn a_line_has_no_white_space_of_its_own() {
        let mut line = b"[\"00000000\",\"00000000\" ,1,0,\"remove\",\"a\",\"t\"]".to_vec();
        let crc = crc32c::crc32c_append(7, &line[SEALED_AT..]);
        line[2..10].copy_from_slice(format!("{crc:08x}").as_bytes());
        assert_eq!(claimed_crc(&line), None);
        assert!(parse(&line, 7).is_none());
        line.remove(22);
        assert!(claimed_crc(&line).is_some());
    }
}
