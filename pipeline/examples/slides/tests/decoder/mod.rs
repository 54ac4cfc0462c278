//! A film read by programs that did not write it: `re_mp4` for the container, `rav1d` for the
//! picture, `claxon` for the sound.

use std::fs;
use std::path::Path;

use claxon::FlacReader;
use re_mp4::{Mp4, Track, TrackKind};
use re_rav1d::dav1d::{Decoder, PlanarImageComponent, Settings};

/// A decoded film.
pub(crate) struct Film {
    /// One a second.
    pub(crate) frames: Vec<Frame>,
    /// One channel, 24 000 a second.
    pub(crate) sound: Vec<i32>,
    /// How long the container says that the tracks are.
    pub(crate) picture_seconds: f64,
    pub(crate) sound_seconds: f64,
    /// Whether the index stands before the samples.
    pub(crate) index_first: bool,
}

/// A decoded frame: full luma, colour at half the resolution.
pub(crate) struct Frame {
    pub(crate) width: usize,
    pub(crate) height: usize,
    planes: [Vec<u8>; 3],
}

impl Film {
    /// Reads and decodes all of it; a film that is not right in every part is a panic.
    pub(crate) fn read(path: &Path) -> Film {
        let data = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mp4 = Mp4::read_bytes(&data).expect("a container");
        assert_eq!(mp4.tracks().len(), 2, "one track of picture, one of sound");
        let is_picture = |track: &&Track| track.kind == Some(TrackKind::Video);
        let picture = mp4.tracks().values().find(is_picture).expect("a picture");
        let sound = mp4.tracks().values().find(|t| !is_picture(t)).expect("sound");
        let seconds = |track: &Track| track.duration as f64 / track.timescale as f64;
        let find = |name: &[u8]| data.windows(name.len()).position(|part| part == name);
        Film {
            frames: decode_picture(&samples(&data, picture)),
            sound: decode_sound(&data, &samples(&data, sound)),
            picture_seconds: seconds(picture),
            sound_seconds: seconds(sound),
            index_first: find(b"moov") < find(b"mdat"),
        }
    }
}

impl Frame {
    /// Three bytes a pixel: BT.709 from its limited range.
    pub(crate) fn rgb(&self) -> Vec<u8> {
        let mut rgb = Vec::with_capacity(self.width * self.height * 3);
        for at in 0..self.width * self.height {
            let (x, y) = (at % self.width, at / self.width);
            let half = y / 2 * (self.width / 2) + x / 2;
            let [luma, blue, red] = [(0, at), (1, half), (2, half)]
                .map(|(plane, at): (usize, usize)| f32::from(self.planes[plane][at]));
            let luma = (luma - 16.0) * 255.0 / 219.0;
            let (blue, red) = ((blue - 128.0) * 255.0 / 224.0, (red - 128.0) * 255.0 / 224.0);
            let (red, blue) = (luma + 1.5748 * red, luma + 1.8556 * blue);
            let green = (luma - 0.2126 * red - 0.0722 * blue) / 0.7152;
            rgb.extend([red, green, blue].map(|v| v.round().clamp(0.0, 255.0) as u8));
        }
        rgb
    }
}

fn samples(data: &[u8], track: &Track) -> Vec<Vec<u8>> {
    track.samples.iter().map(|s| data[s.offset as usize..][..s.size as usize].to_vec()).collect()
}

fn decode_picture(units: &[Vec<u8>]) -> Vec<Frame> {
    let mut settings = Settings::new();
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    let mut decoder = Decoder::with_settings(&settings).expect("a decoder");
    units
        .iter()
        .map(|unit| {
            decoder.send_data(unit.clone(), None, None, None).expect("a temporal unit");
            let picture = decoder.get_picture().expect("one frame a sample");
            let (width, height) = (picture.width() as usize, picture.height() as usize);
            let plane = |which, width: usize| {
                let stride = picture.stride(which) as usize;
                let plane = picture.plane(which);
                plane.chunks(stride).flat_map(|row| row[..width].to_vec()).collect()
            };
            let planes = [
                plane(PlanarImageComponent::Y, width),
                plane(PlanarImageComponent::U, width / 2),
                plane(PlanarImageComponent::V, width / 2),
            ];
            Frame { width, height, planes }
        })
        .collect()
}

/// The track's header and its samples, put together to a FLAC file.
fn decode_sound(data: &[u8], frames: &[Vec<u8>]) -> Vec<i32> {
    let header = data.windows(4).position(|part| part == b"dfLa").expect("a FLAC header");
    // The box's name, its version, the block's own header, STREAMINFO.
    let info = &data[header + 4 + 4..][..4 + 34];
    let mut file = [b"fLaC", info].concat();
    file.extend(frames.concat());
    let mut reader = FlacReader::new(&file[..]).expect("FLAC");
    assert_eq!(reader.streaminfo().sample_rate, slides::sound::RATE);
    reader.samples().map(|sample| sample.expect("a sample")).collect()
}
