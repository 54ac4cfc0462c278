//! The provider that speaks the HTTP interface of `OpenAI`, or of a service that follows it.
//!
//! Endpoints and fields: `OpenAI`, "API reference": Chat completions, Audio speech, Images.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pipeline::{Cx, Fault};
use ratelimit::BuildError;
use serde::{Deserialize, Serialize};
use serde_json::json;
use ureq::Agent;

use crate::answer::{self, Answer};
use crate::limits::{Endpoint, OnItsWay, TOKENS_MOST};
use crate::provider::Provider;
use crate::{Picture, Secret, Size, Slide, Sound};

/// Which models do the work. All of it decides what comes out, so it enters the steps' cache keys.
#[derive(Clone, Debug, Serialize)]
pub struct Models {
    /// Writes scripts.
    pub chat: String,
    /// Speaks.
    pub speech: String,
    /// Whose voice.
    pub voice: String,
    /// Paints.
    pub image: String,
}

impl Default for Models {
    fn default() -> Models {
        Models {
            chat: "gpt-4o-mini".into(),
            speech: "gpt-4o-mini-tts".into(),
            voice: "alloy".into(),
            image: "gpt-image-1".into(),
        }
    }
}

/// One limiter per endpoint, shared by all workers.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `POST /chat/completions`.
    pub chat: Arc<Endpoint<2>>,
    /// `POST /audio/speech`.
    pub speech: Arc<Endpoint<1>>,
    /// `POST /images/generations`.
    pub images: Arc<Endpoint<1>>,
}

impl Limits {
    /// `requests` in any minute at each endpoint, and 200 000 tokens at the chat's.
    ///
    /// # Errors
    ///
    /// If `requests` is zero.
    pub fn new(requests: u64) -> Result<Limits, BuildError> {
        Ok(Limits {
            chat: Arc::new(Endpoint::requests_and_tokens(requests, 200_000)?),
            speech: Arc::new(Endpoint::requests(requests)?),
            images: Arc::new(Endpoint::requests(requests)?),
        })
    }
}

/// Where the service is and who calls it.
#[derive(Clone, Debug)]
pub struct Account {
    /// Such as `https://api.openai.com/v1`.
    pub base_url: String,
    /// Sent with every call.
    pub key: Secret,
}

/// One worker's connection.
#[derive(Debug)]
pub struct OpenAi {
    agent: Agent,
    account: Account,
    models: Models,
    limits: Limits,
}

impl OpenAi {
    /// A client; it connects with its first call.
    pub fn new(account: Account, models: Models, limits: Limits) -> OpenAi {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(15)))
            .user_agent(concat!("ratchet-slides/", env!("CARGO_PKG_VERSION")))
            .build();
        OpenAi { agent: config.into(), account, models, limits }
    }

    /// What a slide's chat is thought to need: a request, and tokens at four characters each with
    /// room for the answer. Nothing, if there are notes to read instead.
    pub fn chat_cost(slide: &Slide) -> [u64; 2] {
        if !slide.notes.is_empty() {
            return [0, 0];
        }
        let asked = (INSTRUCTIONS.len() + slide.read_out().len()) as u64 / 4;
        [1, (asked + 400).min(TOKENS_MOST)]
    }

    fn post<const N: usize>(
        &self,
        path: &str,
        body: &serde_json::Value,
        cx: &Cx<'_>,
        call: OnItsWay<'_, N>,
    ) -> Result<Vec<u8>, Fault> {
        let url = format!("{}{path}", self.account.base_url.trim_end_matches('/'));
        // A client that outlives the step's deadline would do work that nobody waits for.
        let left = cx.deadline().map(|end| end.saturating_duration_since(Instant::now()));
        let sent = self
            .agent
            .post(&url)
            .config()
            .timeout_global(left)
            .build()
            .header("Authorization", format!("Bearer {}", self.account.key.reveal()))
            .header("Idempotency-Key", cx.idempotency_key())
            .send_json(body);
        Answer::read(&self.account.key, &url, sent, call)?.body()
    }

    /// Reads an answer's JSON; what it is not is shown, or nobody could tell what answered.
    fn read<T>(&self, what: &str, body: &[u8], cx: &Cx<'_>) -> Result<T, Fault>
    where
        T: for<'de> Deserialize<'de>,
    {
        serde_json::from_slice(body).map_err(|error| {
            let key = &self.account.key;
            let (error, start) = (key.hide(&error.to_string()), answer::start(key, body));
            useless(cx, format!("not the JSON of {what} ({error}): {start:?}"))
        })
    }
}

