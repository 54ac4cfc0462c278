//! WAV files of every kind read, as speech services send them.

#![allow(clippy::cast_possible_truncation)]

use slides::Sound;
use slides::sound::{RATE, write_wav};

/// A WAV file by hand: `fmt ` of this kind, then `data`, with the lengths given.
fn wav(kind: u16, channels: u16, rate: u32, bits: u16, data: &[u8], said: u32) -> Vec<u8> {
    let frame = channels * bits / 8;
    let mut wav = b"RIFF\xFF\xFF\xFF\xFFWAVEfmt \x10\0\0\0".to_vec();
    wav.extend(kind.to_le_bytes());
    wav.extend(channels.to_le_bytes());
    wav.extend(rate.to_le_bytes());
    wav.extend((rate * u32::from(frame)).to_le_bytes());
    wav.extend(frame.to_le_bytes());
    wav.extend(bits.to_le_bytes());
    wav.extend(b"LIST\x03\0\0\0abc\0"); // an unknown chunk of odd length, padded
    wav.extend(b"data");
    wav.extend(said.to_le_bytes());
    wav.extend(data);
    wav
}

#[test]
fn samples_come_back_as_they_were_written() {
    let samples: Vec<i16> = (-500..500).map(|n| n * 65).collect();
    assert_eq!(Sound::read(&write_wav(&samples, RATE)).unwrap().samples, samples);
}

#[test]
fn a_streamed_file_of_unknown_length_is_read_to_its_end() {
    let data: Vec<u8> = [100_i16, -200, 300].iter().flat_map(|s| s.to_le_bytes()).collect();
    for said in [u32::MAX, 0x7FFF_FFFF, 6] {
        let sound = Sound::read(&wav(1, 1, RATE, 16, &data, said)).unwrap();
        assert_eq!(sound.samples, [100, -200, 300], "length said to be {said}");
    }
}

#[test]
fn every_kind_of_sample_is_understood() {
    let half_of = |bits, kind, data: &[u8]| {
        Sound::read(&wav(kind, 1, RATE, bits, data, data.len() as u32)).unwrap().samples
    };
    assert_eq!(half_of(8, 1, &[192]), [16_384]);
    assert_eq!(half_of(16, 1, &16_384_i16.to_le_bytes()), [16_384]);
    assert_eq!(half_of(24, 1, &[0, 0, 0x40]), [16_384]);
    assert_eq!(half_of(32, 1, &0x4000_0000_i32.to_le_bytes()), [16_384]);
    assert_eq!(half_of(32, 3, &0.5_f32.to_le_bytes()), [16_384]);
    // Beyond full scale is full scale, not silence or a wrap-around.
    assert_eq!(half_of(32, 3, &2.0_f32.to_le_bytes()), [i16::MAX]);
}

#[test]
fn channels_are_averaged() {
    let data: Vec<u8> =
        [1_000_i16, 3_000, -50, -150].iter().flat_map(|s| s.to_le_bytes()).collect();
    let sound = Sound::read(&wav(1, 2, RATE, 16, &data, 8)).unwrap();
    assert_eq!(sound.samples, [2_000, -100]);
}

#[test]
fn another_rate_keeps_length_and_pitch() {
    for rate in [8_000_u32, 16_000, 22_050, 44_100, 48_000] {
        let at = |n: u32| (n as f32 / rate as f32 * 500.0 * std::f32::consts::TAU).sin();
        let samples: Vec<i16> = (0..rate * 2).map(|n| (at(n) * 10_000.0) as i16).collect();
        let sound = Sound::read(&write_wav(&samples, rate)).unwrap().samples;
        let seconds = sound.len() as f32 / RATE as f32;
        assert!((seconds - 2.0).abs() < 0.1, "{rate}: {seconds} s");
        let crossings = sound.windows(2).filter(|w| (w[0] < 0) != (w[1] < 0)).count();
        let hertz = crossings as f32 / seconds / 2.0;
        assert!((hertz - 500.0).abs() < 25.0, "{rate}: {hertz} Hz");
        let peak = sound.iter().map(|s| s.unsigned_abs()).max().unwrap();
        assert!((9_000..11_500).contains(&peak), "{rate}: {peak}");
    }
}

#[test]
fn what_is_no_wav_is_refused_with_the_reason() {
    let refused = |bytes: &[u8]| Sound::read(bytes).unwrap_err().to_string();
    assert!(refused(b"").contains("0 bytes that do not begin"));
    assert!(refused(b"{\"error\": \"no voice of that name\"}").contains("do not begin"));
    assert!(refused(b"RIFF\0\0\0\0WAVE").contains("holds no samples"));
    assert!(refused(b"RIFF\0\0\0\0WAVEdata\x02\0\0\0ab").contains("before their format"));
    assert!(refused(&wav(6, 1, RATE, 8, b"abcd", 4)).contains("kind 6 with 8 bits"));
    assert!(refused(&wav(1, 0, RATE, 16, b"abcd", 4)).contains("0 channels"));
    assert!(refused(&wav(1, 1, 7, 16, b"abcd", 4)).contains("at 7 samples"));
    let whole = wav(1, 1, RATE, 16, b"abcd", 4);
    for end in 0..whole.len() {
        // Cut anywhere: an error or fewer samples, never a panic.
        if let Ok(sound) = Sound::read(&whole[..end]) {
            assert!(sound.samples.len() < 2);
        }
    }
}
