use pipeline::*;

struct Slides;
struct Lines;

fn main() {
    let mut p = Pipeline::new("ui");
    let slide = p.items(Slides, ["a", "b"].map(String::from), String::clone);
    let list = p.each("split", slide).run(|_, _, s| Ok(vec![s.clone()]));
    let line = p.expand(Lines, list, String::clone);
    p.each("clip", (slide, line)).run(|_, _, (s, l)| Ok(s.len() + l.len()));
}
