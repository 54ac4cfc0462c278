//! The gate, section by section; it stops at the first failure and says which it was.

use crate::{PRIMITIVES, bench, licences, loom, shell, tidy};
use anyhow::{Context, Result};
use std::process::Command;
use std::time::Instant;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What one runs before each commit: format, map, lints and tests
    #[arg(long)]
    quick: bool,
    /// Leave the tests to the caller, who runs `cargo test` next
    #[arg(long, conflicts_with = "quick")]
    before_tests: bool,
}

type Section = (&'static str, fn() -> Result<()>);

const LINTS: [Section; 3] = [("format", format), ("tidy", tidy::run), ("clippy", clippy)];
const PROOFS: [Section; 8] = [
    ("docs", docs),
    ("licences", licences::run),
    ("models", || loom::run(&loom::Arguments::all(false))),
    ("mutants", || loom::run(&loom::Arguments::all(true))),
    ("benches", bench::smoke),
    ("examples", examples),
    ("packages", packages),
    ("film", film),
];
const TESTS: [Section; 1] = [("tests", tests)];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut sections = LINTS.to_vec();
    if !arguments.quick {
        sections.extend(PROOFS);
    }
    if !arguments.before_tests {
        sections.extend(TESTS);
    }
    let start = Instant::now();
    for (name, section) in sections {
        println!("== {name}");
        let begun = Instant::now();
        section().with_context(|| format!("the gate is closed: {name} failed"))?;
        println!("== {name}: fine, {:.0} s", begun.elapsed().as_secs_f64());
    }
    println!("== the gate is open, {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn format() -> Result<()> {
    shell::run(&mut shell::cargo_with("fmt --all --check"))?;
    shell::run(&mut shell::cargo_with("fmt --check --manifest-path xtask/peers/Cargo.toml"))
}

fn clippy() -> Result<()> {
    shell::run(&mut shell::cargo_with(
        "clippy --workspace --all-targets --all-features --locked -- -D warnings",
    ))
}

fn docs() -> Result<()> {
    let mut doc = shell::cargo_with("doc --workspace --no-deps --all-features --locked");
    shell::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Every example of the libraries, as a reader would run it.
fn examples() -> Result<()> {
    for krate in PRIMITIVES.iter().chain(&["pipeline"]) {
        let folder = format!("{krate}/examples");
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        let mut names = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
            }
        }
        names.sort();
        for name in names {
            println!("-- {krate}: {name}");
            let mut example = shell::cargo_with("run --quiet --locked");
            shell::run(example.args(["--package", krate, "--example", &name]))?;
        }
    }
    Ok(())
}

/// What would be published builds alone, each crate on its siblings as they would be published.
fn packages() -> Result<()> {
    shell::run(&mut shell::cargo_with(
        "package --workspace --exclude slides --exclude xtask --locked --allow-dirty",
    ))
}

/// The README's first command, in a folder of its own.
fn film() -> Result<()> {
    let root = shell::target().join("film");
    if root.exists() {
        std::fs::remove_dir_all(&root)?;
    }
    let build = "build --release --locked --package slides";
    shell::run(&mut shell::cargo_with(build))?;
    let mut slides = Command::new(shell::target().join("release/slides"));
    slides.arg("run").arg("--root").arg(root.join("runs")).arg("--out").arg(root.join("film.mp4"));
    shell::run(&mut slides)
}

fn tests() -> Result<()> {
    shell::run(&mut shell::cargo_with("test"))
}
