//! Commands that look at a run: without its lock, without its deck, without a change.

use std::fs;

use serde_json::Value;

use crate::shell::{Said, Shell, everything};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_look_changes_nothing_and_leaves_the_deck_alone", a_look_changes_nothing),
    ("a_live_run_is_looked_at_without_its_lock", a_live_run_is_looked_at_without_its_lock),
    ("a_run_that_is_not_there_is_named_with_those_that_are", no_such_run),
    ("a_reader_that_leaves_early_is_no_error", reader_leaves),
    ("a_watch_ends_with_the_run", watch),
    ("bad_arguments_are_usage_errors", bad_arguments),
    ("damage_of_the_checkpoint_is_found_by_every_command", damaged_checkpoint),
    ("damage_of_the_checkpoint_is_salvaged_on_request", salvage),
    ("export_writes_the_columns_of_a_joblog", joblog),
    ("failures_group_items_by_cause", failures_group_items_by_cause),
    ("failures_name_what_failed_in_json", failures_in_json),
    ("graph_draws_what_is_not_run_yet", graph_of_no_run),
    ("graph_draws_stages_with_their_counts", graph_counts),
    ("results_are_lines_of_json", results_are_lines_of_json),
    ("results_of_one_stage_are_a_table", results_of_one_stage),
    ("status_counts_steps_by_stage", status_counts),
    ("status_names_what_is_in_doubt_after_a_kill", doubt),
    ("verify_finds_rewritten_and_missing_files", verify_finds_damage),
    ("verify_says_what_is_whole", verify_whole),
];

const LOOKS: &[&[&str]] = &[
    &["status"],
    &["status", "--json"],
    &["failures"],
    &["failures", "--json"],
    &["results"],
    &["results", "--jsonl"],
    &["verify"],
    &["verify", "--json"],
    &["graph"],
    &["graph", "--mermaid"],
    &["graph", "--dot"],
    &["report"],
    &["trace"],
    &["export", "--joblog"],
];

fn a_look_changes_nothing() {
    let shell = Shell::after_a_run();
    let before = everything(&shell.path("runs"));
    shell.forget_traces();
    for look in LOOKS {
        let said = shell.run(look).succeeds();
        assert!(!said.out.is_empty() || look[0] == "failures", "{look:?}");
        assert!(!said.out.contains('\u{1b}'), "{look:?}: no escape codes off a terminal");
        assert_eq!(said.err, "", "{look:?}");
        let long = said.out.lines().any(|line| line.ends_with(' '));
        assert!(!long, "{look:?}: trailing spaces\n{}", said.out);
    }
    assert_eq!(shell.traced("deck"), 0, "a look pulled a slide");
    assert!(everything(&shell.path("runs")) == before, "a look changed the run");
}

fn a_live_run_is_looked_at_without_its_lock() {
    let mut shell = Shell::new();
    shell.set("MS", "60000");
    let mut run = shell.start(&["run"], "script", 2);
    for look in LOOKS {
        shell.run(look).succeeds();
    }
    shell.run(&["status"]).says("running, process").shows("script - ? - 2");
    shell.run(&["run"]).exits(75).complains(&format!("process {}", run.id()));
    run.kill().unwrap();
    run.wait().unwrap();
}

fn reader_leaves() {
    let shell = Shell::after_a_run();
    let plan: &[&str] = &["plan"];
    for look in LOOKS.iter().copied().chain([plan]) {
        assert_eq!(shell.run_unread(look).succeeds().err, "", "{look:?}");
    }
    // Nor is it a reason to stop a run.
    let shell = Shell::new();
    shell.run_unread(&["run", "--json"]).succeeds();
    shell.run(&["status"]).shows("glossary 1 1 - -");
}

fn watch() {
    let mut shell = Shell::new();
    shell.set("MS", "400"); // some seconds in all, of which a watch sees each
    let mut run = shell.start(&["run"], "script", 2);
    let looks = shell.run(&["status", "--watch", "--json"]).succeeds().lines();
    assert!(run.wait().unwrap().success());
    let states: Vec<&str> = looks.iter().map(|look| look["state"].as_str().unwrap()).collect();
    let (last, before) = states.split_last().unwrap();
    assert_eq!(*last, "finished", "{states:?}");
    assert!(!before.is_empty() && before.iter().all(|state| *state == "running"), "{states:?}");
}

