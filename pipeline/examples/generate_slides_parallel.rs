//! An audio and an image for every slide, in parallel, each under its service's limit; one video
//! at the end. Run it, kill it, and run it again: what was made is not made twice.
//!
//! `cargo run -p pipeline --example generate_slides_parallel -- --root /tmp/runs`

use std::{fs, process::ExitCode};

use pipeline::{Pipeline, RateLimiter};

struct Slides;

fn main() -> ExitCode {
    let (speech, pictures) = (RateLimiter::per_second(10.0), RateLimiter::per_second(5.0));
    let deck = ["Why ratchets", "How they turn", "What they hold"];

    let mut p = Pipeline::new("slides");
    let slide = p.items(Slides, deck, |title| title.to_lowercase().replace(' ', "-"));
    let audio = p.each("audio", slide).workers(4).limit(&speech, |_| 1).run(|(), cx, title| {
        cx.file("txt", |path| Ok(fs::write(path, format!("the sound of {title}\n"))?))
    });
    let image = p.each("image", slide).workers(2).limit(&pictures, |_| 1).run(|(), cx, title| {
        cx.file("txt", |path| Ok(fs::write(path, format!("a picture of {title}\n"))?))
    });
    let clip = p.each("clip", (audio, image)).run(|(), cx, (audio, image)| {
        let parts = [fs::read(cx.path(audio))?, fs::read(cx.path(image))?];
        cx.file("txt", |path| Ok(fs::write(path, parts.concat())?))
    });
    let video = p.collect("video", clip).run(|(), cx, clips| {
        let clips: Result<Vec<_>, _> = clips.iter().map(|clip| fs::read(cx.path(&clip))).collect();
        let film = clips?.concat();
        cx.file("txt", |path| Ok(fs::write(path, film)?))
    });
    p.main(video)
}
