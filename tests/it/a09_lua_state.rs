//! What handlers may do to the Lua state, over sockets: {outcome} x {shape} x {phase}, and the worker lives.

use std::time::Duration;

use serde_json::json;

use crate::support::gateway::{PROBE, PROBE_RESPONSE, one_line};
use crate::support::{Gateway, Origin, Response, Setup, eventually, service, with};

/// Ways of running a body of Lua; each lets errors out again.
const SHAPES: &[(&str, &str)] = &[
    ("plain", "BODY"),
    (
        "pcall",
        "local ok, e = pcall(function() BODY end) if not ok then error(e, 0) end",
    ),
    (
        "xpcall",
        "local ok, e = xpcall(function() BODY end, function(e) return e end) if not ok then error(e, 0) end",
    ),
    ("wrap", "coroutine.wrap(function() BODY end)()"),
    (
        "resume",
        "local ok, e = coroutine.resume(coroutine.create(function() BODY end)) if not ok then error(e, 0) end",
    ),
    (
        "iterator",
        "for _ in function(_, i) if not i then BODY return 1 end end do end",
    ),
    (
        "generator",
        "for _ in coroutine.wrap(function() BODY coroutine.yield(1) end) do end",
    ),
    (
        "metamethod",
        "local t = setmetatable({}, { __index = function() BODY return 1 end }) local _ = t.x",
    ),
    (
        "nested",
        "local ok, e = pcall(coroutine.wrap(function() coroutine.wrap(function() BODY end)() end)) if not ok then error(e, 0) end",
    ),
];

const YIELD: &str = "ngx.sleep(0.001) ngx.sleep(0) ngx.ctx.did = (ngx.ctx.did or 0) + 1";
const EXIT: &str = "kong.response.exit(299, 'out')";
const ERROR: &str = "error('boom')";
const MEMORY: &str = "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e5) .. i end";
const RUNAWAY: &str = "local n = 0 while true do n = n + 1 end";

fn shaped(shape: &str, body: &str) -> String {
    one_line(&shape.replace("BODY", body))
}

fn gateway(origin: &Origin) -> Gateway {
    setup(origin).start()
}

fn setup(origin: &Origin) -> Setup {
    let mut config = with(service(origin.port), "probe", json!({}));
    let routes = config["services"][0]["routes"].as_array_mut().unwrap();
    routes.push(json!({ "name": "late", "paths": ["/late"], "plugins": [{ "name": "late" }] }));
    Setup::new(&config)
        .plugin("probe", PROBE)
        .plugin("late", PROBE_RESPONSE)
        .set("moongate_handler_timeout", "200ms")
        .set("moongate_lua_memory_limit", "96m")
}

/// Runs the code in the phase's handler, on a connection of its own.
fn run(gateway: &Gateway, phase: &str, code: &str) -> Response {
    let mut client = gateway.connect();
    let name = format!("x-{}", phase.replace('_', "-"));
    let path = if phase == "response" { "/late" } else { "/" };
    client.send(format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\n{name}: {code}\r\n\r\n"
    ));
    client.try_answer(false).unwrap_or_default()
}

