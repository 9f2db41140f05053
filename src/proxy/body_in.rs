//! The client's body: streamed to the upstream with back-pressure, kept for a replay as far as permitted, or
//! read whole for Lua.
//!
//! Must not: read ahead of who wants it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::ReadBuf;

use super::head_out::Framing;
use super::spool;
use crate::exchange::Body;
use crate::net::body_file::BodyFile;
use crate::net::guard::GuardHandle;
use crate::net::raw::RawStream;
use crate::settings::Settings;
use crate::vm::Scope;
use crate::vm::scope::BodyReader;

/// How long an unwanted body is read and thrown away (nginx's `lingering_time`).
const LINGERING: Duration = Duration::from_secs(30);

/// How long a client is listened to after a handler that had its connection (nginx's `lingering_timeout`).
const HANGING_UP: Duration = Duration::from_secs(5);

/// Limits on a client's body.
#[derive(Debug, Clone)]
pub struct BodyLimits {
    /// `client_max_body_size`; 0 for none.
    pub max: u64,
    /// `client_body_buffer_size`: kept in memory, for Lua and for a replay.
    pub buffer: u64,
    /// Silence allowed between two reads (`client_body_timeout`).
    pub timeout: Duration,
    /// Where larger bodies go while Lua reads them.
    pub temp_dir: PathBuf,
}

impl BodyLimits {
    /// As the settings say.
    pub fn new(settings: &Settings) -> Self {
        Self {
            max: settings.client_max_body_size,
            buffer: settings.client_body_buffer_size,
            timeout: settings.client_body_timeout,
            temp_dir: settings.prefix.join("client_body_temp"),
        }
    }
}

/// The client's side of a body.
pub struct ClientStream {
    incoming: RefCell<Option<Incoming>>,
    /// None for a request of the gateway's own, which has no client to read from.
    guard: Option<GuardHandle>,
    limits: BodyLimits,
    length: Option<u64>,
    has_body: bool,
    /// Chunks handed to an upstream, as far as `limits.buffer` permits.
    kept: RefCell<Vec<Bytes>>,
    kept_len: Cell<u64>,
    /// `request_buffering`: whether chunks may be kept.
    keep: Cell<bool>,
    /// Something was handed out that is not kept.
    lost: Cell<bool>,
    received: Cell<u64>,
    /// Somebody asked for it.
    begun: Cell<bool>,
    ended: Cell<bool>,
    too_large: Cell<bool>,
    /// The connection, where a handler took it over.
    seized: RefCell<Option<Rc<dyn RawStream>>>,
    /// Whether nobody reads from it.
    idle: RefCell<Option<Box<dyn Fn() -> bool>>>,
    /// Why reading failed: whoever asks again hears the same, and never a clean end.
    failed: RefCell<Option<(io::ErrorKind, String)>>,
}

impl std::fmt::Debug for ClientStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientStream")
            .field("received", &self.received.get())
            .finish_non_exhaustive()
    }
}

impl ClientStream {
    /// Wraps a request's body.
    pub fn new(incoming: Incoming, guard: GuardHandle, length: Option<u64>, limits: BodyLimits) -> Rc<Self> {
        let ended = incoming.is_end_stream();
        Self::build(Some((incoming, guard)), ended, length, limits)
    }

    /// No body to come: a request of the gateway's own has its body with it.
    pub fn none(limits: BodyLimits) -> Rc<Self> {
        Self::build(None, true, None, limits)
    }

    fn build(
        client: Option<(Incoming, GuardHandle)>,
        ended: bool,
        length: Option<u64>,
        limits: BodyLimits,
    ) -> Rc<Self> {
        let (incoming, guard) = client.unzip();
        Rc::new(Self {
            incoming: RefCell::new(incoming),
            guard,
            limits,
            length,
            has_body: !ended,
            kept: RefCell::default(),
            kept_len: Cell::new(0),
            keep: Cell::new(true),
            lost: Cell::new(false),
            received: Cell::new(0),
            begun: Cell::new(false),
            ended: Cell::new(ended),
            too_large: Cell::new(false),
            seized: RefCell::default(),
            idle: RefCell::default(),
            failed: RefCell::default(),
        })
    }

    /// Whether a handler took the connection over.
    pub fn is_seized(&self) -> bool {
        self.seized.borrow().is_some()
    }

