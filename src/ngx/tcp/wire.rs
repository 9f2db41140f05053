//! A connection's bytes: plain or through TLS, what was read and not yet taken, and whether the peer has ended.
//!
//! One handler may read while another writes: each borrows the stream only while it polls. Must not: know Lua.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use super::super::log::Level;
use super::super::sockets::{
    Counted, Peer, Place, bound, level_of_refusal, log_call, log_error, numbered, reason,
};
use super::pool::Ticket;
use super::tls::Shaken;

/// How much is read at once.
const CHUNK: usize = 16 << 10;

/// Anything that reads and writes.
pub(in crate::ngx) trait ReadWrite: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin + ?Sized> ReadWrite for T {}

/// What a request's client sends, or its connection.
pub(in crate::ngx) trait Io: ReadWrite {
    /// Hands the system's socket to `f`, if there is one.
    fn with_fd(&self, f: &mut dyn FnMut(BorrowedFd<'_>));
}

/// A socket of the system.
pub(in crate::ngx) enum Plain {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl AsyncRead for Plain {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_read(cx, out),
            Self::Unix(s) => Pin::new(s).poll_read(cx, out),
        }
    }
}

impl AsyncWrite for Plain {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_write(cx, bytes),
            Self::Unix(s) => Pin::new(s).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_shutdown(cx),
            Self::Unix(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}

impl Plain {
    /// Writes what goes without waiting.
    fn try_write(&self, bytes: &[u8]) {
        let _ = match self {
            Self::Tcp(s) => s.try_write(bytes),
            Self::Unix(s) => s.try_write(bytes),
        };
    }
}

/// TLS that says goodbye.
struct Tls(TlsStream<Plain>);

enum Stream {
    Plain(Plain),
    Tls(Box<Tls>),
    Other(Box<dyn Io>),
    /// Taken out for a handshake.
    Gone,
}

impl Stream {
    fn io(&mut self) -> io::Result<Pin<&mut dyn ReadWrite>> {
        match self {
            Self::Plain(s) => Ok(Pin::new(s)),
            Self::Tls(s) => Ok(Pin::new(&mut s.0)),
            Self::Other(s) => Ok(Pin::new(&mut **s)),
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Drop for Tls {
    /// As far as that goes without waiting: servers forget the sessions of connections cut off.
    fn drop(&mut self) {
        let (socket, session) = self.0.get_mut();
        session.send_close_notify();
        let mut last = Vec::new();
        while session.wants_write() {
            match session.write_tls(&mut last) {
                Ok(n) if n > 0 => {}
                _ => break,
            }
        }
        socket.try_write(&last);
    }
}

/// A connection.
pub(in crate::ngx) struct Conn {
    stream: RefCell<Stream>,
    /// Read and not yet taken.
    pub input: RefCell<BytesMut>,
    /// The peer sends no more; it may still listen.
    pub eof: Cell<bool>,
    /// Where it leads; None for a request's own.
    pub place: Option<Place>,
    /// How often it came out of a pool.
    pub reused: Cell<u32>,
    /// What its handshake asked, if it had one.
    pub shaken: RefCell<Option<Shaken>>,
    /// Its share of a pool that counts.
    pub ticket: RefCell<Option<Ticket>>,
    /// Nothing is held back to be sent with more (nginx's `tcp_nodelay`): from the first bytes on.
    prompt: Cell<bool>,
    /// The plugin that shook hands.
    pub plugin: Cell<u16>,
    _counted: Option<Counted>,
}

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into_boxed_slice());
}

impl Conn {
    fn new(stream: Stream, place: Option<Place>, counted: Option<Counted>) -> Self {
        Self {
            stream: RefCell::new(stream),
            input: RefCell::default(),
            eof: Cell::new(false),
            place,
            reused: Cell::new(0),
            shaken: RefCell::default(),
            ticket: RefCell::default(),
            prompt: Cell::new(false),
            plugin: Cell::new(0),
            _counted: counted,
        }
    }

    /// Around a stream that is another's: a request's.
    pub fn of_request(io: Box<dyn Io>) -> Self {
        Self::new(Stream::Other(io), None, None)
    }

    /// Connects; `peer` takes the address, and the log why that failed.
    ///
    /// # Errors
    /// OpenResty's words.
    pub async fn open(place: Place, bind: Option<SocketAddr>, peer: &RefCell<Peer>) -> Result<Self, String> {
        let counted = Counted::new().ok_or_else(|| "error".to_owned())?;
        let plain = match &place {
            Place::Path(path) => Plain::Unix(UnixStream::connect(path).await.map_err(|e| {
                let level = level_of_refusal(&e);
                log_call(
                    level,
                    format_args!("connect() to unix:{path}"),
                    &e,
                    &*peer.borrow(),
                );
                reason(&e)
            })?),
            Place::Addresses(addresses) => {
                let mut last = Err("no address".to_owned());
                for addr in addresses.iter() {
                    peer.borrow_mut().addr = Some(addr.ip());
                    last = to(addr, bind, peer).await;
                    if last.is_ok() {
                        break;
                    }
                }
                Plain::Tcp(last?)
            }
        };
        Ok(Self::new(Stream::Plain(plain), Some(place), Some(counted)))
    }

