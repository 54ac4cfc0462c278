//! One frame of a film as a PNG file, read by decoders that did not write the film.
//!
//! `cargo run --release -p slides --example frame -- FILM.mp4 SECOND WIDTH OUT.png`

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]

#[path = "../tests/decoder/mod.rs"]
mod decoder;

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;

use tiny_skia::{FilterQuality, Pixmap, PixmapPaint, Transform};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [film, second, width, out] = &args[..] else {
        return Err("give FILM.mp4 SECOND WIDTH OUT.png".into());
    };
    let film = decoder::Film::read(Path::new(film));
    let loudest = film.sound.iter().map(|s| s.unsigned_abs()).max().unwrap_or(0);
    println!(
        "{} frames, index {}, picture {:.1} s, sound {:.1} s, loudest sample {loudest} of 32767",
        film.frames.len(),
        if film.index_first { "first" } else { "last" },
        film.picture_seconds,
        film.sound_seconds,
    );
    let frame = film.frames.get(second.parse::<usize>()?).ok_or("the film is shorter")?;
    let whole = pixels(frame).ok_or("no picture")?;
    let scale = width.parse::<f32>()? / frame.width as f32;
    let height = (frame.height as f32 * scale).round() as u32;
    let mut small = Pixmap::new(width.parse()?, height).ok_or("a width of nothing")?;
    let paint = PixmapPaint { quality: FilterQuality::Bicubic, ..PixmapPaint::default() };
    small.draw_pixmap(0, 0, whole.as_ref(), &paint, Transform::from_scale(scale, scale), None);
    fs::write(out, small.encode_png()?)?;
    Ok(())
}

fn pixels(frame: &decoder::Frame) -> Option<Pixmap> {
    let mut whole = Pixmap::new(frame.width as u32, frame.height as u32)?;
    let rgb = frame.rgb();
    for (to, from) in whole.data_mut().chunks_exact_mut(4).zip(rgb.chunks_exact(3)) {
        to[..3].copy_from_slice(from);
        to[3] = 255;
    }
    Some(whole)
}
