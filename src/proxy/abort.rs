//! Handlers whose client goes away while they run.
//!
//! As on nginx they go on to their phase's end, unnoticed, and the request with them up to where it would be proxied:
//! there it ends, with 499. An answer of their own goes through its filters, and nowhere. With `lua_check_client_abort`
//! handlers end at once, but for those that gave `ngx.on_abort` a function: that runs beside them. Hyper lets go of a
//! request when its client goes: what is under way is carried on here, by a task of its own. Must not: know what follows a
//! phase; `serve` does.
//!
//! # Source
//! `ngx_http_upstream_check_broken_connection`; lua-nginx-module's `ngx_http_lua_rd_check_broken_connection`

use std::any::Any;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::body_in::ClientStream;
use super::fault::Fault;
use super::log::Tail;
use super::serve::{Way, story};
use super::{Generation, Worker};
use crate::exchange::Phase;
use crate::logs::Level;
use crate::vm::scope::Standing;
use crate::vm::{Flow, Run, Scope, checks_client_abort};

/// How many requests of a worker may go on without their clients; beyond that handlers end with them (Kong's
/// `worker_connections`, which bounds them there).
const MAX_OUTLIVING: usize = 16_384;

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
        if !self.scope.is_subrequest() && self.scope.first_to_miss() {
            self.log(&Fault::ClientGone);
        }
    }

    /// Says what became of the client.
    fn log(&self, fault: &Fault) {
        if let Some(x) = self.scope.exchange.as_ref().and_then(|x| x.try_borrow().ok())
            && x.request.kin.depth() == 0
        {
            let text = fault.to_string();
            self.generation.worker.error(Level::Info, &text, Some(&x));
        }
    }

    /// Lets go of the handler.
    pub(super) fn abandon(&mut self) {
        self.run = None;
    }

    /// Lets go of a handler that waits for a body that does not come.
    pub(super) fn time_out(&mut self) {
        self.abandon();
        self.log(&Fault::ClientTimeout);
    }

    /// The client is gone: whether the handler goes on, told of it or not.
    pub(super) fn outlives(&mut self) -> bool {
        let Some(run) = self.run.as_mut() else {
            return false;
        };
        let worker = &self.generation.worker;
        // a subrequest is its parent's
        let goes_on = !self.scope.is_subrequest()
            && !worker.cut.is_due()
            && worker.outliving.get() < MAX_OUTLIVING
            && (!checks_client_abort() || (self.scope.minds_abort() && run.client_gone()));
        if !goes_on || checks_client_abort() {
            self.log_gone();
        }
        self.gone = true;
        goes_on
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
        if self.run.is_none() || !matches!(*self.scope.standing.borrow(), Standing::Here) || !self.outlives()
        {
            return;
        }
        let source = self.scope.body_reader.borrow().as_ref().and_then(|r| r.source());
        let (Some(run), Some(source)) = (self.run.take(), source) else {
            return;
        };
        self.scope.leave(Standing::Leaving(None));
        let (g, scope) = (self.generation.clone(), self.scope.clone());
        let outliving = Outliving::begin(&g.worker);
        tokio::task::spawn_local(async move {
            let _outliving = outliving;
            let kept = match scope.standing.replace(Standing::Gone) {
                Standing::Leaving(Some(kept)) => kept,
                _ => return,
            };
            let phase = scope.phase.get();
            carry_on(g, scope, kept, source, (phase, run)).await;
        });
    }
}

/// Goes on with a request whose client is gone, from the phase that it had come to.
async fn carry_on(
    g: Rc<Generation>,
    scope: Rc<Scope>,
    kept: Box<dyn Any>,
    source: Rc<dyn Any>,
    resumed: (Phase, Run),
) {
    let (Ok(tail), Ok(stream)) = (kept.downcast::<Tail>(), source.downcast::<ClientStream>()) else {
        return;
    };
    let worker = g.worker.clone();
    let way = Way {
        resumed: Some((resumed.0, Box::new(resumed.1))),
        ..Way::default()
    };
    let rest = async {
        // what it answers has been through its filters, and there is nobody to take it
        if let Ok(response) = Box::pin(story(g, scope, *tail, stream, way)).await {
            response.into_body().discard();
        }
    };
    tokio::select! {
        () = rest => {}
        () = worker.cut.due() => {}
    }
}

/// Counts a request that goes on without its client.
pub struct Outliving(Rc<Worker>);

impl Outliving {
    pub(super) fn begin(worker: &Rc<Worker>) -> Self {
        worker.outliving.set(worker.outliving.get() + 1);
        Self(worker.clone())
    }
}

impl Drop for Outliving {
    fn drop(&mut self) {
        self.0.outliving.set(self.0.outliving.get() - 1);
    }
}
