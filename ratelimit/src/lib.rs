//! A token bucket for callers of limited services.
//!
//! For threads that call an API with limits: block until it is your turn, in order, under *several*
//! limits at once (requests per minute **and** tokens per minute), and stop everybody when the
//! provider says Retry-After.
//!
//! ```
//! use ratelimit::{MINUTE, Rate, RateLimiter};
//! use std::time::Duration;
//!
//! let limiter = RateLimiter::per_second(1000.0); // starts empty; Clone, Send and Sync
//! limiter.acquire_one(); // blocks; first come, first served
//!
//! let openai = RateLimiter::new([
//!     ("requests", Rate::per_minute(6000)),
//!     ("tokens", Rate::at_most(2_000_000, MINUTE).burst(20_000)),
//! ])?;
//! let permit = openai.acquire([1, 800])?; // both limits or none
//! permit.settle([1, 650]); // the call used less than estimated: the difference comes back
//! openai.pause_for(Duration::from_millis(20)); // a 429: everybody waits, nothing piles up
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod bucket;
mod builder;
mod cancel;
mod clock;
mod core;
mod cost;
mod error;
mod front;
pub mod headers;
mod limiter;
mod line;
mod moment;
mod name;
mod parker;
mod permit;
mod rate;
mod reservation;
mod stats;
mod sync;
pub mod testing;

pub use builder::Builder;
pub use cancel::Cancel;
pub use clock::{Clock, MonotonicClock};
pub use cost::Cost;
pub use error::{AcquireError, BuildError, NotYet, RateError, UnknownLimit};
pub use limiter::RateLimiter;
pub use name::LimitName;
pub use parker::Parker;
pub use permit::{OwnedPermit, Permit};
pub use rate::{DAY, HOUR, MINUTE, Rate, SECOND};
pub use reservation::Reservation;
pub use stats::{LimitStats, Stats};
