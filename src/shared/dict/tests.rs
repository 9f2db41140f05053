#![allow(clippy::unwrap_used)]
//! Against a model with a clock of its own, from several threads, and at the edge of the room.

use std::cell::Cell;
use std::collections::VecDeque;

use super::*;

thread_local! {
    static CLOCK: Cell<u64> = const { Cell::new(1000) };
}

fn clock() -> u64 {
    CLOCK.get()
}

/// Its coarse clock is behind by what is left of ten.
const CLOCKS: Clock = Clock {
    exact: clock,
    coarse: || clock() / 10 * 10,
};

fn text(s: &str) -> Value {
    Value::Str(Bytes::copy_from_slice(s.as_bytes()))
}

fn write<'a>(key: &'a str, value: Value, ttl_ms: u64, mode: Mode) -> Write<'a> {
    Write {
        key: key.as_bytes(),
        value,
        flags: 0,
        ttl_ms,
        mode,
        evict: true,
    }
}

fn set(d: &Dict, key: &str, value: &str, evict: bool) -> Result<bool, DictError> {
    d.put(Write {
        evict,
        ..write(key, text(value), 0, Mode::Set)
    })
}

/// What a dictionary should be: a list of keys, the one used last first.
#[derive(Default)]
struct Model(Vec<(String, Content, u64)>);

impl Model {
    fn sweep(&mut self) {
        for _ in 0..2 {
            match self.0.last() {
                Some((_, _, t)) if *t != 0 && *t <= clock() => drop(self.0.pop()),
                _ => return,
            }
        }
    }

    fn at(&self, key: &str) -> Option<usize> {
        self.0.iter().position(|(k, ..)| k == key)
    }

    fn lives(&self, i: usize) -> bool {
        self.0[i].2 == 0 || self.0[i].2 > clock()
    }

    /// Looking at a living key makes it the one used last.
    fn living(&mut self, key: &str) -> Option<usize> {
        let i = self.at(key).filter(|i| self.lives(*i))?;
        let e = self.0.remove(i);
        self.0.insert(0, e);
        Some(0)
    }

    fn get(&mut self, key: &str, stale: bool) -> Result<Option<(Value, bool)>, DictError> {
        if !stale {
            self.sweep();
        }
        let living = self.living(key);
        let Some(i) = living.or(self.at(key).filter(|_| stale)) else {
            return Ok(None);
        };
        match &self.0[i].1 {
            Content::One(v) => Ok(Some((v.clone(), living.is_none()))),
            Content::List(_) => Err(DictError::IsAList),
        }
    }

    fn replace(&mut self, key: &str, content: Content, ttl: u64) {
        self.0.retain(|(k, ..)| k != key);
        let end = if ttl == 0 { 0 } else { clock() + ttl };
        self.0.insert(0, (key.into(), content, end));
    }

    fn put(&mut self, w: &Write<'_>) -> Result<bool, DictError> {
        let key = std::str::from_utf8(w.key).unwrap();
        self.sweep();
        match (w.mode, self.living(key)) {
            (Mode::Add, Some(_)) => return Err(DictError::Exists),
            (Mode::Replace, None) => return Err(DictError::NotFound),
            _ => {}
        }
        self.replace(key, Content::One(w.value.clone()), w.ttl_ms);
        Ok(false)
    }

    fn incr(&mut self, key: &str, by: f64, init: Option<f64>, ttl: u64) -> Result<(f64, bool), DictError> {
        self.sweep();
        let Some(i) = self.living(key) else {
            let sum = init.ok_or(DictError::NotFound)? + by;
            self.replace(key, Content::One(Value::Num(sum)), ttl);
            return Ok((sum, false));
        };
        let Content::One(Value::Num(n)) = &mut self.0[i].1 else {
            return Err(DictError::NotANumber);
        };
        *n += by;
        Ok((*n, false))
    }

    fn list(&mut self, key: &str) -> Result<Option<(usize, &mut VecDeque<Value>)>, DictError> {
        self.sweep();
        match self.living(key) {
            None => Ok(None),
            Some(i) => match &mut self.0[i].1 {
                Content::List(l) => Ok(Some((i, l))),
                Content::One(_) => Err(DictError::NotAList),
            },
        }
    }

    fn push(&mut self, key: &str, value: Value, left: bool) -> Result<usize, DictError> {
        let Some((_, list)) = self.list(key)? else {
            self.replace(key, Content::List([value].into()), 0);
            return Ok(1);
        };
        if left {
            list.push_front(value);
        } else {
            list.push_back(value);
        }
        Ok(list.len())
    }

