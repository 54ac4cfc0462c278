//! What a step costs beyond the call itself: steps that do nothing, through one stage and three,
//! recorded without waiting for the disk and with it, and found again.

use std::cell::Cell;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pipeline::{Durability, Node, Options, Per, Pipeline, Root, RunId, all};

struct Numbers;

thread_local! {
    static RUNS: Cell<u64> = const { Cell::new(0) };
}

fn stages(
    p: &mut Pipeline,
    items: u64,
    stages: usize,
    workers: usize,
) -> Node<u64, Per<Root, Numbers>> {
    let first = p.items(Numbers, 0..items, |n| *n);
    (0..stages).fold(first, |node, n| {
        let stage = p.each(&format!("stage-{n}"), node).workers(workers);
        stage.run(|(), _, n| Ok(black_box(n + 1)))
    })
}

/// One whole run of a new run id; `again` runs it once before, unmeasured.
fn run(root: &std::path::Path, items: u64, count: usize, options: &Setup) -> Duration {
    let id = RUNS.with(|runs| runs.replace(runs.get() + 1));
    let once = || {
        let mut p = Pipeline::new("bench");
        let last = stages(&mut p, items, count, options.workers);
        let run = Options::new(root, RunId::new(format!("r{id}")).unwrap());
        let began = Instant::now();
        p.run(all(last), &run.durability(options.durability)).unwrap();
        began.elapsed()
    };
    if options.again {
        once();
    }
    once()
}

struct Setup {
    durability: Durability,
    workers: usize,
    again: bool,
}

fn steps(c: &mut Criterion) {
    let root = tempfile::tempdir().unwrap();
    let mut group = c.benchmark_group("steps");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    let process = |again| Setup { durability: Durability::Process, workers: 1, again };
    let disk = |workers| Setup { durability: Durability::Disk, workers, again: false };
    let cases = [
        ("not durable, 1 stage", 2_000, 1, process(false)),
        ("not durable, 3 stages", 2_000, 3, process(false)),
        ("found again, 3 stages", 2_000, 3, process(true)),
        ("durable, 1 worker", 100, 1, disk(1)),
        ("durable, 8 workers", 800, 1, disk(8)),
    ];
    for (name, items, count, setup) in cases {
        group.throughput(Throughput::Elements(items * count as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                (0..rounds).map(|_| run(root.path(), items, count, &setup)).sum()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
