//! What a handler writes while it runs, on its way to the client.
//!
//! The handler (`ngx.print`) puts bytes in, through body_filter where there is one; the response's body takes them
//! out; `ngx.flush(true)` waits until they are written. Must not: know Lua or the HTTP server.

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::net::guard::GuardHandle;

/// How much is written before it leaves unasked (nginx's `postpone_output`).
const POSTPONED: usize = 1460;

/// The output of one response, from the first `ngx.print` on.
#[derive(Debug, Default)]
pub struct Output {
    ready: RefCell<Vec<u8>>,
    /// The end, and whether it is a good one.
    over: RefCell<Option<Result<(), String>>>,
    due: Cell<bool>,
    left: Cell<bool>,
    gone: Cell<bool>,
    /// What was taken is held back (`$limit_rate`).
    held: Cell<bool>,
    /// Bytes of a body were written.
    pub seen: Cell<bool>,
    /// body_filter ended the body: what comes after is dropped.
    pub cut: Cell<bool>,
    /// body_filter has seen the end.
    pub ended: Cell<bool>,
    /// The head's filters put another answer in its place.
    pub replaced: Cell<bool>,
    taker: RefCell<Option<Waker>>,
    waiting: RefCell<Vec<Waker>>,
    guard: Option<GuardHandle>,
}

impl Output {
    /// Begins, towards the client behind `guard`.
    pub fn new(guard: Option<GuardHandle>) -> Self {
        Self {
            guard,
            ..Self::default()
        }
    }

    /// Adds what is ready to leave.
    pub fn push(&self, bytes: &[u8]) {
        if self.cut.get() || self.over.borrow().is_some() || bytes.is_empty() {
            return;
        }
        let mut ready = self.ready.borrow_mut();
        ready.extend_from_slice(bytes);
        if ready.len() >= POSTPONED {
            self.due.set(true);
        }
        drop(ready);
        self.wake_taker();
    }

    /// Whether a client takes it.
    pub fn has_client(&self) -> bool {
        self.guard.is_some()
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.ready.borrow().len()
    }

    /// Whether none wait.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// It is to leave at the next opportunity.
    pub fn flush(&self) {
        self.due.set(true);
        self.wake_taker();
    }

    /// Whether it is to leave and has not begun to.
    pub fn is_due(&self) -> bool {
        self.due.get() && !self.left.get()
    }

    /// The head is on its way, and what is written follows as it comes.
    pub fn leave(&self) {
        self.left.set(true);
    }

    /// Whether it is.
    pub fn has_left(&self) -> bool {
        self.left.get()
    }

    /// Nothing comes any more; with `Err`, because something failed. The first word counts.
    pub fn end(&self, how: Result<(), String>) {
        self.over.borrow_mut().get_or_insert(how);
        self.due.set(true);
        self.wake_taker();
        self.wake_waiting();
    }

    /// Whether the end was said.
    pub fn is_over(&self) -> bool {
        self.over.borrow().is_some()
    }

    /// How it failed, if it did.
    pub fn failure(&self) -> Option<String> {
        self.over.borrow().clone()?.err()
    }

    /// What was taken is held back, or goes on to the client.
    pub fn hold(&self, held: bool) {
        if self.held.replace(held) && !held {
            if let Some(guard) = &self.guard {
                guard.expect_written();
            }
            self.wake_waiting();
        }
    }

    /// Nobody takes it any more.
    pub fn close(&self) {
        self.gone.set(true);
        self.wake_waiting();
    }

    /// Whether nobody does.
    pub fn is_closed(&self) -> bool {
        self.gone.get()
    }

    /// All that is ready.
    pub fn take(&self) -> Vec<u8> {
        self.ready.take()
    }

    /// Its length, where the end is known and nothing has left.
    pub fn exact(&self) -> Option<u64> {
        (!self.left.get() && matches!(&*self.over.borrow(), Some(Ok(())))).then(|| self.len() as u64)
    }

    /// The next bytes for the client; None at a good end.
    pub fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, String>>> {
        if !self.is_empty() {
            if let Some(guard) = &self.guard {
                guard.expect_written();
            }
            let bytes = self.take();
            self.wake_waiting();
            return Poll::Ready(Some(Ok(bytes.into())));
        }
        match &*self.over.borrow() {
            Some(Ok(())) => Poll::Ready(None),
            Some(Err(reason)) => Poll::Ready(Some(Err(reason.clone()))),
            None => {
                *self.taker.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Ready when all that was put in is written to the client's connection.
    ///
    /// # Errors
    /// Why it never will be, as OpenResty says it.
    pub fn poll_written(&self, cx: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        if self.gone.get() {
            return Poll::Ready(Err("client aborted"));
        }
        if self.failure().is_some() {
            return Poll::Ready(Err("nginx output filter error"));
        }
        if !self.left.get() || !self.is_empty() || self.held.get() {
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|w| w.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            return Poll::Pending;
        }
        match &self.guard {
            Some(guard) => guard.poll_written(cx).map(Ok),
            None => Poll::Ready(Ok(())),
        }
    }

    fn wake_taker(&self) {
        if let Some(waker) = self.taker.take() {
            waker.wake();
        }
    }

    fn wake_waiting(&self) {
        for waker in self.waiting.take() {
            waker.wake();
        }
        if self.gone.get()
            && let Some(guard) = &self.guard
        {
            guard.written();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d02_output_leaves_when_asked_or_when_there_is_much() {
        let mut cx = Context::from_waker(Waker::noop());
        let out = Output::default();
        out.push(b"a");
        assert!(!out.is_due() && out.poll_written(&mut cx).is_pending());
        out.push(&[b'x'; POSTPONED]);
        assert!(out.is_due());
        out.leave();
        assert!(!out.is_due() && out.poll_written(&mut cx).is_pending());
        let Poll::Ready(Some(Ok(taken))) = out.poll_take(&mut cx) else {
            panic!("nothing to take");
        };
        assert_eq!(taken.len(), 1 + POSTPONED);
        assert!(out.poll_take(&mut cx).is_pending());
        assert_eq!(out.poll_written(&mut cx), Poll::Ready(Ok(())));
        out.end(Err("broke".into()));
        out.end(Ok(()));
        out.push(b"late");
        assert_eq!(out.poll_take(&mut cx), Poll::Ready(Some(Err("broke".into()))));
        assert_eq!(
            out.poll_written(&mut cx),
            Poll::Ready(Err("nginx output filter error"))
        );
        let out = Output::default();
        out.close();
        assert_eq!(out.poll_written(&mut cx), Poll::Ready(Err("client aborted")));
    }

    #[test]
    fn d02_what_was_cut_short_takes_no_more() {
        let out = Output::default();
        out.push(b"ab");
        out.cut.set(true);
        out.push(b"cd");
        out.end(Ok(()));
        assert_eq!(out.exact(), Some(2));
        out.leave();
        assert_eq!(out.exact(), None);
    }
}
