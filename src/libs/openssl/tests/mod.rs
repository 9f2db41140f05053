//! The keys and certificates beside this file were made with OpenSSL's command line, for these tests only.
#![allow(clippy::unwrap_used)]

use super::asn1::{self, Asn1Error, Reader};
use super::cert::{Cert, Extension};
use super::cipher::{Cipher, Job};
use super::digest::{self, Alg, HkdfMode, Running};
use super::key::{Curve, EcKey, Key, Okp, OkpKey, RsaKey};
use super::key_code::{self, KeyError};
use super::name::Name;
use super::pem::{self, PemError};
use super::sign::{self, OpError, Padding};
use super::verify::{self, Terms};
use super::{bignum, errors, extension, fast, general, objects, time};

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!($name, ".pem")).as_slice()
    };
}

const PRIVATE: &[(&str, &[u8])] = &[
    ("rsaEncryption", fixture!("rsa8")),
    ("rsaEncryption", fixture!("rsa1")),
    ("id-ecPublicKey", fixture!("p256")),
    ("id-ecPublicKey", fixture!("p256_sec1")),
    ("id-ecPublicKey", fixture!("p384")),
    ("id-ecPublicKey", fixture!("p521")),
    ("ED25519", fixture!("ed")),
    ("X25519", fixture!("x25519")),
];

const PUBLIC: &[&[u8]] = &[fixture!("rsapub"), fixture!("p256_pub"), fixture!("ed_pub")];

const ENCRYPTED: &[&[u8]] = &[
    fixture!("p256enc"),
    fixture!("p256encscrypt"),
    fixture!("p256enc3des"),
    fixture!("p256sec1enc"),
    fixture!("rsa1enc"),
];

fn load(text: &[u8]) -> Key {
    key_code::read_pem(text, true, true, None).unwrap()
}

fn data(text: &[u8]) -> Vec<u8> {
    let mut blocks = pem::blocks(text);
    loop {
        let block = blocks.next_block().unwrap();
        if !block.label.ends_with("PARAMETERS") {
            return block.data;
        }
    }
}

