//! Two mistakes that hang other queues, and what they give here.
//!
//! `cargo run -p workqueue --example misuse`

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use workqueue::WorkQueue;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let own: Arc<OnceLock<Weak<WorkQueue<u32, String>>>> = Arc::default();
    let theirs = own.clone();
    let queue = WorkQueue::builder().workers(1).capacity(1).start(move |task| {
        let Some(queue) = theirs.wait().upgrade() else { return "nobody waits".to_owned() };
        match task {
            // It would wait for its own end.
            0 => match queue.join() {
                Ok(()) => "joined?".to_owned(),
                Err(error) => error.to_string(),
            },
            // Sooner or later its only worker would wait for room that only its only worker makes. A time
            // limit says so; `Context::spawn` would not have waited at all.
            1 => loop {
                if let Err(error) = queue.submit_timeout(3, Duration::from_millis(10)) {
                    break error.to_string();
                }
            },
            n => format!("task {n} is a good one"),
        }
    })?;
    let queue = Arc::new(queue);
    if own.set(Arc::downgrade(&queue)).is_err() {
        return Err("set twice".into());
    }
    queue.submit_all(0..3)?;
    for outcome in queue.ordered().take(3) {
        let ticket = outcome.ticket();
        println!("{ticket}: {}", outcome.into_result()?);
    }
    Ok(())
}
