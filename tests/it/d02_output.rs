//! D2: what `ngx.print`, `flush`, `eof` and the filters do while the handler runs, as the client sees it.

use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::support::{Client, Gateway, Origin, Setup};

fn request(path: &str, version: &str, headers: &[(&str, &str)]) -> String {
    let lines: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
    format!("GET {path} HTTP/{version}\r\nHost: a\r\n{lines}\r\n")
}

fn begin(gateway: &Gateway, version: &str, headers: &[(&str, &str)]) -> Client {
    let mut client = gateway.connect();
    client.send(request("/", version, headers));
    client
}

#[test]
fn d02_a_flush_is_seen_while_the_handler_goes_on() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    for (phase, wait) in [("X-Rewrite", "true"), ("X-Access", "true"), ("X-Access", "false")] {
        let code = format!(
            "ngx.header.x_a = '1' ngx.say('one') local r, e = ngx.flush({wait}) ngx.sleep(0.6) \
             ngx.say('two ', r, ' ', e, ' ', ngx.headers_sent, ' ', ngx.get_phase())"
        );
        let started = Instant::now();
        let mut client = begin(&gateway, "1.1", &[(phase, &code)]);
        let head = client.head().unwrap();
        assert_eq!((head.status, head.header("x-a")), (200, Some("1")));
        assert_eq!(head.header("transfer-encoding"), Some("chunked"));
        assert_eq!(client.take(9), b"4\r\none\n\r\n");
        assert!(started.elapsed() < Duration::from_millis(500));
        let place = phase[2..].to_lowercase();
        let line = format!("two 1 nil true {place}\n");
        let rest = format!("{:X}\r\n{line}\r\n0\r\n\r\n", line.len());
        assert_eq!(String::from_utf8_lossy(&client.take(rest.len())), rest);
        // the connection goes on
        assert_eq!(client.get("/").status, 200);
    }
    // so much leaves unasked
    let code = "ngx.print(string.rep('x', 5000)) ngx.sleep(0.6) ngx.print('end')";
    let started = Instant::now();
    let mut client = begin(&gateway, "1.1", &[("X-Access", code)]);
    client.head().unwrap();
    client.take(5000);
    assert!(started.elapsed() < Duration::from_millis(500));
    // little does not
    let code = "ngx.print('x') ngx.sleep(0.3) ngx.print('end')";
    let r = gateway.get("/", &[("X-Access", code)]);
    assert_eq!((&*r.text(), r.header("content-length")), ("xend", Some("4")));
}

#[test]
fn d02_flush_waits_for_a_slow_client() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let code = "local s = string.rep('x', 8 * 1024 * 1024) ngx.print(s) \
                local a, b = ngx.flush(false) kong.log.warn('ASYNC ', a, ' ', b) \
                a, b = ngx.flush(true) kong.log.warn('WRITTEN ', a, ' ', b) ngx.print('end')";
    let mut client = begin(&gateway, "1.1", &[("X-Access", code)]);
    gateway.logged("ASYNC 1 nil");
    std::thread::sleep(Duration::from_millis(400));
    assert!(!gateway.errors().contains("WRITTEN"), "nobody has read 8 MiB");
    let r = client.answer(false);
    assert_eq!((r.body.len(), r.complete), ((8 << 20) + 3, true));
    gateway.logged("WRITTEN 1 nil");
    // several threads, each with a flush of its own
    let code = "local function f(i) ngx.print(string.rep(i, 100000)) return ngx.flush(true) end \
                local t = {} for i = 1, 5 do t[i] = ngx.thread.spawn(f, i) end \
                for i = 1, 5 do local ok, a = ngx.thread.wait(t[i]) assert(ok and a == 1) end ngx.say('good')";
    let r = gateway.get("/", &[("X-Access", code)]).is(200);
    assert!(r.text().ends_with("good\n") && r.body.len() == 500_005);
}

