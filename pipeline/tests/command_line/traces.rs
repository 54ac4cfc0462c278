//! `trace`: a file that Perfetto draws.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::shell::Shell;

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("trace_shows_calls_waits_and_retries", calls_waits_and_retries),
    ("trace_shows_what_is_under_way_and_what_is_in_doubt", under_way_and_in_doubt),
];

struct Events(Vec<Value>);

impl Events {
    fn of(shell: &Shell) -> Self {
        let trace = shell.run(&["trace"]).succeeds().json();
        assert_eq!(trace["displayTimeUnit"], "ms");
        Events(trace["traceEvents"].as_array().unwrap().clone())
    }

    /// Of that kind, as `row: name`.
    fn kind(&self, kind: &str) -> Vec<String> {
        let rows = self.rows();
        let found = self.0.iter().filter(|event| event["ph"] == "X" && event["cat"] == kind);
        let said = found.map(|event| {
            let (row, name) = (&rows[&event["tid"].as_u64().unwrap()], &event["name"]);
            format!("{}: {}", row.rsplit_once(' ').unwrap().0, name.as_str().unwrap())
        });
        let mut said: Vec<String> = said.collect();
        said.sort_unstable();
        said
    }

    fn one(&self, kind: &str) -> &Value {
        self.0.iter().find(|event| event["cat"] == kind).unwrap()
    }

    /// The names of the rows by their numbers.
    fn rows(&self) -> BTreeMap<u64, String> {
        let about = self.0.iter().filter(|event| event["name"] == "thread_name");
        let rows = about.map(|event| {
            let name = event["args"]["name"].as_str().unwrap();
            (event["tid"].as_u64().unwrap(), name.to_string())
        });
        rows.collect()
    }

    /// A viewer draws what nests; here nothing needs to.
    fn do_not_overlap(&self) {
        let mut free = BTreeMap::new();
        for event in self.0.iter().filter(|event| event["ph"] == "X") {
            let (begin, length) = (event["ts"].as_u64().unwrap(), event["dur"].as_u64().unwrap());
            assert!(begin > 1_600_000_000_000_000, "microseconds since 1970: {event}");
            let free = free.entry(event["tid"].as_u64()).or_insert(0);
            assert!(begin >= *free, "it overlaps: {event}");
            *free = begin + length;
        }
    }
}

fn calls_waits_and_retries() {
    let mut shell = Shell::new();
    shell.set("AGAIN", "script s0");
    shell.set("LATER", "audio s1");
    shell.set("FAIL", "audio s2");
    shell.run(&["run"]).exits(3);
    let events = Events::of(&shell);
    events.do_not_overlap();
    assert_eq!(events.0[0]["args"]["name"], "talk, run talk");
    assert_eq!(events.kind("again"), ["script: s0"]);
    assert_eq!(events.kind("no capacity"), ["audio: s1"]);
    assert_eq!(events.kind("failed"), ["audio: s2"]);
    assert_eq!(events.one("failed")["args"]["cause"], "401: the key is wrong");
    assert_eq!(events.one("again")["args"]["attempt"], 1);
    let done = events.kind("done");
    assert_eq!(done.len(), shell.run(&["results", "--jsonl"]).succeeds().lines().len());
    for step in ["script: s0", "audio: s1", "glossary: glossary"] {
        assert!(done.iter().any(|done| done == step), "{step} of {done:?}");
    }
    let second = events.0.iter().find(|event| event["args"]["attempts"] == 2).unwrap();
    assert_eq!((&second["name"], &second["cat"]), (&"s0".into(), &"done".into()));
    // Its limiter is empty at the start.
    let waits = events.kind("wait");
    assert!(waits.iter().any(|wait| wait == "audio: waits for a permit"), "{waits:?}");
    assert!(!waits.iter().any(|wait| wait.starts_with("words")), "it has no limiter: {waits:?}");
}

fn under_way_and_in_doubt() {
    let mut shell = Shell::new();
    shell.set("MS", "60000");
    let mut run = shell.start(&["run"], "script", 2);
    let events = Events::of(&shell);
    events.do_not_overlap();
    assert_eq!(events.kind("running"), ["script: s0", "script: s1"]);
    let rows: Vec<String> = events.rows().into_values().collect();
    assert_eq!(rows, ["script 1", "script 2"]);
    run.kill().unwrap();
    run.wait().unwrap();
    let events = Events::of(&shell);
    assert_eq!(events.kind("in doubt"), ["script: s0", "script: s1"]);
    assert_eq!(events.one("in doubt")["dur"], 0, "nobody knows how long it went on");
}
