//! Why a step failed, and what is done about it.

use std::error::Error;
use std::fmt;
use std::time::Duration;

type Cause = Box<dyn Error + Send + Sync>;

/// Why an attempt of a step failed; what it is decides what happens next.
///
/// A stage returns `Result<T, Fault>`, and `?` turns any error into [`Fault::Transient`]: those of
/// std, `anyhow::Error`, `String`, boxed ones. `Fault` itself passes through `?` unchanged, and
/// [`OrFault::or_fatal`] makes an error final. It is not a [`std::error::Error`] itself, as
/// `anyhow::Error` is not, or `?` could not take every error.
///
/// ```
/// use pipeline::{Fault, OrFault};
///
/// fn parse(text: &str) -> Result<u32, Fault> {
///     let number: u32 = text.parse().or_fatal()?;           // wrong input stays wrong
///     let file = std::fs::read_to_string("/nowhere");       // a disk may come back
///     if number > 9 { return Err(Fault::fatal("more than nine")); }
///     Ok(number + file.map_or(0, |text| text.len() as u32))
/// }
/// assert!(matches!(parse("x"), Err(Fault::Fatal(_))));
/// assert_eq!(parse("7").ok(), Some(7));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Fault {
    /// Trying again would fail again: the item fails at once, all others go on.
    Fatal(Cause),
    /// It may work next time: tried again after a random, growing pause, up to the stage's
    /// `attempts`.
    Transient(Cause),
    /// The service said "later": the stage's limiter pauses for everybody who shares it, and no
    /// attempt is counted. Without `after` the pause grows with each such answer in a row.
    RateLimited {
        /// What the service asked for, as in `Retry-After`.
        after: Option<Duration>,
    },
    /// No item can succeed until a person acts (a wrong key, a closed account, a full disk): the
    /// run stops at once, keeps what it has, and says this, once.
    Halt(Cause),
}

impl Fault {
    /// A [`Fault::Fatal`] of an error or of a text.
    pub fn fatal(cause: impl Into<Cause>) -> Self {
        Fault::Fatal(cause.into())
    }

    /// A [`Fault::Transient`] of an error or of a text; `?` does the same.
    pub fn transient(cause: impl Into<Cause>) -> Self {
        Fault::Transient(cause.into())
    }

    /// A [`Fault::RateLimited`]: of a [`Duration`], or of what a header parser made of
    /// `Retry-After`.
    pub fn rate_limited(after: impl Into<Option<Duration>>) -> Self {
        Fault::RateLimited { after: after.into() }
    }

    /// A [`Fault::Halt`] of an error or of a text.
    pub fn halt(cause: impl Into<Cause>) -> Self {
        Fault::Halt(cause.into())
    }
}

// Wider than `From<E: Error>`: also `anyhow::Error`, `Box<dyn Error + Send + Sync>`, `String` and
// `&str`. It does not overlap `From<T> for T` as long as `Fault` never implements `Error`.
impl<E: Into<Cause>> From<E> for Fault {
    fn from(cause: E) -> Self {
        Fault::Transient(cause.into())
    }
}

/// The cause, followed by the causes behind it.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Fatal(cause) | Fault::Transient(cause) | Fault::Halt(cause) => chain(cause, f),
            Fault::RateLimited { after: Some(after) } => {
                write!(f, "rate limited: to be tried again after {after:?}")
            }
            Fault::RateLimited { after: None } => f.write_str("rate limited"),
        }
    }
}

fn chain(cause: &Cause, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut said = cause.to_string();
    f.write_str(&said)?;
    let mut next = cause.source();
    while let Some(cause) = next {
        // Many errors repeat their source's text in their own.
        let text = cause.to_string();
        if !said.contains(&text) {
            write!(f, ": {text}")?;
            said = text;
        }
        next = cause.source();
    }
    Ok(())
}

/// Says of an error what kind of [`Fault`] it is: `call().or_fatal()?`.
///
/// Works on everything that `?` takes in a stage.
pub trait OrFault<T> {
    /// Makes the error [`Fault::Fatal`].
    ///
    /// # Errors
    /// The error it was called on, as a fault.
    fn or_fatal(self) -> Result<T, Fault>;

    /// Makes the error [`Fault::Transient`], as `?` alone does.
    ///
    /// # Errors
    /// The error it was called on, as a fault.
    fn or_transient(self) -> Result<T, Fault>;
}

impl<T, E: Into<Cause>> OrFault<T> for Result<T, E> {
    fn or_fatal(self) -> Result<T, Fault> {
        self.map_err(Fault::fatal)
    }

    fn or_transient(self) -> Result<T, Fault> {
        self.map_err(Fault::transient)
    }
}
