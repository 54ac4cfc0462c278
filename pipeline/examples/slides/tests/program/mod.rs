//! The program itself, run as its users run it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// How it ended and what it said.
#[allow(dead_code)] // no test looks at all of it
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None`: by a signal.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The program, in a folder of the test's own, small films, no key from outside.
pub(crate) fn slides(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slides"));
    command.current_dir(folder).args(args).env_remove("OPENAI_API_KEY");
    command
}

/// Runs it to its end.
pub(crate) fn end(command: &mut Command) -> Ended {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ended { code: status.code(), out: text(stdout), err: text(stderr) }
}

/// Runs it to its end in `folder`.
#[allow(dead_code)] // where the environment matters, `end` is used
pub(crate) fn run(folder: &Path, args: &[&str]) -> Ended {
    end(&mut slides(folder, args))
}

/// Writes a deck of these slides.
pub(crate) fn write_deck(folder: &Path, slides: &[&str]) {
    fs::write(folder.join("deck.md"), slides.join("\n\n---\n\n")).expect("a deck");
}
