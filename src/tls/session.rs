//! What a client remembers of TLS sessions at one place, and the bounded memory that places are kept in.
//!
//! Must not: be shared by two places: rustls asks by server name only, so each configuration has a store of its own.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

/// TLS 1.3 tickets kept per place, each good for one connection; the last ones given are the ones kept.
const MAX_TICKETS: usize = 4;

/// The sessions of one place.
#[derive(Default)]
pub struct PlaceSessions(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tls13: VecDeque<Tls13ClientSessionValue>,
}

impl PlaceSessions {
    // one worker's thread alone comes here: the lock is what rustls's bounds ask for
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PlaceSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // secrets stay out
        f.write_str("PlaceSessions")
    }
}

impl ClientSessionStore for PlaceSessions {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.kept().group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.kept().group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.kept().tls12 = Some(value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.kept().tls12.clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.kept().tls12 = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        let mut kept = self.kept();
        if kept.tls13.len() >= MAX_TICKETS {
            kept.tls13.pop_front();
        }
        kept.tls13.push_back(value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.kept().tls13.pop_back()
    }
}

/// A map that forgets what was not asked for the longest when it grows over its bound.
///
/// The oldest eighth goes at once, so that a full map is not searched at each insertion.
#[derive(Debug)]
pub struct Recent<K, V> {
    bound: usize,
    clock: u64,
    entries: HashMap<K, (u64, V)>,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    /// Empty, for at most `bound` entries (at least one).
    pub fn new(bound: usize) -> Self {
        Self {
            bound: bound.max(1),
            clock: 0,
            entries: HashMap::new(),
        }
    }

    /// A value, which counts as used now.
    pub fn get(&mut self, key: &K) -> Option<&mut V> {
        self.clock += 1;
        let (used, value) = self.entries.get_mut(key)?;
        *used = self.clock;
        Some(value)
    }

    /// Puts a value in; how many others had to go.
    pub fn insert(&mut self, key: K, value: V) -> usize {
        let mut gone = 0;
        if self.entries.len() >= self.bound && !self.entries.contains_key(&key) {
            gone = self.forget();
        }
        self.clock += 1;
        self.entries.insert(key, (self.clock, value));
        gone
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn forget(&mut self) -> usize {
        let mut used: Vec<u64> = self.entries.values().map(|(used, _)| *used).collect();
        let last = (self.bound / 8).min(used.len().saturating_sub(1));
        let (_, limit, _) = used.select_nth_unstable(last);
        let limit = *limit;
        let before = self.entries.len();
        self.entries.retain(|_, (used, _)| *used > limit);
        before - self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Recent;

    #[test]
    fn c04_a_bounded_memory_forgets_what_is_used_least() {
        let mut recent = Recent::new(64);
        let mut gone = 0;
        for n in 0..10_000u32 {
            gone += recent.insert(n, n);
            assert!(recent.len() <= 64);
            assert_eq!(recent.get(&0), Some(&mut 0), "used each time");
            assert_eq!(recent.get(&n), Some(&mut n.clone()));
        }
        assert_eq!(gone + recent.len(), 10_000);
        let mut one = Recent::new(0);
        assert_eq!((one.insert(1, 'a'), one.insert(2, 'b')), (0, 1));
        assert_eq!(one.get(&1), None);
        assert_eq!(one.get(&2), Some(&mut 'b'));
    }
}
