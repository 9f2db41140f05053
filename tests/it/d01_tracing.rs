//! Spans of real requests: the gateway's own, those of plugins, and traces that go on from client to upstream.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::gateway::{PROBE, one_line};
use crate::support::{Gateway, Origin, Setup, eventually, free_port, service, with};

/// Writes what spans there were, in the log phase, to the error log as JSON.
const REPORT: &str = r#"
local P = { PRIORITY = 1, VERSION = "1.0.0" }
local hex = require("resty.string").to_hex
function P:access() ngx.sleep(0.001) end
function P:header_filter() end
function P:log()
  local list = {}
  kong.tracing.process_span(function(span)
    list[#list + 1] = {
      name = span.name, kind = span.kind, id = hex(span.span_id), trace = hex(span.trace_id),
      parent = span.parent_id and hex(span.parent_id), sampled = span.should_sample,
      ended = span.end_time_ns ~= nil, took = (span.end_time_ns or 0) - span.start_time_ns,
      attributes = span.attributes, status = span.status,
    }
  end)
  ngx.log(ngx.ERR, "SPANS ", require("cjson").encode(list), " END")
end
return P
"#;

fn setup(port: u16, instrumentations: &str) -> Setup {
    let config = with(with(service(port), "report", json!({})), "probe", json!({}));
    Setup::new(&config)
        .plugin("report", REPORT)
        .plugin("probe", PROBE)
        .set("tracing_instrumentations", instrumentations)
        .set("tracing_sampling_rate", "1")
}

/// The spans of the request that ended last, with as many requests before it.
fn spans(g: &Gateway, nth: usize) -> Vec<Value> {
    let found = || {
        let all = g.errors();
        let line = all.lines().filter(|l| l.contains("SPANS ")).nth(nth)?.to_owned();
        let text = line.split_once("SPANS ")?.1.rsplit_once(" END")?.0.to_owned();
        Some(text)
    };
    assert!(
        eventually(Duration::from_secs(5), || found().is_some()),
        "{}",
        g.errors()
    );
    match serde_json::from_str(&found().unwrap()).unwrap() {
        Value::Array(list) => list,
        other => panic!("no list: {other}"),
    }
}

fn names(spans: &[Value]) -> Vec<&str> {
    spans.iter().map(|s| s["name"].as_str().unwrap()).collect()
}

fn named<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    let found = spans.iter().find(|s| s["name"] == name);
    found.unwrap_or_else(|| panic!("no span {name}: {:?}", names(spans)))
}

#[test]
fn d01_every_step_of_a_request_is_a_span() {
    let origin = Origin::echo();
    let g = setup(origin.port, "all").start();
    g.get("/path?q=1", &[("x-access", "ngx.sleep(0.02)")]).is(200);
    let all = spans(&g, 0);
    for name in [
        "kong.router",
        "kong.rewrite.plugin.probe",
        "kong.access.plugin.probe",
        "kong.access.plugin.report",
        "kong.header_filter.plugin.report",
        "kong.balancer",
    ] {
        let span = named(&all, name);
        assert_eq!(span["trace"], all[0]["trace"], "{name}");
        assert_eq!(span["parent"], all[0]["id"], "{name}");
        assert_eq!(span["ended"], true, "{name}");
        assert!(span["took"].as_f64().unwrap() >= 0.0, "{name}");
    }
    let root = &all[0];
    assert_eq!((&root["name"], &root["kind"]), (&json!("kong"), &json!(2)));
    assert_eq!(root["parent"], Value::Null);
    let attributes = &root["attributes"];
    assert_eq!(attributes["http.method"], "GET");
    assert_eq!(attributes["http.url"], "http://test.local/path?q=1");
    assert_eq!(attributes["http.status_code"], 200);
    assert_eq!(attributes["http.route"], "/");
    assert_eq!(attributes["http.flavor"], "1.1");
    assert_eq!(attributes["net.peer.ip"], "127.0.0.1");
    assert_eq!(attributes["kong.request.id"].as_str().unwrap().len(), 32);
    assert!(named(&all, "kong.access.plugin.probe")["took"].as_f64().unwrap() > 19e6);
    assert!(root["took"].as_f64().unwrap() > 19e6);
    let balancer = named(&all, "kong.balancer");
    assert_eq!(balancer["kind"], 3);
    assert_eq!(balancer["attributes"]["net.peer.port"], origin.port);
    assert_eq!(balancer["attributes"]["try_count"], 1);
}

