//! The response's body as the client gets it: an own answer or the upstream's, through body_filter, counted, and
//! at its end the log.
//!
//! The end of the body is a body_filter call of its own, made when the source ends and before the last frame is
//! handed over (hyper does not poll a body past its length). Must not: buffer beyond one chunk.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::Generation;
use super::live::Live;
use super::log::Tail;
use super::pace::{Pace, Rate};
use super::respond;
use crate::exchange::{Exchange, Phase};
use crate::upstream::UpstreamBody;
use crate::vm::{Flow, Scope};

/// A failed body: the connection is cut, so that the client sees it is incomplete.
#[derive(Debug, thiserror::Error)]
#[error("response body broke off: {0}")]
pub struct BrokenOff(pub String);

/// Where the bytes come from.
pub enum Source {
    /// None (left).
    Empty,
    /// An own answer.
    Full(Bytes),
    /// The upstream's.
    Upstream(Box<UpstreamBody>),
    /// What a handler writes that goes on meanwhile.
    Live(Rc<Live>),
    /// Trailers, after the filters' last word.
    Trailers(HeaderMap),
    /// None, and that is a failure: the connection is cut.
    Failed(String),
}

/// The body.
pub struct ClientBody {
    source: Source,
    filter: bool,
    /// Exact length, if it can be known.
    exact: Option<u64>,
    tail: Option<Tail>,
    /// What may not leave yet, where there is a rate.
    pace: Option<Box<Pace>>,
}

/// Runs body_filter over one chunk; true with the result if a handler ended the body (`ngx.arg[2] = true`).
///
/// # Errors
/// A handler's error: the response is truncated.
pub fn filter(
    g: &Generation,
    scope: &Rc<Scope>,
    chunk: Bytes,
    last: bool,
) -> Result<(Bytes, bool), BrokenOff> {
    let Some(cell) = &scope.exchange else {
        return Ok((chunk, last));
    };
    {
        let mut x = cell.borrow_mut();
        x.response.chunk = chunk;
        x.response.last_chunk = last;
        x.response.new_chunk = None;
    }
    match g.phases.run_now(&g.vm, scope, Phase::BodyFilter) {
        Some(Flow::Failed(fault)) => {
            super::log::handler_failed(g, scope, Phase::BodyFilter, &fault);
            Err(BrokenOff(fault.message))
        }
        _ => {
            let mut x = cell.borrow_mut();
            let old = std::mem::take(&mut x.response.chunk);
            let ended = x.response.last_chunk;
            Ok((x.response.new_chunk.take().unwrap_or(old), ended))
        }
    }
}

impl ClientBody {
    /// A body whose end runs the log.
    pub fn new(source: Source, filter: bool, tail: Tail) -> Self {
        let exact = match &source {
            Source::Empty => Some(0),
            Source::Full(b) => Some(b.len() as u64),
            Source::Upstream(u) if !filter => u.size_hint().exact(),
            Source::Live(live) => {
                let exact = live.exact();
                live.leave();
                exact
            }
            Source::Upstream(_) | Source::Trailers(_) | Source::Failed(_) => None,
        };
        Self {
            source,
            filter,
            exact,
            tail: Some(tail),
            pace: None,
        }
    }

    /// Whether it comes from an upstream.
    pub fn is_upstreams(&self) -> bool {
        matches!(self.source, Source::Upstream(_))
    }

    /// Nobody takes it: what a handler made whole counts as sent, as what is written to a connection does on nginx.
    pub fn discard(mut self) {
        if let Source::Full(body) = &self.source {
            self.count(body.len());
        }
        if !matches!(self.source, Source::Live(_)) {
            self.finish();
        }
    }

    /// Whether its end is told by chunks to a client that knows them: no length is.
    pub fn is_chunked(&self, head_only: bool) -> bool {
        !head_only && self.exact.is_none() && !matches!(self.source, Source::Empty)
    }

    fn count(&self, n: usize) {
        // what is held back is counted as it leaves
        if self.pace.is_none() {
            self.sent(n);
        }
    }

    fn sent(&self, n: usize) {
        if let Some(t) = &self.tail {
            t.with(|x| x.response.body_bytes_sent += n as u64);
        }
    }

