//! The upstream's turn: trying and judging failures, until a response head is there.
//!
//! At most 1 + retries tries; a stale kept-alive connection costs none. Must not: run Lua or touch the client's
//! side.

use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::Incoming;

use super::body_in::ClientStream;
use super::choose::{self, Choice, Lease, Tried};
use super::connect::connect;
use super::fault::Fault;
use super::head_out::{self, Framing};
use super::spool::FileBody;
use super::{Generation, access};
use crate::exchange::{Body, Exchange, Source, reason};
use crate::logs::Level;
use crate::upstream::{AttemptError, Conn, OutBody, Silence, UpstreamBody};
use crate::vm::Scope;

/// How many stale connections one request may meet before they count as tries.
const STALE_LIMIT: u32 = 512;

/// Sends the exchange's request upstream and leaves the response's head in it.
///
/// # Errors
/// Why there is no response.
pub async fn forward(
    generation: &Generation,
    scope: &Rc<Scope>,
    stream: &Rc<ClientStream>,
) -> Result<(UpstreamBody, Option<Lease>), Fault> {
    choose::begin(scope);
    let outcome = tries(generation, scope, stream).await;
    scope.target_stale.set(scope.target_out.get());
    outcome
}

async fn tries(
    generation: &Generation,
    scope: &Rc<Scope>,
    stream: &Rc<ClientStream>,
) -> Result<(UpstreamBody, Option<Lease>), Fault> {
    let Some(cell) = &scope.exchange else {
        return Err(Fault::NoService);
    };
    let retries = {
        let mut x = cell.borrow_mut();
        if !matches!(x.outbound.scheme.as_str(), "http" | "https") {
            return Err(AttemptError::Scheme(x.outbound.scheme.clone()).into());
        }
        access::join_query(&mut x);
        x.timing.access_end = Some(Instant::now());
        x.target.retries
    };
    scope.show_variables();
    let mut tried = Tried::default();
    let mut stale = 0;
    let mut again = None;
    loop {
        let mut choice = match again.take() {
            Some(choice) => choice,
            None => choose::choose(generation, scope, &mut tried)?,
        };
        // a plugin's function may have changed both since the last try
        let (limits, idempotent) = limits_of(&cell.borrow());
        let error = match one_try(generation, scope, stream, &mut choice, limits).await {
            Ok(body) => {
                let lease = choice.lease.take().map(|mut lease| {
                    lease.answered();
                    lease
                });
                mark_last(&mut cell.borrow_mut(), tried.tries >= retries);
                return Ok((body, lease));
            }
            Err(e) => e,
        };
        if error.is_stale(idempotent) && stream.replayable() && stale < STALE_LIMIT {
            stale += 1;
            again = Some(choice);
            continue;
        }
        let named = !matches!(error, AttemptError::Name { .. });
        if named {
            tried.tries += 1;
            tried.failed(&choice);
        } else if !tried.nameless(&choice) {
            return Err(error.into());
        }
        if tried.tries > retries || !error.retryable(idempotent) || !stream.replayable() {
            return Err(if stream.too_large() {
                Fault::BodyTooLarge
            } else {
                error.into()
            });
        }
        generation
            .worker
            .error(Level::Error, &error.to_string(), Some(&cell.borrow()));
    }
}

fn limits_of(x: &Exchange) -> (Limits, bool) {
    let limits = Limits {
        connect: x.target.connect_timeout,
        silence: Silence {
            write: x.target.write_timeout,
            read: x.target.read_timeout,
        },
    };
    let idempotent = !matches!(x.request.method.as_str(), "POST" | "LOCK" | "PATCH");
    (limits, idempotent)
}

/// The time limits of one try.
#[derive(Clone, Copy)]
struct Limits {
    connect: Duration,
    silence: Silence,
}

/// The last try that was allowed counts as failed if the upstream answers 5xx, as in Kong's log.
fn mark_last(x: &mut Exchange, last: bool) {
    let status = x.response.status;
    if last
        && status > 499
        && let Some(attempt) = x.attempts.last_mut()
    {
        attempt.code = Some(status);
    }
}

