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
use crate::vm::{Flow, Run, Scope};

/// A phase's run that notices when it is given up.
pub struct Watched {
    run: Option<Run>,
    generation: Rc<Generation>,
    scope: Rc<Scope>,
}

impl Watched {
    pub(super) fn new(run: Run, generation: &Rc<Generation>, scope: &Rc<Scope>) -> Self {
        Self {
            run: Some(run),
            generation: generation.clone(),
            scope: scope.clone(),
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

    /// Lets go of the handler.
    pub(super) fn abandon(&mut self) {
        self.run = None;
    }
}

impl Future for Watched {
    type Output = Flow;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Flow> {
        let Some(run) = &mut self.run else {
            return Poll::Ready(Flow::Done);
        };
        let flow = std::task::ready!(Pin::new(run).poll(cx));
        self.run = None;
        Poll::Ready(flow)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let Some(mut run) = self.run.take() else { return };
        if let Some(x) = self.scope.exchange.as_ref().and_then(|x| x.try_borrow().ok())
            && x.request.kin.depth() == 0
        {
            let gone = Fault::ClientGone.to_string();
            self.generation.worker.error(Level::Info, &gone, Some(&x));
        }
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
