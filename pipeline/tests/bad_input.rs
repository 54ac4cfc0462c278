//! Bad input: one message that names the thing and the remedy, and nothing that was done is lost.

#![allow(clippy::ignored_unit_patterns)] // what a user writes: `_` for no adapter

use std::fs;

use pipeline::{Artefact, Node, Options, Per, Pipeline, RateLimiter, Root, RunError, RunId, all};

struct Numbers;
struct Others;

fn options(root: &std::path::Path) -> Options {
    Options::new(root, RunId::new("r").unwrap())
}

/// Runs `0..count` through one stage that records each.
fn run(root: &std::path::Path, name: &str, count: u64) -> Result<usize, RunError> {
    let mut p = Pipeline::new(name);
    let n = p.items(Numbers, 0..count, |n| *n);
    let one = p.each("one", n).run(|_, _, n| Ok(*n));
    let report = p.run(all(one), &options(root))?;
    Ok(report.output.map_or(0, |all| all.len()))
}

fn fails<T: std::fmt::Debug>(result: Result<T, RunError>, words: &[&str]) {
    let text = result.unwrap_err().to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` is missing: {text}");
    }
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_run_id_that_leaves_its_folder_is_no_run_id() {
    let text = RunId::new("../x").unwrap_err().to_string();
    assert!(text.contains("../x"), "{text}");
}

#[test]
fn a_workspace_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    // A file in the way stops even the superuser.
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let words = ["cannot make the run's folder", "file/r", "--root"];
    fails(run(&file, "bad", 1), &words);
}

#[test]
fn a_run_in_use_names_its_process() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_path_buf();
    let mut p = Pipeline::new("bad");
    let n = p.items(Numbers, 0..1_u64, |n| *n);
    let one = p.each("one", n).run(move |_, _, _| {
        let pid = format!("process {}", std::process::id());
        fails(run(&root, "bad", 1), &["run `r` is in use", &pid, "`status`"]);
        Ok(1)
    });
    assert_eq!(p.run(all(one), &options(dir.path())).unwrap().failed(), 0);
}

#[test]
fn a_damaged_checkpoint_says_where_and_what_to_do_and_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), "bad", 9).unwrap();
    let log = dir.path().join("r/checkpoint.log");
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&log, &bytes).unwrap();
    fails(run(dir.path(), "bad", 9), &["checkpoint.log", "damaged at byte", "salvage"]);
    assert_eq!(fs::read(&log).unwrap(), bytes);
}

#[test]
fn a_run_of_another_pipeline_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), "first", 2).unwrap();
    fails(run(dir.path(), "second", 2), &["made by pipeline `first`", "`second`", "run id"]);
    assert_eq!(run(dir.path(), "first", 2).unwrap(), 2);
}

#[test]
fn two_items_with_one_key_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut p = Pipeline::new("bad");
    let n = p.items(Numbers, ["a", "b", "a"], |s| (*s).to_string());
    let one = p.each("one", n).run(|_, _, s| Ok(s.len()));
    fails(p.run(all(one), &options(dir.path())), &["items 1 and 3 of `Numbers`", "`a`"]);
}

#[test]
fn an_error_of_a_source_ends_the_run_after_what_is_in_flight() {
    let dir = tempfile::tempdir().unwrap();
    let run = |broken: bool| {
        let mut p = Pipeline::new("bad");
        let items = (0..3_u64).map(move |n| match n {
            2 if broken => Err(format!("line {n} of the deck is torn")),
            n => Ok(n),
        });
        let n = p.try_items(Numbers, items, |n| *n);
        let one = p.each("one", n).run(|_, _, n| Ok(*n));
        p.run(all(one), &options(dir.path()))
    };
    fails(run(true), &["item 3 of `Numbers`", "line 2 of the deck is torn"]);
    assert_eq!(run(false).unwrap().output.unwrap().len(), 3);
}

#[test]
fn a_source_that_panics_ends_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut p = Pipeline::new("bad");
    let items = std::iter::from_fn(|| -> Option<u64> { panic!("no more paper") });
    let n = p.items(Numbers, items, |n| *n);
    let one = p.each("one", n).run(|_, _, n| Ok(*n));
    fails(p.run(all(one), &options(dir.path())), &["item 1 of `Numbers`", "panicked"]);
}

#[test]
fn an_item_that_cannot_be_hashed_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut p = Pipeline::new("bad");
    let n = p.items(Numbers, [1.0, f64::NAN], f64::to_string);
    let one = p.each("one", n).run(|_, _, n| Ok(*n));
    fails(p.run(all(one), &options(dir.path())), &["item 2", "`NaN`", "cannot be hashed"]);
}

#[test]
fn an_option_for_a_stage_that_is_none_lists_those_there_are() {
    let dir = tempfile::tempdir().unwrap();
    for options in [options(dir.path()).workers("on", 2), options(dir.path()).only("on")] {
        let mut p = Pipeline::new("bad");
        let n = p.items(Numbers, 0..1_u64, |n| *n);
        let one = p.each("one", n).run(|_, _, n| Ok(*n));
        fails(p.run(all(one), &options), &["no stage `on`", "`one`"]);
    }
}

/// The stage's result changed its type, and nobody raised the version.
#[test]
fn a_recorded_result_of_another_type_says_what_to_raise() {
    let dir = tempfile::tempdir().unwrap();
    let mut p = Pipeline::new("bad");
    let n = p.items(Numbers, 0..2_u64, |n| *n);
    let one = p.each("one", n).run(|_, _, n| Ok(*n));
    p.run(all(one), &options(dir.path())).unwrap();
    let mut p = Pipeline::new("bad");
    let n = p.items(Numbers, 0..2_u64, |n| *n);
    let one = p.each("one", n).run(|_, _, n| Ok(n.to_string()));
    let two = p.each("two", one).run(|_, _, s| Ok(s.len()));
    let report = p.run(all(two), &options(dir.path())).unwrap();
    assert_eq!(report.failed(), 2);
    let text = report.to_string();
    assert!(text.contains("of `one`") && text.contains("`.version(..)`"), "{text}");
}

#[test]
fn two_files_of_one_extension_need_names() {
    let dir = tempfile::tempdir().unwrap();
    let mut p = Pipeline::new("bad");
    let n = p.items(Numbers, 0..2_u64, |n| *n);
    let one = p.each("one", n).run(|_, cx, n| {
        let write = |path: &std::path::Path| Ok(fs::write(path, "x")?);
        let first = cx.file("txt", write)?;
        let second =
            if *n == 0 { cx.file("txt", write)? } else { cx.file_named("b", "txt", write)? };
        Ok((first, second))
    });
    let report = p.run(all(one), &options(dir.path())).unwrap();
    assert_eq!((report.stages[0].ran, report.stages[0].failed), (1, 1));
    assert!(report.failures[0].cause.contains("cx.file_named"), "{report}");
    assert!(dir.path().join("r/files/one/1.b.txt").exists());
}

fn two_stages(p: &mut Pipeline) -> Node<u64, Per<Root, Numbers>> {
    let n = p.items(Numbers, 0..1_u64, |n| *n);
    p.each("one", n).run(|_, _, n| Ok(*n))
}

#[test]
#[should_panic(expected = "there is a stage named `one` already")]
fn one_name_for_two_stages() {
    let mut p = Pipeline::new("bad");
    let one = two_stages(&mut p);
    p.each("one", one).run(|_, _, n| Ok(*n));
}

#[test]
#[should_panic(expected = "the tag `Numbers` names a fan-out already")]
fn one_tag_for_two_fan_outs() {
    let mut p = Pipeline::new("bad");
    two_stages(&mut p);
    p.items(Numbers, 0..1_u64, |n| *n);
}

#[test]
#[should_panic(expected = "an input of stage `two` belongs to another pipeline")]
fn a_node_of_another_pipeline() {
    let (mut p, mut other) = (Pipeline::new("bad"), Pipeline::new("other"));
    let one = two_stages(&mut other);
    p.each("two", one).run(|_, _, n| Ok(*n));
}

#[test]
#[should_panic(expected = "stage `two` has a limiter")]
fn two_limiters_for_one_stage() {
    let mut p = Pipeline::new("bad");
    let one = two_stages(&mut p);
    let limiter = RateLimiter::per_second(1.0);
    let _ = p.each("two", one).limit(&limiter, |_| 1).limit(&limiter, |_| 1);
}

#[test]
#[should_panic(expected = "`a/b` is no name")]
fn a_stage_whose_name_is_a_path() {
    let mut p = Pipeline::new("bad");
    let n = p.items(Others, 0..1_u64, |n| *n);
    let _ = p.each("a/b", n);
}

#[test]
#[should_panic(expected = "the value `rate` cannot be hashed")]
fn a_value_that_json_cannot_hold() {
    Pipeline::new("bad").value("rate", f64::INFINITY);
}

#[test]
fn an_artefact_says_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut p = Pipeline::new("bad");
    let value = p.value("text", "hello");
    let file =
        p.each("file", value).run(|_, cx, text| cx.file("txt", |path| Ok(fs::write(path, text)?)));
    let report = p.run(file, &options(dir.path())).unwrap();
    let file: &Artefact = report.output.as_ref().unwrap();
    assert_eq!((file.relative_path(), file.size()), ("files/file.txt", 5));
    assert_eq!(file.blake3().len(), 64);
    assert_eq!(report.path(file), dir.path().join("r/files/file.txt"));
}
