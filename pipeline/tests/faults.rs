//! What a step's fault brings about: retries, pauses, failures, halts.

#![allow(clippy::ignored_unit_patterns)] // what a user writes: `_` for no adapter

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pipeline::{
    End, Fault, Halt, Node, Options, OrFault, Per, Pipeline, Rate, RateLimiter, Report, Root,
    RunId, all,
};

struct Numbers;

const NOW: (Duration, Duration) = (Duration::ZERO, Duration::ZERO);

fn options(root: &tempfile::TempDir) -> Options {
    Options::new(root.path(), RunId::new("r").unwrap())
}

fn numbers(p: &mut Pipeline, count: u64) -> Node<u64, Per<Root, Numbers>> {
    p.items(Numbers, 0..count, |n| *n)
}

/// One stage over `0..count`, tried three times without pauses.
fn run_one(
    root: &tempfile::TempDir,
    count: u64,
    options: &Options,
    step: impl Fn(u32, u64) -> Result<u64, Fault> + Send + Sync + 'static,
) -> Report<Vec<(String, u64)>> {
    let _ = root;
    let mut p = Pipeline::new("faults");
    let n = numbers(&mut p, count);
    let out = p
        .each("one", n)
        .attempts(3)
        .backoff(NOW.0, NOW.1)
        .run(move |_, cx, n| step(cx.attempt(), *n));
    p.run(all(out), options).unwrap()
}

#[test]
fn a_transient_fault_is_tried_again_under_one_idempotency_key() {
    let root = tempfile::tempdir().unwrap();
    let keys = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&keys);
    let mut p = Pipeline::new("faults");
    let n = numbers(&mut p, 2);
    let out = p.each("one", n).backoff(NOW.0, NOW.1).run(move |_, cx, n| {
        let key = cx.idempotency_key().to_string();
        seen.lock().unwrap().push((*n, cx.attempt(), key));
        assert!(!cx.in_doubt());
        if *n == 1 && cx.attempt() < 3 {
            std::fs::File::open("/nowhere")?; // any error is transient
        }
        Ok(cx.attempt())
    });
    let report = p.run(all(out), &options(&root)).unwrap();
    let output = report.output.unwrap();
    assert_eq!(output, [("0".to_string(), 1), ("1".to_string(), 3)]);
    let keys = keys.lock().unwrap().clone();
    let of = |n| keys.iter().filter(move |(item, ..)| *item == n).collect::<Vec<_>>();
    assert_eq!(of(1).iter().map(|(_, attempt, _)| *attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(of(1).iter().all(|(.., key)| *key == of(1)[0].2));
    assert_ne!(of(0)[0].2, of(1)[0].2);
}

#[test]
fn attempts_are_bounded_and_failures_are_tried_again_by_the_next_run() {
    let root = tempfile::tempdir().unwrap();
    let report = run_one(&root, 3, &options(&root), |attempt, n| {
        if n == 1 { Err(format!("no {attempt}").into()) } else { Ok(n) }
    });
    assert_eq!(report.output, None);
    assert_eq!(report.end, End::Finished);
    let failure = &report.failures[0];
    assert_eq!((&*failure.stage, &*failure.item, failure.attempts), ("one", "1", 3));
    assert_eq!(failure.cause, "no 3");
    let again = run_one(&root, 3, &options(&root), |_, n| Ok(n));
    assert_eq!((again.stages[0].ran, again.stages[0].reused), (1, 2));
    assert_eq!(again.output.unwrap().len(), 3);
}

#[test]
fn a_fatal_fault_is_final_and_blocks_only_what_needs_it() {
    let root = tempfile::tempdir().unwrap();
    let mut p = Pipeline::new("faults");
    let n = numbers(&mut p, 4);
    let one = p.each("one", n).run(|_, _, n| if *n == 2 { Err("bad").or_fatal() } else { Ok(*n) });
    let two = p.each("two", one).run(|_, _, n| Ok(*n));
    let strict = p.collect("strict", two).run(|_, _, all| Ok(all.len()));
    let lax = p.collect("lax", two).allow_missing();
    let lax =
        lax.run(|_, _, all| Ok(all.keyed().map(|(k, n)| (k.to_string(), n)).collect::<Vec<_>>()));
    let report = p.run((strict, lax), &options(&root)).unwrap();
    assert_eq!(report.failures[0].attempts, 1);
    let stage = |name: &str| report.stages.iter().find(|s| s.name == name).unwrap().clone();
    assert_eq!((stage("one").ran, stage("one").failed), (3, 1));
    assert_eq!((stage("two").ran, stage("two").blocked), (3, 1));
    assert_eq!((stage("strict").ran, stage("strict").blocked), (0, 1));
    assert_eq!(stage("lax").ran, 1);
    assert_eq!(report.output, None);
    let text = report.to_string();
    assert!(text.contains("one [2]: bad"), "{text}");
}

#[test]
fn a_panic_is_chance_once_and_then_fatal() {
    let root = tempfile::tempdir().unwrap();
    let report = run_one(&root, 2, &options(&root), |attempt, n| {
        assert!(n == 0 && attempt == 2, "item {n} at attempt {attempt}");
        Ok(n)
    });
    assert_eq!((report.stages[0].ran, report.stages[0].failed), (1, 1));
    assert_eq!(report.failures[0].attempts, 2);
    assert_eq!(report.failures[0].cause, "the step panicked: item 1 at attempt 2");
}

#[test]
fn a_panic_costs_its_worker_the_adapter() {
    let root = tempfile::tempdir().unwrap();
    let made = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&made);
    let mut p = Pipeline::new("faults");
    let n = numbers(&mut p, 3);
    let adapter = move || Ok(count.fetch_add(1, Ordering::SeqCst));
    let out = p.each("one", n).backoff(NOW.0, NOW.1).adapter(adapter).run(|adapter, cx, n| {
        assert!(*n != 1 || cx.attempt() > 1);
        Ok(*adapter)
    });
    let report = p.run(all(out), &options(&root)).unwrap();
    assert_eq!(made.load(Ordering::SeqCst), 2);
    assert_eq!(report.failed(), 0);
}

