//! D2: the heads of responses as they stand on the wire: what they say of the connection, and what Lua sees of that.

use std::time::Duration;

use crate::support::{Client, Gateway, Origin, Setup};

fn ask(client: &mut Client, method: &str, version: &str, lines: &str) -> crate::support::Response {
    client.send(format!("{method} /a HTTP/{version}\r\nHost: a\r\n{lines}\r\n"));
    client.answer(method == "HEAD")
}

#[test]
fn d02_each_head_says_whether_the_connection_goes_on() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    // from the upstream, of one's own, in chunks, without a body, refused by nobody
    let kinds = [
        ("GET", ""),
        ("HEAD", ""),
        ("GET", "X-Access: ngx.say('x') ngx.exit(200)\r\n"),
        ("GET", "X-Access: ngx.exit(204)\r\n"),
        ("GET", "X-Access: ngx.exit(404)\r\n"),
        ("GET", "X-Access: kong.response.exit(500, 'x')\r\n"),
        ("GET", "X-Header-Filter: ngx.header.content_length = nil\r\n"),
        ("GET", "X-Access: ngx.say('x') ngx.flush(true) ngx.say('y')\r\n"),
        ("HEAD", "X-Access: ngx.say('x') ngx.flush(true) ngx.say('y')\r\n"),
    ];
    let mut client = gateway.connect();
    for (method, lines) in kinds {
        let r = ask(&mut client, method, "1.1", lines);
        assert_eq!(r.all("connection"), ["keep-alive"], "{lines} {}", r.head);
        assert!(r.header("keep-alive").is_none());
        let mut closed = gateway.connect();
        let r = ask(
            &mut closed,
            method,
            "1.1",
            &format!("{lines}Connection: close\r\n"),
        );
        assert_eq!(r.all("connection"), ["close"], "{lines} {}", r.head);
        assert!(closed.closed());
        // what Lua takes from the client's head changes nothing
        let mut kept = gateway.connect();
        let lines = format!("{lines}Connection: close\r\nX-Rewrite: ngx.req.clear_header('Connection')\r\n");
        let r = ask(&mut kept, method, "1.1", &lines);
        assert_eq!(r.all("connection"), ["close"]);
    }
    // Lua ends it
    let mut client = gateway.connect();
    let r = ask(
        &mut client,
        "GET",
        "1.1",
        "X-Header-Filter: ngx.header.connection = 'close'\r\n",
    );
    assert_eq!(r.all("connection"), ["close"]);
    assert!(client.closed());
    // a refused head
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nBad : 1\r\n\r\n");
    let r = client.answer(false).is(400);
    assert_eq!(r.all("connection"), ["close"]);
    assert!(client.closed());
}

#[test]
fn d02_clients_of_http_1_0_are_told_too() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    for lines in ["", "X-Access: ngx.say('x') ngx.exit(200)\r\n"] {
        let mut client = gateway.connect();
        let r = ask(&mut client, "GET", "1.0", lines);
        assert!(r.head.starts_with("HTTP/1.1 200 OK\r\n"), "as nginx: {}", r.head);
        assert_eq!(r.all("connection"), ["close"]);
        assert!(client.closed());
        let mut client = gateway.connect();
        for method in ["GET", "HEAD", "GET"] {
            let r = ask(
                &mut client,
                method,
                "1.0",
                &format!("{lines}Connection: keep-alive\r\n"),
            );
            assert_eq!(r.all("connection"), ["keep-alive"], "{}", r.head);
        }
    }
    // one whose length is not known ends with the connection
    let mut client = gateway.connect();
    let lines = "Connection: keep-alive\r\nX-Header-Filter: ngx.header.content_length = nil\r\n";
    let r = ask(&mut client, "GET", "1.0", lines);
    assert_eq!(r.all("connection"), ["close"]);
    assert!(r.header("content-length").is_none() && r.header("transfer-encoding").is_none());
    assert!(r.text().ends_with('}') && client.closed());
}

#[test]
fn d02_lua_sees_what_becomes_of_the_connection() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let see = "local h = ngx.resp.get_headers() local v = ngx.var \
               kong.log.warn('SEEN ', conf.tag, h.connection, ' ', h['transfer-encoding'], ' ', v.sent_http_connection, ' ', \
               v.sent_http_transfer_encoding, ' ', v.sent_http_keep_alive, ' ', ngx.get_phase())";
    let seen = |lines: &str, expected: &str| {
        let mut client = gateway.connect();
        ask(&mut client, "GET", "1.1", &format!("X-Log: {see}\r\n{lines}"));
        gateway.logged(&format!("SEEN {expected}"));
    };
    let gone = "X-Header-Filter: ngx.header.content_length = nil\r\n";
    seen("", "nilkeep-alive nil keep-alive nil nil log");
    seen(gone, "nilkeep-alive chunked keep-alive chunked nil log");
    seen("Connection: close\r\n", "nilclose nil close nil nil log");
    // before the head is made
    let r = gateway.get(
        "/",
        &[(
            "X-Access",
            "ngx.say(ngx.var.sent_http_connection, ' ', ngx.resp.get_headers().connection)",
        )],
    );
    assert_eq!(r.text(), "keep-alive keep-alive\n");
    let r = gateway.get(
        "/",
        &[(
            "X-Access",
            "ngx.status = 101 local a, b = ngx.var.sent_http_connection, ngx.resp.get_headers().connection \
        ngx.status = 200 ngx.say(a, ' ', b)",
        )],
    );
    assert_eq!(r.text(), "upgrade upgrade\n");
}

