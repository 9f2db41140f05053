//! D1, D2: what plugins may hand to setters that comes from a stranger: ends of lines, NULs, numbers that are none,
//! tables without end, more than there is room for. Nothing of it starts a line of its own, or costs the worker.

use crate::support::gateway::one_line;
use crate::support::{Gateway, Origin, Setup, free_port};

/// Everything that a line break could be put into.
const SETTERS: &[&str] = &[
    "kong.service.request.set_header('X-A', E)",
    "kong.service.request.set_header('X-A', { E, E })",
    "kong.service.request.set_header(E, 'v')",
    "kong.service.request.add_header('X-A', E)",
    "kong.service.request.add_header(E, E)",
    "kong.service.request.set_headers({ ['X-A'] = E, [E] = { E } })",
    "kong.service.request.set_header('Host', E)",
    "kong.service.request.set_header('Connection', E)",
    "kong.service.request.set_header('Via', E)",
    "kong.service.request.set_header('TE', E)",
    "kong.service.request.set_header('Trailer', E)",
    "kong.service.request.set_path('/' .. E)",
    "kong.service.request.set_raw_query(E)",
    "kong.service.request.set_query({ [E] = E })",
    "kong.service.request.set_method(E)",
    "kong.service.request.set_scheme(E)",
    "kong.service.request.set_raw_body(E)",
    "kong.service.request.set_body({ [E] = E }, 'application/json')",
    "kong.service.request.set_body({ [E] = E }, 'application/x-www-form-urlencoded')",
    "kong.service.request.set_body({ a = E }, 'multipart/form-data; boundary=' .. E)",
    "kong.service.set_target(E, PORT)",
    "ngx.req.set_header('X-A', E)",
    "ngx.req.set_header(E, { E })",
    "ngx.req.set_uri('/' .. E)",
    "ngx.req.set_uri('/' .. E, false, true)",
    "ngx.req.set_uri_args(E)",
    "ngx.req.set_uri_args({ [E] = E })",
    "ngx.var.upstream_uri = '/' .. E",
    "ngx.var.upstream_host = E",
    "ngx.var.upstream_x_forwarded_for = E",
    "ngx.var.upstream_x_forwarded_proto = E",
    "ngx.var.upstream_x_forwarded_host = E",
    "ngx.var.upstream_x_forwarded_port = E",
    "ngx.var.upstream_x_forwarded_path = E",
    "ngx.var.upstream_x_forwarded_prefix = E",
    "ngx.var.upstream_upgrade = E",
    "ngx.var.upstream_connection = E",
    "ngx.var.upstream_te = E",
    "ngx.var.upstream_via = E",
    "ngx.var.args = E",
    "kong.response.set_header('X-A', E)",
    "kong.response.set_header(E, E)",
    "kong.response.add_header('X-A', E)",
    "kong.response.set_headers({ ['X-A'] = { E, E }, [E] = E })",
    "kong.response.exit(200, 'body', { ['X-A'] = E, [E] = E })",
    "kong.response.exit(200, 'body', { ['Content-Type'] = E, ['Content-Length'] = E })",
    "kong.response.exit(200, 'body', { ['Transfer-Encoding'] = E, Connection = E })",
    "kong.response.error(400, E, { ['X-A'] = E })",
    "kong.response.exit(200, { message = E })",
    "ngx.header['X-A'] = E",
    "ngx.header['X-A'] = { E, E }",
    "ngx.header[E] = E",
    "ngx.header['Set-Cookie'] = { E, 'a=b' }",
    "ngx.header['Content-Type'] = E",
    "ngx.header['Location'] = E",
    "ngx.header['Connection'] = E",
    "ngx.redirect('/' .. E)",
    "ngx.resp.add_header('X-A', E)",
    "ngx.resp.add_header(E, E)",
    "require('resty.kong.var')",
    "ngx.location.capture('/' .. E, { headers = { ['X-A'] = E, [E] = E }, args = E, method = ngx.HTTP_GET })",
    "ngx.exec('/' .. E, E)",
    "kong.client.authenticate({ id = E, custom_id = E, username = E }, { id = E, key = E })",
    "kong.log.err(E)",
    "ngx.log(ngx.ERR, E)",
];

/// Line ends of every kind that a reader might take for one.
const EVIL: &[&str] = &[
    "a\\r\\nX-Evil: 1\\r\\n\\r\\nGET /evil HTTP/1.1\\r\\nX-Evil: 2",
    "a\\nX-Evil: 1",
    "a\\rX-Evil: 1",
    "a\\0\\r\\nX-Evil: 1",
    " HTTP/1.1\\r\\nX-Evil: 1\\r\\nX: ",
];

fn one_more(gateway: &Gateway) {
    assert_eq!(
        gateway.access("kong.response.exit(200, 'well')").is(200).text(),
        "well"
    );
}

