//! A deck: the Markdown of slide tools, read into slides.
//!
//! The dialect is the one that Marp and Slidev share: an optional front matter between two lines
//! `---`, then slides separated by `---`. A slide has a heading, bullets or plain paragraphs, and
//! speaker notes in `<!-- -->`, which become its narration.

use std::collections::HashMap;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use serde::Serialize;

use crate::Error;

/// One slide, as it enters the pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Slide {
    /// The heading's slug, or `slide-N`: names the slide's files and records.
    pub id: String,
    /// The title of the deck that it belongs to, shown at its foot.
    pub deck: String,
    /// The first heading; empty if there is none.
    pub title: String,
    /// What is to be read on the slide, in order.
    pub lines: Vec<Line>,
    /// Speaker notes: what is to be said. Empty if there are none.
    pub notes: String,
}

impl Slide {
    /// Title and lines as sentences.
    pub fn read_out(&self) -> String {
        let lines = self.lines.iter().map(|line| &line.text);
        let texts = std::iter::once(&self.title).chain(lines).filter(|text| !text.is_empty());
        let ended = |text: &String| {
            let end = if text.ends_with(['.', '!', '?', ':']) { "" } else { "." };
            format!("{text}{end}")
        };
        texts.map(ended).collect::<Vec<_>>().join(" ")
    }
}

/// One line of a slide: a bullet or a paragraph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its text, free of markup.
    pub text: String,
    /// Whether it was an item of a list.
    pub bullet: bool,
}

/// Reads a deck.
///
/// # Errors
///
/// [`Error::EmptyDeck`], [`Error::MalformedDeck`] and [`Error::TwoSlidesOneId`] name the line and
/// the remedy.
pub fn parse(text: &str) -> Result<Vec<Slide>, Error> {
    let matter = FrontMatter::read(text)?;
    let mut reader = Reader { text, slides: Vec::new(), now: Draft::default(), inside: None };
    let parser = Parser::new_ext(&text[matter.end..], Options::ENABLE_STRIKETHROUGH);
    for (event, range) in parser.into_offset_iter() {
        reader.read(event, matter.end + range.start)?;
    }
    let mut slides = reader.finish(text.len())?;
    let title = matter.title.or_else(|| slides.first().map(|s| s.title.clone()));
    for slide in &mut slides {
        slide.deck = title.clone().unwrap_or_default();
    }
    Ok(slides)
}

/// What stands between the first two lines `---`.
struct FrontMatter {
    title: Option<String>,
    /// The first byte after it.
    end: usize,
}

impl FrontMatter {
    fn read(text: &str) -> Result<FrontMatter, Error> {
        let mut matter = FrontMatter { title: None, end: 0 };
        let mut at = 0;
        for (n, line) in text.split_inclusive('\n').enumerate() {
            at += line.len();
            match (n, line.trim_end()) {
                (0, "---") => {}
                (0, _) => return Ok(matter),
                (_, "---") => {
                    matter.end = at;
                    return Ok(matter);
                }
                (_, line) => matter.line(line).map_err(|problem| malformed(n + 1, problem))?,
            }
        }
        if at == 0 {
            return Ok(matter);
        }
        Err(malformed(1, "the front matter that begins here does not end; close it with `---`"))
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let nested = line.starts_with([' ', '\t', '#', '-']) || line.is_empty();
        match line.split_once(':') {
            Some(("title", value)) => {
                self.title = Some(value.trim().trim_matches(['"', '\'']).to_string());
                Ok(())
            }
            Some(_) => Ok(()),
            None if nested => Ok(()),
            None => Err(format!(
                "{line:?} is not `key: value`, as front matter must be; a deck without \
                 front matter does not begin with `---`"
            )),
        }
    }
}

fn malformed(line: usize, problem: impl Into<String>) -> Error {
    Error::MalformedDeck { line, problem: problem.into() }
}

/// The slide that is being read.
#[derive(Default)]
struct Draft {
    /// The offset of its first content, of its heading if there is one.
    at: Option<usize>,
    title: Option<String>,
    lines: Vec<Line>,
    notes: Vec<String>,
}

/// The block that is being read, and its text so far.
struct Block {
    kind: Kind,
    at: usize,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Heading,
    Paragraph,
    /// A paragraph with the slide's end right below it.
    Closing,
    Item,
    Code,
    Html,
}

struct Reader<'t> {
    text: &'t str,
    slides: Vec<(usize, Slide)>,
    now: Draft,
    inside: Option<Block>,
}

