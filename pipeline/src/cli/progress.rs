//! What a person sees while a run goes on: a line for each stage on a terminal, plain lines off it.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::board::{Board, View};
use super::events;
use super::signals::Say;
use crate::options::Observe;

/// How often a terminal is drawn to.
const FRAME: Duration = Duration::from_millis(100);
/// How often off a terminal a stage that is not over gets a line.
const LINE: Duration = Duration::from_secs(10);

/// Who shows a run, until it is dropped.
pub(super) struct Progress {
    board: Arc<Board>,
    how: How,
    shower: Option<(Sender<()>, JoinHandle<()>)>,
}

#[derive(Clone)]
enum How {
    Json,
    Bars(MultiProgress),
    Lines,
}

impl Progress {
    /// Shows what the board counts from now on.
    pub(super) fn start(board: Board, json: bool) -> Self {
        let board = Arc::new(board);
        let how = match (json, stderr().is_terminal()) {
            (true, _) => How::Json,
            (false, true) => {
                How::Bars(MultiProgress::with_draw_target(ProgressDrawTarget::stderr()))
            }
            (false, false) => How::Lines,
        };
        let shower = match &how {
            How::Json => None,
            How::Bars(all) => {
                let mut bars = Bars { all: all.clone(), each: Vec::new() };
                show(&board, move |views| bars.draw(views))
            }
            How::Lines => {
                let mut lines = Lines { over: Vec::new(), last: Instant::now() };
                show(&board, move |views| lines.draw(views))
            }
        };
        Progress { board, how, shower }
    }

    /// For [`Options::observe`](crate::Options).
    pub(super) fn observer(&self) -> Observe {
        let board = Arc::clone(&self.board);
        let json = matches!(self.how, How::Json);
        Arc::new(move |event| {
            if json {
                events::tell(&board, event);
            } else {
                board.count(event);
            }
        })
    }

    /// For a word in between.
    pub(super) fn say(&self) -> Say {
        match self.how.clone() {
            How::Bars(bars) => Box::new(move |text| drop(bars.println(text))),
            How::Json | How::Lines => Box::new(|text| eprintln!("{text}")),
        }
    }
}

/// The last look stays on the screen.
impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.shower.take() {
            drop(stop);
            // A shower that panicked has shown less; the run is not to blame.
            let _ = thread.join();
        }
    }
}

/// Calls `draw` again and again on a thread of its own. Without one nothing is shown: the run goes
/// on.
fn show(
    board: &Arc<Board>,
    mut draw: impl FnMut(&[View]) + Send + 'static,
) -> Option<(Sender<()>, JoinHandle<()>)> {
    let board = Arc::clone(board);
    let (stop, stopped): (Sender<()>, Receiver<()>) = channel();
    let work = move || {
        let mut looks = || draw(&board.look(Instant::now()));
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(FRAME) {
            looks();
        }
        looks();
    };
    let thread = thread::Builder::new().name("progress".into()).spawn(work).ok()?;
    Some((stop, thread))
}

/// A bar for each stage.
struct Bars {
    all: MultiProgress,
    each: Vec<ProgressBar>,
}

impl Bars {
    fn draw(&mut self, views: &[View]) {
        if self.each.is_empty() {
            let name = views.iter().map(|view| view.name.chars().count()).max().unwrap_or_default();
            self.each = views.iter().map(|view| self.add(format!("{:name$}", view.name))).collect();
        }
        let share = views.iter().map(|view| view.share().len()).max().unwrap_or_default();
        for (bar, view) in self.each.iter().zip(views) {
            // A stage whose items are not known yet has done nothing of nothing.
            bar.set_length(view.steps.max(1));
            bar.set_position(view.ended);
            bar.set_message(format!("{:>share$}  {}", view.share(), view.remarks()));
            bar.tick();
        }
    }

    fn add(&self, name: String) -> ProgressBar {
        let bar = self.all.add(ProgressBar::new(1));
        // Without colours where there are none: indicatif asks the terminal and `NO_COLOR`.
        if let Ok(style) = ProgressStyle::with_template("{prefix}  {bar:24.green/dim}  {msg}") {
            bar.set_style(style.progress_chars("━━─"));
        }
        bar.set_prefix(name);
        bar
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.each.iter().for_each(ProgressBar::abandon);
    }
}

/// A line when a stage is over, and now and then for those that are not.
struct Lines {
    over: Vec<String>,
    last: Instant,
}

impl Lines {
    fn draw(&mut self, views: &[View]) {
        let due = self.last.elapsed() >= LINE;
        if due {
            self.last = Instant::now();
        }
        let width = views.iter().map(|view| view.name.chars().count()).max().unwrap_or_default();
        for view in views {
            let new = view.is_over() && !self.over.contains(&view.name);
            if new {
                self.over.push(view.name.clone());
            }
            if new || due && !view.is_over() {
                let line = format!("{:width$}  {}  {}", view.name, view.share(), view.remarks());
                eprintln!("{}", line.trim_end());
            }
        }
    }
}
