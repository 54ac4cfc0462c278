//! BLAKE3 over length-prefixed parts: cache keys, values, idempotency keys.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// 256 bits, written as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    /// Of one text.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Digest(*blake3::hash(bytes).as_bytes())
    }

    /// Of several parts. Each is prefixed by its length, so that moving a border between two parts
    /// changes the digest.
    pub(crate) fn of_parts<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Digest(*hasher.finalize().as_bytes())
    }

    pub(crate) fn of_hasher(hasher: &blake3::Hasher) -> Self {
        Digest(*hasher.finalize().as_bytes())
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 16 hex digits: enough to tell two inputs apart for a person.
    pub(crate) fn short(&self) -> String {
        self.to_string()[..16].to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Upper-case digits would be a second text for one digest.
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(format!("`{text}` is no digest: 64 lower-case hex digits"));
        }
        let hash = blake3::Hash::from_hex(text);
        hash.map(|hash| Digest(*hash.as_bytes()))
            .map_err(|_| format!("`{text}` is no digest: 64 lower-case hex digits"))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&blake3::Hash::from(self.0).to_hex())
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hex;
        impl serde::de::Visitor<'_> for Hex {
            type Value = Digest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a digest of 64 lower-case hex digits")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Digest, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Hex)
    }
}

/// The digest of a whole fan-out, whatever order its items finish in.
///
/// Each item adds BLAKE3 of its position, key and result to a sum of four 64-bit lanes with carries
/// left out (an `AdHash`: Bellare and Micciancio, "A New Paradigm for Collision-Free Hashing",
/// Eurocrypt 1997). So a collect over a million items needs 32 bytes, not a list of a million
/// digests. Nobody attacks a run's own cache, and against chance the sum is as good as one hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    lanes: [u64; 4],
    items: u64,
}

impl Sum {
    pub(crate) fn add(&mut self, position: u32, key: &str, result: &Digest) {
        let position = position.to_le_bytes();
        let item = Digest::of_parts([&position[..], key.as_bytes(), &result.0[..]]);
        for (lane, bytes) in self.lanes.iter_mut().zip(item.0.chunks_exact(8)) {
            let mut word = [0; 8];
            word.copy_from_slice(bytes);
            *lane = lane.wrapping_add(u64::from_le_bytes(word));
        }
        self.items += 1;
    }

    pub(crate) fn digest(&self) -> Digest {
        let lanes = self.lanes.map(u64::to_le_bytes);
        let items = self.items.to_le_bytes();
        Digest::of_parts(lanes.iter().map(|lane| &lane[..]).chain([&items[..]]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_border_between_parts_counts() {
        let ab = Digest::of_parts([&b"ab"[..], b"c"]);
        let bc = Digest::of_parts([&b"a"[..], b"bc"]);
        assert_ne!(ab, bc);
    }

    #[test]
    fn a_digest_reads_back() {
        let digest = Digest::of(b"x");
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        assert!(serde_json::from_str::<Digest>("\"12\"").is_err());
        assert!(digest.to_string().to_uppercase().parse::<Digest>().is_err());
    }

    #[test]
    fn a_sum_does_not_depend_on_who_finished_first() {
        let items = [(0, "a", Digest::of(b"1")), (1, "b", Digest::of(b"2"))];
        let sum = |order: &[usize]| {
            let mut sum = Sum::default();
            for &n in order {
                sum.add(items[n].0, items[n].1, &items[n].2);
            }
            sum.digest()
        };
        assert_eq!(sum(&[0, 1]), sum(&[1, 0]));
        assert_ne!(sum(&[0, 1]), sum(&[0]));
        assert_ne!(sum(&[]), sum(&[0]));
    }

    #[test]
    fn a_sum_depends_on_position_key_and_result() {
        let one = |position, key, result: &[u8]| {
            let mut sum = Sum::default();
            sum.add(position, key, &Digest::of(result));
            sum.digest()
        };
        let all = [one(0, "a", b"1"), one(1, "a", b"1"), one(0, "b", b"1"), one(0, "a", b"2")];
        for (n, a) in all.iter().enumerate() {
            assert!(all[n + 1..].iter().all(|b| a != b));
        }
    }
}
