//! The gateway's own error answers.

use serde_json::json;

use crate::support::{Dns, Gateway, Origin, Response, Setup, free_port, service};

fn id(r: &Response) -> String {
    r.header("x-kong-request-id").unwrap().to_owned()
}

fn empty() -> Gateway {
    Setup::new(&json!({ "_format_version": "3.0" })).start()
}

#[test]
fn a08_the_form_follows_accept() {
    let gateway = empty();
    let message = "no Route matched with those values";
    let json_body = |id: &str| format!("{{\n  \"message\":\"{message}\",\n  \"request_id\":\"{id}\"\n}}");
    for accept in [
        "application/json",
        "*/*",
        "text/json;q=0.1, application/json",
        "application/problem+json",
    ] {
        let r = gateway.get("/", &[("Accept", accept)]).is(404);
        assert_eq!(
            r.header("content-type"),
            Some("application/json; charset=utf-8"),
            "{accept}"
        );
        assert_eq!(r.text(), json_body(&id(&r)), "{accept}");
    }
    let r = gateway.get("/", &[("Accept", "text/plain")]).is(404);
    assert_eq!(r.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(r.text(), format!("{message}\nrequest_id: {}\n", id(&r)));
    let r = gateway.get("/", &[("Accept", "application/xml")]).is(404);
    assert_eq!(r.header("content-type"), Some("application/xml; charset=utf-8"));
    let want = format!(
        "<message>{message}</message>\n  <requestid>{}</requestid>",
        id(&r)
    );
    assert!(r.text().contains(&want), "{}", r.text());
    let r = gateway.get("/", &[("Accept", "text/html")]).is(404);
    assert_eq!(r.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(r.text().contains(&format!("<p>{message}.</p>")), "{}", r.text());
}

#[test]
fn a08_quality_values_decide() {
    let gateway = empty();
    let r = gateway.get("/", &[("Accept", "text/html;q=0.5, application/xml;q=0.9")]);
    assert_eq!(
        r.is(404).header("content-type"),
        Some("application/xml; charset=utf-8")
    );
}

#[test]
fn a08_grpc_gets_its_own_status() {
    let gateway = empty();
    // gRPC clients send no Accept
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nTE: trailers\r\n\r\n");
    let r = client.answer(false);
    assert_eq!(r.header("content-type"), Some("application/grpc"));
    assert!(r.header("grpc-status").is_some(), "{}", r.head);
    assert_eq!(
        r.header("grpc-message"),
        Some("no Route matched with those values")
    );
}

#[test]
fn a08_upstream_faults_have_kongs_messages() {
    let refused = free_port();
    let reset = Origin::raw(|mut conn| drop(conn.request()));
    let junk = Origin::answering("this is not HTTP\r\n\r\n");
    let silent = Origin::raw(|mut conn| {
        conn.request();
        std::thread::sleep(std::time::Duration::from_secs(5));
    });
    let mut config = json!({ "_format_version": "3.0", "services": [] });
    for (name, host, port) in [
        ("refused", "127.0.0.1", refused),
        ("reset", "127.0.0.1", reset.port),
        ("junk", "127.0.0.1", junk.port),
        ("silent", "127.0.0.1", silent.port),
        ("unresolved", "nowhere.invalid", 80),
    ] {
        config["services"].as_array_mut().unwrap().push(json!({
            "name": name, "host": host, "port": port, "retries": 0, "read_timeout": 300,
            "routes": [{ "name": name, "paths": [format!("/{name}")] }],
        }));
    }
    let dns = Dns::new();
    let gateway = Setup::new(&config)
        .set("dns_resolver", &dns.addr.to_string())
        .start();
    let invalid = "An invalid response was received from the upstream server";
    for (name, status, message) in [
        ("refused", 502, invalid),
        ("reset", 502, invalid),
        ("junk", 502, invalid),
        ("silent", 504, "The upstream server is timing out"),
        ("unresolved", 503, "name resolution failed"),
    ] {
        let r = gateway.get(&format!("/{name}"), &[]);
        assert_eq!(r.status, status, "{name}: {}", r.text());
        assert_eq!(r.json()["message"], message, "{name}");
        assert_eq!(r.json()["request_id"], id(&r), "{name}");
    }
    gateway.logged("refused");
    gateway.logged("nowhere.invalid");
}

#[test]
fn a08_routes_that_cannot_be_served() {
    let config = json!({ "_format_version": "3.0", "routes": [
        { "name": "tls", "paths": ["/tls"], "protocols": ["https"] },
        { "name": "moved", "paths": ["/moved"], "protocols": ["https"], "https_redirect_status_code": 301 },
        { "name": "none", "paths": ["/none"] },
    ] });
    let gateway = Setup::new(&config).start();
    let r = gateway.get("/tls", &[]).is(426);
    assert_eq!(r.json()["message"], "Please use HTTPS protocol");
    assert_eq!(r.header("upgrade"), Some("TLS/1.2, HTTP/1.1"));
    let r = gateway.get("/moved?x=1", &[("Host", "shop.test")]).is(301);
    assert_eq!(r.header("location"), Some("https://shop.test/moved?x=1"));
    let r = gateway.get("/none", &[]).is(503);
    assert_eq!(r.json()["message"], "no Service found with those values");
}

#[test]
fn a08_a_plugins_error_is_a_500_by_accept() {
    let gateway = Setup::probe(1).start();
    for (phase, accept, kind) in [
        ("x-rewrite", "application/json", "application/json; charset=utf-8"),
        ("x-access", "text/plain", "text/plain; charset=utf-8"),
        ("x-access", "text/html", "text/html; charset=utf-8"),
    ] {
        let r = gateway.get("/", &[(phase, "error('secret detail')"), ("Accept", accept)]);
        let r = r.is(500);
        assert_eq!(r.header("content-type"), Some(kind));
        assert!(r.text().contains("An unexpected error occurred"), "{}", r.text());
        assert!(!r.text().contains("secret"), "{}", r.text());
    }
    gateway.logged("secret detail");
}

#[test]
fn a08_exit_tables_have_no_request_id() {
    let gateway = Setup::probe(1).start();
    let r = gateway
        .access("kong.response.exit(401, { message = 'No' }, { ['X-Why'] = 'because' })")
        .is(401);
    assert_eq!(r.text(), r#"{"message":"No"}"#);
    assert_eq!(
        (r.header("x-why"), r.header("content-type")),
        (Some("because"), Some("application/json; charset=utf-8"))
    );
    let r = gateway.access("kong.response.error(418, 'short')").is(418);
    assert_eq!(r.json()["message"], "short");
    assert_eq!(r.json()["request_id"], id(&r));
}

#[test]
fn a08_a_404_asks_the_service_for_nothing() {
    let origin = Origin::echo();
    let mut config = service(origin.port);
    config["services"][0]["routes"][0]["paths"] = json!(["/only"]);
    let gateway = Setup::new(&config).start();
    gateway.get("/else", &[]).is(404);
    gateway.get("/only", &[]).is(200);
    assert_eq!(origin.seen().len(), 1);
}
