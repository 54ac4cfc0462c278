//! `trace` and `report`: a run as a drawing.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::shell::Shell;

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("report_is_a_page_that_needs_nothing_else", page),
    ("report_names_what_is_in_doubt", page_of_a_killed_run),
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
    let second = events
        .0
        .iter()
        .find(|event| event["cat"] == "done" && event["args"]["attempt"] == 2)
        .unwrap();
    assert_eq!(second["name"], "s0");
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

/// Every element is closed, in its order: nothing from a run got in as markup.
fn is_well_nested(page: &str) {
    let mut open = Vec::new();
    for tag in page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
        let name = tag.split(|c: char| c.is_whitespace() || c == '/').find(|name| !name.is_empty());
        match (tag.as_bytes(), name.unwrap()) {
            (_, "!doctype" | "meta") | ([.., b'/'], _) => {}
            ([b'/', ..], name) => assert_eq!(open.pop(), Some(name), "in {tag}"),
            (_, name) => open.push(name),
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

fn page() {
    let mut shell = Shell::new();
    shell.set("MS", "20"); // long enough to be drawn
    shell.set("AGAIN", "script s0");
    shell.set("LATER", "audio s1");
    shell.set("FAIL", "audio s2");
    shell.run(&["run"]).exits(3);
    let said = shell.run(&["report"]).succeeds().says("<!doctype html>");
    is_well_nested(&said.out);
    for from_elsewhere in ["http", "src=", "href=", "url(", "@import"] {
        assert!(!said.out.contains(from_elsewhere), "{from_elsewhere}");
    }
    let said = said.says("<h1>talk, run talk</h1>").says("finished with failures · last begun 2");
    let said = said.says("<tr><td>script</td><td>3</td><td>3</td><td>-</td><td>-</td><td>4</td>");
    let said = said.says("<tr><td>video</td><td>-</td><td>1</td><td>-</td><td>-</td><td>-</td>");
    for drawn in ["done", "again", "no-capacity", "failed"] {
        assert!(said.out.contains(&format!("<rect class=\"{drawn}\"")), "{drawn}:\n{}", said.out);
    }
    let said = said.says("<title>audio [s2]: failed, ").says("<p>audio [s2]</p>");
    said.says("<pre>401: the key is wrong</pre>");
}

fn page_of_a_killed_run() {
    let mut shell = Shell::new();
    shell.set("MS", "60000");
    let mut run = shell.start(&["run"], "script", 2);
    let said = shell.run(&["report"]).succeeds().says("<rect class=\"running\"");
    assert!(!said.says("<th>in flight</th>").out.contains("In doubt"));
    run.kill().unwrap();
    run.wait().unwrap();
    let said = shell.run(&["report"]).succeeds().says("<rect class=\"in-doubt\"");
    is_well_nested(&said.out);
    let said = said.says("<h2>In doubt: begun").says("<p>script [s0], begun 2");
    let status = shell.run(&["status", "--json"]).succeeds().json();
    said.says(status["calls"][0]["idempotency_key"].as_str().unwrap());
}
