//! The framing guard in front of hyper's HTTP/1 server.
//!
//! [`GuardedIo`] wraps a client's stream and sees every byte hyper reads. Each request head is parsed and kept
//! here; hyper gets a skeleton of it (`GET / HTTP/1.1` and the framing) and the body bytes unchanged. The service
//! that hyper calls takes the real head with [`GuardHandle::pop`]: heads come out in the order in which hyper
//! calls. A refused head comes out in its turn too, as [`Incoming::Fault`], so that the answer leaves by the
//! gateway's one way out; after it nothing more is served on the connection.
//!
//! At most one message's bytes are handed on per read, so the queue stays short however much is pipelined.
//!
//! Protocol upgrades: behind a head with `wants_upgrade()` bytes are held back. A service that answers 101 takes
//! the stream back with hyper's `into_parts` and [`GuardedIo::into_inner`]; one that answers otherwise calls
//! [`GuardHandle::decline_upgrade`] before it returns, and the connection goes on.
//!
//! A response's head is written by [`GuardHandle::set_head`], and hyper's own is a skeleton: what that says of the framing
//! and of the connection's end is put to ours, so that what the client is told is what hyper does.
//!
//! A stream that was offered ([`GuardHandle::offer`]) may be taken over by a handler: from then on hyper hears nothing and
//! what it writes goes nowhere.
//!
//! Must not: answer anything, know timeouts (but for the end of a connection) or read settings.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::rt::ReadBufCursor;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::chunked::{ChunkFollower, Followed};
use super::counted::Counted;
pub use super::guard_handle::{GuardHandle, LeftOver};
use super::guard_handle::{Offered, Shared};
pub use super::head::{Framing, HeadFault, Incoming, RequestHead, Version};
pub use super::head_parser::Limits;
use super::head_parser::{HeadParser, Progress, Refusal, bad};
use super::head_swap::HeadSwap;
use super::skeleton;

/// Empty lines tolerated in front of a request line (RFC 9112, 2.2 asks for at least one).
const MAX_EMPTY_LINES: u8 = 4;
/// What is read ahead while it is open whether the protocol changes, or whether a chunked body is wanted.
const MAX_HELD: usize = 16 * 1024;
/// One read's size; the buffer is shared by all connections of a thread.
const SCRATCH: usize = 64 * 1024;
/// How long a client is listened to after we closed in the middle of its message, so that it can read the answer
/// (nginx's `lingering_timeout`).
const LINGER: Duration = Duration::from_secs(5);

