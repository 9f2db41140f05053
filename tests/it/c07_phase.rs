//! The certificate phase: plugins' handlers between the ClientHello and the handshake.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::certs::{Ca, Cert, Kind, Leaf};
use crate::support::listener::{configuration, default_cert, s_client, start};
use crate::support::{Origin, TlsClient};

fn phases(certificate: &str) -> Value {
    json!({ "certificate": certificate })
}

/// Lua that makes `cert` and `key` of a certificate's PEM.
fn locals(cert: &Cert) -> String {
    format!(
        "local cert, key = [[{}]], [[{}]]\n",
        cert.chain_pem(),
        cert.key_pem()
    )
}

#[test]
fn c07_a_plugin_changes_the_certificate_in_every_way() {
    let origin = Origin::echo();
    let other = Ca::new("Root")
        .intermediate("Between")
        .issue(&Leaf::named("plugin"));
    let default = default_cert();
    let objects = "assert(ssl.clear_certs())
        assert(ssl.set_cert(assert(ssl.parse_pem_cert(cert))))
        assert(ssl.set_priv_key(assert(ssl.parse_pem_priv_key(key))))";
    let der = "assert(ssl.clear_certs())
        assert(ssl.set_der_cert(assert(ssl.cert_pem_to_der(cert))))
        assert(ssl.set_der_priv_key(assert(ssl.priv_key_pem_to_der(key))))";
    let resty = "assert(ssl.clear_certs())
        local list = require('resty.openssl.x509.chain').new()
        for pem in cert:gmatch('%-+BEGIN.-%-+END[^%c]+') do
          assert(list:add(assert(require('resty.openssl.x509').new(pem))))
        end
        assert(ssl.set_cert(list.ctx))
        assert(ssl.set_priv_key(assert(require('resty.openssl.pkey').new(key)).ctx))";
    let after_a_wait = format!("ngx.sleep(0.05) {objects}");
    for lua in [objects, der, resty, &after_a_wait] {
        let lua = format!(
            "{}if ssl.server_name() == 'a.test' then {lua} end",
            locals(&other)
        );
        let g = start(&configuration(origin.port, phases(&lua), json!({})), &[&default]);
        for (name, cert) in [("a.test", &other), ("b.test", &default)] {
            let mut client = TlsClient::new().connect(g.tls, name);
            assert_eq!(client.chain(), cert.chain(), "{lua}");
            client.get("/").is(200);
        }
    }
}

#[test]
fn c07_a_plugin_may_wait_for_the_network_the_store_and_the_cache() {
    let origin = Origin::echo();
    let (other, default) = (Ca::new("Root").issue(&Leaf::named("fetched")), default_cert());
    let lua = format!(
        "{}
        local sock = ngx.socket.tcp()
        assert(sock:connect('127.0.0.1', {}))
        assert(sock:send('GET / HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n'))
        local line = assert(sock:receive('*l'))
        sock:close()
        local service = assert(kong.db.services:select_by_name('s'))
        local cached = assert(kong.cache:get('k', nil, function() ngx.sleep(0.01) return 'v' end))
        kong.ctx.shared.seen = (kong.ctx.shared.seen or 0) + 1
        ngx.ctx.mine = true
        if line:find('200', 1, true) and service.name == 's' and cached == 'v' and kong.ctx.shared.seen == 1 then
          assert(ssl.clear_certs())
          assert(ssl.set_cert(assert(ssl.parse_pem_cert(cert))))
          assert(ssl.set_priv_key(assert(ssl.parse_pem_priv_key(key))))
        end",
        locals(&other),
        origin.port
    );
    let g = start(&configuration(origin.port, phases(&lua), json!({})), &[&default]);
    let mut client = TlsClient::new().connect(g.tls, "a.test");
    assert_eq!(client.chain(), other.chain(), "{}", g.gateway.errors());
    // as with Kong, nothing of the phase's tables reaches requests
    let lua = "return tostring(kong.ctx.shared.seen), tostring(ngx.ctx.mine)";
    let answer = client.ask("GET", "/", &[("x-access", lua)], b"").is(200);
    assert_eq!(answer.json(), json!(["nil", "nil"]));
}

