//! `ngx.say`, `ngx.print` and what else makes the response's body; `ngx.redirect`; `ngx.arg`.
//!
//! The first bytes fix the head: header_filter runs, then body_filter over each piece, within the call as on nginx
//! (`begin` and `pass`, which the face calls where an op asks for it). What is written gathers, and is capped, until it is
//! flushed or the handler is through. To HTTP/1.0 clients all of it leaves at the end, with its length.

use std::future::poll_fn;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderValue, header};

use super::call::{self, CONTENT};
use super::core::head_sent;
use super::req::unsafe_byte;
use crate::exchange::{Exchange, Output, Phase};
use crate::vm::{Args, Kind, Out, Registrar, Ret, Scope, op, scope, within};

/// How much a handler may write itself.
const BODY_CAP: usize = 64 << 20;

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_output", "append", op::raw(append))?;
    r.op("ngx_output", "begin", within::raw(begin))?;
    r.op("ngx_output", "pass", within::raw(pass))?;
    r.op("ngx_output", "started", op::raw(started))?;
    r.op("ngx_output", "flush", op::raw(flush))?;
    r.op("ngx_output", "eof", op::raw(eof))?;
    r.op("ngx_output", "redirect", op::raw(redirect))?;
    r.op("ngx_output", "get_arg", op::raw(get_arg))?;
    r.op("ngx_output", "set_arg", op::raw(set_arg))
}

fn length(a: &Args, i: usize) -> Option<usize> {
    Some(match a.kind(i) {
        Kind::String => a.str(i).unwrap_or_default().len(),
        Kind::Number => call::number(a.num(i).unwrap_or(0.0)).len(),
        Kind::Nil => 3,
        Kind::Boolean => 5,
        Kind::Light => 4,
        _ => return None,
    })
}

/// What the face has to do: nothing, to call `begin` and then again, or to call `pass`.
const DONE: f64 = 1.0;
const BEGIN: f64 = 2.0;
const PASS: f64 = 3.0;

/// The output's filters failed, or put another answer in its place.
const FILTERED_OUT: &str = "nginx output filter error";

/// `append(newline, ...)`: writes plain values. Answers what is to be done; nothing where an argument is not plain (the
/// face flattens and calls again); or `nil, err`.
fn append(a: &Args, r: &mut Ret) {
    if !call::request_in(r, CONTENT) {
        return;
    }
    let mut size = 1;
    for i in 2..=a.len() {
        match length(a, i) {
            Some(n) => size += n,
            None => return,
        }
    }
    if scope::read(|x| x.response.body.is_some() && header_only(x)) == Some(true) {
        r.fail("header only");
        return;
    }
    let body_filter = filters();
    let next = scope::write(|x| {
        if x.response.output.is_none() && !is_buffering(x) {
            return BEGIN;
        }
        let status = &mut x.response.status;
        if *status == 0 {
            *status = 200;
        }
        let output = x.response.output.clone();
        let waiting = output.as_ref().map_or(0, |o| o.len());
        let body = x.response.body.get_or_insert_default();
        if body.len() + size + waiting > BODY_CAP {
            return 0.0;
        }
        if output
            .as_ref()
            .is_some_and(|o| o.replaced.get() || o.is_closed() || o.failure().is_some())
        {
            return -1.0;
        }
        let before = body.len();
        body.reserve(size);
        for i in 2..=a.len() {
            match a.kind(i) {
                Kind::String => body.extend_from_slice(a.str(i).unwrap_or_default()),
                Kind::Number => body.extend_from_slice(call::number(a.num(i).unwrap_or(0.0)).as_bytes()),
                Kind::Boolean => {
                    body.extend_from_slice(if a.truthy(i) { &b"true"[..] } else { b"false" });
                }
                Kind::Light => body.extend_from_slice(b"null"),
                _ => body.extend_from_slice(b"nil"),
            }
        }
        if a.truthy(1) {
            body.push(b'\n');
        }
        let Some(output) = output.filter(|_| body.len() > before) else {
            return DONE;
        };
        output.seen.set(true);
        if body_filter && !header_only(x) {
            return PASS;
        }
        let size = x.response.body.as_ref().map_or(0, Vec::len);
        if size >= PIECE || output.has_left() {
            leave(x, &output);
        }
        DONE
    });
    match next {
        Some(next @ (DONE | BEGIN | PASS)) => r.num(next),
        Some(-1.0) => r.fail(FILTERED_OUT),
        _ => r.fail("response body too large"),
    };
}

