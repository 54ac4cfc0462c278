//! What a use costs: a hit by each way in, a renewal, and the owner's walk over everybody.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::mpsc::channel;
use std::thread;

use criterion::{Criterion, criterion_group, criterion_main};
use threadlocal::{PerThread, PerThreadLocal, PerThreadMap};

fn hit(counter: &mut u64) {
    *counter = black_box(*counter + 1);
}

fn hits(c: &mut Criterion) {
    let made = || Ok::<u64, Infallible>(0);
    let (shared, pinned) = (PerThread::new(made), PerThreadLocal::new(made));
    let keyed = PerThreadMap::new(|_: &u32| Ok::<u64, Infallible>(0));
    let (mut shared_local, mut pinned_local) = (shared.local(), pinned.local());
    let mut group = c.benchmark_group("hit");
    group.bench_function("PerThread::with", |b| b.iter(|| black_box(&shared).with(hit)));
    group.bench_function("Local::with", |b| b.iter(|| black_box(&mut shared_local).with(hit)));
    group.bench_function("PerThreadLocal::with", |b| b.iter(|| black_box(&pinned).with(hit)));
    group
        .bench_function("PinnedLocal::with", |b| b.iter(|| black_box(&mut pinned_local).with(hit)));
    group.bench_function("PerThreadMap::with", |b| b.iter(|| black_box(&keyed).with(&7, hit)));
    group.finish();
}

fn renewals(c: &mut Criterion) {
    let made = || Ok::<u64, Infallible>(0);
    let (shared, pinned) = (PerThread::new(made), PerThreadLocal::new(made));
    let mut group = c.benchmark_group("invalidate and renew");
    group.bench_function("PerThread", |b| {
        b.iter(|| {
            shared.invalidate();
            shared.with(hit)
        });
    });
    group.bench_function("PerThreadLocal", |b| {
        b.iter(|| {
            pinned.invalidate();
            pinned.with(hit)
        });
    });
    group.finish();
}

/// With the adapters of a hundred threads alive.
fn walks(c: &mut Criterion) {
    let storage = PerThread::new(|| Ok::<u64, Infallible>(0));
    let threads = (0..100).map(|_| {
        let (storage, (go, wait), (used, ready)) = (storage.clone(), channel::<()>(), channel());
        let thread = thread::spawn(move || {
            storage.with(hit).expect("infallible");
            used.send(()).expect("the bench waits");
            // Until the bench is over and the sender is dropped.
            let _ = wait.recv();
        });
        ready.recv().expect("the thread lives");
        (go, thread)
    });
    let threads: Vec<_> = threads.collect();
    let mut group = c.benchmark_group("100 threads' adapters");
    group.bench_function("for_each", |b| b.iter(|| storage.for_each(hit)));
    group.bench_function("len", |b| b.iter(|| storage.len()));
    group.finish();
    for (go, thread) in threads {
        drop(go);
        thread.join().expect("no thread of a bench panics");
    }
}

criterion_group!(benches, hits, renewals, walks);
criterion_main!(benches);
