//! The command line as a process: exit codes, messages, signals.
//!
//! A test binary without the usual harness, since it is also the program that the tests start.

#![allow(clippy::ignored_unit_patterns)] // what a user writes: `_` for no adapter

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::time::Duration;

use clap::Parser;
use pipeline::{Fault, Pipeline};

struct Numbers;

/// Set for the program: the folder of its ledger.
const PROGRAM: &str = "RATCHET_CLI_DIR";
/// What it does at item 2: `fail`, `halt`, `wait` for the file `go`, `big` writes 1 MiB for each.
const DO: &str = "RATCHET_CLI_DO";

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    command: pipeline::cli::Command,
}

fn program(dir: PathBuf) -> ExitCode {
    let what = std::env::var(DO).unwrap_or_default();
    let out = dir.join("out");
    let mut p = Pipeline::new("program");
    let n = p.items(Numbers, 0..5_u64, |n| *n);
    let one = p.each("one", n).run(move |_, cx, n| {
        let ledger = dir.join("ledger");
        let mut ledger = OpenOptions::new().create(true).append(true).open(ledger)?;
        writeln!(ledger, "{} {n}", cx.stage())?;
        match (&*what, *n) {
            ("fail", 2) => return Err(Fault::fatal("two is bad")),
            ("halt", 2) => return Err(Fault::halt("401: wrong key")),
            // A real process waits for a real event: there is no clock to replace.
            ("wait", 2) => {
                while !dir.join("go").exists() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            ("big", _) => {
                cx.file("bin", |path| Ok(fs::write(path, vec![7; 1 << 20])?))?;
            }
            _ => {}
        }
        Ok(*n)
    });
    let sum = p.collect("sum", one).run(|_, _, all| Ok(all.into_iter().sum::<u64>()));
    p.command_then(sum, Args::parse().command, |report| {
        Ok(fs::write(out, report.output.unwrap_or_default().to_string())?)
    })
}

struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        Bench(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, what: &str, args: &[&str]) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(args).arg("--root").arg(self.path("runs"));
        command.env(PROGRAM, self.0.path()).env(DO, what);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Exit code, standard output, standard error.
    fn run(&self, what: &str, args: &[&str]) -> (i32, String, String) {
        said(&self.command(what, args).output().unwrap())
    }

    /// A process that waits in item 2.
    fn waiting(&self) -> Child {
        let child = self.command("wait", &[]).spawn().unwrap();
        while self.calls() < 3 {
            std::thread::yield_now();
        }
        child
    }

    fn calls(&self) -> usize {
        fs::read_to_string(self.path("ledger")).map_or(0, |text| text.lines().count())
    }
}

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

fn has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is missing: {text}");
    }
}

fn done_is_0_and_so_is_done_again() {
    let bench = Bench::new();
    let (code, _, text) = bench.run("", &["run"]);
    assert_eq!(code, 0, "{text}");
    has(&text, &["program: 6 ran, 0 reused"]);
    assert_eq!(fs::read_to_string(bench.path("out")).unwrap(), "10");
    let (code, _, text) = bench.run("", &[]);
    assert_eq!((code, bench.calls()), (0, 5), "{text}");
    let (code, text, _) = bench.run("", &["status"]);
    assert_eq!(code, 0);
    has(&text, &["run program of program: finished", "one", "5", "sum"]);
}

fn usage_is_2() {
    let bench = Bench::new();
    let (code, _, text) = bench.run("", &["run", "--fast"]);
    assert_eq!(code, 2);
    has(&text, &["--fast", "Usage"]);
    let (code, _, text) = bench.run("", &["run", "--run", "../x"]);
    assert_eq!(code, 2);
    has(&text, &["../x", "--run <ID>"]);
    let (code, _, text) = bench.run("", &["run", "--workers", "on=2"]);
    assert_eq!(code, 2);
    has(&text, &["no stage `on`", "`one`", "`sum`"]);
    let (code, ..) = bench.run("", &["run", "--workers", "one=0"]);
    assert_eq!((code, bench.calls()), (2, 0));
    assert!(!bench.path("x").exists());
}

fn failures_are_3_and_are_tried_again() {
    let bench = Bench::new();
    let (code, _, text) = bench.run("fail", &[]);
    assert_eq!(code, 3);
    has(&text, &["4 ran, 0 reused, 1 failed, 1 blocked", "one [2]: two is bad"]);
    assert!(!bench.path("out").exists());
    has(&bench.run("", &["status"]).1, &["finished with failures", " 1 "]);
    let (code, ..) = bench.run("", &[]);
    assert_eq!((code, bench.calls()), (0, 6));
}

fn a_halt_is_5() {
    let bench = Bench::new();
    let (code, _, text) = bench.run("halt", &[]);
    assert_eq!((code, bench.calls()), (5, 3));
    has(&text, &["halted: 401: wrong key"]);
    let (code, _, text) = bench.run("fail", &["run", "--halt-after", "1"]);
    assert_eq!(code, 5, "{text}");
    assert_eq!(bench.run("", &[]).0, 0);
    assert_eq!(bench.calls(), 2 + 1 + 1 + 3, "nothing that was done was done again");
}

