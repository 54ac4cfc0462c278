//! Clips and the film that they are joined to: MP4 with AV1 and FLAC.
//!
//! Sound is padded with silence to whole seconds, a frame of picture lasts a second, so both
//! tracks of a clip end on the same tick; and all clips share one header per track. Joining them
//! is therefore copying: nothing is encoded again, nothing drifts.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::num::NonZeroU32;
use std::ops::Range;
use std::path::{Path, PathBuf};

use shiguredo_mp4::bitstream::av1 as obu;
use shiguredo_mp4::boxes::{
    AudioSampleEntryFields, DflaBox, FlacBox, FlacMetadataBlock, SampleEntry,
};
use shiguredo_mp4::demux::{Input, Mp4FileDemuxer};
use shiguredo_mp4::mux::{
    Mp4FileMuxer, Mp4FileMuxerOptions, Sample, estimate_maximum_moov_box_size,
};
use shiguredo_mp4::{FixedPointNumber, TrackKind, Uint};

use crate::flac::BLOCK;
use crate::sound::RATE;
use crate::{Error, Picture, Sound, av1, flac};

/// Both tracks count time in samples of sound.
const TICKS: NonZeroU32 = NonZeroU32::new(RATE).expect("the rate is not zero");

/// Writes a clip that shows `picture` while `sound` is heard, in whole seconds.
///
/// # Errors
///
/// [`Error::Encode`] if a codec fails, [`Error::File`] if `path` cannot be written.
pub fn clip(picture: &Picture, sound: &Sound, path: &Path) -> Result<(), Error> {
    let seconds = sound.seconds();
    let mut samples = sound.samples.clone();
    samples.resize(seconds * RATE as usize, 0);
    let blocks = flac::encode(&samples)?;
    let frames = av1::encode(picture, seconds)?;
    let (mut video, mut audio) = (Some(video_entry(&frames)?), Some(audio_entry()?));
    let mut film = Writer::create(path, frames.len() + blocks.len())?;
    for (frame, blocks) in frames.iter().zip(blocks.chunks(RATE as usize / BLOCK)) {
        let part = Part { kind: TrackKind::Video, entry: video.take(), key: frame.key };
        film.add(part, RATE, &frame.data)?;
        for block in blocks {
            let part = Part { kind: TrackKind::Audio, entry: audio.take(), key: true };
            film.add(part, BLOCK as u32, block)?;
        }
    }
    film.finish()
}

/// Joins clips that [`clip`] made from pictures of one size, in their order.
///
/// One clip at a time is in memory.
///
/// # Errors
///
/// [`Error::Join`] names a clip that is broken or of another kind than the first,
/// [`Error::File`] one that cannot be read, or `path` if it cannot be written.
pub fn join(clips: &[PathBuf], path: &Path) -> Result<(), Error> {
    let mut samples = 0;
    let mut entries: Option<Entries> = None;
    for clip in clips {
        let read = Clip::read(clip)?;
        samples += read.samples.len();
        let entries = entries.get_or_insert_with(|| read.entries.clone());
        if *entries != read.entries {
            return Err(unfit(clip, "it differs from the first clip in size or codec"));
        }
    }
    let [mut video, mut audio] = entries.map_or([None, None], |entries| entries.map(Some));
    let mut film = Writer::create(path, samples)?;
    for clip in clips {
        let clip = Clip::read(clip)?;
        for sample in clip.samples {
            let entry = if sample.kind == TrackKind::Video { video.take() } else { audio.take() };
            let part = Part { kind: sample.kind, entry, key: sample.key };
            film.add(part, sample.ticks, &clip.data[sample.at])?;
        }
    }
    film.finish()
}

fn video_entry(frames: &[av1::Unit]) -> Result<SampleEntry, Error> {
    let failed = |problem: &dyn ToString| Error::encode("AV1", problem.to_string());
    let first = frames.first().ok_or_else(|| failed(&"no frame"))?;
    let context = obu::Av1ObuParseContext::Sample;
    let units = obu::parse_obus(&first.data, context).map_err(|e| failed(&e))?;
    let header = units.iter().find(|unit| unit.obu_type == obu::Av1ObuType::SequenceHeader);
    let header = header.ok_or_else(|| failed(&"no sequence header"))?;
    let config = obu::Av1SampleEntryConfig { initial_presentation_delay_minus_one: None };
    let entry = obu::build_av01_box_from_config_obus(header.obu, &config);
    Ok(SampleEntry::Av01(entry.map_err(|e| failed(&e))?))
}

fn audio_entry() -> Result<SampleEntry, Error> {
    let block = FlacMetadataBlock {
        last_metadata_block_flag: Uint::new(1),
        block_type: FlacMetadataBlock::BLOCK_TYPE_STREAMINFO,
        block_data: flac::stream_info()?,
    };
    Ok(SampleEntry::Flac(FlacBox {
        audio: AudioSampleEntryFields {
            data_reference_index: AudioSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX,
            channelcount: 1,
            samplesize: 16,
            samplerate: FixedPointNumber::new(RATE as u16, 0),
        },
        dfla_box: DflaBox { metadata_blocks: vec![block] },
        unknown_boxes: vec![],
    }))
}

