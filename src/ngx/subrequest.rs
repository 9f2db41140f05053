//! `ngx.location.capture(_multi)` and `ngx.exec`: requests of the gateway's own, and sending one on elsewhere.
//!
//! A subrequest is prepared by one op (the face then gives its slot the `ctx` it asked for) and all prepared ones
//! are run by another. Must not: know how a request is served; the scope's `gateway` does.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use bytes::Bytes;
use http::HeaderName;

use super::call::{self, CONTENT};
use super::core::head_sent;
use super::header::escape_value;
use super::log::{self, Level};
use super::req::METHODS;
use super::var;
use crate::exchange::request::{Redirect, target_text};
use crate::exchange::{
    Body, Client, Exchange, Kin, Outbound, Phase, Request, Response, ServiceTarget, Timing, header_names,
};
use crate::net::spelling::Spelling;
use crate::vm::scope::{self, Captured, Gateway, Scope};
use crate::vm::{Args, Kind, Out, Registrar, Ret, op};

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_subrequest", "check", op::raw(check))?;
    r.op("ngx_subrequest", "prepare", op::raw(prepare))?;
    r.op("ngx_subrequest", "run", op::raw(run))?;
    r.op("ngx_subrequest", "exec", op::raw(exec))
}

/// How many subrequests one call may make.
const MAX_AT_ONCE: usize = 1024;

thread_local! {
    /// Subrequests between `prepare` and `run`, with whose they are. A table of the plugin's that waits or fails when it
    /// is read may come in between, and another request's handlers with it.
    static PREPARED: RefCell<Vec<(Weak<Scope>, Rc<Scope>)>> = const { RefCell::new(Vec::new()) };
}

/// A path and a query out of an argument of Lua's; None where it could lead out of its folder.
///
/// # Source
/// nginx, `ngx_http_parse_unsafe_uri`
fn parse_uri(uri: &[u8]) -> Option<(Vec<u8>, Option<String>)> {
    if uri.is_empty() || uri[0] == b'?' || uri.contains(&0) {
        return None;
    }
    let (path, args) = match memchr::memchr(b'?', uri) {
        Some(at) => (&uri[..at], Some(&uri[at + 1..])),
        None => (uri, None),
    };
    let plain: Vec<u8> = percent_encoding::percent_decode(path).collect();
    if climbs(path) || climbs(&plain) || plain.contains(&0) {
        return None;
    }
    Some((plain, args.map(target_text)))
}

/// Whether `..` stands between slashes.
fn climbs(path: &[u8]) -> bool {
    path.split(|b| *b == b'/').any(|part| part == b"..")
}

/// Those of the running request, and those whose request is gone.
fn take_prepared() -> (Vec<Rc<Scope>>, Vec<Rc<Scope>>) {
    let here = scope::current();
    let (mut own, mut left) = (Vec::new(), Vec::new());
    PREPARED.with_borrow_mut(|all| {
        for (parent, one) in std::mem::take(all) {
            match parent.upgrade() {
                Some(p) if here.as_ref().is_some_and(|h| Rc::ptr_eq(h, &p)) => own.push(one),
                Some(_) => all.push((parent, one)),
                None => left.push(one),
            }
        }
    });
    (own, left)
}

/// `check()`: raises where no subrequest can be made. What a call that failed had prepared is let go.
fn check(_: &Args, r: &mut Ret) {
    if call::request_in(r, CONTENT) && PREPARED.with_borrow(|all| !all.is_empty()) {
        let old = take_prepared();
        // where no Lua runs
        tokio::task::spawn_local(async move { drop(old) });
    }
}

/// What the options of one subrequest say.
struct Wanted<'a> {
    uri: Vec<u8>,
    args: Option<String>,
    method: &'static str,
    body: Option<&'a [u8]>,
    forward: bool,
    copy: bool,
    shares: bool,
}

