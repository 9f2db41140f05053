//! `ngx.shared`: Lua's way to the shared dictionaries. A dictionary's number is its place in [`shared::dict::all`].
//!
//! The face gives keys as strings of 1 to 65535 bytes. Must not: hold a dictionary's lock while it speaks to Lua.

use std::cell::RefCell;
use std::ffi::c_int;
use std::sync::Arc;

use bytes::Bytes;

use crate::shared::dict::{self, Dict, DictError, Mode, Seen, Value, Write};
use crate::vm::native::{self, Given, Reply};
use crate::vm::{Args, Kind, Registrar, Ret, op};

thread_local! {
    static DICTS: RefCell<Vec<Arc<Dict>>> = const { RefCell::new(Vec::new()) };
}

/// Longer strings are handed to Lua without a copy under the lock.
const SHORT: usize = 4096;

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    DICTS.with(|d| *d.borrow_mut() = dict::all());
    r.op("ngx_dict", "names", op::raw(names))?;
    r.op("ngx_dict", "get", op::raw(get))?;
    r.op("ngx_dict", "get_stale", op::raw(get_stale))?;
    r.op("ngx_dict", "put", op::raw(put))?;
    r.op("ngx_dict", "delete", op::raw(delete))?;
    r.op("ngx_dict", "incr", op::raw(incr))?;
    r.op("ngx_dict", "ttl", op::raw(ttl))?;
    r.op("ngx_dict", "expire", op::raw(expire))?;
    r.op("ngx_dict", "push", op::raw(push))?;
    r.op("ngx_dict", "pop", op::raw(pop))?;
    r.op("ngx_dict", "llen", op::raw(llen))?;
    r.op("ngx_dict", "flush_all", op::raw(flush_all))?;
    r.op("ngx_dict", "flush_expired", op::raw(flush_expired))?;
    r.op("ngx_dict", "get_keys", op::raw(get_keys))?;
    r.op("ngx_dict", "capacity", op::raw(capacity))?;
    r.op("ngx_dict", "free_space", op::raw(free_space))?;
    r.native("ngx_dict", "get", native::raw(get_native))?;
    r.native("ngx_dict", "put_number", native::raw(put_number))?;
    r.native("ngx_dict", "put_text", native::raw(put_text))?;
    r.native("ngx_dict", "incr", native::raw(incr_native))?;
    r.native("ngx_dict", "delete", native::raw(delete_native))?;
    r.native("ngx_dict", "ttl", native::raw(ttl_native))?;
    r.native("ngx_dict", "expire", native::raw(expire_native))
}

fn names(_: &Args, r: &mut Ret) {
    DICTS.with(|d| {
        let d = d.borrow();
        r.table(d.len(), 0, |t| {
            for (i, dict) in d.iter().enumerate() {
                t.str(dict.name()).seti(i + 1);
            }
        });
    });
}

/// Runs `f` on the dictionary that argument 1 numbers.
#[inline]
fn on(a: &Args, r: &mut Ret, f: impl FnOnce(&Dict, &mut Ret)) {
    let i = a.int(1).unwrap_or(0) as usize;
    let found = DICTS.with(|d| {
        let d = d.borrow();
        let dict = d.get(i.wrapping_sub(1));
        dict.map(|dict| f(dict, r)).is_some()
    });
    if !found {
        r.raise("bad \"zone\" argument");
    }
}

/// As `on`, with the key (argument 2).
#[inline]
fn keyed(a: &Args, r: &mut Ret, f: impl FnOnce(&Dict, &[u8], &mut Ret)) {
    let key = a.str(2).unwrap_or_default();
    on(a, r, |d, r| f(d, key, r));
}

/// A native's dictionary, whose number is the low half of `i`; the op says what is wrong with none.
#[inline]
fn of_native(g: &Given, f: impl FnOnce(&Dict) -> c_int) -> c_int {
    let i = (g.i & 0xffff) as usize;
    DICTS.with_borrow(|d| d.get(i.wrapping_sub(1)).map_or(native::OP, |dict| f(dict)))
}

/// What a native's `i` holds beside the number: how to write, and that there is a first value.
mod flag {
    pub const ADD: i32 = 1 << 16;
    pub const REPLACE: i32 = 1 << 17;
    pub const EVICT: i32 = 1 << 18;
    pub const INIT: i32 = 1 << 19;
}

/// What `get_native` answers for values that are no text.
const NUMBER: c_int = -3;
const TRUE: c_int = -4;
const FALSE: c_int = -5;

