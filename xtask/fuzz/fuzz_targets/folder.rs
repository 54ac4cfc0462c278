//! One folder for all inputs of a process, in memory where that is to be had.

use std::path::Path;
use std::sync::OnceLock;
use tempfile::TempDir;

pub(crate) fn with(check: impl FnOnce(&Path)) {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
    });
    check(folder.path());
}