#[test]
fn c07_what_the_phase_is_told() {
    let origin = Origin::echo();
    let lua = r#"
        local a, kind = ssl.raw_client_addr()
        local b, other = ssl.raw_server_addr()
        local nothing = { pcall(function() return ngx.var.uri end) }
        ngx.log(ngx.NOTICE, "TOLD ", require("cjson").encode({
          ngx.get_phase(), ngx.ctx.KONG_PHASE or "lazy", ssl.server_name(), ssl.server_port(), ssl.get_tls1_version(),
          ssl.get_tls1_version_str(), #a, kind, { b:byte(1, -1) }, other, #ssl.get_client_random(),
          ssl.get_client_random(0), ssl.get_req_shared_ssl_ciphers(), kong.client.get_ip(), ngx.var.remote_addr,
          tostring(nothing[2]), kong.request.get_port(),
        }))
        assert(not pcall(kong.request.get_path))
        assert(not pcall(hello.get_client_hello_server_name))
        assert(not pcall(kong.client.tls.get_full_client_certificate_chain))
        local tls = require "resty.kong.tls"
        assert(not pcall(tls.get_full_client_certificate_chain))
        assert(tls.disable_session_reuse())
        local ok, err = pcall(ssl.export_keying_material, 32, "x")
        assert(not ok and err:find("not supported: ngx.ssl.export_keying_material", 1, true), err)"#;
    let g = start(
        &configuration(origin.port, phases(lua), json!({})),
        &[&default_cert()],
    );
    TlsClient::versions(&[&rustls::version::TLS13])
        .connect(g.tls, "a.test")
        .get("/")
        .is(200);
    let line = g.gateway.logged("TOLD");
    let json = &line[line.find('[').unwrap()..];
    let json = &json[json.find("[\"ssl_cert\"").unwrap()..=json.rfind(']').unwrap()];
    let told: Value = serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {line}"));
    assert_eq!(told[2], "a.test");
    assert_eq!(told[3], g.tls);
    assert_eq!(told[4], 0x0304);
    assert_eq!(told[5], "TLSv1.3");
    assert_eq!((&told[6], &told[7]), (&json!(4), &json!("inet")));
    assert_eq!((&told[8], &told[9]), (&json!([127, 0, 0, 1]), &json!("inet")));
    assert_eq!((&told[10], &told[11]), (&json!(32), &json!(32)));
    assert!(told[12].as_array().unwrap().contains(&json!(0x1302)), "{told}");
    assert_eq!((&told[13], &told[14]), (&json!("127.0.0.1"), &json!("127.0.0.1")));
    assert!(
        told[15]
            .as_str()
            .unwrap()
            .contains("API disabled in the current context"),
        "{told}"
    );
    assert_eq!(told[16], g.tls);
    assert!(
        line.contains("context: ssl_certificate_by_lua*, client: 127.0.0.1, server: 127.0.0.1:"),
        "{line}"
    );
}

#[test]
fn c07_what_fails_in_the_phase_ends_the_handshake_and_is_logged() {
    let origin = Origin::echo();
    for (lua, logged) in [
        (
            "error('no luck')",
            "[kong] [tlsprobe] lua entry thread aborted: runtime error: certificate:1: no luck",
        ),
        (
            "ngx.exit(ngx.ERROR)",
            "SSL_do_handshake() failed (SSL: error:0A000179:SSL routines::cert cb error)",
        ),
        (
            "ngx.sleep(0.01) error('late')",
            "lua entry thread aborted: runtime error: certificate:1: late",
        ),
        ("assert(ssl.clear_certs())", "SSL_do_handshake() failed"),
    ] {
        let lua = format!("if ssl.server_name() == 'bad.test' then {lua} end");
        let g = start(
            &configuration(origin.port, phases(&lua), json!({})),
            &[&default_cert()],
        );
        let error = TlsClient::new().try_connect(g.tls, "bad.test").err().unwrap();
        assert!(error.to_string().contains("alert"), "{error}");
        g.gateway.logged(logged);
        let told = format!(", client: 127.0.0.1, server: 127.0.0.1:{}", g.tls);
        assert!(g.gateway.errors().contains(&told));
        TlsClient::new().connect(g.tls, "good.test").get("/").is(200);
    }
    let g = start(
        &configuration(
            origin.port,
            phases("ngx.exit(ngx.OK) error('not reached')"),
            json!({}),
        ),
        &[&default_cert()],
    );
    TlsClient::new().connect(g.tls, "a.test").get("/").is(200);
    assert!(!g.gateway.errors().contains("not reached"));
}

