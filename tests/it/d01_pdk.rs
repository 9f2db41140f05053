//! The PDK's requirements that need a whole gateway: what `ngx.ctx` holds, log lines, counters, the node's id.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::gateway::{PROBE, one_line};
use crate::support::{Gateway, Origin, Setup, eventually, service, with};

const ROUTE: &str = "5e7b1f0e-3b0a-4c53-8d0a-0f6b8f0d2a11";
const CONSUMER: &str = "6e7b1f0e-3b0a-4c53-8d0a-0f6b8f0d2a12";

/// A gateway with the probe, whose log handler writes what `kong.log.serialize()` gives as JSON into the error log.
fn gateway(port: u16) -> Gateway {
    setup(port).start()
}

fn setup(port: u16) -> Setup {
    let mut config = with(service(port), "probe", json!({}));
    config["services"][0]["routes"][0]["id"] = json!(ROUTE);
    config["services"][0]["routes"][0]["paths"] = json!(["/", "~/users/(?<name>[a-z]+)/(\\d+)"]);
    config["consumers"] = json!([{ "id": CONSUMER, "username": "bob" }]);
    let plugins = config["plugins"].as_array_mut().unwrap();
    plugins.push(json!({ "name": "marker", "consumer": "bob" }));
    plugins.push(json!({ "name": "lines" }));
    Setup::new(&config)
        .plugin("probe", PROBE)
        .plugin(
            "marker",
            "local M = { PRIORITY = 1 } function M:access() kong.response.set_header('X-Marked', 'yes') end return M",
        )
        .plugin(
            "lines",
            "local M = { PRIORITY = 1 }
             function M:log() kong.log.err('line ', require('cjson').encode(kong.log.serialize())) end
             return M",
        )
}

/// The last log line of a gateway.
fn line(gateway: &Gateway, path: &str) -> Value {
    let find = || {
        let errors = gateway.errors();
        let lines = errors.lines().filter_map(|l| l.split_once("] line "));
        let mut values = lines.filter_map(|(_, json)| {
            let mut all = serde_json::Deserializer::from_str(json).into_iter::<Value>();
            all.next()?.ok()
        });
        values.find(|v| v["request"]["uri"] == path)
    };
    assert!(
        eventually(Duration::from_secs(5), || find().is_some()),
        "no line of {path}"
    );
    find().unwrap()
}

