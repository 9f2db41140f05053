//! One upstream connection: hyper's HTTP/1 client over our own head writer, driven inside the request's task.
//!
//! Must not: spawn tasks, or choose addresses.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use tokio::net::TcpStream;

use super::pool::InUse;
use super::{AttemptError, ConnectPlan};
use crate::net::head_writer::{HeadHandle, UpstreamIo};

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

/// How long a side may stand still during a try.
#[derive(Debug, Clone, Copy)]
pub struct Silence {
    /// The upstream takes none of the request's bytes (`write_timeout`, nginx's `proxy_send_timeout`).
    pub write: Duration,
    /// It sends none of the response (`read_timeout`).
    pub read: Duration,
}

type Driver = http1::Connection<UpstreamIo<TcpStream>, OutBody>;

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
    /// Connects.
    ///
    /// # Errors
    /// [`AttemptError::Connect`], [`AttemptError::ConnectTimeout`].
    pub async fn connect(plan: ConnectPlan, limit: Duration) -> Result<Self, AttemptError> {
        let stream = match tokio::time::timeout(limit, TcpStream::connect(plan.addr)).await {
            Err(_) => return Err(AttemptError::ConnectTimeout(limit)),
            Ok(Err(e)) => return Err(AttemptError::Connect(e)),
            Ok(Ok(s)) => s,
        };
        stream.set_nodelay(true).map_err(AttemptError::Connect)?;
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
        })
    }

    /// Makes progress; false once the connection is over.
    pub fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(d) = &mut self.driver
            && d.as_mut().poll(cx).is_ready()
        {
            self.driver = None;
        }
        self.driver.is_some()
    }

    /// Whether another request can be sent now.
    pub fn is_ready(&self) -> bool {
        self.driver.is_some() && self.send.is_ready()
    }

    /// Looks whether the upstream has closed an idle connection.
    pub fn is_alive(&mut self) -> bool {
        self.drive(&mut Context::from_waker(std::task::Waker::noop())) && self.send.is_ready()
    }

    /// The emptied buffer of the last head, to be filled again.
    pub fn head_buffer(&self) -> Vec<u8> {
        self.head.take_buffer()
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
        let (sent_before, received_before) = (self.head.bytes_sent(), self.head.bytes_received());
        self.head.set_head(head);
        let starved = match request.body() {
            OutBody::Stream(_, starved) => Some(starved.clone()),
            _ => None,
        };
        let response = self.send.send_request(request);
        tokio::pin!(response);
        let mut timer: Option<Pin<Box<tokio::time::Sleep>>> = None;
        let mut seen = (sent_before, false);
        let got = poll_fn(|cx| {
            self.drive(cx);
            if let Poll::Ready(r) = response.as_mut().poll(cx) {
                return Poll::Ready(Ok(r));
            }
            let now = (self.head.bytes_sent(), self.head.is_blocked());
            let limit = if now.1 { limits.write } else { limits.read };
            let sleep = timer.get_or_insert_with(|| {
                seen = now;
                Box::pin(tokio::time::sleep(limit))
            });
            if now != seen {
                // a long body on its way is no silence
                seen = now;
                sleep.as_mut().reset(tokio::time::Instant::now() + limit);
            }
            while sleep.as_mut().poll(cx).is_ready() {
                // nor is a client that takes its time (it has its own limit)
                if now.1 || !starved.as_ref().is_some_and(|s| s.get()) {
                    return Poll::Ready(Err(now.1));
                }
                sleep.as_mut().reset(tokio::time::Instant::now() + limit);
            }
            Poll::Pending
        })
        .await;
        match got {
            Ok(Ok(r)) => Ok(r),
            Err(true) => Err(AttemptError::WriteTimeout(limits.write)),
            Err(false) => Err(AttemptError::ReadTimeout(limits.read)),
            Ok(Err(e)) => {
                let sent = self.head.bytes_sent() > sent_before;
                let received = self.head.bytes_received() > received_before;
                Err(judge(&e, reused && !received, sent))
            }
        }
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
    AttemptError::Closed { reused, sent }
}
