//! cargo-mutants over one crate: how many of all mutants the tests kill, and what survives and why.
//!
//! Four passes: every mutant meets the unit tests, what survives them meets the quick ones beside
//! `src`, what survives those meets all tests, and what is left meets the loom models, unless it is
//! listed as one that nothing can kill: a wake too few shows there alone, and they take minutes.
//! (Most fall at once, and most of a mutant's time is the linking of tests.)
//! `ledger.txt` in the crate's output folder keeps what fell, so that `--resume` goes on after an
//! interruption, or after a new test; a figure to publish comes from a run that began afresh.
//!
//! `xtask/survivors.toml` lists, for each crate, the mutants that no test can kill with the reason
//! (`[[workqueue]] mutant = "…" reason = "…"`, the mutant as cargo-mutants prints it, without its
//! line). What `.cargo/mutants.toml` excludes is printed, since it is in no denominator.

use crate::{loom, shell};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// So many of all mutants must be killed, in per cent.
const KILLED_MIN: f64 = 95.0;

/// Tests that take so many seconds hang. The quick ones take two, or five on a busy machine.
const QUICK_HANG_AFTER_S: u64 = 30;
const TESTS_HANG_AFTER_S: u64 = 120;
const MODELS_HANG_AFTER_S: u64 = 600;

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
    /// Go on where an earlier run ended, and try its survivors once more
    #[arg(long)]
    resume: bool,
}

/// The tests that meet a mutant first: quick ones that see most of the crate.
fn quick(krate: &str) -> &'static [&'static str] {
    match krate {
        "checkpoint" => &["against_a_map", "bad_input", "textbook"],
        "workqueue" => &["ending", "order", "panics", "properties", "stream", "textbook"],
        "ratelimit" => &["contract", "extremes", "figures", "headers", "keyed", "demand"],
        "threadlocal" => &["collecting", "endings", "generations", "keyed", "thread_ends"],
        _ => &[],
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut version = shell::cargo_with("mutants --version");
    if !version.stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        bail!("cargo-mutants is not installed: `cargo install cargo-mutants --locked`");
    }
    let folder = shell::target().join("mutants").join(&arguments.krate);
    if !arguments.resume && folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let all = listed(arguments)?;
    let mut ledger = Ledger::open(&folder, &all)?;
    let reasons = survivors(&arguments.krate)?;
    for pass in passes(&arguments.krate)? {
        ledger.reopen_missed(if pass.models { &reasons } else { &[] });
        if ledger.0.len() < all.len() {
            ledger.write(&folder)?;
            run_pass(arguments, &folder, &pass)?;
            ledger.take_in(&folder)?;
        }
    }
    ledger.write(&folder)?;
    print_exclusions()?;
    judge(&all, &ledger, &reasons)
}

fn mutants(arguments: &Arguments) -> Command {
    // With all features: what is compiled out survives untried.
    let mut mutants = shell::cargo_with("mutants --no-shuffle --colors never --all-features");
    mutants.args(["--package", &arguments.krate]);
    if let Some(only) = &arguments.only {
        mutants.args(["--re", only]);
    }
    mutants
}

/// The names of all mutants, each with its place.
fn listed(arguments: &Arguments) -> Result<Vec<String>> {
    let names = shell::output(mutants(arguments).arg("--list"))?;
    Ok(names.lines().map(str::to_owned).collect())
}

/// Which tests meet the mutants that are left.
struct Pass {
    /// Arguments of `cargo test`.
    tests: Vec<String>,
    hang_after_s: u64,
    models: bool,
}

fn passes(krate: &str) -> Result<Vec<Pass>> {
    let named = |tests: &mut dyn Iterator<Item = String>| -> Vec<String> {
        tests.map(|test| format!("--test={test}")).collect()
    };
    let quick = named(&mut quick(krate).iter().map(|&test| test.to_owned()));
    let models = named(&mut loom::sources(krate)?.into_iter().map(|(name, _)| name));
    let mut all = named(&mut integration(krate)?.into_iter());
    all.push("--lib".to_owned());
    let pass = |tests, hang_after_s, models| Pass { tests, hang_after_s, models };
    let mut passes = vec![
        pass(vec!["--lib".to_owned()], QUICK_HANG_AFTER_S, false),
        pass(quick, QUICK_HANG_AFTER_S, false),
        pass(all, TESTS_HANG_AFTER_S, false),
        pass(models, MODELS_HANG_AFTER_S, true),
    ];
    passes.retain(|pass| !pass.tests.is_empty());
    Ok(passes)
}