impl Reader<'_> {
    fn read(&mut self, event: Event<'_>, at: usize) -> Result<(), Error> {
        match event {
            // Text with `---` right below it is a second-level heading to Markdown, but the end
            // of a slide to whoever writes a deck.
            Event::Start(Tag::Heading { level: HeadingLevel::H2, .. })
                if !self.text[at..].starts_with('#') =>
            {
                self.open(Kind::Closing, at);
            }
            Event::Start(Tag::Heading { .. }) => self.open(Kind::Heading, at),
            Event::Start(Tag::Item) => self.open(Kind::Item, at),
            Event::Start(Tag::CodeBlock(_)) => self.open(Kind::Code, at),
            Event::Start(Tag::HtmlBlock) => self.open(Kind::Html, at),
            // A paragraph inside an item is that item's text.
            Event::Start(Tag::Paragraph) if self.inside.is_none() => {
                self.open(Kind::Paragraph, at);
            }
            Event::End(
                TagEnd::Heading(_)
                | TagEnd::Item
                | TagEnd::CodeBlock
                | TagEnd::HtmlBlock
                | TagEnd::Paragraph,
            ) => self.close()?,
            Event::Text(text) | Event::Code(text) => self.push(&text),
            Event::SoftBreak | Event::HardBreak => self.push(" "),
            Event::Html(html) => self.push(&html),
            Event::InlineHtml(html) => self.notes(&html, at)?,
            Event::Rule => {
                let line = self.line_of(at);
                self.end_slide(line)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, kind: Kind, at: usize) {
        // A nested list begins inside its parent's item: that one is complete.
        if let Some(block) = self.inside.take() {
            self.keep(block);
        }
        self.inside = Some(Block { kind, at, text: String::new() });
    }

    fn push(&mut self, text: &str) {
        if let Some(block) = &mut self.inside {
            block.text.push_str(text);
        }
    }

    fn close(&mut self) -> Result<(), Error> {
        match self.inside.take() {
            Some(block) if block.kind == Kind::Html => self.notes(&block.text, block.at),
            Some(block) if block.kind == Kind::Closing => {
                let line = self.line_of(block.at) + block.text.lines().count();
                self.keep(block);
                self.end_slide(line)
            }
            Some(block) => {
                self.keep(block);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn keep(&mut self, block: Block) {
        if block.kind == Kind::Heading && self.now.title.is_none() {
            self.now.title = Some(words(&block.text));
            self.now.at = Some(block.at);
            return;
        }
        self.now.at.get_or_insert(block.at);
        let bullet = block.kind == Kind::Item;
        let whole = words(&block.text);
        let texts = match block.kind {
            Kind::Code => block.text.lines().map(|l| l.trim_end().to_string()).collect(),
            _ => vec![whole],
        };
        let texts = texts.into_iter().filter(|text| !text.trim().is_empty());
        self.now.lines.extend(texts.map(|text| Line { text, bullet }));
    }

    /// Takes what stands in `<!-- -->`; other HTML is not shown.
    fn notes(&mut self, html: &str, at: usize) -> Result<(), Error> {
        let mut rest = html;
        while let Some((_, after)) = rest.split_once("<!--") {
            let Some((note, after)) = after.split_once("-->") else {
                let problem = "the comment that begins here does not end; close it with `-->`";
                return Err(malformed(self.line_of(at), problem));
            };
            if !is_directive(note) && !note.trim().is_empty() {
                self.now.at.get_or_insert(at);
                self.now.notes.push(words(note));
            }
            rest = after;
        }
        Ok(())
    }

    fn end_slide(&mut self, end: usize) -> Result<(), Error> {
        let draft = std::mem::take(&mut self.now);
        let number = self.slides.len() + 1;
        let Some(at) = draft.at else {
            let problem = format!(
                "slide {number}, which ends here, has no heading, text or notes; \
                 give it some or remove one `---`"
            );
            return Err(malformed(end, problem));
        };
        let title = draft.title.unwrap_or_default();
        let id = match slug(&title) {
            slug if slug.is_empty() => format!("slide-{number}"),
            slug => slug,
        };
        let (lines, notes) = (draft.lines, draft.notes.join("\n"));
        let slide = Slide { id, deck: String::new(), title, lines, notes };
        self.slides.push((self.line_of(at), slide));
        Ok(())
    }

    fn finish(mut self, end: usize) -> Result<Vec<Slide>, Error> {
        // A `---` at the very end closes the last slide and opens none.
        if self.now.at.is_some() {
            let line = self.line_of(end);
            self.end_slide(line)?;
        }
        if self.slides.is_empty() {
            return Err(Error::EmptyDeck);
        }
        let mut seen = HashMap::new();
        for (line, slide) in &self.slides {
            if let Some(first) = seen.insert(slide.id.clone(), *line) {
                return Err(Error::TwoSlidesOneId { id: slide.id.clone(), first, second: *line });
            }
        }
        Ok(self.slides.into_iter().map(|(_, slide)| slide).collect())
    }

    fn line_of(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }
}

/// A heading as a name for files: lower case, every run of other characters one hyphen.
fn slug(title: &str) -> String {
    let kept = title.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' });
    let kept: String = kept.flat_map(char::to_lowercase).collect();
    kept.split_whitespace().collect::<Vec<_>>().join("-")
}

/// The same text with every run of white space one space.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a comment is one of Marp's settings (its directives), not something to say.
fn is_directive(note: &str) -> bool {
    const DIRECTIVES: [&str; 12] = [
        "theme",
        "style",
        "size",
        "math",
        "class",
        "paginate",
        "header",
        "footer",
        "color",
        "backgroundColor",
        "backgroundImage",
        "headingDivider",
    ];
    let mut lines = note.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    lines.peek().is_some()
        && lines.all(|line| {
            let key = line.split_once(':').map(|(key, _)| key.trim_start_matches('_'));
            key.is_some_and(|key| DIRECTIVES.contains(&key))
        })
}
