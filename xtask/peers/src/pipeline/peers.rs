//! What people use for many items: a pool of threads, a shell loop, Python.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// Threads that take the next number, and keep nothing.
pub fn threads(items: u64) -> u64 {
    let (next, sum) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    // ORDERING: Relaxed: each number goes to one thread in any order.
                    let item = next.fetch_add(1, Ordering::Relaxed);
                    if item >= items {
                        break;
                    }
                    // ORDERING: Relaxed: read after all threads were joined.
                    sum.fetch_add(std::hint::black_box(item + 1), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(sum.into_inner(), items * (items + 1) / 2);
    items
}

/// What a disk can do for one who waits for each result: append it, `fdatasync`.
pub fn append_and_flush(folder: &Path, items: u64) -> u64 {
    let mut file = File::create(folder.join("appended")).expect("created");
    for item in 0..items {
        // As one piece: a formatted width would be written byte by byte.
        let line = format!("{item:>300}\n");
        file.write_all(line.as_bytes()).expect("written");
        file.sync_data().expect("flushed");
    }
    items
}

const POOL: &str = r"
import sys
from concurrent.futures import ThreadPoolExecutor
items = int(sys.argv[1])
with ThreadPoolExecutor(8) as pool:
    assert sum(pool.map(lambda n: n + 1, range(items))) == items * (items + 1) // 2
";

const POOL_AND_SQLITE: &str = r"
import sqlite3, sys, threading
from concurrent.futures import ThreadPoolExecutor
items, path = int(sys.argv[1]), sys.argv[2]
db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
db.execute('PRAGMA journal_mode=WAL')
db.execute('PRAGMA synchronous=FULL')
db.execute('DROP TABLE IF EXISTS results')
db.execute('CREATE TABLE results (item INTEGER PRIMARY KEY, value TEXT)')
lock = threading.Lock()
def step(n):
    with lock:
        if db.execute('SELECT value FROM results WHERE item = ?', (n,)).fetchone():
            return
    value = n + 1
    with lock:
        db.execute('INSERT INTO results VALUES (?, ?)', (n, str(value)))
with ThreadPoolExecutor(8) as pool:
    list(pool.map(step, range(items)))
assert db.execute('SELECT count(*) FROM results').fetchone()[0] == items
";

/// Python's own pool of threads, its start included; with `database`, each result goes there.
pub fn python(items: u64, database: Option<&Path>) -> u64 {
    let mut python = Command::new("python3");
    python.args(["-c", if database.is_some() { POOL_AND_SQLITE } else { POOL }]);
    python.arg(items.to_string()).args(database);
    assert!(python.status().expect("started").success());
    items
}

/// A process for each item; with `folder`, a marker there says that it is done.
pub fn xargs(items: u64, folder: Option<&Path>) -> u64 {
    let mut xargs = Command::new("xargs");
    xargs.args(["-P", "8", "-n", "1"]);
    match folder {
        None => xargs.arg("true"),
        Some(folder) => xargs.current_dir(folder).args(["sh", "-c", MARK, "sh"]),
    };
    feed(xargs, items)
}

const MARK: &str = r#"[ -e "done-$1" ] || { echo "$(($1 + 1))" > "tmp-$1" && sync "tmp-$1" && mv "tmp-$1" "done-$1" && sync .; }"#;

/// The same with the job log by which it goes on (`--resume`).
pub fn gnu_parallel(items: u64, folder: &Path) -> u64 {
    let mut parallel = Command::new("parallel");
    parallel.args(["-j", "8", "--joblog"]).arg(folder.join("joblog")).arg("true");
    feed(parallel, items)
}

/// Gives a command one item a line, and waits for it.
fn feed(mut command: Command, items: u64) -> u64 {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("started");
    let mut list = child.stdin.take().expect("piped");
    for item in 0..items {
        writeln!(list, "{item}").expect("read by it");
    }
    drop(list);
    assert!(child.wait().expect("waited").success());
    items
}

/// Whether a program of this name says `word` of itself.
pub fn is_here(program: &str, word: &str) -> bool {
    let said = Command::new(program).arg("--version").output();
    said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains(word))
}
