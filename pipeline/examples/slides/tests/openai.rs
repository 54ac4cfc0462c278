//! A service that answers well, badly, or not at all.

mod program;
mod service;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use program::Ended;
use service::{Call, Reply, Service};

/// One slide with notes and one without: the second needs a script.
const DECK: [&str; 2] = ["# Spoken\n<!-- Spoken words. -->", "# Written\n- a point"];

fn work() -> Reply {
    Reply::Work(Vec::new())
}

fn refuse(status: u16, message: &str, code: &str) -> Reply {
    let body = format!(r#"{{"error": {{"message": "{message}", "code": "{code}"}}}}"#);
    Reply::Refuse(status, Vec::new(), body)
}

/// Makes a film of the deck with the service, with the key `secret`.
fn run(folder: &Path, service: &Service, more: &[&str]) -> Ended {
    let url = service.url();
    let film = ["--deck", "deck.md", "--size", "64x64", "--out", "film.mp4", "--root", "runs"];
    let provider = ["--provider", "openai", "--base-url", &url];
    let args = [&["run"], &film[..], &provider, more].concat();
    program::end(program::slides(folder, &args).env("OPENAI_API_KEY", "secret"))
}

fn with_deck() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    program::write_deck(folder.path(), &DECK);
    folder
}

/// The calls at one endpoint.
fn at(service: &Service, endpoint: &str) -> Vec<Call> {
    service.calls().iter().filter(|call| call.endpoint == endpoint).cloned().collect()
}

