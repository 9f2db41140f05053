//! The request's body for `kong.request.get_raw_body` and `get_body`: read when first asked for.
//!
//! Must not: keep a body anywhere but in the exchange.

use std::path::Path;
use std::rc::Rc;

use super::configuration::limits;
use super::multipart;
use super::request::limit;
use super::values::{Multi, push_arguments};
use crate::exchange::Body;
use crate::vm::scope::{self, BodyReader, Scope};
use crate::vm::{Args, Out, Registrar, Ret, op};

const TOO_LARGE: &str =
    "request body did not fit into client body buffer, consider raising 'client_body_buffer_size'";

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("kong.request", "read_body", op::raw(read_body))?;
    r.op("kong.request", "get_raw_body", op::raw(get_raw_body))?;
    r.op("kong.request", "decode_args", op::raw(decode_args))?;
    r.op("kong.request", "decode_multipart", op::raw(decode_multipart))
}

/// None where nobody reads the client's body any more.
type Reader = Option<Rc<dyn BodyReader>>;

/// What is needed to read a body that still streams; None where it is read, or there is none.
fn unread() -> Option<(Reader, Rc<Scope>)> {
    let streaming = scope::read(|x| matches!(x.request.body, Body::Streaming) && x.request.has_body);
    if streaming != Some(true) {
        return None;
    }
    let scope = scope::current()?;
    let reader = scope.body_reader.borrow().clone();
    Some((reader, scope))
}

/// `true`, or nil and why not; waits while the client sends.
fn read_body(_: &Args, r: &mut Ret) {
    match unread() {
        None => {
            r.bool(true);
        }
        Some((None, _)) => {
            r.fail("the request body can no longer be read");
        }
        Some((Some(reader), scope)) => r.wait(async move {
            let mut out = Out::new();
            match reader.read(scope).await {
                Ok(()) => out.bool(true),
                Err(reason) => out.fail(reason),
            };
            out
        }),
    }
}

/// The body, or nil and why not. Argument 1 is the size up to which a body in a file is read, 0 for any.
fn get_raw_body(a: &Args, r: &mut Ret) {
    let max = a.int(1).unwrap_or(-1);
    match unread() {
        None => {
            let body = scope::read(|x| x.request.body.clone()).unwrap_or_default();
            if let Body::File(path, size) = body {
                match refused(size, max) {
                    Some(reason) => {
                        r.fail(reason);
                    }
                    None => r.wait(async move { from_file(&path).await }),
                }
            } else {
                push_memory(r, body);
            }
        }
        Some((None, _)) => {
            r.fail("the request body can no longer be read");
        }
        Some((Some(reader), scope)) => r.wait(async move {
            let mut out = Out::new();
            if let Err(reason) = reader.read(scope.clone()).await {
                out.fail(reason);
                return out;
            }
            let body = scope.exchange.as_ref().map(|x| x.borrow().request.body.clone());
            match body.unwrap_or_default() {
                Body::File(path, size) => match refused(size, max) {
                    Some(reason) => {
                        out.fail(reason);
                    }
                    None => return from_file(&path).await,
                },
                body => push_memory(&mut out, body),
            }
            out
        }),
    }
}

fn push_memory(out: &mut Out, body: Body) {
    match body {
        Body::Memory(bytes) => out.held(bytes),
        Body::Streaming | Body::File(..) => out.lit(""),
    };
}

fn refused(size: u64, max: i64) -> Option<String> {
    if max < 0 {
        return Some(TOO_LARGE.to_owned());
    }
    (max > 0 && size > max as u64).then(|| format!("request body file too big: {size} > {max}"))
}

async fn from_file(path: &Path) -> Out {
    let mut out = Out::new();
    match tokio::fs::read(path).await {
        Ok(bytes) => out.held(bytes.into()),
        Err(e) => out.fail(format!(
            "failed to open cached request body '{}': {e}",
            path.display()
        )),
    };
    out
}

/// The arguments of a form, at most argument 2 of them.
fn decode_args(a: &Args, r: &mut Ret) {
    let max = limit(a, 2, limits().post_args);
    push_arguments(r, a.str(1).unwrap_or_default(), max);
}

/// The fields of a multipart form.
fn decode_multipart(a: &Args, r: &mut Ret) {
    let (body, content_type) = (a.str(1).unwrap_or_default(), a.str(2).unwrap_or_default());
    let mut multi = Multi::default();
    for part in multipart::parse(body, content_type) {
        multi.add(part.name.into(), Some(part.value));
    }
    multi.push(r);
}