#[test]
fn d01_ngx_ctx_is_filled_as_kong_fills_it() {
    let origin = Origin::echo();
    let g = gateway(origin.port);
    let fields = |names: &str| {
        one_line(&format!(
            "local found = {{}} for name in ('{names}'):gmatch('%S+') do
               if ngx.ctx[name] ~= nil then found[#found + 1] = name end end
             kong.ctx.shared.seen = (kong.ctx.shared.seen or '') .. ngx.get_phase() .. ': '
               .. table.concat(found, ' ') .. '; '"
        ))
    };
    let names = "KONG_PROCESSING_START KONG_REWRITE_TIME KONG_ACCESS_START KONG_ACCESS_TIME KONG_PROXIED \
                 KONG_WAITING_TIME KONG_PROXY_LATENCY KONG_HEADER_FILTER_START route service balancer_data router_matches \
                 workspace host delay_response";
    let ask = fields(names);
    let show = format!("{ask} kong.response.set_header('X-Seen', kong.ctx.shared.seen)");
    let r = g
        .get("/a", &[("x-access", &ask), ("x-header-filter", &show)])
        .is(200);
    assert_eq!(
        r.header("x-seen").unwrap(),
        "access: KONG_PROCESSING_START KONG_REWRITE_TIME KONG_ACCESS_START route service balancer_data router_matches \
         workspace host delay_response; header_filter: KONG_PROCESSING_START KONG_REWRITE_TIME KONG_ACCESS_START \
         KONG_ACCESS_TIME KONG_PROXIED KONG_WAITING_TIME KONG_PROXY_LATENCY KONG_HEADER_FILTER_START route service \
         balancer_data router_matches workspace host;"
    );
    let exit = "kong.request.get_query() kong.response.exit(200)";
    let r = g
        .get("/a?b", &[("x-access", exit), ("x-header-filter", &show)])
        .is(200);
    assert_eq!(
        r.header("x-seen").unwrap(),
        "header_filter: KONG_PROCESSING_START KONG_REWRITE_TIME KONG_ACCESS_START KONG_ACCESS_TIME \
         KONG_HEADER_FILTER_START route service balancer_data router_matches workspace host;",
        "nobody looked at it before"
    );
    let code = one_line(
        "local found = {} for k, v in pairs(ngx.ctx) do found[tostring(k)] = type(v) end
         assert(found.route == 'table' and found.balancer_data == 'table' and found.KONG_PHASE == 'number')
         assert(ngx.ctx.KONG_PHASE == 0x20 and ngx.ctx.route == kong.router.get_route())
         local c = ngx.ctx.router_matches.uri_captures
         kong.response.exit(200, { c[0], c[1], c[2], c.name, kong.request.get_uri_captures().named.name })",
    );
    let r = g.get("/users/bob/42", &[("x-access", &code)]).is(200);
    assert_eq!(r.json(), json!(["/users/bob/42", "bob", "42", "bob", "bob"]));
}

#[test]
fn d01_a_consumer_written_into_ngx_ctx_has_its_configurations() {
    let origin = Origin::echo();
    for instrumentations in ["off", "all"] {
        let g = setup(origin.port)
            .set("tracing_instrumentations", instrumentations)
            .start();
        let set = format!("ngx.ctx.authenticated_consumer = {{ id = '{CONSUMER}', username = 'bob' }}");
        assert_eq!(g.access(&set).is(200).header("x-marked"), Some("yes"));
        assert_eq!(g.get("/", &[]).is(200).header("x-marked"), None);
        let set = format!("kong.client.authenticate(kong.client.load_consumer('{CONSUMER}'), nil)");
        assert_eq!(g.access(&set).is(200).header("x-marked"), Some("yes"));
    }
}

#[test]
fn d01_log_lines_have_every_field() {
    let origin = Origin::echo();
    let g = gateway(origin.port);
    let code = one_line(
        "kong.client.authenticate(kong.client.load_consumer('bob', true), { id = 'k', consumer_id = 'c' })
         kong.log.set_serialize_value('mine.deep', 1)",
    );
    let r = g
        .get(
            "/x?a=1",
            &[("x-access", &code), ("Authorization", "Basic secret")],
        )
        .is(200);
    let l = line(&g, "/x?a=1");
    assert_eq!(l["request"]["method"], "GET");
    assert_eq!(l["request"]["querystring"], json!({ "a": "1" }));
    assert_eq!(l["request"]["headers"]["authorization"], "REDACTED");
    assert!(l["request"]["url"].as_str().unwrap().starts_with("http://"));
    assert_eq!(l["request"]["id"].as_str(), r.header("x-kong-request-id"));
    assert!(l["request"]["size"].as_u64().unwrap() > 20);
    assert_eq!(l["response"]["status"], 200);
    assert!(
        l["response"]["size"].as_u64().unwrap() > r.body.len() as u64 + 100,
        "head and body"
    );
    assert_eq!(l["upstream_uri"], "/x?a=1");
    assert_eq!(l["upstream_status"], "200");
    assert_eq!(l["route"]["id"], ROUTE);
    assert_eq!(l["service"]["port"], origin.port);
    assert_eq!(l["consumer"]["username"], "bob");
    assert_eq!(
        l["authenticated_entity"],
        json!({ "id": "k", "consumer_id": "c" })
    );
    assert_eq!(l["client_ip"], "127.0.0.1");
    assert_eq!(l["source"], "upstream");
    assert_eq!(l["workspace_name"], "default");
    assert_eq!(l["mine"], json!({ "deep": 1 }));
    let tries = l["tries"].as_array().unwrap();
    assert_eq!((tries.len(), &tries[0]["port"]), (1, &json!(origin.port)));
    for name in ["kong", "proxy", "request", "receive"] {
        assert!(l["latencies"][name].as_f64().unwrap() >= 0.0, "{name}");
    }
    // what the gateway or a plugin answers has no upstream
    g.get("/own", &[("x-access", "kong.response.exit(418)")]).is(418);
    let l = line(&g, "/own");
    assert_eq!(
        (&l["source"], &l["response"]["status"]),
        (&json!("kong"), &json!(418))
    );
    assert_eq!(l["latencies"]["proxy"], -1);
}

#[test]
fn d01_the_source_of_an_answer() {
    let origin = Origin::echo();
    let g = gateway(origin.port);
    let mark = "kong.response.set_header('X-Source', kong.response.get_source())";
    let source = |access: &str| {
        let r = g.get("/", &[("x-access", access), ("x-header-filter", mark)]);
        r.header("x-source").unwrap().to_owned()
    };
    assert_eq!(source("local a = 1"), "service");
    assert_eq!(source("kong.response.exit(200)"), "exit");
    assert_eq!(source("kong.response.error(500)"), "exit");
    assert_eq!(source("error('oh')"), "error");
    assert_eq!(source("kong.service.set_target('127.0.0.1', 1)"), "error");
}

#[test]
fn d01_only_headers_of_the_upstream_are_the_services() {
    let origin = Origin::echo();
    let g = gateway(origin.port);
    let code = one_line(
        "kong.response.set_header('X-Late', '1')
         local from = kong.service.response
         kong.response.set_header('X-Seen', table.concat({ tostring(from.get_header('X-Late')),
           tostring(from.get_header('X-Early')), tostring(from.get_header('X-Up') ~= nil),
           tostring(from.get_headers()['X-Late']), from.get_status() }, ' '))",
    );
    let early = "kong.response.set_header('X-Early', '1')";
    let r = g
        .get("/", &[("x-access", early), ("x-header-filter", &code)])
        .is(200);
    assert_eq!(r.header("x-seen"), Some("nil nil true nil 200"));
    assert_eq!((r.header("x-early"), r.header("x-late")), (Some("1"), Some("1")));
}

#[test]
fn d01_statistics_count_connections_and_requests() {
    let origin = Origin::echo();
    let g = gateway(origin.port);
    let ask = || {
        let r = g.get(
            "/",
            &[("x-access", "kong.response.exit(200, kong.nginx.get_statistics())")],
        );
        r.is(200).json()
    };
    let count = |v: &Value, name: &str| v[name].as_u64().unwrap();
    let before = ask();
    let idle: Vec<_> = (0..3)
        .map(|_| {
            let mut client = g.connect();
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(client.answer(false).status, 200);
            client
        })
        .collect();
    let fresh = g.connect();
    assert!(
        eventually(Duration::from_secs(5), || {
            let now = ask();
            count(&now, "connections_waiting") >= 3 && count(&now, "connections_reading") >= 1
        }),
        "{}",
        ask()
    );
    let now = ask();
    assert!(count(&now, "total_requests") >= count(&before, "total_requests") + 4);
    assert!(count(&now, "connections_accepted") >= count(&before, "connections_accepted") + 4);
    assert_eq!(
        count(&now, "connections_accepted"),
        count(&now, "connections_handled")
    );
    let parts = [
        "connections_reading",
        "connections_writing",
        "connections_waiting",
    ];
    let sum: u64 = parts.iter().map(|n| count(&now, n)).sum();
    assert_eq!(sum, count(&now, "connections_active"));
    assert!(count(&now, "connections_writing") >= 1);
    drop((idle, fresh));
    assert!(
        eventually(Duration::from_secs(5), || count(&ask(), "connections_active")
            <= 2),
        "{}",
        ask()
    );
}

#[test]
fn d01_the_nodes_id_stays_and_every_worker_tells_its_memory() {
    let origin = Origin::echo();
    let g = Setup::probe(origin.port)
        .set("nginx_worker_processes", "2")
        .start();
    let id = g
        .access("kong.response.exit(200, kong.node.get_id())")
        .is(200)
        .text();
    let file = std::fs::read_to_string(g.prefix().join("kong.id")).unwrap();
    assert_eq!((id.len(), id.as_str()), (36, file.trim()));
    let code = one_line(
        "local s = kong.node.get_memory_stats() local pids = {}
         for i, w in ipairs(s.workers_lua_vms) do assert(w.http_allocated_gc > 100000) pids[i] = w.pid end
         kong.response.exit(200, pids)",
    );
    let both = || g.access(&code).is(200).json().as_array().unwrap().len() == 2;
    assert!(eventually(Duration::from_secs(15), both));
}