    /// So many bytes of a body came; and what of the whole.
    fn received(&self, n: usize, (received, sent): (u64, u64)) {
        if let Some(t) = &self.tail {
            t.with(|x| {
                x.response.upstream_length += n as u64;
                if let Some(last) = x.attempts.last_mut() {
                    (last.received, last.sent) = (received, sent);
                }
            });
        }
    }

    fn end(&mut self) {
        match &mut self.pace {
            Some(pace) => pace.over = true,
            None => self.finish(),
        }
    }

    fn finish(&mut self) {
        let source = std::mem::replace(&mut self.source, Source::Empty);
        if let Some(t) = self.tail.take() {
            match source {
                Source::Live(live) => live.taken(t),
                _ => t.complete(),
            }
        }
    }

    /// Hyper throws away what it has not written yet when a body fails: it may write first.
    fn fail_later(
        &mut self,
        reason: String,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.source = Source::Failed(reason);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn broken(&mut self, reason: String) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if let Some(t) = &self.tail {
            t.broken(&reason);
        }
        self.finish();
        Poll::Ready(Some(Err(BrokenOff(reason))))
    }

    fn filtered(&self, chunk: Bytes, last: bool) -> Result<(Bytes, bool), BrokenOff> {
        match &self.tail {
            Some(t) if self.filter => filter(t.generation(), t.scope(), chunk, last),
            _ => Ok((chunk, last)),
        }
    }

    /// Passes a data chunk through the filters; with `ended`, the end too.
    fn data(&mut self, data: Bytes, ended: bool) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let (mut out, cut) = match self.filtered(data, false) {
            Ok(b) => b,
            Err(e) => return self.broken(e.0),
        };
        if ended && self.filter && !cut {
            let rest = match self.filtered(Bytes::new(), true) {
                Ok((b, _)) => b,
                Err(e) => return self.broken(e.0),
            };
            if out.is_empty() {
                out = rest;
            } else if !rest.is_empty() {
                out = [&out[..], &rest[..]].concat().into();
            }
        }
        self.count(out.len());
        if ended || cut {
            self.end();
        }
        Poll::Ready(Some(Ok(Frame::data(out))))
    }

    /// The rate, where there is one.
    fn rate(&self) -> Option<Rate> {
        let mut rate = None;
        self.tail.as_ref()?.with(|x| {
            let s = &x.response;
            rate = (s.limit_rate > 0 && x.request.kin.depth() == 0).then_some(Rate {
                rate: s.limit_rate,
                after: s.limit_rate_after,
                since: x.timing.started,
            });
        });
        rate
    }

    /// Tells a handler that waits for its output whether it is held back.
    fn hold(&self, held: bool) {
        if let Source::Live(live) = &self.source {
            live.hold(held);
        }
    }

    /// The next frame, as far as the rate lets it go.
    #[cold]
    fn poll_paced(
        &mut self,
        cx: &mut Context<'_>,
        limit: Rate,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        loop {
            let mut head = 0;
            if let (None, Some(tail)) = (&self.pace, &self.tail) {
                tail.with(|x| head = x.response.bytes_sent());
            }
            let pace = self.pace.get_or_insert_with(|| Box::new(Pace::new(head)));
            if let Some(frame) = std::task::ready!(pace.poll_piece(cx, limit)) {
                let (empty, over) = (pace.is_empty(), pace.over);
                let last = over && empty;
                if empty {
                    self.hold(false);
                }
                self.sent(frame.data_ref().map_or(0, Bytes::len));
                if last {
                    self.finish();
                }
                return Poll::Ready(Some(Ok(frame)));
            }
            if pace.over {
                self.finish();
                return Poll::Ready(None);
            }
            match std::task::ready!(self.poll_source(cx)) {
                Some(Ok(frame)) => {
                    self.hold(true);
                    if let Some(pace) = &mut self.pace {
                        pace.hold(frame);
                    }
                }
                Some(Err(e)) => return Poll::Ready(Some(Err(e))),
                None => {
                    self.finish();
                    return Poll::Ready(None);
                }
            }
        }
    }

    /// Ends the body with the upstream's trailers.
    fn trailers(&mut self, trailers: HeaderMap) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.end();
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

