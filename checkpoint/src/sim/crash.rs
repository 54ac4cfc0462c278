//! The search: crash after every call, in every way, and see what is found.
//!
//! `RATCHET_CRASH_STATES` says how many distinct disks to try; some thousand unless set.

use std::collections::HashSet;
use std::path::Path;

use super::left_out::{LeftOut, without};
use super::oracle::Oracle;
use super::script::{Players, Step, nodes, options, random_script, run_id};
use super::states::{Image, Random, after_crash, found};
use super::world::{Fault, Moment, Plan, State, World};
use crate::builder::open_in;
use crate::left_out::Check;
use crate::read::{read_in, snapshot};
use crate::recover::read_whole;
use crate::scan::LogFile;
use crate::vfs::{Flush, LOG};
use crate::{Error, Seq, frame, record};

/// What was tried.
#[derive(Debug, Default)]
struct Tried {
    seen: HashSet<u64>,
    recoveries: u64,
    in_recovery: u64,
    faults: u64,
    scripts: u64,
}

/// How many distinct disks to try.
fn wanted(unless_set: usize) -> usize {
    let set = std::env::var("RATCHET_CRASH_STATES").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(unless_set)
}

/// The scripts that every search begins with.
fn first_scripts() -> Vec<Vec<Step>> {
    use Step::{Batch, Compact, Drop, Hurried, Once, Pair, Refresh, Remove, Save, Update};
    vec![
        vec![Save(0), Save(0), Batch(0), Save(0)],
        vec![Save(0), Pair(0), Pair(0), Save(1), Pair(1), Pair(0)],
        vec![Save(0), Save(1), Save(0), Save(1), Refresh(0), Once(0), Once(1)],
        vec![Save(0), Batch(0), Compact(0), Save(0), Save(1), Compact(1), Save(0), Save(0)],
        vec![Hurried(0), Once(1), Hurried(0), Remove(1), Save(0), Drop(0), Save(0), Save(1)],
        vec![Save(0), Save(1), Compact(0), Save(1), Drop(0), Save(0), Update(0), Update(1)],
    ]
}

/// Searches until `limit` distinct disks were tried or something is broken.
fn search(limit: usize, tried: &mut Tried) -> Result<(), String> {
    let mut random = Random::new(7);
    let mut scripts = first_scripts().into_iter();
    let mut seed = 0;
    while tried.seen.len() < limit {
        seed += 1;
        let script = scripts.next().unwrap_or_else(|| random_script(14, &mut random));
        let tag = |e| format!("{e}\n  seed {seed}, script {script:?}");
        tried.scripts += 1;
        powerless(&script, seed, tried, &mut random).map_err(tag)?;
        flipped(&script, seed).map_err(tag)?;
        spliced(seed).map_err(tag)?;
        cut_for_good(seed, &mut random).map_err(tag)?;
        for fault in [Fault::Io, Fault::NoSpace, Fault::Short, Fault::Kill, Fault::Interrupted] {
            for persistent in [false, true] {
                if persistent && matches!(fault, Fault::Kill | Fault::Interrupted) {
                    continue;
                }
                faulty(&script, seed, (fault, persistent), tried, &mut random)
                    .map_err(|e| format!("{e}\n  {fault:?}, persistent {persistent}"))
                    .map_err(tag)?;
            }
        }
    }
    Ok(())
}

/// Plays a script; returns the world with everything that it recorded.
fn play(script: &[Step], seed: u64, plan: Option<Plan>) -> Result<World, String> {
    let world = World::new(State::default(), Oracle::new(), seed << 20);
    world.inner().trace = Some(Vec::new());
    world.inner().plan = plan;
    let mut players = Players::new(&world, seed);
    for step in script {
        players.play(*step)?;
    }
    Ok(world)
}

