//! A recorded step never runs again; a change runs again what lies behind it, and nothing else.

#![allow(clippy::ignored_unit_patterns)] // what a user writes: `_` for no adapter

use std::fs;
use std::sync::{Arc, Mutex};

use pipeline::{Artefact, Options, Pipeline, Report, RunId};

struct Numbers;

#[derive(Clone)]
struct Setup {
    items: Vec<(u64, &'static str)>,
    style: &'static str,
    version: u32,
}

impl Default for Setup {
    fn default() -> Self {
        Setup { items: vec![(1, "one"), (2, "two"), (3, "three")], style: "calm", version: 1 }
    }
}

fn film(report: &Report<Artefact>) -> String {
    fs::read_to_string(report.path(report.output.as_ref().unwrap())).unwrap()
}

struct Bench {
    root: tempfile::TempDir,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    fn new() -> Self {
        Bench { root: tempfile::tempdir().unwrap(), calls: Arc::default() }
    }

    /// script (with the style) and picture for each, a clip of both, and a film of all clips.
    fn run(&self, setup: &Setup) -> Report<Artefact> {
        self.calls.lock().unwrap().clear();
        let log = |stage: &'static str| {
            let calls = Arc::clone(&self.calls);
            move |item: &str| calls.lock().unwrap().push(format!("{stage} {item}"))
        };
        let mut p = Pipeline::new("bench");
        let item = p.items(Numbers, setup.items.clone(), |(n, _)| *n);
        let style = p.value("style", setup.style);
        let call = log("script");
        let script = p.each("script", (item, style)).version(setup.version);
        let script = script.run(move |_, cx, ((_, text), style)| {
            call(cx.item());
            // The length of the style: two styles may give one result.
            Ok(format!("{text}{}", style.len()))
        });
        let call = log("picture");
        let picture = p.each("picture", item).run(move |_, cx, (_, text)| {
            call(cx.item());
            cx.file("txt", |path| Ok(fs::write(path, text)?))
        });
        let call = log("clip");
        let clip = p.each("clip", (script, picture)).run(move |_, cx, (script, picture)| {
            call(cx.item());
            let picture = fs::read_to_string(cx.path(picture))?;
            cx.file("txt", |path| Ok(fs::write(path, format!("{script}+{picture};"))?))
        });
        let call = log("film");
        let film = p.collect("film", clip).run(move |_, cx, clips| {
            call(cx.item());
            let mut film = String::new();
            for clip in clips {
                film += &fs::read_to_string(cx.path(&clip))?;
            }
            cx.file("txt", |path| Ok(fs::write(path, film)?))
        });
        p.run(film, &Options::new(self.root.path(), RunId::new("r").unwrap())).unwrap()
    }

    fn calls(&self) -> Vec<String> {
        let mut calls = self.calls.lock().unwrap().clone();
        calls.sort();
        calls
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.root.path().join("r/files").join(name)
    }
}

#[test]
fn a_finished_run_calls_nothing_again() {
    let bench = Bench::new();
    let first = bench.run(&Setup::default());
    assert_eq!(bench.calls().len(), 10);
    assert_eq!(film(&first), "one4+one;two4+two;three4+three;");
    let second = bench.run(&Setup::default());
    assert_eq!(bench.calls(), Vec::<String>::new());
    assert_eq!(second.output, first.output);
    assert_eq!(second.stages.iter().map(|stage| stage.reused).sum::<u64>(), 10);
}

#[test]
fn a_changed_item_runs_what_is_made_of_it() {
    let bench = Bench::new();
    bench.run(&Setup::default());
    let mut setup = Setup::default();
    setup.items[1].1 = "TWO";
    let report = bench.run(&setup);
    assert_eq!(bench.calls(), ["clip 2", "film ", "picture 2", "script 2"]);
    assert_eq!(film(&report), "one4+one;TWO4+TWO;three4+three;");
}

#[test]
fn a_changed_setting_runs_what_takes_it_and_stops_where_the_results_are_the_same() {
    let bench = Bench::new();
    bench.run(&Setup::default());
    bench.run(&Setup { style: "loud", ..Setup::default() });
    // The scripts came out as before: nothing behind them runs.
    assert_eq!(bench.calls(), ["script 1", "script 2", "script 3"]);
    bench.run(&Setup { style: "hasty", ..Setup::default() });
    assert_eq!(bench.calls().len(), 7);
}

