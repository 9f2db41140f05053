//! Client certificates: asked for or not, their chains and results, the variables, the log's part; sessions.

use serde_json::{Value, json};

use crate::support::certs::{Ca, Cert, Leaf};
use crate::support::listener::{Secured, configuration, default_cert, s_client, start};
use crate::support::tls_client::TlsConnection;
use crate::support::{Origin, TempDir, TlsClient};

/// A gateway that asks for certificates of `ca` (none: of anybody).
fn asking(origin: &Origin, ca: Option<&Ca>) -> Secured {
    let lua = match ca {
        None => "assert(kong.client.tls.request_client_certificate())".to_owned(),
        Some(ca) => format!(
            "local chain = assert(ssl.parse_pem_cert([[{}]]))
             assert(kong.client.tls.request_client_certificate(chain))",
            ca.pem()
        ),
    };
    let phases = json!({ "certificate": format!("if ssl.server_name() ~= 'open.test' then {lua} end") });
    start(&configuration(origin.port, phases, json!({})), &[&default_cert()])
}

fn ask(client: &mut TlsConnection, lua: &str) -> Value {
    let lua = crate::support::gateway::one_line(lua);
    client.ask("GET", "/", &[("x-access", &lua)], b"").is(200).json()
}

const RESULT: &str = "return ngx.var.ssl_client_verify, kong.client.tls.get_full_client_certificate_chain()";

#[test]
fn c07_client_certificates_and_what_comes_of_them() {
    let origin = Origin::echo();
    let ca = Ca::new("Client root");
    let between = ca.intermediate("Between");
    let g = asking(&origin, Some(&ca));
    let good = ca.issue(&Leaf::named("good"));
    let cases: [(&Cert, &str); 5] = [
        (&good, "SUCCESS"),
        // the PDK asks with a depth of 0
        (
            &between.issue(&Leaf::named("deep")),
            "FAILED:unable to get local issuer certificate",
        ),
        (
            &Ca::new("Other root").issue(&Leaf::named("other")),
            "FAILED:unable to verify the first certificate",
        ),
        (
            &Leaf::named("own").self_signed(),
            "FAILED:self-signed certificate",
        ),
        (
            &ca.issue(&Leaf::named("old").expired()),
            "FAILED:certificate has expired",
        ),
    ];
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        for (cert, result) in cases {
            let mut client = TlsClient::versions(&[version])
                .showing(cert)
                .connect(g.tls, "a.test");
            let told = ask(&mut client, RESULT);
            assert_eq!(told, json!([result, cert.chain_pem()]), "{}", cert.common_name());
        }
        let mut client = TlsClient::versions(&[version]).connect(g.tls, "a.test");
        assert_eq!(ask(&mut client, RESULT), json!(["NONE"]));
        // not asked: not sent
        let mut client = TlsClient::versions(&[version])
            .showing(&good)
            .connect(g.tls, "open.test");
        assert_eq!(ask(&mut client, RESULT), json!(["NONE"]));
    }
    let plain = g.gateway.get(
        "/",
        &[(
            "x-access",
            "return kong.client.tls.get_full_client_certificate_chain()",
        )],
    );
    let told = plain.is(200).json();
    assert_eq!(
        told[1], "connection is not TLS or TLS support for Nginx not enabled",
        "{told}"
    );
}

#[test]
fn c07_the_client_is_told_the_authorities() {
    let origin = Origin::echo();
    let g = asking(&origin, Some(&Ca::new("Client root")));
    let shown = s_client(g.tls, &["-servername", "a.test"]);
    assert!(
        shown.contains("Acceptable client certificate CA names"),
        "{shown}"
    );
    assert!(shown.contains("CN = Client root"), "{shown}");
    let shown = s_client(g.tls, &["-servername", "open.test"]);
    assert!(shown.contains("No client certificate CA names sent"), "{shown}");
    let g = asking(&origin, None);
    let shown = s_client(g.tls, &["-servername", "a.test"]);
    assert!(shown.contains("No client certificate CA names sent"), "{shown}");
    let stranger = Leaf::named("stranger").self_signed();
    let mut client = TlsClient::new().showing(&stranger).connect(g.tls, "a.test");
    assert_eq!(ask(&mut client, RESULT)[0], "FAILED:self-signed certificate");
}

