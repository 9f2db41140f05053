//! The TLS handshake of one client connection: read the ClientHello, let it be decided, shake hands, within limits.
//!
//! Must not: decide which certificate is shown (`proxy::handshake` does).

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use rustls::server::{Accepted, Acceptor};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::server::{StartHandshake, TlsStream};

use super::accept::Shared;
use super::crowd::MAX_HANDSHAKES;
use super::tls_error;
use crate::logs::{ErrorContext, Level};
use crate::net::raw::Peekable;
use crate::proxy::Worker;
use crate::proxy::handshake::{Caller, Secured, decide};
use crate::tls::openssl;
use crate::tls::server::hello::{self, Progress};
use crate::tls::server::{Facts, Hello};

/// A stream of which some bytes were read already.
#[derive(Debug)]
pub(super) struct Begun {
    stream: TcpStream,
    read: Vec<u8>,
    at: usize,
    /// Bytes that went out, TLS's own included.
    sent: Rc<Cell<u64>>,
}

impl Peekable for Begun {
    fn tcp(&self) -> &TcpStream {
        &self.stream
    }
}

impl Peekable for TlsStream<Begun> {
    fn tcp(&self) -> &TcpStream {
        &self.get_ref().0.stream
    }
}

/// What became of a connection to a listener with TLS.
pub(super) enum Outcome {
    /// It speaks TLS.
    Tls(Box<TlsStream<Begun>>, Box<Facts>),
    /// It speaks, but not TLS.
    Plain(Begun),
}

/// Why there is no TLS.
pub(super) enum Failure {
    /// The client said nothing at all.
    Silent,
    /// It took too long.
    Timeout,
    /// The client is gone.
    Gone(io::Error),
    /// What the client said does not lead to a handshake: OpenSSL's number and words.
    Handshake(u16, String),
    /// There are too many, and this one takes longest.
    Crowd,
}

/// Shakes hands; what goes wrong is logged.
pub(super) async fn handshake(
    shared: &Rc<Shared>,
    secured: &Secured,
    stream: TcpStream,
    caller: Caller,
) -> Option<Outcome> {
    let (peer, serial, listener) = (caller.peer, caller.serial, caller.listener);
    let limit = shared.current.borrow().settings.client_header_timeout;
    let place = shared.crowd.enter();
    let whole = attempt(shared, secured, stream, caller);
    let result = tokio::select! {
        result = timeout_at(Instant::now() + limit, Box::pin(whole)) => result.unwrap_or(Err(Failure::Timeout)),
        () = place.taken() => Err(Failure::Crowd),
    };
    drop(place);
    match result {
        Ok(outcome) => Some(outcome),
        Err(failure) => {
            log(&shared.worker, &failure, serial, peer, listener);
            None
        }
    }
}

fn log(worker: &Worker, failure: &Failure, serial: u64, peer: SocketAddr, listener: SocketAddr) {
    let (level, message) = match failure {
        Failure::Silent => (Level::Info, "client closed connection".to_owned()),
        Failure::Timeout => (
            Level::Info,
            "client timed out (110: Connection timed out)".to_owned(),
        ),
        Failure::Gone(e) => {
            let system = e.raw_os_error().map(|code| {
                let text = e.to_string();
                format!(
                    " ({code}: {})",
                    text.split(" (os error").next().unwrap_or_default()
                )
            });
            let message = format!(
                "peer closed connection in SSL handshake{}",
                system.unwrap_or_default()
            );
            (Level::Info, message)
        }
        Failure::Handshake(number, words) => {
            let code = 0x0a00_0000 | u32::from(*number);
            let message = format!("SSL_do_handshake() failed (SSL: error:{code:08X}:SSL routines::{words})");
            (tls_error::level(*number), message)
        }
        Failure::Crowd => (
            Level::Warn,
            format!("{MAX_HANDSHAKES} SSL handshakes are not enough, closing the oldest"),
        ),
    };
    if !worker.errors.wants(level) {
        return;
    }
    let (client, server) = (peer.ip().to_string(), listener.to_string());
    let context = ErrorContext {
        connection: Some(serial),
        client: Some(client.as_bytes()),
        server: Some(server.as_bytes()),
        ..ErrorContext::default()
    };
    let message = format!("{message} while SSL handshaking");
    worker.errors.log(level, message.as_bytes(), &context);
}

