//! Order: of tasks with one worker, of outcomes with many, and what a batch leaves to the others.

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::Duration;

use workqueue::{Outcome, Step, WorkQueue};

#[test]
fn one_worker_runs_tasks_in_the_order_of_submission() {
    for batch in [1, 8] {
        let ran = Arc::new(Mutex::new(Vec::new()));
        let theirs = ran.clone();
        let builder = WorkQueue::builder().workers(1).batch(batch).capacity(16);
        let queue = builder.start(move |n: u32| theirs.lock().unwrap().push(n)).unwrap();
        queue.submit_all(0..500).unwrap();
        assert_eq!(queue.wait_completion().len(), 500);
        assert!(ran.lock().unwrap().iter().copied().eq(0..500));
    }
}

#[test]
fn each_producers_tasks_keep_their_order() {
    let ran: Arc<Mutex<BTreeMap<u32, Vec<u32>>>> = Arc::default();
    let theirs = ran.clone();
    let queue = WorkQueue::builder()
        .workers(1)
        .capacity(4)
        .start(move |(producer, n)| theirs.lock().unwrap().entry(producer).or_default().push(n))
        .unwrap();
    std::thread::scope(|scope| {
        for producer in 0..3 {
            let queue = &queue;
            scope.spawn(move || {
                for n in 0..200 {
                    queue.submit((producer, n)).unwrap();
                }
            });
        }
    });
    queue.join().unwrap();
    let ran = ran.lock().unwrap();
    assert_eq!(ran.len(), 3);
    assert!(ran.values().all(|order| order.iter().copied().eq(0..200)));
}

#[test]
fn ordered_has_no_gap_where_a_task_panicked_or_was_taken_or_handed_back() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let queue = WorkQueue::builder()
        .workers(2)
        .start(move |n: u32| match n {
            0 => wait.lock().unwrap().recv().unwrap(),
            3 => std::panic::resume_unwind(Box::new("three")),
            _ => {}
        })
        .unwrap();
    queue.submit_all(0..6).unwrap();
    // Whichever ends first is taken out of the order by another reader; it is not the held one.
    let taken = queue.completed().next().unwrap().ticket();
    let mut ordered = queue.ordered();
    assert!(ordered.try_next().is_none(), "the oldest is not done, so none is to come before it");
    go.send(()).unwrap();
    queue.join().unwrap();
    queue.cancel();
    let read: Vec<(u64, bool)> = ordered
        .map(|outcome| (outcome.ticket().number(), matches!(outcome, Outcome::Panicked(_))))
        .collect();
    let expected: Vec<(u64, bool)> =
        (0..6).filter(|n| *n != taken.number()).map(|n| (n, n == 3)).collect();
    assert_eq!(read, expected);
}

#[test]
fn slow_tasks_are_taken_one_by_one_however_large_a_batch_may_be() {
    #[derive(Clone, Copy)]
    enum Task {
        Slow,
        Hold,
        NeedsOther,
        Other,
    }
    let both = Barrier::new(2);
    let (started, has_started) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let (other, has_other) = mpsc::channel();
    let (wait, has_other) = (Mutex::new(wait), Mutex::new(has_other));
    let queue = WorkQueue::builder()
        .workers(2)
        .batch(64)
        .discard_outcomes()
        .start(move |task| match task {
            Task::Slow => {
                both.wait();
                // Longer than tasks in a batch may take together: both workers know now.
                std::thread::sleep(Duration::from_micros(200));
            }
            Task::Hold => {
                started.send(()).unwrap();
                wait.lock().unwrap().recv().unwrap();
            }
            // Were it in the same batch as those behind it, it would wait for ever.
            Task::NeedsOther => has_other.lock().unwrap().recv().unwrap(),
            Task::Other => other.send(()).unwrap(),
        })
        .unwrap();
    queue.submit_all([Task::Slow; 2]).unwrap();
    queue.join().unwrap();
    queue.submit(Task::Hold).unwrap();
    has_started.recv().unwrap();
    let rest = std::iter::repeat_n(Task::Other, 15);
    queue.submit_all(std::iter::once(Task::NeedsOther).chain(rest)).unwrap();
    while queue.stats().running < 2 {
        std::thread::yield_now();
    }
    go.send(()).unwrap();
    let joined = queue.join_timeout(Duration::from_secs(60));
    if joined.is_err() {
        std::mem::forget(queue); // its drop would wait for ever
    }
    joined.unwrap();
}

