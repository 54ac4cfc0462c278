//! Pictures drawn and fitted.

use slides::{Error, Picture, Size, Slide, deck};

fn slide(text: &str) -> Slide {
    deck::parse(text).unwrap().remove(0)
}

fn pixel(picture: &Picture, x: usize, y: usize) -> [u8; 3] {
    let at = (y * picture.size().width() + x) * 4;
    picture.rgba()[at..at + 3].try_into().unwrap()
}

/// How many pixels of these rows are about `colour`.
fn count(picture: &Picture, rows: std::ops::Range<usize>, colour: [u8; 3]) -> usize {
    let near = |p: [u8; 3]| p.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 24);
    let across = 0..picture.size().width();
    rows.flat_map(|y| across.clone().map(move |x| (x, y)))
        .filter(|(x, y)| near(pixel(picture, *x, *y)))
        .count()
}

const TITLE: [u8; 3] = [0x16, 0x32, 0x3D];
const ACCENT: [u8; 3] = [0xE0, 0x70, 0x3A];
const BODY: [u8; 3] = [0x2A, 0x2A, 0x2A];

#[test]
fn title_bullets_and_foot_are_where_they_belong() {
    let picture = Picture::draw(&slide("# A Title\n- first\n- second"), Size::HD).unwrap();
    assert!(count(&picture, 80..170, TITLE) > 1_000, "a title");
    assert!(count(&picture, 170..220, ACCENT) > 1_000, "a stroke below it");
    assert!(count(&picture, 220..420, BODY) > 500, "the lines");
    assert!(count(&picture, 220..420, ACCENT) > 2 * 150, "a disc before each");
    assert_eq!(count(&picture, 440..600, BODY), 0, "nothing more");
    assert!(count(&picture, 640..700, [0x7A, 0x7A, 0x72]) > 50, "the deck's title at the foot");
    let empty = Picture::draw(&slide("<!-- only notes -->"), Size::HD).unwrap();
    assert_eq!(count(&empty, 220..640, BODY), 0);
}

#[test]
fn much_text_is_set_smaller_instead_of_running_out() {
    let bullets =
        "- a bullet that is long enough to need more than one line when large\n".repeat(7);
    let endless = "- and this one goes on and on without an end\n".repeat(60);
    let text = format!("# A title that does not fit into one line of this width\n{bullets}");
    for text in [text, format!("# Endless\n{endless}")] {
        let picture = Picture::draw(&slide(&text), Size::HD).unwrap();
        assert_eq!(count(&picture, 646..720, BODY), 0, "no line runs into the foot");
        assert!(count(&picture, 480..646, BODY) > 200, "but the room is used");
    }
}

#[test]
fn a_small_picture_is_the_large_one_made_smaller() {
    let slide = slide("# Same\n- thing");
    let large = Picture::draw(&slide, Size::HD).unwrap();
    let small = Picture::draw(&slide, Size::new(320, 180).unwrap()).unwrap();
    let fitted = Picture::fit(&large.png().unwrap(), small.size()).unwrap();
    let apart: u64 =
        fitted.rgba().iter().zip(small.rgba()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    let mean = apart as f64 / small.rgba().len() as f64;
    assert!(mean < 4.0, "{mean} of 255 apart");
}

#[test]
fn a_png_of_another_shape_is_fitted_whole_on_black() {
    let square = Picture::draw(&slide("# S"), Size::new(128, 128).unwrap()).unwrap();
    let fitted = Picture::fit(&square.png().unwrap(), Size::new(320, 128).unwrap()).unwrap();
    assert_eq!(pixel(&fitted, 10, 64), [0, 0, 0]);
    assert_eq!(pixel(&fitted, 310, 64), [0, 0, 0]);
    assert_eq!(pixel(&fitted, 220, 4), pixel(&square, 124, 4));
    let same = Picture::fit(&square.png().unwrap(), square.size()).unwrap();
    assert_eq!(same, square, "a picture of the right size is not touched");
}

#[test]
fn what_is_no_png_is_refused() {
    let whole = Picture::draw(&slide("# P"), Size::new(64, 64).unwrap()).unwrap().png().unwrap();
    for bad in [&b""[..], b"{\"error\":1}", &whole[..whole.len() / 2]] {
        assert!(matches!(Picture::fit(bad, Size::HD), Err(Error::Png { .. })));
    }
}

#[test]
fn sizes_that_a_film_cannot_have() {
    assert_eq!("1280x720".parse::<Size>().unwrap(), Size::HD);
    for bad in ["", "x", "1280", "1280x", "1281x720", "16x16", "9999x9999", "-2x4", "1280X720"] {
        let refused = bad.parse::<Size>().unwrap_err().to_string();
        assert!(refused.contains("even") && refused.contains("1280x720"), "{refused}");
    }
}
