//! The ops behind the caches: reading the shared tier, turns, event logs. A dictionary's or a log's number is its
//! place in this thread's list of those that were opened.
//!
//! Must not: decode values (Lua does), or know one cache from another.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::shared::dict::{self, Dict, Value};
use crate::shared::events::{self, Event, Log};
use crate::shared::{cache, dict::Found};
use crate::vm::{Args, Out, Registrar, Ret, op, scope};

thread_local! {
    static DICTS: RefCell<Vec<Arc<Dict>>> = const { RefCell::new(Vec::new()) };
    static LOGS: RefCell<Vec<&'static Log>> = const { RefCell::new(Vec::new()) };
}

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("cache", "open", op::raw(open))?;
    r.op("cache", "read", op::raw(read))?;
    r.op("cache", "can_wait", op::raw(can_wait))?;
    r.op("cache", "turn_take", op::raw(turn_take))?;
    r.op("cache", "turn_end", op::raw(turn_end))?;
    r.op("cache", "turn_extend", op::raw(turn_extend))?;
    r.op("cache", "turn_wait", op::raw(turn_wait))?;
    r.op("cache", "log_open", op::raw(log_open))?;
    r.op("cache", "log_post", op::raw(log_post))?;
    r.op("cache", "log_since", op::raw(log_since))?;
    r.op("cache", "log_touched", op::raw(log_touched))?;
    r.op("cache", "origin", op::raw(origin))?;
    r.op("cache", "pump", op::raw(super::pump::ensure))
}

/// `open(name)`: the number of a shared dictionary, or nothing.
fn open(a: &Args, r: &mut Ret) {
    let name = a.str(1).unwrap_or_default();
    let Some(wanted) = dict::all().into_iter().find(|d| d.name().as_bytes() == name) else {
        return;
    };
    let number = DICTS.with_borrow_mut(|dicts| {
        // by identity: a dictionary of another size takes the place of one of the same name
        match dicts.iter().position(|d| Arc::ptr_eq(d, &wanted)) {
            Some(i) => i,
            None => {
                dicts.push(wanted);
                dicts.len() - 1
            }
        }
    });
    r.int(number as i64 + 1);
}

fn nth<T: Clone>(list: &'static std::thread::LocalKey<RefCell<Vec<T>>>, number: Option<i64>) -> Option<T> {
    let i = usize::try_from(number? - 1).ok()?;
    list.with_borrow(|l| l.get(i).cloned())
}

fn dict(a: &Args) -> Option<Arc<Dict>> {
    nth(&DICTS, a.int(1))
}

fn log(a: &Args) -> Option<&'static Log> {
    nth(&LOGS, a.int(1))
}

/// Seconds of argument `i`; long but finite where it is no such number.
fn seconds(a: &Args, i: usize) -> Duration {
    const LONGEST: f64 = 1e9;
    let s = a.num(i).unwrap_or(0.0);
    Duration::from_secs_f64(if s > 0.0 { s.min(LONGEST) } else { 0.0 })
}

/// `read(dict, key)`: value, flags, whether it is stale, seconds left (0 without an end, below 0 when stale); or nil.
fn read(a: &Args, r: &mut Ret) {
    let found = dict(a).zip(a.str(2)).and_then(|(d, key)| d.get(key, true));
    let Some(Found {
        value,
        flags,
        stale,
        left_ms,
    }) = found
    else {
        r.nil();
        return;
    };
    match value {
        Value::Str(s) => r.held(s),
        Value::Num(n) => r.num(n),
        Value::Bool(b) => r.bool(b),
    };
    // below 0 when stale, however little
    let left = left_ms.map_or(0.0, |ms| if stale { ms.min(-1) } else { ms } as f64 / 1000.0);
    r.num(flags).bool(stale).num(left);
}

/// Whether the running handler may wait, as far as its phase goes.
fn can_wait(_: &Args, r: &mut Ret) {
    r.bool(scope::with(|s| s.phase.get().can_yield()).unwrap_or(false));
}

