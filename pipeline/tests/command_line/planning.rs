//! `plan` and `run --dry-run`: what would run, and why.

use std::fs;

use serde_json::Value;

use crate::shell::{Said, Shell, everything};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_dry_run_is_a_plan", dry_run),
    ("a_plan_changes_nothing_and_calls_nothing", changes_nothing),
    ("a_plan_comes_true", comes_true),
    ("a_plan_names_a_changed_input", changed_input),
    ("a_plan_names_a_changed_item_and_what_is_behind_it", changed_item),
    ("a_plan_names_a_changed_version", changed_version),
    ("a_plan_names_missing_and_resized_files", missing_files),
    ("a_plan_names_what_failed", failed),
    ("a_plan_names_what_is_in_doubt_and_what_that_costs", in_doubt),
    ("a_plan_of_a_new_run_says_what_is_not_known_yet", new_run),
    ("a_plan_of_bad_input_says_what_is_wrong", bad_input),
    ("a_plan_tells_the_time_under_the_limits", time),
];

/// Why each step of a stage would run.
fn why(plan: &Value, stage: &str) -> Vec<(String, String)> {
    let steps = plan["steps"].as_array().unwrap().iter().filter(|step| step["stage"] == stage);
    let text = |value: &Value| value.as_str().unwrap().to_string();
    let mut steps: Vec<_> = steps.map(|step| (text(&step["item"]), text(&step["why"]))).collect();
    steps.sort();
    steps
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(item, why)| (item.to_string(), why.to_string())).collect()
}

#[track_caller]
fn plan(shell: &Shell) -> Value {
    shell.run(&["plan", "--json"]).succeeds().json()
}

fn text(shell: &Shell) -> Said {
    shell.run(&["plan"]).succeeds()
}

fn new_run() {
    let shell = Shell::new();
    let said = text(&shell).says("run talk: at least 9 steps to run, 0 kept");
    let said = said.shows("stage run kept takes costs why");
    let said = said.shows("audio 3 - - - new: s0, s1, s2").shows("video 1 - - - new");
    said.shows("define 0+ - - - its items come of a list that is to be made");
    assert!(!shell.path("runs").exists(), "a plan makes nothing");
    let mut shell = Shell::new();
    shell.set("SLIDES", "12");
    let said = text(&shell);
    assert!(said.out.contains("new: s0, s1, s2 and 9 more"), "{}", said.out);
}

fn changes_nothing() {
    let mut shell = Shell::after_a_run();
    let before = everything(&shell.path("runs"));
    shell.forget_traces();
    text(&shell).says("run talk: nothing to do, 14 kept");
    shell.set("STYLE", "loud");
    text(&shell);
    plan(&shell);
    assert!(everything(&shell.path("runs")) == before, "a plan changed the run");
    assert_eq!(shell.traced("deck"), 9, "it reads the deck");
    assert_eq!(shell.traced("script"), 0, "it calls nothing");
}

fn changed_input() {
    let mut shell = Shell::after_a_run();
    shell.set("STYLE", "loud");
    let said = text(&shell).says("input `style` changed: s0, s1, s2");
    let said = said.says("if what it needs comes out otherwise");
    said.says("about $0.0").says("by what steps cost so far");
    assert_eq!(why(&plan(&shell), "script").len(), 3);
}

fn changed_item() {
    let mut shell = Shell::after_a_run();
    shell.set("EDITED", "1");
    let plan = plan(&shell);
    assert_eq!(why(&plan, "script"), pairs(&[("s1", "input")]));
    assert_eq!(why(&plan, "audio"), pairs(&[("s1", "behind")]));
    assert_eq!(why(&plan, "video"), pairs(&[("", "behind")]));
    assert_eq!(plan["stages"][0]["run"], 1);
    assert_eq!(plan["stages"][0]["kept"], 2);
    text(&shell).says("input `Slides` changed: s1");
}

fn changed_version() {
    let mut shell = Shell::after_a_run();
    shell.set("VERSION", "3");
    text(&shell).says("version 3, was 1: s0, s1, s2");
    assert_eq!(why(&plan(&shell), "script")[0].1, "version");
}

fn missing_files() {
    let shell = Shell::after_a_run();
    fs::remove_file(shell.path("runs/talk/files/audio/s0.wav")).unwrap();
    fs::write(shell.path("runs/talk/files/audio/s2.wav"), "short").unwrap();
    let said = text(&shell).says("`files/audio/s0.wav` is gone: s0");
    said.says("`files/audio/s2.wav` has 5 bytes, not 13: s2");
    let plan = plan(&shell);
    assert_eq!(why(&plan, "audio"), pairs(&[("s0", "file"), ("s2", "file")]));
    assert_eq!(why(&plan, "video"), pairs(&[("", "behind")]));
    assert_eq!(why(&plan, "script"), []);
}

