//! Figures and names as people read them.

use std::time::Duration;

use crate::record::now_ms;

/// `1 step`, `2 steps`.
pub(super) fn count(n: u64, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

/// `script [slide-1]`; a step of the run itself is its stage alone.
pub(super) fn step(stage: &str, item: &str) -> String {
    match item {
        "" => stage.to_string(),
        item => format!("{stage} [{}]", line(item)),
    }
}

/// `40 ms`, `1.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`: what matters, and no more.
pub(super) fn span(time: Duration) -> String {
    let two = |big: u64, of: &str, small: u64, rest: &str| match small {
        0 => format!("{big} {of}"),
        small => format!("{big} {of} {small} {rest}"),
    };
    match time.as_secs() {
        0 if time.as_millis() == 0 => "<1 ms".to_string(),
        0 => format!("{} ms", time.as_millis()),
        1..10 => format!("{:.1} s", time.as_secs_f64()),
        s @ 10..60 => format!("{s} s"),
        s @ 60..3_600 => two(s / 60, "min", s % 60, "s"),
        s @ 3_600..86_400 => two(s / 3_600, "h", s / 60 % 60, "min"),
        s => two(s / 86_400, "d", s / 3_600 % 24, "h"),
    }
}

/// How long ago that was; of a clock that was set back, `just now`.
pub(super) fn ago(at_ms: u64) -> String {
    match now_ms().saturating_sub(at_ms) / 1_000 {
        0 => "just now".to_string(),
        s @ 1..10 => format!("{s} s ago"),
        s => format!("{} ago", span(Duration::from_secs(s))),
    }
}

/// `$1.25`; cents and below as far as there is something to see.
pub(super) fn usd(usd: f64) -> String {
    match usd.abs() {
        small if small > 0.0 && small < 0.01 => format!("${usd:.6}").trim_end_matches('0').into(),
        small if small < 1.0 => format!("${usd:.3}"),
        _ => format!("${usd:.2}"),
    }
}

/// `512 bytes`, `1.5 kB`, `12 MB`: powers of ten, as disks are sold.
pub(super) fn bytes(n: u64) -> String {
    let scaled = |unit: f64| {
        let of = n as f64 / unit;
        if of < 10.0 { format!("{of:.1}") } else { format!("{of:.0}") }
    };
    match n {
        0..1_000 => count(n, "byte"),
        1_000..1_000_000 => format!("{} kB", scaled(1e3)),
        1_000_000..1_000_000_000 => format!("{} MB", scaled(1e6)),
        _ => format!("{} GB", scaled(1e9)),
    }
}

/// A text that came from elsewhere, on one line and without what a terminal would obey.
pub(super) fn line(text: &str) -> String {
    let mut said = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => said.push(' '),
            c if c.is_control() => said.extend(c.escape_default()),
            c => said.push(c),
        }
    }
    said
}

/// [`line`], of at most `width` characters.
pub(super) fn cut(text: &str, width: usize) -> String {
    let said = line(text);
    match said.char_indices().nth(width) {
        None => said,
        Some(_) => said.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// `a, b, c and 17 more`.
pub(super) fn some(of: &[String], most: usize) -> String {
    let shown = of.len().min(most);
    let text = of[..shown].join(", ");
    match of.len() - shown {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_show_what_matters() {
        let of = |ms| span(Duration::from_millis(ms));
        let short = [0, 3, 250, 1_449, 9_940, 59_999].map(of);
        assert_eq!(short, ["<1 ms", "3 ms", "250 ms", "1.4 s", "9.9 s", "59 s"]);
        let long = [60_000, 200_000, 7_500_000, 86_400_000, 100_000_000].map(of);
        assert_eq!(long, ["1 min", "3 min 20 s", "2 h 5 min", "1 d", "1 d 3 h"]);
    }

    #[test]
    fn money_and_sizes_keep_their_digits() {
        assert_eq!([0.0, 0.00042, 0.36, 12.5].map(usd), ["$0.000", "$0.00042", "$0.360", "$12.50"]);
        assert_eq!(
            [1, 999, 1_500, 12_345_678, 3_000_000_000].map(bytes),
            ["1 byte", "999 bytes", "1.5 kB", "12 MB", "3.0 GB"]
        );
    }

    #[test]
    fn a_terminal_obeys_nothing_in_a_text_from_elsewhere() {
        assert_eq!(line("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb c");
        assert_eq!(cut("äöüß", 4), "äöüß");
        assert_eq!(cut("äöüßx", 4), "äöü…");
        assert_eq!(step("video", ""), "video");
        let keys = ["a", "b", "c"].map(String::from);
        assert_eq!(some(&keys, 2), "a, b and 1 more");
        assert_eq!(some(&keys, 3), "a, b, c");
    }
}