#[inline]
fn push_value(r: &mut Ret, value: &Value) {
    match value {
        Value::Bool(b) => r.bool(*b),
        Value::Num(n) => r.num(*n),
        Value::Str(s) if s.len() <= SHORT => r.str(s),
        Value::Str(s) => r.held(s.clone()),
    };
}

/// What did not happen: `nil, err`.
fn failed(r: &mut Ret, e: DictError) {
    r.fail(e.to_string());
}

fn get(a: &Args, r: &mut Ret) {
    keyed(a, r, |d, key, r| {
        let seen = d.look(key, false, |seen: Seen<'_>| {
            push_value(r, seen.value);
            if seen.flags != 0 {
                r.num(seen.flags);
            }
        });
        match seen {
            Ok(Some(())) => {}
            Ok(None) => drop(r.nil()),
            Err(e) => failed(r, e),
        }
    });
}

/// Key `a`: the length of a text, NUMBER, TRUE or FALSE. What has flags is the op's.
fn get_native(g: &Given, reply: &mut Reply) -> c_int {
    let show = |seen: Seen<'_>| {
        if seen.flags != 0 {
            return native::OP;
        }
        match seen.value {
            Value::Num(n) => {
                reply.number = *n;
                NUMBER
            }
            Value::Str(s) => reply.text(s),
            Value::Bool(true) => TRUE,
            Value::Bool(false) => FALSE,
        }
    };
    of_native(g, |d| {
        d.look(g.a, false, show)
            .map_or(native::OP, |seen| seen.unwrap_or(native::NONE))
    })
}

fn get_stale(a: &Args, r: &mut Ret) {
    keyed(a, r, |d, key, r| {
        let seen = d.look(key, true, |seen: Seen<'_>| {
            push_value(r, seen.value);
            match seen.flags {
                0 => r.nil(),
                n => r.num(n),
            };
            r.bool(seen.stale);
        });
        match seen {
            Ok(Some(())) => {}
            Ok(None) => drop(r.nil()),
            Err(e) => failed(r, e),
        }
    });
}

/// Seconds as whole milliseconds; 0 for none or fewer.
fn to_ms(seconds: f64) -> u64 {
    (seconds * 1000.0) as u64
}

/// Argument `i`, seconds, as whole milliseconds.
fn ms(a: &Args, i: usize) -> u64 {
    a.num(i).map_or(0, to_ms)
}

/// Argument `i` as what a dictionary may hold.
fn value(a: &Args, i: usize) -> Option<Value> {
    match a.kind(i) {
        Kind::String => a.str(i).map(|s| Value::Str(Bytes::copy_from_slice(s))),
        Kind::Number => a.num(i).map(Value::Num),
        Kind::Boolean => Some(Value::Bool(a.truthy(i))),
        _ => None,
    }
}

/// `put(dict, key, value, exptime, flags, mode, evict)`: ok, err, forcible.
fn put(a: &Args, r: &mut Ret) {
    let Some(value) = value(a, 3) else {
        r.fail("bad value type");
        return;
    };
    let mode = match a.int(6) {
        Some(1) => Mode::Add,
        Some(2) => Mode::Replace,
        _ => Mode::Set,
    };
    keyed(a, r, |d, key, r| {
        let write = Write {
            key,
            value,
            flags: a.int(5).unwrap_or(0) as i32,
            ttl_ms: ms(a, 4),
            mode,
            evict: a.truthy(7),
        };
        match d.put(write) {
            Ok(forcible) => r.bool(true).nil().bool(forcible),
            Err(e) => r.bool(false).str(e.to_string()).bool(false),
        };
    });
}

/// Key `a`, seconds `y`: 0, or 1 where living values were evicted. A refusal is the op's to tell.
fn write_native(g: &Given, value: impl FnOnce() -> Value) -> c_int {
    of_native(g, |d| {
        let mode = match g.i & (flag::ADD | flag::REPLACE) {
            flag::ADD => Mode::Add,
            flag::REPLACE => Mode::Replace,
            _ => Mode::Set,
        };
        let write = Write {
            key: g.a,
            value: value(),
            flags: 0,
            ttl_ms: to_ms(g.y),
            mode,
            evict: g.i & flag::EVICT != 0,
        };
        d.put(write).map_or(native::OP, c_int::from)
    })
}

/// Value `x`.
fn put_number(g: &Given, _: &mut Reply) -> c_int {
    write_native(g, || Value::Num(g.x))
}

/// Value `b`.
fn put_text(g: &Given, _: &mut Reply) -> c_int {
    write_native(g, || Value::Str(Bytes::copy_from_slice(g.b)))
}

/// `delete(dict, key)`: as `put` answers.
fn delete(a: &Args, r: &mut Ret) {
    keyed(a, r, |d, key, r| {
        d.delete(key);
        r.bool(true).nil().bool(false);
    });
}

