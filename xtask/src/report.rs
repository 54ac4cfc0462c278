//! `target/bench/report.html`: one self-contained page, a chart for each group of benches.

use crate::bench::time;
use anyhow::{Context, Result};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;

/// Benches that do the same work.
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) bars: Vec<Bar>,
}

/// One bench: its median, and how far its rounds spread.
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) median_ns: f64,
    pub(crate) low_ns: f64,
    pub(crate) high_ns: f64,
}

/// The charts of the contests that a peers' run recorded.
pub(crate) fn contests(path: &Path) -> Result<Vec<Chart>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    text.lines().map(contest).collect()
}

fn contest(line: &str) -> Result<Chart> {
    let value: Value = serde_json::from_str(line).context("a contest's line is no JSON")?;
    let entries = value["entries"].as_array().context("a contest has no entries")?;
    let bars = entries.iter().map(|entry| {
        let figure = |name: &str| entry[name].as_f64().unwrap_or(f64::NAN);
        Bar {
            name: entry["name"].as_str().unwrap_or_default().to_owned(),
            median_ns: figure("median_ns"),
            low_ns: figure("low_ns"),
            high_ns: figure("high_ns"),
        }
    });
    Ok(Chart {
        title: value["title"].as_str().unwrap_or_default().to_owned(),
        bars: bars.collect(),
    })
}

/// Writes the page and says where it is.
pub(crate) fn write(path: &Path, charts: &[Chart]) -> Result<()> {
    let drawn: String = charts.iter().map(draw).collect();
    let page = format!(
        "<!doctype html><meta charset=utf-8><title>Ratchet: benches</title>\
         <style>body{{font:15px/1.4 system-ui,sans-serif;max-width:60rem;margin:2rem auto;color:#222}}\
         h2{{font-size:1rem;margin:2rem 0 .3rem}}text{{font:13px system-ui,sans-serif}}</style>\
         <h1>Benches</h1><p>Bars are medians, lines reach from the lowest to the highest. \
         The shorter the better; compare within a chart only.</p>{drawn}\n"
    );
    std::fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))?;
    println!("\nthe charts are in {}", path.display());
    Ok(())
}

fn draw(chart: &Chart) -> String {
    const ROW: f64 = 26.0;
    const LEFT: f64 = 270.0;
    const WIDTH: f64 = 560.0;
    let most = chart.bars.iter().map(|bar| bar.high_ns.max(bar.median_ns)).fold(1.0, f64::max);
    let x = |ns: f64| LEFT + WIDTH * ns / most;
    let height = ROW * chart.bars.len() as f64;
    let mut svg = format!("\n<h2>{}</h2><svg width=960 height={height}>", escape(&chart.title));
    for (row, bar) in chart.bars.iter().enumerate() {
        let top = ROW * row as f64;
        let (middle, median) = (top + ROW / 2.0, x(bar.median_ns));
        let colour = if row == 0 { "#1f4e5f" } else { "#b9c6cb" };
        let _ = write!(
            svg,
            "<text x={} y={} text-anchor=end>{}</text>\
             <rect x={LEFT} y={} width={:.1} height={} fill={colour} />\
             <path d='M{:.1} {middle}H{:.1}' stroke='#e0703a' stroke-width=2 />\
             <text x={:.1} y={}>{}</text>",
            LEFT - 8.0,
            middle + 4.0,
            escape(&bar.name),
            top + 4.0,
            median - LEFT,
            ROW - 8.0,
            x(bar.low_ns),
            x(bar.high_ns),
            x(bar.high_ns.max(bar.median_ns)) + 8.0,
            middle + 4.0,
            time(bar.median_ns),
        );
    }
    svg + "</svg>"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
