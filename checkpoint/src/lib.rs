//! A run's state: shared by threads and processes, durable when save returns, readable without a lock.
