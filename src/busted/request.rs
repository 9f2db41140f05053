//! A request around a piece of a spec: a function runs as a handler would, in a phase, and its answer comes back.
//!
//! There is no client and no upstream; what is sent is what the exchange holds at the end. Must not: route.

use std::pin::Pin;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use mlua::Function;

use crate::exchange::header_list::Span;
use crate::exchange::{Body, Exchange, HeaderList, Phase, Request, Source, unsent};
use crate::vm::scope::{self, BodyReader, Scope};
use crate::vm::{Args, Flow, Out, Registrar, Ret, op};

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("spec", "request", op::raw(request))?;
    r.op("spec", "answered", op::raw(answered))?;
    r.op("spec", "chunk", op::raw(chunk))?;
    r.op("spec", "client", op::raw(client))?;
    r.op("spec", "left", op::raw(left))
}

/// An upstream's answer for the request of now: status, header lines, and the body where it is buffered.
fn answered(a: &Args, _: &mut Ret) {
    let status = a.int(1).and_then(|n| u16::try_from(n).ok()).unwrap_or(200);
    let mut headers = HeaderMap::new();
    for line in String::from_utf8_lossy(a.str(2).unwrap_or_default()).lines() {
        let pair = line.split_once(':').and_then(|(name, value)| {
            let name = HeaderName::try_from(name).ok()?;
            Some((name, HeaderValue::from_str(value.trim()).ok()?))
        });
        if let Some((name, value)) = pair {
            headers.append(name, value);
        }
    }
    let body = a.str(3).map(Bytes::copy_from_slice);
    scope::write(|x| {
        x.timing.access_end = Some(Instant::now());
        x.timing.head_at = Some(Instant::now());
        x.response.status = status;
        x.response.upstream_status = Some(status);
        x.response.source = Source::Service;
        x.response.headers = headers;
        x.response.buffering |= body.is_some();
        x.timing.buffered_at = body.is_some().then(Instant::now);
        x.response.buffered = body;
    });
}

/// What body_filter sees: a chunk, and whether it is the last.
fn chunk(a: &Args, _: &mut Ret) {
    let text = Bytes::copy_from_slice(a.str(1).unwrap_or_default());
    scope::write(|x| {
        x.response.chunk = text;
        x.response.last_chunk = a.truthy(2);
        x.response.new_chunk = None;
    });
}

/// Who the client is: whether its own address is trusted, and whose request it hands on.
fn client(a: &Args, _: &mut Ret) {
    let addr = std::str::from_utf8(a.str(2).unwrap_or_default());
    scope::write(|x| {
        x.client.trusted = a.truthy(1);
        if let Some(addr) = addr.ok().and_then(|t| t.parse().ok()) {
            x.client.addr = addr;
        }
    });
}

/// What Lua left of the chunk, where the request goes, and its limits.
fn left(_: &Args, r: &mut Ret) {
    let done = scope::read(|x| {
        let ms = |d: std::time::Duration| d.as_secs_f64() * 1000.0;
        r.table(0, 12, |t| {
            t.str("chunk").opt(x.response.new_chunk.as_ref()).set();
            t.str("last").bool(x.response.last_chunk).set();
            t.str("host").str(&x.target.host).set();
            t.str("port").num(x.target.port).set();
            t.str("retries").num(x.target.retries).set();
            t.str("connect_timeout").num(ms(x.target.connect_timeout)).set();
            t.str("write_timeout").num(ms(x.target.write_timeout)).set();
            t.str("read_timeout").num(ms(x.target.read_timeout)).set();
            t.str("buffering").bool(x.response.buffering).set();
        });
    });
    if done.is_none() {
        r.nil();
    }
}

/// Gives the body that the spec named when it is asked for.
#[derive(Debug)]
struct Given(Bytes);

impl BodyReader for Given {
    fn read(&self, scope: Rc<Scope>) -> Pin<Box<dyn Future<Output = Result<(), String>>>> {
        let body = self.0.clone();
        Box::pin(async move {
            if let Some(x) = &scope.exchange {
                x.borrow_mut().request.body = Body::Memory(body);
            }
            Ok(())
        })
    }
}

