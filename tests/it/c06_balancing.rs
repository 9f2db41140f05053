//! Upstreams: weights, retries on another target, each algorithm, and what the client is told when none is left.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::gateway::PROBE;
use crate::support::{Gateway, Origin, Setup, free_port, service, with};

fn balanced(upstream: Value, targets: &[(u16, u32)]) -> Gateway {
    let mut config = with(service(1), "probe", json!({}));
    config["services"][0]["host"] = json!("pool");
    config["services"][0]["retries"] = json!(5);
    let mut pool = upstream;
    pool["name"] = json!("pool");
    pool["targets"] = targets
        .iter()
        .map(|(port, weight)| json!({ "target": format!("127.0.0.1:{port}"), "weight": weight }))
        .collect();
    config["upstreams"] = json!([pool]);
    Setup::new(&config).plugin("probe", PROBE).start()
}

#[test]
fn c06_a_retry_goes_to_another_target() {
    let (closing, good) = (Origin::raw(|mut conn| drop(conn.request())), Origin::echo());
    let g = balanced(json!({}), &[(closing.port, 100), (good.port, 100)]);
    for _ in 0..10 {
        g.get("/", &[]).is(200);
    }
    assert!((4..=6).contains(&closing.accepted()), "{}", closing.accepted());
    // a POST whose bytes were sent is not sent again
    let answers: Vec<u16> = (0..4)
        .map(|_| g.connect().ask("POST", "/", &[], b"body").status)
        .collect();
    assert_eq!(answers.iter().filter(|s| **s == 502).count(), 2, "{answers:?}");
}

#[test]
fn c06_every_target_is_tried_before_one_is_tried_again() {
    let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
    let g = balanced(json!({}), &[(ports[0], 1), (ports[1], 1), (ports[2], 1)]);
    let log = "local p = {} for i, t in ipairs(ngx.ctx.balancer_data.tries) do
        p[i] = t.port .. '/' .. t.state .. '/' .. t.code end
        kong.log.warn('tried ', #kong.log.serialize().tries, ' ', table.concat(p, ' '))";
    let log = crate::support::gateway::one_line(log);
    g.get("/", &[("x-log", &log)]).is(502);
    let line = g.logged("tried 6 ");
    let list = line.lines().find_map(|l| l.split("tried 6 ").nth(1)).unwrap();
    let tried: Vec<&str> = list.split([' ', ',']).take(6).collect();
    for half in [&tried[..3], &tried[3..]] {
        for port in &ports {
            assert!(half.contains(&format!("{port}/failed/502").as_str()), "{tried:?}");
        }
    }
}

#[test]
fn c06_without_a_usable_target() {
    let g = balanced(json!({}), &[(free_port(), 0)]);
    let r = g.get("/", &[]).is(503);
    assert!(
        r.text().contains("failure to get a peer from the ring-balancer"),
        "{}",
        r.text()
    );
    g.logged("failure to get a peer from the ring-balancer");
    let g = balanced(json!({}), &[]);
    g.get("/", &[]).is(503);
    // names without an address are passed over and cost no try
    let good = Origin::echo();
    let mut config = with(service(1), "probe", json!({}));
    config["services"][0]["host"] = json!("pool");
    config["upstreams"] = json!([
        { "name": "pool", "targets": [{ "target": "no-such-host.invalid:80", "weight": 100 },
            { "target": format!("127.0.0.1:{}", good.port), "weight": 100 }] },
        { "name": "nowhere", "targets": [{ "target": "no-such-host.invalid:80" }] },
    ]);
    let g = Setup::new(&config).plugin("probe", PROBE).start();
    for _ in 0..4 {
        g.get("/", &[]).is(200);
    }
    let r = g.access("kong.service.set_retries(9) assert(kong.service.set_upstream('nowhere'))");
    assert!(
        r.is(503)
            .text()
            .contains("failure to get a peer from the ring-balancer")
    );
    let r = g.access("kong.service.set_retries(9) kong.service.set_target('no-such-host.invalid', 80)");
    assert!(r.is(503).text().contains("name resolution failed"));
}

#[test]
fn c06_consistent_hashing_by_header_and_cookie() {
    let origins: Vec<Origin> = (0..3).map(|_| Origin::echo()).collect();
    let targets: Vec<(u16, u32)> = origins.iter().map(|o| (o.port, 100)).collect();
    let counts = || -> Vec<usize> { origins.iter().map(|o| o.seen().len()).collect() };
    let g = balanced(
        json!({ "hash_on": "header", "hash_on_header": "x-key", "hash_fallback": "query_arg",
            "hash_fallback_query_arg": "key" }),
        &targets,
    );
    let mut home: HashMap<String, usize> = HashMap::new();
    for round in 0..3 {
        for n in 0..20 {
            let before = counts();
            let key = format!("key {n}");
            if round == 2 {
                // what a plugin sets goes before what is configured
                let code = format!("ngx.ctx.balancer_data.hash_value = '{key}'");
                g.get("/", &[("x-access", &code)]).is(200);
            } else if round == 1 {
                g.get(&format!("/?key=key+{n}"), &[]).is(200);
            } else {
                g.get("/", &[("x-key", &key)]).is(200);
            }
            let at = counts().iter().zip(&before).position(|(a, b)| a > b).unwrap();
            assert_eq!(*home.entry(key.clone()).or_insert(at), at, "{key}");
        }
    }
    assert!(counts().iter().all(|n| *n > 0), "{:?}", counts());

    let g = balanced(
        json!({ "hash_on": "cookie", "hash_on_cookie": "stick", "hash_on_cookie_path": "/p" }),
        &targets,
    );
    let r = g.get("/", &[]).is(200);
    let cookie = r.header("set-cookie").unwrap().to_owned();
    assert!(
        cookie.starts_with("stick=") && cookie.ends_with("; Path=/p; Same-Site=Lax; HttpOnly"),
        "{cookie}"
    );
    let own = cookie.split(';').next().unwrap();
    let before = counts();
    for _ in 0..9 {
        let r = g.get("/", &[("Cookie", own)]).is(200);
        assert_eq!(r.header("set-cookie"), None);
    }
    let moved: Vec<usize> = counts()
        .iter()
        .zip(before)
        .map(|(a, b)| a - b)
        .filter(|n| *n > 0)
        .collect();
    assert_eq!(moved, [9]);
}

#[test]
fn c06_least_connections_and_latency() {
    let hold = Arc::new(AtomicBool::new(true));
    let held = hold.clone();
    let slow = Origin::replying(move |_| {
        while held.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(10));
        }
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into()
    });
    let fast = Origin::echo();
    let g = balanced(
        json!({ "algorithm": "least-connections" }),
        &[(slow.port, 100), (fast.port, 100)],
    );
    // one request is stuck at the slow one: all others go to the other
    let (mut one, mut two) = (g.connect(), g.connect());
    for client in [&mut one, &mut two] {
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    let both = || slow.accepted() == 1 && fast.seen().len() == 1;
    assert!(crate::support::eventually(Duration::from_secs(5), both));
    // the other's answer is on its way through the gateway, too
    std::thread::sleep(Duration::from_millis(300));
    for _ in 0..10 {
        g.get("/", &[]).is(200);
    }
    assert_eq!((slow.accepted(), fast.seen().len()), (1, 11));
    hold.store(false, Ordering::SeqCst);
    for client in [&mut one, &mut two] {
        client.answer(false).is(200);
    }
    for _ in 0..10 {
        g.get("/", &[]).is(200);
    }
    assert!((15..=17).contains(&fast.seen().len()), "{}", fast.seen().len());

    let slow = Origin::replying(|_| {
        std::thread::sleep(Duration::from_millis(300));
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into()
    });
    let g = balanced(
        json!({ "algorithm": "latency" }),
        &[(slow.port, 100), (fast.port, 100)],
    );
    let before = fast.seen().len();
    for _ in 0..10 {
        g.get("/", &[]).is(200);
    }
    assert_eq!(slow.seen().len(), 1, "seen once, then left alone");
    assert_eq!(fast.seen().len() - before, 9);
}

