//! `kong.service` by its effects over sockets.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::gateway::PROBE;
use crate::support::{Gateway, Origin, Setup, free_port, service, with};

const TWO_TRIES: &str = "kong.service.set_retries(1)";

fn gateway(port: u16, change: impl FnOnce(&mut serde_json::Value)) -> Gateway {
    let mut config = with(service(port), "probe", json!({}));
    change(&mut config);
    Setup::new(&config).plugin("probe", PROBE).start()
}

/// The Host that an upstream got.
fn host(gateway: &Gateway, path: &str, lua: &str) -> String {
    let code = crate::support::gateway::one_line(lua);
    let r = gateway.get(path, &[("x-access", &code), ("Host", "client.test")]);
    r.is(200).seen("host").unwrap()
}

#[test]
fn c01_who_sets_the_host_last() {
    let origin = Origin::echo();
    let port = origin.port;
    let g = gateway(port, |config| {
        config["services"][0]["routes"][0]["name"] = json!("plain");
        let kept = json!({ "name": "kept", "paths": ["/kept"], "preserve_host": true });
        config["services"][0]["routes"].as_array_mut().unwrap().push(kept);
        config["upstreams"] = json!([
            { "name": "pool", "targets": [{ "target": format!("127.0.0.1:{port}") }] },
            { "name": "named", "host_header": "mine.test", "targets": [{ "target": format!("localhost:{port}") }] },
        ]);
    });
    let target = format!("kong.service.set_target('localhost', {port})");
    assert_eq!(host(&g, "/", ""), format!("127.0.0.1:{port}"));
    assert_eq!(host(&g, "/kept", ""), "client.test");
    assert_eq!(host(&g, "/", &target), "localhost");
    assert_eq!(host(&g, "/kept", &target), "localhost");
    let set = "kong.service.request.set_header('Host', 'set.test')";
    assert_eq!(host(&g, "/", &format!("{target} {set}")), "set.test");
    assert_eq!(host(&g, "/", &format!("{set} {target}")), "localhost");
    assert_eq!(
        host(&g, "/", "assert(kong.service.set_upstream('pool'))"),
        format!("127.0.0.1:{port}")
    );
    assert_eq!(
        host(&g, "/kept", "assert(kong.service.set_upstream('pool'))"),
        "client.test"
    );
    assert_eq!(
        host(
            &g,
            "/",
            &format!("{set} assert(kong.service.set_upstream('pool'))")
        ),
        "set.test"
    );
    assert_eq!(
        host(&g, "/", "assert(kong.service.set_upstream('named'))"),
        format!("mine.test:{port}")
    );
    // a name of an Upstream is balanced, whoever says it and however the service's host is written
    assert_eq!(host(&g, "/", "kong.service.set_target('pool', 1)"), "pool");
    assert_eq!(
        host(&g, "/", "ngx.ctx.balancer_data.host = 'pool'"),
        format!("127.0.0.1:{port}")
    );
    assert_eq!(host(&g, "/", "ngx.var.upstream_host = 'var.test'"), "var.test");
}

#[test]
fn c01_a_target_chosen_in_rewrite_holds() {
    let (one, two) = (Origin::echo(), Origin::echo());
    let g = gateway(one.port, |_| {});
    let code = format!("kong.service.set_target('127.0.0.1', {})", two.port);
    let r = g.get("/", &[("x-rewrite", &code)]).is(200);
    assert_eq!(r.seen("host").unwrap(), "127.0.0.1");
    assert_eq!((one.seen().len(), two.seen().len()), (0, 1));
}

