//! Arguments: `ngx.req.get_uri_args`, `get_post_args`, `ngx.decode_args`; what `encode_args` needs.
//!
//! Must not: keep more arguments than asked for (100 unless told otherwise).

use std::borrow::Cow;

use super::call;
use super::encode::{component, escape, unescape};
use super::header::limit;
use crate::exchange::Body;
use crate::vm::{Args, Out, Registrar, Ret, op, scope};

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_args", "uri", op::raw(uri))?;
    r.op("ngx_args", "post", op::raw(post))?;
    r.op("ngx_args", "decode", op::raw(decode))?;
    r.op("ngx_args", "escape", op::raw(escape_part))
}

/// A key and its values; None is an argument without `=`.
type Argument<'a> = (Cow<'a, [u8]>, Vec<Option<Cow<'a, [u8]>>>);

/// When a query is too long for the caller.
#[derive(Clone, Copy)]
enum Count {
    /// Where more pairs follow than asked for, empty ones included (`ngx.req.get_uri_args`).
    Beyond,
    /// Where something, be it nothing, follows the last pair asked for (`ngx.decode_args`, `get_post_args`).
    Reached,
}

/// Pushes the table of a query: strings, true for an argument without `=`, lists for repeated ones.
fn parse(query: &[u8], max: usize, count: Count, r: &mut Ret) {
    let mut args: Vec<Argument> = Vec::new();
    let mut index = std::collections::HashMap::new();
    let mut kept = 0;
    let pairs = memchr::memchr_iter(b'&', query).count() + 1;
    let truncated = pairs > max;
    for (i, pair) in query.split(|b| *b == b'&').enumerate() {
        let full = match count {
            Count::Beyond => kept == max,
            Count::Reached => i == max,
        };
        if full {
            break;
        }
        let (key, value) = match memchr::memchr(b'=', pair) {
            Some(eq) => (&pair[..eq], Some(unescape(&pair[eq + 1..]))),
            None => (pair, None),
        };
        if key.is_empty() {
            continue;
        }
        kept += 1;
        let key = unescape(key);
        match index.get(&key) {
            Some(i) => {
                let i: usize = *i;
                args[i].1.push(value);
            }
            None => {
                index.insert(key.clone(), args.len());
                args.push((key, vec![value]));
            }
        }
    }
    r.table(0, args.len(), |t| {
        for (key, values) in &args {
            t.str(key);
            match &values[..] {
                [one] => item(t, one.as_deref()),
                many => {
                    t.table(many.len(), 0, |l| {
                        for (i, v) in many.iter().enumerate() {
                            item(l, v.as_deref());
                            l.seti(i + 1);
                        }
                    });
                }
            }
            t.set();
        }
    });
    if truncated {
        r.lit("truncated");
    }
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
    r.str(escape(&s, component));
}
