use pipeline::*;

struct Slides;
struct Chapters;

fn main() {
    let mut p = Pipeline::new("ui");
    let slide = p.items(Slides, ["a", "b"].map(String::from), String::clone);
    let chapter = p.items(Chapters, ["c"].map(String::from), String::clone);
    p.each("clip", (slide, chapter)).run(|_, _, (s, c)| Ok(s.len() + c.len()));
}
