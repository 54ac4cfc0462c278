//! A real thing built on the crate: a crawler that follows links, with a client for each worker, retries
//! that no worker waits out, and results as they come.
//!
//! `cargo run -p workqueue --example link_checker`

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use workqueue::{Context, Outcome, Step, WorkQueue};

/// A page to look at.
#[derive(Debug, Clone)]
struct Page {
    path: String,
    attempt: u32,
}

/// Stands in for an HTTP client: one for each worker, since it need not be shareable.
struct Client {
    site: Arc<BTreeMap<&'static str, Vec<&'static str>>>,
}

enum Answer {
    Links(Vec<String>),
    Busy,
    Missing,
}

impl Client {
    fn get(&self, page: &Page) -> Answer {
        match self.site.get(page.path.as_str()) {
            // The server is busy at the first call for this page.
            Some(_) if page.path == "/news" && page.attempt == 1 => Answer::Busy,
            Some(links) => Answer::Links(links.iter().map(ToString::to_string).collect()),
            None => Answer::Missing,
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let site = Arc::new(BTreeMap::from([
        ("/", vec!["/about", "/news", "/prices"]),
        ("/about", vec!["/", "/team"]),
        ("/news", vec!["/", "/archive"]),
        ("/prices", vec!["/"]),
        ("/team", vec!["/about"]),
    ]));
    let seen = Mutex::new(HashSet::from(["/".to_owned()]));

    let queue = WorkQueue::builder().workers(3).name("crawler").start_with(
        move |_worker| Client { site: site.clone() },
        move |client: &mut Client, page: Page, context: &Context<Page>| match client.get(&page) {
            Answer::Busy => {
                let delay = Duration::from_millis(5) * page.attempt;
                Step::Again(Page { attempt: page.attempt + 1, ..page }, delay)
            }
            Answer::Missing => Step::Done(Err(format!("{} is missing", page.path))),
            Answer::Links(links) => {
                for path in links {
                    let new =
                        seen.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone());
                    // Refused only after a cancel, and then nobody waits for it.
                    if new && context.spawn(Page { path, attempt: 1 }).is_err() {
                        break;
                    }
                }
                Step::Done(Ok((page.path, page.attempt)))
            }
        },
    )?;
    queue.submit(Page { path: "/".to_owned(), attempt: 1 })?;
    queue.close(); // what the first page leads to still runs

    for outcome in queue.completed() {
        match outcome {
            Outcome::Done { worker, value: Ok((path, attempt)), .. } => {
                println!("{path} is fine (attempt {attempt}, worker {worker})");
            }
            Outcome::Done { value: Err(reason), .. } => println!("broken link: {reason}"),
            Outcome::Panicked(report) => println!("{report}"),
        }
    }
    let stats = queue.wait_completion().stats();
    println!("{} pages", stats.done);
    Ok(())
}
