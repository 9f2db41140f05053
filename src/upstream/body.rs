//! The upstream's response body, polled together with its connection, which goes back to the pool at the end.
//!
//! Must not: know filters.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{Conn, Pool};

/// Why a response body ended early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The upstream closed or sent nonsense.
    #[error("upstream prematurely closed connection while reading upstream: {0}")]
    Upstream(#[from] hyper::Error),
    /// Silence past the limit.
    #[error("upstream timed out (110: Connection timed out) while reading upstream")]
    Timeout,
}

/// The body.
pub struct UpstreamBody {
    incoming: Incoming,
    conn: Option<Conn>,
    pool: Rc<Pool>,
    read_timeout: Duration,
    /// The silence is being timed, by the connection's alarm.
    timed: bool,
    progressed: bool,
    /// Of the connection that was given back.
    traffic: (u64, u64),
}

impl UpstreamBody {
    /// Joins a response's body with the connection it comes on.
    pub fn new(incoming: Incoming, conn: Conn, pool: Rc<Pool>, read_timeout: Duration) -> Self {
        let mut body = Self {
            incoming,
            conn: Some(conn),
            pool,
            read_timeout,
            timed: false,
            progressed: false,
            traffic: (0, 0),
        };
        if body.incoming.is_end_stream() {
            body.finish(&mut Context::from_waker(std::task::Waker::noop()));
        }
        body
    }

    fn finish(&mut self, cx: &mut Context<'_>) {
        if let Some(mut conn) = self.conn.take() {
            // where hyper has not seen the end yet it becomes ready for the next request only when polled after it
            if !conn.is_ready() {
                conn.drive(cx);
            }
            self.traffic = conn.traffic();
            self.pool.give_back(conn);
        }
    }

    /// Bytes received and sent so far, heads included.
    #[inline]
    pub fn traffic(&self) -> (u64, u64) {
        self.conn.as_ref().map_or(self.traffic, Conn::traffic)
    }

    /// The connection is of no more use.
    fn discard(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.traffic = conn.traffic();
            self.pool.discard(conn);
        }
    }
}

impl UpstreamBody {
    /// What came already, else what the connection brings now.
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(conn) = &mut self.conn else {
            return Pin::new(&mut self.incoming).poll_frame(cx);
        };
        if let Poll::Ready(frame) = conn.poll_incoming(&mut self.incoming) {
            return Poll::Ready(frame);
        }
        conn.drive(cx);
        conn.poll_incoming(&mut self.incoming)
    }

    /// Ready when nothing has come for too long.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(conn) = &mut self.conn else {
            return Poll::Pending;
        };
        let progressed = std::mem::take(&mut self.progressed) || !std::mem::replace(&mut self.timed, true);
        let alarm = match &mut conn.alarm {
            Some(alarm) => {
                if progressed {
                    // putting a deadline off takes no turn in the timer's wheel
                    alarm
                        .as_mut()
                        .reset(tokio::time::Instant::now() + self.read_timeout);
                }
                alarm
            }
            none => none.insert(Box::pin(tokio::time::sleep(self.read_timeout))),
        };
        alarm.as_mut().poll(cx)
    }
}

impl Drop for UpstreamBody {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.pool.discard(conn);
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        match this.poll_incoming(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.progressed = true;
                if this.incoming.is_end_stream() {
                    this.finish(cx);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                this.finish(cx);
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(e))) => {
                this.discard();
                Poll::Ready(Some(Err(e.into())))
            }
            Poll::Pending => {
                std::task::ready!(this.poll_silence(cx));
                this.discard();
                Poll::Ready(Some(Err(BodyError::Timeout)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