#[test]
fn d02_who_flushes_ends_with_the_client() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port)
        .set("nginx_proxy_lua_check_client_abort", "on")
        .start();
    let code = |mark: &str, first: &str| {
        format!(
            "{first} ngx.say('a') ngx.flush(true) ngx.sleep(0.3) \
             local t = {{ ngx.flush(true) }} kong.log.warn('{mark} ', t[1], ' ', t[2])"
        )
    };
    let log = "kong.log.warn('LOGGED ', ngx.status, ' ', ngx.var.uri)";
    let leave = |path: &str, code: &str| {
        let mut client = gateway.connect();
        client.send(request(path, "1.1", &[("X-Access", code), ("X-Log", log)]));
        client.head().unwrap();
    };
    leave("/ends", &code("ONE", ""));
    gateway.logged("LOGGED 200 /ends");
    let minds = "assert(ngx.on_abort(function() kong.log.warn('ABORTED') end))";
    leave("/minds", &code("TWO", minds));
    gateway.logged("ABORTED");
    gateway.logged("TWO nil client aborted");
    gateway.logged("LOGGED 200 /minds");
    std::thread::sleep(Duration::from_millis(400));
    assert!(!gateway.errors().contains("ONE "));
}

#[test]
fn d02_body_filter_sees_each_piece_when_it_is_written() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let seen = "local t = ngx.ctx.t or {} ngx.ctx.t = t \
                t[#t + 1] = ngx.arg[1] .. (ngx.arg[2] and '!' or '') .. ngx.get_phase():sub(1, 1)";
    let head = "local t = ngx.ctx.t or {} ngx.ctx.t = t t[#t + 1] = 'head' .. ngx.status";
    let log = "kong.log.warn('SEEN ', table.concat(ngx.ctx.t, ','), '.')";
    let ask = |phase: &str, code: &str| {
        gateway.get(
            "/",
            &[
                (phase, code),
                ("X-Body-Filter", seen),
                ("X-Header-Filter", head),
                ("X-Log", log),
            ],
        )
    };
    for phase in ["X-Access", "X-Rewrite"] {
        let mark = |m: &str| format!("ngx.ctx.t[#ngx.ctx.t + 1] = '{m}'");
        let (one, two) = (mark("one"), mark("two"));
        let code =
            format!("ngx.print('a') {one} ngx.print('') ngx.print('b') {two} ngx.flush() ngx.print('c')");
        assert_eq!(ask(phase, &code).text(), "abc");
        gateway.logged("SEEN head200,ab,one,bb,two,b,cb,!b.");
        let code = format!("ngx.send_headers() {one} ngx.print('a') ngx.eof() {two} ngx.exit(200)");
        assert_eq!(ask(phase, &code).text(), "a");
        gateway.logged("SEEN head200,one,ab,!b,two.");
    }
    // what a filter makes of each piece is what leaves; who ends the body ends it
    let upper = |code: &str, more: &str| {
        let filter = format!("ngx.arg[1] = ngx.arg[1]:upper() {more}");
        gateway.get("/", &[("X-Access", code), ("X-Body-Filter", &filter)])
    };
    let code = "ngx.print('ab') ngx.flush(true) ngx.print('cd')";
    let r = upper(code, "if ngx.arg[2] then ngx.arg[1] = 'end' end");
    assert_eq!((&*r.text(), r.complete), ("ABCDend", true));
    let r = upper(code, "if ngx.arg[1] == 'AB' then ngx.arg[2] = true end");
    assert_eq!((&*r.text(), r.complete), ("AB", true));
    assert_eq!(upper("ngx.print('ab') ngx.print('cd')", "").text(), "ABCD");
    // one that fails cuts the answer short
    for code in [
        code,
        "ngx.print('ab') local a, b = ngx.print('cd') kong.log.warn('PRINTED ', a, ' ', b)",
    ] {
        let mut client = begin(
            &gateway,
            "1.1",
            &[
                ("X-Access", code),
                ("X-Body-Filter", "if ngx.arg[1] == 'cd' then error('oh') end"),
            ],
        );
        assert!(client.try_answer(false).is_none_or(|r| !r.complete));
    }
    gateway.logged("PRINTED nil nginx output filter error");
}

