//! The reader in the format page, taken from there and run against logs that the crate made.

use std::path::Path;
use std::process::Command;

use checkpoint::{Batch, Checkpoint, RunId, read};

fn reader() -> &'static str {
    let page = include_str!("../FORMAT.md");
    page.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap()
}

/// What the reader makes of the log; `None` if there is no Python to run it.
fn in_python(root: &Path) -> Option<serde_json::Value> {
    let log = root.join("r/checkpoint.log");
    let output = Command::new("python3").arg("-c").arg(reader()).arg(log).output();
    let Ok(output) = output else {
        println!("SKIPPED: no python3 here");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn check(root: &Path) {
    let Some(python) = in_python(root) else { return };
    let ours = serde_json::to_value(read(root, &RunId::new("r").unwrap()).unwrap()).unwrap();
    assert_eq!(python["seq"], ours["seq"]);
    let nodes = ours["nodes"].as_object().unwrap();
    assert_eq!(python["nodes"].as_object().unwrap().len(), nodes.len());
    for (name, node) in nodes {
        assert_eq!(python["nodes"][name], node["value"], "{name}");
    }
}

/// The log without the white space that is kept ready behind the last record.
fn records(log: &Path) -> Vec<u8> {
    let mut bytes = std::fs::read(log).unwrap();
    while bytes.ends_with(b"\n\n") {
        bytes.pop();
    }
    bytes
}

#[test]
fn it_reads_what_we_write() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::open(root.path(), &RunId::new("r").unwrap()).unwrap();
    check(root.path());
    for step in 0..5 {
        checkpoint.save(&format!("é\"\n{step}"), &(step, "v")).unwrap();
    }
    checkpoint.remove("é\"\n1").unwrap();
    checkpoint.save_all(Batch::new().put("b", &1.5).unwrap().remove("é\"\n2")).unwrap();
    check(root.path());
    checkpoint.compact().unwrap();
    check(root.path());
    checkpoint.save("after", &serde_json::json!({"a": [null]})).unwrap();
    check(root.path());
    // A torn tail.
    let log = root.path().join("r/checkpoint.log");
    let bytes = records(&log);
    std::fs::write(&log, &bytes[..bytes.len() - 3]).unwrap();
    check(root.path());
}

#[test]
fn it_is_twenty_lines() {
    let lines = reader().lines().filter(|line| !line.trim().is_empty()).count();
    assert!(lines <= 22, "{lines}");
}
