//! A response that its handler goes on with after the head is on its way: `ngx.flush`, `ngx.eof`, much output.
//!
//! The handler then runs as a task of its own, and the response's body takes what it writes. Must not: decide what a
//! handler's end leads to where nothing has left yet; `serve` does.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::Generation;
use super::abort::{Outliving, Watched};
use super::body_in::ClientStream;
use super::body_out::{BrokenOff, filter};
use super::log::{Tail, handler_failed};
use super::respond;
use crate::exchange::{Output, Phase};
use crate::plugin::chain;
use crate::vm::scope::Standing;
use crate::vm::{Flow, Scope};

/// What handler and body share.
pub struct Live {
    output: Rc<Output>,
    run: RefCell<Option<Watched>>,
    /// Whom a change of the run wakes.
    waker: RefCell<Option<Waker>>,
    /// What waits for the handler's end to be logged, where the body ended before.
    tail: RefCell<Option<Tail>>,
    outliving: RefCell<Option<Outliving>>,
}

impl Live {
    /// Lets the handler go on as a task.
    pub fn start(
        g: &Rc<Generation>,
        scope: &Rc<Scope>,
        stream: &Rc<ClientStream>,
        output: Rc<Output>,
        run: Watched,
    ) -> Rc<Self> {
        let live = Rc::new(Self {
            output,
            run: RefCell::new(Some(run)),
            waker: RefCell::default(),
            tail: RefCell::default(),
            outliving: RefCell::default(),
        });
        let (g, scope, stream, own) = (g.clone(), scope.clone(), stream.clone(), live.clone());
        tokio::task::spawn_local(async move {
            let phase = scope.phase.get();
            let flow = tokio::select! {
                flow = std::future::poll_fn(|cx| own.poll_run(cx, &stream)) => flow,
                () = g.worker.cut.due() => None,
            };
            let Some(flow) = flow else {
                own.tail.take();
                return;
            };
            let ended = ended(&g, &scope, &stream, phase, &flow, &own.output);
            if stream.is_seized() {
                stream.hang_up().await;
            }
            own.output.end(ended);
            if let Some(tail) = own.tail.take() {
                tail.complete();
            }
            own.outliving.take();
        });
        live
    }

    /// The handler's end; None if it was given up.
    fn poll_run(&self, cx: &mut Context<'_>, stream: &ClientStream) -> Poll<Option<Flow>> {
        let mut run = self.run.borrow_mut();
        let Some(watched) = run.as_mut() else {
            return Poll::Ready(None);
        };
        *self.waker.borrow_mut() = Some(cx.waker().clone());
        let flow = match std::pin::Pin::new(&mut *watched).poll(cx) {
            // nobody is told: the request ends where it waits for its body
            Poll::Pending if stream.timed_out() => {
                watched.time_out();
                Flow::Exit(408)
            }
            polled => std::task::ready!(polled),
        };
        *run = None;
        Poll::Ready(Some(flow))
    }

    /// The body's length, where it is known.
    pub fn exact(&self) -> Option<u64> {
        self.output.exact()
    }

    /// The body begins to be taken.
    pub fn leave(&self) {
        self.output.leave();
    }

    /// The next bytes for the client.
    pub fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, String>>> {
        self.output.poll_take(cx)
    }

    /// What was taken is held back, or no more.
    pub fn hold(&self, held: bool) {
        self.output.hold(held);
    }

    /// Whether nothing is left to take, and the end was a good one.
    pub fn is_taken(&self) -> bool {
        self.output.is_empty() && self.output.is_over() && self.output.failure().is_none()
    }

    /// What is still written goes nowhere.
    pub fn close(&self) {
        self.output.end(Ok(()));
    }

    /// The body was taken whole: the log is the handler's end's.
    pub fn taken(&self, tail: Tail) {
        if self.run.borrow().is_none() {
            return tail.complete();
        }
        *self.tail.borrow_mut() = Some(tail);
    }

    /// The client is gone; the handler goes on, or ends with it.
    pub fn give_up(&self, tail: Option<Tail>) {
        let outlives = self.run.borrow_mut().as_mut().is_some_and(Watched::outlives);
        if let Some(tail) = tail.filter(|_| outlives) {
            tail.scope().leave(Standing::Gone);
            *self.outliving.borrow_mut() = Some(Outliving::begin(&tail.generation().worker));
            self.taken(tail);
        } else if let Some(mut run) = self.run.take() {
            run.abandon();
        }
        // the task ends with a run that is given up, and lets go of the request
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        self.output.close();
    }
}

