//! `ngx.header` and `ngx.resp`: the response's headers.
//!
//! Must not: let a control character into a header; they are escaped, as OpenResty does.

use std::borrow::Cow;
use std::ffi::c_int;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};

use super::call;
use super::core::head_sent;
use super::log::{self, Level};
use super::subrequest::spelled;
use crate::exchange::{Exchange, header_names};
use crate::vm::native::{self, Given, Reply};
use crate::vm::{Args, Kind, Out, Registrar, Ret, op, scope};

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_header", "get", op::raw(get))?;
    r.op("ngx_header", "set", op::raw(set))?;
    r.op("ngx_header", "add", op::raw(add))?;
    r.op("ngx_header", "get_all", op::raw(get_all))?;
    r.op("ngx_header", "bypass", op::raw(bypass))?;
    r.op("ngx_header", "set_reason", op::raw(set_reason))?;
    r.native("ngx_header", "get", native::raw(get_native))?;
    r.native("ngx_header", "set", native::raw(set_native))?;
    r.native("ngx_header", "get_all", native::raw(all_native))
}

/// A header's value with control characters percent-encoded.
pub(super) fn escape_value(value: &[u8]) -> Cow<'_, [u8]> {
    if header_names::is_plain_value(value) {
        return Cow::Borrowed(value);
    }
    let wild = |b: &u8| (*b < 0x20 && *b != b'\t') || *b == 0x7f;
    let mut safe = Vec::with_capacity(value.len() + 8);
    for b in value {
        if wild(b) {
            safe.extend_from_slice(format!("%{b:02X}").as_bytes());
        } else {
            safe.push(*b);
        }
    }
    Cow::Owned(safe)
}

/// Headers of which a response has one: a list keeps its last value.
fn single(name: &HeaderName) -> bool {
    [
        header::CONTENT_TYPE,
        header::CONTENT_LENGTH,
        header::LOCATION,
        header::LAST_MODIFIED,
        header::ETAG,
        header::SERVER,
        header::DATE,
        header::EXPIRES,
        header::CONTENT_ENCODING,
        header::ACCEPT_RANGES,
        header::CONTENT_RANGE,
    ]
    .contains(name)
}

/// `__index` of `ngx.header`: the table, then the key.
fn get(a: &Args, r: &mut Ret) {
    let Some(key) = call::text(a, 2) else {
        r.nil();
        return;
    };
    let got = scope::read(|x| {
        // a name that was escaped when it was set is not found by what it was before, as in OpenResty
        let name = header_names::of(&key).filter(|n| n.as_str().len() == key.len());
        let Some(name) = name else {
            r.nil();
            return;
        };
        if name == header::LAST_MODIFIED {
            // kept as a time there: what is none is not found
            let time = x.response.headers.get(&name).map(HeaderValue::as_bytes);
            r.opt(time.filter(|t| super::time::parse(t).is_some()));
            return;
        }
        let mut values = x.response.headers.get_all(&name).iter();
        let first = values.next();
        match (first, values.next()) {
            (None, _) => {
                r.nil();
            }
            (Some(one), None) => {
                r.str(one.as_bytes());
            }
            (Some(one), Some(two)) => {
                r.table(2, 0, |t| {
                    for (i, v) in [one, two].into_iter().chain(values).enumerate() {
                        t.str(v.as_bytes()).seti(i + 1);
                    }
                });
            }
        }
    });
    if got.is_none() {
        call::no_request(r);
    }
}

/// Key `a`: the length of the value. Lists, times and names that don't stay as they are are the op's.
fn get_native(g: &Given, reply: &mut Reply) -> c_int {
    let found = scope::read(|x| {
        header_names::with(g.a, |name| {
            if *name == header::LAST_MODIFIED || name.as_str().len() != g.a.len() {
                return native::OP;
            }
            let headers = &x.response.headers;
            // a few are compared sooner than a name is hashed
            if headers.len() <= FEW {
                let mut values = headers.iter().filter(|(n, _)| *n == name).map(|(_, v)| v);
                leave(values.next(), values.next(), reply)
            } else {
                let mut values = headers.get_all(name).iter();
                leave(values.next(), values.next(), reply)
            }
        })
    });
    found.flatten().unwrap_or(native::OP)
}

