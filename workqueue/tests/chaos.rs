//! Random settings, tasks, panics, delays, closes and cancels, under a watchdog: nothing is lost,
//! doubled or left hanging.
//!
//! `RATCHET_CHAOS_SECONDS` says how long (default: 2), `RATCHET_CHAOS_SEED` where to begin. A seed fixes
//! what is done, not how the system schedules it.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use workqueue::{Context, OnPanic, Outcome, Step, WorkQueue};

/// How long a round may take before it is said to hang; a round takes milliseconds.
const HANG: Duration = Duration::from_secs(60);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Xorshift (Marsaglia, 2003).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..8 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// What happened, over all rounds.
#[derive(Debug, Default)]
struct Sums {
    rounds: u64,
    submitted: usize,
    tasks: usize,
    panics: usize,
    returned: usize,
    refused: usize,
    cancels: u64,
    lost: usize,
    doubled: usize,
}

/// A task: how often it still comes back, how many it spawns, and a share in a count of all tasks, so
/// that one that is leaked or dropped twice is found.
type Task = (u32, u32, Arc<()>);
type Chaotic = WorkQueue<Task, Arc<()>>;

#[test]
fn nothing_is_lost_doubled_or_left_hanging() {
    let time = Duration::from_secs(setting("RATCHET_CHAOS_SECONDS", 2));
    let first = setting("RATCHET_CHAOS_SEED", 1);
    let mut sums = Sums::default();
    let start = Instant::now();
    for seed in first.. {
        let (done, is_done) = mpsc::channel();
        let round = std::thread::spawn(move || {
            let mut sums = Sums::default();
            run(&mut Random::new(seed), &mut sums);
            let _ = done.send(sums);
        });
        let one = match is_done.recv_timeout(HANG) {
            Ok(sums) => sums,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("seed {seed} hangs"),
            Err(mpsc::RecvTimeoutError::Disconnected) => match round.join() {
                Err(payload) => {
                    eprintln!("seed {seed} panicked");
                    resume_unwind(payload)
                }
                Ok(()) => unreachable!("it sends before it ends"),
            },
        };
        assert_eq!((one.lost, one.doubled), (0, 0), "seed {seed}");
        sums.rounds += 1;
        sums.submitted += one.submitted;
        sums.tasks += one.tasks;
        sums.panics += one.panics;
        sums.returned += one.returned;
        sums.refused += one.refused;
        sums.cancels += one.cancels;
        if start.elapsed() > time {
            break;
        }
    }
    println!("{:.0} s, seeds from {first}: {sums:?}, hangs: 0", start.elapsed().as_secs_f64());
}

/// One queue from start to end.
fn run(random: &mut Random, sums: &mut Sums) {
    let alive = Arc::new(());
    let queue = start(random);
    let mut ended = drive(random, sums, &queue, &alive);
    let report = queue.wait_completion();
    let stats = report.stats();
    (sums.tasks, sums.panics, sums.returned) = (stats.accepted(), stats.panicked, stats.cancelled);
    ended.extend(report.pending().iter().map(|pending| pending.ticket.number()));
    ended.extend(report.into_iter().map(|outcome| outcome.ticket().number()));
    let mut times = vec![0_u32; stats.accepted()];
    for ticket in ended {
        times[usize::try_from(ticket).unwrap()] += 1;
    }
    sums.lost = times.iter().filter(|times| **times == 0).count();
    sums.doubled = times.iter().filter(|times| **times > 1).count();
    assert_eq!((stats.queued, stats.running, stats.workers), (0, 0, 0));
    assert!(sums.tasks >= sums.submitted - sums.refused, "spawned ones come on top");
    assert_eq!(Arc::strong_count(&alive), 1, "a task was leaked");
}

