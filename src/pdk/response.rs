//! `kong.response`: what the client gets.
//!
//! Must not: send anything; the proxy sends what stands in the exchange's response.

use std::borrow::Cow;
use std::ffi::c_int;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::configuration::limits;
use super::request::{limit, native_limit};
use super::values::{Multi, header_value};
use crate::exchange::{Exchange, Phase, Source, error_body, header_names};
use crate::vm::native::{self, Given, Reply};
use crate::vm::{Args, Kind, Registrar, Ret, op, scope};

const ROOM: &str = "kong.response";

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op(ROOM, "get_status", op::raw(get_status))?;
    r.op(ROOM, "get_header", op::raw(get_header))?;
    r.op(ROOM, "get_headers", op::raw(get_headers))?;
    r.op(ROOM, "get_source", op::raw(get_source))?;
    r.op(ROOM, "headers_sent", op::raw(headers_sent))?;
    r.op(ROOM, "set_status", op::raw(set_status))?;
    r.op(ROOM, "set_header", op::raw(set_header))?;
    r.op(ROOM, "set_header_unsent", op::raw(set_header_unsent))?;
    r.op(ROOM, "add_header", op::raw(add_header))?;
    r.op(ROOM, "clear_header", op::raw(clear_header))?;
    r.op(ROOM, "chunk", op::raw(chunk))?;
    r.op(ROOM, "set_chunk", op::raw(set_chunk))?;
    r.op(ROOM, "has_grpc_type", op::raw(has_grpc_type))?;
    r.op(ROOM, "grpc_status", op::raw(grpc_status))?;
    r.op(ROOM, "grpc_message", op::raw(grpc_message))?;
    r.op(ROOM, "error_type", op::raw(error_type))?;
    r.op(ROOM, "error_body", op::raw(render_error_body))?;
    r.op(ROOM, "exit", op::raw(exit))?;
    r.native(ROOM, "get_header", native::raw(header_native))?;
    r.native(ROOM, "get_headers", native::raw(headers_native))?;
    r.native(ROOM, "get_status", native::raw(status_native))?;
    r.native(ROOM, "set_header", native::raw(set_header_native))?;
    r.native(ROOM, "clear_header", native::raw(clear_header_native))?;
    r.module("kong.pdk.response", crate::embed!("response.lua"))
}

fn get_status(_: &Args, r: &mut Ret) {
    match scope::read(|x| x.response.status) {
        Some(status) => r.num(status),
        None => r.nil(),
    };
}

fn status_native(_: &Given, _: &mut Reply) -> c_int {
    scope::read(|x| c_int::from(x.response.status)).unwrap_or(native::OP)
}

/// The name as given, for looking up lines that an upstream sent with `_`.
fn plain_name(name: &[u8]) -> Option<HeaderName> {
    HeaderName::from_bytes(name).ok()
}

/// A header among the first `lua_max_resp_headers` lines; with a second true argument only where the upstream sent
/// it.
fn get_header(a: &Args, r: &mut Ret) {
    let (name, upstreams) = (a.str(1).unwrap_or_default(), a.truthy(2));
    let done = scope::read(|x| {
        let headers = &x.response.headers;
        let found = [plain_name(name), header_names::of(name)]
            .into_iter()
            .flatten()
            .find(|n| headers.contains_key(n));
        let max = limits().resp_headers;
        let found = found.filter(|n| {
            let near = headers.len() <= max || headers.keys().take(max).any(|k| k == n);
            near && (!upstreams || x.response.of_upstream(n))
        });
        r.opt(found.and_then(|n| headers.get(n)).map(HeaderValue::as_bytes));
    });
    if done.is_none() {
        r.nil();
    }
}

fn get_headers(a: &Args, r: &mut Ret) {
    let max = limit(a, 1, limits().resp_headers);
    let done = scope::read(|x| {
        let mut multi = Multi::default();
        for (name, value) in x.response.headers.iter().take(max) {
            let name = Cow::Borrowed(name.as_str().as_bytes());
            multi.add(name, Some(Cow::Borrowed(value.as_bytes())));
        }
        multi.push(r);
        if x.response.headers.len() > max {
            r.lit("truncated");
        }
    });
    if done.is_none() {
        r.table(0, 0, |_| {});
    }
}