/// Up to this many lines of headers are searched one by one.
const FEW: usize = 12;

/// A native's answer of a header's first two values.
#[inline]
fn leave(first: Option<&HeaderValue>, second: Option<&HeaderValue>, reply: &mut Reply) -> c_int {
    match (first, second) {
        (None, _) => native::NONE,
        (Some(one), None) => reply.text(one.as_bytes()),
        _ => native::OP,
    }
}

/// Beyond that many lines a map may be full, which the op tells.
const MANY: usize = 4096;

/// Sets header `a` to one value `b`: 0.
fn set_native(g: &Given, _: &mut Reply) -> c_int {
    if g.b.is_empty() || !header_names::is_plain_value(g.b) {
        return native::OP;
    }
    let done = scope::write(|x| {
        if head_sent(x) || x.response.headers.len() > MANY {
            return native::OP;
        }
        let set = header_names::with(g.a, |name| {
            if *name == header::CONTENT_LENGTH {
                return native::OP;
            }
            let Ok(value) = HeaderValue::from_bytes(g.b) else {
                return native::OP;
            };
            x.response.spell(name, g.a);
            x.response.set_header(name, value);
            0
        });
        set.unwrap_or(native::OP)
    });
    done.unwrap_or(native::OP)
}

fn put(x: &mut Exchange, name: HeaderName, a: &Args, from: usize, replace: bool) -> Result<(), &'static str> {
    let answer = &mut x.response;
    if answer.upstream_status.is_some() && a.len() >= from && !answer.headers.contains_key(&name) {
        answer.added.push(name.clone());
    }
    for i in from..=a.len() {
        let Some(text) = call::text(a, i) else {
            return Err("invalid header value");
        };
        let Ok(value) = HeaderValue::from_bytes(&escape_value(&text)) else {
            return Err("invalid header value");
        };
        if name == header::CONTENT_LENGTH && !text.iter().all(u8::is_ascii_digit) {
            return Err("failed to set header");
        }
        if x.response.is_full() && !(replace && i == from && x.response.headers.contains_key(&name)) {
            return Err("too many headers");
        }
        let headers = &mut x.response.headers;
        // the first takes the old lines' place
        let full = if single(&name) || (replace && i == from) {
            headers.try_insert(&name, value).is_err()
        } else {
            headers.try_append(&name, value).is_err()
        };
        if full {
            return Err("too many headers");
        }
    }
    Ok(())
}

/// `set(key, value...)`: no value, or a nil, removes. Answers nothing, or the message that the face raises.
fn set(a: &Args, r: &mut Ret) {
    change(a, r, true);
}

/// `add(key, value...)`.
fn add(a: &Args, r: &mut Ret) {
    change(a, r, false);
}

fn change(a: &Args, r: &mut Ret, replace: bool) {
    let Some(key) = call::text(a, 1) else {
        r.lit("bad header name");
        return;
    };
    let result = scope::write(|x| {
        if head_sent(x) {
            return Err(None);
        }
        let name = header_names::of(&key).ok_or(Some("bad header name"))?;
        // as in nginx, a header without a value is no header
        let empty = replace && a.len() == 2 && call::text(a, 2).is_some_and(|t| t.is_empty());
        if empty || matches!(a.kind(2), Kind::Nil | Kind::None) {
            x.response.headers.remove(&name);
            return Ok(());
        }
        x.response.spell(&name, &key);
        put(x, name, a, 2, replace).map_err(Some)
    });
    match result {
        Some(Ok(())) => {}
        Some(Err(Some(message))) => {
            r.lit(message);
        }
        Some(Err(None)) => log::emit(
            Level::ERR,
            b"attempt to set ngx.header.HEADER after sending out response headers",
        ),
        None => {
            r.lit(call::why_no_request());
        }
    }
}

