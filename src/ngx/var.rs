//! `ngx.var`: nginx's and Kong's variables over the exchange.
//!
//! Must not: keep values of its own; a write goes to the room that the variable stands for.

use std::ffi::c_int;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use bytes::Bytes;

use super::var_names::READ_ONLY;
use super::{call, log, var_ssl};
use crate::exchange::request::target_text;
use crate::exchange::{Body, Exchange};
use crate::vm::native::{self, Given, Reply};
use crate::vm::{Args, Out, Registrar, Ret, op, scope};

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_var", "get", op::raw(get))?;
    r.op("ngx_var", "set", op::raw(set))?;
    r.native("ngx_var", "get", native::raw(get_native))
}

/// Where a variable's value goes: among an op's results, or into a native's reply.
trait Sink {
    /// A text.
    fn str(&mut self, text: impl AsRef<[u8]>);
    /// There is none.
    fn nil(&mut self);
    /// A long text.
    fn held(&mut self, text: Bytes);
    /// A variable of TLS.
    fn tls(&mut self, x: &Exchange, name: &[u8]);
    /// A text that lives for ever.
    fn lit(&mut self, text: &'static str) {
        self.str(text);
    }
    /// A text or none.
    fn opt(&mut self, text: Option<impl AsRef<[u8]>>) {
        match text {
            Some(text) => self.str(text),
            None => self.nil(),
        }
    }
}

impl Sink for Ret {
    fn str(&mut self, text: impl AsRef<[u8]>) {
        Out::str(self, text);
    }

    fn nil(&mut self) {
        Out::nil(self);
    }

    fn held(&mut self, text: Bytes) {
        Out::held(self, text);
    }

    fn lit(&mut self, text: &'static str) {
        Out::lit(self, text);
    }

    fn tls(&mut self, x: &Exchange, name: &[u8]) {
        var_ssl::get(x, name, self);
    }
}

/// A native's reply, and what the native answers.
struct Short<'a>(&'a mut Reply, c_int);

impl Sink for Short<'_> {
    fn str(&mut self, text: impl AsRef<[u8]>) {
        self.1 = self.0.text(text.as_ref());
    }

    fn nil(&mut self) {
        self.1 = native::NONE;
    }

    fn held(&mut self, text: Bytes) {
        self.str(text);
    }

    fn tls(&mut self, _: &Exchange, _: &[u8]) {
        self.1 = native::OP;
    }
}

/// The variable that `a` names: the length of its value. What is written with capitals, of TLS or long is the op's.
fn get_native(g: &Given, reply: &mut Reply) -> c_int {
    if g.a.iter().any(u8::is_ascii_uppercase) {
        return native::OP;
    }
    let mut short = Short(reply, native::OP);
    match scope::read(|x| value(x, g.a, &mut short)) {
        Some(()) => short.1,
        None => native::OP,
    }
}

/// `__index` of `ngx.var`: the table, then the name.
fn get(a: &Args, r: &mut Ret) {
    let Some(name) = a.str(2) else {
        if a.num(2).is_some() {
            r.nil();
            return;
        }
        return r.raise("bad variable name");
    };
    let lower;
    let name = if name.iter().any(u8::is_ascii_uppercase) {
        lower = name.to_ascii_lowercase();
        &lower
    } else {
        name
    };
    if scope::read(|x| value(x, name, r)).is_some() {
        return;
    }
    match scope::handshake(|h| var_ssl::in_handshake(h, name, r)) {
        Some(true) => {}
        Some(false) => r.raise("API disabled in the current context"),
        None => call::no_request(r),
    }
}

fn value(x: &Exchange, name: &[u8], r: &mut impl Sink) {
    if let Some(header) = name.strip_prefix(b"http_") {
        return joined(x, header, r);
    }
    if name.starts_with(b"ssl_") {
        return r.tls(x, name);
    }
    if !(request(x, name, r)
        || connection(x, name, r)
        || outbound(x, name, r)
        || response(x, name, r)
        || folder(x, name, r))
    {
        dynamic(x, name, r);
    }
}

