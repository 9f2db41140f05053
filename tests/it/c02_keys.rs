//! Private keys of every kind in every form, and the identities made of them.

use moongate::tls::chain::{CertificateChain, ChainError};
use moongate::tls::identity::{ClientIdentity, IdentityError};
use moongate::tls::key::{KeyError, PrivateKey};

use crate::support::certs::keys::openssl;
use crate::support::certs::{Ca, Key, Kind, Leaf, pem};

const PASSPHRASE: &str = "über secret";

fn has_old_form(kind: Kind) -> bool {
    kind != Kind::Ed25519
}

/// PKCS#8 under a passphrase, as `openssl pkcs8` writes it with these arguments.
fn encrypted(key: &Key, how: &[&str]) -> Vec<u8> {
    let pass = format!("pass:{PASSPHRASE}");
    let args = ["pkcs8", "-topk8", "-inform", "DER", "-passout", &pass];
    openssl(&[&args, how].concat(), key.pkcs8())
}

fn old_encrypted(key: &Key, cipher: &str) -> Vec<u8> {
    let pass = format!("pass:{PASSPHRASE}");
    openssl(
        &[
            "pkey",
            "-inform",
            "DER",
            "-traditional",
            cipher,
            "-passout",
            &pass,
        ],
        key.pkcs8(),
    )
}

fn same(key: &Key, read: Result<PrivateKey, KeyError>, form: &str) {
    let read = read.unwrap_or_else(|e| panic!("{:?} {form}: {e}", key.kind));
    assert_eq!(read.spki(), key.spki(), "{:?} {form}", key.kind);
    // OpenSSL reads what we write, both ways
    for der in [read.to_der(), read.to_traditional_der()] {
        let public = openssl(&["pkey", "-inform", "DER", "-pubout", "-outform", "DER"], &der);
        assert_eq!(public, key.spki(), "{:?} {form}", key.kind);
    }
}

#[test]
fn c02_keys_of_every_kind_are_read_in_every_form() {
    for kind in Kind::ALL {
        let key = Key::of(kind);
        let read = |text: &[u8]| PrivateKey::from_pem(text, None);
        same(&key, read(key.pkcs8_pem().as_bytes()), "PKCS#8 PEM");
        same(&key, PrivateKey::from_der(key.pkcs8()), "PKCS#8 DER");
        let crlf = key.pkcs8_pem().replace('\n', "\r\n");
        same(&key, read(crlf.as_bytes()), "CRLF");
        let around = format!("some text\n{}more", key.pkcs8_pem());
        same(&key, read(around.as_bytes()), "text around");
        if has_old_form(kind) {
            same(&key, read(key.traditional_pem().as_bytes()), "traditional PEM");
            same(
                &key,
                PrivateKey::from_der(&key.traditional_der()),
                "traditional DER",
            );
        }
    }
}

#[test]
fn c02_encrypted_keys_open_with_their_passphrase_only() {
    for kind in [Kind::Rsa2048, Kind::P256, Kind::P384, Kind::P521, Kind::Ed25519] {
        let key = Key::of(kind);
        let mut texts: Vec<(String, Vec<u8>)> = Vec::new();
        for how in [
            &["-v2", "aes-256-cbc"][..],
            &["-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1"],
            &["-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA512"],
            &["-v2", "des3"],
            &["-scrypt"],
            &["-v1", "PBE-SHA1-3DES"],
        ] {
            texts.push((how.join(" "), encrypted(&key, how)));
        }
        if has_old_form(kind) {
            for cipher in ["-aes128", "-aes192", "-aes256", "-des3"] {
                texts.push((format!("old {cipher}"), old_encrypted(&key, cipher)));
            }
        }
        for (form, text) in texts {
            let open = |pass: Option<&str>| PrivateKey::from_pem(&text, pass.map(str::as_bytes));
            same(&key, open(Some(PASSPHRASE)), &form);
            assert_eq!(open(None).unwrap_err(), KeyError::NoPassphrase, "{form}");
            for wrong in ["", "x", "über secret "] {
                assert!(
                    open(Some(wrong)).is_err(),
                    "{kind:?} {form} opened with {wrong:?}"
                );
            }
            let shown = format!("{:?} {}", open(Some("x")), open(Some("x")).unwrap_err());
            assert!(!shown.contains("secret"), "{shown}");
        }
    }
}

