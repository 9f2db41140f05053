//! The guard's mirror on the upstream side: our own head in place of the one hyper's client writes.
//!
//! hyper lower-cases header names, loses their order and refuses targets that nginx sends on. So it is given a
//! skeleton request (method, `/`, framing) and [`UpstreamIo`] puts the complete raw head, set beforehand with
//! [`HeadHandle::set_head`], where the skeleton would stand. What follows (the body) is written as hyper writes
//! it, in the same system call as the head where it comes with it.
//!
//! Must not: check that head and skeleton frame the body alike; who sets the head answers for that.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::counted::Counted;
use super::head_swap::{HeadSwap, Slot};
use super::spelling::{Ears, Overheard, Spelling};

#[derive(Debug, Default)]
struct Shared {
    slot: Rc<Slot>,
    ears: Ears,
    received: Rc<Cell<u64>>,
    sent: Rc<Cell<u64>>,
}

/// The sender's side of an upstream connection.
#[derive(Debug, Clone)]
pub struct HeadHandle(Rc<Shared>);

/// An upstream's stream as hyper's client sees it.
#[derive(Debug)]
pub struct UpstreamIo<S> {
    io: TokioIo<Overheard<Counted<S>>>,
    swap: HeadSwap,
}

// === impl HeadHandle ===

impl HeadHandle {
    /// Sets the complete head, empty line included, for the next request; before the request is sent.
    pub fn set_head(&self, head: Vec<u8>) {
        self.0.slot.set(head);
        self.0.ears.open();
    }

    /// An empty buffer to build the next head in: the last one written, where there was one.
    pub fn take_buffer(&self) -> Vec<u8> {
        self.0.slot.buffer()
    }

    /// How the names of the answer's headers are written.
    pub fn take_spelling(&self) -> Spelling {
        self.0.ears.take()
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
        let upstream = Self {
            io: TokioIo::new(Overheard::new(counted, shared.ears.clone())),
            swap: HeadSwap::new(Rc::clone(&shared.slot)),
        };
        (upstream, HeadHandle(shared))
    }

    /// Gives the stream back (after an upgrade).
    pub fn into_inner(self) -> S {
        self.io.into_inner().into_inner().into_inner()
    }

    /// The stream itself.
    pub fn get_ref(&self) -> &S {
        self.io.inner().get_ref().get_ref()
    }
}

impl<S: AsyncWrite + Unpin> UpstreamIo<S> {
    fn poll_slices(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.swap.poll_write(&mut self.io, cx, slices, |_, _| ())
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
        ready!(upstream.swap.poll_rest(&mut upstream.io, cx))?;
        Pin::new(&mut upstream.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let upstream = self.get_mut();
        ready!(upstream.swap.poll_rest(&mut upstream.io, cx))?;
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
