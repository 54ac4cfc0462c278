use pipeline::*;

struct Slides;

fn main() {
    let mut p = Pipeline::new("ui");
    let slide = p.items(Slides, ["a", "b"].map(String::from), String::clone);
    let audio = p.each("audio", slide).run(|_, _, s| Ok(s.len()));
    let _ = p.run(audio, &Options::new("runs", RunId::new("r").unwrap()));
}