#[test]
fn c07_a_certificate_without_its_key_is_no_identity() {
    let origin = Origin::echo();
    let ca = Ca::new("Client root");
    let g = asking(&origin, Some(&ca));
    let mut stolen = ca.issue(&Leaf::named("stolen"));
    stolen.key = ca.issue(&Leaf::named("thief")).key;
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let client = TlsClient::versions(&[version]).showing(&stolen);
        // TLS 1.3 clients are done before the server has looked
        let answered = client
            .try_connect(g.tls, "a.test")
            .ok()
            .and_then(|mut c| c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").try_answer(false));
        assert!(answered.is_none(), "{}", answered.unwrap().head);
    }
    let line = g
        .gateway
        .logged("SSL_do_handshake() failed (SSL: error:0A00007B:SSL routines::bad signature)");
    assert!(line.contains("[crit]"), "{line}");
}

#[test]
fn c07_the_ssl_variables() {
    let origin = Origin::echo();
    let ca = Ca::new("Client root");
    let g = asking(&origin, Some(&ca));
    let cert = ca.issue(&Leaf::named("client, of \"Müller\"").san(&[]));
    let dir = TempDir::new();
    let file = dir.write("cert.pem", &cert.pem());
    let openssl = |args: &[&str]| {
        let out = std::process::Command::new("openssl")
            .args(["x509", "-noout", "-in"])
            .arg(&file)
            .args(args)
            .output()
            .unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        text.trim().split_once('=').unwrap().1.trim().to_owned()
    };
    let mut client = TlsClient::versions(&[&rustls::version::TLS13])
        .showing(&cert)
        .alpn(&["h2", "http/1.1"])
        .connect(g.tls, "a.test");
    let names = [
        "ssl_protocol",
        "ssl_cipher",
        "ssl_curve",
        "ssl_server_name",
        "ssl_session_reused",
        "ssl_alpn_protocol",
        "ssl_client_verify",
        "ssl_client_s_dn",
        "ssl_client_i_dn",
        "ssl_client_serial",
        "ssl_client_fingerprint",
        "ssl_client_v_start",
        "ssl_client_v_end",
        "ssl_client_v_remain",
        "ssl_client_raw_cert",
        "ssl_client_cert",
        "ssl_client_escaped_cert",
        "scheme",
        "https",
    ];
    let list = names.map(|n| format!("ngx.var.{n}")).join(", ");
    let told = ask(&mut client, &format!("return {list}"));
    let pem = cert.pem();
    let want = [
        "TLSv1.3".to_owned(),
        "TLS_AES_256_GCM_SHA384".into(),
        "X25519".into(),
        "a.test".into(),
        ".".into(),
        "http/1.1".into(),
        "SUCCESS".into(),
        openssl(&["-subject", "-nameopt", "RFC2253"]),
        openssl(&["-issuer", "-nameopt", "RFC2253"]),
        openssl(&["-serial"]),
        openssl(&["-fingerprint", "-sha1"])
            .replace(':', "")
            .to_lowercase(),
        openssl(&["-startdate"]),
        openssl(&["-enddate"]),
        told[13]
            .as_str()
            .filter(|d| ["89", "90"].contains(d))
            .unwrap_or("89 or 90")
            .into(),
        pem.clone(),
        pem.trim_end().replace('\n', "\n\t"),
        pem.replace('\n', "%0A")
            .replace(' ', "%20")
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D"),
        "https".into(),
        "on".into(),
    ];
    for (i, name) in names.iter().enumerate() {
        assert_eq!(told[i].as_str(), Some(want[i].as_str()), "{name}: {told}");
    }
    let offered = ask(
        &mut client,
        "return ngx.var.ssl_ciphers, ngx.var.ssl_curves, ngx.var.ssl_early_data",
    );
    assert!(
        offered[0]
            .as_str()
            .unwrap()
            .starts_with("TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:")
    );
    assert!(
        offered[1].as_str().unwrap().contains("X25519:prime256v1"),
        "{offered}"
    );
    assert_eq!(offered.as_array().unwrap().len(), 2);
    // without a certificate, and without TLS
    let rest = "return tostring(ngx.var.ssl_client_s_dn), tostring(ngx.var.ssl_client_cert), ngx.var.ssl_client_verify";
    let mut client = TlsClient::new().connect(g.tls, "a.test");
    assert_eq!(ask(&mut client, rest), json!(["nil", "nil", "NONE"]));
    let none = "return tostring(ngx.var.ssl_protocol), tostring(ngx.var.ssl_client_verify), ngx.var.scheme";
    let plain = g.gateway.get("/", &[("x-access", none)]).is(200);
    assert_eq!(plain.json(), json!(["nil", "nil", "http"]));
}

