//! `kong.request`: what the client asked for.
//!
//! Must not: change the request (that is `kong.service.request`).

use std::borrow::Cow;
use std::ffi::c_int;
use std::time::UNIX_EPOCH;

use super::configuration::{host_port, limits};
use super::values::{Multi, arguments, push_arguments};
use crate::exchange::{Exchange, HeaderList};
use crate::router::normalize;
use crate::vm::native::{self, Given, Reply};
use crate::vm::{Args, Out, Registrar, Ret, op, scope};

const ROOM: &str = "kong.request";

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op(ROOM, "get_scheme", op::raw(get_scheme))?;
    r.op(ROOM, "get_host", op::raw(get_host))?;
    r.op(ROOM, "get_port", op::raw(get_port))?;
    r.op(ROOM, "get_forwarded_scheme", op::raw(get_forwarded_scheme))?;
    r.op(ROOM, "get_forwarded_host", op::raw(get_forwarded_host))?;
    r.op(ROOM, "get_forwarded_port", op::raw(get_forwarded_port))?;
    r.op(ROOM, "get_forwarded_path", op::raw(get_forwarded_path))?;
    r.op(ROOM, "from_trusted", op::raw(from_trusted))?;
    r.op(ROOM, "normalize", op::raw(normalized))?;
    r.op(ROOM, "get_forwarded_prefix", op::raw(get_forwarded_prefix))?;
    r.op(ROOM, "get_http_version", op::raw(get_http_version))?;
    r.op(ROOM, "get_method", op::raw(get_method))?;
    r.op(ROOM, "get_path", op::raw(get_path))?;
    r.op(ROOM, "get_raw_path", op::raw(get_raw_path))?;
    r.op(ROOM, "get_path_with_query", op::raw(get_path_with_query))?;
    r.op(ROOM, "get_raw_query", op::raw(get_raw_query))?;
    r.op(ROOM, "get_query_arg", op::raw(get_query_arg))?;
    r.op(ROOM, "get_query", op::raw(get_query))?;
    r.op(ROOM, "get_header", op::raw(get_header))?;
    r.op(ROOM, "get_headers", op::raw(get_headers))?;
    r.op(ROOM, "get_start_time", op::raw(get_start_time))?;
    r.op(ROOM, "get_uri_captures", op::raw(get_uri_captures))?;
    r.native(ROOM, "get_header", native::raw(header_native))?;
    r.native(
        ROOM,
        "get_method",
        native::raw(|_, r| leave(r, |x| x.request.method.as_bytes())),
    )?;
    r.native(
        ROOM,
        "get_path_with_query",
        native::raw(|_, r| leave(r, |x| x.request.target.as_bytes())),
    )?;
    r.native(
        ROOM,
        "get_scheme",
        native::raw(|_, r| leave(r, |x| x.request.scheme.as_bytes())),
    )?;
    r.native(
        ROOM,
        "get_host",
        native::raw(|_, r| leave(r, |x| x.request.host.as_bytes())),
    )?;
    r.native(ROOM, "get_raw_path", native::raw(|_, r| leave(r, raw_path)))?;
    r.native(ROOM, "get_raw_query", native::raw(|_, r| leave(r, query)))?;
    r.native(ROOM, "get_headers", native::raw(headers_native))?;
    r.native(ROOM, "get_query", native::raw(query_native))?;
    super::request_body::install(r)?;
    r.module("kong.pdk.request", crate::embed!("request.lua"))
}

/// Runs `f` on the current request, or leaves nil.
fn on(r: &mut Ret, f: impl FnOnce(&Exchange, &mut Out)) {
    if scope::read(|x| f(x, r)).is_none() {
        r.nil();
    }
}

/// A native's text.
#[inline]
fn leave(reply: &mut Reply, f: impl FnOnce(&Exchange) -> &[u8]) -> c_int {
    scope::read(|x| reply.text(f(x))).unwrap_or(native::OP)
}

fn get_scheme(_: &Args, r: &mut Ret) {
    on(r, |x, out| {
        out.lit(x.request.scheme);
    });
}

fn get_host(_: &Args, r: &mut Ret) {
    on(r, |x, out| {
        out.str(&x.request.host);
    });
}

fn get_port(_: &Args, r: &mut Ret) {
    let of_request = scope::read(|x| x.connection.local.port());
    match of_request.or_else(|| scope::handshake(|h| h.local.port())) {
        Some(port) => r.num(port),
        None => r.nil(),
    };
}

/// A header that only a trusted peer may set.
fn forwarded<'x>(x: &'x Exchange, name: &str) -> Option<&'x [u8]> {
    if !x.client.trusted {
        return None;
    }
    header(&x.request.headers, name.as_bytes())
}

fn get_forwarded_scheme(_: &Args, r: &mut Ret) {
    on(r, |x, out| {
        match forwarded(x, "X-Forwarded-Proto") {
            Some(scheme) => out.str(scheme.to_ascii_lowercase()),
            None => out.lit(x.request.scheme),
        };
    });
}