#[test]
fn d02_the_first_output_fixes_the_head() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let code = "ngx.header.x_one = '1' ngx.print('a') \
                ngx.header.x_late = '1' ngx.status = 404 \
                kong.log.warn('AFTER ', ngx.headers_sent, ' ', ngx.header.x_f, ' ', ngx.status)";
    let filter = "kong.log.warn('BEFORE ', ngx.headers_sent) ngx.header.x_f = 'set' ngx.status = 207";
    let r = gateway
        .get("/", &[("X-Access", code), ("X-Header-Filter", filter)])
        .is(207);
    assert_eq!(
        (r.header("x-one"), r.header("x-f"), r.header("x-late")),
        (Some("1"), Some("set"), None)
    );
    gateway.logged("BEFORE false");
    gateway.logged("AFTER true set 207");
    gateway.logged("attempt to set ngx.header.HEADER after sending out response headers");
    gateway.logged("attempt to set ngx.status after sending out response headers");
    // another answer in its place, and the handler hears of it
    let code = "local a, b = ngx.print('a') kong.log.warn('PRINT ', a, ' ', b) \
                a, b = ngx.say('b') kong.log.warn('SAY ', a, ' ', b)";
    let r = gateway
        .get("/", &[("X-Access", code), ("X-Header-Filter", "ngx.exit(403)")])
        .is(403);
    assert!(r.text().contains("403 Forbidden") && !r.text().contains('b'.to_string().repeat(2).as_str()));
    gateway.logged("PRINT nil nginx output filter error");
    gateway.logged("SAY nil nginx output filter error");
    let r = gateway.get("/", &[("X-Access", code), ("X-Header-Filter", "error('oh')")]);
    assert_eq!(
        (r.status, r.text().contains("An unexpected error occurred")),
        (500, true)
    );
    // a condition of the client's is judged then, too
    let code =
        "ngx.header.etag = '\"x\"' ngx.say('a') local a, b = ngx.say('b') kong.log.warn('LATER ', a, b)";
    let ask = |name| gateway.get("/", &[("X-Access", code), (name, "\"x\"")]);
    assert_eq!(ask("If-None-Match").is(304).text(), "");
    gateway.logged("LATER nilheader only");
    gateway
        .get("/", &[("X-Access", code), ("If-Match", "\"y\"")])
        .is(412);
}

#[test]
fn d02_a_handler_that_fails_after_output_breaks_the_answer_off() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let log = "kong.log.warn('LOGGED ', ngx.var.uri)";
    for (path, code) in [
        ("/flushed", "ngx.say('a') ngx.flush(true) error('oh no')"),
        ("/closed", "ngx.say('a') ngx.flush(true) ngx.exit(444)"),
        ("/error", "ngx.say('a') ngx.flush(true) ngx.exit(ngx.ERROR)"),
    ] {
        let mut client = gateway.connect();
        client.send(request(path, "1.1", &[("X-Access", code), ("X-Log", log)]));
        let r = client.answer(false);
        assert_eq!((&*r.text(), r.complete), ("a\n", false), "{code}");
        gateway.logged(&format!("LOGGED {path}"));
    }
    let mut client = begin(&gateway, "1.1", &[("X-Access", "ngx.say('a') error('oh no')")]);
    assert!(client.try_answer(false).is_none());
    gateway.logged("oh no");
    // ngx.exit after it is the end, whatever the status
    let r = gateway.get("/", &[("X-Access", "ngx.say('a') ngx.flush(true) ngx.exit(500)")]);
    assert_eq!((r.status, &*r.text(), r.complete), (200, "a\n", true));
    gateway.logged("attempt to set status 500 via ngx.exit after sending out the response status 200");
}

#[test]
fn d02_eof_ends_the_answer_and_not_the_handler() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let code = "ngx.say('all') local a, b = ngx.eof() ngx.sleep(1.5) \
                local c, d = ngx.say('more') kong.log.warn('BEHIND ', a, b, c, d) ngx.ctx.behind = true";
    let log = "kong.log.warn('LOGGED ', ngx.ctx.behind)";
    let started = Instant::now();
    let mut client = begin(&gateway, "1.1", &[("X-Access", code), ("X-Log", log)]);
    let r = client.answer(false);
    assert_eq!((&*r.text(), r.header("content-length")), ("all\n", Some("4")));
    assert!(started.elapsed() < Duration::from_millis(1400));
    // who has it all may go
    drop(client);
    gateway.logged("BEHIND 1nilnilseen eof");
    gateway.logged("LOGGED true");
}

