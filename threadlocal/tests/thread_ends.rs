//! What happens when threads end and when storages go before them.

mod census;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use census::{Adapter, Census};
use threadlocal::{PerThread, PerThreadLocal, PerThreadMap, UseError, leave, sweep};

/// Runs the closure at its drop.
struct AtDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for AtDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// An adapter whose `Drop` runs whatever it was given.
type Dropper = AtDrop<Box<dyn FnMut() + Send>>;

#[test]
fn a_pinned_adapter_is_built_used_and_dropped_on_its_thread() {
    let census = Census::new();
    let home = Arc::new(AtomicBool::new(true));
    let (made, checked) = (census.maker(), Arc::clone(&home));
    let storage = PerThreadLocal::new(move || {
        let (adapter, checked) = (made()?, Arc::clone(&checked));
        let not_send = Rc::new(Cell::new(0));
        let thread = adapter.home();
        Ok::<_, &str>(AtDrop(move || {
            not_send.set(not_send.get() + 1);
            checked.fetch_and(thread == thread::current().id() && adapter.uses() == 0, SeqCst);
        }))
    });
    let there = storage.clone();
    let end_here = thread::spawn(move || {
        there.with(|_| ()).unwrap();
        there.invalidate();
        there.with(|_| ()).unwrap();
        drop(there);
    });
    storage.with(|_| ()).unwrap();
    end_here.join().unwrap();
    storage.with(|_| ()).unwrap();
    assert_eq!(storage.len(), 1);
    drop(storage);
    sweep();
    assert!(home.load(SeqCst));
}

#[test]
fn a_pinned_adapter_outlives_its_storage_until_the_thread_sweeps() {
    let census = Census::new();
    let storage = PerThreadLocal::new(census.maker());
    storage.with(Adapter::touch).unwrap();
    drop(storage);
    assert_eq!(census.alive(), 1);
    sweep();
    assert_eq!(census.alive(), 0);
}

#[test]
fn a_pinned_adapter_outlives_its_storage_until_the_thread_builds_any() {
    let census = Census::new();
    let storage = PerThreadLocal::new(census.maker());
    storage.with(Adapter::touch).unwrap();
    drop(storage);
    let other = PerThread::new(|| Ok::<_, ()>(0));
    other.with(|_| ()).unwrap();
    assert_eq!(census.alive(), 0);
}

#[test]
fn a_renewal_sweeps_as_a_first_build_does() {
    let census = Census::new();
    let other = PerThreadLocal::new(|| Ok::<_, ()>(0));
    other.with(|_| ()).unwrap();
    let storage = PerThreadLocal::new(census.maker());
    storage.with(Adapter::touch).unwrap();
    drop(storage);
    other.invalidate();
    other.with(|_| ()).unwrap();
    assert_eq!(census.alive(), 0);
}

#[test]
fn a_pinned_adapter_ends_with_its_thread_where_the_storage_went_first() {
    let census = Census::new();
    let there = census.clone();
    thread::spawn(move || {
        let storage = PerThreadLocal::new(there.maker());
        storage.with(Adapter::touch).unwrap();
        drop(storage);
        assert_eq!(there.alive(), 1);
    })
    .join()
    .unwrap();
    assert_eq!(census.alive(), 0);
}

/// The thread's table is not the only owner of its seats: a `Local` that is never dropped is another.
#[test]
fn an_adapter_ends_with_its_thread_where_a_local_was_forgotten() {
    let census = Census::new();
    let (storage, pinned) = (PerThread::new(census.maker()), PerThreadLocal::new(census.maker()));
    let (there, pinned_there, counted) = (storage.clone(), pinned.clone(), census.clone());
    thread::spawn(move || {
        let (mut local, mut pinned) = (there.local(), pinned_there.local());
        local.with(Adapter::touch).unwrap();
        pinned.with(Adapter::touch).unwrap();
        std::mem::forget((local, pinned));
        assert_eq!(counted.alive(), 2);
    })
    .join()
    .unwrap();
    assert_eq!((census.alive(), storage.seats()), (0, 0));
    assert_eq!((storage.len(), pinned.len()), (0, 0));
}

#[test]
fn a_new_thread_never_inherits() {
    let census = Census::new();
    let storage = PerThread::new(census.maker());
    for number in 0..20 {
        let there = storage.clone();
        let seen = thread::spawn(move || there.with(|a| (a.number(), a.uses())).unwrap());
        assert_eq!(seen.join().unwrap(), (number, 0));
    }
}

