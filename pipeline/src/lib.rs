//! Typed, resumable, rate-limited pipelines for calling slow, paid services for many items.