impl Drop for ClientBody {
    fn drop(&mut self) {
        let (Source::Live(live), Some(tail)) = (&self.source, &self.tail) else {
            return;
        };
        let live = live.clone();
        let mut whole = false;
        let held = self.pace.as_ref().is_some_and(|pace| !pace.is_empty());
        tail.with(|x| {
            whole = !held && respond::single_length(&x.response.headers) == Some(x.response.body_bytes_sent)
        });
        if !whole {
            return live.give_up(self.tail.take());
        }
        // nothing more was announced
        if let Some(tail) = self.tail.take() {
            live.close();
            live.taken(tail);
        }
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let limit = self.rate();
        if limit.is_none() && self.pace.is_none() {
            return self.poll_source(cx);
        }
        let none = Rate {
            rate: 0,
            after: 0,
            since: std::time::Instant::now(),
        };
        self.poll_paced(cx, limit.unwrap_or(none))
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            _ if self.pace.is_some() => self.tail.is_none(),
            Source::Empty => true,
            Source::Full(_) | Source::Live(_) | Source::Trailers(_) | Source::Failed(_) => false,
            Source::Upstream(u) => !self.filter && u.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.exact.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl ClientBody {
    /// The next frame as it comes.
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = self;
        loop {
            let upstream = match &mut this.source {
                Source::Empty => {
                    this.end();
                    return Poll::Ready(None);
                }
                Source::Full(b) => {
                    let b = std::mem::take(b);
                    this.count(b.len());
                    this.end();
                    return Poll::Ready(Some(Ok(Frame::data(b))));
                }
                Source::Trailers(t) => {
                    let t = std::mem::take(t);
                    return this.trailers(t);
                }
                Source::Failed(reason) => {
                    let reason = std::mem::take(reason);
                    return this.broken(reason);
                }
                Source::Live(live) => {
                    let live = live.clone();
                    return match std::task::ready!(live.poll_take(cx)) {
                        Some(Ok(data)) => {
                            this.count(data.len());
                            // hyper does not ask again behind the last byte that was announced
                            if live.is_taken() {
                                this.end();
                            }
                            Poll::Ready(Some(Ok(Frame::data(data))))
                        }
                        Some(Err(reason)) => this.fail_later(reason, cx),
                        None => {
                            this.end();
                            Poll::Ready(None)
                        }
                    };
                }
                Source::Upstream(u) => u,
            };
            match std::task::ready!(Pin::new(&mut **upstream).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let (ended, traffic) = (upstream.is_end_stream(), upstream.traffic());
                    match frame.into_data() {
                        Ok(data) => {
                            this.received(data.len(), traffic);
                            if this.filter && !ended {
                                match this.filtered(data, false) {
                                    Ok((out, false)) if out.is_empty() => continue,
                                    Ok((out, cut)) => {
                                        this.count(out.len());
                                        if cut {
                                            this.end();
                                        }
                                        return Poll::Ready(Some(Ok(Frame::data(out))));
                                    }
                                    Err(e) => return this.broken(e.0),
                                }
                            }
                            return this.data(data, ended);
                        }
                        Err(frame) => {
                            this.received(0, traffic);
                            if let (Some(t), Some(m)) = (&this.tail, frame.trailers_ref()) {
                                t.with(|x: &mut Exchange| x.response.trailers = Some(m.clone()));
                            }
                            // the filters see the end before the trailers leave
                            match this.filtered(Bytes::new(), true) {
                                Ok((rest, _)) => {
                                    let trailers = frame.into_trailers().unwrap_or_default();
                                    if rest.is_empty() {
                                        return this.trailers(trailers);
                                    }
                                    this.count(rest.len());
                                    this.source = Source::Trailers(trailers);
                                    return Poll::Ready(Some(Ok(Frame::data(rest))));
                                }
                                Err(e) => return this.broken(e.0),
                            }
                        }
                    }
                }
                None => {
                    let traffic = upstream.traffic();
                    this.received(0, traffic);
                    let rest = match this.filtered(Bytes::new(), true) {
                        Ok((r, _)) => r,
                        Err(e) => return this.broken(e.0),
                    };
                    let send = this.filter && !rest.is_empty();
                    if send {
                        this.count(rest.len());
                    }
                    this.end();
                    return Poll::Ready(send.then(|| Ok(Frame::data(rest))));
                }
                Some(Err(e)) => return this.fail_later(e.to_string(), cx),
            }
        }
    }
}
