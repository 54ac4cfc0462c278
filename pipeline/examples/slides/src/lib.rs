//! A slide deck becomes a narrated video.
//!
//! This is the scenario that the `pipeline` crate was made for, as a program: every slide needs a
//! script, a recording of it, a picture and a clip of both; the clips are joined to one film. The
//! services that do this are slow, paid and limited, and the program may be killed at any time.
//! `pipeline` takes care of all that; what is here is the work itself.
//!
//! ```
//! use slides::{Picture, Size, deck};
//!
//! let slides = deck::parse("# Hello\n- a bullet\n<!-- what is said -->\n\n---\n# Bye\n")?;
//! assert_eq!(slides[0].id, "hello");
//! assert_eq!(slides[0].notes, "what is said");
//! let picture = Picture::draw(&slides[0], Size::HD)?;
//! assert_eq!(picture.rgba().len(), 1280 * 720 * 4);
//! # Ok::<(), slides::Error>(())
//! ```
//!
//! From the deck to the film: [`deck`] reads the Markdown; [`speech`] says the words; [`sound`]
//! reads whatever a service sends; [`Picture`] is drawn or fitted; [`film`] makes a clip of both
//! and joins the clips.

#![deny(unsafe_code)]
// Colours, samples and lengths are rounded into their types everywhere here; `as` saturates.
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
// What goes to `map_err` takes the error itself.
#![allow(clippy::needless_pass_by_value)]

mod answer;
mod av1;
pub mod deck;
mod error;
pub mod film;
mod flac;
pub mod ledger;
pub mod limits;
pub mod local;
pub mod log;
pub mod openai;
mod picture;
pub mod provider;
mod secret;
mod size;
pub mod sound;
pub mod speech;
pub mod stages;
mod text;
mod words;

pub use deck::Slide;
pub use error::Error;
pub use picture::Picture;
pub use secret::Secret;
pub use size::Size;
pub use sound::Sound;
pub use words::spoken;
