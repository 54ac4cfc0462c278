//! Names of records and of artefacts: stages, items' keys, and how they become one path.
//!
//! A nested key is one segment for each fan-out. Bytes outside `[A-Za-z0-9_-]` are percent-encoded;
//! a segment over 100 bytes becomes its beginning, `~` and a BLAKE3; an empty one is `~` alone. So
//! two keys never share a name, and no key can leave its folder.

use std::sync::Arc;

use crate::digest::Digest;

const SEGMENT_BYTES_MAX: usize = 100;
/// 128 bits of BLAKE3, in hex.
const HASH_HEX: usize = 32;
/// What a checkpoint takes as a node's name.
const NAME_BYTES_MAX: usize = 512;
/// A stage's name stands in every record's name.
pub(crate) const STAGE_BYTES_MAX: usize = 64;

/// An item's place in its fan-outs: the key of each, from the outermost in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Item {
    /// As people see it: raw keys with `/` between. Empty for a step of the run itself.
    shown: Arc<str>,
    /// As records and artefacts are named.
    encoded: Arc<str>,
}

impl Item {
    /// The run itself.
    pub(crate) fn root() -> Self {
        Item { shown: Arc::from(""), encoded: Arc::from("") }
    }

    /// An item of a fan-out inside this one.
    pub(crate) fn child(&self, key: &str) -> Self {
        let segment = encode(key);
        if self.encoded.is_empty() {
            let shown: Arc<str> = Arc::from(key);
            let encoded = if segment == key { Arc::clone(&shown) } else { Arc::from(segment) };
            return Item { shown, encoded };
        }
        let shown = Arc::from(format!("{}/{key}", self.shown));
        Item { shown, encoded: Arc::from(format!("{}/{segment}", self.encoded)) }
    }

    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// As records name it.
    #[cfg_attr(not(feature = "cli"), allow(dead_code))]
    pub(crate) fn encoded(&self) -> &str {
        &self.encoded
    }

    /// Whether the shown keys cannot be made again from the record's name.
    pub(crate) fn is_hashed(&self) -> bool {
        self.encoded.contains('~')
    }

    /// The name of a record: `step/script/slide-1`.
    pub(crate) fn record(&self, kind: &str, stage: &str) -> String {
        // Each step has several: `concat` allocates once, `format!` as it grows.
        let name = match &*self.encoded {
            "" => [kind, "/", stage].concat(),
            item => [kind, "/", stage, "/", item].concat(),
        };
        if name.len() <= NAME_BYTES_MAX {
            return name;
        }
        let hash = &Digest::of(self.encoded.as_bytes()).to_string()[..HASH_HEX];
        format!("{kind}/{stage}/~{hash}")
    }

    /// The path of an artefact below the run's folder: `files/audio/slide-1.wav`.
    pub(crate) fn file(&self, stage: &str, name: Option<&str>, ext: &str) -> String {
        let mut path = format!("files/{stage}");
        if !self.encoded.is_empty() {
            path.push('/');
            path.push_str(&self.encoded);
        }
        if let Some(name) = name {
            path.push('.');
            path.push_str(&encode(name));
        }
        path.push('.');
        path.push_str(ext);
        path
    }
}

#[cfg_attr(not(feature = "cli"), allow(dead_code))]
/// The item's keys of a record's name without its kind and stage, as people see them.
pub(crate) fn shown(encoded: &str) -> String {
    if encoded.is_empty() {
        return String::new();
    }
    let segments: Vec<String> = encoded.split('/').map(decode).collect();
    segments.join("/")
}

/// Whether a stage, a value or a pipeline may have this name, and the rule it breaks.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let fine = name.len() <= STAGE_BYTES_MAX
        && name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
        && name.bytes().all(allowed)
        && !name.ends_with('.');
    if fine {
        return Ok(());
    }
    Err(format!(
        "`{name}` is no name: 1 to {STAGE_BYTES_MAX} of A-Z a-z 0-9 . _ -, beginning with a letter \
         or a digit, without a dot at the end"
    ))
}

/// Whether an artefact may have this extension: `wav`, `tar.gz`.
pub(crate) fn check_extension(ext: &str) -> Result<(), String> {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
    if ext.len() <= 32 && ext.split('.').all(part) {
        return Ok(());
    }
    Err(format!("`{ext}` is no file extension: letters and digits, as in `wav` or `tar.gz`"))
}

