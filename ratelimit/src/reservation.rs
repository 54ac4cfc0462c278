//! A place in line that is not waited for yet.

use crate::core::{Core, Patience};
use crate::line::{Grant, Place};
use crate::{AcquireError, Cancel, Permit};
use std::{fmt, time::Duration};

/// A place in line: its turn comes whether anybody waits or not.
///
/// Dropping it gives the place back, and the charge if its turn had come: nobody ahead moves, nobody
/// behind gets later. `Send` and `Sync`; it holds no thread, so an async caller can sleep for
/// [`ready_in`](Reservation::ready_in) its own way.
#[must_use = "dropping a reservation gives its place in line back"]
pub struct Reservation<'a, const N: usize> {
    core: &'a Core<N>,
    /// Taken out when it ends in a permit or an error, so that dropping it gives nothing back.
    state: Option<State<N>>,
}

enum State<const N: usize> {
    Granted(Grant<N>),
    Waiting(Place),
}

impl<'a, const N: usize> Reservation<'a, N> {
    pub(crate) fn granted(core: &'a Core<N>, grant: Grant<N>) -> Self {
        Self { core, state: Some(State::Granted(grant)) }
    }

    pub(crate) fn waiting(core: &'a Core<N>, place: Place) -> Self {
        Self { core, state: Some(State::Waiting(place)) }
    }

    /// Time until its turn, by the limiter's clock; zero if that has come. An earlier one's leaving,
    /// a refund or a faster rate bring it forward; a pause, an overcharge or a slower rate put it
    /// off. Where permits in flight are bounded it is the earliest time, not the exact one.
    pub fn ready_in(&self) -> Duration {
        match &self.state {
            Some(State::Waiting(place)) => self.core.ready_in(*place),
            _ => Duration::ZERO,
        }
    }

    /// Has its turn come? Then [`wait`](Reservation::wait) does not block.
    pub fn is_ready(&self) -> bool {
        match &self.state {
            Some(State::Waiting(place)) => self.core.is_decided(*place),
            _ => true,
        }
    }

    /// Blocks until its turn, using no CPU.
    ///
    /// # Errors
    /// [`AcquireError::ExceedsBurst`] if a new rate's burst no longer holds the cost.
    pub fn wait(self) -> Result<Permit<'a, N>, AcquireError> {
        self.wait_with(Patience::ENDLESS)
    }

    /// As [`wait`](Reservation::wait), until cancelled; the place is then given back.
    ///
    /// # Errors
    /// As `wait`, and [`AcquireError::Cancelled`]. A permit that was granted already is handed out.
    pub fn wait_until(self, cancel: &Cancel) -> Result<Permit<'a, N>, AcquireError> {
        self.wait_with(Patience { cancel: Some(cancel), ..Patience::ENDLESS })
    }

    /// As [`wait`](Reservation::wait), for at most `limit`; the place is then given back.
    ///
    /// # Errors
    /// As `wait`, and [`AcquireError::Timeout`], at once if its turn does not come in time.
    pub fn wait_timeout(self, limit: Duration) -> Result<Permit<'a, N>, AcquireError> {
        let deadline = self.core.now().after_duration(limit);
        self.wait_with(Patience { deadline, ..Patience::ENDLESS })
    }

    fn wait_with(mut self, patience: Patience<'_>) -> Result<Permit<'a, N>, AcquireError> {
        let grant = match self.state.take() {
            Some(State::Granted(grant)) => grant,
            Some(State::Waiting(place)) => self.core.wait(place, patience)?,
            None => unreachable!("the state is taken by value only, and by one method"),
        };
        Ok(Permit::new(self.core, grant))
    }
}

impl<const N: usize> Drop for Reservation<'_, N> {
    fn drop(&mut self) {
        match self.state.take() {
            Some(State::Waiting(place)) => self.core.leave(place),
            Some(State::Granted(grant)) => self.core.undo(grant),
            None => {}
        }
    }
}

impl<const N: usize> fmt::Debug for Reservation<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("ready_in", &self.ready_in()).finish_non_exhaustive()
    }
}
