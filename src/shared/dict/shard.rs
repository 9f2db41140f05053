//! One shard of a dictionary: a table from key to a place in a list that is ordered by use.
//!
//! Must not: lock anything but the room, which is told of every byte, or look at a clock by itself.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use hashbrown::HashTable;

use super::room::{self, Room};
use super::{DictError, Mode, Value, Write};

/// What nginx's node takes beside key and value.
const NODE: usize = 68;
/// What a list's item takes beside its value.
const ITEM: usize = 21;
/// A list's head beside its key.
const QUEUE: usize = 16;

const NIL: u32 = u32::MAX;

/// What a key holds: a value or a list of them.
#[derive(Debug)]
pub(super) enum Content {
    One(Value),
    List(VecDeque<Value>),
}

#[derive(Debug)]
pub(super) struct Entry {
    key: Box<[u8]>,
    hash: u64,
    pub(super) content: Content,
    pub(super) flags: i32,
    /// When it expires, in the clock's milliseconds; 0 for never.
    pub(super) expires: u64,
    prev: u32,
    next: u32,
}

/// Bytes of a value.
fn len(value: &Value) -> usize {
    match value {
        Value::Bool(_) => 1,
        Value::Num(_) => 8,
        Value::Str(s) => s.len(),
    }
}

fn head_size(key: usize) -> usize {
    (NODE + key + QUEUE).next_multiple_of(8)
}

/// A clock in milliseconds, and a cheap one that is never ahead of it and at most [`SLACK_MS`] behind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) exact: fn() -> u64,
    pub(super) coarse: fn() -> u64,
}

/// The longest tick that Linux is built with is 10 ms.
const SLACK_MS: u64 = 20;

/// The clock, read when it is first needed.
pub(super) struct Now {
    clock: Clock,
    read: Option<u64>,
}

impl Now {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, read: None }
    }

    pub(super) fn ms(&mut self) -> u64 {
        *self.read.get_or_insert_with(self.clock.exact)
    }

    pub(super) fn is_past(&mut self, expires: u64) -> bool {
        if expires == 0 {
            return false;
        }
        if self.read.is_none() {
            let coarse = (self.clock.coarse)();
            if expires <= coarse || expires > coarse + SLACK_MS {
                return expires <= coarse;
            }
        }
        expires <= self.ms()
    }
}

pub(super) fn after(now: &mut Now, ttl_ms: u64) -> u64 {
    if ttl_ms == 0 {
        0
    } else {
        now.ms().saturating_add(ttl_ms)
    }
}

#[derive(Debug)]
pub(super) struct Shard {
    table: HashTable<u32>,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    head: u32,
    tail: u32,
}

