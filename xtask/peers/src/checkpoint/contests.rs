//! Who saves faster, into how much, from how many threads and processes.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use checkpoint::Checkpoint;
use peers::{Bars, Contest, Measured, Settings};
use tempfile::TempDir;

use crate::stores::{Make, Store, fjall, limit, ours, ours_handle, redb, run, sqlite, textbook};

/// On the disk that the build is on: a temporary folder may be memory.
fn folder() -> TempDir {
    let beside = std::env::current_exe().expect("a path");
    tempfile::tempdir_in(beside.parent().expect("a folder")).expect("a folder")
}

/// `count` saves of nodes that are there, from `threads` threads.
fn save(store: &dyn Store, count: u64, threads: u64, nodes: u64) -> u64 {
    // Never the same value: SQLite writes and flushes nothing when a row stays as it is.
    static SAVES: AtomicU64 = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for step in 0..count / threads {
                    let node = (thread + step * threads * 7919) % nodes.max(threads);
                    // ORDERING: Relaxed: only the number's uniqueness matters.
                    let unique = SAVES.fetch_add(1, Ordering::Relaxed);
                    let value = format!("{:x>180}{unique:020}", std::process::id());
                    store.save(&format!("node-{node}"), &value);
                }
            });
        }
    });
    count
}

struct Made {
    _root: TempDir,
    store: Box<dyn Store>,
}

fn make(make: Make, nodes: u64) -> Made {
    let root = folder();
    let store = make(root.path(), nodes);
    Made { _root: root, store }
}

/// Many short turns: what burdens the disk now burdens everybody's turn.
fn finely(settings: &Settings) -> Settings {
    Settings { rounds: if settings.quick { settings.rounds } else { 41 }, ..*settings }
}

/// Ours alone, into more and more.
pub fn flat(settings: &Settings, bars: &mut Bars) {
    let sizes = [0, 100, 1000, 10_000, 100_000];
    let made: Vec<_> = sizes.iter().map(|nodes| make(ours, *nodes)).collect();
    let count = settings.scaled(100);
    let mut contest = Contest::new("one thread, ours into more and more");
    for (nodes, made) in sizes.iter().zip(&made) {
        let name = format!("into {nodes}");
        contest = contest.entry(&name, move || save(&*made.store, count, 1, *nodes));
    }
    let outcome = contest.run(&finely(settings));
    let ratio = outcome.compared("into 100000", "into 0");
    bars.at_most("a save into 100 000 nodes ÷ into none", ratio, 1.1);
}

pub fn one_thread(settings: &Settings, bars: &mut Bars) {
    for nodes in [0, 100, 1000, 10_000, 100_000] {
        let all: [(&str, Make); 5] = [
            ("ours", ours),
            ("append and fdatasync", limit),
            ("SQLite WAL FULL", sqlite),
            ("redb", redb),
            ("fjall", fjall),
        ];
        let made = all.map(|(name, how)| (name, make(how, nodes)));
        let count = settings.scaled(100);
        let judged = nodes == 1000;
        let settings = if judged { finely(settings) } else { *settings };
        let title = format!("one thread, a 200-byte node into {nodes}");
        let mut contest = Contest::new(title);
        for (name, made) in &made {
            contest = contest.entry(name, move || save(&*made.store, count, 1, nodes));
        }
        let outcome = contest.run(&settings);
        if judged {
            let ratio = outcome.compared("append and fdatasync", "ours");
            bars.at_least("1 thread, share of the disk's limit", ratio, 0.9);
            let ratio = outcome.compared("SQLite WAL FULL", "ours");
            bars.at_least("1 thread, times SQLite", ratio, 1.0);
        }
    }
}

/// Apart: a megabyte rewritten and renamed burdens the disk for whoever comes after it.
pub fn textbook_in_rust(settings: &Settings) {
    let settings = Settings { rounds: 3, ..*settings };
    for nodes in [0, 100, 1000, 10_000, 100_000] {
        let (slow, floor) = (make(textbook, nodes), make(limit, nodes));
        let count = settings.scaled(50).max(1);
        // It rewrites everything each time: fewer saves tell as much.
        let few = if nodes > 10_000 { 2 } else { count };
        Contest::new(format!("one thread, the textbook in Rust into {nodes}"))
            .entry("textbook in Rust", || save(&*slow.store, few, 1, nodes))
            .entry("append and fdatasync", || save(&*floor.store, count, 1, nodes))
            .run(&settings);
    }
}

pub fn eight_threads(settings: &Settings, bars: &mut Bars) {
    let nodes = 1000;
    let root = folder();
    let handle = ours_handle(root.path(), nodes);
    let all: [(&str, Make); 4] = [
        ("append and fdatasync", limit),
        ("SQLite WAL FULL", sqlite),
        ("redb", redb),
        ("fjall", fjall),
    ];
    let made = all.map(|(name, how)| (name, make(how, nodes)));
    let count = settings.scaled(800).max(64);
    let mut contest = Contest::new("eight threads, a 200-byte node into 1000")
        .entry("ours", || save(&handle, count, 8, nodes));
    for (name, made) in &made {
        contest = contest.entry(name, move || save(&*made.store, count, 8, nodes));
    }
    let outcome = contest.run(&Settings { rounds: (finely(settings).rounds / 2) | 1, ..*settings });
    bars.at_least("8 threads, times SQLite", outcome.compared("SQLite WAL FULL", "ours"), 3.5);
    bars.at_least("8 threads, saves a flush", saves_a_flush(root.path()), 6.0);
}

