//! Clients that go away while handlers run for them: what goes on, and how it ends.

use std::time::Duration;

use serde_json::json;

use crate::support::gateway::{PROBE, PROBE_RESPONSE, one_line};
use crate::support::{Gateway, Origin, Setup, eventually, service, with};

const TEN: Duration = Duration::from_secs(10);

/// A plugin behind the probe.
const AFTER: &str = "local P = { PRIORITY = 100, VERSION = '1.0.0' }
    function P:access() if ngx.var.http_x_after then ngx.sleep(0.02) kong.log.err('AFTER ', ngx.ctx.n) end end
    return P";

/// A captured location, whose handler waits before it is proxied.
const SLOW: &str = "local P = { PRIORITY = 50, VERSION = '1.0.0' }
    function P:access()
      local go = ngx.shared.kong:get('go')
      if ngx.var.http_x_wait then repeat ngx.sleep(0.01) until ngx.shared.kong:get('go') ~= go end
      kong.log.err('CAPTURE GOES ON') end
    return P";

fn gateway(origin: &Origin, more: &[(&str, &str)]) -> Gateway {
    let mut config = with(with(service(origin.port), "probe", json!({})), "after", json!({}));
    let routes = config["services"][0]["routes"].as_array_mut().unwrap();
    routes.push(json!({ "name": "late", "paths": ["/late"], "plugins": [{ "name": "late" }] }));
    routes.push(json!({ "name": "slow", "paths": ["/slow"], "plugins": [{ "name": "slow" }] }));
    let mut setup = Setup::new(&config)
        .plugin("probe", PROBE)
        .plugin("after", AFTER)
        .plugin("late", PROBE_RESPONSE)
        .plugin("slow", SLOW)
        .set("log_level", "info")
        .set("nginx_worker_processes", "1");
    for (key, value) in more {
        setup = setup.set(key, value);
    }
    setup.start()
}

const LOG: &str = "kong.log.err('LOGGED ', ngx.status, ' ', ngx.ctx.n, ' ', kong.log.serialize().response.status, \
                   ' ', #kong.log.serialize().tries, '.')";

/// Sends a request whose handlers log `HERE`, goes when they have, and lets go on who waits for that ([`WAIT`]).
fn leave(gateway: &Gateway, path: &str, headers: &[(&str, &str)]) {
    let mut client = gateway.connect();
    let mut head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-Log: {LOG}\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {}\r\n", one_line(value));
    }
    let before = gateway.errors().matches("HERE").count();
    client.send(head + "\r\n");
    assert!(eventually(TEN, || gateway.errors().matches("HERE").count() > before));
    drop(client);
    comes_to(gateway, "connections", 0);
    go_on(gateway);
}

fn go_on(gateway: &Gateway) {
    gateway
        .access("ngx.shared.kong:incr('go', 1, 0) ngx.exit(204)")
        .is(204);
}

/// A gauge, once it is that.
fn comes_to(gateway: &Gateway, name: &str, value: i64) {
    let wanted = format!(" {name}={value} ");
    let told = eventually(TEN, || {
        let lines = || gateway.errors().matches("gauges: ").count();
        let before = lines();
        gateway.signal("USR2");
        assert!(eventually(TEN, || lines() > before), "no gauges");
        let errors = gateway.errors();
        let line = errors.rsplit("gauges: ").next().unwrap_or_default();
        format!(" {} ", line.lines().next().unwrap_or_default()).contains(&wanted)
    });
    assert!(told, "{name} is not {value}: {}", gateway.errors());
}

fn at_rest(gateway: &Gateway) {
    for name in ["exchanges", "coroutines", "slots", "connections"] {
        comes_to(gateway, name, 0);
    }
}

/// Waits until it is let go on.
const WAIT: &str = "local go = ngx.shared.kong:get('go') kong.log.err('HERE') ngx.ctx.n = 1
    repeat ngx.sleep(0.01) until ngx.shared.kong:get('go') ~= go ngx.ctx.n = ngx.ctx.n + 1";

