//! The permits of a run, read from what the program logs of them.

use std::collections::HashMap;

pub(crate) const MINUTE_NS: u64 = 60_000_000_000;

/// A permit, by the clock of its limiter.
#[derive(Debug)]
pub(crate) struct Permit {
    pub(crate) limits: Vec<String>,
    pub(crate) cost: Vec<u64>,
    pub(crate) granted_at_ns: u64,
    pub(crate) settled: Option<Settled>,
}

/// What a permit was settled to.
#[derive(Debug)]
pub(crate) struct Settled {
    used: Vec<u64>,
    /// At the latest: when the same worker next joined the line.
    until_ns: u64,
}

/// All permits of a stage, in the order of their grants.
pub(crate) fn read(log: &str, stage: &str) -> Vec<Permit> {
    let stage = format!("stage=\"{stage}\"");
    let mut permits: Vec<Permit> = Vec::new();
    let mut last: HashMap<&str, usize> = HashMap::new();
    for line in log.lines().filter(|line| line.contains(&stage)) {
        // "TIME DEBUG thread step{..}: target: message fields"
        let worker = line.split_whitespace().nth(2).expect("a thread's name");
        if line.contains("permit granted") {
            let granted_at_ns = number(line, "granted_at_ns=");
            let joined_ns = granted_at_ns - number(line, "waited_ns=");
            let before = last.insert(worker, permits.len()).map(|at| &mut permits[at]);
            if let Some(settled) = before.and_then(|before| before.settled.as_mut()) {
                settled.until_ns = joined_ns;
            }
            let names = list(line, "limits=").into_iter();
            permits.push(Permit {
                limits: names.map(|name| name.trim_matches('"').to_string()).collect(),
                cost: amounts(line, "cost="),
                granted_at_ns,
                settled: None,
            });
        } else if line.contains("permit settled") {
            let permit = &mut permits[last[worker]];
            assert_eq!(permit.cost, amounts(line, "charged="));
            permit.settled = Some(Settled { used: amounts(line, "used="), until_ns: u64::MAX });
        }
    }
    permits.sort_by_key(|permit| permit.granted_at_ns);
    permits
}

fn field<'l>(line: &'l str, name: &str) -> &'l str {
    let (_, rest) = line.split_once(name).unwrap_or_else(|| panic!("no {name} in {line:?}"));
    rest
}

fn number(line: &str, name: &str) -> u64 {
    let rest = field(line, name);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().expect("a number")
}

fn list<'l>(line: &'l str, name: &str) -> Vec<&'l str> {
    let (inside, _) = field(line, name)[1..].split_once(']').expect("a list");
    inside.split(", ").collect()
}

fn amounts(line: &str, name: &str) -> Vec<u64> {
    list(line, name).iter().map(|amount| amount.parse().expect("an amount")).collect()
}

/// Asserts for each window from one grant to another: what is granted in it, less what may have
/// been refunded in it, is at most the burst and what the rate earns meanwhile. In whole numbers,
/// so exactly. Gives how near the fullest window comes to that, as a part of one.
///
/// `most` in a minute with this burst is the rate that keeps every minute, its ends included, at
/// `most`: what is above the burst and one, in a minute and a nanosecond.
pub(crate) fn assert_no_window_above(
    permits: &[Permit],
    limit: usize,
    most: u64,
    burst: u64,
) -> f64 {
    let period_ns = u128::from(MINUTE_NS) + 1;
    let earned =
        |ns: u64| u128::from(burst) * period_ns + u128::from(most - burst + 1) * u128::from(ns);
    assert!(earned(MINUTE_NS) < u128::from(most + 1) * period_ns, "no minute can see more");
    let mut busiest: f64 = 0.0;
    for (first, opens) in permits.iter().enumerate() {
        let mut granted = 0;
        for closes in &permits[first..] {
            granted += closes.cost[limit];
            let (from, to) = (opens.granted_at_ns, closes.granted_at_ns);
            let may = earned(to - from);
            let has = u128::from(granted.saturating_sub(refunded(permits, limit, from, to)));
            assert!(
                has * period_ns <= may,
                "{has} granted from {from} to {to} ns, at most {:.3}",
                may as f64 / period_ns as f64
            );
            busiest = busiest.max((has * period_ns) as f64 / may as f64);
        }
    }
    busiest
}

/// The most that can have come back between two instants.
fn refunded(permits: &[Permit], limit: usize, from: u64, to: u64) -> u64 {
    let of = |permit: &Permit| {
        let settled = permit.settled.as_ref()?;
        let meanwhile = permit.granted_at_ns <= to && settled.until_ns >= from;
        meanwhile.then(|| permit.cost[limit].saturating_sub(settled.used[limit]))
    };
    permits.iter().filter_map(of).sum()
}