#[test]
fn a_raised_version_runs_its_stage_again() {
    let bench = Bench::new();
    bench.run(&Setup::default());
    bench.run(&Setup { version: 2, ..Setup::default() });
    assert_eq!(bench.calls(), ["script 1", "script 2", "script 3"]);
}

#[test]
fn a_new_item_and_a_new_order_run_the_collect_alone() {
    let bench = Bench::new();
    bench.run(&Setup::default());
    let mut setup = Setup::default();
    setup.items.push((4, "four"));
    bench.run(&setup);
    assert_eq!(bench.calls(), ["clip 4", "film ", "picture 4", "script 4"]);
    setup.items.reverse();
    let report = bench.run(&setup);
    assert_eq!(bench.calls(), ["film "]);
    assert_eq!(film(&report), "four4+four;three4+three;two4+two;one4+one;");
    setup.items.truncate(1);
    let report = bench.run(&setup);
    assert_eq!(film(&report), "four4+four;");
}

#[test]
fn a_deleted_or_resized_artefact_is_made_again() {
    let bench = Bench::new();
    let first = bench.run(&Setup::default());
    fs::remove_file(bench.file("picture/2.txt")).unwrap();
    let second = bench.run(&Setup::default());
    assert_eq!(bench.calls(), ["picture 2"]);
    assert_eq!(film(&second), film(&first));
    fs::write(bench.file("clip/1.txt"), "longer than it was before").unwrap();
    bench.run(&Setup::default());
    assert_eq!(bench.calls(), ["clip 1"]);
    assert_eq!(fs::read_to_string(bench.file("clip/1.txt")).unwrap(), "one4+one;");
}

/// Its file was overwritten by a call that then failed: the old record must not be found again.
#[test]
fn a_record_whose_file_was_overwritten_is_no_longer_there() {
    let root = tempfile::tempdir().unwrap();
    let run = |text: &'static str, fail: bool| {
        let mut p = Pipeline::new("bench");
        let text = p.value("text", text);
        let file = p.each("file", text).run(move |_, cx, text| {
            let file = cx.file("txt", |path| Ok(fs::write(path, text)?))?;
            if fail { Err(pipeline::Fault::fatal("after the file was made")) } else { Ok(file) }
        });
        p.run(file, &Options::new(root.path(), RunId::new("r").unwrap())).unwrap()
    };
    run("old", false);
    assert_eq!(run("new", true).failed(), 1); // of the same size
    assert_eq!(film(&run("old", false)), "old");
}

#[test]
fn going_back_to_an_old_input_makes_its_files_again() {
    let bench = Bench::new();
    bench.run(&Setup::default());
    let mut setup = Setup::default();
    setup.items[0].1 = "ONE"; // of the same size
    bench.run(&setup);
    let report = bench.run(&Setup::default());
    assert_eq!(bench.calls(), ["clip 1", "film ", "picture 1", "script 1"]);
    assert_eq!(film(&report), "one4+one;two4+two;three4+three;");
}

/// A result is what was recorded: bit by bit, for whoever takes it now or in the next run.
#[test]
fn floats_come_back_exactly() {
    let root = tempfile::tempdir().unwrap();
    let run = || {
        let mut p = Pipeline::new("floats");
        let n = p.items(Numbers, 1..500_u32, |n| *n);
        let third = p.each("third", n).run(|_, _, n| Ok(f64::from(*n).sqrt() / 3e7));
        let same = p
            .each("same", (n, third))
            .run(|_, _, (n, third)| Ok(third.to_bits() == (f64::from(*n).sqrt() / 3e7).to_bits()));
        let options = Options::new(root.path(), RunId::new("r").unwrap());
        let options = options.durability(pipeline::Durability::Process);
        p.run((pipeline::all(third), pipeline::all(same)), &options).unwrap().output.unwrap()
    };
    let (third, same) = run();
    assert!(same.iter().all(|(_, same)| *same));
    assert!(
        third
            .iter()
            .all(|(n, f)| f.to_bits() == (n.parse::<f64>().unwrap().sqrt() / 3e7).to_bits())
    );
    assert_eq!(run().0, third);
}

#[test]
fn a_run_can_be_moved() {
    let bench = Bench::new();
    let first = bench.run(&Setup::default());
    let elsewhere = Bench::new();
    fs::rename(bench.root.path().join("r"), elsewhere.root.path().join("r")).unwrap();
    let second = elsewhere.run(&Setup::default());
    assert_eq!(elsewhere.calls(), Vec::<String>::new());
    assert_eq!(second.output, first.output);
    assert!(film(&second).starts_with("one4"));
}