    /// The socket's number in the system, if it is one.
    pub fn with_fd<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> R) -> Option<R> {
        let stream = self.stream.borrow();
        let plain = match &*stream {
            Stream::Tls(tls) => tls.0.get_ref().0,
            Stream::Plain(plain) => plain,
            Stream::Other(io) => {
                let (mut f, mut done) = (Some(f), None);
                io.with_fd(&mut |fd| done = f.take().map(|f| f(fd)));
                return done;
            }
            Stream::Gone => return None,
        };
        Some(match plain {
            Plain::Tcp(s) => f(s.as_fd()),
            Plain::Unix(s) => f(s.as_fd()),
        })
    }

    /// Lets everything go at once from now on, if that was not said before.
    pub fn be_prompt(&self) {
        if !self.prompt.replace(true)
            && let Stream::Plain(Plain::Tcp(tcp)) = &*self.stream.borrow()
        {
            let _ = tcp.set_nodelay(true);
        }
    }

    /// Takes the bare socket out, for a handshake.
    pub fn take_plain(&self) -> Option<Plain> {
        self.be_prompt();
        let mut stream = self.stream.borrow_mut();
        match std::mem::replace(&mut *stream, Stream::Gone) {
            Stream::Plain(plain) => Some(plain),
            other => {
                *stream = other;
                None
            }
        }
    }

    /// Puts TLS in the place of the socket that was taken out.
    pub fn put_tls(&self, tls: TlsStream<Plain>, shaken: Shaken) {
        *self.stream.borrow_mut() = Stream::Tls(Box::new(Tls(tls)));
        *self.shaken.borrow_mut() = Some(shaken);
    }

    /// Reads more into `input`: how many bytes, 0 at the end.
    pub fn poll_fill(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        SCRATCH.with(|scratch| {
            let mut scratch = scratch.borrow_mut();
            let mut out = ReadBuf::new(&mut scratch);
            let mut stream = self.stream.borrow_mut();
            let read = stream.io()?.poll_read(cx, &mut out);
            match std::task::ready!(read) {
                // many servers close without close_notify: nginx takes that for the end, too
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && e.raw_os_error().is_none() => {
                    Poll::Ready(Ok(0))
                }
                Err(e) => Poll::Ready(Err(e)),
                Ok(()) => {
                    self.input.borrow_mut().extend_from_slice(out.filled());
                    Poll::Ready(Ok(out.filled().len()))
                }
            }
        })
    }

    /// Reads more within a limit: how many bytes, 0 at the end.
    ///
    /// # Errors
    /// "timeout", or why reading failed.
    pub async fn fill(&self, limit: Duration, peer: &RefCell<Peer>) -> Result<usize, String> {
        match tokio::time::timeout(limit, poll_fn(|cx| self.poll_fill(cx))).await {
            Err(_) => Err("timeout".to_owned()),
            Ok(Err(e)) => {
                log_call(Level::ERR, "recv()", &e, &*peer.borrow());
                Err(reason(&e))
            }
            Ok(Ok(n)) => {
                self.eof.set(n == 0);
                Ok(n)
            }
        }
    }

    /// Writes a part of `bytes`.
    pub fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.borrow_mut().io()?.poll_write(cx, bytes)
    }

    /// Writes what is kept back.
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.borrow_mut().io()?.poll_flush(cx)
    }

    /// What an idle connection is up to: silent, at its end, or talking unasked.
    pub fn probe(&self) -> Probe {
        let mut cx = Context::from_waker(Waker::noop());
        match self.poll_fill(&mut cx) {
            Poll::Pending => Probe::Silent,
            Poll::Ready(Ok(n)) if n > 0 => Probe::Talks,
            Poll::Ready(_) => Probe::Ended,
        }
    }
}

/// See [`Conn::probe`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ngx) enum Probe {
    Silent,
    Talks,
    Ended,
}

async fn to(addr: SocketAddr, bind: Option<SocketAddr>, peer: &RefCell<Peer>) -> Result<TcpStream, String> {
    let connected = match bind {
        None => TcpStream::connect(addr).await,
        Some(local) => {
            let socket = match addr {
                SocketAddr::V4(_) => TcpSocket::new_v4(),
                SocketAddr::V6(_) => TcpSocket::new_v6(),
            };
            let socket = socket.map_err(|e| reason(&e))?;
            if let Err(e) = socket.bind(local) {
                log_call(
                    Level::CRIT,
                    format_args!("bind({})", bound(local)),
                    &e,
                    &*peer.borrow(),
                );
                return Err(reason(&e));
            }
            socket.connect(addr).await
        }
    };
    connected.map_err(|e| {
        match e.raw_os_error() {
            // what comes to light only while one waits
            Some(libc::ECONNREFUSED | libc::ECONNRESET | libc::ETIMEDOUT | libc::EHOSTUNREACH) => {
                log_error(|| format!("connect() failed ({}){}", numbered(&e), peer.borrow()));
            }
            _ => log_call(
                level_of_refusal(&e),
                format_args!("connect() to {addr}"),
                &e,
                &*peer.borrow(),
            ),
        }
        reason(&e)
    })
}

/// A handshake over a socket that was taken out.
///
/// # Errors
/// As tokio-rustls gives them.
pub(in crate::ngx) async fn shake(
    plain: Plain,
    config: Arc<rustls::ClientConfig>,
    name: rustls::pki_types::ServerName<'static>,
) -> io::Result<TlsStream<Plain>> {
    tokio_rustls::TlsConnector::from(config)
        .connect(name, plain)
        .await
}