/// Header `a`, where its name is spelt plainly and there are no more lines than are looked at.
fn header_native(g: &Given, reply: &mut Reply) -> c_int {
    if g.a.contains(&b'_') {
        return native::OP;
    }
    let found = scope::read(|x| {
        let headers = &x.response.headers;
        if headers.len() > limits().resp_headers {
            return native::OP;
        }
        let value = header_names::with(g.a, |name| {
            if name.as_str().len() != g.a.len() {
                return native::OP;
            }
            reply.opt(headers.get(name).map(HeaderValue::as_bytes))
        });
        value.unwrap_or(native::OP)
    });
    found.unwrap_or(native::OP)
}

/// Up to `i` headers, or as many as the settings allow. Longer lists are the op's.
fn headers_native(g: &Given, reply: &mut Reply) -> c_int {
    let max = native_limit(g, || limits().resp_headers);
    let listed = scope::read(|x| {
        let headers = &x.response.headers;
        if headers.len() > max {
            return native::OP;
        }
        let mut pairs = reply.pairs.fill();
        for (name, value) in headers {
            pairs.add(name.as_str().as_bytes(), Some(value.as_bytes()));
        }
        pairs.done()
    });
    listed.unwrap_or(native::OP)
}

fn get_source(_: &Args, r: &mut Ret) {
    r.lit(match scope::read(|x| x.response.source) {
        Some(Source::Service) => "service",
        Some(Source::Exit) => "exit",
        Some(Source::Error) | None => "error",
    });
}

/// The head is out, or as good as that: body filters change it no more, nor who has begun a body of his own.
fn is_sent(x: &Exchange) -> bool {
    const BEGUN: u32 = Phase::Rewrite as u32 | Phase::Access as u32 | Phase::Response as u32;
    let phase = scope::phase();
    x.response.head_sent
        || matches!(phase, Phase::BodyFilter | Phase::Log)
        || (phase as u32 & BEGUN != 0 && x.response.body.is_some())
}

fn headers_sent(_: &Args, r: &mut Ret) {
    r.bool(scope::read(is_sent).unwrap_or(false));
}

fn set_status(a: &Args, _: &mut Ret) {
    let status = a.int(1).and_then(|n| u16::try_from(n).ok());
    if let Some(status) = status {
        scope::write(|x| x.response.status = status);
    }
}

fn pair(a: &Args) -> Option<(HeaderName, HeaderValue)> {
    let name = header_names::of(a.str(1)?)?;
    let value = HeaderValue::from_bytes(&header_value(a.str(2)?)).ok()?;
    Some((name, value))
}

fn set_header(a: &Args, _: &mut Ret) {
    if let Some((name, value)) = pair(a) {
        scope::write(|x| {
            x.response.spell(&name, a.str(1).unwrap_or_default());
            x.response.set_header(&name, value);
        });
    }
}

/// Sets header `a` to `b`: 0, or 1 where the head is out.
fn set_header_native(g: &Given, _: &mut Reply) -> c_int {
    if !header_names::is_plain_value(g.b) {
        return native::OP;
    }
    let Ok(value) = HeaderValue::from_bytes(g.b) else {
        return native::OP;
    };
    let done = scope::write(|x| {
        if is_sent(x) {
            return 1;
        }
        let set = header_names::with(g.a, |name| {
            x.response.spell(name, g.a);
            x.response.set_header(name, value);
        });
        set.map_or(native::OP, |()| 0)
    });
    done.unwrap_or(native::OP)
}

/// Sets a header where the head is not out yet; answers true where it is.
fn set_header_unsent(a: &Args, r: &mut Ret) {
    let pair = pair(a);
    let sent = scope::write(|x| {
        if is_sent(x) {
            return true;
        }
        if let Some((name, value)) = pair {
            x.response.spell(&name, a.str(1).unwrap_or_default());
            x.response.set_header(&name, value);
        }
        false
    });
    if sent == Some(true) {
        r.bool(true);
    }
}

