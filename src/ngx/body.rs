//! `ngx.req`'s body: reading it for Lua, and replacing it.
//!
//! Must not: know how it arrives; the scope's `body_reader` does.

use bytes::Bytes;

use super::call::{self, CONTENT};
use crate::exchange::{Body, Exchange, Phase};
use crate::vm::{Args, Kind, Out, Registrar, Ret, op, scope};

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_body", "read", op::raw(read))?;
    r.op("ngx_body", "data", op::raw(data))?;
    r.op("ngx_body", "file", op::raw(file))?;
    r.op("ngx_body", "set_data", op::raw(set_data))?;
    r.op("ngx_body", "discard", op::raw(discard))
}

/// `read()`: true if nothing is to be waited for; waits otherwise, for true or `nil, err`.
fn read(_: &Args, r: &mut Ret) {
    let Some(scope) = scope::current() else {
        return call::no_request(r);
    };
    let Some(exchange) = &scope.exchange else {
        return call::no_request(r);
    };
    if !call::allowed(r, CONTENT) {
        return;
    }
    if !matches!(exchange.borrow().request.body, Body::Streaming) {
        r.bool(true);
        return;
    }
    let reader = scope.body_reader.borrow().clone();
    let Some(reader) = reader else {
        exchange.borrow_mut().request.body = Body::Memory(Bytes::new());
        r.bool(true);
        return;
    };
    let reading = reader.read(scope.clone());
    r.wait(async move {
        let mut out = Out::new();
        match reading.await {
            Ok(()) => out.bool(true),
            Err(e) => out.fail(e),
        };
        out
    });
}

/// Phases in which the body that was read can be seen.
const SEEN: u32 = CONTENT
    | Phase::Balancer as u32
    | Phase::HeaderFilter as u32
    | Phase::BodyFilter as u32
    | Phase::Log as u32;

/// `data(max)`: nil if the body was not read, is empty or is in a file.
fn data(a: &Args, r: &mut Ret) {
    if !matches!(a.kind(1), Kind::None | Kind::Nil | Kind::Number) {
        return call::bad(a, r, 1, "get_body_data", "number");
    }
    let max = a.num(1).filter(|n| *n > 0.0).map_or(usize::MAX, |n| n as usize);
    if scope::read(|_| ()).is_none() {
        return call::no_request(r);
    }
    if !call::allowed(r, SEEN) {
        return;
    }
    scope::read(|x| match &x.request.body {
        Body::Memory(b) if !b.is_empty() => r.held(b.slice(..b.len().min(max))),
        _ => r.nil(),
    });
}

fn file(_: &Args, r: &mut Ret) {
    let got = scope::read(|x| match &x.request.body {
        Body::File(path, _) => {
            r.str(path.to_string_lossy().as_bytes());
        }
        _ => {
            r.nil();
        }
    });
    if got.is_none() {
        call::no_request(r);
    }
}

fn replace(x: &mut Exchange, body: Bytes) {
    let q = &mut x.request;
    q.has_body = !body.is_empty();
    q.content_length = Some(body.len() as u64);
    q.headers.remove(b"transfer-encoding");
    q.headers
        .set(b"Content-Length", body.len().to_string().as_bytes());
    q.body = Body::Memory(body);
}

/// `set_data(s)`.
fn set_data(a: &Args, r: &mut Ret) {
    let Some(body) = call::check_text(a, r, 1, "set_body_data") else {
        return;
    };
    let body = Bytes::copy_from_slice(&body);
    let unread = scope::read(|x| matches!(x.request.body, Body::Streaming));
    match unread {
        None => call::no_request(r),
        Some(true) => r.raise("request body not read yet"),
        Some(false) => {
            if call::allowed(r, CONTENT | Phase::Balancer as u32) {
                scope::write(|x| replace(x, body));
            }
        }
    }
}

/// Drops the body: Lua and the upstream see none.
fn discard(_: &Args, r: &mut Ret) {
    if scope::read(|_| ()).is_none() {
        return call::no_request(r);
    }
    if call::allowed(r, CONTENT) {
        scope::write(|x| replace(x, Bytes::new()));
    }
}
