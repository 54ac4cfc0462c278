//! libFuzzer over what reads other people's bytes: `xtask/fuzz` has a target for each.
//!
//! The same bodies run in `cargo test` for a moment. What the fuzzer has found to be new ground is
//! kept in `target/fuzz/<target>`, so that a later run goes on from there; an input that breaks
//! something is kept beside it, and its path is printed.

use crate::shell;
use anyhow::{Result, bail};
use std::process::{Command, Stdio};

const TARGETS: [(&str, &str); 3] = [
    ("log_bytes", "any bytes as a log of checkpoint: all calls return and agree"),
    ("log_damaged", "a log that was damaged: it is found or was harmless, and salvage works"),
    ("headers", "any response headers to ratelimit, and dates in every form"),
];

/// Longer inputs find nothing that shorter ones do not, and cost their length.
const INPUT_BYTES_MAX: u32 = 2048;

/// An input that takes so many seconds hangs.
const HANGS_AFTER_S: u32 = 20;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The target; all without it
    target: Option<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let wanted = arguments.target.as_deref();
    let chosen: Vec<_> = TARGETS.iter().filter(|row| wanted.is_none_or(|w| w == row.0)).collect();
    if chosen.is_empty() {
        let names = TARGETS.map(|row| row.0).join(", ");
        bail!("no target {}: there are {names}", wanted.unwrap_or_default());
    }
    let is_there = |words: &str| {
        let mut command = nightly();
        command.args(words.split(' ')).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !is_there("--version") {
        bail!("a nightly compiler is needed: `rustup toolchain install nightly`");
    }
    if !is_there("fuzz --version") {
        bail!("cargo-fuzz is not installed: `cargo install cargo-fuzz --locked`");
    }
    for (target, what) in chosen {
        println!("== {target}: {what}, for {} s", arguments.seconds);
        let folder = shell::target().join("fuzz");
        let (corpus, broken) = (folder.join(target), folder.join(format!("{target}-broken")));
        std::fs::create_dir_all(&corpus)?;
        std::fs::create_dir_all(&broken)?;
        let mut fuzz = nightly();
        fuzz.args(["fuzz", "run", "--fuzz-dir", "xtask/fuzz", "--target-dir"]).arg(&folder);
        fuzz.arg(target).arg(&corpus);
        let (seeds, words) = (shell::root().join("xtask/fuzz/seeds"), format!("{target}.dict"));
        fuzz.args(Some(seeds.join(target)).filter(|seeds| seeds.exists())).arg("--");
        let words = Some(seeds.join(words)).filter(|words| words.exists());
        fuzz.args(words.map(|words| format!("-dict={}", words.display()))).args([
            format!("-max_total_time={}", arguments.seconds),
            format!("-max_len={INPUT_BYTES_MAX}"),
            format!("-timeout={HANGS_AFTER_S}"),
            format!("-artifact_prefix={}/", broken.display()),
            "-print_final_stats=1".to_owned(),
        ]);
        shell::run(&mut fuzz)?;
    }
    Ok(())
}

/// rustup's cargo: the one that runs this program is of another toolchain.
fn nightly() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.arg("+nightly");
    for variable in ["CARGO", "RUSTUP_TOOLCHAIN", "CARGO_TARGET_DIR"] {
        cargo.env_remove(variable);
    }
    cargo
}
