//! Ours and theirs, measured side by side in one run.
//!
//! A [`Contest`] runs its entries in turn, round after round, in an order that rotates, so that a
//! noisy minute of the machine hits all of them. It prints medians with their spread, CPU time, and
//! the **ratio** of each entry to the first, which is ours; a ratio is the median of the rounds' own
//! ratios, never a quotient of two medians from different minutes. A [`Bars`] list says which of the
//! promises about speed hold in this very run.
//!
//! ```no_run
//! # use peers::{Bars, Contest, Settings};
//! let settings = Settings::from_args();
//! let result = Contest::new("hot path, 1 thread")
//!     .entry("ours", || 1_000_000) // does the work, says how many operations it was
//!     .entry("theirs", || 1_000_000)
//!     .run(&settings);
//! let mut bars = Bars::new("ratelimit");
//! bars.at_most("hot path no slower than theirs", result.ratio("ours", "theirs"), 1.0);
//! bars.finish();
//! ```

mod bars;
mod contest;

pub use bars::{Bars, Measured};
pub use contest::{Contest, Figures, Outcome, Settings};