fn no_such_run() {
    let shell = Shell::new();
    for look in LOOKS.iter().filter(|look| look[0] != "graph") {
        shell.run(look).exits(2).complains("there is no run `talk`");
    }
    assert!(!shell.path("runs").exists(), "looking makes nothing");
    shell.run(&["run"]).succeeds();
    for look in LOOKS.iter().filter(|look| look[0] != "graph") {
        let args: Vec<&str> = look.iter().copied().chain(["--run", "tlak"]).collect();
        shell.run(&args).exits(2).complains("`--run` may be `talk`");
    }
}

fn bad_arguments() {
    let shell = Shell::after_a_run();
    for command in
        ["run", "status", "failures", "results", "verify", "graph", "report", "trace", "export"]
    {
        shell.run(&[command, "--no-such-flag"]).exits(2).complains("--no-such-flag");
        shell.run(&[command, "--run", "../x"]).exits(2).complains("../x");
        shell.run(&[command, "--help"]).succeeds().says("--root");
    }
    shell.run(&["--help"]).succeeds().says("Makes a film of a talk\n");
    shell.run(&["nonsense"]).exits(2).complains("nonsense");
    shell.run(&["export"]).exits(2).complains("--joblog");
    shell.run(&["graph", "--dot", "--mermaid"]).exits(2).complains("cannot be used with");
    for command in ["failures", "results"] {
        let said = shell.run(&[command, "scirpt"]).exits(2).complains("there is no stage `scirpt`");
        said.complains("`script`, `audio`");
    }
}

fn damaged_checkpoint() {
    let shell = Shell::after_a_run();
    let log = shell.path("runs/talk/checkpoint.log");
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&log, bytes).unwrap();
    for look in LOOKS {
        let said = shell.run(look).exits(1).complains("is damaged at byte");
        assert!(!said.complains("`verify --salvage`").err.contains("checkpoint::"), "{look:?}");
    }
}

fn salvage() {
    let shell = Shell::after_a_run();
    let stages = ["script", "audio", "video", "words", "define", "glossary"];
    let calls = || stages.map(|stage| shell.traced(stage)).iter().sum::<usize>();
    let (first, results) = (calls(), shell.run(&["results", "--jsonl"]).succeeds());
    let log = shell.path("runs/talk/checkpoint.log");
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&log, &bytes).unwrap();
    let said = shell.run(&["verify", "--salvage"]).succeeds().says("did not verify");
    said.says(": whole").says("the old file is");
    let aside = fs::read_dir(shell.path("runs/talk/quarantine")).unwrap().next().unwrap().unwrap();
    assert_eq!(fs::read(aside.path()).unwrap(), bytes, "what was damaged is kept");
    // What is whole is left alone, asked or not.
    let before = everything(&shell.path("runs"));
    shell.run(&["verify", "--salvage"]).succeeds();
    assert!(everything(&shell.path("runs")) == before);
    // Only what was lost runs again.
    shell.run(&["run"]).succeeds();
    let again = calls() - first;
    assert!(again < first, "{again} of {first} calls were made again");
    let values = |said: &Said| -> Vec<(Value, Value)> {
        let lines = said.lines().into_iter();
        lines.map(|line| (line["item"].clone(), line["value"].clone())).collect()
    };
    assert_eq!(values(&shell.run(&["results", "--jsonl"]).succeeds()), values(&results));
}

