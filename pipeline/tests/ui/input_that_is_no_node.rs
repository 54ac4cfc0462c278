use pipeline::*;

struct Slides;

fn main() {
    let mut p = Pipeline::new("ui");
    let slide = p.items(Slides, ["a", "b"].map(String::from), String::clone);
    let _ = slide;
    p.each("clip", 5);
}