/// `prepare(uri, args, method, body, forward, copy, nvars, name, value, ..., name, value, ...)`: variables, then
/// headers; `copy` is 1 for copied and 2 for shared variables. Answers the slot of the new request's tables, or `nil, why not`.
fn prepare(a: &Args, r: &mut Ret) {
    let uri = call::text(a, 1).unwrap_or_default();
    let Some((uri, args)) = parse_uri(&uri) else {
        let shown = String::from_utf8_lossy(&uri);
        r.fail(format!("unsafe uri in argument #1: {shown}"));
        return;
    };
    let extra = call::text(a, 2).map(|t| target_text(&t));
    let args = match (args.filter(|a| !a.is_empty()), extra.filter(|e| !e.is_empty())) {
        (Some(one), Some(two)) => Some(format!("{one}&{two}")),
        (one, two) => one.or(two),
    };
    let (Some(kin), Some(parent)) = (scope::read(|x| x.request.kin.child()), scope::current()) else {
        return call::no_request(r);
    };
    let room = PREPARED.with_borrow(Vec::len) < MAX_AT_ONCE;
    let Some(kin) = kin.filter(|_| room) else {
        log::emit(
            Level::ERR,
            &[b"lua subrequests cycle while processing \"", &uri[..], b"\""].concat(),
        );
        r.fail("failed to issue subrequest: -1");
        return;
    };
    let number = a.num(3).unwrap_or_default();
    let Some((_, method)) = METHODS.iter().find(|(bit, _)| *bit == number as i64) else {
        log::emit(
            Level::ERR,
            format!("unsupported HTTP method: {}", number as i64).as_bytes(),
        );
        r.fail("failed to adjust the subrequest: -1");
        return;
    };
    let body = call::text(a, 4);
    let wanted = Wanted {
        uri,
        args,
        method,
        body: body.as_deref(),
        forward: a.truthy(5),
        copy: a.int(6).is_some_and(|n| n > 0),
        shares: a.int(6) == Some(2),
    };
    let Some(mut made) = scope::read(|x| derive(x, &wanted, kin)) else {
        return call::no_request(r);
    };
    let headers = 8 + 2 * a.int(7).and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
    for i in (8..a.len()).step_by(2) {
        let (name, value) = (
            call::text(a, i).unwrap_or_default(),
            call::text(a, i + 1).unwrap_or_default(),
        );
        if i >= headers {
            set_header(&mut made.request, &name, &value);
        } else if let Err(code) = set_variable(&mut made, &name, &value) {
            r.fail(format!("failed to adjust the subrequest: {code}"));
            return;
        }
    }
    let vm = &parent.vm;
    let scope = Scope::of_guest(vm, Phase::Rewrite, Some(made), parent.shared_guest());
    scope.set_parent(&parent);
    if wanted.shares {
        scope.share_with(&parent);
    }
    r.num(scope.slot);
    PREPARED.with_borrow_mut(|all| all.push((Rc::downgrade(&parent), scope)));
}

fn set_header(q: &mut Request, name: &[u8], value: &[u8]) {
    if value.is_empty() {
        q.headers.remove(&header_names::escape(name));
    } else {
        q.headers.set(&header_names::escape(name), &escape_value(value));
    }
}

fn set_variable(x: &mut Exchange, name: &[u8], value: &[u8]) -> Result<(), i32> {
    let lower = name.to_ascii_lowercase();
    let shown = lower.escape_ascii();
    match var::assign(x, &lower, Some(target_text(value))) {
        var::Assigned::Yes => Ok(()),
        var::Assigned::Invalid => {
            var::invalid(&lower, value);
            Ok(())
        }
        var::Assigned::ReadOnly => {
            let text = format!("variable \"{shown}\" not changeable");
            log::emit(Level::ERR, text.as_bytes());
            Err(500)
        }
        var::Assigned::Never | var::Assigned::Unknown => {
            let text = format!(
                "variable \"{shown}\" cannot be assigned a value (maybe you forgot to define it first?) "
            );
            log::emit(Level::ERR, text.as_bytes());
            Err(-1)
        }
    }
}

