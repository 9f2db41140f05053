//! The request path: one plain function that reads like the list of phases.
//!
//! Must not: hold details; each phase has its room.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use http::Response;
use http_body::Body as _;
use hyper::body::Incoming as HyperBody;

use super::abort::Watched;
use super::body_in::{BodyLimits, ClientStream, Reader};
use super::body_out::{BrokenOff, ClientBody};
use super::choose::Lease;
use super::fault::Fault;
use super::live::Live;
use super::log::{Tail, handler_failed};
use super::{Generation, access, begin, forward, redirect, respond};
use crate::exchange::{Connection, Phase};
use crate::logs::Level;
use crate::net::guard::GuardHandle;
use crate::net::head::Incoming;
use crate::plugin::chain;
use crate::upstream::UpstreamBody;
use crate::vm::{Flow, Run, Scope, checks_client_abort};

/// The largest upstream body that the response phase buffers, bytes.
const MAX_BUFFERED: usize = 64 << 20;

/// How a request goes on after a phase.
enum Next {
    /// To the next phase.
    Go,
    /// To the way out: the answer stands in the exchange.
    Answer {
        /// Whether the connection closes after it.
        close: bool,
    },
    /// From the beginning, where `ngx.exec` sent it.
    Again,
    /// The answer is on its way before the handler that makes it is through.
    Live(Watched),
    /// Cut the connection, with this status for the log (`ngx.exit(444)`, a client that is gone).
    Cut(u16),
}

/// What a handler has come to.
enum Step {
    Ended(Flow),
    /// What it wrote is to leave.
    Due,
    /// It waits for a body that does not come.
    TimedOut,
}

/// How much of an unread body is still read and thrown away, to keep the connection.
const UNREAD: u64 = 16 << 10;

/// Serves one request.
///
/// # Errors
/// Only to cut the connection.
pub async fn serve(
    g: Rc<Generation>,
    connection: Rc<Connection>,
    incoming: Incoming,
    guard: GuardHandle,
    body: HyperBody,
    limits: BodyLimits,
) -> Result<Response<ClientBody>, BrokenOff> {
    let (head, refused) = match incoming {
        Incoming::Head(head) => (head, None),
        Incoming::Fault(fault) => (fault.head.clone(), Some(Fault::Head(Box::new(fault)))),
    };
    let exchange = begin::begin(&g, &connection, &head);
    let (length, max) = (exchange.request.content_length, limits.max);
    let waits = head.expects_continue();
    let scope = Scope::new(&g.vm, Phase::Rewrite, Some(exchange));
    let tail = Tail::new(g.clone(), scope.clone());
    let stream = ClientStream::new(body, guard, length, limits);
    let refused = match refused {
        None if connection.plain_on_tls => Some(Fault::PlainOnTls),
        other => other,
    };
    let too_large = max > 0 && length.is_some_and(|n| n > max);
    let way = Way {
        waits,
        refused,
        too_large,
        resumed: None,
    };
    story(g, scope, tail, stream, way).await
}

/// What is known of a request before its first phase.
#[derive(Default)]
pub struct Way {
    /// The client waits to be asked for its body.
    pub waits: bool,
    /// Why it is not served at all.
    pub refused: Option<Fault>,
    /// Its body is larger than may be.
    pub too_large: bool,
    /// The phase that it had come to when its client went.
    pub resumed: Option<(Phase, Box<Run>)>,
}

/// The phases, from rewrite to the head of the response.
///
/// # Errors
/// Only to cut the connection.
pub async fn story(
    g: Rc<Generation>,
    scope: Rc<Scope>,
    mut tail: Tail,
    stream: Rc<ClientStream>,
    mut way: Way,
) -> Result<Response<ClientBody>, BrokenOff> {
    scope.body_reader.replace(Some(Rc::new(Reader(stream.clone()))));
    scope.gateway.replace(Some(g.clone()));
    loop {
        let (next, upstream) = phases(&g, &scope, &mut tail, &stream, &mut way).await;
        let next = match next {
            Next::Again => match redirect::follow(&scope) {
                Ok(()) => continue,
                Err(fault) => fail(&g, &scope, &fault),
            },
            other => other,
        };
        let unread = stream.has_more_than(if way.waits { 0 } else { UNREAD });
        return leave(tail, &stream, next, upstream, unread);
    }
}

