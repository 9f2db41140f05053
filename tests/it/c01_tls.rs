//! What `kong.service` says of TLS, by its effects: the upstream reports the certificate it got.

use serde_json::{Value, json};

use crate::support::certs::{Ca, Cert, Kind, Leaf};
use crate::support::gateway::{PROBE, one_line};
use crate::support::tls_upstream::Options;
use crate::support::{Gateway, Response, Setup, TempDir, TlsUpstream, free_port, service, with};

/// What each snippet may use: files, and both ways to certificates.
const PRELUDE: &str = "local ssl, s = require 'ngx.ssl', kong.service
  local function f(n) local h = assert(io.open('DIR/' .. n)) local t = h:read('*a') h:close() return t end
  local function present(n)
    assert(s.set_tls_cert_key(assert(ssl.parse_pem_cert(f(n .. '.pem'))), assert(ssl.parse_pem_priv_key(f(n .. '.key')))))
  end
  local function store(...)
    local x509, st = require 'resty.openssl.x509', assert(require('resty.openssl.x509.store').new())
    for _, n in ipairs { ... } do assert(st:add(assert(x509.new(f(n .. '.pem'))))) end
    return st
  end ";

struct House {
    dir: TempDir,
    gateway: Gateway,
}

impl House {
    /// A gateway in front of an https upstream called `localhost`.
    fn new(port: u16, change: impl FnOnce(&mut Value)) -> Self {
        let mut config = with(service(port), "probe", json!({}));
        config["services"][0]["host"] = json!("localhost");
        config["services"][0]["protocol"] = json!("https");
        change(&mut config);
        let gateway = Setup::new(&config).plugin("probe", PROBE).start();
        Self {
            dir: TempDir::new(),
            gateway,
        }
    }

    fn keep(&self, name: &str, cert: &Cert) -> &Self {
        self.dir.write(&format!("{name}.pem"), &cert.chain_pem());
        self.dir.write(&format!("{name}.key"), &cert.key_pem());
        self
    }

    fn ca(&self, name: &str, ca: &Ca) -> &Self {
        self.dir.write(&format!("{name}.pem"), &ca.pem());
        self
    }

    fn ask(&self, phase: &str, lua: &str) -> Response {
        let dir = self.dir.path().display().to_string();
        let code = one_line(&format!("{}{lua}", PRELUDE.replace("DIR", &dir)));
        self.gateway.get("/", &[(phase, &code)])
    }

    fn access(&self, lua: &str) -> Response {
        self.ask("x-access", lua)
    }
}

/// The client certificate that the upstream got, by fingerprints, the leaf first.
fn chain(r: Response) -> Vec<String> {
    match &r.is(200).json()["client"] {
        Value::Null => Vec::new(),
        client => client["chain"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_str().unwrap().into())
            .collect(),
    }
}

fn prints(cert: &Cert) -> Vec<String> {
    cert.chain()
        .iter()
        .map(|der| crate::support::certs::fingerprint(der))
        .collect()
}

