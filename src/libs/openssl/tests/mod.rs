//! The keys and certificates beside this file were made with OpenSSL's command line, for these tests only.
#![allow(clippy::unwrap_used)]

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!($name, ".pem")).as_slice()
    };
}

mod certs;
mod held;
mod mutations;
mod values;

use super::asn1::{self, Asn1Error, Reader};
use super::cert::{Cert, Extension};
use super::cipher::{Cipher, CipherError, Setup};
use super::digest::{self, Alg, HkdfMode, Running};
use super::key::{Curve, DhGroup, DhKey, EcKey, Key, Okp, OkpKey, RsaKey};
use super::key_code::{self, KeyError};
use super::name::Name;
use super::path::{self, Terms};
use super::pem::{self, PemError};
use super::sign::{self, OpError, Padding};
use super::{bignum, errors, extension, general, objects, p12};
use crate::tls::pki::{fast, time};

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
fn d1_scrypt_costs_what_it_computes() {
    use pkcs8::der::Encode as _;
    let read = |lanes| {
        let params = scrypt::Params::new(14, 8, lanes).unwrap();
        let params = pkcs8::pkcs5::pbes2::Parameters::generate_scrypt_aes128cbc(params, b"salted", [0; 16]);
        let scheme = pkcs8::pkcs5::EncryptionScheme::from(params.unwrap());
        let algorithm = scheme.to_der().unwrap();
        let data = asn1::element(asn1::OCTET_STRING, &[0; 16]);
        let der = asn1::list(asn1::SEQUENCE, &[&algorithm, &data]);
        key_code::read_private_der(&der, Some(b"secret")).err()
    };
    // 16 lanes take no more memory than one, but 16 times as long: 2,097,152 blocks
    assert_eq!(read(1), Some(KeyError::BadDecrypt));
    assert_eq!(read(16), Some(KeyError::Unsupported));
}

#[test]
fn b2_keys_that_are_made_sign_and_verify() {
    let mut made: Vec<Key> = Curve::ALL
        .into_iter()
        .map(|c| Key::Ec(EcKey::generate(c).unwrap()))
        .collect();
    for kind in [Okp::Ed25519, Okp::Ed448] {
        made.push(Key::Okp(OkpKey::generate(kind).unwrap()));
    }
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
fn d4_two_keys_of_a_kind_agree() {
    let mut kinds: Vec<[Key; 2]> = Curve::ALL
        .into_iter()
        .map(|c| [0, 1].map(|_| Key::Ec(EcKey::generate(c).unwrap())))
        .collect();
    let group = || DhGroup::by_name("ffdhe2048").unwrap();
    kinds.push([0, 1].map(|_| Key::Dh(DhKey::generate(group()).unwrap())));
    for kind in [Okp::X448, Okp::X25519] {
        kinds.push([0, 1].map(|_| Key::Okp(OkpKey::generate(kind).unwrap())));
    }
    for (i, [a, b]) in kinds.iter().enumerate() {
        let public = |k: &Key| key_code::read_spki(&key_code::write_spki(k)).unwrap();
        let shared = sign::derive(a, &public(b)).unwrap();
        assert_eq!(shared, sign::derive(b, &public(a)).unwrap());
        assert_ne!(shared, sign::derive(a, &public(a)).unwrap());
        assert_eq!(sign::derive(&public(a), b), Err(OpError::NoPrivate));
        for (j, [other, _]) in kinds.iter().enumerate() {
            assert_eq!(sign::derive(a, other).is_ok(), i == j);
        }
    }
    let nothing = Key::Okp(OkpKey::from_public(Okp::X25519, &[0; 32]).unwrap());
    let Some([x, _]) = kinds.last() else {
        unreachable!()
    };
    assert!(sign::derive(x, &nothing).is_err());
    let ed = Key::Okp(OkpKey::generate(Okp::Ed448).unwrap());
    assert_eq!(sign::derive(&ed, &ed), Err(OpError::KeyType));
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
