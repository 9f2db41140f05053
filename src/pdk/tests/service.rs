//! `kong.service` and what lies below it.

use std::sync::Arc;
use std::time::Duration;

use super::Bench;
use crate::exchange::{Body, Phase, testing};

const HEAD: &str = "GET /p?a=1&b&a=2 HTTP/1.1\nHost: client.example\nX-A: 1";

#[test]
fn a11_set_target() {
    let bench = Bench::get(HEAD);
    bench.ok(
        Phase::Access,
        "local s = kong.service
         raises('host must be a string', s.set_target, 1, 2)
         raises('port must be an integer', s.set_target, 'h', '80')
         raises('port must be an integer', s.set_target, 'h', 1.5)
         raises('port must be an integer between 0 and 65535: given 65536', s.set_target, 'h', 65536)
         eq(select('#', s.set_target('other.example', 8443)), 0)",
    );
    bench.with(|x| {
        assert_eq!((x.target.host.as_str(), x.target.port), ("other.example", 8443));
        assert!(x.target.chosen);
        assert_eq!(x.outbound.host, "other.example");
    });
    bench.ok(
        Phase::Access,
        "kong.service.request.set_header('Host', 'last.example')",
    );
    bench.with(|x| assert_eq!(x.outbound.host, "last.example"));
}

