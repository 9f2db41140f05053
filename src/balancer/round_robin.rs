//! Smooth weighted round-robin.
//!
//! Each pick raises every target's score by its weight and takes the highest, which pays the sum of all weights: in
//! any run of as many picks as the sum, each target is taken exactly as often as its weight says, spread out.

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
        let cycle = balancer.total(&[]).unsigned_abs().clamp(1, 1024);
        for _ in 0..seed % cycle {
            balancer.next(&[]);
        }
        balancer
    }

    fn total(&self, tried: &[TargetIdx]) -> i64 {
        self.open(tried).map(|(_, share)| share.weight).sum()
    }

    fn open<'s>(&'s self, tried: &'s [TargetIdx]) -> impl Iterator<Item = (usize, &'s Share)> {
        let open = |(at, share): &(usize, &Share)| share.weight > 0 && !tried.contains(&TargetIdx::from(*at));
        self.shares.iter().enumerate().filter(open)
    }

    /// The next target among those not tried yet; none where all were tried or weigh nothing.
    pub fn next(&mut self, tried: &[TargetIdx]) -> Option<TargetIdx> {
        let total = self.total(tried);
        let mut best: Option<(usize, i64)> = None;
        for (at, share) in self.shares.iter_mut().enumerate() {
            if share.weight == 0 || tried.contains(&TargetIdx::from(at)) {
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
