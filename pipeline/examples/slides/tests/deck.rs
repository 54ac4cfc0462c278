//! Decks as people write them, and as they should not.

use slides::deck::{Line, parse};
use slides::{Error, Slide};

fn ids(slides: &[Slide]) -> Vec<&str> {
    slides.iter().map(|slide| slide.id.as_str()).collect()
}

fn bullet(text: &str) -> Line {
    Line { text: text.into(), bullet: true }
}

fn plain(text: &str) -> Line {
    Line { text: text.into(), bullet: false }
}

#[test]
fn a_deck_with_everything() {
    let slides = parse(
        "---\nmarp: true\ntitle: \"The *deck*\"\nstyle: |\n  h1 { color: red }\n---\n\
         <!-- _class: lead -->\n\
         # Hello, `World`!\n\n\
         - **bold** bullet\n- with a [link](https://example.org)\n  - nested\n\n\
         A paragraph\nof two lines.\n\n\
         <!-- First note. -->\n<!--\nSecond\nnote.\n\n---\nnot a separator\n-->\n\n\
         ---\n\nno heading <!-- inline note -->\n\n***\n\n## Third\n\n    code 1\n    code 2\n",
    )
    .unwrap();
    assert_eq!(ids(&slides), ["hello-world", "slide-2", "third"]);
    assert!(slides.iter().all(|slide| slide.deck == "The *deck*"));
    assert_eq!(slides[0].title, "Hello, World!");
    let [first, second, third] = ["bold bullet", "with a link", "nested"].map(bullet);
    assert_eq!(slides[0].lines, [first, second, third, plain("A paragraph of two lines.")]);
    assert_eq!(slides[0].notes, "First note.\nSecond note. --- not a separator");
    assert_eq!(slides[1].lines, [plain("no heading")]);
    assert_eq!(slides[1].notes, "inline note");
    assert_eq!(slides[2].lines, [plain("code 1"), plain("code 2")]);
}

#[test]
fn a_separator_right_below_text_ends_the_slide() {
    let slides = parse("# One\n- a\n---\n# Two\nwords\n---\n# Three\n---\n").unwrap();
    assert_eq!(ids(&slides), ["one", "two", "three"]);
    assert_eq!(slides[1].lines, [plain("words")]);
    assert_eq!(slides[0].deck, "One", "without a title of its own the deck has its first slide's");
}

#[test]
fn windows_line_ends_and_other_alphabets() {
    let slides =
        parse("---\r\ntitle: T\r\n---\r\n# Über uns\r\n\r\n---\r\n\r\n# 日本 語\r\n").unwrap();
    assert_eq!(ids(&slides), ["über-uns", "日本-語"]);
    assert_eq!(slides[0].deck, "T");
}

#[test]
fn two_slides_of_one_id_are_named_by_their_lines() {
    let refused = parse("# Intro\n\n---\n\n# Other\n\n---\n\n# intro!\n").unwrap_err();
    let Error::TwoSlidesOneId { id, first, second } = &refused else { panic!("{refused:?}") };
    assert_eq!((id.as_str(), *first, *second), ("intro", 1, 9));
    assert!(refused.to_string().contains("lines 1 and 9"), "{refused}");
    // A heading may give the name that a slide without one has by its number.
    assert!(parse("# Slide 2\n\n---\n\njust text\n").is_err());
}

#[test]
fn a_deck_without_slides_says_how_to_write_one() {
    for empty in ["", "\n\n", "---\ntitle: T\n---\n", "---\ntitle: T\n---\n\n \n"] {
        assert!(matches!(parse(empty), Err(Error::EmptyDeck)), "{empty:?}");
    }
    assert!(Error::EmptyDeck.to_string().contains("`# Title`"));
}

#[test]
fn what_cannot_be_understood_is_named_by_its_line() {
    let refused = |text| match parse(text) {
        Err(Error::MalformedDeck { line, problem }) => (line, problem),
        other => panic!("{text:?} gave {other:?}"),
    };
    let (line, problem) = refused("---\ntitle: T\n\n");
    assert!(line == 1 && problem.contains("does not end"), "{line}: {problem}");
    let (line, problem) = refused("---\n# Title\nwords\n---\n");
    assert!(line == 3 && problem.contains("\"words\" is not `key: value`"), "{line}: {problem}");
    let (line, problem) = refused("# A\n\nb\n\n<!-- open\n\n---\n\n# C\n");
    assert!(line == 5 && problem.contains("-->"), "{line}: {problem}");
    let (line, problem) = refused("# A\n\n---\n\n---\n\n# B\n");
    assert!(line == 5 && problem.contains("slide 2"), "{line}: {problem}");
}

#[test]
fn the_shipped_deck_is_three_slides_with_notes() {
    let slides = parse(include_str!("../deck.md")).unwrap();
    assert_eq!(slides.len(), 3);
    assert!(slides.iter().all(|slide| slide.notes.len() > 100 && !slide.lines.is_empty()));
}
