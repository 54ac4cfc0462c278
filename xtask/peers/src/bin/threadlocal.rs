//! `threadlocal` beside the ways to have a value per thread: the cost of a hit.
//!
//! Everybody does the same: reach this thread's own counter, which is there already, and add one by
//! `&mut`. Each hit finds its storage anew (`black_box`): a use in a program stands alone, and no
//! look-up may be lifted out of the bench's loop. What a peer does not promise is said in the table of
//! the crate's docs.
//!
//! A bare mutex in hand stands beside them as the floor for all that keep other threads out: a hit's
//! two read-modify-writes, and nothing else.

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::thread::{self, ThreadId};

use os_thread_local::ThreadLocal as OsThreadLocal;
use peers::{Bars, Contest, Outcome, Settings};
use thread_local::ThreadLocal;
use threadlocal::{PerThread, PerThreadLocal};

const SHARED: &str = "`PerThread::with`";
const SHARED_LOCAL: &str = "its `Local`";
const PINNED: &str = "`PerThreadLocal::with`";
const PINNED_LOCAL: &str = "its `PinnedLocal`";
const STD: &str = "std `thread_local!`";
const CRATE: &str = "`thread_local` crate, `RefCell`";
const CRATE_MUTEX: &str = "`thread_local` crate, `Mutex<Option<_>>`";
const CRATE_RENEWED: &str = "the same, with a generation to invalidate by";
const OS: &str = "os-thread-local, `RefCell`";
const BARE: &str = "a bare `Mutex<Option<_>>` in hand, no look-up";
const LOCKED_MAP: &str = "`RwLock<HashMap<ThreadId, Mutex<_>>>`";

/// What a hit does.
fn hit(counter: &mut u64) {
    *counter = black_box(*counter + 1);
}

/// `body` on each thread, for all of its hits. Says how many there were in all.
///
/// Where a thread's stack and heap lie is chance, and an unlucky distance between two addresses costs
/// whoever meets it several times a hit. So each call has other distances.
fn on_threads(threads: u64, hits: u64, body: impl Fn(u64) + Sync) -> u64 {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    // ORDERING: Relaxed; a number that differs is all that is wanted.
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    thread::scope(|scope| {
        let body = &body;
        let shifted = move || {
            let heap = black_box(vec![0_u8; call * 16 % 4096]);
            deeper(call % 29, &|| body(hits));
            drop(heap);
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(shifted)).collect();
        for worker in workers {
            worker.join().expect("no worker of a bench panics");
        }
    });
    threads * hits
}

/// `body` with so many frames more on the stack.
fn deeper(frames: usize, body: &dyn Fn()) {
    let frame = black_box([0_u8; 112]);
    match frames {
        0 => body(),
        _ => deeper(frames - 1, body),
    }
    black_box(&frame);
}

thread_local! {
    static STD_COUNTER: RefCell<u64> = const { RefCell::new(0) };
}

