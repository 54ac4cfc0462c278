use pipeline::*;

struct Slides;
struct Clip;

fn main() {
    let mut p = Pipeline::new("ui");
    let slide = p.items(Slides, ["a", "b"].map(String::from), String::clone);
    p.each("clip", slide).run(|_, _, _| Ok(Clip));
}