async fn attempt(
    shared: &Rc<Shared>,
    secured: &Secured,
    mut stream: TcpStream,
    caller: Caller,
) -> Result<Outcome, Failure> {
    let mut bytes = Vec::with_capacity(2048);
    let hello = match read_hello(&mut stream, &mut bytes).await? {
        Some(hello) => hello,
        None => return Ok(Outcome::Plain(Begun::new(stream, bytes))),
    };
    let (accepted, rest) = match accept(&bytes) {
        Ok(accepted) => accepted,
        Err((error, alert)) => {
            let _ = stream.write_all(&alert).await;
            let (number, words) = openssl::describe(&error);
            return Err(Failure::Handshake(number, words.into_owned()));
        }
    };
    let generation = shared.current.borrow().clone();
    let decided = decide(&generation, secured, caller, hello).await;
    drop(generation);
    let (config, handshake) = match decided {
        Ok(decided) => decided,
        Err(refused) => {
            let (number, words, alert) = tls_error::of_refusal(&refused);
            let _ = stream.write_all(&tls_error::alert(alert)).await;
            return Err(Failure::Handshake(number, words.to_owned()));
        }
    };
    let start = StartHandshake::from_parts(accepted, Begun::new(stream, rest));
    match start.into_stream(config).await {
        Ok(stream) => {
            let wishes = handshake.wishes.take();
            let facts = Facts::new(
                stream.get_ref().1,
                handshake.server.options(),
                &handshake.hello,
                wishes,
            );
            Ok(Outcome::Tls(Box::new(stream), Box::new(facts)))
        }
        Err(e) => Err(failed(e)),
    }
}

/// An I/O error that tokio-rustls gave: rustls's own, or the connection's.
fn failed(e: io::Error) -> Failure {
    match e
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        Some(error) => {
            let (number, words) = openssl::describe(error);
            Failure::Handshake(number, words.into_owned())
        }
        None => Failure::Gone(e),
    }
}

/// Reads until a ClientHello is whole; None where the client does not speak TLS at all.
async fn read_hello(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<Option<Hello>, Failure> {
    loop {
        match stream.read_buf(bytes).await {
            Ok(0) if bytes.is_empty() => return Err(Failure::Silent),
            Ok(0) => return Err(Failure::Gone(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(e) => return Err(Failure::Gone(e)),
        }
        // nginx's rule: what begins like SSLv2 or a record is TLS, all else is HTTP
        if bytes.first().is_some_and(|b| *b != 0x16 && b & 0x80 == 0) {
            return Ok(None);
        }
        let why = match hello::read(bytes) {
            Progress::Whole(hello) => return Ok(Some(hello)),
            Progress::More if bytes.len() < hello::MAX_BYTES => continue,
            Progress::More => "excessive message size",
            Progress::Broken(why) => why,
        };
        let (number, alert) = tls_error::of_hello(why);
        let _ = stream.write_all(&tls_error::alert(alert)).await;
        return Err(Failure::Handshake(number, why.to_owned()));
    }
}

/// Gives rustls the ClientHello; what came behind it is left over.
fn accept(bytes: &[u8]) -> Result<(Accepted, Vec<u8>), (rustls::Error, Vec<u8>)> {
    let mut acceptor = Acceptor::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        if acceptor.read_tls(&mut rest).is_err() {
            break;
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok((accepted, rest.to_vec())),
            Ok(None) => {}
            Err((error, mut alert)) => {
                let mut bytes = Vec::new();
                let _ = alert.write_all(&mut bytes);
                return Err((error, bytes));
            }
        }
    }
    let error = rustls::Error::General("length mismatch".to_owned());
    Err((error, tls_error::alert(50).to_vec()))
}

// === impl Begun ===

impl Begun {
    fn new(stream: TcpStream, read: Vec<u8>) -> Self {
        Self {
            stream,
            read,
            at: 0,
            sent: Rc::default(),
        }
    }
}

impl Begun {
    /// The count of bytes that go out.
    pub fn sent(&self) -> Rc<Cell<u64>> {
        self.sent.clone()
    }

    fn count(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(n)) = &written {
            self.sent.set(self.sent.get() + *n as u64);
        }
        written
    }
}

impl AsyncRead for Begun {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.at == this.read.len() {
            return Pin::new(&mut this.stream).poll_read(cx, out);
        }
        let rest = &this.read[this.at..];
        let here = rest.len().min(out.remaining());
        out.put_slice(&rest[..here]);
        this.at += here;
        if this.at == this.read.len() {
            (this.read, this.at) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Begun {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.count(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.count(written)
    }
}
