//! Worker threads, signals, reload.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::support::{Client, Origin, Setup, eventually, service, with};

fn slow_origin(delay: Duration) -> Origin {
    Origin::replying(move |_| {
        std::thread::sleep(delay);
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".into()
    })
}

#[test]
fn a05_term_stops_within_a_second() {
    let origin = slow_origin(Duration::from_secs(5));
    let mut gateway = Setup::new(&service(origin.port))
        .set("nginx_worker_processes", "2")
        .start();
    let mut busy = gateway.connect();
    busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let _idle = gateway.connect();
    assert!(eventually(Duration::from_secs(5), || origin.accepted() == 1));
    gateway.signal("TERM");
    let took = gateway.wait(Duration::from_secs(5)).expect("it goes on");
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(gateway.ended().unwrap().success());
    assert!(!gateway.prefix().join("pids/nginx.pid").exists());
}

#[test]
fn a05_quit_drains() {
    let origin = slow_origin(Duration::from_secs(1));
    let mut gateway = Setup::probe(origin.port).start();
    let mut idle = gateway.connect();
    idle.ask("GET", "/", &[("x-access", "kong.response.exit(204)")], b"")
        .is(204);
    let mut busy = gateway.connect();
    busy.send("GET / HTTP/1.1\r\nHost: a\r\nx-log: kong.log.err('drained')\r\n\r\n");
    assert!(eventually(Duration::from_secs(5), || origin.accepted() == 1));
    gateway.signal("QUIT");
    assert!(idle.closed(), "idle connections are closed");
    assert_eq!(busy.answer(false).is(200).text(), "ok");
    assert!(gateway.wait(Duration::from_secs(3)).is_some(), "it goes on");
    assert!(gateway.ended().unwrap().success());
    gateway.logged("drained");
}

#[test]
fn a05_quit_has_a_time_limit() {
    let origin = slow_origin(Duration::from_secs(20));
    let mut gateway = Setup::new(&service(origin.port))
        .set("moongate_drain_timeout", "1s")
        .start();
    let mut busy = gateway.connect();
    busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(eventually(Duration::from_secs(5), || origin.accepted() == 1));
    gateway.signal("QUIT");
    let took = gateway.wait(Duration::from_secs(6)).expect("it goes on");
    assert!(
        took > Duration::from_millis(700) && took < Duration::from_secs(3),
        "{took:?}"
    );
}

