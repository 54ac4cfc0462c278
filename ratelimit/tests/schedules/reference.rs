//! What a limiter must do, as plainly as it can be said: exact fractions, nothing planned ahead.
//!
//! Written without the crate's own arithmetic: levels are fractions of permits, and when somebody's
//! turn is gets worked out anew whenever time moves.

/// A fraction; in lowest terms when made by [`Q::new`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Q(i128, i128);

impl Q {
    pub(crate) fn new(n: i128, d: i128) -> Self {
        let g = gcd(n.abs(), d);
        Self(n / g, d / g)
    }
    pub(crate) fn int(n: i128) -> Self {
        Self(n, 1)
    }
    pub(crate) fn plus(self, b: Self) -> Self {
        match (self.1, b.1) {
            (c, d) if c == d => Self(self.0 + b.0, c),
            (c, 1) => Self(self.0 + b.0 * c, c),
            (1, d) => Self(self.0 * d + b.0, d),
            (c, d) => Q::new(self.0 * d + b.0 * c, c * d),
        }
    }
    pub(crate) fn minus(self, b: Self) -> Self {
        self.plus(Self(-b.0, b.1))
    }
    pub(crate) fn times(self, n: i128) -> Self {
        Self(self.0 * n, self.1)
    }
    pub(crate) fn at_most(self, b: Self) -> bool {
        self.minus(b).0 <= 0
    }
    pub(crate) fn min(self, b: Self) -> Self {
        if self.at_most(b) { self } else { b }
    }
    pub(crate) fn floor(self) -> i128 {
        self.0.div_euclid(self.1)
    }
    /// The least whole number of times that `step` goes into this, rounded up.
    fn steps(self, step: Self) -> i128 {
        let (n, d) = (self.0 * step.1, self.1 * step.0);
        n.div_euclid(d) + i128::from(n.rem_euclid(d) != 0)
    }
}

fn gcd(a: i128, b: i128) -> i128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[derive(Clone, Debug)]
pub(crate) struct Limit {
    /// Permits a nanosecond.
    pub(crate) rate: Q,
    pub(crate) burst: u64,
    pub(crate) level: Q,
    pub(crate) paused_until: i128,
}

impl Limit {
    /// A new rate keeps what was earned, rounded down to a whole part of the new period.
    pub(crate) fn set(&mut self, rate: Q, burst: u64) {
        let parts = self.level.times(rate.1).floor();
        self.level = Q::new(parts, rate.1).min(Q::int(burst.into()));
        (self.rate, self.burst) = (rate, burst);
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) now: i128,
    pub(crate) limits: Vec<Limit>,
    pub(crate) line: Vec<(u64, Vec<u64>)>,
    /// Who was granted when, and what.
    pub(crate) grants: Vec<(u64, i128, Vec<u64>)>,
    pub(crate) held: usize,
    pub(crate) held_max: usize,
    pub(crate) next: u64,
}

impl Reference {
    fn flow(&mut self, to: i128) {
        for limit in &mut self.limits {
            let earning = (to - self.now.max(limit.paused_until)).max(0);
            let level = limit.level.plus(limit.rate.times(earning));
            limit.level = level.min(Q::int(limit.burst.into()));
        }
        self.now = to;
    }

    /// The first instant at which every level covers the cost, and the limit that takes longest.
    pub(crate) fn due(&self, cost: &[u64]) -> (i128, usize) {
        let (mut latest, mut slowest) = (self.now, 0);
        for (index, (limit, cost)) in self.limits.iter().zip(cost).enumerate() {
            let missing = Q::int((*cost).into()).minus(limit.level);
            let wait = if *cost == 0 || missing.at_most(Q::int(0)) {
                0
            } else {
                missing.steps(limit.rate)
            };
            let at = self.now.max(limit.paused_until) + wait;
            if at > latest {
                (latest, slowest) = (at, index);
            }
        }
        (latest, slowest)
    }

    /// Lets time pass: the head of the line leaves whenever it can.
    pub(crate) fn run_to(&mut self, to: i128) {
        while let Some((id, cost)) = self.line.first().cloned() {
            let (at, _) = self.due(&cost);
            if at > to.max(self.now) || self.held >= self.held_max {
                break;
            }
            self.line.remove(0);
            self.flow(at);
            self.grant(id, cost);
        }
        self.flow(to.max(self.now));
    }

    pub(crate) fn grant(&mut self, id: u64, cost: Vec<u64>) {
        for (limit, cost) in self.limits.iter_mut().zip(&cost) {
            limit.level = limit.level.minus(Q::int((*cost).into()));
        }
        self.held += 1;
        self.grants.push((id, self.now, cost));
    }

    /// A permit now, or nothing.
    pub(crate) fn try_grant(&mut self, cost: &[u64]) -> Option<u64> {
        let there =
            self.line.is_empty() && self.due(cost).0 == self.now && self.held < self.held_max;
        there.then(|| {
            self.next += 1;
            self.grant(self.next, cost.to_vec());
            self.next
        })
    }

    /// How everybody in line, and one more, would be granted if nothing changed and places were free:
    /// time and the limit that takes longest.
    pub(crate) fn forecast(&self, newcomer: Option<&[u64]>) -> Vec<(i128, usize)> {
        let mut ahead = Self { held_max: usize::MAX, grants: Vec::new(), ..self.clone() };
        let line = std::mem::take(&mut ahead.line);
        let costs = line.iter().map(|(_, cost)| cost.as_slice()).chain(newcomer);
        costs
            .map(|cost| {
                let turn = ahead.due(cost);
                ahead.flow(turn.0);
                ahead.grant(0, cost.to_vec());
                turn
            })
            .collect()
    }

    pub(crate) fn never(&self, cost: &[u64]) -> Option<usize> {
        (0..cost.len()).find(|&index| cost[index] > self.limits[index].burst)
    }

    /// A charge replaced by another.
    pub(crate) fn settle(&mut self, charged: &[u64], actual: &[u64]) {
        for (index, limit) in self.limits.iter_mut().enumerate() {
            let change = i128::from(charged[index]) - i128::from(actual[index]);
            if change != 0 {
                limit.level = limit.level.plus(Q::int(change)).min(Q::int(limit.burst.into()));
            }
        }
    }
}