fn plain(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'-'
}

fn encode(key: &str) -> String {
    if key.is_empty() {
        return "~".to_string();
    }
    let mut segment = String::with_capacity(key.len());
    for b in key.bytes() {
        if plain(b) {
            segment.push(char::from(b));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            segment.push('%');
            segment.push(char::from(HEX[usize::from(b >> 4)]));
            segment.push(char::from(HEX[usize::from(b & 15)]));
        }
    }
    if segment.len() > SEGMENT_BYTES_MAX {
        segment.truncate(SEGMENT_BYTES_MAX - 1 - HASH_HEX);
        segment.push('~');
        segment.push_str(&Digest::of(key.as_bytes()).to_string()[..HASH_HEX]);
    }
    segment
}

fn decode(segment: &str) -> String {
    if segment == "~" {
        return String::new();
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(b) = rest.next() {
        if b != b'%' {
            bytes.push(b);
            continue;
        }
        let digits = [rest.next().unwrap_or(b'?'), rest.next().unwrap_or(b'?')];
        let code = std::str::from_utf8(&digits).ok().and_then(|d| u8::from_str_radix(d, 16).ok());
        bytes.extend(code);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_cannot_leave_its_folder() {
        let item = Item::root().child("../../etc/passwd");
        assert_eq!(
            item.file("audio", None, "wav"),
            "files/audio/%2E%2E%2F%2E%2E%2Fetc%2Fpasswd.wav"
        );
        assert_eq!(item.shown(), "../../etc/passwd");
    }

    #[test]
    fn names_are_as_documented() {
        let slide = Item::root().child("s-1_a");
        assert_eq!(slide.record("step", "audio"), "step/audio/s-1_a");
        assert_eq!(slide.file("audio", Some("left"), "wav"), "files/audio/s-1_a.left.wav");
        assert_eq!(slide.child("p 2").record("fail", "x"), "fail/x/s-1_a/p%202");
        assert_eq!(Item::root().record("start", "video"), "start/video");
        assert_eq!(Item::root().file("video", None, "mp4"), "files/video.mp4");
        assert_eq!(Item::root().child("").record("step", "x"), "step/x/~");
    }

    #[test]
    fn different_keys_never_share_a_name() {
        let long = "x".repeat(300);
        let keys = ["a", "A", "", "~", "a/b", "a%2Fb", "a b", "ä", &long, &format!("{long}y")];
        let mut names: Vec<String> =
            keys.iter().map(|key| Item::root().child(key).record("step", "s")).collect();
        names.push(Item::root().child("a").child("b").record("step", "s"));
        names.sort();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(names.iter().all(|name| name.len() <= 100 + "step/s/".len()));
    }

    #[test]
    fn a_name_gives_its_keys_back_unless_it_is_hashed() {
        for key in ["a", "a/b", "ä b%", ""] {
            let item = Item::root().child("x").child(key);
            assert_eq!(
                shown(item.record("step", "s").strip_prefix("step/s/").unwrap()),
                item.shown()
            );
        }
        assert!(Item::root().child(&"x".repeat(101)).is_hashed());
        assert!(!Item::root().child("~").is_hashed());
    }

    #[test]
    fn the_deepest_names_fit_into_a_checkpoint() {
        let long = "é".repeat(200);
        let deep = (0..6).fold(Item::root(), |item, n| item.child(&format!("{n}{long}")));
        let name = deep.record("start", &"s".repeat(STAGE_BYTES_MAX));
        assert!(name.len() <= NAME_BYTES_MAX, "{name}");
    }

    #[test]
    fn a_stage_is_named_as_a_run_is() {
        for good in ["a", "9.x", "script-2_b", &"s".repeat(64)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".a", "a.", "a b", "a/b", "é", "../x", &"s".repeat(65)] {
            assert!(check_name(bad).unwrap_err().contains("is no name"), "{bad}");
        }
        assert!(check_extension("tar.gz").is_ok());
        for bad in ["", ".wav", "a/b", "wav.", "w v"] {
            assert!(check_extension(bad).is_err(), "{bad}");
        }
    }
}
