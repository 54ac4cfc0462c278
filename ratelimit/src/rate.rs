//! How fast a limit refills and how much it holds.

use crate::{RateError, bucket::Limit};
use std::time::Duration;

/// One second.
pub const SECOND: Duration = Duration::from_secs(1);
/// One minute: the window of most providers' limits, as in [`Rate::at_most`]`(500, MINUTE)`.
pub const MINUTE: Duration = Duration::from_secs(60);
/// One hour.
pub const HOUR: Duration = Duration::from_secs(60 * 60);
/// One day.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const SECOND_NS: u64 = 1_000_000_000;
const DAY_NS: u64 = 86_400 * SECOND_NS;
const YEAR_NS: u64 = 366 * DAY_NS;
/// A fraction of a permit per second or minute is kept to this many parts.
const PARTS: u64 = 10_000_000;

/// A limit's rate and burst. Checked when the limiter is built or the rate is set, not here.
///
/// Rates go from one a day to 10⁹ a second. Unless [`burst`](Rate::burst) says otherwise, a limit
/// holds one second's worth, at least 1: a larger burst lets an idle caller send more than the rate
/// in the next window, which is what providers answer with 429. To keep under a provider's
/// `n per window`, whatever the pauses between calls, say [`Rate::at_most`].
///
/// Integers are kept exactly. A fractional rate is kept to seven digits.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Rate {
    shape: Shape,
    burst: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    /// So many per unit of so many nanoseconds.
    Number(f64, u64),
    /// An integer amount per period.
    Amount(u64, Duration),
    /// No window of this length sees more than this amount.
    Window(u64, Duration),
}

impl Rate {
    /// `rate` permits a second.
    pub fn per_second(rate: impl Into<f64>) -> Self {
        Self { shape: Shape::Number(rate.into(), SECOND_NS), burst: None }
    }

    /// `rate` permits a minute.
    pub fn per_minute(rate: impl Into<f64>) -> Self {
        Self { shape: Shape::Number(rate.into(), 60 * SECOND_NS), burst: None }
    }

    /// `amount` permits every `period`.
    pub fn per(amount: u64, period: Duration) -> Self {
        Self { shape: Shape::Amount(amount, period), burst: None }
    }

    /// Whatever the pauses between calls, no stretch of time as long as `window` sees more than
    /// `amount`: burst and rate are chosen together.
    ///
    /// With a burst of `b` the rate is `amount + 1 − b` every `window` and a nanosecond: a window
    /// then sees at most `b` plus less than `amount + 1 − b`. `b` is one second's worth, but at most
    /// a tenth of the amount and at least 1; the larger the burst, the slower the rate, so raise it
    /// no further than the largest single cost needs. `at_most(500, MINUTE)` grants 493 a minute
    /// in bursts of 8; `at_most(1, MINUTE)` grants one in more than a minute.
    pub fn at_most(amount: u64, window: Duration) -> Self {
        Self { shape: Shape::Window(amount, window), burst: None }
    }

    /// The most that the limit holds, and so the largest cost that it ever grants at once.
    pub fn burst(self, burst: u64) -> Self {
        Self { burst: Some(burst), ..self }
    }

    /// The limit that this describes, exactly, or what is wrong with it.
    pub(crate) fn limit(self) -> Result<Limit, RateError> {
        if self.burst == Some(0) {
            return Err(RateError::ZeroBurst);
        }
        match self.shape {
            Shape::Number(rate, unit_ns) => {
                let (amount, period) = fraction(rate, unit_ns)?;
                steady(amount, period, self.burst)
            }
            Shape::Amount(amount, period) => steady(amount, period, self.burst),
            Shape::Window(amount, window) => windowed(amount, window, self.burst),
        }
    }
}

/// A limit of one second's worth, unless told otherwise.
fn steady(amount: u64, period: Duration, burst: Option<u64>) -> Result<Limit, RateError> {
    let (amount, period_ns) = reduced(amount, period)?;
    let burst = burst.unwrap_or_else(|| seconds_worth(amount, period_ns).max(1));
    Ok(Limit::new(amount, period_ns, burst))
}

