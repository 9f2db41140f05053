//! The target with the fewest requests under way for its weight.
//!
//! # Source
//! `kong/runloop/balancer/least_connections.lua`

use super::Sieve;
use crate::entity::{Target, TargetIdx};

#[derive(Debug)]
struct Load {
    weight: u32,
    under_way: u32,
    /// When it was picked last, counted in picks: of equals the one that waited longest.
    picked: u64,
}

/// The loads of one upstream's targets in one worker.
#[derive(Debug)]
pub struct LeastConnections {
    loads: Vec<Load>,
    picks: u64,
}

impl LeastConnections {
    /// Nothing under way; `seed` says who comes first.
    pub fn new(targets: &[Target], seed: u64) -> Self {
        let count = targets.len().max(1) as u64;
        let load = |(at, target): (usize, &Target)| Load {
            weight: u32::from(target.weight),
            under_way: 0,
            picked: (at as u64 + count - seed % count) % count,
        };
        Self {
            loads: targets.iter().enumerate().map(load).collect(),
            picks: count,
        }
    }

    /// Picks, and counts a request under way until [`LeastConnections::ended`].
    pub fn next(&mut self, sieve: Sieve<'_>) -> Option<TargetIdx> {
        let mut best: Option<usize> = None;
        for (at, load) in self.loads.iter().enumerate() {
            if load.weight == 0 || !sieve.open(TargetIdx::from(at)) {
                continue;
            }
            best = match best {
                Some(known) if !load.is_less_than(&self.loads[known]) => Some(known),
                _ => Some(at),
            };
        }
        let load = self.loads.get_mut(best?)?;
        load.under_way += 1;
        load.picked = self.picks;
        self.picks += 1;
        best.map(TargetIdx::from)
    }

    /// A request that [`LeastConnections::next`] counted is over.
    pub fn ended(&mut self, target: TargetIdx) {
        if let Some(load) = self.loads.get_mut(target.index()) {
            load.under_way = load.under_way.saturating_sub(1);
        }
    }
}

impl Load {
    /// Whether one more request weighs less here.
    fn is_less_than(&self, other: &Self) -> bool {
        let (mine, theirs) = (
            u64::from(self.under_way + 1) * u64::from(other.weight),
            u64::from(other.under_way + 1) * u64::from(self.weight),
        );
        (mine, self.picked) < (theirs, other.picked)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::targets;
    use super::*;

    #[test]
    fn c06_the_least_loaded_for_its_weight() {
        let mut balancer = LeastConnections::new(&targets(&[10, 30, 0]), 0);
        let picks: Vec<u32> = (0..4)
            .map(|_| balancer.next(Sieve::default()).unwrap().0)
            .collect();
        assert_eq!(picks.iter().filter(|p| **p == 1).count(), 3, "{picks:?}");
        assert!(!picks.contains(&2));
        balancer.ended(TargetIdx(0));
        balancer.ended(TargetIdx(0));
        assert_eq!(balancer.next(Sieve::default()), Some(TargetIdx(0)));
    }

    #[test]
    fn c06_at_rest_they_take_turns() {
        for seed in 0..4 {
            let mut balancer = LeastConnections::new(&targets(&[5, 5, 5]), seed);
            let mut turn = || {
                let at = balancer.next(Sieve::default()).unwrap();
                balancer.ended(at);
                at.0
            };
            let picks: Vec<u32> = (0..6).map(|_| turn()).collect();
            assert_eq!(picks[..3], picks[3..]);
            assert_eq!(picks[0], (seed % 3) as u32);
        }
    }

    #[test]
    fn c06_a_target_that_failed_is_passed_over() {
        let mut balancer = LeastConnections::new(&targets(&[5, 5]), 0);
        let failed = [TargetIdx(0)];
        assert_eq!(balancer.next(Sieve::without(&failed)), Some(TargetIdx(1)));
        let both = [TargetIdx(0), TargetIdx(1)];
        assert_eq!(balancer.next(Sieve::without(&both)), None);
        assert_eq!(LeastConnections::new(&[], 7).next(Sieve::default()), None);
    }
}