/// No fault but the power: a crash after every change.
fn powerless(
    script: &[Step],
    seed: u64,
    tried: &mut Tried,
    random: &mut Random,
) -> Result<(), String> {
    let world = play(script, seed, None)?;
    let trace = world.inner().trace.take().unwrap_or_default();
    crash_in(&trace, 12, seed, 1, tried, random)
}

/// The n-th call goes wrong, for every n; then the power fails somewhere, too.
fn faulty(
    script: &[Step],
    seed: u64,
    (fault, persistent): (Fault, bool),
    tried: &mut Tried,
    random: &mut Random,
) -> Result<(), String> {
    for at in 0.. {
        let plan = Plan { fault, at, persistent };
        let world = play(script, seed, Some(plan)).map_err(|e| format!("{e}\n  call {at}"))?;
        let faults = world.inner().faults;
        if faults == 0 {
            break;
        }
        tried.faults += faults;
        world.inner().plan = None;
        let last = world.inner().trace.as_ref().and_then(|trace| trace.last().cloned());
        let last: Vec<_> = last.into_iter().collect();
        // Whoever comes next without a crash finds what was said, and can go on.
        let mut players = Players::new(&world, seed + 1);
        for step in [Step::Save(0), Step::Update(1), Step::Refresh(0)] {
            players.play(step).map_err(|e| format!("{e}\n  after call {at}"))?;
        }
        let trace = world.inner().trace.take().unwrap_or_default();
        let some: Vec<_> = (0..6).map(|_| trace[random.below(trace.len())].clone()).collect();
        crash_in(&last, 6, seed, 0, tried, random)
            .and_then(|()| crash_in(&some, 2, seed, 0, tried, random))
            .map_err(|e| format!("{e}\n  call {at}"))?;
    }
    Ok(())
}

/// Tries disks that a crash may leave at each moment.
fn crash_in(
    moments: &[Moment],
    each: usize,
    seed: u64,
    depth: u32,
    tried: &mut Tried,
    random: &mut Random,
) -> Result<(), String> {
    for moment in moments {
        for image in after_crash(moment, each, random, &mut tried.seen) {
            recover(&image, &moment.oracle, seed, depth, tried, random)?;
        }
    }
    Ok(())
}

/// Opens what a crash left, checks it against what was promised, goes on, and crashes again.
fn recover(
    image: &Image,
    oracle: &Oracle,
    seed: u64,
    depth: u32,
    tried: &mut Tried,
    random: &mut Random,
) -> Result<(), String> {
    tried.recoveries += 1;
    let world =
        World::new(found(image), oracle.clone(), (seed << 20) + (1 << 19) + tried.recoveries);
    match read_in(&*world.folder(1), &run_id()) {
        Err(Error::NoSuchRun { .. }) => {}
        Err(error) => return Err(format!("a reader got: {error}")),
        Ok((log, whole, _)) => {
            let read = snapshot(&run_id(), log, whole);
            oracle.recovered(read.seq().get(), &nodes(&read)?)?;
        }
    }
    world.inner().trace = Some(Vec::new());
    let open = |process| {
        let opened = open_in(world.folder(process), run_id(), options());
        opened.map_err(|error| format!("after the crash: {error}"))
    };
    let first = open(2)?.snapshot();
    let after = oracle.recovered(first.seq().get(), &nodes(&first)?)?;
    world.inner().oracle = after;
    let handle = open(3)?;
    let second = handle.snapshot();
    if (second.seq(), nodes(&second)?) != (first.seq(), nodes(&first)?) {
        return Err("recovering twice gave two states".to_owned());
    }
    let action = vec![("after".to_owned(), Some("1".to_owned()))];
    world.inner().oracle.begin(action);
    let seq = handle.save("after", &1).map_err(|error| format!("going on: {error}"))?;
    world.inner().oracle.end(Ok(seq), true, false)?;
    if seq != Seq(first.seq().get() + 1) {
        return Err(format!("{seq} followed {}", first.seq()));
    }
    if depth > 0 && tried.recoveries.is_multiple_of(4) {
        let trace = world.inner().trace.take().unwrap_or_default();
        let before = tried.recoveries;
        crash_in(&trace, 3, seed, depth - 1, tried, random)?;
        tried.in_recovery += tried.recoveries - before;
    }
    Ok(())
}