/// Key `a`: 0.
fn delete_native(g: &Given, _: &mut Reply) -> c_int {
    of_native(g, |d| {
        d.delete(g.a);
        0
    })
}

/// `incr(dict, key, by, init, init_ttl)`: value, err, forcible.
fn incr(a: &Args, r: &mut Ret) {
    let (by, init) = (a.num(3).unwrap_or(0.0), a.num(4));
    keyed(a, r, |d, key, r| match d.incr(key, by, init, ms(a, 5)) {
        Ok((n, forcible)) => {
            r.num(n);
            if init.is_some() {
                r.nil().bool(forcible);
            }
        }
        Err(e) => failed(r, e),
    });
}

/// Key `a`, by `x`, first `y`, seconds `z`: as `write_native` answers; the sum is in the reply.
fn incr_native(g: &Given, reply: &mut Reply) -> c_int {
    let init = (g.i & flag::INIT != 0).then_some(g.y);
    of_native(g, |d| match d.incr(g.a, g.x, init, to_ms(g.z)) {
        Ok((sum, forcible)) => {
            reply.number = sum;
            c_int::from(forcible)
        }
        Err(_) => native::OP,
    })
}

/// `ttl(dict, key)`: seconds, below 0 for what has expired and is still there.
fn ttl(a: &Args, r: &mut Ret) {
    keyed(a, r, |d, key, r| match d.ttl_ms(key) {
        Ok(left) => drop(r.num(left.unwrap_or(0) as f64 / 1000.0)),
        Err(e) => failed(r, e),
    });
}

/// Key `a`: 0, and the seconds in the reply. What is not there is the op's to tell.
fn ttl_native(g: &Given, reply: &mut Reply) -> c_int {
    of_native(g, |d| match d.ttl_ms(g.a) {
        Ok(left) => {
            reply.number = left.unwrap_or(0) as f64 / 1000.0;
            0
        }
        Err(_) => native::OP,
    })
}

/// Key `a`, seconds `y`: 0. What is not there is the op's to tell.
fn expire_native(g: &Given, _: &mut Reply) -> c_int {
    of_native(g, |d| d.expire(g.a, to_ms(g.y)).map_or(native::OP, |()| 0))
}

fn expire(a: &Args, r: &mut Ret) {
    keyed(a, r, |d, key, r| match d.expire(key, ms(a, 3)) {
        Ok(()) => drop(r.bool(true)),
        Err(e) => failed(r, e),
    });
}

/// `push(dict, key, value, left)`: the list's length.
fn push(a: &Args, r: &mut Ret) {
    let Some(value) = value(a, 3).filter(|v| !matches!(v, Value::Bool(_))) else {
        r.fail("bad value type");
        return;
    };
    keyed(a, r, |d, key, r| match d.push(key, value, a.truthy(4)) {
        Ok(n) => drop(r.num(n as f64)),
        Err(e) => failed(r, e),
    });
}

/// `pop(dict, key, left)`: a value or nil.
fn pop(a: &Args, r: &mut Ret) {
    keyed(a, r, |d, key, r| match d.pop(key, a.truthy(3)) {
        Ok(Some(value)) => push_value(r, &value),
        Ok(None) => drop(r.nil()),
        Err(e) => failed(r, e),
    });
}

fn llen(a: &Args, r: &mut Ret) {
    keyed(a, r, |d, key, r| match d.list_len(key) {
        Ok(n) => drop(r.num(n as f64)),
        Err(e) => failed(r, e),
    });
}

fn flush_all(a: &Args, r: &mut Ret) {
    on(a, r, |d, _| d.flush_all());
}

/// Argument 2 as a count; 0, as anything below, for all.
fn count(a: &Args, default: usize) -> usize {
    a.int(2).map_or(default, |n| usize::try_from(n).unwrap_or(0))
}

fn flush_expired(a: &Args, r: &mut Ret) {
    on(a, r, |d, r| {
        r.num(d.flush_expired(count(a, 0)) as f64);
    });
}

fn get_keys(a: &Args, r: &mut Ret) {
    on(a, r, |d, r| {
        let keys = d.keys(count(a, 1024));
        r.table(keys.len(), 0, |t| {
            for (i, key) in keys.iter().enumerate() {
                t.str(key).seti(i + 1);
            }
        });
    });
}

fn capacity(a: &Args, r: &mut Ret) {
    on(a, r, |d, r| {
        r.num(d.capacity() as f64);
    });
}

fn free_space(a: &Args, r: &mut Ret) {
    on(a, r, |d, r| {
        r.num(d.free_space() as f64);
    });
}
