//! Arguments: `ngx.req.get_uri_args`, `get_post_args`, `ngx.decode_args`; what `encode_args` needs.
//!
//! Must not: keep more arguments than asked for (100 unless told otherwise).

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::c_int;

use super::call;
use super::encode::{escape, kind, unescape};
use super::header::{limit, within};
use crate::exchange::Body;
use crate::vm::native::{self, Given, Reply};
use crate::vm::{Args, Out, Registrar, Ret, op, scope};

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_args", "uri", op::raw(uri))?;
    r.op("ngx_args", "post", op::raw(post))?;
    r.op("ngx_args", "decode", op::raw(decode))?;
    r.op("ngx_args", "escape", op::raw(escape_part))?;
    r.native("ngx_args", "uri", native::raw(uri_native))?;
    r.native("ngx_args", "decode", native::raw(decode_native))
}

/// A key and its value; None is an argument without `=`.
type Pair<'a> = (Cow<'a, [u8]>, Option<Cow<'a, [u8]>>);

/// When a query is too long for the caller.
#[derive(Clone, Copy)]
enum Count {
    /// Where more pairs follow than asked for, empty ones included (`ngx.req.get_uri_args`).
    Beyond,
    /// Where something, be it nothing, follows the last pair asked for (`ngx.decode_args`, `get_post_args`).
    Reached,
}

/// Up to this many pairs are searched for each key one by one.
const FEW: usize = 16;

/// A pair's key and value, still encoded.
fn split(pair: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'=', pair) {
        Some(eq) => (&pair[..eq], Some(&pair[eq + 1..])),
        None => (pair, None),
    }
}

/// Lists a query of up to `max` pairs (0 for no limit); a longer one is the op's.
fn list_pairs(query: &[u8], max: f64, reply: &mut Reply) -> c_int {
    let mut pairs = reply.pairs.fill();
    let mut seen = 0;
    for pair in query.split(|b| *b == b'&') {
        seen += 1;
        let (key, value) = split(pair);
        if !key.is_empty() {
            pairs.add(&unescape(key), value.map(unescape).as_deref());
        }
    }
    if !within(seen, max) {
        return native::OP;
    }
    pairs.done()
}

/// The URI's arguments, up to `x`.
fn uri_native(g: &Given, reply: &mut Reply) -> c_int {
    let listed = scope::read(|x| {
        let query = x.request.args.as_deref().unwrap_or_default().as_bytes();
        list_pairs(query, g.x, reply)
    });
    listed.unwrap_or(native::OP)
}

/// The arguments in `a`, up to `x`.
fn decode_native(g: &Given, reply: &mut Reply) -> c_int {
    list_pairs(g.a, g.x, reply)
}

/// Pushes the table of a query: strings, true for an argument without `=`, lists for repeated ones.
fn parse(query: &[u8], max: usize, count: Count, r: &mut Ret) {
    let count_of_pairs = memchr::memchr_iter(b'&', query).count() + 1;
    let mut pairs: Vec<Pair> = Vec::with_capacity(count_of_pairs.min(max).min(64));
    for (i, pair) in query.split(|b| *b == b'&').enumerate() {
        let full = match count {
            Count::Beyond => pairs.len() == max,
            Count::Reached => i == max,
        };
        if full {
            break;
        }
        let (key, value) = split(pair);
        if !key.is_empty() {
            pairs.push((unescape(key), value.map(unescape)));
        }
    }
    r.table(0, pairs.len(), |t| {
        if pairs.len() <= FEW {
            push_few(&pairs, t);
        } else {
            push_many(&pairs, t);
        }
    });
    if count_of_pairs > max {
        r.lit("truncated");
    }
}

fn push_few(pairs: &[Pair], t: &mut Out) {
    for (i, (key, value)) in pairs.iter().enumerate() {
        if pairs[..i].iter().any(|(k, _)| k == key) {
            continue;
        }
        let mut more = pairs[i + 1..].iter().filter(|(k, _)| k == key).peekable();
        t.str(key);
        if more.peek().is_none() {
            item(t, value.as_deref());
        } else {
            let values = more.map(|(_, v)| v.as_deref());
            list(t, std::iter::once(value.as_deref()).chain(values));
        }
        t.set();
    }
}

fn push_many(pairs: &[Pair], t: &mut Out) {
    let mut index: HashMap<&[u8], usize> = HashMap::with_capacity(pairs.len());
    let mut groups: Vec<Vec<&Pair>> = Vec::new();
    for pair in pairs {
        let at = *index.entry(&pair.0).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.push(pair),
            None => groups.push(vec![pair]),
        }
    }
    for group in &groups {
        t.str(&group[0].0);
        match &group[..] {
            [(_, one)] => item(t, one.as_deref()),
            many => list(t, many.iter().map(|(_, v)| v.as_deref())),
        }
        t.set();
    }
}

fn list<'a>(t: &mut Out, values: impl Iterator<Item = Option<&'a [u8]>>) {
    t.table(2, 0, |l| {
        for (i, v) in values.enumerate() {
            item(l, v);
            l.seti(i + 1);
        }
    });
}

fn item(t: &mut Out, value: Option<&[u8]>) {
    match value {
        Some(v) => t.str(v),
        None => t.bool(true),
    };
}

/// `uri(max)`.
fn uri(a: &Args, r: &mut Ret) {
    let max = limit(a, 1);
    let got = scope::read(|x| {
        let query = x.request.args.as_deref().unwrap_or_default().as_bytes();
        parse(query, max, Count::Beyond, r);
    });
    if got.is_none() {
        call::no_request(r);
    }
}

/// `post(max)`: the body's arguments.
fn post(a: &Args, r: &mut Ret) {
    if !call::count(a, r, 0, 1, "0 or 1 arguments") {
        return;
    }
    if a.len() == 1 && call::check_num(a, r, 1, "get_post_args").is_none() {
        return;
    }
    // what is below 0 is no limit here, as in OpenResty
    let max = limit(a, 1);
    match scope::read(|x| x.request.body.clone()) {
        Some(Body::Memory(body)) => parse(&body, max, Count::Reached, r),
        Some(Body::File(..)) => {
            r.fail("request body in temp file not supported");
        }
        Some(Body::Streaming) => {
            r.raise("no request body found; maybe you should turn on lua_need_request_body?");
        }
        None => call::no_request(r),
    }
}

/// `decode(s, max)`.
fn decode(a: &Args, r: &mut Ret) {
    if !(1..=2).contains(&a.len()) {
        return r.raise(format!("expecting 1 or 2 arguments but seen {}", a.len()));
    }
    let Some(s) = call::check_text(a, r, 1, "decode_args") else {
        return;
    };
    let max = match a.len() {
        1 => 100,
        _ => match call::check_num(a, r, 2, "decode_args") {
            Some(n) if n >= 1.0 => n as usize,
            Some(_) => usize::MAX,
            None => return,
        },
    };
    parse(&s, max, Count::Reached, r);
}

/// A key or value on its way into a query.
fn escape_part(a: &Args, r: &mut Ret) {
    let s = call::text(a, 1).unwrap_or_default();
    r.str(escape(&s, kind::COMPONENT));
}