/// What a handler's end is for the output that left before.
fn ended(
    g: &Rc<Generation>,
    scope: &Rc<Scope>,
    stream: &ClientStream,
    phase: Phase,
    flow: &Flow,
    output: &Output,
) -> Result<(), String> {
    if phase == Phase::Access
        && let Some(plan) = chain::plan(scope)
    {
        scope.phase.set(Phase::Access);
        plan.collect_rest(scope);
    }
    match flow {
        Flow::Failed(fault) => {
            handler_failed(g, scope, phase, fault);
            return Err("its handler failed".into());
        }
        Flow::Exit(code @ (-1 | 408 | 444 | 499)) => {
            if let (Some(cell), Ok(status @ 1..)) = (&scope.exchange, u16::try_from(*code)) {
                cell.borrow_mut().response.status = status;
            }
            return Err(format!("closed with {code}"));
        }
        Flow::Done | Flow::Exit(_) => {}
    }
    if stream.is_seized() {
        return Err("its handler took the connection over".into());
    }
    let rest = match &scope.exchange {
        Some(cell) => cell.borrow_mut().response.body.take().unwrap_or_default(),
        None => Vec::new(),
    };
    let filters = scope.handled.get() & Phase::BodyFilter as u32 != 0;
    finish(g, scope, output, rest, filters).map_err(|e| e.0)
}

/// Puts what was not passed on, and the filters' last word, to the rest.
fn finish(
    g: &Generation,
    scope: &Rc<Scope>,
    output: &Output,
    rest: Vec<u8>,
    filters: bool,
) -> Result<(), BrokenOff> {
    if let Some(reason) = output.failure() {
        return Err(BrokenOff(reason));
    }
    if !filters {
        output.push(&rest);
        return Ok(());
    }
    if !rest.is_empty() {
        piece(g, scope, output, rest.into(), false)?;
    }
    if output.is_over() || output.cut.get() || output.ended.get() {
        return Ok(());
    }
    piece(g, scope, output, Bytes::new(), true)
}

/// One call of body_filter, and where its result goes.
fn piece(
    g: &Generation,
    scope: &Rc<Scope>,
    output: &Output,
    chunk: Bytes,
    last: bool,
) -> Result<(), BrokenOff> {
    if output.cut.get() {
        return Ok(());
    }
    let (out, cut) = filter(g, scope, chunk, last)?;
    output.push(&out);
    output.cut.set(cut);
    Ok(())
}

/// A body whose handler is through before any of it left.
///
/// # Errors
/// A filter's error.
pub fn whole(
    g: &Generation,
    scope: &Rc<Scope>,
    output: &Output,
    rest: Vec<u8>,
    filters: bool,
) -> Result<Bytes, BrokenOff> {
    finish(g, scope, output, rest, filters)?;
    Ok(output.take().into())
}

/// The head of what a handler begins to write: false if another answer takes its place.
pub fn begin(g: &Generation, scope: &Rc<Scope>) -> bool {
    if scope.phase.get() == Phase::Rewrite
        && let Some(plan) = chain::plan(scope)
    {
        plan.collect_globals(scope);
    }
    let replaced = respond::head(g, scope, false);
    // kong.response.exit in header_filter leaves a body of its own; what was kept back for its length is the handler's
    let written = scope
        .exchange
        .as_ref()
        .is_some_and(|x| x.borrow().response.source == crate::exchange::Source::Exit);
    !replaced && !written
}

/// Shows body_filter what was written since the last time; false if it failed.
pub fn pass(g: &Generation, scope: &Rc<Scope>, last: bool) -> bool {
    let Some(cell) = &scope.exchange else {
        return false;
    };
    let (output, chunk) = {
        let mut x = cell.borrow_mut();
        let Some(output) = x.response.output.clone() else {
            return false;
        };
        (
            output,
            x.response.body.as_mut().map(std::mem::take).unwrap_or_default(),
        )
    };
    let mut passed = Ok(());
    if !last || !chunk.is_empty() {
        passed = piece(g, scope, &output, chunk.into(), false);
    }
    if last && passed.is_ok() {
        passed = piece(g, scope, &output, Bytes::new(), true);
        output.ended.set(true);
    }
    if let Err(e) = passed {
        output.end(Err(e.0));
        return false;
    }
    true
}
