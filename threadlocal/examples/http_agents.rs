//! A pool of workers, each with an HTTP agent of its own, whose credentials are rotated.
//!
//! `cargo run -p threadlocal --example http_agents`
//!
//! A service takes one token at a time and closes the door on the one before. The owner puts the new
//! token where the maker finds it and calls `invalidate`: every worker finishes the request in hand,
//! and its next one goes out on an agent that was built with the new token. A worker that is turned
//! away all the same (it was under way when the token changed) discards its agent and tries again.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;

use threadlocal::{PerThread, UseError};
use ureq::Agent;

/// A worker's own client: an agent, and the token that it was built with.
struct Client {
    agent: Agent,
    url: String,
    bearer: String,
}

impl Client {
    fn ask(&mut self, question: usize) -> Result<String, ureq::Error> {
        let url = format!("{}/{question}", self.url);
        let answer = self.agent.get(url).header("Authorization", &self.bearer).call()?;
        answer.into_body().read_to_string()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let valid = Arc::new(RwLock::new("token-1".to_owned())); // the service's, and the owner's
    let service = start_service(Arc::clone(&valid))?;

    let token = Arc::clone(&valid);
    let clients = PerThread::new(move || {
        let bearer = format!("Bearer {}", read(&token));
        println!("{:?} builds an agent for {bearer:?}", thread::current().id());
        let agent = Agent::config_builder().user_agent("http_agents").build().into();
        Ok::<_, ureq::Error>(Client { agent, url: format!("http://{service}"), bearer })
    });

    let workers = (0..3).map(|worker| {
        let clients = clients.clone();
        thread::spawn(move || -> Result<usize, UseError<ureq::Error>> {
            let mut mine = clients.local();
            let mut turned_away = 0;
            for question in 0..50 {
                // `with` says whether there was a client, its answer what the client said.
                while let Err(error) = mine.with(|client| client.ask(worker * 50 + question))? {
                    turned_away += 1;
                    assert!(matches!(error, ureq::Error::StatusCode(401)), "{error}");
                    clients.discard();
                }
            }
            Ok(turned_away)
        })
    });
    let workers: Vec<_> = workers.collect();

    for rotation in 2..5 {
        thread::sleep(std::time::Duration::from_millis(5)); // let them work for a while
        *valid.write().unwrap_or_else(PoisonError::into_inner) = format!("token-{rotation}");
        clients.invalidate();
        println!("the token is token-{rotation} now; {} agents are left", clients.len());
    }
    for worker in workers {
        let turned_away = worker.join().expect("no worker panics")?;
        println!("a worker has its 50 answers, was turned away {turned_away} times");
    }
    assert_eq!(clients.len(), 0, "joined: every agent has ended with its thread");
    Ok(())
}

fn read(token: &RwLock<String>) -> String {
    token.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// An HTTP service on this machine that answers whoever shows the valid token.
fn start_service(valid: Arc<RwLock<String>>) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let valid = Arc::clone(&valid);
            thread::spawn(move || serve(&stream, &valid));
        }
    });
    Ok(address)
}

/// Answers the requests of one connection until its client hangs up.
fn serve(stream: &std::net::TcpStream, valid: &RwLock<String>) -> std::io::Result<()> {
    let (mut lines, mut answers) = (BufReader::new(stream).lines(), stream);
    let mut authorized = false;
    while let Some(line) = lines.next().transpose()? {
        if let Some((name, value)) = line.split_once(": ") {
            let expected = format!("Bearer {}", read(valid));
            authorized |= name.eq_ignore_ascii_case("authorization") && value == expected;
        }
        if line.is_empty() {
            let status = if authorized { "200 OK" } else { "401 Unauthorized" };
            write!(answers, "HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n42")?;
            authorized = false;
        }
    }
    Ok(())
}
