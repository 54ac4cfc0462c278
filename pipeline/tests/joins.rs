//! Fan-outs, broadcasts, collects and expands, with small windows: right values, in order, no deadlock.

#![allow(clippy::ignored_unit_patterns)] // what a user writes: `_` for no adapter

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pipeline::{Node, Options, Pipeline, Report, Root, RunId, Scope, all};
use serde::{Deserialize, Serialize};

struct Chapters;
struct Paragraphs;
struct Voices;
struct Numbers;

#[derive(Serialize)]
struct Chapter {
    n: u32,
    text: &'static str, // borrowed for ever: only `Serialize` is needed
}

#[derive(Serialize, Deserialize)]
struct Paragraph {
    n: usize,
    text: String,
}

#[derive(Serialize, Deserialize)]
struct Glossary(HashMap<String, u32>);

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Book {
    title: String,
    body: String,
    terms: usize,
}

fn options(root: &tempfile::TempDir, run: &str) -> Options {
    Options::new(root.path(), RunId::new(run).unwrap())
}

fn ran<T>(report: &Report<T>) -> u64 {
    report.stages.iter().map(|stage| stage.ran).sum()
}

/// Generic user code over nodes of any scope.
fn words<S: Scope>(p: &mut Pipeline, chapter: Node<Chapter, S>) -> Node<String, S> {
    p.each("words", chapter).run(|_, _, c| Ok(c.text.to_string()))
}

fn book(p: &mut Pipeline) -> Node<Book, Root> {
    let texts = ["a b c\nd e", "", "f\ng\nh"];
    let chapters = (1..).zip(texts).map(|(n, text)| Chapter { n, text });
    let chapter = p.items(Chapters, chapters.collect::<Vec<_>>(), |c| c.n);
    let voice = p.items(Voices, ["low", "high"].map(String::from), Clone::clone);
    let title = p.value("title", "T");
    let style = p.each("style", chapter).run(|_, _, c| Ok(format!("style{}", c.n)));
    let list = p.each("split", chapter).run(|_, _, c| {
        let lines = c.text.lines().enumerate();
        Ok(lines.map(|(n, text)| Paragraph { n, text: text.into() }).collect::<Vec<_>>())
    });
    let paragraph = p.expand(Paragraphs, list, |q| q.n);
    // A collect over the very fan-out that is joined with it below: a second pass.
    let text = words(p, chapter);
    let glossary = p.collect("glossary", text).run(|_, _, texts| {
        let mut all = HashMap::new();
        for word in texts.iter().flat_map(|t| t.split(' ').map(String::from).collect::<Vec<_>>()) {
            *all.entry(word).or_default() += 1;
        }
        Ok(Glossary(all))
    });
    let inputs = (paragraph, style, glossary, all(voice));
    let spoken = p.each("speak", inputs).workers(3).run(|_, _, (q, style, g, voices)| {
        let voices = voices.into_iter().collect::<Vec<String>>().join("|");
        Ok(format!("{style}:{}:{}:{voices}", q.text, g.0.len()))
    });
    let page = p.each("page", (chapter, all(spoken), style)).run(|_, _, (c, lines, style)| {
        let lines: Vec<_> = lines.keyed().map(|(key, line)| format!("{key}={line}")).collect();
        Ok(format!("{}[{style}]({})", c.n, lines.join(",")))
    });
    let s = style;
    let eight = p.each("eight", (page, s, s, s, s, s, chapter, glossary));
    let eight = eight.run(|_, _, (page, _, _, _, _, _, _, _)| Ok(page.clone()));
    p.each("book", (all(eight), glossary, title)).run(|_, _, (pages, g, title)| {
        let body = pages.into_iter().collect::<Vec<_>>().join("\n");
        Ok(Book { title: (*title).to_string(), body, terms: g.0.len() })
    })
}

#[test]
fn nested_fan_outs_with_broadcasts_come_out_right_whatever_the_window() {
    let root = tempfile::tempdir().unwrap();
    let expected = "1[style1](0=style1:a b c:6:low|high,1=style1:d e:6:low|high)\n2[style2]()\n\
                    3[style3](0=style3:f:6:low|high,1=style3:g:6:low|high,2=style3:h:6:low|high)";
    for window in [1, 2, 256] {
        let run = || {
            let mut p = Pipeline::new("book");
            let book = book(&mut p);
            p.run(book, &options(&root, &format!("w{window}")).window(window)).unwrap()
        };
        let first = run();
        let made = first.output.as_ref().unwrap();
        // "c\nd" is one word between blanks: six words, and the empty one.
        assert_eq!((made.title.as_str(), made.terms), ("T", 6), "{}", made.body);
        assert_eq!(made.body, expected);
        let second = run();
        assert_eq!(second.output, first.output);
        assert_eq!(ran(&second), 0, "{second}");
    }
}

/// A million times smaller than life, but the window is smaller still.
#[test]
fn a_collect_that_feeds_back_into_its_own_fan_out_is_a_second_pass() {
    let root = tempfile::tempdir().unwrap();
    let mut p = Pipeline::new("feedback");
    let n = p.items(Numbers, 0..1_000_u64, |n| *n);
    let double = p.each("double", n).workers(2).run(|_, _, n| Ok(n * 2));
    let sum = p.collect("sum", double).run(|_, _, all| Ok(all.into_iter().sum::<u64>()));
    let share = p.each("share", (double, sum, n)).workers(2);
    let share = share.run(|_, _, (double, sum, n)| Ok((*double, *sum, *n)));
    let fast = options(&root, "r").window(16).durability(pipeline::Durability::Process);
    let report = p.run(all(share), &fast).unwrap();
    let shares = report.output.unwrap();
    assert_eq!(shares.len(), 1_000);
    for (n, (key, share)) in (0..).zip(&shares) {
        assert_eq!((key.as_str(), *share), (n.to_string().as_str(), (n * 2, 999_000, n)));
    }
}

