//! The group commit under every schedule.
//!
//! | model | threads | actions |
//! |---|---|---|
//! | `two_savers_one_flush` | 2 | save ∥ save: Ok only after a flush that began after the append |
//! | `leadership_is_handed_over` | 3 | save ∥ save ∥ save: who queues during a flush leads next |
//! | `three_savers_twice` | 3 | 2 saves each: every ticket once, replies are the caller's own |
//! | `a_failing_flush_reaches_all` | 2 | save ∥ save, the first flush fails |
//! | `a_lock_that_fails_reaches_all` | 2 | save ∥ save, the sink cannot be locked |
//! | `close_against_save` | 2 | claim ∥ save, then save |
//! | `close_between_two_saves` | 3 | save ∥ claim ∥ save |
//! | `a_panic_reaches_all` | 2 | save ∥ save, the first append panics |
//! | `hurried_before_the_flush` | 2 | save ∥ save that needs no flush |
#![cfg(loom)]

use checkpoint::Error;
use checkpoint::model::{Appended, Group, Held, Sink};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};

/// What the disk would hold; shared so that savers can look at it when they are told Ok.
#[derive(Debug, Default)]
struct Disk {
    flushed: AtomicUsize,
}

/// A sink that counts instead of writing. Owned by whoever leads, so its fields need no lock.
#[derive(Debug)]
struct Counter {
    locked: usize,
    log: Log,
    trouble: Trouble,
}

#[derive(Debug)]
struct Log {
    disk: Arc<Disk>,
    appended: usize,
    flushes: usize,
    trouble: Trouble,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    None,
    FirstFlushFails,
    FirstLockFails,
    FirstAppendPanics,
}

/// A request is its caller's number; odd ones need no flush.
#[derive(Debug, Clone, Copy)]
struct Save {
    of: usize,
    hurried: bool,
}

impl Counter {
    fn new(disk: &Arc<Disk>, trouble: Trouble) -> Self {
        let log = Log { disk: Arc::clone(disk), appended: 0, flushes: 0, trouble };
        Self { locked: 0, log, trouble }
    }
}

fn failure() -> Error {
    Error::Unknown { path: "log".into(), source: std::io::ErrorKind::Other.into() }
}

impl Sink for Counter {
    type Held = Log;

    fn gather(&mut self, _crowd: usize, _queued: &dyn Fn() -> usize) {}

    fn hold<R>(&mut self, work: impl FnOnce(Result<&mut Log, Error>) -> R) -> R {
        self.locked += 1;
        if self.trouble == Trouble::FirstLockFails && self.locked == 1 {
            return work(Err(failure()));
        }
        work(Ok(&mut self.log))
    }
}

impl Held for Log {
    type Request = Save;
    /// The caller's number and where his record ends.
    type Reply = (usize, usize);

    fn bytes(_: &Save) -> usize {
        1
    }

    fn append(&mut self, group: Vec<Save>) -> Vec<Appended<(usize, usize)>> {
        if self.trouble == Trouble::FirstAppendPanics {
            self.trouble = Trouble::None;
            // A panic without the hook, which would print it once for each schedule.
            std::panic::resume_unwind(Box::new("the sink panics"));
        }
        let answer = |save: Save| {
            self.appended += 1;
            let reply = (save.of, self.appended);
            if save.hurried { Appended::Settled(Ok(reply)) } else { Appended::AwaitsFlush(reply) }
        };
        group.into_iter().map(answer).collect()
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.flushes += 1;
        if self.trouble == Trouble::FirstFlushFails && self.flushes == 1 {
            return Err(failure());
        }
        // ORDERING: SeqCst: a disk is one for all; what is tested is the core's own ordering.
        self.disk.flushed.store(self.appended, Ordering::SeqCst);
        Ok(())
    }
}

type Shared = Arc<Group<Counter>>;

fn save(group: &Shared, disk: &Disk, of: usize) -> Result<(), Error> {
    let (to, end) = group.submit(Save { of, hurried: false })?;
    assert_eq!(to, of, "somebody else's reply");
    // ORDERING: SeqCst, as where it is stored.
    assert!(disk.flushed.load(Ordering::SeqCst) >= end, "Ok before the flush");
    Ok(())
}

/// Explores `model`; `bound` limits preemptions where all schedules would take too long.
fn explore(bound: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    println!("bound: {}", bound.map_or("none".to_owned(), |bound| bound.to_string()));
    // Not a loom type: it counts over all schedules and takes part in none.
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&count);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = bound;
    builder.check(move || {
        // ORDERING: Relaxed: one thread of the system runs all schedules.
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        model();
    });
    // ORDERING: Relaxed, as above.
    println!("iterations: {}", count.load(std::sync::atomic::Ordering::Relaxed));
}

fn setup(trouble: Trouble) -> (Shared, Arc<Disk>) {
    let disk = Arc::new(Disk::default());
    (Arc::new(Group::new(Counter::new(&disk, trouble))), disk)
}

