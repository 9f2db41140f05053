//! `ngx.shared`: Lua's way to the shared dictionaries. A dictionary's number is its place in [`shared::dict::all`].
//!
//! Must not: hold a dictionary's lock while it speaks to Lua.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::call;
use crate::shared::dict::{self, Dict, Mode, Value, Write};
use crate::vm::{Args, Kind, Registrar, Ret, op};

thread_local! {
    static DICTS: RefCell<Vec<Arc<Dict>>> = const { RefCell::new(Vec::new()) };
}

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    DICTS.with(|d| *d.borrow_mut() = dict::all());
    r.op("ngx_dict", "names", op::raw(names))?;
    r.op("ngx_dict", "get", op::raw(get))?;
    r.op("ngx_dict", "get_stale", op::raw(get_stale))?;
    r.op("ngx_dict", "put", op::raw(put))?;
    r.op("ngx_dict", "incr", op::raw(incr))?;
    r.op("ngx_dict", "ttl", op::raw(ttl))?;
    r.op("ngx_dict", "expire", op::raw(expire))?;
    r.op("ngx_dict", "flush_all", op::raw(flush_all))?;
    r.op("ngx_dict", "flush_expired", op::raw(flush_expired))?;
    r.op("ngx_dict", "get_keys", op::raw(get_keys))?;
    r.op("ngx_dict", "capacity", op::raw(capacity))?;
    r.op("ngx_dict", "free_space", op::raw(free_space))
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
fn on<R>(a: &Args, f: impl FnOnce(&Dict) -> R) -> Option<R> {
    let i = a.int(1)? as usize;
    DICTS.with(|d| d.borrow().get(i.checked_sub(1)?).map(|d| f(d)))
}

/// Runs `f` on the dictionary and the key (argument 2), or leaves `nil, err`.
fn keyed(a: &Args, r: &mut Ret, f: impl FnOnce(&Dict, &[u8], &mut Ret)) {
    let Some(key) = call::text(a, 2) else {
        if matches!(a.kind(2), Kind::Nil | Kind::None) {
            r.fail("nil key");
        } else {
            r.fail("bad key type");
        }
        return;
    };
    if key.is_empty() {
        r.fail("empty key");
    } else if key.len() > 65535 {
        r.fail("key too long");
    } else if on(a, |d| f(d, &key, r)).is_none() {
        r.raise("bad \"zone\" argument");
    }
}

fn push(r: &mut Ret, value: Value) {
    match value {
        Value::Bool(b) => r.bool(b),
        Value::Num(n) => r.num(n),
        Value::Str(s) => r.held(s),
    };
}

fn get(a: &Args, r: &mut Ret) {
    keyed(a, r, |d, key, r| match d.get(key, false) {
        Some(found) => {
            push(r, found.value);
            if found.flags != 0 {
                r.num(found.flags);
            }
        }
        None => {
            r.nil();
        }
    });
}

fn get_stale(a: &Args, r: &mut Ret) {
    keyed(a, r, |d, key, r| match d.get(key, true) {
        Some(found) => {
            push(r, found.value);
            match found.flags {
                0 => r.nil(),
                n => r.num(n),
            };
            r.bool(found.stale);
        }
        None => {
            r.nil();
        }
    });
}

/// An end `seconds` from now; None for 0 or no number.
fn end(seconds: Option<f64>) -> Option<Instant> {
    lasting(seconds).and_then(|d| Instant::now().checked_add(d))
}

fn lasting(seconds: Option<f64>) -> Option<Duration> {
    let s = seconds.filter(|s| *s >= 0.001)?;
    Duration::try_from_secs_f64(s).ok()
}

/// `put(dict, key, value, exptime, flags, mode, evict)`: ok, err, forcible.
fn put(a: &Args, r: &mut Ret) {
    let value = match a.kind(3) {
        Kind::String => Some(Value::Str(Bytes::copy_from_slice(a.str(3).unwrap_or_default()))),
        Kind::Number => a.num(3).map(Value::Num),
        Kind::Boolean => Some(Value::Bool(a.truthy(3))),
        Kind::Nil => None,
        _ => {
            r.fail("bad value type");
            return;
        }
    };
    let mode = match a.int(6) {
        Some(1) => Mode::Add,
        Some(2) => Mode::Replace,
        _ => Mode::Set,
    };
    keyed(a, r, |d, key, r| {
        let Some(value) = value else {
            // set(key, nil) removes; add and replace of nil are refused by the face
            d.delete(key);
            r.bool(true).nil().bool(false);
            return;
        };
        let write = Write {
            key,
            value,
            flags: a.num(5).unwrap_or(0.0) as u32,
            expires: end(a.num(4)),
            mode,
            evict: a.truthy(7),
        };
        match d.put(write) {
            Ok(forcible) => r.bool(true).nil().bool(forcible),
            Err(e) => r.bool(false).str(e.to_string()).bool(false),
        };
    });
}

/// `incr(dict, key, by, init, init_ttl)`: value, err, forcible.
fn incr(a: &Args, r: &mut Ret) {
    let by = a.num(3).unwrap_or(0.0);
    keyed(a, r, |d, key, r| {
        match d.incr(key, by, a.num(4), lasting(a.num(5))) {
            Ok((n, forcible)) => {
                r.num(n);
                if a.num(4).is_some() {
                    r.nil().bool(forcible);
                }
            }
            Err(e) => {
                r.fail(e.to_string());
            }
        };
    });
}

fn ttl(a: &Args, r: &mut Ret) {
    keyed(a, r, |d, key, r| {
        match d.ttl(key) {
            Ok(left) => r.num(left.map_or(0.0, |l| l.as_millis() as f64 / 1000.0)),
            Err(e) => r.fail(e.to_string()),
        };
    });
}

fn expire(a: &Args, r: &mut Ret) {
    keyed(a, r, |d, key, r| {
        match d.expire(key, end(a.num(3))) {
            Ok(()) => r.bool(true),
            Err(e) => r.fail(e.to_string()),
        };
    });
}

fn flush_all(a: &Args, _: &mut Ret) {
    on(a, Dict::flush_all);
}

fn flush_expired(a: &Args, r: &mut Ret) {
    let max = a.num(2).unwrap_or(0.0) as usize;
    r.num(on(a, |d| d.flush_expired(max)).unwrap_or(0) as f64);
}

fn get_keys(a: &Args, r: &mut Ret) {
    let max = a.num(2).unwrap_or(1024.0) as usize;
    let keys = on(a, |d| d.keys(max)).unwrap_or_default();
    r.table(keys.len(), 0, |t| {
        for (i, key) in keys.iter().enumerate() {
            t.str(key).seti(i + 1);
        }
    });
}

fn capacity(a: &Args, r: &mut Ret) {
    r.num(on(a, Dict::capacity).unwrap_or(0) as f64);
}

fn free_space(a: &Args, r: &mut Ret) {
    r.num(on(a, Dict::free_space).unwrap_or(0) as f64);
}
