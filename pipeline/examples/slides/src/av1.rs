//! AV1 for a still picture with a progress bar: one key frame, then frames that change the bar.

use rav1e::prelude::{
    ColorDescription, ColorPrimaries, Config, Context, EncoderConfig, EncoderStatus, FrameType,
    MatrixCoefficients, PixelRange, Rational, SceneDetectionSpeed, TransferCharacteristics,
};

use crate::{Error, Picture, Size};

/// One encoded frame, as an MP4 sample holds it: a temporal unit without its delimiter.
pub(crate) struct Unit {
    pub(crate) data: Vec<u8>,
    /// Whether decoding may begin here.
    pub(crate) key: bool,
}

/// Encodes `seconds` frames, one a second.
pub(crate) fn encode(picture: &Picture, seconds: usize) -> Result<Vec<Unit>, Error> {
    let config = Config::new().with_encoder_config(settings(picture.size())).with_threads(1);
    let mut encoder: Context<u8> = config.new_context().map_err(failed)?;
    let mut planes = Planes::of(picture);
    let mut units = Vec::with_capacity(seconds);
    for second in 0..seconds {
        planes.bar(second + 1, seconds);
        let mut frame = encoder.new_frame();
        for (plane, (pixels, stride)) in frame.planes.iter_mut().zip(planes.rows()) {
            plane.copy_from_raw_u8(pixels, stride, 1);
        }
        encoder.send_frame(frame).map_err(failed)?;
        receive(&mut encoder, &mut units)?;
    }
    encoder.flush();
    receive(&mut encoder, &mut units)?;
    if units.len() != seconds {
        return Err(failed(format!("{} frames out of {seconds}", units.len())));
    }
    Ok(units)
}

fn settings(size: Size) -> EncoderConfig {
    let mut settings = EncoderConfig::with_speed_preset(10);
    settings.width = size.width();
    settings.height = size.height();
    settings.time_base = Rational::new(1, 1);
    settings.low_latency = true; // one packet a frame, in order
    settings.quantizer = 60;
    settings.level_idx = Some(level(size));
    settings.pixel_range = PixelRange::Limited;
    settings.color_description = Some(ColorDescription {
        color_primaries: ColorPrimaries::BT709,
        transfer_characteristics: TransferCharacteristics::BT709,
        matrix_coefficients: MatrixCoefficients::BT709,
    });
    settings.set_key_frame_interval(0, 0); // the first alone
    settings.speed_settings.scene_detection_mode = SceneDetectionSpeed::None;
    // A still picture gives nothing to look ahead for, and looking 10 frames ahead takes 488 MB.
    settings.speed_settings.rdo_lookahead_frames = 1;
    settings
}

/// The lowest level that holds the picture, as `seq_level_idx` counts them: AV1 specification,
/// annex A.3, by area and sides.
fn level(size: Size) -> u8 {
    const LEVELS: [(usize, usize, usize, u8); 3] =
        [(1_065_024, 2_048, 1_152, 5), (2_359_296, 4_096, 2_176, 8), (8_912_896, 8_192, 4_352, 12)];
    let area = size.width() * size.height();
    let fits = |(most, wide, high, _): &&(usize, usize, usize, u8)| {
        area <= *most && size.width() <= *wide && size.height() <= *high
    };
    LEVELS.iter().find(fits).map_or(16, |level| level.3)
}

fn receive(encoder: &mut Context<u8>, units: &mut Vec<Unit>) -> Result<(), Error> {
    /// A temporal delimiter: type 2, with a size field, of size 0. MP4 forbids it in samples.
    const DELIMITER: &[u8] = &[0x12, 0x00];
    loop {
        match encoder.receive_packet() {
            Ok(packet) => {
                let data = packet.data.strip_prefix(DELIMITER).unwrap_or(&packet.data).to_vec();
                units.push(Unit { data, key: packet.frame_type == FrameType::KEY });
            }
            Err(EncoderStatus::Encoded) => {}
            Err(EncoderStatus::NeedMoreData | EncoderStatus::LimitReached) => return Ok(()),
            Err(status) => return Err(failed(status)),
        }
    }
}

/// A picture in BT.709's limited range, colour at half the resolution.
struct Planes {
    size: Size,
    luma: Vec<u8>,
    blue: Vec<u8>,
    red: Vec<u8>,
}

impl Planes {
    /// ITU-R BT.709-6, items 3.2 to 3.4.
    fn of(picture: &Picture) -> Planes {
        let (size, rgba) = (picture.size(), picture.rgba());
        let wide = size.width();
        let pixel = |at: usize| [0, 1, 2].map(|k| f32::from(rgba[4 * at + k]));
        let bright = |[r, g, b]: [f32; 3]| 0.2126 * r + 0.7152 * g + 0.0722 * b;
        let to_luma = |at| (16.5 + bright(pixel(at)) * 219.0 / 255.0) as u8;
        let luma = (0..wide * size.height()).map(to_luma).collect();
        let (mut blue, mut red) = (Vec::new(), Vec::new());
        for y in (0..size.height()).step_by(2) {
            for x in (0..wide).step_by(2) {
                let at = y * wide + x;
                let four = [at, at + 1, at + wide, at + wide + 1].map(pixel);
                let mean = [0, 1, 2].map(|k| four.iter().map(|p| p[k]).sum::<f32>() / 4.0);
                let luma = bright(mean);
                blue.push((128.5 + (mean[2] - luma) / 1.8556 * 224.0 / 255.0) as u8);
                red.push((128.5 + (mean[0] - luma) / 1.5748 * 224.0 / 255.0) as u8);
            }
        }
        Planes { size, luma, blue, red }
    }

    /// Draws the bar at the foot: how much of the slide's time has passed.
    fn bar(&mut self, second: usize, seconds: usize) {
        let (wide, high) = (self.size.width(), self.size.height());
        let until = (wide * second / seconds) & !1;
        let thick = (high / 90).max(2) & !1;
        for row in self.luma.chunks_exact_mut(wide).skip(high - thick) {
            row[..until].fill(136);
        }
        for (plane, value) in [(&mut self.blue, 96), (&mut self.red, 176)] {
            for row in plane.chunks_exact_mut(wide / 2).skip((high - thick) / 2) {
                row[..until / 2].fill(value);
            }
        }
    }

    /// Each plane with the length of its rows.
    fn rows(&self) -> [(&[u8], usize); 3] {
        let wide = self.size.width();
        [(&self.luma, wide), (&self.blue, wide / 2), (&self.red, wide / 2)]
    }
}

fn failed(problem: impl ToString) -> Error {
    Error::encode("AV1", problem)
}