#[test]
fn a_storage_does_not_see_what_an_earlier_one_left_in_its_place() {
    for _ in 0..10 {
        let storage = PerThreadLocal::new(|| Ok::<_, ()>(0));
        assert_eq!(storage.with(|n| std::mem::replace(n, 7)), Ok(0));
        let map = PerThreadMap::new(|_: &u32| Ok::<_, ()>(0));
        assert_eq!(map.with(&1, |n| std::mem::replace(n, 7)), Ok(0));
        let shared = PerThread::new(|| Ok::<_, ()>(0));
        assert_eq!(shared.with(|n| std::mem::replace(n, 7)), Ok(0));
    }
}

#[test]
fn storages_come_and_go_on_one_thread() {
    let census = Census::new();
    let kept = PerThreadLocal::new(census.maker());
    kept.with(Adapter::touch).unwrap();
    for _ in 0..1_000 {
        let (shared, pinned) =
            (PerThread::new(census.maker()), PerThreadLocal::new(census.maker()));
        shared.with(Adapter::touch).unwrap();
        pinned.with(Adapter::touch).unwrap();
        assert!(census.alive() <= 3, "each build sweeps what ended before");
    }
    sweep();
    assert_eq!((census.alive(), kept.len()), (1, 1));
}

/// A thread-local value that does something at its end.
type Late = AtDrop<Box<dyn FnMut()>>;

thread_local! {
    static LAST: RefCell<Option<Late>> = const { RefCell::new(None) };
}

/// Which of `LAST` and the crate's table is dropped first depends on the platform. So both orders are
/// tried, either answer is right in each, and one of them meets a table that is gone.
#[test]
fn a_use_while_thread_local_values_are_dropped_is_an_error_not_a_panic() {
    let census = Census::new();
    let storage = PerThread::new(census.maker());
    let pinned = PerThreadLocal::new(census.maker());
    let (answers, refusals) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for table_first in [true, false] {
        let (there, pinned, answers) = (storage.clone(), pinned.clone(), Arc::clone(&answers));
        let refused = Arc::clone(&refusals);
        thread::spawn(move || {
            let touch = |there: &PerThread<_, _>| there.with(Adapter::touch).unwrap();
            if table_first {
                touch(&there);
            }
            let (mut local, handle) = (there.local(), there.clone());
            let late = move || {
                let right = |outcome: Result<(), UseError<&str>>| {
                    assert!(matches!(outcome, Ok(()) | Err(UseError::ThreadExiting)));
                    refused.fetch_add(usize::from(outcome.is_err()), SeqCst);
                };
                right(handle.with(Adapter::touch));
                right(handle.with_or_temp(Adapter::touch));
                right(pinned.with(Adapter::touch));
                right(pinned.with_or_temp(Adapter::touch));
                right(local.with(Adapter::touch));
                handle.discard();
                handle.invalidate();
                handle.for_each(Adapter::touch).unwrap();
                handle.drain().unwrap();
                sweep();
                leave();
                answers.fetch_add(1, SeqCst);
            };
            LAST.with_borrow_mut(|last| *last = Some(AtDrop(Box::new(late))));
            touch(&there);
        })
        .join()
        .unwrap();
    }
    assert_eq!((answers.load(SeqCst), refusals.load(SeqCst)), (2, 5));
    assert_eq!((storage.len(), census.alive()), (0, 0));
}