fn on<R>(room: &Mutex<Room>, f: impl FnOnce(&mut Room) -> R) -> R {
    f(&mut room.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Shard {
    pub(super) fn new() -> Self {
        Self {
            table: HashTable::new(),
            entries: Vec::new(),
            free: Vec::new(),
            head: NIL,
            tail: NIL,
        }
    }

    pub(super) fn entry(&mut self, i: u32) -> Option<&mut Entry> {
        self.entries.get_mut(i as usize)?.as_mut()
    }

    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let same = |i: &u32| {
            let e = self.entries.get(*i as usize).and_then(Option::as_ref);
            e.is_some_and(|e| *e.key == *key)
        };
        self.table.find(hash, same).copied()
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
            (e.prev, e.next) = (NIL, old);
        }
        match self.entry(old) {
            Some(h) => h.prev = i,
            None => self.tail = i,
        }
        self.head = i;
    }

    /// Makes it the one used last.
    pub(super) fn touch(&mut self, i: u32) {
        if self.head != i {
            self.unlink(i);
            self.link_front(i);
        }
    }

    /// Takes an entry out and gives its bytes back.
    pub(super) fn remove(&mut self, i: u32, room: &Mutex<Room>) {
        self.unlink(i);
        let Some(e) = self.entries.get_mut(i as usize).and_then(Option::take) else {
            return;
        };
        if let Ok(place) = self.table.find_entry(e.hash, |at| *at == i) {
            place.remove();
        }
        self.free.push(i);
        on(room, |r| match &e.content {
            Content::One(value) => r.give(NODE + e.key.len() + len(value)),
            Content::List(items) => {
                r.give(head_size(e.key.len()));
                items.iter().for_each(|v| r.give(ITEM + len(v)));
            }
        });
    }

    /// Removes the one used longest ago; whether it had expired. None if there is none.
    pub(super) fn evict(&mut self, only_expired: bool, now: &mut Now, room: &Mutex<Room>) -> Option<bool> {
        let last = self.tail;
        let expires = self.entry(last)?.expires;
        let past = now.is_past(expires);
        if only_expired && !past {
            return None;
        }
        self.remove(last, room);
        Some(past)
    }

    /// As nginx does at nearly every call: up to two expired ones go from the end of the list.
    pub(super) fn sweep(&mut self, now: &mut Now, room: &Mutex<Room>) {
        for _ in 0..2 {
            if self.evict(true, now, room).is_none() {
                return;
            }
        }
    }

    /// The entry of a key and whether it lives, which makes it the one used last whatever comes of the call.
    pub(super) fn living(&mut self, hash: u64, key: &[u8], now: &mut Now) -> (Option<u32>, bool) {
        let at = self.find(hash, key);
        let expires = at.and_then(|i| self.entry(i)).map(|e| e.expires);
        let lives = expires.is_some_and(|t| !now.is_past(t));
        if let (Some(i), true) = (at, lives) {
            self.touch(i);
        }
        (at, lives)
    }

    /// Enters a key whose bytes have been taken from the room.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        key: &[u8],
        content: Content,
        flags: i32,
        expires: u64,
    ) -> u32 {
        let entry = Some(Entry {
            key: key.into(),
            hash,
            content,
            flags,
            expires,
            prev: NIL,
            next: NIL,
        });
        let i = match self.free.pop() {
            Some(i) => {
                self.entries[i as usize] = entry;
                i
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        let entries = &self.entries;
        let hash_of = |at: &u32| {
            entries
                .get(*at as usize)
                .and_then(Option::as_ref)
                .map_or(0, |e| e.hash)
        };
        self.table.insert_unique(hash, i, hash_of);
        self.link_front(i);
        i
    }

    /// What a write may do without new bytes: refuse, or put the value where one of its size was. None if it needs
    /// them; the old value is gone then.
    pub(super) fn store_in_place(
        &mut self,
        hash: u64,
        write: &mut Write<'_>,
        now: &mut Now,
        room: &Mutex<Room>,
    ) -> Option<Result<(), DictError>> {
        let (at, living) = self.living(hash, write.key, now);
        match write.mode {
            Mode::Add if living => return Some(Err(DictError::Exists)),
            Mode::Replace if !living => return Some(Err(DictError::NotFound)),
            _ => {}
        }
        let i = at?;
        let e = self.entry(i)?;
        if let Content::One(old) = &mut e.content
            && room::alike(
                NODE + e.key.len() + len(old),
                NODE + e.key.len() + len(&write.value),
            )
        {
            *old = std::mem::replace(&mut write.value, Value::Bool(false));
            e.flags = write.flags;
            e.expires = after(now, write.ttl_ms);
            self.touch(i);
            return Some(Ok(()));
        }
        self.remove(i, room);
        None
    }

    /// Adds an item to a list, which a missing or expired key becomes; the list's new length.
    pub(super) fn push(
        &mut self,
        (hash, key): (u64, &[u8]),
        value: Value,
        left: bool,
        now: &mut Now,
        room: &Mutex<Room>,
    ) -> Result<usize, DictError> {
        let (mut at, living) = self.living(hash, key, now);
        if let (Some(i), false) = (at, living) {
            self.remove(i, room);
            at = None;
        }
        let size = ITEM + len(&value);
        let i = match at {
            Some(i) => i,
            None => {
                // both or nothing: an empty list is no list
                let both = on(room, |r| {
                    r.take(head_size(key.len()))
                        && (r.take(size) || {
                            r.give(head_size(key.len()));
                            false
                        })
                });
                if !both {
                    return Err(DictError::NoMemory);
                }
                let list = Content::List(VecDeque::from([value]));
                self.insert(hash, key, list, 0, 0);
                return Ok(1);
            }
        };
        let Some(Entry {
            content: Content::List(items),
            ..
        }) = self.entry(i)
        else {
            return Err(DictError::NotAList);
        };
        if !on(room, |r| r.take(size)) {
            return Err(DictError::NoMemory);
        }
        if left {
            items.push_front(value);
        } else {
            items.push_back(value);
        }
        Ok(items.len())
    }

    /// Takes an item from a list; an empty list is gone.
    pub(super) fn pop(
        &mut self,
        (hash, key): (u64, &[u8]),
        left: bool,
        now: &mut Now,
        room: &Mutex<Room>,
    ) -> Result<Option<Value>, DictError> {
        let (Some(i), true) = self.living(hash, key, now) else {
            return Ok(None);
        };
        let Some(Entry {
            content: Content::List(items),
            ..
        }) = self.entry(i)
        else {
            return Err(DictError::NotAList);
        };
        let item = if left { items.pop_front() } else { items.pop_back() };
        let empty = items.is_empty();
        if let Some(item) = &item {
            on(room, |r| r.give(ITEM + len(item)));
        }
        if empty {
            self.remove(i, room);
        }
        Ok(item)
    }

    /// How many entries there are, expired ones included.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.table.len()
    }

    /// Visits keys from the one used longest ago on, until `f` says false.
    pub(super) fn walk(&mut self, mut f: impl FnMut(u32, &[u8], &mut u64) -> bool) {
        let mut i = self.tail;
        while let Some(e) = self.entry(i) {
            let prev = e.prev;
            if !f(i, &e.key, &mut e.expires) {
                return;
            }
            i = prev;
        }
    }
}

/// Bytes that a write takes.
pub(super) fn size_of(write: &Write<'_>) -> usize {
    NODE + write.key.len() + len(&write.value)
}
