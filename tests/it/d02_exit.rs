//! D2: what `ngx.exit` leads to, phase by phase.

use serde_json::json;

use crate::support::gateway::PROBE;
use crate::support::{Origin, Setup, service, with};

#[test]
fn d02_exit_answers_by_phase_and_status() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let ask = |phase: &str, lua: &str| gateway.get("/", &[(phase, lua)]);
    for phase in ["X-Rewrite", "X-Access"] {
        for status in [301u16, 401, 403, 404, 429, 500, 503] {
            let r = ask(phase, &format!("ngx.exit({status})"));
            assert_eq!(r.status, status, "{phase}");
            assert!(!r.text().is_empty(), "{phase} {status}");
        }
        assert_eq!(ask(phase, "ngx.exit(200)").text(), "");
        assert_eq!(ask(phase, "ngx.print('a') ngx.exit(404)").is(200).text(), "a");
        assert_eq!(
            ask(phase, "ngx.status = 207 ngx.print('a') ngx.exit(200)")
                .is(207)
                .text(),
            "a"
        );
        // what is no error of its own says nothing about the status that was sent
        let r = ask(phase, "ngx.status = 401 ngx.print('a') ngx.exit(200)");
        assert_eq!((r.status, &*r.text()), (401, "a"));
        assert!(!gateway.errors().contains("attempt to set status 200"));
        ask(phase, "ngx.status = 401 ngx.print('a') ngx.exit(403)").is(401);
        gateway.logged("attempt to set status 403 via ngx.exit after sending out the response status 401");
        // the phase is over, the request goes on
        let before = origin.seen().len();
        assert!(
            ask(phase, "ngx.exit(ngx.OK)")
                .is(200)
                .header("x-kong-upstream-latency")
                .is_some()
        );
        ask(phase, "ngx.exit(ngx.DECLINED)").is(200);
        assert_eq!(origin.seen().len(), before + 2);
        // nothing is answered where nobody is there, or is to be
        for (code, logged) in [("408", 408), ("444", 444), ("499", 499), ("ngx.ERROR", 0)] {
            let mut client = gateway.connect();
            client.send(format!(
                "GET /{code} HTTP/1.1\r\nHost: a\r\n{phase}: ngx.exit({code})\r\n\
                 X-Log: kong.log.err('CLOSED {phase} {code} ', ngx.status, '.')\r\n\r\n"
            ));
            assert!(client.try_answer(false).is_none(), "{code}");
            gateway.logged(&format!("CLOSED {phase} {code} {logged}."));
        }
        let mut client = gateway.connect();
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{phase}: ngx.print('a') ngx.exit(408)\r\n\r\n"
        ));
        assert!(client.try_answer(false).is_none());
    }
    // header_filter sees the answer that its exit leads to, which has lost the other's headers
    let filter = "ngx.header.x_seen = (ngx.header.x_seen or '') .. ngx.status ngx.exit(403)";
    let r = gateway
        .get(
            "/",
            &[
                ("X-Access", "ngx.header.x_gone = '1'"),
                ("X-Header-Filter", filter),
            ],
        )
        .is(403);
    assert!(r.header("x-gone").is_none() && r.text().contains("403 Forbidden"));
    assert_eq!(r.header("x-seen"), Some("403"));
    for code in [200u16, 201, 299, 304, 444, 499, 600] {
        let r = ask("X-Header-Filter", &format!("ngx.exit({code})")).is(code);
        assert!(r.body.is_empty() && r.complete, "{code}");
    }
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Header-Filter: ngx.exit(ngx.ERROR)\r\n\r\n");
    assert!(client.try_answer(false).is_none());
    // a status of those before 200 is no answer
    for phase in ["X-Rewrite", "X-Access"] {
        let mut client = gateway.connect();
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{phase}: ngx.exit(101)\r\n\r\n"
        ));
        assert!(client.try_answer(false).is_none());
    }
    ask("X-Header-Filter", "ngx.exit(ngx.OK)").is(200);
    ask("X-Log", "local ok, err = pcall(ngx.exit, 200) kong.log.err(err)").is(200);
    gateway.logged("API disabled in the context of log_by_lua*");
}

