//! What is promised about speed, and whether it held in this run.

/// A list of promises with what was measured. Never a test: a noisy machine can miss a bar.
#[derive(Debug)]
pub struct Bars {
    of: String,
    rows: Vec<(String, String, String, bool)>,
}

/// A figure, with its quartiles where it is the median of many.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    median: f64,
    quartiles: Option<(f64, f64)>,
}

impl Measured {
    /// The median and quartiles of what each round gave.
    pub fn of(mut all: Vec<f64>) -> Self {
        all.sort_by(f64::total_cmp);
        let at = |quarter: usize| all[(all.len() - 1) * quarter / 4];
        Self { median: all[all.len() / 2], quartiles: Some((at(1), at(3))) }
    }
}

impl From<f64> for Measured {
    fn from(median: f64) -> Self {
        Self { median, quartiles: None }
    }
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3}", self.median)?;
        match self.quartiles {
            Some((low, high)) => write!(f, " (quartiles {low:.3} to {high:.3})"),
            None => Ok(()),
        }
    }
}

impl Bars {
    /// The bars of one crate.
    pub fn new(of: &str) -> Self {
        Self { of: of.to_owned(), rows: Vec::new() }
    }

    /// `measured` must not be above `bar`.
    pub fn at_most(&mut self, what: &str, measured: impl Into<Measured>, bar: f64) {
        let measured = measured.into();
        self.push(what, &measured, format!("≤ {bar}"), measured.median <= bar);
    }

    /// `measured` must not be below `bar`.
    pub fn at_least(&mut self, what: &str, measured: impl Into<Measured>, bar: f64) {
        let measured = measured.into();
        self.push(what, &measured, format!("≥ {bar}"), measured.median >= bar);
    }

    fn push(&mut self, what: &str, measured: &Measured, bar: String, met: bool) {
        self.rows.push((what.to_owned(), measured.to_string(), bar, met));
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