const INSTRUCTIONS: &str = "You write what a speaker says while a slide is shown: two to four \
    plain sentences, no markup, no greeting. Answer with these sentences alone.";

impl Provider for OpenAi {
    fn script(&mut self, slide: &Slide, cx: &Cx<'_>) -> Result<String, Fault> {
        if !slide.notes.is_empty() {
            return Ok(slide.notes.clone());
        }
        let body = json!({
            "model": self.models.chat,
            "messages": [
                { "role": "system", "content": INSTRUCTIONS },
                { "role": "user", "content": slide.read_out() },
            ],
        });
        let call = self.limits.chat.begin(Self::chat_cost(slide));
        let answer = self.post("/chat/completions", &body, cx, call)?;
        let answer: Chat = self.read("a chat completion", &answer, cx)?;
        if let Some(usage) = answer.usage {
            cx.used("tokens", usage.total_tokens);
        }
        let text = answer.choices.into_iter().next().and_then(|choice| choice.message.content);
        let text = text.filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| useless(cx, "the chat completion that came back is empty"))
    }

    fn speech(&mut self, text: &str, cx: &Cx<'_>) -> Result<Vec<u8>, Fault> {
        let body = json!({
            "model": self.models.speech,
            "voice": self.models.voice,
            "input": text,
            "response_format": "wav",
        });
        let call = self.limits.speech.begin([1]);
        let wav = self.post("/audio/speech", &body, cx, call)?;
        // What cannot be read must not be recorded as done.
        let sound = Sound::read(&wav).map_err(|error| useless(cx, error))?;
        if sound.samples.is_empty() {
            return Err(useless(cx, "the recording that came back is empty"));
        }
        Ok(wav)
    }

    fn image(&mut self, slide: &Slide, size: Size, cx: &Cx<'_>) -> Result<Vec<u8>, Fault> {
        let prompt = format!(
            "An illustration for a presentation slide, without any text in it. \
             The slide is about: {}",
            slide.read_out()
        );
        let mut body = json!({ "model": self.models.image, "prompt": prompt, "n": 1 });
        // The newer models answer in base64 always and refuse to be asked for it.
        if self.models.image.starts_with("dall-e") {
            body["response_format"] = "b64_json".into();
            body["size"] = "1792x1024".into();
        } else {
            body["size"] = "1536x1024".into();
        }
        let call = self.limits.images.begin([1]);
        let answer = self.post("/images/generations", &body, cx, call)?;
        let answer: Images = self.read("an image", &answer, cx)?;
        let image = answer.data.into_iter().next();
        let image = image.ok_or_else(|| useless(cx, "the answer holds no image"))?;
        let png = BASE64.decode(image.b64_json).map_err(|error| {
            useless(cx, format!("the image that came back is not base64: {error}"))
        })?;
        Picture::fit(&png, size).map_err(|error| useless(cx, error))?;
        Ok(png)
    }
}

/// A success that holds nothing of use. It may have been paid, and under the same idempotency key
/// the same may come back: it is asked for once more, not five times.
fn useless(cx: &Cx<'_>, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Fault {
    if cx.attempt() == 1 { Fault::transient(cause) } else { Fault::fatal(cause) }
}

#[derive(Deserialize)]
struct Chat {
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    total_tokens: u64,
}

#[derive(Deserialize)]
struct Images {
    data: Vec<Image>,
}

#[derive(Deserialize)]
struct Image {
    b64_json: String,
}
