//! `ngx.req`'s body: reading it for Lua, and replacing it.
//!
//! Must not: know how it arrives; the scope's `body_reader` does.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::call::{self, CONTENT};
use super::log::{self, Level};
use crate::exchange::{Body, Exchange};
use crate::net::body_file::BodyFile;
use crate::vm::{Args, Kind, Out, Registrar, Ret, op, scope};

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_body", "read", op::raw(read))?;
    r.op("ngx_body", "data", op::raw(data))?;
    r.op("ngx_body", "file", op::raw(file))?;
    r.op("ngx_body", "set_data", op::raw(set_data))?;
    r.op("ngx_body", "set_file", op::raw(set_file))?;
    r.op("ngx_body", "discard", op::raw(discard))?;
    super::body_build::install(r)
}

/// `read()`: true if nothing is to be waited for; waits otherwise, for true or `nil, err`.
fn read(a: &Args, r: &mut Ret) {
    if !call::count(a, r, 0, 0, "0 arguments") {
        return;
    }
    let Some(scope) = scope::current() else {
        return call::no_request(r);
    };
    if !call::allowed(r, CONTENT) {
        return;
    }
    let Some(exchange) = &scope.exchange else {
        return call::no_request(r);
    };
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

/// `data(max)`: nil if the body was not read, is empty or is in a file.
fn data(a: &Args, r: &mut Ret) {
    if !call::count(a, r, 0, 1, "0 or 1 arguments") {
        return;
    }
    let mut max = 0.0;
    if a.len() == 1 {
        let Some(n) = call::check_num(a, r, 1, "get_body_data") else {
            return;
        };
        max = n;
    }
    // what is no size is as good as none
    let max = if max >= 1.0 { max as usize } else { usize::MAX };
    let got = scope::read(|x| match &x.request.body {
        Body::Memory(b) if !b.is_empty() => {
            r.held(b.slice(..b.len().min(max)));
        }
        _ => {
            r.nil();
        }
    });
    if got.is_none() {
        call::no_request(r);
    }
}

fn file(a: &Args, r: &mut Ret) {
    if !call::count(a, r, 0, 0, "0 arguments") {
        return;
    }
    let got = scope::read(|x| match &x.request.body {
        Body::File(path, _) => {
            r.str(path.as_os_str().as_bytes());
        }
        _ => {
            r.nil();
        }
    });
    if got.is_none() {
        call::no_request(r);
    }
}

/// Puts another body in the place of the one that was read.
pub(super) fn replace(x: &mut Exchange, body: Body) {
    let len = match &body {
        Body::Memory(b) => b.len() as u64,
        Body::File(_, len) => *len,
        Body::Streaming => 0,
    };
    let q = &mut x.request;
    q.has_body = len > 0;
    q.content_length = Some(len);
    q.headers.remove(b"transfer-encoding");
    q.headers.set(b"Content-Length", len.to_string().as_bytes());
    q.body = body;
}

/// Whether the body may be replaced now; if not, leaves the error.
pub(super) fn replaceable(r: &mut Ret) -> bool {
    match scope::read(|x| (x.request.discarded, matches!(x.request.body, Body::Streaming))) {
        None => call::no_request(r),
        Some((true, _)) => r.raise("request body already discarded asynchronously"),
        Some((false, true)) => r.raise("request body not read yet"),
        Some((false, false)) => return true,
    }
    false
}

/// `set_data(s)`.
fn set_data(a: &Args, r: &mut Ret) {
    if !call::count(a, r, 1, 1, "1 arguments") {
        return;
    }
    let Some(body) = call::check_text(a, r, 1, "set_body_data") else {
        return;
    };
    let body = Bytes::copy_from_slice(&body);
    if replaceable(r) {
        scope::write(|x| replace(x, Body::Memory(body)));
    }
}

/// `set_file(path, clean)`: `clean` removes the file with the request.
fn set_file(a: &Args, r: &mut Ret) {
    if !call::count(a, r, 1, 2, "1 or 2 arguments") {
        return;
    }
    let Some(name) = call::check_text(a, r, 1, "set_body_file") else {
        return;
    };
    let path = Path::new(OsStr::from_bytes(&name)).to_owned();
    if !replaceable(r) {
        return;
    }
    if a.len() == 2 && a.kind(2) != Kind::Boolean {
        return call::bad(a, r, 2, "set_body_file", "boolean");
    }
    // a nul ends the name as it does for the system
    let shown = name.split(|b| *b == 0).next().unwrap_or_default().escape_ascii();
    let Ok(found) = std::fs::metadata(&path) else {
        return r.raise(format!("stat() \"{shown}\" failed"));
    };
    // a pipe, say, could keep the worker waiting
    if !found.is_file() || std::fs::File::open(&path).is_err() {
        return r.raise(format!("open() \"{shown}\" failed"));
    }
    let length = found.len();
    let clean = a.truthy(2);
    scope::write(|x| {
        let file = if clean {
            BodyFile::temporary(path)
        } else {
            BodyFile::kept(path)
        };
        let body = if length == 0 {
            Body::Memory(Bytes::new())
        } else {
            Body::File(Arc::new(file), length)
        };
        replace(x, body);
    });
}

/// Drops a body that was not read: Lua and the upstream see none. One that was read stays.
fn discard(a: &Args, r: &mut Ret) {
    if !call::count(a, r, 0, 0, "0 arguments") {
        return;
    }
    let Some(streaming) = scope::read(|x| matches!(x.request.body, Body::Streaming)) else {
        return call::no_request(r);
    };
    if !streaming {
        return;
    }
    let reader = scope::with(|s| s.body_reader.borrow().clone()).flatten();
    if let Some(reader) = reader {
        reader.discard();
    }
    scope::write(|x| {
        let q = &mut x.request;
        q.discarded = true;
        q.has_body = false;
        q.content_length = Some(0);
        q.body = Body::Memory(Bytes::new());
    });
}

/// Tells the log that a body went into a file, as nginx does.
pub(super) fn buffered_to_file(path: &Path) {
    let text = format!(
        "a client request body is buffered to a temporary file {}",
        path.display()
    );
    log::emit(Level::WARN, text.as_bytes());
}
