//! Model checking with loom, and the mutants that its models must kill.
//!
//! A model is a test in `<crate>/tests/loom_*.rs`. A mutant is a line `mutant("name")` in a crate's
//! source; the model that kills it says `/// Kills: name` above its `#[test]`.

use crate::{PRIMITIVES, shell};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only this crate
    krate: Option<String>,
    /// Only the models whose name contains this
    model: Option<String>,
    /// Break the code by each mutant in turn, and demand that its model fails
    #[arg(long)]
    mutants: bool,
    /// Record the schedule of a failing model, then run just that schedule with locations
    #[arg(long)]
    replay: bool,
}

impl Arguments {
    /// Every crate, every model, or every mutant.
    pub(crate) fn all(mutants: bool) -> Self {
        Self { krate: None, model: None, mutants, replay: false }
    }
}

/// One model: a test in a built test program.
struct Model {
    krate: String,
    program: PathBuf,
    name: String,
    kills: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut models = Vec::new();
    for krate in PRIMITIVES {
        if arguments.krate.as_deref().is_none_or(|only| only == krate) {
            models.extend(build(krate)?);
        }
    }
    if let Some(part) = &arguments.model {
        models.retain(|model| model.name.contains(part.as_str()));
    }
    if models.is_empty() {
        bail!("no such model; the crates with models are {}", PRIMITIVES.join(", "));
    }
    match (arguments.replay, arguments.mutants) {
        (true, _) => models.iter().try_for_each(replay),
        (false, true) => check_mutants(&models),
        (false, false) => check_models(&models),
    }
}

fn check_models(models: &[Model]) -> Result<()> {
    println!("{:<46} {:>12} {:>6} {:>8}", "model", "iterations", "bound", "time");
    let failed = in_parallel(models, |model| {
        let start = Instant::now();
        let output = command(model).output()?;
        let said = said(&output);
        let (iterations, bound) = (figure(&said, "iterations: "), figure(&said, "bound: "));
        let time = seconds(start.elapsed());
        println!("{:<46} {iterations:>12} {bound:>6} {time:>8}", model.title());
        Ok(match (output.status.success(), iterations.as_str()) {
            (true, "?") => Some(format!("{}: explored nothing that it counted", model.title())),
            (true, _) => None,
            (false, _) => Some(format!("{} failed:\n{said}", model.title())),
        })
    })?;
    report(&failed, &format!("{} models hold", models.len()))
}

fn check_mutants(models: &[Model]) -> Result<()> {
    let pairs: Vec<(&Model, &String)> =
        models.iter().flat_map(|model| model.kills.iter().map(move |kill| (model, kill))).collect();
    println!("{:<34} {:<46} {:>8}", "mutant", "killed by", "time");
    let failed = in_parallel(&pairs, |(model, mutant)| {
        let start = Instant::now();
        let output = command(model).env("RATCHET_MUTANT", mutant).output()?;
        println!("{mutant:<34} {:<46} {:>8}", model.title(), seconds(start.elapsed()));
        Ok(output.status.success().then(|| format!("{mutant} survives {}", model.title())))
    })?;
    report(&failed, &format!("{} mutants killed", pairs.len()))
}

/// loom stores the schedule that it is about to run, so that after a failure the file holds it.
fn replay(model: &Model) -> Result<()> {
    let file = shell::target().join("loom").join(format!("{}.schedule.json", model.name));
    if file.exists() {
        std::fs::remove_file(&file)?;
    }
    println!("{}: looking for a failing schedule", model.title());
    let mut record = command(model);
    record.env("LOOM_CHECKPOINT_FILE", &file).env("LOOM_CHECKPOINT_INTERVAL", "1");
    if record.output()?.status.success() {
        println!("{}: none, the model holds", model.title());
        return Ok(());
    }
    println!("{}: the schedule is in {}", model.title(), file.display());
    let mut again = command(model);
    again.env("LOOM_CHECKPOINT_FILE", &file).env("LOOM_LOCATION", "1").env("RUST_BACKTRACE", "1");
    shell::run(&mut again)
}

impl Model {
    fn title(&self) -> String {
        format!("{} {}", self.krate, self.name)
    }
}

fn command(model: &Model) -> Command {
    let mut command = Command::new(&model.program);
    command.args(["--exact", &model.name, "--nocapture", "--test-threads=1"]);
    command
}

