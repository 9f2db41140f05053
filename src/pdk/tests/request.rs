//! `kong.request`.

use std::rc::Rc;
use std::sync::Arc;

use super::Bench;
use crate::exchange::{Body, Captures, Matched, Phase, testing};
use crate::net::body_file::BodyFile;
use crate::pdk::configuration;
use crate::vm::Scope;
use crate::vm::scope::BodyReader;

const HEAD: &str = "GET /a//b/./c%7E?x=1&x=2&y&z=a+b%21&=no HTTP/1.1\nHost: Example.com:8000\nX-One: 1\nx-many: a\n\
    X-Many: b\nX-List: a, b\nAccept: text/html\nX-Forwarded-Proto: HTTPS\nX-Forwarded-Host: u@Other.org:444\n\
    X-Forwarded-Path: /old\nX-Forwarded-Prefix: /pre";

#[test]
fn a11_request_line() {
    let bench = Bench::get(HEAD);
    bench.ok(
        Phase::Access,
        "local r = kong.request
         eq(r.get_scheme(), 'http') eq(r.get_host(), 'example.com') eq(r.get_port(), 8000)
         eq(r.get_http_version(), 1.1) eq(r.get_method(), 'GET')
         eq(r.get_path(), '/a/b/c~') eq(r.get_raw_path(), '/a//b/./c%7E')
         eq(r.get_path_with_query(), '/a//b/./c%7E?x=1&x=2&y&z=a+b%21&=no')
         eq(r.get_raw_query(), 'x=1&x=2&y&z=a+b%21&=no')
         assert(r.get_start_time() > 1.6e12)",
    );
}

#[test]
fn a11_query() {
    let bench = Bench::get(HEAD);
    bench.ok(
        Phase::Log,
        "local r = kong.request
         local q, err = r.get_query()
         eq(q.x[1], '1') eq(q.x[2], '2') eq(q.y, true) eq(q.z, 'a b!') eq(q[''], nil) eq(err, nil)
         eq(r.get_query_arg('x'), '1') eq(r.get_query_arg('y'), true) eq(r.get_query_arg('no'), nil)
         q, err = r.get_query(1) eq(q.x, '1') eq(q.y, nil) eq(err, 'truncated')
         raises('max_args must be a number', r.get_query, 'a')
         raises('max_args must be >= 1', r.get_query, 0)
         raises('max_args must be <= 1000', r.get_query, 1001)
         raises('query argument name must be a string', r.get_query_arg, 1)",
    );
}

#[test]
fn a11_request_headers() {
    let bench = Bench::get(HEAD);
    bench.ok(
        Phase::Access,
        "local r = kong.request
         eq(r.get_header('x-one'), '1') eq(r.get_header('X_One'), '1') eq(r.get_header('none'), nil)
         eq(r.get_header('X-Many'), 'a') eq(r.get_header('x-list'), 'a, b')
         local h, err = r.get_headers()
         eq(h['x-one'], '1') eq(h['X-One'], '1') eq(h.x_one, '1') eq(h['x-many'][2], 'b') eq(err, nil)
         local _, err = r.get_headers(1) eq(err, 'truncated')
         raises('header name must be a string', r.get_header, 1)
         raises('max_headers must be <= 1000', r.get_headers, 1001)",
    );
}

#[test]
fn a11_forwarded_only_from_trusted_peers() {
    let bench = Bench::get(HEAD);
    bench.ok(
        Phase::Access,
        "local r = kong.request
         eq(r.get_forwarded_scheme(), 'http') eq(r.get_forwarded_host(), 'example.com')
         eq(r.get_forwarded_port(), 8000) eq(r.get_forwarded_path(), '/a/b/c~') eq(r.get_forwarded_prefix(), nil)",
    );
    bench.with(|x| x.client.trusted = true);
    bench.ok(
        Phase::Access,
        "local r = kong.request
         eq(r.get_forwarded_scheme(), 'https') eq(r.get_forwarded_host(), 'other.org')
         eq(r.get_forwarded_port(), 444) eq(r.get_forwarded_path(), '/old') eq(r.get_forwarded_prefix(), '/pre')",
    );
    let settings = serde_json::json!({
        "host_ports": { "8000": 80 }, "trusted_ips": ["10.0.0.0/8", "::1"], "proxy_listen": ["x"],
        "lua_max_req_headers": 2
    });
    configuration::set(&settings, &serde_json::json!({ "pg_password": "******" }));
    bench.with(|x| x.client.trusted = false);
    bench.ok(
        Phase::Access,
        "eq(kong.request.get_forwarded_port(), 80)
         eq(kong.ip.is_trusted('10.1.2.3'), true) eq(kong.ip.is_trusted('::1'), true)
         eq(kong.ip.is_trusted('1.1.1.1'), false) eq(kong.ip.is_trusted('junk'), false)
         eq(kong.configuration.proxy_listen[1], 'x')
         eq(kong.configuration.remove_sensitive().pg_password, '******')
         raises('cannot write to configuration', function() kong.configuration.x = 1 end)
         local _, err = kong.request.get_headers() eq(err, 'truncated')",
    );
}

