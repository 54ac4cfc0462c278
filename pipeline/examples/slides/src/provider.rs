//! Who makes a slide's script, sound and picture.

use pipeline::{Cx, Fault};

use crate::{Error, Picture, Size, Slide, Sound};

/// A service that narrates and illustrates slides. One per worker thread; calls block.
pub trait Provider {
    /// What is said about a slide: its notes, or a text written for it.
    ///
    /// # Errors
    ///
    /// As a stage's: see [`Fault`].
    fn script(&mut self, slide: &Slide, cx: &Cx<'_>) -> Result<String, Fault>;

    /// The text spoken, as a WAV file of any kind that [`Sound::read`] takes.
    ///
    /// # Errors
    ///
    /// As a stage's: see [`Fault`].
    fn speech(&mut self, text: &str, cx: &Cx<'_>) -> Result<Vec<u8>, Fault>;

    /// The slide's picture, as a PNG file of any size.
    ///
    /// # Errors
    ///
    /// As a stage's: see [`Fault`].
    fn image(&mut self, slide: &Slide, size: Size, cx: &Cx<'_>) -> Result<Vec<u8>, Fault>;
}

/// Sound that was checked to be readable: what is not must not be recorded as done.
///
/// # Errors
///
/// A transient fault: a service that sends nonsense once may not do so twice.
pub(crate) fn readable_sound(wav: &[u8]) -> Result<(), Fault> {
    let sound = Sound::read(wav).map_err(Fault::transient)?;
    if sound.samples.is_empty() {
        return Err(Fault::transient("the recording that came back is empty"));
    }
    Ok(())
}

/// A picture that was checked to be readable.
///
/// # Errors
///
/// As of [`readable_sound`].
pub(crate) fn readable_picture(png: &[u8], size: Size) -> Result<(), Fault> {
    Picture::fit(png, size).map(drop).map_err(Fault::transient)
}

/// What an error of this program means for the step that it befell.
pub(crate) fn fault(error: Error) -> Fault {
    use std::io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match &error {
        Error::File { source, .. }
            if matches!(source.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem) =>
        {
            Fault::halt(error)
        }
        Error::File { .. } => Fault::transient(error),
        _ => Fault::fatal(error),
    }
}
