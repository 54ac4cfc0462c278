//! The stages between a deck and its film.

use std::fs;
use std::io;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use pipeline::{Artefact, Cx, Fault, Node, Pipeline, Root};
use serde::Serialize;

use crate::ledger::Ledger;
use crate::local::Local;
use crate::openai::{Account, Limits, Models, OpenAi};
use crate::provider::{Provider, fault};
use crate::{Error, Picture, Size, Slide, Sound, deck, film};

/// Names the fan-out over the deck's slides.
#[derive(Debug)]
pub struct Slides;

/// What is to be made, of what, and by whom.
#[derive(Debug)]
pub struct Job {
    /// The slides.
    pub deck: Source,
    /// The film's size.
    pub size: Size,
    /// Who makes scripts, sound and pictures.
    pub maker: Maker,
    /// How long one call of the maker may take.
    pub longest: Duration,
    /// Where the calls are written down.
    pub ledger: Ledger,
}

/// Where the deck is read from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The three slides that explain this project.
    Shipped,
    /// A Markdown file.
    File(PathBuf),
}

impl Source {
    /// The slides, read when the first is asked for: whoever only looks at a run needs no deck.
    pub fn slides(self) -> impl Iterator<Item = Result<Slide, Error>> + Send + 'static {
        std::iter::once_with(move || self.read()).flat_map(|read| match read {
            Ok(slides) => slides.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })
    }

    /// All slides at once.
    ///
    /// # Errors
    ///
    /// [`Error::ReadDeck`], and those of [`deck::parse`].
    pub fn read(&self) -> Result<Vec<Slide>, Error> {
        let text = match self {
            Source::Shipped => include_str!("../deck.md").to_string(),
            Source::File(path) => fs::read_to_string(path)
                .map_err(|source| Error::ReadDeck { path: path.clone(), source })?,
        };
        deck::parse(&text)
    }
}

/// Who makes scripts, sound and pictures.
#[derive(Clone, Debug)]
pub enum Maker {
    /// This program itself.
    Local {
        /// Where the voice is unpacked, once for all runs.
        voice: PathBuf,
    },
    /// A service.
    OpenAi {
        /// Where it is and who calls it.
        account: Account,
        /// Its models.
        models: Models,
        /// How much it allows.
        limits: Limits,
    },
}

/// What of the maker decides the results, and so enters their cache keys: not the address.
#[derive(Serialize)]
enum Made {
    ByLocal,
    ByOpenAi(Models),
}

impl Maker {
    fn connect(&self) -> Result<Box<dyn Provider>, Fault> {
        Ok(match self {
            Maker::Local { voice } => Box::new(Local::new(voice)?),
            Maker::OpenAi { account, models, limits } => {
                Box::new(OpenAi::new(account.clone(), models.clone(), limits.clone()))
            }
        })
    }

    fn made(&self) -> Made {
        match self {
            Maker::Local { .. } => Made::ByLocal,
            Maker::OpenAi { models, .. } => Made::ByOpenAi(models.clone()),
        }
    }

    fn limits(&self) -> Option<Limits> {
        match self {
            Maker::Local { .. } => None,
            Maker::OpenAi { limits, .. } => Some(limits.clone()),
        }
    }

    /// Calls at once: a machine has its cores, a service waits elsewhere.
    fn workers(&self) -> usize {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        if self.limits().is_some() { 8 } else { cores.min(8) }
    }
}

/// Describes the whole work; the node is the film.
pub fn describe(p: &mut Pipeline, job: Job) -> Node<Artefact, Root> {
    let Job { deck, size, maker, longest, ledger } = job;
    let (ledger, workers, limits) = (Arc::new(ledger), maker.workers(), maker.limits());
    let connect = || {
        let maker = maker.clone();
        move || maker.connect()
    };
    let note = || {
        let ledger = Arc::clone(&ledger);
        move |cx: &Cx<'_>| ledger.note(cx)
    };

    let slide = p.try_items(Slides, deck.slides(), |slide| slide.id.clone());
    let made = p.value("made", maker.made());
    let frame = p.value("size", size);

    let mut script = p.each("script", (slide, made)).workers(workers).timeout(longest);
    if let Some(limits) = &limits {
        script = script.limit(limits.chat.limiter(), |(slide, _)| OpenAi::chat_cost(slide));
    }
    let noted = note();
    let script = script.adapter(connect()).run(move |provider, cx, (slide, _)| {
        let text = provider.script(slide, cx)?;
        noted(cx)?;
        Ok(text)
    });

    let mut audio = p.each("audio", (script, made)).workers(workers).timeout(longest);
    if let Some(limits) = &limits {
        audio = audio.limit(limits.speech.limiter(), |_| 1);
    }
    let noted = note();
    let audio = audio.adapter(connect()).run(move |provider, cx, (text, _)| {
        let wav = provider.speech(text, cx)?;
        noted(cx)?;
        keep(cx, "wav", &wav)
    });

    let mut image = p.each("image", (slide, made, frame)).workers(workers).timeout(longest);
    if let Some(limits) = &limits {
        image = image.limit(limits.images.limiter(), |_| 1);
    }
    let noted = note();
    let image = image.adapter(connect()).run(move |provider, cx, (slide, _, _)| {
        let png = provider.image(slide, size, cx)?;
        noted(cx)?;
        keep(cx, "png", &png)
    });

    let noted = note();
    let clip = p.each("clip", (audio, image, frame)).workers(workers);
    let clip = clip.run(move |(), cx, (audio, image, _)| {
        let sound = Sound::read(&read(cx, audio)?).map_err(fault)?;
        let picture = Picture::fit(&read(cx, image)?, size).map_err(fault)?;
        let clip = cx.file("mp4", |path| film::clip(&picture, &sound, path).map_err(fault))?;
        noted(cx)?;
        Ok(clip)
    });

    let noted = note();
    p.collect("video", clip).run(move |(), cx, clips| {
        let clips: Vec<PathBuf> = clips.into_iter().map(|clip| cx.path(&clip)).collect();
        let video = cx.file("mp4", |path| film::join(&clips, path).map_err(fault))?;
        noted(cx)?;
        Ok(video)
    })
}

/// Keeps what a provider made as a file of the run.
fn keep(cx: &Cx<'_>, kind: &str, bytes: &[u8]) -> Result<Artefact, Fault> {
    cx.file(kind, |path| fs::write(path, bytes).map_err(|e| file("write", path.into(), e)))
}

fn read(cx: &Cx<'_>, artefact: &Artefact) -> Result<Vec<u8>, Fault> {
    let path = cx.path(artefact);
    fs::read(&path).map_err(|e| file("read", path, e))
}

fn file(action: &'static str, path: PathBuf, source: io::Error) -> Fault {
    fault(Error::File { action, path, source })
}
