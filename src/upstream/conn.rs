//! One upstream connection: hyper's HTTP/1 client over our own head writer, driven inside the request's task.
//!
//! Must not: spawn tasks, or choose addresses.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1;

use super::gate::Gate;
use super::handshake::read_failure;
use super::pool::InUse;
use super::stream::{Stream, Writing};
use super::{AttemptError, ConnectPlan};
use crate::net::head_writer::{HeadHandle, UpstreamIo};
use crate::net::spelling::Spelling;

/// Set while the upstream waits for the client's next bytes: that silence is not the upstream's.
pub type Starved = Rc<Cell<bool>>;

/// What goes to the upstream as the body.
pub enum OutBody {
    /// None.
    Empty,
    /// Known whole.
    Full(Option<Bytes>),
    /// Streamed from the client.
    Stream(Pin<Box<dyn Body<Data = Bytes, Error = io::Error>>>, Starved),
}

impl Body for OutBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            OutBody::Empty => Poll::Ready(None),
            OutBody::Full(b) => Poll::Ready(b.take().map(|b| Ok(Frame::data(b)))),
            OutBody::Stream(s, starved) => {
                let polled = s.as_mut().poll_frame(cx);
                starved.set(polled.is_pending());
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            OutBody::Empty => true,
            OutBody::Full(b) => b.is_none(),
            OutBody::Stream(s, _) => s.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            OutBody::Empty => SizeHint::with_exact(0),
            OutBody::Full(b) => SizeHint::with_exact(b.as_ref().map_or(0, |b| b.len() as u64)),
            OutBody::Stream(s, _) => s.size_hint(),
        }
    }
}

type Driver = http1::Connection<UpstreamIo<Stream>, OutBody>;

/// How long a side may stand still during a try.
#[derive(Debug, Clone, Copy)]
pub struct Silence {
    /// The upstream takes none of the request's bytes (`write_timeout`, nginx's `proxy_send_timeout`).
    pub write: Duration,
    /// It sends none of the response (`read_timeout`).
    pub read: Duration,
}

/// One connection with its driver.
pub struct Conn {
    /// What it was made with.
    pub plan: ConnectPlan,
    /// Requests sent so far.
    pub uses: u64,
    /// When it was last given back.
    pub idle_since: Instant,
    pub(super) in_use: Option<InUse>,
    send: http1::SendRequest<OutBody>,
    driver: Option<Pin<Box<Driver>>>,
    head: HeadHandle,
    writing: Rc<Writing>,
    gate: Gate,
    /// What was received and sent before the request under way.
    before: (u64, u64),
    /// The limit of the silence that is waited through; put off from wait to wait, since a new one takes its turn in the
    /// timer's wheel.
    pub(super) alarm: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl std::fmt::Debug for Conn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conn")
            .field("plan", &self.plan)
            .field("uses", &self.uses)
            .finish_non_exhaustive()
    }
}

impl Conn {
    /// Speaks HTTP/1 over a stream made as `plan` says.
    ///
    /// # Errors
    /// hyper's, as [`AttemptError::Connect`].
    pub(super) async fn new(
        plan: ConnectPlan,
        stream: Stream,
        writing: Rc<Writing>,
    ) -> Result<Self, AttemptError> {
        let (io, head) = UpstreamIo::new(stream);
        let (send, driver) = http1::Builder::new()
            .max_buf_size(256 << 10)
            .handshake(io)
            .await
            .map_err(|e| AttemptError::Connect(io::Error::other(e)))?;
        Ok(Self {
            plan,
            uses: 0,
            idle_since: Instant::now(),
            in_use: None,
            send,
            driver: Some(Box::pin(driver)),
            head,
            writing,
            gate: Gate::default(),
            before: (0, 0),
            alarm: None,
        })
    }