#[test]
fn d03_handlers_go_on_without_their_client_and_nothing_is_proxied() {
    let origin = Origin::echo();
    let gateway = gateway(&origin, &[]);
    for (name, count) in [("X-Access", 1), ("X-Rewrite", 2)] {
        leave(
            &gateway,
            "/",
            &[
                (name, WAIT),
                ("X-After", "1"),
                ("X-Header-Filter", "kong.log.err('FILTERED')"),
            ],
        );
        comes_to(&gateway, "connections", 0);
        let logged = "LOGGED 499 2 499 0.";
        assert!(eventually(TEN, || gateway.errors().matches(logged).count() == count));
        assert_eq!(gateway.errors().matches("AFTER 2").count(), count, "{name}");
        let gone = "client prematurely closed connection";
        assert_eq!(gateway.errors().matches(gone).count(), count, "{name}");
        assert!(eventually(TEN, || gateway.accesses().matches(" 499 ").count() == count));
    }
    assert_eq!(origin.accepted(), 0);
    assert!(!gateway.errors().contains("FILTERED"));
    at_rest(&gateway);
}

#[test]
fn d03_threads_sockets_and_timers_of_one_that_left_are_not_touched() {
    let origin = Origin::echo();
    let gateway = gateway(&origin, &[]);
    let server = Origin::raw(|mut conn| {
        while let Some(line) = conn.take(5) {
            std::thread::sleep(Duration::from_millis(150));
            conn.send(line);
        }
    });
    let lua = format!(
        "local go = ngx.shared.kong:get('go') kong.log.err('HERE') local s = ngx.socket.tcp() s:settimeout(3000) assert(s:connect('127.0.0.1', {}))
         s:send('echo\\n') local t = ngx.thread.spawn(function()
         repeat ngx.sleep(0.01) until ngx.shared.kong:get('go') ~= go return 'thread' end)
         local line = assert(s:receive()) local _, v = ngx.thread.wait(t)
         assert(ngx.timer.at(0, function(_, l) kong.log.err('TIMER ', l) end, line))
         ngx.ctx.n = line .. v ngx.req.read_body() ngx.thread.spawn(function() ngx.sleep(0.05) ngx.ctx.n = ngx.ctx.n .. '!' end)",
        server.port
    );
    leave(&gateway, "/", &[("X-Access", &lua)]);
    gateway.logged("TIMER echo");
    gateway.logged("LOGGED 499 echothread! 499 0.");
    at_rest(&gateway);
}

#[test]
fn d03_an_answer_for_nobody_goes_through_its_filters() {
    let origin = Origin::echo();
    let gateway = gateway(&origin, &[]);
    let filters = [
        (
            "X-Header-Filter",
            "ngx.header['X-A'] = '1' kong.log.err('HEAD ', ngx.status)",
        ),
        (
            "X-Body-Filter",
            "kong.log.err('BODY ', ngx.arg[1], ' ', tostring(ngx.arg[2]))",
        ),
    ];
    let exit = format!("{WAIT} kong.response.exit(418, 'tea')");
    leave(
        &gateway,
        "/",
        &[("X-Access", &exit), ("X-After", "1"), filters[0], filters[1]],
    );
    gateway.logged("LOGGED 418 2 418 0.");
    gateway.logged("HEAD 418");
    gateway.logged("BODY tea false");
    assert!(!gateway.errors().contains("AFTER"));
    let fails = format!("{WAIT} error('too bad')");
    leave(&gateway, "/", &[("X-Access", &fails)]);
    gateway.logged("too bad");
    gateway.logged("LOGGED 500 2 500 0.");
    // what is written when the head has left goes nowhere, and says so
    let says = format!(
        "ngx.say('a') ngx.flush(true) {WAIT} ngx.sleep(0.1) ngx.ctx.n = tostring(select(2, ngx.say('b')))"
    );
    leave(&gateway, "/", &[("X-Access", &says)]);
    gateway.logged("LOGGED 200 nginx output filter error 200 0.");
    let late = format!("{WAIT} ngx.say('a') ngx.flush(true) ngx.ctx.n = tostring(select(2, ngx.say('b')))");
    leave(&gateway, "/", &[("X-Access", &late)]);
    assert!(eventually(TEN, || {
        gateway
            .errors()
            .matches("LOGGED 200 nginx output filter error 200 0.")
            .count()
            == 2
    }));
    at_rest(&gateway);
}