/// Goes through the phases once.
async fn phases(
    g: &Rc<Generation>,
    scope: &Rc<Scope>,
    tail: &mut Tail,
    stream: &Rc<ClientStream>,
    way: &mut Way,
) -> (Next, Option<UpstreamBody>) {
    let (at, run) = match way.resumed.take() {
        Some(resumed) => (resumed.0, Some(resumed.1)),
        None => (Phase::Rewrite, None),
    };
    if at == Phase::Response {
        return (late(g, scope, stream, run).await, None);
    }
    let mut run = run;
    if at == Phase::Rewrite
        && let Some(next) = to_access(g, scope, tail, stream, way, run.take()).await
    {
        return (next, None);
    }
    let after = phase(g, scope, stream, Phase::Access, run).await;
    if let Some(plan) = chain::plan(scope)
        && !matches!(after, Next::Go | Next::Again | Next::Live(_))
    {
        scope.phase.set(Phase::Access);
        plan.collect_rest(scope);
    }
    if !matches!(after, Next::Go) {
        return (after, None);
    }
    let written = g.balancing.read_back(&g.vm, scope);
    let unread = written.err().map(|fault| {
        handler_failed(g, scope, Phase::Access, &fault);
        Fault::Handler(Phase::Access, fault)
    });
    let fault = unread.or_else(|| body_fault(stream));
    if let Some(fault) = fault.or_else(|| without_target(scope)) {
        return (fail(g, scope, &fault), None);
    }
    scope.phase.set(Phase::Balancer);
    match forwarded(g, scope, stream).await {
        Err(fault) => {
            // the client's failure, where it was the client's
            let fault = body_fault(stream).unwrap_or(fault);
            (fail(g, scope, &fault), None)
        }
        Ok((upstream, lease)) => {
            tail.hold(lease);
            if scope.handled.get() & Phase::Response as u32 != 0 || buffering(scope) {
                return (buffered(g, scope, stream, upstream).await, None);
            }
            (Next::Go, Some(upstream))
        }
    }
}

/// Rewrite, and the route; what comes next, where that is not access.
async fn to_access(
    g: &Rc<Generation>,
    scope: &Rc<Scope>,
    tail: &mut Tail,
    stream: &Rc<ClientStream>,
    way: &mut Way,
    run: Option<Box<Run>>,
) -> Option<Next> {
    let mut before = match way.refused.take() {
        Some(fault) => fail(g, scope, &fault),
        None => phase(g, scope, stream, Phase::Rewrite, run).await,
    };
    tail.with(|x| {
        // where rewrite ran, `phase` noted its end
        let end = x.timing.access_start.unwrap_or(x.timing.started);
        x.timing.access_start = matches!(before, Next::Go).then_some(end);
    });
    if matches!(before, Next::Go) && way.too_large {
        before = fail(g, scope, &Fault::BodyTooLarge);
    }
    if matches!(before, Next::Go)
        && let Err(fault) = route(g, scope, stream)
    {
        before = fail(g, scope, &fault);
    }
    if !matches!(before, Next::Go) {
        // what ends before access runs the later phases of global plugins
        if let Some(plan) = chain::plan(scope) {
            plan.collect_globals(scope);
        }
        return Some(before);
    }
    None
}

/// The end of the story. An own answer before the client's body was read tells a client that waits to be asked for it,
/// or has much of it left (`unread`), that the connection closes.
fn leave(
    tail: Tail,
    stream: &Rc<ClientStream>,
    next: Next,
    upstream: Option<UpstreamBody>,
    unread: bool,
) -> Result<Response<ClientBody>, BrokenOff> {
    match next {
        Next::Go | Next::Again => Ok(respond::respond(tail, upstream, false)),
        Next::Answer { close } => Ok(respond::respond(tail, upstream, close || unread)),
        Next::Live(run) => {
            let (g, scope) = (tail.generation().clone(), tail.scope().clone());
            let output = scope
                .exchange
                .as_ref()
                .and_then(|x| x.borrow().response.output.clone());
            let Some(output) = output else {
                return Ok(respond::respond(tail, upstream, unread));
            };
            let live = Live::start(&g, &scope, stream, output, run);
            Ok(respond::respond_live(tail, live, unread))
        }
        Next::Cut(status) => {
            tail.with(|x| x.response.status = status);
            tail.complete();
            Err(BrokenOff(format!("closed with {status}")))
        }
    }
}

