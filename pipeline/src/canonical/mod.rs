//! Canonical JSON: the one text of a value, so that equal values have equal hashes in every
//! process.
//!
//! Keys are sorted here, by their bytes: the order of a `HashMap` differs from process to process,
//! and a hash that follows it would pay for every step again. NaN and infinities are refused, for
//! JSON has none and `null` does not read back. Floats are written in the shortest form that reads
//! back exactly (ryu, as `serde_json` does). Two keys of one name in one map are refused as well.

mod key;
mod serializer;

use serde::Serialize;

/// Why a value has no canonical JSON.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Uncanonical {
    #[error("a number is {0}, which JSON cannot hold: make it an `Option`, or refuse it earlier")]
    NotFinite(f64),
    #[error("a map's key is {0}, and JSON's keys are texts: use texts, numbers, bools or chars")]
    Key(&'static str),
    #[error("the key `{0}` is there twice in one map")]
    DuplicateKey(String),
    #[error("{0}")]
    Custom(String),
}

impl serde::ser::Error for Uncanonical {
    fn custom<T: std::fmt::Display>(said: T) -> Self {
        Uncanonical::Custom(said.to_string())
    }
}

/// The value's one text.
///
/// # Errors
/// The value holds something that JSON cannot hold, or its own `Serialize` failed.
pub(crate) fn canonical<T: Serialize + ?Sized>(value: &T) -> Result<String, Uncanonical> {
    let mut out = String::with_capacity(128);
    value.serialize(serializer::Writer { out: &mut out })?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    struct Named {
        zebra: u8,
        apple: Option<&'static str>,
        map: HashMap<u32, f64>,
    }

    #[derive(Serialize)]
    enum Kind {
        Unit,
        New(u8),
        Tuple(u8, u8),
        Struct { b: u8, a: u8 },
    }

    #[test]
    fn keys_are_sorted_whatever_order_they_came_in() {
        let map = HashMap::from([(10, 0.5), (9, 1.0), (1, -0.0)]);
        let text = canonical(&Named { zebra: 1, apple: None, map }).unwrap();
        assert_eq!(text, r#"{"apple":null,"map":{"1":-0.0,"10":0.5,"9":1.0},"zebra":1}"#);
    }

    #[test]
    fn a_hash_map_and_a_tree_map_have_one_text() {
        let pairs: Vec<(String, i64)> = (0..200).map(|n| (format!("key {n}"), n - 100)).collect();
        let hashed: HashMap<_, _> = pairs.iter().cloned().collect();
        let sorted: BTreeMap<_, _> = pairs.into_iter().collect();
        assert_eq!(canonical(&hashed).unwrap(), canonical(&sorted).unwrap());
    }

    #[test]
    fn sorted_values_read_as_serde_json_reads_them() {
        let kinds = [Kind::Unit, Kind::New(7), Kind::Tuple(1, 2), Kind::Struct { b: 2, a: 1 }];
        let text = canonical(&kinds).unwrap();
        assert_eq!(text, r#"["Unit",{"New":7},{"Tuple":[1,2]},{"Struct":{"a":1,"b":2}}]"#);
        let ours: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(ours, serde_json::to_value(&kinds).unwrap());
    }

    #[test]
    fn every_shape_is_what_serde_json_writes() {
        let text = "a \"quoted\" line\n\u{1F600}\u{7}";
        let value = (
            (true, 'c', text, ()),
            (i64::MIN, u64::MAX, i128::MAX, 0.1_f32, 1e300, f64::MIN_POSITIVE),
            (Some(1), None::<u8>, [1, 2], serde_json::json!({"b": [], "a": {}})),
            BTreeMap::from([(true, 1)]),
            BTreeMap::from([('x', 1)]),
        );
        let ours = canonical(&value).unwrap();
        let theirs = serde_json::to_string(&value).unwrap();
        let same = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(same(&ours), same(&theirs), "{ours}\n{theirs}");
    }

    #[test]
    fn what_json_cannot_hold_is_refused() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(matches!(canonical(&[number]), Err(Uncanonical::NotFinite(_))));
            #[allow(clippy::cast_possible_truncation)]
            let small = number as f32;
            assert!(matches!(canonical(&Some(small)), Err(Uncanonical::NotFinite(_))));
        }
        let keyed = BTreeMap::from([(vec![1], 1)]);
        assert!(matches!(canonical(&keyed), Err(Uncanonical::Key(_))));
    }

    #[test]
    fn one_key_twice_is_refused() {
        struct Twice;
        impl Serialize for Twice {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_map([("a", 1), ("b", 2), ("a", 3)])
            }
        }
        assert!(matches!(canonical(&Twice), Err(Uncanonical::DuplicateKey(key)) if key == "a"));
    }
}
