//! The guard under a real hyper server connection.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use http_body::Body;
use hyper::body::Incoming as HyperBody;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

async fn drain(mut body: HyperBody) -> Result<usize, hyper::Error> {
    let mut total = 0;
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        total += frame?.data_ref().map_or(0, |data| data.len());
    }
    Ok(total)
}

/// Serves `input` and returns what the client reads and the targets the service saw.
async fn serve(input: &[u8]) -> (String, Vec<String>) {
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let (guard, handle) = GuardedIo::new(server, Limits::default());
    let targets = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&targets);
    let service = service_fn(move |request: Request<HyperBody>| {
        let (handle, seen) = (handle.clone(), Rc::clone(&seen));
        async move {
            let (status, text) = match handle.pop().unwrap() {
                Incoming::Head(head) => {
                    seen.borrow_mut()
                        .push(String::from_utf8_lossy(head.target()).into_owned());
                    match (drain(request.into_body()).await, handle.body_fault()) {
                        (Ok(total), None) => (200, format!("read {total}")),
                        (Err(_), Some(fault)) => (fault.status, fault.reason.to_owned()),
                        (result, fault) => panic!("{result:?} {fault:?}"),
                    }
                }
                Incoming::Fault(fault) => (fault.status, fault.reason.to_owned()),
            };
            let mut response = Response::new(text);
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .pipeline_flush(true)
        .serve_connection(guard, service);
    let talk = async {
        client.write_all(input).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        // Else the guard would listen on for a while behind a refused message.
        drop(client);
        String::from_utf8_lossy(&answer).into_owned()
    };
    let (answer, _) = tokio::join!(talk, connection);
    let targets = targets.borrow().clone();
    (answer, targets)
}

#[tokio::test]
async fn a04_hyper_serves_guarded_pipelines() {
    let (answer, targets) = serve(
        b"GET /a<b HTTP/1.1\r\nHost: h\r\n\r\nPOST /`2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
          3\r\nabc\r\n0\r\n\r\nPUT /{3} HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nConnection: close\r\n\r\nabcd",
    )
    .await;
    assert_eq!(targets, ["/a<b", "/`2", "/{3}"]);
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
    assert!(answer.contains("read 0") && answer.contains("read 3") && answer.ends_with("read 4"));
}

#[tokio::test]
async fn a04_refusals_are_answered_in_their_turn() {
    let (answer, targets) = serve(
        b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\nBad : x\r\n\r\nGET /3 HTTP/1.1\r\n\r\n",
    )
    .await;
    assert_eq!(targets, ["/1"]);
    let first = answer.find("HTTP/1.1 200 OK").unwrap();
    let second = answer.find("HTTP/1.1 400 Bad Request").unwrap();
    assert!(first < second && answer.contains("connection: close"), "{answer}");
    assert!(answer.ends_with("client sent invalid header line"));
}

#[tokio::test]
async fn a04_broken_chunks_are_answered_400() {
    let (answer, targets) = serve(
        b"POST /1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\nGET /2 HTTP/1.1\r\n\r\n",
    )
    .await;
    assert_eq!(targets, ["/1"]);
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1);
}

/// Serves a mutated input to its end; the service must find a head whenever hyper calls it.
async fn serve_anything(input: &[u8]) -> usize {
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let (guard, handle) = GuardedIo::new(server, Limits::default());
    let calls = Rc::new(RefCell::new(0));
    let counted = Rc::clone(&calls);
    let service = service_fn(move |request: Request<HyperBody>| {
        *counted.borrow_mut() += 1;
        let incoming = handle.pop().expect("hyper called without a head");
        let handle = handle.clone();
        async move {
            if let Incoming::Head(head) = &incoming {
                assert_eq!(request.method().as_str().as_bytes(), head.method());
                if head.wants_upgrade() {
                    handle.decline_upgrade();
                }
            }
            if let Err(error) = drain(request.into_body()).await {
                // hyper's own judgement of a body must never be the stricter one.
                let ended = format!("{error:?}").contains("UnexpectedEof");
                assert!(handle.body_fault().is_some() || ended, "{error:?}");
            }
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    });
    let connection = http1::Builder::new()
        .half_close(true)
        .serve_connection(guard, service);
    let talk = async {
        client.write_all(input).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
    };
    let ((), _) = tokio::join!(talk, connection);
    calls.take()
}

#[tokio::test]
async fn a04_fuzz_hyper_never_calls_without_a_head_and_never_refuses() {
    let mut dice = super::fuzz::Dice::new();
    let mut calls = 0;
    for _ in 0..5_000 {
        let input = super::fuzz::mutate(&mut dice);
        let served = tokio::time::timeout(std::time::Duration::from_secs(10), serve_anything(&input));
        calls += served
            .await
            .unwrap_or_else(|_| panic!("hangs: {:?}", String::from_utf8_lossy(&input)));
    }
    assert!(calls > 5_000, "{calls}");
}

#[tokio::test]
async fn a04_a_refused_client_can_read_the_answer_though_it_goes_on_sending() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let (guard, handle) = GuardedIo::new(stream, Limits::default());
        let service = service_fn(move |_| {
            let Some(Incoming::Fault(fault)) = handle.pop() else {
                panic!("let through")
            };
            async move {
                let mut response = Response::new(fault.reason.to_owned());
                *response.status_mut() = StatusCode::from_u16(fault.status).unwrap();
                Ok::<_, Infallible>(response)
            }
        });
        http1::Builder::new()
            .serve_connection(guard, service)
            .await
            .unwrap();
    };
    let talk = async {
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /").await.unwrap();
        // Much more than the sockets' buffers hold: closing early would reset the connection.
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..16 {
            client.write_all(&piece).await.unwrap();
        }
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let ((), answer) = tokio::join!(serve, talk);
    assert!(answer.starts_with("HTTP/1.1 414 URI Too Long"), "{answer}");
    assert!(answer.ends_with("client sent too long URI"), "{answer}");
}

#[tokio::test]
async fn d02_a_head_waits_for_what_is_left_of_100_continue() {
    use hyper::rt::Write as _;
    const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let script = super::script::Script::writing(vec![10, 0, 15, 3, 0, 500]);
    let (mut guard, handle) = GuardedIo::new(script, Limits::default());
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut at = 0;
    let mut waited = 0;
    while at < CONTINUE.len() {
        match Pin::new(&mut guard).poll_write(&mut cx, &CONTINUE[at..]) {
            Poll::Ready(n) => at += n.unwrap(),
            Poll::Pending => {}
        }
        waited += usize::from(handle.poll_written(&mut cx).is_pending());
    }
    assert!(waited >= 2);
    while Pin::new(&mut guard).poll_flush(&mut cx).is_pending() {}
    assert!(handle.poll_written(&mut cx).is_ready());
    handle.set_head(b"HTTP/1.1 200 OK\r\nx-Own: 1\r\n".to_vec(), false);
    handle.send_head();
    let skeleton = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let mut at = 0;
    while at < skeleton.len() {
        if let Poll::Ready(n) = Pin::new(&mut guard).poll_write(&mut cx, &skeleton[at..]) {
            at += n.unwrap();
        }
    }
    while Pin::new(&mut guard).poll_flush(&mut cx).is_pending() {}
    let expected = b"HTTP/1.1 200 OK\r\nx-Own: 1\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n";
    assert_eq!(guard.get_ref().written, [CONTINUE, expected].concat());
}
