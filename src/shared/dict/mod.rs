//! Shared dictionaries (`lua_shared_dict`): named stores of all workers, bounded in bytes, least recently used first out.
//!
//! A store is split into shards by key, each behind its own short lock, which is never held across a wait. Bytes are
//! counted for the whole dictionary ([`room`]); who needs some evicts from the own shard first.
//! Must not: know Lua; a [`Value`] is what a dictionary may hold.

mod room;
mod shard;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};

use bytes::Bytes;

use room::Room;
use shard::{Clock, Content, Now, Shard};

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

/// Why a call did not do what it is for; the words are OpenResty's.
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
    /// A list's call on a key that holds a value.
    #[error("value not a list")]
    NotAList,
    /// A value's call on a key that holds a list.
    #[error("value is a list")]
    IsAList,
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
    pub flags: i32,
    /// Whether it has expired.
    pub stale: bool,
    /// Milliseconds that it still lives (0 or fewer when stale); None without an end.
    pub left_ms: Option<i64>,
}

/// A value where it lies, under its shard's lock.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The value.
    pub value: &'a Value,
    /// The user's flags.
    pub flags: i32,
    /// Whether it has expired.
    pub stale: bool,
    expires: u64,
}

/// A write.
#[derive(Debug, Clone)]
pub struct Write<'a> {
    /// The key.
    pub key: &'a [u8],
    /// What to put there.
    pub value: Value,
    /// The user's flags.
    pub flags: i32,
    /// Milliseconds that it lives; 0 for no end.
    pub ttl_ms: u64,
    /// What to do with what is there.
    pub mode: Mode,
    /// Whether living values may be evicted to make room.
    pub evict: bool,
}

/// A shard on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Own(Mutex<Shard>);

/// One dictionary.
#[derive(Debug)]
pub struct Dict {
    name: String,
    capacity: usize,
    clock: Clock,
    hasher: RandomState,
    room: Mutex<Room>,
    shards: Box<[Own]>,
}

/// Milliseconds of one of the system's clocks that only go forward.
#[allow(unsafe_code)]
fn clock_ms(clock: libc::clockid_t) -> u64 {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: fills in the struct that it is given; these clocks are always there.
    unsafe { libc::clock_gettime(clock, &raw mut t) };
    t.tv_sec as u64 * 1000 + t.tv_nsec as u64 / 1_000_000
}

/// Most calls only ask whether a time is long past or far away: the coarse clock costs a fifth of the exact one.
const MONOTONIC: Clock = Clock {
    exact: || clock_ms(libc::CLOCK_MONOTONIC),
    coarse: || clock_ms(libc::CLOCK_MONOTONIC_COARSE),
};

impl Dict {
    /// A dictionary of `capacity` bytes. Only one beyond 4 MiB has several shards: which value was used least recently
    /// is known within one.
    pub fn new(name: &str, capacity: usize) -> Self {
        Self::with_clock(name, capacity, MONOTONIC)
    }

