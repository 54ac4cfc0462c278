//! A run that is killed, wherever it is, goes on with the same command, and makes nothing twice
//! but what was in flight.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod decoder;
mod program;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use checkpoint::{RunId, Snapshot};
use decoder::{Film, Frame};
use slides::{Picture, Size, deck};

/// Four slides with a script, a recording, a picture and a clip each, and the film.
const STEPS: usize = 4 * 4 + 1;
const DECK: [&str; 4] = [
    "# One\n<!-- The first. -->",
    "# Two\n- b\n- c\n<!-- The second. -->",
    "# Three\n- ddd\n- e\n- f\n- g\n<!-- The third. -->",
    "# Four of four\n<!-- The last. -->",
];
const ARGS: [&str; 11] = [
    "run", "--deck", "deck.md", "--size", "96x64", "--ledger", "ledger", "--root", "runs", "--out",
    "film.mp4",
];

/// Calls carried out, by step: `stage item`.
fn ledger(folder: &Path) -> BTreeMap<String, usize> {
    let text = fs::read_to_string(folder.join("ledger")).unwrap_or_default();
    let mut calls = BTreeMap::new();
    for line in text.lines() {
        let (step, key) = line.rsplit_once(' ').expect("three words");
        assert_eq!(key.len(), 64, "{line}");
        *calls.entry(step.to_string()).or_default() += 1;
    }
    calls
}

fn calls(folder: &Path) -> usize {
    ledger(folder).values().sum()
}

/// The steps that stand in the checkpoint under `kind`, named as in the ledger.
fn recorded(folder: &Path, kind: &str) -> BTreeSet<String> {
    let run = RunId::new("deck").unwrap();
    let name = |node: &str| {
        let step = node.split_once('/').map_or(node, |(_, step)| step);
        step.split_once('/').map_or(format!("{step} -"), |(stage, item)| format!("{stage} {item}"))
    };
    let names = |snapshot: Snapshot| snapshot.prefix(kind).map(name).collect();
    // Killed early there may be no checkpoint at all.
    checkpoint::read(folder.join("runs"), &run).map(names).unwrap_or_default()
}

/// The slides that the film shows, in order, each once however long.
fn shown(frames: &[Frame]) -> Vec<usize> {
    let size = Size::new(96, 64).unwrap();
    let slides = deck::parse(&DECK.join("\n\n---\n\n")).unwrap();
    let drawn: Vec<_> = slides.iter().map(|s| Picture::draw(s, size).unwrap()).collect();
    let apart = |frame: &Frame, picture: &Picture| -> u64 {
        let pixels = picture.rgba().chunks_exact(4).flat_map(|p| &p[..3]);
        pixels.zip(&frame.rgb()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum()
    };
    let nearest = |frame| (0..4).min_by_key(|n| apart(frame, &drawn[*n])).unwrap();
    let mut shown: Vec<usize> = frames.iter().map(nearest).collect();
    shown.dedup();
    shown
}

/// Kills the program as soon as the ledger holds `k` calls, and gives the same command again.
fn killed_after(k: usize) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    program::write_deck(folder, &DECK);
    let mut command = program::slides(folder, &ARGS);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // The ledger is another process's file: it can only be looked at again and again.
    while calls(folder) < k {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its call {k}");
        thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let (before, paid) = (recorded(folder, "step/"), ledger(folder));
    let in_doubt = recorded(folder, "start/");
    let lost: Vec<_> = paid.keys().filter(|step| !before.contains(*step)).collect();
    assert!(lost.iter().all(|step| in_doubt.contains(*step)), "{lost:?} are not in {in_doubt:?}");

    let ended = program::run(folder, &ARGS);
    assert_eq!(ended.code, Some(0), "killed after {k}: {ended:?}");
    let after = ledger(folder);
    assert_eq!(after.len(), STEPS, "killed after {k}: {after:?}");
    for (step, times) in &after {
        let most = if in_doubt.contains(step) { 2 } else { 1 };
        assert!(*times <= most, "killed after {k}: {step} was paid {times} times");
        assert!(*times == 1 || !before.contains(step), "{step} was recorded, and made again");
    }
    let repeated = after.values().sum::<usize>() - STEPS;
    let (kept, doubt) = (before.len(), in_doubt.len());
    println!("killed after {k}: {kept} recorded, {doubt} in doubt, {repeated} made again");
    assert!(repeated <= doubt);
    let kept = recorded(folder, "step/");
    assert!(before.is_subset(&kept) && kept.len() == STEPS);
    assert!(recorded(folder, "start/").is_empty(), "nothing is in doubt at the end");

    let film = Film::read(&folder.join("film.mp4"));
    assert!(film.index_first);
    assert!((film.picture_seconds - film.sound_seconds).abs() < 0.1);
    assert!((film.sound.len() as f64 / 24_000.0 - film.sound_seconds).abs() < 0.1);
    assert_eq!(shown(&film.frames), [0, 1, 2, 3], "killed after {k}");
}

/// Ten places, spread over all stages: two at a time, since each is two processes' work.
#[test]
fn killed_after_any_call_it_goes_on_and_pays_only_for_what_was_in_flight() {
    thread::scope(|scope| {
        for half in [[1, 3, 5, 9, 14], [2, 4, 7, 11, 17]] {
            scope.spawn(move || half.map(killed_after));
        }
    });
}
