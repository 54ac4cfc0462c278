//! One schedule: the same calls to the limiter and to the reference.

use crate::reference::{Limit, Q, Reference};
use crate::windows::{self, Windows};
use ratelimit::testing::ManualClock;
use ratelimit::{AcquireError, Permit, Rate, RateLimiter, Reservation};
use std::time::Duration;

/// splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let a = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        b ^ (b >> 31)
    }
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
    fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap()
    }
    /// A rate as the limiter is told it, and as a fraction a nanosecond with its burst.
    fn rate(&mut self) -> (Rate, Q, u64) {
        let amount = 1 + self.below(40);
        let period = [1, 7, 1_000, 90_001, 1_000_000, 1_000_000_000][self.index(6)];
        let period = period.max(amount) * (1 + self.below(3));
        let rate = Q::new(amount.into(), period.into());
        let burst = 1 + self.below(20);
        let told = Rate::per(amount, Duration::from_nanos(period)).burst(burst);
        (told, rate, burst)
    }
}

struct Run<'l, const N: usize> {
    random: Random,
    limiter: &'l RateLimiter<N>,
    clock: ManualClock,
    reference: Reference,
    windows: Vec<Windows>,
    checked: usize,
    bounded: bool,
    reservations: Vec<(u64, [u64; N], Reservation<'l, N>)>,
    permits: Vec<Permit<'l, N>>,
}

pub(crate) fn schedule<const N: usize>(seed: u64) -> u64 {
    let mut random = Random(seed);
    let clock = ManualClock::new();
    let full = random.below(2) == 0;
    let held_max = if random.below(4) == 0 { 1 + random.index(4) } else { usize::MAX };
    let rates: [_; N] = std::array::from_fn(|_| random.rate());
    let mut index = 0;
    let named = rates.map(|(told, ..)| {
        index += 1;
        (format!("limit-{}", index - 1), told)
    });
    let mut builder = RateLimiter::builder(named).clock(clock.clone());
    if full {
        builder = builder.start_full();
    }
    if held_max != usize::MAX {
        builder = builder.in_flight(held_max);
    }
    let limiter = builder.build().unwrap();
    let there = |burst| if full { burst } else { 0 };
    let limits = rates.map(|(_, rate, burst)| Limit {
        rate,
        burst,
        level: Q::int(there(burst).into()),
        paused_until: 0,
    });
    let reference = Reference {
        now: 0,
        limits: limits.to_vec(),
        line: Vec::new(),
        grants: Vec::new(),
        held: 0,
        held_max,
        next: 0,
    };
    let mut run = Run {
        random,
        limiter: &limiter,
        clock,
        reference,
        windows: rates.iter().map(|(.., burst)| Windows::new(0, there(*burst))).collect(),
        checked: 0,
        bounded: held_max != usize::MAX,
        reservations: Vec::new(),
        permits: Vec::new(),
    };
    let calls = 10 + run.random.below(50);
    for _ in 0..calls {
        run.call();
        run.compare();
    }
    calls
}