    fn pop(&mut self, key: &str, left: bool) -> Result<Option<Value>, DictError> {
        let Some((i, list)) = self.list(key)? else {
            return Ok(None);
        };
        let item = if left { list.pop_front() } else { list.pop_back() };
        if list.is_empty() {
            self.0.remove(i);
        }
        Ok(item)
    }

    fn list_len(&mut self, key: &str) -> Result<usize, DictError> {
        let Some((_, list)) = self.list(key)? else {
            return Ok(0);
        };
        Ok(list.len())
    }

    fn ttl(&self, key: &str) -> Result<Option<i64>, DictError> {
        let i = self.at(key).ok_or(DictError::NotFound)?;
        let end = self.0[i].2;
        Ok((end != 0).then(|| end as i64 - clock() as i64))
    }

    fn flush_expired(&mut self, max: usize) -> usize {
        let old: Vec<usize> = (0..self.0.len()).rev().filter(|i| !self.lives(*i)).collect();
        let max = if max == 0 { old.len() } else { max };
        let gone: Vec<usize> = old.into_iter().take(max).collect();
        gone.iter().for_each(|i| drop(self.0.remove(*i)));
        gone.len()
    }

    fn keys(&self, max: usize) -> Vec<Box<[u8]>> {
        let max = if max == 0 { usize::MAX } else { max };
        let living = (0..self.0.len()).rev().filter(|i| self.lives(*i));
        living.take(max).map(|i| self.0[i].0.as_bytes().into()).collect()
    }
}

/// A small generator of numbers: the same ones each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// One call of each, the same answer.
fn step(d: &Dict, m: &mut Model, dice: &mut Dice) {
    let key = format!("k{}", dice.roll(12));
    let (k, left) = (key.as_bytes(), dice.roll(2) == 0);
    let value = match dice.roll(4) {
        0 => Value::Bool(left),
        1 => Value::Num(dice.roll(100) as f64),
        _ => text(&"x".repeat(dice.roll(300) as usize)),
    };
    let ttl = [0, 1, 5, 50][dice.roll(4) as usize];
    match dice.roll(16) {
        0..=2 => {
            let mode = [Mode::Set, Mode::Add, Mode::Replace][dice.roll(3) as usize];
            let w = write(&key, value, ttl, mode);
            assert_eq!(d.put(w.clone()), m.put(&w));
        }
        3..=5 => {
            let stale = dice.roll(2) == 0;
            let seen = d.look(k, stale, |s| (s.value.clone(), s.stale));
            assert_eq!(seen, m.get(&key, stale));
        }
        6 | 7 => {
            let init = left.then_some(10.0);
            assert_eq!(d.incr(k, 2.5, init, ttl), m.incr(&key, 2.5, init, ttl));
        }
        8 => {
            m.sweep();
            m.0.retain(|(k, ..)| *k != key);
            d.delete(k);
        }
        9 => {
            let end = if ttl == 0 { 0 } else { clock() + ttl };
            let at = m.at(&key).ok_or(DictError::NotFound);
            assert_eq!(d.expire(k, ttl), at.map(|i| m.0[i].2 = end));
        }
        10 => assert_eq!(d.ttl_ms(k), m.ttl(&key)),
        11 | 12 => assert_eq!(d.push(k, value.clone(), left), m.push(&key, value, left)),
        13 => assert_eq!(d.pop(k, left), m.pop(&key, left)),
        14 => assert_eq!(d.list_len(k), m.list_len(&key)),
        _ => {
            let max = dice.roll(4) as usize;
            assert_eq!(d.keys(max), m.keys(max));
            if dice.roll(4) == 0 {
                assert_eq!(d.flush_expired(max), m.flush_expired(max));
            }
        }
    }
}

#[test]
fn d03_dict_does_what_a_simple_model_does() {
    for seed in 0..20 {
        let d = Dict::with_clock("d", 1 << 20, CLOCKS);
        let empty = d.free_space();
        let mut m = Model::default();
        let mut dice = Dice(seed);
        for _ in 0..5000 {
            step(&d, &mut m, &mut dice);
            if dice.roll(3) == 0 {
                CLOCK.set(clock() + dice.roll(10));
            }
        }
        let count: usize = d.shards.iter().map(|s| lock(&s.0).count()).sum();
        assert_eq!(count, m.0.len());
        d.flush_all();
        assert_eq!(d.flush_expired(0), count.saturating_sub(3));
        assert_eq!(d.free_space(), empty, "every byte is given back");
    }
}

