//! `ngx.*` from Lua, around hand-made exchanges.
#![allow(clippy::unwrap_used)]

mod values;
mod waiting;

use std::cell::RefCell;
use std::rc::Rc;

use super::log::{self, Level};
use crate::exchange::header_list::Span;
use crate::exchange::{Connection, Exchange, HeaderList, Phase, Request, unsent};
use crate::vm::{Flow, Scope, Vm, VmOptions};

pub(super) fn exchange() -> Exchange {
    let raw = b"GET /a%20b/c?x=1&y=%20z&flag&x=2 HTTP/1.1\r\nHost: Example.com:8080\r\nX-Two: a\r\n\
        Cookie: one=1; two=2\r\nx-two: b\r\nAuthorization: Basic dXNlcjpwYXNz\r\n\r\n";
    let mut spans = Vec::new();
    let mut at = raw.iter().position(|b| *b == b'\n').unwrap() + 1;
    while raw[at] != b'\r' {
        let end = at + raw[at..].iter().position(|b| *b == b'\r').unwrap();
        let colon = at + raw[at..].iter().position(|b| *b == b':').unwrap();
        spans.push((Span::new(at, colon - at), Span::new(colon + 2, end - colon - 2)));
        at = end + 2;
    }
    let headers = HeaderList::from_raw(raw.to_vec().into(), spans);
    let mut x = unsent::exchange(Request {
        uri: "/a b/c".into(),
        length: raw.len() as u64,
        ..unsent::request("GET", "/a%20b/c?x=1&y=%20z&flag&x=2", headers)
    });
    let addr = "10.1.2.3:4567".parse().unwrap();
    let connection = Connection::new(7, addr, "127.0.0.1:8000".parse().unwrap());
    connection.requests.set(3);
    x.connection = Rc::new(connection);
    x.client.addr = addr;
    x
}

pub(super) fn vm() -> Rc<Vm> {
    Vm::new(&VmOptions::default(), &[super::install]).unwrap()
}

/// Runs `src` in `phase` around `x`; answers how it ended and the exchange afterwards.
pub(super) fn run_with(vm: &Rc<Vm>, phase: Phase, x: Exchange, src: &str) -> (Flow, Exchange, i64) {
    let f = vm
        .keep(
            vm.lua()
                .load(src)
                .set_name("@/somewhere/test.lua")
                .into_function()
                .unwrap(),
        )
        .unwrap();
    let scope = Scope::new(vm, phase, Some(x));
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    let flow = local.block_on(&rt, async { vm.run(&scope, f, &[]).await });
    let soft = scope.soft_exit.get();
    let x = Rc::into_inner(scope).unwrap();
    let out = x.exchange.as_ref().unwrap().borrow_mut().clone_for_tests();
    (flow, out, soft)
}

impl Exchange {
    fn clone_for_tests(&mut self) -> Exchange {
        Exchange {
            id: self.id,
            connection: self.connection.clone(),
            snapshot: self.snapshot.clone(),
            request: std::mem::take(&mut self.request),
            matched: self.matched.clone(),
            client: self.client.clone(),
            outbound: self.outbound.clone(),
            target: self.target.clone(),
            attempts: self.attempts.clone(),
            response: self.response.clone(),
            timing: self.timing.clone(),
        }
    }
}

/// Runs `src`, which must end well.
pub(super) fn ok(phase: Phase, src: &str) -> Exchange {
    let (flow, x, _) = run_with(&vm(), phase, exchange(), src);
    assert!(matches!(flow, Flow::Done), "{flow:?}");
    x
}

/// Runs `src`, which must fail, and answers the message.
pub(super) fn fails(phase: Phase, src: &str) -> String {
    let (flow, _, _) = run_with(&vm(), phase, exchange(), src);
    match flow {
        Flow::Failed(f) => f.message,
        other => panic!("{other:?}"),
    }
}

const EQ: &str = "local function eq(a, b) if a ~= b then error('expected ' .. tostring(b) .. ', got '
    .. tostring(a), 2) end end ";

pub(super) fn checks(phase: Phase, src: &str) -> Exchange {
    ok(phase, &format!("{EQ}{src}"))
}

