//! `ngx.req`: method, headers, URI and version of the request. Its body is in `body`, its arguments in `args`.
//!
//! Must not: let a control character into a header; they are escaped, as OpenResty does.

use std::ffi::c_int;
use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

use super::call;
use super::header::{escape_value, limit, one_or_many, within};
use crate::exchange::request::Redirect;
use crate::exchange::{Exchange, Phase, header_names};
use crate::vm::native::{self, Given, Reply};
use crate::vm::{Args, Kind, Registrar, Ret, op, scope};

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_req", "get_headers", op::raw(get_headers))?;
    r.op("ngx_req", "set_header", op::raw(set_header))?;
    r.op("ngx_req", "add_header", op::raw(add_header))?;
    r.op("ngx_req", "get_method", op::raw(get_method))?;
    r.op("ngx_req", "set_method", op::raw(set_method))?;
    r.op("ngx_req", "set_uri", op::raw(set_uri))?;
    r.op("ngx_req", "set_args", op::raw(set_args))?;
    r.op("ngx_req", "http_version", op::raw(http_version))?;
    r.op("ngx_req", "start_time", op::raw(start_time))?;
    r.op("ngx_req", "raw_header", op::raw(raw_header))?;
    r.op("ngx_req", "is_internal", op::raw(is_internal))?;
    r.native("ngx_req", "get_method", native::raw(method_native))?;
    r.native("ngx_req", "get_headers", native::raw(headers_native))
}

/// `get_headers(max, raw)`: a second result "truncated" where there are more lines than `max`.
fn get_headers(a: &Args, r: &mut Ret) {
    let (max, raw) = (limit(a, 1), a.truthy(2));
    if scope::read(|x| list(x, max, raw, r)).is_none() {
        call::no_request(r);
    }
}

fn list(x: &Exchange, max: usize, raw: bool, r: &mut Ret) {
    let headers = &x.request.headers;
    r.table(0, headers.len(), |t| {
        let same = |n: &[u8], name: &[u8]| {
            n.len() == name.len()
                && if raw {
                    n == name
                } else {
                    n.eq_ignore_ascii_case(name)
                }
        };
        let mut low = [0u8; 64];
        for (i, (name, value)) in headers.iter().take(max).enumerate() {
            if headers.iter().take(i).any(|(n, _)| same(n, name)) {
                continue;
            }
            let key: std::borrow::Cow<[u8]> = if raw {
                name.into()
            } else if let Some(room) = low.get_mut(..name.len()) {
                room.copy_from_slice(name);
                room.make_ascii_lowercase();
                (&*room).into()
            } else {
                name.to_ascii_lowercase().into()
            };
            let mut more = headers
                .iter()
                .take(max)
                .skip(i + 1)
                .filter(|(n, _)| same(n, name));
            match more.next() {
                None => {
                    t.str(&key).str(value).set();
                }
                Some((_, second)) => {
                    let mut all = vec![value, second];
                    all.extend(more.map(|(_, v)| v));
                    one_or_many(t, &key, all.into_iter());
                }
            }
        }
    });
    if headers.len() > max {
        r.lit("truncated");
    }
}

/// Up to `x` headers (0 for no limit), their names lower-case unless `i`. Longer lists are the op's.
fn headers_native(g: &Given, reply: &mut Reply) -> c_int {
    let listed = scope::read(|x| {
        let headers = &x.request.headers;
        if !within(headers.len(), g.x) {
            return native::OP;
        }
        let mut pairs = reply.pairs.fill();
        for (name, value) in headers.iter() {
            if g.i == 0 {
                pairs.add_low(name, value);
            } else {
                pairs.add(name, Some(value));
            }
        }
        pairs.done()
    });
    listed.unwrap_or(native::OP)
}

/// Phases in which the request may still change.
const CHANGE: u32 = call::CONTENT | Phase::HeaderFilter as u32 | Phase::Balancer as u32;

