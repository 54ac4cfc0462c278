//! The chapter's measurement: the same increments in sequence and from several threads at once, to a
//! mutex, a bare atomic and [`Counter`]. `cargo bench -p workqueue --bench contention` draws the plot.

use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use workqueue::Counter;

const INCREMENTS: u64 = 40_000;

/// Runs all increments on so many threads: one thread is the sequence.
fn spread(threads: u64, increment: impl Fn() + Sync) {
    if threads == 1 {
        (0..INCREMENTS).for_each(|_| increment());
        return;
    }
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..INCREMENTS / threads).for_each(|_| increment()));
        }
    });
}

fn contention(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("contention");
    // No throughput: the plot's axis is the number of threads.
    group.sample_size(20).warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(1));
    for threads in [1, 2, 4, 8] {
        let mutex = Mutex::new(0_u64);
        group.bench_function(BenchmarkId::new("mutex", threads), |bencher| {
            bencher.iter(|| {
                spread(threads, || {
                    if let Ok(mut count) = mutex.lock() {
                        *count += 1;
                    }
                });
            });
        });
        let atomic = AtomicU64::new(0);
        group.bench_function(BenchmarkId::new("atomic", threads), |bencher| {
            // ORDERING: Relaxed; it counts, and publishes nothing.
            bencher.iter(|| spread(threads, || _ = atomic.fetch_add(1, Ordering::Relaxed)));
        });
        let counter = Counter::new();
        group.bench_function(BenchmarkId::new("Counter", threads), |bencher| {
            bencher.iter(|| spread(threads, || _ = black_box(counter.increment())));
        });
    }
    group.finish();
}

criterion_group!(benches, contention);
criterion_main!(benches);
