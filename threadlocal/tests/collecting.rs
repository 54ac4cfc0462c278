//! What the owner of a `PerThread` does with everybody's adapters: count, visit, collect, retire.

mod census;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use census::{Adapter, Census};
use threadlocal::{PerThread, Reentry, UseError};

type Storage = PerThread<Adapter, &'static str>;

/// Threads that have used the storage and live on until they are let go.
struct Crowd {
    threads: Vec<(Sender<()>, JoinHandle<()>)>,
}

impl Crowd {
    fn of(size: usize, storage: &Storage) -> Self {
        let threads = (0..size).map(|_| {
            let (storage, (go, wait), (used, ready)) = (storage.clone(), channel(), channel());
            let thread = thread::spawn(move || {
                storage.with(Adapter::touch).unwrap();
                used.send(()).unwrap();
                wait.recv().unwrap();
            });
            ready.recv().unwrap();
            (go, thread)
        });
        Self { threads: threads.collect() }
    }

    fn go_home(self) {
        for (go, thread) in self.threads {
            go.send(()).unwrap();
            thread.join().unwrap();
        }
    }
}

/// A thread inside a `with`, until it is told to come out.
fn busy_thread(storage: &Storage) -> (Sender<()>, JoinHandle<()>) {
    let (storage, (go, wait), (entered, ready)) = (storage.clone(), channel(), channel());
    let thread = thread::spawn(move || {
        let stay = |_: &mut Adapter| {
            entered.send(()).unwrap();
            wait.recv().unwrap();
        };
        storage.with(stay).unwrap();
    });
    Receiver::recv(&ready).unwrap();
    (go, thread)
}

/// Adapters that are handed to `on_retire`, by number.
#[derive(Clone, Default)]
struct Retired(Arc<Mutex<Vec<usize>>>);

impl Retired {
    fn hook(&self) -> impl Fn(Adapter) + Send + Sync + use<> {
        let list = Arc::clone(&self.0);
        move |adapter| list.lock().unwrap().push(adapter.number())
    }

    fn sorted(&self) -> Vec<usize> {
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        numbers.sort_unstable();
        numbers
    }
}

#[test]
fn len_and_for_each_see_every_thread() {
    let census = Census::new();
    let storage = PerThread::new(census.maker());
    let crowd = Crowd::of(3, &storage);
    assert_eq!((storage.len(), storage.seats(), storage.is_empty()), (3, 3, false));
    let mut numbers = Vec::new();
    storage.for_each(|adapter| numbers.push(adapter.number())).unwrap();
    assert_eq!(numbers, [0, 1, 2], "in the order in which their threads came");
    crowd.go_home();
    assert_eq!((storage.len(), census.alive()), (0, 0));
    assert_eq!(storage.seats(), 1, "only the looker's own is left");
    assert!(format!("{storage:?}").contains("live: 0, seats: 1"), "{storage:?}");
}

#[test]
fn drain_hands_over_and_threads_build_again() {
    let census = Census::new();
    let storage = PerThread::new(census.maker());
    storage.with(Adapter::touch).unwrap();
    let crowd = Crowd::of(2, &storage);
    let adapters = storage.drain().unwrap();
    assert_eq!((adapters.len(), storage.len(), census.alive()), (3, 0, 3));
    assert_eq!(storage.with(|a| a.number()).unwrap(), 3);
    crowd.go_home();
    drop(adapters);
    assert_eq!(census.alive(), 1);
}

#[test]
fn what_goes_through_all_is_reentry_inside_a_use() {
    let census = Census::new();
    let storage = PerThread::new(census.maker());
    // A busy thread that could be waited for: it must not be.
    let (go, thread) = busy_thread(&storage);
    storage
        .with(|_| {
            assert_eq!(storage.for_each(|_| ()), Err(Reentry));
            assert_eq!(storage.drain().map(|all| all.len()), Err(Reentry));
        })
        .unwrap();
    go.send(()).unwrap();
    thread.join().unwrap();
}

#[test]
fn inside_for_each_the_storage_is_busy_for_its_caller() {
    let census = Census::new();
    let storage = PerThread::new(census.maker());
    let crowd = Crowd::of(1, &storage);
    let mut seen = 0;
    storage
        .for_each(|_| {
            seen += 1;
            assert!(matches!(storage.with(|_| ()), Err(UseError::Reentry)));
            assert_eq!(storage.for_each(|_| ()), Err(Reentry));
            assert_eq!(storage.drain().map(|all| all.len()), Err(Reentry));
            assert_ne!(storage.with_or_temp(|a| a.number()).unwrap(), 0);
        })
        .unwrap();
    assert_eq!(seen, 1);
    storage.with(Adapter::touch).unwrap();
    crowd.go_home();
}