#[test]
fn d02_heads_keep_their_places_among_pipelined_bodies() {
    let origin = Origin::replying(|seen| {
        let n: usize = seen
            .line()
            .split('/')
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let body = "HTTP/1.1 200 OK\r\n\r\n".repeat(n);
        match n % 3 {
            0 => format!("HTTP/1.1 200 OK\r\nX-N: {n}\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
            1 => format!("HTTP/1.1 200 OK\r\nX-N: {n}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
            _ => format!("HTTP/1.1 204 No Content\r\nX-N: {n}\r\n\r\n"),
        }
        .into()
    });
    let gateway = Setup::probe(origin.port).start();
    // bodies that look like heads, some larger than what sockets hold, to a client that reads late
    let sizes = [2, 3, 0, 5, 100_000, 2, 2, 99_999, 1, 8, 11, 100_002, 4];
    let mut client = gateway.connect();
    let all: String = sizes
        .map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n"))
        .concat();
    client.send(all);
    std::thread::sleep(Duration::from_millis(500));
    for n in sizes {
        let r = client.answer(false);
        assert_eq!(r.all("x-n"), [n.to_string()]);
        assert_eq!(r.all("connection"), ["keep-alive"]);
        assert!(r.complete);
        if n % 3 != 2 {
            assert_eq!(r.body.len(), n * 19);
        }
    }
}

#[test]
fn d02_a_head_stands_behind_100_continue() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let mut client = gateway.connect();
    for _ in 0..3 {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
        let first = client.head().unwrap();
        assert_eq!(first.head, "HTTP/1.1 100 Continue\r\n\r\n");
        client.send("ab");
        let r = client.answer(false).is(200);
        assert_eq!(
            (r.json()["body"].as_str(), r.all("connection")),
            (Some("ab"), vec!["keep-alive"])
        );
    }
    // asked for and not waited for: both leave at once
    let lua = "ngx.req.discard_body() ngx.say('done') ngx.exit(200)";
    let mut client = gateway.connect();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\nX-Access: {lua}\r\n\r\nab"
    ));
    let r = client.answer(false).is(200);
    assert_eq!((r.text().as_str(), r.all("connection").len()), ("done\n", 1));
}

#[test]
fn d02_connections_last_as_long_as_they_are_said_to() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port)
        .set("nginx_http_keepalive_requests", "3")
        .set("nginx_proxy_keepalive_timeout", "75s 70s")
        .start();
    for version in ["1.1", "1.0"] {
        let mut client = gateway.connect();
        let lines = "Connection: keep-alive\r\nX-Header-Filter: ngx.header.x_told = ngx.var.sent_http_keep_alive or 'no'\r\n";
        for n in 1..=3 {
            let r = ask(&mut client, "GET", version, lines);
            let expected = if n < 3 {
                ("keep-alive", Some("timeout=70"), "timeout=70")
            } else {
                ("close", None, "no")
            };
            assert_eq!(
                (
                    r.header("connection").unwrap(),
                    r.header("keep-alive"),
                    r.header("x-told").unwrap()
                ),
                expected
            );
        }
        assert!(client.closed());
    }
    let gateway = Setup::probe(origin.port)
        .set("moongate_keepalive_timeout", "0")
        .start();
    let mut client = gateway.connect();
    assert_eq!(ask(&mut client, "GET", "1.1", "").all("connection"), ["close"]);
    assert!(client.closed());
}