#[test]
fn d01_only_the_chosen_steps_are_and_none_when_off() {
    let origin = Origin::echo();
    let g = setup(origin.port, "request").start();
    g.get("/", &[]).is(200);
    assert_eq!(names(&spans(&g, 0)), ["kong"]);
    let g = setup(origin.port, "router,plugin_access").start();
    g.get("/", &[]).is(200);
    let all = spans(&g, 0);
    assert_eq!(
        names(&all),
        [
            "kong",
            "kong.router",
            "kong.access.plugin.probe",
            "kong.access.plugin.report"
        ]
    );
    let g = setup(origin.port, "off").start();
    let off = g.access("ngx.say(kong.tracing.name, ' ', tostring(ngx.ctx.KONG_SPANS)) ngx.exit(200)");
    assert_eq!(off.is(200).text().trim(), "noop nil");
}

#[test]
fn d01_a_plugin_adds_spans_of_its_own() {
    let origin = Origin::echo();
    let g = setup(origin.port, "request").start();
    let code = "local s = kong.tracing.start_span('mine', { span_kind = 3 }) s:set_attribute('k', 'v') \
                kong.tracing.set_active_span(s) local inner = kong.tracing.start_span('inner') inner:finish() \
                s:record_error('oh') s:set_status(2) s:finish()";
    g.access(code).is(200);
    let all = spans(&g, 0);
    assert_eq!(names(&all), ["kong", "mine", "inner"]);
    assert_eq!(all[1]["parent"], all[0]["id"]);
    assert_eq!(all[2]["parent"], all[1]["id"]);
    assert_eq!(
        (&all[1]["attributes"]["k"], &all[1]["status"]),
        (&json!("v"), &json!(2))
    );
    // the next request begins with none of them
    g.get("/", &[]).is(200);
    assert_eq!(names(&spans(&g, 1)), ["kong"]);
}

#[test]
fn d01_exits_errors_and_unknown_routes_end_their_spans() {
    let origin = Origin::echo();
    let mut config = with(
        with(service(origin.port), "report", json!({})),
        "probe",
        json!({}),
    );
    config["services"][0]["routes"][0]["paths"] = json!(["/known"]);
    let g = Setup::new(&config)
        .plugin("report", REPORT)
        .plugin("probe", PROBE)
        .set("tracing_instrumentations", "all")
        .set("tracing_sampling_rate", "1")
        .start();
    g.get("/known", &[("x-access", "kong.response.exit(403)")])
        .is(403);
    let exited = spans(&g, 0);
    assert_eq!(named(&exited, "kong.access.plugin.probe")["ended"], true);
    assert_eq!(named(&exited, "kong")["attributes"]["http.status_code"], 403);
    g.get("/known", &[("x-access", "error('oh no')")]).is(500);
    let failed = spans(&g, 1);
    assert_eq!(named(&failed, "kong.access.plugin.probe")["status"], 2);
    g.get("/other", &[]).is(404);
    let unknown = spans(&g, 2);
    assert_eq!(named(&unknown, "kong.router")["status"], 2);
    assert_eq!(named(&unknown, "kong")["attributes"]["http.route"], "");
    g.get("/known", &[("x-rewrite", "kong.response.exit(401)")])
        .is(401);
    let early = spans(&g, 3);
    assert!(!names(&early).contains(&"kong.router"), "{early:?}");
    assert_eq!(named(&early, "kong")["attributes"]["http.status_code"], 401);
    for span in [exited, failed, unknown, early].concat() {
        assert_eq!(span["ended"], true, "{span}");
    }
}

#[test]
fn d01_a_failed_try_is_a_span_of_its_own() {
    let origin = Origin::echo();
    let dead = free_port();
    let config = json!({
        "_format_version": "3.0",
        "upstreams": [{ "name": "pool", "targets": [
            { "target": format!("127.0.0.1:{dead}"), "weight": 1 },
            { "target": format!("127.0.0.1:{}", origin.port), "weight": 1 },
        ] }],
        "services": [{ "name": "s", "host": "pool", "routes": [{ "name": "r", "paths": ["/"] }] }],
        "plugins": [{ "name": "report", "config": {} }],
    });
    let g = Setup::new(&config)
        .plugin("report", REPORT)
        .set("tracing_instrumentations", "request,balancer")
        .set("tracing_sampling_rate", "1")
        .start();
    for _ in 0..4 {
        g.get("/", &[]).is(200);
    }
    let two = (0..4).map(|i| spans(&g, i)).find(|s| s.len() == 3);
    let two = two.expect("no request tried twice");
    assert_eq!(two[1]["attributes"]["net.peer.port"], dead);
    assert_eq!(two[1]["status"], 2);
    assert_eq!(two[2]["attributes"]["net.peer.port"], origin.port);
    assert_eq!(two[2]["attributes"]["try_count"], 2);
}

