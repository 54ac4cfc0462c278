//! What a limit is called.

use crate::sync::Arc;
use std::{borrow::Borrow, fmt, ops::Deref};

/// The name of a limit, as given to [`RateLimiter::new`](crate::RateLimiter::new). Cheap to clone.
///
/// It reads like a string: it derefs to `str` and compares with one. A limiter made by
/// [`RateLimiter::per_second`](crate::RateLimiter::per_second) or `per_minute` calls its only limit
/// `rate`. In a refusal it can also be `in_flight`, for the bound of
/// [`Builder::in_flight`](crate::Builder::in_flight).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitName(Arc<str>);

impl LimitName {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self(name.into().into())
    }

    /// The name as a plain string slice.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for LimitName {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for LimitName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for LimitName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for LimitName {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for LimitName {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}
