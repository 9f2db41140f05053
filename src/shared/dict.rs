//! Shared dictionaries (`lua_shared_dict`): named stores of all workers, bounded in bytes, least recently used first out.
//!
//! A store is split into shards by key, each behind its own short lock, which is never held across a wait.
//! Must not: know Lua; a [`Value`] is what a dictionary may hold.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;

/// What a key holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A boolean.
    Bool(bool),
    /// A number.
    Num(f64),
    /// A string.
    Str(Bytes),
}

/// Why a write did not happen; the words are OpenResty's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DictError {
    /// `add` of a living key.
    #[error("exists")]
    Exists,
    /// `replace`, `incr`, `ttl` or `expire` of a missing key.
    #[error("not found")]
    NotFound,
    /// Nothing could be evicted to make room, or `safe_*` would have had to.
    #[error("no memory")]
    NoMemory,
    /// `incr` of something else.
    #[error("not a number")]
    NotANumber,
}

/// How a write treats what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// In any case.
    Set,
    /// Only if no living value is there.
    Add,
    /// Only if a living value is there.
    Replace,
}

/// What is kept of a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The value.
    pub value: Value,
    /// The user's flags.
    pub flags: u32,
    /// Whether it has expired.
    pub stale: bool,
    /// When it expires or did.
    pub expires: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    key: Box<[u8]>,
    value: Value,
    flags: u32,
    expires: Option<Instant>,
    prev: u32,
    next: u32,
}

impl Entry {
    fn size(&self) -> usize {
        cost(self.key.len(), &self.value)
    }

    fn stale(&self, now: Instant) -> bool {
        self.expires.is_some_and(|t| t <= now)
    }
}

/// Bytes that an entry is charged: its text and what nginx's nodes take beside it.
fn cost(key: usize, value: &Value) -> usize {
    let text = match value {
        Value::Bool(_) => 1,
        Value::Num(_) => 8,
        Value::Str(s) => s.len(),
    };
    (key + text + 64).next_multiple_of(16)
}

const NIL: u32 = u32::MAX;

/// One shard: a map from key to a place in a list that is ordered by use.
#[derive(Debug)]
struct Shard {
    map: HashMap<Box<[u8]>, u32>,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    head: u32,
    tail: u32,
    used: usize,
    capacity: usize,
}

impl Shard {
    fn new(capacity: usize) -> Self {
        Self {
            map: HashMap::new(),
            entries: Vec::new(),
            free: Vec::new(),
            head: NIL,
            tail: NIL,
            used: 0,
            capacity,
        }
    }

    fn entry(&mut self, i: u32) -> Option<&mut Entry> {
        self.entries.get_mut(i as usize)?.as_mut()
    }

    fn unlink(&mut self, i: u32) {
        let Some((prev, next)) = self.entry(i).map(|e| (e.prev, e.next)) else {
            return;
        };
        match self.entry(prev) {
            Some(p) => p.next = next,
            None => self.head = next,
        }
        match self.entry(next) {
            Some(n) => n.prev = prev,
            None => self.tail = prev,
        }
    }

    fn link_front(&mut self, i: u32) {
        let old = self.head;
        if let Some(e) = self.entry(i) {
            e.prev = NIL;
            e.next = old;
        }
        match self.entry(old) {
            Some(h) => h.prev = i,
            None => self.tail = i,
        }
        self.head = i;
    }

    fn touch(&mut self, i: u32) {
        if self.head != i {
            self.unlink(i);
            self.link_front(i);
        }
    }

    fn find(&mut self, key: &[u8]) -> Option<u32> {
        self.map.get(key).copied()
    }

    fn remove(&mut self, i: u32) {
        self.unlink(i);
        if let Some(e) = self.entries.get_mut(i as usize).and_then(Option::take) {
            self.used -= e.size();
            self.map.remove(&e.key);
            self.free.push(i);
        }
    }

    /// Makes room for `need` bytes; answers whether living values were evicted for it.
    fn make_room(&mut self, need: usize, evict: bool, now: Instant) -> Result<bool, DictError> {
        if need > self.capacity {
            return Err(DictError::NoMemory);
        }
        let mut forcible = false;
        while self.used + need > self.capacity {
            let last = self.tail;
            let Some(stale) = self.entry(last).map(|e| e.stale(now)) else {
                return Err(DictError::NoMemory);
            };
            if !stale && !evict {
                return Err(DictError::NoMemory);
            }
            forcible |= !stale;
            self.remove(last);
        }
        Ok(forcible)
    }

