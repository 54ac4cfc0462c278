//! A program as a user writes it, steered by its environment so that a test can make it fail.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::Parser;
use pipeline::{Cx, Fault, Pipeline, Rate, RateLimiter};

struct Slides;
struct Words;

#[derive(serde::Serialize)]
struct Slide {
    id: String,
    text: String,
}

/// Makes a film of a talk.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    command: pipeline::cli::Command,
}

/// What this run is to be like.
fn setting<T: FromStr>(name: &str, default: T) -> T {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Slides that say what they were asked to; whoever pulls one leaves a trace.
fn deck() -> impl Iterator<Item = Slide> + Send {
    let edited = setting("EDITED", usize::MAX);
    (0..setting("SLIDES", 3_usize)).map(move |n| {
        trace("deck", n);
        let text = if n == edited { format!("edited {n}") } else { format!("slide {n}") };
        let id = if setting("TWICE", 0) == 1 { 0 } else { n };
        Slide { id: format!("s{id}"), text }
    })
}

/// One line for each thing that happened, outside of the run.
fn trace(what: &str, which: impl std::fmt::Display) {
    if let Some(path) = env::var_os("LEDGER") {
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(format!("{what} {which}\n").as_bytes()).unwrap();
    }
}

/// How often a call was told to come later.
static PUT_OFF: AtomicUsize = AtomicUsize::new(0);

/// A call of a paid service.
fn call(cx: &Cx<'_>) -> Result<(), Fault> {
    trace(cx.stage(), cx.item());
    std::thread::sleep(Duration::from_millis(setting("MS", 0)));
    cx.spent_usd(0.002);
    let step = format!("{} {}", cx.stage(), cx.item());
    let is_to = |what| setting(what, String::new()).split(',').any(|named| named == step);
    if is_to("FAIL") {
        return Err(Fault::fatal("401: the key is wrong"));
    }
    if is_to("LATER") && PUT_OFF.fetch_add(1, Ordering::Relaxed) == 0 {
        return Err(Fault::rate_limited(Duration::from_millis(1)));
    }
    if is_to("AGAIN") && cx.attempt() == 1 {
        return Err(Fault::transient("503: not now"));
    }
    Ok(())
}

pub(crate) fn main() -> ExitCode {
    let limits = [("requests", Rate::per_minute(60_000)), ("tokens", Rate::per_minute(600_000))];
    let rate = RateLimiter::new(limits).unwrap();
    let slow = RateLimiter::new([("calls", Rate::at_most(setting("CALLS", 1_000), MINUTE))]);
    let slow = slow.unwrap();

    let mut p = Pipeline::new(&setting("NAME", "talk".to_string()));
    let slide = p.items(Slides, deck(), |slide| slide.id.clone());
    let style = p.value("style", setting("STYLE", "calm".to_string()));
    let script = p
        .each("script", (slide, style))
        .version(setting("VERSION", 1))
        .workers(2)
        .backoff(Duration::from_millis(1), Duration::from_millis(1))
        .limit(&rate, |(slide, _)| [1, slide.text.len() as u64])
        .run(|(), cx, (slide, style)| {
            call(cx)?;
            Ok(format!("{style}: {}", slide.text))
        });
    let audio = p.each("audio", script).workers(2).limit(&slow, |_| 1).run(|(), cx, text| {
        call(cx)?;
        cx.file("wav", |path| Ok(fs::write(path, text)?))
    });
    let video = p.collect("video", audio).run(|(), cx, parts| {
        call(cx)?;
        let mut film = Vec::new();
        for part in parts {
            film.extend(fs::read(cx.path(&part))?);
        }
        cx.file("mp4", |path| Ok(fs::write(path, &film)?))
    });
    let words = p.collect("words", script).run(|(), cx, texts| {
        call(cx)?;
        let words: std::collections::BTreeSet<String> = texts
            .into_iter()
            .flat_map(|t| t.split(' ').map(String::from).collect::<Vec<_>>())
            .collect();
        Ok(words.into_iter().collect::<Vec<_>>())
    });
    let word = p.expand(Words, words, String::clone);
    let defined = p.each("define", word).run(|(), cx, word| {
        call(cx)?;
        Ok(word.len())
    });
    let glossary = p.collect("glossary", defined).allow_missing().run(|(), cx, all| {
        call(cx)?;
        Ok(all.into_iter().sum::<usize>())
    });
    p.command((video, glossary), Args::parse().command)
}

const MINUTE: Duration = Duration::from_secs(60);
