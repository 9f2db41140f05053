//! Smooth weighted round-robin.
//!
//! Each pick raises every target's score by its weight and takes the highest, which pays the sum of all weights: in
//! any run of as many picks as the sum, each target is taken exactly as often as its weight says, spread out.

use super::Sieve;
use crate::entity::{Target, TargetIdx};

#[derive(Debug)]
struct Share {
    weight: i64,
    score: i64,
}

/// The state of one upstream's balancing in one worker.
#[derive(Debug)]
pub struct RoundRobin {
    shares: Vec<Share>,
}

impl RoundRobin {
    /// Starts at a place of the cycle that `seed` picks, so that workers do not go in step.
    pub fn new(targets: &[Target], seed: u64) -> Self {
        let mut weights: Vec<i64> = targets.iter().map(|target| i64::from(target.weight)).collect();
        // Equal ratios make equal cycles: 100 and 100 is 1 and 1.
        let divisor = weights.iter().fold(0, |a, b| gcd(a, *b)).max(1);
        weights.iter_mut().for_each(|weight| *weight /= divisor);
        let shares = weights
            .into_iter()
            .map(|weight| Share { weight, score: 0 })
            .collect();
        let mut balancer = Self { shares };
        let cycle = balancer.total(Sieve::default()).unsigned_abs().clamp(1, 1024);
        for _ in 0..seed % cycle {
            balancer.next(Sieve::default());
        }
        balancer
    }

    fn total(&self, sieve: Sieve<'_>) -> i64 {
        self.open(sieve).map(|(_, share)| share.weight).sum()
    }

    fn open<'s>(&'s self, sieve: Sieve<'s>) -> impl Iterator<Item = (usize, &'s Share)> {
        let open = move |(at, share): &(usize, &Share)| share.weight > 0 && sieve.open(TargetIdx::from(*at));
        self.shares.iter().enumerate().filter(open)
    }

    /// The next target among those the sieve lets through; none where all else weigh nothing.
    pub fn next(&mut self, sieve: Sieve<'_>) -> Option<TargetIdx> {
        let total = self.total(sieve);
        let mut best: Option<(usize, i64)> = None;
        for (at, share) in self.shares.iter_mut().enumerate() {
            if share.weight == 0 || !sieve.open(TargetIdx::from(at)) {
                continue;
            }
            share.score += share.weight;
            if best.is_none_or(|(_, score)| share.score > score) {
                best = Some((at, share.score));
            }
        }
        let (at, _) = best?;
        self.shares.get_mut(at)?.score -= total;
        Some(TargetIdx::from(at))
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::targets;
    use super::*;

    fn counts(balancer: &mut RoundRobin, picks: usize, of: usize) -> Vec<usize> {
        let mut counts = vec![0; of];
        for _ in 0..picks {
            counts[balancer.next(Sieve::default()).unwrap().index()] += 1;
        }
        counts
    }

    #[test]
    fn a12_picks_are_proportional_to_weights() {
        for seed in [0, 1, 7, 12_345, u64::MAX] {
            let mut balancer = RoundRobin::new(&targets(&[500, 100, 0, 400]), seed);
            assert_eq!(counts(&mut balancer, 1000, 4), [500, 100, 0, 400], "seed {seed}");
            assert_eq!(counts(&mut balancer, 10, 4), [5, 1, 0, 4], "each cycle is exact");
        }
    }

    #[test]
    fn a12_picks_are_spread_out() {
        let mut balancer = RoundRobin::new(&targets(&[5, 1, 1]), 0);
        let picks: Vec<u32> = (0..7)
            .map(|_| balancer.next(Sieve::default()).unwrap().0)
            .collect();
        assert_eq!(picks, [0, 0, 1, 0, 2, 0, 0]);
        let mut balancer = RoundRobin::new(&targets(&[100, 100]), 3);
        let picks: Vec<u32> = (0..6)
            .map(|_| balancer.next(Sieve::default()).unwrap().0)
            .collect();
        assert!(picks.windows(2).all(|pair| pair[0] != pair[1]), "{picks:?}");
    }

    #[test]
    fn a12_tried_and_weightless_targets_are_not_picked() {
        let mut balancer = RoundRobin::new(&targets(&[10, 10, 0, 10]), 0);
        let mut tried = Vec::new();
        while let Some(next) = balancer.next(Sieve::without(&tried)) {
            assert!(!tried.contains(&next));
            tried.push(next);
        }
        tried.sort();
        assert_eq!(tried, [TargetIdx(0), TargetIdx(1), TargetIdx(3)]);
        assert_eq!(RoundRobin::new(&targets(&[0, 0]), 9).next(Sieve::default()), None);
        assert_eq!(RoundRobin::new(&[], 9).next(Sieve::default()), None);
    }

    #[test]
    fn a12_seeds_start_workers_at_different_targets() {
        let first = |seed| {
            RoundRobin::new(&targets(&[1, 1, 1]), seed)
                .next(Sieve::default())
                .unwrap()
        };
        assert_ne!(first(0), first(1));
        assert_ne!(first(1), first(2));
    }
}
