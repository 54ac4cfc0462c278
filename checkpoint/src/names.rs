//! Names of runs and nodes, and what they may look like.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The name of a run: it is a folder's name on disk, so it follows a narrow rule.
///
/// A letter or digit, then up to 127 letters, digits, dots, underscores or hyphens, all ASCII; no
/// dot at the end, and none of the device names that some systems reserve.
///
/// ```
/// use checkpoint::RunId;
/// assert_eq!(RunId::new("deck-42")?.as_str(), "deck-42");
/// assert!(RunId::new("../x").unwrap_err().to_string().contains("letter or digit"));
/// # Ok::<(), checkpoint::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(Arc<str>);

const RUN_RULE: &str = "a letter or digit, then up to 127 of A-Z a-z 0-9 . _ -, no dot at the end, \
                        no reserved device name such as CON";

const NODE_RULE: &str = "1 to 512 bytes of UTF-8";

/// The longest name of a node, in bytes.
const NODE_BYTES_MAX: usize = 512;

impl RunId {
    /// A run's name, if `name` follows the rule.
    ///
    /// # Errors
    /// [`Error::InvalidName`], which quotes the rule.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        let first = name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
        let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if first && rest && name.len() <= 128 && !name.ends_with('.') && !is_device(name) {
            return Ok(Self(name.into()));
        }
        Err(Error::InvalidName { what: "run", name: name.to_owned(), rule: RUN_RULE })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Windows reserves these with any extension; a run may be copied there.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).to_ascii_uppercase();
    let numbered = |port| {
        stem.strip_prefix(port)
            .is_some_and(|digit| digit.len() == 1 && (b'1'..=b'9').contains(&digit.as_bytes()[0]))
    };
    ["CON", "PRN", "AUX", "NUL"].contains(&stem.as_str()) || numbered("COM") || numbered("LPT")
}

/// Refuses what cannot be a node's name.
pub(crate) fn check_node(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > NODE_BYTES_MAX {
        let name = name.chars().take(80).collect();
        return Err(Error::InvalidName { what: "node", name, rule: NODE_RULE });
    }
    Ok(())
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for RunId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl TryFrom<String> for RunId {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::new(name)
    }
}

impl From<RunId> for String {
    fn from(run: RunId) -> Self {
        run.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{RunId, check_node};

    #[test]
    fn a_run_is_a_plain_file_name() {
        for good in ["a", "0", "deck-42", "A.b_c-d", "COM0", "COM10", "console", &"x".repeat(128)] {
            assert_eq!(RunId::new(good).unwrap().as_ref() as &str, good);
        }
        let long = "x".repeat(129);
        let bad = ["", ".", "..", "../x", "a/b", "-a", "_a", "a.", "é", "a b", "a\0", "con"];
        for bad in bad.into_iter().chain(["NUL.txt", "com1", "Lpt9.x", "aux.", &long]) {
            assert!(RunId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_run_survives_serde_and_nothing_else_does() {
        let run: RunId = serde_json::from_str("\"deck-42\"").unwrap();
        assert_eq!(serde_json::to_string(&run).unwrap(), "\"deck-42\"");
        assert!(serde_json::from_str::<RunId>("\"../x\"").is_err());
    }

    #[test]
    fn a_node_is_any_text_up_to_512_bytes() {
        for good in ["a", "../x", "é\n\0", &"x".repeat(512)] {
            assert!(check_node(good).is_ok(), "{good}");
        }
        assert!(check_node("").is_err());
        assert!(check_node(&"x".repeat(513)).is_err());
    }
}
