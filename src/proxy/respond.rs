//! The one way out: upstream responses, exits, errors and faults all leave here, through header_filter and
//! body_filter.
//!
//! Must not: decide what the answer is.

use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::Body as _;

use super::Generation;
use super::body_out::{ClientBody, Source, filter};
use super::fault::{Fault, Verdict};
use super::live::{self, Live};
use super::log::{Tail, handler_failed};
use super::{conditional, hash_input, head_back};
use crate::exchange::response::Source as Made;
use crate::exchange::{Exchange, Phase, error_body, reason};
use crate::upstream::{AttemptError, UpstreamBody};
use crate::vm::{Flow, Scope};

const SERVER: &str = concat!("moongate/", env!("CARGO_PKG_VERSION"));
const VIA: &str = concat!("1.1 moongate/", env!("CARGO_PKG_VERSION"));

/// Puts a fault's answer into the exchange and its line into the log; returns what was decided.
pub fn answer_fault(g: &Generation, scope: &Scope, fault: &Fault) -> Verdict {
    let verdict = fault.verdict();
    let Some(cell) = &scope.exchange else {
        return verdict;
    };
    if let (Some(level), false) = (verdict.level, matches!(fault, Fault::Handler(..))) {
        g.worker.error(level, &fault.to_string(), Some(&cell.borrow()));
    }
    let mut x = cell.borrow_mut();
    if let Fault::HttpsRequired(status) = fault
        && *status != 426
    {
        redirect(&mut x, *status);
        return verdict;
    }
    if matches!(fault, Fault::HttpsRequired(_)) {
        x.response
            .headers
            .insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        x.response
            .headers
            .insert(header::UPGRADE, HeaderValue::from_static("TLS/1.2, HTTP/1.1"));
    }
    // what Kong answers in access is an answer of its own; what fails later is an error
    let early = match fault {
        Fault::NoRoute | Fault::HttpsRequired(_) | Fault::NoService => true,
        Fault::NoPeer | Fault::Upstream(AttemptError::Name { .. }) => x.attempts.is_empty(),
        _ => false,
    };
    x.response.source = if early { Made::Exit } else { Made::Error };
    if matches!(fault, Fault::PlainOnTls) {
        page(
            &mut x,
            400,
            "The plain HTTP request was sent to HTTPS port",
            "400 Bad Request",
        );
        return verdict;
    }
    if x.request.kin.depth() > 0
        && matches!(&fault, Fault::Upstream(e) if !matches!(e, AttemptError::Name { .. }))
    {
        x.response.status = verdict.status;
        x.response.body = Some(Vec::new());
        return verdict;
    }
    let own = fault.own_message();
    render(g, &mut x, verdict.status, own.as_deref().or(verdict.message));
    verdict
}

/// nginx's page for a status of its own making.
fn page(x: &mut Exchange, status: u16, what: &str, heading: &str) {
    x.response.status = status;
    x.response
        .headers
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    let text = format!(
        "<html>\r\n<head><title>{status} {what}</title></head>\r\n<body>\r\n<center><h1>{heading}</h1></center>\r\n\
         <center>{what}</center>\r\n<hr><center>moongate</center>\r\n</body>\r\n</html>\r\n"
    );
    x.response.body = Some(text.into_bytes());
}

fn redirect(x: &mut Exchange, status: u16) {
    let location = format!("https://{}{}", x.request.host, x.request.target);
    x.response.status = status;
    x.response.source = Made::Exit;
    if let Ok(v) = HeaderValue::from_str(&location) {
        x.response.headers.insert(header::LOCATION, v);
    }
    x.response.body = Some(Vec::new());
}

/// Kong's error body for `status`, by what the client accepts.
pub fn render(g: &Generation, x: &mut Exchange, status: u16, message: Option<&str>) {
    let get = |n: &str| x.request.headers.get(n).and_then(|v| std::str::from_utf8(v).ok());
    let answer = error_body::render(
        get("accept"),
        get("content-type"),
        &g.settings.error_default_type,
        status,
        message,
        x.id_str(),
    );
    x.response.status = status;
    x.response.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(answer.content_type),
    );
    if let Some((code, text)) = answer.grpc {
        x.response
            .headers
            .insert("grpc-status", HeaderValue::from(u16::from(code)));
        if let Ok(v) = HeaderValue::from_str(&text) {
            x.response.headers.insert("grpc-message", v);
        }
    }
    x.response.body = Some(answer.body.into_bytes());
}