/// Where nginx would look for files: its default `root`, although nothing is served from it.
///
/// # Source
/// `ngx_http_variable_document_root`, `ngx_http_variable_realpath_root`
fn folder(x: &Exchange, name: &[u8], r: &mut impl Sink) -> bool {
    let root = || super::worker::with_prefix(|prefix| format!("{prefix}html"));
    match name {
        b"document_root" => r.str(root()),
        b"realpath_root" => match std::fs::canonicalize(root()) {
            Ok(real) => r.str(real.as_os_str().as_bytes()),
            Err(e) => {
                let (root, code) = (root(), e.raw_os_error().unwrap_or_default());
                let why = std::io::Error::from_raw_os_error(code).to_string();
                let why = why.split(" (os error").next().unwrap_or_default();
                log::emit(
                    log::Level::CRIT,
                    format!("realpath() \"{root}\" failed ({code}: {why})").as_bytes(),
                );
                r.nil();
            }
        },
        b"request_filename" => {
            let mut path = root().into_bytes();
            path.extend_from_slice(&x.request.uri);
            r.str(path);
        }
        _ => return false,
    }
    true
}

fn joined(x: &Exchange, name: &[u8], r: &mut impl Sink) {
    let mut values = x
        .request
        .headers
        .iter()
        .filter(|(n, _)| same(n, name))
        .map(|(_, v)| v);
    let first = values.next();
    let Some(second) = values.next() else {
        r.opt(first);
        return;
    };
    let separator: &[u8] = if name == b"cookie" { b"; " } else { b", " };
    let mut all = first.unwrap_or_default().to_vec();
    for v in std::iter::once(second).chain(values) {
        all.extend_from_slice(separator);
        all.extend_from_slice(v);
    }
    r.str(all);
}

/// Whether a variable's suffix (lower-case, `_`) names a header.
fn same(header: &[u8], var: &[u8]) -> bool {
    header.len() == var.len()
        && header
            .iter()
            .zip(var)
            .all(|(h, v)| (if *h == b'-' { b'_' } else { h.to_ascii_lowercase() }) == *v)
}

fn request(x: &Exchange, name: &[u8], r: &mut impl Sink) -> bool {
    let q = &x.request;
    match name {
        b"request_method" => r.str(&q.method),
        b"request_uri" => r.str(&q.target),
        b"uri" | b"document_uri" => r.str(&q.uri),
        b"args" | b"query_string" => r.opt(q.args.as_ref()),
        b"is_args" => r.lit(if q.args.as_ref().is_some_and(|a| !a.is_empty()) {
            "?"
        } else {
            ""
        }),
        b"host" if q.host.is_empty() => r.lit("kong"),
        b"host" => r.str(&q.host),
        b"scheme" => r.lit(q.scheme),
        b"https" => r.lit(if q.scheme == "https" { "on" } else { "" }),
        b"http2" => r.lit(if q.version == 20 { "h2" } else { "" }),
        b"server_protocol" => r.lit(match q.version {
            10 => "HTTP/1.0",
            20 => "HTTP/2.0",
            _ => "HTTP/1.1",
        }),
        b"content_length" => r.opt(q.headers.get("content-length")),
        b"content_type" => r.opt(q.headers.get("content-type")),
        b"request" => r.str(q.line()),
        b"request_length" => r.str(itoa::Buffer::new().format(q.length)),
        b"request_body" => match &q.body {
            Body::Memory(b) if !b.is_empty() => r.held(b.clone()),
            _ => r.nil(),
        },
        b"request_body_file" => match &q.body {
            Body::File(path, _) => r.str(path.to_string_lossy().as_bytes()),
            _ => r.nil(),
        },
        b"request_id" | b"kong_request_id" => r.str(x.id),
        b"remote_user" => r.opt(remote_user(x)),
        _ => return false,
    };
    true
}