#[test]
fn c02_what_is_cut_or_no_key_is_an_error() {
    for kind in Kind::ALL {
        let key = Key::of(kind);
        let der = key.pkcs8();
        for n in 0..der.len() {
            assert!(PrivateKey::from_der(&der[..n]).is_err(), "{kind:?} cut at {n}");
        }
        let text = key.pkcs8_pem();
        for n in 0..text.len() - 1 {
            // without the last dash of the last line it is no block
            let read = PrivateKey::from_pem(&text.as_bytes()[..n], None);
            assert!(read.is_err(), "{kind:?} cut at {n}");
        }
        let public = pem("PUBLIC KEY", key.spki());
        assert!(PrivateKey::from_pem(public.as_bytes(), None).is_err());
        assert!(PrivateKey::from_der(key.spki()).is_err());
    }
    for junk in [
        &b""[..],
        b"-----BEGIN PRIVATE KEY-----",
        b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
        b"\0\0\0",
        &[0x30; 64],
        &[0xff; 4096],
    ] {
        assert!(PrivateKey::from_pem(junk, Some(b"x")).is_err());
        assert!(PrivateKey::from_der(junk).is_err());
    }
    // of kinds that TLS here has no use for
    for args in [
        &["genpkey", "-algorithm", "ED448"][..],
        &[
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:secp256k1",
        ],
        &[
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-pkeyopt",
            "ec_param_enc:explicit",
        ],
    ] {
        let text = openssl(args, b"");
        assert!(PrivateKey::from_pem(&text, None).is_err(), "{args:?}");
    }
}

#[test]
fn c02_an_identity_needs_the_key_of_its_leaf() {
    let ca = Ca::new("Root").below(2);
    let kinds: Vec<_> = Kind::ALL
        .into_iter()
        .map(|kind| {
            let cert = ca.issue(&Leaf::named("a.test").kind(kind));
            let chain = CertificateChain::from_pem(cert.chain_pem().as_bytes()).unwrap();
            let key = PrivateKey::from_pem(cert.key_pem().as_bytes(), None).unwrap();
            assert_eq!(chain.certs().len(), 3);
            assert_eq!(chain.leaf_spki(), key.spki());
            (chain, key)
        })
        .collect();
    for (i, (chain, _)) in kinds.iter().enumerate() {
        for (j, (_, key)) in kinds.iter().enumerate() {
            match ClientIdentity::new(chain.clone(), key.clone()) {
                Ok(identity) => {
                    assert_eq!(i, j);
                    assert_eq!(identity.certified_key().cert.len(), 3);
                }
                Err(IdentityError::Mismatch | IdentityError::KindMismatch { .. }) => assert_ne!(i, j),
                Err(e) => panic!("{e}"),
            }
        }
    }
    let stranger = PrivateKey::from_pem(Key::new(Kind::P256).pkcs8_pem().as_bytes(), None).unwrap();
    let (chain, _) = &kinds[3];
    assert_eq!(
        ClientIdentity::new(chain.clone(), stranger).unwrap_err(),
        IdentityError::Mismatch
    );
}

#[test]
fn c02_identities_are_equal_when_chain_and_key_are() {
    let ca = Ca::new("Root").below(1);
    let cert = ca.issue(&Leaf::named("a.test"));
    let make = |chain: &str| {
        let chain = CertificateChain::from_pem(chain.as_bytes()).unwrap();
        ClientIdentity::new(chain, PrivateKey::from_der(cert.key.pkcs8()).unwrap()).unwrap()
    };
    let (one, same) = (make(&cert.chain_pem()), make(&cert.chain_pem()));
    assert_eq!(one, same);
    assert_eq!(one.fingerprint(), same.fingerprint());
    // the same leaf and key, another chain
    let alone = make(&cert.pem());
    assert_ne!(one, alone);
    assert_ne!(one.fingerprint(), alone.fingerprint());
    let shown = format!("{one:?} {:?} {:?}", one.key(), one.chain());
    let hidden: String = cert.key.pkcs8()[40..44]
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert!(!shown.contains(&hidden) && shown.len() < 200, "{shown}");
}

#[test]
fn c02_chains_are_read_whole_or_not_at_all() {
    let cert = Ca::new("Root").below(2).issue(&Leaf::named("a.test"));
    let whole = cert.chain().concat();
    let chain = CertificateChain::from_der(&whole).unwrap();
    assert_eq!(
        chain,
        CertificateChain::from_pem(cert.chain_pem().as_bytes()).unwrap()
    );
    let ends: Vec<usize> = cert
        .chain()
        .iter()
        .scan(0, |at, c| {
            *at += c.len();
            Some(*at)
        })
        .collect();
    for n in 0..whole.len() {
        let read = CertificateChain::from_der(&whole[..n]);
        match ends.contains(&n) {
            true => assert!(read.is_ok()),
            false if n == 0 => assert_eq!(read.unwrap_err(), ChainError::Empty),
            false if n < ends[0] => assert!(matches!(read, Err(ChainError::First(_)))),
            false => assert!(matches!(read, Err(ChainError::Rest(_)))),
        }
    }
    let many = cert.pem().repeat(101);
    assert_eq!(
        CertificateChain::from_pem(many.as_bytes()).unwrap_err(),
        ChainError::TooLong
    );
    assert_eq!(
        CertificateChain::from_der(&cert.der.repeat(101)).unwrap_err(),
        ChainError::TooLong
    );
}
