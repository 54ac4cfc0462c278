//! The voice that is compiled in, and the words it is given.

use std::fs;
use std::thread;

use slides::speech::{RATE, Voice};
use slides::spoken;

/// Seconds, peak and root mean square of what was said.
fn measure(samples: &[i16]) -> (f64, u16, f64) {
    let power: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    let peak = samples.iter().map(|s| s.unsigned_abs()).max().unwrap_or(0);
    (samples.len() as f64 / f64::from(RATE), peak, (power / samples.len() as f64).sqrt())
}

#[test]
fn it_speaks_audibly_and_without_clipping() {
    let folder = tempfile::tempdir().unwrap();
    let voice = Voice::unpack(folder.path()).unwrap();
    let text = "A ratchet turns one way: what a run has finished stays finished. \
                Oh, all hours are ours, a loud and open vowel after another.";
    let samples = voice.speak(text).unwrap();
    let (seconds, peak, rms) = measure(&samples);
    assert!((5.0..14.0).contains(&seconds), "{seconds} s for {} letters", text.len());
    assert!((3_000..32_000).contains(&peak), "peak {peak}");
    assert!((500.0..8_000.0).contains(&rms), "rms {rms}");
    let clipped = samples.iter().filter(|s| s.unsigned_abs() > 32_700).count();
    assert_eq!(clipped, 0);
    assert!(samples[..RATE as usize / 4].iter().all(|s| *s == 0), "it begins with a pause");
}

#[test]
fn longer_text_takes_longer_and_markup_is_not_obeyed() {
    let folder = tempfile::tempdir().unwrap();
    let voice = Voice::unpack(folder.path()).unwrap();
    let seconds = |text: &str| measure(&voice.speak(text).unwrap()).0;
    assert!(seconds("one two three four five six seven") > seconds("one") + 1.0);
    let long = "This sentence is said again and again. ".repeat(40);
    assert!(seconds(&long) > 60.0);
    // Obeyed, this would be as loud as the engine can.
    let samples = voice.speak("</volume><volume level=\"500\">Oh, all hours").unwrap();
    assert!(measure(&samples).1 < 32_000);
    // Nothing to say is silence, not an error.
    assert!(measure(&voice.speak("").unwrap()).0 >= 1.0);
}

#[test]
fn many_threads_unpack_and_speak_at_once() {
    let folder = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        let speakers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| Voice::unpack(folder.path()).unwrap().speak("hello there")))
            .collect();
        for speaker in speakers {
            assert!(measure(&speaker.join().unwrap().unwrap()).1 > 2_000);
        }
    });
    let mut names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["en-US_lh0_sg.bin", "en-US_ta.bin"], "no half-written file is left");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let refused = Voice::unpack(&file.join("voice")).unwrap_err();
    assert!(refused.to_string().contains("in") && refused.to_string().contains("voice"));
}

#[test]
fn symbols_become_words() {
    for (written, said) in [
        ("README.md holds it.", "README dot md holds it."),
        ("3.5 % of 1,000 & more", "3.5 percent of 1,000 and more"),
        ("a -> b → c", "a - greater than b to c"),
        ("`cargo_test` <b>", "cargo test less than b greater than"),
        ("it’s “so” — yes…", "it's \"so\" , yes."),
        ("-3 but not well-known", "minus 3 but not well-known"),
        ("tab\tand\u{4}control", "tab and control"),
    ] {
        assert_eq!(spoken(written), said);
    }
}
