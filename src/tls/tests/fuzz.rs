//! Mutated certificates, keys and PEM texts, the same ones on every run; `MOONGATE_FUZZ=10` makes ten times as
//! many.

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use crate::store::testing::{Dice, rounds};
use crate::tls::chain::CertificateChain;
use crate::tls::identity::ClientIdentity;
use crate::tls::key::PrivateKey;
use crate::tls::pki::cert::{Cert, Extension};
use crate::tls::pki::general::{self, GeneralName};
use crate::tls::pki::key::{Curve, EcKey, Key, Okp, OkpKey};
use crate::tls::pki::{extension, key_code, name::Name, objects, pem};
use crate::tls::trust::TrustStore;
use crate::tls::verify::{Verification, server_verifier};

const RSA: &[u8] = include_bytes!("../../libs/openssl/tests/rsa8.pem");
const ENCRYPTED: &[&[u8]] = &[
    include_bytes!("../../libs/openssl/tests/p256enc.pem"),
    include_bytes!("../../libs/openssl/tests/p256encscrypt.pem"),
    include_bytes!("../../libs/openssl/tests/p256enc3des.pem"),
    include_bytes!("../../libs/openssl/tests/p256sec1enc.pem"),
    include_bytes!("../../libs/openssl/tests/rsa1enc.pem"),
];

const TOKENS: &[&[u8]] = &[
    b"-----BEGIN CERTIFICATE-----\n",
    b"-----END CERTIFICATE-----\n",
    b"-----BEGIN TRUSTED CERTIFICATE-----\n",
    b"-----BEGIN RSA PRIVATE KEY-----\n",
    b"-----BEGIN EC PRIVATE KEY-----\n",
    b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
    b"-----END PRIVATE KEY-----",
    b"-----BEGIN -----",
    b"-----",
    b"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,90739A88B4377B3F6284247DBF27368F\n\n",
    b"DEK-Info: DES-EDE3-CBC,\n\n",
    b"DEK-Info: AES-128-CBC,00\n\n",
    b": ",
    b"\r\n",
    b"\n\n",
    b"=",
    b"==\n",
    b"\0",
    b"\xff\xfe",
    b"MII",
    b"\x30\x84\xff\xff\xff\xff",
    b"\x30\x80",
    b"\x30\x00",
    b"\x02\x00",
    b"\x02\x01\x00",
    b"\x03\x01\x00",
    b"\xa0\x03\x02\x01\x7f",
    b"\x06\x01\x80",
    b"\x1f\x80\x80\x80",
];

