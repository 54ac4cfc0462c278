//! One way to run a model for all of them: it says which bound it was run with, and how much that was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs `body` under every schedule with at most `bound` preemptions; `None` is every schedule.
pub(crate) fn model(bound: impl Into<Option<usize>>, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = bound.into();
    match builder.preemption_bound {
        Some(bound) => println!("bound: {bound}"),
        None => println!("bound: none"),
    }
    let iterations = Iterations(Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&iterations.0);
    builder.check(move || {
        // ORDERING: Relaxed. std's atomic: loom's threads are one thread of the system.
        counted.fetch_add(1, Ordering::Relaxed);
        body();
    });
}

/// Says how many schedules were run, also when the last one failed.
struct Iterations(Arc<AtomicU64>);

impl Drop for Iterations {
    fn drop(&mut self) {
        // ORDERING: Relaxed, as above.
        println!("iterations: {}", self.0.load(Ordering::Relaxed));
    }
}
