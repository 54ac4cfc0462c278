//! Per-thread adapters: each thread builds its own client once; the owner can invalidate or collect
//! them.
//!
//! A client of a slow service is expensive to build, wants `&mut`, and often is not `Sync`. Here each
//! thread builds its own at its first use and keeps it for its life, and nobody else touches it:
//!
//! ```
//! use std::sync::atomic::{AtomicUsize, Ordering};
//! use threadlocal::PerThread;
//!
//! struct Client(usize);
//! static BUILT: AtomicUsize = AtomicUsize::new(0);
//!
//! let clients = PerThread::new(|| {
//!     Ok::<_, std::io::Error>(Client(BUILT.fetch_add(1, Ordering::Relaxed)))
//! });
//! let mine = clients.with(|client| client.0)?;
//! assert_eq!(clients.with(|client| client.0)?, mine); // this thread's own, built once
//!
//! let there = clients.clone();
//! let theirs = std::thread::spawn(move || there.with(|client| client.0)).join().unwrap()?;
//! assert_ne!(theirs, mine);
//!
//! clients.invalidate(); // credentials changed: each thread rebuilds its own at its next use
//! assert_ne!(clients.with(|client| client.0)?, mine);
//! # Ok::<(), threadlocal::UseError<std::io::Error>>(())
//! ```
//!
//! [`PerThread`] is for `Send` adapters that their owner may count, visit and collect;
//! [`PerThreadLocal`] for adapters of any type, each of which never leaves its thread;
//! [`PerThreadMap`] for one per thread and key. A worker's loop takes a handle ([`Local`],
//! [`PinnedLocal`]), with which the look-up is done once. Adapters belong to a storage object, not to
//! a type: two storages of one type share nothing.
//!
//! An adapter that must not leave its thread, and a handle that never may, are kept from it by the
//! compiler:
//!
//! ```compile_fail,E0277
//! # use {std::rc::Rc, threadlocal::PerThread};
//! let storage = PerThread::new(|| Ok::<_, ()>(Rc::new(1))); // `PerThreadLocal` takes it
//! ```
//! ```compile_fail,E0277
//! # use threadlocal::PerThread;
//! let mut local = PerThread::new(|| Ok::<_, ()>(1)).local();
//! std::thread::spawn(move || local.with(|_| ()));
//! ```
//! ```compile_fail,E0277
//! # use threadlocal::PerThreadLocal;
//! let mut local = PerThreadLocal::new(|| Ok::<_, ()>(1)).local();
//! std::thread::spawn(move || local.with(|_| ()));
//! ```
//!
#![doc = include_str!("../docs/guarantees.md")]
//!
#![doc = include_str!("../docs/speed.md")]
//!
#![doc = include_str!("../docs/from_thread_local.md")]
#![forbid(unsafe_code)]

mod builder;
mod door;
mod error;
mod fence;
mod local;
mod per_thread;
mod per_thread_local;
mod per_thread_map;
mod pinned_seat;
mod registry;
mod seat;
mod slot;
mod stamp;
mod storage;
mod sync;
mod table;

pub use builder::PerThreadBuilder;
pub use error::{Reentry, UseError};
pub use local::Local;
pub use per_thread::PerThread;
pub use per_thread_local::{PerThreadLocal, PinnedLocal};
pub use per_thread_map::PerThreadMap;
pub use table::{leave, sweep};

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