    /// Ends a connection that a handler took over: says so, and listens on for a while, as nginx does.
    pub async fn hang_up(&self) {
        let Some(stream) = self.seized.borrow().clone() else {
            return;
        };
        let ending = async {
            if poll_fn(|cx| stream.poll_shutdown(cx)).await.is_err() {
                return;
            }
            let mut room = [0; 4096];
            loop {
                let mut buffer = ReadBuf::new(&mut room);
                let read = poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await;
                if read.is_err() || buffer.filled().is_empty() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(HANGING_UP, ending).await;
    }

    /// How the client framed it.
    pub fn framing(&self) -> Framing {
        match self.length {
            Some(n) => Framing::Length(n),
            None if self.has_body => Framing::Chunked,
            None => Framing::None,
        }
    }

    /// Bytes of the body so far.
    pub fn received(&self) -> u64 {
        self.received.get()
    }

    /// Whether more than `n` bytes of it are known to be still to come.
    pub fn has_more_than(&self, n: u64) -> bool {
        let unread = || {
            self.length
                .map_or(u64::MAX, |l| l.saturating_sub(self.received.get()))
        };
        !self.ended.get() && unread() > n
    }

    /// Why reading it failed, if it did.
    pub fn failure(&self) -> Option<String> {
        self.failed.borrow().as_ref().map(|(_, reason)| reason.clone())
    }

    /// Whether the client closed in the middle of it.
    pub fn gone(&self) -> bool {
        matches!(
            &*self.failed.borrow(),
            Some((io::ErrorKind::ConnectionAborted, _))
        )
    }

    /// Whether the client stopped sending for too long.
    pub fn timed_out(&self) -> bool {
        matches!(&*self.failed.borrow(), Some((io::ErrorKind::TimedOut, _)))
    }

    /// Whether the body went over `client_max_body_size`.
    pub fn too_large(&self) -> bool {
        self.too_large.get()
    }

    /// `request_buffering` of the route.
    pub fn permit_keeping(&self, permitted: bool) {
        self.keep.set(permitted);
    }

    /// Whether the body can be sent (again) from its first byte.
    pub fn replayable(&self) -> bool {
        !self.lost.get()
    }

    /// The body for one try.
    pub fn attempt(self: &Rc<Self>) -> StreamOut {
        StreamOut {
            source: self.clone(),
            at: 0,
            silence: None,
        }
    }

    fn fail(&self, kind: io::ErrorKind, reason: String) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        *self.failed.borrow_mut() = Some((kind, reason.clone()));
        Poll::Ready(Some(Err(io::Error::new(kind, reason))))
    }

    /// Lets the server have a chunked body, which the guard holds back as it came.
    fn want(&self) {
        if self.length.is_none()
            && !self.ended.get()
            && let Some(guard) = &self.guard
        {
            guard.want_body();
        }
    }

    fn poll_chunk(&self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some((kind, reason)) = &*self.failed.borrow() {
            return Poll::Ready(Some(Err(io::Error::new(*kind, reason.clone()))));
        }
        self.begun.set(true);
        self.want();
        let mut incoming = self.incoming.borrow_mut();
        let Some(body) = incoming.as_mut() else {
            return Poll::Ready(None);
        };
        let frame = std::task::ready!(Pin::new(&mut *body).poll_frame(cx));
        let frame = match frame {
            None if self.length.is_some_and(|all| self.received.get() < all) => {
                // a client that left in the middle: hyper may let go without a word
                return self.fail(io::ErrorKind::ConnectionAborted, "connection closed".into());
            }
            None => {
                self.ended.set(true);
                return Poll::Ready(None);
            }
            Some(Err(e)) => {
                return match self.guard.as_ref().and_then(GuardHandle::body_fault) {
                    Some(f) => self.fail(io::ErrorKind::InvalidData, f.reason.to_string()),
                    None => self.fail(io::ErrorKind::ConnectionAborted, e.to_string()),
                };
            }
            Some(Ok(frame)) => frame,
        };
        if let Some(data) = frame.data_ref() {
            self.received.set(self.received.get() + data.len() as u64);
            if self.limits.max > 0 && self.received.get() > self.limits.max {
                self.too_large.set(true);
                let reason = "client intended to send too large body";
                return self.fail(io::ErrorKind::FileTooLarge, reason.into());
            }
        }
        if body.is_end_stream() {
            self.ended.set(true);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn keep(&self, data: &Bytes) {
        let total = self.kept_len.get() + data.len() as u64;
        if self.keep.get() && !self.lost.get() && total <= self.limits.buffer {
            self.kept.borrow_mut().push(data.clone());
            self.kept_len.set(total);
        } else {
            self.lost.set(true);
            self.kept.borrow_mut().clear();
        }
    }

    async fn read_all(&self) -> Result<Body, String> {
        let mut memory: Vec<u8> = Vec::new();
        let mut file: Option<spool::Spool> = None;
        for chunk in self.kept.borrow().iter() {
            memory.extend_from_slice(chunk);
        }
        loop {
            let next = tokio::time::timeout(self.limits.timeout, poll_fn(|cx| self.poll_chunk(cx)));
            let frame = match next.await {
                Err(_) => {
                    let _ = self.fail(io::ErrorKind::TimedOut, "client timed out".into());
                    return Err("client timed out".into());
                }
                Ok(None) => break,
                Ok(Some(Err(e))) => return Err(e.to_string()),
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(data) = frame.into_data() else { continue };
            if file.is_none() && memory.len() as u64 + data.len() as u64 <= self.limits.buffer {
                memory.extend_from_slice(&data);
                continue;
            }
            let spool = match &mut file {
                Some(f) => f,
                None => {
                    let mut f = spool::Spool::create(&self.limits.temp_dir).map_err(|e| e.to_string())?;
                    f.write(Bytes::from(std::mem::take(&mut memory)))
                        .await
                        .map_err(|e| e.to_string())?;
                    file.insert(f)
                }
            };
            spool.write(data).await.map_err(|e| e.to_string())?;
        }
        match file {
            None => Ok(Body::Memory(memory.into())),
            Some(f) => {
                let len = f.len();
                let path = f.finish().await.map_err(|e| e.to_string())?;
                Ok(Body::File(Arc::new(BodyFile::temporary(path)), len))
            }
        }
    }
}

/// Reads the body whole for Lua.
#[derive(Debug)]
pub struct Reader(pub Rc<ClientStream>);

impl BodyReader for Reader {
    fn read(&self, scope: Rc<Scope>) -> Pin<Box<dyn Future<Output = Result<(), String>>>> {
        let stream = self.0.clone();
        self.0.begun.set(true);
        Box::pin(async move {
            let streaming = |s: &Scope| {
                s.exchange
                    .as_ref()
                    .is_some_and(|x| matches!(x.borrow().request.body, Body::Streaming))
            };
            if !streaming(&scope) {
                return Ok(());
            }
            let read = stream.read_all().await;
            if stream.timed_out() {
                // the request ends here, as on nginx
                std::future::pending::<()>().await;
            }
            let body = read?;
            if let Some(x) = &scope.exchange {
                x.borrow_mut().request.body = body;
            }
            Ok(())
        })
    }

    fn source(&self) -> Option<Rc<dyn Any>> {
        Some(self.0.clone())
    }

    fn discard(&self) {
        let stream = self.0.clone();
        tokio::task::spawn_local(async move {
            let all = async { while let Some(Ok(_)) = poll_fn(|cx| stream.poll_chunk(cx)).await {} };
            let _ = tokio::time::timeout(LINGERING, all).await;
        });
    }

    fn poll_piece(&self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            match std::task::ready!(self.0.poll_chunk(cx)) {
                None => return Poll::Ready(None),
                Some(Err(e)) => return Poll::Ready(Some(Err(e))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.0.lost.set(true);
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }

    fn received(&self) -> u64 {
        self.0.received()
    }

    fn is_whole(&self) -> bool {
        !self.0.has_more_than(0)
    }

    fn length(&self) -> u64 {
        self.0.length.unwrap_or(0)
    }

    fn seize(&self) -> Option<(Rc<dyn RawStream>, GuardHandle)> {
        let guard = self.0.guard.clone()?;
        let stream = guard.seize()?;
        *self.0.seized.borrow_mut() = Some(stream.clone());
        Some((stream, guard))
    }

    fn guard(&self) -> Option<GuardHandle> {
        self.0.guard.clone()
    }

    fn is_seized(&self) -> bool {
        self.0.is_seized()
    }

    fn is_begun(&self) -> bool {
        self.0.begun.get()
    }

    fn watch(&self, idle: Box<dyn Fn() -> bool>) {
        *self.0.idle.borrow_mut() = Some(idle);
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &*self.0.seized.borrow() {
            Some(stream) if self.0.idle.borrow().as_ref().is_some_and(|idle| idle()) => stream.poll_end(cx),
            _ => Poll::Pending,
        }
    }

    fn room(&self) -> (u64, PathBuf) {
        (self.0.limits.buffer, self.0.limits.temp_dir.clone())
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        // what nobody wanted the server reads past, as far as it is there
        self.want();
    }
}

/// The body of one try: what was kept, then the client's stream.
pub struct StreamOut {
    source: Rc<ClientStream>,
    at: usize,
    silence: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl http_body::Body for StreamOut {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        if let Some(chunk) = this.source.kept.borrow().get(this.at).cloned() {
            this.at += 1;
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        match this.source.poll_chunk(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.silence = None;
                if let Some(data) = frame.data_ref() {
                    this.source.keep(data);
                    this.at += 1;
                } else {
                    this.source.lost.set(true);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Pending => {
                let limit = this.source.limits.timeout;
                let sleep = this
                    .silence
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
                if sleep.as_mut().poll(cx).is_ready() {
                    return this
                        .source
                        .fail(io::ErrorKind::TimedOut, "client timed out".into());
                }
                Poll::Pending
            }
            done => done,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.source.ended.get() && self.at >= self.source.kept.borrow().len()
    }

    fn size_hint(&self) -> SizeHint {
        self.source
            .length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
