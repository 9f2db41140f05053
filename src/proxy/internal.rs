//! Requests of the gateway's own (`ngx.location.capture`): the same story without a client's connection.
//!
//! Each runs as a task of its own, so that captures within captures do not pile up on one stack. Must not: log or
//! run the log phase, as subrequests on nginx do not.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use http_body::Body as _;
use tokio::task::{JoinHandle, spawn_local};

use super::body_in::{BodyLimits, ClientStream};
use super::body_out::ClientBody;
use super::log::Tail;
use super::serve::{Way, story};
use super::{Generation, live};
use crate::vm::Scope;
use crate::vm::scope::{Captured, Gateway};

/// The largest body that is captured, bytes.
const MAX_CAPTURED: usize = 64 << 20;

/// Ends the task when nobody waits for it any more.
struct Own(JoinHandle<Captured>);

impl Drop for Own {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Gateway for Generation {
    fn serve(self: Rc<Self>, scope: Rc<Scope>) -> Pin<Box<dyn Future<Output = Captured>>> {
        let mut own = Own(spawn_local(whole(self, scope)));
        Box::pin(async move {
            let ended = Pin::new(&mut own.0).await;
            ended.unwrap_or_else(|_| Captured {
                status: 500,
                truncated: true,
                ..Captured::default()
            })
        })
    }

    fn begin(&self, scope: &Rc<Scope>) -> bool {
        live::begin(self, scope)
    }

    fn pass(&self, scope: &Rc<Scope>, last: bool) -> bool {
        live::pass(self, scope, last)
    }
}

async fn whole(g: Rc<Generation>, scope: Rc<Scope>) -> Captured {
    let stream = ClientStream::none(BodyLimits::new(&g.settings));
    let tail = Tail::new(g.clone(), scope.clone()).quiet();
    match story(g, scope.clone(), tail, stream, Way::default()).await {
        Ok(response) => {
            let (parts, mut body) = response.into_parts();
            let Some((bytes, truncated)) = collect(&scope, &mut body).await else {
                return gone();
            };
            let (bare, spelling) = scope.exchange.as_ref().map_or_else(Default::default, |x| {
                let x = x.borrow();
                (x.response.bare, x.response.spelling.clone())
            });
            Captured {
                status: parts.status.as_u16(),
                headers: parts.headers,
                spelling,
                body: bytes.into(),
                truncated: truncated || bare,
                cut: None,
            }
        }
        Err(_) => broken_off(&scope),
    }
}

/// What there is of a response whose handler failed or closed the connection.
fn broken_off(scope: &Scope) -> Captured {
    let mut captured = Captured {
        status: 500,
        truncated: true,
        ..Captured::default()
    };
    let Some(cell) = &scope.exchange else {
        return captured;
    };
    let mut x = cell.borrow_mut();
    if x.response.status != 0 {
        captured.status = x.response.status;
    }
    captured.cut = Some(captured.status).filter(|status| matches!(status, 408 | 444 | 499));
    if let Some(output) = x.response.output.take() {
        let mut body = output.take();
        body.append(&mut x.response.body.take().unwrap_or_default());
        captured.headers = std::mem::take(&mut x.response.headers);
        captured.spelling = std::mem::take(&mut x.response.spelling);
        captured.body = body.into();
    }
    captured
}

/// What is captured of an upstream whose client went: that ends the client's request.
fn gone() -> Captured {
    Captured {
        status: 499,
        truncated: true,
        cut: Some(499),
        ..Captured::default()
    }
}

/// The body as far as it came, and whether something is missing; None if it is an upstream's and the client is gone.
async fn collect(scope: &Scope, body: &mut ClientBody) -> Option<(Vec<u8>, bool)> {
    let mut all = Vec::new();
    loop {
        let next = poll_fn(|cx| match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Pending if body.is_upstreams() => scope.poll_left(cx).map(|()| None),
            polled => polled.map(Some),
        });
        match next.await? {
            None => return Some((all, false)),
            Some(Err(_)) => return Some((all, true)),
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                if all.len() + data.len() > MAX_CAPTURED {
                    return Some((all, true));
                }
                all.extend_from_slice(&data);
            }
        }
    }
}
