//! Every public item under its name, with the signature that others compile against.

use std::io::Read;
use std::time::{Duration, SystemTime};

use checkpoint::{
    Batch, Builder, Checkpoint, Durability, Entry, Error, Names, OpenReport, Result, RunId,
    RunInfo, Salvaged, Saved, Seq, Snapshot, Verified,
};

fn is_shared<T: Send + Sync>() {}
fn is_cloned<T: Clone>() {}
type Step = fn(Option<u8>) -> Option<u8>;

#[test]
fn all_can_be_shared_between_threads() {
    is_shared::<(Checkpoint, Builder, Batch, Durability, Entry<u8>, Saved<u8>, Seq, RunId)>();
    is_shared::<(Snapshot, OpenReport, RunInfo, Verified, Salvaged, Error)>();
    is_cloned::<Checkpoint>();
    is_cloned::<Snapshot>();
}

#[test]
fn the_handle_has_its_calls() {
    let _: fn(&str, &RunId) -> Result<Checkpoint> = |root, run| Checkpoint::open(root, run);
    let _: fn(&str, &RunId) -> Builder = |root, run| Checkpoint::builder(root, run);
    let _: fn(Builder, Durability) -> Builder = Builder::durability;
    let _: fn(Builder, Duration) -> Builder = Builder::lock_timeout;
    let _: fn(Builder, usize) -> Builder = Builder::max_value_bytes;
    let _: fn(Builder, bool) -> Builder = Builder::allow_network_file_system;
    let _: fn(Builder) -> Result<Checkpoint> = Builder::open;
    let _: fn(&Checkpoint, &str, &str) -> Result<Seq> = Checkpoint::save::<str>;
    let _: fn(&Checkpoint, &str, &str, Durability) -> Result<Seq> = Checkpoint::save_with::<str>;
    let _: fn(&Checkpoint, Batch) -> Result<Seq> = Checkpoint::save_all;
    let _: fn(&Checkpoint, &str, &u8) -> Result<Saved<u8>> = Checkpoint::save_once::<u8>;
    let _: fn(&Checkpoint, &str, Step) -> Result<Seq> = Checkpoint::update;
    let _: fn(&Checkpoint, &str) -> Result<bool> = Checkpoint::remove;
    let _: fn(&Checkpoint, &str) -> Result<Option<Entry<u8>>> = Checkpoint::get::<u8>;
    let _: fn(&Checkpoint, &str) -> bool = Checkpoint::contains;
    let _: fn(&Checkpoint) -> Result<Snapshot> = Checkpoint::load;
    let _: fn(&Checkpoint) -> Result<Seq> = Checkpoint::refresh;
    let _: fn(&Checkpoint) -> &OpenReport = Checkpoint::report;
    let _: fn(&Checkpoint) -> Result<()> = Checkpoint::compact;
    let _: fn(Checkpoint) -> Result<()> = Checkpoint::close;
}

#[test]
fn the_functions_are_there() {
    let _: fn(&str) -> Result<Vec<RunInfo>> = |root| checkpoint::runs(root);
    let _: fn(&str, &RunId) -> Result<()> = |root, run| checkpoint::delete(root, run);
    let _: fn(&str, &RunId) -> Result<Snapshot> = |root, run| checkpoint::read(root, run);
    let _: fn(&str, &RunId) -> Result<Verified> = |root, run| checkpoint::verify(root, run);
    let _: fn(&str, &RunId) -> Result<Salvaged> = |root, run| checkpoint::salvage(root, run);
    let _: fn(&str, &RunId, &mut dyn Read) -> Result<Seq> =
        |root, run, json| checkpoint::import_json(root, run, json);
}

#[test]
fn values_have_their_parts() {
    let _ =
        |entry: Entry<u8>| -> (u8, SystemTime, Seq) { (entry.value, entry.updated_at, entry.seq) };
    let _ = |saved: Saved<u8>| match saved {
        Saved::Inserted(seq) => seq,
        Saved::Existing(entry) => entry.seq,
    };
    let _ = |info: RunInfo| -> (RunId, usize, Option<SystemTime>, u64) {
        (info.name, info.nodes, info.updated_at, info.bytes)
    };
    let _ = |snapshot: &Snapshot| -> Result<()> {
        let _: Option<Entry<u8>> = snapshot.get("a")?;
        let _: (usize, bool, Seq) = (snapshot.len(), snapshot.is_empty(), snapshot.seq());
        let _: Option<SystemTime> = snapshot.updated_at();
        let _: Vec<&str> = snapshot.iter().chain(snapshot.prefix("audio/")).collect();
        let _: Names<'_> = snapshot.iter();
        for _node in snapshot {}
        serde_json::to_string(snapshot).map(drop).map_err(|_| unreachable!())
    };
    let _: fn() -> Result<Batch> = || Ok(Batch::new().put("a", &1)?.remove("b"));
    let _: [Durability; 2] = [Durability::Disk, Durability::Process];
    assert_eq!(Durability::default(), Durability::Disk);
}

#[test]
fn errors_say_what_is_true_afterwards() {
    let _ = |error: Error| match error {
        Error::NotWritten { .. } | Error::Unknown { .. } | Error::Poisoned { .. } => 1,
        Error::Locked { holder, waited, .. } => {
            let _: (Option<u32>, Duration) = (holder, waited);
            2
        }
        Error::Corrupt { offset, last_good_seq, .. } => {
            let _: (u64, Seq) = (offset, last_good_seq);
            3
        }
        Error::Conflict { .. } | Error::TooLarge { .. } | Error::InvalidName { .. } => 4,
        Error::UnsupportedVersion { .. } | Error::NetworkFileSystem { .. } => 5,
        Error::Type { .. } | Error::Io { .. } | Error::Forked { .. } | Error::NoSuchRun { .. } => 6,
        _ => 7,
    };
}
