//! One client connection: the guard, hyper's HTTP/1 server, time limits.
//!
//! Must not: know what a request is answered with.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::crowd::Crowd;
use super::secure::{self, Outcome};
use crate::exchange::{Connection, next_serial};
use crate::net::guard::{GuardHandle, GuardedIo};
use crate::net::head_parser::Limits;
use crate::net::raw::{Peekable, share};
use crate::proxy::body_in::BodyLimits;
use crate::proxy::body_out::{BrokenOff, ClientBody};
use crate::proxy::handshake::Caller;
use crate::proxy::{Generation, Worker, serve};
use crate::shared::traffic::{self, Stand};

/// Seconds in which a client must take something of what is sent to it (nginx's `send_timeout`).
const SEND_TIMEOUT: u64 = 60;

/// What the accept loop and its connections share.
pub struct Shared {
    /// The worker.
    pub worker: Rc<Worker>,
    /// The generation that new requests get.
    pub current: RefCell<Rc<Generation>>,
    /// Open connections, for time limits and draining.
    pub open: RefCell<Vec<Weak<Watched>>>,
    /// Seconds since start, advanced by the sweep.
    pub clock: Cell<u64>,
    /// Whether connections are to end after their current request.
    pub draining: Cell<bool>,
    /// TLS handshakes under way.
    pub crowd: Crowd,
    /// Held while another generation takes over: one at a time, each beginning with what the one before left.
    pub changing: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    None,
    Graceful,
    Kill,
}

/// One connection under time limits.
pub struct Watched {
    guard: GuardHandle,
    busy: Cell<u32>,
    /// Whether it has brought a request.
    asked: Cell<bool>,
    since: Cell<u64>,
    head_since: Cell<Option<u64>>,
    /// Bytes that went out beneath TLS, where there is TLS.
    beneath: Option<Rc<Cell<u64>>>,
    /// Bytes sent when the client last took some, and when that was.
    took: Cell<(u64, u64)>,
    order: Cell<Order>,
    waker: RefCell<Option<Waker>>,
    counted: traffic::Open,
}

impl Watched {
    fn tell(&self, order: Order) {
        if self.order.get() != Order::Kill {
            self.order.set(order);
        }
        if let Some(w) = self.waker.borrow().as_ref() {
            w.wake_by_ref();
        }
    }

    /// Ends the connection after its current request.
    pub fn finish(&self) {
        self.tell(Order::Graceful);
    }

    fn check(&self, now: u64, keepalive: u64, header: u64) {
        let beneath = self.beneath.as_ref().map_or(0, |count| count.get());
        let sent = self.guard.bytes_sent() + beneath;
        if !self.guard.write_blocked() || self.took.get().0 != sent {
            self.took.set((sent, now));
        } else if now - self.took.get().1 >= SEND_TIMEOUT {
            return self.tell(Order::Kill);
        }
        if self.busy.get() > 0 {
            self.since.set(now);
            self.head_since.set(None);
        } else if self.guard.head_started() {
            let since = self.head_since.get().unwrap_or(now);
            self.head_since.set(Some(since));
            if now - since >= header {
                self.tell(Order::Kill);
            }
        } else if now - self.since.get() >= keepalive {
            self.tell(Order::Graceful);
        }
    }
}

impl Shared {
    /// Enforces time limits; called every second.
    pub fn sweep(&self) {
        let now = self.clock.get() + 1;
        self.clock.set(now);
        let settings = self.current.borrow().settings.clone();
        let (keepalive, header) = (
            settings.keepalive_timeout.as_secs().max(1),
            settings.client_header_timeout.as_secs().max(1),
        );
        let draining = self.draining.get();
        let mut open = self.open.borrow_mut();
        open.retain(|w| match w.upgrade() {
            Some(w) => {
                w.check(now, if draining { 1 } else { keepalive }, header);
                true
            }
            None => false,
        });
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        self.worker.cut.cut();
        for w in self.open.borrow().iter().filter_map(Weak::upgrade) {
            w.tell(Order::Kill);
        }
    }

    /// Ends every connection after its current request. One that has brought none yet may still do so for a moment:
    /// the sweep ends it.
    pub fn drain(&self) {
        self.draining.set(true);
        let open = self.open.borrow();
        let asked = open.iter().filter_map(Weak::upgrade).filter(|w| w.asked.get());
        asked.for_each(|w| w.finish());
    }
}

