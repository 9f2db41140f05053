//! What was answered, by name: bounded, the names longest unused go first.
//!
//! Must not: read a clock.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

use super::record::Answer;

/// Under what an answer is kept, beside the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(u32);

// === impl Key ===

impl Key {
    /// An answer for this very name and type.
    pub const fn of(kind: u16) -> Self {
        Self(kind as u32)
    }

    /// What a short name led to when this type, or none in particular, was asked for.
    pub const fn short(kind: Option<u16>) -> Self {
        match kind {
            Some(kind) => Self(1 << 16 | kind as u32),
            None => Self(1 << 17),
        }
    }

    /// An address of either family.
    pub const fn address() -> Self {
        Self(1 << 18)
    }

    fn is_short(self) -> bool {
        self.0 & (1 << 16 | 1 << 17) != 0
    }
}

#[derive(Debug)]
struct Slot {
    key: Key,
    answer: Rc<Answer>,
    drop_at: Instant,
}

#[derive(Debug, Default)]
struct Known {
    slots: Vec<Slot>,
    last: Option<u16>,
    touched: u64,
}

/// How many kinds of one name are kept.
const MAX_SLOTS: usize = 16;

/// The cache of one worker.
#[derive(Debug)]
pub struct Cache {
    names: HashMap<Box<str>, Known>,
    size: usize,
    count: usize,
    tick: u64,
}

// === impl Cache ===

impl Cache {
    /// At most `size` answers.
    pub fn new(size: usize) -> Self {
        Self {
            names: HashMap::new(),
            size: size.max(1),
            count: 0,
            tick: 0,
        }
    }

    /// How many answers and names without one are held.
    pub fn len(&self) -> usize {
        self.count
    }

    /// An answer that may be stale, but not beyond what is served.
    pub fn get(&mut self, name: &str, key: Key, now: Instant) -> Option<Rc<Answer>> {
        let known = self.names.get_mut(name)?;
        let slot = known.slots.iter().find(|s| s.key == key)?;
        if slot.drop_at <= now {
            return None;
        }
        self.tick += 1;
        known.touched = self.tick;
        Some(slot.answer.clone())
    }

    /// Keeps an answer until `drop_at`.
    pub fn set(&mut self, name: &str, key: Key, answer: Rc<Answer>, drop_at: Instant) {
        let known = self.known(name);
        known.slots.retain(|s| s.key != key);
        if known.slots.len() >= MAX_SLOTS {
            known.slots.remove(0);
        }
        known.slots.push(Slot { key, answer, drop_at });
        self.counted(name);
    }

    /// Forgets an answer.
    pub fn remove(&mut self, name: &str, key: Key) {
        if let Some(known) = self.names.get_mut(name) {
            let before = weight(known);
            known.slots.retain(|s| s.key != key);
            self.count = self.count + weight(known) - before;
        }
    }

    /// The type that was found last for a name.
    pub fn last(&self, name: &str) -> Option<u16> {
        self.names.get(name)?.last
    }

    /// Notes the type that was found for a name.
    pub fn set_last(&mut self, name: &str, kind: u16) {
        self.known(name).last = Some(kind);
        self.counted(name);
    }

    /// Forgets what short names led to, and everything about the names that `which` says.
    pub fn forget(&mut self, which: impl Fn(&str) -> bool) {
        self.names.retain(|name, known| {
            known.slots.retain(|s| !s.key.is_short() && !s.answer.of_hosts);
            !which(name)
        });
        self.count = self.names.values().map(weight).sum();
    }

    fn known(&mut self, name: &str) -> &mut Known {
        if !self.names.contains_key(name) {
            self.names.insert(name.into(), Known::default());
            self.count += 1;
        }
        self.tick += 1;
        let known = self.names.entry(name.into()).or_default();
        known.touched = self.tick;
        self.count -= weight(known);
        known
    }

    fn counted(&mut self, name: &str) {
        self.count += self.names.get(name).map_or(0, weight);
        while self.count > self.size && self.names.len() > 1 {
            self.evict();
        }
    }

    /// A sixteenth of the names goes at once, so that a flood of names pays for few looks at all of them.
    fn evict(&mut self) {
        let mut touched: Vec<u64> = self.names.values().map(|k| k.touched).collect();
        let nth = (touched.len() / 16).min(touched.len().saturating_sub(2));
        let (_, cut, _) = touched.select_nth_unstable(nth);
        let cut = *cut;
        self.names.retain(|_, known| known.touched > cut);
        self.count = self.names.values().map(weight).sum();
    }
}

fn weight(known: &Known) -> usize {
    known.slots.len().max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    fn answer(now: Instant) -> Rc<Answer> {
        Rc::new(Answer::new(0, Vec::new(), Duration::ZERO, now))
    }

    #[test]
    fn c05_the_cache_is_bounded_and_keeps_what_is_used() {
        let now = Instant::now();
        let later = now + Duration::from_secs(60);
        for size in [1, 2, 3, 40, 1000] {
            let mut cache = Cache::new(size);
            for i in 0..5000 {
                cache.set(&format!("n{i}"), Key::of(1), answer(now), later);
                cache.set(&format!("n{i}"), Key::short(None), answer(now), later);
                assert!(cache.len() <= size.max(2), "{} of {size}", cache.len());
                if size >= 40 {
                    assert!(
                        i == 0 || cache.get("n0", Key::of(1), now).is_some(),
                        "{i} of {size}"
                    );
                }
            }
            assert!(cache.get("n4999", Key::short(None), now).is_some());
        }
        let mut cache = Cache::new(10);
        for kind in 0..10_000u32 {
            cache.set("one", Key::of(kind as u16), answer(now), later);
            assert!(cache.len() <= MAX_SLOTS);
        }
    }

    #[test]
    fn c05_answers_go_when_their_time_is_over() {
        let now = Instant::now();
        let mut cache = Cache::new(10);
        cache.set("a", Key::of(1), answer(now), now + Duration::from_secs(5));
        cache.set(
            "a",
            Key::short(Some(1)),
            answer(now),
            now + Duration::from_secs(9),
        );
        cache.set_last("a", 1);
        let at = |s| now + Duration::from_secs(s);
        assert!(cache.get("a", Key::of(1), at(4)).is_some());
        assert!(cache.get("a", Key::of(1), at(5)).is_none());
        assert!(cache.get("a", Key::short(Some(1)), at(5)).is_some());
        assert!(cache.get("a", Key::short(None), at(5)).is_none());
        assert_eq!((cache.last("a"), cache.last("b")), (Some(1), None));
        cache.forget(|_| false);
        assert!(cache.get("a", Key::short(Some(1)), at(0)).is_none());
        assert!(cache.get("a", Key::of(1), at(0)).is_some());
        cache.remove("a", Key::of(1));
        assert_eq!((cache.len(), cache.last("a")), (1, Some(1)));
        cache.forget(|name| name == "a");
        assert_eq!(cache.len(), 0);
    }
}