#[test]
fn c07_requests_over_tls_are_https_to_plugins_routes_and_logs() {
    let origin = Origin::echo();
    let mut config = configuration(origin.port, json!({}), json!({}));
    config["services"][0]["routes"] = json!([
        { "name": "named", "protocols": ["https"], "snis": ["a.test", "*.wild.test"], "paths": ["/x"] },
        { "name": "secure", "protocols": ["https"], "paths": ["/secure"], "https_redirect_status_code": 301 },
        { "name": "open", "paths": ["/open"] },
    ]);
    let g = start(&config, &[&default_cert()]);
    let route = "return kong.router.get_route().name, kong.request.get_scheme(), kong.client.get_protocol(), \
        kong.request.get_port(), kong.request.get_forwarded_scheme()";
    let told = |name: &str, path: &str| {
        let mut client = TlsClient::new().connect(g.tls, name);
        client.ask("GET", path, &[("x-access", route)], b"")
    };
    assert_eq!(
        told("a.test", "/x").is(200).json(),
        json!(["named", "https", "https", g.tls, "https"])
    );
    assert_eq!(told("b.wild.test", "/x").is(200).json()[0], "named");
    told("c.test", "/x").is(404);
    assert_eq!(told("c.test", "/secure").is(200).json()[0], "secure");
    assert_eq!(told("c.test", "/open").is(200).json()[0], "open");
    let redirected = g.gateway.get("/secure/x?y=1", &[("host", "c.test")]).is(301);
    assert_eq!(redirected.header("location"), Some("https://c.test/secure/x?y=1"));
    let lua =
        "ngx.log(ngx.NOTICE, 'LOGGED ', require('cjson').encode(kong.log.serialize().request.tls or 'none'))";
    let mut client = TlsClient::new().connect(g.tls, "a.test");
    client.ask("GET", "/x", &[("x-log", lua)], b"").is(200);
    let line = g.gateway.logged("LOGGED");
    for part in [
        r#""version":"TLSv1.3""#,
        r#""cipher":"TLS_AES_256_GCM_SHA384""#,
        r#""client_verify":"NONE""#,
    ] {
        assert!(line.contains(part), "{line}");
    }
    let verify = "kong.client.tls.set_client_verify('FAILED:because')
        local ok, err = pcall(kong.client.tls.set_client_verify, 'MAYBE') return tostring(err)";
    let lua = "ngx.log(ngx.NOTICE, 'AGAIN ', kong.log.serialize().request.tls.client_verify)";
    let verify = crate::support::gateway::one_line(verify);
    let answer = client
        .ask("GET", "/x", &[("x-access", &verify), ("x-log", lua)], b"")
        .is(200);
    assert!(
        answer
            .text()
            .contains("unknown client verify value: MAYBE accepted values are"),
        "{}",
        answer.text()
    );
    g.gateway.logged("AGAIN FAILED:because");
    g.gateway.get(
        "/open",
        &[(
            "x-log",
            "ngx.log(ngx.NOTICE, 'PLAIN ', type(kong.log.serialize().request.tls))",
        )],
    );
    g.gateway.logged("PLAIN nil");
}

#[test]
fn c07_sessions_are_taken_up_again_unless_a_plugin_objects() {
    let origin = Origin::echo();
    let lua = "if ssl.server_name() == 'never.test' then assert(kong.client.tls.disable_session_reuse()) end
        if ssl.server_name() == 'asked.test' then assert(kong.client.tls.request_client_certificate()) end";
    let phases = json!({ "certificate": lua });
    for tickets in ["on", "off"] {
        let config = configuration(origin.port, phases.clone(), json!({}));
        let (setup, tls) = crate::support::listener::setup(&config, &[&default_cert()]);
        let _gateway = setup.set("ssl_session_tickets", tickets).start();
        let cert = Ca::new("Client root").issue(&Leaf::named("client"));
        for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
            let client = TlsClient::versions(&[version]).showing(&cert);
            for (name, again) in [("again.test", true), ("never.test", false), ("asked.test", true)] {
                let mut first = client.connect(tls, name);
                assert!(!first.resumed());
                assert_eq!(ask(&mut first, "return ngx.var.ssl_session_reused"), json!(["."]));
                let mut second = client.connect(tls, name);
                assert_eq!(second.resumed(), again, "{name} {version:?} tickets {tickets}");
                let want = if again { "r" } else { "." };
                assert_eq!(
                    ask(&mut second, "return ngx.var.ssl_session_reused"),
                    json!([want])
                );
                // a session carries who the client is
                let told = ask(&mut second, RESULT);
                match name {
                    "asked.test" => assert_eq!(told[1], json!(cert.chain_pem())),
                    _ => assert_eq!(told, json!(["NONE"])),
                }
            }
        }
    }
}
