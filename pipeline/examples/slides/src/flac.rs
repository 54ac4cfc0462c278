//! FLAC frames for an MP4 track: one frame a sample of the track, all of one length.
//!
//! A decoder is set up by the stream's header alone, and a film has one header for all its clips.
//! So what would differ between clips (frame sizes, length, checksum) is left unknown there, as
//! the format allows: RFC 9639, section 8.2.

use flacenc::bitsink::ByteSink;
use flacenc::component::{BitRepr, StreamInfo};
use flacenc::config;
use flacenc::error::Verify;
use flacenc::source::{Fill, FrameBuf};

use crate::Error;
use crate::sound::RATE;

/// Samples in every frame. A divisor of a second, so that sound ends with the picture; at most
/// 4608, which every player decodes (RFC 9639, section 7).
pub(crate) const BLOCK: usize = 4_000;

/// The header that all clips share: FLAC's STREAMINFO block, without the block's own header.
pub(crate) fn stream_info() -> Result<Vec<u8>, Error> {
    let mut sink = ByteSink::new();
    info()?.write(&mut sink).map_err(failed)?;
    Ok(sink.into_inner())
}

/// Encodes whole blocks; what is less than one at the end is dropped.
pub(crate) fn encode(samples: &[i16]) -> Result<Vec<Vec<u8>>, Error> {
    let config = config::Encoder::default().into_verified().map_err(|e| failed(e.1))?;
    let info = info()?;
    let mut buffer = FrameBuf::with_size(1, BLOCK).map_err(failed)?;
    let blocks = samples.chunks_exact(BLOCK).enumerate();
    blocks
        .map(|(number, block)| {
            let block: Vec<i32> = block.iter().copied().map(i32::from).collect();
            buffer.fill_interleaved(&block).map_err(failed)?;
            let frame = flacenc::encode_fixed_size_frame(&config, &buffer, number, &info);
            let mut sink = ByteSink::new();
            frame.map_err(failed)?.write(&mut sink).map_err(failed)?;
            Ok(sink.into_inner())
        })
        .collect()
}

fn info() -> Result<StreamInfo, Error> {
    let mut info = StreamInfo::new(RATE as usize, 1, 16).map_err(failed)?;
    info.set_block_sizes(BLOCK, BLOCK).map_err(failed)?;
    info.set_frame_sizes(0, 0).map_err(failed)?;
    Ok(info)
}

fn failed(problem: impl ToString) -> Error {
    Error::encode("FLAC", problem)
}