/// The request that follows from its parent's.
fn derive(parent: &Exchange, wanted: &Wanted, kin: Kin) -> Exchange {
    let q = &parent.request;
    let mut headers = q.headers.clone();
    let mut length = q.content_length;
    let forwards =
        wanted.forward || matches!(wanted.method, "POST" | "PUT") || q.content_length.is_none_or(|n| n == 0);
    let body = match wanted.body {
        Some(given) => {
            headers.remove(b"content-length");
            headers.add(b"Content-Length", given.len().to_string().as_bytes());
            length = Some(given.len() as u64);
            Body::Memory(Bytes::copy_from_slice(given))
        }
        // what the client still sends is its own request's
        None if forwards && !matches!(q.body, Body::Streaming) => {
            let len = match &q.body {
                Body::Memory(b) => b.len() as u64,
                Body::File(_, len) => *len,
                Body::Streaming => 0,
            };
            if length.is_none() && len > 0 {
                headers.set(b"Content-Length", len.to_string().as_bytes());
                length = Some(len);
            }
            q.body.clone()
        }
        None => {
            headers.remove(b"content-length");
            length = None;
            Body::Memory(Bytes::new())
        }
    };
    let has_body = length.is_some_and(|n| n > 0);
    Exchange {
        id: parent.id,
        connection: parent.connection.clone(),
        snapshot: parent.snapshot.clone(),
        request: Request {
            method: wanted.method.into(),
            target: q.target.clone(),
            version: q.version,
            keep_alive: q.keep_alive,
            scheme: q.scheme,
            host: q.host.clone(),
            uri: wanted.uri.clone(),
            rewritten: true,
            args: wanted.args.clone(),
            headers,
            body,
            content_length: length,
            has_body,
            length: q.length,
            internal: true,
            kin,
            shares: wanted.shares,
            ..Request::default()
        },
        matched: None,
        client: Client {
            addr: parent.client.addr,
            trusted: parent.client.trusted,
            consumer: None,
        },
        outbound: if wanted.copy {
            parent.outbound.clone()
        } else {
            Outbound::default()
        },
        target: ServiceTarget::default(),
        attempts: Vec::new(),
        response: Response::default(),
        timing: Timing::start(),
    }
}

/// `run(cancel)`: waits for all that were prepared; a table for each. With `cancel` they are let go, where no Lua
/// runs.
fn run(a: &Args, r: &mut Ret) {
    let (prepared, left) = take_prepared();
    if a.truthy(1) {
        return r.wait(async move {
            drop((prepared, left));
            Out::new()
        });
    }
    let gateway = scope::with(|s| s.gateway.borrow().clone()).flatten();
    let Some(gateway) = gateway else {
        return r.wait(async move {
            drop(prepared);
            let mut out = Out::new();
            out.nil().lit("no gateway to ask here");
            out
        });
    };
    let waiting = Waiting::begin();
    let parent = scope::current();
    r.wait(async move {
        let _waiting = waiting;
        // all are under way before the first is waited for
        let serve = |scope: Rc<Scope>| {
            let shares = scope.exchange.as_ref().is_some_and(|x| x.borrow().request.shares);
            let sharing = shares.then(|| scope.clone());
            (Gateway::serve(gateway.clone(), scope), sharing)
        };
        let under_way: Vec<_> = prepared.into_iter().map(serve).collect();
        let mut out = Out::new();
        for (one, sharing) in under_way {
            let one = one.await;
            if let Some(status) = one.cut {
                // as on nginx, the connection is closed for the whole request
                let mut out = Out::new();
                out.num(status);
                return out;
            }
            push(&mut out, &one);
            give_back(parent.as_deref(), sharing.as_deref());
        }
        out
    });
}

/// Variables that a subrequest shares with its parent (`share_all_vars`) are the parent's again.
fn give_back(parent: Option<&Scope>, sharing: Option<&Scope>) {
    let parent = parent.and_then(|s| s.exchange.as_ref());
    let from = sharing.and_then(|s| s.exchange.as_ref());
    let (Some(parent), Some(from)) = (parent, from) else {
        return;
    };
    parent.borrow_mut().outbound = from.borrow().outbound.clone();
}