/// Each waits for all of the other: two windows, each full of items that wait for the other's end.
#[test]
fn two_fan_outs_that_wait_for_each_other_do_not_lock_each_other_out() {
    let root = tempfile::tempdir().unwrap();
    let mut p = Pipeline::new("crossed");
    let a = p.items(Numbers, 0..20_u64, |n| *n);
    let b = p.items(Voices, 0..20_u64, |n| *n);
    let a1 = p.each("a1", a).run(|_, _, n| Ok(*n));
    let b1 = p.each("b1", b).run(|_, _, n| Ok(*n));
    let a2 = p.each("a2", (a1, all(b1))).run(|_, _, (n, all)| Ok(n + all.iter().sum::<u64>()));
    let b2 = p.each("b2", (b1, all(a1))).run(|_, _, (n, all)| Ok(n + all.iter().sum::<u64>()));
    let report = p.run((all(a2), all(b2)), &options(&root, "r").window(2)).unwrap();
    let (a2, b2) = report.output.unwrap();
    assert_eq!(a2.iter().map(|(_, n)| n).sum::<u64>(), 190 + 20 * 190);
    assert_eq!(a2, b2);
}

#[test]
fn no_more_items_are_open_than_the_window_holds() {
    let root = tempfile::tempdir().unwrap();
    let (pulled, through) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (most, counted) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&pulled));
    let mut p = Pipeline::new("window");
    let items = (0..200_u64).inspect(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let n = p.items(Numbers, items, |n| *n);
    let one = p.each("one", n).workers(3).run(|_, _, n| Ok(*n));
    let (pull, done, high) = (pulled, Arc::clone(&through), Arc::clone(&most));
    let two = p.each("two", one).run(move |_, _, n| {
        high.fetch_max(pull.load(Ordering::SeqCst) - done.load(Ordering::SeqCst), Ordering::SeqCst);
        done.fetch_add(1, Ordering::SeqCst);
        Ok(*n)
    });
    let fast = options(&root, "r").window(8).durability(pipeline::Durability::Process);
    p.run(all(two), &fast).unwrap();
    assert_eq!(through.load(Ordering::SeqCst), 200);
    // One more is pulled and waits for its slot; one is counted before its slot is free.
    let most = most.load(Ordering::SeqCst);
    assert!(most <= 10, "{most} items were open at once");
}

/// Half a window of items that wait for an hour must not keep the other half empty.
#[test]
fn a_window_half_held_lets_the_other_half_through() {
    let root = tempfile::tempdir().unwrap();
    let stop = pipeline::Stop::new();
    let in_step = stop.clone();
    let mut p = Pipeline::new("half");
    let n = p.items(Numbers, 0..100_u64, |n| *n);
    let hour = std::time::Duration::from_secs(3_600);
    let one = p.each("one", n).backoff(hour, hour).run(move |_, _, n| {
        if *n < 7 {
            Err("later")?;
        }
        if *n == 99 {
            in_step.stop();
        }
        Ok(*n)
    });
    let report = p.run(all(one), &options(&root, "r").window(8).stop(stop)).unwrap();
    assert_eq!(ran(&report), 93, "{report}");
}

#[test]
fn only_what_the_target_needs_is_run_and_pulled() {
    let root = tempfile::tempdir().unwrap();
    let mut p = Pipeline::new("needed");
    let n = p.items(Numbers, 0..3_u64, |n| *n);
    let unneeded = std::iter::from_fn(|| -> Option<u64> { panic!("nobody needs these items") });
    let other = p.items(Voices, unneeded, |n| *n);
    p.each("unneeded", other).run(|_, _, n| Ok(*n));
    let kept = p.each("kept", n).run(|_, _, n| Ok(*n));
    let _ = p.each("also", kept).run(|_, _, n| Ok(*n));
    let report = p.run(all(kept), &options(&root, "r")).unwrap();
    assert_eq!(report.stages.len(), 1);
    assert_eq!(report.output.unwrap().len(), 3);
}

#[test]
fn items_alone_are_a_target() {
    let root = tempfile::tempdir().unwrap();
    let mut p = Pipeline::new("items");
    let n = p.items(Numbers, 0..300_u64, |n| *n);
    let other = p.items(Voices, ["a", "b"].map(String::from), Clone::clone);
    let report = p.run((all(n), all(other)), &options(&root, "r")).unwrap();
    let (numbers, letters) = report.output.unwrap();
    assert_eq!((numbers.len(), letters.len()), (300, 2));
    assert_eq!(letters[1], ("b".to_string(), "b".to_string()));
}

#[test]
fn empty_fan_outs_values_and_tuples_are_targets() {
    let root = tempfile::tempdir().unwrap();
    let mut p = Pipeline::new("targets");
    let n = p.items(Numbers, Vec::<u64>::new(), |n| *n);
    let value = p.value("value", 7_u8);
    let list = p.value("list", vec![3_u8, 1]);
    let element = p.expand(Voices, list, |n| *n);
    let twice = p.each("twice", element).run(|_, _, n| Ok(n * 2));
    let len = p.collect("len", n).run(|_, _, all| Ok(all.len()));
    let target = (len, all(n), value, all(element), all(twice));
    let report = p.run(target, &options(&root, "r")).unwrap();
    let (len, items, value, elements, twice) = report.output.unwrap();
    assert_eq!((len, items.len(), value), (0, 0, 7));
    assert_eq!(elements, [("3".to_string(), 3), ("1".to_string(), 1)]);
    assert_eq!(twice, [("3".to_string(), 6), ("1".to_string(), 2)]);
}