#[test]
fn for_each_waits_for_the_busy() {
    let census = Census::new();
    let storage = PerThread::new(census.maker());
    let (go, thread) = busy_thread(&storage);
    let there = storage.clone();
    let looker = thread::spawn(move || {
        let mut uses = Vec::new();
        there.for_each(|adapter| uses.push(adapter.number())).unwrap();
        uses
    });
    go.send(()).unwrap();
    let seen = looker.join().unwrap();
    thread.join().unwrap();
    // The thread may have ended between its use and the look.
    assert!(seen == [0] || seen.is_empty(), "{seen:?}");
}

#[test]
fn drain_waits_for_the_busy() {
    let census = Census::new();
    let storage = PerThread::builder().keep_retired().build(census.maker());
    let (go, thread) = busy_thread(&storage);
    let there = storage.clone();
    let drainer = thread::spawn(move || there.drain().unwrap().len());
    thread::yield_now();
    assert!(!drainer.is_finished(), "the adapter is in use");
    go.send(()).unwrap();
    assert_eq!(drainer.join().unwrap(), 1);
    thread.join().unwrap();
}

#[test]
fn a_panic_in_for_each_discards_the_adapter_that_it_looked_at() {
    let census = Census::new();
    let retired = Retired::default();
    let storage = PerThread::builder().on_retire(retired.hook()).build(census.maker());
    let crowd = Crowd::of(2, &storage);
    let look = || storage.for_each(|adapter| assert_ne!(adapter.number(), 1, "on purpose"));
    assert!(catch_unwind(AssertUnwindSafe(look)).is_err());
    assert_eq!((storage.len(), retired.sorted()), (1, vec![1]));
    storage.with(Adapter::touch).unwrap();
    crowd.go_home();
}

#[test]
fn invalidate_drops_idle_adapters_at_once_and_busy_ones_afterwards() {
    let census = Census::new();
    let storage = PerThread::new(census.maker());
    let crowd = Crowd::of(2, &storage);
    let (go, thread) = busy_thread(&storage);
    storage.invalidate();
    assert_eq!((census.alive(), storage.len()), (1, 1), "the busy one is left");
    go.send(()).unwrap();
    thread.join().unwrap();
    assert_eq!(census.alive(), 0);
    crowd.go_home();
}

#[test]
fn an_adapter_invalidated_in_use_ends_with_its_use() {
    let census = Census::new();
    let storage = PerThread::new(census.maker());
    storage.with(|_| storage.invalidate()).unwrap();
    assert_eq!((census.alive(), storage.len()), (0, 0));
}

#[test]
fn an_adapter_invalidated_while_looked_at_ends_with_the_look() {
    let census = Census::new();
    let storage = PerThread::new(census.maker());
    let crowd = Crowd::of(1, &storage);
    storage.for_each(|_| storage.invalidate()).unwrap();
    assert_eq!((census.alive(), storage.len()), (0, 0));
    crowd.go_home();
}

#[test]
fn discard_and_leave_inside_for_each_wait_for_its_end() {
    let census = Census::new();
    let storage = PerThread::new(census.maker());
    for end in [PerThread::discard as fn(&Storage), |_| threadlocal::leave()] {
        storage.with(Adapter::touch).unwrap();
        let look = |_: &mut Adapter| {
            end(&storage);
            assert_eq!(storage.len(), 1);
        };
        storage.for_each(look).unwrap();
        assert_eq!((storage.len(), census.alive()), (0, 0));
    }
}