#[test]
fn d02_an_own_answer_that_the_client_has_is_not_sent_again() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let ask = |name: &str, value: &str| {
        let code = "kong.response.exit(200, 'body', { ETag = '\"x\"', ['Content-Type'] = 'a/b' })";
        gateway.get(
            "/",
            &[
                ("X-Access", code),
                (name, value),
                ("X-Header-Filter", "ngx.header.seen = ngx.status"),
            ],
        )
    };
    let r = ask("If-None-Match", "\"x\"").is(304);
    assert_eq!(
        (
            &*r.text(),
            r.header("seen"),
            r.header("etag"),
            r.header("content-type")
        ),
        ("", Some("304"), Some("\"x\""), None)
    );
    assert_eq!(ask("If-None-Match", "\"y\"").is(200).text(), "body");
    let r = ask("If-Match", "\"y\"").is(412);
    assert_eq!((r.header("seen"), r.header("etag")), (Some("412"), None));
    // what an upstream answers is its own to judge
    gateway
        .get(
            "/",
            &[
                ("If-None-Match", "*"),
                ("X-Header-Filter", "ngx.header.etag = '\"x\"'"),
            ],
        )
        .is(200);
}

#[test]
fn d02_a_status_line_says_what_nginx_says() {
    let origin = Origin::raw(|mut conn| {
        while let Some(seen) = conn.request() {
            let line = seen.header("x-line").unwrap_or("200 OK").to_owned();
            conn.send(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n"));
        }
    });
    let gateway = Setup::probe(origin.port).start();
    let line = |name: &str, value: &str| {
        let r = gateway.get("/", &[(name, value)]);
        r.head.lines().next().unwrap()[9..].to_owned()
    };
    for (status, phrase) in [
        (200, "200 OK"),
        (302, "302 Moved Temporarily"),
        (405, "405 Not Allowed"),
        (503, "503 Service Temporarily Unavailable"),
        (504, "504 Gateway Time-out"),
        (600, "600 "),
    ] {
        assert_eq!(line("X-Access", &format!("ngx.exit({status})")), phrase);
        // Kong's own function takes none above 599
        if status < 600 {
            assert_eq!(line("X-Access", &format!("kong.response.exit({status})")), phrase);
        }
    }
    // an upstream's own goes through, until another status is set
    for own in ["200 Fine", "302 Found", "299 Odd", "404 Nothing Here"] {
        assert_eq!(line("X-Line", own), own);
    }
    let r = gateway.get(
        "/",
        &[("X-Line", "200 Fine"), ("X-Header-Filter", "ngx.status = 201")],
    );
    assert!(r.head.starts_with("HTTP/1.1 201 Created"), "{}", r.head);
    let set = "require('ngx.resp').set_status(499, 'Own words') ngx.say('a')";
    assert_eq!(line("X-Access", set), "499 Own words");
}

#[test]
fn d02_a_body_that_does_not_come_ends_the_request() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port)
        .set("moongate_client_body_timeout", "400ms")
        .start();
    let read = "local ok = pcall(ngx.req.read_body) kong.log.warn('AFTER ', ok)";
    for (path, code) in [("/read", read), ("/streamed", "")] {
        let mut client = gateway.connect();
        client.send(format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX-Access: {code}\r\n\
             X-Log: kong.log.warn('LOGGED ', ngx.status, ' ', ngx.var.uri)\r\n\r\nhe"
        ));
        assert!(client.try_answer(false).is_none());
        gateway.logged(&format!("LOGGED 408 {path}"));
    }
    assert!(!gateway.errors().contains("AFTER"));
    gateway.get("/", &[]).is(200);
}

#[test]
fn d02_each_try_has_its_times() {
    let gateway = Setup::probe(crate::support::free_port()).start();
    let log =
        "kong.log.warn('TIMES ', ngx.var.upstream_response_time, '; ', ngx.var.upstream_header_time, '.')";
    gateway
        .get(
            "/",
            &[("X-Access", "kong.service.set_retries(2)"), ("X-Log", log)],
        )
        .is(502);
    let line = gateway.logged("TIMES ");
    let times = line.split_once("TIMES ").unwrap().1;
    let (response, rest) = times.split_once("; ").unwrap();
    assert_eq!(response.split(", ").count(), 3, "{line}");
    assert!(response.split(", ").all(|t| t.parse::<f64>().is_ok()), "{line}");
    assert!(rest.starts_with("-, -, -."), "{line}");
}

