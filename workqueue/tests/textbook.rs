//! The chapter's own tests: 2 workers and 100 tasks, the shared counter, an unknown task type.

use std::collections::HashSet;

use workqueue::{Counter, Queue, WorkQueue};

#[test]
fn two_workers_give_a_hundred_results_for_a_hundred_tasks() {
    let queue = WorkQueue::builder().workers(2).name("Worker").start(|n: usize| n * 2).unwrap();
    assert_eq!(queue.submit_all(0..100).unwrap(), 100);
    let report = queue.wait_completion();
    assert_eq!(report.len(), 100);
    assert!(report.pending().is_empty());
    for (n, outcome) in report.into_iter().enumerate() {
        assert_eq!(outcome.ticket().number(), n as u64, "in the order of submission");
        assert_eq!(outcome.into_result().unwrap(), n * 2);
    }
}

#[test]
fn four_threads_that_add_one_hundred_times_make_four_hundred() {
    let counter = Counter::new();
    let returned: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..100).map(|_| counter.increment()).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(counter.get(), 400);
    let each_once: HashSet<u64> = returned.into_iter().collect();
    assert_eq!(each_once, (1..=400).collect(), "no count was given out twice");
}

#[derive(Debug, PartialEq)]
struct UnknownTask(String);

fn generate(kind: &str) -> Result<String, UnknownTask> {
    match kind {
        "audio" | "image" => Ok(format!("{kind} made")),
        other => Err(UnknownTask(other.to_owned())),
    }
}

#[test]
fn an_unknown_task_type_is_an_error_result_and_stops_nothing() {
    let queue = WorkQueue::builder().workers(2).start(generate).unwrap();
    queue.submit_all(["audio", "smell", "image"]).unwrap();
    let results: Vec<_> =
        queue.wait_completion().into_iter().map(|o| o.into_result().unwrap()).collect();
    assert_eq!(
        results,
        [
            Ok("audio made".to_owned()),
            Err(UnknownTask("smell".to_owned())),
            Ok("image made".into())
        ]
    );
}

#[test]
fn each_worker_has_a_name_of_its_own() {
    let name = || std::thread::current().name().map(str::to_owned);
    let both = std::sync::Arc::new(std::sync::Barrier::new(2));
    let queue = WorkQueue::builder()
        .workers(2)
        .name("Worker")
        .start(move |()| {
            both.wait(); // so that neither worker can run both
            name()
        })
        .unwrap();
    queue.submit_all([(), ()]).unwrap();
    let names: HashSet<_> =
        queue.wait_completion().into_iter().map(|o| o.into_result().unwrap().unwrap()).collect();
    assert_eq!(names, HashSet::from(["Worker-0".to_owned(), "Worker-1".to_owned()]));
}

#[test]
fn the_queue_alone_does_what_queue_dot_queue_does() {
    let queue = Queue::bounded(4);
    let seen = Counter::new();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(task) = queue.get() {
                    assert!(*task < 100);
                    seen.increment();
                }
            });
        }
        assert_eq!(queue.put_all(0..100).unwrap(), 100);
        queue.join();
        assert_eq!(seen.get(), 100, "join returned, so everything is done");
        queue.close();
    });
}
