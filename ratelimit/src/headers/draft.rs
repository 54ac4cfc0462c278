//! The IETF draft's two fields: lists of policies with parameters.
//!
//! `RateLimit: "default";r=50;t=30` and `RateLimit-Policy: "burst";q=100;w=60, "daily";q=1000` are
//! Structured Fields (RFC 9651). Read is what the draft uses of them: a quoted or bare name, then
//! `;key=value`. A name before the name, as `"fixed window";"api";q=500`, is sent by some; the last
//! one counts.

use std::time::Duration;

/// Name, remaining amount, time to the window's end.
pub(super) fn limits(value: &str) -> Option<Vec<(String, u64, Option<Duration>)>> {
    items(value)?
        .into_iter()
        .map(|item| {
            let reset = if item.has("t") { Some(item.number("t")?) } else { None };
            let remaining = item.number("r")?;
            Some((item.name, remaining, reset.map(Duration::from_secs)))
        })
        .collect()
}

/// Name and quota.
pub(super) fn policies(value: &str) -> Option<Vec<(String, u64)>> {
    items(value)?
        .into_iter()
        .map(|item| {
            let quota = item.number("q")?;
            Some((item.name, quota))
        })
        .collect()
}

struct Item {
    name: String,
    parameters: Vec<(String, String)>,
}

impl Item {
    fn has(&self, key: &str) -> bool {
        self.parameters.iter().any(|(name, _)| name == key)
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.parameters.iter().find(|(name, _)| name == key)?.1.parse().ok()
    }
}

fn items(value: &str) -> Option<Vec<Item>> {
    split(value, ',')?.into_iter().map(item).collect()
}

fn item(text: &str) -> Option<Item> {
    let (mut name, mut parameters) = (None, Vec::new());
    for part in split(text, ';')? {
        match part.split_once('=') {
            Some((key, value)) if !part.starts_with('"') => {
                parameters.push((key.trim().to_ascii_lowercase(), unquoted(value.trim()).into()));
            }
            _ => name = Some(unquoted(part).to_lowercase()),
        }
    }
    Some(Item { name: name?, parameters })
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

/// Splits outside quotes; `None` if a quote is not closed or a part is empty.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == separator && !quoted => {
                parts.push(text[start..index].trim());
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    (!quoted && parts.iter().all(|part| !part.is_empty())).then_some(parts)
}