/// Requests over kept-alive and fresh connections until told to stop; how many, and how many failed.
pub fn load(port: u16, stop: &AtomicBool, fresh: bool) -> (usize, Vec<String>) {
    let (mut n, mut failed) = (0, Vec::new());
    let mut client = Client::connect(port);
    while !stop.load(Ordering::Relaxed) {
        if fresh {
            client = Client::connect(port);
        }
        client.send(format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n"));
        n += 1;
        match client.try_answer(false) {
            Some(r) if r.status == 200 && r.complete => {
                if r.header("connection") == Some("close") {
                    client = Client::connect(port);
                }
            }
            Some(r) => failed.push(r.head),
            None => {
                failed.push("no answer".into());
                client = Client::connect(port);
            }
        }
    }
    (n, failed)
}

#[test]
fn a05_reloads_lose_nothing() {
    let reloads = if std::env::var_os("MOONGATE_TEST_BIG").is_some() {
        100
    } else {
        30
    };
    let code = "local P = { PRIORITY = 1, VERSION = '1.0.0' }
        function P:access() ngx.sleep(0.002) end
        function P:header_filter() kong.response.set_header('X-Code', 'THIS') end
        return P";
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let config = |i: usize| with(service(origin.port), "code", json!({ "tag": i.to_string() }));
    let gateway = Setup::new(&config(0))
        .plugin("code", code)
        .set("nginx_worker_processes", "2")
        .start();
    let stop = Arc::new(AtomicBool::new(false));
    let loads: Vec<_> = [false, false, true]
        .map(|fresh| {
            let (stop, port) = (stop.clone(), gateway.port);
            std::thread::spawn(move || load(port, &stop, fresh))
        })
        .into_iter()
        .collect();
    let handler = gateway.dir().join("lua/kong/plugins/code/handler.lua");
    for i in 1..=reloads {
        // A rename, so that no worker reads half a file.
        std::fs::write(
            handler.with_extension("new"),
            code.replace("THIS", &i.to_string()),
        )
        .unwrap();
        std::fs::rename(handler.with_extension("new"), &handler).unwrap();
        gateway.reconfigure(&config(i));
        gateway.signal("HUP");
        let new = eventually(Duration::from_secs(10), || {
            gateway.get("/", &[]).header("x-code") == Some(i.to_string().as_str())
        });
        assert!(new, "reload {i}: the old code still answers");
    }
    stop.store(true, Ordering::Relaxed);
    for load in loads {
        let (n, failed) = load.join().unwrap();
        assert!(n > reloads, "too little load: {n}");
        assert!(failed.is_empty(), "{} of {n}: {}", failed.len(), failed[0]);
    }
}

#[test]
fn a05_a_reload_with_a_broken_configuration_changes_nothing() {
    let origin = Origin::echo();
    let gateway = Setup::new(&service(origin.port)).start();
    gateway.reconfigure(&json!({ "_format_version": "3.0", "services": [{ "name": "x" }] }));
    gateway.signal("HUP");
    gateway.logged("host");
    gateway.get("/", &[]).is(200);
    gateway.reconfigure(&json!({ "_format_version": "3.0" }));
    gateway.signal("HUP");
    assert!(eventually(Duration::from_secs(5), || gateway
        .get("/", &[])
        .status
        == 404));
}

#[test]
fn a05_usr1_reopens_the_logs() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let ask = |path: &str| gateway.get(path, &[("x-log", "kong.log.err('here')")]).is(200);
    ask("/before");
    gateway.access_logged("/before");
    let dir = gateway.dir();
    for name in ["access.log", "error.log"] {
        std::fs::rename(dir.join(name), dir.join(name).with_extension("old")).unwrap();
    }
    gateway.signal("USR1");
    assert!(eventually(Duration::from_secs(5), || dir
        .join("access.log")
        .exists()));
    ask("/after");
    gateway.access_logged("/after");
    gateway.logged("here");
    assert!(!gateway.accesses().contains("/before"));
}

#[test]
fn a05_a_second_start_on_the_port_fails() {
    let origin = Origin::echo();
    let first = Setup::new(&service(origin.port)).start();
    let (status, said) = Setup::new(&service(origin.port)).port(first.port).refused();
    assert_eq!(status.code(), Some(1));
    assert!(said.contains(&first.port.to_string()), "{said}");
    assert!(said.to_lowercase().contains("in use"), "{said}");
    for _ in 0..10 {
        first.get("/", &[]).is(200);
    }
}

#[test]
fn a05_workers_and_connections_have_names_of_their_own() {
    let gateway = Setup::probe(1).set("nginx_worker_processes", "2").start();
    let code = "ngx.say(ngx.worker.pid(), ' ', ngx.worker.count(), ' ', ngx.var.connection, ' ',
        ngx.worker.id())";
    let (mut pids, mut connections) = (HashSet::new(), HashSet::new());
    for i in 0..60 {
        let text = gateway.access(code).is(200).text();
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(words[1], "2");
        pids.insert((words[0].to_owned(), words[3].to_owned()));
        assert!(connections.insert(words[2].to_owned()), "{words:?} at {i}");
    }
    let unique: HashSet<_> = pids.iter().map(|(pid, _)| pid).collect();
    assert_eq!((pids.len(), unique.len()), (2, 2), "{pids:?}");
}

#[test]
fn a05_many_connections_are_served_by_all_workers() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let gateway = Setup::new(&service(origin.port))
        .set("nginx_worker_processes", "2")
        .start();
    let done = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..50)
        .map(|_| {
            let (port, done) = (gateway.port, done.clone());
            std::thread::spawn(move || {
                let mut client = Client::connect(port);
                for _ in 0..20 {
                    client.get("/").is(200);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    assert_eq!(done.load(Ordering::Relaxed), 1000);
}
