//! A blocking work queue with task_done and join, sentinel-terminated workers, and panics that come back as outcomes.