#[test]
fn c01_set_tls_cert_key_presents_each_kind_with_its_chain() {
    let ca = Ca::new("Clients");
    let between = ca.intermediate("Between");
    let server = Ca::new("Servers").issue(&Leaf::named("localhost"));
    let upstream = TlsUpstream::start(&Options::new(&server).asking());
    let house = House::new(upstream.port, |_| {});
    for kind in Kind::ALL {
        let cert = between.issue(&Leaf::named("client.test").kind(kind));
        house.keep("one", &cert);
        let got = chain(house.access("present 'one'"));
        assert_eq!(got, prints(&cert), "{kind:?}");
        assert!(got.len() >= 2, "{kind:?}: the intermediate goes along");
    }
    let cert = between.issue(&Leaf::named("client.test"));
    house.keep("one", &cert);
    assert_eq!(chain(house.access("")), Vec::<String>::new());
    assert_eq!(chain(house.ask("x-rewrite", "present 'one'")), prints(&cert));
    // the last one that is set counts
    house.keep("two", &ca.issue(&Leaf::named("two.test")));
    assert_eq!(chain(house.access("present 'two' present 'one'")), prints(&cert));
    // DER, and the objects of resty.openssl
    let der = "local c, k = ssl.cert_pem_to_der(f 'one.pem'), ssl.priv_key_pem_to_der(f 'one.key')
        assert(s.set_tls_cert_key(assert(ssl.parse_der_cert(c)), assert(ssl.parse_der_priv_key(k))))";
    assert_eq!(chain(house.access(der)), prints(&cert));
    let openssl = "local c = assert(require('resty.openssl.x509').new(f 'one.pem'))
        local k = assert(require('resty.openssl.pkey').new(f 'one.key'))
        assert(s.set_tls_cert_key(c.ctx, k.ctx))";
    assert_eq!(chain(house.access(openssl)), prints(&cert)[..1]);
    let openssl = "local ch = assert(require('resty.openssl.x509.chain').new())
        ch:add(assert(require('resty.openssl.x509').new(f 'one.pem')))
        ch:add(assert(require('resty.openssl.x509').new(f 'between.pem')))
        assert(s.set_tls_cert_key(ch.ctx, assert(ssl.parse_pem_priv_key(f 'one.key'))))";
    house.ca("between", &between);
    assert_eq!(chain(house.access(openssl)), prints(&cert)[..2]);
}

#[test]
fn c01_what_is_no_identity_is_said_so() {
    let ca = Ca::new("Clients");
    let server = Ca::new("Servers").issue(&Leaf::named("localhost"));
    let upstream = TlsUpstream::start(&Options::new(&server).asking());
    let house = House::new(upstream.port, |_| {});
    let (one, two) = (
        ca.issue(&Leaf::named("one.test")),
        ca.issue(&Leaf::named("two.test")),
    );
    let other_kind = ca.issue(&Leaf::named("rsa.test").kind(Kind::Rsa2048));
    house.keep("one", &one).keep("two", &two).keep("rsa", &other_kind);
    let outcome = |lua: &str| -> (String, String) {
        let r = house.access(&format!(
            "local ok, e = pcall(function() {lua} end)
             if not ok then kong.response.exit(200, {{ 'raised', e }}) end"
        ));
        let v = r.is(200).json();
        (v[0].to_string(), v[1].to_string())
    };
    let answer = |chain: &str, key: &str| {
        format!(
            "local a, b = s.set_tls_cert_key({chain}, {key}) kong.response.exit(200, {{ tostring(a), tostring(b) }})"
        )
    };
    let parsed = "ssl.parse_pem_cert(f 'one.pem')";
    let (ok, e) = outcome(&answer(parsed, "ssl.parse_pem_priv_key(f 'two.key')"));
    assert!(
        ok.contains("nil") && e.contains("error while setting upstream client cert and key"),
        "{e}"
    );
    assert!(e.contains("mismatch"), "{e}");
    let (ok, e) = outcome(&answer(parsed, "ssl.parse_pem_priv_key(f 'rsa.key')"));
    assert!(ok.contains("nil") && e.contains("mismatch"), "{e}");
    // any other cdata
    for (a, b) in [
        (
            "require('ffi').new('int[1]')",
            "ssl.parse_pem_priv_key(f 'one.key')",
        ),
        (parsed, "require('ffi').new('int[1]')"),
        (parsed, parsed),
        ("1LL", "1LL"),
        (
            "require('resty.openssl.x509.chain').new().ctx",
            "ssl.parse_pem_priv_key(f 'one.key')",
        ),
    ] {
        let (ok, e) = outcome(&answer(a, b));
        assert!(
            ok.contains("nil") && e.contains("error while setting"),
            "{a} {b}: {ok} {e}"
        );
    }
    // and what was refused is not presented, nor is anything else
    let got = chain(house.access(&format!(
        "assert(not s.set_tls_cert_key({parsed}, ssl.parse_pem_priv_key(f 'two.key')))"
    )));
    assert_eq!(got, Vec::<String>::new());
}

