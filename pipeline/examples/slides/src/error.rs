//! What can go wrong between a deck and its film, and what to do about it.

use std::io;
use std::path::PathBuf;

/// An error of the slides program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The deck's file could not be read.
    #[error("cannot read the deck {}; name a Markdown file with --deck FILE", path.display())]
    ReadDeck {
        /// The file asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The deck holds no slide.
    #[error("the deck has no slides; write a heading such as `# Title`, and `---` between slides")]
    EmptyDeck,
    /// Something in the deck cannot be understood.
    #[error("line {line} of the deck: {problem}")]
    MalformedDeck {
        /// Counted from 1.
        line: usize,
        /// What is wrong, and the remedy.
        problem: String,
    },
    /// Two slides would have the same id, so their files would be the same.
    #[error(
        "lines {first} and {second} of the deck: two slides with the id {id:?}; \
        give one of them another heading"
    )]
    TwoSlidesOneId {
        /// The id that both headings give.
        id: String,
        /// The line of the first slide.
        first: usize,
        /// The line of the second slide.
        second: usize,
    },
    /// A film cannot have this size.
    #[error(
        "a film of {asked} cannot be made; ask for WIDTHxHEIGHT, both even, \
        from 32x32 to 4096x2304, such as 1280x720"
    )]
    Size {
        /// The size asked for, as it was written.
        asked: String,
    },
    /// Sound that is not a WAV file of a kind read here.
    #[error("cannot read the sound: {problem}; it must be a WAV file of integer or float samples")]
    Wav {
        /// What is wrong with it.
        problem: String,
    },
    /// A picture that is not a readable PNG.
    #[error("cannot read the picture: {problem}; it must be a PNG file")]
    Png {
        /// What the decoder said.
        problem: String,
    },
    /// One of the codecs refused its input; a mistake of this program, not of its user.
    #[error("the {codec} encoder failed: {problem}")]
    Encode {
        /// The codec.
        codec: &'static str,
        /// What it said.
        problem: String,
    },
    /// The voice could not speak.
    #[error("the voice failed to speak {text:?}: {problem}")]
    Speech {
        /// The start of the text.
        text: String,
        /// What the engine said.
        problem: String,
    },
    /// A clip that cannot be joined to the others.
    #[error("cannot join the clip {}: {problem}; remove it, and run again to make it anew",
        path.display())]
    Join {
        /// The clip.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// A key that cannot be one.
    #[error(
        "OPENAI_API_KEY holds a character that no key has, at position {position}; \
        copy the key again"
    )]
    Key {
        /// Counted from 1.
        position: usize,
    },
    /// The film cannot be copied to where it was asked for.
    #[error("cannot write the film to {}; give another --out FILE", path.display())]
    Out {
        /// The file asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is to be logged cannot be understood.
    #[error(
        "cannot read RUST_LOG={text:?} ({problem}); write TARGET=LEVEL, such as `pipeline=debug`, \
        several with commas between them"
    )]
    Log {
        /// The variable's value.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// "read", "write", ...
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// A codec's own error, as text: most of those types are not `Send`.
    pub(crate) fn encode(codec: &'static str, problem: impl ToString) -> Error {
        Error::Encode { codec, problem: problem.to_string() }
    }
}
