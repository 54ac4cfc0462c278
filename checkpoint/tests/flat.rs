//! What a save costs does not depend on what is in the run: the same calls, the same bytes.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use checkpoint::{Batch, Checkpoint, Durability, RunId, verify};

const SIZES: [usize; 3] = [0, 1_000, 100_000];

fn run() -> RunId {
    RunId::new("r").unwrap()
}

fn fill(root: &Path, nodes: usize) {
    let checkpoint = Checkpoint::open(root, &run()).unwrap();
    let names: Vec<_> = (0..nodes).map(|node| format!("node-{node}")).collect();
    for some in names.chunks(10_000) {
        let put = |batch: Batch, name: &String| batch.put(name, &"some value").unwrap();
        checkpoint.save_all(some.iter().fold(Batch::new(), put)).unwrap();
    }
}

/// This thread's own count of what it read and wrote, from `/proc/thread-self/io`.
#[derive(Debug, Clone, Copy)]
struct Io {
    read: u64,
    written: u64,
    reads: u64,
    writes: u64,
}

impl Io {
    fn now() -> Option<Self> {
        let text = fs::read_to_string("/proc/thread-self/io").ok()?;
        let field = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            line.rsplit(' ').next()?.parse().ok()
        };
        let [read, written] = [field("rchar:")?, field("wchar:")?];
        Some(Self { read, written, reads: field("syscr:")?, writes: field("syscw:")? })
    }

    fn since(self, before: Self) -> Self {
        Self {
            read: self.read - before.read,
            written: self.written - before.written,
            reads: self.reads - before.reads,
            writes: self.writes - before.writes,
        }
    }
}

#[test]
fn bytes_and_calls_of_a_save_do_not_depend_on_the_state() {
    // Enough to outgrow the longest step of space made ahead.
    const SAVES: u64 = 1200;
    let mut seen = Vec::new();
    for nodes in SIZES {
        let root = tempfile::tempdir().unwrap();
        fill(root.path(), nodes);
        let log = root.path().join("r/checkpoint.log");
        let checkpoint = Checkpoint::open(root.path(), &run()).unwrap();
        let size =
            || (verify(root.path(), &run()).unwrap().bytes, fs::metadata(&log).unwrap().len());
        let (records, len) = size();
        let Some(before) = Io::now() else {
            println!("SKIPPED: no /proc/thread-self/io here");
            return;
        };
        for save in 0..SAVES {
            // The same way into the log, without its flush; the trace below has the flush.
            let value = format!("{save:0200}");
            checkpoint.save_with("one", &value, Durability::Process).unwrap();
        }
        let io = Io::now().unwrap().since(before);
        let after = size();
        let (records, grown) = (after.0 - records, after.1 - len);
        println!("flat: {SAVES} saves into {nodes} nodes: {io:?}, {records} bytes of records");
        // Looking for others' records takes a byte each; counting reads its own file once.
        assert!(io.reads <= SAVES + 8 && io.read <= SAVES + 1024, "{nodes}: {io:?}");
        // Beside each record only space made ahead, in ever longer steps from 4 KiB on.
        assert!(io.written <= records + grown, "{nodes}: {io:?}, {records}, {grown}");
        assert!(io.writes <= SAVES + grown / 4096 + 1, "{nodes}: {io:?}");
        assert!(after.1 - after.0 <= 256 << 10, "{nodes}: {after:?}: too much space ahead");
        seen.push(records);
    }
    // A number may have more digits.
    assert!(seen.iter().all(|records| records.abs_diff(seen[0]) <= SAVES * 12), "{seen:?}");
}

/// Not a test of its own: what is traced.
#[test]
fn worker_entry() {
    let Some(root) = std::env::var_os("RATCHET_ROOT") else { return };
    let checkpoint = Checkpoint::open(Path::new(&root), &run()).unwrap();
    for step in 0..6 {
        checkpoint.save("traced", &step).unwrap();
        println!("ACKNOWLEDGED {step}");
    }
}

/// The calls between the acknowledgements, by name.
fn calls(trace: &str) -> Vec<Vec<String>> {
    let mut saves = vec![Vec::new()];
    for line in trace.lines() {
        let call = line.split_once(' ').map_or("", |(_, call)| call.trim_start());
        let Some((name, rest)) = call.split_once('(') else { continue };
        if call.contains("ACKNOWLEDGED") {
            saves.push(Vec::new());
        } else if rest.contains("/r/checkpoint") || rest.contains("\"checkpoint") {
            saves.last_mut().unwrap().push(name.to_owned());
        }
    }
    saves
}

#[test]
fn the_calls_of_a_save_are_the_same_one_by_one() {
    let mut seen = Vec::new();
    for nodes in SIZES {
        let root = tempfile::tempdir().unwrap();
        fill(root.path(), nodes);
        let trace = root.path().join("trace");
        let mut child = Command::new("strace");
        child.args(["-f", "-y", "-e", "trace=%file,%desc", "-o"]).arg(&trace);
        child.arg(std::env::current_exe().unwrap());
        child.args(["worker_entry", "--exact", "--nocapture", "--test-threads=1"]);
        child.env("RATCHET_ROOT", root.path()).stdout(Stdio::null()).stderr(Stdio::null());
        if !child.status().is_ok_and(|status| status.success()) {
            println!("SKIPPED: no strace here");
            return;
        }
        let saves = calls(&fs::read_to_string(trace).unwrap());
        // The first ones make space ahead, the last is the worker's end.
        let last = saves[4..6].to_vec();
        assert!(last.iter().all(|save| save.iter().any(|call| call == "fdatasync")), "{last:?}");
        seen.push(last);
    }
    println!("flat: a save is {:?}", seen[0][0]);
    assert!(seen.iter().flatten().all(|save| *save == seen[0][0]), "{seen:?}");
}