#[test]
fn d03_the_response_phase_goes_on_too() {
    let origin = Origin::echo();
    let gateway = gateway(&origin, &[]);
    leave(&gateway, "/late", &[("X-Response", WAIT)]);
    gateway.logged("LOGGED 200 2 200 1.");
    assert_eq!(origin.accepted(), 1);
    at_rest(&gateway);
}

#[test]
fn d03_what_a_handler_captures_goes_on_up_to_its_upstream() {
    let origin = Origin::raw(|mut conn| {
        conn.request();
        let mut rest = [0; 1];
        let _ = std::io::Read::read(&mut conn.stream, &mut rest);
    });
    let gateway = gateway(&origin, &[]);
    let capture = "if ngx.is_subrequest then return end kong.log.err('HERE') ngx.ctx.n = 1 ngx.location.capture('/slow') kong.log.err('LATE')";
    leave(&gateway, "/", &[("X-Access", capture), ("X-Wait", "1")]);
    gateway.logged("CAPTURE GOES ON");
    gateway.logged("LOGGED 499 1 499 0.");
    assert_eq!(origin.accepted(), 0);
    // one that is with its upstream already
    let capture = "if ngx.is_subrequest then return end ngx.ctx.n = 2 ngx.timer.at(0.4, function() kong.log.err('HERE') end)
        ngx.location.capture('/slow') kong.log.err('LATE')";
    leave(&gateway, "/", &[("X-Access", capture)]);
    gateway.logged("LOGGED 499 2 499 0.");
    assert_eq!(origin.accepted(), 1);
    assert!(!gateway.errors().contains("LATE"));
    at_rest(&gateway);
}

#[test]
fn d03_with_lua_check_client_abort_handlers_end_with_their_client() {
    let origin = Origin::echo();
    let gateway = gateway(&origin, &[("nginx_proxy_lua_check_client_abort", "on")]);
    let wait = format!("{WAIT} kong.log.err('LATE')");
    leave(&gateway, "/", &[("X-Access", &wait), ("X-After", "1")]);
    gateway.logged("LOGGED 499 1 499 0.");
    // who has himself told goes on to the end of his phase
    let told = format!("ngx.on_abort(function() kong.log.err('TOLD') end) {WAIT} kong.log.err('THROUGH')");
    leave(
        &gateway,
        "/",
        &[("X-Rewrite", &told), ("X-Access", "kong.log.err('LATE')")],
    );
    gateway.logged("TOLD");
    gateway.logged("THROUGH");
    gateway.logged("LOGGED 499 2 499 0.");
    at_rest(&gateway);
    assert!(!gateway.errors().contains("LATE"), "{}", gateway.errors());
    assert_eq!(origin.accepted(), 0);
    let gone = "client prematurely closed connection";
    assert_eq!(gateway.errors().matches(gone).count(), 2, "{}", gateway.errors());
}

#[test]
fn d03_a_stop_and_a_reload_wait_for_who_goes_on() {
    let origin = Origin::echo();
    let mut gateway = gateway(&origin, &[("moongate_drain_timeout", "5s")]);
    let wait = "kong.log.err('HERE') ngx.sleep(0.6) ngx.ctx.n = 3";
    leave(&gateway, "/", &[("X-Access", wait)]);
    gateway.signal("HUP");
    gateway.logged("LOGGED 499 3 499 0.");
    comes_to(&gateway, "generations", 1);
    leave(&gateway, "/", &[("X-Access", wait)]);
    gateway.signal("QUIT");
    assert!(gateway.wait(TEN).is_some());
    assert_eq!(gateway.errors().matches("LOGGED 499 3 499 0.").count(), 2);
}

