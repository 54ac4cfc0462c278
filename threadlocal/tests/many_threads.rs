//! T5: memory is bounded by live threads × live storages, however many came and went.
//!
//! Alone in its program, since it measures the process. `RATCHET_CHAOS_THREADS` sets how many threads
//! come and go: 100 000 unless told otherwise.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use threadlocal::{PerThread, PerThreadLocal, PerThreadMap};

static BUILT: AtomicUsize = AtomicUsize::new(0);
static ENDED: AtomicUsize = AtomicUsize::new(0);

/// A kilobyte, so that one leaked by each thread would show.
struct Client([u8; 1024]);

impl Client {
    fn connect() -> Self {
        BUILT.fetch_add(1, Relaxed);
        Self([7; 1024])
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        ENDED.fetch_add(1, Relaxed);
    }
}

/// Resident memory of this process in KiB, where the system tells.
fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// `threads` threads, `crowd` at once. Each uses both storages, and one of its own that goes first.
fn come_and_go(
    threads: usize,
    crowd: usize,
    shared: &PerThread<Client, Infallible>,
    pinned: &PerThreadLocal<Client, Infallible>,
) {
    for _ in 0..threads / crowd {
        let workers: Vec<_> = (0..crowd)
            .map(|_| {
                let (shared, pinned) = (shared.clone(), pinned.clone());
                let body = move || {
                    assert_eq!(shared.with(|client| client.0[0]).unwrap(), 7);
                    assert_eq!(pinned.with(|client| client.0[1023]).unwrap(), 7);
                    let own = PerThreadMap::new(|_: &u8| Ok::<_, Infallible>(Client::connect()));
                    assert_eq!(own.with(&1, |client| client.0[0]).unwrap(), 7);
                };
                // Small stacks, many at once: it is the threads' coming and going that takes time.
                thread::Builder::new().stack_size(128 << 10).spawn(body).unwrap()
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
    }
}

#[test]
fn memory_stays_flat_while_threads_come_and_go() {
    let threads = std::env::var("RATCHET_CHAOS_THREADS");
    let threads: usize = threads.map_or(100_000, |n| n.parse().expect("a number of threads"));
    let made = || Ok(Client::connect());
    let (shared, pinned) = (PerThread::new(made), PerThreadLocal::new(made));
    let (start, crowd) = (Instant::now(), 40);
    come_and_go(threads / 10, crowd, &shared, &pinned);
    let before = resident_kib();
    come_and_go(threads - threads / 10, crowd, &shared, &pinned);
    let after = resident_kib();

    assert_eq!(BUILT.load(Relaxed), ENDED.load(Relaxed), "every adapter ended");
    assert_eq!((shared.len(), shared.seats(), pinned.len()), (0, 0, 0));
    if let (Some(before), Some(after)) = (before, after) {
        let grown = after.saturating_sub(before);
        println!(
            "{} adapters on {threads} threads in {:.1} s: resident {before} KiB after a tenth, \
             {after} KiB at the end",
            BUILT.load(Relaxed),
            start.elapsed().as_secs_f64(),
        );
        // A kilobyte leaked by every hundredth thread would be more than this.
        let leaked_by_few = (threads as u64 / 100).max(1024);
        assert!(grown < leaked_by_few + 3 * 1024, "memory grew by {grown} KiB");
    }
}