fn connection(x: &Exchange, name: &[u8], r: &mut impl Sink) -> bool {
    let c = &x.connection;
    match name {
        b"remote_addr" if x.client.addr.ip() == c.peer.ip() => r.str(&*c.peer_ip),
        b"remote_addr" => r.str(x.client.addr.ip().to_string()),
        b"remote_port" => r.str(itoa::Buffer::new().format(x.client.addr.port())),
        b"binary_remote_addr" => match x.client.addr.ip() {
            std::net::IpAddr::V4(ip) => r.str(ip.octets()),
            std::net::IpAddr::V6(ip) => r.str(ip.octets()),
        },
        b"realip_remote_addr" => r.str(&*c.peer_ip),
        b"realip_remote_port" => r.str(itoa::Buffer::new().format(c.peer.port())),
        b"server_addr" => r.str(c.local.ip().to_string()),
        b"server_port" => r.str(itoa::Buffer::new().format(c.local.port())),
        b"server_name" => r.lit("kong"),
        b"connection" => r.str(itoa::Buffer::new().format(c.serial)),
        b"connection_requests" => r.str(itoa::Buffer::new().format(c.requests.get())),
        b"pid" => r.str(PID.with(u32::to_string)),
        b"hostname" => r.str(hostname()),
        b"nginx_version" => r.lit("1.27.1"),
        b"msec" => r.str(thousandths(super::time::since_epoch())),
        b"time_local" => super::time::show(super::time::Clock::Log, |t| r.str(t)),
        b"time_iso8601" => super::time::show(super::time::Clock::Iso8601, |t| r.str(t)),
        b"request_time" => r.str(thousandths(x.timing.elapsed())),
        b"connection_time" => r.str(thousandths(c.opened.elapsed())),
        b"pipe" => r.lit("."),
        b"limit_rate" => r.str(itoa::Buffer::new().format(x.response.limit_rate)),
        b"request_completion" => r.lit(if x.timing.ended.is_some() { "OK" } else { "" }),
        _ => return false,
    };
    true
}

thread_local! {
    static PID: u32 = std::process::id();
}

/// Seconds with three digits behind the point.
fn thousandths(d: Duration) -> String {
    let ms = d.subsec_millis();
    let mut text = String::with_capacity(16);
    text.push_str(itoa::Buffer::new().format(d.as_secs()));
    text.push('.');
    for digit in [ms / 100, ms / 10 % 10, ms % 10] {
        text.push(char::from(b'0' + digit as u8));
    }
    text
}

fn outbound(x: &Exchange, name: &[u8], r: &mut impl Sink) -> bool {
    let o = &x.outbound;
    match name {
        b"upstream_scheme" => r.str(&o.scheme),
        b"upstream_host" => r.str(&o.host),
        b"upstream_uri" => r.str(&o.uri),
        b"upstream_x_forwarded_for" => r.str(&o.x_forwarded_for),
        b"upstream_x_forwarded_proto" => r.str(&o.x_forwarded_proto),
        b"upstream_x_forwarded_host" => r.str(&o.x_forwarded_host),
        b"upstream_x_forwarded_port" => r.str(&o.x_forwarded_port),
        b"upstream_x_forwarded_path" => r.str(&o.x_forwarded_path),
        b"upstream_x_forwarded_prefix" => r.str(o.x_forwarded_prefix.as_deref().unwrap_or_default()),
        b"upstream_upgrade" => r.str(o.upgrade.as_deref().unwrap_or_default()),
        b"upstream_connection" => match (&o.connection, &o.upgrade) {
            (Some(written), _) => r.str(written),
            (None, Some(_)) => r.lit("upgrade"),
            (None, None) => r.lit("keep-alive"),
        },
        b"upstream_te" => match &o.te {
            Some(written) => r.str(written),
            None => r.lit(te(x)),
        },
        b"upstream_via" => r.str(via(x)),
        b"kong_proxy_mode" => r.str(o.proxy_mode.as_deref().unwrap_or("http")),
        b"ctx_ref" => r.str(o.ctx_ref.as_deref().unwrap_or_default()),
        b"proxy_add_x_forwarded_for" => {
            let before: Vec<&[u8]> = x.request.headers.get_all(b"x-forwarded-for").collect();
            let addr = x.client.addr.ip().to_string();
            if before.is_empty() {
                r.str(addr)
            } else {
                r.str([&before.join(&b", "[..])[..], b", ", addr.as_bytes()].concat())
            }
        }
        _ => return false,
    };
    true
}

