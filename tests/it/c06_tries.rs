//! Tries: what is tried again, each limit by itself, what the client and the log are told.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::gateway::PROBE;
use crate::support::{Gateway, Origin, Setup, service, with};

fn gateway(port: u16, change: impl FnOnce(&mut serde_json::Value)) -> Gateway {
    let mut config = with(service(port), "probe", json!({}));
    change(&mut config);
    Setup::new(&config).plugin("probe", PROBE).start()
}

#[test]
fn c06_each_limit_is_its_own() {
    // takes nothing after the head
    let deaf = Origin::raw(|mut conn| {
        conn.head();
        std::thread::sleep(Duration::from_secs(20));
    });
    let mute = Origin::raw(|mut conn| {
        conn.request();
        std::thread::sleep(Duration::from_secs(20));
    });
    let gateway = gateway(deaf.port, |_| {});
    let began = Instant::now();
    let mut client = gateway.connect();
    let mut writer = client.stream.try_clone().unwrap();
    client.send(format!(
        "PUT / HTTP/1.1\r\nHost: h\r\nx-access: kong.service.set_timeouts(20000, 700, 20000)\r\nContent-Length: {}\r\n\r\n",
        256 << 20
    ));
    let writing = std::thread::spawn(move || {
        let piece = vec![b'x'; 1 << 20];
        (0..256).take_while(|_| writer.write_all(&piece).is_ok()).count()
    });
    client.answer(false).is(504);
    drop(client);
    let _ = writing.join();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    gateway.logged("upstream timed out (110: Connection timed out) while sending request to upstream");
    let began = Instant::now();
    let code = format!(
        "kong.service.set_target('127.0.0.1', {}) kong.service.set_timeouts(20000, 20000, 600)",
        mute.port
    );
    let r = gateway.access(&code).is(504);
    assert!(
        r.text().contains("The upstream server is timing out"),
        "{}",
        r.text()
    );
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    gateway
        .logged("upstream timed out (110: Connection timed out) while reading response header from upstream");
}
