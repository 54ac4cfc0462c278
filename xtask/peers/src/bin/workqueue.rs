//! `workqueue` beside the pools that people build or take: tiny tasks, so that what is measured is
//! the way of a task to its worker.
//!
//! Everybody starts their threads, runs all tasks, waits for the last one and stops their threads.
//! What ours does beside: it counts each task's end under the lock (`join`, `stats`), catches panics,
//! can hand tasks back. A channel pool does none of that; `threadpool` boxes each task and catches
//! panics; `rayon` has one queue a worker and no bound.

use std::hint::black_box;
use std::sync::mpsc;
use std::thread;

use peers::{Bars, Contest, Settings};
use workqueue::{Builder, WorkQueue};

const CAPACITY: usize = 1024;

fn main() {
    let settings = Settings::from_args();
    let tasks = settings.scaled(1_000_000);
    let mut bars = Bars::new("workqueue");
    for workers in [1, 2, 8] {
        let result = tiny_tasks(workers, tasks, &settings);
        let bounded = result.ratio("one by one, bounded", "crossbeam, bounded");
        let threadpool = result.ratio("threadpool", "one by one, bounded");
        let best = ["crossbeam, bounded", "crossbeam, unbounded"]
            .map(|peer| result.ratio(peer, "in batches"))
            .into_iter()
            .fold(f64::INFINITY, f64::min);
        let batched = result.ratio("threadpool", "in batches");
        if workers > 1 {
            let at = |what: &str| format!("{what}, {workers} workers");
            bars.at_most(&at("one by one ÷ crossbeam bounded"), bounded, 1.3);
            bars.at_least(&at("threadpool ÷ one by one"), threadpool, 1.4);
            bars.at_least(&at("best crossbeam ÷ in batches"), best, 2.0);
            bars.at_least(&at("threadpool ÷ in batches"), batched, 5.0);
        }
    }
    with_results(2, tasks, &settings);
    bars.finish();
}

/// What a task does: next to nothing.
fn run(task: u64) -> u64 {
    black_box(task).wrapping_mul(3)
}

fn tiny_tasks(workers: usize, tasks: u64, settings: &Settings) -> peers::Outcome {
    let few = (tasks / 20).max(1);
    Contest::new(format!("tiny tasks, {workers} workers, a task"))
        .entry("in batches", move || ours_in_batches(WorkQueue::builder(), workers, tasks))
        .entry("in batches, bounded", move || {
            ours_in_batches(WorkQueue::builder().capacity(CAPACITY), workers, tasks)
        })
        .entry("one by one, bounded", move || ours_one_by_one(workers, tasks))
        .entry("threadpool", move || {
            let pool = threadpool::ThreadPool::new(workers);
            for task in 0..tasks {
                pool.execute(move || {
                    black_box(run(task));
                });
            }
            pool.join();
            tasks
        })
        .entry("crossbeam, bounded", move || {
            let (sender, receiver) = crossbeam_channel::bounded(CAPACITY);
            channel_pool(workers, tasks, |n| sender.send(n).is_ok(), &receiver, |r| r.recv().ok());
            tasks
        })
        .entry("crossbeam, unbounded", move || {
            let (sender, receiver) = crossbeam_channel::unbounded();
            channel_pool(workers, tasks, |n| sender.send(n).is_ok(), &receiver, |r| r.recv().ok());
            tasks
        })
        .entry("flume, bounded", move || {
            let (sender, receiver) = flume::bounded(CAPACITY);
            channel_pool(workers, tasks, |n| sender.send(n).is_ok(), &receiver, |r| r.recv().ok());
            tasks
        })
        .entry("kanal, bounded", move || {
            let (sender, receiver) = kanal::bounded(CAPACITY);
            channel_pool(workers, tasks, |n| sender.send(n).is_ok(), &receiver, |r| r.recv().ok());
            tasks
        })
        .entry("rayon, scope", move || {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap();
            pool.in_place_scope(|scope| {
                for task in 0..tasks {
                    scope.spawn(move |_| {
                        black_box(run(task));
                    });
                }
            });
            tasks
        })
        .entry("Python, queue.Queue", move || python(workers, few))
        .run(settings)
}

