//! Kong's own zipkin, opentelemetry, prometheus, redirect and others, as they are in a checkout of Kong that
//! `MOONGATE_KONG` names, over real requests, with servers here that take what they send.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::gateway::PROBE;
use crate::support::origin::Seen;
use crate::support::{Gateway, Origin, Setup, eventually, service, with};

/// The plugins' folder of the checkout. A test without one says so and ends.
fn folder() -> Option<PathBuf> {
    let Some(kong) = std::env::var_os("MOONGATE_KONG") else {
        eprintln!("LEFT OUT: set MOONGATE_KONG to a checkout of Kong 3.10 to try its plugins");
        return None;
    };
    Some(PathBuf::from(kong).join("kong/plugins"))
}

/// A server that keeps every request and answers 200.
struct Collector(Origin);

impl Collector {
    fn start() -> Self {
        Self(Origin::answering(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        ))
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.0.port)
    }

    /// Waits until what came is enough.
    fn wait(&self, enough: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let came = eventually(Duration::from_secs(10), || enough(&self.0.seen()));
        let seen = self.0.seen();
        let bodies = seen.iter().map(|s| String::from_utf8_lossy(&s.body));
        assert!(came, "only came: {:?}", bodies.collect::<Vec<_>>());
        seen
    }

    /// Waits for a request.
    fn first(&self) -> Seen {
        self.wait(|seen| !seen.is_empty()).remove(0)
    }
}

fn gateway(
    folder: &std::path::Path,
    name: &str,
    config: Value,
    change: impl FnOnce(Setup) -> Setup,
) -> Gateway {
    let setup = Setup::new(&config)
        .plugin("probe", PROBE)
        .plugin_folder(&folder.join(name));
    change(setup).start()
}

fn configured(port: u16, name: &str, conf: Value) -> Value {
    with(with(service(port), name, conf), "probe", json!({}))
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn traceparent() -> String {
    format!("00-{TRACE}-b7ad6b7169203331-01")
}

#[test]
fn d01_zipkin_reports_spans_as_json() {
    let Some(folder) = folder() else { return };
    let (origin, collector) = (Origin::echo(), Collector::start());
    let conf = json!({
        "http_endpoint": collector.url("/api/v2/spans"), "sample_ratio": 1, "default_header_type": "w3c",
        "static_tags": [{ "name": "static", "value": "ok" }], "queue": { "max_coalescing_delay": 0.1, "max_batch_size": 50 },
    });
    let g = gateway(&folder, "zipkin", configured(origin.port, "zipkin", conf), |s| s);
    let r = g.get("/path", &[("traceparent", &traceparent())]).is(200);
    let sent = r.seen("traceparent").unwrap();
    assert!(sent.starts_with(&format!("00-{TRACE}-")), "{sent}");
    let seen = collector.first();
    assert_eq!(seen.line(), "POST /api/v2/spans HTTP/1.1");
    let spans: Vec<Value> = serde_json::from_slice(&seen.body).unwrap();
    let find = |kind: &str, name: &str| {
        let found = spans.iter().find(|s| s["kind"] == kind && s["name"] == name);
        found.unwrap_or_else(|| panic!("no {kind} {name}: {spans:#?}"))
    };
    let request = find("SERVER", "GET");
    let proxy = find("CLIENT", "GET (proxy)");
    let tried = find("CLIENT", "GET (balancer try 1)");
    assert_eq!(spans.len(), 3);
    for span in &spans {
        assert_eq!(span["traceId"], TRACE);
        assert!(span["duration"].as_f64().unwrap() >= 0.0);
    }
    assert_eq!(request["parentId"], "b7ad6b7169203331");
    assert_eq!(proxy["parentId"], request["id"]);
    assert_eq!(tried["parentId"], request["id"]);
    assert!(sent.contains(proxy["id"].as_str().unwrap()));
    let tags = &request["tags"];
    assert_eq!(tags["http.path"], "/path");
    assert_eq!(tags["http.status_code"], "200");
    assert_eq!(tags["static"], "ok");
    assert_eq!(tried["tags"]["kong.route_name"], "r");
    assert_eq!(tried["remoteEndpoint"]["port"], origin.port);
    let mut annotations: Vec<&str> = [request, proxy]
        .iter()
        .flat_map(|s| s["annotations"].as_array().unwrap())
        .map(|a| a["value"].as_str().unwrap())
        .collect();
    annotations.sort_unstable();
    annotations.retain(|a| *a != "krf"); // only where rewrite ran
    assert_eq!(annotations, ["kaf", "kas", "kbf", "kbs", "khf", "khs", "krs"]);
}

/// The fields of a message: number, and the varint, the bytes or the fixed number.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let (mut n, mut shift) = (0, 0);
        loop {
            let b = bytes[0];
            *bytes = &bytes[1..];
            n |= u64::from(b & 0x7f) << shift;
            if b < 0x80 {
                return n;
            }
            shift += 7;
        }
    }
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let size = match tag & 7 {
            0 => {
                all.push((tag >> 3, varint(&mut bytes).to_le_bytes().to_vec()));
                continue;
            }
            1 => 8,
            2 => varint(&mut bytes) as usize,
            5 => 4,
            other => panic!("wire type {other}"),
        };
        all.push((tag >> 3, bytes[..size].to_vec()));
        bytes = &bytes[size..];
    }
    all
}

