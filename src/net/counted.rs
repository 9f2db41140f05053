//! A stream that counts what goes through it.
//!
//! Must not: change or hold back bytes.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Counts bytes read and written into cells that others may look at.
#[derive(Debug)]
pub struct Counted<S> {
    stream: S,
    received: Rc<Cell<u64>>,
    sent: Rc<Cell<u64>>,
}

impl<S> Counted<S> {
    /// Wraps a stream; counting goes on from what the cells hold.
    pub fn new(stream: S, received: Rc<Cell<u64>>, sent: Rc<Cell<u64>>) -> Self {
        Self {
            stream,
            received,
            sent,
        }
    }

    /// The stream itself.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Gives the stream back.
    pub fn into_inner(self) -> S {
        self.stream
    }

    fn count_sent(&self, result: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(written)) = result {
            self.sent.set(self.sent.get() + *written as u64);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let counted = self.get_mut();
        let before = out.filled().len();
        let result = Pin::new(&mut counted.stream).poll_read(cx, out);
        let read = out.filled().len().saturating_sub(before) as u64;
        counted.received.set(counted.received.get() + read);
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let counted = self.get_mut();
        let result = Pin::new(&mut counted.stream).poll_write(cx, bytes);
        counted.count_sent(&result);
        result
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let counted = self.get_mut();
        let result = Pin::new(&mut counted.stream).poll_write_vectored(cx, slices);
        counted.count_sent(&result);
        result
    }
}