#[test]
fn a11_ngx_var_reads() {
    checks(
        Phase::Access,
        "local v = ngx.var
        eq(v.request_method, 'GET') eq(v.request_uri, '/a%20b/c?x=1&y=%20z&flag&x=2') eq(v.uri, '/a b/c')
        eq(v.args, 'x=1&y=%20z&flag&x=2') eq(v.query_string, v.args) eq(v.is_args, '?') eq(v.arg_X, '1')
        eq(v.arg_y, '%20z') eq(v.arg_flag, nil) eq(v.host, 'example.com') eq(v.http_host, 'Example.com:8080')
        eq(v.http_x_two, 'a, b') eq(v.HTTP_X_TWO, 'a, b') eq(v.http_none, nil) eq(v.cookie_two, '2')
        eq(v.scheme, 'http') eq(v.https, '') eq(v.server_protocol, 'HTTP/1.1') eq(v.server_addr, '127.0.0.1')
        eq(v.server_port, '8000') eq(v.server_name, 'kong') eq(v.remote_addr, '10.1.2.3')
        eq(v.remote_port, '4567') eq(v.binary_remote_addr, string.char(10, 1, 2, 3)) eq(v.remote_user, 'user')
        eq(v.request, 'GET /a%20b/c?x=1&y=%20z&flag&x=2 HTTP/1.1') eq(v.kong_request_id, v.request_id)
        eq(v.connection, '7') eq(v.connection_requests, '3') eq(v.status, '000') eq(v.http2, '')
        eq(v.nothing, nil) eq(v[1], nil) eq(tonumber(v.msec) > 1e9, true) eq(v.upstream_status, nil)
        eq(v.time_local:match('^%d%d/%a%a%a/%d%d%d%d:%d%d:%d%d:%d%d [+-]%d%d%d%d$') ~= nil, true)
        eq(v.time_iso8601:match('^%d+%-%d%d%-%d%dT%d%d:%d%d:%d%d[+-]%d%d:%d%d$') ~= nil, true)",
    );
}

#[test]
fn a11_ngx_var_writes() {
    let x = checks(
        Phase::Access,
        "ngx.var.args = 'n=1' eq(ngx.var.arg_n, '1') ngx.var.upstream_uri = '/u?q' ngx.var.upstream_host = 'h'
        ngx.var.upstream_scheme = 'https' eq(ngx.var.upstream_scheme, 'https') ngx.var.upstream_x_forwarded_for = 5",
    );
    assert_eq!(x.request.args.as_deref(), Some("n=1"));
    assert_eq!((x.outbound.uri.as_str(), x.outbound.uri_has_args), ("/u?q", true));
    assert_eq!(x.outbound.x_forwarded_for, "5");
    let e = fails(Phase::Access, "ngx.var.uri = 'x'");
    assert!(e.contains("test.lua:1: variable \"uri\" not changeable"), "{e}");
    let e = fails(Phase::Access, "ngx.var.foo = 'x'");
    assert!(
        e.contains("variable \"foo\" not found for writing; maybe it is a built-in variable that is not changeable or you forgot to use \"set $foo '';\" in the config file to define it first"),
        "{e}"
    );
}

#[test]
fn d02_a_header_set_again_keeps_its_place() {
    let x = ok(
        Phase::Access,
        "local h = ngx.header h['X-1'] = '1' h['X-2'] = { '2', '3' } h['X-3'] = 4 h['X-1'] = '5' h['X-2'] = { '6', '7' }",
    );
    let all: Vec<_> = x
        .response
        .headers
        .iter()
        .map(|(n, v)| format!("{n}={}", v.to_str().unwrap()))
        .collect();
    assert_eq!(all, ["x-1=5", "x-2=6", "x-2=7", "x-3=4"]);
}