fn fail(g: &Generation, scope: &Scope, fault: &Fault) -> Next {
    // nginx answers neither
    let silent = match fault {
        Fault::ClientGone => 499,
        Fault::ClientTimeout => 408,
        _ => 0,
    };
    if silent != 0 {
        if let Some(x) = &scope.exchange
            && (silent != 499 || scope.first_to_miss())
        {
            g.worker.error(Level::Info, &fault.to_string(), Some(&x.borrow()));
        }
        return Next::Cut(silent);
    }
    Next::Answer {
        close: respond::answer_fault(g, scope, fault).close,
    }
}

fn route(g: &Generation, scope: &Scope, stream: &ClientStream) -> Result<(), Fault> {
    let Some(cell) = &scope.exchange else {
        return Ok(());
    };
    let mut x = cell.borrow_mut();
    access::route(g, &mut x)?;
    if let Some(route) = x.matched.as_ref().and_then(|m| g.snapshot.route(m.route)) {
        stream.permit_keeping(route.request_buffering);
    }
    Ok(())
}

/// Whether Lua began to read the body and it broke: what is left of it must not pass for the whole.
fn body_fault(stream: &ClientStream) -> Option<Fault> {
    let reason = stream.failure()?;
    Some(if stream.too_large() {
        Fault::BodyTooLarge
    } else if stream.gone() {
        Fault::ClientGone
    } else if stream.timed_out() {
        Fault::ClientTimeout
    } else {
        Fault::ClientBody(reason)
    })
}

/// Whether access left nowhere to go.
fn without_target(scope: &Scope) -> Option<Fault> {
    let x = scope.exchange.as_ref()?.borrow();
    let service = x.matched.as_ref().is_some_and(|m| m.service.is_some());
    (!service && !x.target.chosen).then_some(Fault::NoService)
}

fn buffering(scope: &Scope) -> bool {
    scope
        .exchange
        .as_ref()
        .is_some_and(|x| x.borrow().response.buffering)
}

/// The upstream's turn, if a client is there for what it says.
async fn forwarded(
    g: &Rc<Generation>,
    scope: &Rc<Scope>,
    stream: &Rc<ClientStream>,
) -> Result<(UpstreamBody, Option<Lease>), Fault> {
    if scope.is_left() {
        return Err(Fault::ClientGone);
    }
    let mut forwarding = std::pin::pin!(forward::forward(g, scope, stream));
    poll_fn(|cx| match forwarding.as_mut().poll(cx) {
        // who made the request goes on, and hyper does not end this one
        Poll::Pending if scope.poll_left(cx).is_ready() => Poll::Ready(Err(Fault::ClientGone)),
        polled => polled,
    })
    .await
}

/// Runs rewrite, access or response, and turns its end into what comes next. `resumed` is a run that its client left.
async fn phase(
    g: &Rc<Generation>,
    scope: &Rc<Scope>,
    stream: &ClientStream,
    phase: Phase,
    resumed: Option<Box<Run>>,
) -> Next {
    let anew = resumed.is_none();
    let run = match resumed {
        Some(run) => Some(*run),
        None => g.phases.run(&g.vm, scope, phase),
    };
    let Some(run) = run else {
        return Next::Go;
    };
    if anew && checks_client_abort() && scope.is_left() {
        return fail(g, scope, &Fault::ClientGone);
    }
    let mut run = Watched::new(run, g, scope);
    let stepped = poll_fn(|cx| match run.poll_due(cx) {
        // nobody is told: the request ends where it waits
        Poll::Pending if stream.timed_out() => Poll::Ready(Step::TimedOut),
        Poll::Pending => Poll::Pending,
        Poll::Ready(Some(flow)) => Poll::Ready(Step::Ended(flow)),
        Poll::Ready(None) => Poll::Ready(Step::Due),
    });
    let flow = match stepped.await {
        Step::Ended(flow) => flow,
        Step::Due => return Next::Live(run),
        Step::TimedOut => {
            run.abandon();
            return fail(g, scope, &Fault::ClientTimeout);
        }
    };
    let Some(cell) = &scope.exchange else {
        return Next::Go;
    };
    if phase == Phase::Rewrite {
        cell.borrow_mut().timing.access_start = Some(Instant::now());
    }
    if stream.is_seized() {
        if let Flow::Failed(fault) = &flow {
            handler_failed(g, scope, phase, fault);
        }
        stream.hang_up().await;
        let status = cell.borrow().response.status;
        return Next::Cut(if status == 0 { 200 } else { status });
    }
    match flow {
        Flow::Done => {
            let mut x = cell.borrow_mut();
            // ngx.say without ngx.exit has begun the answer
            if x.response.body.is_some() && phase != Phase::Response {
                respond::answer_exit(g, &mut x, 200);
                Next::Answer { close: false }
            } else {
                Next::Go
            }
        }
        Flow::Exit(_) if cell.borrow().request.redirect.is_some() => Next::Again,
        Flow::Exit(444) => Next::Cut(444),
        // as nginx: there is nobody to tell
        Flow::Exit(code @ (408 | 499)) => Next::Cut(code as u16),
        Flow::Exit(-1) => Next::Cut(0),
        Flow::Exit(code @ 1..=199) if cell.borrow().response.body.is_none() => Next::Cut(code as u16),
        Flow::Exit(code) if code < 200 && cell.borrow().response.body.is_none() => {
            // ngx.DECLINED is over like ngx.OK
            if code < 0 && code != -5 {
                respond::render(g, &mut cell.borrow_mut(), 500, None);
                return Next::Answer { close: false };
            }
            Next::Go // ngx.exit(ngx.OK): this phase is over
        }
        Flow::Exit(code) => {
            respond::answer_exit(g, &mut cell.borrow_mut(), u16::try_from(code).unwrap_or(500));
            Next::Answer { close: false }
        }
        Flow::Failed(fault) => {
            handler_failed(g, scope, phase, &fault);
            let begun = cell
                .borrow()
                .response
                .output
                .as_ref()
                .is_some_and(|o| !o.replaced.get());
            if begun {
                // the head is as good as sent: as on nginx there is nothing else to say
                return Next::Cut(cell.borrow().response.status);
            }
            if let Some(fault) = body_fault(stream) {
                return fail(g, scope, &fault);
            }
            {
                let mut x = cell.borrow_mut();
                x.response.headers.clear();
            }
            fail(g, scope, &Fault::Handler(phase, fault))
        }
    }
}