/// The Via header as the upstream gets it.
fn via(x: &Exchange) -> Vec<u8> {
    if let Some(written) = &x.outbound.via {
        return written.clone().into_bytes();
    }
    let own = concat!(" moongate/", env!("CARGO_PKG_VERSION"));
    let version = if x.request.version == 10 { "1.0" } else { "1.1" };
    let mut all: Vec<u8> = x
        .request
        .headers
        .get_all(b"via")
        .collect::<Vec<_>>()
        .join(&b", "[..]);
    if !all.is_empty() {
        all.extend_from_slice(b", ");
    }
    all.extend_from_slice(version.as_bytes());
    all.extend_from_slice(own.as_bytes());
    all
}

fn te(x: &Exchange) -> &'static str {
    let trailers = |v: &[u8]| {
        v.split(|b| *b == b',')
            .any(|t| t.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    };
    if x.request.headers.get("te").is_some_and(trailers) {
        "trailers"
    } else {
        ""
    }
}

fn response(x: &Exchange, name: &[u8], r: &mut impl Sink) -> bool {
    let s = &x.response;
    match name {
        b"status" if s.status > 99 => r.str(itoa::Buffer::new().format(s.status)),
        b"status" => r.str(format!("{:03}", s.status)),
        b"body_bytes_sent" => r.str(itoa::Buffer::new().format(s.body_bytes_sent)),
        b"bytes_sent" => r.str(itoa::Buffer::new().format(s.bytes_sent())),
        b"sent_http_connection" => r.lit(super::header::connection(x)),
        b"sent_http_keep_alive" if x.connection.keepalive_header > 0 => match super::header::connection(x) {
            "keep-alive" => r.str(format!("timeout={}", x.connection.keepalive_header)),
            _ => r.nil(),
        },
        b"sent_http_transfer_encoding" if s.chunked => r.lit("chunked"),
        b"upstream_status" => match (s.upstream_status, x.attempts.is_empty()) {
            (None, true) => r.nil(),
            (last, _) => r.str(tries(x, |a, is_last| match (&a.error, last, is_last) {
                (None, Some(status), true) => status.to_string(),
                _ => a.code.unwrap_or(502).to_string(),
            })),
        },
        b"upstream_addr" if !x.attempts.is_empty() => r.str(tries(x, |a, _| a.addr.to_string())),
        b"upstream_connect_time" if !x.attempts.is_empty() => r.str(tries(x, |a, _| seconds(a.connect_time))),
        b"upstream_header_time" if !x.attempts.is_empty() => r.str(tries(x, |a, last| {
            let head = x.timing.head_at.filter(|_| last && a.error.is_none());
            seconds(head.map(|at| at.saturating_duration_since(a.began)))
        })),
        b"upstream_response_length" if !x.attempts.is_empty() => r.str(tries(x, |a, last| {
            if last && a.error.is_none() {
                s.upstream_length.to_string()
            } else {
                "0".into()
            }
        })),
        b"upstream_bytes_received" if !x.attempts.is_empty() => {
            r.str(tries(x, |a, _| a.received.to_string()))
        }
        b"upstream_bytes_sent" if !x.attempts.is_empty() => r.str(tries(x, |a, _| a.sent.to_string())),
        b"upstream_response_time" if !x.attempts.is_empty() => r.str(tries(x, |a, _| {
            let end = x.timing.ended.unwrap_or_else(std::time::Instant::now);
            seconds(Some(
                a.took.unwrap_or_else(|| end.saturating_duration_since(a.began)),
            ))
        })),
        _ => return false,
    };
    true
}

