//! A worker loop that can be killed anywhere and goes on where it was.
//!
//! `cargo run -p checkpoint --example resume`, Ctrl-C at any time, and again.

use std::time::Duration;

use checkpoint::{Checkpoint, RunId, Saved};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Audio {
    file: String,
    seconds: f64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::env::args().nth(1).map_or_else(std::env::temp_dir, Into::into);
    let checkpoint = Checkpoint::open(root.join("resume-example"), &RunId::new("deck-42")?)?;
    // The same for all workers and all restarts: the first one chooses.
    let seed = match checkpoint.save_once("seed", &std::process::id())? {
        Saved::Existing(entry) => entry.value,
        Saved::Inserted(_) => std::process::id(),
    };
    println!("seed {seed}, {} nodes so far", checkpoint.load()?.len());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2)
            .map(|worker| {
                let checkpoint = checkpoint.clone();
                scope.spawn(move || work(&checkpoint, worker))
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker panicked"))
    })?;
    let cost = checkpoint.get::<f64>("cost")?.map_or(0.0, |entry| entry.value);
    println!("done, paid {cost:.2}");
    checkpoint.close()?;
    Ok(())
}

fn work(checkpoint: &Checkpoint, worker: usize) -> checkpoint::Result<()> {
    for slide in (worker..6).step_by(2) {
        let node = format!("audio-{slide}");
        if let Some(done) = checkpoint.get::<Audio>(&node)? {
            println!("{node}: there since {:?}", done.updated_at);
            continue;
        }
        std::thread::sleep(Duration::from_millis(50)); // the slow, paid call
        checkpoint.save(&node, &Audio { file: format!("{node}.flac"), seconds: 4.2 })?;
        checkpoint.update("cost", |paid: Option<f64>| Some(paid.unwrap_or(0.0) + 0.02))?;
        println!("{node}: saved");
    }
    Ok(())
}
