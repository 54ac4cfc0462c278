//! What the program says to input that it cannot take: one clear message, the right exit code, and
//! nothing lost.

mod program;

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use program::Ended;

const DECK: [&str; 2] = ["# One\n<!-- The first. -->", "# Two\n<!-- The second. -->"];
const ARGS: [&str; 9] =
    ["run", "--deck", "deck.md", "--size", "64x64", "--root", "runs", "--out", "film.mp4"];

fn with_deck() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    program::write_deck(folder.path(), &DECK);
    folder
}

/// Asserts the exit code, that the message is said once, and that it holds all these words.
fn assert_says(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    for word in words {
        assert!(ended.err.contains(word), "{word:?} is not in {:?}", ended.err);
    }
    let said = ended.err.lines().filter(|l| l.starts_with("slides: ") || l.starts_with("error: "));
    assert_eq!(said.count(), 1, "{}", ended.err);
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
}

/// All steps that the run has recorded.
fn recorded(root: &Path) -> usize {
    let run = checkpoint::RunId::new("deck").unwrap();
    checkpoint::read(root, &run).unwrap().prefix("step/").count()
}

#[test]
fn a_deck_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("noise.md"), [0xFF, 0xFE, 0x00, 0xD8]).unwrap();
    fs::create_dir(folder.path().join("folder.md")).unwrap();
    for (deck, why) in
        [("none.md", "No such file"), ("noise.md", "UTF-8"), ("folder.md", "directory")]
    {
        let ended = program::run(folder.path(), &["run", "--deck", deck]);
        assert_says(&ended, 1, &[deck, "--deck", why]);
    }
    assert!(!folder.path().join("workspace").exists(), "nothing was begun");
}

#[test]
fn a_deck_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    for (text, words) in [
        ("", ["no slides", "# Title"]),
        ("# A\n\n<!-- open\n", ["line 3", "-->"]),
        ("---\ntitle: T\n", ["line 1", "does not end"]),
        ("# A\n\n---\n\n# B\n\n---\n\n# A\n", ["lines 1 and 9", "another heading"]),
    ] {
        fs::write(folder.path().join("deck.md"), text).unwrap();
        let ended = program::run(folder.path(), &ARGS);
        assert_says(&ended, 1, &words);
    }
}

#[test]
fn names_and_flags_that_cannot_be() {
    let folder = with_deck();
    for (args, words) in [
        (["--run", "../x"], ["../x", "letter or digit"]),
        (["--run", ""], ["--run", "letter or digit"]),
        (["--size", "1281x720"], ["1281x720", "both even"]),
        (["--requests-per-minute", "0"], ["--requests-per-minute", "0"]),
        (["--provider", "nobody"], ["nobody", "local"]),
        (["--speed", "9"], ["--speed", "Usage"]),
    ] {
        let ended = program::run(folder.path(), &[&["run"], &args[..]].concat());
        assert_says(&ended, 2, &words);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was made");
}

#[test]
fn a_workspace_that_cannot_be_written() {
    let folder = with_deck();
    fs::write(folder.path().join("runs"), "a file is in the way").unwrap();
    assert_says(&program::run(folder.path(), &ARGS), 1, &["runs", "--root"]);
    assert_eq!(fs::read_to_string(folder.path().join("runs")).unwrap(), "a file is in the way");
}

#[test]
fn a_film_that_cannot_be_written_is_said_before_anything_is_made() {
    let folder = with_deck();
    fs::create_dir(folder.path().join("folder")).unwrap();
    for (out, why) in [("nowhere/film.mp4", "No such file"), ("folder", "directory")] {
        let args = ["run", "--deck", "deck.md", "--size", "64x64", "--root", "runs", "--out", out];
        assert_says(&program::run(folder.path(), &args), 1, &[out, "--out FILE", why]);
    }
    assert!(!folder.path().join("runs").exists(), "nothing was begun");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "and nothing is left");
    // Who only looks at a run writes no film.
    let args = ["status", "--deck", "deck.md", "--root", "runs", "--out", "nowhere/film.mp4"];
    assert_says(&program::run(folder.path(), &args), 2, &["there is no run"]);
}