#[test]
fn d01_what_a_handler_leaves_in_delayed_response_is_the_answer() {
    const LATER: &str = "return { PRIORITY = -5, access = function() kong.log.err('LATER RAN') end,
      log = function() kong.log.err('LATER LOGS ', kong.response.get_status()) end }";
    for instrumentations in ["off", "all"] {
        let origin = Origin::echo();
        let config = with(with(service(origin.port), "probe", json!({})), "later", json!({}));
        let gateway = Setup::new(&config)
            .plugin("probe", PROBE)
            .plugin("later", LATER)
            .set("tracing_instrumentations", instrumentations)
            .start();
        let r = gateway
            .access(
                "assert(ngx.ctx.delay_response)
                 ngx.ctx.delayed_response = { status_code = 418, content = 'mine', headers = { ['X-Left'] = 'a' } }
                 ngx.ctx.delayed_response_callback = function(ctx)
                   local left = ctx.delayed_response
                   assert(ctx == ngx.ctx and not ctx.delay_response)
                   ngx.status = left.status_code ngx.header['X-Left'] = left.headers['X-Left']
                   ngx.print(left.content) return ngx.exit(left.status_code) end",
            )
            .is(418);
        assert_eq!((r.header("x-left"), &*r.text()), (Some("a"), "mine"));
        gateway.logged("LATER LOGS 418");
        // without a callback it is an error
        for content in ["{ message = 'sorry' }", "'sorry'"] {
            let left = format!(
                "ngx.ctx.delayed_response = {{ status_code = 409, content = {content}, headers = {{ ['X-Left'] = 'b' }} }}"
            );
            let r = gateway.access(&left).is(409);
            assert_eq!(r.header("x-left"), Some("b"));
            assert_eq!(r.json()["message"], "sorry");
        }
        gateway.logged("LATER LOGS 409");
        assert!(!gateway.errors().contains("LATER RAN"));
        assert!(origin.seen().is_empty());
        // what an exit of a subrequest left in the same ngx.ctx is the answer, too
        for (status, body) in [(200, "sub"), (404, "none")] {
            let code = format!(
                "if ngx.is_subrequest then kong.response.exit({status}, '{body}') end
                 ngx.location.capture('/x', {{ ctx = ngx.ctx }})"
            );
            assert_eq!(gateway.access(&code).is(status).text(), body);
        }
        gateway.access("ngx.ctx.delayed_response = false").is(200);
        gateway.logged("LATER RAN");
    }
}

#[test]
fn d02_no_connection_is_kept_after_an_exit_that_nginx_closes_at() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    for phase in ["X-Access", "X-Header-Filter"] {
        for code in [400u16, 403, 404, 413, 414, 497, 500, 501, 502, 503] {
            let closes = matches!(code, 400 | 413 | 414 | 497 | 500 | 501);
            let exit = format!("ngx.exit({code})");
            let mut client = gateway.connect();
            client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{phase}: {exit}\r\n\r\n"));
            let said = client
                .answer(false)
                .is(code)
                .header("connection")
                .map(str::to_owned);
            let wanted = if closes { "close" } else { "keep-alive" };
            assert_eq!(said.as_deref(), Some(wanted), "{phase} {code}");
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(client.try_answer(false).is_none(), closes, "{phase} {code}");
        }
    }
    // with a body it is the handler's answer
    let r = gateway
        .access("ngx.status = 500 ngx.print('own') ngx.exit(500)")
        .is(500);
    assert_eq!(r.header("connection"), Some("keep-alive"));
}

#[test]
fn d02_a_101_of_luas_leaves_as_one() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let mut client = gateway.connect();
    for sends in ["ngx.send_headers()", "ngx.send_headers() ngx.flush(true)"] {
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Access: ngx.status = 101 ngx.header.upgrade = 'mine' {sends} ngx.exit(101)\r\n\r\n"
        ));
        let head = client.head().unwrap();
        assert_eq!(
            (head.status, head.header("upgrade")),
            (101, Some("mine")),
            "{sends}"
        );
        assert_eq!(head.header("connection"), Some("upgrade"));
        assert!(head.header("content-length").is_none() && head.header("transfer-encoding").is_none());
        client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer(false).is(200).json()["path"], "/next");
    }
}
