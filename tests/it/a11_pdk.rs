//! The PDK over sockets: what plugins say is what the upstream and the client see.

use serde_json::json;

use crate::support::{Gateway, Origin, Response, Setup, service, with};

fn gateway(origin: &Origin) -> Gateway {
    Setup::probe(origin.port).start()
}

/// Runs Lua in access and gives what the echo upstream saw of it.
fn upstream(gateway: &Gateway, lua: &str) -> Response {
    gateway.access(lua).is(200)
}

/// The values of Lua expressions, in the access phase.
fn values(gateway: &Gateway, path: &str, headers: &[(&str, &str)], exprs: &str) -> serde_json::Value {
    let code = crate::support::gateway::one_line(&format!(
        "local function pack(...) local t = {{}} for i = 1, select('#', ...) do local v = select(i, ...)
         if v == nil then v = 'NIL' end t[i] = v end return t end
         kong.response.exit(200, pack({exprs}))"
    ));
    let mut all = vec![("x-access", code.as_str())];
    all.extend_from_slice(headers);
    gateway.get(path, &all).is(200).json()
}

#[test]
fn a11_set_target_and_set_upstream() {
    let (one, two) = (Origin::echo(), Origin::echo());
    let mut config = with(service(one.port), "probe", json!({}));
    config["upstreams"] = json!([{ "name": "other.upstream",
        "targets": [{ "target": format!("127.0.0.1:{}", two.port) }] }]);
    let gateway = Setup::new(&config)
        .plugin("probe", crate::support::gateway::PROBE)
        .start();
    gateway
        .access(&format!("kong.service.set_target('127.0.0.1', {})", two.port))
        .is(200);
    assert_eq!((one.seen().len(), two.seen().len()), (0, 1));
    assert_eq!(
        two.last().header("host"),
        Some("127.0.0.1"),
        "the bare host, no port"
    );
    gateway
        .access("assert(kong.service.set_upstream('other.upstream'))")
        .is(200);
    assert_eq!((one.seen().len(), two.seen().len()), (0, 2));
    let r = gateway.access(
        "local ok, err = kong.service.set_upstream('missing') kong.response.exit(200, { tostring(ok), err })",
    );
    assert_eq!(r.is(200).json()[0], "nil");
    let r = gateway
        .access("kong.service.set_target('127.0.0.1', 70000)")
        .is(500);
    assert!(!r.text().is_empty());
    gateway.logged("port must be an integer between 0 and 65535: given 70000");
}

#[test]
fn a11_service_request_line() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let r = upstream(&gateway, "kong.service.request.set_path('/new/path')");
    assert_eq!(r.json()["path"], "/new/path");
    let r = upstream(&gateway, "kong.service.request.set_raw_query('a=1&b=%20')");
    assert_eq!(r.json()["query"], "a=1&b=%20");
    let r = upstream(
        &gateway,
        "kong.service.request.set_query({ b = { 'x y', 2 }, a = true })",
    );
    assert_eq!(r.json()["query"], "a&b=x%20y&b=2");
    let r = upstream(&gateway, "kong.service.request.set_method('PUT')");
    assert_eq!(r.json()["method"], "PUT");
    let r = upstream(
        &gateway,
        "kong.service.request.set_path('/p') kong.service.request.set_raw_query('') kong.service.request.set_scheme('http')",
    );
    assert_eq!(
        (&r.json()["path"], &r.json()["query"]),
        (&json!("/p"), &json!(""))
    );
}

