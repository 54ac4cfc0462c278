//! The program: a deck on the command line becomes a film.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs, io};

use clap::{Parser, ValueEnum};
use pipeline::{Pipeline, RunId};
use slides::ledger::Ledger;
use slides::openai::{Account, Limits, Models};
use slides::stages::{self, Job, Maker, Source};
use slides::{Error, Secret, Size, log};

/// Make a narrated video out of a slide deck. Killed at any time, the same command goes on.
#[derive(Parser, Debug)]
#[command(version, after_help = HELP)]
struct Args {
    /// The deck, in the Markdown of Marp and Slidev [default: the shipped one]
    #[arg(long, global = true, value_name = "FILE.md")]
    deck: Option<PathBuf>,
    /// Copy the film there from the run's folder
    #[arg(long, global = true, value_name = "FILE.mp4")]
    out: Option<PathBuf>,
    /// Who writes, speaks and paints
    #[arg(long, global = true, value_enum, default_value_t = ProviderName::Local)]
    provider: ProviderName,
    /// Where the service is
    #[arg(long, global = true, value_name = "URL", default_value = "https://api.openai.com/v1")]
    base_url: String,
    /// The most that each of the service's endpoints may be asked in any minute
    #[arg(long, global = true, value_name = "N", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    requests_per_minute: u64,
    /// The longest that one call may take, in seconds
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 180)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// The film's size, in pixels
    #[arg(long, global = true, value_name = "WIDTHxHEIGHT", default_value_t = Size::HD)]
    size: Size,
    /// Append a line for every call that was carried out: stage, slide and idempotency key
    #[arg(long, global = true, value_name = "FILE")]
    ledger: Option<PathBuf>,
    #[command(flatten)]
    command: pipeline::cli::Command,
}

const HELP: &str = "The film is <root>/<run>/files/video.mp4. `--run` is named after the deck \
    unless told otherwise. `--provider openai` takes its key from OPENAI_API_KEY. \
    RUST_LOG=pipeline=debug tells every step and permit on standard error.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ProviderName {
    /// This program itself: nothing leaves the machine
    Local,
    /// A service with the HTTP interface of `OpenAI`
    Openai,
}

const USAGE: u8 = 2;
const FAILED: u8 = 1;

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(error) = log::start() {
        return complain(&error, USAGE);
    }
    let deck = args.deck.clone().map_or(Source::Shipped, Source::File);
    let (is_run, out) = (args.command.is_run(), args.out.clone());
    // A deck that is wrong is better said before anything is begun.
    if let Some(Err(error)) = is_run.then(|| deck.read()) {
        return complain(&error, FAILED);
    }
    // A film that nobody can have must not be paid first.
    let root = args.command.root();
    if let Some(Err(error)) = out.as_deref().filter(|_| is_run).map(|out| try_out(out, root)) {
        return complain(&error, FAILED);
    }
    let ledger = args.ledger.as_deref().filter(|_| is_run).map(Ledger::open).transpose();
    let ledger = match ledger {
        Ok(ledger) => ledger.unwrap_or_default(),
        Err(error) => return complain(&error, FAILED),
    };
    let maker = match maker(&args, is_run) {
        Ok(maker) => maker,
        Err(problem) => return complain(&*problem, USAGE),
    };
    let command = match run_name(args.deck.as_deref()) {
        Ok(run) => args.command.default_run(run),
        Err(error) => return complain(&*error, USAGE),
    };
    let mut p = Pipeline::new("slides");
    let longest = Duration::from_secs(args.timeout);
    let film = stages::describe(&mut p, Job { deck, size: args.size, maker, longest, ledger });
    p.command_then(film, command, |report| {
        let Some(film) = &report.output else { return Ok(()) };
        let kept = report.path(film);
        let shown = out.as_deref().unwrap_or(&kept);
        if shown != kept {
            copy(&kept, shown).map_err(|error| with_causes(&error))?;
        }
        eprintln!("slides: the film is {}", shown.display());
        Ok(())
    })
}

/// Who does the work; only one who is to work needs a key.
fn maker(args: &Args, is_run: bool) -> Result<Maker, Box<dyn std::error::Error>> {
    if args.provider == ProviderName::Local {
        return Ok(Maker::Local { voice: args.command.root().join(".voice") });
    }
    let key = env::var_os("OPENAI_API_KEY").unwrap_or_default();
    let key = Secret::new(&key.to_string_lossy())?;
    if key.is_empty() && is_run {
        return Err("`--provider openai` needs a key: set OPENAI_API_KEY".into());
    }
    let account = Account { base_url: args.base_url.clone(), key };
    let limits = Limits::new(args.requests_per_minute)?;
    Ok(Maker::OpenAi { account, models: Models::default(), limits })
}

/// The deck's name as a run's: what a run's name cannot hold becomes a hyphen.
fn run_name(deck: Option<&Path>) -> Result<RunId, Box<dyn std::error::Error>> {
    let stem = deck.and_then(Path::file_stem).map(|stem| stem.to_string_lossy());
    let stem = stem.as_deref().unwrap_or("ratchet");
    let kept = |c: char| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '-' };
    let name: String = stem.chars().map(kept).take(64).collect();
    let name = name.trim_start_matches(['-', '_']);
    Ok(RunId::new(if name.is_empty() { "deck" } else { name })?)
}

/// Copies under another name first: nobody ever sees half a film.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let new = unfinished(to);
    let copied = fs::copy(from, &new).and_then(|_| fs::rename(&new, to));
    copied.map_err(|source| Error::Out { path: to.to_path_buf(), source })
}

/// Whether [`copy`] can work, as far as that can be told beforehand. Leaves nothing behind.
fn try_out(to: &Path, root: &Path) -> Result<(), Error> {
    let new = unfinished(to);
    // What is around the root is made with it, by the run.
    let will_be = |folder: &Path| {
        !folder.as_os_str().is_empty() && !folder.exists() && root.starts_with(folder)
    };
    let tried = if to.is_dir() {
        Err(io::ErrorKind::IsADirectory.into())
    } else if to.parent().is_some_and(will_be) {
        Ok(())
    } else {
        fs::write(&new, "").and_then(|()| fs::remove_file(&new))
    };
    tried.map_err(|source| Error::Out { path: to.to_path_buf(), source })
}

/// The name of a film that is not all there yet.
fn unfinished(film: &Path) -> PathBuf {
    let mut name = film.as_os_str().to_os_string();
    name.push(".new");
    name.into()
}

/// One line on standard error.
fn complain(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("slides: {}", with_causes(error));
    ExitCode::from(code)
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
