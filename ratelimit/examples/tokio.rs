//! An asynchronous caller: a reservation is a place in line that holds no thread.
//!
//! `cargo run -p ratelimit --example tokio`

use ratelimit::{AcquireError, Cost, Permit, Rate, RateLimiter};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Awaits a permit. Dropping the future gives the place in line back, so `select!` and time-outs do
/// what they should.
async fn acquire<const N: usize>(
    limiter: &RateLimiter<N>,
    cost: impl Into<Cost<N>>,
) -> Result<Permit<'_, N>, AcquireError> {
    let place = limiter.reserve(cost)?;
    while !place.is_ready() {
        // A turn that moves later is looked for again; one that moves earlier is not lost, since it
        // is granted at its own time. The millisecond is for limiters with a bound on permits in
        // flight, where nobody can say when one is dropped.
        tokio::time::sleep(place.ready_in().max(Duration::from_millis(1))).await;
    }
    place.wait() // its turn has come: this does not block
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let limits = [("requests", Rate::per_second(20)), ("tokens", Rate::per_second(1000))];
    let limiter = Rc::new(RateLimiter::new(limits)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let start = Instant::now();
    runtime.block_on(tokio::task::LocalSet::new().run_until(async {
        let calls: Vec<_> = (1..=10)
            .map(|call| {
                let limiter = limiter.clone();
                tokio::task::spawn_local(async move {
                    let permit = acquire(&limiter, [1, 40]).await?;
                    println!("call {call:2} at {:3} ms", start.elapsed().as_millis());
                    permit.settle([1, 35]);
                    Ok::<(), AcquireError>(())
                })
            })
            .collect();
        for call in calls {
            call.await??;
        }
        // Nobody has to wait to the end.
        let impatient = tokio::time::timeout(Duration::from_millis(1), acquire(&limiter, [20, 0]));
        assert!(impatient.await.is_err());
        assert_eq!(limiter.stats().waiting, 0, "the place in line was given back");
        Ok::<(), Box<dyn std::error::Error>>(())
    }))
}
