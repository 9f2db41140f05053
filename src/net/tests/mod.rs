//! Tests of the guard as a whole: what hyper gets to see and what the service finds.

#![allow(clippy::unwrap_used)]

mod addresses;
mod fuzz;
mod head_writer;
mod hyper_server;
mod messages;
mod refusals;
mod script;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use hyper::rt::{Read, ReadBuf};

use super::guard::{GuardHandle, GuardedIo, HeadFault, Incoming, Limits, RequestHead};
use script::Script;

/// Everything hyper would read from a connection, in one piece, and how reading ended.
pub(super) struct Seen {
    pub(super) bytes: Vec<u8>,
    pub(super) heads: Vec<Incoming>,
    pub(super) error: Option<io::Error>,
    pub(super) ended: bool,
    pub(super) handle: GuardHandle,
}

impl Seen {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(super) fn head(&self, index: usize) -> &RequestHead {
        match &self.heads[index] {
            Incoming::Head(head) => head,
            Incoming::Fault(fault) => panic!("refused: {} {}", fault.status, fault.reason),
        }
    }

    pub(super) fn fault(&self) -> Option<&HeadFault> {
        self.heads.iter().find_map(|incoming| match incoming {
            Incoming::Fault(fault) => Some(fault),
            Incoming::Head(_) => None,
        })
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reads to the end of the script with a buffer of `room` bytes per read.
pub(super) fn read_all(script: Script, limits: Limits, room: usize) -> Seen {
    let (mut guard, handle) = GuardedIo::new(script, limits);
    let mut seen = Seen {
        bytes: Vec::new(),
        heads: Vec::new(),
        error: None,
        ended: false,
        handle,
    };
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    // A Pending without a wake-up behind it would hang a connection: here it ends the reading.
    while woken.0.swap(false, Ordering::Relaxed) {
        let mut storage = vec![0_u8; room];
        let mut buffer = ReadBuf::new(&mut storage);
        let mut cx = Context::from_waker(&waker);
        match Pin::new(&mut guard).poll_read(&mut cx, buffer.unfilled()) {
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                seen.ended = true;
                break;
            }
            Poll::Ready(Ok(())) => {
                woken.0.store(true, Ordering::Relaxed);
                seen.bytes.extend_from_slice(buffer.filled());
            }
            Poll::Ready(Err(error)) => {
                seen.error = Some(error);
                break;
            }
            Poll::Pending => {}
        }
        while let Some(incoming) = seen.handle.pop() {
            seen.heads.push(incoming);
        }
    }
    seen
}

/// Reads `input` sent in one piece.
pub(super) fn read(input: &[u8]) -> Seen {
    read_all(Script::whole(input), Limits::default(), 8192)
}

/// Reads `input` cut in two at every place, and byte by byte, and hands each result to `check`.
pub(super) fn read_split(input: &[u8], check: impl Fn(&Seen)) {
    for cut in 0..=input.len() {
        let (front, back) = input.split_at(cut);
        check(&read_all(Script::new([front, back]), Limits::default(), 8192));
    }
    for room in [64, 8192] {
        check(&read_all(Script::new(input.chunks(1)), Limits::default(), room));
    }
}

/// A stream that takes what it is given and never sends it.
struct Stuck;

impl tokio::io::AsyncRead for Stuck {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl tokio::io::AsyncWrite for Stuck {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

#[test]
fn c07_what_tls_took_and_cannot_send_counts_as_blocked() {
    use hyper::rt::Write as _;
    let (mut io, handle) = GuardedIo::new(Stuck, Limits::from_buffers(4, 8192));
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut io).poll_write(&mut context, b"answer").is_ready());
    assert!(!handle.write_blocked());
    assert!(Pin::new(&mut io).poll_flush(&mut context).is_pending());
    assert!(handle.write_blocked());
    assert!(Pin::new(&mut io).poll_write(&mut context, b"more").is_ready());
    assert!(!handle.write_blocked());
    assert!(Pin::new(&mut io).poll_shutdown(&mut context).is_pending());
    assert!(handle.write_blocked());
}