/// A capture that its handler waits for: while there are any, the request cannot be left by another handler.
struct Waiting(Option<Rc<Scope>>);

impl Waiting {
    fn begin() -> Self {
        let scope = scope::current();
        if let Some(s) = &scope {
            s.captures.set(s.captures.get() + 1);
        }
        Self(scope)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(s) = &self.0 {
            s.captures.set(s.captures.get().saturating_sub(1));
        }
    }
}

/// The table of one response.
fn push(out: &mut Out, one: &Captured) {
    out.table(0, 4, |t| {
        t.lit("status").num(one.status).set();
        t.lit("truncated").bool(one.truncated).set();
        t.lit("body").held(one.body.clone()).set();
        t.lit("header").table(0, one.headers.keys_len(), |h| {
            for name in one.headers.keys() {
                h.str(spelled(&one.spelling, name));
                let mut values = one.headers.get_all(name).iter();
                match (values.next(), values.next()) {
                    (Some(first), None) => {
                        h.str(first.as_bytes());
                    }
                    _ => {
                        h.table(2, 0, |l| {
                            for (i, v) in one.headers.get_all(name).iter().enumerate() {
                                l.str(v.as_bytes()).seti(i + 1);
                            }
                        });
                    }
                }
                h.set();
            }
        });
        t.set();
    });
}

/// A header's name as it is written on the wire.
pub(super) fn spelled(spelling: &Spelling, name: &HeaderName) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.as_str().len());
    spelling.write(&mut out, name.as_str().as_bytes());
    out
}

/// `exec(uri, args)`: leaves the handler; the face has checked and encoded the arguments.
fn exec(a: &Args, r: &mut Ret) {
    let uri = call::text(a, 1).unwrap_or_default();
    if !call::request_in(r, CONTENT) {
        return;
    }
    if !call::leavable(r) {
        return;
    }
    let Some((path, args)) = parse_uri(&uri) else {
        let shown = String::from_utf8_lossy(&uri);
        log::emit(
            Level::ERR,
            format!("unsafe URI \"{shown}\" was detected").as_bytes(),
        );
        return r.raise("unsafe uri");
    };
    let extra = match a.kind(2) {
        Kind::String | Kind::Number => call::text(a, 2).map(|t| target_text(&t)),
        _ => None,
    };
    if scope::read(head_sent) == Some(true) {
        return r.raise("attempt to call ngx.exec after sending out response headers");
    }
    let args = match (args.filter(|a| !a.is_empty()), extra.filter(|e| !e.is_empty())) {
        (Some(one), Some(two)) => Some(format!("{one}&{two}")),
        (one, two) => one.or(two),
    };
    let to = if path.starts_with(b"@") {
        if let Some(args) = &args {
            let path = String::from_utf8_lossy(&path);
            let text = format!("query strings {args} ignored when exec'ing named location {path}");
            log::emit(Level::WARN, text.as_bytes());
        }
        Redirect::Named(path)
    } else {
        Redirect::Exec(path, args)
    };
    scope::write(|x| x.request.redirect = Some(to));
    r.exit(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d02_what_could_lead_out_is_no_uri() {
        for bad in [
            "",
            "?a",
            "..",
            "../a",
            "/../a",
            "/a/..",
            "/a/%2e%2e/b",
            "/a\0",
            "/a%00",
        ] {
            assert!(parse_uri(bad.as_bytes()).is_none(), "{bad}");
        }
        for (uri, path, args) in [
            ("/a", "/a", None),
            ("/a?b=1?c", "/a", Some("b=1?c")),
            ("/a%20b/..c?%20", "/a b/..c", Some("%20")),
            ("@name", "@name", None),
        ] {
            let (p, a) = parse_uri(uri.as_bytes()).unwrap_or_default();
            assert_eq!((&p[..], a.as_deref()), (path.as_bytes(), args));
        }
        let (path, args) = parse_uri(b"/%ff\xfe?%fd\xfc").unwrap_or_default();
        assert_eq!((&path[..], args.as_deref()), (&b"/\xff\xfe"[..], Some("%fd%FC")));
    }
}
