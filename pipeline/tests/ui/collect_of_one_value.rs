use pipeline::*;

struct Slides;

fn main() {
    let mut p = Pipeline::new("ui");
    let slide = p.items(Slides, ["a", "b"].map(String::from), String::clone);
    let count = p.collect("count", slide).run(|_, _, all| Ok(all.len()));
    p.collect("again", count);
}