impl<const N: usize> Run<'_, N> {
    fn call(&mut self) {
        match self.random.below(20) {
            0..5 => self.advance(),
            5..8 => self.try_acquire(),
            8..11 => self.reserve(),
            11..13 => self.claim(),
            13 => self.drop_reservation(),
            14 => self.settle(),
            15 => drop_some(&mut self.permits, &mut self.random, &mut self.reference),
            16 => self.pause(),
            17 => self.observe(),
            18 => self.set_rate(),
            _ => self.acquire_in_vain(),
        }
        self.settled();
    }

    /// The reference acts on what changed, and what it granted is checked.
    fn settled(&mut self) {
        self.reference.run_to(self.reference.now);
        windows::check(&mut self.windows, &self.reference, self.checked);
        self.checked = self.reference.grants.len();
    }

    fn cost(&mut self) -> [u64; N] {
        std::array::from_fn(|index| {
            let burst = self.reference.limits[index].burst;
            self.random.below(burst + 1 + burst / 10)
        })
    }

    fn name(&self, limit: usize) -> &str {
        &self.limiter.names()[limit]
    }

    fn advance(&mut self) {
        let now = self.reference.now;
        let to = match self.random.below(8) {
            0 => now + i128::from(self.random.below(2_000_000_000)),
            1 => now - i128::from(self.random.below(1000)), // backwards
            2 => now + 1,
            3 => now,
            choice => {
                // Just to, before or after the next that happens.
                let next = self.reference.forecast(None).first().map(|(at, _)| *at);
                let cost = self.cost();
                let next = next.unwrap_or_else(|| self.reference.due(&cost).0);
                next + i128::from(choice) - 6
            }
        };
        let to = to.max(0);
        self.clock.set(Duration::from_nanos(u64::try_from(to).unwrap()));
        self.reference.run_to(to);
    }

    fn try_acquire(&mut self) {
        let cost = self.cost();
        let answer = self.limiter.try_acquire(cost);
        if let Some(limit) = self.reference.never(&cost) {
            let refused = answer.unwrap_err();
            assert!(refused.is_never());
            assert_eq!(refused.limit, self.name(limit));
            return;
        }
        let (at, slowest) = *self.reference.forecast(Some(&cost)).last().unwrap();
        let now = self.reference.now;
        if self.reference.try_grant(&cost).is_some() {
            let permit = answer.unwrap();
            assert_eq!(permit.granted_at(), nanos(now));
            self.permits.push(permit);
        } else {
            let refused = answer.unwrap_err();
            if !self.bounded {
                assert_eq!(
                    (refused.retry_after, &*refused.limit),
                    (nanos(at - now), self.name(slowest))
                );
            }
        }
    }

    fn reserve(&mut self) {
        if self.reservations.len() > 6 {
            return;
        }
        let cost = self.cost();
        let answer = self.limiter.reserve(cost);
        if let Some(limit) = self.reference.never(&cost) {
            let name = self.limiter.names()[limit].clone();
            let burst = self.reference.limits[limit].burst;
            let expected = AcquireError::ExceedsBurst { limit: name, cost: cost[limit], burst };
            assert_eq!(answer.unwrap_err(), expected);
            return;
        }
        let id = self.reference.try_grant(&cost).unwrap_or_else(|| {
            self.reference.next += 1;
            self.reference.line.push((self.reference.next, cost.to_vec()));
            self.reference.next
        });
        self.reservations.push((id, cost, answer.unwrap()));
    }

    /// A reservation whose turn has come becomes a permit.
    fn claim(&mut self) {
        let Some(at) = self.pick() else { return };
        let (id, cost, reservation) = &self.reservations[at];
        let waiting = self.reference.line.iter().any(|(waiting, _)| waiting == id);
        assert_eq!(reservation.is_ready(), !waiting);
        if waiting {
            return;
        }
        let granted = self.reference.grants.iter().find(|(granted, ..)| granted == id);
        let (expected, never) = (granted.map(|(_, at, _)| nanos(*at)), *cost);
        let (.., reservation) = self.reservations.remove(at);
        match (reservation.wait(), expected) {
            (Ok(permit), Some(at)) => {
                assert_eq!(permit.granted_at(), at);
                self.permits.push(permit);
            }
            (Err(AcquireError::ExceedsBurst { .. }), None) => {}
            (other, expected) => panic!("{never:?} got {other:?}, not {expected:?}"),
        }
    }

    fn drop_reservation(&mut self) {
        let Some(at) = self.pick() else { return };
        let before = self.turns();
        let (id, cost, reservation) = self.reservations.remove(at);
        drop(reservation);
        let place = self.reference.line.iter().position(|(waiting, _)| *waiting == id);
        if let Some(place) = place {
            self.reference.line.remove(place);
        } else if self.reference.grants.iter().any(|(granted, ..)| *granted == id) {
            self.refund(&cost, &[0; N]);
            self.reference.held -= 1;
        }
        if !self.bounded {
            // R5: nobody ahead moves, nobody behind gets later.
            let after = self.turns();
            for (id, turn) in before {
                let Some((_, now)) = after.iter().find(|(known, _)| *known == id) else { continue };
                let ahead = place.is_some_and(|place| {
                    self.reference.line[..place].iter().any(|(waiting, _)| *waiting == id)
                });
                assert!(
                    if ahead { *now == turn } else { *now <= turn },
                    "{id}: {turn:?} to {now:?}"
                );
            }
        }
    }

    fn turns(&self) -> Vec<(u64, Duration)> {
        self.reservations.iter().map(|(id, _, reservation)| (*id, reservation.ready_in())).collect()
    }

    fn refund(&mut self, charged: &[u64], actual: &[u64]) {
        self.reference.settle(charged, actual);
        for (index, limit) in self.reference.limits.iter().enumerate() {
            let amount = charged[index].saturating_sub(actual[index]);
            self.windows[index].refunded(self.reference.now, amount, limit.rate, limit.burst);
        }
    }

    fn settle(&mut self) {
        if self.permits.is_empty() {
            return;
        }
        let at = self.random.index(self.permits.len());
        let (charged, actual) = (self.permits[at].cost().amounts(), self.cost());
        self.refund(&charged, &actual);
        if self.random.below(2) == 0 {
            self.permits[at].adjust(actual);
            assert_eq!(self.permits[at].cost().amounts(), actual);
        } else {
            self.permits.remove(at).settle(actual);
            // It is settled first and dropped then: those who wait see both.
            self.settled();
            self.reference.held -= 1;
        }
    }

    fn pause(&mut self) {
        let length = self.random.below(1_000_000);
        let end = self.reference.now + i128::from(length);
        let one = self.random.index(N);
        let all = match self.random.below(4) {
            0 => {
                self.limiter.resume();
                for (limit, windows) in self.reference.limits.iter_mut().zip(&mut self.windows) {
                    limit.paused_until = limit.paused_until.min(self.reference.now);
                    windows.resumed();
                }
                return;
            }
            1 => {
                self.limiter.pause_limit(one, Duration::from_nanos(length));
                one..one + 1
            }
            _ => {
                self.limiter.pause_for(Duration::from_nanos(length));
                0..N
            }
        };
        for index in all {
            let limit = &mut self.reference.limits[index];
            limit.level = limit.level.min(Q::int(0));
            limit.paused_until = limit.paused_until.max(end);
            self.windows[index].paused(self.reference.now, end, limit.rate, limit.burst);
        }
    }

    fn observe(&mut self) {
        let index = self.random.index(N);
        let (remaining, in_flight) = (self.random.below(20), self.random.below(5));
        self.limiter.observe(index, remaining, in_flight);
        let limit = &mut self.reference.limits[index];
        let says = i128::from(remaining) - i128::from(in_flight);
        limit.level = limit.level.min(Q::int(says));
    }

    fn set_rate(&mut self) {
        let index = self.random.index(N);
        let (told, rate, burst) = self.random.rate();
        self.limiter.set_rate(index, told).unwrap();
        self.reference.limits[index].set(rate, burst);
        let limits = &self.reference.limits;
        self.reference.line.retain(|(_, cost)| cost.iter().zip(limits).all(|(c, l)| *c <= l.burst));
        self.windows[index] = Windows::new(self.reference.now, burst);
    }

    /// Waiting with a time-out that is too short by a nanosecond fails at once.
    fn acquire_in_vain(&mut self) {
        let cost = self.cost();
        if self.bounded || self.reference.never(&cost).is_some() {
            return;
        }
        let (at, slowest) = *self.reference.forecast(Some(&cost)).last().unwrap();
        let wait = at - self.reference.now;
        if wait > 0 {
            // A clock that went backwards is behind the limiter's time: the deadline counts from it.
            self.clock.set(nanos(self.reference.now));
            let error = self.limiter.acquire_timeout(cost, nanos(wait - 1)).unwrap_err();
            let limit = self.limiter.names()[slowest].clone();
            assert_eq!(error, AcquireError::Timeout { retry_after: nanos(wait), limit });
        }
    }

    fn pick(&mut self) -> Option<usize> {
        let count = self.reservations.len();
        (count > 0).then(|| self.random.index(count))
    }

    fn compare(&mut self) {
        let stats = self.limiter.stats();
        assert_eq!(stats.waiting, self.reference.line.len());
        assert_eq!(stats.granted, self.reference.grants.len() as u64);
        if self.bounded {
            assert_eq!(stats.in_flight, self.reference.held);
        }
        for (seen, limit) in stats.limits.iter().zip(&self.reference.limits) {
            assert_eq!(i128::from(seen.available), limit.level.floor());
            assert_eq!(seen.paused_for, nanos(limit.paused_until - self.reference.now));
        }
        if self.bounded || self.random.below(4) != 0 {
            return;
        }
        let forecast = self.reference.forecast(None);
        for (id, _, reservation) in &self.reservations {
            let place = self.reference.line.iter().position(|(waiting, _)| waiting == id);
            let wait = place.map_or(0, |place| forecast[place].0 - self.reference.now);
            assert_eq!(reservation.ready_in(), nanos(wait));
        }
    }
}

fn drop_some<const N: usize>(
    permits: &mut Vec<Permit<'_, N>>,
    random: &mut Random,
    reference: &mut Reference,
) {
    if !permits.is_empty() {
        let at = random.index(permits.len());
        drop(permits.swap_remove(at));
        reference.held -= 1;
    }
}

fn nanos(nanos: i128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos.max(0)).unwrap())
}
