//! The page of `report`: HTML, style and drawing, and nothing from elsewhere.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Write as _};
use std::time::Duration;

use super::axis::Axis;
use super::human;
use super::timeline::{Kind, Row, Slice};

/// Of the drawing, in its own units.
const WIDTH: f64 = 1_000.0;
const LABELS: f64 = 150.0;
const PITCH: f64 = 18.0;
const BAR: f64 = 14.0;
/// What is narrower is drawn as wide as this, or with its neighbours as one.
const NARROW: f64 = 1.0;

pub(super) const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; }
td, th { padding: .2rem .8rem; border-bottom: 1px solid var(--line); text-align: right; }
td:first-child, th:first-child { text-align: left; padding-left: 0; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .2rem 0; }
svg { width: 100%; height: auto; } svg text { font: 11px system-ui, sans-serif; fill: currentColor; }
.legend span { margin-right: 1rem; } .legend i { display: inline-block; width: .8em; height: .8em; }
.grid { stroke: var(--line); } .cut { stroke: currentColor; stroke-dasharray: 2 3; }
.wait { fill: #b9c2cc; background: #b9c2cc; } .done { fill: #3d9a63; background: #3d9a63; }
.again { fill: #e09a2b; background: #e09a2b; } .no-capacity { fill: #d9c53a; background: #d9c53a; }
.failed { fill: #c9402e; background: #c9402e; } .running { fill: #3b7dd8; background: #3b7dd8; }
.in-doubt { fill: #8a4fc7; background: #8a4fc7; }
";

/// A text as it stands in HTML, also within an attribute.
pub(super) struct Escaped<'t>(pub(super) &'t str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\n' | '\t' => f.write_char(c)?,
                // No character of HTML's.
                c if c.is_control() => write!(f, "{}", c.escape_default())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The rows as an SVG with a legend; nothing if there are none.
pub(super) fn timeline(rows: &[Row]) -> String {
    let Some(axis) = Axis::of(rows) else { return String::new() };
    let mut svg = String::new();
    let height = rows.len() as f64 * PITCH + 24.0;
    let _ = writeln!(
        svg,
        "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"timeline\">"
    );
    let x = |share: f64| LABELS + share * (WIDTH - LABELS);
    for (share, label) in axis.ticks() {
        let (at, bottom) = (x(share), height - 16.0);
        let _ = writeln!(svg, "<path class=\"grid\" d=\"M{at:.1} 0V{bottom:.0}\"/>");
        // The last one would stand beyond the edge.
        let anchor = if share > 0.95 { "end" } else { "start" };
        let y = height - 3.0;
        let _ = writeln!(
            svg,
            "<text x=\"{at:.1}\" y=\"{y:.0}\" text-anchor=\"{anchor}\">{}</text>",
            Escaped(&label)
        );
    }
    for (n, row) in rows.iter().enumerate() {
        let top = n as f64 * PITCH;
        let (name, y) = (format!("{} {}", row.stage, row.worker), top + 11.0);
        let name = human::cut(&name, 22);
        let _ = writeln!(svg, "<text x=\"0\" y=\"{y:.0}\">{}</text>", Escaped(&name));
        for bar in bars(row, &axis) {
            let (from, wide) = (x(bar.from), (x(bar.to) - x(bar.from)).max(NARROW));
            let (class, top) = (class(bar.slice.kind), top + 1.0);
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{from:.2}\" y=\"{top:.0}\" width=\"{wide:.2}\" \
                 height=\"{BAR}\"><title>{}</title></rect>",
                Escaped(&bar.title(&row.stage))
            );
        }
    }
    for (share, length) in axis.cuts() {
        let (at, bottom) = (x(share), height - 16.0);
        let said = format!("nothing ran for {}", human::span(length));
        let _ = writeln!(
            svg,
            "<path class=\"cut\" d=\"M{at:.1} 0V{bottom:.0}\"><title>{}</title></path>",
            Escaped(&said)
        );
    }
    svg + "</svg>\n" + &legend(rows)
}

fn class(kind: Kind) -> String {
    kind.as_str().replace(' ', "-")
}

fn said(kind: Kind) -> &'static str {
    match kind {
        Kind::Wait => "waits for a permit",
        Kind::Again => "tried again",
        kind => kind.as_str(),
    }
}

fn legend(rows: &[Row]) -> String {
    let mut legend = "<p class=\"legend\">".to_string();
    let slices = rows.iter().flat_map(|row| &row.slices);
    for kind in slices.map(|slice| slice.kind).collect::<BTreeSet<Kind>>() {
        let _ = write!(legend, "<span><i class=\"{}\"></i> {}</span>", class(kind), said(kind));
    }
    legend + "</p>\n"
}

/// What is drawn of a row at one place.
struct Bar<'r> {
    from: f64,
    to: f64,
    /// Of those that it stands for, the one that asks most to be looked at.
    slice: &'r Slice,
    slices: usize,
}

/// A million calls are no million bars: those that together are narrower than can be seen are one.
fn bars<'r>(row: &'r Row, axis: &Axis) -> Vec<Bar<'r>> {
    let narrow = NARROW / (WIDTH - LABELS);
    let mut bars: Vec<Bar<'r>> = Vec::new();
    for slice in &row.slices {
        let (from, to) = (axis.at(slice.begin), axis.at(slice.end));
        match bars.last_mut() {
            Some(last) if to - last.from < narrow => {
                last.to = to;
                last.slices += 1;
                if slice.kind > last.slice.kind {
                    last.slice = slice;
                }
            }
            _ => bars.push(Bar { from, to, slice, slices: 1 }),
        }
    }
    bars
}