/// The same body in every shape, in a phase; each answer is judged, and afterwards the worker serves.
fn each(gateway: &Gateway, phase: &str, body: &str, judge: impl Fn(&Response) -> bool) {
    let mut wrong = Vec::new();
    for (name, shape) in SHAPES {
        let r = run(gateway, phase, &shaped(shape, body));
        if !judge(&r) {
            wrong.push(format!("{phase} {name}: {}\n{}", r.head, r.text()));
        }
        let after = gateway.get("/", &[]);
        if after.status != 200 {
            wrong.push(format!("after {phase} {name}: {}", after.head));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const YIELDING: [&str; 3] = ["rewrite", "access", "response"];

#[test]
fn a09_yields_in_every_shape_and_phase() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    for phase in YIELDING {
        let body = format!("{YIELD} kong.response.set_header('X-Did', ngx.ctx.did)");
        each(&gateway, phase, &body, |r| {
            r.status == 200 && r.header("x-did") == Some("1") && r.complete
        });
    }
    // Where waiting is not possible, trying to is an error.
    each(&gateway, "header_filter", YIELD, |r| r.status == 500);
    each(&gateway, "body_filter", YIELD, |r| !r.complete);
    each(&gateway, "log", YIELD, |r| r.status == 200 && r.complete);
    gateway.logged("API disabled in the context of");
}

#[test]
fn a09_exits_in_every_shape_and_phase() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    for phase in YIELDING {
        each(&gateway, phase, EXIT, |r| r.status == 299 && r.text() == "out");
        each(&gateway, phase, "ngx.exit(418) error('went on')", |r| {
            r.status == 418
        });
    }
    each(&gateway, "header_filter", "kong.response.exit(299)", |r| {
        r.status == 299
    });
    each(&gateway, "body_filter", "ngx.exit(418)", |r| !r.complete);
    assert!(!gateway.errors().contains("went on"));
}

#[test]
fn a09_errors_in_every_shape_and_phase() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    for phase in ["rewrite", "access", "response", "header_filter"] {
        each(&gateway, phase, ERROR, |r| r.status == 500 && r.complete);
        each(&gateway, phase, "error({ code = 1 })", |r| r.status == 500);
        each(&gateway, phase, "error()", |r| r.status == 500);
    }
    each(&gateway, "body_filter", ERROR, |r| !r.complete);
    each(&gateway, "log", ERROR, |r| r.status == 200 && r.complete);
    let line = gateway.logged("boom");
    assert!(line.contains("[error]") && line.contains("probe"), "{line}");
}

#[test]
fn a09_an_error_that_is_caught_is_nobodys_business() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    for phase in [
        "rewrite",
        "access",
        "response",
        "header_filter",
        "body_filter",
        "log",
    ] {
        let r = run(
            &gateway,
            phase,
            "local ok, e = pcall(error, { a = 1 }) assert(not ok and e.a == 1)",
        );
        assert!(r.status == 200 && r.complete, "{phase}: {}", r.head);
    }
    assert!(!gateway.errors().contains("[error]"), "{}", gateway.errors());
}

#[test]
fn a09_the_memory_cap_stops_every_shape_and_phase() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    for phase in ["rewrite", "access", "response", "header_filter"] {
        each(&gateway, phase, MEMORY, |r| r.status == 500);
    }
    each(&gateway, "body_filter", MEMORY, |r| !r.complete);
    each(&gateway, "log", MEMORY, |r| r.status == 200);
    gateway.logged("not enough memory");
}

#[test]
fn a09_runaway_handlers_are_stopped_in_every_shape_and_phase() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    for phase in ["rewrite", "access", "response", "header_filter"] {
        each(&gateway, phase, RUNAWAY, |r| r.status == 500);
    }
    each(&gateway, "body_filter", RUNAWAY, |r| !r.complete);
    each(&gateway, "log", RUNAWAY, |r| r.status == 200);
    let hidden = "while true do pcall(function() while true do end end) end";
    assert_eq!(
        run(&gateway, "access", hidden).status,
        500,
        "a pcall does not hide it"
    );
    let trim = "local s = 'x' .. (' '):rep(1e6) .. 'y' kong.response.exit(200, s:match('^%s*(.-)%s*$'))";
    assert_eq!(
        run(&gateway, "access", trim).status,
        500,
        "one call that backtracks"
    );
    assert_eq!(
        run(
            &gateway,
            "access",
            "local s = ('a'):rep(40) while true do s:find('b') end"
        )
        .status,
        500
    );
    gateway.logged("probe");
}

#[test]
fn a09_timers_in_every_shape_and_outcome() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    for (i, (_, shape)) in SHAPES.iter().enumerate() {
        for (kind, body) in [
            (
                "yield",
                format!("ngx.sleep(0.001) ngx.log(ngx.ERR, 'timer {i} waited')"),
            ),
            ("error", format!("error('timer {i} broke')")),
            ("memory", MEMORY.to_owned()),
            ("runaway", RUNAWAY.to_owned()),
            ("exit", "ngx.exit(0) ngx.log(ngx.ERR, 'went on')".to_owned()),
        ] {
            let code = format!("assert(ngx.timer.at(0, function() {} end))", shaped(shape, &body));
            let r = run(&gateway, "access", &code);
            assert_eq!(r.status, 200, "{kind} {shape}");
        }
        gateway.logged(&format!("timer {i} waited"));
        gateway.logged(&format!("timer {i} broke"));
        gateway.get("/", &[]).is(200);
    }
    assert!(!gateway.errors().contains("went on"));
}