    fn insert(&mut self, key: &[u8], value: Value, flags: u32, expires: Option<Instant>) {
        let entry = Entry {
            key: key.into(),
            value,
            flags,
            expires,
            prev: NIL,
            next: NIL,
        };
        self.used += entry.size();
        let i = match self.free.pop() {
            Some(i) => {
                self.entries[i as usize] = Some(entry);
                i
            }
            None => {
                self.entries.push(Some(entry));
                (self.entries.len() - 1) as u32
            }
        };
        self.map.insert(key.into(), i);
        self.link_front(i);
    }

    fn store(&mut self, write: Write<'_>, now: Instant) -> Result<bool, DictError> {
        let at = self.find(write.key);
        let living = at.is_some_and(|i| self.entry(i).is_some_and(|e| !e.stale(now)));
        match write.mode {
            Mode::Add if living => return Err(DictError::Exists),
            Mode::Replace if !living => return Err(DictError::NotFound),
            _ => {}
        }
        let size = cost(write.key.len(), &write.value);
        if let Some(i) = at
            && let Some(e) = self.entry(i)
            && e.size() == size
        {
            (e.value, e.flags, e.expires) = (write.value, write.flags, write.expires);
            self.touch(i);
            return Ok(false);
        }
        if let Some(i) = at {
            self.remove(i);
        }
        let forcible = self.make_room(size, write.evict, now)?;
        self.insert(write.key, write.value, write.flags, write.expires);
        Ok(forcible)
    }
}

/// A write.
#[derive(Debug, Clone)]
pub struct Write<'a> {
    /// The key.
    pub key: &'a [u8],
    /// What to put there.
    pub value: Value,
    /// The user's flags.
    pub flags: u32,
    /// When it expires.
    pub expires: Option<Instant>,
    /// What to do with what is there.
    pub mode: Mode,
    /// Whether living values may be evicted to make room.
    pub evict: bool,
}

/// One dictionary.
#[derive(Debug)]
pub struct Dict {
    name: String,
    capacity: usize,
    shards: Box<[Mutex<Shard>]>,
}

