//! `kong.response`.

use super::Bench;
use crate::exchange::{Phase, Source};
use crate::vm::Flow;

const HEAD: &str = "GET / HTTP/1.1\nHost: a\nAccept: text/html;q=0.5, text/plain";

fn header(bench: &Bench, name: &str) -> Option<String> {
    bench.with(|x| {
        let value = x.response.headers.get(name)?;
        Some(value.to_str().unwrap().to_owned())
    })
}

fn body(bench: &Bench) -> String {
    bench.with(|x| String::from_utf8(x.response.body.clone().unwrap()).unwrap())
}

#[test]
fn a11_headers_of_the_response() {
    let bench = Bench::get(HEAD);
    bench.ok(
        Phase::HeaderFilter,
        "local r = kong.response
         r.set_header('X-A', 1) r.add_header('x-a', 'two') r.set_header('X_B', { 'p', '' }) r.set_header('E', '')
         r.set_headers({ ['X-C'] = true, ['Transfer-Encoding'] = 'gzip' })
         eq(r.get_header('X-A'), '1') eq(r.get_header('x_b'), 'p') eq(r.get_header('none'), nil)
         local h = r.get_headers()
         eq(h['x-a'][2], 'two') eq(h['X-B'][2], ' ') eq(h.x_c, 'true') eq(h.e, ' ')
         eq(h['transfer-encoding'], nil)
         r.clear_header('x-a') eq(r.get_header('x-a'), nil)
         r.set_header('X-D', 'a\\r\\nb') eq(r.get_header('X-D'), 'a%0D%0Ab')
         r.set_status(204) eq(r.get_status(), 204)
         local _, err = r.get_headers(1) eq(err, 'truncated')
         raises('code must be a number between 100 and 599', r.set_status, 99)
         raises('code must be a number', r.set_status, '200')
         raises('header name must be a string', r.get_header, 1)
         raises('invalid header name \"1\": got number, expected string', r.set_header, 1, 'x')
         raises('invalid header value for \"x\": got nil, expected array of string, string, number or boolean',
           r.set_header, 'x')
         raises('invalid header value in array \"x\": got number, expected string', r.set_header, 'x', { 1 })
         raises('headers must be a table', r.set_headers, 1)
         raises('invalid header value for \"x\": got function, expected string, number, boolean or array of strings',
           r.set_headers, { x = print })",
    );
    let (level, line) = bench.lines.borrow()[0].clone();
    assert_eq!(level, 5);
    assert!(line.starts_with("[kong] response.lua:"), "{line}");
    assert!(
        line.ends_with(" manually setting Transfer-Encoding. Ignored."),
        "{line}"
    );
}

#[test]
fn a11_nothing_changes_once_headers_are_sent() {
    let bench = Bench::get(HEAD);
    bench.with(|x| x.response.head_sent = true);
    bench.ok(
        Phase::HeaderFilter,
        "for _, f in ipairs { 'set_status', 'set_header', 'add_header', 'clear_header', 'set_headers', 'exit', 'error' } do
           raises('headers have already been sent', kong.response[f], 500)
         end",
    );
}

