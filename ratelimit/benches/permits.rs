//! What a permit costs when it is there: one limit, two limits, bounded in flight, and a refusal.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ratelimit::{Rate, RateLimiter};
use std::{hint::black_box, thread, time::Duration};

/// So fast that a permit is always there.
fn plenty() -> Rate {
    Rate::per_second(1e9).burst(u64::from(u32::MAX))
}

fn one_thread(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a permit that is there");
    let one = RateLimiter::builder([("calls", plenty())]).start_full().build().unwrap();
    group.bench_function("one limit", |b| b.iter(|| drop(black_box(one.try_acquire_one()))));
    group.bench_function("one limit, owned", |b| b.iter(|| drop(black_box(one.acquire_owned(1)))));
    let limits = [("requests", plenty()), ("tokens", plenty())];
    let two = RateLimiter::builder(limits).start_full().build().unwrap();
    group.bench_function("two limits", |b| b.iter(|| drop(black_box(two.acquire([1, 1])))));
    let bounded = RateLimiter::builder([("calls", plenty())]).start_full().in_flight(100);
    let bounded = bounded.build().unwrap();
    group.bench_function("in flight", |b| b.iter(|| drop(black_box(bounded.try_acquire_one()))));
    group.bench_function("settled lower", |b| {
        b.iter(|| two.acquire([1, 2]).map(|permit| permit.settle([1, 1])));
    });
    group.finish();
    let empty = RateLimiter::new([("calls", Rate::per_minute(1))]).unwrap();
    criterion.bench_function("a permit that is not there", |b| {
        b.iter(|| black_box(empty.try_acquire_one()).is_err());
    });
}

fn many_threads(criterion: &mut Criterion) {
    const EACH: u64 = 20_000;
    let mut group = criterion.benchmark_group("one limit, threads together");
    group.sample_size(10).measurement_time(Duration::from_secs(2));
    for threads in [1, 2, 4, 8] {
        group.throughput(Throughput::Elements(EACH * threads));
        group.bench_function(threads.to_string(), |b| {
            let limiter = RateLimiter::builder([("calls", plenty())]).start_full().build().unwrap();
            b.iter(|| {
                thread::scope(|scope| {
                    for _ in 0..threads {
                        scope.spawn(|| (0..EACH).for_each(|_| drop(limiter.try_acquire_one())));
                    }
                });
            });
        });
    }
    group.finish();
}

fn waiting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a place in line");
    for ahead in [0, 100] {
        group.bench_function(format!("{ahead} ahead"), |b| {
            let limiter = RateLimiter::new([("calls", Rate::per_minute(1).burst(1000))]).unwrap();
            let _line: Vec<_> = (0..ahead).map(|_| limiter.reserve(1).unwrap()).collect();
            b.iter(|| drop(black_box(limiter.reserve(1))));
        });
    }
    group.finish();
}

criterion_group!(benches, one_thread, many_threads, waiting);
criterion_main!(benches);
