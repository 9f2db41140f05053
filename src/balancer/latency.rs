//! The target that answered fastest lately, for its weight: an average whose past fades.
//!
//! # Source
//! `kong/runloop/balancer/latency.lua` (Finagle's Peak EWMA)

use std::time::{Duration, Instant};

use super::Sieve;
use crate::entity::{Target, TargetIdx};

/// How fast the past fades.
const DECAY: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Speed {
    weight: f64,
    /// Seconds.
    average: f64,
    at: Instant,
    /// When it was picked last, counted in picks.
    picked: u64,
}

/// The speeds of one upstream's targets, as one worker saw them.
#[derive(Debug)]
pub struct Latency {
    speeds: Vec<Speed>,
    picks: u64,
}

impl Speed {
    /// The average with `seen` in it, at `now`.
    fn with(&self, seen: f64, now: Instant) -> f64 {
        let past = now.saturating_duration_since(self.at);
        let kept = (-past.as_secs_f64() / DECAY.as_secs_f64()).exp();
        self.average * kept + seen * (1.0 - kept)
    }
}

impl Latency {
    /// Nothing seen yet; `seed` says who comes first.
    pub fn new(targets: &[Target], seed: u64, now: Instant) -> Self {
        let count = targets.len().max(1) as u64;
        let speed = |(at, target): (usize, &Target)| Speed {
            weight: f64::from(target.weight),
            average: 0.0,
            // the first sight counts whole
            at: now.checked_sub(DECAY * 100).unwrap_or(now),
            picked: (at as u64 + count - seed % count) % count,
        };
        Self {
            speeds: targets.iter().enumerate().map(speed).collect(),
            picks: count,
        }
    }

    /// Picks the fastest; of equals the one that waited longest.
    pub fn next(&mut self, sieve: Sieve<'_>, now: Instant) -> Option<TargetIdx> {
        let mut best: Option<(usize, f64, u64)> = None;
        for (at, speed) in self.speeds.iter().enumerate() {
            if speed.weight == 0.0 || !sieve.open(TargetIdx::from(at)) {
                continue;
            }
            let score = speed.with(0.0, now) / speed.weight;
            if best
                .is_none_or(|(_, least, picked)| score < least || (score == least && speed.picked < picked))
            {
                best = Some((at, score, speed.picked));
            }
        }
        let (at, ..) = best?;
        self.speeds.get_mut(at)?.picked = self.picks;
        self.picks += 1;
        Some(TargetIdx::from(at))
    }

    /// A target answered: `took` is connecting and the whole response together.
    pub fn seen(&mut self, target: TargetIdx, took: Duration, now: Instant) {
        if let Some(speed) = self.speeds.get_mut(target.index()) {
            speed.average = speed.with(took.as_secs_f64(), now);
            speed.at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::targets;
    use super::*;

    #[test]
    fn c06_the_fastest_and_in_time_the_others_again() {
        let start = Instant::now();
        let mut balancer = Latency::new(&targets(&[100, 100, 0]), 0, start);
        let first: Vec<u32> = (0..2)
            .map(|_| balancer.next(Sieve::default(), start).unwrap().0)
            .collect();
        assert_eq!(first, [0, 1], "each is tried once");
        balancer.seen(TargetIdx(0), Duration::from_millis(500), start);
        balancer.seen(TargetIdx(1), Duration::from_millis(5), start);
        for _ in 0..5 {
            assert_eq!(balancer.next(Sieve::default(), start), Some(TargetIdx(1)));
        }
        // the fast one has become slow, the past of the other has faded
        let later = start + Duration::from_secs(60);
        balancer.seen(TargetIdx(1), Duration::from_secs(1), later);
        assert_eq!(balancer.next(Sieve::default(), later), Some(TargetIdx(0)));
    }

    #[test]
    fn c06_weights_count_and_failed_targets_are_passed_over() {
        let start = Instant::now();
        let mut balancer = Latency::new(&targets(&[100, 300]), 0, start);
        balancer.seen(TargetIdx(0), Duration::from_millis(10), start);
        balancer.seen(TargetIdx(1), Duration::from_millis(20), start);
        assert_eq!(balancer.next(Sieve::default(), start), Some(TargetIdx(1)));
        let failed = [TargetIdx(1)];
        assert_eq!(balancer.next(Sieve::without(&failed), start), Some(TargetIdx(0)));
        assert_eq!(Latency::new(&[], 3, start).next(Sieve::default(), start), None);
    }
}