#[test]
fn a11_exit_ends_the_handler() {
    let bench = Bench::get(HEAD);
    let flow = bench.flow(
        Phase::Access,
        "pcall(kong.response.exit, 403, { message = 'no' }, { ['X-Why'] = 'because' }) kong.ctx.shared.after = true",
    );
    assert!(matches!(flow, Flow::Exit(403)), "{flow:?}");
    assert_eq!(body(&bench), r#"{"message":"no"}"#);
    assert_eq!(header(&bench, "content-length").unwrap(), "16");
    assert_eq!(
        header(&bench, "content-type").unwrap(),
        "application/json; charset=utf-8"
    );
    assert_eq!(header(&bench, "x-why").unwrap(), "because");
    bench.with(|x| assert_eq!((x.response.status, x.response.source), (403, Source::Exit)));
    bench.ok(
        Phase::Log,
        "eq(kong.ctx.shared.after, nil) eq(kong.response.get_source(), 'exit')
         eq(kong.response.get_source({ KONG_PROXIED = true }), 'service')
         eq(kong.response.get_source({ KONG_UNEXPECTED = true, KONG_EXITED = true }), 'error')",
    );
}

#[test]
fn a11_exit_checks_its_arguments() {
    let bench = Bench::get(HEAD);
    bench.ok(
        Phase::Access,
        "local exit = kong.response.exit
         raises('code must be a number', exit, 'x')
         raises('code must be a number between 100 and 599', exit, 600)
         raises('body must be a nil, string or table', exit, 200, 1)
         raises('headers must be a nil or table', exit, 200, 'x', 1)
         raises('invalid header name \"1\"', exit, 200, 'x', { 'a' })
         local err = kong.response.error
         raises('code must be a number between 400 and 599', err, 200)
         raises('message must be a nil, a string or a table', err, 500, 1)
         raises('headers must be a nil or table', err, 500, 'x', 1)
         raises('no template found for MIME type a/b', err, 500, 'x', { ['Content-Type'] = 'a/b' })",
    );
    bench.with(|x| assert!(x.response.body.is_none()));
}

#[test]
fn a11_exit_variants() {
    for (src, status, text, length) in [
        ("kong.response.exit(204)", 204, "", "0"),
        ("kong.response.exit(200, 'abc')", 200, "abc", "3"),
        (
            "kong.response.exit(200, 'abc', { content_length = 9 })",
            200,
            "abc",
            "9",
        ),
    ] {
        let bench = Bench::get(HEAD);
        assert!(matches!(bench.flow(Phase::Rewrite, src), Flow::Exit(n) if n == status));
        assert_eq!(body(&bench), text);
        assert_eq!(header(&bench, "content-length").unwrap(), length);
        assert_eq!(header(&bench, "content-type"), None);
    }
}

#[test]
fn a11_exit_in_header_filter_goes_on() {
    let bench = Bench::get(HEAD);
    bench.ok(
        Phase::HeaderFilter,
        "kong.response.exit(502, 'gone') kong.ctx.shared.on = true",
    );
    assert_eq!(body(&bench), "gone");
    bench.ok(
        Phase::Log,
        "eq(kong.ctx.shared.on, true) eq(kong.response.get_status(), 502)",
    );
}

#[test]
fn a11_grpc_clients_get_grpc_headers() {
    let bench = Bench::get("POST / HTTP/2.0\nContent-Type: application/grpc+proto");
    bench.with(|x| x.request.version = 20);
    assert!(matches!(
        bench.flow(Phase::Access, "kong.response.exit(404, { message = 'nope' })"),
        Flow::Exit(404)
    ));
    assert_eq!(header(&bench, "grpc-status").unwrap(), "5");
    assert_eq!(header(&bench, "grpc-message").unwrap(), "nope");
    assert_eq!(header(&bench, "content-length").unwrap(), "0");
    assert_eq!(body(&bench), "");

    let bench = Bench::get("POST / HTTP/2.0\nContent-Type: application/grpc");
    bench.with(|x| x.request.version = 20);
    assert!(matches!(
        bench.flow(Phase::Access, "kong.response.error(503)"),
        Flow::Exit(503)
    ));
    assert_eq!(header(&bench, "content-type").unwrap(), "application/grpc");
    assert_eq!(header(&bench, "grpc-message").unwrap(), "Unavailable");
}

#[test]
fn a08_error_by_accept() {
    let bench = Bench::get(HEAD);
    let flow = bench.flow(Phase::Access, "kong.response.error(404, nil, { ['X-A'] = 'b' })");
    assert!(matches!(flow, Flow::Exit(404)), "{flow:?}");
    assert_eq!(
        body(&bench),
        "Not found\nrequest_id: 0123456789abcdef0123456789abcdef\n"
    );
    assert_eq!(
        header(&bench, "content-type").unwrap(),
        "text/plain; charset=utf-8"
    );
    assert_eq!(header(&bench, "x-a").unwrap(), "b");

    let bench = Bench::get(HEAD);
    bench.flow(
        Phase::Access,
        "kong.response.error(500, { message = 'm' }, { ['Content-Type'] = 'application/json' })",
    );
    assert_eq!(
        body(&bench),
        "{\n  \"message\":\"{\"message\":\"m\"}\",\n  \"request_id\":\"0123456789abcdef0123456789abcdef\"\n}"
    );
}

#[test]
fn a11_body_filter_collects_and_replaces() {
    let bench = Bench::get(HEAD);
    let feed = |chunk: &'static str, last: bool, src: &str| {
        bench.with(|x| {
            x.response.chunk = chunk.into();
            x.response.last_chunk = last;
            x.response.new_chunk = None;
        });
        bench.ok(Phase::BodyFilter, src);
        bench.with(|x| (x.response.new_chunk.take(), x.response.last_chunk))
    };
    let held = "eq(kong.response.get_raw_body(), nil)";
    assert_eq!(feed("one ", false, held), (Some("".into()), false));
    assert_eq!(feed("two", false, held), (Some("".into()), false));
    let whole = "eq(kong.response.get_raw_body(), 'one two') eq(kong.response.get_raw_body(), 'one two')";
    assert_eq!(feed("", true, whole), (Some("one two".into()), true));
    assert_eq!(
        feed("x", true, "eq(kong.response.get_raw_body(), 'x')"),
        (None, true)
    );
    assert_eq!(
        feed("x", false, "kong.response.set_raw_body('new')"),
        (Some("new".into()), true)
    );
    assert_eq!(
        feed("x", false, "kong.response.set_raw_body('')"),
        (Some("\n".into()), true)
    );
    feed(
        "x",
        false,
        "raises('body must be a string', kong.response.set_raw_body, 1)",
    );
}
