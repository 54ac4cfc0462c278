//! What a clip and a joined film show and sound like, as independent decoders see them.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod decoder;

use std::fs;

use decoder::{Film, Frame};
use slides::sound::RATE;
use slides::{Error, Picture, Size, Slide, Sound, deck, film};
use tiny_skia::Pixmap;

fn small() -> Size {
    Size::new(160, 90).unwrap()
}

fn slide(text: &str) -> Slide {
    deck::parse(text).unwrap().remove(0)
}

/// A tone of `hertz`: nothing else has its number of zero crossings.
fn tone(hertz: f32, seconds: f32) -> Sound {
    let at = |n: usize| (n as f32 / RATE as f32 * hertz * std::f32::consts::TAU).sin();
    let samples = (0..(seconds * RATE as f32) as usize).map(|n| (at(n) * 9_000.0) as i16);
    Sound { samples: samples.collect() }
}

/// The mean difference per colour of a frame from the picture it was made from, the progress
/// bar's rows left out.
fn difference(frame: &Frame, picture: &Picture) -> f64 {
    let rows = frame.width * (frame.height - 2);
    let drawn = picture.rgba().chunks_exact(4).take(rows).flat_map(|pixel| &pixel[..3]);
    let seen = frame.rgb();
    let apart: u64 = drawn.zip(&seen).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    apart as f64 / (rows * 3) as f64
}

#[test]
fn a_clip_shows_its_picture_and_sounds_like_its_sound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    let picture = Picture::draw(&slide("# Ratchet\n- turns\n- one way"), small()).unwrap();
    let sound = tone(440.0, 2.3);
    film::clip(&picture, &sound, &path).unwrap();

    let film = Film::read(&path);
    assert!(film.index_first);
    assert_eq!(film.frames.len(), 3);
    assert!((film.picture_seconds - film.sound_seconds).abs() < 0.1);
    assert!((film.sound.len() as f64 / f64::from(RATE) - film.sound_seconds).abs() < 0.1);
    let same = sound.samples.iter().zip(&film.sound).all(|(a, b)| i32::from(*a) == *b);
    assert!(same, "FLAC is lossless");
    assert!(film.sound[sound.samples.len()..].iter().all(|s| *s == 0), "then silence");
    for frame in &film.frames {
        assert_eq!((frame.width, frame.height), (160, 90));
        let apart = difference(frame, &picture);
        assert!(apart < 6.0, "{apart} of 255 apart");
    }
}

#[test]
fn colours_come_back_as_they_were() {
    const COLOURS: [[u8; 3]; 4] = [[200, 40, 30], [30, 160, 60], [40, 70, 190], [220, 200, 60]];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    let mut stripes = Pixmap::new(160, 90).unwrap();
    for (at, pixel) in stripes.data_mut().chunks_exact_mut(4).enumerate() {
        pixel[..3].copy_from_slice(&COLOURS[at % 160 / 40]);
        pixel[3] = 255;
    }
    let picture = Picture::fit(&stripes.encode_png().unwrap(), small()).unwrap();
    film::clip(&picture, &tone(440.0, 1.0), &path).unwrap();
    let seen = Film::read(&path).frames.remove(0).rgb();
    for (stripe, colour) in COLOURS.iter().enumerate() {
        let at = (45 * 160 + stripe * 40 + 20) * 3;
        let apart = colour.iter().zip(&seen[at..at + 3]).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(apart.unwrap() < 16, "{colour:?} became {:?}", &seen[at..at + 3]);
    }
}

