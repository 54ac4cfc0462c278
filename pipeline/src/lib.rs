//! Typed, resumable, rate-limited pipelines for calling slow, paid services for many items.

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
pub use checkpoint::{Durability, RunId};
pub use ratelimit::{BuildError, Cancel, Cost, Rate, RateLimiter};