#[test]
fn c01_routes_without_a_service() {
    let origin = Origin::echo();
    let g = gateway(origin.port, |config| {
        config["routes"] = json!([{ "name": "alone", "paths": ["/alone"] }]);
        config["upstreams"] = json!([
            { "name": "pool", "targets": [{ "target": format!("127.0.0.1:{}", origin.port) }] },
        ]);
    });
    let r = g.get("/alone", &[]).is(503);
    assert!(
        r.text().contains("no Service found with those values"),
        "{}",
        r.text()
    );
    for code in [
        format!("kong.service.set_target('127.0.0.1', {})", origin.port),
        "assert(kong.service.set_upstream('pool'))".into(),
        format!(
            "local d = ngx.ctx.balancer_data d.host, d.port = '127.0.0.1', {}",
            origin.port
        ),
    ] {
        g.get("/alone", &[("x-access", &code)]).is(200);
    }
    let names = "local n = {} for k in pairs(ngx.ctx.balancer_data) do n[#n + 1] = k end table.sort(n)
        kong.response.exit(200, table.concat(n, ' '))";
    let code = crate::support::gateway::one_line(names);
    let r = g.get("/alone", &[("x-access", &code)]).is(200);
    assert!(
        r.text()
            .contains("connect_timeout read_timeout retries scheme send_timeout tries try_count type")
    );
}

