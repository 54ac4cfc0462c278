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
//!
//! Coming from governor, leaky-bucket, tower or a sleep loop: see [`moving`].
//!
//! # The rule
//!
//! Each limit has a level that grows at its rate up to its burst. There is one line for all limits.
//! Only its head leaves, at the first instant at which every level covers its cost, and takes from
//! all at once. Whoever enters the line first grants everything that is due, each at its own time, so
//! a late wake-up loses no credit. Who leaves the line, a refund, another rate or a pause reschedule
//! it, and those whose turn comes earlier are woken.
//!
//! Simpler rules were tried in a simulation of 2 500 random schedules: a line for each limit lets
//! the credit of one pile up while the head waits for another (648 schedules exceeded a limit), and
//! crediting a cancellation to everybody moves those ahead (805).
//!
//! # Guarantees
//!
//! Checks named `schedules` and so on are files in `tests/`; others are models in
//! `tests/loom_limiter.rs`, which explores every interleaving. Each mutant is a fault built in under
//! the model checker, which the check before it must find.
//!
//! | | what holds | code | check | mutant |
//! |---|---|---|---|---|
//! | R1 | in every window of `t` each limit grants, less refunds, at most `burst + rate · t`; from the start of an empty one at most `rate · t`; by the stamps of [`Permit::granted_at`], exactly | `bucket.rs`: `spent_after`, `level` | `schedules`, `demand`; `three_callers` | `sleep-credited-twice` |
//! | R2 | under steady demand one limit grants at least 99 % of its rate; the head never waits while all levels suffice | `line.rs`: `catch_up`, `plan` | `demand`, `schedules`; `two_late_callers`, `set_rate_against_a_wait` | `late-wake-up-loses-credit`, `earlier-turn-not-told` |
//! | R3 | grants come in the order in which callers joined the line, and nobody passes it | `line.rs`; `front.rs`: `shut_if` | `schedules`, `contract`; `a_newcomer_against_the_line`, `a_newcomer_while_another_joins` | `line-jumped` |
//! | R4 | all limits are charged or none | `bucket.rs`: `take_at` | `schedules`; `two_limits` | `levels-one-at-a-time` |
//! | R5 | who leaves the line changes nothing for those ahead and makes nobody behind later | `line.rs`: `leave` | `schedules`; `refund_against_acquire`, `a_dropped_reservation_against_a_wait` | `refund-lost` |
//! | R6 | no grant during a pause; after it callers come at the rate, not in a herd | `bucket.rs`: `pause`; `front.rs`: `shut_if` | `schedules`, `contract`; `two_callers_and_a_pause`, `refund_during_a_pause` | `credit-kept-over-pause`, `pause-unseen` |
//! | R7 | no rate, cost or time overflows or panics | `moment.rs`; `bucket.rs`: the bounds above its `use` | `extremes`; `a_pause_for_ages` | `ages-overflow` |
//! | R8 | waiters use no CPU: they sleep on a condition variable, outside every lock | `core.rs`: `sleep` | `demand`; `a_look_during_a_wait` | `sleep-under-lock` |
//! | R9 | a cancel wakes every waiter | `cancel.rs`: `cancel` | `contract`; `cancel_against_a_wait` | `waiters-not-woken` |
//! | in flight | never more permits are held than [`Builder::in_flight`] allows, and a dropped one lets the next through | `front.rs`: `count`, `release` | `schedules`, `contract`; `two_callers_and_one_place`, `a_dropped_permit_against_a_wait` | `bound-unseen`, `place-kept` |
//!
//! Not promised: fairness among callers that have not joined the line yet, a bound on how late the
//! operating system wakes a thread, and anything across processes.
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
mod keyed;
mod limiter;
mod line;
mod moment;
pub mod moving;
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
#[cfg(feature = "quanta")]
pub use clock::QuantaClock;
pub use clock::{Clock, MonotonicClock};
pub use cost::Cost;
pub use error::{AcquireError, BuildError, NotYet, RateError, UnknownLimit};
pub use keyed::KeyedRateLimiter;
pub use limiter::RateLimiter;
pub use name::LimitName;
pub use parker::Parker;
pub use permit::{OwnedPermit, Permit};
pub use rate::{DAY, HOUR, MINUTE, Rate, SECOND};
pub use reservation::Reservation;
pub use stats::{LimitStats, Stats};

/// The README's example runs.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
