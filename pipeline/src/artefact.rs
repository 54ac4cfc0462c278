//! Files that a step makes: written aside, flushed, renamed; recorded with size and BLAKE3.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::fault::Fault;

/// Half-written artefacts lie here, below the run's folder.
const PARTIAL: &str = "files/.partial";

/// A file that a step made: its path inside the run's folder, its size and its BLAKE3.
///
/// A value like any other: a stage returns it, or holds it in what it returns. The path is
/// relative, so that a run's folder can be moved; [`Cx::path`](crate::Cx::path) and
/// [`Report::path`](crate::Report::path) resolve it. The hash is part of the value: a file
/// rewritten with other bytes of the same size runs again what was made of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Artefact {
    path: String,
    size: u64,
    blake3: Digest,
}

impl Artefact {
    /// The path below the run's folder, with `/` between its parts: `files/audio/slide-1.wav`.
    pub fn relative_path(&self) -> &str {
        &self.path
    }

    /// The size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The BLAKE3 of the bytes, as 64 lower-case hex digits.
    pub fn blake3(&self) -> String {
        self.blake3.to_string()
    }

    pub(crate) fn resolve(&self, run_dir: &Path) -> PathBuf {
        run_dir.join(&self.path)
    }

    /// What is wrong with the file, looking at its size alone.
    pub(crate) fn missing(&self, run_dir: &Path) -> Option<String> {
        match fs::metadata(self.resolve(run_dir)) {
            Ok(found) if found.is_file() && found.len() == self.size => None,
            Ok(found) if found.is_file() => {
                Some(format!("`{}` has {} bytes, not {}", self.path, found.len(), self.size))
            }
            Ok(_) => Some(format!("`{}` is no file", self.path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Some(format!("`{}` is gone", self.path))
            }
            Err(error) => Some(format!("`{}` cannot be looked at: {error}", self.path)),
        }
    }

    /// What is wrong with the file, reading all of it.
    #[cfg_attr(not(feature = "cli"), allow(dead_code))]
    pub(crate) fn damaged(&self, run_dir: &Path) -> Option<String> {
        if let Some(missing) = self.missing(run_dir) {
            return Some(missing);
        }
        match hash(&self.resolve(run_dir)) {
            Ok((_, found)) if found == self.blake3 => None,
            Ok(_) => Some(format!("`{}` holds other bytes than were recorded", self.path)),
            Err(error) => Some(format!("`{}` cannot be read: {error}", self.path)),
        }
    }
}

/// What a record holds: an artefact that nobody has looked at yet.
#[derive(Deserialize)]
struct Raw {
    path: String,
    size: u64,
    blake3: Digest,
}

impl TryFrom<Raw> for Artefact {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let inside = |part| matches!(part, Component::Normal(_));
        if raw.path.is_empty() || !Path::new(&raw.path).components().all(inside) {
            return Err(format!("an artefact's path must lie in its run: `{}`", raw.path));
        }
        Ok(Artefact { path: raw.path, size: raw.size, blake3: raw.blake3 })
    }
}

/// Makes the artefact `relative` by letting `write` fill a temporary file beside it.
///
/// The temporary name has the same extension, for many writers choose their format by it. When this
/// returns, the file's bytes and its name are on disk: a record may name it.
pub(crate) fn create(
    run_dir: &Path,
    relative: &str,
    ext: &str,
    write: impl FnOnce(&Path) -> Result<(), Fault>,
) -> Result<Artefact, Fault> {
    let partial = Partial::new(run_dir, ext).map_err(|e| broken("make room for", relative, &e))?;
    write(&partial.path)?;
    let target = run_dir.join(relative);
    let (size, blake3) = match flush(&partial.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Fault::fatal(format!(
                "the closure given for `{relative}` returned without writing its file: write to \
                 the path that it is handed"
            )));
        }
        flushed => flushed.map_err(|e| broken("flush", relative, &e))?,
    };
    place(run_dir, &partial.path, &target).map_err(|e| broken("put in place", relative, &e))?;
    Ok(Artefact { path: relative.to_string(), size, blake3 })
}

