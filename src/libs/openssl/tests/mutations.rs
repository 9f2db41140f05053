//! Bytes that were changed on the way.

use super::super::csr::Csr;
use super::certs::TERMS;
use super::*;
use crate::tls::pki::p12::P12Error;

/// A small, plain generator: the same mutations in each run.
struct Rng(u64);

impl Rng {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }

    /// `bytes` cut, or with some of them changed, removed, doubled.
    fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        if self.next(4) == 0 {
            out.truncate(self.next(out.len()));
        }
        for _ in 0..=self.next(3) {
            let i = self.next(out.len());
            match (self.next(4), out.get_mut(i)) {
                (_, None) => {}
                (0, Some(b)) => *b ^= 1 << self.next(8),
                (1, Some(b)) => *b = [0, 1, 0x7f, 0x80, 0xff, 0x30, 0x84][self.next(7)],
                (2, _) => drop(out.remove(i)),
                (_, Some(b)) => {
                    let b = *b;
                    out.insert(i, b);
                }
            }
        }
        out
    }
}

/// What users do with whatever came out of bytes.
fn use_key(key: &Key, rng: &mut Rng) {
    let _ = (key_code::write_spki(key), key.size());
    // operations are slow: not with each
    let one_in = if matches!(key, Key::Rsa(_)) { 40 } else { 8 };
    if rng.next(one_in) == 0 {
        let _ = (key_code::write_pkcs8(key), sign(key, b"x"));
        let _ = verify(key, b"x", &[1; 256]);
        let _ = sign::encrypt(key, b"x", Padding::Pkcs1);
    }
}

fn use_cert(cert: &Cert) {
    let _ = (
        cert.write(),
        cert.public_bits(),
        cert.basic_constraints(),
        cert.signature_algorithm(),
    );
    for e in &cert.extensions {
        let _ = (
            extension::print(e),
            general::read(&e.value),
            extension::purposes(&e.value),
        );
    }
    let _ = path::verify(
        cert,
        std::slice::from_ref(cert),
        std::slice::from_ref(cert),
        TERMS,
    );
    if let Some(key) = cert.public_key() {
        let _ = cert.verify(&key);
    }
}

#[test]
fn b2_two_thousand_mutations_of_each_form_never_panic() {
    let mut rng = Rng(0x9e37_79b9_7f4a_7c15);
    let mut loaded = 0;
    let keys = PRIVATE
        .iter()
        .map(|(_, text)| *text)
        .chain(PUBLIC.iter().copied());
    for text in keys {
        let der = data(text);
        for _ in 0..2000 {
            let read = [
                key_code::read_pem(&rng.mutate(text), true, true, None),
                key_code::read_private_der(&rng.mutate(&der), None),
                key_code::read_spki(&rng.mutate(&der)),
            ];
            for key in read.iter().flatten() {
                loaded += 1;
                use_key(key, &mut rng);
            }
        }
    }
    assert!(loaded > 500, "only {loaded} mutations were keys at all");
    let text = fixture!("cert");
    let der = data(text);
    let mut loaded = 0;
    for _ in 0..2000 {
        let mutated = [
            rng.mutate(&der),
            pem::blocks(&rng.mutate(text))
                .next_block()
                .map_or(Vec::new(), |b| b.data),
        ];
        for bytes in mutated {
            let _ = errors::der(&bytes);
            if let Ok(cert) = Cert::read(&bytes) {
                loaded += 1;
                use_cert(&cert);
            }
        }
    }
    assert!(loaded > 100, "only {loaded} mutations were certificates at all");
    for text in ENCRYPTED {
        for _ in 0..40 {
            let _ =
                key_code::read_pem(&rng.mutate(text), true, true, Some(b"secret")).map(|k| k.is_private());
        }
    }
}