fn a_run_in_use_is_75_and_can_be_looked_at() {
    let bench = Bench::new();
    let first = bench.waiting();
    let process = format!("process {}", first.id());
    let (code, _, text) = bench.run("", &[]);
    assert_eq!(code, 75);
    has(&text, &["run `program` is in use", &process]);
    let (code, text, _) = bench.run("", &["status"]);
    assert_eq!(code, 0);
    has(&text, &["running, ", &process, "in flight"]);
    let (_, text, _) = bench.run("", &["status", "--json"]);
    has(&text, &["\"state\":\"running\"", "\"idempotency_key\"", "\"item\":\"2\""]);
    fs::write(bench.path("go"), "").unwrap();
    assert!(first.wait_with_output().unwrap().status.success());
    assert_eq!(bench.calls(), 5);
}

fn a_signal_stops_in_order_with_130() {
    let bench = Bench::new();
    let child = bench.waiting();
    signal(&child, "-INT");
    let lock = bench.path("runs/program/pipeline.lock");
    assert!(lock.exists());
    fs::write(bench.path("go"), "").unwrap();
    let (code, _, text) = said(&child.wait_with_output().unwrap());
    assert_eq!(code, 130, "{text}");
    has(&text, &["stopping", "stopped; run it again"]);
    let (_, text, _) = bench.run("", &["status"]);
    has(&text, &["stopped", "in doubt"]);
    assert!(!text.contains("idempotency key"), "nothing is in doubt: {text}");
    assert_eq!(bench.run("", &[]).0, 0);
    assert_eq!(bench.calls(), 5, "nothing was called twice");
}

fn a_second_signal_leaves_at_once_and_a_kill_is_known() {
    let bench = Bench::new();
    let mut child = bench.waiting();
    signal(&child, "-TERM");
    // The first must have been seen, or both are one.
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let (_, text, _) = bench.run("", &["status"]);
    has(&text, &["died; run it again", "in doubt: begun", "one [2], ", "idempotency key"]);
    assert_eq!(bench.run("", &[]).0, 0);
    assert_eq!(bench.calls(), 6);
}

fn errors_are_1_and_one_line() {
    let bench = Bench::new();
    let (code, _, text) = bench.run("", &["status"]);
    assert_eq!(code, 2, "a run that is not there is a wrong argument");
    assert_eq!(text.lines().count(), 1, "{text}");
    has(&text, &["there is no run `program`"]);
    fs::write(bench.path("runs"), "in the way").unwrap();
    let (code, _, text) = bench.run("", &[]);
    assert_eq!(code, 1);
    has(&text, &["cannot make the run's folder", "--root"]);
    assert_eq!(text.lines().count(), 1, "{text}");
}

/// A file size limit is the full disk that every machine has.
fn no_space_is_loud_and_resumable() {
    let bench = Bench::new();
    let limited = |kib: u32, what: &str| {
        let mut shell = Command::new("sh");
        // Without the trap the kernel kills who writes too much. In blocks of 512 bytes.
        let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", kib * 2);
        shell.arg("-c").arg(script).arg(std::env::current_exe().unwrap());
        shell.arg("--root").arg(bench.path("runs"));
        shell.env(PROGRAM, bench.0.path()).env(DO, what);
        said(&shell.output().unwrap())
    };
    let (code, _, text) = limited(512, "big");
    assert_eq!(code, 5, "an artefact: {text}");
    has(&text, &["no space for the run's files", "make space"]);
    let (code, _, text) = limited(2, "");
    assert_eq!(code, 1, "the checkpoint: {text}");
    has(&text, &["checkpoint of run `program`", "nothing was written"]);
    let before = bench.calls();
    assert_eq!(bench.run("", &[]).0, 0);
    assert!(bench.calls() <= before + 5);
    assert_eq!(fs::read_to_string(bench.path("out")).unwrap(), "10");
}

const TESTS: [(&str, fn()); 9] = [
    ("done_is_0_and_so_is_done_again", done_is_0_and_so_is_done_again),
    ("usage_is_2", usage_is_2),
    ("failures_are_3_and_are_tried_again", failures_are_3_and_are_tried_again),
    ("a_halt_is_5", a_halt_is_5),
    ("a_run_in_use_is_75_and_can_be_looked_at", a_run_in_use_is_75_and_can_be_looked_at),
    ("a_signal_stops_in_order_with_130", a_signal_stops_in_order_with_130),
    ("a_second_signal_leaves_at_once", a_second_signal_leaves_at_once_and_a_kill_is_known),
    ("errors_are_1_and_one_line", errors_are_1_and_one_line),
    ("no_space_is_loud_and_resumable", no_space_is_loud_and_resumable),
];

fn main() -> ExitCode {
    if let Some(dir) = std::env::var_os(PROGRAM) {
        return program(Path::new(&dir).to_path_buf());
    }
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let tests = TESTS.iter().filter(|(name, _)| name.contains(&wanted));
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in tests {
        let ok = panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
        *if ok { &mut passed } else { &mut failed } += 1;
    }
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {result}. {passed} passed; {failed} failed; 0 ignored");
    ExitCode::from(u8::from(failed > 0))
}