fn all_of(bytes: &[u8], number: u64) -> Vec<Vec<u8>> {
    let found = fields(bytes).into_iter().filter(|(n, _)| *n == number);
    found.map(|(_, b)| b).collect()
}

fn one(bytes: &[u8], path: &[u64]) -> Vec<u8> {
    path.iter().fold(bytes.to_vec(), |b, n| all_of(&b, *n).remove(0))
}

fn text(bytes: &[u8], path: &[u64]) -> String {
    String::from_utf8(one(bytes, path)).unwrap()
}

/// Attributes as text, by name; numbers and others as their bytes.
fn attributes(bytes: &[u8], number: u64) -> Vec<(String, Vec<u8>)> {
    let list = all_of(bytes, number);
    let pair = |a: &Vec<u8>| (text(a, &[1]), fields(&one(a, &[2])).remove(0).1);
    list.iter().map(pair).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn d01_opentelemetry_exports_spans_by_otlp() {
    let Some(folder) = folder() else { return };
    let (origin, collector) = (Origin::echo(), Collector::start());
    let conf = json!({
        "traces_endpoint": collector.url("/v1/traces"), "queue": { "max_coalescing_delay": 0.1, "max_batch_size": 50 },
        "headers": { "x-key": "secret" }, "resource_attributes": { "service.name": "mine" }, "sampling_rate": 1,
        "http_response_header_for_traceid": "x-trace",
    });
    let g = gateway(
        &folder,
        "opentelemetry",
        configured(origin.port, "opentelemetry", conf),
        |s| {
            s.set("tracing_instrumentations", "all")
                .set("tracing_sampling_rate", "1")
        },
    );
    let r = g.get("/path", &[("traceparent", &traceparent())]).is(200);
    assert_eq!(r.header("x-trace"), Some(TRACE));
    let sent = r.seen("traceparent").unwrap();
    let seen = collector.first();
    assert_eq!(seen.header("content-type"), Some("application/x-protobuf"));
    assert_eq!(seen.header("x-key"), Some("secret"));
    let resource = one(&seen.body, &[1, 1]);
    let named = attributes(&resource, 1)
        .into_iter()
        .find(|(n, _)| n == "service.name");
    assert_eq!(named.unwrap().1, b"mine");
    assert_eq!(text(&seen.body, &[1, 2, 1, 1]), "kong-internal");
    let spans = all_of(&one(&seen.body, &[1, 2]), 2);
    let names: Vec<String> = spans.iter().map(|s| text(s, &[5])).collect();
    assert!(names.iter().any(|n| n == "kong.router"), "{names:?}");
    assert!(
        names.iter().any(|n| n == "kong.access.plugin.opentelemetry"),
        "{names:?}"
    );
    let root = &spans[names.iter().position(|n| n == "kong").unwrap()];
    let balancer = &spans[names.iter().position(|n| n == "kong.balancer").unwrap()];
    for span in &spans {
        assert_eq!(hex(&one(span, &[1])), TRACE);
        let at = |n| u64::from_le_bytes(one(span, &[n]).try_into().unwrap());
        assert!(at(7) > 1_500_000_000_000_000_000 && at(8) >= at(7));
    }
    assert_eq!(hex(&one(root, &[4])), "b7ad6b7169203331");
    assert_eq!(sent, format!("00-{TRACE}-{}-01", hex(&one(balancer, &[2]))));
    let status = attributes(root, 9)
        .into_iter()
        .find(|(n, _)| n == "http.status_code");
    assert_eq!(status.unwrap().1, 200u64.to_le_bytes());
    // what the parent did not sample is not sent
    let unsampled = traceparent().replace("-01", "-00");
    g.get("/other", &[("traceparent", &unsampled)]).is(200);
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(collector.0.seen().len(), 1);
}

#[test]
fn d01_opentelemetry_exports_lines_of_the_log() {
    let Some(folder) = folder() else { return };
    let (origin, collector) = (Origin::echo(), Collector::start());
    let conf = json!({
        "logs_endpoint": collector.url("/v1/logs"), "queue": { "max_coalescing_delay": 0.1, "max_batch_size": 50 },
    });
    let g = gateway(
        &folder,
        "opentelemetry",
        configured(origin.port, "opentelemetry", conf),
        |s| s,
    );
    g.access("kong.log.err('said ', 1) ngx.log(ngx.WARN, 'warned') ngx.log(ngx.DEBUG, 'not said')")
        .is(200);
    let records = all_of(&one(&collector.first().body, &[1, 2]), 2);
    let bodies: Vec<String> = records.iter().map(|r| text(r, &[5, 1])).collect();
    let at = bodies.iter().position(|b| b == "said 1");
    let said = &records[at.unwrap_or_else(|| panic!("{bodies:?}"))];
    assert_eq!(text(said, &[3]), "ERR");
    assert!(attributes(said, 6).iter().any(|(n, _)| n == "request.id"));
    assert!(bodies.iter().any(|b| b == "warned"), "{bodies:?}");
    assert!(!bodies.iter().any(|b| b == "not said"), "{bodies:?}");
}

#[test]
fn d01_prometheus_counts_requests() {
    let Some(folder) = folder() else { return };
    let origin = Origin::echo();
    let conf = json!({
        "status_code_metrics": true, "latency_metrics": true, "bandwidth_metrics": true,
        "upstream_health_metrics": true,
    });
    let mut config = configured(origin.port, "prometheus", conf);
    config["upstreams"] = json!([{ "name": "pool", "targets": [{ "target": "127.0.0.1:1234" }] }]);
    let g = gateway(&folder, "prometheus", config, |s| s);
    for _ in 0..3 {
        g.get("/", &[]).is(200);
    }
    let mut metrics = String::new();
    let counted = eventually(Duration::from_secs(5), || {
        metrics = g
            .access("require('kong.plugins.prometheus.exporter').collect() ngx.exit(200)")
            .is(200)
            .text();
        metrics.contains("kong_http_requests_total{")
    });
    assert!(counted, "{metrics}");
    let value = |start: &str| -> f64 {
        let line = metrics.lines().find(|l| l.starts_with(start));
        let line = line.unwrap_or_else(|| panic!("no {start} in\n{metrics}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let labels = r#"service="s",route="r",code="200",source="service""#;
    assert!(value(&format!("kong_http_requests_total{{{labels}")) >= 3.0);
    assert!(value(r#"kong_bandwidth_bytes{service="s",route="r",direction="egress""#) > 100.0);
    assert!(value("kong_request_latency_ms_count") >= 3.0);
    assert!(value("kong_nginx_requests_total") >= 3.0);
    assert_eq!(value("kong_datastore_reachable"), 1.0);
    assert_eq!(
        value(
            r#"kong_upstream_target_health{upstream="pool",target="127.0.0.1:1234",address="127.0.0.1:1234",state="healthchecks_off""#
        ),
        1.0
    );
}

#[test]
fn d01_redirect_answers_with_a_place() {
    let Some(folder) = folder() else { return };
    let origin = Origin::echo();
    let conf =
        json!({ "location": "https://there.test/old?x=1", "status_code": 302, "keep_incoming_path": true });
    let g = gateway(
        &folder,
        "redirect",
        configured(origin.port, "redirect", conf),
        |s| s,
    );
    let r = g.get("/new/path?q=a%20b", &[]).is(302);
    assert_eq!(r.header("location"), Some("https://there.test/new/path?q=a%20b"));
    let r = g.get("/bare", &[]).is(302);
    assert_eq!(r.header("location"), Some("https://there.test/bare"));
}

#[test]
fn d01_http_log_and_file_log_tell_of_requests() {
    let Some(folder) = folder() else { return };
    let (origin, collector) = (Origin::echo(), Collector::start());
    let conf = json!({
        "http_endpoint": collector.url("/logs"), "queue": { "max_coalescing_delay": 0.1, "max_batch_size": 50 },
        "custom_fields_by_lua": { "extra": "return 'more'" },
    });
    let config = configured(origin.port, "http-log", conf);
    let file = std::env::temp_dir().join(format!("moongate-file-log-{}", std::process::id()));
    let config = with(config, "file-log", json!({ "path": file.display().to_string() }));
    let g = gateway(&folder, "http-log", config, |s| {
        s.plugin_folder(&folder.join("file-log"))
    });
    g.get("/told", &[]).is(200);
    let told: Value = serde_json::from_slice(&collector.first().body).unwrap();
    let told = &told[0]; // a batch
    assert_eq!(told["request"]["uri"], "/told");
    assert_eq!(told["response"]["status"], 200);
    assert_eq!(told["extra"], "more");
    let written = || std::fs::read_to_string(&file).unwrap_or_default();
    assert!(eventually(Duration::from_secs(5), || written().ends_with('\n')));
    let line: Value = serde_json::from_str(written().trim()).unwrap();
    assert_eq!(line["request"]["uri"], "/told");
    let _ = std::fs::remove_file(&file);
}

/// Waits for a datagram that contains `text`.
fn hears(socket: &UdpSocket, text: &str) -> String {
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut buffer = [0; 65_536];
    loop {
        let n = socket.recv(&mut buffer).expect(text);
        let heard = String::from_utf8_lossy(&buffer[..n]).into_owned();
        if heard.contains(text) {
            return heard;
        }
    }
}

#[test]
fn d01_loggers_tell_of_requests_by_udp() {
    let Some(folder) = folder() else { return };
    let origin = Origin::echo();
    let sockets: Vec<UdpSocket> = (0..4).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let port = |at: usize| sockets[at].local_addr().unwrap().port();
    let queue = json!({ "max_coalescing_delay": 0.1 });
    let at = |i: usize| json!({ "host": "127.0.0.1", "port": port(i), "queue": queue });
    let mut loggly = at(2);
    loggly["key"] = json!("k");
    loggly.as_object_mut().unwrap().remove("queue");
    let config = configured(origin.port, "datadog", at(0));
    let config = with(with(config, "statsd", at(1)), "loggly", loggly);
    let config = with(config, "udp-log", json!({ "host": "127.0.0.1", "port": port(3) }));
    let g = gateway(&folder, "datadog", config, |s| {
        let others = ["statsd", "loggly", "udp-log"];
        others
            .iter()
            .fold(s, |s, name| s.plugin_folder(&folder.join(name)))
    });
    g.get("/told", &[]).is(200);
    let counted = hears(&sockets[0], "kong.request.count");
    assert_eq!(counted, "kong.request.count:1|c|#name:s,status:200,app:kong");
    hears(&sockets[1], "kong.service.s.status.200:1|c");
    assert!(hears(&sockets[2], "/told").starts_with("<14>1 "));
    let line: Value = serde_json::from_str(&hears(&sockets[3], "/told")).unwrap();
    assert_eq!(line["response"]["status"], 200);
}