#[test]
fn d01_no_setter_lets_a_line_be_started() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let gateway = Setup::probe(origin.port)
        .set("nginx_worker_processes", "1")
        .start();
    for evil in EVIL {
        for setter in SETTERS {
            let setter = setter.replace("PORT", &origin.port.to_string());
            let lua = format!(
                "if ngx.is_subrequest or ngx.req.is_internal() then return ngx.exit(204) end
                 local E = '{evil}' local ok, e = pcall(function() {setter} end)"
            );
            let mut client = gateway.connect();
            client.send(format!(
                "GET /q?a=b HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Access: {}\r\n\r\n",
                one_line(&lua)
            ));
            let answer = String::from_utf8_lossy(&client.take(1 << 20)).into_owned();
            let head = answer.split("\r\n\r\n").next().unwrap();
            assert!(head.starts_with("HTTP/1.1 "), "{setter} {evil}: {answer}");
            for line in head.split(['\r', '\n']) {
                assert!(!line.starts_with("X-Evil"), "{setter} {evil}: {answer}");
            }
            assert_eq!(
                answer.matches("HTTP/1.1 ").count(),
                1,
                "{setter} {evil}: {answer}"
            );
        }
    }
    for seen in origin.seen() {
        assert!(seen.line().ends_with(" HTTP/1.1"), "{}", seen.head);
        assert_eq!(seen.line().split(' ').count(), 3, "{}", seen.head);
        for line in seen.head.split(['\r', '\n']) {
            assert!(!line.starts_with("X-Evil"), "{}", seen.head);
        }
        assert!(!seen.head.contains('\0'), "{}", seen.head);
    }
    assert!(!gateway.errors().contains("panic"), "{}", gateway.errors());
    one_more(&gateway);
}

#[test]
fn d01_values_that_are_none_cost_no_worker() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let gateway = Setup::probe(origin.port)
        .set("nginx_worker_processes", "1")
        .set("moongate_handler_timeout", "2s")
        .set("moongate_lua_memory_limit", "128m")
        .start();
    let values = "local cycle = {} cycle[1], cycle.a, cycle.message = cycle, cycle, cycle
        local deep = {} for _ = 1, 100000 do deep = { deep } end
        local raising = setmetatable({}, { __index = function() error('no') end, __tostring = function() error('no') end,
          __len = function() error('no') end, __pairs = function() error('no') end })
        local V = { 0/0, 1/0, -1/0, 2^53, 2^63, -2^63, 1e308, -1, 0, 0.5, cycle, deep, raising, function() end, true,
          false, newproxy(), coroutine.create(function() end), 'x', '', ('x'):rep(100000), '\\0', '\\255\\254', ngx.null,
          io.stdout }";
    // each public function, wherever it is, with each value in each place
    let lua = format!(
        "{values}
         local never = {{ exit = true, error = true, exec = true, redirect = true, sleep = true, eof = true,
           flush = true, socket = true, on_abort = true, run_worker_thread = true, new = true, spawn = true,
           wait = true, kill = true, at = true, every = true, capture = true, capture_multi = true,
           send_headers = true, set_upstream = true }}
         local room = kong
         for name in ('ROOM'):gmatch('[^.]+') do room = (room == kong and name == 'ngx') and ngx or room[name] end
         local n = 0
         for name, f in pairs(room) do
           if type(f) == 'function' and not never[name] then
             for _, v in ipairs(V) do
               for _, args in ipairs({{ {{ v }}, {{ v, v }}, {{ v, v, v }}, {{ 'a', v }}, {{ 'a', 'b', v }}, {{ 200, v }},
                   {{ 200, 'a', v }} }}) do
                 n = n + 1
                 pcall(f, unpack(args, 1, 3))
               end
             end
           end
         end
         kong.response.exit(200, tostring(n > 0))"
    );
    for room in [
        "request",
        "service",
        "service.request",
        "response",
        "client",
        "client.tls",
        "ip",
        "log",
        "ctx",
        "router",
        "nginx",
        "node",
        "plugin",
        "table",
        "telemetry",
        "tracing",
        "vault",
        "cluster",
        "ngx",
        "ngx.req",
        "ngx.resp",
        "ngx.re",
    ] {
        let r = gateway.access(&lua.replace("ROOM", room));
        assert!([200, 500].contains(&r.status), "{room}: {}", r.head);
        one_more(&gateway);
    }
    assert!(!gateway.errors().contains("panic"), "{}", gateway.errors());
}

