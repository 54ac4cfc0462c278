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

//! Use [`WorkQueue`] for tasks that block, on threads of its own; [`Queue`] is the same core for
//! threads of yours; [`map_ordered`] and [`map_completed`] take any number of items in constant memory.
//! Coming from elsewhere, and for what becomes of a task in each way of stopping: [`guide`].
//!
//! # How it works
//!
//! One mutex holds the state; three condition variables are waited on: workers for tasks, producers
//! for room, joiners and readers for an end. The sentinel is a phase of the state, not an item. A
//! worker hands in what it finished and takes the next tasks in one critical section, and the woken
//! worker wakes the next one if there is more to do. While nobody has to hear of a task, producers
//! put on credit into an inbox behind a second mutex, and who runs out of tasks takes in what it
//! holds. User code never runs under either lock.
//!
//! # Guarantees
//!
//! - Each accepted task ends once: done, panicked or handed back (`tests/properties.rs`).
//! - `Ok` from `submit` means: before any `close`, and then it runs unless cancelled; an error hands the
//!   task back (`submit_against_close` in `tests/loom_ending.rs`).
//! - When `join` returns, everything accepted before it is done, and what it did is visible
//!   (`tests/loom_workers.rs`).
//! - After `close` or `cancel` every thread ends; when `wait_completion` returns, every worker's state
//!   has been dropped, on its worker (`tests/threads.rs`, `tests/panics.rs`). The system's thread may take
//!   a moment longer to go.
//! - A panic is an outcome; its worker lives on (`tests/panics.rs`).
//! - Submitted tasks that wait never exceed the capacity; a stream's live items never exceed its limit
//!   (`tests/loom_capacity.rs`, `tests/stream.rs`).
//! - With one worker, tasks run in the order of submission; `ordered` gives outcomes in that order with
//!   any number (`tests/loom_readers.rs`). Producers' tasks keep their order, producer by producer.
//! - No worker sleeps while a task waits (`two_tasks_that_wait_for_each_other`); an idle one is never
//!   switched to (`tests/threads.rs`).
//! - No allocation per task, once buffers have grown (`tests/allocations.rs`).
//! - Not promised: fairness among producers that wait for room, and any order between workers.
//!
//! [`proof`] lists each invariant with its place in the code, its model, and the fault that the model
//! was seen to find; [`speed`] has the figures beside others'.

#![forbid(unsafe_code)]

mod builder;
mod context;
mod counter;
mod delay;
mod error;
mod finished;
mod frontier;
mod handout;
mod inbox;
mod intake;
mod locks;
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

#[doc = include_str!("../docs/guide.md")]
pub mod guide {}

#[doc = include_str!("../docs/proof.md")]
pub mod proof {}

#[doc = include_str!("../docs/speed.md")]
#[doc = include_str!("../docs/contention.svg")]
pub mod speed {}

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