/// A limit under which no window of the length sees more than the amount.
fn windowed(amount: u64, window: Duration, burst: Option<u64>) -> Result<Limit, RateError> {
    let (reduced_amount, period_ns) = reduced(amount, window)?;
    let second = seconds_worth(reduced_amount, period_ns);
    let burst = burst.unwrap_or_else(|| second.min(amount / 10).max(1));
    if burst > amount {
        return Err(RateError::BurstAboveWindow { burst, at_most: amount });
    }
    let longer = window.saturating_add(Duration::from_nanos(1));
    let (amount, period_ns) = in_year(amount - burst + 1, longer)?;
    Ok(Limit::new(amount, period_ns, burst))
}

/// `rate` per `unit_ns` as an integer amount per period.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked first"
)]
fn fraction(rate: f64, unit_ns: u64) -> Result<(u64, Duration), RateError> {
    if !rate.is_finite() || rate <= 0.0 {
        return Err(RateError::NotPositive { rate });
    }
    let per_second = rate / (unit_ns as f64 / SECOND_NS as f64);
    if per_second > 1e9 * (1.0 + 1e-12) {
        return Err(RateError::TooFast { per_second });
    }
    let per_day = per_second * 86_400.0;
    if per_day < 1.0 - 1e-9 {
        return Err(RateError::TooSlow { per_day });
    }
    if rate.fract() == 0.0 {
        return Ok((rate as u64, Duration::from_nanos(unit_ns)));
    }
    if rate < 1.0 {
        let period_ns = (unit_ns as f64 / rate).round() as u64;
        return Ok((1, Duration::from_nanos(period_ns)));
    }
    // A unit of a minute at 10⁷ parts is 6·10¹⁷ ns, above a year: a minute gets a sixtieth.
    let parts = PARTS * SECOND_NS / unit_ns;
    Ok(((rate * parts as f64).round() as u64, Duration::from_nanos(unit_ns * parts)))
}

/// The same rate with the shortest period, in range.
fn reduced(amount: u64, period: Duration) -> Result<(u64, u64), RateError> {
    if period.is_zero() {
        return Err(RateError::ZeroPeriod);
    }
    let per_second = amount as f64 / period.as_secs_f64();
    if amount == 0 {
        return Err(RateError::NotPositive { rate: 0.0 });
    }
    if u128::from(amount) > period.as_nanos() {
        return Err(RateError::TooFast { per_second });
    }
    if u128::from(amount) * u128::from(DAY_NS) < period.as_nanos() {
        return Err(RateError::TooSlow { per_day: per_second * 86_400.0 });
    }
    in_year(amount, period)
}

fn in_year(amount: u64, period: Duration) -> Result<(u64, u64), RateError> {
    let period_ns = period.as_nanos();
    let divisor = gcd(u128::from(amount), period_ns);
    match u64::try_from(period_ns / divisor) {
        #[expect(clippy::cast_possible_truncation, reason = "a quotient of a u64")]
        Ok(short) if short <= YEAR_NS => Ok(((u128::from(amount) / divisor) as u64, short)),
        _ => Err(RateError::PeriodTooLong { period }),
    }
}

