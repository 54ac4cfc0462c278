//! The provider that needs no service: everything is made on this machine.

use std::path::Path;

use pipeline::{Cx, Fault};

use crate::provider::{Provider, fault};
use crate::speech::{self, Voice};
use crate::{Picture, Size, Slide, sound};

/// Reads notes or bullets out with the voice that is compiled in, and draws the slide.
#[derive(Debug)]
pub struct Local {
    voice: Voice,
}

impl Local {
    /// Unpacks the voice into `folder`.
    ///
    /// # Errors
    ///
    /// A fault if the folder cannot be written.
    pub fn new(folder: &Path) -> Result<Local, Fault> {
        Ok(Local { voice: Voice::unpack(folder).map_err(fault)? })
    }
}

impl Provider for Local {
    fn script(&mut self, slide: &Slide, _: &Cx<'_>) -> Result<String, Fault> {
        Ok(if slide.notes.is_empty() { slide.read_out() } else { slide.notes.clone() })
    }

    fn speech(&mut self, text: &str, _: &Cx<'_>) -> Result<Vec<u8>, Fault> {
        let samples = self.voice.speak(text).map_err(Fault::transient)?;
        Ok(sound::write_wav(&samples, speech::RATE))
    }

    fn image(&mut self, slide: &Slide, size: Size, _: &Cx<'_>) -> Result<Vec<u8>, Fault> {
        Picture::draw(slide, size).and_then(|picture| picture.png()).map_err(fault)
    }
}