/// Up to eight changes: cut off, overwritten, something put in or taken out, a piece repeated, two joined.
fn mutated(dice: &mut Dice, seed: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..dice.roll(9) {
        let at = dice.roll(bytes.len());
        match dice.roll(9) {
            0 => bytes.truncate(at),
            1 | 2 if !bytes.is_empty() => bytes[at] ^= 1 << dice.roll(8),
            3 if !bytes.is_empty() => bytes[at] = dice.roll(256) as u8,
            4 => drop(bytes.splice(at..at, dice.one(TOKENS).iter().copied())),
            5 => drop(bytes.drain(at..(at + dice.roll(12)).min(bytes.len()))),
            6 => {
                let piece = bytes[at..(at + dice.roll(24)).min(bytes.len())].to_vec();
                drop(bytes.splice(at..at, piece.repeat(1 + dice.roll(40))));
            }
            7 => {
                let other = dice.one(others);
                let from = dice.roll(other.len());
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {}
        }
        bytes.truncate(1 << 16);
    }
    bytes
}

fn keys() -> Vec<Key> {
    let ec = |curve| Key::Ec(EcKey::generate(curve).unwrap());
    vec![
        key_code::read_pem(RSA, true, false, None).unwrap(),
        ec(Curve::P256),
        ec(Curve::P384),
        ec(Curve::P521),
        Key::Okp(OkpKey::generate(Okp::Ed25519).unwrap()),
    ]
}

/// Certificates of each kind of key, with every extension that is looked at.
fn certificates(keys: &[Key]) -> Vec<Vec<u8>> {
    let names = general::write(&[
        GeneralName::Dns(b"*.a.test".to_vec()),
        GeneralName::Ip("10.0.0.1".parse().unwrap()),
        GeneralName::Email(b"a@a.test".to_vec()),
        GeneralName::Uri(b"https://a.test".to_vec()),
    ]);
    let extension = |name: &str, value: Vec<u8>| Extension {
        oid: objects::contents(name).unwrap(),
        critical: name == "keyUsage",
        value,
    };
    let made = keys.iter().map(|key| {
        let mut cert = Cert::empty();
        cert.version = 3;
        cert.serial = vec![1, 2, 3];
        (cert.not_before, cert.not_after) = (0, 4_000_000_000);
        cert.spki = key_code::write_spki(key);
        let mut name = Name::default();
        name.add("C", b"US").unwrap();
        name.add("CN", b"a.test").unwrap();
        (cert.subject, cert.issuer) = (name.clone(), name);
        for (name, text) in [
            ("basicConstraints", "CA:TRUE,pathlen:3"),
            ("keyUsage", "keyCertSign,digitalSignature"),
            ("extendedKeyUsage", "serverAuth,clientAuth"),
        ] {
            let made = extension::make(name, text, Default::default()).unwrap();
            cert.extensions.push(made);
        }
        cert.extensions.push(extension("subjectAltName", names.clone()));
        cert.sign(key, None).unwrap();
        cert.write().unwrap()
    });
    made.collect()
}

/// What a gateway does with a certificate that came in: it judges it both ways, and takes it for its own.
fn use_chain(dice: &mut Dice, chain: &CertificateChain, key: &PrivateKey) {
    let _ = ClientIdentity::new(chain.clone(), key.clone());
    let store = TrustStore::new(chain.certs().to_vec());
    let (leaf, rest) = chain.certs().split_first().unwrap();
    let name = ServerName::try_from(*dice.one(&["a.test", "x.a.test", "10.0.0.1"])).unwrap();
    let mut judged = vec![Verification::Off];
    if let Ok(trust) = store {
        let depth = dice.roll(4) as u8;
        judged.push(Verification::On { trust, depth });
    }
    for verification in judged {
        let verifier = server_verifier(&verification);
        let _ = verifier.verify_server_cert(leaf, rest, &name, &[], UnixTime::now());
    }
}

#[test]
fn c02_mutated_certificates_are_read_or_refused() {
    let keys = keys();
    let ders = certificates(&keys);
    let texts: Vec<Vec<u8>> = ders
        .iter()
        .map(|der| pem::write("CERTIFICATE", der).into_bytes())
        .collect();
    let own = PrivateKey::from_der(&key_code::write_pkcs8(&keys[1]).unwrap()).unwrap();
    let mut dice = Dice::new(1);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..rounds(6000) {
        let seed = dice.roll(ders.len());
        let by_der = mutated(&mut dice, &ders[seed], &ders);
        let by_pem = mutated(&mut dice, &texts[seed], &texts);
        // a certificate that is no longer base64 says nothing about what is in it
        let inside = pem::write("CERTIFICATE", &by_der).into_bytes();
        for chain in [
            CertificateChain::from_der(&by_der),
            CertificateChain::from_pem(&by_pem),
            CertificateChain::from_pem(&inside),
        ] {
            match chain {
                Ok(chain) => {
                    read += 1;
                    use_chain(&mut dice, &chain, &own);
                }
                Err(_) => refused += 1,
            }
        }
        let _ = TrustStore::from_pem(&by_pem);
        let leaf = CertificateDer::from(by_der);
        let verifier = server_verifier(&Verification::Off);
        let name = ServerName::try_from("a.test").unwrap();
        let _ = verifier.verify_server_cert(&leaf, &[], &name, &[], UnixTime::now());
    }
    assert!(read > rounds(2000) && refused > rounds(2000), "{read} {refused}");
}

#[test]
fn c02_mutated_keys_are_read_or_refused() {
    let keys = keys();
    let mut seeds = vec![RSA.to_vec()];
    for key in &keys {
        seeds.push(pem::write("PRIVATE KEY", &key_code::write_pkcs8(key).unwrap()).into_bytes());
        let label = match key {
            Key::Rsa(_) => "RSA PRIVATE KEY",
            _ => "EC PRIVATE KEY",
        };
        seeds.push(pem::write(label, &key_code::write_traditional(key).unwrap()).into_bytes());
        seeds.push(key_code::write_pkcs8(key).unwrap().to_vec());
        seeds.push(key_code::write_traditional(key).unwrap().to_vec());
    }
    let mut dice = Dice::new(2);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..rounds(8000) {
        let seed = dice.roll(seeds.len());
        let bytes = mutated(&mut dice, &seeds[seed], &seeds);
        for key in [
            PrivateKey::from_pem(&bytes, Some(b"secret")),
            PrivateKey::from_der(&bytes),
        ] {
            match key {
                Ok(key) => {
                    read += 1;
                    // signing is slow: not with each
                    if dice.roll(20) == 0 {
                        let key = key.signing_key();
                        let signer = key.choose_scheme(crate::tls::verify::SCHEMES);
                        let _ = signer.map(|s| s.sign(b"text"));
                    }
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(read > rounds(800) && refused > rounds(800), "{read} {refused}");
}

#[test]
fn c02_mutated_encrypted_keys_are_read_or_refused() {
    let seeds: Vec<Vec<u8>> = ENCRYPTED.iter().map(|s| s.to_vec()).collect();
    let mut dice = Dice::new(3);
    let mut opened = 0;
    for _ in 0..rounds(150) {
        let seed = dice.roll(seeds.len());
        let bytes = mutated(&mut dice, &seeds[seed], &seeds);
        let begun = std::time::Instant::now();
        opened += usize::from(PrivateKey::from_pem(&bytes, Some(b"secret")).is_ok());
        let took = begun.elapsed();
        assert!(
            took.as_secs() < 60,
            "{took:?}: {}",
            String::from_utf8_lossy(&bytes)
        );
    }
    assert!(opened > rounds(10), "{opened}");
}