fn seconds_worth(amount: u64, period_ns: u64) -> u64 {
    let worth = u128::from(amount) * u128::from(SECOND_NS) / u128::from(period_ns);
    u64::try_from(worth).unwrap_or(u64::MAX)
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(rate: Rate) -> (u64, u64, u64) {
        let limit = rate.limit().unwrap();
        (limit.amount(), limit.period_ns(), limit.burst())
    }

    #[test]
    fn rates_become_exact_fractions() {
        assert_eq!(limit(Rate::per_second(10)), (1, 100_000_000, 10));
        assert_eq!(limit(Rate::per_second(0.1)), (1, 10_000_000_000, 1));
        assert_eq!(limit(Rate::per_second(2.5)), (1, 400_000_000, 2));
        assert_eq!(limit(Rate::per_minute(500)), (1, 120_000_000, 8));
        assert_eq!(limit(Rate::per_minute(0.5)), (1, 120_000_000_000, 1));
        assert_eq!(limit(Rate::per_second(1e9)), (1, 1, 1_000_000_000));
        assert_eq!(limit(Rate::per(1, DAY)), (1, DAY_NS, 1));
        assert_eq!(limit(Rate::per_second(1.0 / 86_400.0)), (1, DAY_NS, 1));
        assert_eq!(limit(Rate::per(3, SECOND).burst(7)), (3, SECOND_NS, 7));
    }

    #[test]
    fn a_window_gets_burst_and_rate_together() {
        assert_eq!(limit(Rate::at_most(1, MINUTE)), (1, 60 * SECOND_NS + 1, 1));
        assert_eq!(limit(Rate::at_most(500, MINUTE)), (493, 60 * SECOND_NS + 1, 8));
        assert_eq!(limit(Rate::at_most(10, SECOND)), (10, SECOND_NS + 1, 1));
        assert_eq!(limit(Rate::at_most(10, MINUTE).burst(10)), (1, 60 * SECOND_NS + 1, 10));
        assert_eq!(limit(Rate::at_most(1, DAY)), (1, DAY_NS + 1, 1));
        let (amount, period, burst) = limit(Rate::at_most(200_000, MINUTE).burst(20_000));
        assert_eq!((amount, period, burst), (180_001, 60 * SECOND_NS + 1, 20_000));
    }

    #[test]
    fn the_ends_of_the_range_belong_to_it() {
        use RateError::*;
        assert_eq!(limit(Rate::per(1_000_000_000, SECOND)), (1, 1, 1_000_000_000));
        assert!(matches!(Rate::per(1_000_000_001, SECOND).limit(), Err(TooFast { .. })));
        assert_eq!(limit(Rate::per_minute(6e10)), (1, 1, 1_000_000_000));
        assert!(matches!(Rate::per_minute(6.1e10).limit(), Err(TooFast { .. })));
        assert_eq!(limit(Rate::per_minute(1.0 / 1440.0)), (1, DAY_NS, 1));
        assert!(matches!(Rate::per_second(0.99 / 86_400.0).limit(), Err(TooSlow { .. })));
        let year = Duration::from_nanos(YEAR_NS);
        assert_eq!(limit(Rate::per(1009, year)), (1009, YEAR_NS, 1));
        let longer = Rate::per(1009, year + Duration::from_nanos(1)).limit();
        assert!(matches!(longer, Err(PeriodTooLong { .. })));
        // A fraction above one: seven digits a second, and a minute's sixtieth of that.
        assert_eq!(limit(Rate::per_second(1.000_000_1)), (10_000_001, 10_000_000 * SECOND_NS, 1));
        let (amount, period, burst) = limit(Rate::per_minute(90.000_1));
        assert_eq!((amount, period, burst), (14_999_957, 166_666 * 60 * SECOND_NS, 1));
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        use RateError::*;
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(matches!(Rate::per_second(wrong).limit(), Err(NotPositive { .. })), "{wrong}");
        }
        assert!(matches!(Rate::per_second(1.1e9).limit(), Err(TooFast { .. })));
        assert_eq!(Rate::per_second(1e30).limit(), Err(TooFast { per_second: 1e30 }));
        let longer_than_a_day = DAY + Duration::from_nanos(1);
        assert!(matches!(Rate::per(1, longer_than_a_day).limit(), Err(TooSlow { .. })));
        assert!(matches!(Rate::per(2, Duration::from_nanos(1)).limit(), Err(TooFast { .. })));
        assert!(matches!(Rate::per_minute(0.0005).limit(), Err(TooSlow { .. })));
        assert!(matches!(Rate::per(1, DAY * 2).limit(), Err(TooSlow { .. })));
        assert!(matches!(Rate::per(1, Duration::MAX).limit(), Err(TooSlow { .. })));
        assert!(matches!(Rate::per(0, SECOND).limit(), Err(NotPositive { .. })));
        assert!(matches!(Rate::at_most(0, SECOND).limit(), Err(NotPositive { .. })));
        assert!(matches!(Rate::per(1, Duration::ZERO).limit(), Err(ZeroPeriod)));
        assert!(matches!(Rate::per_second(1).burst(0).limit(), Err(ZeroBurst)));
        let odd = Rate::per(1_000_003, DAY * 1_000_000 + Duration::from_nanos(1)).limit();
        assert!(matches!(odd, Err(PeriodTooLong { .. })));
        assert_eq!(
            Rate::at_most(5, MINUTE).burst(6).limit(),
            Err(BurstAboveWindow { burst: 6, at_most: 5 })
        );
    }

    #[test]
    fn a_refusal_tells_the_rate() {
        use RateError::*;
        let fast = Rate::per(6_000_000_000, SECOND * 2).limit();
        assert_eq!(fast, Err(TooFast { per_second: 3e9 }));
        assert_eq!(Rate::per(1, DAY * 2).limit(), Err(TooSlow { per_day: 0.5 }));
        let slow = Rate::per_second(1e-30).limit();
        assert_eq!(slow, Err(TooSlow { per_day: 1e-30 * 86_400.0 }));
    }
}