impl Dict {
    /// A dictionary of `capacity` bytes. Small ones have one shard: a large value must find room in its shard.
    pub fn new(name: &str, capacity: usize) -> Self {
        let count = (capacity >> 20).next_power_of_two().clamp(1, 16);
        Self {
            name: name.to_owned(),
            capacity,
            shards: (0..count)
                .map(|_| Mutex::new(Shard::new(capacity / count)))
                .collect(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its size in bytes.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes in use.
    pub fn bytes_used(&self) -> usize {
        self.shards.iter().map(|s| lock(s).used).sum()
    }

    /// Bytes not in use.
    pub fn free_space(&self) -> usize {
        self.capacity.saturating_sub(self.bytes_used())
    }

    fn shard(&self, key: &[u8]) -> MutexGuard<'_, Shard> {
        // only spreads keys over locks, so it needs no defence against chosen keys: FNV-1a
        let h = key.iter().fold(0xcbf2_9ce4_u32, |h, b| {
            (h ^ u32::from(*b)).wrapping_mul(0x0100_0193)
        });
        lock(&self.shards[(h ^ (h >> 16)) as usize & (self.shards.len() - 1)])
    }

    /// The value of `key`; an expired one only with `stale`.
    pub fn get(&self, key: &[u8], stale: bool) -> Option<Found> {
        let mut shard = self.shard(key);
        let i = shard.find(key)?;
        let e = shard.entry(i)?;
        let is_stale = e.expires.is_some_and(|t| t <= Instant::now());
        if is_stale && !stale {
            return None;
        }
        let found = Found {
            value: e.value.clone(),
            flags: e.flags,
            stale: is_stale,
            expires: e.expires,
        };
        shard.touch(i);
        Some(found)
    }

    /// Writes; answers whether living values were evicted for it.
    ///
    /// # Errors
    /// As [`Mode`] and the room left have it.
    pub fn put(&self, write: Write<'_>) -> Result<bool, DictError> {
        self.shard(write.key).store(write, Instant::now())
    }

    /// Removes `key`.
    pub fn delete(&self, key: &[u8]) {
        let mut shard = self.shard(key);
        if let Some(i) = shard.find(key) {
            shard.remove(i);
        }
    }

    /// Removes `key` if it holds `value` and has not expired; answers whether it did.
    pub fn delete_if(&self, key: &[u8], value: &Value) -> bool {
        let mut shard = self.shard(key);
        let now = Instant::now();
        let Some(i) = shard.find(key) else { return false };
        let same = shard.entry(i).is_some_and(|e| e.value == *value && !e.stale(now));
        if same {
            shard.remove(i);
        }
        same
    }

    /// Adds `by` to the number at `key`; a missing or expired one starts at `init`, living for `ttl`.
    ///
    /// # Errors
    /// `NotFound` without `init`, `NotANumber`, `NoMemory`.
    pub fn incr(
        &self,
        key: &[u8],
        by: f64,
        init: Option<f64>,
        ttl: Option<Duration>,
    ) -> Result<(f64, bool), DictError> {
        let mut shard = self.shard(key);
        let at = shard.find(key);
        let now = Instant::now();
        if let Some(i) = at
            && let Some(e) = shard.entry(i)
            && !e.stale(now)
        {
            let Value::Num(n) = &mut e.value else {
                return Err(DictError::NotANumber);
            };
            *n += by;
            let sum = *n;
            shard.touch(i);
            return Ok((sum, false));
        }
        let sum = init.ok_or(DictError::NotFound)? + by;
        let write = Write {
            key,
            value: Value::Num(sum),
            flags: 0,
            expires: ttl.map(|t| now + t),
            mode: Mode::Set,
            evict: true,
        };
        shard.store(write, now).map(|forcible| (sum, forcible))
    }

    /// How long `key` still lives: None without an end.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn ttl(&self, key: &[u8]) -> Result<Option<Duration>, DictError> {
        let mut shard = self.shard(key);
        let i = shard.find(key).ok_or(DictError::NotFound)?;
        let expires = shard.entry(i).ok_or(DictError::NotFound)?.expires;
        let now = Instant::now();
        match expires {
            Some(t) if t <= now => Err(DictError::NotFound),
            other => Ok(other.map(|t| t - now)),
        }
    }

    /// Gives `key` a new end.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn expire(&self, key: &[u8], expires: Option<Instant>) -> Result<(), DictError> {
        let mut shard = self.shard(key);
        let i = shard.find(key).ok_or(DictError::NotFound)?;
        let e = shard.entry(i).ok_or(DictError::NotFound)?;
        if e.stale(Instant::now()) {
            return Err(DictError::NotFound);
        }
        e.expires = expires;
        Ok(())
    }

    /// Removes everything, expired values too.
    pub fn clear(&self) {
        for shard in &self.shards {
            // the values are let go after the lock
            let old = {
                let mut shard = lock(shard);
                let capacity = shard.capacity;
                std::mem::replace(&mut *shard, Shard::new(capacity))
            };
            drop(old);
        }
    }

    /// Lets every value expire; their room is won back when it is needed.
    pub fn flush_all(&self) {
        let now = Instant::now();
        for shard in &self.shards {
            for e in lock(shard).entries.iter_mut().flatten() {
                e.expires = Some(now);
            }
        }
    }

    /// Removes up to `max` expired values (0 for all); answers how many.
    pub fn flush_expired(&self, max: usize) -> usize {
        let max = if max == 0 { usize::MAX } else { max };
        let now = Instant::now();
        let mut count = 0;
        for shard in &self.shards {
            let mut shard = lock(shard);
            let old: Vec<u32> = (0u32..)
                .zip(&shard.entries)
                .filter(|(_, e)| e.as_ref().is_some_and(|e| e.stale(now)))
                .map(|(i, _)| i)
                .take(max - count)
                .collect();
            count += old.len();
            old.into_iter().for_each(|i| shard.remove(i));
        }
        count
    }

