//! Whose turn it is among SRV records: the lowest priority only, each by its weight.
//!
//! Must not: read a clock; chance comes in from outside.

use super::record::{Data, Record};

/// The records of the lowest priority: place and weight.
fn best(records: &[Record]) -> Vec<(usize, u16)> {
    let all = records.iter().enumerate().filter_map(|(at, r)| match r.data {
        Data::Srv { priority, weight, .. } => Some((priority, at, weight)),
        _ => None,
    });
    let lowest = all.clone().map(|(priority, ..)| priority).min();
    all.filter(|(priority, ..)| Some(*priority) == lowest)
        .map(|(_, at, weight)| (at, weight))
        .collect()
}

/// Draws without putting back: in each cycle every record comes as often as its weight says, in random order. The
/// very first one is the server's first.
///
/// # Source
/// `kong/resty/dns/client.lua`, `roundRobinW`; a weight of 0 counts as 1.
#[derive(Debug, Default)]
pub struct Weighted {
    shares: Vec<Share>,
    left: u64,
}

#[derive(Debug)]
struct Share {
    at: usize,
    weight: u32,
    left: u32,
}

impl Weighted {
    /// The place of the next record.
    pub fn next(&mut self, records: &[Record], random: &mut dyn FnMut(u64) -> u64) -> Option<usize> {
        let first = self.shares.is_empty();
        if first {
            let best = best(records);
            let divisor = best
                .iter()
                .fold(0, |d, (_, w)| gcd(d, u32::from(*w).max(1)))
                .max(1);
            self.shares = best
                .into_iter()
                .map(|(at, weight)| {
                    let weight = u32::from(weight).max(1) / divisor;
                    Share {
                        at,
                        weight,
                        left: weight,
                    }
                })
                .collect();
        }
        if self.left == 0 {
            for share in &mut self.shares {
                share.left = share.weight;
                self.left += u64::from(share.weight);
            }
        }
        let mut drawn = if first { 0 } else { random(self.left) };
        for share in &mut self.shares {
            if drawn < u64::from(share.left) {
                share.left -= 1;
                self.left -= 1;
                return Some(share.at);
            }
            drawn -= u64::from(share.left);
        }
        None
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Smooth weighted round robin from a random start, as the newer client has it.
///
/// # Source
/// `kong/dns/utils.lua`, `swrr_next`; a weight of 0 counts as a tenth.
#[derive(Debug)]
pub struct Smooth {
    /// Place, weight in tenths, score.
    shares: Vec<(usize, i64, i64)>,
}

impl Smooth {
    /// Starts somewhere in the cycle.
    pub fn new(records: &[Record], random: &mut dyn FnMut(u64) -> u64) -> Self {
        let share = |(at, weight): (usize, u16)| (at, (i64::from(weight) * 10).max(1), 0);
        let mut this = Self {
            shares: best(records).into_iter().map(share).collect(),
        };
        for _ in 0..=random(this.shares.len().max(1) as u64) {
            this.next();
        }
        this
    }

    /// The place of the next record.
    pub fn next(&mut self) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<usize> = None;
        for i in 0..self.shares.len() {
            self.shares[i].2 += self.shares[i].1;
            total += self.shares[i].1;
            if best.is_none_or(|b| self.shares[i].2 > self.shares[b].2) {
                best = Some(i);
            }
        }
        let share = self.shares.get_mut(best?)?;
        share.2 -= total;
        Some(share.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn srv(list: &[(u16, u16)]) -> Vec<Record> {
        let record = |(priority, weight): &(u16, u16)| Record {
            name: "s".into(),
            ttl: 1,
            data: Data::Srv {
                priority: *priority,
                weight: *weight,
                port: 1,
                target: "t".into(),
            },
        };
        list.iter().map(record).collect()
    }

    fn lcg() -> impl FnMut(u64) -> u64 {
        let mut state = 7u64;
        move |below| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below.max(1)
        }
    }

    #[test]
    fn c05_each_cycle_is_exact_and_begins_with_the_first() {
        let records = srv(&[(10, 60), (5, 10), (5, 30), (5, 0)]);
        let mut random = lcg();
        let mut picks = Weighted::default();
        for cycle in 0..5 {
            let mut counts = [0; 4];
            for i in 0..41 {
                let at = picks.next(&records, &mut random).unwrap();
                assert!(
                    (cycle, i) != (0, 0) || at == 1,
                    "the server's first of the lowest priority"
                );
                counts[at] += 1;
            }
            assert_eq!(counts, [0, 10, 30, 1]);
        }
        assert_eq!(Weighted::default().next(&[], &mut random), None);
    }

    #[test]
    fn c05_heavy_weights_take_no_memory() {
        let records = srv(&[(1, 65535), (1, 65534), (1, 65533)]);
        let mut random = lcg();
        let mut picks = Weighted::default();
        let mut counts = [0u32; 3];
        for _ in 0..65535 + 65534 + 65533 {
            counts[picks.next(&records, &mut random).unwrap()] += 1;
        }
        assert_eq!(counts, [65535, 65534, 65533]);
    }

    #[test]
    fn c05_the_smooth_one_follows_the_weights() {
        let records = srv(&[(1, 5), (1, 1), (2, 100), (1, 0)]);
        let mut smooth = Smooth::new(&records, &mut lcg());
        let mut counts = [0; 4];
        for _ in 0..61 {
            counts[smooth.next().unwrap()] += 1;
        }
        assert_eq!(counts, [50, 10, 0, 1]);
        assert_eq!(Smooth::new(&[], &mut lcg()).next(), None);
    }
}