#[test]
fn c06_health_checks_that_nobody_makes_are_warned_about() {
    let origin = Origin::echo();
    let quiet = balanced(json!({}), &[(origin.port, 1)]);
    assert!(!quiet.errors().contains("healthchecks"));
    let checks = json!({ "healthchecks": { "passive": { "unhealthy": { "http_failures": 3 } } } });
    let g = balanced(checks, &[(origin.port, 1)]);
    g.logged("not supported yet, healthchecks have no effect: upstream 'pool'");
    let checks = json!({ "healthchecks": { "active": { "healthy": { "interval": 0.5 } } } });
    balanced(checks, &[(origin.port, 1)]).logged("healthchecks have no effect");
}

#[test]
fn c06_tries_are_a_list_wherever_they_are_read() {
    let origin = Origin::echo();
    let g = balanced(json!({}), &[(origin.port, 1)]);
    let read = "local json = require 'cjson' local d = kong.log.serialize()
        kong.log.warn(ngx.ctx.mark, ' ', json.encode(d.tries), ' ', tostring(#ngx.ctx.balancer_data.tries))";
    let read = crate::support::gateway::one_line(read);
    // looked at in access and again in log, or in log only
    g.get("/", &[("x-access", "ngx.ctx.mark = 'early'"), ("x-log", &read)])
        .is(200);
    let line = g.logged("early [{");
    let one = format!("\"port\":{}", origin.port);
    assert!(line.contains(&one) && line.contains("}] 1 while"), "{line}");
    let late = format!("ngx.ctx.mark = 'late' {read}");
    g.get("/", &[("x-log", &late)]).is(200);
    assert!(g.logged("late [{").contains("}] 1 while"));
    // nobody was tried
    let exits = "ngx.ctx.mark = 'none' kong.response.exit(204)";
    g.get("/", &[("x-access", exits), ("x-log", &read)]).is(204);
    g.logged("none [] 0 while");
}
