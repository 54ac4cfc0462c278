//! What is promised about speed, and whether it held in this run.

/// A list of promises with what was measured. Never a test: a noisy machine can miss a bar.
#[derive(Debug)]
pub struct Bars {
    of: String,
    rows: Vec<(String, String, String, bool)>,
}

impl Bars {
    /// The bars of one crate.
    pub fn new(of: &str) -> Self {
        Self { of: of.to_owned(), rows: Vec::new() }
    }

    /// `measured` must not be above `bar`.
    pub fn at_most(&mut self, what: &str, measured: f64, bar: f64) {
        self.push(what, measured, format!("≤ {bar}"), measured <= bar);
    }

    /// `measured` must not be below `bar`.
    pub fn at_least(&mut self, what: &str, measured: f64, bar: f64) {
        self.push(what, measured, format!("≥ {bar}"), measured >= bar);
    }

    fn push(&mut self, what: &str, measured: f64, bar: String, met: bool) {
        self.rows.push((what.to_owned(), format!("{measured:.3}"), bar, met));
    }

    /// Prints the table; says whether all were met.
    pub fn finish(self) -> bool {
        println!("\n### Bars of `{}`\n\n| bar | asked | measured | |\n|---|--:|--:|---|", self.of);
        for (what, measured, bar, met) in &self.rows {
            println!(
                "| {what} | {bar} | {measured} | {} |",
                if *met { "met" } else { "**missed**" }
            );
        }
        self.rows.iter().all(|row| row.3)
    }
}