#[test]
fn c01_balancer_data_is_read_back() {
    let origin = Origin::echo();
    let g = gateway(origin.port, |_| {});
    let closed = free_port();
    // fields in and out
    let code = format!(
        "local d = ngx.ctx.balancer_data
         assert(d.host == '127.0.0.1' and d.port == {port} and d.type == 'ipv4' and d.scheme == 'http')
         assert(d.retries == 0 and d.try_count == 0 and #d.tries == 0 and d.connect_timeout == 60000)
         assert(d.send_timeout == 60000 and d.read_timeout == 60000 and d.preserve_host == nil)
         kong.service.set_target('localhost', {port}) assert(d.host == 'localhost' and d.port == {port})
         kong.service.set_retries(7) assert(d.retries == 7)
         kong.service.set_timeouts(1000, 2000, 3000)
         assert(d.connect_timeout == 1000 and d.send_timeout == 2000 and d.read_timeout == 3000)
         d.host, d.port, d.retries = '127.0.0.1', '{port}', -5",
        port = origin.port
    );
    let seen = "local d = ngx.ctx.balancer_data local t = d.tries[1]
        ngx.header['x-data'] = table.concat({ d.try_count, #d.tries, d.ip, d.port, d.hostname, t.ip, t.port,
          tostring(t.state), t.balancer_latency, tostring(t.balancer_start > 1e12) }, ' ')";
    let (code, seen) = (
        crate::support::gateway::one_line(&code),
        crate::support::gateway::one_line(seen),
    );
    let r = g
        .get("/", &[("x-access", &code), ("x-header-filter", &seen)])
        .is(200);
    let port = origin.port;
    assert_eq!(
        r.header("x-data").unwrap(),
        format!("1 1 127.0.0.1 {port} 127.0.0.1 127.0.0.1 {port} nil 0 true")
    );
    // junk changes nothing, a new table counts
    let r = g.access(
        "local d = ngx.ctx.balancer_data d.host = {} d.port = 'x' d.read_timeout = 0/0 d.retries = 1.5",
    );
    r.is(200);
    let r = g.access(&format!(
        "ngx.ctx.balancer_data = {{ host = '127.0.0.1', port = {closed} }}"
    ));
    r.is(502);
    g.access("ngx.ctx = {}").is(200);
    g.access("ngx.ctx.balancer_data = 5").is(200);
    let code = format!("ngx.ctx = {{}} kong.service.set_target('127.0.0.1', {closed})");
    g.access(&code).is(502);
}

#[test]
fn c01_a_retry_callback_moves_the_next_try() {
    let origin = Origin::echo();
    let (one, two) = (free_port(), free_port());
    let g = gateway(one, |_| {});
    let port = origin.port;
    let ask = |lua: String| {
        let code = crate::support::gateway::one_line(&lua);
        g.get(
            "/",
            &[
                ("x-access", &code),
                (
                    "x-log",
                    "kong.log.warn('calls ', tostring(kong.ctx.shared.calls))",
                ),
            ],
        )
    };
    // not before the first try; before each retry; by set_target
    let r = ask(format!(
        "kong.service.set_retries(3) local ports = {{ {two}, {port} }}
         kong.service.set_target_retry_callback(function()
           kong.ctx.shared.calls = (kong.ctx.shared.calls or 0) + 1
           assert(ngx.get_phase() == 'balancer')
           local d = ngx.ctx.balancer_data
           assert(d.try_count == kong.ctx.shared.calls and d.tries[d.try_count].state == 'failed')
           assert(d.tries[d.try_count].code == 502)
           kong.service.set_target('127.0.0.1', ports[kong.ctx.shared.calls])
           return true
         end)"
    ));
    assert_eq!(r.is(200).seen("host").unwrap(), format!("127.0.0.1:{port}"));
    g.logged("calls 2");
    // by balancer_data, and the Host of set_target stays
    let r = ask(format!(
        "{TWO_TRIES} kong.service.set_target('localhost', {one})
         kong.service.set_target_retry_callback(function()
           local d = ngx.ctx.balancer_data d.host, d.port = '127.0.0.1', {port} return true
         end)"
    ));
    assert_eq!(r.is(200).seen("host").unwrap(), "localhost");
    // set_target again: the last writer wins
    let r = ask(format!(
        "{TWO_TRIES} kong.service.set_target('first.test', {one}) ngx.ctx.balancer_data.host = '127.0.0.1'
         kong.service.set_target_retry_callback(function()
           kong.service.set_target('localhost', {port}) kong.service.request.set_header('X-Try', 'two') return true
         end)"
    ))
    .is(200);
    assert_eq!(r.seen("host").unwrap(), "localhost");
    assert_eq!(r.seen("x-try").unwrap(), "two");
    // the callback's plugin is the running one
    ask(format!(
        "{TWO_TRIES} kong.ctx.plugin.port = {port}
         kong.service.set_target_retry_callback(function()
           kong.service.set_target('127.0.0.1', kong.ctx.plugin.port) return true
         end)"
    ))
    .is(200);
}

#[test]
fn c01_a_retry_callback_may_refuse() {
    let closed = free_port();
    let g = gateway(closed, |config| {
        config["upstreams"] =
            json!([{ "name": "pool", "targets": [{ "target": format!("127.0.0.1:{closed}") }] }]);
    });
    for (body, logged) in [
        ("return nil, 'no more'", "retry handler failed: no more"),
        ("return false", "retry handler failed: false"),
        ("", "retry handler failed: nil"),
        ("error('broken callback')", "broken callback"),
        ("ngx.sleep(0.01) return true", "retry handler failed: "),
        ("coroutine.yield() return true", "retry handler failed: "),
    ] {
        let code = format!("{TWO_TRIES} kong.service.set_target_retry_callback(function() {body} end)");
        let r = g.access(&code).is(503);
        assert!(
            r.text().contains("failure to get a peer from retry handler"),
            "{body}: {}",
            r.text()
        );
        g.logged(logged);
    }
    // never for an Upstream, nor before a first try that is the only one
    let refusing = "kong.service.set_target_retry_callback(function() kong.log.err('ASKED') end)";
    g.access(&format!(
        "kong.service.set_retries(2) kong.service.set_upstream('pool') {refusing}"
    ))
    .is(502);
    g.access(&format!("kong.service.set_retries(0) {refusing}"))
        .is(502);
    assert!(!g.errors().contains("ASKED"));
    // a callback that exits, or that runs for ever, ends with the request
    g.access(&format!(
        "{TWO_TRIES} kong.service.set_target_retry_callback(function() ngx.exit(404) return true end)"
    ))
    .is(502);
}

#[test]
fn c01_set_retries_and_set_timeouts() {
    let closing = Origin::raw(|mut conn| drop(conn.request()));
    let g = gateway(closing.port, |_| {});
    g.access("kong.service.set_retries(3)").is(502);
    assert_eq!(closing.accepted(), 4);
    g.access("").is(502);
    assert_eq!(closing.accepted(), 5);
    let mute = Origin::raw(|mut conn| {
        conn.request();
        std::thread::sleep(Duration::from_secs(10));
    });
    let began = Instant::now();
    let code = format!(
        "kong.service.set_target('127.0.0.1', {}) kong.service.set_timeouts(9000, 9000, 400)",
        mute.port
    );
    g.access(&code).is(504);
    assert!(began.elapsed() < Duration::from_secs(5));
}
