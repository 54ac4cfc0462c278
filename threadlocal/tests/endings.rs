//! T1 across threads: while another thread ends an adapter, its own thread builds no other, and nobody
//! waits for somebody who waits for him.

mod census;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;

use census::{Adapter, Census};
use threadlocal::{PerThread, UseError, leave};

type Storage = PerThread<Adapter, &'static str>;
type Work = Box<dyn FnOnce(&Storage) + Send>;

/// A thread with an adapter, which does what it is told until it is dropped.
struct Worker {
    work: Sender<Work>,
    done: Receiver<()>,
    thread: JoinHandle<()>,
}

impl Worker {
    fn new(storage: &Storage) -> Self {
        let (work, todo) = channel::<Work>();
        let (report, done) = channel();
        let storage = storage.clone();
        let thread = thread::spawn(move || {
            for work in todo {
                work(&storage);
                let _ = report.send(());
            }
        });
        let worker = Self { work, done, thread };
        worker.does(|storage| storage.with(Adapter::touch).unwrap());
        worker
    }

    fn begins(&self, work: impl FnOnce(&Storage) + Send + 'static) {
        self.work.send(Box::new(work)).unwrap();
    }

    fn does(&self, work: impl FnOnce(&Storage) + Send + 'static) {
        self.begins(work);
        self.done.recv().unwrap();
    }

    fn id(&self) -> ThreadId {
        self.thread.thread().id()
    }

    fn ends(self) {
        drop(self.work);
        self.thread.join().unwrap();
    }
}

/// What `on_retire` does, once, with the next adapter of a thread.
#[derive(Clone, Default)]
struct Ends(Arc<Mutex<Vec<(ThreadId, Hook)>>>);

type Hook = Box<dyn FnOnce() + Send>;

impl Ends {
    fn storage(&self, census: &Census) -> Storage {
        let hooks = Arc::clone(&self.0);
        let on_retire = move |adapter: Adapter| {
            let hook = {
                let mut hooks = hooks.lock().unwrap();
                let at = hooks.iter().position(|(id, _)| *id == adapter.home());
                at.map(|at| hooks.swap_remove(at).1)
            };
            if let Some(hook) = hook {
                hook();
            }
        };
        PerThread::builder().on_retire(on_retire).build(census.maker())
    }

    fn of(&self, worker: &Worker, hook: impl FnOnce() + Send + 'static) {
        self.0.lock().unwrap().push((worker.id(), Box::new(hook)));
    }
}

/// A hook that says when it has begun, and goes on when it is told.
fn held() -> (impl FnOnce() + Send, Receiver<()>, Sender<()>) {
    let ((began, begins), (go, wait)) = (channel(), channel::<()>());
    let hook = move || {
        let _ = began.send(());
        let _ = wait.recv();
    };
    (hook, begins, go)
}

#[test]
fn the_next_adapter_waits_for_the_end_of_the_one_before() {
    let census = Census::new();
    let ends = Ends::default();
    let storage = ends.storage(&census);
    let worker = Worker::new(&storage);
    let (hook, begins, go) = held();
    ends.of(&worker, hook);
    let there = storage.clone();
    let invalidator = thread::spawn(move || there.invalidate());
    begins.recv().unwrap();
    worker.begins(|storage| storage.with(Adapter::touch).unwrap());
    // Really waits: nothing tells that a thread waits, only that it did not come.
    assert!(worker.done.recv_timeout(Duration::from_millis(30)).is_err(), "it did not wait");
    assert_eq!((census.built(), census.alive()), (1, 1));
    go.send(()).unwrap();
    worker.done.recv().unwrap();
    invalidator.join().unwrap();
    assert_eq!((census.built(), census.most_alive()), (2, 1));
    drop(go);
    worker.ends();
}

#[test]
fn who_ends_an_adapter_waits_for_nobody_who_may_wait_for_it() {
    let census = Census::new();
    let ends = Ends::default();
    let storage = ends.storage(&census);
    let (first, second) = (Worker::new(&storage), Worker::new(&storage));
    let (hook, begins, go) = held();
    ends.of(&first, hook);
    let there = storage.clone();
    ends.of(&second, move || {
        // On the first worker, whose own adapter is being ended just now.
        assert!(matches!(there.with(|_| ()), Err(UseError::Reentry)));
        let one_off = there.with_or_temp(|adapter| (adapter.number(), there.len())).unwrap();
        assert_eq!(one_off, (2, 0));
    });
    let there = storage.clone();
    let invalidator = thread::spawn(move || there.invalidate());
    begins.recv().unwrap();
    first.does(|storage| {
        storage.invalidate();
        assert_eq!(storage.len(), 0);
    });
    drop(go);
    invalidator.join().unwrap();
    first.does(|storage| storage.with(Adapter::touch).unwrap());
    first.ends();
    second.ends();
    assert_eq!(census.alive(), 0);
}

#[test]
fn leave_while_ending_anothers_adapter_comes_when_that_is_over() {
    let census = Census::new();
    let ends = Ends::default();
    let storage = ends.storage(&census);
    let (first, second) = (Worker::new(&storage), Worker::new(&storage));
    let other = PerThread::new(|| Ok::<_, ()>(0));
    let there = other.clone();
    ends.of(&second, move || {
        leave();
        assert_eq!(there.len(), 1, "not yet");
        assert_eq!(there.with(|n| *n), Ok(7));
    });
    let there = other.clone();
    first.does(move |storage| {
        there.with(|n| *n = 7).unwrap();
        storage.invalidate();
        assert_eq!((there.len(), there.seats()), (0, 0), "left");
        storage.invalidate();
        there.with(|n| assert_eq!(*n, 0)).unwrap();
        storage.with(Adapter::touch).unwrap();
        assert_eq!(there.len(), 1, "left once");
    });
    first.ends();
    second.ends();
}

#[test]
fn a_panic_in_an_end_lets_the_thread_go_on() {
    let census = Census::new();
    let ends = Ends::default();
    let storage = ends.storage(&census);
    let (first, second) = (Worker::new(&storage), Worker::new(&storage));
    ends.of(&first, || panic!("on purpose"));
    assert!(catch_unwind(AssertUnwindSafe(|| storage.invalidate())).is_err());
    first.does(|storage| storage.with(Adapter::touch).unwrap());
    second.does(|storage| assert_ne!(storage.with(|adapter| adapter.number()).unwrap(), 1));
    assert_eq!((storage.len(), census.alive()), (2, 2));
    first.ends();
    second.ends();
}