/// Serves one connection to its end.
pub async fn connection(shared: Rc<Shared>, stream: TcpStream, peer: SocketAddr, at: Listener) {
    let _open = Open::new(shared.worker.clone());
    let serial = next_serial();
    let mut connection = Connection::new(serial, peer, at.local);
    connection.listener = at.configured;
    if !at.tls {
        return serve_http(shared, stream, connection, None).await;
    }
    let Some(secured) = shared.current.borrow().secured.clone() else {
        return;
    };
    let caller = Caller {
        serial,
        peer,
        local: at.local,
        listener: at.configured,
    };
    match secure::handshake(&shared, &secured, stream, caller).await {
        None => {}
        Some(Outcome::Plain(stream)) => {
            connection.plain_on_tls = true;
            serve_http(shared, stream, connection, None).await;
        }
        Some(Outcome::Tls(stream, facts)) => {
            connection.tls = Some(facts);
            let beneath = stream.get_ref().0.sent();
            serve_http(shared, *stream, connection, Some(beneath)).await;
        }
    }
}

/// Which listener accepted.
#[derive(Debug, Clone, Copy)]
pub struct Listener {
    /// As configured.
    pub configured: SocketAddr,
    /// Where the client came to.
    pub local: SocketAddr,
    /// Whether clients are to speak TLS.
    pub tls: bool,
}

/// Serves HTTP on a stream that is ready for it.
async fn serve_http<S>(
    shared: Rc<Shared>,
    stream: S,
    mut connection: Connection,
    beneath: Option<Rc<Cell<u64>>>,
) where
    S: AsyncRead + AsyncWrite + Peekable + Unpin + 'static,
{
    let settings = shared.current.borrow().settings.clone();
    let buffers = settings.large_client_header_buffers;
    let (stream, raw) = share(stream);
    let (io, guard) = GuardedIo::new(stream, Limits::from_buffers(buffers.count, buffers.size));
    guard.offer(raw);
    guard.tell_keepalive(settings.keepalive_header);
    connection.keepalive_header = settings.keepalive_header;
    let watched = Rc::new(Watched {
        guard: guard.clone(),
        busy: Cell::new(0),
        asked: Cell::new(false),
        since: Cell::new(shared.clock.get()),
        head_since: Cell::new(None),
        beneath,
        took: Cell::new((0, 0)),
        order: Cell::new(Order::None),
        waker: RefCell::default(),
        counted: traffic::Open::new(),
    });
    shared.open.borrow_mut().push(Rc::downgrade(&watched));
    let connection = Rc::new(connection);
    let limits = BodyLimits::new(&settings);
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let busy = Busy::new(watched.clone());
        if shared.draining.get() {
            watched.finish();
        }
        let (shared, connection, guard, limits) =
            (shared.clone(), connection.clone(), guard.clone(), limits.clone());
        let watched = watched.clone();
        async move {
            let Some(head) = guard.pop() else {
                return Err(BrokenOff("no head".into()));
            };
            guard.decline_upgrade();
            let generation = shared.current.borrow().clone();
            let sending = guard.clone();
            let mut response =
                serve(generation, connection, head, guard, request.into_body(), limits).await?;
            // of a pipelined request before it there may be something left
            poll_fn(|cx| sending.poll_written(cx)).await;
            sending.send_head();
            if watched.order.get() != Order::None {
                response
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response.map(|body| Answer { body, _busy: busy }))
        }
    });
    let http = http1::Builder::new()
        .title_case_headers(true)
        .keep_alive(true)
        .serve_connection(io, service);
    let mut http = std::pin::pin!(http);
    let mut told = false;
    poll_fn(|cx| {
        match watched.order.get() {
            Order::Kill => return Poll::Ready(()),
            Order::Graceful if !told => {
                told = true;
                http.as_mut().graceful_shutdown();
            }
            _ => {}
        }
        let mut waker = watched.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        drop(waker);
        http.as_mut().poll(cx).map(|_| ())
    })
    .await;
}

/// Counts an open connection, however it ends.
struct Open(Rc<Worker>);

impl Open {
    fn new(worker: Rc<Worker>) -> Self {
        worker.connections.set(worker.connections.get() + 1);
        Self(worker)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get() - 1);
    }
}

/// A response's body, by whose end the request is over.
struct Answer {
    body: ClientBody,
    _busy: Busy,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Counts a request under way.
struct Busy(Rc<Watched>);

impl Busy {
    fn new(watched: Rc<Watched>) -> Self {
        watched.busy.set(watched.busy.get() + 1);
        watched.asked.set(true);
        traffic::request();
        watched.counted.becomes(Stand::Writing);
        Self(watched)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.guard.expect_written();
        self.0.busy.set(self.0.busy.get() - 1);
        if self.0.busy.get() == 0 {
            self.0.counted.becomes(Stand::Waiting);
        }
    }
}
