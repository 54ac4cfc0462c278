//! Outcomes while the queue runs: as they finish, or in ticket order.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::Outcome;
use crate::locks::Patience;
use crate::shared::Shared;

macro_rules! reader {
    ($(#[$doc:meta])* $name:ident, $order:expr) => {
        $(#[$doc])*
        ///
        /// `next` waits; it returns `None` when the queue is closed or cancelled, nothing is unfinished and
        /// every outcome was taken, and when no worker is left. Do not wait on a worker of the same
        /// queue: it would wait for its own task. It holds what the queue shares, not the queue: the
        /// queue may be dropped first, and its unread outcomes go with it.
        pub struct $name<R> {
            source: Arc<dyn Source<R>>,
        }

        impl<R> $name<R> {
            pub(crate) fn new(source: Arc<dyn Source<R>>) -> Self {
                Self { source }
            }

            /// The next outcome if it is there now. Never waits, except for the lock.
            pub fn try_next(&mut self) -> Option<Outcome<R>> {
                self.source.read($order, Patience::None)
            }

            /// The next outcome; waits no longer than `timeout`.
            pub fn next_timeout(&mut self, timeout: Duration) -> Option<Outcome<R>> {
                self.source.read($order, Patience::of(timeout))
            }

            /// Whether none is left and none can come: tells a `None` for good from a "not yet".
            pub fn is_over(&self) -> bool {
                self.source.is_over()
            }
        }

        impl<R> Iterator for $name<R> {
            type Item = Outcome<R>;

            fn next(&mut self) -> Option<Outcome<R>> {
                self.source.read($order, Patience::Forever)
            }
        }

        impl<R> fmt::Debug for $name<R> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("is_over", &self.is_over()).finish()
            }
        }
    };
}

reader! {
    /// Outcomes in the order in which tasks finish; made by
    /// [`WorkQueue::completed`](crate::WorkQueue::completed).
    Completed, Order::Completion
}

reader! {
    /// Outcomes in the order in which tasks were accepted; made by
    /// [`WorkQueue::ordered`](crate::WorkQueue::ordered).
    Ordered, Order::Ticket
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    Completion,
    Ticket,
}

/// A queue without its tasks' type.
pub(crate) trait Source<R>: Send + Sync {
    fn read(&self, order: Order, patience: Patience) -> Option<Outcome<R>>;
    fn is_over(&self) -> bool;
}

impl<T, R> Shared<T, R> {
    pub(crate) fn read_in(&self, order: Order, patience: Patience) -> Option<Outcome<R>> {
        match order {
            Order::Completion => self.read(|state| state.unread.next_completed(), patience),
            Order::Ticket => self.read(|state| state.unread.next_ordered(), patience),
        }
    }
}

impl<T: Send, R: Send> Source<R> for Shared<T, R> {
    fn read(&self, order: Order, patience: Patience) -> Option<Outcome<R>> {
        self.read_in(order, patience)
    }

    fn is_over(&self) -> bool {
        let state = self.lock();
        state.is_over() && state.unread.is_empty()
    }
}
