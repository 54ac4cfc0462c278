//! A stream of items through workers, in constant memory.

use std::fmt;

use crate::locks::Patience;
use crate::readers::Order;
use crate::{BuildError, Builder, Outcome, Pending, Report, Stats, Ticket, WorkQueue};

/// Runs `f` over `items` on workers and gives the outcomes in the order of the items.
///
/// Items are pulled on the caller's thread, only while fewer than a limit are *live*: queued, running
/// or waiting to be read. The limit is the builder's `capacity`, or a few for each worker, so that any
/// number of items goes through in constant memory; a slow item holds up those behind it, and no more
/// than the limit of them. Dropping the iterator early cancels the rest; [`Mapped::stop`] hands it
/// back.
///
/// ```
/// use workqueue::{WorkQueue, map_ordered};
/// let squares = map_ordered(1..=4_u64, WorkQueue::builder().workers(2), |n| n * n);
/// let squares: Vec<u64> = squares.map(|outcome| outcome.into_result().unwrap()).collect();
/// assert_eq!(squares, [1, 4, 9, 16]);
/// ```
///
/// # Panics
/// When the workers cannot start, as [`std::thread::spawn`] does. [`Builder::map_ordered`] returns an
/// error instead.
pub fn map_ordered<I, R>(
    items: I,
    builder: Builder,
    f: impl Fn(I::Item) -> R + Send + Sync + 'static,
) -> Mapped<I::IntoIter, R>
where
    I: IntoIterator,
    I::Item: Send + 'static,
    R: Send + 'static,
{
    builder.map_ordered(items, f).unwrap_or_else(|error| panic!("map_ordered: {error}"))
}

/// Runs `f` over `items` on workers and gives the outcomes as they finish; else as [`map_ordered`].
///
/// # Panics
/// When the workers cannot start, as [`std::thread::spawn`] does. [`Builder::map_completed`] returns
/// an error instead.
pub fn map_completed<I, R>(
    items: I,
    builder: Builder,
    f: impl Fn(I::Item) -> R + Send + Sync + 'static,
) -> Mapped<I::IntoIter, R>
where
    I: IntoIterator,
    I::Item: Send + 'static,
    R: Send + 'static,
{
    builder.map_completed(items, f).unwrap_or_else(|error| panic!("map_completed: {error}"))
}

impl Builder {
    /// [`map_ordered`](crate::map_ordered) with an error instead of a panic.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn map_ordered<I, R>(
        self,
        items: I,
        f: impl Fn(I::Item) -> R + Send + Sync + 'static,
    ) -> Result<Mapped<I::IntoIter, R>, BuildError>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        R: Send + 'static,
    {
        Mapped::start(items.into_iter(), self, f, Order::Ticket)
    }

    /// [`map_completed`](crate::map_completed) with an error instead of a panic.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn map_completed<I, R>(
        self,
        items: I,
        f: impl Fn(I::Item) -> R + Send + Sync + 'static,
    ) -> Result<Mapped<I::IntoIter, R>, BuildError>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        R: Send + 'static,
    {
        Mapped::start(items.into_iter(), self, f, Order::Completion)
    }
}

/// The outcomes of a stream of items; made by [`map_ordered`] and [`map_completed`].
#[must_use = "items are pulled and run only while it is read"]
pub struct Mapped<I: Iterator, R>
where
    I::Item: Send + 'static,
    R: Send + 'static,
{
    items: I,
    queue: WorkQueue<I::Item, R>,
    order: Order,
    limit: usize,
    /// No more items are to be pulled.
    ended: bool,
    pulled: usize,
    given: usize,
    live_max: usize,
    /// The one item that was pulled and refused: a panic had cancelled the queue meanwhile.
    refused: Option<Pending<I::Item>>,
}

impl<I, R> Mapped<I, R>
where
    I: Iterator,
    I::Item: Send + 'static,
    R: Send + 'static,
{
    fn start(
        items: I,
        builder: Builder,
        f: impl Fn(I::Item) -> R + Send + Sync + 'static,
        order: Order,
    ) -> Result<Self, BuildError> {
        let limit = builder.live_limit();
        let queue = builder.keep_outcomes().start(f)?;
        let (ended, pulled, given, live_max, refused) = (false, 0, 0, 0, None);
        Ok(Self { items, queue, order, limit, ended, pulled, given, live_max, refused })
    }

    /// How many items were taken from the input.
    pub const fn pulled(&self) -> usize {
        self.pulled
    }

    /// How many items were pulled and not given out; never above the limit.
    pub const fn live(&self) -> usize {
        self.pulled - self.given
    }

    /// The most that were ever live.
    pub const fn live_max(&self) -> usize {
        self.live_max
    }

    /// The figures of the queue behind it.
    pub fn stats(&self) -> Stats {
        self.queue.stats()
    }

    /// Stops: waits for the items that run, and hands back the others and all outcomes not yet given,
    /// so that pulled = given + outcomes + pending.
    pub fn stop(mut self) -> Report<I::Item, R> {
        self.queue.shared().cancel(|_| ());
        let mut report = self.queue.finish();
        report.pending.extend(self.refused.take());
        report
    }

    /// Pulls items while there is room for them; the input runs without any lock.
    fn fill(&mut self) {
        while !self.ended && self.live() < self.limit {
            let Some(item) = self.items.next() else {
                self.ended = true;
                self.queue.close();
                return;
            };
            let ticket = Ticket(self.pulled as u64);
            self.pulled += 1;
            self.live_max = self.live_max.max(self.live());
            if let Err(refused) = self.queue.submit(item) {
                self.ended = true;
                self.refused = Some(Pending { ticket, task: refused.into_task() });
            }
        }
    }
}

impl<I, R> Iterator for Mapped<I, R>
where
    I: Iterator,
    I::Item: Send + 'static,
    R: Send + 'static,
{
    type Item = Outcome<R>;

    fn next(&mut self) -> Option<Outcome<R>> {
        self.fill();
        let outcome = self.queue.shared().read_in(self.order, Patience::Forever)?;
        self.given += 1;
        Some(outcome)
    }
}

impl<I: Iterator, R> fmt::Debug for Mapped<I, R>
where
    I::Item: Send + 'static,
    R: Send + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapped")
            .field("pulled", &self.pulled)
            .field("given", &self.given)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl<I: Iterator, R> Drop for Mapped<I, R>
where
    I::Item: Send + 'static,
    R: Send + 'static,
{
    fn drop(&mut self) {
        if crate::sync::unwinding() {
            return;
        }
        self.queue.shared().cancel(|_| ());
        tracing::debug!(self.pulled, self.given, "a stream is dropped");
    }
}
