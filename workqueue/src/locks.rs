//! The queue's two locks, and who holds which.
//!
//! The state's lock comes first, the inbox's second. Most calls take both ([`Whole`]); a put on
//! credit takes the inbox's alone, and whoever finds tasks in the state takes the state's alone.

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crate::inbox::Inbox;
use crate::state::{Limits, State};
use crate::sync::{self, Condvar, Mutex, MutexGuard};

/// How long somebody is ready to wait.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    None,
    Until(Instant),
    Forever,
}

impl Patience {
    /// A time too far away to be told is forever.
    pub(crate) fn of(timeout: Duration) -> Self {
        sync::now().checked_add(timeout).map_or(Self::Forever, Self::Until)
    }

    pub(crate) fn is_over(self) -> bool {
        match self {
            Self::None => true,
            Self::Until(deadline) => sync::now() >= deadline,
            Self::Forever => false,
        }
    }
}

/// All that changes about a queue. User code never runs while any of it is locked.
#[derive(Debug)]
pub(crate) struct Locks<T, R> {
    state: Mutex<State<T, R>>,
    inbox: Apart<Mutex<Inbox<T>>>,
}

/// On a cache line of its own, since other threads write to what lies beside it.
#[derive(Debug)]
#[repr(align(128))]
struct Apart<V>(V);

/// The state, and not what the inbox holds.
pub(crate) type Part<'a, T, R> = MutexGuard<'a, State<T, R>>;

/// The whole queue: both locks are held, and the state has taken in all that was put.
pub(crate) struct Whole<'a, T, R> {
    inbox: MutexGuard<'a, Inbox<T>>,
    state: Part<'a, T, R>,
}

impl<'a, T, R> Whole<'a, T, R> {
    /// Lends the inbox what there is to lend, and unlocks it.
    pub(crate) fn leave_the_inbox(mut self) -> Part<'a, T, R> {
        self.state.lend(&mut self.inbox);
        self.state
    }
}

impl<T, R> Deref for Whole<'_, T, R> {
    type Target = State<T, R>;

    fn deref(&self) -> &State<T, R> {
        &self.state
    }
}

impl<T, R> DerefMut for Whole<'_, T, R> {
    fn deref_mut(&mut self) -> &mut State<T, R> {
        &mut self.state
    }
}

impl<T, R> Locks<T, R> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { state: Mutex::new(State::new(limits)), inbox: Apart(Mutex::new(Inbox::new())) }
    }

    /// Takes both locks.
    pub(crate) fn whole(&self) -> Whole<'_, T, R> {
        self.complete(self.part())
    }

    /// Takes the inbox's lock to the state's.
    pub(crate) fn complete<'a>(&'a self, mut state: Part<'a, T, R>) -> Whole<'a, T, R> {
        let mut inbox = self.inbox();
        state.absorb(&mut inbox);
        Whole { inbox, state }
    }

    /// Locks the state alone.
    pub(crate) fn part(&self) -> Part<'_, T, R> {
        sync::lock(&self.state)
    }

    /// Locks the inbox alone.
    pub(crate) fn inbox(&self) -> MutexGuard<'_, Inbox<T>> {
        sync::lock(&self.inbox.0)
    }

    /// Lets others go first, once.
    pub(crate) fn step_aside<'a>(&'a self, whole: Whole<'a, T, R>) -> Whole<'a, T, R> {
        drop(whole.leave_the_inbox());
        sync::thread::yield_now();
        self.whole()
    }

    /// Waits on a condition variable; may return for no reason.
    pub(crate) fn wait<'a>(
        &'a self,
        condvar: &Condvar,
        whole: Whole<'a, T, R>,
        patience: Patience,
    ) -> Whole<'a, T, R> {
        self.complete(self.wait_in_part(condvar, whole.leave_the_inbox(), patience))
    }

    /// As `wait`, for who holds the state's lock alone.
    pub(crate) fn wait_in_part<'a>(
        &'a self,
        condvar: &Condvar,
        state: Part<'a, T, R>,
        patience: Patience,
    ) -> Part<'a, T, R> {
        match patience {
            Patience::None => state,
            Patience::Until(deadline) => {
                let left = deadline.saturating_duration_since(sync::now());
                sync::wait_timeout(&self.state, condvar, state, left)
            }
            Patience::Forever => condvar.wait(state).unwrap_or_else(PoisonError::into_inner),
        }
    }
}