#[test]
fn d03_who_goes_on_is_cut_off_and_logged_at_the_end() {
    let origin = Origin::echo();
    let mut gateway = gateway(&origin, &[("moongate_drain_timeout", "200ms")]);
    let wait = "kong.log.err('HERE') ngx.ctx.n = 4 ngx.sleep(60)";
    leave(&gateway, "/", &[("X-Access", wait)]);
    leave(
        &gateway,
        "/",
        &[("X-Access", &format!("ngx.say('a') ngx.flush(true) {wait}"))],
    );
    gateway.signal("QUIT");
    assert!(gateway.wait(TEN).is_some());
    let errors = gateway.errors();
    assert!(errors.contains("LOGGED 499 4 499 0."), "{errors}");
    assert!(errors.contains("LOGGED 200 4 200 0."), "{errors}");
}

#[test]
fn d03_a_begun_answer_that_its_client_leaves_is_let_go_of() {
    const MANY: usize = 30;
    let origin = Origin::echo();
    for (check, wait) in [("on", "60"), ("off", "0.3")] {
        let gateway = gateway(&origin, &[("nginx_proxy_lua_check_client_abort", check)]);
        gateway.access("ngx.exit(204)").is(204);
        comes_to(&gateway, "connections", 0);
        let before = gateway.descriptors();
        let lua = format!("ngx.say('a') ngx.flush(true) kong.log.err('HERE') ngx.sleep({wait})");
        let clients: Vec<_> = (0..MANY)
            .map(|_| {
                let mut client = gateway.connect();
                client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Access: {lua}\r\n\r\n"));
                client
            })
            .collect();
        assert!(eventually(TEN, || gateway.errors().matches("HERE").count() == MANY));
        drop(clients);
        at_rest(&gateway);
        let back = eventually(TEN, || gateway.descriptors() <= before);
        assert!(
            back,
            "{check}: {} descriptors, {before} before",
            gateway.descriptors()
        );
    }
}

#[test]
fn d03_a_begun_answer_ends_where_it_waits_for_a_body_that_does_not_come() {
    let origin = Origin::echo();
    let gateway = gateway(&origin, &[("nginx_http_client_body_timeout", "1s")]);
    let lua = "ngx.ctx.n = 1 ngx.say('a') ngx.flush(true) ngx.req.read_body() kong.log.err('LATE')";
    for goes in [false, true] {
        let mut client = gateway.connect();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nX-Log: {LOG}\r\nX-Access: {lua}\r\n\r\nabcd"
        ));
        if !goes {
            let answer = String::from_utf8(client.rest()).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            assert!(!answer.ends_with("0\r\n\r\n"), "it passes for whole: {answer}");
        } else {
            let timed_out = || gateway.errors().matches("client timed out").count();
            assert!(eventually(TEN, || timed_out() == 2));
        }
        drop(client);
        at_rest(&gateway);
    }
    assert_eq!(gateway.errors().matches("LOGGED 408 1 408 0.").count(), 2);
    assert_eq!(gateway.errors().matches("client timed out").count(), 2);
    assert!(!gateway.errors().contains("LATE"));
}

#[test]
fn d03_the_connection_of_a_client_that_left_is_closed_at_once() {
    const MANY: usize = 30;
    let origin = Origin::echo();
    let gateway = gateway(&origin, &[]);
    go_on(&gateway);
    comes_to(&gateway, "connections", 0);
    let before = gateway.descriptors();
    let lua = one_line(&format!(
        "{WAIT} local s, err = ngx.req.socket(true) ngx.ctx.n = tostring(s) .. ' ' .. tostring(err)"
    ));
    let clients: Vec<_> = (0..MANY)
        .map(|_| {
            let mut client = gateway.connect();
            client.send(format!(
                "GET / HTTP/1.1\r\nHost: a\r\nX-Log: {LOG}\r\nX-Access: {lua}\r\n\r\n"
            ));
            client
        })
        .collect();
    assert!(eventually(TEN, || gateway.errors().matches("HERE").count() == MANY));
    drop(clients);
    let back = eventually(TEN, || gateway.descriptors() <= before);
    assert!(back, "{} descriptors, {before} before", gateway.descriptors());
    assert!(!gateway.errors().contains("LOGGED"));
    go_on(&gateway);
    let logged = "LOGGED 499 nil client aborted 499 0.";
    assert!(eventually(TEN, || gateway.errors().matches(logged).count() == MANY));
    at_rest(&gateway);
}