#[test]
fn d02_http10_gets_its_answer_whole_and_with_its_length() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let ask = |code: &str| {
        let mut client = begin(&gateway, "1.0", &[("X-Access", code)]);
        client.answer(false)
    };
    let r = ask(
        "ngx.say('a') local a, b = ngx.flush(true) ngx.header.x_late = '1' \
                 ngx.say(a, ' ', b, ' ', ngx.headers_sent)",
    );
    assert_eq!(&*r.text(), "a\nnil buffering false\n");
    assert_eq!(
        (r.header("content-length"), r.header("x-late")),
        (Some("22"), Some("1"))
    );
    assert_eq!(r.header("transfer-encoding"), None);
    // with a length of its own nothing is kept back
    let r = ask("ngx.header.content_length = 5 ngx.print('ab') ngx.flush(true) \
                 ngx.header.x_late = '1' ngx.print('cde')");
    assert_eq!(
        (&*r.text(), r.header("content-length"), r.header("x-late")),
        ("abcde", Some("5"), None)
    );
    // what comes behind its length goes nowhere, and its handler is not disturbed
    let code = "ngx.header.content_length = 2 ngx.print('ab') ngx.flush(true) ngx.sleep(0.2) ngx.print('cde') \
                kong.log.warn('BEYOND ', ngx.flush(true))";
    let mut client = begin(&gateway, "1.1", &[("X-Access", code)]);
    assert_eq!(client.answer(false).text(), "ab");
    gateway.logged("BEYOND 1");
    // nor when the head was sent first: then the end of the connection is the end
    let r = ask("ngx.send_headers() ngx.print('ab') ngx.flush(true) ngx.print('c')");
    assert_eq!((&*r.text(), r.header("content-length")), ("abc", None));
    assert_eq!(r.header("transfer-encoding"), None);
}

#[test]
fn d02_head_is_answered_without_a_body() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let mut client = gateway.connect();
    let code = "local a = ngx.print('abc') local b, c = ngx.print('d') local d, e = ngx.flush(true) \
                kong.log.warn('HEAD ', a, b, c, d, e)";
    let body = "kong.log.warn('FILTERED')";
    let headers = [
        ("X-Access", code),
        ("X-Body-Filter", body),
        ("X-Header-Filter", "ngx.header.f = '1'"),
    ];
    let r = client.ask("HEAD", "/", &headers, b"").is(200);
    assert_eq!(r.header("f"), Some("1"));
    gateway.logged("HEAD 1nilheader onlynilheader only");
    client.ask("HEAD", "/", &[("X-Body-Filter", body)], b"").is(200);
    client
        .ask(
            "GET",
            "/",
            &[("X-Access", "ngx.exit(204)"), ("X-Body-Filter", body)],
            b"",
        )
        .is(204);
    client.get("/").is(200);
    assert!(
        !gateway.errors().contains("FILTERED"),
        "body_filter without a body"
    );
}

#[test]
fn d02_a_body_is_read_while_the_answer_leaves() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let code = "ngx.say('go on') ngx.flush(true) ngx.req.read_body() ngx.say(ngx.req.get_body_data())";
    let mut client = gateway.connect();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nX-Access: {code}\r\n\r\n"
    ));
    client.head().unwrap();
    assert_eq!(client.take(11), b"6\r\ngo on\n\r\n");
    client.stream.write_all(b"body").unwrap();
    assert_eq!(client.take(10), b"5\r\nbody\n\r\n");
    // a raw socket takes over where the flushed head ended
    let code = "ngx.header.content_length = 6 ngx.print('ab') ngx.flush(true) \
                local s = assert(ngx.req.socket(true)) assert(s:send('cd')) s:send(s:receive(2))";
    let mut client = begin(&gateway, "1.1", &[("X-Access", code)]);
    client.head().unwrap();
    assert_eq!(client.take(4), b"abcd");
    client.send("ef");
    assert_eq!(client.rest(), b"ef");
}