/// The header that argument 1 names, if a trusted peer sent it.
fn from_trusted(a: &Args, r: &mut Ret) {
    let name = String::from_utf8_lossy(a.str(1).unwrap_or_default());
    on(r, |x, out| {
        out.opt(forwarded(x, &name));
    });
}

/// A path as the router sees it.
fn normalized(a: &Args, r: &mut Ret) {
    r.str(normalize(a.str(1).unwrap_or_default(), true));
}

/// Host and port of an `X-Forwarded-Host`, without user info.
fn split_forwarded_host(value: &[u8]) -> (&[u8], Option<&[u8]>) {
    let host = match memchr::memchr(b'@', value) {
        Some(at) => &value[at + 1..],
        None => value,
    };
    match memchr::memchr(b':', host) {
        Some(at) => (&host[..at], Some(&host[at + 1..])),
        None => (host, None),
    }
}

fn get_forwarded_host(_: &Args, r: &mut Ret) {
    on(r, |x, out| {
        match forwarded(x, "X-Forwarded-Host") {
            Some(value) => out.str(split_forwarded_host(value).0.to_ascii_lowercase()),
            None => out.str(&x.request.host),
        };
    });
}

fn port_of(text: &[u8]) -> Option<u16> {
    let port = std::str::from_utf8(text).ok()?.trim().parse().ok()?;
    (port > 0).then_some(port)
}

/// The port that clients use; argument 1 is it where nobody forwarded.
fn get_forwarded_port(a: &Args, r: &mut Ret) {
    let own = a.num(1);
    on(r, |x, out| {
        let by_host = || port_of(split_forwarded_host(forwarded(x, "X-Forwarded-Host")?).1?);
        let port = forwarded(x, "X-Forwarded-Port")
            .and_then(port_of)
            .or_else(by_host);
        let port = port.map(f64::from).or(own);
        out.num(port.unwrap_or_else(|| f64::from(host_port(x.connection.local.port()))));
    });
}

fn get_forwarded_path(_: &Args, r: &mut Ret) {
    on(r, |x, out| {
        match forwarded(x, "X-Forwarded-Path") {
            Some(path) => out.str(path),
            None => out.str(normalize(raw_path(x), true)),
        };
    });
}

fn get_forwarded_prefix(_: &Args, r: &mut Ret) {
    on(r, |x, out| {
        let own = x.outbound.x_forwarded_prefix.as_ref();
        let matched = x.matched.as_ref().and_then(|m| m.prefix.as_ref());
        match forwarded(x, "X-Forwarded-Prefix") {
            Some(prefix) => out.str(prefix),
            None => out.opt(own.or(matched)),
        };
    });
}

fn get_http_version(_: &Args, r: &mut Ret) {
    on(r, |x, out| {
        out.num(f64::from(x.request.version) / 10.0);
    });
}

fn get_method(_: &Args, r: &mut Ret) {
    on(r, |x, out| {
        out.str(&x.request.method);
    });
}

/// The target's path; a `?` at the very start counts as path, as in Kong.
fn raw_path(x: &Exchange) -> &[u8] {
    let target = x.request.target.as_bytes();
    let query = target.iter().skip(1).position(|b| *b == b'?');
    &target[..query.map_or(target.len(), |at| at + 1)]
}

fn get_path(_: &Args, r: &mut Ret) {
    on(r, |x, out| {
        out.str(normalize(raw_path(x), true));
    });
}

fn get_raw_path(_: &Args, r: &mut Ret) {
    on(r, |x, out| {
        out.str(raw_path(x));
    });
}

fn get_path_with_query(_: &Args, r: &mut Ret) {
    on(r, |x, out| {
        out.str(&x.request.target);
    });
}

fn query(x: &Exchange) -> &[u8] {
    x.request.args.as_deref().unwrap_or_default().as_bytes()
}

fn get_raw_query(_: &Args, r: &mut Ret) {
    on(r, |x, out| {
        out.str(query(x));
    });
}

fn get_query_arg(a: &Args, r: &mut Ret) {
    let name = a.str(1).unwrap_or_default();
    on(r, |x, out| {
        let found = arguments(query(x), limits().uri_args).find(|(n, _)| n.as_ref() == name);
        match found {
            Some((_, Some(value))) => out.str(value),
            Some((_, None)) => out.bool(true),
            None => out.nil(),
        };
    });
}

fn get_query(a: &Args, r: &mut Ret) {
    let max = limit(a, 1, limits().uri_args);
    on(r, |x, out| {
        push_arguments(out, query(x), max);
    });
}

/// Argument `i` as a limit.
pub(super) fn limit(a: &Args, i: usize, default: usize) -> usize {
    a.int(i).map_or(default, |n| n.clamp(1, 1000) as usize)
}