/// Adds a line; of the names that stand once, the last one wins.
fn add_header(a: &Args, _: &mut Ret) {
    let Some((name, value)) = pair(a) else {
        return;
    };
    let single = name == http::header::CONTENT_TYPE || name == http::header::CONTENT_LENGTH;
    scope::write(|x| {
        x.response.spell(&name, a.str(1).unwrap_or_default());
        if single || !x.response.headers.contains_key(&name) {
            x.response.set_header(&name, value);
        } else if !x.response.is_full() {
            let _ = x.response.headers.try_append(name, value);
        }
    });
}

fn clear_header(a: &Args, _: &mut Ret) {
    let name = a.str(1).unwrap_or_default();
    scope::write(|x| {
        for name in [plain_name(name), header_names::of(name)].into_iter().flatten() {
            x.response.headers.remove(name);
        }
    });
}

/// Removes header `a`: 0, or 1 where the head is out.
fn clear_header_native(g: &Given, _: &mut Reply) -> c_int {
    let done = scope::write(|x| {
        if is_sent(x) {
            return 1;
        }
        let headers = &mut x.response.headers;
        if let Some(as_given) = plain_name(g.a).filter(|_| g.a.contains(&b'_')) {
            headers.remove(as_given);
        }
        header_names::with(g.a, |name| headers.remove(name));
        0
    });
    done.unwrap_or(native::OP)
}

/// The chunk under body_filter as the handlers before left it, and whether it is the last.
fn chunk(_: &Args, r: &mut Ret) {
    let now = scope::read(|x| {
        let chunk = x.response.new_chunk.as_ref().unwrap_or(&x.response.chunk);
        (chunk.clone(), x.response.last_chunk)
    });
    match now {
        Some((chunk, last)) => r.held(chunk).bool(last),
        None => r.nil(),
    };
}

/// Replaces the chunk (nil: by nothing); a second true argument makes it the last.
fn set_chunk(a: &Args, _: &mut Ret) {
    let chunk = Bytes::copy_from_slice(a.str(1).unwrap_or_default());
    scope::write(|x| {
        x.response.new_chunk = Some(chunk);
        x.response.last_chunk |= a.truthy(2);
    });
}

/// Whether the request's body is gRPC's.
fn has_grpc_type(_: &Args, r: &mut Ret) {
    let found = scope::read(|x| {
        let content_type = x.request.headers.get("content-type");
        content_type.is_some_and(|t| t.starts_with(b"application/grpc"))
    });
    r.bool(found.unwrap_or(false));
}

fn status_of(a: &Args) -> u16 {
    a.int(1).and_then(|n| u16::try_from(n).ok()).unwrap_or_default()
}

fn grpc_status(a: &Args, r: &mut Ret) {
    r.num(error_body::grpc_status(status_of(a)));
}

fn grpc_message(a: &Args, r: &mut Ret) {
    r.lit(error_body::grpc_message(status_of(a) as u8));
}

/// The media type of an error answer, by the request's Accept lines.
fn error_type(_: &Args, r: &mut Ret) {
    let kind = scope::read(|x| {
        let lines: Vec<_> = x.request.headers.get_all(b"accept").collect();
        let accept = String::from_utf8_lossy(&lines.join(&b","[..])).into_owned();
        error_body::response_type((!lines.is_empty()).then_some(accept.as_str()))
    });
    r.lit(kind.unwrap_or_else(|| error_body::response_type(None)));
}

/// `error_body(status, media type, message or nil)`: the body, or nil where the media type has no template.
fn render_error_body(a: &Args, r: &mut Ret) {
    let text = |i| a.str(i).map(String::from_utf8_lossy);
    let message = text(3).unwrap_or_else(|| error_body::message_for(status_of(a)));
    let id = scope::read(|x| x.id_str().to_owned()).unwrap_or_default();
    let body = error_body::template(&text(2).unwrap_or_default(), &message, &id);
    r.opt(body);
}

/// `exit(status, body)`: leaves the answer in the exchange. Where handlers may wait the handler ends here; in
/// header_filter it goes on.
fn exit(a: &Args, r: &mut Ret) {
    let status = status_of(a);
    let body = match a.kind(2) {
        Kind::String => a.str(2).unwrap_or_default().to_vec(),
        _ => Vec::new(),
    };
    scope::write(|x| {
        x.response.status = status;
        x.response.source = Source::Exit;
        x.response.body = Some(body);
    });
    if scope::phase().can_yield() {
        r.exit(i64::from(status));
    }
}
