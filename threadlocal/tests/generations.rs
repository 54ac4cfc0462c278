//! Adapters are built once a thread, and again after `invalidate`, `discard`, a panic or a failure.

mod census;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use census::{Adapter, Census};
use threadlocal::{PerThread, PerThreadLocal, UseError};

/// Runs the body for both types: what they share, they share in tests too.
macro_rules! both {
    ($($(#[$attr:meta])* fn $name:ident($storage:ident, $census:ident) $body:block)*) => {
        mod per_thread { use super::*; $(
            $(#[$attr])* #[test] fn $name() {
                let $census = Census::new();
                let $storage = PerThread::new($census.maker());
                $body
            }
        )* }
        mod per_thread_local { use super::*; $(
            $(#[$attr])* #[test] fn $name() {
                let $census = Census::new();
                let $storage = PerThreadLocal::new($census.maker());
                $body
            }
        )* }
    };
}

both! {
    fn one_adapter_a_thread(storage, census) {
        let mine = storage.with(|a| a.number()).unwrap();
        assert_eq!(storage.with(|a| a.number()).unwrap(), mine);
        let there = storage.clone();
        let theirs = thread::spawn(move || there.with(|a| a.number()).unwrap()).join().unwrap();
        assert_ne!(theirs, mine);
        assert_eq!(census.built(), 2);
        assert_eq!(census.alive(), 1, "the other thread has ended, and its adapter with it");
    }

    fn a_use_after_invalidate_gets_a_new_adapter(storage, census) {
        let old = storage.with(|a| a.number()).unwrap();
        storage.invalidate();
        assert_ne!(storage.with(|a| a.number()).unwrap(), old);
        assert_eq!((census.built(), census.alive()), (2, 1));
        assert_eq!(census.most_alive(), 1, "the old one goes before the new one comes");
    }

    fn invalidate_reaches_every_thread(storage, census) {
        let (to_threads, barrier) = (storage.clone(), Arc::new(std::sync::Barrier::new(4)));
        let workers: Vec<_> = (0..3).map(|_| {
            let (storage, barrier) = (to_threads.clone(), Arc::clone(&barrier));
            thread::spawn(move || {
                let old = storage.with(|a| a.number()).unwrap();
                barrier.wait();
                barrier.wait();
                assert_ne!(storage.with(|a| a.number()).unwrap(), old);
            })
        }).collect();
        barrier.wait();
        storage.invalidate();
        barrier.wait();
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!((census.built(), census.alive()), (6, 0));
    }

    fn invalidate_inside_a_use_spares_the_adapter_in_hand(storage, census) {
        let old = storage.with(|a| { storage.invalidate(); a.number() }).unwrap();
        assert_ne!(storage.with(|a| a.number()).unwrap(), old);
        assert_eq!((census.built(), census.alive()), (2, 1));
    }

    /// An `unsafe` ancestor replaced the slot here, and freed what the outer use had borrowed.
    fn invalidate_and_again_inside_a_use_is_reentry(storage, census) {
        storage.with(|adapter| {
            let before = adapter.number();
            storage.invalidate();
            assert!(matches!(storage.with(|_| ()), Err(UseError::Reentry)));
            assert_eq!((adapter.number(), census.built(), census.alive()), (before, 1, 1));
        }).unwrap();
    }

    fn a_use_inside_a_use_is_reentry_and_the_outer_goes_on(storage, census) {
        storage.with(|adapter| {
            assert!(matches!(storage.with(|_| ()), Err(UseError::Reentry)));
            adapter.touch();
        }).unwrap();
        storage.with(Adapter::touch).unwrap();
        assert_eq!(census.built(), 1);
    }

    fn with_or_temp_uses_the_threads_own_where_it_can(storage, census) {
        let mine = storage.with_or_temp(|a| a.number()).unwrap();
        assert_eq!(storage.with_or_temp(|a| a.number()).unwrap(), mine);
        assert_eq!(census.built(), 1);
    }

    fn with_or_temp_inside_a_use_gets_a_one_off(storage, census) {
        let mine = storage.with(|adapter| {
            let temp = storage.with_or_temp(|a| a.number()).unwrap();
            assert_ne!(temp, adapter.number());
            assert_eq!((census.built(), census.alive()), (2, 1), "ended after its use");
            assert_eq!(storage.len(), 1, "never counted");
            adapter.number()
        }).unwrap();
        assert_eq!(storage.with(|a| a.number()).unwrap(), mine);
    }

    fn a_one_off_that_cannot_be_made_is_an_error(storage, census) {
        storage.with(|_| {
            census.fail(true);
            assert!(matches!(storage.with_or_temp(|_| ()), Err(UseError::Make("no luck"))));
        }).unwrap();
    }

    fn a_failed_make_leaves_nothing_and_is_tried_again(storage, census) {
        census.fail(true);
        for _ in 0..2 {
            assert!(matches!(storage.with(|_| ()), Err(UseError::Make("no luck"))));
            assert_eq!((storage.len(), storage.is_empty()), (0, true));
        }
        census.fail(false);
        storage.with(Adapter::touch).unwrap();
        assert_eq!((storage.len(), storage.is_empty()), (1, false));
    }

    fn a_failed_renewal_has_dropped_the_old_one(storage, census) {
        storage.with(Adapter::touch).unwrap();
        storage.invalidate();
        census.fail(true);
        assert!(storage.with(|_| ()).is_err());
        assert_eq!((census.alive(), storage.len()), (0, 0));
    }

    fn a_panic_in_a_use_discards_the_adapter(storage, census) {
        let old = storage.with(|a| a.number()).unwrap();
        let panicked = catch_unwind(AssertUnwindSafe(|| storage.with(|_| panic!("in use"))));
        assert!(panicked.is_err());
        assert_eq!((census.alive(), storage.len()), (0, 0));
        assert_ne!(storage.with(|a| a.number()).unwrap(), old);
    }

    fn a_panic_in_make_leaves_nothing(storage, census) {
        census.panic(true);
        assert!(catch_unwind(AssertUnwindSafe(|| storage.with(|_| ()))).is_err());
        census.panic(false);
        assert_eq!((census.alive(), storage.len()), (0, 0));
        storage.with(Adapter::touch).unwrap();
    }

    /// Unwinding of something else is no reason to give a healthy adapter up.
    fn a_use_while_the_thread_unwinds_keeps_the_adapter(storage, census) {
        struct UsesInDrop<F: Fn()>(F);
        impl<F: Fn()> Drop for UsesInDrop<F> {
            fn drop(&mut self) { (self.0)(); }
        }
        storage.with(Adapter::touch).unwrap();
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let _guard = UsesInDrop(|| storage.with(Adapter::touch).unwrap());
            panic!("elsewhere");
        }));
        storage.with(Adapter::touch).unwrap();
        assert_eq!(census.built(), 1);
    }

    fn discard_ends_this_threads_adapter_alone(storage, census) {
        let (go, gone) = (Arc::new(AtomicBool::new(false)), mpsc::channel());
        let (there, flag) = (storage.clone(), Arc::clone(&go));
        let worker = thread::spawn(move || {
            let number = there.with(|a| a.number()).unwrap();
            gone.0.send(()).unwrap();
            while !flag.load(Ordering::Acquire) { thread::yield_now(); }
            assert_eq!(there.with(|a| a.number()).unwrap(), number);
        });
        gone.1.recv().unwrap();
        storage.discard();
        storage.with(Adapter::touch).unwrap();
        storage.discard();
        assert_eq!(census.alive(), 1);
        go.store(true, Ordering::Release);
        worker.join().unwrap();
    }

    fn discard_inside_a_use_waits_for_its_end(storage, census) {
        storage.with(|adapter| {
            storage.discard();
            adapter.touch();
            assert_eq!(census.alive(), 1);
        }).unwrap();
        assert_eq!((census.alive(), storage.len()), (0, 0));
        storage.with(Adapter::touch).unwrap();
        storage.with(Adapter::touch).unwrap();
        assert_eq!(census.built(), 2, "discarded once, not again");
    }

    fn discard_inside_a_use_that_panics_is_done_with(storage, census) {
        let _ = catch_unwind(AssertUnwindSafe(|| storage.with(|_| {
            storage.discard();
            panic!("in use");
        })));
        storage.with(Adapter::touch).unwrap();
        storage.with(Adapter::touch).unwrap();
        assert_eq!(census.built(), 2);
    }

    fn a_local_handle_keeps_the_same_promises(storage, census) {
        let mut local = storage.local();
        let old = local.with(|a| a.number()).unwrap();
        assert_eq!(storage.with(|a| a.number()).unwrap(), old);
        storage.invalidate();
        let new = local.with(|a| a.number()).unwrap();
        assert_ne!(new, old);
        assert_eq!(storage.with(|a| a.number()).unwrap(), new);
        local.with(|_| assert!(matches!(storage.with(|_| ()), Err(UseError::Reentry)))).unwrap();
        assert_eq!((census.built(), census.most_alive()), (2, 1));
    }

    fn a_local_handle_finds_a_new_place_after_leave(storage, census) {
        let mut local = storage.local();
        local.with(Adapter::touch).unwrap();
        threadlocal::leave();
        assert_eq!((census.alive(), storage.len()), (0, 0));
        let new = local.with(|a| a.number()).unwrap();
        assert_eq!(storage.with(|a| a.number()).unwrap(), new);
        assert_eq!((census.built(), storage.len()), (2, 1));
    }

    fn leave_inside_a_use_waits_for_its_end(storage, census) {
        let mut local = storage.local();
        local.with(|adapter| {
            threadlocal::leave();
            adapter.touch();
            assert_eq!(census.alive(), 1);
        }).unwrap();
        assert_eq!((census.alive(), storage.len()), (0, 0));
        local.with(Adapter::touch).unwrap();
        assert_eq!((census.alive(), storage.len()), (1, 1));
    }

    fn two_storages_do_not_share(storage, census) {
        let others = Census::new();
        let other = PerThread::new(others.maker());
        storage.with(|_| other.with(Adapter::touch).unwrap()).unwrap();
        storage.invalidate();
        other.with(|_| storage.with(Adapter::touch).unwrap()).unwrap();
        assert_eq!((census.built(), others.built()), (2, 1));
    }
}
