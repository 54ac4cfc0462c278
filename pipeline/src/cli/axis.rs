//! The time axis of a drawing, without the times in which nothing ran.

use std::time::Duration;

use super::human;
use super::timeline::Row;

/// A pause longer than this part of all that ran is cut out: a run that goes on the next day would
/// be two dots otherwise.
const LONG: u64 = 10;
/// So many marks at the most.
const TICKS: u64 = 8;

/// Where on a drawing a moment lies.
pub(super) struct Axis {
    parts: Vec<Part>,
    /// Microseconds of all parts.
    length: u64,
}

/// Something ran, all the time or nearly.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    begin: u64,
    end: u64,
    /// The lengths of those before it.
    before: u64,
}

impl Axis {
    /// For all slices of the rows; `None` if there are none.
    pub(super) fn of(rows: &[Row]) -> Option<Self> {
        let slices = rows.iter().flat_map(|row| &row.slices);
        let mut spans: Vec<(u64, u64)> = slices.map(|slice| (slice.begin, slice.end)).collect();
        spans.sort_unstable();
        let (first, last) = (*spans.first()?, spans.iter().map(|(_, end)| *end).max()?);
        let busy: u64 = joined(&spans, 0).iter().map(|(begin, end)| end - begin).sum();
        // Of a run of which nothing took any time: the whole of it.
        let longest = if busy == 0 { last - first.0 } else { busy / LONG };
        let (mut parts, mut before) = (Vec::new(), 0);
        for (begin, end) in joined(&spans, longest) {
            parts.push(Part { begin, end, before });
            before += end - begin;
        }
        Some(Axis { parts, length: before.max(1) })
    }

    /// From 0 to 1.
    pub(super) fn at(&self, moment: u64) -> f64 {
        let after = self.parts.partition_point(|part| part.begin <= moment);
        let Some(part) = after.checked_sub(1).map(|n| self.parts[n]) else { return 0.0 };
        (part.before + moment.min(part.end) - part.begin) as f64 / self.length as f64
    }

    /// Where times were cut out, and how long they were.
    pub(super) fn cuts(&self) -> impl Iterator<Item = (f64, Duration)> {
        self.parts.windows(2).map(|two| {
            let length = Duration::from_micros(two[1].begin - two[0].end);
            (self.at(two[1].begin), length)
        })
    }

    /// Marks at round times.
    pub(super) fn ticks(&self) -> impl Iterator<Item = (f64, String)> {
        let step = step(self.length);
        (0..=self.length / step).map(move |n| {
            let label =
                if n == 0 { "0".to_string() } else { human::span(Duration::from_micros(n * step)) };
            ((n * step) as f64 / self.length as f64, label)
        })
    }
}

/// Spans that overlap, or that at most `gap` lies between, as one.
fn joined(spans: &[(u64, u64)], gap: u64) -> Vec<(u64, u64)> {
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for &(begin, end) in spans {
        match joined.last_mut() {
            Some(last) if begin <= last.1.saturating_add(gap) => last.1 = last.1.max(end),
            _ => joined.push((begin, end)),
        }
    }
    joined
}

/// The shortest round time of which there are not too many.
fn step(length: u64) -> u64 {
    const ROUND: [u64; 20] = [
        1_000,
        2_000,
        5_000,
        10_000,
        20_000,
        50_000,
        100_000,
        200_000,
        500_000,
        1_000_000,
        2_000_000,
        5_000_000,
        10_000_000,
        30_000_000,
        60_000_000,
        300_000_000,
        600_000_000,
        1_800_000_000,
        3_600_000_000,
        14_400_000_000,
    ];
    let round = ROUND.into_iter().find(|step| length / step < TICKS);
    round.unwrap_or_else(|| length / TICKS + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::timeline::{Kind, Slice};

    const SECOND: u64 = 1_000_000;

    fn axis(spans: &[(u64, u64)]) -> Axis {
        let slice = |&(begin, end): &(u64, u64)| Slice {
            begin: begin * SECOND,
            end: end * SECOND,
            kind: Kind::Done,
            item: String::new(),
            attempt: 1,
            spent_usd: 0.0,
            cause: None,
        };
        let slices = spans.iter().map(slice).collect();
        Axis::of(&[Row { stage: String::new(), worker: 1, slices }]).unwrap()
    }

    #[test]
    fn long_pauses_are_cut_out_and_short_ones_stay() {
        let axis = axis(&[(100, 110), (111, 120), (90_000, 90_020)]);
        let cuts: Vec<String> = axis.cuts().map(|cut| format!("{cut:?}")).collect();
        assert_eq!(cuts, ["(0.5, 89880s)"]);
        let at = |second: u64| format!("{:.2}", axis.at(second * SECOND));
        assert_eq!([100, 110, 120].map(at), ["0.00", "0.25", "0.50"]);
        assert_eq!([5_000, 90_000, 90_010].map(at), ["0.50", "0.50", "0.75"]);
        assert_eq!([0, 90_020, 99_999].map(at), ["0.00", "1.00", "1.00"]);
    }

    #[test]
    fn what_overlaps_counts_once() {
        let axis = axis(&[(0, 10), (2, 5), (8, 20)]);
        assert_eq!((axis.parts.len(), axis.length), (1, 20 * SECOND));
    }

    #[test]
    fn marks_are_round_and_few() {
        let labels = |seconds| {
            let axis = axis(&[(0, seconds)]);
            axis.ticks().map(|(_, label)| label).collect::<Vec<_>>()
        };
        assert_eq!(labels(6), ["0", "1.0 s", "2.0 s", "3.0 s", "4.0 s", "5.0 s", "6.0 s"]);
        assert_eq!(labels(100), ["0", "30 s", "1 min", "1 min 30 s"]);
        for length in [1, 999, 70_000, 123_456_789_012, u64::MAX / 2] {
            assert!(length / step(length) <= TICKS, "{length}");
        }
    }

    #[test]
    fn a_run_of_no_time_is_a_point() {
        let axis = axis(&[(5, 5)]);
        assert_eq!(format!("{:.2}", axis.at(5 * SECOND)), "0.00");
        assert_eq!(axis.ticks().count(), 1);
    }
}