#[test]
fn what_a_reader_in_order_passes_by_is_there_for_the_other_reader() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let queue = WorkQueue::builder()
        .workers(2)
        .start(move |held: bool| {
            if held {
                wait.lock().unwrap().recv().unwrap();
            }
        })
        .unwrap();
    queue.submit_all([true, false, false]).unwrap();
    while queue.stats().done < 2 {
        std::thread::yield_now();
    }
    assert!(queue.ordered().try_next().is_none());
    let mut completed = queue.completed();
    let read = [(); 2].map(|()| completed.try_next().map(|outcome| outcome.ticket().number()));
    go.send(()).unwrap();
    assert_eq!(read, [Some(1), Some(2)]);
    assert_eq!(queue.wait_completion().len(), 1);
}

#[test]
fn cancel_hands_back_in_ticket_order_wherever_a_task_was() {
    let (started, has_started) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let queue = WorkQueue::builder()
        .workers(1)
        .start_with(
            |_| (),
            move |(), n: u32, _| {
                if n == 0 {
                    return Step::Again(n, Duration::MAX);
                }
                started.send(()).unwrap();
                wait.lock().unwrap().recv().unwrap();
                Step::Done(n)
            },
        )
        .unwrap();
    queue.submit_all(0..4).unwrap();
    has_started.recv().unwrap();
    let returned: Vec<u32> = queue.cancel().into_iter().map(|pending| pending.task).collect();
    go.send(()).unwrap();
    assert_eq!(returned, [0, 2, 3]);
}

#[test]
fn an_outcome_tells_how_long_its_task_took() {
    let nap = Duration::from_millis(5);
    let queue = WorkQueue::builder().workers(1).start(move |()| std::thread::sleep(nap)).unwrap();
    queue.submit(()).unwrap();
    for outcome in queue.wait_completion() {
        assert!(matches!(outcome, Outcome::Done { elapsed, .. } if elapsed >= nap));
    }
}

#[test]
fn a_report_gives_what_nobody_took_in_the_order_of_submission() {
    let queue = WorkQueue::builder().workers(1).start(|n: u32| n).unwrap();
    queue.submit_all(0..4).unwrap();
    queue.join().unwrap();
    let mut reader = queue.completed();
    assert!(reader.next().is_some() && !reader.is_over());
    let report = queue.wait_completion();
    assert!(!report.is_empty() && report.pending().is_empty());
    let numbers: Vec<_> = (&report).into_iter().map(|outcome| outcome.ticket().number()).collect();
    assert_eq!((numbers, report.len()), (vec![1, 2, 3], 3));
    let values: Vec<_> = report.into_iter().map(|outcome| outcome.into_result().unwrap()).collect();
    assert_eq!(values, [1, 2, 3]);
    assert!(reader.is_over() && reader.next().is_none());

    let empty = WorkQueue::builder().start(|(): ()| ()).unwrap().wait_completion();
    assert!(empty.is_empty() && (&empty).into_iter().next().is_none());
}

#[test]
fn a_reader_is_over_when_nothing_is_left_to_read_and_nothing_can_come() {
    let queue = WorkQueue::builder().workers(1).start(|n: u32| n).unwrap();
    let mut reader = queue.ordered();
    assert!(!reader.is_over(), "something can come");
    queue.submit(7).unwrap();
    queue.close();
    queue.join().unwrap();
    assert!(!reader.is_over(), "something is left");
    assert!(reader.try_next().is_some());
    assert!(reader.is_over());
}
