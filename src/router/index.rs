//! Finding the first matcher without walking all of them.
//!
//! A matcher whose hosts are all plain stands in the bucket of each host, any other in the bucket for all hosts. In
//! a bucket, prefixes are looked up by their hash, once for each length that occurs; the rest is walked in order.

use super::Query;
use super::criteria::{Matcher, Paths, split_port};
use hashbrown::HashMap;

#[derive(Debug, Default)]
struct Bucket {
    prefixes: HashMap<Box<[u8]>, Vec<u32>, foldhash::fast::RandomState>,
    /// Lengths that occur, longest first.
    lengths: Vec<usize>,
    /// Without a path, or with a regular expression; in order.
    rest: Vec<u32>,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    by_host: HashMap<Box<str>, Bucket, foldhash::fast::RandomState>,
    any_host: Bucket,
}

impl Index {
    pub fn build(matchers: &[Matcher]) -> Self {
        let mut index = Self::default();
        for (rank, matcher) in matchers.iter().enumerate() {
            let rank = u32::try_from(rank).unwrap_or(u32::MAX);
            let plain: Option<Vec<&str>> = matcher.hosts.iter().map(|host| host.exact()).collect();
            match plain {
                Some(hosts) if !hosts.is_empty() => {
                    for host in hosts {
                        index.by_host.entry(host.into()).or_default().add(rank, matcher);
                    }
                }
                _ => index.any_host.add(rank, matcher),
            }
        }
        index.by_host.values_mut().for_each(Bucket::settle);
        index.any_host.settle();
        index
    }

    /// The rank of the first matcher, in order of precedence, that takes the request.
    pub fn first(&self, matchers: &[Matcher], query: &Query<'_>) -> Option<usize> {
        let (name, port) = split_port(query.host);
        let port = port.unwrap_or(query.port);
        let mut best = u32::MAX;
        if !self.by_host.is_empty() {
            let bucket = if name.bytes().any(|b| b.is_ascii_uppercase()) {
                self.by_host.get(name.to_ascii_lowercase().as_str())
            } else {
                self.by_host.get(name)
            };
            if let Some(bucket) = bucket {
                bucket.first(matchers, query, (name, port), &mut best);
            }
        }
        self.any_host.first(matchers, query, (name, port), &mut best);
        (best != u32::MAX).then_some(best as usize)
    }
}

impl Bucket {
    fn add(&mut self, rank: u32, matcher: &Matcher) {
        let Paths::Prefixes(prefixes) = &matcher.paths else {
            if self.rest.last() != Some(&rank) {
                self.rest.push(rank);
            }
            return;
        };
        for prefix in prefixes {
            let ranks = self.prefixes.entry(prefix.as_bytes().into()).or_default();
            if ranks.last() != Some(&rank) {
                ranks.push(rank);
            }
        }
    }

    fn settle(&mut self) {
        self.lengths = self.prefixes.keys().map(|prefix| prefix.len()).collect();
        self.lengths.sort_unstable_by(|a, b| b.cmp(a));
        self.lengths.dedup();
    }

    fn first(&self, matchers: &[Matcher], query: &Query<'_>, host: (&str, u16), best: &mut u32) {
        let takes = |rank: u32, prefix_known: bool| {
            matchers
                .get(rank as usize)
                .is_some_and(|m| m.matches(query, host.0, host.1, prefix_known))
        };
        for length in &self.lengths {
            let Some(start) = query.path.get(..*length) else {
                continue;
            };
            let Some(ranks) = self.prefixes.get(start) else {
                continue;
            };
            if let Some(rank) = ranks
                .iter()
                .copied()
                .take_while(|r| r < best)
                .find(|r| takes(*r, true))
            {
                *best = rank;
            }
        }
        if let Some(rank) = self
            .rest
            .iter()
            .copied()
            .take_while(|r| r < best)
            .find(|r| takes(*r, false))
        {
            *best = rank;
        }
    }
}
