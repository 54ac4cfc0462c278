//! `retry`: what failed and what depends on it, nothing else.

use crate::shell::{Shell, everything};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_retry_makes_nothing_that_goes_without_what_was_left", forgiving),
    ("a_retry_of_all_runs_what_failed_and_what_depends_on_it", all),
    ("a_retry_of_an_item_leaves_the_others", item),
    ("a_retry_of_bad_input_says_what_is_wrong", bad_input),
    ("a_retry_runs_nothing_that_did_not_fail", nothing_else),
    ("a_retry_that_fails_again_says_so", fails_again),
    ("a_retry_without_failures_does_nothing", no_failures),
];

/// Two slides whose sound failed.
fn failed() -> Shell {
    let mut shell = Shell::new();
    shell.set("FAIL", "audio s1,audio s2");
    shell.run(&["run"]).exits(3);
    shell.unset("FAIL");
    shell.forget_traces();
    shell
}

fn all() {
    let shell = failed();
    shell.run(&["retry"]).succeeds().complains("3 ran, ");
    let traced = ["script", "audio", "video", "words"].map(|stage| shell.traced(stage));
    assert_eq!(traced, [0, 2, 1, 0]);
    shell.run(&["status"]).succeeds().shows("audio 3 3 - -").shows("video 1 1 - -");
    shell.run(&["plan"]).succeeds().says("nothing to do");
}

fn item() {
    let shell = failed();
    let said = shell.run(&["retry", "audio", "s2"]).succeeds();
    said.complains("1 ran, ").complains("1 other step that would run, and what needs them, left");
    assert_eq!((shell.traced("audio"), shell.traced("video")), (1, 0));
    // What was left is still what it was.
    shell.run(&["failures"]).succeeds().says("1 step failed").shows("s1 1 $0.002 just now");
    shell.run(&["retry", "audio"]).succeeds();
    assert_eq!((shell.traced("audio"), shell.traced("video")), (2, 1));
}

fn nothing_else() {
    let mut shell = failed();
    // Everything is to be made anew, and new slides have come.
    shell.set("SLIDES", "6");
    let said = shell.run(&["retry", "audio"]).succeeds();
    let said = said.complains("script    6/6  3 left, 3 reused");
    assert!(said.err.contains("audio     6/6  3 blocked, 1 reused"), "{}", said.err);
    assert_eq!(["script", "audio", "video"].map(|stage| shell.traced(stage)), [0, 2, 0]);
    shell.run(&["run"]).succeeds();
    assert_eq!(["script", "audio", "video"].map(|stage| shell.traced(stage)), [3, 5, 1]);
}

fn forgiving() {
    let mut shell = Shell::new();
    shell.set("FAIL", "define 0,define 1,glossary ");
    shell.run(&["run"]).exits(3);
    shell.unset("FAIL");
    shell.forget_traces();
    // `glossary` goes without what failed, but `define [1]` is only left: not asked for.
    shell.run(&["retry", "define", "0"]).succeeds();
    assert_eq!((shell.traced("define"), shell.traced("glossary")), (1, 0));
    shell.run(&["retry"]).succeeds();
    assert_eq!((shell.traced("define"), shell.traced("glossary")), (2, 1));
}

fn fails_again() {
    let mut shell = failed();
    shell.set("FAIL", "audio s1");
    shell.run(&["retry"]).exits(3).complains("audio [s1]: 401: the key is wrong");
    shell.run(&["failures"]).says("1 step failed");
    let events = shell.run(&["retry", "--json"]).exits(3).lines();
    assert!(events.iter().any(|event| event["event"] == "failed" && event["item"] == "s1"));
    assert_eq!(events.last().unwrap()["event"], "report");
}

fn no_failures() {
    let mut shell = Shell::after_a_run();
    let before = everything(&shell.path("runs"));
    shell.set("STYLE", "loud");
    shell.run(&["retry"]).succeeds().complains("nothing failed");
    shell.run(&["retry", "audio"]).succeeds().complains("nothing failed");
    assert!(everything(&shell.path("runs")) == before);
}

fn bad_input() {
    let shell = Shell::new();
    shell.run(&["retry"]).exits(2).complains("there is no run `talk`");
    let shell = failed();
    shell.run(&["retry", "adio"]).exits(2).complains("there is no stage `adio`");
    shell.run(&["retry", "audio", "s0"]).exits(2).complains("`audio [s0]` did not fail");
    shell.run(&["retry", "audio", "s1", "s9"]).exits(2).complains("`audio [s9]` did not fail");
    shell.run(&["retry", "--no-such-flag"]).exits(2).complains("--no-such-flag");
    shell.run(&["retry", "--run", "../x"]).exits(2).complains("../x");
    assert_eq!(shell.traced("audio"), 0);
}