#[test]
fn d03_dict_evicts_the_least_recently_used() {
    let d = Dict::new("d", 5 * 4096);
    // two pages beside those of the dictionary itself: four of these
    let big = "x".repeat(1500);
    for k in ["a", "b", "c", "d"] {
        assert_eq!(set(&d, k, &big, true), Ok(false));
    }
    assert!(d.get(b"a", false).is_some());
    assert_eq!(set(&d, "e", &big, false), Err(DictError::NoMemory));
    assert_eq!(set(&d, "e", &big, true), Ok(true));
    assert!(d.get(b"b", false).is_none(), "b was used longest ago");
    assert!(d.get(b"a", false).is_some());
    assert_eq!(
        set(&d, "h", &"x".repeat(3 * 4096), true),
        Err(DictError::NoMemory)
    );
    assert_eq!(
        d.push(b"l", text(&big), true),
        Err(DictError::NoMemory),
        "nothing goes for a list"
    );
    assert_eq!(
        set(&d, "h", &"x".repeat(4096), true),
        Ok(true),
        "all go if they must"
    );
    assert_eq!(d.keys(0).len(), 1);
    d.clear();
    assert_eq!((d.free_space(), d.keys(0).len()), (2 * 4096, 0));
}

#[test]
fn d03_a_value_of_one_shard_may_need_the_room_of_all() {
    let d = Dict::new("d", 8 << 20);
    assert!(d.shards.len() > 1);
    for i in 0..6000 {
        set(&d, &format!("k{i}"), &"x".repeat(1000), true).unwrap();
    }
    assert_eq!(set(&d, "long", &"x".repeat(6 << 20), true), Ok(true));
    assert_eq!(d.get(b"long", false).unwrap().value, text(&"x".repeat(6 << 20)));
    assert_eq!(
        set(&d, "longer", &"x".repeat(8 << 20), true),
        Err(DictError::NoMemory)
    );
}

#[test]
fn d03_dict_expires_to_the_millisecond() {
    let d = Dict::with_clock("d", 1 << 20, CLOCKS);
    d.put(write("a", text("v"), 20, Mode::Set)).unwrap();
    set(&d, "last", "kept at the end of the list", true).unwrap();
    CLOCK.set(clock() + 19);
    assert_eq!(d.ttl_ms(b"a"), Ok(Some(1)));
    assert!(!d.get(b"a", true).unwrap().stale);
    CLOCK.set(clock() + 1);
    assert_eq!(d.ttl_ms(b"a"), Ok(Some(0)));
    assert_eq!(d.get(b"a", true).unwrap().left_ms, Some(0));
    assert!(d.get(b"a", true).unwrap().stale);
    d.expire(b"a", 5).unwrap();
    assert!(!d.get(b"a", true).unwrap().stale, "it lives again");
    CLOCK.set(clock() + 5);
    assert!(d.get(b"last", false).is_some() && d.get(b"a", true).is_some());
    assert!(d.get(b"last", false).is_some());
    assert!(
        d.get(b"a", true).is_none(),
        "a call swept it from the end of the list"
    );
    assert_eq!(d.ttl_ms(b"a"), Err(DictError::NotFound));
}

#[test]
fn d03_dict_is_shared_by_threads() {
    let d = Dict::new("d", 1 << 24);
    std::thread::scope(|s| {
        for me in 0..4 {
            let d = &d;
            s.spawn(move || {
                for i in 0..2000 {
                    d.incr(format!("k{}", i % 10).as_bytes(), 1.0, Some(0.0), 0)
                        .unwrap();
                    d.push(b"list", Value::Num(f64::from(me)), i % 2 == 0).unwrap();
                    d.put(write("same", text("x"), 1 + i % 3, Mode::Set)).unwrap();
                    let _ = d.get(b"same", i % 5 == 0);
                    if i % 4 == 0 {
                        d.pop(b"list", true).unwrap();
                    }
                }
            });
        }
    });
    let sum: f64 = (0..10)
        .map(
            |i| match d.get(format!("k{i}").as_bytes(), false).unwrap().value {
                Value::Num(n) => n,
                _ => 0.0,
            },
        )
        .sum();
    assert_eq!(sum, 8000.0);
    assert_eq!(d.list_len(b"list"), Ok(6000));
    d.clear();
    assert_eq!(d.free_space(), Dict::new("e", 1 << 24).free_space());
}
