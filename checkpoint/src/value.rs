//! Values on their way into JSON: one line each, and only what reads back.

use serde::Serialize;

use crate::finite::check_finite;
use crate::{Error, Result};

/// `serde_json` reads no deeper than this.
const DEPTH_MAX: usize = 127;

/// The compact JSON of `value`, without a newline.
pub(crate) fn to_json<T: Serialize + ?Sized>(node: &str, value: &T) -> Result<Vec<u8>> {
    let refused = |source: Box<dyn std::error::Error + Send + Sync>| Error::Type {
        node: node.to_owned(),
        problem: "the value cannot be stored as JSON",
        source,
    };
    let mut json = serde_json::to_vec(value).map_err(|error| refused(error.into()))?;
    // serde_json writes NaN as null; only where there is a null must the value be looked at.
    if memchr::memmem::find(&json, b"null").is_some() {
        check_finite(value).map_err(|error| refused(error.into()))?;
    }
    if json.len() > 2 * DEPTH_MAX && depth(&json) > DEPTH_MAX {
        let what = format!("it is nested deeper than {DEPTH_MAX} levels and would not read back");
        return Err(refused(what.into()));
    }
    // A raw value keeps its own layout. Inside of strings a newline is always escaped, so these
    // stand between tokens.
    if memchr::memchr(b'\n', &json).is_some() {
        json.retain(|byte| *byte != b'\n');
    }
    Ok(json)
}

/// How deep brackets go, outside of strings.
fn depth(json: &[u8]) -> usize {
    let (mut now, mut most, mut text, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => text = !text,
            _ if text => {}
            b'[' | b'{' => {
                now += 1;
                most = most.max(now);
            }
            b']' | b'}' => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// The value of type `T` that `json` is.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(node: &str, json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|source| Error::Type {
        node: node.to_owned(),
        problem: "the stored value does not read back as the type asked for; read it as the type \
                  that it was saved as, or remove the node",
        source: source.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::{depth, to_json};

    #[test]
    fn what_json_would_lose_is_refused() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(to_json("n", &bad).is_err());
            assert!(to_json("n", &Some(bad)).is_err());
            assert!(to_json("n", &vec![(1, [bad])]).is_err());
            assert!(to_json("n", &std::collections::BTreeMap::from([("a", bad)])).is_err());
        }
        assert!(to_json("n", &f32::NAN).is_err());
        let said = to_json("n", &f64::NAN).unwrap_err().to_string();
        assert!(said.ends_with("NaN has no JSON form, save it as a string or as null"), "{said}");
        assert_eq!(to_json("n", &(1.5, None::<f64>, ())).unwrap(), b"[1.5,null,null]");
    }

    #[test]
    fn depth_is_counted_outside_of_strings() {
        for (json, expected) in [
            ("1", 0),
            ("[]", 1),
            ("[[1],{\"a\":[2]}]", 3),
            ("[1],[2],[3]", 1),
            (r#""[[[""#, 0),
            (r#"["\"[[[",1]"#, 1),
            (r#"["\\",[1]]"#, 2),
            (r#"["a",[["b"]]]"#, 3),
        ] {
            assert_eq!(depth(json.as_bytes()), expected, "{json}");
        }
    }

    #[test]
    fn what_reads_back_is_taken_and_what_is_one_level_deeper_is_not() {
        let nested = |levels, inside| {
            let json = "[".repeat(levels) + inside + &"]".repeat(levels);
            serde_json::value::RawValue::from_string(json).unwrap()
        };
        // Empty, the deepest one is too short for its levels to be counted.
        for inside in ["", "0"] {
            assert!(to_json("n", &nested(127, inside)).is_ok());
            assert!(to_json("n", &nested(128, inside)).is_err());
        }
    }

    #[test]
    fn a_raw_value_takes_one_line() {
        let raw = serde_json::value::RawValue::from_string("{\n \"a\": [1,\n2]}".to_owned());
        assert_eq!(to_json("n", &raw.unwrap()).unwrap(), br#"{ "a": [1,2]}"#);
    }
}
