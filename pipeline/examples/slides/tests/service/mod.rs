//! A service with the HTTP interface of `OpenAI` on this machine, as well or as badly as a test
//! wants, and keeps account of what it was asked.

#![allow(dead_code)] // no test wants all of it

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use slides::sound::{RATE, write_wav};
use slides::{Picture, Size, deck};

/// A running service. Its threads end with the test's process.
pub(crate) struct Service {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
}

/// A request, as it was received.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// "chat", "speech" or "images".
    pub(crate) endpoint: &'static str,
    /// What is to be told about, spoken or painted: names the slide.
    pub(crate) about: String,
    pub(crate) idempotency_key: String,
    pub(crate) authorization: String,
    /// Since the service began.
    pub(crate) at: Duration,
    /// Whether the work was done, whatever was answered.
    pub(crate) done: bool,
}

/// What to do with a request.
pub(crate) enum Reply {
    /// The work, and these headers with it.
    Work(Vec<(&'static str, String)>),
    /// A status, headers and a body instead.
    Refuse(u16, Vec<(&'static str, String)>, String),
    /// A success whose body is this.
    Body(Vec<u8>),
    /// The work is done, half of it is sent, the connection breaks.
    Half,
    /// The work is done, the connection breaks before anything is sent.
    Lost,
    /// The connection breaks, nothing was done.
    Nothing,
    /// Nothing is sent for longer than anybody waits.
    Silence,
}

impl Service {
    /// Begins to answer; `reply` decides on each request, given the number of those before it at
    /// its endpoint.
    pub(crate) fn start(reply: impl Fn(&Call, usize) -> Reply + Send + Sync + 'static) -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let calls = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::new(Shared { calls: Arc::clone(&calls), reply, begun: Instant::now() });
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // A connection that the client breaks is the client's business.
                thread::spawn(move || drop(shared.serve(stream)));
            }
        });
        Service { address, calls }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub(crate) fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().expect("no panic while the list is held")
    }
}

struct Shared<F> {
    calls: Arc<Mutex<Vec<Call>>>,
    reply: F,
    begun: Instant,
}

impl<F: Fn(&Call, usize) -> Reply> Shared<F> {
    /// Answers one connection's requests until it ends.
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut writer = stream;
        while let Some((path, headers, body)) = request(&mut reader)? {
            let at = self.begun.elapsed();
            let header = |name: &str| {
                let found = headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.clone()).unwrap_or_default()
            };
            let (endpoint, about) = endpoint(&path, &body);
            let mut call = Call {
                endpoint,
                about: about.clone(),
                idempotency_key: header("idempotency-key"),
                authorization: header("authorization"),
                at,
                done: false,
            };
            let mut calls = self.calls.lock().expect("no panic while the list is held");
            let before = calls.iter().filter(|c| c.endpoint == endpoint).count();
            let reply = (self.reply)(&call, before);
            call.done = matches!(reply, Reply::Work(_) | Reply::Half | Reply::Lost);
            calls.push(call);
            drop(calls);
            let answer = match reply {
                Reply::Work(headers) => response(200, &headers, &work(endpoint, &about)),
                Reply::Refuse(status, headers, body) => response(status, &headers, body.as_bytes()),
                Reply::Body(body) => response(200, &[], &body),
                Reply::Half => {
                    let whole = response(200, &[], &work(endpoint, &about));
                    writer.write_all(&whole[..whole.len() / 2])?;
                    return Ok(());
                }
                Reply::Lost | Reply::Nothing => return Ok(()),
                Reply::Silence => {
                    // Real time: it is the client's clock that must end this.
                    thread::sleep(Duration::from_mins(1));
                    return Ok(());
                }
            };
            writer.write_all(&answer)?;
        }
        Ok(())
    }
}

type Request = (String, Vec<(String, String)>, Value);

/// Reads one HTTP/1.1 request with a JSON body; `None` at the connection's end.
fn request(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let path = first.split(' ').nth(1).unwrap_or_default().to_string();
    let mut headers = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().unwrap_or(0);
        }
        headers.push((name.to_string(), value.to_string()));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((path, headers, serde_json::from_slice(&body).unwrap_or(Value::Null))))
}

/// Which endpoint a path is, and which slide the body is about.
fn endpoint(path: &str, body: &Value) -> (&'static str, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    match path {
        "/v1/chat/completions" => ("chat", text(&body["messages"][1]["content"])),
        "/v1/audio/speech" => {
            assert_eq!(body["response_format"], "wav");
            ("speech", text(&body["input"]))
        }
        "/v1/images/generations" => ("images", text(&body["prompt"])),
        other => panic!("no endpoint {other}"),
    }
}

/// What each endpoint makes: as `OpenAI` documents it.
fn work(endpoint: &str, about: &str) -> Vec<u8> {
    match endpoint {
        "chat" => {
            let text = format!("A text of its own: {about}");
            let message = json!({ "role": "assistant", "content": text });
            let usage =
                json!({ "prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100 });
            json!({ "choices": [{ "index": 0, "message": message }], "usage": usage })
                .to_string()
                .into_bytes()
        }
        "speech" => {
            let samples: Vec<i16> = (0..6_000).map(|n| (n % 60 - 30) * 200).collect();
            let mut wav = write_wav(&samples, RATE);
            // Streamed: nobody knew the lengths when the header was sent.
            wav[4..8].copy_from_slice(&[0xFF; 4]);
            wav[40..44].copy_from_slice(&[0xFF; 4]);
            wav
        }
        _ => {
            let slide = deck::parse("# Painted").expect("a deck").remove(0);
            let size = Size::new(96, 64).expect("a size");
            let png = Picture::draw(&slide, size).and_then(|p| p.png()).expect("a picture");
            json!({ "created": 0, "data": [{ "b64_json": BASE64.encode(png) }] })
                .to_string()
                .into_bytes()
        }
    }
}

fn response(status: u16, headers: &[(&str, String)], body: &[u8]) -> Vec<u8> {
    let length = ("Content-Length", body.len().to_string());
    let headers = headers.iter().chain([&length]);
    let headers: String =
        headers.map(|(name, value)| [*name, ": ", value, "\r\n"].concat()).collect();
    let head = format!("HTTP/1.1 {status} Reason\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}