/// Runs `body` beside the caller.
fn beside<R: 'static>(
    (group, disk): &(Shared, Arc<Disk>),
    body: impl FnOnce(&Shared, &Disk) -> R + 'static,
) -> loom::thread::JoinHandle<R> {
    let (group, disk) = (Arc::clone(group), Arc::clone(disk));
    loom::thread::spawn(move || body(&group, &disk))
}

fn appended(group: &Shared) -> usize {
    group.claim(|sink| sink.log.appended).unwrap()
}

/// Kills: wake-before-flush
#[test]
fn two_savers_one_flush() {
    explore(None, || {
        let both = setup(Trouble::None);
        let other = beside(&both, |group, disk| save(group, disk, 1).unwrap());
        save(&both.0, &both.1, 0).unwrap();
        other.join().unwrap();
        assert_eq!(appended(&both.0), 2);
    });
}

/// Kills: no-hand-over
#[test]
fn leadership_is_handed_over() {
    // Three threads at one lock: without a bound this is a million schedules and more.
    explore(Some(3), || {
        let both = setup(Trouble::None);
        let others = [1, 2].map(|of| beside(&both, move |g, d| save(g, d, of).unwrap()));
        save(&both.0, &both.1, 0).unwrap();
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(appended(&both.0), 3);
    });
}

#[test]
fn three_savers_twice() {
    // As above, and twice as long: bound 2 ends within a minute.
    explore(Some(2), || {
        let both = setup(Trouble::None);
        let twice = |group: &Shared, disk: &Disk, of: usize| {
            save(group, disk, of).unwrap();
            save(group, disk, of + 10).unwrap();
        };
        let others = [1, 2].map(|of| beside(&both, move |g, d| twice(g, d, of)));
        twice(&both.0, &both.1, 0);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(appended(&both.0), 6);
    });
}

/// Kills: failed-group-forgotten
#[test]
fn a_failing_flush_reaches_all() {
    explore(None, || {
        let both = setup(Trouble::FirstFlushFails);
        let other = beside(&both, |group, disk| save(group, disk, 1).is_ok());
        let mine = save(&both.0, &both.1, 0).is_ok();
        let other = other.join().unwrap();
        assert!(!(mine && other), "nobody was told of the failure");
        save(&both.0, &both.1, 2).unwrap();
        assert_eq!(appended(&both.0), 3);
    });
}

#[test]
fn a_lock_that_fails_reaches_all() {
    explore(None, || {
        let both = setup(Trouble::FirstLockFails);
        let other = beside(&both, |group, disk| save(group, disk, 1).is_ok());
        let mine = save(&both.0, &both.1, 0).is_ok();
        let saved = usize::from(mine) + usize::from(other.join().unwrap());
        assert!(saved < 2, "nobody was told of the failure");
        assert_eq!(appended(&both.0), saved);
    });
}

/// Kills: close-keeps-the-lead
#[test]
fn close_against_save() {
    explore(None, || {
        let both = setup(Trouble::None);
        let closer = beside(&both, |group, _| appended(group));
        save(&both.0, &both.1, 0).unwrap();
        save(&both.0, &both.1, 1).unwrap();
        assert!(closer.join().unwrap() <= 2);
        assert_eq!(appended(&both.0), 2);
    });
}

#[test]
fn close_between_two_saves() {
    // Three threads at one lock, see above.
    explore(Some(3), || {
        let both = setup(Trouble::None);
        let closer = beside(&both, |group, _| appended(group));
        let other = beside(&both, |group, disk| save(group, disk, 1).unwrap());
        save(&both.0, &both.1, 0).unwrap();
        other.join().unwrap();
        assert!(closer.join().unwrap() <= 2);
    });
}

#[test]
fn a_panic_reaches_all() {
    explore(None, || {
        let both = setup(Trouble::FirstAppendPanics);
        // Whoever leads panics; the other is told, now or at his next call.
        let attempt = |group: &Shared, disk: &Disk, of: usize| {
            let save = std::panic::AssertUnwindSafe(|| save(group, disk, of));
            std::panic::catch_unwind(save).is_ok_and(|result| result.is_ok())
        };
        let other = beside(&both, move |group, disk| attempt(group, disk, 1));
        assert!(!attempt(&both.0, &both.1, 0));
        assert!(!other.join().unwrap());
        assert!(matches!(save(&both.0, &both.1, 2), Err(Error::Poisoned { .. })));
    });
}

/// Kills: sleeps-unannounced
#[test]
fn hurried_before_the_flush() {
    explore(None, || {
        let both = setup(Trouble::None);
        let other = beside(&both, |group, _| {
            group.submit(Save { of: 1, hurried: true }).map(|(to, _)| assert_eq!(to, 1)).unwrap();
        });
        save(&both.0, &both.1, 0).unwrap();
        other.join().unwrap();
        assert_eq!(appended(&both.0), 2);
    });
}
