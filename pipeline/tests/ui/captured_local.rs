use pipeline::*;

struct Slides;

fn main() {
    let mut p = Pipeline::new("ui");
    let slide = p.items(Slides, ["a", "b"].map(String::from), String::clone);
    let style = String::from("calm");
    p.each("script", slide).run(|_, _, s| Ok(format!("{style} {s}")));
}