#[test]
fn d02_names_leave_as_they_are_spelled() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nx-lower: 1\r\nX-UPPER: 2\r\nX-Usual: 3\r\nx-MiXed: 4\r\nETag: \"5\"\r\ncontent-type: a/b\r\n\
         x_under: 6\r\nset-COOKIE: a=1\r\nset-COOKIE: b=2\r\ncontent-length: 2\r\n\r\nok",
    );
    let gateway = Setup::probe(origin.port).start();
    let mut client = gateway.connect();
    let names = |lines: &str, client: &mut Client| {
        client.send(format!(
            "GET /a HTTP/1.1\r\nhOsT: a\r\nx-FORWARD-me: 1\r\n{lines}\r\n"
        ));
        let r = client.answer(false).is(200);
        r.headers.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    let upstreams = [
        "x-lower",
        "X-UPPER",
        "X-Usual",
        "x-MiXed",
        "ETag",
        "Content-Type",
        "x_under",
        "set-COOKIE",
        "set-COOKIE",
    ];
    for _ in 0..2 {
        let all = names("", &mut client);
        assert_eq!(all[..upstreams.len()], upstreams);
        assert!(
            all.contains(&"Content-Length".into()) && all.contains(&"X-Kong-Request-Id".into()),
            "{all:?}"
        );
        assert!(origin.last().head.contains("x-FORWARD-me: 1\r\n"));
    }
    // before the answer and after it, by ngx and by kong, one and many; what is there keeps its spelling
    for (phase, lua, wanted, gone) in [
        ("Access", "ngx.header['X-aB'] = 1", "X-aB", "X-Ab"),
        (
            "Access",
            "ngx.header.x_some_thing = 1",
            "x-some-thing",
            "X-Some-Thing",
        ),
        (
            "Access",
            "ngx.header['x-Before'] = 1 ngx.header['X-BEFORE'] = 2",
            "x-Before",
            "X-BEFORE",
        ),
        ("Access", "ngx.header['x-LOWER'] = 1", "x-LOWER", "x-lower"),
        (
            "Header-Filter",
            "ngx.header['X-Lower'] = { 1, 2 }",
            "x-lower",
            "X-Lower",
        ),
        (
            "Header-Filter",
            "kong.response.set_header('x-uPPER', 1)",
            "X-UPPER",
            "x-uPPER",
        ),
        (
            "Header-Filter",
            "kong.response.add_header('x-nEw', '1')",
            "x-nEw",
            "X-New",
        ),
        (
            "Header-Filter",
            "kong.response.set_headers { ['x-one-TWO'] = '1' }",
            "x-one-TWO",
            "X-One-Two",
        ),
        (
            "Header-Filter",
            "ngx.header['x-UPPER'] = nil ngx.header['x-uPPER'] = 1",
            "x-uPPER",
            "X-UPPER",
        ),
        ("Header-Filter", "ngx.header['x-a b'] = 1", "X-A%20b", "x-a b"),
        (
            "Access",
            "kong.response.exit(200, 'x', { ['x-eXit'] = '1' })",
            "x-eXit",
            "X-Exit",
        ),
        (
            "Access",
            "ngx.header['x-PRINT'] = 1 ngx.print('x') ngx.exit(200)",
            "x-PRINT",
            "X-Print",
        ),
    ] {
        let all = names(&format!("X-{phase}: {lua}\r\n"), &mut client);
        assert!(
            all.contains(&wanted.into()) && !all.contains(&gone.into()),
            "{lua} {all:?}"
        );
    }
    // what Lua sees of it
    let lua = "local h = ngx.resp.get_headers(0, true) ngx.header.x_seen = tostring(h['x-lower']) .. tostring(h['X-Lower']) .. \
               tostring(h['X-UPPER']) .. tostring(h['X-Usual']) .. tostring(h.ETag)";
    client.send(format!(
        "GET /a HTTP/1.1\r\nHost: a\r\nX-Header-Filter: {lua}\r\n\r\n"
    ));
    assert_eq!(client.answer(false).header("x-seen"), Some("1nil23\"5\""));
    let lua = "local r = ngx.location.capture('/in') local all = {} for n in pairs(r.header) do all[#all + 1] = n end table.sort(all) \
               ngx.say(table.concat(all, ' '), ' ', r.header['x-lower'], r.header['X-Lower']) ngx.exit(200)";
    client.send(format!(
        "GET /a HTTP/1.1\r\nHost: a\r\nX-Access: if ngx.is_subrequest then return end {lua}\r\n\r\n"
    ));
    let seen = client.answer(false).is(200).text();
    assert!(
        seen.contains(" x-MiXed x-lower") && seen.contains("X-UPPER") && seen.ends_with(" 11\n"),
        "{seen}"
    );
}

fn draining(gateway: &Gateway) -> Vec<String> {
    let lua = "kong.log.warn('WAITS') ngx.sleep(0.5) ngx.say('x') ngx.exit(200)";
    let mut client = gateway.connect();
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Access: {lua}\r\n\r\n"));
    gateway.logged("WAITS");
    gateway.signal("QUIT");
    let r = client.answer(false).is(200);
    assert!(client.closed());
    r.all("connection").iter().map(ToString::to_string).collect()
}

#[test]
fn d02_a_gateway_that_ends_says_so() {
    let origin = Origin::echo();
    assert_eq!(draining(&Setup::probe(origin.port).start()), ["close"]);
}