/// What `ngx.exit(code)` without a body leads to.
///
/// # Source
/// `ngx_http_special_response_handler`
pub fn answer_exit(g: &Generation, x: &mut Exchange, code: u16) {
    if x.response.body.is_some() {
        if x.response.status == 0 {
            x.response.status = if code >= 200 { code } else { 200 };
        }
        return;
    }
    x.response.source = Made::Exit;
    if x.request.kin.depth() > 0 && (code >= 300 || code == 204) {
        // a subrequest has no error pages, and what is no answer counts as one that broke off
        x.response.status = code;
        x.response.bare = true;
        x.response.body = Some(Vec::new());
        return;
    }
    // after these nginx keeps no connection
    x.response.closes = matches!(code, 400 | 413 | 414 | 495..=497 | 500 | 501);
    // nginx's error_page list in Kong's template
    const KONGS: [u16; 14] = [
        400, 404, 405, 408, 411, 412, 413, 414, 417, 494, 500, 502, 503, 504,
    ];
    if KONGS.contains(&code) {
        render(g, x, code, None);
    } else if let Some(reason) = reason::page(code) {
        x.response.status = code;
        let page = format!(
            "<html>\r\n<head><title>{code} {reason}</title></head>\r\n<body>\r\n<center><h1>{code} {reason}</h1>\
             </center>\r\n<hr><center>moongate</center>\r\n</body>\r\n</html>\r\n"
        );
        if !x.response.headers.contains_key(header::CONTENT_TYPE) {
            x.response
                .headers
                .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
        }
        x.response.body = Some(page.into_bytes());
    } else {
        x.response.status = if code >= 100 { code } else { 200 };
        x.response.body = Some(Vec::new());
    }
}

/// Runs header_filter over what the response is to be; true if another answer took its place.
pub fn head(g: &Generation, scope: &Rc<Scope>, upstream: bool) -> bool {
    let Some(cell) = &scope.exchange else {
        return false;
    };
    let mut replaced = false;
    {
        let mut x = cell.borrow_mut();
        hash_input::set_cookie(&mut x);
        if !upstream {
            replaced = conditional::apply(g, &mut x);
        }
        // an upstream's head is passed on at once
        let passed = x.timing.head_at.filter(|_| upstream);
        x.timing.filter_start = Some(passed.unwrap_or_else(Instant::now));
    }
    scope.soft_exit.set(0);
    let flow = g.phases.run_now(&g.vm, scope, Phase::HeaderFilter);
    if flow.is_some() {
        cell.borrow_mut().timing.filter_end = Some(Instant::now());
    }
    if let Some(Flow::Failed(fault)) = flow {
        handler_failed(g, scope, Phase::HeaderFilter, &fault);
        let mut x = cell.borrow_mut();
        x.response.headers = HeaderMap::new();
        x.response.source = Made::Error;
        render(g, &mut x, 500, Some("An unexpected error occurred"));
        return true;
    }
    match scope.soft_exit.take() {
        0 => replaced,
        -1 => {
            cell.borrow_mut().response.cut = true;
            true
        }
        code => {
            exit_in_filter(g, scope, code);
            true
        }
    }
}

/// `ngx.exit` in header_filter: that status's own answer instead, which header_filter sees, too.
fn exit_in_filter(g: &Generation, scope: &Rc<Scope>, code: i64) {
    if let Some(cell) = &scope.exchange {
        let mut x = cell.borrow_mut();
        x.response.headers = HeaderMap::new();
        x.response.body = None;
        answer_exit(g, &mut x, u16::try_from(code).unwrap_or(500));
    }
    if let Some(Flow::Failed(fault)) = g.phases.run_now(&g.vm, scope, Phase::HeaderFilter) {
        handler_failed(g, scope, Phase::HeaderFilter, &fault);
    }
    scope.soft_exit.set(0);
}