    /// Up to `max` living keys (0 for all), the most recently used of each shard first.
    pub fn keys(&self, max: usize) -> Vec<Box<[u8]>> {
        let max = if max == 0 { usize::MAX } else { max };
        let now = Instant::now();
        let mut keys = Vec::new();
        for shard in &self.shards {
            let mut shard = lock(shard);
            let mut i = shard.head;
            while keys.len() < max
                && let Some(e) = shard.entry(i)
            {
                if !e.stale(now) {
                    keys.push(e.key.clone());
                }
                i = e.next;
            }
        }
        keys
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

static DICTS: RwLock<Vec<Arc<Dict>>> = RwLock::new(Vec::new());

/// Declares the dictionaries by name and size in bytes. One that is there with the same size keeps its values.
pub fn configure(wanted: Vec<(String, usize)>) {
    let mut dicts = DICTS.write().unwrap_or_else(PoisonError::into_inner);
    let old = std::mem::take(&mut *dicts);
    *dicts = wanted
        .into_iter()
        .map(|(name, size)| {
            old.iter()
                .find(|d| d.name == name && d.capacity == size)
                .cloned()
                .unwrap_or_else(|| Arc::new(Dict::new(&name, size)))
        })
        .collect();
}

/// All dictionaries.
pub fn all() -> Vec<Arc<Dict>> {
    DICTS.read().unwrap_or_else(PoisonError::into_inner).clone()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn set(d: &Dict, key: &str, value: &str, evict: bool) -> Result<bool, DictError> {
        d.put(Write {
            key: key.as_bytes(),
            value: Value::Str(Bytes::copy_from_slice(value.as_bytes())),
            flags: 0,
            expires: None,
            mode: Mode::Set,
            evict,
        })
    }

    #[test]
    fn a11_dict_evicts_the_least_recently_used() {
        let d = Dict::new("d", 1000);
        let big = "x".repeat(200);
        for k in ["a", "b", "c"] {
            assert_eq!(set(&d, k, &big, true), Ok(false));
        }
        assert!(d.get(b"a", false).is_some());
        assert_eq!(set(&d, "e", &big, false), Err(DictError::NoMemory));
        assert_eq!(set(&d, "e", &big, true), Ok(true));
        assert!(d.get(b"b", false).is_none(), "b was used longest ago");
        assert!(d.get(b"a", false).is_some());
        assert_eq!(set(&d, "h", &"x".repeat(2000), true), Err(DictError::NoMemory));
        for k in ["a", "c", "e"] {
            d.delete(k.as_bytes());
        }
        assert_eq!(d.free_space(), 1000);
    }

    #[test]
    fn a11_dict_counts_and_expires() {
        let d = Dict::new("d", 1 << 24);
        assert_eq!(d.incr(b"n", 1.0, None, None), Err(DictError::NotFound));
        let ttl = Some(Duration::from_millis(20));
        assert_eq!(d.incr(b"n", 2.0, Some(5.0), ttl), Ok((7.0, false)));
        assert_eq!(d.incr(b"n", 1.0, Some(5.0), ttl), Ok((8.0, false)));
        assert!(d.ttl(b"n").unwrap().unwrap() <= Duration::from_millis(20));
        std::thread::sleep(Duration::from_millis(25));
        assert!(d.get(b"n", false).is_none());
        assert!(d.get(b"n", true).unwrap().stale);
        assert_eq!(d.ttl(b"n"), Err(DictError::NotFound));
        assert_eq!(d.flush_expired(0), 1);
        set(&d, "s", "x", true).unwrap();
        assert_eq!(d.incr(b"s", 1.0, None, None), Err(DictError::NotANumber));
        d.flush_all();
        assert!(d.keys(0).is_empty());
    }

    #[test]
    fn a11_dict_is_shared_by_threads() {
        let d = Arc::new(Dict::new("d", 1 << 22));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let d = d.clone();
                std::thread::spawn(move || {
                    for i in 0..1000 {
                        d.incr(format!("k{}", i % 10).as_bytes(), 1.0, Some(0.0), None)
                            .unwrap();
                    }
                })
            })
            .collect();
        for t in threads {
            t.join().unwrap();
        }
        let sum: f64 = d
            .keys(0)
            .iter()
            .map(|k| match d.get(k, false).unwrap().value {
                Value::Num(n) => n,
                _ => 0.0,
            })
            .sum();
        assert_eq!(sum, 4000.0);
    }
}
