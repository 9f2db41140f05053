//! Bodies stream, with back-pressure, in bounded memory.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::support::{Origin, Setup, eventually, service};

const MIB: usize = 1 << 20;

/// How much goes each way: a gibibyte with `MOONGATE_TEST_BIG=1`.
fn big() -> usize {
    if std::env::var_os("MOONGATE_TEST_BIG").is_some() {
        1024 * MIB
    } else {
        256 * MIB
    }
}

/// Takes `n` bytes off a stream and says how many were not `byte`.
fn drain(stream: &mut impl Read, mut n: usize, byte: u8) -> usize {
    let (mut piece, mut wrong) = (vec![0; 256 << 10], 0);
    while n > 0 {
        let room = n.min(piece.len());
        let got = stream.read(&mut piece[..room]).unwrap();
        assert!(got > 0, "{n} bytes missing");
        wrong += piece[..got].iter().filter(|b| **b != byte).count();
        n -= got;
    }
    wrong
}

fn pour(stream: &mut impl Write, mut n: usize, byte: u8) {
    let piece = vec![byte; 256 << 10];
    while n > 0 {
        let size = n.min(piece.len());
        stream.write_all(&piece[..size]).unwrap();
        n -= size;
    }
}

#[test]
fn a03_big_bodies_both_ways_in_bounded_memory() {
    let size = big();
    let origin = Origin::raw(move |mut conn| {
        while let Some(seen) = conn.head() {
            if seen.line().starts_with("POST") {
                let early = conn.skip_buffered();
                drain(&mut conn.stream, size - early, b'u');
                conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            } else {
                conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n"));
                pour(&mut conn.stream, size, b'd');
            }
        }
    });
    let mut config = service(origin.port);
    config["services"][0]["routes"][0]["paths"] = json!(["/down", "/up"]);
    let gateway = Setup::new(&config).start();
    gateway.get("/", &[]).is(404);
    let idle = gateway.memory_kib("VmRSS");

    let mut client = gateway.connect();
    client.send("GET /down HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.head().unwrap();
    let length = head.header("content-length").map(str::to_owned);
    assert_eq!(length, Some(size.to_string()), "{}", head.head);
    assert_eq!(client.take(1), b"d");
    // The client's buffer holds what came with the head; the rest is read straight off the socket.
    let buffered = client.take_buffered();
    assert_eq!(drain(&mut client.stream, size - 1 - buffered.len(), b'd'), 0);

    let mut client = gateway.connect();
    client.send(format!(
        "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
    ));
    pour(&mut client.stream, size, b'u');
    assert_eq!(client.answer(false).is(200).text(), "ok");

    let grown = gateway.memory_kib("VmHWM").saturating_sub(idle);
    assert!(grown < 64 << 10, "{grown} KiB above idle");
}

#[test]
fn a03_a_slow_client_slows_the_upstream() {
    let sent = Arc::new(AtomicU64::new(0));
    let count = sent.clone();
    let origin = Origin::raw(move |mut conn| {
        conn.request();
        conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 64 * MIB));
        for _ in 0..1024 {
            conn.send(vec![b'd'; 64 << 10]);
            count.fetch_add(64 << 10, Ordering::SeqCst);
        }
    });
    let gateway = Setup::new(&service(origin.port)).start();
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head();
    std::thread::sleep(Duration::from_millis(700));
    let held = sent.load(Ordering::SeqCst);
    assert!(held < 32 << 20, "{held} bytes went somewhere without a reader");
    client.take(64 * MIB - 1);
}

#[test]
fn a03_a_slow_upstream_slows_the_client() {
    let go = Arc::new(AtomicBool::new(false));
    let gate = go.clone();
    let origin = Origin::raw(move |mut conn| {
        conn.head();
        eventually(Duration::from_secs(20), || gate.load(Ordering::SeqCst));
        let early = conn.skip_buffered();
        drain(&mut conn.stream, 32 * MIB - early, b'u');
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let mut config = service(origin.port);
    config["services"][0]["routes"][0]["request_buffering"] = json!(false);
    let gateway = Setup::new(&config).start();
    let mut client = gateway.connect();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        32 * MIB
    ));
    let written = Arc::new(AtomicU64::new(0));
    let (count, mut stream) = (written.clone(), client.stream.try_clone().unwrap());
    let writer = std::thread::spawn(move || {
        for _ in 0..512 {
            stream.write_all(&vec![b'u'; 64 << 10]).unwrap();
            count.fetch_add(64 << 10, Ordering::SeqCst);
        }
    });
    std::thread::sleep(Duration::from_millis(700));
    let held = written.load(Ordering::SeqCst);
    assert!(held < 24 << 20, "{held} bytes went somewhere without a reader");
    go.store(true, Ordering::SeqCst);
    writer.join().unwrap();
    client.answer(false).is(200);
}

#[test]
fn a03_an_early_answer_reaches_a_client_that_still_sends() {
    let origin = Origin::raw(|mut conn| {
        conn.head();
        conn.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        std::thread::sleep(Duration::from_millis(300));
    });
    let gateway = Setup::new(&service(origin.port)).start();
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\npart");
    assert_eq!(client.answer(false).is(413).text(), "no");
}

#[test]
fn a03_chunks_pass_as_they_come() {
    let origin = Origin::raw(|mut conn| {
        conn.request();
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        std::thread::sleep(Duration::from_millis(1500));
        conn.send("4\r\nlast\r\n0\r\n\r\n");
    });
    let gateway = Setup::new(&service(origin.port)).start();
    let mut client = gateway.connect();
    let start = std::time::Instant::now();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head();
    assert_eq!(client.take(10), b"5\r\nfirst\r\n");
    assert!(start.elapsed() < Duration::from_millis(1400), "held back");
    assert_eq!(client.take(14), b"4\r\nlast\r\n0\r\n\r\n");
}

#[test]
fn a03_a_client_that_leaves_ends_the_upstream_call() {
    let (ended, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let mark = ended.clone();
    let origin = Origin::raw(move |mut conn| {
        conn.request();
        let mut rest = [0; 1];
        let gone = matches!(conn.stream.read(&mut rest), Ok(0) | Err(_));
        mark.store(gone, Ordering::SeqCst);
    });
    let gateway = Setup::probe(origin.port).start();
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nx-log: kong.log.err('abort logged ', ngx.status)\r\n\r\n");
    assert!(eventually(Duration::from_secs(5), || origin.accepted() == 1));
    std::thread::sleep(Duration::from_millis(100));
    drop(client);
    let seen = eventually(Duration::from_secs(5), || ended.load(Ordering::SeqCst));
    over.store(true, Ordering::SeqCst);
    assert!(seen, "the upstream connection stays open");
    gateway.logged("abort logged 499");
    gateway.access_logged(" 499 ");
}

#[test]
fn a03_bodies_over_the_limit_are_refused() {
    let origin = Origin::echo();
    let gateway = Setup::new(&service(origin.port))
        .set("nginx_http_client_max_body_size", "1k")
        .start();
    let mut client = gateway.connect();
    client.ask("POST", "/", &[], &[b'x'; 1024]).is(200);
    client.ask("POST", "/", &[], &[b'x'; 1025]).is(413);
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(format!("800\r\n{}\r\n0\r\n\r\n", "x".repeat(0x800)));
    client.answer(false).is(413);
}