#[test]
fn a_log_that_cannot_be_understood() {
    let folder = with_deck();
    let mut command = program::slides(folder.path(), &ARGS);
    let ended = program::end(command.env("RUST_LOG", "pipeline=loud"));
    assert_says(&ended, 2, &["RUST_LOG", "pipeline=loud", "pipeline=debug"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was made");
}

#[test]
fn a_run_that_another_process_works_on() {
    let folder = with_deck();
    let many: Vec<String> = (0..40).map(|n| format!("# Slide {n}\n- words to say")).collect();
    program::write_deck(folder.path(), &many.iter().map(String::as_str).collect::<Vec<_>>());
    let args = [&ARGS[..], &["--ledger", "ledger"]].concat();
    let mut first = program::slides(folder.path(), &args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It holds the run when it has made a call; only the file can say so.
    while fs::metadata(folder.path().join("ledger")).map_or(0, |m| m.len()) == 0 {
        assert!(first.try_wait().unwrap().is_none(), "it ended too early");
        thread::sleep(Duration::from_millis(2));
    }
    let second = program::run(folder.path(), &args);
    let still_there = first.try_wait().unwrap().is_none();
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(still_there, "it ended too early");
    assert_says(&second, 75, &["deck", &first.id().to_string(), "in use"]);
}

#[test]
fn a_damaged_checkpoint() {
    let folder = with_deck();
    assert_eq!(program::run(folder.path(), &ARGS).code, Some(0));
    let made = fs::read(folder.path().join("film.mp4")).unwrap();
    let log = largest_file(&folder.path().join("runs/deck"), "files");
    // A byte in the middle of what was recorded: no torn tail.
    let middle = fs::metadata(&log).unwrap().len() / 2;
    let mut file = fs::File::options().write(true).read(true).open(&log).unwrap();
    file.seek(SeekFrom::Start(middle)).unwrap();
    file.write_all(&[0xA5; 8]).unwrap();
    drop(file);
    let damaged = fs::read(&log).unwrap();
    let ended = program::run(folder.path(), &ARGS);
    assert_says(
        &ended,
        1,
        &["damaged at byte", "salvage", log.file_name().unwrap().to_str().unwrap()],
    );
    assert_eq!(fs::read(&log).unwrap(), damaged, "what is left of it is not touched");
    assert_eq!(fs::read(folder.path().join("film.mp4")).unwrap(), made);
}

/// The largest file in a folder, those of one subfolder left out.
fn largest_file(folder: &Path, not: &str) -> PathBuf {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.is_file() && !path.ends_with(not));
    files.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
}

/// A file system of 2.6 MB, if this user may mount one; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Option<SmallDisk> {
        fs::create_dir(&at).ok()?;
        mount(&at, "size=2600k").then(|| SmallDisk(at))
    }

    fn grow(&self) -> bool {
        mount(&self.0, "remount,size=64m")
    }
}

fn mount(at: &Path, options: &str) -> bool {
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at);
    mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk() {
    let folder = with_deck();
    let many: Vec<String> = (0..12).map(|n| format!("# Slide {n}\n- words to say")).collect();
    program::write_deck(folder.path(), &many.iter().map(String::as_str).collect::<Vec<_>>());
    let root = folder.path().join("runs");
    // Who may not mount gets files that may not grow: the same calls fail in the same places.
    let disk = SmallDisk::mount(root.clone());
    let limited = if disk.is_some() {
        program::run(folder.path(), &ARGS)
    } else {
        let mut shell = Command::new("sh");
        let limit = "trap '' XFSZ; ulimit -f 900; exec \"$0\" \"$@\"";
        shell.current_dir(folder.path()).args(["-c", limit]);
        shell.arg(env!("CARGO_BIN_EXE_slides")).args(ARGS);
        program::end(&mut shell)
    };
    assert!(matches!(limited.code, Some(1 | 5)), "{limited:?}");
    let why = if disk.is_some() { "No space left" } else { "File too large" };
    assert!(limited.err.contains(why), "{}", limited.err);
    let kept = recorded(&root);
    // With room the same command goes on.
    if let Some(disk) = &disk {
        assert!(kept > 0);
        assert!(disk.grow());
    }
    let ended = program::run(folder.path(), &ARGS);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(recorded(&root), 12 * 4 + 1);
    drop(disk);
}
