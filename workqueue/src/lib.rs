//! A blocking work queue with `task_done` and `join`, sentinel-terminated workers, and panics that
//! come back as outcomes.
//!
//! ```
//! use workqueue::WorkQueue;
//!
//! let queue = WorkQueue::builder()
//!     .workers(4)
//!     .name("Worker")
//!     .capacity(64)
//!     .start(|n: u32| if n == 13 { Err(format!("{n} is unlucky")) } else { Ok(n * n) })?;
//! queue.submit_all(0..100)?;
//! let report = queue.wait_completion(); // runs everything, stops the workers
//! assert_eq!(report.len(), 100);
//! for outcome in report {
//!     let ticket = outcome.ticket();
//!     match outcome.into_result() {
//!         Ok(Ok(square)) => println!("{ticket}: {square}"),
//!         Ok(Err(reason)) => println!("{ticket} failed: {reason}"), // a task's error is a value
//!         Err(panic) => println!("{panic}"), // the worker lives on
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod builder;
mod context;
mod counter;
mod delay;
mod error;
mod frontier;
mod handout;
mod intake;
mod map;
mod outcome;
mod panic;
mod queue;
mod readers;
mod shared;
mod state;
mod stats;
mod sync;
mod ticket;
mod unread;
mod wakes;
mod work_queue;
mod worker;

pub use builder::Builder;
pub use context::Context;
pub use counter::Counter;
pub use error::{BuildError, JoinError, Refusal, SubmitAllError, SubmitError};
pub use map::{Mapped, map_completed, map_ordered};
pub use outcome::{Outcome, Report, Step};
pub use panic::{OnPanic, PanicReport};
pub use queue::{Queue, Taken};
pub use readers::{Completed, Ordered};
pub use stats::Stats;
pub use ticket::{Pending, Ticket, WorkerId};
pub use work_queue::WorkQueue;

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
