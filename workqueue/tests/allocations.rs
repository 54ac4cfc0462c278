//! No allocation per task: a counting allocator says so. One test, since it counts the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use workqueue::WorkQueue;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // ORDERING: Relaxed; a count.
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // ORDERING: Relaxed; a count.
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Runs `work` twice and counts the allocations of the second time: the first one fills the buffers.
fn allocations(mut work: impl FnMut(u64)) -> u64 {
    const WARM: u64 = 20_000;
    work(WARM);
    // ORDERING: Relaxed; the workers' tasks are joined before.
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    work(WARM);
    // ORDERING: as above.
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

#[test]
fn a_task_allocates_nothing() {
    // A buffer may still grow once or twice: far less than one allocation a task, of 20 000.
    const A_FEW: u64 = 16;
    let builder = || WorkQueue::builder().workers(2).capacity(1024);

    let counted = builder().discard_outcomes().start(|n: u64| n).unwrap();
    let alone = allocations(|tasks| {
        for task in 0..tasks {
            counted.submit(task).unwrap();
        }
        counted.join().unwrap();
    });
    let batched = builder().batch(64).discard_outcomes().start(|n: u64| n).unwrap();
    let in_batches = allocations(|tasks| {
        batched.submit_all(0..tasks).unwrap();
        batched.join().unwrap();
    });
    let kept = builder().start(|n: u64| n).unwrap();
    let mut reader = kept.completed();
    let read = allocations(|tasks| {
        for task in 0..tasks {
            kept.submit(task).unwrap();
            if task % 512 == 511 {
                kept.join().unwrap();
                while reader.try_next().is_some() {}
            }
        }
    });
    println!("allocations in 20 000 tasks: alone {alone}, in batches {in_batches}, read {read}");
    assert!(alone <= A_FEW && in_batches <= A_FEW && read <= A_FEW);
}