#[test]
fn a11_service_request_headers() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let r = gateway
        .get(
            "/",
            &[
                ("X-Dup", "1"),
                ("x-dup", "2"),
                ("X-Gone", "1"),
                ("x-access", "local s = kong.service.request s.set_header('X-Set', 'v') s.set_header('X-Dup', 'one') s.add_header('X-Add', 'a') s.add_header('x-add', 'b') s.clear_header('x-gone') s.set_headers({ ['X-M1'] = 1, ['X-M2'] = { 'p', 'q' }, ['X-B'] = true }) s.set_header('Host', 'own.test:99')"),
            ],
        )
        .is(200);
    assert_eq!(r.seen_all("x-set"), ["v"]);
    assert_eq!(r.seen_all("x-dup"), ["one"]);
    assert_eq!(r.seen_all("x-add"), ["a", "b"]);
    assert_eq!(r.seen("x-gone"), None);
    assert_eq!(r.seen_all("x-m1"), ["1"]);
    assert_eq!(r.seen_all("x-m2"), ["p", "q"]);
    assert_eq!(r.seen_all("x-b"), ["true"]);
    assert_eq!(r.seen_all("host"), ["own.test:99"]);
}

#[test]
fn a11_service_request_bodies() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let r = upstream(&gateway, "kong.service.request.set_raw_body('raw \\0 body')");
    assert_eq!(r.json()["body"], "raw \0 body");
    for (kind, body) in [
        ("application/json", r#"{"a":1}"#),
        ("application/x-www-form-urlencoded", "a=1"),
    ] {
        let r = upstream(
            &gateway,
            &format!("assert(kong.service.request.set_body({{ a = 1 }}, '{kind}'))"),
        );
        assert_eq!(r.json()["body"], body);
        assert_eq!(r.seen("content-type").as_deref(), Some(kind));
        assert_eq!(r.seen("content-length").unwrap(), body.len().to_string());
    }
    let mut client = gateway.connect();
    let code = "local b = kong.request.get_body() b.n = b.n + 1
        assert(kong.service.request.set_body(b))";
    let code = crate::support::gateway::one_line(code);
    let r = client.ask(
        "POST",
        "/",
        &[("x-access", &code), ("Content-Type", "application/json")],
        br#"{"n":1}"#,
    );
    assert_eq!(r.is(200).json()["body"], r#"{"n":2}"#);
}

#[test]
fn a11_request_getters() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let got = values(
        &gateway,
        "/p%61th/x?a=1&b=x%20y&a=2&flag",
        &[
            ("Host", "Shop.test:81"),
            ("X-One", "1"),
            ("X-Many", "a"),
            ("X-Many", "b"),
            ("X_Under", "u"),
        ],
        "kong.request.get_scheme(), kong.request.get_host(), kong.request.get_method(),
         kong.request.get_path(), kong.request.get_raw_path(), kong.request.get_path_with_query(),
         kong.request.get_raw_query(), kong.request.get_query_arg('a'), kong.request.get_query_arg('b'),
         kong.request.get_query_arg('flag'), kong.request.get_query_arg('none'),
         kong.request.get_query().a, kong.request.get_header('x-one'), kong.request.get_header('x-many'),
         kong.request.get_header('none'), kong.request.get_headers()['x-one'],
         kong.request.get_http_version(), kong.request.get_forwarded_scheme(),
         kong.request.get_forwarded_host(), kong.request.get_forwarded_path(),
         type(kong.request.get_start_time())",
    );
    assert_eq!(
        got,
        json!([
            "http",
            "shop.test",
            "GET",
            "/path/x",
            "/p%61th/x",
            "/p%61th/x?a=1&b=x%20y&a=2&flag",
            "a=1&b=x%20y&a=2&flag",
            "1",
            "x y",
            true,
            "NIL",
            ["1", "2"],
            "1",
            "a",
            "NIL",
            "1",
            1.1,
            "http",
            "shop.test",
            "/path/x",
            "number"
        ])
    );
    let got = values(
        &gateway,
        "/",
        &[],
        "kong.request.get_port(), kong.client.get_port() > 0",
    );
    assert_eq!(got, json!([gateway.port, true]));
}