#[test]
fn each_slide_is_written_spoken_and_painted_once() {
    let service = Service::start(|_, _| work());
    let folder = with_deck();
    let ended = run(folder.path(), &service, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(fs::metadata(folder.path().join("film.mp4")).unwrap().len() > 1_000);
    assert_eq!(at(&service, "chat").len(), 1, "notes need no script");
    let mut spoken: Vec<_> = at(&service, "speech").into_iter().map(|c| c.about).collect();
    spoken.sort();
    assert_eq!(spoken, ["A text of its own: Written. a point.", "Spoken words."]);
    assert_eq!(at(&service, "images").len(), 2);
    for call in service.calls().iter() {
        assert_eq!(call.authorization, "Bearer secret");
        assert_eq!(call.idempotency_key.len(), 64);
    }
    // The same again asks for nothing.
    let calls = service.calls().len();
    assert_eq!(run(folder.path(), &service, &[]).code, Some(0));
    assert_eq!(service.calls().len(), calls);
    let said = [ended.out, ended.err].concat();
    assert!(!said.contains("secret"), "the key is shown to nobody");
}

#[test]
fn a_refused_input_fails_its_slide_with_the_providers_words() {
    let service = Service::start(|call, _| match call.endpoint {
        "images" if call.about.contains("Written") => refuse(400, "no such picture", "policy"),
        _ => work(),
    });
    let folder = with_deck();
    let ended = run(folder.path(), &service, &[]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("answered 400: no such picture"), "{}", ended.err);
    assert_eq!(at(&service, "images").len(), 2, "wrong input is not sent again");
    assert!(!folder.path().join("film.mp4").exists());
    // The other slide's work is kept.
    let before = service.calls().len();
    assert_eq!(run(folder.path(), &service, &[]).code, Some(3));
    assert_eq!(service.calls().len(), before + 1, "only what failed was tried again");
}

#[test]
fn a_wrong_key_is_said_once_for_200_slides() {
    let service = Service::start(|_, _| refuse(401, "Incorrect API key", "invalid_api_key"));
    let folder = tempfile::tempdir().unwrap();
    let slides: Vec<String> = (0..200).map(|n| format!("# Slide number {n}\n- a point")).collect();
    program::write_deck(folder.path(), &slides.iter().map(String::as_str).collect::<Vec<_>>());
    let ended = run(folder.path(), &service, &[]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert_eq!(ended.err.matches("halted: ").count(), 1, "{}", ended.err);
    assert_eq!(ended.err.matches("Incorrect API key").count(), 1, "{}", ended.err);
    assert!(ended.err.contains("OPENAI_API_KEY"));
    let calls = service.calls().len();
    assert!(calls <= 2 * 8, "{calls} calls, with eight workers at each of two stages");
}

#[test]
fn a_missing_key_is_asked_for_before_anything_is_done() {
    let folder = with_deck();
    let args = ["run", "--deck", "deck.md", "--provider", "openai", "--root", "runs"];
    for key in [None, Some("")] {
        let mut command = program::slides(folder.path(), &args);
        let ended = program::end(match key {
            Some(key) => command.env("OPENAI_API_KEY", key),
            None => &mut command,
        });
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.err.contains("OPENAI_API_KEY"), "{}", ended.err);
    }
    assert!(!folder.path().join("runs").exists());
}

#[test]
fn an_account_without_money_halts_the_run() {
    let service =
        Service::start(|_, _| refuse(429, "You exceeded your quota", "insufficient_quota"));
    let folder = with_deck();
    let ended = run(folder.path(), &service, &[]);
    assert_eq!(ended.code, Some(5), "waiting would not help: {ended:?}");
    assert!(ended.err.contains("You exceeded your quota"), "{}", ended.err);
}

#[test]
fn a_busy_service_is_waited_for_as_long_as_it_says() {
    let service = Service::start(|call, before| match (call.endpoint, before) {
        ("speech", 0) => Reply::Refuse(429, vec![("Retry-After", "1".into())], "busy".into()),
        _ => work(),
    });
    let folder = with_deck();
    let ended = run(folder.path(), &service, &["--workers", "audio=1"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let speech = at(&service, "speech");
    assert_eq!(speech.len(), 3);
    let waited = speech[1].at.saturating_sub(speech[0].at);
    assert!(waited >= Duration::from_millis(990), "called again after {waited:?}");
    assert!(speech[1..].iter().any(|c| c.idempotency_key == speech[0].idempotency_key));
}

/// A service that answers each call by how often its slide was asked for there before.
fn by_attempt(reply: impl Fn(&Call, usize) -> Reply + Send + Sync + 'static) -> Service {
    let asked = Mutex::new(HashMap::new());
    Service::start(move |call, _| {
        let mut asked = asked.lock().unwrap();
        let before = asked.entry(call.idempotency_key.clone()).or_insert(0);
        *before += 1;
        reply(call, *before - 1)
    })
}

#[test]
fn a_broken_service_is_tried_again_under_the_same_key() {
    let nonsense = |text: &str| Reply::Body(text.as_bytes().to_vec());
    let service = by_attempt(move |call, before| {
        let written = call.about.contains("Written");
        match (call.endpoint, before, written) {
            ("chat", 0, _) => nonsense("<html>Bad gateway</html>"),
            ("chat", 1, _) => refuse(500, "overloaded", ""),
            ("speech", 0, false) => Reply::Half,
            ("speech", 1, false) => refuse(503, "overloaded", ""),
            ("speech", 0, true) => nonsense("not a sound"),
            ("images", 0, false) => Reply::Nothing,
            ("images", 1, false) => Reply::Lost,
            ("images", 0, true) => nonsense(r#"{"data": [{"b64_json": "AAAA"}]}"#),
            _ => work(),
        }
    });
    let folder = with_deck();
    let ended = run(folder.path(), &service, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let [chat, speech, images] = ["chat", "speech", "images"].map(|e| at(&service, e));
    assert_eq!((chat.len(), speech.len(), images.len()), (3, 5, 5));
    for calls in [chat, speech, images] {
        for call in &calls {
            let same = calls.iter().filter(|c| c.about == call.about);
            assert!(same.into_iter().all(|c| c.idempotency_key == call.idempotency_key));
        }
    }
}

#[test]
fn a_service_that_never_answers_is_given_up_after_the_timeout() {
    let service = Service::start(|call, before| match (call.endpoint, before) {
        ("chat", 0) => Reply::Silence,
        _ => work(),
    });
    let folder = with_deck();
    let ended = run(folder.path(), &service, &["--timeout", "1"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let chat = at(&service, "chat");
    assert_eq!(chat.len(), 2);
    assert_eq!(chat[0].idempotency_key, chat[1].idempotency_key);
    let waited = chat[1].at.saturating_sub(chat[0].at);
    assert!(waited >= Duration::from_millis(990), "given up after {waited:?}");
}

#[test]
fn an_address_that_is_none_halts_the_run() {
    let folder = with_deck();
    for address in ["ftp://127.0.0.1/v1", "no address", "http://"] {
        let args = ["run", "--deck", "deck.md", "--provider", "openai", "--base-url", address];
        let mut command = program::slides(folder.path(), &args);
        let ended = program::end(command.env("OPENAI_API_KEY", "secret"));
        assert_eq!(ended.code, Some(5), "{address}: {ended:?}");
        assert!(ended.err.contains("check --base-url"), "{address}: {}", ended.err);
    }
}

/// What an endpoint answers for one slide, what is said of it, and how often it is asked.
type Broken = (&'static str, &'static str, &'static str, usize);

#[test]
fn a_service_that_stays_broken_is_named_with_what_it_said() {
    // What came back whole may have been paid: it is asked for once more, not five times.
    let cases: [Broken; 9] = [
        ("chat", "500", "answered 500: the machine is on fire", 5),
        ("chat", "half", "broke off", 5),
        ("chat", "nothing", "broke off", 5),
        ("chat", "nonsense", "not the JSON of a chat completion", 2),
        ("chat", r#"{"choices": []}"#, "the chat completion that came back is empty", 2),
        ("images", r#"{"data": []}"#, "the answer holds no image", 2),
        ("images", r#"{"data": [{"b64_json": "A-"}]}"#, "not base64", 2),
        ("images", r#"{"data": [{"b64_json": "AAAA"}]}"#, "cannot read the picture", 2),
        ("speech", "no sound", "cannot read the sound", 2),
    ];
    // Side by side: they mostly wait between attempts.
    thread::scope(|scope| {
        for case in cases {
            scope.spawn(move || stays_broken(case));
        }
    });
}

fn stays_broken((endpoint, broken, said, asked): Broken) {
    let service = Service::start(move |call, _| match broken {
        _ if call.endpoint != endpoint || !call.about.contains("Written") => work(),
        "500" => refuse(500, "the machine is on fire", ""),
        "half" => Reply::Half,
        "nothing" => Reply::Nothing,
        body => Reply::Body(body.as_bytes().to_vec()),
    });
    let folder = with_deck();
    let ended = run(folder.path(), &service, &[]);
    assert_eq!(ended.code, Some(3), "{endpoint}, {broken}: {ended:?}");
    assert_eq!(ended.err.matches(said).count(), 1, "{endpoint}, {broken}: {}", ended.err);
    let calls = at(&service, endpoint);
    let calls = calls.iter().filter(|call| call.about.contains("Written"));
    assert_eq!(calls.count(), asked, "{endpoint}, {broken}");
    assert!(!folder.path().join("film.mp4").exists());
    // Nothing else is lost: only what failed is asked for again.
    if asked == 2 {
        let before = service.calls().len();
        assert_eq!(run(folder.path(), &service, &[]).code, Some(3));
        assert_eq!(service.calls().len(), before + asked, "{endpoint}, {broken}");
    }
}

#[test]
fn a_key_that_the_service_repeats_is_shown_to_nobody_and_written_nowhere() {
    const KEY: &str = "sk-0123456789abcdef";
    // Where a text is cut, and where the key would be cut with it.
    let long = format!("{}{KEY} is wrong", "x".repeat(112));
    for (status, body) in [
        (401, format!(r#"{{"error": {{"message": "Incorrect API key: {KEY}"}}}}"#)),
        (400, format!(r#"{{"error": {{"message": "what is {KEY}?"}}}}"#)),
        (500, long.clone()),
        (200, long.clone()),
        (200, format!(r#"{{"choices": "{KEY}", "data": "{KEY}"}}"#)),
    ] {
        let service = Service::start(move |_, _| Reply::Refuse(status, Vec::new(), body.clone()));
        let (folder, url) = (with_deck(), service.url());
        let args = ["run", "--deck", "deck.md", "--provider", "openai", "--base-url", &url];
        let mut command = program::slides(folder.path(), &args);
        let ended = program::end(command.env("OPENAI_API_KEY", KEY).env("RUST_LOG", "debug"));
        assert!(matches!(ended.code, Some(3 | 5)), "{ended:?}");
        assert!(ended.err.contains('…'), "{status}: what was said is shown: {}", ended.err);
        assert_eq!(service.calls()[0].authorization, format!("Bearer {KEY}"));
        let mut texts = vec![ended.out, ended.err];
        texts.extend(
            files(folder.path())
                .iter()
                .map(|file| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned()),
        );
        assert!(texts.iter().any(|text| text.contains("fail/")), "no failure was recorded");
        for text in texts {
            assert!(!text.contains("sk-0"), "{status}: {text}");
        }
    }
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flat_map(below).collect()
}

#[test]
fn a_key_that_no_header_can_carry_is_refused_and_not_shown() {
    let folder = with_deck();
    let args = ["run", "--deck", "deck.md", "--provider", "openai", "--root", "runs"];
    for key in ["sk-two words", "sk-\u{fc}ber"] {
        let ended = program::end(program::slides(folder.path(), &args).env("OPENAI_API_KEY", key));
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(
            ended.err.contains("OPENAI_API_KEY") && !ended.err.contains("sk-"),
            "{}",
            ended.err
        );
    }
    assert!(!folder.path().join("runs").exists());
}

#[test]
fn a_limit_below_a_calls_cost_is_named_and_waited_for_by_nobody() {
    let service = Service::start(|call, _| match call.endpoint {
        "chat" => Reply::Work(vec![("x-ratelimit-limit-tokens", "100".to_string())]),
        _ => work(),
    });
    let folder = tempfile::tempdir().unwrap();
    program::write_deck(folder.path(), &["# First\n- a point", "# Second\n- a point"]);
    let ended = run(folder.path(), &service, &["--workers", "script=1"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let said = "limit \"tokens\" can never grant";
    assert_eq!(ended.err.matches(said).count(), 1, "{}", ended.err);
    assert!(ended.err.contains("its burst is 100"), "{}", ended.err);
    assert_eq!(at(&service, "chat").len(), 1, "the first call taught the limit");
    assert_eq!((at(&service, "speech").len(), at(&service, "images").len()), (1, 2));
}

#[test]
fn nobody_answering_at_all_is_named_with_the_address() {
    let folder = with_deck();
    // A port that was free a moment ago: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/v1");
    let args = ["run", "--deck", "deck.md", "--provider", "openai", "--base-url", &url];
    let ended = program::end(program::slides(folder.path(), &args).env("OPENAI_API_KEY", "secret"));
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains(&url) && ended.err.contains("broke off"), "{}", ended.err);
}
