use pipeline::*;

struct Slides;

fn main() {
    let mut p = Pipeline::new("ui");
    let slide = p.items(Slides, ["a", "b"].map(String::from), String::clone);
    p.each("read", slide).run(|_, _, path| std::fs::read_to_string(path));
}