/// Whether the response has no body, whatever was written: the client's own method counts, Lua may have changed what
/// the upstream is asked.
fn is_head_only(x: &mut Exchange) -> bool {
    // no other 1xx is a last word, and nothing outside three digits, whatever Lua set
    if !(200..=999).contains(&x.response.status) && x.response.status != 101 {
        x.response.status = if x.response.status == 0 { 200 } else { 500 };
    }
    let head = if x.request.kin.depth() > 0 {
        x.request.method == "HEAD"
    } else {
        x.request.headers.raw().starts_with(b"HEAD ")
    };
    head || matches!(x.response.status, 101 | 204 | 304)
}

/// Runs header_filter, where it has not run, and builds the response; the end of its body runs the log.
pub fn respond(tail: Tail, upstream: Option<UpstreamBody>, close: bool) -> Response<ClientBody> {
    let g = tail.generation().clone();
    let scope = tail.scope().clone();
    let Some(cell) = &scope.exchange else {
        return Response::new(ClientBody::new(Source::Empty, false, tail));
    };
    let mut upstream = upstream;
    let output = cell.borrow_mut().response.output.take();
    let begun = output.is_some();
    if !begun && head(&g, &scope, upstream.is_some()) {
        upstream = None;
    }
    let output = output.filter(|o| !o.replaced.get());
    let filters = scope.handled.get() & Phase::BodyFilter as u32 != 0;
    let (own, head_only) = {
        let mut x = cell.borrow_mut();
        let head_only = is_head_only(&mut x);
        (x.response.body.take(), head_only)
    };
    let (source, filter_later) = match (own, upstream) {
        _ if cell.borrow().response.cut => (Source::Failed("closed by header_filter".into()), false),
        (Some(rest), _) if let Some(output) = output => {
            let whole = live::whole(&g, &scope, &output, rest, filters && !head_only);
            (whole.map_or_else(|e| Source::Failed(e.0), Source::Full), false)
        }
        (Some(body), _) => (own_body(&g, &scope, body, filters && !head_only), false),
        (None, Some(u)) if head_only => {
            drop(u);
            (Source::Empty, false)
        }
        (None, Some(u)) => {
            if filters && u.is_end_stream() {
                (own_body(&g, &scope, Vec::new(), true), false)
            } else {
                (Source::Upstream(Box::new(u)), filters)
            }
        }
        (None, None) => (Source::Empty, false),
    };
    let seal = Seal {
        head_only,
        close,
        filter_later,
    };
    sealed(tail, source, &seal)
}

/// The response that a handler has begun and goes on with.
pub fn respond_live(tail: Tail, live: Rc<Live>, close: bool) -> Response<ClientBody> {
    let head_only = match &tail.scope().exchange {
        Some(cell) => is_head_only(&mut cell.borrow_mut()),
        None => false,
    };
    let seal = Seal {
        head_only,
        close,
        filter_later: false,
    };
    sealed(tail, Source::Live(live), &seal)
}

/// What the last touch on a head goes by.
struct Seal {
    head_only: bool,
    close: bool,
    filter_later: bool,
}