/// `get_all(max, raw)`: all response headers; a second result "truncated" where there are more than `max`.
fn get_all(a: &Args, r: &mut Ret) {
    if !matches!(a.kind(1), Kind::None | Kind::Nil) && call::check_num(a, r, 1, "get_headers").is_none() {
        return;
    }
    let (max, raw) = (limit(a, 1), a.truthy(2));
    let got = scope::read(|x| {
        let map = &x.response.headers;
        let named = map.contains_key(header::CONNECTION);
        let chunked = x.response.chunked;
        let more = usize::from(!named) + usize::from(chunked);
        let mut left = max.saturating_sub(more);
        r.table(0, map.keys_len() + more, |t| {
            if !named {
                t.lit("connection").lit(connection(x)).set();
            }
            if chunked {
                t.lit("transfer-encoding").lit("chunked").set();
            }
            for name in map.keys() {
                if left == 0 {
                    break;
                }
                let values: Vec<&HeaderValue> = map.get_all(name).iter().take(left).collect();
                left -= values.len();
                let values = values.iter().map(|v| v.as_bytes());
                if raw {
                    one_or_many(t, &spelled(&x.response.spelling, name), values);
                } else {
                    one_or_many(t, name.as_str().as_bytes(), values);
                }
            }
        });
        if map.len() + more > max {
            r.lit("truncated");
        }
    });
    if got.is_none() {
        call::no_request(r);
    }
}

/// Up to `x` headers (0 for no limit), their names as they leave if `i`. Longer lists are the op's.
fn all_native(g: &Given, reply: &mut Reply) -> c_int {
    let listed = scope::read(|x| {
        let map = &x.response.headers;
        let named = map.contains_key(header::CONNECTION);
        let chunked = x.response.chunked;
        if !within(map.len() + usize::from(!named) + usize::from(chunked), g.x) {
            return native::OP;
        }
        let mut pairs = reply.pairs.fill();
        if !named {
            pairs.add(b"connection", Some(connection(x).as_bytes()));
        }
        if chunked {
            pairs.add(b"transfer-encoding", Some(b"chunked"));
        }
        for (name, value) in map {
            if g.i == 0 {
                pairs.add(name.as_str().as_bytes(), Some(value.as_bytes()));
            } else {
                pairs.add(&spelled(&x.response.spelling, name), Some(value.as_bytes()));
            }
        }
        pairs.done()
    });
    listed.unwrap_or(native::OP)
}

/// `set_reason(reason)`: what stands behind the status that was just set.
fn set_reason(a: &Args, _: &mut Ret) {
    let reason = a.str(1).unwrap_or_default();
    scope::write(|x| {
        if !head_sent(x) && !reason.is_empty() {
            x.response.reason = Some(Box::new((x.response.status, Bytes::copy_from_slice(reason))));
        }
    });
}

/// `bypass_if_checks()`: `If-Modified-Since` and its kin are the upstream's to judge; there is nothing to pass by.
fn bypass(_: &Args, r: &mut Ret) {
    if scope::read(|_| ()).is_none() {
        call::no_request(r);
    }
}

/// What becomes of the client's connection, as the response will say.
pub(super) fn connection(x: &Exchange) -> &'static str {
    let closed = || {
        let mut said = x.response.headers.get_all(header::CONNECTION).iter();
        said.any(|v| v.as_bytes().eq_ignore_ascii_case(b"close"))
    };
    if x.response.status == 101 {
        "upgrade"
    } else if !x.request.keep_alive || closed() {
        "close"
    } else {
        "keep-alive"
    }
}

/// The `max` argument of the functions that list: 100 unless given, 0 for no limit.
pub(super) fn limit(a: &Args, i: usize) -> usize {
    match a.num(i) {
        None => 100,
        Some(n) if n < 1.0 => usize::MAX,
        Some(n) => n as usize,
    }
}

/// Whether a native's list of `count` is within `max` (below 1 is no limit).
pub(super) fn within(count: usize, max: f64) -> bool {
    max < 1.0 || count as f64 <= max
}

/// Sets `t[name]` to the value, or to a list of the values where there are several.
pub(super) fn one_or_many<'a>(t: &mut Out, name: &[u8], values: impl ExactSizeIterator<Item = &'a [u8]>) {
    t.str(name);
    if values.len() == 1 {
        for v in values {
            t.str(v);
        }
    } else {
        t.table(values.len(), 0, |l| {
            for (i, v) in values.enumerate() {
                l.str(v).seti(i + 1);
            }
        });
    }
    t.set();
}