thread_local! {
    static SCRATCH_BUFFER: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// A client's stream as hyper sees it.
#[derive(Debug)]
pub struct GuardedIo<S> {
    io: TokioIo<Counted<S>>,
    shared: Rc<Shared>,
    _offered: Offered,
    limits: Limits,
    parser: HeadParser,
    state: State,
    /// The message being read asked for another protocol.
    upgrade: bool,
    empty_lines: u8,
    /// Bytes read and not yet handed on, from `at`; empty on most connections most of the time.
    pending: Vec<u8>,
    at: usize,
    /// `pending` cannot go on without more bytes.
    starved: bool,
    /// The skeleton being handed on, from `skeleton_at`.
    skeleton: Vec<u8>,
    skeleton_at: usize,
    swap: HeadSwap,
    linger: Option<Pin<Box<Sleep>>>,
    lingered: bool,
    /// What was read is another's.
    given_up: bool,
    /// `pending` is a chunked body's, which nobody wanted yet.
    holds: bool,
}

#[derive(Debug)]
enum State {
    /// Reading a head.
    Head,
    /// So many bytes of the body are still to come.
    Length(u64),
    Chunked(ChunkFollower),
    /// It is open whether the protocol changes.
    Held,
    /// A head was refused: what comes is thrown away.
    Refused,
    /// A body's framing was broken: reads fail.
    Broken(&'static str),
}

// === impl GuardedIo ===

impl<S> GuardedIo<S> {
    /// Wraps a client's stream.
    pub fn new(stream: S, limits: Limits) -> (Self, GuardHandle) {
        let shared = Rc::new(Shared::default());
        let counted = Counted::new(stream, Rc::clone(&shared.received), Rc::clone(&shared.sent));
        let handle = GuardHandle(Rc::clone(&shared));
        let guard = Self {
            io: TokioIo::new(counted),
            swap: HeadSwap::new(Rc::clone(&shared.heads)),
            _offered: Offered(Rc::clone(&shared)),
            shared,
            limits,
            parser: HeadParser::new(),
            state: State::Head,
            upgrade: false,
            empty_lines: 0,
            pending: Vec::new(),
            at: 0,
            starved: false,
            skeleton: Vec::new(),
            skeleton_at: 0,
            linger: None,
            lingered: false,
            given_up: false,
            holds: false,
        };
        (guard, handle)
    }

    /// Gives the stream back with what was read from it and not handed on.
    pub fn into_inner(mut self) -> (S, Bytes) {
        self.pending.drain(..self.at);
        (self.io.into_inner().into_inner(), Bytes::from(self.pending))
    }

    /// The stream itself.
    pub fn get_ref(&self) -> &S {
        self.io.inner().get_ref()
    }

    /// Whether the stream was taken over; the first time, what was read is handed to who did.
    fn let_go(&mut self) -> bool {
        if !self.shared.seized.get() {
            return false;
        }
        if !self.given_up {
            self.given_up = true;
            // what came behind the request's head may have been taken for another one
            let mut bytes = Vec::new();
            for taken in self.shared.queue.borrow_mut().drain(..) {
                match taken {
                    Incoming::Head(head) => bytes.extend_from_slice(&head.raw_bytes()),
                    Incoming::Fault(fault) => bytes.extend_from_slice(&fault.head.raw_bytes()),
                }
            }
            bytes.extend_from_slice(&std::mem::take(&mut self.pending)[self.at..]);
            self.at = 0;
            let unread = match self.state {
                State::Length(left) => left,
                _ => 0,
            };
            *self.shared.left_over.borrow_mut() = Some(LeftOver { bytes, unread });
            if let Some(waker) = self.shared.seizer.take() {
                waker.wake();
            }
        }
        true
    }

    /// Hands on what `input` has for hyper, up to the end of one message; returns how many bytes were used.
    fn digest(&mut self, input: &[u8], out: &mut ReadBufCursor<'_>) -> usize {
        let mut used = 0;
        let mut handed_on = false;
        loop {
            let rest = &input[used..];
            if rest.is_empty() || (handed_on && out.remaining() == 0) {
                return used;
            }
            match &mut self.state {
                State::Head if handed_on => return used,
                State::Chunked(_) if !self.shared.wanted.get() => {
                    self.holds = true;
                    return used;
                }
                State::Head => {
                    let (skipped, complete) = self.digest_head(rest);
                    used += skipped;
                    if !complete {
                        return used;
                    }
                    handed_on = true;
                    self.hand_on_skeleton(out);
                }
                State::Length(left) => {
                    let here = (*left).min(rest.len().min(out.remaining()) as u64);
                    out.put_slice(&rest[..here as usize]);
                    used += here as usize;
                    *left -= here;
                    handed_on = true;
                    if *left == 0 {
                        self.message_ended();
                    }
                }
                State::Chunked(follower) => {
                    let here = &rest[..rest.len().min(out.remaining())];
                    let followed = follower.follow(here, &self.limits.chunks);
                    let good = match followed {
                        Followed::All => here.len(),
                        Followed::End(good) | Followed::Bad(good, _) => good,
                    };
                    out.put_slice(&here[..good]);
                    used += good;
                    handed_on = true;
                    match followed {
                        Followed::All => {}
                        Followed::End(_) => self.message_ended(),
                        Followed::Bad(_, reason) => self.break_body(reason),
                    }
                }
                State::Held => return used,
                State::Refused | State::Broken(_) => return input.len(),
            }
        }
    }

    /// Reads a head; returns how many bytes are done with and whether a skeleton is ready.
    fn digest_head(&mut self, input: &[u8]) -> (usize, bool) {
        let mut skipped = 0;
        if !self.shared.head_started.get() {
            loop {
                match &input[skipped..] {
                    [b'\r', b'\n', ..] => skipped += 2,
                    [b'\n', ..] => skipped += 1,
                    [] | [b'\r'] => return (skipped, false),
                    _ => break,
                }
                self.empty_lines += 1;
                if self.empty_lines > MAX_EMPTY_LINES {
                    self.refuse(bad("client sent too many empty lines"), &[]);
                    return (input.len(), true);
                }
            }
        }
        let bytes = &input[skipped..];
        match self.parser.parse(bytes, &self.limits) {
            Progress::More => {
                self.shared.head_started.set(true);
                (skipped, false)
            }
            Progress::Done(length) => {
                let head = self.parser.finish(Bytes::copy_from_slice(&bytes[..length]));
                skeleton::write(&head, &mut self.skeleton);
                self.upgrade = head.wants_upgrade();
                match head.framing() {
                    Framing::Length(length) => self.state = State::Length(length),
                    Framing::Chunked => self.state = State::Chunked(ChunkFollower::new()),
                    Framing::None => self.message_ended(),
                }
                self.head_ended(Incoming::Head(head));
                (skipped + length, true)
            }
            Progress::Refused(refusal) => {
                self.refuse(refusal, bytes);
                (input.len(), true)
            }
        }
    }

    fn head_ended(&mut self, incoming: Incoming) {
        self.empty_lines = 0;
        self.shared.head_started.set(false);
        self.shared.declined.set(false);
        // only a stream that can be taken over gives a reason to wait
        self.shared.wanted.set(self.shared.raw.borrow().is_none());
        self.shared.queue.borrow_mut().push_back(incoming);
    }

    fn refuse(&mut self, refusal: Refusal, bytes: &[u8]) {
        let kept = bytes.len().min(self.limits.head);
        let fault = self
            .parser
            .finish_refused(refusal, Bytes::copy_from_slice(&bytes[..kept]));
        skeleton::write_fault(&fault, &mut self.skeleton);
        self.state = State::Refused;
        self.head_ended(Incoming::Fault(fault));
    }

    fn message_ended(&mut self) {
        self.state = if self.upgrade { State::Held } else { State::Head };
    }

    fn break_body(&mut self, reason: &'static str) {
        let fault = HeadFault {
            status: 400,
            reason,
            head: RequestHead::empty(),
        };
        *self.shared.body_fault.borrow_mut() = Some(fault);
        self.state = State::Broken(reason);
    }

    fn hand_on_skeleton(&mut self, out: &mut ReadBufCursor<'_>) {
        let rest = &self.skeleton[self.skeleton_at..];
        let here = rest.len().min(out.remaining());
        out.put_slice(&rest[..here]);
        self.skeleton_at += here;
        if self.skeleton_at == self.skeleton.len() {
            self.skeleton.clear();
            self.skeleton_at = 0;
        }
    }

    /// Whether hyper may read the body straight into its own buffer: nothing behind the body can get in.
    fn may_read_directly(&self, room: usize) -> bool {
        self.pending.is_empty() && matches!(self.state, State::Length(left) if left >= room as u64)
    }

    fn digest_pending(&mut self, out: &mut ReadBufCursor<'_>) {
        let pending = std::mem::take(&mut self.pending);
        let used = self.digest(&pending[self.at..], out);
        if self.at + used < pending.len() {
            self.pending = pending;
            self.at += used;
        } else {
            // Given back to the allocator: an idle connection keeps no buffer.
            self.at = 0;
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.at > 0 {
            self.pending.drain(..self.at);
            self.at = 0;
        }
        self.pending.extend_from_slice(bytes);
    }
}

impl<S: AsyncRead + Unpin> GuardedIo<S> {
    /// Reads once into the thread's buffer and passes the bytes to `digest`.
    fn with_bytes<T>(
        &mut self,
        cx: &mut Context<'_>,
        most: usize,
        digest: impl FnOnce(&mut Self, &[u8]) -> T,
    ) -> Poll<io::Result<T>> {
        let mut scratch = SCRATCH_BUFFER
            .take()
            .unwrap_or_else(|| vec![0_u8; SCRATCH].into_boxed_slice());
        let mut buffer = ReadBuf::new(&mut scratch[..most.clamp(1, SCRATCH)]);
        let read = Pin::new(self.io.inner_mut()).poll_read(cx, &mut buffer);
        let result = read.map_ok(|()| digest(self, buffer.filled()));
        SCRATCH_BUFFER.set(Some(scratch));
        result
    }

    fn read(&mut self, cx: &mut Context<'_>, mut out: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let room = out.remaining();
        if matches!(self.state, State::Held) && self.shared.declined.replace(false) {
            self.state = State::Head;
            self.starved = false;
        }
        if self.holds && self.shared.wanted.get() {
            (self.holds, self.starved) = (false, false);
        }
        if self.skeleton_at < self.skeleton.len() {
            self.hand_on_skeleton(&mut out);
            return Poll::Ready(Ok(()));
        }
        loop {
            if out.remaining() < room {
                return Poll::Ready(Ok(()));
            }
            if !self.pending.is_empty() && !self.starved {
                self.digest_pending(&mut out);
                self.starved = out.remaining() == room;
            }
            if out.remaining() < room {
                return Poll::Ready(Ok(()));
            }
            if self.holds {
                *self.shared.holder.borrow_mut() = Some(cx.waker().clone());
            }
            match self.state {
                State::Chunked(_) if self.holds && self.pending.len() - self.at >= MAX_HELD => {
                    return Poll::Pending;
                }
                State::Broken(reason) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, reason)));
                }
                State::Held if self.pending.len() - self.at >= MAX_HELD => return Poll::Pending,
                _ => {}
            }
            let ended = ready!(self.with_bytes(cx, room, |guard, bytes| {
                if guard.pending.is_empty() {
                    let used = guard.digest(bytes, &mut out);
                    guard.keep(&bytes[used..]);
                    guard.starved = out.remaining() == room;
                } else {
                    guard.keep(bytes);
                    guard.starved = false;
                }
                bytes.is_empty()
            }))?;
            if ended {
                return match self.state {
                    // The client said all it had to say; hyper would take the end for an abort.
                    State::Refused => Poll::Pending,
                    _ => Poll::Ready(Ok(())),
                };
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> GuardedIo<S> {
    /// Listens on, for a while, to a client in the middle of a message: closing at once would reset the
    /// connection and could take the answer away from it.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.state, State::Head | State::Held) && !self.shared.head_started.get() {
            return Poll::Ready(());
        }
        let linger = self
            .linger
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        if linger.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            match ready!(self.with_bytes(cx, SCRATCH, |_, bytes| bytes.len())) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
    }
}

impl<S: AsyncRead + Unpin> hyper::rt::Read for GuardedIo<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        let room = out.remaining();
        if room == 0 {
            return Poll::Ready(Ok(()));
        }
        if guard.let_go() {
            return Poll::Pending;
        }
        if guard.skeleton.is_empty() && guard.may_read_directly(room) {
            let before = guard.shared.received.get();
            ready!(Pin::new(&mut guard.io).poll_read(cx, out))?;
            if let State::Length(left) = &mut guard.state {
                *left -= guard.shared.received.get() - before;
                if *left == 0 {
                    guard.message_ended();
                }
            }
            return Poll::Ready(Ok(()));
        }
        guard.read(cx, out)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> GuardedIo<S> {
    fn poll_slices(&mut self, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.let_go() {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        let (dated, keepalive) = (self.shared.dated.get(), self.shared.keepalive.get());
        let finish = |head: &mut Vec<u8>, shown: &[u8]| skeleton::finish(head, shown, dated, keepalive);
        let written = self.swap.poll_write(&mut self.io, cx, slices, finish);
        self.shared.blocked.set(written.is_pending());
        // of a 100 Continue a part may be left, which the next head must not take for its skeleton
        let all: usize = slices.iter().map(|slice| slice.len()).sum();
        if !matches!(&written, Poll::Ready(Ok(n)) if *n == all) {
            self.shared.unwritten.set(true);
        }
        written
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> hyper::rt::Write for GuardedIo<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_slices(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        if guard.let_go() {
            return Poll::Ready(Ok(()));
        }
        let rest = guard.swap.poll_rest(&mut guard.io, cx);
        guard.shared.blocked.set(rest.is_pending());
        ready!(rest)?;
        // TLS takes more than it has room to send
        let flushed = Pin::new(&mut guard.io).poll_flush(cx);
        guard.shared.blocked.set(flushed.is_pending());
        // hyper flushes when its own buffer is empty
        if guard.shared.unwritten.get() && flushed.is_ready() {
            GuardHandle(Rc::clone(&guard.shared)).written();
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        if guard.let_go() {
            return Poll::Ready(Ok(()));
        }
        if !guard.lingered {
            let rest = guard.swap.poll_rest(&mut guard.io, cx);
            guard.shared.blocked.set(rest.is_pending());
            ready!(rest)?;
            let shut = Pin::new(&mut guard.io).poll_shutdown(cx);
            guard.shared.blocked.set(shut.is_pending());
            ready!(shut)?;
            guard.lingered = true;
        }
        guard.poll_linger(cx).map(Ok)
    }

    fn is_write_vectored(&self) -> bool {
        hyper::rt::Write::is_write_vectored(&self.io)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_slices(cx, slices)
    }
}