#[test]
fn c07_wrong_certificates_and_keys_are_told() {
    let origin = Origin::echo();
    let ca = Ca::new("Root");
    let (one, two) = (ca.issue(&Leaf::named("one")), ca.issue(&Leaf::named("two")));
    let rsa = ca.issue(&Leaf::named("rsa").kind(Kind::Rsa2048));
    let lua = format!(
        "{}
        local other, rsa = [[{}]], [[{}]]
        local function eq(want, value, err) assert(value == nil and err == want, tostring(err)) end
        eq('invalid certificate chain', ssl.set_cert(nil))
        eq('invalid private key', ssl.set_priv_key(nil))
        eq('d2i_X509_bio() failed', ssl.set_der_cert('junk'))
        eq('d2i_PrivateKey_bio() failed', ssl.set_der_priv_key('junk'))
        assert(ssl.clear_certs())
        assert(ssl.set_cert(assert(ssl.parse_pem_cert(cert))))
        eq('SSL_use_PrivateKey() failed', ssl.set_priv_key(assert(ssl.parse_pem_priv_key(other))))
        -- a key of another kind is another slot
        assert(ssl.set_priv_key(assert(ssl.parse_pem_priv_key(rsa))))
        assert(ssl.set_priv_key(assert(ssl.parse_pem_priv_key(key))))
        ngx.log(ngx.NOTICE, 'ALL TOLD')",
        locals(&one),
        two.key_pem(),
        rsa.key_pem()
    );
    let g = start(
        &configuration(origin.port, phases(&lua), json!({})),
        &[&default_cert()],
    );
    let client = TlsClient::new().connect(g.tls, "a.test");
    assert_eq!(client.chain(), one.chain(), "{}", g.gateway.errors());
    g.gateway.logged("ALL TOLD");
}

#[test]
fn c07_client_hello_handlers_see_it_and_choose_protocols() {
    let origin = Origin::echo();
    let lua = r#"
        local name = hello.get_client_hello_server_name()
        ngx.log(ngx.NOTICE, "HELLO ", require("cjson").encode({
          ngx.get_phase(), name, hello.get_supported_versions(), hello.get_client_hello_ext(43):byte(1, -1),
        }), " ", #hello.get_client_hello_ciphers(), " ", #hello.get_client_hello_ext_present())
        local ok, err = hello.set_protocols({ "TLSv9" })
        assert(ok == nil and err == "invalid protocols failed")
        if name == "old.test" then assert(hello.set_protocols({ "TLSv1.2" })) end
        if name == "none.test" then assert(hello.set_protocols({ "TLSv1.1" })) end
        assert(hello.get_client_hello_ext(9999) == nil)"#;
    let phases = json!({ "client_hello": lua });
    let g = start(&configuration(origin.port, phases, json!({})), &[&default_cert()]);
    assert_eq!(TlsClient::new().connect(g.tls, "old.test").version(), "TLSv1.2");
    assert_eq!(TlsClient::new().connect(g.tls, "new.test").version(), "TLSv1.3");
    assert!(TlsClient::new().try_connect(g.tls, "none.test").is_err());
    let line = g.gateway.logged("HELLO [\"ssl_client_hello\",\"new.test\"");
    assert!(line.contains("[\"TLSv1.2\",\"TLSv1.3\"]"), "{line}");
    assert!(line.contains("context: ssl_client_hello_by_lua*"), "{line}");
}

#[test]
fn c07_a_handler_that_never_ends_is_cut_with_the_handshake() {
    let origin = Origin::echo();
    let lua = "if ssl.server_name() == 'slow.test' then ngx.sleep(3600) end";
    let config = configuration(origin.port, phases(lua), json!({}));
    let (setup, tls) = crate::support::listener::setup(&config, &[&default_cert()]);
    let gateway = setup.set("nginx_http_client_header_timeout", "1s").start();
    let begun = std::time::Instant::now();
    let _ = s_client(tls, &["-servername", "slow.test"]);
    assert!(begun.elapsed() < Duration::from_secs(4));
    gateway.logged("client timed out (110: Connection timed out) while SSL handshaking");
    TlsClient::new().connect(tls, "quick.test").get("/").is(200);
}