/// Removes what killed processes left half-written. Only for who holds the run.
pub(crate) fn sweep(run_dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(run_dir.join(PARTIAL)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A temporary file's name; what lies there goes when it is dropped.
struct Partial {
    path: PathBuf,
}

impl Partial {
    fn new(run_dir: &Path, ext: &str) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let dir = run_dir.join(PARTIAL);
        fs::create_dir_all(&dir)?;
        // ORDERING: Relaxed: only that no two get the same number matters, and one run has one
        // process.
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Partial { path: dir.join(format!("{n}.{ext}")) })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After the rename there is nothing; after a failure, what cannot be removed is swept by
        // the next run.
        let _ = fs::remove_file(&self.path);
    }
}

fn flush(path: &Path) -> io::Result<(u64, Digest)> {
    let found = hash(path)?;
    // fsync takes any descriptor of the file: the writer closed its own.
    File::open(path)?.sync_all()?;
    Ok(found)
}

fn hash(path: &Path) -> io::Result<(u64, Digest)> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok((hasher.count(), Digest::of_hasher(&hasher)))
}

/// Renames, and flushes every folder whose entries changed.
fn place(run_dir: &Path, from: &Path, to: &Path) -> io::Result<()> {
    let dir = to.parent().unwrap_or(run_dir);
    let mut made = Vec::new();
    let mut above = dir;
    while !above.exists() {
        made.push(above);
        let Some(next) = above.parent() else { break };
        above = next;
    }
    fs::create_dir_all(dir)?;
    fs::rename(from, to)?;
    File::open(dir)?.sync_all()?;
    for made in made {
        if let Some(parent) = made.parent() {
            File::open(parent)?.sync_all()?;
        }
    }
    Ok(())
}

fn broken(doing: &str, relative: &str, error: &io::Error) -> Fault {
    Fault::transient(io::Error::new(error.kind(), format!("cannot {doing} `{relative}`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artefact_is_recorded_with_size_and_hash() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &Path| {
            assert_eq!(path.extension().unwrap(), "txt");
            Ok(fs::write(path, "hello")?)
        };
        let made = create(dir.path(), "files/a/b.txt", "txt", write).unwrap();
        assert_eq!(made.size(), 5);
        assert_eq!(made.blake3(), blake3::hash(b"hello").to_hex().as_str());
        assert_eq!(fs::read(made.resolve(dir.path())).unwrap(), b"hello");
        assert_eq!(fs::read_dir(dir.path().join(PARTIAL)).unwrap().count(), 0);
        let back: Artefact = serde_json::from_str(&serde_json::to_string(&made).unwrap()).unwrap();
        assert_eq!(back, made);
    }

    #[test]
    fn a_failed_write_leaves_nothing_and_keeps_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        create(dir.path(), "files/a.txt", "txt", |path| Ok(fs::write(path, "old")?)).unwrap();
        let fault = create(dir.path(), "files/a.txt", "txt", |path| {
            fs::write(path, "ha")?;
            Err(Fault::fatal("no more"))
        });
        assert!(matches!(fault, Err(Fault::Fatal(_))));
        assert_eq!(fs::read(dir.path().join("files/a.txt")).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path().join(PARTIAL)).unwrap().count(), 0);
    }

    #[test]
    fn a_closure_that_writes_nothing_is_told_so() {
        let dir = tempfile::tempdir().unwrap();
        let fault = create(dir.path(), "files/a.txt", "txt", |_| Ok(())).unwrap_err();
        assert!(fault.to_string().contains("without writing its file"), "{fault}");
        assert!(matches!(fault, Fault::Fatal(_)));
    }

    #[test]
    fn gone_resized_and_rewritten_files_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let made =
            create(dir.path(), "files/a.txt", "txt", |path| Ok(fs::write(path, "abc")?)).unwrap();
        let path = made.resolve(dir.path());
        assert_eq!(made.damaged(dir.path()), None);
        fs::write(&path, "abd").unwrap();
        assert_eq!(made.missing(dir.path()), None);
        assert!(made.damaged(dir.path()).unwrap().contains("other bytes"));
        fs::write(&path, "abcd").unwrap();
        assert!(made.missing(dir.path()).unwrap().contains("has 4 bytes, not 3"));
        fs::remove_file(&path).unwrap();
        assert!(made.missing(dir.path()).unwrap().contains("is gone"));
    }

    #[test]
    fn a_path_out_of_the_run_is_refused() {
        for path in ["../x", "/etc/passwd", "", "files/../../x"] {
            let json = format!(r#"{{"path":"{path}","size":1,"blake3":"{}"}}"#, Digest::of(b""));
            assert!(serde_json::from_str::<Artefact>(&json).is_err(), "{path}");
        }
    }
}