    fn with_clock(name: &str, capacity: usize, clock: Clock) -> Self {
        let count = (capacity >> 22).next_power_of_two().clamp(1, 16);
        Self {
            name: name.to_owned(),
            capacity,
            clock,
            hasher: RandomState::new(),
            room: Mutex::new(Room::new(capacity)),
            shards: (0..count).map(|_| Own(Mutex::new(Shard::new()))).collect(),
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

    /// Bytes of the pages in use.
    pub fn bytes_used(&self) -> usize {
        lock(&self.room).used_pages() * room::PAGE
    }

    /// Bytes of the pages not in use.
    pub fn free_space(&self) -> usize {
        lock(&self.room).free_pages() * room::PAGE
    }

    fn now(&self) -> Now {
        Now::new(self.clock)
    }

    fn shard(&self, key: &[u8]) -> (u64, MutexGuard<'_, Shard>) {
        let hash = self.hasher.hash_one(key);
        // the table looks at the lowest and the highest bits
        let i = (hash >> 32) as usize & (self.shards.len() - 1);
        (hash, lock(&self.shards[i].0))
    }

    /// Shows `f` the value of `key`, an expired one only with `stale`. None if there is none.
    ///
    /// # Errors
    /// `IsAList`.
    pub fn look<R>(
        &self,
        key: &[u8],
        stale: bool,
        f: impl FnOnce(Seen<'_>) -> R,
    ) -> Result<Option<R>, DictError> {
        let now = &mut self.now();
        let (hash, mut shard) = self.shard(key);
        if !stale {
            shard.sweep(now, &self.room);
        }
        let (Some(i), living) = shard.living(hash, key, now) else {
            return Ok(None);
        };
        if !living && !stale {
            return Ok(None);
        }
        let Some(e) = shard.entry(i) else { return Ok(None) };
        match &e.content {
            Content::One(value) => Ok(Some(f(Seen {
                value,
                flags: e.flags,
                stale: !living,
                expires: e.expires,
            }))),
            Content::List(_) => Err(DictError::IsAList),
        }
    }

    /// The value of `key`; an expired one only with `stale`. A list is none.
    pub fn get(&self, key: &[u8], stale: bool) -> Option<Found> {
        let clock = self.clock.exact;
        let found = |seen: Seen<'_>| Found {
            value: seen.value.clone(),
            flags: seen.flags,
            stale: seen.stale,
            left_ms: (seen.expires != 0).then(|| left(seen.expires, clock())),
        };
        self.look(key, stale, found).ok().flatten()
    }

    /// Writes; answers whether living values were evicted for it.
    ///
    /// # Errors
    /// As [`Mode`] and the room left have it.
    pub fn put(&self, write: Write<'_>) -> Result<bool, DictError> {
        let now = &mut self.now();
        let (hash, mut shard) = self.shard(write.key);
        shard.sweep(now, &self.room);
        self.store(&mut shard, hash, write, now)
    }

    fn store(
        &self,
        shard: &mut Shard,
        hash: u64,
        mut write: Write<'_>,
        now: &mut Now,
    ) -> Result<bool, DictError> {
        if let Some(done) = shard.store_in_place(hash, &mut write, now, &self.room) {
            return done.map(|()| false);
        }
        let forcible = self.make_room(shard, shard::size_of(&write), write.evict, now)?;
        let expires = shard::after(now, write.ttl_ms);
        shard.insert(hash, write.key, Content::One(write.value), write.flags, expires);
        Ok(forcible)
    }

    /// Takes `size` bytes, evicting for them: expired values at the end of the shard's list, and living ones if
    /// `evict` says so, then those of other shards. Whether living ones went.
    fn make_room(&self, own: &mut Shard, size: usize, evict: bool, now: &mut Now) -> Result<bool, DictError> {
        let fits = || lock(&self.room).take(size);
        if fits() {
            return Ok(false);
        }
        if !lock(&self.room).could_hold(size) {
            return Err(DictError::NoMemory);
        }
        let mut forcible = false;
        while let Some(past) = own.evict(!evict, now, &self.room) {
            forcible |= !past;
            if fits() {
                return Ok(forcible);
            }
        }
        for other in &self.shards {
            // one that is busy, the own among them, is passed over: nobody waits for two locks
            let mut other = match other.0.try_lock() {
                Ok(shard) => shard,
                Err(TryLockError::Poisoned(e)) => e.into_inner(),
                Err(TryLockError::WouldBlock) => continue,
            };
            while let Some(past) = other.evict(!evict, now, &self.room) {
                forcible |= !past;
                if fits() {
                    return Ok(forcible);
                }
            }
        }
        Err(DictError::NoMemory)
    }

    /// Removes `key`.
    pub fn delete(&self, key: &[u8]) {
        let (hash, mut shard) = self.shard(key);
        shard.sweep(&mut self.now(), &self.room);
        if let Some(i) = shard.find(hash, key) {
            shard.remove(i, &self.room);
        }
    }

    /// Removes `key` if it holds `value` and has not expired; answers whether it did.
    pub fn delete_if(&self, key: &[u8], value: &Value) -> bool {
        let (hash, mut shard) = self.shard(key);
        let (Some(i), true) = shard.living(hash, key, &mut self.now()) else {
            return false;
        };
        let holds = |c: &Content| matches!(c, Content::One(v) if v == value);
        let same = shard.entry(i).is_some_and(|e| holds(&e.content));
        if same {
            shard.remove(i, &self.room);
        }
        same
    }

    /// Adds `by` to the number at `key`; a missing or expired one starts at `init`, living for `ttl_ms` (0 for no
    /// end). The sum, and whether living values were evicted for it.
    ///
    /// # Errors
    /// `NotFound` without `init`, `NotANumber`, `NoMemory`.
    pub fn incr(
        &self,
        key: &[u8],
        by: f64,
        init: Option<f64>,
        ttl_ms: u64,
    ) -> Result<(f64, bool), DictError> {
        let now = &mut self.now();
        let (hash, mut shard) = self.shard(key);
        shard.sweep(now, &self.room);
        if let (Some(i), true) = shard.living(hash, key, now)
            && let Some(e) = shard.entry(i)
        {
            let Content::One(Value::Num(n)) = &mut e.content else {
                return Err(DictError::NotANumber);
            };
            *n += by;
            return Ok((*n, false));
        }
        let sum = init.ok_or(DictError::NotFound)? + by;
        let write = Write {
            key,
            value: Value::Num(sum),
            flags: 0,
            ttl_ms,
            mode: Mode::Set,
            evict: true,
        };
        self.store(&mut shard, hash, write, now)
            .map(|forcible| (sum, forcible))
    }

    /// Adds `value` to the left or the right end of the list at `key`; the list's length. Nothing is evicted for it.
    ///
    /// # Errors
    /// `NotAList`, `NoMemory`.
    pub fn push(&self, key: &[u8], value: Value, left: bool) -> Result<usize, DictError> {
        let now = &mut self.now();
        let (hash, mut shard) = self.shard(key);
        shard.sweep(now, &self.room);
        shard.push((hash, key), value, left, now, &self.room)
    }

    /// Takes a value from the left or the right end of the list at `key`.
    ///
    /// # Errors
    /// `NotAList`.
    pub fn pop(&self, key: &[u8], left: bool) -> Result<Option<Value>, DictError> {
        let now = &mut self.now();
        let (hash, mut shard) = self.shard(key);
        shard.sweep(now, &self.room);
        shard.pop((hash, key), left, now, &self.room)
    }

    /// The length of the list at `key`; 0 if there is none.
    ///
    /// # Errors
    /// `NotAList`.
    pub fn list_len(&self, key: &[u8]) -> Result<usize, DictError> {
        let now = &mut self.now();
        let (hash, mut shard) = self.shard(key);
        shard.sweep(now, &self.room);
        let (Some(i), true) = shard.living(hash, key, now) else {
            return Ok(0);
        };
        match shard.entry(i).map(|e| &e.content) {
            Some(Content::List(items)) => Ok(items.len()),
            _ => Err(DictError::NotAList),
        }
    }

    /// Milliseconds that `key` still lives, 0 or fewer for one that has expired and is still there: None without an
    /// end.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn ttl_ms(&self, key: &[u8]) -> Result<Option<i64>, DictError> {
        let (hash, mut shard) = self.shard(key);
        let i = shard.find(hash, key).ok_or(DictError::NotFound)?;
        let expires = shard.entry(i).ok_or(DictError::NotFound)?.expires;
        Ok((expires != 0).then(|| left(expires, (self.clock.exact)())))
    }

    /// Gives `key`, expired or not, a new end in `ttl_ms`; none at all for 0.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn expire(&self, key: &[u8], ttl_ms: u64) -> Result<(), DictError> {
        let (hash, mut shard) = self.shard(key);
        let i = shard.find(hash, key).ok_or(DictError::NotFound)?;
        let e = shard.entry(i).ok_or(DictError::NotFound)?;
        e.expires = shard::after(&mut self.now(), ttl_ms);
        Ok(())
    }

