//! A run stays where it began, whoever changes the process's working folder meanwhile.
//!
//! Alone in its program, since the working folder is the whole process's.

use std::env;
use std::fs;

use pipeline::{Artefact, Options, Pipeline, RunId};

struct Words;

#[test]
fn a_step_that_changes_the_working_folder_does_not_tear_the_run_in_two() {
    let dir = tempfile::tempdir().unwrap();
    env::set_current_dir(dir.path()).unwrap();
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let mut p = Pipeline::new("moving");
    let word = p.items(Words, ["a", "b", "c"], |word| (*word).to_string());
    let there = elsewhere.clone();
    let file = p.each("file", word).run(move |(), cx, word| {
        env::set_current_dir(&there)?;
        cx.file("txt", |path| Ok(fs::write(path, word)?))
    });
    let all = p.collect("all", file).run(|(), cx, files| {
        let read = |file: Artefact| fs::read_to_string(cx.path(&file));
        Ok(files.into_iter().map(read).collect::<Result<Vec<String>, _>>()?)
    });
    let report = p.run(all, &Options::new("runs", RunId::new("here").unwrap())).unwrap();
    assert_eq!(report.output.unwrap(), ["a", "b", "c"]);
    assert!(dir.path().join("runs/here/files/file/a.txt").is_file());
    assert!(!elsewhere.join("runs").exists());
    env::set_current_dir("/").unwrap();
}
