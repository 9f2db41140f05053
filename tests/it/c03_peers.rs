//! Other people's TLS servers as upstreams: OpenSSL's and nginx's, with client certificates of every kind.

use serde_json::{Value, json};

use crate::support::certs::{Ca, Cert, Kind, Leaf};
use crate::support::peers::Peer;
use crate::support::{Gateway, Setup, service, with};

/// A gateway in front of a TLS server at `port`, whose plugin shows each identity by its name.
fn gateway(port: u16, ca: &Ca, identities: &[(String, Cert)]) -> Gateway {
    let map = |text: &dyn Fn(&Cert) -> String| -> Value {
        let pairs = identities.iter();
        pairs
            .map(|(name, cert)| (name.clone(), json!(text(cert))))
            .collect()
    };
    let conf = json!({
        "certificates": map(&Cert::chain_pem), "keys": map(&Cert::key_pem), "trust": { "right": ca.pem() },
    });
    let mut config = service(port);
    config["services"][0]["protocol"] = json!("https");
    Setup::new(&with(config, "client-identity", conf))
        .set("moongate_lua_dir", concat!(env!("CARGO_MANIFEST_DIR"), "/lua"))
        .enable("client-identity")
        .start()
}

/// A client identity of each kind, below an intermediate.
fn clients(ca: &Ca) -> Vec<(String, Cert)> {
    let below = ca.below(1);
    let named = |kind| format!("{kind:?}").to_lowercase();
    Kind::ALL
        .map(|kind| (named(kind), below.issue(&Leaf::named(&named(kind)).kind(kind))))
        .to_vec()
}

#[test]
fn c03_openssl_takes_every_kind_of_identity() {
    let ca = Ca::new("Root");
    let clients = clients(&ca);
    for version in ["-tls1_2", "-tls1_3"] {
        let server = ca.below(1).issue(&Leaf::named("127.0.0.1"));
        let demand = ["-Verify", "4", "-verify_return_error", version];
        let Some(peer) = Peer::s_server(&server, &ca, &demand) else {
            return;
        };
        let gateway = gateway(peer.port, &ca, &clients);
        for (name, _) in &clients {
            let answer = gateway.get("/", &[("x-identity", name), ("x-trust", "right")]);
            let page = answer.is(200).text();
            assert!(page.contains(&format!("CN = {name}")), "{version} {name}: {page}");
            let spoken = version.replace("-tls1_", "TLSv1.");
            assert!(page.contains(&spoken), "{version} {name}: {page}");
        }
        // nothing to show
        gateway.get("/", &[]).is(502);
    }
}

#[test]
fn c03_openssl_serves_with_every_kind_of_key() {
    let ca = Ca::new("Root");
    for kind in Kind::ALL {
        for version in ["-tls1_2", "-tls1_3"] {
            let server = ca.below(2).issue(&Leaf::named("127.0.0.1").kind(kind));
            let Some(peer) = Peer::s_server(&server, &ca, &[version]) else {
                return;
            };
            let gateway = gateway(peer.port, &ca, &[]);
            for headers in [&[("x-trust", "right")][..], &[]] {
                let page = gateway.get("/", headers).is(200).text();
                let spoken = version.replace("-tls1_", "TLSv1.");
                assert!(page.contains(&spoken), "{kind:?} {version}: {page}");
            }
        }
    }
}

#[test]
fn c03_nginx_sees_each_identity_and_keeps_connections() {
    let ca = Ca::new("Root");
    let clients = clients(&ca);
    let server = ca.below(1).issue(&Leaf::named("127.0.0.1"));
    let Some(nginx) = Peer::nginx(&server, &ca, "on", "") else {
        return;
    };
    let gateway = gateway(nginx.port, &ca, &clients);
    let mut connections = std::collections::HashSet::new();
    for _ in 0..3 {
        for (name, _) in &clients {
            let answer = gateway.get("/", &[("x-identity", name), ("x-trust", "right")]);
            let seen = answer.is(200).json();
            assert_eq!(seen["verify"], "SUCCESS", "{name}: {seen}");
            let subject = seen["client"].as_str().unwrap();
            assert!(subject.contains(&format!("CN={name}")), "{name}: {seen}");
            connections.insert(seen["connection"].as_u64().unwrap());
        }
    }
    assert_eq!(connections.len(), clients.len(), "one kept connection for each");
    gateway.get("/", &[]).is(400);
}
