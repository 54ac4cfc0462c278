//! A misuse: reading, changing and saving loses what others saved in between. `update` does not.
//!
//! `cargo run -p checkpoint --example lost_update`

use checkpoint::{Checkpoint, RunId};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = tempfile::tempdir()?;
    let checkpoint = Checkpoint::open(root.path(), &RunId::new("counter")?)?;
    let all = |work: fn(&Checkpoint) -> checkpoint::Result<()>| {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| work(&checkpoint))).collect();
            threads.into_iter().try_for_each(|thread| thread.join().expect("a thread panicked"))
        })
    };
    all(|checkpoint| {
        for _ in 0..25 {
            let old = checkpoint.get::<u32>("wrong")?.map_or(0, |entry| entry.value);
            checkpoint.save("wrong", &(old + 1))?; // somebody else may have saved since
        }
        Ok(())
    })?;
    all(|checkpoint| {
        for _ in 0..25 {
            checkpoint.update("right", |old: Option<u32>| Some(old.unwrap_or(0) + 1))?;
        }
        Ok(())
    })?;
    let read = |node| checkpoint.get::<u32>(node).map(|entry| entry.map_or(0, |e| e.value));
    println!("get and save: {} of 100; update: {} of 100", read("wrong")?, read("right")?);
    assert_eq!(read("right")?, 100);
    Ok(())
}