/// Reads the upstream's body whole, then runs the response phase.
async fn buffered(
    g: &Rc<Generation>,
    scope: &Rc<Scope>,
    stream: &ClientStream,
    upstream: UpstreamBody,
) -> Next {
    let (body, (received, sent)) = match collect(upstream).await {
        Ok(whole) => whole,
        Err(reason) => {
            if let Some(cell) = &scope.exchange {
                cell.borrow_mut().response.headers.clear();
            }
            return fail(g, scope, &Fault::Buffering(reason));
        }
    };
    let Some(cell) = &scope.exchange else {
        return Next::Go;
    };
    {
        let mut x = cell.borrow_mut();
        x.response.buffering = true;
        x.response.upstream_length = body.len() as u64;
        if let Some(last) = x.attempts.last_mut() {
            (last.received, last.sent) = (received, sent);
        }
        x.response.buffered = Some(body.clone());
        x.timing.buffered_at = Some(Instant::now());
    }
    let next = if scope.handled.get() & Phase::Response as u32 == 0 {
        Next::Go
    } else {
        return late(g, scope, stream, None).await;
    };
    in_full(scope, &next);
    next
}

/// The response phase.
async fn late(
    g: &Rc<Generation>,
    scope: &Rc<Scope>,
    stream: &ClientStream,
    resumed: Option<Box<Run>>,
) -> Next {
    let next = phase(g, scope, stream, Phase::Response, resumed).await;
    in_full(scope, &next);
    next
}

/// The body that was buffered is the response's, unless there is another.
fn in_full(scope: &Scope, next: &Next) {
    if let (Some(cell), Next::Go) = (&scope.exchange, next) {
        let mut x = cell.borrow_mut();
        if x.response.body.is_none() {
            x.response.body = x.response.buffered.as_ref().map(|b| b.to_vec());
        }
    }
}

/// The body, and the bytes received and sent for it.
async fn collect(mut upstream: UpstreamBody) -> Result<(bytes::Bytes, (u64, u64)), String> {
    let mut all = Vec::new();
    loop {
        let frame = poll_fn(|cx| std::pin::Pin::new(&mut upstream).poll_frame(cx)).await;
        match frame {
            None => return Ok((all.into(), upstream.traffic())),
            Some(Err(e)) => return Err(e.to_string()),
            Some(Ok(f)) => {
                if let Ok(data) = f.into_data() {
                    if all.len() + data.len() > MAX_BUFFERED {
                        return Err(format!("larger than {MAX_BUFFERED} bytes"));
                    }
                    all.extend_from_slice(&data);
                }
            }
        }
    }
}
