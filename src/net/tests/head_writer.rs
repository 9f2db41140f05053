//! The head writer under scripted writes and under hyper's client.

use std::future::poll_fn;
use std::io::IoSlice;

use hyper::rt::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::script::Script;
use super::*;
use crate::net::head_writer::{HeadHandle, UpstreamIo};

const SKELETON: &[u8] = b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\n";
const HEAD: &[u8] = b"POST /a<b HTTP/1.1\r\nHost: h\r\nX-Case: 1\r\nContent-Length: 5\r\n\r\n";

/// Writes all of `slices`, as hyper would, then flushes; returns what arrived and in how many writes.
async fn write_all(io: &mut UpstreamIo<Script>, slices: &[&[u8]], vectored: bool) {
    let all = slices.concat();
    let mut at = 0;
    while at < all.len() {
        let mut rest = Vec::new();
        let mut before = 0;
        for slice in slices {
            let skip = at.saturating_sub(before).min(slice.len());
            rest.push(IoSlice::new(&slice[skip..]));
            before += slice.len();
        }
        at += poll_fn(|cx| match vectored {
            true => Pin::new(&mut *io).poll_write_vectored(cx, &rest),
            false => {
                let first = rest.iter().find(|slice| !slice.is_empty()).unwrap();
                Pin::new(&mut *io).poll_write(cx, first)
            }
        })
        .await
        .unwrap();
    }
    poll_fn(|cx| Pin::new(&mut *io).poll_flush(cx)).await.unwrap();
}

fn written(io: &UpstreamIo<Script>) -> &[u8] {
    &io.get_ref().written
}

fn set(handle: &HeadHandle) {
    let mut buffer = handle.take_buffer();
    buffer.extend_from_slice(HEAD);
    handle.set_head(buffer);
}

#[tokio::test]
async fn a04_own_head_replaces_the_skeleton_in_one_write() {
    let (mut io, handle) = UpstreamIo::new(Script::default());
    set(&handle);
    write_all(&mut io, &[SKELETON], true).await;
    assert_eq!(written(&io), HEAD);
    assert_eq!(io.get_ref().writes, 1);
    set(&handle);
    write_all(&mut io, &[SKELETON, b"he", b"llo"], true).await;
    assert_eq!(written(&io), [HEAD, HEAD, b"hello"].concat());
    assert_eq!(io.get_ref().writes, 2);
    write_all(&mut io, &[b"passed\r\n\r\non"], true).await;
    assert!(written(&io).ends_with(b"hellopassed\r\n\r\non"));
    assert_eq!(handle.bytes_sent(), written(&io).len() as u64);
}

#[tokio::test]
async fn a04_own_head_survives_partial_and_pending_writes() {
    let whole = [SKELETON, b"hello"].concat();
    let mut expected = HEAD.to_vec();
    expected.extend_from_slice(b"hello");
    for first in 0..HEAD.len() + 6 {
        for sizes in [vec![first, 0, 3, 0, 0, 1], vec![0, first, 1, 1, 1]] {
            for vectored in [true, false] {
                let (mut io, handle) = UpstreamIo::new(Script::writing(sizes.clone()));
                set(&handle);
                write_all(&mut io, &[SKELETON, b"hello"], vectored).await;
                assert_eq!(written(&io), expected);
                set(&handle);
                write_all(&mut io, &[&whole], vectored).await;
                assert_eq!(written(&io), expected.repeat(2));
            }
        }
    }
}

#[tokio::test]
async fn a04_skeletons_cut_anywhere_are_replaced() {
    let whole = [SKELETON, b"\r\n\r\nx"].concat();
    for cut in 1..whole.len() {
        for vectored in [true, false] {
            let (front, back) = whole.split_at(cut);
            let (mut io, handle) = UpstreamIo::new(Script::default());
            set(&handle);
            write_all(&mut io, &[front, back], vectored).await;
            assert_eq!(written(&io), [HEAD, b"\r\n\r\nx"].concat());
        }
    }
}

#[tokio::test]
async fn a04_hyper_client_sends_our_head() {
    let (ours, mut theirs) = tokio::io::duplex(4096);
    let (io, handle) = UpstreamIo::new(ours);
    let (mut sender, connection) = hyper::client::conn::http1::handshake::<_, String>(io)
        .await
        .unwrap();
    let talk = async {
        for _ in 0..2 {
            handle.set_head(HEAD.to_vec());
            let request = hyper::Request::post("/").body("hello".to_owned()).unwrap();
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.status(), 204);
        }
        drop(sender);
    };
    let upstream = async {
        for _ in 0..2 {
            let mut seen = vec![0_u8; HEAD.len() + 5];
            theirs.read_exact(&mut seen).await.unwrap();
            assert_eq!(seen, [HEAD, b"hello"].concat());
            theirs
                .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .await
                .unwrap();
        }
    };
    let ((), (), result) = tokio::join!(talk, upstream, connection);
    result.unwrap();
    assert_eq!(handle.bytes_sent(), 2 * (HEAD.len() as u64 + 5));
}