#[test]
fn want_of_capacity_costs_no_attempt_and_pauses_the_limiter() {
    let root = tempfile::tempdir().unwrap();
    let limiter = RateLimiter::per_second(1e6);
    let mut p = Pipeline::new("faults");
    let n = numbers(&mut p, 4);
    let (calls, began) = (Arc::new(AtomicU32::new(0)), Instant::now());
    let count = Arc::clone(&calls);
    let pause = Duration::from_millis(20);
    let out = p.each("one", n).attempts(1).limit(&limiter, |_| 1).run(move |_, cx, _| {
        if count.fetch_add(1, Ordering::SeqCst) < 3 {
            return Err(Fault::rate_limited(pause));
        }
        Ok(cx.attempt())
    });
    let report = p.run(all(out), &options(&root)).unwrap();
    assert!(report.output.unwrap().iter().all(|(_, attempt)| *attempt == 1));
    assert_eq!(calls.load(Ordering::SeqCst), 7);
    assert!(began.elapsed() >= 3 * pause, "the limiter did not pause");
}

#[test]
fn a_record_has_the_last_calls_before_its_own_and_no_more() {
    let root = tempfile::tempdir().unwrap();
    let calls = AtomicU32::new(0);
    let report = run_one(&root, 1, &options(&root), move |_, n| {
        match calls.fetch_add(1, Ordering::SeqCst) {
            0 => Err(Fault::transient("503")),
            1..20 => Err(Fault::rate_limited(Duration::ZERO)),
            _ => Ok(n),
        }
    });
    assert_eq!(report.output.unwrap().len(), 1);
    let run = checkpoint::read(root.path(), &RunId::new("r").unwrap()).unwrap();
    let step = run.prefix("step/one/").next().unwrap();
    let record = run.get::<serde_json::Value>(step).unwrap().unwrap().value;
    let tried = record["ran"]["tried"].as_array().unwrap();
    assert_eq!(tried.len(), 16, "of twenty");
    assert!(tried.iter().all(|call| call["limited"] == true && call["attempt"] == 2), "{tried:?}");
    assert_eq!(record["ran"]["attempts"], 2);
}