    /// Makes progress; false once the connection is over.
    pub fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        let waker = self.gate.open_for(cx.waker());
        if let Some(d) = &mut self.driver
            && d.as_mut().poll(&mut Context::from_waker(waker)).is_ready()
        {
            self.driver = None;
        }
        self.driver.is_some()
    }

    /// Looks for the next frame of a response that came on this connection. Only [`Self::drive`] brings one: nobody is
    /// woken by it.
    pub(super) fn poll_incoming(
        &self,
        incoming: &mut Incoming,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.gate
            .shut_while(|| Pin::new(incoming).poll_frame(&mut Context::from_waker(Waker::noop())))
    }

    /// Whether another request can be sent now.
    pub fn is_ready(&self) -> bool {
        self.driver.is_some() && self.send.is_ready() && !self.writing.is_broken()
    }

    /// Looks whether an idle connection can still be used: the upstream may have closed it, or sent what nobody
    /// asked for.
    pub fn is_alive(&mut self) -> bool {
        self.drive(&mut Context::from_waker(std::task::Waker::noop())) && self.is_ready()
    }

    /// The emptied buffer of the last head, to be filled again.
    pub fn head_buffer(&self) -> Vec<u8> {
        self.head.take_buffer()
    }

    /// Bytes received and sent for the last request, heads included; without those of TLS itself.
    pub fn traffic(&self) -> (u64, u64) {
        let (received, sent) = self.before;
        (
            self.head.bytes_received() - received,
            self.head.bytes_sent() - sent,
        )
    }

    /// How the names of the last response's headers are written.
    pub fn take_spelling(&self) -> Spelling {
        self.head.take_spelling()
    }

    /// Sends a request, whose head on the wire is `head`, and waits for the response's head.
    ///
    /// # Errors
    /// Why there is none; the connection must be dropped then.
    pub async fn request(
        &mut self,
        head: Vec<u8>,
        request: Request<OutBody>,
        limits: Silence,
    ) -> Result<Response<Incoming>, AttemptError> {
        let reused = self.uses > 0;
        self.uses += 1;
        let written_before = self.writing.written();
        self.before = (self.head.bytes_received(), self.head.bytes_sent());
        self.head.set_head(head);
        let starved = match request.body() {
            OutBody::Stream(_, starved) => Some(starved.clone()),
            _ => None,
        };
        // only `drive` brings the response: it need wake nobody, and so must not be told to wait without reason
        let response = tokio::task::unconstrained(self.send.send_request(request));
        tokio::pin!(response);
        let mut watch = Watch::new(limits, self.alarm.take());
        let got = poll_fn(|cx| {
            self.drive(cx);
            if let Poll::Ready(r) = response.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Poll::Ready(Ok(r));
            }
            watch.poll(cx, &self.writing, starved.as_ref()).map(Err)
        })
        .await;
        self.alarm = watch.alarm;
        match got {
            Ok(Ok(r)) => Ok(r),
            Err(silent) => Err(silent),
            Ok(Err(e)) => {
                let sent = self.writing.written() > written_before;
                let received = self.traffic().0 > 0;
                Err(judge(&e, reused && !received, sent))
            }
        }
    }
}

/// Waits for a peer that does nothing: one that takes nothing has the write limit, one that answers nothing the read
/// limit, and while the client is waited for (it has a limit of its own) neither runs.
///
/// # Source
/// ngx_http_upstream.c: `send_timeout` runs while a write would block, `read_timeout` once all is sent.
struct Watch {
    limits: Silence,
    alarm: Option<Pin<Box<tokio::time::Sleep>>>,
    begun: bool,
    written: u64,
    waits: Waits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    Client,
    Write,
    Read,
}

impl Watch {
    fn new(limits: Silence, alarm: Option<Pin<Box<tokio::time::Sleep>>>) -> Self {
        Self {
            limits,
            alarm,
            begun: false,
            written: 0,
            waits: Waits::Read,
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        writing: &Writing,
        starved: Option<&Starved>,
    ) -> Poll<AttemptError> {
        let waits = match starved {
            _ if writing.is_blocked() => Waits::Write,
            Some(starved) if starved.get() => Waits::Client,
            _ => Waits::Read,
        };
        let limit = match waits {
            Waits::Write => self.limits.write,
            _ => self.limits.read,
        };
        // a long body on its way is no silence
        let moved = std::mem::replace(&mut self.written, writing.written()) != self.written;
        let turned = std::mem::replace(&mut self.waits, waits) != waits;
        let before = std::mem::replace(&mut self.begun, true);
        let sleep = match &mut self.alarm {
            Some(sleep) => {
                if moved || turned || !before {
                    sleep.as_mut().reset(tokio::time::Instant::now() + limit);
                }
                sleep
            }
            none => none.insert(Box::pin(tokio::time::sleep(limit))),
        };
        while sleep.as_mut().poll(cx).is_ready() {
            match waits {
                Waits::Write => return Poll::Ready(AttemptError::WriteTimeout(limit)),
                Waits::Read => return Poll::Ready(AttemptError::ReadTimeout(limit)),
                Waits::Client => sleep.as_mut().reset(tokio::time::Instant::now() + limit),
            }
        }
        Poll::Pending
    }
}

fn judge(e: &hyper::Error, reused: bool, sent: bool) -> AttemptError {
    if e.is_user() {
        let io = std::error::Error::source(e).and_then(|s| s.downcast_ref::<io::Error>());
        if io.is_some_and(|i| i.kind() == io::ErrorKind::TimedOut) {
            return AttemptError::ClientTimeout;
        }
        let cause = std::error::Error::source(e).map_or_else(|| e.to_string(), ToString::to_string);
        return AttemptError::ClientBody(cause);
    }
    if e.is_parse() || e.is_parse_too_large() || e.is_parse_status() {
        return AttemptError::Invalid(e.to_string());
    }
    let io = std::error::Error::source(e).and_then(|s| s.downcast_ref::<io::Error>());
    match io.and_then(read_failure) {
        Some(what) => AttemptError::Read { what, reused, sent },
        None => AttemptError::Closed { reused, sent },
    }
}
