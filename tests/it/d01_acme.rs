//! Kong's acme plugin and lua-resty-acme as they are (`MOONGATE_KONG`, `MOONGATE_LIBS`), against an ACME server that
//! asks for the http-01 challenge and signs requests by OpenSSL's command.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as URL;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::d01_bundled::kong;
use crate::d01_bundled_peers::{libraries, with_libraries};
use crate::support::certs::keys::openssl;
use crate::support::certs::{Ca, Key, Kind};
use crate::support::listener::{default_cert, setup};
use crate::support::origin::Seen;
use crate::support::{Origin, TempDir, TlsClient, eventually, free_port, get, service};

const DOMAIN: &str = "shop.test";

/// What the ACME server knows.
#[derive(Default)]
struct Authority {
    /// The gateway's plain port.
    gateway: AtomicU16,
    /// Its own address.
    base: Mutex<String>,
    /// The account's key.
    account: Mutex<Option<Value>>,
    proven: AtomicBool,
    issued: Mutex<Option<String>>,
    /// Where the authority's certificate and key lie.
    dir: Mutex<PathBuf>,
}

fn decoded(v: &Value) -> Vec<u8> {
    URL.decode(v.as_str().unwrap()).unwrap()
}

impl Authority {
    fn start(dir: &Path) -> (Arc<Self>, Origin) {
        let ca = Ca::of(Kind::P256, "Test authority");
        std::fs::write(dir.join("ca.pem"), ca.pem()).unwrap();
        std::fs::write(dir.join("ca.key"), ca.cert.key_pem()).unwrap();
        let authority = Arc::new(Self::default());
        *authority.dir.lock().unwrap() = dir.to_owned();
        let origin = Origin::replying({
            let authority = authority.clone();
            move |seen| authority.answer(seen)
        });
        *authority.base.lock().unwrap() = format!("http://127.0.0.1:{}", origin.port);
        (authority, origin)
    }

    /// The payload of a request that the account's key signed, or one that brings the key.
    fn payload(&self, seen: &Seen) -> Value {
        let jws: Value = serde_json::from_slice(&seen.body).unwrap();
        let protected: Value = serde_json::from_slice(&decoded(&jws["protected"])).unwrap();
        assert_eq!(protected["alg"], "RS256");
        assert_eq!(protected["nonce"], "a-nonce");
        let mut account = self.account.lock().unwrap();
        if let Some(jwk) = protected.get("jwk") {
            *account = Some(jwk.clone());
        } else {
            let kid = format!("{}/account/1", self.base.lock().unwrap());
            assert_eq!(protected["kid"], kid.as_str());
        }
        let jwk = account.as_ref().unwrap();
        let key = RsaPublicKeyComponents {
            n: decoded(&jwk["n"]),
            e: decoded(&jwk["e"]),
        };
        let part = |name: &str| jws[name].as_str().unwrap().to_owned();
        let signed = format!("{}.{}", part("protected"), part("payload"));
        let signature = decoded(&jws["signature"]);
        key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
            .expect("a JWS of the account's key");
        serde_json::from_slice(&decoded(&jws["payload"])).unwrap_or(Value::Null)
    }

