use pipeline::*;

struct Slides;

fn main() {
    let mut p = Pipeline::new("ui");
    let slide = p.items(Slides, ["a", "b"].map(String::from), String::clone);
    let mut calls = 0;
    p.each("script", slide).run(move |_, _, _| { calls += 1; Ok(calls) });
}
