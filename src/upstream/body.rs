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
    silence: Option<Pin<Box<tokio::time::Sleep>>>,
    progressed: bool,
}

impl UpstreamBody {
    /// Joins a response's body with the connection it comes on.
    pub fn new(incoming: Incoming, conn: Conn, pool: Rc<Pool>, read_timeout: Duration) -> Self {
        let mut body = Self {
            incoming,
            conn: Some(conn),
            pool,
            read_timeout,
            silence: None,
            progressed: false,
        };
        if body.incoming.is_end_stream() {
            body.finish(&mut Context::from_waker(std::task::Waker::noop()));
        }
        body
    }

    fn finish(&mut self, cx: &mut Context<'_>) {
        self.silence = None;
        if let Some(mut conn) = self.conn.take() {
            // hyper becomes ready for the next request only when polled after the end
            conn.drive(cx);
            self.pool.give_back(conn);
        }
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
        if let Some(conn) = &mut this.conn {
            conn.drive(cx);
        }
        match Pin::new(&mut this.incoming).poll_frame(cx) {
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
                if let Some(conn) = this.conn.take() {
                    this.pool.discard(conn);
                }
                Poll::Ready(Some(Err(e.into())))
            }
            Poll::Pending => {
                let limit = this.read_timeout;
                let progressed = std::mem::take(&mut this.progressed);
                let sleep = match &mut this.silence {
                    Some(sleep) => {
                        if progressed {
                            // putting a deadline off takes no turn in the timer's wheel
                            sleep.as_mut().reset(tokio::time::Instant::now() + limit);
                        }
                        sleep
                    }
                    none => none.insert(Box::pin(tokio::time::sleep(limit))),
                };
                std::task::ready!(sleep.as_mut().poll(cx));
                if let Some(conn) = this.conn.take() {
                    this.pool.discard(conn);
                }
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
