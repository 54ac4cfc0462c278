//! The size of a film's picture.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::Error;

/// Width and height in pixels: both even (colour is stored at half the resolution), from 32×32
/// to 4096×2304 (the most that a common player decodes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Size {
    width: u16,
    height: u16,
}

impl Size {
    /// 1280 × 720, what the program makes unless told otherwise.
    pub const HD: Size = Size { width: 1280, height: 720 };

    /// A checked size.
    ///
    /// # Errors
    ///
    /// [`Error::Size`] outside the limits above.
    pub fn new(width: u16, height: u16) -> Result<Size, Error> {
        let within = (32..=4096).contains(&width) && (32..=2304).contains(&height);
        if within && width.is_multiple_of(2) && height.is_multiple_of(2) {
            return Ok(Size { width, height });
        }
        Err(Error::Size { asked: format!("{width}x{height}") })
    }

    /// In pixels.
    pub fn width(self) -> usize {
        self.width.into()
    }

    /// In pixels.
    pub fn height(self) -> usize {
        self.height.into()
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl FromStr for Size {
    type Err = Error;

    /// Reads `1280x720`.
    fn from_str(text: &str) -> Result<Size, Error> {
        let sides = text.split_once('x');
        let sides = sides.and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
        let asked = || Error::Size { asked: text.to_string() };
        sides.ok_or_else(asked).and_then(|(width, height)| Size::new(width, height))
    }
}
