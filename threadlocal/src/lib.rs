//! Per-thread adapters: each thread builds its own client once; the owner can invalidate or collect them.