#[test]
fn d1_mutations_of_a_pkcs12_file_never_panic() {
    let mut rng = Rng(0x9e37_79b9_7f4a_7c15);
    let key = key_code::read_pem(fixture!("p256"), true, true, None).unwrap();
    let certs = [data(fixture!("cert"))];
    for cipher in [p12::Cipher::Aes128, p12::Cipher::TripleDes] {
        let options = p12::Options {
            key: cipher,
            certs: cipher,
            rounds: 2,
            mac_rounds: 2,
        };
        let der = p12::write(&key, &certs, Some("name"), b"secret", options).unwrap();
        let whole = p12::read(&der, b"secret").unwrap();
        assert!(whole.key.unwrap().same_public(&key));
        assert_eq!(whole.certs, [(certs[0].clone(), Some("name".to_owned()))]);
        assert!(matches!(p12::read(&der, b"other"), Err(P12Error::Mac)));
        // the code at the end is left off, or hardly any change would be read further than it
        let mut outer = asn1::first(&der, asn1::SEQUENCE).unwrap().reader();
        let parts = [
            outer.next_element().unwrap().whole,
            outer.next_element().unwrap().whole,
        ];
        let open = asn1::list(asn1::SEQUENCE, &parts);
        assert!(p12::read(&open, b"secret").unwrap().key.is_some());
        let mut loaded = 0;
        for _ in 0..2000 {
            let _ = p12::read(&rng.mutate(&der), b"secret");
            loaded += usize::from(p12::read(&rng.mutate(&open), b"secret").is_ok());
        }
        assert!(loaded > 10, "only {loaded} mutations were files at all");
    }
}

/// `bytes` with another number in the place of the last one that is 65,536.
fn with_rounds(bytes: &[u8], rounds: u32) -> Vec<u8> {
    let wanted = asn1::unsigned(&65_536u32.to_be_bytes());
    let other = asn1::unsigned(&rounds.to_be_bytes());
    let at = bytes.windows(wanted.len()).rposition(|w| w == wanted).unwrap();
    assert_eq!(wanted.len(), other.len());
    [&bytes[..at], &other, &bytes[at + wanted.len()..]].concat()
}

#[test]
fn d1_a_pkcs12_file_has_one_budget_of_rounds() {
    let key = key_code::read_pem(fixture!("p256"), true, true, None).unwrap();
    let certs = [data(fixture!("cert"))];
    let write = |passphrase: &[u8], rounds, mac_rounds| {
        let cipher = p12::Cipher::TripleDes;
        let options = p12::Options {
            key: cipher,
            certs: cipher,
            rounds,
            mac_rounds,
        };
        p12::write(&key, &certs, None, passphrase, options)
    };
    let refused = Some(P12Error::Key(KeyError::Unsupported));
    assert!(write(b"secret", 900_000, 200_000).is_none());
    // the key's part alone may ask for that much, with the certificates' it is too much
    let der = write(b"secret", 65_536, 2).unwrap();
    let mut outer = asn1::first(&der, asn1::SEQUENCE).unwrap().reader();
    let parts = [
        outer.next_element().unwrap().whole,
        outer.next_element().unwrap().whole,
    ];
    let open = asn1::list(asn1::SEQUENCE, &parts);
    assert!(p12::read(&open, b"secret").is_ok());
    let asks = with_rounds(&open, 1_999_999);
    assert_eq!(p12::read(&asks, b"secret").err(), refused);
    // an empty passphrase is tried in two ways
    let der = with_rounds(&write(b"", 2, 65_536).unwrap(), 1_000_001);
    assert_eq!(p12::read(&der, b"").err(), refused);
    assert_eq!(p12::read(&der, b"x").err(), Some(P12Error::Mac));
}

#[test]
fn d1_mutations_of_a_request_never_panic() {
    let mut rng = Rng(0x9e37_79b9_7f4a_7c15);
    let key = key_code::read_pem(fixture!("p256"), true, true, None).unwrap();
    let mut request = Csr::empty();
    request.subject.add("CN", b"one.test").unwrap();
    request.spki = key_code::write_spki(&key);
    request.extensions = Cert::read(&data(fixture!("cert"))).unwrap().extensions.clone();
    request.sign(&key, None).unwrap();
    assert!(!request.extensions.is_empty());
    let der = request.write().unwrap();
    let mut loaded = 0;
    for _ in 0..4000 {
        if let Ok(mut changed) = Csr::read(&rng.mutate(&der)) {
            loaded += 1;
            if let Some(key) = changed.public_key() {
                let _ = changed.verify(&key);
            }
            changed.version = 1;
            let _ = changed.write();
        }
    }
    assert!(loaded > 100, "only {loaded} mutations were requests at all");
}
