//! Textbook checkpoints come in: one flat JSON object, node to value.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde_json::value::RawValue;

use crate::{Batch, Checkpoint, Error, Result, RunId, Seq};

/// The textbook's note of its last save: no node.
const UPDATED_AT: &str = "updated_at";

/// The most that one import takes.
const IMPORT_BYTES_MAX: usize = 1 << 30;

/// Takes a flat checkpoint file, `{node: value, …, "updated_at": …}`, into a run: all or nothing.
///
/// Nodes that the run has already are replaced by the file's, others stay. Reads the whole file
/// into memory.
///
/// # Errors
/// [`Error::Type`] if it is no JSON object, [`Error::InvalidName`] if a key cannot be a node, and
/// those of [`Checkpoint::open`] and [`Checkpoint::save_all`].
pub fn import_json(root: impl AsRef<Path>, run: &RunId, mut json: impl Read) -> Result<Seq> {
    let mut text = String::new();
    json.read_to_string(&mut text)
        .map_err(Error::io("read the JSON to import into", root.as_ref()))?;
    let nodes: BTreeMap<String, &RawValue> =
        serde_json::from_str(&text).map_err(|source| Error::Type {
            node: run.to_string(),
            problem: "the file to import is not one JSON object of nodes",
            source: source.into(),
        })?;
    let mut batch = Batch::new();
    for (node, value) in nodes.iter().filter(|(node, _)| *node != UPDATED_AT) {
        batch = batch.put(node, value)?;
    }
    // Before anything is made on disk.
    batch.check_names()?;
    let builder = Checkpoint::builder(root, run).max_value_bytes(IMPORT_BYTES_MAX);
    let checkpoint = builder.open()?;
    let seq = checkpoint.save_all(batch)?;
    checkpoint.close()?;
    Ok(seq)
}