fn start(random: &mut Random) -> Chaotic {
    let (panics_in, seed) = (2 + random.below(100), AtomicU64::new(random.next()));
    let mut builder = WorkQueue::builder()
        .workers(number(random, 1, 8))
        .batch(number(random, 1, 16))
        .name("chaos");
    if !random.one_in(4) {
        builder = builder.capacity(number(random, 1, 20));
    }
    if random.one_in(6) {
        builder = builder.on_panic(OnPanic::CancelAll);
    }
    // ORDERING: Relaxed; each worker only needs a seed of its own.
    let init = move |_| Random::new(seed.fetch_add(1, Ordering::Relaxed));
    let work = move |random: &mut Random, (again, spawn, alive): Task, context: &Context<Task>| {
        if again > 0 {
            let delay = Duration::from_micros(random.below(300));
            return Step::Again((again - 1, spawn, alive), delay);
        }
        // Refused if the queue was cancelled: then it comes back, and is not counted as accepted.
        (0..spawn).for_each(|_| drop(context.spawn((0, 0, alive.clone()))));
        match random.below(panics_in) {
            0 => resume_unwind(Box::new("chaos")),
            1 => std::thread::sleep(Duration::from_micros(random.below(200))),
            _ => {}
        }
        Step::Done(alive)
    };
    builder.start_with(init, work).unwrap()
}

fn number(random: &mut Random, least: u64, most: u64) -> usize {
    usize::try_from(least + random.below(most - least + 1)).unwrap()
}

/// Producers, a reader and this thread at once; gives the tickets whose end was seen.
fn drive(random: &mut Random, sums: &mut Sums, queue: &Chaotic, alive: &Arc<()>) -> Vec<u64> {
    let reads = random.one_in(2);
    let ending = random.below(3);
    let seeds: Vec<u64> = (0..number(random, 1, 3)).map(|_| random.next()).collect();
    let mut ended = Vec::new();
    std::thread::scope(|scope| {
        let producers: Vec<_> = seeds
            .into_iter()
            .map(|seed| scope.spawn(move || produce(&mut Random::new(seed), queue, alive)))
            .collect();
        let in_order = random.one_in(2);
        let reader = reads.then(|| scope.spawn(move || read(queue, in_order)));
        std::thread::sleep(Duration::from_micros(random.below(3_000)));
        if ending == 0 {
            sums.cancels += 1;
            ended.extend(queue.cancel().into_iter().map(|pending| pending.ticket.number()));
        } else if ending == 1 {
            queue.join().unwrap();
        }
        if ending == 1 || reads {
            queue.close(); // in the midst of producers: they have their tasks back
        }
        for producer in producers {
            let (submitted, refused) = producer.join().unwrap();
            sums.submitted += submitted;
            sums.refused += refused;
        }
        ended.extend(reader.into_iter().flat_map(|reader| reader.join().unwrap()));
    });
    ended
}

fn read(queue: &Chaotic, in_order: bool) -> Vec<u64> {
    let number = |outcome: Outcome<Arc<()>>| outcome.ticket().number();
    if in_order {
        let read: Vec<u64> = queue.ordered().map(number).collect();
        assert!(read.is_sorted(), "in ticket order");
        read
    } else {
        queue.completed().map(number).collect()
    }
}

/// Submits in one of three ways; gives how many, and how many came back.
fn produce(random: &mut Random, queue: &Chaotic, alive: &Arc<()>) -> (usize, usize) {
    let count = number(random, 0, 200);
    let tasks: Vec<Task> = (0..count)
        .map(|_| (u32::from(random.one_in(12)) * 2, u32::from(random.one_in(9)), alive.clone()))
        .collect();
    let way = random.below(3);
    let refused = match way {
        0 => queue.submit_all(tasks).map_or_else(|error| error.rest.len(), |_| 0),
        1 => tasks.into_iter().filter_map(|task| queue.submit(task).err()).count(),
        _ => {
            let mut patience = || Duration::from_micros(random.below(200));
            let put = |task| queue.submit_timeout(task, patience());
            tasks.into_iter().map(put).filter(Result::is_err).count()
        }
    };
    (count, refused)
}