#[test]
fn d01_names_looked_up_and_calls_by_http_are_spans() {
    let origin = Origin::echo();
    let mut config = with(
        with(service(origin.port), "report", json!({})),
        "probe",
        json!({}),
    );
    config["services"][0]["host"] = json!("localhost");
    let g = Setup::new(&config)
        .plugin("report", REPORT)
        .plugin("probe", PROBE)
        .set("tracing_instrumentations", "dns_query,http_client")
        .set("tracing_sampling_rate", "1")
        .start();
    let code = format!(
        "local http = require('resty.http').new() \
         assert(http:request_uri('http://127.0.0.1:{}/inner', {{ method = 'PUT' }})) \
         http:request_uri('http://127.0.0.1:1/none') assert(kong.dns.toip('localhost', 80))",
        origin.port
    );
    g.access(&code).is(200);
    let all = spans(&g, 0);
    assert_eq!(
        names(&all),
        [
            "kong",
            "kong.internal.request",
            "kong.internal.request",
            "kong.dns",
            "kong.dns"
        ]
    );
    let call = &all[1]["attributes"];
    assert_eq!(
        call["http.url"],
        format!("http://127.0.0.1:{}/inner", origin.port)
    );
    assert_eq!(call["http.method"], "PUT");
    assert_eq!(call["http.status_code"], 200);
    assert_eq!(all[2]["attributes"]["http.status_code"], Value::Null);
    for (at, port) in [(3, 80), (4, origin.port)] {
        assert_eq!(all[at]["attributes"]["dns.record.domain"], "localhost");
        assert_eq!(all[at]["attributes"]["dns.record.port"], port);
        assert_eq!(all[at]["attributes"]["dns.record.ip"], "127.0.0.1");
    }
}

#[test]
fn d01_half_of_the_traces_are_sampled() {
    let origin = Origin::echo();
    let g = setup(origin.port, "request")
        .set("tracing_sampling_rate", "0.5")
        .start();
    let mut client = g.connect();
    for _ in 0..60 {
        client.ask("GET", "/", &[], b"").is(200);
    }
    let sampled = (0..60).filter(|i| spans(&g, *i)[0]["sampled"] == true).count();
    assert!((10..50).contains(&sampled), "{sampled} of 60");
}

#[test]
fn d01_a_trace_goes_on_from_client_to_upstream() {
    let origin = Origin::echo();
    let g = setup(origin.port, "all").start();
    let code = "local p = require('kong.observability.tracing.propagation') \
                p.propagate({ extract = { 'b3', 'w3c' }, inject = { 'preserve', 'b3-single', 'datadog' }, \
                clear = { 'x-gone' }, default_format = 'w3c' }, function(c) \
                local span = require('kong.observability.tracing.tracing_context').get_unlinked_span('balancer') \
                c.span_id = span.span_id if not c.trace_id then c.trace_id = span.trace_id end return c end)";
    let code = one_line(code);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let headers = [
        ("traceparent", parent.as_str()),
        ("x-gone", "1"),
        ("x-access", &code),
    ];
    let r = g.get("/", &headers).is(200);
    let sent = r.seen("traceparent").unwrap();
    let balancer = named(&spans(&g, 0), "kong.balancer")["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(sent, format!("00-{trace}-{balancer}-01"));
    assert_eq!(r.seen("b3").unwrap(), format!("{trace}-{balancer}-1"));
    assert_eq!(r.seen("x-datadog-trace-id").unwrap(), "9532127138774266268");
    assert_eq!(r.seen("x-gone"), None);
    // without one, a trace begins here
    let r = g.get("/", &[("x-access", &code)]).is(200);
    let all = spans(&g, 1);
    assert!(
        r.seen("traceparent")
            .unwrap()
            .contains(all[0]["trace"].as_str().unwrap())
    );
}

#[test]
fn d01_settings_of_tracing_are_judged() {
    let refused = |key: &str, value: &str| Setup::bare().set(key, value).refused().1;
    let said = refused("tracing_instrumentations", "everything");
    assert!(said.contains("invalid tracing type: everything"), "{said}");
    let said = refused("tracing_instrumentations", "off,router");
    assert!(
        said.contains("invalid tracing types: off, other types are mutually exclusive"),
        "{said}"
    );
    let said = refused("tracing_sampling_rate", "2");
    assert!(
        said.contains("tracing_sampling_rate must be between 0 and 1"),
        "{said}"
    );
}
