//! The provider that speaks the HTTP interface of `OpenAI`, or of a service that follows it.
//!
//! Endpoints and fields: `OpenAI`, "API reference": Chat completions, Audio speech, Images.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pipeline::{Cx, Fault};
use ratelimit::BuildError;
use serde::{Deserialize, Serialize};
use serde_json::json;
use ureq::Agent;

use crate::answer::Answer;
use crate::limits::{Endpoint, OnItsWay, TOKENS_MOST};
use crate::provider::{Provider, readable_picture, readable_sound};
use crate::{Size, Slide};

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
#[derive(Clone)]
pub struct Account {
    /// Such as `https://api.openai.com/v1`.
    pub base_url: String,
    /// The secret: never shown, not even by `Debug`.
    pub key: String,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("base_url", &self.base_url).finish_non_exhaustive()
    }
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
            .header("Authorization", format!("Bearer {}", self.account.key))
            .header("Idempotency-Key", cx.idempotency_key())
            .send_json(body);
        Answer::read(&url, sent, call)?.body()
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
        let answer: Chat = read("a chat completion", &answer)?;
        if let Some(usage) = answer.usage {
            cx.used("tokens", usage.total_tokens);
        }
        let text = answer.choices.into_iter().next().and_then(|choice| choice.message.content);
        let text = text.filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| Fault::transient("the chat completion that came back is empty"))
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
        readable_sound(&wav)?;
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
        let answer: Images = read("an image", &answer)?;
        let image = answer.data.into_iter().next();
        let image = image.ok_or_else(|| Fault::transient("the answer holds no image"))?;
        let png = BASE64.decode(image.b64_json).map_err(|error| {
            Fault::transient(format!("the image that came back is not base64: {error}"))
        })?;
        readable_picture(&png, size)?;
        Ok(png)
    }
}

/// Reads an answer's JSON; what it is not is shown, or nobody could tell what answered.
fn read<T: for<'de> Deserialize<'de>>(what: &str, body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| {
        let start = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        Fault::transient(format!("not the JSON of {what} ({error}): {start:?}"))
    })
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