impl Bar<'_> {
    fn title(&self, stage: &str) -> String {
        let slice = self.slice;
        let mut title = human::step(stage, &slice.item);
        let _ = write!(title, ": {}", said(slice.kind));
        if slice.kind != Kind::InDoubt {
            let took = Duration::from_micros(slice.end - slice.begin);
            let _ = write!(title, ", {}", human::span(took));
        }
        if slice.attempt > 1 {
            let _ = write!(title, ", attempt {}", slice.attempt);
        }
        if let Some(cause) = &slice.cause {
            let _ = write!(title, ", {cause}");
        }
        if self.slices > 1 {
            let _ = write!(title, ", and {} more", self.slices - 1);
        }
        title
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_elsewhere_is_no_markup() {
        let said = Escaped("<script>\"a\" & b\u{1b}\n</script>").to_string();
        assert_eq!(said, "&lt;script&gt;&quot;a&quot; &amp; b\\u{1b}\n&lt;/script&gt;");
    }

    fn slice(kind: Kind, begin: u64, end: u64) -> Slice {
        let (item, cause) = (begin.to_string(), None);
        Slice { begin, end, kind, item, attempt: 1, spent_usd: 0.0, cause }
    }

    fn row(slices: Vec<Slice>) -> [Row; 1] {
        [Row { stage: "call".into(), worker: 1, slices }]
    }

    const KINDS: [Kind; 7] = [
        Kind::Wait,
        Kind::Done,
        Kind::Running,
        Kind::Again,
        Kind::NoCapacity,
        Kind::InDoubt,
        Kind::Failed,
    ];

    #[test]
    fn every_kind_is_drawn_and_in_the_legend() {
        let slices = (0..).zip(KINDS).map(|(n, kind)| slice(kind, n * 1_000, n * 1_000 + 900));
        let drawn = timeline(&row(slices.collect()));
        for kind in KINDS {
            let class = class(kind);
            assert!(drawn.contains(&format!("<rect class=\"{class}\"")), "{class}: {drawn}");
            assert!(drawn.contains(&format!("<i class=\"{class}\">")), "{class}: {drawn}");
            assert!(STYLE.contains(&format!(".{class} {{ fill:")), "{class}");
        }
    }

    #[test]
    fn many_calls_are_few_bars() {
        let mut slices: Vec<Slice> =
            (0..100_000).map(|n| slice(Kind::Done, n * 1_000, n * 1_000 + 900)).collect();
        slices[50_000].kind = Kind::Failed;
        let rows = row(slices);
        let bars = bars(&rows[0], &Axis::of(&rows).unwrap());
        assert!((500..2_000).contains(&bars.len()), "{}", bars.len());
        assert_eq!(bars.iter().map(|bar| bar.slices).sum::<usize>(), 100_000);
        assert_eq!(bars.iter().filter(|bar| bar.slice.kind == Kind::Failed).count(), 1);
        assert!(timeline(&rows).contains("call [50000000]: failed"));
        assert_eq!(timeline(&[]), "");
    }
}