fn phase(name: &[u8]) -> Option<Phase> {
    Phase::ALL.into_iter().find(|p| p.name().as_bytes() == name)
}

/// The request of a head with its last empty line.
fn exchange(head: &[u8], body: &[u8]) -> Exchange {
    let mut spans = Vec::new();
    let mut at = memchr::memchr(b'\n', head).map_or(head.len(), |i| i + 1);
    while let Some(end) = memchr::memchr(b'\n', &head[at..]).map(|i| at + i) {
        let line = &head[at..end];
        if let Some(colon) = memchr::memchr(b':', line) {
            let value = line[colon + 1..].trim_ascii();
            let from = value.as_ptr() as usize - head.as_ptr() as usize;
            spans.push((Span::new(at, colon), Span::new(from, value.len())));
        }
        at = end + 1;
    }
    let headers = HeaderList::from_raw(Bytes::copy_from_slice(head), spans);
    let line = String::from_utf8_lossy(head.split(|b| *b == b'\r').next().unwrap_or_default()).into_owned();
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let request = unsent::request(method, target, headers);
    unsent::exchange(Request {
        uri: percent_encoding::percent_decode(&request.uri).collect(),
        content_length: (!body.is_empty()).then_some(body.len() as u64),
        has_body: !body.is_empty(),
        length: head.len() as u64,
        ..request
    })
}

/// Notes the moment as the proxy does when a phase begins.
fn enter(scope: &Scope, phase: Phase) {
    scope.phase.set(phase);
    let Some(cell) = &scope.exchange else { return };
    let timing = &mut cell.borrow_mut().timing;
    let now = Some(Instant::now());
    match phase {
        Phase::Rewrite => {}
        Phase::HeaderFilter => timing.filter_start = timing.filter_start.or(now),
        Phase::Log => timing.ended = now,
        _ => timing.access_start = timing.access_start.or(now),
    }
}

/// `request(phases, head, body)`: runs `moongate.spec.request`'s `call` around it in each of the phases, which are
/// parted by spaces. Answers how the last ended (`done`, `exit`, `failed`), the code or message, and the exchange's
/// status, headers and body.
fn request(a: &Args, r: &mut Ret) {
    let names = a.str(1).unwrap_or_default().split(|b| *b == b' ');
    let Some(phases) = names.map(phase).collect::<Option<Vec<_>>>() else {
        return r.raise("no such phase");
    };
    let (head, body) = (a.str(2).unwrap_or_default(), a.str(3).unwrap_or_default());
    let exchange = exchange(head, body);
    let Some(vm) = scope::with(|s| s.vm.clone()) else {
        return r.raise("no scope");
    };
    let reader = Rc::new(Given(Bytes::copy_from_slice(body)));
    r.wait(async move {
        let mut out = Out::new();
        let call = vm.lua().load("return require('moongate.spec.request').call");
        let kept = call.eval::<Function>().and_then(|f| vm.keep(f));
        let func = match kept {
            Ok(func) => func,
            Err(e) => {
                out.lit("failed").str(e.to_string());
                return out;
            }
        };
        let scope = Scope::new(&vm, Phase::Rewrite, Some(exchange));
        scope.body_reader.replace(Some(reader));
        let mut flow = Flow::Done;
        for phase in phases {
            enter(&scope, phase);
            flow = if phase.can_yield() {
                vm.run(&scope, func, &[]).await
            } else {
                vm.run_now(&scope, func, &[])
            };
            if matches!(flow, Flow::Failed(_)) {
                break;
            }
        }
        vm.release(func);
        match flow {
            Flow::Done => out.lit("done").nil(),
            Flow::Exit(code) => out.lit("exit").int(code),
            Flow::Failed(fault) => out.lit("failed").str(fault.message),
        };
        if let Some(cell) = &scope.exchange {
            let x = cell.borrow();
            out.num(x.response.status);
            out.table(0, x.response.headers.len(), |t| {
                for (name, value) in &x.response.headers {
                    t.str(name.as_str()).str(value.as_bytes()).set();
                }
            });
            out.opt(x.response.body.as_ref());
        }
        out
    });
}