/// How much gathers before it is handed on.
const PIECE: usize = 1024;

/// Whether body_filter is to see what is written.
fn filters() -> bool {
    scope::with(|s| s.handled.get()).unwrap_or_default() & Phase::BodyFilter as u32 != 0
}

/// Whether output gathers until its length is known: to HTTP/1.0 clients, where Lua said no length
/// (`lua_http10_buffering`).
fn is_buffering(x: &Exchange) -> bool {
    x.response.output.is_none()
        && x.request.version == 10
        && (x.response.body.is_some() || !x.response.headers.contains_key(header::CONTENT_LENGTH))
}

/// Whether the head may be on its way before the handler is through.
fn overtakes(x: &Exchange, output: &Output) -> bool {
    matches!(scope::phase(), Phase::Rewrite | Phase::Access) && output.has_client() && !header_only(x)
}

/// Hands on what gathered, if it can leave.
fn leave(x: &mut Exchange, output: &Output) {
    if overtakes(x, output)
        && let Some(body) = &mut x.response.body
    {
        output.push(body);
        body.clear();
    }
}

/// `begin()`: the head is fixed and goes through header_filter; false if that put another answer in its place.
fn begin(scope: &Rc<Scope>, _: bool) -> bool {
    let Some(cell) = &scope.exchange else {
        return false;
    };
    let reader = scope.body_reader.borrow().clone();
    let output = Rc::new(Output::new(reader.and_then(|r| r.guard())));
    {
        let mut x = cell.borrow_mut();
        if x.response.output.is_some() {
            return true;
        }
        if x.response.status == 0 {
            x.response.status = 200;
        }
        x.response.body.get_or_insert_default();
        x.response.output = Some(output.clone());
    }
    let gateway = scope.gateway.borrow().clone();
    let stands = gateway.is_none_or(|g| g.begin(scope));
    output.replaced.set(!stands);
    cell.borrow_mut().response.head_sent = true;
    stands
}

/// `pass(last)`: body_filter sees what was written; false if it failed.
fn pass(scope: &Rc<Scope>, last: bool) -> bool {
    let gateway = scope.gateway.borrow().clone();
    gateway.is_none_or(|g| g.pass(scope, last))
}

/// `flush(wait)`: what was written leaves; with `wait`, 1 when it is written, or `nil, err`.
fn flush(a: &Args, r: &mut Ret) {
    let wait = a.truthy(1);
    let found = scope::write(|x| {
        let output = x.response.output.clone()?;
        leave(x, &output);
        let overtakes = overtakes(x, &output);
        if overtakes {
            output.flush();
        }
        (wait && overtakes).then_some(output)
    });
    let Some(output) = found.flatten() else {
        r.num(1.0);
        return;
    };
    r.wait(async move {
        let mut out = Out::new();
        match poll_fn(|cx| output.poll_written(cx)).await {
            Ok(()) => out.num(1.0),
            Err(why) => out.nil().lit(why),
        };
        out
    });
}

/// `eof()`: nothing more is written; what was may leave whole.
fn eof(_: &Args, r: &mut Ret) {
    scope::write(|x| {
        if let Some(output) = x.response.output.clone().filter(|o| !o.replaced.get()) {
            leave(x, &output);
            if overtakes(x, &output) {
                output.end(Ok(()));
            }
        }
    });
    r.num(1.0);
}