#[test]
fn a11_ngx_header_and_status() {
    let x = checks(
        Phase::Access,
        "eq(ngx.status, 0) ngx.status = 201 eq(ngx.status, 201) eq(ngx.headers_sent, false)
        local h = ngx.header
        eq(h.x_a, nil) h.x_a = 1 eq(h['X-A'], '1') h['X-M'] = { 'a', 2 } eq(h.x_m[1], 'a') eq(h.x_m[2], '2')
        h.content_type = { 'a/b', 'c/d' } eq(h['content-type'], 'c/d') h.x_a = nil eq(h.x_a, nil)
        h['X-Evil'] = 'a\\r\\nb: c' eq(h.x_evil, 'a%0D%0Ab: c')
        ngx.resp.add_header('X-M', 'z') local all, err = ngx.resp.get_headers()
        eq(#all.x_m, 3) eq(all['X-Evil'], 'a%0D%0Ab: c') eq(err, nil)
        eq(select(2, ngx.resp.get_headers(1)), 'truncated')",
    );
    assert_eq!(x.response.status, 201);
    assert_eq!(x.response.headers.get_all("x-m").iter().count(), 3);
}

#[test]
fn a11_ngx_req_headers() {
    let x = checks(
        Phase::Access,
        "local h, err = ngx.req.get_headers() eq(err, nil) eq(h.host, 'Example.com:8080') eq(h.Host, h.host)
        eq(h.x_two[1], 'a') eq(h['X-Two'][2], 'b') eq(rawget(h, 'X-Two'), nil)
        local raw = ngx.req.get_headers(0, true) eq(raw['X-Two'], 'a') eq(raw.host, nil)
        eq(select(2, ngx.req.get_headers(2)), 'truncated')
        ngx.req.set_header('X-New', 5) eq(ngx.req.get_headers()['x-new'], '5')
        ngx.req.set_header('X-Two', { 'p', 'q', 'r' }) eq(#ngx.req.get_headers().x_two, 3)
        ngx.req.add_header('X-Two', 's') eq(#ngx.req.get_headers().x_two, 4)
        ngx.req.clear_header('x-TWO') eq(ngx.req.get_headers().x_two, nil)
        ngx.req.set_header('Evil', 'a\\r\\nb') ngx.req.set_header('Host', 'Other.org:1') eq(ngx.var.host, 'other.org')
        eq(ngx.req.get_method(), 'GET') ngx.req.set_method(ngx.HTTP_PUT) eq(ngx.req.get_method(), 'PUT')
        eq(ngx.req.http_version(), 1.1) eq(ngx.req.raw_header():sub(1, 5), 'GET /')
        eq(ngx.req.raw_header(true):sub(1, 6), 'Host: ') eq(ngx.req.is_internal(), false)
        eq(math.abs(ngx.req.start_time() - ngx.now()) < 5, true) ngx.req.set_uri('/new') eq(ngx.var.uri, '/new')",
    );
    assert_eq!(x.request.headers.get("evil"), Some(&b"a%0D%0Ab"[..]));
    for (src, message) in [
        (
            "ngx.req.set_header()",
            "bad 'name' argument: string expected, got nil",
        ),
        (
            "ngx.req.add_header('a')",
            "bad 'value' argument: string or table expected, got nil",
        ),
        ("ngx.req.set_method('GET')", "bad method number"),
        ("ngx.req.set_uri('')", "attempt to use zero-length uri"),
    ] {
        let e = fails(Phase::Access, src);
        assert!(e.contains(message), "{src}: {e}");
    }
    let e = fails(Phase::Log, "ngx.req.set_header('a', 'b')");
    assert!(e.contains("API disabled in the context of log_by_lua*"), "{e}");
}

#[test]
fn a11_ngx_ctx_is_a_plain_table() {
    let vm = vm();
    let (flow, ..) = run_with(
        &vm,
        Phase::Access,
        exchange(),
        "ngx.ctx.a = 1 for k, v in pairs(ngx.ctx) do assert(k == 'a' and v == 1) end
        ngx.ctx = { b = 2 } assert(ngx.ctx.a == nil and ngx.ctx.b == 2) assert(not pcall(function() ngx.ctx = 1 end))",
    );
    assert!(matches!(flow, Flow::Done), "{flow:?}");
    let (flow, ..) = run_with(&vm, Phase::Access, exchange(), "assert(next(ngx.ctx) == nil)");
    assert!(matches!(flow, Flow::Done), "{flow:?}");
}

#[test]
fn a11_ngx_say_and_exit() {
    let (flow, x, _) = run_with(
        &vm(),
        Phase::Access,
        exchange(),
        "ngx.say('a', 1, nil, true, 0.5, ngx.null, { 'x', { 2, false } }) ngx.print('end')
        assert(ngx.headers_sent) ngx.header.late = 1 assert(ngx.header.late == nil)
        assert(ngx.flush(true) == 1) pcall(ngx.exit, 403) error('not here')",
    );
    assert!(matches!(flow, Flow::Exit(200)), "{flow:?}");
    assert_eq!(x.response.body.unwrap(), b"a1niltrue0.5nullx2false\nend");
    assert_eq!(x.response.status, 200);
    let (flow, ..) = run_with(&vm(), Phase::Rewrite, exchange(), "ngx.exit(ngx.HTTP_FORBIDDEN)");
    assert!(matches!(flow, Flow::Exit(403)));
    let (flow, _, soft) = run_with(
        &vm(),
        Phase::HeaderFilter,
        exchange(),
        "ngx.exit(500) ngx.header.goes = 'on'",
    );
    assert!(matches!(flow, Flow::Done) && soft == 500);
    for (phase, src, message) in [
        (
            Phase::Log,
            "ngx.exit(1)",
            "API disabled in the context of log_by_lua*",
        ),
        (
            Phase::BodyFilter,
            "ngx.exit(1)",
            "API disabled in the context of body_filter_by_lua*",
        ),
        (
            Phase::HeaderFilter,
            "ngx.say(1)",
            "API disabled in the context of header_filter_by_lua*",
        ),
        (
            Phase::Access,
            "ngx.say(print)",
            "string, number, boolean, nil, ngx.null, or array table expected, but got function",
        ),
        (Phase::Access, "ngx.say({a = 1})", "non-array table found"),
        (
            Phase::Access,
            "ngx.exit()",
            "bad argument #1 to 'exit' (number expected, got no value)",
        ),
        (Phase::Access, "ngx.exit(-2)", "does not accept NGX_AGAIN"),
    ] {
        let e = fails(phase, src);
        assert!(e.contains(message), "{src}: {e}");
    }
    let x = checks(
        Phase::Access,
        "eq(ngx.eof(), 1) eq(select(2, ngx.say('x')), 'seen eof')",
    );
    assert_eq!(x.response.body.unwrap(), b"");
}

#[test]
fn a11_ngx_redirect() {
    let (flow, x, _) = run_with(&vm(), Phase::Access, exchange(), "ngx.redirect('/there', 301)");
    assert!(matches!(flow, Flow::Exit(301)));
    assert_eq!(x.response.headers.get("location").unwrap(), "/there");
    let e = fails(Phase::Access, "ngx.redirect('/a\\nb')");
    assert!(e.contains("unsafe byte \"0x0a\" in redirect uri"), "{e}");
}

#[test]
fn a11_ngx_arg() {
    let mut x = exchange();
    x.response.chunk = bytes::Bytes::from_static(b"chunk");
    let (flow, x, _) = run_with(
        &vm(),
        Phase::BodyFilter,
        x,
        "assert(ngx.arg[1] == 'chunk' and ngx.arg[2] == false) ngx.arg[1] = { 'a', ngx.arg[1] }
        assert(ngx.arg[1] == 'achunk') ngx.arg[2] = true assert(ngx.headers_sent)",
    );
    assert!(matches!(flow, Flow::Done), "{flow:?}");
    assert_eq!(x.response.new_chunk.unwrap(), "achunk");
    assert!(x.response.last_chunk);
    let e = fails(Phase::Access, "return ngx.arg[1]");
    assert!(e.contains("API disabled in the current context"), "{e}");
}

#[test]
fn a11_ngx_log_lines() {
    let lines: Rc<RefCell<Vec<(u8, String, bool)>>> = Rc::default();
    let out = lines.clone();
    log::set_sink(Box::new(move |level, text, origin| {
        let of_request = matches!(origin, log::Origin::Request(..));
        out.borrow_mut()
            .push((level.0, String::from_utf8_lossy(text).into_owned(), of_request));
    }));
    log::set_level(Level::INFO);
    ok(
        Phase::Access,
        "local function f() ngx.log(ngx.ERR, 'a', 1, nil, true, ngx.null, setmetatable({}, {__tostring = function() return 'T' end})) end
        f() ngx.log(ngx.DEBUG, 'no', {}) print('p')",
    );
    log::set_level(Level::NOTICE);
    let lines = lines.borrow();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(
        lines[0],
        (4, "[lua] test.lua:1: f(): a1niltruenullT".into(), true)
    );
    assert_eq!(lines[1], (6, "[lua] test.lua:2: p".into(), true));
    let e = fails(Phase::Access, "ngx.log(ngx.ERR, {})");
    assert!(
        e.contains("bad argument #1 to 'log' (expected table to have __tostring metamethod)"),
        "{e}"
    );
    let e = fails(Phase::Access, "ngx.log(99, 1)");
    assert!(e.contains("bad argument #1 to 'log' (bad log level: 99)"), "{e}");
}

#[test]
fn a09_ngx_sleep() {
    checks(
        Phase::Access,
        "local t = ngx.now() ngx.sleep(0.02) eq(ngx.now() - t >= 0.019, true) ngx.sleep(0)
        coroutine.wrap(function() ngx.sleep(0.001) end)()",
    );
    let e = fails(Phase::Log, "ngx.sleep(1)");
    assert!(e.contains("API disabled in the context of log_by_lua*"), "{e}");
    let e = fails(Phase::Access, "ngx.sleep(-1)");
    assert!(e.contains("invalid sleep duration \"-1000\""), "{e}");
}

#[test]
fn a11_ngx_clocks() {
    checks(
        Phase::Access,
        "eq(ngx.http_time(1290079655), 'Thu, 18 Nov 2010 11:27:35 GMT')
        eq(ngx.cookie_time(1290079655), 'Thu, 18-Nov-10 11:27:35 GMT')
        eq(ngx.parse_http_time('Thu, 18 Nov 2010 11:27:35 GMT'), 1290079655)
        eq(ngx.parse_http_time('Thursday, 18-Nov-10 11:27:35 GMT'), 1290079655)
        eq(ngx.parse_http_time('Thu Nov 18 11:27:35 2010'), 1290079655) eq(ngx.parse_http_time('junk'), nil)
        eq(ngx.time(), math.floor(ngx.now())) eq(#ngx.today(), 10) eq(#ngx.localtime(), 19) eq(#ngx.utctime(), 19)
        ngx.update_time()",
    );
}