    /// Removes everything, expired values too.
    pub fn clear(&self) {
        for Own(shard) in &self.shards {
            // the values are let go after the lock
            let old = {
                let mut shard = lock(shard);
                let mut old = std::mem::replace(&mut *shard, Shard::new());
                while old.evict(false, &mut self.now(), &self.room).is_some() {}
                old
            };
            drop(old);
        }
    }

    /// Lets every value expire; but for three, which go at once, their room is won back when it is needed.
    pub fn flush_all(&self) {
        let now = &mut self.now();
        let mut gone = 0;
        for Own(shard) in &self.shards {
            let mut shard = lock(shard);
            shard.walk(|_, _, expires| {
                *expires = 1;
                true
            });
            while gone < 3 && shard.evict(false, now, &self.room).is_some() {
                gone += 1;
            }
        }
    }

    /// Removes up to `max` expired values (0 for all), those used longest ago first; answers how many.
    pub fn flush_expired(&self, max: usize) -> usize {
        let max = if max == 0 { usize::MAX } else { max };
        let now = &mut self.now();
        let mut count = 0;
        for Own(shard) in &self.shards {
            let mut shard = lock(shard);
            let mut old = Vec::new();
            shard.walk(|i, _, expires| {
                if count + old.len() < max && now.is_past(*expires) {
                    old.push(i);
                }
                count + old.len() < max
            });
            count += old.len();
            old.into_iter().for_each(|i| shard.remove(i, &self.room));
        }
        count
    }

    /// Up to `max` living keys (0 for all), those of each shard that were used longest ago first.
    pub fn keys(&self, max: usize) -> Vec<Box<[u8]>> {
        let max = if max == 0 { usize::MAX } else { max };
        let now = &mut self.now();
        let mut keys: Vec<Box<[u8]>> = Vec::new();
        for Own(shard) in &self.shards {
            lock(shard).walk(|_, key, expires| {
                if keys.len() < max && !now.is_past(*expires) {
                    keys.push(key.into());
                }
                keys.len() < max
            });
        }
        keys
    }
}

/// Milliseconds from `now` to `expires`.
fn left(expires: u64, now: u64) -> i64 {
    expires as i64 - now as i64
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