/// `started()`: whether output was begun, whether a body of it, and whether body_filter sees it; then why nothing may be
/// flushed, if that stands for the whole response.
fn started(_: &Args, r: &mut Ret) {
    if !call::request_in(r, CONTENT) {
        return;
    }
    let standing = scope::read(|x| {
        let output = x.response.output.as_ref();
        // what follows the head of 101 is whoever's took the socket: nginx flushes there
        let why = if x.response.body.is_some() && header_only(x) && x.response.status != 101 {
            Some("header only")
        } else if x.response.body.is_some() && is_buffering(x) {
            Some("buffering")
        } else if output.is_some_and(|o| o.replaced.get() || o.failure().is_some()) {
            Some(FILTERED_OUT)
        } else {
            None
        };
        (output.is_some(), output.is_some_and(|o| o.seen.get()), why)
    });
    let (begun, seen, why) = standing.unwrap_or_default();
    let filtered = filters() && scope::read(header_only) == Some(false);
    r.bool(begun).bool(seen).bool(filtered);
    match why {
        Some(why) => r.lit(why),
        None => r.nil(),
    };
}

/// Whether the response, once its head is fixed, has no body.
fn header_only(x: &Exchange) -> bool {
    let head = if x.request.kin.depth() > 0 {
        x.request.method == "HEAD"
    } else {
        x.request.headers.raw().starts_with(b"HEAD ")
    };
    head || matches!(x.response.status, 100..200 | 204 | 304)
}

/// `ngx.redirect(uri, status?)`.
fn redirect(a: &Args, r: &mut Ret) {
    if a.is_empty() || a.len() > 2 {
        return r.raise("expecting one or two arguments");
    }
    let Some(uri) = call::check_text(a, r, 1, "redirect") else {
        return;
    };
    let code = if a.len() == 2 {
        let Some(n) = call::check_num(a, r, 2, "redirect") else {
            return;
        };
        n as u16
    } else {
        302
    };
    if ![301, 302, 303, 307, 308].contains(&code) {
        return r.raise(
            "only ngx.HTTP_MOVED_TEMPORARILY, ngx.HTTP_MOVED_PERMANENTLY, ngx.HTTP_PERMANENT_REDIRECT, \
             ngx.HTTP_SEE_OTHER, and ngx.HTTP_TEMPORARY_REDIRECT are allowed",
        );
    }
    if !call::request_in(r, CONTENT) {
        return;
    }
    if !call::leavable(r) {
        return;
    }
    if scope::read(head_sent) == Some(true) {
        return r.raise("attempt to call ngx.redirect after sending out the headers");
    }
    let value = HeaderValue::from_bytes(&uri);
    let (None, Ok(value)) = (unsafe_byte(&uri), value) else {
        let byte = unsafe_byte(&uri).unwrap_or_default();
        return r.raise(format!(
            "unsafe byte \"0x{byte:02x}\" in redirect uri \"{}\"",
            call::escape_log(&uri)
        ));
    };
    scope::write(|x| {
        x.response.status = code;
        x.response.headers.insert(http::header::LOCATION, value);
    });
    r.exit(i64::from(code));
}

/// `ngx.arg[i]` in body_filter.
fn get_arg(a: &Args, r: &mut Ret) {
    if scope::phase() != Phase::BodyFilter {
        return r.raise("API disabled in the current context");
    }
    let which = a.int(2).unwrap_or(0);
    let got = scope::read(|x| match which {
        1 => {
            let chunk = x.response.new_chunk.as_ref().unwrap_or(&x.response.chunk);
            r.held(chunk.clone());
        }
        2 => {
            r.bool(x.response.last_chunk);
        }
        _ => {
            r.nil();
        }
    });
    if got.is_none() {
        call::no_request(r);
    }
}

/// `ngx.arg[i] = value` in body_filter; tables are joined by the face.
fn set_arg(a: &Args, r: &mut Ret) {
    if !call::allowed(r, Phase::BodyFilter as u32) {
        return;
    }
    match a.int(1) {
        Some(1) => {
            let chunk = match call::text(a, 2) {
                Some(t) => Bytes::copy_from_slice(&t),
                None if matches!(a.kind(2), Kind::Nil | Kind::None) => Bytes::new(),
                None => {
                    return r.raise(format!("bad chunk data type: {}", call::type_name(a.kind(2))));
                }
            };
            scope::write(|x| x.response.new_chunk = Some(chunk));
        }
        Some(2) => {
            let last = a.truthy(2);
            scope::write(|x| x.response.last_chunk = last);
        }
        n => r.raise(format!("bad index: {}", n.unwrap_or(0))),
    }
}
