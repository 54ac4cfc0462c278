//! Typed, resumable, rate-limited pipelines for calling slow, paid services for many items.
//!
//! Items come in; each goes through stages that call services; results are recorded as they finish;
//! what is ready is joined; the run can be killed anywhere and continued, and pays once.
//!
//! ```
//! use pipeline::{Options, Pipeline, RateLimiter, RunId};
//!
//! struct Slides;                                              // names a fan-out, at compile time
//!
//! # let workspace = tempfile::tempdir()?;
//! let speech = RateLimiter::per_second(50.0);
//! let mut p = Pipeline::new("narrated-slides");
//! let slide = p.items(Slides, ["one", "two"], |text| text.to_string());
//! let audio = p.each("audio", slide).workers(4).limit(&speech, |_| 1)
//!     .run(|(), cx, text| cx.file("wav", |path| Ok(std::fs::write(path, text)?)));
//! let image = p.each("image", slide).workers(2)               // runs beside it
//!     .run(|(), _, text| Ok(format!("a picture of {text}")));
//! let clip = p.each("clip", (audio, image))                   // a join for each slide
//!     .run(|(), cx, (audio, image)| Ok(format!("{image}, {} bytes of sound", audio.size())));
//! let film = p.collect("film", clip)                          // all of them
//!     .run(|(), _, clips| Ok(clips.into_iter().collect::<Vec<String>>().join("; ")));
//!
//! let options = Options::new(workspace.path(), RunId::new("deck-42")?);
//! let report = p.run(film, &options)?;                        // again: nothing is called
//! assert_eq!(
//!     report.output.as_deref(),
//!     Some("a picture of one, 3 bytes of sound; a picture of two, 3 bytes of sound"),
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A program that is nothing but a pipeline ends in `p.main(film)` and has a command line: it runs,
//! plans, retries, and looks at runs that are live or dead. See `cli` (feature `cli`, on by
//! default).
//!
//! # Six ideas
//!
//! - An **item key** names an item of a fan-out, the same in every run.
//! - A **stage** ([`Stage`]) makes one result of each item; its first input decides how often it
//!   runs. A *step* is one stage at one item.
//! - A **node** ([`Node`]) is the promise of a stage's results, of items, or of a setting
//!   ([`Pipeline::value`]). Nodes of one fan-out join item by item, nodes around it are the same
//!   for all its items, and [`all`] takes a whole fan-out as one input. What has no single value
//!   does not compile.
//! - A **limit** ([`Stage::limit`]) is a rate limiter that a stage's steps wait for.
//! - A **run** is a folder that holds what was recorded and made; the same run id continues it.
//! - A **report** ([`Report`]) says what came of it.
//!
//! # When a step runs again
//!
//! Its result is found again by a hash of the stage's name, its version, and its inputs. So a
//! changed item or setting runs what lies behind it, and stops where results come out as before.
//! Captured variables and source text are in no hash: settings come in through [`Pipeline::value`],
//! and [`Stage::version`] says that the code has changed. A step whose [`Artefact`] is gone or has
//! another size runs again.
//!
//! # Faults
//!
//! A stage returns `Result<T, Fault>`, and `?` takes any error as transient; see [`Fault`]. A
//! failed item blocks what needs it and nothing else; the next run tries it again.
//!
//! # Guarantees
//!
//! - **Executed at least once, recorded exactly once.** What was recorded never runs again; after
//!   SIGKILL only what was in flight repeats, under the same idempotency key, and is told that it
//!   is in doubt: `tests/killed.rs`. After a stop nothing repeats: `tests/stop.rs`.
//! - **A join runs only after its inputs, a step runs once, no window holds more than it may, and
//!   nothing deadlocks**, whatever the graph and the schedule: `src/index/tests.rs` (random graphs
//!   under random schedules), `tests/joins.rs`.
//! - **What has changed runs again, and nothing else**: `tests/resume.rs`.
//! - **Want of capacity fails no item and costs no attempt**: `tests/faults.rs`.
//! - **A failed write of the checkpoint ends the run, loudly, and it can be continued**:
//!   `tests/cli.rs`, `no_space_is_loud_and_resumable`.
//! - **One process works on a run**: `tests/cli.rs`, `a_run_in_use_is_75_and_can_be_looked_at`.
//! - **Looking changes nothing, takes no lock and leaves the sources unread**; a plan reads them
//!   and calls nothing, and comes true: `tests/command_line/looking.rs`, `planning.rs`.
//! - **No value and no input is in an event**: `tests/command_line/running.rs`,
//!   `json_events_tell_the_run_and_no_value`.
//! - **Memory**: bounded by the windows, the checkpoint's index (about 100 bytes a record beyond
//!   its name), 16 bytes for each key of a fan-out that is open (two items of one key are refused),
//!   the keys of a fan-out that is collected, and the items themselves where a second pass takes
//!   them: `tests/many.rs` prints it.
//! - **Not promised**: that a call is made only once (its process may die between call and record:
//!   give the service [`Cx::idempotency_key`]); any order between items; that a call which blocks
//!   can be ended ([`Cx::deadline`] is for the client's own timeout).
//!
//! All types are as thread-safe as they look: [`Options`], [`Stop`] and [`Report`] are `Send` and
//! `Sync`, nodes whatever they are of, [`Pipeline`] and [`Fault`] are `Send`; [`Cx`] and [`Many`]
//! stay on their step's thread. Closures of stages run on several threads at once. What blocks says
//! so; all lengths of time are [`Duration`](std::time::Duration)s, money is in US dollars, sizes are
//! in bytes.

#![forbid(unsafe_code)]

mod artefact;
mod canonical;
#[cfg(feature = "cli")]
pub mod cli;
mod cx;
mod digest;
mod engine;
mod error;
mod event;
mod fault;
mod gate;
mod graph;
mod index;
mod inputs;
mod lock;
#[cfg(feature = "cli")]
mod look;
mod many;
mod name;
mod node;
mod options;
mod pipeline;
mod plan;
mod record;
mod report;
mod run_record;
mod stage;
mod stop;
mod store;
mod target;

pub use crate::artefact::Artefact;
pub use crate::cx::Cx;
pub use crate::error::RunError;
pub use crate::fault::{Fault, OrFault};
pub use crate::inputs::{Input, Inputs, Lead};
pub use crate::many::Many;
pub use crate::node::{All, Node, Per, Root, Scope, Within, all};
pub use crate::options::{Halt, Options};
pub use crate::pipeline::Pipeline;
pub use crate::report::{End, Failure, Report, StageReport};
pub use crate::stage::Stage;
pub use crate::stop::Stop;
pub use crate::target::{Target, Value};
// What the signatures above need of the crates behind them.
pub use checkpoint::{Durability, RunId};
pub use ratelimit::{BuildError, Cancel, Cost, Rate, RateLimiter};

#[doc = include_str!("../docs/speed.md")]
pub mod speed {}

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
