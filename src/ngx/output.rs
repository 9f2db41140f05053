//! `ngx.say`, `ngx.print` and what else makes the response's body; `ngx.redirect`; `ngx.arg`.
//!
//! The body gathers in the exchange and leaves by the one way out; it is capped.

use bytes::Bytes;
use http::HeaderValue;

use super::call::{self, CONTENT};
use super::core::head_sent;
use super::req::unsafe_byte;
use crate::exchange::{Exchange, Phase};
use crate::vm::{Args, Kind, Registrar, Ret, op, scope};

/// How much a handler may write itself.
const BODY_CAP: usize = 64 << 20;

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_output", "append", op::raw(append))?;
    r.op("ngx_output", "started", op::raw(started))?;
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

/// `append(newline, ...)`: writes plain values. Answers true; nothing where an argument is not plain (the face
/// flattens and calls again); or `nil, err`.
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
    let ok = scope::write(|x| {
        let status = &mut x.response.status;
        if *status == 0 {
            *status = 200;
        }
        let body = x.response.body.get_or_insert_default();
        if body.len() + size > BODY_CAP {
            return false;
        }
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
        true
    });
    if ok == Some(true) {
        r.num(1.0);
    } else {
        r.fail("response body too large");
    }
}

/// `started(begin)`: whether a body was begun; begins an empty one if asked to.
fn started(a: &Args, r: &mut Ret) {
    if !call::request_in(r, CONTENT) {
        return;
    }
    let begun = scope::write(|x| {
        let begun = x.response.body.is_some();
        if !begun && a.truthy(1) {
            if x.response.status == 0 {
                x.response.status = 200;
            }
            x.response.body = Some(Vec::new());
        }
        begun
    });
    r.bool(begun == Some(true));
    r.bool(begun == Some(true) && scope::read(header_only) == Some(true));
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