#[test]
fn a11_request_bodies() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let mut client = gateway.connect();
    let mut ask = |kind: &str, body: &str| {
        let code = "local t, err, mime = kong.request.get_body()
            kong.response.exit(200, { raw = kong.request.get_raw_body(), t = t, err = err, mime = mime })";
        let code = crate::support::gateway::one_line(code);
        let headers = [("x-access", code.as_str()), ("Content-Type", kind)];
        client.ask("POST", "/", &headers, body.as_bytes()).is(200).json()
    };
    assert_eq!(
        ask("application/x-www-form-urlencoded", "a=1&b=2"),
        json!({ "raw": "a=1&b=2", "t": { "a": "1", "b": "2" }, "mime": "application/x-www-form-urlencoded" })
    );
    let seen = ask("application/json; charset=utf-8", r#"{"a":[1]}"#);
    assert_eq!(seen["t"], json!({ "a": [1] }));
    assert_eq!(
        ask("text/plain", "x")["err"],
        "unsupported content type 'text/plain'"
    );
    assert_eq!(ask("application/json", "{")["err"], "invalid json body");
    let big = "x".repeat(100_000);
    let r = client.ask(
        "POST",
        "/",
        &[(
            "x-access",
            "kong.response.exit(200, #(kong.request.get_raw_body() or '') .. '')",
        )],
        big.as_bytes(),
    );
    assert!(["100000", "0"].contains(&r.is(200).text().as_str()));
}

#[test]
fn a11_response_in_header_filter() {
    let origin = Origin::answering(
        "HTTP/1.1 201 Created\r\nX-Up: 1\r\nX-Gone: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok",
    );
    let gateway = gateway(&origin);
    let code = "local r = kong.response r.set_status(r.get_status() + 1) r.set_header('X-Was', r.get_header('x-up'))
        r.clear_header('x-gone') r.add_header('Set-Cookie', 'c=3') r.set_headers({ ['X-List'] = { 'a', 'b' } })
        r.set_header('X-Source', r.get_source()) r.set_header('X-Cookies', #r.get_headers()['set-cookie'])
        r.set_header('X-Service', kong.service.response.get_status())";
    let code = crate::support::gateway::one_line(code);
    let r = gateway.get("/", &[("x-header-filter", &code)]).is(202);
    assert_eq!(r.header("x-was"), Some("1"));
    assert_eq!(r.header("x-gone"), None);
    assert_eq!(r.all("set-cookie"), ["a=1", "b=2", "c=3"]);
    assert_eq!(r.all("x-list"), ["a", "b"]);
    assert_eq!(r.header("x-source"), Some("service"));
    assert_eq!(r.header("x-cookies"), Some("3"));
    assert_eq!(r.header("x-service"), Some("201"));
}

#[test]
fn a11_sources_of_responses() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let mark = "kong.response.set_header('X-Source', kong.response.get_source())";
    for (access, source) in [
        ("kong.response.exit(200)", "exit"),
        ("error('x')", "error"),
        ("local _ = 1", "service"),
    ] {
        let r = gateway.get("/", &[("x-access", access), ("x-header-filter", mark)]);
        assert_eq!(r.header("x-source"), Some(source), "{access}");
    }
}

#[test]
fn a11_contexts_last_for_a_request() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let headers = [
        (
            "x-access",
            "assert(not kong.ctx.shared.a and not kong.ctx.plugin.b and not ngx.ctx.c) kong.ctx.shared.a = 1 kong.ctx.plugin.b = 2 ngx.ctx.c = 3",
        ),
        (
            "x-header-filter",
            "kong.response.set_header('X-Sum', kong.ctx.shared.a + kong.ctx.plugin.b + ngx.ctx.c)",
        ),
    ];
    let mut client = gateway.connect();
    for _ in 0..3 {
        let r = client.ask("GET", "/", &headers, b"").is(200);
        assert_eq!(r.header("x-sum"), Some("6"));
    }
}

