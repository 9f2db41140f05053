//! The response's head as the client gets it, and the skeleton that hyper gets.
//!
//! Must not: run Lua, or decide what the answer is.

use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::Body as _;

use super::body_out::ClientBody;
use crate::exchange::{Exchange, reason};
use crate::net::guard::GuardHandle;

/// Sets the head of `x` for the client behind `guard`, and makes the response that hyper frames `body` by.
pub fn send(x: &Exchange, guard: &GuardHandle, head_only: bool, body: ClientBody) -> Response<ClientBody> {
    let mut head = guard.head_buffer();
    head.reserve(512);
    status_line(&mut head, x);
    let mut kept = Kept::default();
    let mut dated = false;
    for (name, value) in &x.response.headers {
        match kept.take(name, value) {
            Taken::Yes => continue,
            Taken::Date => dated = true,
            Taken::No => {}
        }
        x.response.spelling.write(&mut head, name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    guard.set_head(head, dated);
    // what hyper would do at a 101 is not for it to do
    let told = Some(x.response.status).filter(|status| *status != 101);
    let status = told
        .and_then(|s| StatusCode::from_u16(s).ok())
        .unwrap_or(StatusCode::OK);
    let exact = body.size_hint().exact();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let told = response.headers_mut();
    // one in HTTP/1.0 whose length is not known ends with the connection
    let endless = x.request.version == 10 && !head_only && exact.is_none() && kept.length.is_none();
    if kept.closes || !x.request.keep_alive || endless {
        told.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(length) = kept.length.filter(|_| head_only || exact.is_none()) {
        told.insert(header::CONTENT_LENGTH, length.clone());
    }
    if kept.trailer {
        for value in x.response.headers.get_all(header::TRAILER) {
            told.append(header::TRAILER, value.clone());
        }
    }
    response
}

/// What hyper says in its own head.
#[derive(Default)]
struct Kept<'a> {
    length: Option<&'a HeaderValue>,
    closes: bool,
    trailer: bool,
}

enum Taken {
    Yes,
    Date,
    No,
}

impl<'a> Kept<'a> {
    fn take(&mut self, name: &HeaderName, value: &'a HeaderValue) -> Taken {
        match name.as_str() {
            "content-length" => self.length = Some(value),
            "transfer-encoding" => {}
            "trailer" => self.trailer = true,
            "connection" if value.as_bytes().eq_ignore_ascii_case(b"close") => self.closes = true,
            "date" => return Taken::Date,
            _ => return Taken::No,
        }
        Taken::Yes
    }
}

/// In 1.1 whatever the client speaks, as nginx.
fn status_line(head: &mut Vec<u8>, x: &Exchange) {
    let status = x.response.status;
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    if code == StatusCode::OK && x.response.reason.is_none() {
        return head.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    head.extend_from_slice(b"HTTP/1.1 ");
    head.extend_from_slice(code.as_str().as_bytes());
    head.push(b' ');
    match &x.response.reason {
        Some(own) if own.0 == status => {
            let plain = |b: &u8| !b.is_ascii_control() || *b == b'\t';
            head.extend(own.1.iter().copied().filter(plain));
        }
        _ => {
            let text = reason::phrase(status).or(code.canonical_reason());
            head.extend_from_slice(text.unwrap_or_default().as_bytes());
        }
    }
    head.extend_from_slice(b"\r\n");
}
