//! The service's side of a guarded connection: request heads in their turn, response heads, the stream itself.
//!
//! Must not: read or write; the guard does.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::head::{HeadFault, Incoming};
use super::head_swap::Slot;
use super::raw::RawStream;

/// What guard and service share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) queue: RefCell<VecDeque<Incoming>>,
    pub(super) body_fault: RefCell<Option<HeadFault>>,
    pub(super) head_started: Cell<bool>,
    pub(super) declined: Cell<bool>,
    /// The other way to the stream, for who takes it over.
    pub(super) raw: RefCell<Option<Rc<dyn RawStream>>>,
    pub(super) seized: Cell<bool>,
    /// Hyper may have the chunked body that is being read. Before, it is here as it came, since a handler may take the
    /// stream over.
    pub(super) wanted: Cell<bool>,
    /// Whom it wakes that the body is wanted.
    pub(super) holder: RefCell<Option<Waker>>,
    pub(super) left_over: RefCell<Option<LeftOver>>,
    pub(super) seizer: RefCell<Option<Waker>>,
    pub(super) blocked: Cell<bool>,
    /// Something was given to hyper that is not known to be written.
    pub(super) unwritten: Cell<bool>,
    pub(super) written: RefCell<Vec<Waker>>,
    /// The head of the response that hyper gets next, and whether it has a Date.
    pub(super) staged: RefCell<Option<Vec<u8>>>,
    pub(super) dated: Cell<bool>,
    /// How long the connection stays, as clients are told, in seconds; 0 where they are not.
    pub(super) keepalive: Cell<u64>,
    pub(super) heads: Rc<Slot>,
    pub(super) received: Rc<Cell<u64>>,
    pub(super) sent: Rc<Cell<u64>>,
}

/// What the guard had read when its stream was taken over.
#[derive(Debug, Default)]
pub struct LeftOver {
    /// Bytes that hyper did not get.
    pub bytes: Vec<u8>,
    /// How much of a body framed by its length hyper did not get.
    pub unread: u64,
}

/// The guard's own hold: with it ends the other way to a stream that nobody took over, and so the connection, whoever
/// still has a handle.
#[derive(Debug)]
pub(super) struct Offered(pub(super) Rc<Shared>);

impl Drop for Offered {
    fn drop(&mut self) {
        let raw = self.0.raw.take();
        drop(raw);
    }
}

/// The service's side of a guarded connection.
#[derive(Debug, Clone)]
pub struct GuardHandle(pub(super) Rc<Shared>);

impl GuardHandle {
    /// The head of the request hyper calls the service with. `None` only if asked more often than called.
    pub fn pop(&self) -> Option<Incoming> {
        self.0.queue.borrow_mut().pop_front()
    }

    /// How many heads wait.
    pub fn queued(&self) -> usize {
        self.0.queue.borrow().len()
    }

    /// What was wrong in a body whose reading failed with `InvalidData`: to be answered 400 and closed.
    pub fn body_fault(&self) -> Option<HeadFault> {
        self.0.body_fault.borrow().clone()
    }

    /// Whether a head has begun and is not complete: then the head timeout applies, else the keep-alive one.
    pub fn head_started(&self) -> bool {
        self.0.head_started.get()
    }

    /// Lets the connection go on after a head that wanted an upgrade and does not get it.
    pub fn decline_upgrade(&self) {
        self.0.declined.set(true);
    }

    /// Lets the stream be taken over, by this way to it.
    pub fn offer(&self, raw: Rc<dyn RawStream>) {
        *self.0.raw.borrow_mut() = Some(raw);
    }

    /// Takes the stream over: hyper reads nothing from it any more, and writes nothing to it. None where it was not
    /// offered, was taken over before, or is gone with its client.
    pub fn seize(&self) -> Option<Rc<dyn RawStream>> {
        let raw = self.0.raw.borrow_mut().take();
        self.0.seized.set(self.0.seized.get() || raw.is_some());
        raw
    }

    /// Whether the stream was taken over.
    pub fn is_seized(&self) -> bool {
        self.0.seized.get()
    }

    /// Lets hyper have the chunked body that it asked for.
    pub fn want_body(&self) {
        if !self.0.wanted.replace(true)
            && let Some(waker) = self.0.holder.take()
        {
            waker.wake();
        }
    }

    /// Hands the system's socket to `f`, while the stream may be taken over.
    pub fn with_fd(&self, f: &mut dyn FnMut(BorrowedFd<'_>)) {
        if let Some(raw) = &*self.0.raw.borrow() {
            raw.with_fd(f);
        }
    }

    /// What had been read before, once hyper has let go.
    pub fn poll_left_over(&self, cx: &mut Context<'_>) -> Poll<LeftOver> {
        if let Some(left_over) = self.0.left_over.take() {
            return Poll::Ready(left_over);
        }
        *self.0.seizer.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Whether the client does not take what is there for it: then the send timeout applies.
    pub fn write_blocked(&self) -> bool {
        self.0.blocked.get()
    }

    /// An empty buffer for a response's head.
    pub fn head_buffer(&self) -> Vec<u8> {
        self.0.heads.buffer()
    }

    /// Sets the head of the response that the service is about to return: status line and headers, without those of the
    /// framing and of the connection, and without the empty line. `dated`: there is a Date among them.
    pub fn set_head(&self, head: Vec<u8>, dated: bool) {
        self.0.staged.replace(Some(head));
        self.0.dated.set(dated);
    }

    /// Heads tell clients that the connection stays for so many seconds; 0 for not at all.
    pub fn tell_keepalive(&self, seconds: u64) {
        self.0.keepalive.set(seconds);
    }

    /// Hyper gets the response of that head now. Before, all it has of the one before must be written
    /// ([`Self::poll_written`]): its next bytes are the skeleton's.
    pub fn send_head(&self) {
        if let Some(head) = self.0.staged.take() {
            self.0.heads.set(head);
        }
    }

    /// Hyper gets something that will be waited for.
    pub fn expect_written(&self) {
        self.0.unwritten.set(true);
    }

    /// Ready when hyper has written all that it got.
    pub fn poll_written(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.0.unwritten.get() || self.is_seized() {
            return Poll::Ready(());
        }
        let mut waiting = self.0.written.borrow_mut();
        if !waiting.iter().any(|w| w.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Tells who waits: hyper has, or will not any more.
    pub fn written(&self) {
        self.0.unwritten.set(false);
        for waker in self.0.written.take() {
            waker.wake();
        }
    }

    /// Bytes read from the client so far.
    pub fn bytes_received(&self) -> u64 {
        self.0.received.get()
    }

    /// Bytes written to the client so far.
    pub fn bytes_sent(&self) -> u64 {
        self.0.sent.get()
    }
}
