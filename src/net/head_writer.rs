//! The guard's mirror on the upstream side: our own head in place of the one hyper's client writes.
//!
//! hyper lower-cases header names, loses their order and refuses targets that nginx sends on. So it is given a
//! skeleton request (method, `/`, framing) and [`UpstreamIo`] puts the complete raw head, set beforehand with
//! [`HeadHandle::set_head`], where the skeleton would stand. What follows (the body) is written as hyper writes
//! it, in the same system call as the head where it comes with it.
//!
//! Must not: check that head and skeleton frame the body alike; who sets the head answers for that.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::counted::Counted;

/// Slices handed to one vectored write.
const MAX_SLICES: usize = 32;

#[derive(Debug, Default)]
struct Shared {
    head: RefCell<Option<Vec<u8>>>,
    spare: RefCell<Vec<u8>>,
    received: Rc<Cell<u64>>,
    sent: Rc<Cell<u64>>,
}

/// The sender's side of an upstream connection.
#[derive(Debug, Clone)]
pub struct HeadHandle(Rc<Shared>);

/// An upstream's stream as hyper's client sees it.
#[derive(Debug)]
pub struct UpstreamIo<S> {
    io: TokioIo<Counted<S>>,
    shared: Rc<Shared>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Bytes pass.
    Passing,
    /// The skeleton is being looked for its end; so many bytes of the CR LF CR LF were seen in earlier writes.
    Skeleton { head: Vec<u8>, matched: usize },
    /// The skeleton is taken; of the head so many bytes are written.
    Sending { head: Vec<u8>, at: usize },
}

// === impl HeadHandle ===

impl HeadHandle {
    /// Sets the complete head, empty line included, for the next request; before the request is sent.
    pub fn set_head(&self, head: Vec<u8>) {
        *self.0.head.borrow_mut() = Some(head);
    }

    /// An empty buffer to build the next head in: the last one written, where there was one.
    pub fn take_buffer(&self) -> Vec<u8> {
        self.0.spare.take()
    }

    /// Bytes read from the upstream so far.
    pub fn bytes_received(&self) -> u64 {
        self.0.received.get()
    }

    /// Bytes written to the upstream so far.
    pub fn bytes_sent(&self) -> u64 {
        self.0.sent.get()
    }
}

// === impl UpstreamIo ===

impl<S> UpstreamIo<S> {
    /// Wraps an upstream's stream.
    pub fn new(stream: S) -> (Self, HeadHandle) {
        let shared = Rc::new(Shared::default());
        let counted = Counted::new(stream, Rc::clone(&shared.received), Rc::clone(&shared.sent));
        let handle = HeadHandle(Rc::clone(&shared));
        (
            Self {
                io: TokioIo::new(counted),
                shared,
                state: State::Passing,
            },
            handle,
        )
    }

    /// Gives the stream back (after an upgrade).
    pub fn into_inner(self) -> S {
        self.io.into_inner().into_inner()
    }

    /// The stream itself.
    pub fn get_ref(&self) -> &S {
        self.io.inner().get_ref()
    }

    fn done(&mut self, mut head: Vec<u8>) {
        head.clear();
        self.shared.spare.replace(head);
        self.state = State::Passing;
    }
}

/// Looks for the end of a head over several slices: how many bytes up to it, or how much of it is matched.
fn end_of_head(slices: &[IoSlice<'_>], mut matched: usize) -> Result<usize, usize> {
    const END: &[u8; 4] = b"\r\n\r\n";
    let mut before = 0;
    for slice in slices {
        for (at, &byte) in slice.iter().enumerate() {
            matched = match (byte == END[matched], byte) {
                (true, _) => matched + 1,
                (false, b'\r') => 1,
                (false, _) => 0,
            };
            if matched == END.len() {
                return Ok(before + at + 1);
            }
        }
        before += slice.len();
    }
    Err(matched)
}

/// `first` and then what stands behind `skipped` bytes of `slices`.
fn behind<'a>(
    first: &'a [u8],
    slices: &'a [IoSlice<'_>],
    mut skipped: usize,
) -> ([IoSlice<'a>; MAX_SLICES], usize) {
    let mut out = [IoSlice::new(&[]); MAX_SLICES];
    out[0] = IoSlice::new(first);
    let mut count = 1;
    for slice in slices {
        let here = skipped.min(slice.len());
        skipped -= here;
        if here < slice.len() && count < MAX_SLICES {
            out[count] = IoSlice::new(&slice[here..]);
            count += 1;
        }
    }
    (out, count)
}

impl<S: AsyncWrite + Unpin> UpstreamIo<S> {
    /// Writes the rest of a head whose skeleton is taken.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let State::Sending { head, at } = &mut self.state {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &head[*at..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *at += written;
            if *at == head.len() {
                let head = std::mem::take(head);
                self.done(head);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_slices(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        ready!(self.poll_head(cx))?;
        if matches!(self.state, State::Passing)
            && let Some(head) = self.shared.head.borrow_mut().take()
        {
            self.state = State::Skeleton { head, matched: 0 };
        }
        let State::Skeleton { head, matched } = &mut self.state else {
            return Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        };
        let skeleton = match end_of_head(slices, *matched) {
            Ok(skeleton) => skeleton,
            Err(so_far) => {
                *matched = so_far;
                return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
            }
        };
        let (joined, count) = behind(head, slices, skeleton);
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, &joined[..count]))?;
        if written == 0 && !head.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let head = std::mem::take(head);
        // The skeleton counts as written in any case: the rest of the head is ours to write.
        match written.checked_sub(head.len()) {
            Some(body) => {
                self.done(head);
                Poll::Ready(Ok(skeleton + body))
            }
            None => {
                self.state = State::Sending { head, at: written };
                Poll::Ready(Ok(skeleton))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Read for UpstreamIo<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, out)
    }
}

impl<S: AsyncWrite + Unpin> Write for UpstreamIo<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_slices(cx, &[IoSlice::new(bytes)])
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let upstream = self.get_mut();
        ready!(upstream.poll_head(cx))?;
        Pin::new(&mut upstream.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let upstream = self.get_mut();
        ready!(upstream.poll_head(cx))?;
        Pin::new(&mut upstream.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        Write::is_write_vectored(&self.io)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_slices(cx, slices)
    }
}
