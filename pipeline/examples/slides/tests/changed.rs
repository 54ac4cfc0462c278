//! What changed between two runs, by a person's wish or behind the program's back: what it concerns
//! is made again, or named, and nothing else is lost.

mod program;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use checkpoint::{Checkpoint, RunId};
use program::Ended;
use serde_json::{Value, json};

const DECK: [&str; 2] = ["# One\n<!-- The first. -->", "# Two\n<!-- The second. -->"];
/// All that a slide needs behind its notes.
const ONE: [&str; 5] = ["audio one", "clip one", "image one", "script one", "video -"];

/// A film that was made, and its folder.
struct Made(tempfile::TempDir);

impl Made {
    fn new() -> Made {
        let made = Made(tempfile::tempdir().unwrap());
        program::write_deck(made.folder(), &DECK);
        assert_eq!(made.run(&[]).code, Some(0));
        made
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    /// `run`, or another subcommand in front.
    fn run(&self, more: &[&str]) -> Ended {
        let _ = fs::remove_file(self.folder().join("ledger"));
        let args = ["--deck", "deck.md", "--size", "64x64", "--root", "runs", "--ledger", "ledger"];
        program::run(self.folder(), &[&args[..], more].concat())
    }

    /// The steps that the last run carried out: `stage item`.
    fn steps(&self) -> BTreeSet<String> {
        let text = fs::read_to_string(self.folder().join("ledger")).unwrap_or_default();
        text.lines().map(|line| line.rsplit_once(' ').unwrap().0.to_string()).collect()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder().join("runs/deck/files").join(name)
    }

    /// Rewrites a record, as another version of the program or a hand would.
    fn rewrite(&self, node: &str, change: impl FnOnce(&mut Value)) {
        let checkpoint =
            Checkpoint::open(self.folder().join("runs"), &RunId::new("deck").unwrap()).unwrap();
        let mut value = checkpoint.get::<Value>(node).unwrap().expect("the record").value;
        change(&mut value);
        checkpoint.save(node, &value).unwrap();
    }

    /// Asserts that the next run makes these steps, and the whole film.
    #[track_caller]
    fn assert_makes(&self, steps: &[&str]) {
        let ended = self.run(&["--out", "film.mp4"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(self.steps(), steps.iter().map(ToString::to_string).collect());
        let (film, kept) = (self.folder().join("film.mp4"), self.file("video.mp4"));
        assert_eq!(fs::read(film).unwrap(), fs::read(kept).unwrap());
    }
}

#[test]
fn a_film_may_lie_beside_its_runs_in_a_folder_that_is_made_with_them() {
    let folder = tempfile::tempdir().unwrap();
    program::write_deck(folder.path(), &DECK[..1]);
    let args = ["run", "--deck", "deck.md", "--size", "64x64"];
    let more = ["--root", "new/runs", "--out", "new/film.mp4"];
    let ended = program::run(folder.path(), &[&args[..], &more].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(folder.path().join("new/film.mp4").is_file());
}

#[test]
fn nothing_changed_makes_nothing() {
    Made::new().assert_makes(&[]);
}

#[test]
fn a_changed_slide_is_made_anew_and_its_neighbour_is_not() {
    let made = Made::new();
    program::write_deck(made.folder(), &["# One\n<!-- Quite another. -->", DECK[1]]);
    made.assert_makes(&ONE);
}

#[test]
fn a_slide_more_and_a_slide_less_leave_the_others_as_they_are() {
    let made = Made::new();
    program::write_deck(made.folder(), &[DECK[0], DECK[1], "# Three"]);
    made.assert_makes(&["audio three", "clip three", "image three", "script three", "video -"]);
    // The first slide gives the deck its title, which stands on every slide: it stays.
    program::write_deck(made.folder(), &[DECK[0], "# Three"]);
    made.assert_makes(&["video -"]);
}

#[test]
fn a_changed_size_keeps_what_is_spoken() {
    let made = Made::new();
    let _ = fs::remove_file(made.folder().join("ledger"));
    let args = ["run", "--deck", "deck.md", "--size", "96x64", "--root", "runs"];
    let ended = program::run(made.folder(), &[&args[..], &["--ledger", "ledger"]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let steps = ["clip one", "clip two", "image one", "image two", "video -"];
    assert_eq!(made.steps(), steps.map(String::from).into());
}

/// A stage of another version of the program: its records have another version's key.
#[test]
fn a_changed_stage_says_why_it_runs_and_runs() {
    let made = Made::new();
    for slide in ["one", "two"] {
        made.rewrite(&format!("step/image/{slide}"), |record| {
            record["key"] = json!("0".repeat(64));
            record["made_of"]["version"] = json!(7);
        });
    }
    let plan = made.run(&["plan"]);
    assert_eq!(plan.code, Some(0), "{plan:?}");
    assert!(plan.out.contains("version"), "{}", plan.out);
    // The pictures come out as they were: nothing behind them runs.
    made.assert_makes(&["image one", "image two"]);
}

#[test]
fn a_deleted_or_resized_file_is_made_again() {
    let made = Made::new();
    fs::remove_file(made.file("image/one.png")).unwrap();
    fs::write(made.file("image/two.png"), "short").unwrap();
    made.assert_makes(&["image one", "image two"]);
    fs::remove_file(made.file("video.mp4")).unwrap();
    made.assert_makes(&["video -"]);
    // A clip that a person took away, and the film that was made of it stays the same film.
    fs::remove_file(made.file("clip/one.mp4")).unwrap();
    assert_eq!(made.run(&[]).code, Some(0));
    assert!(made.file("clip/one.mp4").exists());
}

#[test]
fn a_file_rewritten_in_its_size_is_found_by_verify() {
    let made = Made::new();
    let path = made.file("image/one.png");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let found = made.run(&["verify"]);
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(
        found.out.contains("image [one]: `files/image/one.png` holds other bytes"),
        "{found:?}"
    );
    let remedy = found.out.lines().find_map(|line| line.trim().strip_prefix("rm ")).unwrap();
    fs::remove_file(made.folder().join(remedy)).unwrap();
    made.assert_makes(&["image one"]);
    assert_eq!(made.run(&["verify"]).code, Some(0));
}

#[test]
fn a_recorded_value_of_another_type_is_named_with_the_remedy() {
    let made = Made::new();
    made.rewrite("step/script/one", |record| record["value"] = json!(42));
    // What needs it fails; the other slide, which was changed meanwhile, is made.
    program::write_deck(made.folder(), &[DECK[0], "# Two\n<!-- Quite another. -->"]);
    let ended = made.run(&[]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let said = "the recorded result of `script` [one] does not read back";
    assert_eq!(ended.err.matches(said).count(), 1, "{}", ended.err);
    assert!(ended.err.contains(".version(..)"), "{}", ended.err);
    assert_eq!(
        made.steps(),
        ["audio two", "clip two", "image two", "script two"].map(String::from).into()
    );
}

#[test]
fn a_record_that_is_none_is_named() {
    let made = Made::new();
    made.rewrite("step/script/one", |record| *record = json!("nonsense"));
    let before = fs::read(made.file("video.mp4")).unwrap();
    let ended = made.run(&[]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let said = "record `step/script/one` of run `deck` does not read back";
    assert_eq!(ended.err.matches(said).count(), 1, "{}", ended.err);
    assert!(ended.err.contains("use another run id"), "{}", ended.err);
    assert_eq!(fs::read(made.file("video.mp4")).unwrap(), before);
}