/// `set_header(name, value...)`: no value, or a nil, removes.
fn set_header(a: &Args, r: &mut Ret) {
    change(a, r, true);
}

/// `add_header(name, value...)`.
fn add_header(a: &Args, r: &mut Ret) {
    change(a, r, false);
}

fn change(a: &Args, r: &mut Ret, replace: bool) {
    let Some(name) = call::text(a, 1) else {
        return r.raise(format!(
            "bad 'name' argument: string expected, got {}",
            call::type_name(a.kind(1))
        ));
    };
    if scope::read(|_| ()).is_none() {
        return call::no_request(r);
    }
    if !call::allowed(r, CHANGE) {
        return;
    }
    let name = header_names::escape(&name);
    if name.is_empty() {
        return;
    }
    if let Some(value) = call::text(a, 2).filter(|v| !v.is_empty())
        && !acceptable(&name, &value)
    {
        return r.raise("failed to set header");
    }
    scope::write(|x| {
        let headers = &mut x.request.headers;
        // a header without a value is no header
        let none = a.len() <= 2 && call::text(a, 2).is_none_or(|v| v.is_empty());
        if none && replace {
            headers.remove(&name);
        } else {
            for i in 2..=a.len() {
                let value = call::text(a, i).unwrap_or_default();
                let value = escape_value(&value);
                if replace && i == 2 {
                    headers.set(&name, &value);
                } else {
                    headers.add(&name, &value);
                }
            }
        }
        follow(x, &name);
    });
}

/// Whether a header that the gateway itself reads may have this value.
fn acceptable(name: &[u8], value: &[u8]) -> bool {
    if name.eq_ignore_ascii_case(b"host") {
        let dots = value.windows(2).any(|two| two == b"..");
        !dots && !value.iter().any(|b| matches!(b, b'/' | 0)) && !matches!(value[0], b':' | b'.')
    } else if name.eq_ignore_ascii_case(b"content-length") {
        value.iter().all(u8::is_ascii_digit)
    } else {
        true
    }
}

/// Keeps what was read from the headers in step with them.
fn follow(x: &mut Exchange, name: &[u8]) {
    if name.eq_ignore_ascii_case(b"host") {
        let host = x.request.headers.get("host").unwrap_or_default();
        let end = match host.first() {
            Some(b'[') => memchr::memchr(b']', host).map_or(host.len(), |i| i + 1),
            _ => memchr::memchr(b':', host).unwrap_or(host.len()),
        };
        let host = host[..end].strip_suffix(b".").unwrap_or(&host[..end]);
        x.request.host = String::from_utf8_lossy(host).to_ascii_lowercase();
    } else if name.eq_ignore_ascii_case(b"content-length") {
        x.request.content_length = x
            .request
            .headers
            .get("content-length")
            .and_then(|v| std::str::from_utf8(v).ok()?.trim().parse().ok());
    }
}

fn get_method(_: &Args, r: &mut Ret) {
    let got = scope::read(|x| {
        r.str(&x.request.method);
    });
    if got.is_none() {
        call::no_request(r);
    }
}

fn method_native(_: &Given, reply: &mut Reply) -> c_int {
    scope::read(|x| reply.text(x.request.method.as_bytes())).unwrap_or(native::OP)
}

pub(super) const METHODS: &[(i64, &str)] = &[
    (2, "GET"),
    (4, "HEAD"),
    (8, "POST"),
    (16, "PUT"),
    (32, "DELETE"),
    (64, "MKCOL"),
    (128, "COPY"),
    (256, "MOVE"),
    (512, "OPTIONS"),
    (1024, "PROPFIND"),
    (2048, "PROPPATCH"),
    (4096, "LOCK"),
    (8192, "UNLOCK"),
    (16384, "PATCH"),
    (32768, "TRACE"),
];