/// From the log: each record says how far the log was flushed when it was written.
fn saves_a_flush(root: &Path) -> f64 {
    let log = root.join(run().as_str()).join("checkpoint.log");
    let text = std::fs::read_to_string(log).expect("a log");
    let (mut saves, mut flushed) = (0, HashSet::new());
    // Space made ahead is empty lines.
    for line in text.lines().filter(|line| !line.is_empty()) {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        // Not those that a compaction copied: they are on the disk when they are written.
        if line[4] == "put" && line[3].as_u64() < line[2].as_u64() {
            saves += 1;
            flushed.insert(line[3].as_u64());
        }
    }
    f64::from(saves) / flushed.len().max(1) as f64
}

/// What a child does: `name:count:root`.
pub fn child(task: &str) {
    let mut parts = task.splitn(3, ':');
    let name = parts.next().expect("a name");
    let count = parts.next().and_then(|count| count.parse().ok()).expect("a count");
    let root = Path::new(parts.next().expect("a root"));
    if name == "fill" {
        return drop(ours_handle(root, count));
    }
    let store = match name {
        "ours" => ours(root, 0),
        "sqlite" => sqlite(root, 0),
        _ => textbook(root, 0),
    };
    save(&*store, count, 1, 100);
}

/// redb and fjall let only one process in.
pub fn four_processes(settings: &Settings) {
    let count = settings.scaled(100).max(4);
    let roots = [folder(), folder(), folder()];
    let made: [(&str, Make); 3] = [("ours", ours), ("sqlite", sqlite), ("textbook", textbook)];
    let mut contest = Contest::new("four processes, a 200-byte node each into 100, start included");
    for (root, (name, how)) in roots.iter().zip(made) {
        drop(how(root.path(), 100));
        contest = contest.entry(name, move || {
            let task = format!("{name}:{count}:{}", root.path().display());
            let program = std::env::current_exe().expect("a path");
            let start =
                || Command::new(&program).args(["--child", &task]).spawn().expect("started");
            let children: Vec<_> = (0..4).map(|_| start()).collect();
            for mut child in children {
                assert!(child.wait().expect("waited").success());
            }
            count * 4
        });
    }
    contest.run(settings);
}

pub fn opening(settings: &Settings, bars: &mut Bars) {
    let nodes = if settings.quick { 20_000 } else { 1_000_000 };
    let root = folder();
    // By another process: memory that this one has freed would hide what opening takes.
    let task = format!("fill:{nodes}:{}", root.path().display());
    let program = std::env::current_exe().expect("a path");
    assert!(Command::new(program).args(["--child", &task]).status().expect("run").success());
    let before = resident_bytes();
    let (mut times, mut cpu) = (Vec::new(), Vec::new());
    for round in 0..5 {
        let (start, cpu_start) = (Instant::now(), cpu_seconds());
        let handle = Checkpoint::open(root.path(), &run()).expect("opened");
        times.push(start.elapsed().as_secs_f64());
        cpu.push(cpu_seconds() - cpu_start);
        if round == 0 {
            let more = (resident_bytes() - before) / nodes as f64;
            println!("\nopening {nodes} nodes: {more:.0} bytes of memory a node, name included");
        }
        drop(handle);
    }
    println!("seconds: {times:.2?}, of CPU: {cpu:.2?}");
    bars.at_most("opening 1 000 000 nodes, seconds", Measured::of(times), 2.0);
}

/// Ticks of 10 ms in `/proc/self/stat` (`man 5 proc`).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn resident_bytes() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = statm.split(' ').nth(1).and_then(|p| p.parse().ok()).unwrap_or(0.0);
    pages * 4096.0
}

/// As the chapter has it; prints what a save costs.
const PYTHON: &str = r#"
import fcntl, json, os, sys, tempfile, time
root, nodes, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
path = os.path.join(root, "python.json")
def replace(state):
    fd, name = tempfile.mkstemp(dir=root)
    with os.fdopen(fd, "w") as f:
        json.dump(state, f); f.flush(); os.fsync(f.fileno())
    os.replace(name, path)
def save(node, value):
    with open(os.path.join(root, "python.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with open(path) as f: state = json.load(f)
        state[node] = value
        replace(state)
replace({f"node-{n}": "x" * 200 for n in range(nodes)})
start = time.perf_counter()
for n in range(count): save(f"node-{n}", "x" * 200)
print((time.perf_counter() - start) / count)
"#;

pub fn textbook_in_python(settings: &Settings) {
    println!("\n### The textbook in Python\n\n| into | a save |\n|--:|--:|");
    for nodes in [0, 100, 1000, 10_000] {
        let root = folder();
        let count = settings.scaled(50).max(2);
        let output = Command::new("python3")
            .args(["-c", PYTHON])
            .arg(root.path())
            .args([nodes.to_string(), count.to_string()])
            .output();
        match output {
            Ok(output) if output.status.success() => {
                let text = String::from_utf8_lossy(&output.stdout);
                let seconds: f64 = text.trim().parse().unwrap_or(f64::NAN);
                println!("| {nodes} | {:.2} ms |", seconds * 1e3);
            }
            _ => println!("| {nodes} | skipped: no python3 |"),
        }
    }
}
