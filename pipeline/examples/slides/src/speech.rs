//! A voice that needs no service: SVOX Pico, compiled into the program, voice data included.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ttspico::{EngineStatus, PicoError, System, Voice as PicoVoice};

use crate::Error;
use crate::words::spoken;

/// Samples a second that the voice produces.
pub const RATE: u32 = 16_000;

/// The voice's two files: text analysis and signal generation. From Android's `external/svox`,
/// Apache-2.0, see `voice/NOTICE`.
const FILES: [(&str, &[u8]); 2] = [
    ("en-US_ta.bin", include_bytes!("../voice/en-US_ta.bin")),
    ("en-US_lh0_sg.bin", include_bytes!("../voice/en-US_lh0_sg.bin")),
];

/// Bytes that the engine works in; it asks for no other memory.
const MEMORY: usize = 4 << 20;
/// Silence before and after what is said, in samples.
const PAUSE: usize = RATE as usize / 2;

/// A voice, ready to speak.
#[derive(Clone, Debug)]
pub struct Voice {
    files: [PathBuf; 2],
}

impl Voice {
    /// Unpacks the voice's files into `folder` (1.4 MB) unless they are there: the engine loads
    /// them by path.
    ///
    /// Safe to call from many threads and processes at once.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if `folder` cannot be made or written.
    pub fn unpack(folder: &Path) -> Result<Voice, Error> {
        let [analysis, signal] = FILES.map(|(name, bytes)| unpack(&folder.join(name), bytes));
        Ok(Voice { files: [analysis?, signal?] })
    }

    /// Speaks `text`: 16-bit samples at [`RATE`], with half a second of silence around them.
    ///
    /// Two calls with one text may differ by some samples. Blocks for about a fiftieth of the
    /// time that it takes to listen.
    ///
    /// # Errors
    ///
    /// [`Error::Speech`] if the engine fails.
    pub fn speak(&self, text: &str) -> Result<Vec<i16>, Error> {
        self.try_speak(&spoken(text)).map_err(|problem| {
            let text = text.chars().take(40).collect();
            Error::Speech { text, problem }
        })
    }

    fn try_speak(&self, text: &str) -> Result<Vec<i16>, String> {
        // At full volume loud vowels are clipped. A zero byte ends the text: without it the
        // engine waits for more.
        let text = format!("<volume level=\"60\">{text}</volume>\0");
        let mut engine = self.engine().map_err(|e| e.to_string())?;
        let (mut rest, mut samples) = (text.as_bytes(), vec![0; PAUSE]);
        let mut buffer = [0; 1024];
        while !rest.is_empty() {
            let taken = engine.put_text(rest).map_err(|e| e.to_string())?;
            rest = &rest[taken..];
            let before = samples.len();
            loop {
                let (count, status) =
                    engine.get_data(&mut buffer[..]).map_err(|e| e.to_string())?;
                samples.extend(&buffer[..count]);
                if status == EngineStatus::Idle {
                    break;
                }
            }
            if taken == 0 && samples.len() == before {
                return Err("it takes no more text".into());
            }
        }
        samples.resize(samples.len() + PAUSE, 0);
        Ok(samples)
    }

    /// A new engine for each utterance: an old one carries its state over into the next.
    #[allow(unsafe_code)]
    fn engine(&self) -> Result<ttspico::Engine, PicoError> {
        let system = System::new(MEMORY)?;
        let load = |file: &Path| System::load_resource(Rc::clone(&system), file.to_string_lossy());
        let [analysis, signal] = [load(&self.files[0])?, load(&self.files[1])?];
        let voice = System::create_voice(Rc::clone(&system), "slides")?;
        voice.borrow_mut().add_resource(analysis)?;
        voice.borrow_mut().add_resource(signal)?;
        // SAFETY: both resources that an engine needs were loaded and added just above, and an
        // error of either has returned.
        unsafe { PicoVoice::create_engine(voice) }
    }
}

/// Writes one file under a name of its own and renames it, so that nobody loads half of it.
fn unpack(path: &Path, bytes: &[u8]) -> Result<PathBuf, Error> {
    if fs::metadata(path).is_ok_and(|found| found.len() == bytes.len() as u64) {
        return Ok(path.to_path_buf());
    }
    let thread = format!("{:?}", std::thread::current().id());
    let thread: String = thread.chars().filter(char::is_ascii_digit).collect();
    let new = path.with_extension(format!("{}-{thread}.new", std::process::id()));
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::write(&new, bytes))
        .and_then(|()| fs::rename(&new, path));
    written.map_err(|source| {
        // What could not be finished is not left behind; if it cannot be removed either, the
        // first failure is the one to report.
        let _ = fs::remove_file(&new);
        Error::File { action: "unpack the voice to", path: path.to_path_buf(), source }
    })?;
    Ok(path.to_path_buf())
}
