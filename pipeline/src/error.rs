//! Why a run could not be made, or could not go on.

use std::error::Error;
use std::io;
use std::path::PathBuf;

/// Why there is no report: the run could not begin, or could not go on. What was recorded before is
/// kept, and the same run continues there.
///
/// A step that fails is not one of these: it is in the [`Report`](crate::Report).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Another process works on this run.
    #[error(
        "run `{run}` is in use by process {pid}{}: wait for it, or stop it; `status` shows how far \
         it is",
        host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default()
    )]
    InUse {
        /// The run.
        run: String,
        /// The process that holds it.
        pid: u32,
        /// The machine it runs on, if its name is known.
        host: Option<String>,
    },
    /// There is no such run.
    #[error("there is no run `{run}` in `{}`: {known}", root.display())]
    NoSuchRun {
        /// The run.
        run: String,
        /// Where it was looked for.
        root: PathBuf,
        /// Which runs there are, as a sentence.
        known: String,
    },
    /// The run's folder cannot be made or written.
    #[error(
        "cannot {doing} `{}`: {source}; give another `--root`, or make it writable",
        path.display()
    )]
    Workspace {
        /// What was to be done.
        doing: &'static str,
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The run's checkpoint refused: damaged, full disk, in use.
    #[error("the checkpoint of run `{run}`: {source}")]
    Checkpoint {
        /// The run.
        run: String,
        /// What the checkpoint said: it names the file, the place and the remedy.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A record of this run is none that this version writes.
    #[error(
        "record `{node}` of run `{run}` does not read back: {source}; it was written by another \
         version or by hand: use another run id, or remove the record"
    )]
    Record {
        /// The run.
        run: String,
        /// The record's name in the checkpoint.
        node: String,
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The source of a fan-out gave an error.
    #[error("item {position} of `{fan_out}` cannot be had: {cause}")]
    Source {
        /// The fan-out.
        fan_out: String,
        /// Which item, from 1.
        position: u64,
        /// What the source said.
        cause: String,
    },
    /// Two items of one fan-out have one key.
    #[error(
        "items {first} and {second} of `{fan_out}` have one key, `{key}`: a key must name one item \
         alone, or one would take the other's results"
    )]
    DuplicateKey {
        /// The fan-out.
        fan_out: String,
        /// The key that both have.
        key: String,
        /// Which item had it first, from 1.
        first: u64,
        /// Which has it again.
        second: u64,
    },
    /// The run belongs to another pipeline.
    #[error(
        "run `{run}` was made by pipeline `{found}`, not by `{wanted}`: give this one another run \
         id"
    )]
    OtherPipeline {
        /// The run.
        run: String,
        /// The pipeline that made it.
        found: String,
        /// The one that was to run now.
        wanted: String,
    },
    /// An option names a stage that is none.
    #[error("there is no stage `{name}`: the stages are {known}")]
    UnknownStage {
        /// The name that was given.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The workers could not be started.
    #[error("the workers of stage `{stage}` cannot be started: {source}")]
    Workers {
        /// The stage.
        stage: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The target's recorded value cannot be given back.
    #[error("the run's output cannot be read: {cause}")]
    Output {
        /// Why.
        cause: String,
    },
}