/// Flips a bit of every byte of the log that a script made.
fn flipped(script: &[Step], seed: u64) -> Result<(), String> {
    let world = play(script, seed, None)?;
    let state = world.inner().state.clone();
    let log = state.names.get(LOG).map(|inode| state.inodes[*inode].cache.clone());
    let Some(mut log) = log else { return Ok(()) };
    strip_filler(&mut log);
    // The last group may go: nothing vouches for it.
    let oracle = world.inner().oracle.clone();
    let vouched = vouched_for(&log);
    for at in 0..log.len() {
        let mut bad = log.clone();
        bad[at] ^= 1 << (at % 8);
        let world = World::new(found(&Image::from([(LOG.to_owned(), bad)])), oracle.clone(), 1);
        match read_in(&*world.folder(1), &run_id()) {
            Err(Error::Corrupt { .. } | Error::UnsupportedVersion { .. }) => {}
            Ok(_) if at >= vouched => {}
            Ok(_) => return Err(format!("byte {at} of {} was flipped unseen", log.len())),
            Err(error) => return Err(format!("byte {at}: {error}")),
        }
    }
    Ok(())
}

/// Records that are good in themselves and do not belong where they stand.
fn spliced(seed: u64) -> Result<(), String> {
    let world = play(&[Step::Save(0)], seed, None)?;
    let state = world.inner().state.clone();
    let mut log = state.inodes[state.names[LOG]].cache.clone();
    strip_filler(&mut log);
    let file = world.folder(9).open(LOG, false).map_err(|error| error.to_string())?;
    let (opened, start) = LogFile::open(file, Path::new(LOG), None).map_err(|e| e.to_string())?;
    let whole = read_whole(&opened, start).map_err(|e| e.to_string())?;
    let (nonce, crc, seq) = (opened.nonce, whole.end.crc, whole.end.seq);
    for (what, prev, seq) in [
        ("a number is missing before it", crc, seq + 2),
        ("its number was there before", crc, seq),
        ("it followed another record", crc ^ 1, seq + 1),
    ] {
        let mut bad = log.clone();
        let body = record::put("n0", "2026-11-24T22:43:00Z", b"1");
        frame::seal(&mut bad, nonce, prev, seq, 0, &body);
        let world = World::new(found(&Image::from([(LOG.to_owned(), bad)])), Oracle::new(), 1);
        match read_in(&*world.folder(1), &run_id()) {
            Ok((_, read, _)) if read.end == whole.end => {}
            Ok(_) => return Err(format!("a record where {what} was taken")),
            Err(error) => return Err(format!("a record where {what}: {error}")),
        }
    }
    Ok(())
}

/// What a living leader cut off stays cut off once somebody's save behind it has returned.
fn cut_for_good(seed: u64, random: &mut Random) -> Result<(), String> {
    let world = World::new(State::default(), Oracle::new(), seed << 20);
    let tag = |error: Error| format!("cut for good: {error}");
    let open = |process| open_in(world.folder(process), run_id(), options()).map_err(tag);
    let (first, second) = (open(1)?, open(2)?);
    first.save("n0", &1).map_err(tag)?;
    world.fail(Some(Plan { fault: Fault::Kill, at: 0, persistent: false }));
    // Half of it is longer than the space that the next record makes ahead of itself.
    if first.save("n1", &"v".repeat(20_000)).is_ok() {
        return Err("a save outlived its process".to_owned());
    }
    world.fail(None);
    second.save("n0", &2).map_err(tag)?;
    let moment = {
        let inner = world.inner();
        Moment { state: inner.state.clone(), oracle: inner.oracle.clone() }
    };
    for image in after_crash(&moment, 12, random, &mut HashSet::new()) {
        let world = World::new(found(&image), Oracle::new(), 1);
        match read_in(&*world.folder(1), &run_id()) {
            Ok((_, whole, 0)) if whole.end.seq == 2 => {}
            Ok((_, whole, torn)) => {
                return Err(format!("{torn} bytes came back behind seq {}", whole.end.seq));
            }
            Err(error) => return Err(tag(error)),
        }
    }
    Ok(())
}

