//! The bytes' way to an upstream: a socket, with TLS on it or without.
//!
//! Must not: know HTTP.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// What the writing side of a socket is up to.
#[derive(Debug, Default)]
pub struct Writing {
    /// The peer takes nothing at the moment.
    blocked: Cell<bool>,
    /// The peer has hung up; what it sent before may still be read.
    broken: Cell<bool>,
    /// Bytes the kernel took.
    written: Cell<u64>,
}

impl Writing {
    /// Whether the last write waits for the peer.
    pub fn is_blocked(&self) -> bool {
        self.blocked.get()
    }

    /// Whether writing came to an end that was not ours.
    pub fn is_broken(&self) -> bool {
        self.broken.get()
    }

    /// Bytes the kernel took so far, those of TLS itself among them.
    pub fn written(&self) -> u64 {
        self.written.get()
    }
}

/// A socket that tells how writing goes, and that lets an answer be read which came before the peer hung up in the
/// middle of the request.
#[derive(Debug)]
pub struct Socket {
    tcp: TcpStream,
    writing: Rc<Writing>,
}

// === impl Socket ===

impl Socket {
    /// Wraps a connected socket.
    pub fn new(tcp: TcpStream) -> (Self, Rc<Writing>) {
        let writing = Rc::new(Writing::default());
        let socket = Self {
            tcp,
            writing: writing.clone(),
        };
        (socket, writing)
    }

    /// Notes how a write of so many bytes went.
    fn note(&self, result: Poll<io::Result<usize>>, bytes: usize) -> Poll<io::Result<usize>> {
        self.writing.blocked.set(result.is_pending());
        match result {
            Poll::Ready(Err(e)) if hung_up(&e) => {
                self.writing.broken.set(true);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Ok(written)) => {
                let all = self.writing.written.get() + written as u64;
                self.writing.written.set(all);
                Poll::Ready(Ok(written))
            }
            other => other,
        }
    }
}

fn hung_up(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted
    )
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_read(cx, out)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        if socket.writing.broken.get() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let result = Pin::new(&mut socket.tcp).poll_write(cx, bytes);
        socket.note(result, bytes.len())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        if socket.writing.broken.get() {
            return Poll::Ready(Ok(bytes));
        }
        let result = Pin::new(&mut socket.tcp).poll_write_vectored(cx, slices);
        socket.note(result, bytes)
    }
}

/// A connection's bytes.
#[derive(Debug)]
pub enum Stream {
    /// As they are.
    Plain(Socket),
    /// Through TLS.
    Tls(Box<TlsStream<Socket>>),
}

// === impl Stream ===

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, out),
            Self::Tls(tls) => match Pin::new(tls).poll_read(cx, out) {
                // many servers close without close_notify: nginx takes that for the end, too; what is framed by
                // length is found short above
                Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
                other => other,
            },
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
        }
    }
}

impl Drop for Stream {
    /// Says goodbye as far as that goes without waiting: servers forget the sessions of connections cut off.
    fn drop(&mut self) {
        if let Self::Tls(tls) = self {
            let (socket, session) = tls.get_mut();
            session.send_close_notify();
            let mut last = Vec::new();
            while session.wants_write() {
                match session.write_tls(&mut last) {
                    Ok(n) if n > 0 => {}
                    _ => break,
                }
            }
            if !socket.writing.broken.get() && !socket.writing.blocked.get() {
                let _ = socket.tcp.try_write(&last);
            }
        }
    }
}
