//! `ngx.req.socket`: the client's body, or its whole connection, as a cosocket.
//!
//! Must not: know how the HTTP server is made to let go; the scope's `body_reader` does.

use std::io;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::call::{self, CONTENT};
use super::core::head_sent;
use super::tcp;
use crate::exchange::{Body, Exchange};
use crate::net::guard::GuardHandle;
use crate::net::raw::RawStream;
use crate::vm::scope::BodyReader;
use crate::vm::{Args, Registrar, Ret, checks_client_abort, op, scope};

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_req_socket", "open", op::raw(open))
}

/// `open(raw)`: the number of a socket; or `nil, err`.
///
/// # Source
/// ngx_http_lua_socket_tcp.c, `ngx_http_lua_req_socket`
fn open(a: &Args, r: &mut Ret) {
    let Some(scope) = scope::current() else {
        return call::no_request(r);
    };
    if !call::allowed(r, CONTENT) {
        return;
    }
    if scope::read(|x| x.request.kin.depth()).is_some_and(|depth| depth > 0) {
        return r.raise("attempt to read the request body in a subrequest");
    }
    let reader = scope.body_reader.borrow().clone();
    let (Some(cell), Some(reader)) = (&scope.exchange, reader) else {
        return call::no_request(r);
    };
    let mut x = cell.borrow_mut();
    let opened: Result<Box<dyn tcp::Io>, &str> = if a.truthy(1) {
        raw(&mut x, &reader).map(|io| Box::new(io) as _)
    } else {
        body(&mut x, &reader).map(|io| Box::new(io) as _)
    };
    drop(x);
    match opened {
        Ok(io) => {
            let (id, idle) = tcp::of_request(&scope, io, a.truthy(1));
            reader.watch(idle);
            r.int(id);
        }
        Err(e) => {
            r.fail(e);
        }
    }
}

fn body(x: &mut Exchange, reader: &Rc<dyn BodyReader>) -> Result<BodyIo, &'static str> {
    let q = &mut x.request;
    if q.has_body && q.content_length.is_none() && matches!(q.body, Body::Streaming) {
        return Err("chunked request bodies not supported yet");
    }
    if !matches!(q.body, Body::Streaming) || reader.is_seized() {
        return Err("request body already exists");
    }
    let length = q.content_length.unwrap_or(0);
    if length == 0 {
        return Err("no body");
    }
    // what comes out of the socket nobody else gets
    q.body = Body::Memory(Bytes::new());
    Ok(BodyIo {
        reader: reader.clone(),
        left: length.saturating_sub(reader.received()),
        piece: Bytes::new(),
    })
}

/// The client's body.
struct BodyIo {
    reader: Rc<dyn BodyReader>,
    left: u64,
    piece: Bytes,
}

/// Gives out as much of a piece as there is room for.
fn give(piece: &mut Bytes, out: &mut ReadBuf<'_>) {
    let n = piece.len().min(out.remaining());
    out.put_slice(&piece[..n]);
    piece.advance(n);
}

