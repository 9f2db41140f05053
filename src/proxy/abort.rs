//! Handlers that go on after their client went, because `ngx.on_abort` asked for it.
//!
//! Without it, handlers end with their client. Must not: go on to the next phase; nobody is there for an answer.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::Generation;
use super::fault::Fault;
use super::log::handler_failed;
use crate::logs::Level;
use crate::vm::scope::Afterwards;
use crate::vm::{Flow, Run, Scope, checks_client_abort};

/// A phase's run that notices when it is given up.
pub struct Watched {
    run: Option<Run>,
    generation: Rc<Generation>,
    scope: Rc<Scope>,
    /// The client is known to be gone.
    gone: bool,
}

impl Watched {
    pub(super) fn new(run: Run, generation: &Rc<Generation>, scope: &Rc<Scope>) -> Self {
        Self {
            run: Some(run),
            generation: generation.clone(),
            scope: scope.clone(),
            gone: false,
        }
    }
}

impl Watched {
    /// The run's end; None as soon as it waits and what it wrote is due to leave.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Option<Flow>> {
        if let Poll::Ready(flow) = Pin::new(&mut *self).poll(cx) {
            return Poll::Ready(Some(flow));
        }
        let due = self.scope.exchange.as_ref().is_some_and(|x| {
            let x = x.borrow();
            x.response.output.as_ref().is_some_and(|o| o.is_due())
        });
        if due { Poll::Ready(None) } else { Poll::Pending }
    }

    /// Whether the client of a connection that was taken over has gone: said once.
    fn is_gone(&mut self, cx: &mut Context<'_>) -> bool {
        if self.gone {
            return false;
        }
        let reader = self.scope.body_reader.borrow().clone();
        self.gone = reader.is_some_and(|r| r.poll_gone(cx).is_ready());
        self.gone
    }

    fn log_gone(&self) {
        if let Some(x) = self.scope.exchange.as_ref().and_then(|x| x.try_borrow().ok())
            && x.request.kin.depth() == 0
        {
            let gone = Fault::ClientGone.to_string();
            self.generation.worker.error(Level::Info, &gone, Some(&x));
        }
    }

    /// Lets go of the handler.
    pub(super) fn abandon(&mut self) {
        self.run = None;
    }
}

impl Future for Watched {
    type Output = Flow;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Flow> {
        let this = self.get_mut();
        let Some(run) = &mut this.run else {
            return Poll::Ready(Flow::Done);
        };
        let mut flow = Pin::new(run).poll(cx);
        if flow.is_pending() && checks_client_abort() && this.is_gone(cx) {
            // hyper does not see it: the connection is a handler's own (`ngx.req.socket(true)`)
            this.log_gone();
            let minds = this.scope.minds_abort();
            flow = match this.run.as_mut().filter(|_| minds) {
                Some(run) => match run.client_gone() {
                    true => Pin::new(run).poll(cx),
                    false => Poll::Ready(Flow::Exit(499)),
                },
                None => Poll::Ready(Flow::Exit(499)),
            };
        }
        if flow.is_ready() {
            this.run = None;
        }
        flow
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let Some(mut run) = self.run.take() else { return };
        self.log_gone();
        if !self.scope.minds_abort() || !run.client_gone() {
            return;
        }
        self.scope.afterwards.replace(Afterwards::Due);
        let (generation, scope) = (self.generation.clone(), self.scope.clone());
        tokio::task::spawn_local(async move {
            let flow = run.await;
            match (flow, &scope.exchange) {
                (Flow::Exit(code @ 400..=599), Some(x)) => x.borrow_mut().response.status = code as u16,
                (Flow::Failed(fault), _) => handler_failed(&generation, &scope, scope.phase.get(), &fault),
                _ => {}
            }
            if let Afterwards::Then(then) = scope.afterwards.take() {
                then();
            }
        });
    }
}
