//! A client's stream that a handler may take over from the HTTP server (`ngx.req.socket(true)`).
//!
//! The server reads and writes through [`Shareable`]; who took over, through the [`RawStream`] beside it. The guard
//! sees to it that the server touches nothing from then on. Must not: decide who has it.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A stream whose end can be seen without reading from it.
pub trait Peekable {
    /// What it runs over.
    fn tcp(&self) -> &TcpStream;
}

impl Peekable for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

/// The other way to a client's stream.
pub trait RawStream {
    /// Ready when the client closed the connection, or broke it off, and nothing it sent is left to read. Not to be
    /// asked while somebody reads.
    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<()>;
    /// Reads.
    fn poll_read(&self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>>;
    /// Writes a part.
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;
    /// Sends what is kept back.
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Says that nothing more is sent.
    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl fmt::Debug for dyn RawStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawStream")
    }
}

struct Shared<S>(RefCell<S>);

impl<S> fmt::Debug for Shared<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

/// A stream with two ways to it.
#[derive(Debug)]
pub struct Shareable<S>(Rc<Shared<S>>);

/// Both ways to a stream.
pub fn share<S>(stream: S) -> (Shareable<S>, Rc<dyn RawStream>)
where
    S: AsyncRead + AsyncWrite + Peekable + Unpin + 'static,
{
    let shared = Rc::new(Shared(RefCell::new(stream)));
    (Shareable(shared.clone()), shared)
}

impl<S: AsyncRead + AsyncWrite + Peekable + Unpin> RawStream for Shared<S> {
    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut byte = [0];
        match self.0.borrow().tcp().poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
            Poll::Ready(Ok(1..)) | Poll::Pending => Poll::Pending,
            Poll::Ready(_) => Poll::Ready(()),
        }
    }

    fn poll_read(&self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_read(cx, out)
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write(cx, bytes)
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Shareable<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.0.borrow_mut()).poll_read(cx, out)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Shareable<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.0.borrow_mut()).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.0.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.0.borrow_mut()).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.0.borrow().is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.0.borrow_mut()).poll_write_vectored(cx, slices)
    }
}