/// Leaves the last record's own newline.
fn strip_filler(log: &mut Vec<u8>) {
    while log.ends_with(b"\n\n") {
        log.pop();
    }
}

/// Where the records begin that no later one says to be on disk.
fn vouched_for(log: &[u8]) -> usize {
    let lines: Vec<_> = log.split_inclusive(|byte| *byte == b'\n').collect();
    let numbers = |line: &[u8]| {
        let line: serde_json::Value = serde_json::from_slice(line).expect("a line of the log");
        (line[2].as_u64().unwrap_or(0), line[3].as_u64().unwrap_or(0), line[4] == "base")
    };
    let base = lines.iter().rposition(|line| numbers(line).2).map_or(1, |at| at + 1);
    let durable = lines.iter().map(|line| numbers(line).1).max().unwrap_or(0);
    let kept = lines.iter().enumerate().take_while(|(at, line)| {
        // A record cannot vouch for itself.
        let later = lines[at + 1..].iter().map(|line| numbers(line).1).max().unwrap_or(0);
        *at < base || numbers(line).0 <= durable.min(later)
    });
    kept.map(|(_, line)| line.len()).sum()
}

#[test]
fn nothing_promised_is_lost() {
    let mut tried = Tried::default();
    let result = search(wanted(1200), &mut tried);
    println!(
        "crash states: {} distinct disks, {} recoveries ({} after a crash within one), {} faults \
         injected, {} scripts",
        tried.seen.len(),
        tried.recoveries,
        tried.in_recovery,
        tried.faults,
        tried.scripts,
    );
    result.unwrap_or_else(|broken| panic!("{broken}"));
}

/// Everything that is left out in turn.
const MUTANTS: [LeftOut; 16] = [
    LeftOut::Flush(Flush::Group),
    LeftOut::Flush(Flush::Undo),
    LeftOut::Flush(Flush::TornTail),
    LeftOut::Flush(Flush::Again),
    LeftOut::Flush(Flush::NewFile),
    LeftOut::Flush(Flush::FoundEntry),
    LeftOut::Flush(Flush::NewEntry),
    LeftOut::Check(Check::Checksum),
    LeftOut::Check(Check::Prev),
    LeftOut::Check(Check::Seq),
    LeftOut::Check(Check::Damage),
    LeftOut::Check(Check::Tear),
    LeftOut::Check(Check::NewFile),
    LeftOut::Check(Check::WritingAgain),
    LeftOut::Check(Check::Undo),
    LeftOut::Check(Check::SettledFlush),
];

#[test]
fn whatever_is_left_out_is_missed() {
    let mut survivors = Vec::new();
    for mutant in MUTANTS {
        let mut tried = Tried::default();
        // A panic would be a mistake of the simulation: it counts for nothing, and fails this test.
        let how = match without(mutant, || search(wanted(3000), &mut tried)) {
            Ok(()) => {
                survivors.push(mutant);
                "SURVIVED".to_owned()
            }
            Err(broken) => broken.lines().next().unwrap_or_default().to_owned(),
        };
        println!("without {mutant:?}: after {} disks: {how}", tried.seen.len());
    }
    println!("disk mutants: {} of {} caught", MUTANTS.len() - survivors.len(), MUTANTS.len());
    assert!(survivors.is_empty(), "nobody misses {survivors:?}");
}