#[test]
fn a_service_that_never_relents_halts_the_run() {
    let root = tempfile::tempdir().unwrap();
    let limiter = RateLimiter::per_second(1e6);
    let mut p = Pipeline::new("faults");
    let n = numbers(&mut p, 2);
    let stage = p.each("one", n).limit(&limiter, |_| 1).max_capacity_wait(Duration::from_secs(60));
    let out = stage
        .run(|_, _, _| -> Result<u8, _> { Err(Fault::rate_limited(Duration::from_secs(3_600))) });
    let report = p.run(all(out), &options(&root)).unwrap();
    let End::Halted { reason } = &report.end else { panic!("{report}") };
    assert!(reason.contains("`one`") && reason.contains("max_capacity_wait, 60s"), "{reason}");
    assert_eq!(report.failed(), 0, "want of capacity fails no item");
}

#[test]
fn a_cost_above_the_burst_is_fatal_and_says_so_once() {
    let root = tempfile::tempdir().unwrap();
    let limits = [("requests", Rate::per_second(1e6)), ("tokens", Rate::per_second(1e6).burst(10))];
    let limiter = RateLimiter::new(limits).unwrap();
    let mut p = Pipeline::new("faults");
    let n = numbers(&mut p, 50);
    let out = p.each("one", n).limit(&limiter, |_| [1, 11]).run(|_, _, n| Ok(*n));
    let report = p.run(all(out), &options(&root)).unwrap();
    assert_eq!(report.failed(), 50);
    assert_eq!(report.failures[0].attempts, 1);
    let text = report.to_string();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains("and 49 more"), "{text}");
    assert!(text.contains("\"tokens\"") && text.contains("burst is 10"), "{text}");
}

/// A wrong key: the first call says so, and nothing else is called.
#[test]
fn a_halt_stops_everything_with_one_message() {
    let root = tempfile::tempdir().unwrap();
    let report = run_one(&root, 200, &options(&root), |_, _| -> Result<u64, _> {
        Err(Fault::halt("401: the key is wrong: set OPENAI_API_KEY"))
    });
    assert_eq!(report.failed(), 1);
    let text = report.to_string();
    assert_eq!(text.matches("401").count(), 1, "{text}");
    assert!(matches!(&report.end, End::Halted { reason } if reason.starts_with("401")), "{text}");
}

#[test]
fn a_run_halts_after_so_many_failures_and_goes_on_later() {
    let root = tempfile::tempdir().unwrap();
    let report = run_one(&root, 100, &options(&root).halt(Halt::after(3)), |_, n| {
        if n % 2 == 1 { Err(Fault::fatal("odd")) } else { Ok(n) }
    });
    assert_eq!(report.failed(), 3);
    assert!(matches!(&report.end, End::Halted { reason } if reason == "3 steps failed"));
    let again = run_one(&root, 100, &options(&root), |_, n| Ok(n));
    assert_eq!(again.output.unwrap().len(), 100);
    assert_eq!(again.stages[0].reused, 3, "0, 2 and 4 were recorded");
}

#[test]
fn a_result_that_cannot_be_recorded_fails_its_step_before_it_counts() {
    let root = tempfile::tempdir().unwrap();
    let mut p = Pipeline::new("faults");
    let n = numbers(&mut p, 2);
    let out = p.each("one", n).run(|_, cx, n| {
        cx.spent_usd(0.5);
        Ok(if *n == 1 { f64::NAN } else { 1.0 })
    });
    let report = p.run(all(out), &options(&root)).unwrap();
    assert_eq!((report.stages[0].ran, report.stages[0].failed), (1, 1));
    let cause = &report.failures[0].cause;
    assert!(cause.contains("cannot be recorded") && cause.contains("NaN"), "{cause}");
    assert!((report.spent_usd - 1.0).abs() < 1e-9, "what was paid counts: {}", report.spent_usd);
}

#[test]
fn a_result_that_does_not_read_back_fails_its_step() {
    #[derive(serde::Deserialize)]
    struct OneWay(#[allow(dead_code)] u8);
    impl serde::Serialize for OneWay {
        fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            s.serialize_str("not a number")
        }
    }
    let root = tempfile::tempdir().unwrap();
    let mut p = Pipeline::new("faults");
    let n = numbers(&mut p, 1);
    let out = p.each("one", n).run(|_, _, _| Ok(OneWay(1)));
    let report = p.run(all(out), &options(&root)).unwrap();
    assert!(report.failures[0].cause.contains("does not read back"), "{report}");
}