/// An adapter's `Drop` may use any storage, its own included: nothing is locked or borrowed.
#[test]
fn an_adapters_drop_may_use_its_own_storage() {
    let ends: [fn(&PerThread<Dropper, &'static str>); 2] =
        [PerThread::discard, PerThread::invalidate];
    for end in ends {
        let built = Arc::new(AtomicUsize::new(0));
        let storage: Arc<std::sync::OnceLock<PerThread<Dropper, &str>>> = Arc::default();
        let (count, there) = (Arc::clone(&built), Arc::downgrade(&storage));
        let made = PerThread::new(move || {
            let first = count.fetch_add(1, SeqCst) == 0;
            let there = there.clone();
            Ok(AtDrop(Box::new(move || {
                let Some(storage) = there.upgrade().filter(|_| first) else { return };
                storage.get().unwrap().with(|_| ()).unwrap();
            }) as Box<dyn FnMut() + Send>))
        });
        let _ = storage.set(made);
        let mine = storage.get().unwrap();
        mine.with(|_| ()).unwrap();
        end(mine);
        assert_eq!((built.load(SeqCst), mine.len()), (2, 1));
        mine.with(|_| ()).unwrap();
        assert_eq!(built.load(SeqCst), 2, "the one that the drop built is used");
        mine.invalidate();
        mine.with(|_| ()).unwrap();
        assert_eq!((built.load(SeqCst), mine.len()), (3, 1));
    }
}

thread_local! {
    /// What the next pinned adapter's `Drop` on this thread runs.
    static AT_NEXT_DROP: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

struct RunsHook;

impl Drop for RunsHook {
    fn drop(&mut self) {
        if let Ok(Some(hook)) = AT_NEXT_DROP.try_with(RefCell::take) {
            hook();
        }
    }
}

#[test]
fn an_adapters_drop_may_renew_its_own_pinned_storage() {
    let built = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&built);
    let storage = PerThreadLocal::new(move || {
        count.fetch_add(1, SeqCst);
        Ok::<_, ()>(RunsHook)
    });
    storage.with(|_| ()).unwrap();
    let again = storage.clone();
    AT_NEXT_DROP.set(Some(Box::new(move || again.with(|_| ()).unwrap())));
    storage.invalidate();
    storage.with(|_| ()).unwrap();
    assert_eq!(built.load(SeqCst), 2, "the one that the drop built is used");
    assert_eq!(storage.len(), 1);
}

#[test]
fn an_adapters_drop_in_leave_cannot_build_again() {
    let storage: Arc<std::sync::OnceLock<PerThread<Dropper, ()>>> = Arc::default();
    let refused = Arc::new(AtomicUsize::new(0));
    let (there, count) = (Arc::downgrade(&storage), Arc::clone(&refused));
    let _ = storage.set(PerThread::new(move || {
        let (there, count) = (there.clone(), Arc::clone(&count));
        Ok(AtDrop(Box::new(move || {
            let Some(storage) = there.upgrade() else { return };
            if matches!(storage.get().unwrap().with(|_| ()), Err(UseError::ThreadExiting)) {
                count.fetch_add(1, SeqCst);
            }
        }) as Box<dyn FnMut() + Send>))
    }));
    storage.get().unwrap().with(|_| ()).unwrap();
    leave();
    assert_eq!((refused.load(SeqCst), storage.get().unwrap().len()), (1, 0));
    storage.get().unwrap().with(|_| ()).unwrap();
    assert_eq!(storage.get().unwrap().len(), 1, "after it the thread builds again");
}

/// The thread has a seat and no adapter in two storages; of two adapters with handles to both, one
/// ends before their turn and one after it.
#[test]
fn a_handle_in_leave_builds_nothing_in_a_storage_whose_turn_has_not_come() {
    // In the thread's table one is before the two, and one after them.
    let dropper =
        || PerThreadLocal::<AtDrop<Box<dyn FnMut()>>, ()>::new(|| Ok(AtDrop(Box::new(|| ()))));
    let first = dropper();
    let built = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&built);
    let shared = PerThread::new(move || Ok::<_, ()>(count.fetch_add(1, SeqCst)));
    let count = Arc::clone(&built);
    let pinned = PerThreadLocal::new(move || Ok::<_, ()>(count.fetch_add(1, SeqCst)));
    let refused = Rc::new(Cell::new(0));
    for storage in [&first, &dropper()] {
        let (mut one, mut other) = (shared.local(), pinned.local());
        one.with(|_| ()).unwrap();
        other.with(|_| ()).unwrap();
        let refused = Rc::clone(&refused);
        storage
            .with(|adapter| {
                adapter.0 = Box::new(move || {
                    for error in [one.with(|_| ()), other.with(|_| ())] {
                        if matches!(error, Err(UseError::ThreadExiting)) {
                            refused.set(refused.get() + 1);
                        }
                    }
                });
            })
            .unwrap();
    }
    shared.discard();
    pinned.discard();
    let before = built.load(SeqCst);
    leave();
    assert_eq!((refused.get(), built.load(SeqCst) - before), (4, 0));
    assert_eq!((shared.len(), pinned.len()), (0, 0));
    assert_eq!(shared.with(|_| ()), Ok(()), "after it the thread builds again");
    leave();
}