fn seconds(d: Option<Duration>) -> String {
    d.map_or_else(|| "-".into(), thousandths)
}

/// One value per try, as nginx joins them.
fn tries(x: &Exchange, f: impl Fn(&crate::exchange::Attempt, bool) -> String) -> String {
    let mut all = String::new();
    for (i, a) in x.attempts.iter().enumerate() {
        if i > 0 {
            all.push_str(", ");
        }
        let _ = write!(all, "{}", f(a, i + 1 == x.attempts.len()));
    }
    all
}

fn dynamic(x: &Exchange, name: &[u8], r: &mut impl Sink) {
    if let Some(key) = name.strip_prefix(b"arg_") {
        r.opt(argument(x, key));
    } else if let Some(key) = name.strip_prefix(b"cookie_") {
        r.opt(cookie(x, key));
    } else if let Some(key) = name.strip_prefix(b"sent_http_") {
        from_map(&x.response.headers, key, r);
    } else if let Some(key) = name.strip_prefix(b"upstream_http_") {
        if x.response.upstream_status.is_some() {
            from_map(&x.response.headers, key, r);
        } else {
            r.nil();
        }
    } else if let Some(key) = name.strip_prefix(b"upstream_cookie_") {
        r.opt(set_cookie(x, key));
    } else if let Some(key) = name
        .strip_prefix(b"sent_trailer_")
        .or_else(|| name.strip_prefix(b"upstream_trailer_"))
    {
        match &x.response.trailers {
            Some(t) => from_map(t, key, r),
            None => r.nil(),
        }
    } else {
        r.nil();
    }
}

fn from_map(map: &http::HeaderMap, name: &[u8], r: &mut impl Sink) {
    let dashed: Vec<u8> = name.iter().map(|b| if *b == b'_' { b'-' } else { *b }).collect();
    let Ok(key) = http::HeaderName::from_bytes(&dashed) else {
        r.nil();
        return;
    };
    let mut all: Vec<u8> = Vec::new();
    let mut any = false;
    for v in map.get_all(&key) {
        if any {
            all.extend_from_slice(b", ");
        }
        all.extend_from_slice(v.as_bytes());
        any = true;
    }
    r.opt(any.then_some(all));
}

fn argument<'a>(x: &'a Exchange, key: &[u8]) -> Option<&'a [u8]> {
    let args = x.request.args.as_ref()?.as_bytes();
    args.split(|b| *b == b'&').find_map(|pair| {
        let eq = memchr::memchr(b'=', pair)?;
        pair[..eq].eq_ignore_ascii_case(key).then(|| &pair[eq + 1..])
    })
}

fn cookie<'a>(x: &'a Exchange, key: &[u8]) -> Option<&'a [u8]> {
    x.request.headers.get_all(b"cookie").find_map(|line| {
        line.split(|b| *b == b';' || *b == b',').find_map(|pair| {
            let pair = pair.trim_ascii_start();
            let eq = memchr::memchr(b'=', pair)?;
            pair[..eq].eq_ignore_ascii_case(key).then(|| &pair[eq + 1..])
        })
    })
}

/// The value that the upstream set for a cookie.
fn set_cookie(x: &Exchange, key: &[u8]) -> Option<Vec<u8>> {
    x.response.upstream_status?;
    x.response
        .headers
        .get_all(http::header::SET_COOKIE)
        .iter()
        .find_map(|line| {
            let pair = line.as_bytes().split(|b| *b == b';').next()?;
            let eq = memchr::memchr(b'=', pair)?;
            pair[..eq]
                .trim_ascii()
                .eq_ignore_ascii_case(key)
                .then(|| pair[eq + 1..].to_vec())
        })
}

fn remote_user(x: &Exchange) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let value = x.request.headers.get("authorization")?;
    let (scheme, rest) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let mut plain = base64::engine::general_purpose::STANDARD
        .decode(rest.trim_ascii())
        .ok()?;
    let colon = memchr::memchr(b':', &plain)?;
    plain.truncate(colon);
    Some(plain)
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|s| s.trim_end().to_string())
        .unwrap_or_default()
}