#[test]
fn a11_set_upstream_needs_one() {
    let bench = Bench::get(HEAD);
    bench.ok(
        Phase::Access,
        "local ok, err = kong.service.set_upstream('nope')
         eq(ok, nil) eq(err, \"could not find an Upstream named 'nope'\")
         raises('host must be a string', kong.service.set_upstream, nil)",
    );
    bench.with(|x| assert!(!x.target.chosen));
}

#[test]
fn a11_set_upstream_leaves_the_host_to_who_set_it() {
    let snapshot =
        crate::db::testing::snapshot(r#"{ "_format_version": "3.0", "upstreams": [{ "name": "pool" }] }"#);
    let mut exchange = testing::exchange(HEAD);
    exchange.snapshot = Arc::new(snapshot);
    exchange.outbound.host = "before".into();
    let bench = Bench::new(exchange);
    bench.ok(Phase::Access, "eq(kong.service.set_upstream('pool'), true)");
    bench.with(|x| {
        assert_eq!(
            (x.target.host.as_str(), x.outbound.host.as_str(), x.target.chosen),
            ("pool", "before", true)
        );
    });
}

#[test]
fn a11_retries_and_timeouts() {
    let bench = Bench::get(HEAD);
    bench.ok(
        Phase::Access,
        "local s = kong.service
         s.set_retries(3) s.set_timeouts(1, 2, 3)
         raises('retries must be an integer', s.set_retries, 1.5)
         raises('retries must be an integer between 0 and 32767: given 32768', s.set_retries, 32768)
         raises('connect_timeout must be an integer', s.set_timeouts, 'x', 1, 1)
         raises('write_timeout must be an integer between 1 and 2147483646: given 0', s.set_timeouts, 1, 0, 1)
         raises('read_timeout must be an integer', s.set_timeouts, 1, 1)",
    );
    bench.with(|x| {
        assert_eq!(x.target.retries, 3);
        let limits = (
            x.target.connect_timeout,
            x.target.write_timeout,
            x.target.read_timeout,
        );
        assert_eq!(
            limits,
            (
                Duration::from_millis(1),
                Duration::from_millis(2),
                Duration::from_millis(3)
            )
        );
    });
}

#[test]
fn a11_the_request_line_to_the_upstream() {
    let bench = Bench::get(HEAD);
    bench.ok(
        Phase::Access,
        "local r = kong.service.request
         r.set_scheme('https') r.set_path('/new path/%20') r.set_method('PATCH')
         raises('scheme must be a string', r.set_scheme, 1)
         raises('invalid scheme: ftp', r.set_scheme, 'ftp')
         raises('path must be a string', r.set_path, 1)
         raises('path must start with /', r.set_path, 'x')
         raises('method must be a string', r.set_method, 1)
         raises('invalid method: YO', r.set_method, 'YO')
         r.set_raw_query('q=1 2') eq(kong.request.get_raw_query(), 'q=1%202')
         raises('query must be a string', r.set_raw_query, 1)
         r.set_query({ b = { 1, 'x y' }, a = true, c = 'é', d = false })
         eq(kong.request.get_raw_query(), '&a&b=1&b=x%20y&c=%C3%A9')
         raises('args must be a table', r.set_query, 1)
         raises('arg keys must be strings', r.set_query, { 'x' })
         raises('attempt to use function as query arg value', r.set_query, { a = print })",
    );
    bench.with(|x| {
        assert_eq!(
            (x.outbound.scheme.as_str(), x.outbound.uri.as_str()),
            ("https", "/new%20path/%20")
        );
        assert_eq!(x.request.method, "PATCH");
    });
}

#[test]
fn a11_clear_query_arg() {
    let bench = Bench::get(HEAD);
    bench.ok(
        Phase::Access,
        "local r = kong.service.request
         r.clear_query_arg('a') eq(kong.request.get_raw_query(), 'b=')
         r.set_raw_query('x=a+b&y=1') r.clear_query_arg('y') eq(kong.request.get_raw_query(), 'x=a%20b')
         r.clear_query_arg('x') eq(kong.request.get_raw_query(), '')
         raises('query argument name must be a string', r.clear_query_arg, 1)",
    );
}

#[test]
fn a11_headers_to_the_upstream() {
    let bench = Bench::get(HEAD);
    bench.ok(
        Phase::Access,
        "local r = kong.service.request
         r.set_header('X-A', { '1', '2' }) r.add_header('x-a', '3') r.set_header('X-N', 5) r.set_header('X-E', '')
         local h = kong.request.get_headers()
         eq(table.concat(h['x-a'], ' '), '1 2 3') eq(h['x-n'], '5') eq(h['x-e'], ' ')
         r.clear_header('x-a') eq(kong.request.get_header('x-a'), nil)
         r.set_headers({ ['X-M'] = { 'p', 'q' }, Host = 'set.example' })
         eq(kong.request.get_headers()['x-m'][2], 'q')
         r.set_header('X-Split', 'a\\nb') eq(kong.request.get_header('x-split'), 'a%0Ab')
         local ok, err = r.set_header(':authority', 'x')
         eq(ok, nil) eq(err, 'cannot set :authority pseudo-header on non-grpc requests')
         raises('invalid header value for \"x\": got nil', r.set_header, 'x', nil)
         raises('header must be a string', r.clear_header, 1)
         raises('headers must be a table', r.set_headers, 1)",
    );
    bench.with(|x| {
        assert_eq!(x.outbound.host, "set.example");
        assert_eq!(x.request.headers.get("host"), Some(&b"set.example"[..]));
    });
}

#[test]
fn a11_bodies_to_the_upstream() {
    let bench = Bench::get(HEAD);
    bench.ok(
        Phase::Access,
        "local r = kong.service.request
         r.set_raw_body('abc') eq(kong.request.get_raw_body(), 'abc')
         eq(kong.request.get_header('content-length'), '3')
         raises('body must be a string', r.set_raw_body, 1)
         local ok, err = r.set_body({ a = 1 })
         eq(ok, nil) eq(err, 'content type was neither explicitly given as an argument or received as a header')
         raises('unsupported content type text/x', r.set_body, {}, 'text/x')
         raises('args must be a table', r.set_body, 'x')
         raises('mime must be a string', r.set_body, {}, 1)
         eq(r.set_body({ b = 'x y', a = { 1, 2 } }, 'application/x-www-form-urlencoded'), true)
         eq(kong.request.get_raw_body(), 'a=1&a=2&b=x%20y')
         eq(kong.request.get_header('content-type'), 'application/x-www-form-urlencoded')
         eq(r.set_body({ message = 'm' }, 'application/json'), true)
         eq(kong.request.get_raw_body(), '{\"message\":\"m\"}')
         eq(r.set_body({ b = true, a = 'x' }, 'multipart/form-data; boundary=\"zz\"'), true)
         eq(kong.request.get_raw_body(), '--zz\\r\\nContent-Disposition: form-data; name=\"a\"\\r\\n\\r\\nx\\r\\n--zz\\r\\nContent-Disposition: form-data; name=\"b\"\\r\\n\\r\\ntrue\\r\\n--zz--\\r\\n')
         eq(kong.request.get_header('content-type'), 'multipart/form-data; boundary=zz')
         raises('invalid value \"a\": got table, expected string, number or boolean', r.set_body, { a = {} },
           'multipart/form-data')
         raises('function cannot be called in access phase (only in: balancer, preread)', r.disable_tls)",
    );
    bench.with(|x| assert!(matches!(&x.request.body, Body::Memory(_)) && x.request.has_body));
}

#[test]
fn a11_what_the_upstream_answered() {
    let bench = Bench::get(HEAD);
    bench.ok(
        Phase::Access,
        "raises('function cannot be called in access phase (only in: response, header_filter, body_filter, log)',
           kong.service.response.get_status)",
    );
    bench.with(|x| {
        x.response.upstream_status = Some(203);
        x.response.headers.insert("x-up", "1".parse().unwrap());
    });
    let unbuffered = "local r = kong.service.response
        eq(r.get_status(), 203) eq(r.get_header('X-Up'), '1') eq(r.get_headers()['x_up'], '1')
        raises('name must be a string', r.get_header, 1)
        raises('service body is only available with buffered proxying (see: kong.service.request.enable_buffering function)',
          r.get_raw_body)";
    bench.ok(Phase::HeaderFilter, unbuffered);
    bench.ok(Phase::Access, "kong.service.request.enable_buffering()");
    bench.with(|x| x.response.buffered = Some("a=1&b=2".into()));
    bench.ok(
        Phase::Response,
        "local r = kong.service.response
         eq(r.get_raw_body(), 'a=1&b=2')
         local t, err = r.get_body() eq(t, nil) eq(err, 'missing content type')
         eq(r.get_body('application/x-www-form-urlencoded').b, '2')",
    );
}
