//! Handshakes with the verifiers and identities of `tls`: beside OpenSSL's `s_server` and nginx, and with peers that
//! show a certificate whose key they do not have.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use moongate::tls::chain::CertificateChain;
use moongate::tls::identity::ClientIdentity;
use moongate::tls::key::PrivateKey;
use moongate::tls::pki::cert::Cert as OwnCert;
use moongate::tls::pki::key::{Key as OwnKey, RsaKey};
use moongate::tls::pki::{key_code, name::Name};
use moongate::tls::provider;
use moongate::tls::trust::TrustStore;
use moongate::tls::verify::{Verification, refusal, server_verifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Error, ServerConfig, ServerConnection, StreamOwned,
    SupportedProtocolVersion,
};

use crate::support::certs::{Ca, Cert, Kind, Leaf};
use crate::support::peers::Peer;

const VERSIONS: [(&SupportedProtocolVersion, &str); 2] = [(&TLS12, "TLSv1.2"), (&TLS13, "TLSv1.3")];

fn identity(cert: &Cert) -> Arc<ClientIdentity> {
    let chain = CertificateChain::from_pem(cert.chain_pem().as_bytes()).unwrap();
    let key = PrivateKey::from_pem(cert.key_pem().as_bytes(), None).unwrap();
    ClientIdentity::new(chain, key).unwrap()
}

fn trusting(ca: &Ca, depth: u8) -> Verification {
    let trust = TrustStore::from_pem(ca.pem().as_bytes()).unwrap();
    Verification::On { trust, depth }
}

fn client(
    verification: &Verification,
    version: &'static SupportedProtocolVersion,
    identity: Option<&ClientIdentity>,
) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(server_verifier(verification));
    Arc::new(match identity {
        Some(i) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(i.certified_key()))),
        None => config.with_no_client_auth(),
    })
}

fn server(version: &'static SupportedProtocolVersion, key: Arc<CertifiedKey>) -> Arc<ServerConfig> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    Arc::new(config)
}

/// A handshake in memory: what the client says of it.
fn handshake(client: Arc<ClientConfig>, server: Arc<ServerConfig>, name: &'static str) -> Result<(), Error> {
    let mut client = ClientConnection::new(client, name.try_into().unwrap()).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    for _ in 0..20 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            // what the server thinks of the client's alert is not asked here
            let _ = server.process_new_packets();
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
        if !client.is_handshaking() {
            return Ok(());
        }
    }
    panic!("no end of the handshake");
}