/// The stage's own code ran well; what panics is the reading of a record of an earlier run.
#[test]
fn a_panic_outside_of_a_step_ends_the_run_instead_of_hanging_it() {
    static ANGRY: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    #[derive(serde::Serialize)]
    struct Moody(u64);
    impl<'de> serde::Deserialize<'de> for Moody {
        fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            assert!(!ANGRY.load(Ordering::SeqCst), "not today");
            u64::deserialize(d).map(Moody)
        }
    }
    let root = tempfile::tempdir().unwrap();
    let run = |version| {
        let mut p = Pipeline::new("faults");
        let n = numbers(&mut p, 2);
        let one = p.each("one", n).run(|_, _, n| Ok(Moody(*n)));
        let two = p.each("two", one).version(version).run(|_, _, n| Ok(n.0));
        p.run(all(two), &options(&root)).unwrap()
    };
    assert_eq!(run(1).end, End::Finished);
    ANGRY.store(true, Ordering::SeqCst);
    let report = run(2);
    let End::Halted { reason } = &report.end else { panic!("{report}") };
    assert_eq!(reason, "a worker of stage `two` panicked: not today");
}

#[test]
fn a_result_too_large_for_a_record_fails_its_step_and_says_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    let mut p = Pipeline::new("faults");
    let n = numbers(&mut p, 2);
    let out = p
        .each("one", n)
        .run(|_, _, n| Ok(if *n == 0 { "x".repeat(17 << 20) } else { String::from("small") }));
    let report = p.run(all(out), &options(&root)).unwrap();
    assert_eq!((report.stages[0].ran, report.stages[0].failed), (1, 1), "{report}");
    let cause = &report.failures[0].cause;
    assert!(cause.contains("`cx.file(..)`"), "{cause}");
}

/// 100 tokens an hour, and a hundred there: what an estimate took too much of is given back.
#[test]
fn a_permit_is_settled_by_what_the_call_used() {
    let root = tempfile::tempdir().unwrap();
    let tokens = Rate::per(100, Duration::from_secs(3_600)).burst(100);
    let limits = [("requests", Rate::per_second(1e6)), ("tokens", tokens)];
    let limiter = RateLimiter::builder(limits).start_full().build().unwrap();
    let mut p = Pipeline::new("faults");
    let n = numbers(&mut p, 3);
    let out = p.each("one", n).limit(&limiter, |_| [1, 30]).run(|_, cx, n| {
        cx.used("token", 1); // misspelt: settles nothing, and loses nothing
        if *n < 2 {
            cx.used("tokens", 40);
            cx.used("tokens", 10); // the last word counts
        }
        Ok(*n)
    });
    assert_eq!(p.run(all(out), &options(&root)).unwrap().failed(), 0);
    // 10 and 10 as used, 30 as estimated.
    assert_eq!(limiter.stats().limits[1].available, 50);
}

#[test]
fn times_beyond_the_clock_are_times_without_end() {
    let root = tempfile::tempdir().unwrap();
    let stop = pipeline::Stop::new();
    let in_step = stop.clone();
    let mut p = Pipeline::new("faults");
    let n = numbers(&mut p, 1);
    let stage = p.each("one", n).timeout(Duration::MAX).backoff(Duration::MAX, Duration::MAX);
    let out = stage.max_capacity_wait(Duration::MAX).run(move |_, cx, n| {
        assert_eq!(cx.deadline(), None);
        in_step.stop();
        if *n == 0 { Err(Fault::rate_limited(Duration::MAX)) } else { Ok(1) }
    });
    let options = options(&root).grace(Duration::MAX).stop(stop);
    let report = p.run(all(out), &options).unwrap();
    assert_eq!((report.failed(), report.end), (0, End::Stopped));
}

#[test]
fn an_adapter_that_cannot_be_made_is_a_fault_of_its_step() {
    let root = tempfile::tempdir().unwrap();
    let limiter = RateLimiter::per_second(1e6);
    let mut p = Pipeline::new("faults");
    let n = numbers(&mut p, 200);
    let stage = p
        .each("one", n)
        .workers(2)
        .limit(&limiter, |_| 1)
        .adapter(|| -> Result<u8, _> { Err(Fault::halt("OPENAI_API_KEY is not set")) });
    let out = stage.run(|_, _, n| Ok(*n));
    let report = p.run(all(out), &options(&root)).unwrap();
    assert!(report.failed() <= 2, "{report}");
    assert_eq!(limiter.stats().granted, 0, "no permit is spent on it");
    assert!(matches!(&report.end, End::Halted { reason } if reason.contains("is not set")));
}
