//! A key that nobody is shown: not by `Debug`, and not in what a provider says of it.

use std::fmt;

use crate::Error;

/// A provider's key. Empty where none is needed.
#[derive(Clone, Default)]
pub struct Secret(String);

impl Secret {
    /// The key, without the white space around it.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] if it holds what no header can carry; it is not shown there.
    pub fn new(key: &str) -> Result<Secret, Error> {
        let key = key.trim();
        match key.chars().position(|c| !c.is_ascii_graphic()) {
            Some(at) => Err(Error::Key { position: at + 1 }),
            None => Ok(Secret(key.to_string())),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// For the one header that carries it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// A text with an ellipsis wherever the key stood. To be called before a text is cut: half a
    /// key is not found.
    pub(crate) fn hide(&self, text: &str) -> String {
        if self.is_empty() { text.to_string() } else { text.replace(&self.0, "…") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_key_is_hidden_wherever_it_stands() {
        let key = Secret::new(" sk-1\n").unwrap();
        assert_eq!(key.reveal(), "sk-1");
        assert_eq!(key.hide("no sk-1, nor \"sk-1\""), "no …, nor \"…\"");
        assert_eq!(format!("{key:?}"), "Secret(…)");
        assert_eq!(Secret::default().hide("as it is"), "as it is");
        for bad in ["two words", "sk-ü", "a\u{7f}"] {
            assert!(!Secret::new(bad).unwrap_err().to_string().contains(bad), "{bad}");
        }
    }
}
