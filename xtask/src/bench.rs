//! criterion's benches of our crates, and ours beside theirs in one interleaved run.

use crate::report::{self, Bar, Chart};
use crate::shell;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only this crate
    krate: Option<String>,
    /// Also ours beside theirs, with the bars that the crates promise
    #[arg(long)]
    peers: bool,
    /// Also draw everything into target/bench/report.html
    #[arg(long)]
    report: bool,
    /// A smoke run: it shows that everything works, its figures mean little
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let crates: Vec<&str> = ["checkpoint", "workqueue", "ratelimit", "threadlocal", "pipeline"]
        .into_iter()
        .filter(|name| arguments.krate.as_deref().is_none_or(|only| only == *name))
        .collect();
    if crates.is_empty() {
        bail!("no such crate: {}", arguments.krate.as_deref().unwrap_or_default());
    }
    let folder = shell::target().join("bench");
    std::fs::create_dir_all(&folder)?;
    let contests = folder.join("contests.jsonl");
    std::fs::write(&contests, "")?;
    let mut charts = Vec::new();
    for krate in crates {
        if Path::new(krate).join("benches").exists() {
            charts.extend(own(krate, arguments.quick)?);
        }
        if arguments.peers {
            peers(krate, arguments.quick, &contests)?;
        }
    }
    if arguments.report {
        charts.extend(report::contests(&contests)?);
        report::write(&folder.join("report.html"), &charts)?;
    }
    Ok(())
}

/// Every bench runs each of its functions once, with the option that `own` gives: a target that is no
/// bench of criterion's does not know it.
pub(crate) fn smoke() -> Result<()> {
    shell::run(&mut shell::cargo_with(
        "bench --workspace --exclude slides --exclude xtask --benches --locked -- --test --noplot",
    ))
}

fn own(krate: &str, quick: bool) -> Result<Vec<Chart>> {
    let mut cargo = shell::cargo_with("bench --benches --package");
    cargo.arg(krate).arg("--").arg("--noplot");
    if quick {
        cargo.arg("--quick");
    }
    let begun = std::time::SystemTime::now();
    shell::run(&mut cargo)?;
    println!(
        "\n### {krate}\n\n| bench | median | 95 % of the median | deviation |\n|---|--:|--:|--:|"
    );
    let mut charts: Vec<Chart> = Vec::new();
    for estimates in measured(&shell::target().join("criterion"), begun)? {
        let (group, bar) = row(&estimates)?;
        let title = format!("{krate}: {group}");
        match charts.last_mut().filter(|chart| chart.title == title) {
            Some(chart) => chart.bars.push(bar),
            None => charts.push(Chart { title, bars: vec![bar] }),
        }
    }
    Ok(charts)
}

/// `target/criterion/<group>/../new/estimates.json` of this run.
fn measured(folder: &Path, begun: std::time::SystemTime) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(found) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(measured(&path, begun)?);
        } else if path.ends_with("new/estimates.json") && path.metadata()?.modified()? >= begun {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Prints a bench's line, and returns its group with the bar to draw.
fn row(estimates: &Path) -> Result<(String, Bar)> {
    let text = std::fs::read_to_string(estimates)?;
    let value: Value = serde_json::from_str(&text)
        .with_context(|| format!("{} is no JSON", estimates.display()))?;
    let figure = |path: &str| value.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let median = figure("/median/point_estimate");
    let low = figure("/median/confidence_interval/lower_bound");
    let high = figure("/median/confidence_interval/upper_bound");
    let deviation = figure("/std_dev/point_estimate");
    let name = estimates.strip_prefix(shell::target().join("criterion")).unwrap_or(estimates);
    let name = name.parent().and_then(Path::parent).unwrap_or(name).display().to_string();
    let (group, bench) = name.split_once('/').unwrap_or((&name, &name));
    println!(
        "| {name} | {} | {} to {} | {} |",
        time(median),
        time(low),
        time(high),
        time(deviation)
    );
    let bar = Bar { name: bench.to_owned(), median_ns: median, low_ns: low, high_ns: high };
    Ok((group.to_owned(), bar))
}

fn peers(krate: &str, quick: bool, contests: &Path) -> Result<()> {
    let mut cargo = shell::cargo_with("run --release --manifest-path xtask/peers/Cargo.toml");
    cargo.args(["--features", krate, "--bin", krate]);
    if quick {
        cargo.args(["--", "--quick"]);
    }
    cargo.env("RATCHET_BENCH_JSON", std::path::absolute(contests)?);
    shell::run(&mut cargo)
}

/// A time with the unit that fits.
pub(crate) fn time(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns:.1} ns"),
        ns if ns < 1e6 => format!("{:.2} µs", ns / 1e3),
        ns if ns < 1e9 => format!("{:.2} ms", ns / 1e6),
        ns => format!("{:.2} s", ns / 1e9),
    }
}