#[test]
fn d02_more_headers_than_a_map_holds_cost_one_request() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let gateway = Setup::probe(origin.port)
        .set("nginx_worker_processes", "1")
        .start();
    for lua in [
        "for i = 1, 40000 do ngx.header['X-' .. i] = i end",
        "for i = 1, 40000 do kong.response.set_header('X-' .. i, i) end",
        "for i = 1, 40000 do kong.response.add_header('X-A', i) end",
        "local h = {} for i = 1, 40000 do h['X-' .. i] = i end kong.response.exit(200, 'a', h)",
        "local t = {} for i = 1, 40000 do t[i] = i end ngx.header['X-A'] = t",
        "for i = 1, 32768 do ngx.header['X-' .. i] = i end kong.response.exit(200, 'a')",
    ] {
        let mut client = gateway.connect();
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Access: {}\r\n\r\n",
            one_line(lua)
        ));
        let answer = client.take(64 << 20);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 "), "{lua}");
        one_more(&gateway);
    }
}

#[test]
fn d03_a_plugin_that_never_gets_ready_holds_up_no_signal() {
    let waits = "local P = { PRIORITY = 1, VERSION = '1.0.0' } function P:init_worker() \
                 kong.log.err('it waits') ngx.sleep(1000) end return P";
    let ends = |mut gateway: Gateway, signal: &str| {
        gateway.signal(signal);
        let took = gateway.wait(std::time::Duration::from_secs(10));
        assert!(took.is_some_and(|t| t.as_secs() < 5), "{signal}: {took:?}");
    };
    for signal in ["TERM", "QUIT"] {
        // at a reload, which the old code outlives
        let gateway = Setup::probe(free_port())
            .set("moongate_drain_timeout", "2s")
            .start();
        one_more(&gateway);
        std::fs::write(gateway.dir().join("lua/kong/plugins/probe/handler.lua"), waits).unwrap();
        gateway.signal("HUP");
        gateway.logged("it waits");
        one_more(&gateway);
        ends(gateway, signal);
        // at the start
        let gateway = Setup::probe(free_port())
            .lua("kong/plugins/probe/handler.lua", waits)
            .start();
        gateway.logged("it waits");
        ends(gateway, signal);
    }
}

#[test]
fn a05_quit_serves_who_has_connected_already() {
    let gateway = Setup::probe(free_port())
        .set("nginx_worker_processes", "1")
        .start();
    let mut busy = gateway.connect();
    let lua = "ngx.shared.kong:set('busy', 1) local t = os.clock() while os.clock() - t < 1 do end \
               kong.response.exit(200, 'busy')";
    busy.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Access: {lua}\r\n\r\n"));
    std::thread::sleep(std::time::Duration::from_millis(300));
    // the worker is not looking
    let waiting: Vec<_> = (0..8)
        .map(|i| {
            let mut client = gateway.connect();
            client.send(format!(
                "GET / HTTP/1.1\r\nHost: a\r\nX-Access: kong.response.exit(200, '{i}')\r\n\r\n"
            ));
            client
        })
        .collect();
    gateway.signal("QUIT");
    assert_eq!(busy.answer(false).is(200).text(), "busy");
    for (i, mut client) in waiting.into_iter().enumerate() {
        assert_eq!(client.answer(false).is(200).text(), i.to_string());
    }
}

#[test]
fn d05_recursion_without_end_in_a_schema_is_an_error_and_not_the_end() {
    use serde_json::json;

    use crate::support::TempDir;
    let schema = "local function f() return (('a'):gsub('a', f)) end
        return { name = 'deep', fields = { { config = { type = 'record', fields = {
          { it = { type = 'string', custom_validator = function() return f() end } } } } } } }";
    let handler = "return { PRIORITY = 1, VERSION = '1.0.0' }";
    let config =
        json!({ "_format_version": "3.0", "plugins": [{ "name": "deep", "config": { "it": "x" } }] });
    let wanted = "stack overflow";
    // over the Admin API
    let (setup, admin) = Setup::probe(free_port()).admin();
    let gateway = setup
        .lua("kong/plugins/deep/schema.lua", schema)
        .lua("kong/plugins/deep/handler.lua", handler)
        .enable("deep")
        .start();
    let refused = admin.refuse("", &config).to_string();
    assert!(refused.contains(wanted), "{refused}");
    one_more(&gateway);
    // on the command line
    let dir = TempDir::new();
    dir.write("lua/kong/plugins/deep/schema.lua", schema);
    dir.write("lua/kong/plugins/deep/handler.lua", handler);
    let file = dir.write("kong.json", &config.to_string());
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_moongate"))
        .args(["config", "parse"])
        .arg(&file)
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .env("KONG_PREFIX", dir.path().join("prefix"))
        .env("KONG_DATABASE", "off")
        .env("KONG_PLUGINS", "deep")
        .env("KONG_MOONGATE_LUA_DIR", dir.path().join("lua"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains(wanted), "{said}");
}
