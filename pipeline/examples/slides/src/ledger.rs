//! An account of the calls that were carried out, kept outside the run.
//!
//! A run's own records cannot tell how often it was made to do something twice. The ledger can:
//! every call appends a line when it has done its work, before the result is recorded, as a
//! provider's bill would.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use pipeline::{Cx, Fault};

use crate::Error;

/// Where calls are written down, if anywhere.
#[derive(Debug, Default)]
pub struct Ledger {
    to: Option<(PathBuf, File)>,
}

impl Ledger {
    /// Opens `path` to append to it.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if it cannot be opened.
    pub fn open(path: &Path) -> Result<Ledger, Error> {
        let source = |source| Error::File { action: "open", path: path.to_path_buf(), source };
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(source)?;
        Ok(Ledger { to: Some((path.to_path_buf(), file)) })
    }

    /// Appends `stage item idempotency-key` of a call that was just carried out, in one write.
    ///
    /// # Errors
    ///
    /// Halts the run if the line cannot be written: an account with gaps proves nothing.
    pub fn note(&self, cx: &Cx<'_>) -> Result<(), Fault> {
        let Some((path, file)) = &self.to else { return Ok(()) };
        let item = if cx.item().is_empty() { "-" } else { cx.item() };
        let line = format!("{} {item} {}\n", cx.stage(), cx.idempotency_key());
        let (mut file, path) = (file, path.clone());
        file.write_all(line.as_bytes())
            .map_err(|source| Fault::halt(Error::File { action: "append to", path, source }))
    }
}