    /// Whether the gateway answers the challenge as it must.
    fn prove(&self) {
        let account = self.account.lock().unwrap().clone().unwrap();
        let jwk = format!(r#"{{"e":{},"kty":"RSA","n":{}}}"#, account["e"], account["n"]);
        let thumbprint = URL.encode(Sha256::digest(jwk));
        let port = self.gateway.load(Ordering::SeqCst);
        let path = "/.well-known/acme-challenge/a-token";
        let r = get(port, path, &[("Host", DOMAIN)]).is(200);
        assert_eq!(r.text(), format!("a-token.{thumbprint}\n"));
        self.proven.store(true, Ordering::SeqCst);
    }

    fn sign(&self, csr: &[u8]) {
        let dir = self.dir.lock().unwrap().clone();
        let shown = openssl(&["req", "-inform", "DER", "-noout", "-verify", "-text"], csr);
        let shown = String::from_utf8_lossy(&shown);
        assert!(shown.contains(&format!("DNS:{DOMAIN}")), "{shown}");
        let (ca, key) = (dir.join("ca.pem"), dir.join("ca.key"));
        let args = [
            "x509",
            "-req",
            "-inform",
            "DER",
            "-days",
            "90",
            "-set_serial",
            "77",
            "-copy_extensions",
            "copy",
            "-CA",
            ca.to_str().unwrap(),
            "-CAkey",
            key.to_str().unwrap(),
        ];
        *self.issued.lock().unwrap() = Some(String::from_utf8(openssl(&args, csr)).unwrap());
    }

    fn answer(&self, seen: &Seen) -> Vec<u8> {
        let base = self.base.lock().unwrap().clone();
        let line = seen.line().to_owned();
        let path = line.split(' ').nth(1).unwrap().trim_end_matches('?').to_owned();
        let at = |p: &str| format!("{base}{p}");
        let mut more = "Replay-Nonce: a-nonce\r\n".to_owned();
        let mut kind = "application/json";
        let payload = match seen.body.is_empty() {
            true => Value::Null,
            false => self.payload(seen),
        };
        let ready = self.proven.load(Ordering::SeqCst);
        let issued = self.issued.lock().unwrap().clone();
        let mut text = None;
        let body = match path.as_str() {
            "/directory" => {
                json!({ "newNonce": at("/nonce"), "newAccount": at("/account"), "newOrder": at("/order"),
                "revokeCert": at("/revoke") })
            }
            "/nonce" => Value::Null,
            "/account" => {
                assert_eq!(payload["contact"], json!(["mailto:me@shop.test"]));
                more += &format!("Location: {}\r\n", at("/account/1"));
                json!({ "status": "valid" })
            }
            "/order" => {
                assert_eq!(
                    payload["identifiers"],
                    json!([{ "type": "dns", "value": DOMAIN }])
                );
                more += &format!("Location: {}\r\n", at("/order/1"));
                json!({ "status": "pending", "authorizations": [at("/authz/1")], "finalize": at("/finalize/1") })
            }
            "/authz/1" => json!({ "status": "pending", "challenges": [
                { "type": "http-01", "status": "pending", "token": "a-token", "url": at("/challenge/1") },
                { "type": "dns-01", "status": "pending", "token": "another", "url": at("/challenge/2") }] }),
            "/challenge/1" => {
                self.prove();
                json!({ "type": "http-01", "status": "valid" })
            }
            "/finalize/1" => {
                self.sign(&decoded(&payload["csr"]));
                json!({ "status": "processing" })
            }
            "/order/1" if issued.is_some() => {
                json!({ "status": "valid", "certificate": at("/certificate/1") })
            }
            "/order/1" => json!({ "status": if ready { "ready" } else { "pending" } }),
            "/certificate/1" => {
                kind = "application/pem-certificate-chain";
                text = issued;
                Value::Null
            }
            _ => panic!("asked for {line}"),
        };
        let body = text.unwrap_or_else(|| body.to_string());
        let sent = if line.starts_with("HEAD") { "" } else { &body };
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{more}Content-Length: {length}\r\n\r\n{sent}")
            .into()
    }
}

/// Starts a gateway with the plugin, asks for the domain over TLS, and waits until a certificate from the authority is
/// shown in place of the listener's own.
fn obtains(storage: Value, cert_type: &str, more: Value) -> Option<()> {
    let (folder, libs) = (kong()?, libraries()?);
    let dir = TempDir::new();
    let (authority, server) = Authority::start(dir.path());
    let origin = Origin::echo();
    let mut config = service(origin.port);
    let mut conf = json!({ "account_email": "me@shop.test", "api_uri": format!("http://127.0.0.1:{}", server.port),
        "tos_accepted": true, "domains": [DOMAIN], "cert_type": cert_type, "rsa_key_size": 2048 });
    for (key, value) in storage.as_object().unwrap() {
        conf[key] = value.clone();
    }
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    config["plugins"] = json!([{ "name": "acme", "config": conf }]);
    let (setup, tls) = setup(&config, &[&default_cert()]);
    let setup = setup.plugin_folder(&folder.join("acme"));
    let g = with_libraries(setup, &libs, &["lua-resty-acme"]).start();
    authority.gateway.store(g.port, Ordering::SeqCst);

    // a name that is not the plugin's, and the sanity test
    assert_eq!(
        get(g.port, "/.well-known/acme-challenge/x", &[("Host", DOMAIN)])
            .is(404)
            .text(),
        "Not found\n"
    );
    g.get("/.well-known/acme-challenge/x", &[("Host", "other.test")])
        .is(200);

    let client = TlsClient::new();
    let name = |host: &str| crate::support::certs::der::common_name(&client.connect(tls, host).chain()[0]);
    assert_eq!(name(DOMAIN), "default.test");
    let shown = eventually(Duration::from_secs(60), || {
        std::thread::sleep(Duration::from_millis(300));
        name(DOMAIN) == DOMAIN
    });
    assert!(shown, "no certificate: {}", g.errors());
    assert_eq!(name("other.test"), "default.test");
    let mut c = client.connect(tls, DOMAIN);
    c.ask("GET", "/over-tls", &[("Host", DOMAIN)], b"").is(200);
    // the challenge is over
    get(g.port, "/.well-known/acme-challenge/a-token", &[("Host", DOMAIN)]).is(404);
    Some(())
}

#[test]
fn d01_acme_obtains_a_certificate() {
    obtains(json!({ "storage": "shm" }), "ecc", json!({}));
}

/// A `redis-server` that ends with the test.
struct Redis(Child);

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn d01_acme_keeps_what_it_has_in_redis() {
    let port = free_port();
    let dir = TempDir::new();
    let args = [
        "--port",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        dir.path().to_str().unwrap(),
    ];
    let Ok(child) = Command::new("redis-server")
        .args(args)
        .stdout(Stdio::null())
        .spawn()
    else {
        eprintln!("LEFT OUT: redis-server is missing");
        return;
    };
    let _redis = Redis(child);
    assert!(eventually(Duration::from_secs(10), || TcpStream::connect((
        "127.0.0.1",
        port
    ))
    .is_ok()));
    let storage = json!({ "storage": "redis", "account_key": { "key_id": "mine", "key_set": "accounts" },
        "storage_config": { "redis": { "host": "127.0.0.1", "port": port, "extra_options": { "namespace": "kong_" } } } });
    let key = Key::of(Kind::Rsa2048);
    let public = String::from_utf8(openssl(&["pkey", "-pubout"], key.pkcs8_pem().as_bytes())).unwrap();
    let set = "00000000-0000-4000-8000-000000000001";
    let keys = json!({ "key_sets": [{ "id": set, "name": "accounts" }], "keys": [{ "kid": "mine", "name": "mine",
        "set": { "id": set }, "pem": { "private_key": key.pkcs8_pem(), "public_key": public } }] });
    obtains(storage, "rsa", keys);
}
