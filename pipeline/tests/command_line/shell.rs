//! A folder to run the program in, and what it printed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use serde_json::Value;

pub(crate) struct Shell {
    dir: tempfile::TempDir,
    env: Vec<(String, String)>,
}

/// What a command said and how it ended.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Shell {
    pub(crate) fn new() -> Self {
        Shell { dir: tempfile::tempdir().unwrap(), env: Vec::new() }
    }

    /// A run that has done everything.
    pub(crate) fn after_a_run() -> Self {
        let shell = Self::new();
        shell.run(&["run"]).succeeds();
        shell
    }

    /// For every command from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(set, _)| set != name);
        self.env.push((name.into(), value.into()));
    }

    pub(crate) fn unset(&mut self, name: &str) {
        self.env.retain(|(set, _)| set != name);
    }

    pub(crate) fn run(&self, args: &[&str]) -> Said {
        let output = self.command(args).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said {
            code: output.status.code().expect("not killed"),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// The same for a reader of standard output that has left before.
    pub(crate) fn run_unread(&self, args: &[&str]) -> Said {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = self.command(args).stdout(writer).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        Said { code: output.status.code().expect("not killed"), out: String::new(), err }
    }

    /// Starts a run and waits until `what` has been traced that often.
    pub(crate) fn start(&self, args: &[&str], what: &str, times: usize) -> Child {
        let mut command = self.command(args);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while self.traced(what) < times {
            assert!(Instant::now() < until, "{what} did not come {times} times in a minute");
            // Another process's progress: nothing to wait on.
            thread::sleep(Duration::from_millis(5));
        }
        child
    }

    /// How often that was traced: `script`, `deck`.
    pub(crate) fn traced(&self, what: &str) -> usize {
        let ledger = fs::read_to_string(self.path("ledger")).unwrap_or_default();
        ledger.lines().filter(|line| line.split(' ').next() == Some(what)).count()
    }

    pub(crate) fn forget_traces(&self) {
        fs::remove_file(self.path("ledger")).unwrap();
    }

    /// A file of the folder; `runs/talk` is the run's.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(args).stdin(Stdio::null()).env("TALK", "1").env("LEDGER", self.path("ledger"));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.args(["--root".as_ref(), self.path("runs").as_os_str()]);
        command
    }
}

impl Said {
    #[track_caller]
    pub(crate) fn succeeds(self) -> Said {
        self.exits(0)
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Said {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }

    /// The output has this line, spaces taken together.
    #[track_caller]
    pub(crate) fn shows(self, line: &str) -> Said {
        let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let found = self.out.lines().any(|found| squeezed(found) == line);
        assert!(found, "no line `{line}` in:\n{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Said {
        assert!(self.out.contains(text), "no `{text}` in:\n{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(crate) fn complains(self, text: &str) -> Said {
        assert!(self.err.contains(text), "no `{text}` in:\n{}", self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// Each line of the output as JSON.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        let line =
            |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.out.lines().map(line).collect()
    }
}

/// Every file below a folder with its bytes, to see that a command changed nothing.
pub(crate) fn everything(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_path_buf()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}