/// A header as `kong.request.get_header` finds it: `$http_name` first, where `-` and `_` are one; if its joined
/// lines hold a list, the first line whose name is spelt with `-`.
pub(super) fn header<'h>(headers: &'h HeaderList, name: &[u8]) -> Option<&'h [u8]> {
    let matches = |header: &[u8], spelling: fn(u8) -> u8| {
        header.len() == name.len() && header.iter().zip(name).all(|(h, n)| spelling(*h) == spelling(*n))
    };
    let as_var = |b: u8| if b == b'-' { b'_' } else { b.to_ascii_lowercase() };
    let mut lines = headers.iter().filter(|(h, _)| matches(h, as_var));
    let (_, first) = lines.next()?;
    // Cookie lines are joined with a semicolon, which is no list.
    let listed = memchr::memmem::find(first, b", ").is_some() || lines.next().is_some();
    if !listed {
        return Some(first);
    }
    // The table of headers has lower-case names; `_` in the name asked for also stands for `-`.
    let exact = headers.iter().find(|(h, _)| h.eq_ignore_ascii_case(name));
    let dashed = |header: &[u8]| matches_dashed(header, name);
    exact
        .or_else(|| headers.iter().find(|(h, _)| dashed(h)))
        .map(|(_, v)| v)
}

fn matches_dashed(header: &[u8], name: &[u8]) -> bool {
    header.len() == name.len()
        && header.iter().zip(name).all(|(h, n)| {
            let n = if *n == b'_' { b'-' } else { n.to_ascii_lowercase() };
            h.to_ascii_lowercase() == n
        })
}

fn get_header(a: &Args, r: &mut Ret) {
    let name = a.str(1).unwrap_or_default();
    on(r, |x, out| {
        out.opt(header(&x.request.headers, name));
    });
}

/// Header `a`.
fn header_native(g: &Given, reply: &mut Reply) -> c_int {
    scope::read(|x| reply.opt(header(&x.request.headers, g.a))).unwrap_or(native::OP)
}

fn get_headers(a: &Args, r: &mut Ret) {
    let max = limit(a, 1, limits().req_headers);
    on(r, |x, out| {
        let headers = &x.request.headers;
        let mut multi = Multi::default();
        for (name, value) in headers.iter().take(max) {
            multi.add(lower(name), Some(Cow::Borrowed(value)));
        }
        multi.push(out);
        if headers.len() > max {
            out.lit("truncated");
        }
    });
}

/// Up to `i` headers, or as many as the settings allow. Longer lists are the op's.
fn headers_native(g: &Given, reply: &mut Reply) -> c_int {
    let max = native_limit(g, || limits().req_headers);
    let listed = scope::read(|x| {
        let headers = &x.request.headers;
        if headers.len() > max {
            return native::OP;
        }
        let mut pairs = reply.pairs.fill();
        headers
            .iter()
            .for_each(|(name, value)| pairs.add_low(name, value));
        pairs.done()
    });
    listed.unwrap_or(native::OP)
}

/// Up to `i` arguments, or as many as the settings allow. Longer lists are the op's.
fn query_native(g: &Given, reply: &mut Reply) -> c_int {
    let max = native_limit(g, || limits().uri_args);
    let listed = scope::read(|x| {
        let query = query(x);
        if memchr::memchr_iter(b'&', query).count() >= max {
            return native::OP;
        }
        let mut pairs = reply.pairs.fill();
        for (name, value) in arguments(query, max) {
            pairs.add(&name, value.as_deref());
        }
        pairs.done()
    });
    listed.unwrap_or(native::OP)
}

/// A native's limit, which the face has checked; 0 where none was given.
pub(super) fn native_limit(g: &Given, default: impl FnOnce() -> usize) -> usize {
    match g.i {
        ..=0 => default(),
        n => n as usize,
    }
}

fn lower(name: &[u8]) -> Cow<'_, [u8]> {
    if name.iter().any(u8::is_ascii_uppercase) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

fn get_start_time(_: &Args, r: &mut Ret) {
    on(r, |x, out| {
        let since = x.timing.started_at.duration_since(UNIX_EPOCH);
        out.num(since.map_or(0.0, |d| d.as_millis() as f64));
    });
}

fn get_uri_captures(_: &Args, r: &mut Ret) {
    on(r, |x, out| {
        let captures = x.matched.as_ref().and_then(|m| m.captures.as_deref());
        let positional = captures.map_or(&[][..], |c| &c.positional);
        let named = captures.map_or(&[][..], |c| &c.named);
        out.table(positional.len(), 0, |t| {
            for (i, value) in positional.iter().enumerate() {
                match value {
                    Some(text) => t.str(text),
                    None => t.bool(false),
                };
                t.seti(i);
            }
        });
        out.table(0, named.len(), |t| {
            for (name, value) in named {
                t.str(name).str(value).set();
            }
        });
    });
}