fn failed() {
    let mut shell = Shell::new();
    // `glossary` goes without what fails: it is to be made again.
    shell.set("FAIL", "audio s1,define calm:");
    shell.run(&["run"]).exits(3);
    let plan = plan(&shell);
    assert_eq!(why(&plan, "audio"), pairs(&[("s1", "failed")]));
    assert_eq!(why(&plan, "video"), pairs(&[("", "new")]));
    assert_eq!(why(&plan, "define"), pairs(&[("calm:", "failed")]));
    assert_eq!(why(&plan, "glossary"), pairs(&[("", "behind")]));
    text(&shell).says("failed last time: s1");
}

fn in_doubt() {
    let mut shell = Shell::new();
    shell.run(&["run", "--limit", "1"]).succeeds();
    shell.forget_traces();
    shell.set("MS", "60000");
    let mut run = shell.start(&["run"], "script", 2);
    assert!(text(&shell).says("in flight: s1, s2").out.lines().all(|l| !l.contains("doubt")));
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(why(&plan(&shell), "script"), pairs(&[("s1", "in_doubt"), ("s2", "in_doubt")]));
    let said = text(&shell).says("in doubt: s1, s2");
    said.says("2 steps in doubt: begun, and may have been paid for; again that is about $0.004");
    // Another input makes another call: that one was never begun.
    shell.set("EDITED", "1");
    assert_eq!(why(&plan(&shell), "script"), pairs(&[("s1", "new"), ("s2", "in_doubt")]));
}

fn time() {
    let mut shell = Shell::new();
    shell.run(&["run", "--only", "script"]).succeeds();
    shell.set("CALLS", "10");
    // At most 10 a minute: a burst of 1, then one in 6 s and a bit; the limiter starts empty.
    let plan = plan(&shell);
    let takes = plan["stages"][1]["takes_s"].as_f64().unwrap();
    assert!((15.0..21.0).contains(&takes), "3 calls at 10 a minute in {takes} s");
    text(&shell).says("\nat least 1").says(" s, for the slowest stage");
}

fn comes_true() {
    let mut shell = Shell::after_a_run();
    for (name, value) in [("EDITED", "2"), ("STYLE", "loud"), ("VERSION", "2"), ("SLIDES", "5")] {
        shell.set(name, value);
        let plan = plan(&shell);
        let of = |stage: usize| plan["stages"][stage]["run"].as_u64().unwrap();
        shell.forget_traces();
        shell.run(&["run"]).succeeds();
        for (n, stage) in ["script", "audio", "video", "words"].iter().enumerate() {
            // A version that changes nothing stops there: what is behind it is as it was.
            let at_most = name == "VERSION";
            let (planned, ran) = (of(n), shell.traced(stage) as u64);
            assert!(
                ran == planned || at_most && ran <= planned,
                "{name} {stage}: {planned}, {ran}"
            );
        }
        text(&shell).says("nothing to do");
    }
}

fn dry_run() {
    let shell = Shell::new();
    let said = shell.run(&["run", "--dry-run"]).succeeds();
    said.says("run talk: at least 9 steps to run").says("new: s0, s1, s2");
    let said = shell.run(&["run", "--dry-run", "--only", "script"]).succeeds();
    let said = said.says("run talk: 3 steps to run").says("new: s0, s1, s2");
    assert!(!said.out.contains("audio"), "{}", said.out);
    let said = shell.run(&["run", "--dry-run", "--limit", "1", "--json"]).succeeds();
    assert_eq!(why(&said.json(), "script"), pairs(&[("s0", "new")]));
    assert_eq!(shell.traced("script"), 0);
    assert!(!shell.path("runs").exists());
}

fn bad_input() {
    let mut shell = Shell::after_a_run();
    shell.run(&["plan", "--no-such-flag"]).exits(2).complains("--no-such-flag");
    shell.run(&["plan", "--run", "../x"]).exits(2).complains("../x");
    shell.run(&["plan", "--only", "adio"]).exits(2).complains("there is no stage `adio`");
    shell.set("TWICE", "1");
    shell.run(&["plan"]).exits(1).complains("of `Slides` have one key, `s0`");
    shell.set("TWICE", "");
    shell.set("NAME", "other");
    let said = shell.run(&["plan", "--run", "talk"]).exits(1);
    said.complains("was made by pipeline `talk`, not by `other`");
}