#[test]
fn a11_uri_captures() {
    let bench = Bench::get(HEAD);
    bench.with(|x| {
        x.matched = Some(Matched {
            route: crate::entity::RouteIdx(0),
            service: None,
            captures: Some(Box::new(Captures {
                positional: vec![Some("/ab".into()), Some("a".into()), Some("b".into())],
                named: vec![("n".into(), "b".into())],
            })),
            prefix: None,
        });
    });
    bench.ok(
        Phase::Access,
        "local c = kong.request.get_uri_captures()
         eq(c.unnamed[0], '/ab') eq(c.unnamed[1], 'a') eq(c.unnamed[2], 'b') eq(c.named.n, 'b')
         c = kong.request.get_uri_captures({ router_matches = { uri_captures = { 'q', k = 'v' } } })
         eq(c.unnamed[1], 'q') eq(c.named.k, 'v')",
    );
}

fn with_body(content_type: &str, body: &'static str) -> Bench {
    let mut exchange = testing::exchange(&format!("POST / HTTP/1.1\nContent-Type: {content_type}"));
    exchange.request.body = Body::Memory(body.into());
    exchange.request.has_body = true;
    Bench::new(exchange)
}

#[test]
fn a11_bodies_by_type() {
    with_body("application/x-www-form-urlencoded; charset=utf-8", "a=1&b=2&a=3").ok(
        Phase::Access,
        "local t, err, mime = kong.request.get_body()
         eq(t.a[2], '3') eq(t.b, '2') eq(err, nil) eq(mime, 'application/x-www-form-urlencoded')
         eq(kong.request.get_raw_body(), 'a=1&b=2&a=3')
         raises('max_args must be >= 1', kong.request.get_body, nil, 0)
         local t, err, mime = kong.request.get_body('text/x; q=1')
         eq(t, nil) eq(err, \"unsupported content type 'text/x; q=1'\") eq(mime, 'text/x')
         local t, err, mime = kong.request.get_body('application/json')
         eq(t, nil) eq(err, 'invalid json body') eq(mime, 'application/json')
         raises('function cannot be called in log phase', function()
           require('moongate.scope').ctx().KONG_PHASE = 0x2000
           kong.request.get_raw_body()
         end)",
    );
    with_body("application/json", "{\"a\":\"1\"}").ok(Phase::Access, "eq(kong.request.get_body().a, '1')");
    let multipart = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x--\r\n";
    with_body("multipart/form-data; boundary=x", multipart)
        .ok(Phase::Access, "eq(kong.request.get_body().a, '1')");
    Bench::get("GET / HTTP/1.1\nHost: a").ok(
        Phase::Access,
        "local t, err = kong.request.get_body() eq(t, nil) eq(err, 'missing content type')
         eq(kong.request.get_raw_body(), '')",
    );
}

#[derive(Debug)]
struct Slow;

impl BodyReader for Slow {
    fn read(&self, scope: Rc<Scope>) -> std::pin::Pin<Box<dyn Future<Output = Result<(), String>>>> {
        Box::pin(async move {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            let mut x = scope.exchange.as_ref().ok_or("none")?.borrow_mut();
            x.request.body = Body::Memory("late".into());
            Ok(())
        })
    }
}

#[test]
fn a11_a_streaming_body_is_waited_for() {
    let streaming = || {
        let mut exchange = testing::exchange("POST / HTTP/1.1\nHost: a");
        exchange.request.has_body = true;
        Bench::new(exchange)
    };
    let bench = streaming();
    *bench.scope.body_reader.borrow_mut() = Some(Rc::new(Slow));
    bench.ok(
        Phase::Access,
        "eq(kong.request.get_raw_body(), 'late') eq(kong.request.get_raw_body(), 'late')",
    );
    streaming().ok(
        Phase::Access,
        "local b, err = kong.request.get_raw_body() eq(b, nil) eq(err, 'the request body can no longer be read')",
    );
}

#[test]
fn a11_a_body_in_a_file_needs_a_limit() {
    let path = std::env::temp_dir().join(format!("a11-body-{}", std::process::id()));
    std::fs::write(&path, "in a file").unwrap();
    let mut exchange = testing::exchange("POST / HTTP/1.1\nHost: a");
    exchange.request.has_body = true;
    exchange.request.body = Body::File(Arc::new(BodyFile::temporary(path)), 9);
    Bench::new(exchange).ok(
        Phase::Access,
        "local b, err = kong.request.get_raw_body() eq(b, nil)
         eq(err, \"request body did not fit into client body buffer, consider raising 'client_body_buffer_size'\")
         local b, err = kong.request.get_raw_body(3) eq(b, nil) eq(err, 'request body file too big: 9 > 3')
         eq(kong.request.get_raw_body(0), 'in a file') eq(kong.request.get_raw_body(9), 'in a file')",
    );
}