/// The tests beside `src`, but for what the compiler alone can fail: in a new tree that builds all it
/// needs, for minutes, and a mutant changes no type.
fn integration(krate: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(Path::new(krate).join("tests"))? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        // `name.rs`, or a folder of several files.
        let is_test =
            path.extension().is_some_and(|ext| ext == "rs") || path.join("main.rs").exists();
        if is_test && name != "compile_fail" && !name.starts_with("loom_") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Tries all mutants that the ledger does not hold.
fn run_pass(arguments: &Arguments, folder: &Path, pass: &Pass) -> Result<()> {
    let mut mutants = mutants(arguments);
    mutants.args(["--iterate", "--timeout", &pass.hang_after_s.to_string()]);
    mutants.args(["--jobs", &arguments.jobs.to_string()]);
    mutants.args(pass.tests.iter().map(|test| format!("--cargo-arg={test}")));
    mutants.arg("--output").arg(folder);
    // Each job builds in its own copy of the tree: one target folder for all would line them up.
    mutants.env_remove("CARGO_TARGET_DIR").env("CARGO_PROFILE_DEV_DEBUG", "0");
    if arguments.krate == "checkpoint" {
        // Its search of a simulated disk takes seconds then, instead of half a minute.
        mutants.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
    }
    if pass.models {
        mutants.args(["--profile", "release"]);
        mutants.env("RUSTFLAGS", "--cfg loom");
        // Statics outlive a model: two at once would see each other's.
        mutants.env("RUST_TEST_THREADS", "1");
        mutants.env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true");
        mutants.env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    }
    // It ends with 2 or 3 when something survives or hangs: the table says what.
    let status = mutants.status().context("cannot start cargo-mutants")?;
    if !matches!(status.code(), Some(0 | 2 | 3)) {
        bail!("cargo-mutants ended with {status}: see {}", folder.display());
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Caught,
    Hung,
    Unviable,
    Missed,
}

const FATES: [(Fate, &str); 4] = [
    (Fate::Caught, "caught"),
    (Fate::Hung, "timeout"),
    (Fate::Unviable, "unviable"),
    (Fate::Missed, "missed"),
];

/// What became of each mutant so far.
struct Ledger(BTreeMap<String, Fate>);

impl Ledger {
    /// What an earlier run left; a mutant that is no more is dropped.
    fn open(folder: &Path, all: &[String]) -> Result<Self> {
        let mut ledger = Self(BTreeMap::new());
        for line in lines(&folder.join("ledger.txt"))? {
            let fate = line.split_once(' ').and_then(|(word, name)| {
                let fate = FATES.iter().find(|(_, listed)| *listed == word)?.0;
                Some((name.to_owned(), fate))
            });
            ledger.0.extend(fate);
        }
        ledger.take_in(folder)?;
        ledger.0.retain(|name, fate| all.contains(name) && *fate != Fate::Missed);
        ledger.write(folder)?;
        Ok(ledger)
    }

    /// Takes in what cargo-mutants wrote, also when it was interrupted.
    fn take_in(&mut self, folder: &Path) -> Result<()> {
        for (fate, word) in FATES {
            for name in lines(&folder.join(format!("mutants.out/{word}.txt")))? {
                self.0.insert(name, fate);
            }
        }
        Ok(())
    }

    /// What survived is tried once more, but for what is listed in `reasons`.
    fn reopen_missed(&mut self, reasons: &[(String, String)]) {
        let is_listed = |name: &str| reasons.iter().any(|(mutant, _)| same(name, mutant));
        self.0.retain(|name, fate| *fate != Fate::Missed || is_listed(name));
    }

    /// Writes the ledger, and the list that makes cargo-mutants leave out what it holds.
    fn write(&self, folder: &Path) -> Result<()> {
        let word = |fate| FATES.iter().find(|(listed, _)| *listed == fate).map_or("", |row| row.1);
        let rows: Vec<_> =
            self.0.iter().map(|(name, fate)| format!("{} {name}", word(*fate))).collect();
        std::fs::write(folder.join("ledger.txt"), rows.join("\n"))?;
        let names: Vec<_> = self.0.keys().map(String::as_str).collect();
        std::fs::create_dir_all(folder.join("mutants.out"))?;
        Ok(std::fs::write(folder.join("mutants.out/previously_caught.txt"), names.join("\n"))?)
    }

    fn named(&self, fate: Fate) -> impl Iterator<Item = &String> {
        self.0.iter().filter(move |(_, met)| **met == fate).map(|(name, _)| name)
    }
}

fn lines(path: &PathBuf) -> Result<Vec<String>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
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

fn judge(all: &[String], ledger: &Ledger, reasons: &[(String, String)]) -> Result<()> {
    let count = |fate| ledger.named(fate).count();
    let (caught, hung, unviable) = (count(Fate::Caught), count(Fate::Hung), count(Fate::Unviable));
    let (killed, total) = (caught + hung, all.len() - unviable);
    let share = 100.0 * killed as f64 / total.max(1) as f64;
    println!(
        "{killed} of {total} killed ({share:.1} %), {hung} of them by a time-out; \
         {unviable} more did not compile"
    );
    let mut unexplained = 0;
    for name in ledger.named(Fate::Missed) {
        let reason = reasons.iter().find(|(mutant, _)| same(name, mutant));
        unexplained += usize::from(reason.is_none());
        println!("survives: {name}\n  {}", reason.map_or("no reason is given", |(_, why)| why));
    }
    let untried = all.len() - ledger.0.len();
    if share < KILLED_MIN || unexplained > 0 || untried > 0 {
        bail!(
            "{share:.1} % killed of at least {KILLED_MIN} %, {unexplained} survive without a \
             reason, {untried} were not tried"
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

    /// Nineteen mutants that were caught and one that was missed.
    fn twenty() -> (Vec<String>, Ledger) {
        let mut met: BTreeMap<_, _> =
            (0..19).map(|n| (format!("a/src/b.rs:{n}:1: x"), Fate::Caught)).collect();
        met.insert("a/src/b.rs:70:5: replace f with ()".to_owned(), Fate::Missed);
        (met.keys().cloned().collect(), Ledger(met))
    }

    fn reason() -> [(String, String); 1] {
        [("a/src/b.rs: replace f with ()".to_owned(), "only logs".to_owned())]
    }

    #[test]
    fn every_test_that_a_mutant_can_fail_meets_the_last_survivors() {
        std::env::set_current_dir(shell::root()).unwrap();
        let passes = passes("threadlocal").unwrap();
        let met = |pass: usize, test: &str| passes[pass].tests.iter().any(|arg| arg == test);
        assert!(met(0, "--lib") && met(1, "--test=keyed") && met(3, "--test=loom_uses"));
        assert!(met(2, "--lib") && met(2, "--test=keyed") && met(2, "--test=many_threads"));
        assert!(!met(2, "--test=compile_fail") && !met(2, "--test=loom_uses"));
        assert!(!met(2, "--test=census"), "a module of tests");
        assert!(integration("ratelimit").unwrap().contains(&"schedules".to_owned()), "a folder");
    }

    #[test]
    fn a_survivor_needs_a_reason_that_outlives_its_line() {
        let (all, ledger) = twenty();
        assert!(judge(&all, &ledger, &reason()).is_ok());
        assert!(judge(&all, &ledger, &[]).is_err());
    }

    #[test]
    fn survivors_meet_the_next_tests_unless_a_reason_is_asked_for() {
        let (_, mut ledger) = twenty();
        ledger.reopen_missed(&reason());
        assert_eq!(ledger.0.len(), 20, "listed");
        ledger.reopen_missed(&[]);
        assert_eq!(ledger.0.len(), 19);
    }

    #[test]
    fn too_few_killed_is_an_error_whatever_the_reasons() {
        let (mut all, mut ledger) = twenty();
        ledger.0.pop_first();
        all.remove(0);
        assert!(judge(&all, &ledger, &reason()).is_err());
    }

    #[test]
    fn a_mutant_that_was_not_tried_is_no_pass() {
        let (mut all, ledger) = twenty();
        all.push("a/src/c.rs:1:1: replace g with ()".to_owned());
        assert!(judge(&all, &ledger, &reason()).is_err());
    }

    #[test]
    fn a_resumed_run_keeps_what_fell_and_tries_survivors_again() {
        let folder = tempfile::tempdir().unwrap();
        let (all, ledger) = twenty();
        ledger.write(folder.path()).unwrap();
        let resumed = Ledger::open(folder.path(), &all).unwrap();
        assert_eq!(resumed.0.len(), 19);
        let fewer = Ledger::open(folder.path(), &all[1..]).unwrap();
        assert_eq!(fewer.0.len(), 18, "a mutant that is no more is dropped");
    }
}
