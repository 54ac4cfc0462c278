//! Rows under a heading, aligned.

use std::fmt;

/// A table for people: figures to the right, words to the left, two spaces between.
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Clone, Copy)]
pub(super) struct Column {
    heading: &'static str,
    to_the_right: bool,
}

pub(super) fn words(heading: &'static str) -> Column {
    Column { heading, to_the_right: false }
}

pub(super) fn figures(heading: &'static str) -> Column {
    Column { heading, to_the_right: true }
}

impl Table {
    pub(super) fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Table { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heading = self.columns.iter().map(|column| column.heading.to_string()).collect();
        let rows: Vec<&Vec<String>> = std::iter::once(&heading).chain(&self.rows).collect();
        let width = |n: usize| {
            let cells = rows.iter().filter_map(|row| row.get(n));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        for (n, row) in rows.iter().enumerate() {
            let mut text = String::new();
            for ((cell, column), &width) in row.iter().zip(&self.columns).zip(&widths) {
                let gap = " ".repeat(width - cell.chars().count());
                let (before, after) = if column.to_the_right { (&*gap, "") } else { ("", &*gap) };
                text.extend([before, cell, after, "  "]);
            }
            let end = if n + 1 < rows.len() { "\n" } else { "" };
            write!(f, "{}{end}", text.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new([words("stage"), figures("done"), words("why")]);
        table.row(["a".into(), "10000".into(), "x".into()]);
        table.row(["größer".into(), "7".into(), String::new()]);
        assert_eq!(table.to_string(), "stage    done  why\na       10000  x\ngrößer      7");
    }
}
