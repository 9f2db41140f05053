//! The demo over TLS: the embedded upstream that demands a client certificate, the plugin that shows one of two.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::TlsClient;
use crate::support::demo::Demo;

/// What the command's client certificate makes of the TLS upstream's answer.
fn openssl_asks(demo: &Demo, more: &[&str]) -> String {
    use std::io::Write as _;
    let mut child = Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            &format!("127.0.0.1:{}", demo.tls),
            "-ign_eof",
            "-quiet",
        ])
        .args([
            "-servername",
            "localhost",
            "-verify_return_error",
            "-verify_hostname",
            "localhost",
        ])
        .args(["-CAfile", &demo.material("ca.crt").display().to_string()])
        .args(more)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let request = b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let _ = child.stdin.take().unwrap().write_all(request);
    let out = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
}

#[test]
fn c08_the_tls_upstream_demands_a_certificate() {
    let demo = Demo::start();
    for name in ["alice", "bob"] {
        let file = |kind: &str| demo.material(&format!("{name}.{kind}")).display().to_string();
        let said = openssl_asks(&demo, &["-cert", &file("crt"), "-key", &file("key")]);
        let body = said.split("\r\n\r\n").nth(1).unwrap_or_else(|| panic!("{said}"));
        let seen: Value = serde_json::Deserializer::from_str(body)
            .into_iter()
            .next()
            .unwrap()
            .unwrap();
        assert_eq!(seen["client"], json!(format!("/CN={name}")));
        assert_eq!(
            (&seen["server_name"], &seen["port"]),
            (&json!("localhost"), &json!(demo.tls))
        );
        assert_eq!(
            (&seen["tls"], &seen["resumed"]),
            (&json!("TLSv1.3"), &json!(false))
        );
        let digest = crate::support::certs::keys::openssl(
            &["x509", "-in", &file("crt"), "-noout", "-fingerprint", "-sha256"],
            b"",
        );
        let digits = String::from_utf8(digest)
            .unwrap()
            .trim()
            .replace(':', "")
            .to_lowercase();
        assert!(
            digits.ends_with(seen["client_fingerprint"].as_str().unwrap()),
            "{digits}"
        );
    }
    let said = openssl_asks(&demo, &[]);
    assert!(
        said.contains("certificate required") && !said.contains("\"client\""),
        "{said}"
    );
    let mut stranger = TlsClient::new()
        .showing(
            &crate::support::certs::Ca::new("Stranger").issue(&crate::support::certs::Leaf::named("alice")),
        )
        .connect(demo.tls, "localhost");
    stranger.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(stranger.try_answer(false).is_none());
}
