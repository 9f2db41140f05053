//! `kong.service.request`: what the upstream is asked.
//!
//! Must not: touch what the client sent; the raw head and target stay as they came.

use std::borrow::Cow;
use std::ffi::c_int;

use bytes::Bytes;

use crate::exchange::{Body, Exchange, header_names};
use crate::pdk::values::{arguments, escape, header_value, is_component, to_uri_text};
use crate::router;
use crate::vm::native::{self, Given, Reply};
use crate::vm::{Args, Registrar, Ret, op, scope};

const ROOM: &str = "kong.service.request";

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op(ROOM, "enable_buffering", op::raw(enable_buffering))?;
    r.op(ROOM, "set_scheme", op::raw(set_scheme))?;
    r.op(ROOM, "get_scheme", op::raw(get_scheme))?;
    r.op(ROOM, "set_path", op::raw(set_path))?;
    r.op(ROOM, "set_raw_query", op::raw(set_raw_query))?;
    r.op(ROOM, "clear_query_arg", op::raw(clear_query_arg))?;
    r.op(ROOM, "set_method", op::raw(set_method))?;
    r.op(ROOM, "set_host", op::raw(set_host))?;
    r.op(ROOM, "set_header", op::raw(set_header))?;
    r.op(ROOM, "add_header", op::raw(add_header))?;
    r.op(ROOM, "clear_header", op::raw(clear_header))?;
    r.op(ROOM, "set_raw_body", op::raw(set_raw_body))?;
    r.op(ROOM, "escape", op::raw(escape_component))?;
    r.native(ROOM, "set_header", native::raw(set_header_native))?;
    r.native(ROOM, "clear_header", native::raw(clear_header_native))?;
    r.module("kong.pdk.service.request", crate::embed!("request.lua"))
}

fn text(a: &Args, i: usize) -> Cow<'_, str> {
    String::from_utf8_lossy(a.str(i).unwrap_or_default())
}

fn enable_buffering(_: &Args, _: &mut Ret) {
    scope::write(|x| x.response.buffering = true);
}

fn set_scheme(a: &Args, _: &mut Ret) {
    let scheme = text(a, 1);
    scope::write(|x| {
        x.outbound.scheme.clear();
        x.outbound.scheme.push_str(&scheme);
    });
}

fn get_scheme(_: &Args, r: &mut Ret) {
    r.opt(scope::read(|x| x.outbound.scheme.clone()));
}

fn set_path(a: &Args, _: &mut Ret) {
    let path = to_uri_text(&router::escape(a.str(1).unwrap_or_default()));
    scope::write(|x| {
        x.outbound.uri_has_args = path.contains('?');
        x.outbound.uri = path;
    });
}

fn set_args(x: &mut Exchange, query: String) {
    x.request.args = (!query.is_empty()).then_some(query);
}

fn set_raw_query(a: &Args, _: &mut Ret) {
    let query = to_uri_text(a.str(1).unwrap_or_default());
    scope::write(|x| set_args(x, query));
}

/// Takes an argument out. As in Kong, whose URL library writes the rest anew, every argument then has a `=`.
fn clear_query_arg(a: &Args, _: &mut Ret) {
    let name = a.str(1).unwrap_or_default();
    scope::write(|x| {
        let Some(args) = x.request.args.take() else {
            return;
        };
        let form = |b: u8| b.is_ascii_alphanumeric() || b"*-._".contains(&b);
        let mut out = Vec::with_capacity(args.len());
        let kept = arguments(args.as_bytes(), usize::MAX).filter(|(n, _)| n.as_ref() != name);
        for (name, value) in kept {
            if !out.is_empty() {
                out.push(b'&');
            }
            out.extend_from_slice(&escape(&name, form));
            out.push(b'=');
            out.extend_from_slice(&escape(&value.unwrap_or_default(), form));
        }
        set_args(x, String::from_utf8_lossy(&out).into_owned());
    });
}

fn set_method(a: &Args, _: &mut Ret) {
    let method = text(a, 1);
    scope::write(|x| {
        x.request.method.clear();
        x.request.method.push_str(&method);
    });
}

fn set_host(a: &Args, _: &mut Ret) {
    let value = header_value(a.str(1).unwrap_or_default());
    let host = String::from_utf8_lossy(&value);
    scope::write(|x| {
        x.outbound.host.clear();
        x.outbound.host.push_str(&host);
    });
}

type Text<'a> = Cow<'a, [u8]>;

fn pair(a: &Args) -> Option<(Text<'_>, Text<'_>)> {
    let name = a.str(1).filter(|n| !n.is_empty())?;
    Some((header_names::escape(name), header_value(a.str(2)?)))
}

fn set_header(a: &Args, _: &mut Ret) {
    if let Some((name, value)) = pair(a) {
        scope::write(|x| x.request.headers.set(&name, &value));
    }
}

/// Sets header `a` to `b`: 0.
fn set_header_native(g: &Given, _: &mut Reply) -> c_int {
    if g.a.is_empty() {
        return native::OP;
    }
    let (name, value) = (header_names::escape(g.a), header_value(g.b));
    scope::write(|x| x.request.headers.set(&name, &value)).map_or(native::OP, |()| 0)
}

fn add_header(a: &Args, _: &mut Ret) {
    if let Some((name, value)) = pair(a) {
        scope::write(|x| x.request.headers.add(&name, &value));
    }
}

fn clear_header(a: &Args, _: &mut Ret) {
    let name = a.str(1).unwrap_or_default();
    scope::write(|x| x.request.headers.remove(name));
}

/// Removes header `a`: 0.
fn clear_header_native(g: &Given, _: &mut Reply) -> c_int {
    scope::write(|x| x.request.headers.remove(g.a)).map_or(native::OP, |()| 0)
}

/// Replaces the body; its length is then known.
fn set_raw_body(a: &Args, _: &mut Ret) {
    let body = Bytes::copy_from_slice(a.str(1).unwrap_or_default());
    scope::write(|x| {
        let request = &mut x.request;
        request
            .headers
            .set(b"Content-Length", body.len().to_string().as_bytes());
        request.headers.remove(b"Transfer-Encoding");
        request.content_length = Some(body.len() as u64);
        request.has_body = !body.is_empty();
        request.body = Body::Memory(body);
    });
}

fn escape_component(a: &Args, r: &mut Ret) {
    r.str(escape(a.str(1).unwrap_or_default(), is_component));
}