fn set_method(a: &Args, r: &mut Ret) {
    let Some(n) = a.num(1) else {
        return r.raise("bad method number");
    };
    let Some((_, name)) = METHODS.iter().find(|(bit, _)| *bit == n as i64) else {
        return r.raise(format!("unsupported HTTP method: {}", call::number(n)));
    };
    if scope::write(|x| x.request.method = (*name).to_string()).is_none() {
        call::no_request(r);
    }
}

/// The first byte that may not stand in a URI or query.
pub(super) fn unsafe_byte(s: &[u8]) -> Option<u8> {
    s.iter().find(|b| b.is_ascii_control() && **b != b'\t').copied()
}

/// `set_uri(uri, jump, binary)`.
fn set_uri(a: &Args, r: &mut Ret) {
    if !call::count(a, r, 1, 3, "1, 2 or 3 arguments") {
        return;
    }
    if scope::read(|_| ()).is_none() {
        return call::no_request(r);
    }
    let Some(uri) = call::check_text(a, r, 1, "set_uri") else {
        return;
    };
    if uri.is_empty() {
        return r.raise("attempt to use zero-length uri");
    }
    for i in [3, 2] {
        if a.len() >= i && a.kind(i) != Kind::Boolean {
            return call::bad(a, r, i, "set_uri", "boolean");
        }
    }
    if !a.truthy(3)
        && let Some(byte) = unsafe_byte(&uri)
    {
        return r.raise(format!(
            "unsafe byte \"0x{byte:02x}\" in uri \"{}\" (maybe you want to set the 'binary' argument?)",
            call::escape_log(&uri)
        ));
    }
    let jump = a.truthy(2);
    if jump && !call::allowed(r, Phase::Rewrite as u32) {
        return;
    }
    if jump && !call::leavable(r) {
        return;
    }
    let uri = uri.into_owned();
    scope::write(|x| {
        x.request.uri = uri;
        x.request.internal = true;
        if jump {
            x.request.redirect = Some(Redirect::Jump);
        }
    });
    if jump {
        r.exit(0);
    }
}

/// `set_args(query)`: the face encodes tables.
fn set_args(a: &Args, r: &mut Ret) {
    let Some(given) = call::text(a, 1) else {
        return r.raise(format!(
            "bad argument #1 to 'set_uri_args' (string, number, or table expected, but got {})",
            call::type_name(a.kind(1))
        ));
    };
    let mut args = String::with_capacity(given.len());
    for chunk in given.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c <= ' ' || c == '\x7f' {
                let _ = write!(args, "%{:02X}", u32::from(c));
            } else {
                args.push(c);
            }
        }
        for b in chunk.invalid() {
            let _ = write!(args, "%{b:02X}");
        }
    }
    if scope::write(|x| x.request.args = Some(args)).is_none() {
        call::no_request(r);
    }
}

fn http_version(_: &Args, r: &mut Ret) {
    match scope::read(|x| x.request.version) {
        Some(v) => {
            r.num(f64::from(v) / 10.0);
        }
        None => call::no_request(r),
    }
}

fn start_time(_: &Args, r: &mut Ret) {
    match scope::read(|x| x.timing.started_at) {
        Some(t) => {
            let ms = t.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
            r.num(ms as f64 / 1000.0);
        }
        None => call::no_request(r),
    }
}

/// `raw_header(no_request_line)`.
fn raw_header(a: &Args, r: &mut Ret) {
    let got = scope::read(|x| {
        if x.request.version == 20 {
            r.raise("http v2 not supported yet");
            return;
        }
        let raw = x.request.headers.raw();
        let from = if a.truthy(1) {
            memchr::memchr(b'\n', raw).map_or(0, |i| i + 1)
        } else {
            0
        };
        r.str(&raw[from..]);
    });
    if got.is_none() {
        call::no_request(r);
    }
}

fn is_internal(_: &Args, r: &mut Ret) {
    if scope::read(|_| ()).is_none() {
        return call::no_request(r);
    }
    let internal = scope::read(|x| x.request.internal);
    r.bool(internal == Some(true));
}
