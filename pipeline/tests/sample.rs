//! The scenario that the crate exists for compiles with no annotation on any closure, and runs.

// What a user writes: `_` for an adapter that is not there, and stand-ins for real clients.
#![allow(clippy::ignored_unit_patterns, clippy::unnecessary_wraps, clippy::unused_self)]

use std::fs;
use std::path::{Path, PathBuf};

use pipeline::{Artefact, Fault, Options, Pipeline, Rate, RateLimiter, Report, RunId};

#[derive(serde::Serialize)] // an item is hashed, not recorded: `Serialize` is enough
struct Slide {
    id: String,
    text: String,
}

struct Slides; // names a fan-out, at compile time

#[derive(serde::Serialize, serde::Deserialize)] // a result is recorded and read back: both
struct Script {
    text: String,
    tokens: u64,
}

fn film(root: &Path) -> Report<Artefact> {
    let limits = [("requests", Rate::per_second(1e6)), ("tokens", Rate::per_second(1e9))];
    let llm_rate = RateLimiter::new(limits).unwrap();
    let voice_rate = RateLimiter::per_second(1e6);

    let mut p = Pipeline::new("narrated-slides");
    let slide = p.try_items(Slides, deck(), |s| s.id.clone());
    let style = p.value("style", "calm".to_string());
    let text = p
        .each("script", (slide, style))
        .version(2)
        .workers(8)
        .limit(&llm_rate, |(s, _)| [1, estimate(s)])
        .adapter(Llm::connect)
        .run(|llm, cx, (s, style)| {
            let script = llm.script(&s.text, style, cx.idempotency_key())?;
            cx.used("tokens", script.tokens);
            cx.spent_usd(script.tokens as f64 * 2e-6);
            Ok(script)
        });
    let audio = p
        .each("audio", text)
        .workers(4)
        .limit(&voice_rate, |_| 1)
        .adapter(Voice::connect)
        .run(|voice, cx, t| cx.file("wav", |path| voice.speak(&t.text, path)));
    let image =
        p.each("image", slide).workers(4).run(|_, cx, s| cx.file("png", |path| draw(s, path)));
    let clip = p
        .each("clip", (audio, image))
        .run(|_, cx, (a, i)| cx.file("mp4", |path| join(&cx.path(a), &cx.path(i), path)));
    let video = p.collect("video", clip).run(|_, cx, clips| {
        cx.file("mp4", |path| concat(clips.into_iter().map(|c| cx.path(&c)), path))
    });
    p.run(video, &Options::new(root, RunId::new("deck-42").unwrap())).unwrap()
}

#[test]
fn a_deck_becomes_a_film_once() {
    let root = tempfile::tempdir().unwrap();
    let report = film(root.path());
    let made = report.output.as_ref().expect("nothing failed");
    let expected = "calm: slide 1s1calm: slide 2s2calm: slide 3s3";
    assert_eq!(fs::read_to_string(report.path(made)).unwrap(), expected);
    assert_eq!(report.stages.iter().map(|s| s.ran).sum::<u64>(), 13);
    assert!(root.path().join("deck-42/files/audio/s1.wav").exists());

    let again = film(root.path());
    assert_eq!(again.output, report.output);
    assert_eq!(again.stages.iter().map(|s| s.ran).sum::<u64>(), 0, "{again}");
}

fn deck() -> impl Iterator<Item = Result<Slide, std::io::Error>> + Send {
    (1..=3).map(|n| Ok(Slide { id: format!("s{n}"), text: format!("slide {n}") }))
}

fn estimate(s: &Slide) -> u64 {
    s.text.len() as u64 / 4 + 200
}

struct Llm;

impl Llm {
    fn connect() -> Result<Llm, Fault> {
        Ok(Llm)
    }

    fn script(&mut self, text: &str, style: &str, key: &str) -> Result<Script, Fault> {
        assert_eq!(key.len(), 64);
        Ok(Script { text: format!("{style}: {text}"), tokens: 180 })
    }
}

struct Voice;

impl Voice {
    fn connect() -> Result<Voice, Fault> {
        Ok(Voice)
    }

    fn speak(&mut self, text: &str, path: &Path) -> Result<(), Fault> {
        Ok(fs::write(path, text)?)
    }
}

fn draw(s: &Slide, path: &Path) -> Result<(), Fault> {
    Ok(fs::write(path, &s.id)?)
}

fn join(audio: &Path, image: &Path, path: &Path) -> Result<(), Fault> {
    Ok(fs::write(path, [fs::read(audio)?, fs::read(image)?].concat())?)
}

fn concat(clips: impl Iterator<Item = PathBuf>, path: &Path) -> Result<(), Fault> {
    let mut film = Vec::new();
    for clip in clips {
        film.extend(fs::read(clip)?);
    }
    Ok(fs::write(path, film)?)
}
