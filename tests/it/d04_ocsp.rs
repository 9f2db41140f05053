//! The status of a certificate that a `certificate` handler hands over.

use serde_json::json;

use crate::support::listener::{configuration, default_cert, s_client, start};
use crate::support::{Origin, TlsClient};

#[test]
fn d04_clients_that_ask_are_shown_the_status_that_a_handler_sets() {
    let origin = Origin::echo();
    // "try later", the shortest answer there is
    let set = r#"
        local status = kong.ctx and "\x30\x03\x0a\x01\x03" or ""
        local ok, err = require("ngx.ocsp").set_ocsp_status_resp(status)
        kong.log.notice("status: ", ok, " ", err)
        local long, why = require("ngx.ocsp").set_ocsp_status_resp(("x"):rep(100000))
        kong.log.notice("long: ", long, " ", why)"#;
    let late = r#"return select(2, require("ngx.ocsp").set_ocsp_status_resp("x"))"#;
    let phases = json!({ "certificate": set });
    let g = start(&configuration(origin.port, phases, json!({})), &[&default_cert()]);
    for version in ["-tls1_2", "-tls1_3"] {
        let shown = s_client(g.tls, &[version, "-status"]);
        assert!(shown.contains("OCSP Response Status: trylater (0x3)"), "{shown}");
    }
    g.gateway.logged("status: true nil");
    g.gateway
        .logged("long: nil SSL_set_tlsext_status_ocsp_resp() failed");
    let shown = s_client(g.tls, &["-tls1_3"]);
    assert!(
        shown.contains("BEGIN CERTIFICATE") && !shown.contains("OCSP"),
        "{shown}"
    );
    g.gateway.logged("status: true no status req");
    let mut client = TlsClient::new().connect(g.tls, "default.test");
    let headers = [("Host", "default.test"), ("x-access", late)];
    let r = client.ask("GET", "/", &headers, b"").is(200);
    assert_eq!(r.json(), json!(["API disabled in the current context"]));
}
