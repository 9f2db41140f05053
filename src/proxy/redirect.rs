//! Internal redirects: where `ngx.exec` and a jump of `ngx.req.set_uri` take a request.
//!
//! Must not: run handlers or answer.

use super::fault::Fault;
use crate::exchange::request::Redirect;
use crate::exchange::{Exchange, Outbound, ServiceTarget, Source};
use crate::vm::Scope;

/// How often one request may be sent on (nginx's `NGX_HTTP_MAX_URI_CHANGES`).
const LIMIT: u8 = 10;

/// Makes the request ready to begin anew at its new place.
///
/// # Errors
/// [`Fault::Redirect`] where it goes round in circles, or to a named location.
pub fn follow(scope: &Scope) -> Result<(), Fault> {
    let Some(cell) = &scope.exchange else {
        return Ok(());
    };
    let x = &mut *cell.borrow_mut();
    let to = x.request.redirect.take();
    let jump = matches!(to, Some(Redirect::Jump));
    match to {
        Some(Redirect::Named(name)) => {
            return Err(Fault::Redirect(format!(
                "could not find named location \"{}\"",
                String::from_utf8_lossy(&name)
            )));
        }
        Some(Redirect::Exec(uri, args)) => {
            x.request.uri = uri;
            x.request.args = args;
        }
        Some(Redirect::Jump) | None => {}
    }
    x.request.redirects += 1;
    if x.request.redirects > LIMIT {
        let uri = String::from_utf8_lossy(&x.request.uri);
        return Err(Fault::Redirect(if jump {
            format!("rewrite or internal redirection cycle while processing \"{uri}\"")
        } else {
            format!("rewrite or internal redirection cycle while internally redirecting to \"{uri}\"")
        }));
    }
    x.request.rewritten = true;
    x.request.internal = true;
    if !jump {
        begin_anew(x);
        scope.forget_tables();
    }
    Ok(())
}

/// What the first way through the phases left behind; response headers stay, as on nginx.
fn begin_anew(x: &mut Exchange) {
    x.matched = None;
    x.client.consumer = None;
    x.outbound = Outbound::default();
    x.target = ServiceTarget::default();
    x.response.source = Source::default();
    x.response.buffering = false;
}
