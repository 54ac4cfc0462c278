//! Who makes a slide's script, sound and picture.

use pipeline::{Cx, Fault};

use crate::{Error, Size, Slide};

/// A service that narrates and illustrates slides. One per worker thread; calls block.
pub trait Provider {
    /// What is said about a slide: its notes, or a text written for it.
    ///
    /// # Errors
    ///
    /// As a stage's: see [`Fault`].
    fn script(&mut self, slide: &Slide, cx: &Cx<'_>) -> Result<String, Fault>;

    /// The text spoken, as a WAV file of any kind that [`Sound::read`](crate::Sound::read) takes.
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