/// `turn_take(dict, key, holder, seconds)`: true, or `nil, err`.
fn turn_take(a: &Args, r: &mut Ret) {
    let (Some(d), Some(key)) = (dict(a), a.str(2)) else {
        r.fail("no such dictionary or key");
        return;
    };
    match cache::take_turn(&d, key, a.num(3).unwrap_or(0.0), seconds(a, 4)) {
        Ok(()) => r.bool(true),
        Err(e) => r.fail(e.to_string()),
    };
}

/// `turn_end(dict, key, holder)`: whether the holder still had it.
fn turn_end(a: &Args, r: &mut Ret) {
    let (d, key) = (dict(a), a.str(2));
    let held = d
        .zip(key)
        .is_some_and(|(d, key)| cache::end_turn(&d, key, a.num(3).unwrap_or(0.0)));
    r.bool(held);
}

/// `turn_extend(dict, key, holder, seconds)`: whether the holder still has it.
fn turn_extend(a: &Args, r: &mut Ret) {
    let (d, key) = (dict(a), a.str(2));
    let held = d
        .zip(key)
        .is_some_and(|(d, key)| cache::extend_turn(&d, key, a.num(3).unwrap_or(0.0), seconds(a, 4)));
    r.bool(held);
}

/// `turn_wait(dict, key, seconds)`: waits for the end of another's turn.
fn turn_wait(a: &Args, r: &mut Ret) {
    let (Some(d), Some(key)) = (dict(a), a.str(2)) else {
        return r.raise("no such dictionary or key");
    };
    let over = cache::turn_over(&d, key, seconds(a, 3));
    r.wait(async move {
        over.await;
        Out::new()
    });
}

/// `log_open(name)`: the number of a log, the address of its cell, what the cell says.
fn log_open(a: &Args, r: &mut Ret) {
    let log = events::open(&String::from_utf8_lossy(a.str(1).unwrap_or_default()));
    let number = LOGS.with_borrow_mut(|logs| match logs.iter().position(|l| std::ptr::eq(*l, log)) {
        Some(i) => i,
        None => {
            logs.push(log);
            logs.len() - 1
        }
    });
    r.int(number as i64 + 1)
        .light(std::ptr::from_ref(log.cell()).cast_mut().cast())
        .num(log.last());
}

fn bytes(a: &Args, i: usize) -> Bytes {
    Bytes::copy_from_slice(a.str(i).unwrap_or_default())
}

/// `log_post(log, from, to, channel, data)`
fn log_post(a: &Args, _: &mut Ret) {
    if let Some(log) = log(a) {
        log.post(Event {
            from: a.num(2).unwrap_or(0.0) as u32,
            to: a.num(3).unwrap_or(0.0) as u32,
            channel: bytes(a, 4),
            data: bytes(a, 5),
        });
    }
}

/// `log_since(log, seen, me)`: the number to ask with next, whether events are missing, and a list of channel, data
/// and teller, one after the other.
fn log_since(a: &Args, r: &mut Ret) {
    let seen = a.num(2).unwrap_or(0.0) as u32;
    let Some(log) = log(a) else { return };
    let since = log.since(seen, a.num(3).unwrap_or(0.0) as u32);
    r.num(since.last).bool(since.lost);
    r.table(since.events.len() * 3, 0, |t| {
        for (i, e) in since.events.into_iter().enumerate() {
            t.held(e.channel).seti(i * 3 + 1);
            t.held(e.data).seti(i * 3 + 2);
            t.num(e.from).seti(i * 3 + 3);
        }
    });
}

/// `log_touched(log, seen, channel, data, other)`: whether an event on `channel` with `data`, or any on `other`,
/// came after `seen`.
fn log_touched(a: &Args, r: &mut Ret) {
    let seen = a.num(2).unwrap_or(0.0) as u32;
    let [channel, data, other] = [3, 4, 5].map(|i| a.str(i).unwrap_or_default());
    let touched = log(a).is_some_and(|l| {
        l.any_since(seen, |e| {
            (e.channel == channel && e.data == data) || e.channel == other
        })
    });
    r.bool(touched);
}

/// `origin()`: a number that no other state has.
fn origin(_: &Args, r: &mut Ret) {
    static LAST: AtomicU32 = AtomicU32::new(0);
    r.num(LAST.fetch_add(1, Ordering::Relaxed) + 1);
}
