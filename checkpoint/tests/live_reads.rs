//! P6: whoever reads without a lock gets a prefix, never an error, however much is being written.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use checkpoint::{Checkpoint, RunId, read};

/// Enough saves for a reader to meet a block that is filled while it reads.
const SAVES: usize = 400;

#[test]
fn a_reader_of_a_busy_run_sees_a_prefix_and_never_damage() {
    let root = tempfile::tempdir().unwrap();
    let run = RunId::new("busy").unwrap();
    // Two handles exclude each other like two processes.
    let handles = [0, 1].map(|_| Checkpoint::open(root.path(), &run).unwrap());
    let (writers, reads) = (AtomicU64::new(6), AtomicU64::new(0));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for (number, handle) in (0..6).zip(handles.iter().cycle()) {
            let (writers, done) = (&writers, &done);
            scope.spawn(move || {
                for save in 0..SAVES {
                    handle.save(&format!("{number}-{save}"), &"x".repeat(100)).unwrap();
                }
                // ORDERING: SeqCst, nothing here is worth a weaker one.
                if writers.fetch_sub(1, Ordering::SeqCst) == 1 {
                    done.store(true, Ordering::SeqCst);
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = 0;
                while !done.load(Ordering::SeqCst) {
                    let nodes = read(root.path(), &run).unwrap().len();
                    assert!(nodes >= last, "a reader went back from {last} to {nodes} nodes");
                    last = nodes;
                    reads.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert!(reads.load(Ordering::SeqCst) > 0);
    assert_eq!(read(root.path(), &run).unwrap().len(), 6 * SAVES);
}
