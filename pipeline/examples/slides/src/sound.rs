//! Sound: WAV files of any common kind in, the film's one rate out.
//!
//! Speech services stream WAV files whose lengths are 0xFFFFFFFF, since they do not know them
//! when they begin; common readers refuse those, so the chunks are read here. Format: "Multimedia
//! Programming Interface and Data Specifications 1.0" (IBM, Microsoft, 1991), chapter 3.

use audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};

use crate::Error;

/// Samples a second in every film, one channel.
pub const RATE: u32 = 24_000;

/// One channel of 16-bit sound at [`RATE`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sound {
    /// In order of time.
    pub samples: Vec<i16>,
}

impl Sound {
    /// Reads a WAV file: integers of 8, 16, 24 or 32 bits or 32-bit floats, any rate from 1 to
    /// 384 kHz, any channels (they are averaged).
    ///
    /// # Errors
    ///
    /// [`Error::Wav`] says what is wrong with it.
    pub fn read(wav: &[u8]) -> Result<Sound, Error> {
        let (format, data) = chunks(wav).map_err(|problem| Error::Wav { problem })?;
        let frames = data.chunks_exact(format.bytes_per_sample() * format.channels);
        let channel_sum = |frame: &[u8]| {
            frame.chunks_exact(format.bytes_per_sample()).map(|s| format.sample(s)).sum::<f32>()
        };
        let mono: Vec<f32> = frames.map(|f| channel_sum(f) / format.channels as f32).collect();
        let mono = resample(mono, format.rate)?;
        let samples = mono.iter().map(|v| (v * 32_768.0).round() as i16).collect();
        Ok(Sound { samples })
    }

    /// Whole seconds that it fills, at least one.
    pub fn seconds(&self) -> usize {
        self.samples.len().div_ceil(RATE as usize).max(1)
    }
}

/// Writes 16-bit mono samples as a WAV file.
pub fn write_wav(samples: &[i16], rate: u32) -> Vec<u8> {
    let bytes = (samples.len() * 2) as u32;
    let mut wav = Vec::with_capacity(44 + samples.len() * 2);
    wav.extend(b"RIFF");
    wav.extend((36 + bytes).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    wav.extend([1, 0, 1, 0]); // integers, one channel
    wav.extend(rate.to_le_bytes());
    wav.extend((rate * 2).to_le_bytes());
    wav.extend([2, 0, 16, 0]); // bytes a frame, bits a sample
    wav.extend(b"data");
    wav.extend(bytes.to_le_bytes());
    wav.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
    wav
}

/// What the `fmt ` chunk says.
#[derive(Clone, Copy, Debug)]
struct Format {
    float: bool,
    channels: usize,
    rate: u32,
    bits: u16,
}

impl Format {
    fn read(chunk: &[u8]) -> Result<Format, String> {
        let two = |at: usize| u16::from_le_bytes([chunk[at], chunk[at + 1]]);
        if chunk.len() < 16 {
            return Err(format!("its `fmt ` chunk has {} bytes, not 16", chunk.len()));
        }
        // 0xFFFE: the kind stands in the extension.
        let kind = if two(0) == 0xFFFE && chunk.len() >= 26 { two(24) } else { two(0) };
        let rate = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
        let (channels, bits) = (two(2), two(14));
        if channels == 0 || !(1_000..=384_000).contains(&rate) {
            return Err(format!("{channels} channels at {rate} samples a second"));
        }
        let float = match (kind, bits) {
            (1, 8 | 16 | 24 | 32) => false,
            (3, 32) => true,
            _ => return Err(format!("samples of kind {kind} with {bits} bits")),
        };
        Ok(Format { float, channels: channels.into(), rate, bits })
    }

    fn bytes_per_sample(self) -> usize {
        usize::from(self.bits / 8)
    }

    /// One sample, in -1 to 1.
    fn sample(self, s: &[u8]) -> f32 {
        // The sample's bytes at the top of four: every width of integer has one scale then.
        let mut four = [0; 4];
        four[4 - s.len()..].copy_from_slice(s);
        match (self.float, self.bits) {
            (true, _) => f32::from_le_bytes(four),
            // The one kind that is unsigned.
            (false, 8) => (f32::from(four[3]) - 128.0) / 128.0,
            (false, _) => i32::from_le_bytes(four) as f32 / 2_147_483_648.0,
        }
    }
}

/// The format and the samples' bytes. A length that reaches beyond the end means "to the end".
fn chunks(wav: &[u8]) -> Result<(Format, &[u8]), String> {
    if wav.len() < 12 || &wav[..4] != b"RIFF" || &wav[8..12] != b"WAVE" {
        return Err(format!("{} bytes that do not begin as a WAV file", wav.len()));
    }
    let (mut rest, mut format) = (&wav[12..], None);
    while let Some((head, body)) = rest.split_first_chunk::<8>() {
        let said = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let chunk = &body[..said.min(body.len())];
        match (&head[..4], format) {
            (b"fmt ", _) => format = Some(Format::read(chunk)?),
            (b"data", Some(format)) => return Ok((format, chunk)),
            (b"data", None) => return Err("its samples stand before their format".into()),
            _ => {}
        }
        // Chunks begin at even offsets.
        rest = body.get(said.saturating_add(said % 2)..).unwrap_or_default();
    }
    Err("it holds no samples".into())
}

/// To [`RATE`], by FFT.
fn resample(mono: Vec<f32>, rate: u32) -> Result<Vec<f32>, Error> {
    if rate == RATE || mono.is_empty() {
        return Ok(mono);
    }
    let failed = |problem: &dyn ToString| Error::encode("resampling", problem.to_string());
    let mut resampler = Fft::<f32>::new(rate as usize, RATE as usize, 1024, 1, FixedSync::Both)
        .map_err(|e| failed(&e))?;
    let input = InterleavedSlice::new(&mono, 1, mono.len()).map_err(|e| failed(&e))?;
    let output = resampler.process_all(&input, mono.len(), None).map_err(|e| failed(&e))?;
    Ok(output.take_data())
}
