//! Everybody who can save a node.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use atomicwrites::{AtomicFile, OverwriteBehavior};
use checkpoint::{Batch, Checkpoint, RunId};
use redb::{ReadableDatabase as _, TableDefinition};

/// Saves nodes durably; called by many threads.
pub trait Store: Sync {
    fn save(&self, node: &str, value: &str);
}

/// Makes a store in `root` that holds `nodes` nodes already.
pub type Make = fn(root: &Path, nodes: u64) -> Box<dyn Store>;

pub fn value() -> String {
    "x".repeat(200)
}

pub fn run() -> RunId {
    RunId::new("bench").expect("a good name")
}

pub fn ours(root: &Path, nodes: u64) -> Box<dyn Store> {
    Box::new(ours_handle(root, nodes))
}

pub fn ours_handle(root: &Path, nodes: u64) -> Checkpoint {
    let checkpoint = Checkpoint::open(root, &run()).expect("opened");
    for start in (0..nodes).step_by(1000) {
        let batch = (start..nodes.min(start + 1000)).fold(Batch::new(), |batch, node| {
            batch.put(&format!("node-{node}"), &value()).expect("a value")
        });
        checkpoint.save_all(batch).expect("saved");
    }
    checkpoint
}

impl Store for Checkpoint {
    fn save(&self, node: &str, value: &str) {
        Checkpoint::save(self, node, value).expect("saved");
    }
}

/// The least that must be done: an append and a flush.
struct Limit {
    file: File,
    end: AtomicU64,
}

pub fn limit(root: &Path, _nodes: u64) -> Box<dyn Store> {
    let file = File::create(root.join("limit")).expect("a file");
    Box::new(Limit { file, end: AtomicU64::new(0) })
}

impl Store for Limit {
    fn save(&self, _node: &str, _value: &str) {
        // ORDERING: Relaxed: it only keeps offsets apart.
        let end = self.end.fetch_add(270, Ordering::Relaxed);
        self.file.write_all_at(&[b'x'; 270], end).expect("written");
        self.file.sync_data().expect("flushed");
    }
}

/// One connection behind a mutex: with one a thread SQLite sleeps when it finds itself locked.
struct Sqlite(Mutex<rusqlite::Connection>);

pub fn sqlite(root: &Path, nodes: u64) -> Box<dyn Store> {
    Box::new(Sqlite(Mutex::new(sqlite_connection(root, nodes))))
}

fn sqlite_connection(root: &Path, nodes: u64) -> rusqlite::Connection {
    let mut connection = rusqlite::Connection::open(root.join("sqlite.db")).expect("opened");
    connection.busy_timeout(std::time::Duration::from_secs(60)).expect("a timeout");
    connection.pragma_update(None, "journal_mode", "WAL").expect("WAL");
    connection.pragma_update(None, "synchronous", "FULL").expect("FULL");
    let table = "create table if not exists nodes (name text primary key, value text, at text)";
    connection.execute(table, []).expect("a table");
    let all = connection.transaction().expect("begun");
    for node in 0..nodes {
        sqlite_save(&all, &format!("node-{node}"), &value());
    }
    all.commit().expect("committed");
    connection
}

fn sqlite_save(connection: &rusqlite::Connection, node: &str, value: &str) {
    let text = "insert into nodes values (?1, ?2, datetime()) \
                on conflict (name) do update set value = ?2, at = datetime()";
    let mut statement = connection.prepare_cached(text).expect("prepared");
    statement.execute([node, value]).expect("saved");
}

impl Store for Sqlite {
    fn save(&self, node: &str, value: &str) {
        sqlite_save(&self.0.lock().expect("no panic"), node, value);
    }
}

const TABLE: TableDefinition<&str, &str> = TableDefinition::new("nodes");

struct Redb(redb::Database);

pub fn redb(root: &Path, nodes: u64) -> Box<dyn Store> {
    let database = redb::Database::create(root.join("redb")).expect("opened");
    let all = database.begin_write().expect("begun");
    {
        let mut table = all.open_table(TABLE).expect("a table");
        for node in 0..nodes {
            table.insert(&*format!("node-{node}"), &*value()).expect("saved");
        }
    }
    all.commit().expect("committed");
    database.begin_read().expect("it can be read");
    Box::new(Redb(database))
}

impl Store for Redb {
    fn save(&self, node: &str, value: &str) {
        let transaction = self.0.begin_write().expect("begun");
        transaction.open_table(TABLE).expect("a table").insert(node, value).expect("saved");
        transaction.commit().expect("committed");
    }
}

struct Fjall(fjall::Database, fjall::Keyspace);

pub fn fjall(root: &Path, nodes: u64) -> Box<dyn Store> {
    let database = fjall::Database::builder(root.join("fjall")).open().expect("opened");
    let options = fjall::KeyspaceCreateOptions::default;
    let keyspace = database.keyspace("nodes", options).expect("a keyspace");
    for node in 0..nodes {
        keyspace.insert(format!("node-{node}"), value()).expect("saved");
    }
    database.persist(fjall::PersistMode::SyncAll).expect("flushed");
    Box::new(Fjall(database, keyspace))
}

impl Store for Fjall {
    fn save(&self, node: &str, value: &str) {
        self.1.insert(node, value).expect("saved");
        self.0.persist(fjall::PersistMode::SyncData).expect("flushed");
    }
}

/// The textbook: lock a file, read the JSON, set one node, write a temporary file, rename.
struct Textbook {
    root: PathBuf,
    lock: Mutex<fd_lock::RwLock<File>>,
}

pub fn textbook(root: &Path, nodes: u64) -> Box<dyn Store> {
    let all: BTreeMap<String, String> =
        (0..nodes).map(|node| (format!("node-{node}"), value())).collect();
    let lock = File::create(root.join("textbook.lock")).expect("a lock");
    let store = Textbook { root: root.to_owned(), lock: Mutex::new(fd_lock::RwLock::new(lock)) };
    if !root.join("textbook.json").exists() {
        store.write(&serde_json::to_vec(&all).expect("JSON"));
    }
    Box::new(store)
}

impl Textbook {
    fn write(&self, json: &[u8]) {
        let file =
            AtomicFile::new(self.root.join("textbook.json"), OverwriteBehavior::AllowOverwrite);
        file.write(|file| file.write_all(json)).expect("replaced");
    }
}

impl Store for Textbook {
    fn save(&self, node: &str, value: &str) {
        let mut lock = self.lock.lock().expect("no panic");
        let _held = lock.write().expect("locked");
        let json = std::fs::read(self.root.join("textbook.json")).expect("read");
        let mut all: BTreeMap<String, serde_json::Value> =
            serde_json::from_slice(&json).expect("JSON");
        all.insert(node.to_owned(), value.into());
        self.write(&serde_json::to_vec(&all).expect("JSON"));
    }
}
