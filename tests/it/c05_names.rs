//! Names of upstreams through the whole gateway, against a DNS server of our own.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::dns::{A, SRV, Say, a, srv};
use crate::support::{Dns, Gateway, Origin, Setup, eventually, free_port, with};

/// One service at `host:port`, the probe as a global plugin.
fn config(host: &str, port: u16) -> Value {
    let config = json!({ "_format_version": "3.0", "services": [{
        "name": "s", "host": host, "port": port, "retries": 0, "connect_timeout": 3000,
        "routes": [{ "name": "r", "paths": ["/"], "strip_path": false }],
    }], "plugins": [] });
    with(config, "probe", json!({}))
}

fn start(config: &Value, dns: &Dns, set: &[(&str, &str)]) -> Gateway {
    let mut setup = Setup::new(config)
        .plugin("probe", crate::support::gateway::PROBE)
        .set("dns_resolver", &dns.addr.to_string());
    for (key, value) in set {
        setup = setup.set(key, value);
    }
    setup.start()
}

/// Who answers at `ip:port`.
fn origin(ip: &str, port: u16, says: &'static str) {
    let listener = std::net::TcpListener::bind((ip, port)).unwrap();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for stream in listener.incoming().take(500) {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).is_ok_and(|n| n > 0) {
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{says}", says.len());
                    if stream.write_all(head.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
}

fn asked(gateway: &Gateway) -> String {
    gateway.get("/", &[]).text()
}

#[test]
fn c05_a_services_name_is_looked_up_and_remembered() {
    let (dns, upstream) = (Dns::new(), Origin::echo());
    dns.host("up.test", 60, &["127.0.0.1"]);
    for modern in ["off", "on"] {
        let gateway = start(
            &config("up.test", upstream.port),
            &dns,
            &[
                ("new_dns_client", modern),
                ("resolver_address", &dns.addr.to_string()),
            ],
        );
        let before = dns.count("up.test", A);
        for _ in 0..20 {
            gateway.get("/", &[]).is(200);
        }
        assert_eq!(dns.count("up.test", A) - before, 1, "new_dns_client = {modern}");
        assert_eq!(
            upstream.last().header("host"),
            Some(format!("up.test:{}", upstream.port)).as_deref()
        );
    }
}

#[test]
fn c05_a_changed_name_reaches_the_next_connection() {
    let (dns, port) = (Dns::new(), free_port());
    origin("127.0.0.2", port, "old");
    origin("127.0.0.3", port, "new");
    dns.host("up.test", 1, &["127.0.0.2"]);
    let gateway = start(&config("up.test", port), &dns, &[]);
    assert_eq!(asked(&gateway), "old");
    dns.host("up.test", 60, &["127.0.0.3"]);
    // the kept connection to the old address is still open, and is passed over
    assert!(eventually(Duration::from_secs(5), || asked(&gateway) == "new"));
    for _ in 0..10 {
        assert_eq!(asked(&gateway), "new");
    }
}

#[test]
fn c05_a_dead_server_leaves_stale_names() {
    let (dns, upstream) = (Dns::new(), Origin::echo());
    dns.host("up.test", 1, &["127.0.0.1"]);
    let gateway = start(&config("up.test", upstream.port), &dns, &[]);
    gateway.get("/", &[]).is(200);
    std::thread::sleep(Duration::from_millis(1200));
    dns.dead(true);
    for _ in 0..10 {
        let began = std::time::Instant::now();
        gateway.get("/", &[]).is(200);
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "nobody waits for the server"
        );
    }
}

#[test]
fn c05_without_an_address_kong_answers_by_the_reason() {
    let dns = Dns::new();
    for kind in [SRV, A] {
        dns.set("refused.test", kind, Say::Code(5));
    }
    dns.set("refused.test", 5, Say::Code(5));
    let gateway = start(&config("none.test", 80), &dns, &[]);
    let r = gateway.get("/", &[]).is(503);
    assert_eq!(r.json()["message"], "name resolution failed");
    gateway.logged(
        "DNS resolution failed: dns server error: 3 name error. Tried: [\"(short)none.test:(na) - cache-miss\"",
    );
    let lua = "kong.service.set_target('refused.test', 80)";
    let r = gateway.get("/", &[("x-access", lua)]).is(500);
    assert_eq!(
        r.json()["message"],
        "failed the initial dns/balancer resolve for 'refused.test' with: dns server error: 5 refused"
    );
}

#[test]
fn c05_set_target_takes_names_and_services() {
    let (dns, upstream) = (Dns::new(), Origin::echo());
    dns.host("plugin.test", 60, &["127.0.0.1"]);
    let place = |port| srv("_web._tcp.test", 60, (1, 1, port), "plugin.test");
    dns.set("_web._tcp.test", SRV, Say::Records(vec![place(upstream.port)]));
    let gateway = start(&config("127.0.0.1", 1), &dns, &[]);
    let lua = format!("kong.service.set_target('plugin.test', {})", upstream.port);
    gateway.get("/", &[("x-access", lua.as_str())]).is(200);
    let lua = "kong.service.set_target('_web._tcp.test', 1)";
    gateway.get("/", &[("x-access", lua)]).is(200);
}

#[test]
fn c05_a_service_has_a_port_and_a_name_of_its_own() {
    let (dns, upstream) = (Dns::new(), Origin::echo());
    dns.host("end.test", 60, &["127.0.0.1"]);
    let place = srv("web.test", 60, (1, 1, upstream.port), "end.test");
    dns.set("web.test", SRV, Say::Records(vec![place]));
    for (use_srv_name, name) in [(false, "web.test"), (true, "end.test")] {
        let mut config = config("pool", 80);
        config["upstreams"] = json!([{ "name": "pool", "use_srv_name": use_srv_name,
            "targets": [{ "target": "web.test:1" }] }]);
        let gateway = start(&config, &dns, &[]);
        gateway.get("/", &[]).is(200);
        let host = format!("{name}:{}", upstream.port);
        assert_eq!(upstream.last().header("host"), Some(host.as_str()));
    }
}

#[test]
fn c05_several_addresses_are_tried() {
    let (dns, port) = (Dns::new(), free_port());
    origin("127.0.0.3", port, "third");
    dns.host("up.test", 60, &["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    let gateway = start(&config("up.test", port), &dns, &[]);
    for _ in 0..6 {
        assert_eq!(asked(&gateway), "third");
    }
}

#[test]
fn c05_targets_of_upstreams_are_names() {
    let (dns, port) = (Dns::new(), free_port());
    origin("127.0.0.2", port, "two");
    origin("127.0.0.3", port, "three");
    dns.host("two.test", 60, &["127.0.0.2"]);
    dns.host("three.test", 60, &["127.0.0.3"]);
    let mut config = config("pool", 80);
    config["upstreams"] = json!([{ "name": "pool", "targets": [
        { "target": format!("two.test:{port}"), "weight": 100 },
        { "target": format!("three.test:{port}"), "weight": 100 },
    ] }]);
    let gateway = start(&config, &dns, &[]);
    let mut counts = [0; 2];
    for _ in 0..20 {
        counts[usize::from(asked(&gateway) == "three")] += 1;
    }
    assert_eq!(counts, [10, 10]);
}

#[test]
fn c05_plugins_look_names_up() {
    let (dns, upstream) = (Dns::new(), Origin::echo());
    dns.host("a.test", 60, &["127.0.0.1", "127.0.0.2"]);
    dns.set(
        "_s._tcp.test",
        SRV,
        Say::Records(vec![srv("_s._tcp.test", 60, (1, 2, 99), "a.test")]),
    );
    dns.set(
        "six.test",
        28,
        Say::Records(vec![crate::support::dns::aaaa("six.test", 60, "fd00::1")]),
    );
    let gateway = start(
        &config("127.0.0.1", upstream.port),
        &dns,
        &[("dns_order", "LAST,SRV,A,AAAA,CNAME")],
    );
    let ask = |lua: &str| {
        let lua = format!(
            "local function said(...) local t = {{...}} for i = 1, select('#', ...) do t[i] = \
            tostring(t[i]) end return kong.response.exit(200, table.concat(t, ' ')) end {lua}"
        );
        gateway.get("/", &[("x-access", lua.as_str())]).is(200).text()
    };
    assert_eq!(
        ask("return said(kong.dns.toip('a.test', 80))"),
        "127.0.0.1 80 [\"(short)a.test:(na) - cache-miss\",\"a.test:33 - cache-miss/querying/dns client error: 101 \
         empty record received\",\"a.test:1 - cache-miss/querying\"]"
    );
    assert_eq!(
        ask("return said(kong.dns.toip('a.test', 80))"),
        "127.0.0.2 80 [\"(short)a.test:(na) - cache-hit\"]"
    );
    assert!(ask("return said(kong.dns.toip('_s._tcp.test', 1))").starts_with("127.0.0.1 99 "));
    assert!(ask("return said(kong.dns.toip('a.test'))").starts_with("127.0.0.2 nil "));
    assert!(ask("return said(kong.dns.toip('six.test', 1))").starts_with("[fd00:0:0:0:0:0:0:1] 1 "));
    assert!(
        ask("return said(kong.dns.toip('no.test', 1))").starts_with("nil dns server error: 3 name error [")
    );
    assert!(ask("return said(kong.dns.toip('::1', 1))").starts_with("[::1] 1 "));
    assert_eq!(
        ask(
            "local r = kong.dns.resolve('_s._tcp.test', { qtype = kong.dns.TYPE_SRV }) \
             local s = r[1] return said(#r, s.type, s.port, s.weight, s.priority, s.target, s.ttl, r.ttl, \
             r.expired, r.expire > ngx.now(), package.loaded['kong.resty.dns.client'] == kong.dns)"
        ),
        "1 33 99 2 1 a.test 60 60 false true true"
    );
    // where a handler may not wait, what is known is given
    let log =
        "kong.log.err('known ', (kong.dns.toip('a.test', 1)), ' ', select(2, kong.dns.toip('new.test', 1)))";
    gateway.get("/", &[("x-log", log)]).is(200);
    gateway.logged("known 127.0.0.");
    gateway.logged("dns server error: 100 cache only lookup failed");
    assert_eq!(dns.count("new.test", A), 0);
}

#[test]
fn c05_cosockets_follow_a_changed_name() {
    let (dns, upstream, port) = (Dns::new(), Origin::echo(), free_port());
    origin("127.0.0.2", port, "old");
    origin("127.0.0.3", port, "new");
    dns.set("up.test", A, Say::Records(vec![a("up.test", 1, "127.0.0.2")]));
    let gateway = start(&config("127.0.0.1", upstream.port), &dns, &[("dns_order", "A")]);
    let lua = format!(
        "local s = ngx.socket.tcp() local ok, e = s:connect('up.test', {port}) \
         if not ok then return kong.response.exit(200, e) end s:send('GET') \
         local line for i = 1, 3 do line = s:receive() end local body = s:receive(3) s:setkeepalive(10000) \
         return kong.response.exit(200, body)"
    );
    let ask = || gateway.get("/", &[("x-access", lua.as_str())]).is(200).text();
    assert_eq!(ask(), "old");
    dns.set("up.test", A, Say::Records(vec![a("up.test", 60, "127.0.0.3")]));
    assert!(eventually(Duration::from_secs(5), || ask() == "new"));
    assert_eq!(ask(), "new");
    let lua = "local _, e = ngx.socket.tcp():connect('no.test', 1) return kong.response.exit(200, e)";
    let e = gateway.get("/", &[("x-access", lua)]).text();
    assert!(
        e.starts_with("[cosocket] DNS resolution failed: dns server error: 3 name error. Tried: ["),
        "{e}"
    );
}

#[test]
fn c05_search_domains_and_the_hosts_file() {
    let (dns, upstream) = (Dns::new(), Origin::echo());
    dns.host("short.two.test", 60, &["127.0.0.1"]);
    let setup = Setup::new(&config("short", upstream.port)).plugin("probe", crate::support::gateway::PROBE);
    let hosts = setup.dir().join("hosts");
    std::fs::write(&hosts, "127.0.0.1 mine.test\n").unwrap();
    let gateway = setup
        .set("dns_resolver", &dns.addr.to_string())
        .set("dns_hostsfile", &hosts.display().to_string())
        .var("LOCALDOMAIN", "one.test two.test")
        .start();
    gateway.get("/", &[]).is(200);
    let lua = format!("kong.service.set_target('mine.test', {})", upstream.port);
    gateway.get("/", &[("x-access", lua.as_str())]).is(200);
    let lua = lua.replace("mine", "other");
    gateway.get("/", &[("x-access", lua.as_str())]).is(503);
    std::fs::write(&hosts, "127.0.0.1 mine.test other.test\n").unwrap();
    assert!(eventually(Duration::from_secs(10), || {
        gateway.get("/", &[("x-access", lua.as_str())]).status == 200
    }));
}