#[test]
fn c01_verification_depth_and_store() {
    let root = Ca::new("Root");
    let (shallow, deep) = (
        root.issue(&Leaf::named("localhost")),
        root.below(2).issue(&Leaf::named("localhost")),
    );
    let (near, far) = (
        TlsUpstream::start(&Options::new(&shallow)),
        TlsUpstream::start(&Options::new(&deep)),
    );
    let house = House::new(near.port, |_| {});
    house.ca("root", &root).ca("other", &Ca::new("Other"));
    house.access("").is(200);
    house.access("assert(s.set_tls_verify(false))").is(200);
    house.access("assert(s.set_tls_verify(true))").is(502);
    house.gateway.logged("unable to get local issuer certificate");
    house
        .access("assert(s.set_tls_verify(true)) assert(s.set_tls_verify_store(store 'root'))")
        .is(200);
    house
        .access("assert(s.set_tls_verify(true)) assert(s.set_tls_verify_store(store 'other'))")
        .is(502);
    house
        .access("assert(s.set_tls_verify(true)) assert(s.set_tls_verify_store(store()))")
        .is(502);
    house
        .access("assert(s.set_tls_verify(true)) assert(s.set_tls_verify_store(store('other', 'root')))")
        .is(200);
    // a store alone verifies nothing
    house
        .access("assert(s.set_tls_verify_store(store 'other'))")
        .is(200);
    // the name is the Host that is sent
    let wrong = "assert(s.set_tls_verify(true)) assert(s.set_tls_verify_store(store 'root'))
        kong.service.request.set_header('Host', 'wrong.test')";
    house.access(wrong).is(502);
    house
        .gateway
        .logged("upstream SSL certificate does not match \"wrong.test\"");
    // depth counts intermediates
    let to_far = format!(
        "s.set_target('localhost', {}) assert(s.set_tls_verify(true))
        assert(s.set_tls_verify_store(store 'root'))",
        far.port
    );
    house
        .access(&format!("{to_far} assert(s.set_tls_verify_depth(2))"))
        .is(200);
    house
        .access(&format!("{to_far} assert(s.set_tls_verify_depth(1))"))
        .is(502);
    house.gateway.logged("certificate chain too long");
    house
        .access(&format!("{to_far} assert(s.set_tls_verify_depth(1e300))"))
        .is(200);
    house
        .access(
            "assert(s.set_tls_verify(true)) assert(s.set_tls_verify_store(store 'root'))
        assert(s.set_tls_verify_depth(0))",
        )
        .is(200);
}

#[test]
fn c01_a_retry_callback_changes_identity_and_scheme() {
    let ca = Ca::new("Clients");
    let server = Ca::new("Servers").issue(&Leaf::named("localhost"));
    let upstream = TlsUpstream::start(&Options::new(&server).asking());
    let plain = crate::support::Origin::echo();
    let house = House::new(free_port(), |_| {});
    let (one, two) = (
        ca.issue(&Leaf::named("one.test")),
        ca.issue(&Leaf::named("two.test")),
    );
    house.keep("one", &one).keep("two", &two);
    let port = upstream.port;
    let got = chain(house.access(&format!(
        "s.set_retries(1) present 'one'
         s.set_target_retry_callback(function() s.set_target('localhost', {port}) present 'two' return true end)"
    )));
    assert_eq!(got, prints(&two));
    let r = house.access(&format!(
        "s.set_retries(1) s.set_target_retry_callback(function()
           s.set_target('127.0.0.1', {}) assert(s.request.disable_tls()) return true end)",
        plain.port
    ));
    r.is(200);
    assert_eq!(plain.seen().len(), 1);
}
