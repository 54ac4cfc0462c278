//! What the models share: adapters that watch themselves.
//!
//! Each is touched by one thread at once (a loom cell) and dropped once; what else must hold, a model
//! asks of its census.

#![allow(dead_code, reason = "each file of models uses its part")]

use std::convert::Infallible;
use std::sync::atomic::AtomicUsize as StdAtomicUsize;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread::{self, ThreadId};

/// Runs `model` over all schedules with at most `bound` preemptions, `None` is every schedule; says
/// how many they were.
pub(crate) fn check(bound: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let schedules = std::sync::Arc::new(StdAtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&schedules);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = bound;
    builder.check(move || {
        counter.fetch_add(1, Relaxed);
        model();
    });
    println!("bound: {}", bound.map_or("none".to_owned(), |bound| bound.to_string()));
    println!("iterations: {}", schedules.load(Relaxed));
}

/// A count that is no atomic.
struct Alive(UnsafeCell<usize>);

// SAFETY: that no two threads are here at once is what loom checks at each access.
unsafe impl Sync for Alive {}

/// What is known of the adapters of one model.
#[derive(Clone)]
pub(crate) struct Census(Arc<Counts>);

struct Counts {
    built: AtomicUsize,
    ended: AtomicUsize,
    /// What an adapter is built with: the credentials.
    secret: AtomicUsize,
    /// Of the model's first thread and of another: how many adapters each has alive, from the start
    /// of the making to the end of the drop.
    alive: [Alive; 2],
    /// Whether more than one of a thread is a failure. Not where `drain` hands them over.
    one_a_thread: bool,
    first_thread: ThreadId,
}

impl Census {
    /// For models in which adapters may be handed over, after which their thread builds anew.
    pub(crate) fn new() -> Self {
        Self::of(false)
    }

    /// Each making must come after the end of the thread's adapter before.
    pub(crate) fn one_a_thread() -> Self {
        Self::of(true)
    }

    fn of(one_a_thread: bool) -> Self {
        let zero = || AtomicUsize::new(0);
        Self(Arc::new(Counts {
            built: zero(),
            ended: zero(),
            secret: zero(),
            alive: [Alive(UnsafeCell::new(0)), Alive(UnsafeCell::new(0))],
            one_a_thread,
            first_thread: thread::current().id(),
        }))
    }

    pub(crate) fn maker(&self) -> impl Fn() -> Result<Adapter, Infallible> + Send + Sync + use<> {
        let census = self.clone();
        move || Ok(census.make())
    }

    pub(crate) fn make(&self) -> Adapter {
        let home = usize::from(thread::current().id() != self.0.first_thread);
        self.count(home, |alive| {
            assert_eq!(*alive, 0, "an adapter is built while the one before is alive");
            *alive = 1;
        });
        self.0.built.fetch_add(1, Relaxed);
        let secret = self.0.secret.load(Relaxed);
        Adapter { secret, uses: UnsafeCell::new(0), home, census: self.clone() }
    }

    /// Not only the number is looked at: loom fails the model where two makings or ends have no
    /// order between them.
    fn count(&self, home: usize, change: impl FnOnce(&mut usize)) {
        if self.0.one_a_thread {
            // SAFETY: that nobody else is here is what loom checks in this call.
            self.0.alive[home].0.with_mut(|alive| change(unsafe { &mut *alive }));
        }
    }

    pub(crate) fn set_secret(&self, secret: usize) {
        self.0.secret.store(secret, Relaxed);
    }

    pub(crate) fn built(&self) -> usize {
        self.0.built.load(Relaxed)
    }

    pub(crate) fn alive(&self) -> usize {
        self.built() - self.0.ended.load(Relaxed)
    }
}

pub(crate) struct Adapter {
    secret: usize,
    /// Loom fails the model if two threads are here without an order between them.
    uses: UnsafeCell<usize>,
    home: usize,
    census: Census,
}

impl Adapter {
    pub(crate) fn touch(&mut self) -> usize {
        // SAFETY: `&mut self`; that nobody else is here is what loom checks in this call.
        self.uses.with_mut(|uses| unsafe { *uses += 1 });
        self.secret
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        self.touch();
        self.census.0.ended.fetch_add(1, Relaxed);
        self.census.count(self.home, |alive| *alive -= 1);
    }
}