fn joblog() {
    let mut shell = Shell::new();
    shell.set("FAIL", "audio s1");
    shell.run(&["run"]).exits(3);
    let said = shell.run(&["export", "--joblog"]).succeeds();
    let mut lines = said.out.lines();
    let columns = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand";
    assert_eq!(lines.next(), Some(columns));
    let mut jobs = Vec::new();
    let mut begun = 0.0;
    for (n, line) in lines.enumerate() {
        let fields: Vec<&str> = line.split('\t').collect();
        assert_eq!(fields.len(), 9, "{line}");
        assert_eq!(fields[0].parse(), Ok(n + 1));
        assert_eq!(fields[1], ":");
        let at: f64 = fields[2].parse().unwrap();
        assert!(at >= begun && at > 1.6e9, "{line}");
        begun = at;
        assert!(fields[3].trim().parse::<f64>().is_ok(), "{line}");
        jobs.push((fields[8], fields[6]));
    }
    jobs.sort_unstable();
    let audio: Vec<_> = jobs.iter().filter(|(job, _)| job.starts_with("audio")).collect();
    assert_eq!(audio, [&("audio s0", "0"), &("audio s1", "1"), &("audio s2", "0")]);
    assert!(!jobs.iter().any(|(job, _)| *job == "video"), "it was blocked: {jobs:?}");
}

fn failures_group_items_by_cause() {
    let mut shell = Shell::new();
    shell.set("FAIL", "audio s1,audio s2,glossary ");
    shell.run(&["run"]).exits(3);
    let said = shell.run(&["failures"]).succeeds().says("run talk: 3 steps failed");
    let said = said.says("audio, 2 items: 401: the key is wrong").says("\nglossary: 401");
    assert_eq!(said.out.matches("401").count(), 2, "{}", said.out);
    let said = said.shows("item attempts spent when").shows("s1 1 $0.002 just now");
    said.shows("(the run) 1 $0.002 just now");
    let said = shell.run(&["failures", "audio"]).succeeds().says("2 steps failed");
    assert!(!said.out.contains("glossary"), "{}", said.out);
    shell.run(&["failures", "script"]).succeeds().says("nothing failed");
    shell.unset("FAIL");
    shell.run(&["run"]).succeeds();
    shell.run(&["failures"]).succeeds().says("run talk: nothing failed");
}

fn failures_in_json() {
    let mut shell = Shell::new();
    shell.set("FAIL", "audio s1,audio s2");
    shell.run(&["run"]).exits(3);
    let failed = shell.run(&["failures", "--json"]).succeeds().lines();
    let items: Vec<_> = failed.iter().map(|failed| &failed["item"]).collect();
    assert_eq!(items, ["s1", "s2"]);
    assert_eq!(failed[0]["stage"], "audio");
    assert_eq!(failed[0]["cause"], "401: the key is wrong");
    assert_eq!(failed[0]["attempts"], 1);
    assert_eq!(failed[0]["spent_usd"], 0.002);
}

fn graph_of_no_run() {
    let shell = Shell::new();
    let said = shell.run(&["graph"]).succeeds().says("flowchart LR\n").says("[\"script\"]");
    said.says("([\"style\"])").says("[/\"Slides\"/]").says("==>|all|");
    shell.run(&["graph", "--dot"]).succeeds().says("digraph pipeline {").says("label=\"script\"");
    assert!(!shell.path("runs").exists(), "looking makes nothing");
    assert_eq!(shell.traced("deck"), 0, "it pulled a slide");
}

fn graph_counts() {
    let mut shell = Shell::new();
    shell.set("FAIL", "audio s1");
    shell.run(&["run"]).exits(3);
    let said = shell.run(&["graph", "--mermaid"]).succeeds();
    let said = said.says("[\"audio<br/>2 of 3 done, 1 failed\"]:::failed");
    said.says("[\"script<br/>3 of 3 done\"]:::done").says("[/\"Slides<br/>3 items\"/]");
    let said = shell.run(&["graph", "--dot"]).succeeds();
    said.says("label=\"audio\\n2 of 3 done, 1 failed\", shape=box");
}

