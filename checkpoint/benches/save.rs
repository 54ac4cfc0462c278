//! What a save, a read and an opening cost; the disk's own flush beside it as the limit.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt as _;

use checkpoint::{Batch, Checkpoint, Durability, RunId};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

fn run() -> RunId {
    RunId::new("bench").expect("a good name")
}

/// A run that holds `nodes` nodes already.
fn filled(nodes: u32) -> (tempfile::TempDir, Checkpoint) {
    let root = tempfile::tempdir().expect("a folder");
    let checkpoint = Checkpoint::open(root.path(), &run()).expect("a run");
    for start in (0..nodes).step_by(1000) {
        let batch = (start..nodes.min(start + 1000)).fold(Batch::new(), |batch, node| {
            batch.put(&format!("node-{node}"), &"x".repeat(200)).expect("a value")
        });
        checkpoint.save_all(batch).expect("saved");
    }
    (root, checkpoint)
}

fn saves(c: &mut Criterion) {
    let mut group = c.benchmark_group("save");
    group.sample_size(20);
    let folder = tempfile::tempdir().expect("a folder");
    let file = File::create(folder.path().join("limit")).expect("a file");
    let mut end = 0;
    group.bench_function("limit: append and fdatasync", |b| {
        b.iter(|| {
            file.write_all_at(&[b'x'; 270], end).expect("written");
            file.sync_data().expect("flushed");
            end += 270;
        });
    });
    let value = "x".repeat(200);
    for nodes in [0, 1000, 10_000] {
        let (_root, checkpoint) = filled(nodes);
        group.bench_function(format!("to disk, into {nodes} nodes"), |b| {
            b.iter(|| checkpoint.save("node", &value).expect("saved"));
        });
    }
    let (_root, checkpoint) = filled(0);
    group.bench_function("to the process", |b| {
        b.iter(|| checkpoint.save_with("node", &value, Durability::Process).expect("saved"));
    });
    group.finish();
}

fn reads(c: &mut Criterion) {
    let (root, checkpoint) = filled(10_000);
    c.bench_function("get one of 10 000", |b| {
        b.iter(|| black_box(checkpoint.get::<String>("node-5000").expect("read")));
    });
    c.bench_function("load 10 000", |b| b.iter(|| checkpoint.load().expect("loaded")));
    let mut group = c.benchmark_group("open");
    group.sample_size(10);
    group.bench_function("10 000 nodes", |b| {
        b.iter_batched(
            || (),
            |()| Checkpoint::open(root.path(), &run()).expect("opened"),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, saves, reads);
criterion_main!(benches);