fn ours_in_batches(builder: Builder, workers: usize, tasks: u64) -> u64 {
    let queue = builder.workers(workers).batch(64).discard_outcomes().start(run).unwrap();
    queue.submit_all(0..tasks).unwrap();
    assert_eq!(queue.wait_completion().stats().done as u64, tasks);
    tasks
}

fn ours_one_by_one(workers: usize, tasks: u64) -> u64 {
    let builder = WorkQueue::builder().workers(workers).capacity(CAPACITY);
    let queue = builder.discard_outcomes().start(run).unwrap();
    for task in 0..tasks {
        queue.submit(task).unwrap();
    }
    assert_eq!(queue.wait_completion().stats().done as u64, tasks);
    tasks
}

/// A pool as people write it: threads that receive `Some(task)` until they receive `None`, one for each.
fn channel_pool<C: Sync>(
    workers: usize,
    tasks: u64,
    send: impl Fn(Option<u64>) -> bool,
    receiver: &C,
    receive: impl Fn(&C) -> Option<Option<u64>> + Sync,
) {
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(Some(task)) = receive(receiver) {
                    black_box(run(task));
                }
            });
        }
        for task in 0..tasks {
            assert!(send(Some(task)));
        }
        (0..workers).for_each(|_| assert!(send(None)));
    });
}

/// The chapter's own pattern: threads, a sentinel each, `task_done` and `join`.
fn python(workers: usize, tasks: u64) -> u64 {
    let program = format!(
        "import queue, threading
q = queue.Queue({CAPACITY})
def work():
    while (task := q.get()) is not None:
        task * 3
        q.task_done()
    q.task_done()
threads = [threading.Thread(target=work) for _ in range({workers})]
for t in threads: t.start()
for n in range({tasks}): q.put(n)
for t in threads: q.put(None)
q.join()
for t in threads: t.join()"
    );
    let status = std::process::Command::new("python3").args(["-c", &program]).status();
    assert!(status.is_ok_and(|status| status.success()), "this entry needs python3");
    tasks
}

/// The same with results: all of them in the hands of the main thread at the end.
fn with_results(workers: usize, tasks: u64, settings: &Settings) {
    Contest::new(format!("tiny tasks with their results, {workers} workers, a task"))
        .entry("workqueue, read as completed", move || {
            let builder = WorkQueue::builder().workers(workers).batch(64);
            let queue = builder.start(run).unwrap();
            queue.submit_all(0..tasks).unwrap();
            queue.close();
            let sum =
                queue.completed().filter_map(|o| o.into_result().ok()).fold(0, u64::wrapping_add);
            black_box(sum);
            tasks
        })
        .entry("workqueue, wait_completion", move || {
            let builder = WorkQueue::builder().workers(workers).batch(64);
            let queue = builder.start(run).unwrap();
            queue.submit_all(0..tasks).unwrap();
            assert_eq!(queue.wait_completion().len() as u64, tasks);
            tasks
        })
        .entry("threadpool + mpsc", move || {
            let pool = threadpool::ThreadPool::new(workers);
            let (sender, receiver) = mpsc::channel();
            for task in 0..tasks {
                let sender = sender.clone();
                pool.execute(move || sender.send(run(task)).unwrap_or(()));
            }
            drop(sender);
            black_box(receiver.iter().fold(0, u64::wrapping_add));
            tasks
        })
        .entry("crossbeam, unbounded both ways", move || {
            let (sender, receiver) = crossbeam_channel::unbounded();
            let (results, read) = crossbeam_channel::unbounded();
            thread::scope(|scope| {
                for _ in 0..workers {
                    let (receiver, results) = (receiver.clone(), results.clone());
                    scope.spawn(move || receiver.iter().all(|n| results.send(run(n)).is_ok()));
                }
                drop(results);
                (0..tasks).for_each(|task| sender.send(task).unwrap_or(()));
                drop(sender);
                black_box(read.iter().fold(0, u64::wrapping_add));
            });
            tasks
        })
        .run(settings);
}