/// Gives the head its last touch: the gateway's own headers and the framing.
fn sealed(tail: Tail, source: Source, seal: &Seal) -> Response<ClientBody> {
    let g = tail.generation().clone();
    let scope = tail.scope().clone();
    let Some(cell) = &scope.exchange else {
        return Response::new(ClientBody::new(Source::Empty, false, tail));
    };
    let head_only = seal.head_only;
    let mut x = cell.borrow_mut();
    gateway_headers(&g, &mut x);
    let (bodiless, upgrade) = (x.response.status == 204, x.response.status == 426);
    frame(
        &mut x.response.headers,
        &source,
        seal.filter_later,
        head_only,
        upgrade,
    );
    if bodiless {
        x.response.headers.remove(header::CONTENT_LENGTH);
    }
    if seal.close || x.response.closes {
        x.response
            .headers
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    x.response.head_sent = true;
    let cut = x.response.cut;
    // the log phase still asks for the headers
    let later = scope.handled.get() & LATER != 0 || matches!(source, Source::Live(_));
    drop(x);
    let source = if head_only && !cut { Source::Empty } else { source };
    let body = ClientBody::new(source, seal.filter_later, tail);
    let guard = scope.body_reader.borrow().as_ref().and_then(|r| r.guard());
    let mut x = cell.borrow_mut();
    if let Some(guard) = guard {
        let told = x.response.headers.contains_key(header::CONTENT_LENGTH);
        x.response.chunked = !told && x.request.version > 10 && body.is_chunked(head_only);
        return head_back::send(&x, &guard, head_only, body);
    }
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(x.response.status).unwrap_or(StatusCode::OK);
    *response.headers_mut() = if later {
        x.response.headers.clone()
    } else {
        std::mem::take(&mut x.response.headers)
    };
    response
}

const LATER: u32 = Phase::BodyFilter as u32 | Phase::Log as u32;

/// An own answer is whole already, so body_filter runs before the head leaves and the length is exact.
fn own_body(g: &Generation, scope: &Rc<Scope>, body: Vec<u8>, filters: bool) -> Source {
    if !filters {
        return Source::Full(body.into());
    }
    let first = if body.is_empty() {
        Ok((Bytes::new(), false))
    } else {
        filter(g, scope, body.into(), false)
    };
    let both = first.and_then(|(first, cut)| {
        let rest = if cut {
            Bytes::new()
        } else {
            filter(g, scope, Bytes::new(), true)?.0
        };
        Ok((first, rest))
    });
    match both {
        Ok((first, rest)) if rest.is_empty() => Source::Full(first),
        Ok((first, rest)) => Source::Full([&first[..], &rest[..]].concat().into()),
        // as if it had been sent already: the client must not take what is left for a whole answer
        Err(e) => Source::Failed(e.0),
    }
}

/// The framing headers as the body now is, whatever Lua or the upstream wrote into them.
fn frame(headers: &mut HeaderMap, source: &Source, filtered: bool, head_only: bool, upgrade: bool) {
    // one look at the few names there are is less than hashing each that may be there
    let (mut encoded, mut connection) = (false, false);
    for name in headers.keys() {
        encoded |= name == header::TRANSFER_ENCODING;
        connection |= name == header::CONNECTION;
    }
    if encoded {
        headers.remove(header::TRANSFER_ENCODING);
    }
    // whether the connection goes on is this hop's to say; Lua may end it
    let ends = |v: &HeaderValue| v.as_bytes().eq_ignore_ascii_case(b"close");
    if connection && !upgrade {
        let close = headers.get_all(header::CONNECTION).iter().any(ends);
        headers.remove(header::CONNECTION);
        headers.remove(header::UPGRADE);
        if close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
    let exact = match source {
        // what the body would be like: the upstream's word for it
        Source::Empty if head_only => single_length(headers),
        Source::Full(b) if head_only && b.is_empty() => single_length(headers).or(Some(0)),
        Source::Full(b) => Some(b.len() as u64),
        Source::Upstream(u) if !filtered => u.size_hint().exact(),
        // a filter that changes the length clears Content-Length in header_filter, as on Kong; hyper cuts what
        // does not keep to it
        Source::Upstream(_) => single_length(headers),
        Source::Live(live) => live.exact().or_else(|| single_length(headers)),
        Source::Trailers(_) | Source::Failed(_) => None,
        Source::Empty => Some(0),
    };
    match exact {
        // mostly the upstream's own word
        Some(n) if says_length(headers, n) => {}
        Some(n) => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(n));
        }
        None => {
            headers.remove(header::CONTENT_LENGTH);
        }
    }
}

/// Whether Content-Length is there once and is this number.
fn says_length(headers: &HeaderMap, n: u64) -> bool {
    let mut all = headers.get_all(header::CONTENT_LENGTH).iter();
    let first = all.next();
    first.is_some_and(|v| v.as_bytes() == itoa::Buffer::new().format(n).as_bytes()) && all.next().is_none()
}

/// Content-Length, if it is one number.
pub fn single_length(headers: &HeaderMap) -> Option<u64> {
    let mut all = headers.get_all(header::CONTENT_LENGTH).iter();
    let n = all.next()?.to_str().ok()?.parse().ok();
    n.filter(|_| all.next().is_none())
}