fn contest(threads: u64, hits: u64, settings: &Settings) -> Outcome {
    let made = || Ok::<u64, Infallible>(0);
    let (shared, pinned) = (PerThread::new(made), PerThreadLocal::new(made));
    let of_crate = ThreadLocal::<RefCell<u64>>::new();
    let mutex = ThreadLocal::<Mutex<Option<u64>>>::new();
    let renewed = ThreadLocal::<Mutex<Option<Built>>>::new();
    let generation = AtomicU64::new(1);
    let os = OsThreadLocal::<RefCell<u64>>::new(|| RefCell::new(0));
    let map = RwLock::<HashMap<ThreadId, Mutex<u64>>>::default();

    let run = |body: &(dyn Fn(u64) + Sync)| on_threads(threads, hits, body);
    Contest::new(format!("A hit, {threads} thread{}", if threads == 1 { "" } else { "s" }))
        .entry(SHARED, || {
            run(&|hits| (0..hits).for_each(|_| black_box(&shared).with(hit).expect("infallible")))
        })
        .entry(SHARED_LOCAL, || {
            run(&|hits| {
                let mut local = shared.local();
                (0..hits).for_each(|_| black_box(&mut local).with(hit).expect("infallible"));
            })
        })
        .entry(PINNED, || {
            run(&|hits| (0..hits).for_each(|_| black_box(&pinned).with(hit).expect("infallible")))
        })
        .entry(PINNED_LOCAL, || {
            run(&|hits| {
                let mut local = pinned.local();
                (0..hits).for_each(|_| black_box(&mut local).with(hit).expect("infallible"));
            })
        })
        .entry(STD, || {
            run(&|hits| (0..hits).for_each(|_| black_box(&STD_COUNTER).with_borrow_mut(hit)))
        })
        .entry(CRATE, || {
            run(&|hits| {
                (0..hits).for_each(|_| hit(&mut black_box(&of_crate).get_or_default().borrow_mut()))
            })
        })
        .entry(CRATE_MUTEX, || {
            run(&|hits| {
                for _ in 0..hits {
                    let slot = black_box(&mutex).get_or(|| Mutex::new(None));
                    let mut slot = slot.try_lock().expect("no re-entry in this bench");
                    hit(slot.get_or_insert(0));
                }
            })
        })
        .entry(CRATE_RENEWED, || {
            run(&|hits| (0..hits).for_each(|_| with_generation(black_box(&renewed), &generation)))
        })
        .entry(OS, || {
            run(&|hits| {
                (0..hits)
                    .for_each(|_| black_box(&os).with(|counter| hit(&mut counter.borrow_mut())))
            })
        })
        .entry(BARE, || {
            run(&|hits| {
                let own = Mutex::new(Some(0));
                for _ in 0..hits {
                    let mut slot = black_box(&own).try_lock().expect("no re-entry in this bench");
                    hit(slot.get_or_insert(0));
                }
            })
        })
        .entry(LOCKED_MAP, || run(&|hits| (0..hits).for_each(|_| in_locked_map(black_box(&map)))))
        .run(settings)
}

/// An adapter that `invalidate` could make stale.
struct Built {
    generation: u64,
    counter: u64,
}

/// What the crate's user writes to have one promise more than with `Mutex<Option<_>>`: an adapter
/// that was invalidated is not used again. Shown beside it; the bar is judged without it.
fn with_generation(storage: &ThreadLocal<Mutex<Option<Built>>>, generation: &AtomicU64) {
    let slot = storage.get_or(|| Mutex::new(None));
    let mut slot = slot.try_lock().expect("no re-entry in this bench");
    // ORDERING: Acquire would pair with the Release of an invalidation, as it does in ours.
    let generation = generation.load(Ordering::Acquire);
    match &mut *slot {
        Some(built) if built.generation == generation => hit(&mut built.counter),
        renewed => *renewed = Some(Built { generation, counter: 0 }),
    }
}

fn in_locked_map(map: &RwLock<HashMap<ThreadId, Mutex<u64>>>) {
    let id = thread::current().id();
    if let Some(counter) = map.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
        return hit(&mut counter.lock().unwrap_or_else(PoisonError::into_inner));
    }
    map.write().unwrap_or_else(PoisonError::into_inner).entry(id).or_default();
    in_locked_map(map);
}

fn main() {
    let settings = Settings::from_args();
    let alone = contest(1, settings.scaled(5_000_000), &settings);
    let pair = contest(2, settings.scaled(2_000_000), &settings);
    let crowd = contest(4, settings.scaled(1_000_000), &settings);

    let mut bars = Bars::new("threadlocal");
    let contests =
        [(&alone, "1 thread", 5.0), (&pair, "2 threads", 10.0), (&crowd, "4 threads", 10.0)];
    for (outcome, threads, over_map) in contests {
        bars.at_most(
            &format!("`PerThreadLocal`'s handle ÷ the crate, {threads}"),
            outcome.ratio(PINNED_LOCAL, CRATE),
            1.0,
        );
        bars.at_most(
            &format!("`PerThread`'s handle ÷ the crate with `Mutex<Option<_>>`, {threads}"),
            outcome.ratio(SHARED_LOCAL, CRATE_MUTEX),
            1.0,
        );
        bars.at_least(
            &format!("locked map ÷ `PerThreadLocal`'s handle, {threads}"),
            outcome.ratio(LOCKED_MAP, PINNED_LOCAL),
            over_map,
        );
        bars.at_least(
            &format!("locked map ÷ `PerThread`'s handle, {threads}"),
            outcome.ratio(LOCKED_MAP, SHARED_LOCAL),
            over_map,
        );
    }
    bars.finish();
}
