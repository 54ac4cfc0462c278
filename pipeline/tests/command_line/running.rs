//! `run` and its options.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::shell::Shell;

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("bad_options_of_run_are_usage_errors", bad_options),
    ("json_events_tell_the_run_and_no_value", json_events),
    ("json_events_tell_what_failed", json_failures),
    ("limit_tries_the_first_items_and_the_rest_comes_later", limit),
    ("off_a_terminal_a_stage_that_is_over_is_one_plain_line", plain_lines),
    ("only_runs_a_stage_and_what_it_needs", only),
    ("workers_of_a_stage_can_be_set", workers),
];

fn plain_lines() {
    let mut shell = Shell::new();
    shell.set("FAIL", "audio s1");
    let said = shell.run(&["run"]).exits(3);
    assert_eq!(said.out, "", "progress is not output");
    assert!(!said.err.contains('\u{1b}'), "{}", said.err);
    let lines: Vec<&str> = said.err.lines().collect();
    assert!(lines.contains(&"script    3/3"), "{}", said.err);
    assert!(lines.contains(&"audio     3/3  1 failed"), "{}", said.err);
    assert!(lines.contains(&"video     1/1  1 blocked"), "{}", said.err);
    let last = "talk: 12 ran, 0 reused, 1 failed, 1 blocked\naudio [s1]: 401: the key is wrong\n";
    assert!(said.err.ends_with(last), "{}", said.err);
    shell.unset("FAIL");
    let said = shell.run(&["run"]).succeeds();
    assert!(said.err.contains("audio     3/3  2 reused\n"), "{}", said.err);
}

fn json_events() {
    let shell = Shell::new();
    let said = shell.run(&["run", "--json"]).succeeds();
    assert_eq!(said.err, "", "everything is in the events");
    let events = said.lines();
    assert_eq!(events[0]["event"], "began");
    assert_eq!(events[0]["stages"][0], "script");
    assert_eq!(events.last().unwrap()["event"], "report");
    assert_eq!(events.last().unwrap()["end"], "finished");
    assert_eq!(events.last().unwrap()["stages"][1]["ran"], 3);
    let mut of_s1 = Vec::new();
    for event in &events {
        assert!(event["at_ms"].as_u64().unwrap() > 1_600_000_000_000, "{event}");
        if event["item"] == "s1" && event["stage"] == "script" {
            of_s1.push(event["event"].as_str().unwrap());
        }
    }
    assert_eq!(of_s1, ["queued", "started", "done"]);
    for secret in ["calm", "slide 1"] {
        // A word is an item's key here; nothing else of a text may be told.
        let told = events.iter().any(|event| event["stage"] != "define" && has(event, secret));
        assert!(!told, "a value in an event: {}", said.out);
    }
    let again = shell.run(&["run", "--json"]).succeeds().lines();
    let reused = again.iter().filter(|event| event["event"] == "reused").count();
    assert_eq!(reused, 14);
}

fn has(event: &Value, text: &str) -> bool {
    event.to_string().contains(text)
}

fn json_failures() {
    let mut shell = Shell::new();
    shell.set("FAIL", "audio s1");
    let events = shell.run(&["run", "--json"]).exits(3).lines();
    let mut kinds = BTreeMap::<&str, Vec<&Value>>::new();
    for event in &events {
        kinds.entry(event["event"].as_str().unwrap()).or_default().push(event);
    }
    assert_eq!(kinds["failed"].len(), 1);
    assert_eq!(kinds["failed"][0]["item"], "s1");
    assert_eq!(kinds["failed"][0]["cause"], "401: the key is wrong");
    assert_eq!(kinds["blocked"].len(), 1);
    assert_eq!(kinds["blocked"][0]["stage"], "video");
    assert_eq!(kinds["closed"].len(), 2, "the slides' and the words'");
}

fn limit() {
    let mut shell = Shell::new();
    shell.set("SLIDES", "10");
    shell.run(&["run", "--limit", "2"]).succeeds();
    assert_eq!((shell.traced("script"), shell.traced("video")), (2, 1));
    assert_eq!(shell.traced("deck"), 2, "the third slide was pulled");
    shell.run(&["run"]).succeeds();
    assert_eq!((shell.traced("script"), shell.traced("video")), (10, 2));
}

fn only() {
    let shell = Shell::new();
    shell.run(&["run", "--only", "audio"]).succeeds();
    assert_eq!((shell.traced("script"), shell.traced("audio")), (3, 3));
    assert_eq!((shell.traced("words"), shell.traced("video")), (0, 0));
}

fn workers() {
    let mut shell = Shell::new();
    shell.set("SLIDES", "6");
    shell.set("MS", "60000");
    // Six are in flight at once, or this waits for a minute and fails.
    let mut run =
        shell.start(&["run", "--workers", "script=6", "--workers", "audio=3"], "script", 6);
    run.kill().unwrap();
    run.wait().unwrap();
    shell.run(&["status"]).succeeds().shows("script - ? - 6");
}

fn bad_options() {
    let shell = Shell::new();
    for (args, said) in [
        (["--workers", "audio"], "STAGE=N"),
        (["--workers", "audio=0"], "1 or more"),
        (["--workers", "audio=many"], "1 or more"),
        (["--workers", "adio=2"], "there is no stage `adio`: the stages are `script`, `audio`"),
        (["--only", "adio"], "there is no stage `adio`"),
        (["--limit", "0"], "0"),
        (["--limit", "some"], "some"),
        (["--halt-after", "some"], "some"),
    ] {
        shell.run(&["run", args[0], args[1]]).exits(2).complains(said);
    }
    assert_eq!(shell.traced("script"), 0);
}