fn unfit(path: &Path, problem: impl ToString) -> Error {
    Error::Join { path: path.to_path_buf(), problem: problem.to_string() }
}

/// What a sample is, apart from its length and its bytes.
struct Part {
    kind: TrackKind,
    /// The track's header, with its first sample.
    entry: Option<SampleEntry>,
    key: bool,
}

/// A film being written, its index first: a player can begin before it has read everything.
struct Writer<'p> {
    path: &'p Path,
    file: BufWriter<File>,
    mux: Mp4FileMuxer,
    /// Bytes written so far.
    at: u64,
}

impl<'p> Writer<'p> {
    fn create(path: &'p Path, samples: usize) -> Result<Self, Error> {
        let options = Mp4FileMuxerOptions {
            reserved_moov_box_size: estimate_maximum_moov_box_size(&[samples]),
            ..Mp4FileMuxerOptions::default()
        };
        let mux = Mp4FileMuxer::with_options(options).map_err(|e| Error::encode("MP4", e))?;
        let file = File::create(path).map_err(|e| cannot_write(path, e))?;
        let mut writer = Writer { path, file: BufWriter::new(file), mux, at: 0 };
        let head = writer.mux.initial_boxes_bytes().to_vec();
        writer.write(&head)?;
        Ok(writer)
    }

    fn add(&mut self, part: Part, ticks: u32, data: &[u8]) -> Result<(), Error> {
        let sample = Sample {
            track_kind: part.kind,
            sample_entry: part.entry,
            keyframe: part.key,
            timescale: TICKS,
            duration: ticks,
            composition_time_offset: None,
            data_offset: self.at,
            data_size: data.len(),
        };
        self.mux.append_sample(&sample).map_err(|e| Error::encode("MP4", e))?;
        self.write(data)
    }

    fn finish(mut self) -> Result<(), Error> {
        let boxes = self.mux.finalize().map_err(|e| Error::encode("MP4", e))?;
        let mut patch = || -> io::Result<()> {
            for (offset, bytes) in boxes.offset_and_bytes_pairs() {
                self.file.seek(SeekFrom::Start(offset))?;
                self.file.write_all(bytes)?;
            }
            self.file.flush()
        };
        patch().map_err(|e| cannot_write(self.path, e))
    }

    fn write(&mut self, data: &[u8]) -> Result<(), Error> {
        self.at += data.len() as u64;
        self.file.write_all(data).map_err(|e| cannot_write(self.path, e))
    }
}

fn cannot_write(path: &Path, source: io::Error) -> Error {
    Error::File { action: "write", path: path.to_path_buf(), source }
}

/// The headers of the picture's and the sound's track.
type Entries = [SampleEntry; 2];

/// A clip read back, to be copied from.
struct Clip {
    data: Vec<u8>,
    entries: Entries,
    samples: Vec<ClipSample>,
}

struct ClipSample {
    kind: TrackKind,
    key: bool,
    ticks: u32,
    /// Where its bytes are in the clip.
    at: Range<usize>,
}

impl Clip {
    fn read(path: &Path) -> Result<Clip, Error> {
        let source = |source| Error::File { action: "read", path: path.to_path_buf(), source };
        let data = fs::read(path).map_err(source)?;
        let mut demuxer = Mp4FileDemuxer::new();
        demuxer.handle_input(Input { position: 0, data: &data });
        let tracks = demuxer.tracks().map_err(|e| unfit(path, e))?;
        let equal = tracks.windows(2).all(|two| two[0].duration == two[1].duration);
        if tracks.len() != 2 || !equal || tracks.iter().any(|track| track.timescale != TICKS) {
            return Err(unfit(path, "its picture and sound differ in length"));
        }
        let (mut video, mut audio) = (None, None);
        let mut samples = Vec::new();
        while let Some(sample) = demuxer.next_sample().map_err(|e| unfit(path, e))? {
            let kind = sample.track.kind;
            let entry = if kind == TrackKind::Video { &mut video } else { &mut audio };
            if let Some(new) = sample.sample_entry
                && entry.replace(new.clone()).is_some_and(|old| old != *new)
            {
                return Err(unfit(path, "its codec changes within it"));
            }
            let start = usize::try_from(sample.data_offset).unwrap_or(usize::MAX);
            let at = start..start.saturating_add(sample.data_size);
            if at.end > data.len() {
                return Err(unfit(path, "it ends too early"));
            }
            samples.push(ClipSample { kind, key: sample.keyframe, ticks: sample.duration, at });
        }
        match (video, audio) {
            (Some(video), Some(audio)) => Ok(Clip { data, entries: [video, audio], samples }),
            _ => Err(unfit(path, "it lacks picture or sound")),
        }
    }
}
