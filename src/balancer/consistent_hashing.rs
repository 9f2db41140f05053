//! A ring of hashes: the same input goes to the same target, on every worker and every node.
//!
//! Each target takes points of the ring in proportion to its weight; an input goes to the nearest point at or
//! below its own. Targets that are addresses lie where Kong puts them.
//!
//! # Source
//! `kong/runloop/balancer/consistent_hashing.lua`

use super::Sieve;
use super::xxh32::xxh32;
use crate::entity::{Target, TargetIdx};

/// Points of a target when all weigh the same.
const POINTS: usize = 160;
/// The smallest ring.
const LEAST: usize = 1000;

/// The ring of one upstream.
#[derive(Debug)]
pub struct ConsistentHashing {
    size: usize,
    /// Taken points in order, with who has them.
    points: Vec<(u32, TargetIdx)>,
}

impl ConsistentHashing {
    /// Lays the targets out on a ring of `slots` points.
    pub fn new(targets: &[Target], slots: u32) -> Self {
        let size = LEAST.max(slots as usize);
        let total: u64 = targets.iter().map(|t| u64::from(t.weight)).sum();
        let mut order: Vec<usize> = (0..targets.len()).filter(|at| targets[*at].weight > 0).collect();
        order.sort_by(|a, b| {
            let key = |at: usize| (&targets[at].host, targets[at].port);
            key(*a).cmp(&key(*b))
        });
        // where Kong's ring would be too small for all, each takes less
        let each = POINTS.min((size / 2).checked_div(targets.len()).unwrap_or(0).max(1));
        let each = if POINTS * targets.len() <= size {
            POINTS
        } else {
            each
        };
        let mut ring: Vec<Option<TargetIdx>> = vec![None; size];
        let mut free = size;
        for at in order {
            let target = &targets[at];
            let share = f64::from(target.weight) / total as f64;
            let mut wanted = ((share * targets.len() as f64 * each as f64) as usize).max(1);
            let mut serial = 0;
            while wanted > 0 && free > 0 && serial < size {
                serial += 1;
                let name = format!("{}::{} {serial}", shown(&target.host), target.port);
                let point = &mut ring[xxh32(name.as_bytes()) as usize % size];
                if point.is_none() {
                    *point = Some(TargetIdx::from(at));
                    wanted -= 1;
                    free -= 1;
                }
            }
        }
        let points = ring
            .into_iter()
            .enumerate()
            .filter_map(|(at, target)| Some((u32::try_from(at).ok()?, target?)))
            .collect();
        Self { size, points }
    }

    /// The target of an input among those the sieve lets through.
    pub fn next(&self, input: &[u8], sieve: Sieve<'_>) -> Option<TargetIdx> {
        let start = (xxh32(input) as usize % self.size) as u32;
        let split = self.points.partition_point(|(at, _)| *at <= start);
        let (below, above) = self.points.split_at(split);
        let downward = below.iter().rev().chain(above.iter().rev());
        downward.map(|(_, target)| *target).find(|t| sieve.open(*t))
    }
}

/// An IPv6 address in brackets, as Kong writes it.
fn shown(host: &str) -> std::borrow::Cow<'_, str> {
    if host.contains(':') {
        format!("[{host}]").into()
    } else {
        host.into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::targets;
    use super::*;

    fn share(ring: &ConsistentHashing, target: u32) -> usize {
        let hits = |n: &u32| ring.next(n.to_string().as_bytes(), Sieve::default()) == Some(TargetIdx(target));
        (0..10_000).filter(hits).count()
    }

    #[test]
    fn c06_one_input_one_target_whatever_the_order() {
        let (mut one, mut two) = (targets(&[100, 100, 100]), targets(&[100, 100, 100]));
        for (i, (a, b)) in one.iter_mut().zip(two.iter_mut().rev()).enumerate() {
            a.host = format!("10.0.0.{i}");
            b.host.clone_from(&a.host);
        }
        let (one, two) = (
            ConsistentHashing::new(&one, 10_000),
            ConsistentHashing::new(&two, 10_000),
        );
        for n in 0..1000 {
            let input = format!("input {n}");
            let a = one.next(input.as_bytes(), Sieve::default()).map(|t| t.0);
            let b = two.next(input.as_bytes(), Sieve::default()).map(|t| 2 - t.0);
            assert_eq!(a, b, "{input}");
        }
    }

    /// What Kong 3.10 picks for `user-1` to `user-60`.
    #[test]
    fn c06_addresses_lie_where_kong_puts_them() {
        const KONGS: &str = "111010111201111110111121212021111201111021111211111010111121";
        let mut all = targets(&[100, 300, 50]);
        for (i, t) in all.iter_mut().enumerate() {
            t.host = format!("10.0.0.{}", i + 1);
            t.port = 8080;
        }
        let ring = ConsistentHashing::new(&all, 10_000);
        let pick = |n: usize| ring.next(format!("user-{n}").as_bytes(), Sieve::default());
        let ours: String = (1..=60).filter_map(pick).map(|t| t.0.to_string()).collect();
        assert_eq!(ours, KONGS);
    }

    #[test]
    fn c06_shares_follow_weights_and_a_lost_target_moves_only_its_own() {
        let mut all = targets(&[100, 300, 0]);
        for (i, t) in all.iter_mut().enumerate() {
            t.host = format!("10.0.0.{i}");
        }
        let ring = ConsistentHashing::new(&all, 10_000);
        let shares = [share(&ring, 0), share(&ring, 1), share(&ring, 2)];
        assert!((1_700..3_300).contains(&shares[0]), "{shares:?}");
        assert_eq!(shares[2], 0);
        let mut three = targets(&[100, 100, 100]);
        for (i, t) in three.iter_mut().enumerate() {
            t.host = format!("10.0.0.{i}");
        }
        let ring = ConsistentHashing::new(&three, 10_000);
        let failed = [TargetIdx(1)];
        for n in 0..1000 {
            let input = n.to_string();
            let before = ring.next(input.as_bytes(), Sieve::default());
            let after = ring.next(input.as_bytes(), Sieve::without(&failed));
            assert!(before == after || before == Some(TargetIdx(1)));
            assert_ne!(after, Some(TargetIdx(1)));
        }
    }

    #[test]
    fn c06_rings_too_small_still_serve_everyone() {
        let mut many = targets(&vec![100; 900]);
        for (i, t) in many.iter_mut().enumerate() {
            t.host = format!("host-{i}");
        }
        let ring = ConsistentHashing::new(&many, 10);
        let mut seen: Vec<u32> = ring.points.iter().map(|(_, t)| t.0).collect();
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() > 500, "{}", seen.len());
        assert!(
            ConsistentHashing::new(&[], 10)
                .next(b"x", Sieve::default())
                .is_none()
        );
        let weightless = ConsistentHashing::new(&targets(&[0, 0]), 10);
        assert!(weightless.next(b"x", Sieve::default()).is_none());
    }
}