/// `GET /` over TLS.
fn ask(port: u16, config: Arc<ClientConfig>) -> String {
    let tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let tls = ClientConnection::new(config, "a.test".try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(tls, tcp);
    stream
        .write_all(b"GET / HTTP/1.0\r\nHost: a.test\r\n\r\n")
        .unwrap();
    let mut text = Vec::new();
    // s_server ends without a close_notify
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn c03_openssl_servers_of_every_kind_of_key_are_verified() {
    let root = Ca::new("Root");
    let ca = root.intermediate("Intermediate");
    for kind in Kind::ALL {
        let cert = ca.issue(&Leaf::named("a.test").kind(kind));
        let Some(peer) = Peer::s_server(&cert, &root, &[]) else {
            return;
        };
        for (version, name) in VERSIONS {
            for verification in [Verification::Off, trusting(&root, 1)] {
                let page = ask(peer.port, client(&verification, version, None));
                assert!(page.contains(name), "{kind:?} {name} {verification:?}: {page}");
            }
        }
    }
}

#[test]
fn c03_openssl_servers_take_identities_of_every_kind_of_key() {
    let root = Ca::new("Root");
    let ca = root.below(2);
    let cert = root.issue(&Leaf::named("a.test"));
    let Some(peer) = Peer::s_server(&cert, &root, &["-Verify", "4", "-verify_return_error"]) else {
        return;
    };
    for kind in Kind::ALL {
        let who = format!("client-{kind:?}");
        let mine = identity(&ca.issue(&Leaf::cn_only(&who).kind(kind)));
        for (version, name) in VERSIONS {
            let page = ask(peer.port, client(&trusting(&root, 0), version, Some(&mine)));
            assert!(
                page.contains(&who) && page.contains(name),
                "{kind:?} {name}: {page}"
            );
        }
    }
}

#[test]
fn c03_nginx_verifies_identities_of_every_kind_of_key() {
    let root = Ca::new("Root");
    let cert = root.issue(&Leaf::named("a.test").kind(Kind::P521));
    let Some(peer) = Peer::nginx(&cert, &root, "on", "") else {
        return;
    };
    for kind in Kind::ALL {
        let leaf = root.below(1).issue(&Leaf::cn_only("nginx client").kind(kind));
        let mine = identity(&leaf);
        for (version, name) in VERSIONS {
            let page = ask(peer.port, client(&trusting(&root, 0), version, Some(&mine)));
            let told = page.contains(r#""verify":"SUCCESS""#) && page.contains(name);
            assert!(told, "{kind:?} {name}: {page}");
        }
    }
}

#[test]
fn c03_off_takes_what_openssl_takes_and_on_says_why_not() {
    let (root, other, old) = (Ca::new("Root"), Ca::new("Other"), Ca::expired("Old"));
    let deep = root.below(3);
    let cases = [
        (root.issue(&Leaf::named("a.test")), None),
        (
            deep.issue(&Leaf::named("a.test")),
            Some("(22:certificate chain too long)"),
        ),
        (
            root.issue(&Leaf::named("a.test").expired()),
            Some("(10:certificate has expired)"),
        ),
        (
            root.issue(&Leaf::named("a.test").not_yet()),
            Some("(9:certificate is not yet valid)"),
        ),
        (
            Leaf::named("a.test").self_signed(),
            Some("(18:self-signed certificate)"),
        ),
        (
            other.issue(&Leaf::named("a.test")),
            Some("(20:unable to get local issuer certificate)"),
        ),
        (
            deep.issue(&Leaf::named("a.test")).without_chain(),
            Some("(20:unable to get local issuer certificate)"),
        ),
        (
            old.issue(&Leaf::named("a.test")),
            Some("(20:unable to get local issuer certificate)"),
        ),
        (root.issue(&Leaf::named("b.test")), Some("(62:hostname mismatch)")),
        (
            root.issue(&Leaf::named("b.test").san(&["*.a.test", "10.0.0.1"])),
            Some("(62:hostname mismatch)"),
        ),
        (root.issue(&Leaf::cn_only("a.test")), None),
        (root.issue(&Leaf::cn_only("a.test").v1()), None),
        (
            Leaf::cn_only("a.test").v1().self_signed(),
            Some("(18:self-signed certificate)"),
        ),
        (
            root.issue(&Leaf::named("a.test").for_clients()),
            Some("(26:unsuitable certificate purpose)"),
        ),
    ];
    for (i, (cert, why)) in cases.iter().enumerate() {
        let key = identity(cert).certified_key();
        for (version, _) in VERSIONS {
            let server = server(version, key.clone());
            handshake(
                client(&Verification::Off, version, None),
                server.clone(),
                "a.test",
            )
            .unwrap();
            let judged = handshake(client(&trusting(&root, 1), version, None), server, "a.test");
            let said = judged.as_ref().err().map(|e| refusal(e).unwrap().to_string());
            assert_eq!(said.as_deref(), *why, "case {i}: {judged:?}");
        }
    }
}

#[test]
fn c03_addresses_are_verified_by_their_own_names() {
    let root = Ca::new("Root");
    let cert = root.issue(&Leaf::named("a.test").san(&["10.0.0.1", "::1"]));
    let server = server(&TLS13, identity(&cert).certified_key());
    for (name, why) in [
        ("10.0.0.1", None),
        ("::1", None),
        ("10.0.0.2", Some("(64:IP address mismatch)")),
        // a common name counts where there is no dNSName
        ("a.test", None),
        ("b.test", Some("(62:hostname mismatch)")),
    ] {
        let judged = handshake(client(&trusting(&root, 0), &TLS13, None), server.clone(), name);
        let said = judged.err().map(|e| refusal(&e).unwrap().to_string());
        assert_eq!(said.as_deref(), why, "{name}");
    }
}

#[test]
fn c03_who_shows_a_certificate_must_have_its_key() {
    let root = Ca::new("Root");
    let leaf = |kind, v1: bool| match v1 {
        true => root.issue(&Leaf::cn_only("a.test").kind(kind).v1()),
        false => root.issue(&Leaf::named("a.test").kind(kind)),
    };
    for kind in [Kind::Rsa2048, Kind::P256, Kind::P384, Kind::P521, Kind::Ed25519] {
        for v1 in [false, true] {
            let shown = leaf(kind, v1);
            let stolen = match kind {
                Kind::Rsa2048 => leaf(Kind::Rsa3072, v1),
                _ => leaf(kind, v1),
            };
            let cert = identity(&shown).certified_key().cert.clone();
            let key = identity(&stolen).certified_key().key.clone();
            let thief = Arc::new(CertifiedKey::new(cert, key));
            for (version, _) in VERSIONS {
                for verification in [Verification::Off, trusting(&root, 0)] {
                    let config = client(&verification, version, None);
                    let got = handshake(config, server(version, thief.clone()), "a.test");
                    assert_eq!(
                        got,
                        Err(Error::InvalidCertificate(CertificateError::BadSignature)),
                        "{kind:?} v1 {v1} {version:?} {verification:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn c03_keys_are_exchanged_over_p521_where_a_peer_wants_it() {
    let root = Ca::new("Root");
    let cert = root.issue(&Leaf::named("a.test"));
    let Some(peer) = Peer::s_server(&cert, &root, &["-groups", "P-521"]) else {
        return;
    };
    for (version, name) in VERSIONS {
        for _ in 0..3 {
            let page = ask(peer.port, client(&trusting(&root, 0), version, None));
            assert!(page.contains(name), "{page}");
        }
    }
}

#[test]
fn c03_small_rsa_keys_are_taken_only_unverified() {
    let key = OwnKey::Rsa(RsaKey::generate(1024, None).unwrap());
    let mut cert = OwnCert::empty();
    let mut name = Name::default();
    name.add("CN", b"a.test").unwrap();
    (cert.subject, cert.issuer, cert.serial) = (name.clone(), name, vec![1]);
    cert.not_after = 4_000_000_000;
    cert.spki = key_code::write_spki(&key);
    cert.sign(&key, None).unwrap();
    let der = cert.write().unwrap();
    let chain = CertificateChain::from_der(&der).unwrap();
    let key = PrivateKey::new(Arc::new(key)).unwrap();
    let identity = ClientIdentity::new(chain, key).unwrap();
    let trust = TrustStore::new([der.into()]).unwrap();
    for (version, _) in VERSIONS {
        let server = server(version, identity.certified_key());
        handshake(
            client(&Verification::Off, version, None),
            server.clone(),
            "a.test",
        )
        .unwrap();
        let on = Verification::On {
            trust: trust.clone(),
            depth: 0,
        };
        let judged = handshake(client(&on, version, None), server, "a.test").unwrap_err();
        assert_eq!(refusal(&judged).unwrap().code, 66, "{judged:?}");
    }
}