#[test]
fn a09_client_aborts_release_everything() {
    let origin = Origin::echo();
    let gateway = setup(&origin)
        .set("nginx_proxy_lua_check_client_abort", "on")
        .start();
    gateway.get("/", &[]).is(200);
    let count = "collectgarbage() collectgarbage() kong.response.exit(200, collectgarbage('count') .. '')";
    let before = (gateway.descriptors(), gateway.access(count).text());
    let sink = Origin::raw(|mut conn| drop(conn.head()));
    let mut clients = Vec::new();
    for (_, shape) in SHAPES {
        for phase in ["x-rewrite", "x-access", "x-response"] {
            let socket = format!(
                "local s = ngx.socket.tcp() assert(s:connect('127.0.0.1', {})) s:settimeout(60000) s:receive()",
                sink.port
            );
            for body in ["ngx.sleep(60)", &socket] {
                let mut client = gateway.connect();
                let path = if phase == "x-response" { "/late" } else { "/" };
                client.send(format!(
                    "GET {path} HTTP/1.1\r\nHost: a\r\n{phase}: {}\r\n\r\n",
                    shaped(shape, body)
                ));
                clients.push(client);
            }
        }
    }
    assert!(eventually(Duration::from_secs(10), || sink.accepted() == SHAPES.len() * 3));
    drop(clients);
    // What the response phase was given came over upstream connections that are idle now.
    let idle = SHAPES.len() * 2 + 1;
    let back = eventually(Duration::from_secs(10), || {
        gateway.descriptors() <= before.0 + idle
    });
    assert!(back, "{} descriptors, {} before", gateway.descriptors(), before.0);
    let after = gateway.access(count).text();
    let (a, b): (f64, f64) = (before.1.parse().unwrap(), after.parse().unwrap());
    assert!(b < a + 512.0, "Lua holds {b} KiB, {a} before");
    assert!(eventually(Duration::from_secs(5), || {
        gateway.accesses().matches(" 499 ").count() == SHAPES.len() * 6
    }));
}

#[test]
fn a09_cosockets_talk() {
    let server = Origin::raw(|mut conn| {
        while let Some(line) = conn.take(6) {
            conn.send([b"echo ", &line[..]].concat());
        }
    });
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let code = format!(
        "local s = ngx.socket.tcp() s:settimeout(300)
         assert(s:connect('127.0.0.1', {}))
         assert(s:send('hello\\n') == 6) local line = assert(s:receive())
         s:send({{ 'a', 'b', {{ 'c', 'd' }}, 'e', '\\n' }}) local rest = assert(s:receive(11))
         local none, err, part = s:receive()
         s:close()
         local bad, why = ngx.socket.tcp():connect('127.0.0.1', 1)
         kong.response.exit(200, table.concat({{ line, rest, tostring(none), err, part, tostring(bad), why }}, '|'))",
        server.port
    );
    let text = gateway.access(&code).is(200).text();
    assert_eq!(
        text,
        "echo hello|echo abcde\n|nil|timeout||nil|connection refused"
    );
}

#[test]
fn a09_ffi_and_c_rocks_work() {
    let gateway = Setup::probe(1).start();
    let code = "local ffi = require 'ffi' ffi.cdef('int getpid(void);')
        kong.response.exit(200, tostring(ffi.C.getpid()))";
    assert_eq!(gateway.access(code).is(200).text(), gateway.pid().to_string());

    let Some(cjson) = debian_cjson() else { return };
    let gateway = Setup::probe(1).set("lua_package_cpath", &cjson).start();
    let code = "package.preload.cjson, package.loaded.cjson = nil, nil local c = require 'cjson'
        kong.response.exit(200, c.encode({ 1, 2 }) .. ' ' .. tostring(c._NAME))";
    assert_eq!(gateway.access(code).is(200).text(), "[1,2] cjson");
}

/// Debian's own C module for Lua 5.1, a real `.so` rock.
fn debian_cjson() -> Option<String> {
    let dir = format!("/usr/lib/{}-linux-gnu/lua/5.1", std::env::consts::ARCH);
    std::path::Path::new(&dir)
        .join("cjson.so")
        .exists()
        .then(|| format!("{dir}/?.so"))
}