fn millis(d: Duration) -> HeaderValue {
    HeaderValue::from(u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// Server, Via, latencies, request id: switched by `headers`.
fn gateway_headers(g: &Generation, x: &mut Exchange) {
    let want = &g.settings.headers;
    let proxied = x.response.source == Made::Service;
    let timing = x.timing.clone();
    let h = &mut x.response.headers;
    if proxied {
        if want.upstream_latency
            && let Some(d) = timing.upstream_latency()
        {
            h.insert(HeaderName::from_static("x-kong-upstream-latency"), millis(d));
        }
        if want.proxy_latency
            && let Some(d) = timing.proxy_latency()
        {
            h.insert(HeaderName::from_static("x-kong-proxy-latency"), millis(d));
        }
        if want.upstream_status
            && let Some(s) = x.response.upstream_status
        {
            h.insert(
                HeaderName::from_static("x-kong-upstream-status"),
                HeaderValue::from(s),
            );
        }
        if want.via {
            let via = h.get_all(header::VIA).iter().filter_map(|v| v.to_str().ok());
            let before: Vec<&str> = via.collect();
            let via = if before.is_empty() {
                Some(HeaderValue::from_static(VIA))
            } else {
                HeaderValue::from_str(&format!("{}, {VIA}", before.join(", "))).ok()
            };
            if let Some(v) = via {
                h.insert(header::VIA, v);
            }
        }
        if want.server && !h.contains_key(header::SERVER) {
            h.insert(header::SERVER, HeaderValue::from_static(SERVER));
        }
    } else {
        if want.response_latency {
            h.insert(
                HeaderName::from_static("x-kong-response-latency"),
                millis(timing.started.elapsed()),
            );
        }
        if want.server {
            h.insert(header::SERVER, HeaderValue::from_static(SERVER));
        } else {
            h.remove(header::SERVER);
        }
    }
    if want.request_id
        && let Ok(v) = HeaderValue::from_bytes(&x.id)
    {
        h.insert(HeaderName::from_static("x-kong-request-id"), v);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(lines: &[(&'static str, &'static str)], source: Source, head_only: bool) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        frame(&mut headers, &source, false, head_only, false);
        headers
    }

    fn length(headers: &HeaderMap) -> Option<&str> {
        headers.get(header::CONTENT_LENGTH)?.to_str().ok()
    }

    #[test]
    fn a03_the_body_frames_the_response_whatever_lua_wrote() {
        let body = || Source::Full(Bytes::from_static(b"hello"));
        for junk in ["3", "99", "abc", "-1"] {
            let h = framed(
                &[("content-length", junk), ("transfer-encoding", "gzip")],
                body(),
                false,
            );
            assert_eq!(length(&h), Some("5"), "{junk}");
            assert!(!h.contains_key(header::TRANSFER_ENCODING));
        }
        let twice = [("content-length", "3"), ("content-length", "4")];
        assert_eq!(
            framed(&twice, body(), false)
                .get_all("content-length")
                .iter()
                .count(),
            1
        );
    }

    #[test]
    fn a03_head_keeps_the_upstreams_length_if_it_is_one() {
        let head = |v| length(&framed(&[("content-length", v)], Source::Empty, true)).map(str::to_owned);
        assert_eq!(head("100").as_deref(), Some("100"));
        assert_eq!(head("junk"), None);
        let twice = [("content-length", "3"), ("content-length", "4")];
        assert_eq!(length(&framed(&twice, Source::Empty, true)), None);
    }

    #[test]
    fn a03_connection_is_this_hops_to_say() {
        let h = framed(
            &[("connection", "upgrade"), ("upgrade", "x")],
            Source::Empty,
            false,
        );
        assert!(!h.contains_key(header::CONNECTION) && !h.contains_key(header::UPGRADE));
        let h = framed(&[("connection", "Close")], Source::Empty, false);
        assert_eq!(
            h.get(header::CONNECTION).map(HeaderValue::as_bytes),
            Some(&b"close"[..])
        );
    }
}