#[test]
fn on_retire_comes_once_per_adapter_wherever_it_ends() {
    let census = Census::new();
    let retired = Retired::default();
    let storage = PerThread::builder().on_retire(retired.hook()).build(census.maker());
    Crowd::of(1, &storage).go_home(); // 0: its thread ends
    storage.with(Adapter::touch).unwrap();
    storage.discard(); // 1: discarded
    storage.with(Adapter::touch).unwrap();
    storage.invalidate(); // 2: invalidated
    let _ = catch_unwind(AssertUnwindSafe(|| storage.with(|_| panic!("in use")))); // 3: broken
    storage.with(|_| storage.with_or_temp(Adapter::touch).unwrap()).unwrap(); // 4, and 5 a one-off
    assert_eq!(retired.sorted(), [0, 1, 2, 3, 5]);
    let panics = |_: &mut Adapter| storage.with_or_temp(|_| panic!("in use")).unwrap();
    let _ = catch_unwind(AssertUnwindSafe(|| storage.with(panics))); // 4 and 6, a one-off
    storage.with(Adapter::touch).unwrap();
    threadlocal::leave(); // 7: its thread leaves
    storage.with(Adapter::touch).unwrap();
    let drained = storage.drain().unwrap(); // 8: handed over
    storage.with(Adapter::touch).unwrap();
    assert_eq!(retired.sorted(), [0, 1, 2, 3, 4, 5, 6, 7]);
    let there = storage.clone();
    drop(storage);
    assert_eq!(retired.sorted().len(), 8, "a handle is left");
    drop(there); // 9: the last handle goes
    assert_eq!(retired.sorted(), [0, 1, 2, 3, 4, 5, 6, 7, 9]);
    drop(drained);
    assert_eq!(census.alive(), 0);
}

#[test]
fn the_last_handle_ends_adapters_of_living_threads() {
    let census = Census::new();
    let storage = PerThread::new(census.maker());
    storage.with(Adapter::touch).unwrap();
    drop(storage);
    assert_eq!(census.alive(), 0);
    threadlocal::sweep();
    threadlocal::leave();
    assert_eq!((census.built(), census.ended()), (1, 1));
}

#[test]
fn kept_adapters_wait_for_drain() {
    let census = Census::new();
    let storage = PerThread::builder().keep_retired().build(census.maker());
    Crowd::of(3, &storage).go_home();
    assert_eq!((storage.len(), storage.seats(), census.alive()), (3, 3, 3));
    storage.invalidate();
    assert_eq!(storage.len(), 3, "no use sees them again, so they are not stale");
    let mut seen = 0;
    storage.for_each(|_| seen += 1).unwrap();
    assert_eq!(seen, 3);
    assert_eq!(storage.drain().unwrap().len(), 3);
    assert_eq!((storage.len(), storage.seats()), (0, 1), "the seat is this thread's own");
    assert_eq!(storage.drain().unwrap().len(), 0);
}

#[test]
fn kept_adapters_that_nobody_drains_end_with_the_storage() {
    let census = Census::new();
    let retired = Retired::default();
    let builder = PerThread::builder().on_retire(retired.hook()).keep_retired();
    assert!(format!("{builder:?}").contains("on_retire: true, keep_retired: true"), "{builder:?}");
    let storage = builder.build(census.maker());
    Crowd::of(2, &storage).go_home();
    assert_eq!(retired.sorted(), []);
    drop(storage);
    assert_eq!((retired.sorted(), census.alive()), (vec![0, 1], 0));
}

#[test]
fn a_thread_that_ends_with_nothing_leaves_no_kept_seat() {
    let census = Census::new();
    let storage = PerThread::builder().keep_retired().build(census.maker());
    let there = storage.clone();
    thread::spawn(move || {
        there.with(Adapter::touch).unwrap();
        there.discard();
    })
    .join()
    .unwrap();
    assert_eq!((storage.len(), storage.seats()), (0, 0));
}

/// T2: drainers, lookers, invalidators and users at once; every adapter is whole and ends once.
#[test]
fn everybody_at_once() {
    let census = Census::new();
    let storage = PerThread::builder().keep_retired().build(census.maker());
    let users = (0..4).map(|_| {
        let storage = storage.clone();
        thread::spawn(move || (0..500).for_each(|_| storage.with(Adapter::touch).unwrap()))
    });
    let users: Vec<_> = users.collect();
    let there = storage.clone();
    let owner = thread::spawn(move || {
        for round in 0..100 {
            match round % 4 {
                0 => drop(there.drain().unwrap()),
                1 => there.invalidate(),
                2 => there.for_each(Adapter::touch).unwrap(),
                _ => assert!(there.len() <= 5),
            }
        }
    });
    users.into_iter().chain([owner]).for_each(|thread| thread.join().unwrap());
    drop(storage.drain().unwrap());
    assert_eq!((census.alive(), storage.len()), (0, 0));
    drop(storage);
}
