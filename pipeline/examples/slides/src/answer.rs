//! What came back over HTTP, and what it means for the step: a body, or a fault.

use pipeline::Fault;
use ratelimit::headers::LimitHeaders;
use serde::Deserialize;
use ureq::http::Response;
use ureq::{Body, Error};

use crate::Secret;
use crate::limits::OnItsWay;

/// The largest answer that is read, in bytes: a minute of sound in the best quality is 12 MB.
const MOST: u64 = 64 << 20;

/// An answer read to its end.
pub(crate) struct Answer<'s> {
    /// A provider may repeat it, and nobody is shown it.
    key: &'s Secret,
    url: String,
    status: u16,
    said: LimitHeaders,
    body: Vec<u8>,
}

impl<'s> Answer<'s> {
    /// Reads all of it, and tells the endpoint what its headers say. A call that broke off is
    /// still on its way until then: nobody knows what the provider has counted.
    pub(crate) fn read<const N: usize>(
        key: &'s Secret,
        url: &str,
        sent: Result<Response<Body>, Error>,
        call: OnItsWay<'_, N>,
    ) -> Result<Answer<'s>, Fault> {
        let broken = |error| broken(key, url, error);
        let mut response = sent.map_err(broken)?;
        let headers = response.headers().iter();
        let headers: Vec<(String, String)> = headers
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_string())))
            .collect();
        let said = call.heard(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(MOST).read_to_vec();
        // What an error status says matters more than that its text broke off.
        let body = match body {
            Err(error) if status < 400 => return Err(broken(error)),
            body => body.unwrap_or_default(),
        };
        Ok(Answer { key, url: url.to_string(), status, said, body })
    }

    /// The body of a success; the fault that any other status is.
    pub(crate) fn body(self) -> Result<Vec<u8>, Fault> {
        let refused = || format!("{} answered {}: {}", self.url, self.status, self.message());
        // What concerns all of a provider's endpoints names none of them, so that it is one message
        // whichever finds it out.
        let closed = |advice: &str| {
            let (whole, status) = (origin(&self.url), self.status);
            format!("{whole} answered {status}: {}; {advice}", self.message())
        };
        match self.status {
            200..=299 => Ok(self.body),
            401 | 403 => Err(Fault::halt(closed("check the key in OPENAI_API_KEY"))),
            // Waiting brings no money: this one is not about speed.
            429 if self.code() == "insufficient_quota" => {
                Err(Fault::halt(closed("the account has nothing left to spend")))
            }
            429 => Err(Fault::rate_limited(self.said.retry_after)),
            408 | 409 | 425 | 500.. => Err(Fault::transient(refused())),
            _ => Err(Fault::fatal(refused())),
        }
    }

    /// What the provider says is wrong, or the start of what it sent instead.
    fn message(&self) -> String {
        if let Some(problem) = self.problem() {
            return self.key.hide(&problem.message);
        }
        match start(self.key, &self.body).trim() {
            "" => "nothing more".to_string(),
            text => format!("{text:?}"),
        }
    }

    fn code(&self) -> String {
        self.problem().and_then(|problem| problem.code).unwrap_or_default()
    }

    fn problem(&self) -> Option<Problem> {
        serde_json::from_slice::<Refusal>(&self.body).ok().map(|refusal| refusal.error)
    }
}

#[derive(Deserialize)]
struct Refusal {
    error: Problem,
}

#[derive(Deserialize)]
struct Problem {
    message: String,
    code: Option<String>,
}

/// The start of what a provider sent, without the key.
pub(crate) fn start(key: &Secret, body: &[u8]) -> String {
    key.hide(&String::from_utf8_lossy(body)).chars().take(120).collect()
}

/// Scheme and host of an address, without its path.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    url[host..].find('/').map_or(url, |path| &url[..host + path])
}

/// No answer, or half of one. Trying again may help, but not if the address cannot be right.
fn broken(key: &Secret, url: &str, error: Error) -> Fault {
    let text = key.hide(&format!("the call of {url} broke off: {error}"));
    match error {
        Error::BadUri(_) | Error::Http(_) | Error::RequireHttpsOnly(_) => {
            Fault::halt(format!("{text}; check --base-url"))
        }
        Error::BodyExceedsLimit(_) => Fault::fatal(text),
        _ => Fault::transient(text),
    }
}