fn results_are_lines_of_json() {
    let shell = Shell::after_a_run();
    let results = shell.run(&["results", "--jsonl"]).succeeds().lines();
    let script: Vec<_> = results.iter().filter(|result| result["stage"] == "script").collect();
    assert_eq!(script.len(), 3);
    assert_eq!(script[1]["item"], "s1");
    assert_eq!(script[1]["value"], "calm: slide 1");
    assert_eq!(script[1]["spent_usd"], 0.002);
    let video = results.iter().find(|result| result["stage"] == "video").unwrap();
    assert_eq!(video["files"][0]["path"], "files/video.mp4");
    assert_eq!(video["item"], "");
    let audio = shell.run(&["results", "audio", "video", "--jsonl"]).succeeds().lines();
    assert_eq!(audio.len(), 4);
}

fn results_of_one_stage() {
    let shell = Shell::after_a_run();
    let said = shell.run(&["results", "script"]).succeeds();
    assert_eq!(said.out.lines().count(), 4, "{}", said.out);
    let said = said.says("step ").says("script [s1]").says("\"calm: slide 1\"");
    assert!(!said.out.contains("video"), "{}", said.out);
    shell.run(&["results", "audio"]).succeeds().says("files/audio/s0.wav, 13 bytes");
}

fn status_counts() {
    let mut shell = Shell::new();
    shell.set("FAIL", "audio s1");
    shell.run(&["run"]).exits(3);
    let said = shell.run(&["status"]).succeeds().says("run talk of talk: finished with failures");
    let said = said.shows("stage done of failed in doubt").shows("script 3 3 - -");
    said.shows("audio 2 3 1 -").shows("video - 1 - -");
    let status = shell.run(&["status", "--json"]).succeeds().json();
    assert_eq!(status["state"], "failures");
    assert_eq!(status["stages"][1]["name"], "audio");
    assert_eq!(status["stages"][1]["failed"], 1);
}

fn doubt() {
    let mut shell = Shell::new();
    shell.set("MS", "60000");
    let mut run = shell.start(&["run"], "script", 2);
    run.kill().unwrap();
    run.wait().unwrap();
    let said =
        shell.run(&["status"]).succeeds().says("run talk of talk: died; run it again to go on");
    let said = said.shows("script - ? - 2").says("in doubt: begun").says("script [s0],");
    let status = shell.run(&["status", "--json"]).succeeds().json();
    assert_eq!(status["state"], "died");
    let key = status["calls"][0]["idempotency_key"].as_str().unwrap();
    assert_eq!(key.len(), 64);
    said.says(key);
    // Nobody to watch: it says how it is, and leaves.
    shell.run(&["status", "--watch"]).succeeds().says("died");
}

fn verify_whole() {
    let shell = Shell::after_a_run();
    let said = shell.run(&["verify"]).succeeds();
    let said = said.says("bytes: whole").says("artefacts   4 files, 78 bytes: whole\n");
    assert_eq!(said.out.lines().count(), 2, "{}", said.out);
    let verified = shell.run(&["verify", "--json"]).succeeds().json();
    assert_eq!(verified["files"], 4);
    assert_eq!(verified["damaged"].as_array().map(Vec::len), Some(0));
}

fn verify_finds_damage() {
    let shell = Shell::after_a_run();
    fs::write(shell.path("runs/talk/files/audio/s0.wav"), "calm: slide X").unwrap();
    fs::remove_file(shell.path("runs/talk/files/audio/s1.wav")).unwrap();
    let said = shell.run(&["verify"]).exits(1).says("4 files, 78 bytes: 2 damaged");
    let said = said.says("audio [s0]: `files/audio/s0.wav` holds other bytes than were recorded");
    let said = said.says("audio [s1]: `files/audio/s1.wav` is gone");
    let remedy = said.out.lines().find(|line| line.trim().starts_with("rm ")).unwrap().trim();
    assert!(!remedy.contains("s1.wav"), "it is gone: {remedy}");
    let verified = shell.run(&["verify", "--json"]).exits(1).json();
    assert_eq!(verified["damaged"][0]["file"], "files/audio/s0.wav");
    // The remedy works.
    fs::remove_file(remedy.strip_prefix("rm ").unwrap()).unwrap();
    shell.run(&["run"]).succeeds();
    shell.run(&["verify"]).succeeds();
}