impl AsyncRead for BodyIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.piece.is_empty() && self.left > 0 {
            match ready!(self.reader.poll_piece(cx)) {
                None => self.left = 0,
                Some(Err(e)) => return Poll::Ready(Err(e)),
                Some(Ok(piece)) => {
                    self.left = self.left.saturating_sub(piece.len() as u64);
                    self.piece = piece;
                }
            }
        }
        give(&mut self.piece, out);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for BodyIo {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl tcp::Io for BodyIo {
    fn with_fd(&self, f: &mut dyn FnMut(BorrowedFd<'_>)) {
        if let Some(guard) = self.reader.guard() {
            guard.with_fd(f);
        }
    }
}

fn raw(x: &mut Exchange, reader: &Rc<dyn BodyReader>) -> Result<RawIo, &'static str> {
    if reader.is_seized() {
        return Err("duplicate call");
    }
    let streaming = matches!(x.request.body, Body::Streaming);
    if !reader.is_whole() && (!streaming || reader.is_begun()) {
        return Err("pending request body reading in some other thread");
    }
    if x.request.version == 10 && x.response.body.as_ref().is_some_and(|b| !b.is_empty()) {
        return Err("http 1.0 buffering");
    }
    let length = reader.length();
    let Some((stream, guard)) = reader.seize() else {
        return Err(match reader.guard() {
            Some(_) => "client aborted",
            None => "attempt to read the request body in a subrequest",
        });
    };
    if streaming {
        x.request.body = Body::Memory(Bytes::new());
    }
    let mut io = RawIo {
        stream,
        guard,
        reader: reader.clone(),
        length,
        before: Before::Unknown,
        piece: Bytes::new(),
        head: Bytes::new(),
    };
    if x.response.output.as_ref().is_some_and(|o| o.has_left()) {
        io.head = begun(x).into();
    } else if head_sent(x) {
        io.head = head(x).into();
    }
    let mut cx = Context::from_waker(std::task::Waker::noop());
    // what does not go at once goes before the first bytes of the handler's own
    let _ = io.poll_head(&mut cx);
    Ok(io)
}

/// What the handler wrote that has not left.
fn begun(x: &mut Exchange) -> Vec<u8> {
    let mut out = x.response.output.as_ref().map(|o| o.take()).unwrap_or_default();
    out.extend_from_slice(&x.response.body.replace(Vec::new()).unwrap_or_default());
    out
}

/// The response as far as the handler has begun it.
fn head(x: &mut Exchange) -> Vec<u8> {
    let status = x.response.status;
    let reason = http::StatusCode::from_u16(status).ok();
    let reason = reason.and_then(|s| s.canonical_reason()).unwrap_or_default();
    let mut out = format!("HTTP/1.1 {status} {reason}\r\n").into_bytes();
    for (name, value) in &x.response.headers {
        x.response.spelling.write(&mut out, name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if !x.response.headers.contains_key(http::header::CONNECTION) {
        let token: &[u8] = if status == 101 { b"upgrade" } else { b"close" };
        out.extend_from_slice(b"Connection: ");
        out.extend_from_slice(token);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&begun(x));
    out
}

/// What of the connection was read before the handler took it over.
enum Before {
    /// The server has not let go yet.
    Unknown,
    /// So many bytes of the body the server has; then come these.
    Body(u64, Bytes),
    /// Nothing more.
    Over,
}

/// The client's connection: behind the request's head, a chunked body as it came.
struct RawIo {
    stream: Rc<dyn RawStream>,
    guard: GuardHandle,
    reader: Rc<dyn BodyReader>,
    length: u64,
    before: Before,
    piece: Bytes,
    /// What of the response was begun and is not yet written.
    head: Bytes,
}

impl RawIo {
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.head.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.head.is_empty() {
            let n = ready!(self.stream.poll_write(cx, &self.head))?;
            self.head.advance(n);
        }
        self.stream.poll_flush(cx)
    }
}

impl tcp::Io for RawIo {
    fn with_fd(&self, f: &mut dyn FnMut(BorrowedFd<'_>)) {
        self.stream.with_fd(f);
    }
}

impl AsyncRead for RawIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let _ = self.poll_head(cx)?;
        loop {
            if !self.piece.is_empty() {
                give(&mut self.piece, out);
                return Poll::Ready(Ok(()));
            }
            match &mut self.before {
                Before::Over => {
                    let before = out.filled().len();
                    ready!(self.stream.poll_read(cx, out))?;
                    if out.filled().len() == before && checks_client_abort() {
                        return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
                    }
                    return Poll::Ready(Ok(()));
                }
                Before::Unknown => {
                    let left = ready!(self.guard.poll_left_over(cx));
                    let handed_on = self.length.saturating_sub(left.unread);
                    let here = handed_on.saturating_sub(self.reader.received());
                    self.before = Before::Body(here, left.bytes.into());
                }
                Before::Body(0, rest) => {
                    self.piece = std::mem::take(rest);
                    self.before = Before::Over;
                }
                Before::Body(..) => {
                    let piece = match ready!(self.reader.poll_piece(cx)) {
                        Some(Ok(piece)) => piece,
                        Some(Err(e)) => return Poll::Ready(Err(e)),
                        None => Bytes::new(),
                    };
                    if let Before::Body(left, _) = &mut self.before {
                        *left = match piece.len() as u64 {
                            0 => 0,
                            n => left.saturating_sub(n),
                        };
                    }
                    self.piece = piece;
                }
            }
        }
    }
}

impl AsyncWrite for RawIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_head(cx))?;
        self.stream.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_head(cx))?;
        self.stream.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }
}