#[test]
fn the_bar_at_the_foot_grows_with_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    let picture = Picture::draw(&slide("# Bar"), small()).unwrap();
    film::clip(&picture, &tone(300.0, 4.0), &path).unwrap();
    let orange = |frame: &Frame| {
        let rgb = frame.rgb();
        let row = &rgb[(frame.height - 1) * frame.width * 3..];
        row.chunks_exact(3).filter(|p| p[0] > 150 && p[2] < 120).count()
    };
    let lengths: Vec<usize> = Film::read(&path).frames.iter().map(orange).collect();
    for (second, length) in lengths.iter().enumerate() {
        let due = 160 * (second + 1) / 4;
        assert!(length.abs_diff(due) <= 4, "{lengths:?}: {length} is not about {due}");
    }
}

#[test]
fn joined_clips_follow_each_other_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let parts = ["# One", "# Second\n- longer text", "# Third"].map(slide);
    let pictures = parts.each_ref().map(|s| Picture::draw(s, small()).unwrap());
    let lengths = [1.2, 2.0, 0.4];
    let clips: Vec<_> = (0..3).map(|n| folder.path().join(format!("{n}.mp4"))).collect();
    let sounds: Vec<_> = [200.0, 400.0, 800.0].into_iter().zip(lengths).collect();
    for n in 0..3 {
        film::clip(&pictures[n], &tone(sounds[n].0, sounds[n].1), &clips[n]).unwrap();
    }
    let path = folder.path().join("film.mp4");
    film::join(&clips, &path).unwrap();

    let film = Film::read(&path);
    assert!(film.index_first);
    assert_eq!(film.frames.len(), 2 + 2 + 1);
    assert!((film.picture_seconds - film.sound_seconds).abs() < 0.1);
    assert_eq!(film.sound.len(), 5 * RATE as usize);
    let shown = [0, 0, 1, 1, 2];
    for (frame, own) in film.frames.iter().zip(shown) {
        let apart: Vec<f64> = pictures.iter().map(|p| difference(frame, p)).collect();
        let nearest = (0..3).min_by(|a, b| apart[*a].total_cmp(&apart[*b])).unwrap();
        assert_eq!(nearest, own, "{apart:?}");
    }
    // Zero crossings a second tell the tones apart.
    let crossings = |from: f32, length: f32| {
        let from = (from * RATE as f32) as usize;
        let part = &film.sound[from..from + (length * RATE as f32) as usize];
        let count = part.windows(2).filter(|w| (w[0] < 0) != (w[1] < 0)).count();
        count as f32 / length / 2.0
    };
    for (from, length, hertz) in [(0.0, 1.2, 200.0), (2.0, 2.0, 400.0), (4.0, 0.4, 800.0)] {
        let heard = crossings(from, length);
        assert!((heard - hertz).abs() < 10.0, "{heard} Hz at {from} s, not {hertz}");
    }
}

#[test]
fn a_clip_of_another_size_or_cut_short_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let [first, large, cut] = ["a.mp4", "large.mp4", "cut.mp4"].map(|n| folder.path().join(n));
    let draw = |size| Picture::draw(&slide("# A"), size).unwrap();
    film::clip(&draw(small()), &tone(440.0, 0.5), &first).unwrap();
    film::clip(&draw(Size::new(96, 64).unwrap()), &tone(440.0, 0.5), &large).unwrap();
    let whole = fs::read(&first).unwrap();
    fs::write(&cut, &whole[..whole.len() - 10]).unwrap();

    let out = folder.path().join("film.mp4");
    for (other, why) in [(&large, "differs from the first"), (&cut, "ends too early")] {
        let refused = film::join(&[first.clone(), other.clone()], &out).unwrap_err();
        assert!(matches!(&refused, Error::Join { path, .. } if path == other), "{refused:?}");
        assert!(refused.to_string().contains(why), "{refused}");
    }
    let noise = folder.path().join("noise.mp4");
    fs::write(&noise, b"this is no film at all, but long enough to be looked at").unwrap();
    assert!(matches!(film::join(&[noise], &out), Err(Error::Join { .. })));
    let missing = film::join(&[folder.path().join("none.mp4")], &out).unwrap_err();
    assert!(matches!(missing, Error::File { action: "read", .. }), "{missing:?}");
}