fn build(krate: &str) -> Result<Vec<Model>> {
    let sources = sources(krate)?;
    if sources.is_empty() {
        return Ok(Vec::new());
    }
    let mut cargo = shell::cargo_with("test --release --no-run --message-format=json --package");
    cargo.arg(krate);
    for (name, _) in &sources {
        cargo.args(["--test", name]);
    }
    cargo
        .env("RUSTFLAGS", "--cfg loom")
        .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true")
        .env("CARGO_TARGET_DIR", shell::target().join("loom"));
    let messages = shell::output(&mut cargo)?;
    let mut models = Vec::new();
    for (name, source) in &sources {
        let program = program(&messages, name)
            .with_context(|| format!("cargo built no program for the test {name} of {krate}"))?;
        models.extend(tests(krate, &program, source)?);
    }
    Ok(models)
}

/// The test files with models of a crate: name and text.
pub(crate) fn sources(krate: &str) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let Ok(folder) = std::fs::read_dir(Path::new(krate).join("tests")) else {
        return Ok(found);
    };
    for entry in folder {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("loom_") && path.extension().is_some_and(|ext| ext == "rs") {
            found.push((name, std::fs::read_to_string(&path)?));
        }
    }
    found.sort();
    Ok(found)
}

fn program(messages: &str, test: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages
        .filter(|message| message["target"]["name"] == test)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

fn tests(krate: &str, program: &Path, source: &str) -> Result<Vec<Model>> {
    let listed = shell::output(Command::new(program).args(["--list", "--format=terse"]))?;
    let names = listed.lines().filter_map(|line| line.strip_suffix(": test"));
    let models = names.map(|name| Model {
        krate: krate.to_owned(),
        program: program.to_owned(),
        name: name.to_owned(),
        kills: kills(source, name.rsplit("::").next().unwrap_or(name)),
    });
    Ok(models.collect())
}

/// The mutants in the doc lines above `fn name`.
fn kills(source: &str, name: &str) -> Vec<String> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let Some(at) = lines.iter().position(|line| line.starts_with(&format!("fn {name}("))) else {
        return Vec::new();
    };
    let above = lines[..at].iter().rev().take_while(|line| line.starts_with(['/', '#']));
    let mut found: Vec<String> =
        above.filter_map(|line| line.strip_prefix("/// Kills: ")).map(str::to_owned).collect();
    found.reverse();
    found
}

/// Runs `check` over all on as many threads as there are cores; returns the complaints.
fn in_parallel<T: Sync>(
    all: &[T],
    check: impl Fn(&T) -> Result<Option<String>> + Sync,
) -> Result<Vec<String>> {
    let next = AtomicUsize::new(0);
    let worker = || -> Result<Vec<String>> {
        let mut complaints = Vec::new();
        // ORDERING: Relaxed, since the counter hands out indices and nothing else is published by it.
        while let Some(item) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            complaints.extend(check(item)?);
        }
        Ok(complaints)
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
        let mut complaints = Vec::new();
        for worker in workers {
            match worker.join() {
                Ok(found) => complaints.extend(found?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(complaints)
    })
}

fn report(complaints: &[String], fine: &str) -> Result<()> {
    if !complaints.is_empty() {
        bail!("{}", complaints.join("\n"));
    }
    println!("{fine}");
    Ok(())
}

fn said(output: &Output) -> String {
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    said
}

/// The word after a label that a model prints, or `?`.
fn figure(said: &str, label: &str) -> String {
    let rest = said.split(label).nth(1).unwrap_or_default();
    rest.split_whitespace().next().unwrap_or("?").to_owned()
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_names_its_mutants_above_its_function() {
        let source = "/// Shows that.\n///\n/// Kills: no-cascade\n/// Kills: lost-wake\n#[test]\n\
                      fn two_wait() {}\n\n/// Kills: other\n#[test]\nfn one_waits() {}\n";
        assert_eq!(kills(source, "two_wait"), ["no-cascade", "lost-wake"]);
        assert_eq!(kills(source, "one_waits"), ["other"]);
        assert_eq!(kills(source, "nobody"), Vec::<String>::new());
    }

    #[test]
    fn a_figure_is_the_word_after_its_label() {
        assert_eq!(figure("bound: 3\niterations: 1234\n", "iterations: "), "1234");
        assert_eq!(figure("bound: 3\n", "iterations: "), "?");
    }
}