/// `set(name, value)`: nothing, or the message that the face raises.
fn set(a: &Args, r: &mut Ret) {
    let Some(name) = a.str(1) else {
        r.lit("bad variable name");
        return;
    };
    let name = name.to_ascii_lowercase();
    let value = a.str(2).map(target_text);
    let shown = name.escape_ascii();
    match scope::write(|x| assign(x, &name, value)) {
        Some(Assigned::Yes) => {}
        Some(Assigned::Invalid) => invalid(&name, a.str(2).unwrap_or_default()),
        Some(Assigned::ReadOnly) => {
            r.str(format!("variable \"{shown}\" not changeable"));
        }
        Some(Assigned::Never) => {
            r.str(format!("variable \"{shown}\" cannot be assigned a value"));
        }
        Some(Assigned::Unknown) => {
            r.str(format!(
                "variable \"{shown}\" not found for writing; maybe it is a built-in variable that is not \
                 changeable or you forgot to use \"set ${shown} '';\" in the config file to define it first"
            ));
        }
        None => {
            r.lit(call::why_no_request());
        }
    }
}

/// How writing a variable went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Assigned {
    /// It is written.
    Yes,
    /// It is no value for it, which is logged and nothing else.
    Invalid,
    /// It is there, but not to be written.
    ReadOnly,
    /// It is there, but what it tells is nobody's to write (TLS).
    Never,
    /// There is no such variable.
    Unknown,
}

/// Logs a value that is none.
pub(super) fn invalid(name: &[u8], value: &[u8]) {
    let text = [b"invalid $", name, b" \"", value, b"\""].concat();
    super::log::emit(super::log::Level::ERR, &text);
}

/// Writes a variable; `name` is in lower case.
pub(super) fn assign(x: &mut Exchange, name: &[u8], value: Option<String>) -> Assigned {
    if name == b"limit_rate" {
        match x.response.set_limit_rate(&value.unwrap_or_default()) {
            true => Assigned::Yes,
            false => Assigned::Invalid,
        }
    } else if written(x, name, value) {
        Assigned::Yes
    } else if READ_ONLY.contains(&name) {
        Assigned::ReadOnly
    } else if name.starts_with(b"ssl_") {
        Assigned::Never
    } else {
        Assigned::Unknown
    }
}

fn written(x: &mut Exchange, name: &[u8], value: Option<String>) -> bool {
    let o = &mut x.outbound;
    let room = match name {
        b"args" => {
            x.request.args = value;
            return true;
        }
        b"upstream_uri" => {
            o.uri = value.unwrap_or_default();
            o.uri_has_args = o.uri.contains('?');
            return true;
        }
        b"upstream_upgrade" => {
            o.upgrade = value.filter(|v| !v.is_empty());
            return true;
        }
        b"upstream_te" => {
            o.te = value;
            return true;
        }
        b"upstream_via" => {
            o.via = value;
            return true;
        }
        b"upstream_connection" => {
            o.connection = value;
            return true;
        }
        b"kong_proxy_mode" => {
            o.proxy_mode = value;
            return true;
        }
        b"ctx_ref" => {
            o.ctx_ref = value;
            return true;
        }
        b"upstream_x_forwarded_prefix" => {
            o.x_forwarded_prefix = value.filter(|v| !v.is_empty());
            return true;
        }
        b"upstream_scheme" => &mut o.scheme,
        b"upstream_host" => &mut o.host,
        b"upstream_x_forwarded_for" => &mut o.x_forwarded_for,
        b"upstream_x_forwarded_proto" => &mut o.x_forwarded_proto,
        b"upstream_x_forwarded_host" => &mut o.x_forwarded_host,
        b"upstream_x_forwarded_port" => &mut o.x_forwarded_port,
        b"upstream_x_forwarded_path" => &mut o.x_forwarded_path,
        _ => return false,
    };
    *room = value.unwrap_or_default();
    true
}