fn cert() -> Cert {
    Cert::read(&data(fixture!("cert"))).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn sign(key: &Key, text: &[u8]) -> Result<Vec<u8>, OpError> {
    match key {
        Key::Okp(_) => sign::sign_text(key, text),
        _ => sign::sign_digested(key, Alg::Sha256, text, Padding::Pkcs1),
    }
}

fn verify(key: &Key, text: &[u8], signature: &[u8]) -> Result<bool, OpError> {
    match key {
        Key::Okp(_) => sign::verify_text(key, text, signature),
        _ => sign::verify_hash(
            key,
            Alg::Sha256,
            &Alg::Sha256.digest(text),
            signature,
            Padding::Pkcs1,
        ),
    }
}

#[test]
fn b2_keys_are_read_and_written_in_all_their_forms() {
    for (name, text) in PRIVATE {
        let key = load(text);
        assert_eq!(key.type_name(), *name);
        assert!(key.is_private());
        let pkcs8 = key_code::write_pkcs8(&key).unwrap();
        let traditional = key_code::write_traditional(&key).unwrap();
        let public = key_code::read_spki(&key_code::write_spki(&key)).unwrap();
        assert!(!public.is_private());
        assert!(public.same_public(&key));
        assert!(key_code::write_pkcs8(&public).is_none());
        for der in [&pkcs8, &traditional] {
            let again = key_code::read_private_der(der, None).unwrap();
            assert!(again.is_private() && again.same_public(&key));
            assert_eq!(key_code::write_pkcs8(&again).unwrap(), pkcs8, "{name}");
        }
        let own = data(text);
        assert!(
            own == **pkcs8 || own == **traditional,
            "{name}: not as OpenSSL writes it"
        );
    }
    for text in PUBLIC {
        let key = load(text);
        assert!(!key.is_private());
        assert_eq!(
            pem::write("PUBLIC KEY", &key_code::write_spki(&key)).as_bytes(),
            *text
        );
        assert!(
            key_code::read_pem(text, true, false, None).is_err(),
            "wanted private"
        );
    }
    assert!(
        key_code::read_pem(fixture!("p256"), false, true, None).is_err(),
        "wanted public"
    );
}

#[test]
fn b2_keys_under_a_passphrase_open_with_it_alone() {
    let plain = load(fixture!("p256"));
    let rsa = load(fixture!("rsa8"));
    for text in ENCRYPTED {
        let read = |passphrase: Option<&[u8]>| key_code::read_pem(text, true, true, passphrase);
        let key = read(Some(b"secret")).unwrap();
        assert!(key.is_private() && (key.same_public(&plain) || key.same_public(&rsa)));
        assert!(matches!(read(None), Err(KeyError::NoPassphrase)));
        assert!(read(Some(b"wrong")).is_err());
    }
}

#[test]
fn b2_keys_that_are_made_sign_and_verify() {
    let mut made: Vec<Key> = Curve::ALL
        .into_iter()
        .map(|c| Key::Ec(EcKey::generate(c).unwrap()))
        .collect();
    made.push(Key::Okp(OkpKey::generate(Okp::Ed25519).unwrap()));
    made.push(Key::Rsa(RsaKey::generate(2048, None).unwrap()));
    for key in &made {
        let signature = sign(key, b"text").unwrap();
        assert!(signature.len() <= key.size());
        let public = key_code::read_spki(&key_code::write_spki(key)).unwrap();
        assert!(verify(&public, b"text", &signature).unwrap());
        assert!(!verify(&public, b"another", &signature).unwrap());
        assert!(!verify(&public, b"text", &signature[1..]).unwrap());
        assert!(!verify(&public, b"text", b"").unwrap());
        assert_eq!(sign(&public, b"text"), Err(OpError::NoPrivate));
        for other in &made {
            if !std::ptr::eq(key, other) {
                assert!(!verify(other, b"text", &signature).unwrap());
            }
        }
    }
}

#[test]
fn b2_every_digest_signs_with_every_kind() {
    for text in [
        fixture!("rsa8"),
        fixture!("p256"),
        fixture!("p384"),
        fixture!("p521"),
    ] {
        let key = load(text);
        for alg in [
            Alg::Md5,
            Alg::Sha1,
            Alg::Sha224,
            Alg::Sha256,
            Alg::Sha384,
            Alg::Sha512,
        ] {
            let hash = alg.digest(b"text");
            let signature = sign::sign_hash(&key, alg, &hash, Padding::Pkcs1).unwrap();
            assert!(sign::verify_hash(&key, alg, &hash, &signature, Padding::Pkcs1).unwrap());
            if let Key::Ec(k) = &key {
                let raw = sign::ecdsa_to_raw(k.curve, &signature).unwrap();
                assert_eq!(raw.len(), 2 * k.curve.size());
                assert_eq!(sign::ecdsa_to_der(k.curve, &raw).unwrap(), signature);
                assert!(sign::ecdsa_to_der(k.curve, &vec![0; raw.len()]).is_none());
            }
        }
    }
}

#[test]
fn b2_the_fast_way_and_the_general_one_agree() {
    let algs = [Alg::Sha1, Alg::Sha256, Alg::Sha384, Alg::Sha512];
    let pss = Padding::Pss { salt: None };
    let mut fast_ones = 0;
    for text in [
        fixture!("rsa8"),
        fixture!("p256"),
        fixture!("p384"),
        fixture!("p521"),
    ] {
        let key = load(text);
        for alg in algs {
            for padding in [Padding::Pkcs1, pss] {
                let hash = alg.digest(b"text");
                let slow = sign::sign_hash(&key, alg, &hash, padding).unwrap();
                assert!(sign::verify_digested(&key, alg, b"text", &slow, padding).unwrap());
                assert!(!fast::verifies(&key, Some(alg), b"another", &slow, padding));
                let Some(fast) = fast::sign(&key, alg, b"text", padding) else {
                    continue;
                };
                fast_ones += 1;
                assert!(sign::verify_hash(&key, alg, &hash, &fast, padding).unwrap());
                assert!(fast::verifies(&key, Some(alg), b"text", &fast, padding));
            }
        }
    }
    assert_eq!(fast_ones, 10);
}

#[test]
fn b2_pss_takes_any_salt_or_the_one_that_is_asked_for() {
    let key = load(fixture!("rsa8"));
    let hash = Alg::Sha256.digest(b"text");
    for salt in [0, 20, 32, 222] {
        let asked = Padding::Pss { salt: Some(salt) };
        let any = Padding::Pss { salt: None };
        let other = Padding::Pss { salt: Some(33) };
        let signature = sign::sign_hash(&key, Alg::Sha256, &hash, asked).unwrap();
        let good = |p| sign::verify_hash(&key, Alg::Sha256, &hash, &signature, p).unwrap();
        assert!(
            good(asked) && good(any) && !good(other) && !good(Padding::Pkcs1),
            "{salt}"
        );
    }
    let too_long = Padding::Pss { salt: Some(223) };
    assert!(sign::sign_hash(&key, Alg::Sha256, &hash, too_long).is_err());
}

#[test]
fn b2_rsa_encrypts_and_decrypts() {
    let key = load(fixture!("rsa8"));
    let oaep = Padding::Oaep {
        md: Alg::Sha256,
        mgf1: Alg::Sha1,
    };
    for padding in [Padding::Pkcs1, oaep] {
        let sealed = sign::encrypt(&key, b"secret", padding).unwrap();
        assert_eq!(sign::decrypt(&key, &sealed, padding).unwrap(), b"secret");
        assert!(sign::encrypt(&key, &[1; 256], padding).is_err());
    }
    let sealed = sign::encrypt(&key, b"secret", oaep).unwrap();
    let mut broken = sealed.clone();
    broken[200] ^= 1;
    assert_eq!(sign::decrypt(&key, &broken, oaep), Err(OpError::BadPadding));
    let raw = sign::encrypt(&key, &[1; 256], Padding::None).unwrap();
    assert_eq!(sign::decrypt(&key, &raw, Padding::None).unwrap(), [1; 256]);
    assert_eq!(
        sign::encrypt(&key, &[255; 256], Padding::None),
        Err(OpError::TooLarge)
    );
    assert_eq!(
        sign::encrypt(&load(fixture!("ed")), b"x", Padding::Pkcs1),
        Err(OpError::KeyType)
    );
}

#[test]
fn b2_a_key_of_fewer_numbers_is_completed_and_a_false_one_does_not_sign() {
    let Key::Rsa(full) = load(fixture!("rsa8")) else {
        unreachable!()
    };
    let mut secret = full.full_secret().unwrap();
    let want = key_code::write_traditional(&Key::Rsa(
        RsaKey::new(&full.n, &full.e, Some(secret.clone())).unwrap(),
    ));
    secret.p.clear();
    secret.qi.clear();
    let short = Key::Rsa(RsaKey::new(&full.n, &full.e, Some(secret.clone())).unwrap());
    assert!(sign(&short, b"x").is_ok());
    assert_eq!(
        key_code::write_traditional(&short).unwrap().len(),
        want.unwrap().len()
    );
    secret.d[5] ^= 1;
    let false_key = Key::Rsa(RsaKey::new(&full.n, &full.e, Some(secret)).unwrap());
    assert_eq!(sign(&false_key, b"x"), Err(OpError::Key));
    assert!(EcKey::from_scalar(Curve::P256, &[0; 32]).is_none());
    assert!(EcKey::from_scalar(Curve::P256, &[255; 32]).is_none());
    assert!(EcKey::from_coordinates(Curve::P256, &[1; 32], &[1; 32]).is_none());
}

#[test]
fn b2_a_certificate_says_what_openssl_says_of_it() {
    let cert = cert();
    assert_eq!(cert.version, 3);
    assert_eq!(hex(&cert.serial), "057bd9399bc5b3b532835568edf98b0eded067b1");
    let der = cert.write().unwrap();
    assert_eq!(
        hex(&Alg::Sha256.digest(&der)),
        "4aac9cc11cb2b4c38320c0a45b380618fa00f30db28780fdeae831b8b40e6642"
    );
    assert_eq!((cert.not_before, cert.not_after), (1_795_634_035, 4_949_234_035));
    assert_eq!(cert.basic_constraints().unwrap(), Some((true, Some(2))));
    let key = load(fixture!("p256"));
    assert!(cert.public_key().unwrap().same_public(&key));
    assert!(cert.verify(&key).unwrap());
    assert!(cert.verify(&load(fixture!("rsa8"))).is_err());
    assert!(!cert.verify(&load(fixture!("p384"))).unwrap());
    let shown = |name: &str| String::from_utf8(extension::print(cert.extension(name).unwrap())).unwrap();
    assert_eq!(
        shown("subjectAltName"),
        "DNS:example.com, DNS:*.example.com, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, \
         email:x@y.z, URI:http://a/b, DirName:/CN=inner"
    );
    assert_eq!(shown("basicConstraints"), "CA:TRUE, pathlen:2");
    assert_eq!(shown("keyUsage"), "Digital Signature, Certificate Sign");
    assert_eq!(
        shown("extendedKeyUsage"),
        "TLS Web Server Authentication, TLS Web Client Authentication"
    );
}

/// A certificate for `key`, signed by `issuer`'s.
fn issue(subject: &str, key: &Key, issuer: &str, by: &Key, extensions: &[(&str, &str)]) -> Cert {
    let mut cert = Cert::empty();
    cert.version = 3;
    cert.serial = vec![1];
    cert.subject.add("CN", subject.as_bytes()).unwrap();
    cert.issuer.add("CN", issuer.as_bytes()).unwrap();
    (cert.not_before, cert.not_after) = (1000, 2000);
    cert.spki = key_code::write_spki(key);
    for (name, text) in extensions {
        let made = extension::make(name, text, Some(&cert), None).unwrap();
        cert.extensions.push(made);
    }
    cert.sign(by, None).unwrap();
    Cert::read(&cert.write().unwrap()).unwrap()
}

const TERMS: Terms = Terms {
    now: Some(1500),
    depth: 100,
    partial: false,
    ignore_critical: false,
    purpose: None,
};

#[test]
fn b2_chains_are_judged() {
    let ca = &[
        ("basicConstraints", "critical,CA:TRUE"),
        ("keyUsage", "keyCertSign"),
    ];
    let keys: Vec<Key> = (0..4)
        .map(|_| Key::Ec(EcKey::generate(Curve::P256).unwrap()))
        .collect();
    let root = issue("root", &keys[0], "root", &keys[0], ca);
    let middle = issue("middle", &keys[1], "root", &keys[0], ca);
    let leaf = issue(
        "leaf",
        &keys[2],
        "middle",
        &keys[1],
        &[("extendedKeyUsage", "serverAuth")],
    );
    let (roots, middles) = (vec![root.clone()], vec![middle.clone()]);
    let judge = |leaf: &Cert, untrusted: &[Cert], trusted: &[Cert], terms: Terms| {
        verify::verify(leaf, untrusted, trusted, terms).map(|chain| chain.len())
    };
    assert_eq!(judge(&leaf, &middles, &roots, TERMS), Ok(3));
    assert_eq!(judge(&middle, &[], &roots, TERMS), Ok(2));
    assert_eq!(judge(&root, &[], &roots, TERMS), Ok(1));
    let local = Err("unable to get local issuer certificate");
    assert_eq!(judge(&leaf, &[], &roots, TERMS), local);
    assert_eq!(judge(&leaf, &middles, &[], TERMS), local);
    assert_eq!(judge(&root, &[], &[], TERMS), Err("self-signed certificate"));
    let both = vec![middle.clone(), root.clone()];
    let in_chain = Err("self-signed certificate in certificate chain");
    assert_eq!(judge(&leaf, &both, &[], TERMS), in_chain);
    assert_eq!(
        judge(&leaf, &[], &middles, TERMS),
        Err("unable to get issuer certificate")
    );
    let partial = Terms {
        partial: true,
        ..TERMS
    };
    assert_eq!(judge(&leaf, &[], &middles, partial), Ok(2));
    let late = Terms {
        now: Some(2001),
        ..TERMS
    };
    assert_eq!(
        judge(&leaf, &middles, &roots, late),
        Err("certificate has expired")
    );
    let early = Terms {
        now: Some(999),
        ..TERMS
    };
    assert_eq!(
        judge(&leaf, &middles, &roots, early),
        Err("certificate is not yet valid")
    );
    assert_eq!(
        judge(&leaf, &middles, &roots, Terms { now: None, ..TERMS }),
        Ok(3)
    );
    let shallow = Terms { depth: 0, ..TERMS };
    assert_eq!(
        judge(&leaf, &middles, &roots, shallow),
        Err("certificate chain too long")
    );
    let client = Some("1.3.6.1.5.5.7.3.2");
    let for_client = Terms {
        purpose: client,
        ..TERMS
    };
    assert_eq!(
        judge(&leaf, &middles, &roots, for_client),
        Err("unsuitable certificate purpose")
    );

    let forged = issue("leaf", &keys[2], "middle", &keys[3], &[]);
    assert_eq!(
        judge(&forged, &middles, &roots, TERMS),
        Err("certificate signature failure")
    );
    let no_ca = issue("middle", &keys[1], "root", &keys[0], &[]);
    assert_eq!(
        judge(&leaf, &[no_ca], &roots, TERMS),
        Err("invalid CA certificate")
    );
    let no_sign = [("basicConstraints", "CA:TRUE"), ("keyUsage", "digitalSignature")];
    let no_sign = issue("middle", &keys[1], "root", &keys[0], &no_sign);
    assert_eq!(
        judge(&leaf, &[no_sign], &roots, TERMS),
        Err("invalid CA certificate")
    );
    let no_path = [("basicConstraints", "CA:TRUE,pathlen:0")];
    let no_path = issue("root", &keys[0], "root", &keys[0], &no_path);
    assert_eq!(
        judge(&leaf, &middles, &[no_path], TERMS),
        Err("path length constraint exceeded")
    );
    let mut critical = issue("leaf", &keys[2], "root", &keys[0], &[]);
    critical.extensions.push(Extension {
        oid: asn1::undotted("2.5.29.30").unwrap(),
        critical: true,
        value: vec![0x30, 0],
    });
    critical.sign(&keys[0], None).unwrap();
    assert_eq!(
        judge(&critical, &[], &roots, TERMS),
        Err("unhandled critical extension")
    );
}

#[test]
fn b2_certificates_that_all_name_each_other_end() {
    let key = Key::Okp(OkpKey::generate(Okp::Ed25519).unwrap());
    let crossed: Vec<Cert> = (0..40)
        .map(|i| {
            let mut cert = issue("a", &key, "a", &key, &[]);
            cert.serial = vec![i];
            cert.issuer = Name::default();
            cert.issuer.add("CN", b"b").unwrap();
            cert.subject = Name::default();
            cert.subject
                .add("CN", if i % 2 == 0 { b"b" } else { b"a" })
                .unwrap();
            cert.sign(&key, None).unwrap();
            cert
        })
        .collect();
    assert!(verify::verify(&crossed[1], &crossed, &[], TERMS).is_err());
}

#[test]
fn b2_certificates_that_are_made_read_back() {
    for (_, text) in PRIVATE {
        let key = load(text);
        let mut cert = Cert::empty();
        cert.version = 3;
        cert.subject.add("C", b"US").unwrap();
        cert.subject.add("CN", b"h\xe9llo").unwrap();
        assert!(cert.subject.add("C", b"USA").is_err());
        assert!(cert.subject.add("nonsense", b"x").is_err());
        cert.issuer = cert.subject.clone();
        (cert.not_before, cert.not_after) = (0, 4_102_444_800);
        cert.spki = key_code::write_spki(&key);
        let signed = cert.sign(&key, Some(Alg::Sha384));
        if key.type_name() == "X25519" {
            assert_eq!(signed, Err(OpError::KeyType));
            continue;
        }
        signed.unwrap();
        let again = Cert::read(&cert.write().unwrap()).unwrap();
        assert!(again.verify(&key).unwrap());
        assert_eq!(again.write(), cert.write());
        assert_eq!(again.subject, cert.subject);
        assert_eq!(again.subject.entries[1].value, "héllo".as_bytes());
        assert_eq!((again.not_before, again.not_after), (0, 4_102_444_800));
        cert.version = 2;
        cert.changed();
        assert!(!cert.verify(&key).unwrap());
    }
}

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
    let _ = verify::verify(
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
fn b2_pem_is_read_as_leniently_as_openssl_does_and_no_more() {
    let read = |text: &str| pem::blocks(text.as_bytes()).next_block();
    assert_eq!(read("").unwrap_err(), PemError::NoStart);
    assert_eq!(read("-----BEGIN A-----\nAAAA\n").unwrap_err(), PemError::BadEnd);
    assert_eq!(
        read("-----BEGIN A-----\nAAAA\n-----END B-----\n").unwrap_err(),
        PemError::BadEnd
    );
    assert_eq!(
        read("-----BEGIN A-----\n****\n-----END A-----\n").unwrap_err(),
        PemError::BadBase64
    );
    let block = read("junk\n-----BEGIN A B-----  \r\nX: y\r\n\r\nAA\r\nAA\r\n-----END A B-----").unwrap();
    assert_eq!((block.label.as_str(), block.header("X")), ("A B", Some("y")));
    assert_eq!(block.data, [0, 0, 0]);
    assert_eq!(pem::write("A", &[0; 49]).lines().count(), 4);
}

#[test]
fn b2_der_is_read_within_its_bounds() {
    let next = |bytes: &[u8]| Reader::new(bytes).next().map(|e| e.body.len());
    assert_eq!(next(&[]), Err(Asn1Error::Short));
    assert_eq!(next(&[0x30]), Err(Asn1Error::Short));
    assert_eq!(next(&[0x30, 1]), Err(Asn1Error::Short));
    assert_eq!(next(&[0x30, 0x80, 0, 0]), Err(Asn1Error::Length));
    assert_eq!(next(&[0x30, 0x85, 0, 0, 0, 0, 0]), Err(Asn1Error::Length));
    assert_eq!(next(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), Err(Asn1Error::Short));
    assert_eq!(next(&[0x1f, 1, 0]), Err(Asn1Error::Tag));
    assert_eq!(next(&[0x30, 0x81, 1, 0]), Ok(1));
    for n in [0, 127, 128, 255, 256, 70_000] {
        assert_eq!(next(&asn1::element(4, &vec![1; n])), Ok(n));
    }
    for id in [
        "1.2.840.113549.1.1.1",
        "2.5.29.14",
        "0.9.2342",
        "2.999.1",
        "1.3.6.1.4.1.4294967296",
    ] {
        assert_eq!(asn1::dotted(&asn1::undotted(id).unwrap()).as_deref(), Some(id));
    }
    for id in [
        "",
        "1",
        "3.1",
        "1.40",
        "a.b",
        "1..2",
        "1.2.99999999999999999999",
        "+1.2",
    ] {
        assert_eq!(asn1::undotted(id), None, "{id}");
    }
    assert_eq!(asn1::dotted(&[0x80; 20]), None);
    assert_eq!(objects::by_text("commonName").unwrap().sn, "CN");
}

#[test]
fn b2_times_are_read_and_written() {
    for seconds in [
        0,
        1_795_634_035,
        2_524_607_999,
        2_524_608_000,
        -1,
        253_402_300_799,
    ] {
        let der = time::write(seconds).unwrap();
        assert_eq!(time::read(&Reader::new(&der).next().unwrap()), Ok(seconds));
    }
    assert_eq!(time::write(i64::MAX), None);
    for text in [
        "",
        "Z",
        "991301000000Z",
        "990230000000Z",
        "990101250000Z",
        "99010100000",
        "9901010000é0Z",
    ] {
        let der = asn1::element(asn1::UTC_TIME, text.as_bytes());
        assert!(time::read(&Reader::new(&der).next().unwrap()).is_err(), "{text}");
    }
}

#[test]
fn b2_digests_and_what_is_built_on_them() {
    let known = [
        (Alg::Md5, "900150983cd24fb0d6963f7d28e17f72"),
        (Alg::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            Alg::Sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
    ];
    for (alg, want) in known {
        assert_eq!(hex(&alg.digest(b"abc")), want);
        let mut running = Running::digest(alg);
        running.update(b"a");
        running.update(b"bc");
        assert_eq!(hex(&running.result()), want);
        assert_eq!(alg.size() * 2, want.len());
    }
    // RFC 4231, case 2
    let mut mac = Running::hmac(Alg::Sha256, b"Jefe").unwrap();
    mac.update(b"what do ya want for nothing?");
    let want = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(hex(&mac.result()), want);
    // RFC 6070
    let derived = digest::pbkdf2(Alg::Sha1, b"password", b"salt", 4096, 20);
    assert_eq!(hex(&derived), "4b007901b765489abead49d926f721d065a429c1");
    // RFC 5869, case 1
    let (ikm, salt) = ([11; 22], (0..13).collect::<Vec<u8>>());
    let info: Vec<u8> = (0xf0..0xfa).collect();
    let okm = digest::hkdf(Alg::Sha256, HkdfMode::Both, &ikm, &salt, &info, 42).unwrap();
    assert!(hex(&okm).starts_with("3cb25f25faacd57a90434f64d0362f2a"));
    assert!(digest::hkdf(Alg::Sha256, HkdfMode::Both, &ikm, &salt, &info, 256 * 32).is_none());
    assert!(Alg::by_name("sha-999").is_none());
}

#[test]
fn b2_ciphers_give_back_what_they_took_and_notice_changes() {
    for name in [
        "aes-128-cbc",
        "AES-192-CBC",
        "aes-256-ecb",
        "aes-128-ctr",
        "aes-256-gcm",
    ] {
        let cipher = Cipher::by_name(name).unwrap();
        let (key, iv) = (vec![7; cipher.key_size], vec![9; cipher.iv_size()]);
        for n in [0, 1, 15, 16, 17, 1000] {
            let data = vec![5; n];
            let seal = Job {
                encrypt: true,
                padded: true,
                key: &key,
                iv: &iv,
                aad: b"aad",
                tag: None,
                data: &data,
            };
            let sealed = cipher.run(&seal).unwrap();
            let tag = sealed.tag.clone();
            let open = Job {
                encrypt: false,
                tag: tag.as_deref(),
                data: &sealed.data,
                ..seal
            };
            assert_eq!(cipher.run(&open).unwrap().data, data, "{name} {n}");
            assert!(
                cipher
                    .run(&Job {
                        key: b"short",
                        ..open
                    })
                    .is_err()
            );
            if tag.is_some() {
                assert!(
                    cipher
                        .run(&Job {
                            aad: b"other",
                            ..open
                        })
                        .is_err()
                );
                assert!(cipher.run(&Job { tag: None, ..open }).is_err());
                assert!(
                    cipher
                        .run(&Job {
                            tag: Some(b"x"),
                            ..open
                        })
                        .is_err()
                );
            }
        }
    }
    for name in ["aes-128", "aes-512-cbc", "des-ede3-cbc", ""] {
        assert!(Cipher::by_name(name).is_none());
    }
}

#[test]
fn b2_numbers_stay_within_bounds() {
    let n = |text: &str| bignum::parse(text, 10).unwrap();
    assert_eq!(bignum::parse("12x", 10), Some(n("12")));
    assert_eq!(bignum::parse("-", 10), None);
    assert_eq!(bignum::parse("x", 16), None);
    assert_eq!(bignum::to_hex(&n("-255")), "-FF");
    assert_eq!(bignum::to_hex(&n("0")), "0");
    assert_eq!(bignum::to_binary(&n("0"), None), None);
    assert_eq!(bignum::to_binary(&n("256"), Some(3)), Some(vec![0, 1, 0]));
    assert_eq!(bignum::to_binary(&n("256"), Some(1)), None);
    let compute = |op, a, b, m| bignum::compute(op, &n(a), &n(b), &n(m));
    assert_eq!(compute("div", "7", "0", "0"), None);
    assert_eq!(compute("mod_exp", "3", "200", "13"), Some(n("9")));
    assert_eq!(compute("mod_exp", "3", "200", "0"), None);
    assert_eq!(compute("mod_sub", "3", "5", "13"), Some(n("11")));
    assert_eq!(compute("exp", "3", "100000000", "0"), None);
    assert_eq!(compute("shl", "1", "4000000000", "0"), None);
    assert_eq!(compute("gcd", "12", "18", "0"), Some(n("6")));
    assert_eq!(compute("no such", "1", "1", "1"), None);
}
