//! One workload, several entries, interleaved rounds.

use crate::Measured;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// How much to measure.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Rounds of each contest; an odd number, so that the median is a round that happened.
    pub rounds: usize,
    /// A smoke run: it shows that everything works, its figures mean little.
    pub quick: bool,
}

impl Settings {
    /// `--quick` runs three short rounds, otherwise eleven.
    pub fn from_args() -> Self {
        let quick = std::env::args().any(|argument| argument == "--quick");
        Self { rounds: if quick { 3 } else { 11 }, quick }
    }

    /// `full` operations, or a fiftieth of them in a smoke run.
    pub fn scaled(&self, full: u64) -> u64 {
        if self.quick { (full / 50).max(1) } else { full }
    }
}

type Work<'a> = Box<dyn FnMut() -> u64 + 'a>;

/// A workload and those who do it. The first entry is ours.
pub struct Contest<'a> {
    title: String,
    entries: Vec<(String, Work<'a>)>,
}

impl<'a> Contest<'a> {
    /// A contest; the title stands above its table.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), entries: Vec::new() }
    }

    /// Adds an entry: `work` does the whole workload and returns how many operations it was.
    #[must_use]
    pub fn entry(mut self, name: &str, work: impl FnMut() -> u64 + 'a) -> Self {
        self.entries.push((name.to_owned(), Box::new(work)));
        self
    }

    /// Runs every entry once to warm up, then in interleaved rounds, and prints the table.
    pub fn run(mut self, settings: &Settings) -> Outcome {
        let count = self.entries.len();
        let mut samples = vec![Vec::with_capacity(settings.rounds); count];
        for (_, work) in &mut self.entries {
            work();
        }
        for round in 0..settings.rounds {
            for turn in 0..count {
                let index = (round + turn) % count;
                samples[index].push(Sample::of(&mut self.entries[index].1));
            }
        }
        let figures = self
            .entries
            .iter()
            .zip(samples)
            .map(|((name, _), samples)| Figures { name: name.clone(), samples })
            .collect();
        let outcome = Outcome { title: self.title, figures };
        outcome.print();
        outcome.record();
        outcome
    }
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    wall_ns: f64,
    cpu_ns: f64,
}

impl Sample {
    fn of(work: &mut Work<'_>) -> Self {
        let (cpu, start) = (cpu_time(), Instant::now());
        let operations = work() as f64;
        let (wall, cpu) = (start.elapsed(), cpu_time().saturating_sub(cpu));
        Self {
            wall_ns: wall.as_nanos() as f64 / operations,
            cpu_ns: cpu.as_nanos() as f64 / operations,
        }
    }
}

/// CPU time of this process and of the children it has waited for.
fn cpu_time() -> Duration {
    let own = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let own = Duration::new(own.tv_sec.unsigned_abs(), own.tv_nsec.unsigned_abs() as u32);
    own + children_cpu_time()
}

/// Fields 16 and 17 of `/proc/self/stat` in clock ticks of 10 ms (`man 5 proc`).
fn children_cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 =
        after_name.split(' ').skip(13).take(2).filter_map(|f| f.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// What one entry's rounds gave, in nanoseconds an operation.
#[derive(Debug)]
pub struct Figures {
    name: String,
    samples: Vec<Sample>,
}

impl Figures {
    /// Median wall time of an operation.
    pub fn median_ns(&self) -> f64 {
        median(self.samples.iter().map(|s| s.wall_ns).collect())
    }

    /// Median CPU time of an operation, all threads and waited-for children together.
    pub fn cpu_ns(&self) -> f64 {
        median(self.samples.iter().map(|s| s.cpu_ns).collect())
    }

    fn to_json(&self) -> serde_json::Value {
        let (low, high) = self.spread();
        serde_json::json!({
            "name": self.name, "median_ns": self.median_ns(), "low_ns": low, "high_ns": high, "cpu_ns": self.cpu_ns(),
        })
    }

    fn spread(&self) -> (f64, f64) {
        let all = self.samples.iter().map(|s| s.wall_ns);
        (all.clone().fold(f64::INFINITY, f64::min), all.fold(0.0, f64::max))
    }
}

/// A contest that was run.
#[derive(Debug)]
pub struct Outcome {
    title: String,
    figures: Vec<Figures>,
}

impl Outcome {
    /// The figures of one entry.
    ///
    /// # Panics
    /// When there is no such entry: a mistake in the bench itself.
    pub fn figures(&self, name: &str) -> &Figures {
        self.figures.iter().find(|f| f.name == name).unwrap_or_else(|| panic!("no entry {name:?}"))
    }

    /// Time of `name` ÷ time of `other`: the median of the rounds' own ratios. Below 1, `name` is faster.
    pub fn ratio(&self, name: &str, other: &str) -> f64 {
        median(self.ratios(name, other))
    }

    /// The same with the quartiles of the rounds' ratios.
    pub fn compared(&self, name: &str, other: &str) -> Measured {
        Measured::of(self.ratios(name, other))
    }

    fn ratios(&self, name: &str, other: &str) -> Vec<f64> {
        let (a, b) = (self.figures(name), self.figures(other));
        a.samples.iter().zip(&b.samples).map(|(a, b)| a.wall_ns / b.wall_ns).collect()
    }

    /// Appends the figures, a JSON object a line, to the file that `RATCHET_BENCH_JSON` names.
    fn record(&self) {
        let Some(path) = std::env::var_os("RATCHET_BENCH_JSON") else { return };
        let entries: Vec<_> = self.figures.iter().map(Figures::to_json).collect();
        let line = serde_json::json!({ "title": self.title, "entries": entries });
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
        if let Err(error) = file.and_then(|mut file| writeln!(file, "{line}")) {
            eprintln!("cannot write {}: {error}", path.display());
        }
    }

    fn print(&self) {
        let ours = &self.figures[0].name;
        println!("\n### {}\n", self.title);
        println!("| | median | lowest to highest | CPU | ÷ {ours} |");
        println!("|---|--:|--:|--:|--:|");
        for figures in &self.figures {
            let (low, high) = figures.spread();
            println!(
                "| {} | {} | {} to {} | {} | {:.2} |",
                figures.name,
                time(figures.median_ns()),
                time(low),
                time(high),
                time(figures.cpu_ns()),
                self.ratio(&figures.name, ours),
            );
        }
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn time(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns:.1} ns"),
        ns if ns < 1e6 => format!("{:.2} µs", ns / 1e3),
        ns if ns < 1e9 => format!("{:.2} ms", ns / 1e6),
        ns => format!("{:.2} s", ns / 1e9),
    }
}
