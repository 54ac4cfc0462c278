//! The way of a tiny task through a queue. The peers are in `xtask/peers/src/bin/workqueue.rs`.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use workqueue::{Queue, WorkQueue, map_completed, map_ordered};

const TASKS: u64 = 10_000;

fn through_workers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tiny tasks");
    group.throughput(Throughput::Elements(TASKS));
    group.sample_size(20).measurement_time(Duration::from_secs(2));
    for workers in [1, 2, 8] {
        for batch in [1, 64] {
            let builder = WorkQueue::builder().workers(workers).batch(batch).discard_outcomes();
            let queue = builder.start(|n: u64| black_box(n).wrapping_mul(3)).unwrap();
            let name = if batch == 1 { "one by one" } else { "in batches" };
            group.bench_function(BenchmarkId::new(name, workers), |bencher| {
                bencher.iter(|| {
                    queue.submit_all(0..TASKS).unwrap();
                    queue.join().unwrap();
                });
            });
        }
    }
    group.finish();
}

fn streams(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("streams of tiny items");
    group.throughput(Throughput::Elements(TASKS));
    group.sample_size(20).measurement_time(Duration::from_secs(2));
    let builder = || WorkQueue::builder().workers(2).capacity(1024).batch(64);
    group.bench_function("map_ordered", |bencher| {
        bencher.iter(|| map_ordered(0..TASKS, builder(), black_box).count());
    });
    group.bench_function("map_completed", |bencher| {
        bencher.iter(|| map_completed(0..TASKS, builder(), black_box).count());
    });
    group.finish();
}

fn queue_alone(criterion: &mut Criterion) {
    let queue = Queue::new();
    criterion.bench_function("put and get, one thread", |bencher| {
        bencher.iter(|| {
            queue.put(1_u64).unwrap();
            queue.get().map(|task| *task)
        });
    });
}

criterion_group!(benches, through_workers, streams, queue_alone);
criterion_main!(benches);
