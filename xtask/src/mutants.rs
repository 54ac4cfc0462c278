//! cargo-mutants over one crate: how many of all mutants the tests kill, and what survives and why.
//!
//! `xtask/survivors.toml` lists, for each crate, the mutants that no test can kill with the reason
//! (`[[workqueue]] mutant = "…" reason = "…"`, the mutant as cargo-mutants prints it, without its
//! line). What `.cargo/mutants.toml` excludes is printed, since it is in no denominator.

use crate::shell;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;

/// So many of all mutants must be killed, in per cent.
const KILLED_MIN: f64 = 95.0;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The crate to break
    krate: String,
    /// How many mutants to build and test at a time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Only mutants whose name matches this regular expression
    #[arg(long)]
    only: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut version = shell::cargo_with("mutants --version");
    if !version.stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        bail!("cargo-mutants is not installed: `cargo install cargo-mutants --locked`");
    }
    let folder = shell::target().join("mutants").join(&arguments.krate);
    std::fs::create_dir_all(&folder)?;
    let mut mutants = shell::cargo_with("mutants --no-shuffle --colors never");
    mutants.args(["--package", &arguments.krate, "--jobs", &arguments.jobs.to_string()]);
    mutants.arg("--output").arg(&folder);
    if let Some(only) = &arguments.only {
        mutants.args(["--re", only]);
    }
    // It ends with 2 when something survives: the table below says what.
    let status = mutants.status().context("cannot start cargo-mutants")?;
    let outcomes = folder.join("mutants.out/outcomes.json");
    let text = std::fs::read_to_string(&outcomes)
        .with_context(|| format!("cargo-mutants ended with {status} and left no outcomes"))?;
    let outcomes: Value = serde_json::from_str(&text).context("outcomes.json is no JSON")?;
    print_exclusions()?;
    judge(&outcomes, &survivors(&arguments.krate)?)
}

/// Mutants that no test can kill, with the reason.
fn survivors(krate: &str) -> Result<Vec<(String, String)>> {
    let path = Path::new("xtask/survivors.toml");
    let text = std::fs::read_to_string(path).context("cannot read xtask/survivors.toml")?;
    let table: toml::Table = text.parse().context("xtask/survivors.toml is no TOML")?;
    let Some(rows) = table.get(krate).and_then(toml::Value::as_array) else {
        return Ok(Vec::new());
    };
    let word =
        |row: &toml::Value, key: &str| row.get(key).and_then(|v| v.as_str().map(str::to_owned));
    rows.iter()
        .map(|row| word(row, "mutant").zip(word(row, "reason")))
        .collect::<Option<_>>()
        .context("a row of xtask/survivors.toml has no mutant or no reason")
}

fn print_exclusions() -> Result<()> {
    let path = Path::new(".cargo/mutants.toml");
    if path.exists() {
        println!("\nexcluded by {}:\n{}", path.display(), std::fs::read_to_string(path)?);
    }
    Ok(())
}

fn judge(outcomes: &Value, reasons: &[(String, String)]) -> Result<()> {
    let all = outcomes["outcomes"].as_array().context("outcomes.json has no outcomes")?;
    let named = |summary: &str| -> Vec<String> {
        let some = all.iter().filter(|outcome| outcome["summary"] == summary);
        some.filter_map(|outcome| outcome["scenario"]["Mutant"]["name"].as_str())
            .map(str::to_owned)
            .collect()
    };
    let (caught, timeout) = (named("CaughtMutant").len(), named("Timeout").len());
    let (missed, unviable) = (named("MissedMutant"), named("Unviable").len());
    let killed = caught + timeout;
    let total = killed + missed.len();
    let share = 100.0 * killed as f64 / total.max(1) as f64;
    println!(
        "{killed} of {total} killed ({share:.1} %), {timeout} of them by a time-out; \
         {unviable} more did not compile"
    );
    let mut unexplained = 0;
    for name in &missed {
        let reason = reasons.iter().find(|(mutant, _)| same(name, mutant));
        unexplained += usize::from(reason.is_none());
        println!("survives: {name}\n  {}", reason.map_or("no reason is given", |(_, why)| why));
    }
    if share < KILLED_MIN || unexplained > 0 {
        bail!(
            "{share:.1} % killed of at least {KILLED_MIN} %, {unexplained} survive without a reason"
        );
    }
    Ok(())
}

/// `name` is `path:line:column: what`; a listed mutant is `path: what`, since lines move.
fn same(name: &str, listed: &str) -> bool {
    let mut parts = name.splitn(4, ':');
    let (path, what) = (parts.next(), parts.nth(2));
    listed.split_once(':') == path.zip(what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn outcome(summary: &str, name: &str) -> Value {
        json!({ "summary": summary, "scenario": { "Mutant": { "name": name } } })
    }

    #[test]
    fn a_survivor_needs_a_reason_that_outlives_its_line() {
        let mut all: Vec<Value> = (0..19).map(|_| outcome("CaughtMutant", "x")).collect();
        all.push(outcome("MissedMutant", "a/src/b.rs:7:5: replace f with ()"));
        let outcomes = json!({ "outcomes": all });
        let reason = [("a/src/b.rs: replace f with ()".to_owned(), "only logs".to_owned())];
        assert!(judge(&outcomes, &reason).is_ok());
        assert!(judge(&outcomes, &[]).is_err());
    }

    #[test]
    fn too_few_killed_is_an_error_whatever_the_reasons() {
        let outcomes = json!({ "outcomes": [
            outcome("CaughtMutant", "x"), outcome("MissedMutant", "a/src/b.rs:7:5: replace f with ()"),
        ]});
        let reason = [("a/src/b.rs: replace f with ()".to_owned(), "only logs".to_owned())];
        assert!(judge(&outcomes, &reason).is_err());
    }
}