#[test]
fn a11_router_and_client() {
    let origin = Origin::echo();
    let mut config = with(service(origin.port), "probe", json!({}));
    config["consumers"] = json!([{ "username": "bob", "custom_id": "b1" }]);
    let gateway = Setup::new(&config)
        .plugin("probe", crate::support::gateway::PROBE)
        .start();
    let got = values(
        &gateway,
        "/",
        &[],
        "kong.router.get_route().name, kong.router.get_route().paths[1], kong.router.get_service().name,
         kong.router.get_service().port, tostring(kong.client.get_consumer()), tostring(kong.client.get_credential())",
    );
    assert_eq!(got, json!(["r", "/", "s", origin.port, "nil", "nil"]));
    let got = values(
        &gateway,
        "/",
        &[],
        "(function() kong.client.authenticate({ id = 'i', username = 'bob' }, { id = 'c' })
            return kong.client.get_consumer().username end)(), kong.client.get_credential().id",
    );
    assert_eq!(got, json!(["bob", "c"]));
}

#[test]
fn a11_phase_checks_have_kongs_words() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    for (phase, code, words) in [
        (
            "x-access",
            "kong.response.get_status()",
            "function cannot be called in access phase (only in:",
        ),
        (
            "x-header-filter",
            "kong.service.set_target('a', 1)",
            "function cannot be called in header_filter phase (only in:",
        ),
        (
            "x-log",
            "kong.response.set_header('a', 'b')",
            "function cannot be called in log phase (only in:",
        ),
        (
            "x-rewrite",
            "kong.client.get_consumer()",
            "function cannot be called in rewrite phase (only in:",
        ),
    ] {
        gateway.get("/", &[(phase, code)]);
        gateway.logged(words);
    }
}

#[test]
fn a11_what_is_not_there_says_so() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    gateway.access("kong.service.set_tls_verify(true) kong.cluster.get_id()");
    gateway.get("/", &[]).is(200);
    assert_eq!(
        gateway
            .access("require('resty.kong.tls').get_ssl_pointer()")
            .status,
        500
    );
    gateway.logged("not supported: ");
}

#[test]
fn a11_say_in_access_answers_itself() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let r = gateway
        .access("ngx.header['X-Mine'] = '1' ngx.status = 202 ngx.say('said')")
        .is(202);
    assert_eq!((r.text().as_str(), r.header("x-mine")), ("said\n", Some("1")));
    let r = gateway.access("ngx.print('a') ngx.exit(200)").is(200);
    assert_eq!(r.text(), "a");
    assert!(origin.seen().is_empty());
}

#[test]
fn a11_log_serialize() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let code = "local s = kong.log.serialize() kong.log.err('LOGGED ', require('cjson').encode({
        s.response.status, s.request.method, s.request.uri, s.client_ip, s.route.name, s.service.name,
        type(s.latencies.request), type(s.started_at), s.request.headers['x-secret'] or 'none' }))";
    let code = crate::support::gateway::one_line(code);
    gateway
        .get("/path?x=1", &[("x-log", &code), ("X-Secret", "s")])
        .is(200);
    let line = gateway.logged("LOGGED");
    assert!(
        line.contains(r#"[200,"GET","\/path?x=1","127.0.0.1","r","s","number","number","s"]"#)
            || line.contains(r#"[200,"GET","/path?x=1","127.0.0.1","r","s","number","number","s"]"#),
        "{line}"
    );
}

#[test]
fn a11_ctx_has_what_the_router_found() {
    let origin = Origin::echo();
    let mut config = with(service(origin.port), "probe", json!({}));
    config["services"][0]["path"] = json!("/base");
    config["services"][0]["routes"] = json!([{ "name": "shop", "paths": ["~/shop/(?<id>\\d+)", "/"] }]);
    let gateway = Setup::new(&config)
        .plugin("probe", crate::support::gateway::PROBE)
        .start();
    let exprs = "ngx.ctx.route.name, ngx.ctx.service.path, ngx.ctx.route == kong.router.get_route(),
        ngx.ctx.router_matches.uri_captures and ngx.ctx.router_matches.uri_captures.id";
    assert_eq!(
        values(&gateway, "/shop/42", &[], exprs),
        json!(["shop", "/base", true, "42"])
    );
    assert_eq!(
        values(&gateway, "/plain", &[], exprs),
        json!(["shop", "/base", true, "NIL"])
    );
}