async fn one_try(
    generation: &Generation,
    scope: &Rc<Scope>,
    stream: &Rc<ClientStream>,
    choice: &mut Choice,
    limits: Limits,
) -> Result<UpstreamBody, AttemptError> {
    let Some(cell) = &scope.exchange else {
        return Err(AttemptError::Scheme(String::new()));
    };
    let (mut conn, connect_time) = connect(generation, cell, choice, limits.connect).await?;
    let addr = conn.plan.addr;
    let spooled = match &cell.borrow().request.body {
        Body::File(path, len) => Some((path.clone(), *len)),
        _ => None,
    };
    let spooled = match spooled {
        None => None,
        Some((path, len)) => {
            let file = FileBody::open(path, len).await;
            Some(file.map_err(|e| AttemptError::ClientBody(e.to_string()))?)
        }
    };
    let (head, request) = message(generation, &cell.borrow(), &conn, stream, choice, spooled);
    match conn.request(head, request, limits.silence).await {
        Ok(response) if response.status() == http::StatusCode::SWITCHING_PROTOCOLS => {
            // nobody asked for it, and the bytes behind it would be no HTTP
            let traffic = conn.traffic();
            generation.worker.pool.discard(conn);
            let e = AttemptError::Invalid("unexpected 101".into());
            let failed = choice.attempt(addr, Some(&e), connect_time);
            cell.borrow_mut().attempts.push(failed.with_traffic(traffic));
            Err(e)
        }
        Ok(response) => {
            let mut x = cell.borrow_mut();
            let body = accept(generation, &mut x, conn, response, limits.silence.read);
            let answered = choice.attempt(addr, None, connect_time);
            // mostly the only one: no room for more
            x.attempts.reserve_exact(1);
            x.attempts.push(answered.with_traffic(body.traffic()));
            Ok(body)
        }
        Err(e) => {
            let traffic = conn.traffic();
            generation.worker.pool.discard(conn);
            if !e.is_stale(true) {
                let failed = choice.attempt(addr, Some(&e), connect_time);
                cell.borrow_mut().attempts.push(failed.with_traffic(traffic));
            }
            Err(e)
        }
    }
}

/// The head on the wire and what hyper is given for one try.
fn message(
    generation: &Generation,
    x: &Exchange,
    conn: &Conn,
    stream: &Rc<ClientStream>,
    choice: &Choice,
    spooled: Option<FileBody>,
) -> (Vec<u8>, http::Request<OutBody>) {
    let framing = head_out::framing(x, stream.framing());
    let mut head = conn.head_buffer();
    head_out::write(&mut head, x, &generation.settings, &choice.host_header, framing);
    let body = match (&x.request.body, framing, spooled) {
        (_, Framing::None | Framing::Length(0), _) => OutBody::Empty,
        (_, _, Some(file)) => OutBody::Stream(Box::pin(file), Rc::default()),
        (Body::Memory(b), ..) => OutBody::Full(Some(b.clone())),
        _ => OutBody::Stream(Box::pin(stream.attempt()), Rc::default()),
    };
    (head, head_out::skeleton(x, framing, body))
}

/// Takes the response's head into the exchange.
fn accept(
    generation: &Generation,
    x: &mut Exchange,
    conn: Conn,
    response: http::Response<Incoming>,
    read_timeout: std::time::Duration,
) -> UpstreamBody {
    x.timing.head_at = Some(Instant::now());
    let (parts, incoming) = response.into_parts();
    let status = parts.status;
    if let Some(reason) = parts.extensions.get::<hyper::ext::ReasonPhrase>() {
        let reason = Bytes::copy_from_slice(reason.as_bytes());
        x.response.reason = Some(Box::new((status.as_u16(), reason)));
    } else if reason::phrase(status.as_u16()).is_some() {
        let own = status.canonical_reason().unwrap_or_default();
        x.response.reason = Some(Box::new((status.as_u16(), Bytes::from_static(own.as_bytes()))));
    }
    x.response.status = parts.status.as_u16();
    x.response.upstream_status = Some(parts.status.as_u16());
    x.response.source = Source::Service;
    let written_early = std::mem::replace(&mut x.response.spelling, conn.take_spelling());
    if !written_early.is_empty() {
        x.response.spelling.add(&written_early);
    }
    let mut headers = parts.headers;
    strip_hop_by_hop(&mut headers);
    // what plugins set before the response came wins over the upstream's, as with ngx.header in access
    let early = std::mem::replace(&mut x.response.headers, headers);
    let mut last: Option<http::HeaderName> = None;
    for (name, value) in early {
        match name {
            Some(n) => {
                x.response.set_header(&n, value);
                last = Some(n);
            }
            None => {
                if let Some(n) = &last {
                    x.response.headers.append(n.clone(), value);
                }
            }
        }
    }
    UpstreamBody::new(incoming, conn, generation.worker.pool.clone(), read_timeout)
}

fn strip_hop_by_hop(headers: &mut http::HeaderMap) {
    use http::header as h;
    // one look at the few names there are is less than hashing each that may be there
    let (mut connection, mut others) = (false, false);
    for name in headers.keys() {
        connection |= name == h::CONNECTION;
        others |= matches!(
            name.as_str(),
            "transfer-encoding" | "upgrade" | "keep-alive" | "proxy-connection"
        );
    }
    if connection {
        // "close" names no header; "keep-alive" does
        let names_none = |v: &http::HeaderValue| matches!(v.as_bytes(), b"keep-alive" | b"close");
        let lists: Vec<http::HeaderValue> = headers
            .get_all(h::CONNECTION)
            .iter()
            .filter(|v| !names_none(v))
            .cloned()
            .collect();
        for name in lists
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|l| l.split(','))
        {
            // what frames the message is not up for removal
            if !name.trim().eq_ignore_ascii_case("content-length") {
                headers.remove(name.trim());
            }
        }
        headers.remove(h::CONNECTION);
    }
    if others {
        for name in [h::TRANSFER_ENCODING, h::UPGRADE] {
            headers.remove(name);
        }
        headers.remove("keep-alive");
        headers.remove("proxy-connection");
    }
}
