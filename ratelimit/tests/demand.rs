//! Under steady demand the limits are used up, and waiting costs nothing.

use ratelimit::testing::ManualClock;
use ratelimit::{DAY, MINUTE, Rate, RateLimiter, SECOND};
use std::time::Duration;

/// Three are always in line; each is waited for in turn. Returns what was granted of each limit.
fn saturate<const N: usize>(
    limits: [(&str, Rate); N],
    cost: impl Fn(u64) -> [u64; N],
    time: Duration,
) -> [u64; N] {
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder(limits).clock(clock.clone()).build().unwrap();
    let (mut line, mut sum) = (std::collections::VecDeque::new(), [0; N]);
    for turn in 0.. {
        while line.len() < 3 {
            line.push_back(limiter.reserve(cost(turn)).unwrap());
        }
        let first = line.pop_front().unwrap();
        clock.advance(first.ready_in());
        let permit = first.wait().unwrap();
        if permit.granted_at() > time {
            return sum;
        }
        sum.iter_mut().zip(permit.cost().amounts()).for_each(|(sum, amount)| *sum += amount);
    }
    unreachable!("turns do not end")
}

/// R2, and R1 from an empty start: between 99 % and all of it.
#[test]
fn one_limit_is_used_up_and_never_passed() {
    let cases = [
        (Rate::per_second(10), 600 * 10, MINUTE * 10),
        (Rate::per_second(3), 600 * 3, MINUTE * 10),
        (Rate::per_minute(7), 24 * 60 * 7, DAY),
        (Rate::per_second(1e9), 1000, Duration::from_micros(1)),
        (Rate::per(1, DAY), 200, DAY * 200),
        (Rate::per_second(333.333), 33_333, SECOND * 100),
    ];
    for (rate, most, time) in cases {
        let [granted] = saturate([("calls", rate)], |_| [1], time);
        assert!(granted <= most && granted * 100 >= most * 99, "{rate:?}: {granted} of {most}");
    }
}

/// R2 for several: with bursts of ten times the largest cost the scarcest limit reaches 98 %.
#[test]
fn the_scarcest_of_several_limits_is_used_up() {
    let limits = [
        ("requests", Rate::per_second(50).burst(50)),
        ("tokens", Rate::per_second(1000).burst(1000)),
        ("pages", Rate::per_second(200).burst(200)),
    ];
    let cost = |turn: u64| [1, turn * 7919 % 101, turn * 104_729 % 21];
    let [requests, tokens, pages] = saturate(limits, cost, MINUTE * 10);
    assert!(requests <= 50 * 600 && pages <= 200 * 600);
    let most = 1000 * 600;
    assert!(tokens <= most && tokens * 100 >= most * 98, "{tokens} of {most}");
}

/// Whatever the pauses between calls, no minute sees more: the worst is a full burst, then the rate.
#[test]
fn no_minute_ever_sees_more_than_at_most() {
    for amount in [1, 2, 7, 60, 500] {
        for burst in [None, Some(1), Some(amount)] {
            let rate = Rate::at_most(amount, MINUTE);
            let rate = burst.map_or(rate, |burst| rate.burst(burst));
            let clock = ManualClock::new();
            let build = RateLimiter::builder([("calls", rate)]).start_full().clock(clock.clone());
            let limiter = build.build().unwrap();
            let mut granted = Vec::new();
            while granted.len() < 1100 {
                let permit = limiter.reserve(1).unwrap();
                clock.advance(permit.ready_in());
                granted.push(permit.wait().unwrap().granted_at());
            }
            for window in granted.windows(usize::try_from(amount).unwrap() + 1) {
                let span = window[window.len() - 1].saturating_sub(window[0]);
                assert!(span > MINUTE, "{amount} with burst {burst:?}: one more within {span:?}");
            }
        }
    }
}

/// R8. In real time, since it is real CPU that waiters must not use.
#[cfg(target_os = "linux")]
#[test]
fn who_waits_uses_no_cpu() {
    fn cpu_ns() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        stat.split(' ').next().unwrap().parse().unwrap()
    }
    let limiter = RateLimiter::per_second(5.0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let before = cpu_ns();
                let waited = limiter.acquire_one().waited();
                let used = Duration::from_nanos(cpu_ns() - before);
                assert!(used * 10 < waited, "{used:?} of CPU in a wait of {waited:?}");
            });
        }
    });
}
