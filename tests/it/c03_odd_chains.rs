//! Certificates that should not have been issued, judged beside OpenSSL: what it refuses is refused, with the same
//! number.

use moongate::tls::pki::cert::{Cert, Extension};
use moongate::tls::pki::digest::Alg;
use moongate::tls::pki::extension;
use moongate::tls::pki::key::{Curve, EcKey, Key, RsaKey};
use moongate::tls::pki::{asn1, key_code, name::Name, objects};

use super::c03_verification::{Dice, ours, theirs};
use crate::support::TempDir;
use moongate::tls::verify::Usage;

/// What a certificate of a random chain is like.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Odd {
    constraints: usize,
    usage: usize,
    purposes: usize,
    other: usize,
    weak_key: bool,
    weak_signature: bool,
    version_1: bool,
    expired: bool,
    self_issued: bool,
    wrong_signature: bool,
    serial: usize,
}

/// Mostly as it should be.
fn odd(dice: &mut Dice) -> Odd {
    let mut odd = Odd::default();
    for _ in 0..dice.roll(3) {
        match dice.roll(11) {
            0 => odd.constraints = dice.roll(7),
            1 => odd.usage = dice.roll(4),
            2 => odd.purposes = dice.roll(6),
            3 => odd.other = dice.roll(5),
            4 => odd.weak_key = dice.roll(2) == 0,
            5 => odd.weak_signature = dice.roll(2) == 0,
            6 => odd.version_1 = dice.roll(2) == 0,
            7 => odd.expired = dice.roll(3) == 0,
            8 => odd.self_issued = dice.roll(2) == 0,
            9 => odd.wrong_signature = dice.roll(4) == 0,
            _ => odd.serial = dice.roll(4),
        }
    }
    odd
}

struct Keys {
    small: Key,
    all: Vec<Key>,
}

fn words(name: &str, text: &str) -> Extension {
    extension::make(name, text, Default::default()).unwrap()
}

fn raw(id: &str, critical: bool, value: &[u8]) -> Extension {
    Extension {
        oid: asn1::undotted(id).unwrap(),
        critical,
        value: value.to_vec(),
    }
}

/// NameConstraints with one dNSName in the permitted (0xa0) or excluded (0xa1) list.
fn name_constraints(list: u8, name: &str) -> Extension {
    let base = asn1::element(asn1::SEQUENCE, &asn1::element(0x82, name.as_bytes()));
    let value = asn1::element(asn1::SEQUENCE, &asn1::element(list, &base));
    let oid = objects::contents("nameConstraints").unwrap();
    Extension {
        oid,
        critical: true,
        value,
    }
}

/// Certificate `i` of a chain (0 the root, the last the leaf), signed by `by`.
fn issue(odd: Odd, i: usize, last: usize, issuer: &Name, key: &Key, by: &Key) -> (Cert, Name) {
    let (leaf, root) = (i == last, i == 0);
    let mut name = Name::default();
    name.add("CN", format!("odd {i}").as_bytes()).unwrap();
    if odd.self_issued && !root && !leaf {
        name = issuer.clone();
    }
    let mut cert = Cert::empty();
    cert.version = if odd.version_1 { 1 } else { 3 };
    cert.serial = match odd.serial {
        0 => vec![1, i as u8],
        1 => vec![0],
        2 => vec![0xff],
        _ => vec![0x7f; 24],
    };
    (cert.not_before, cert.not_after) = (
        1_000_000_000,
        if odd.expired { 1_100_000_000 } else { 4_000_000_000 },
    );
    cert.subject = name.clone();
    cert.issuer = if root { name.clone() } else { issuer.clone() };
    cert.spki = key_code::write_spki(key);
    if !odd.version_1 {
        let constraints = match (odd.constraints, leaf) {
            (0, false) => Some("critical,CA:TRUE"),
            (0, true) => None,
            (1, _) => Some("CA:TRUE,pathlen:0"),
            (2, _) => Some("CA:TRUE,pathlen:1"),
            (3, _) => Some("CA:FALSE"),
            (4, _) => None,
            (5, _) => Some("CA:TRUE"),
            (_, _) => Some("critical,CA:TRUE,pathlen:0"),
        };
        cert.extensions
            .extend(constraints.map(|c| words("basicConstraints", c)));
        let usage = match (odd.usage, leaf) {
            (0, _) => None,
            (1, _) => Some("keyCertSign,digitalSignature"),
            (2, _) => Some("digitalSignature"),
            (_, _) => Some("critical,cRLSign"),
        };
        cert.extensions.extend(usage.map(|u| words("keyUsage", u)));
        let purposes = match odd.purposes {
            0 => None,
            1 => Some("serverAuth"),
            2 => Some("clientAuth"),
            3 => Some("serverAuth,clientAuth"),
            4 => Some("emailProtection"),
            _ => Some("anyExtendedKeyUsage"),
        };
        cert.extensions
            .extend(purposes.map(|p| words("extendedKeyUsage", p)));
        match odd.other {
            1 => cert.extensions.push(raw("1.2.3.4", true, b"\x05\x00")),
            2 => cert.extensions.push(raw("1.2.3.4", false, b"\x05\x00")),
            3 if !leaf => cert.extensions.push(name_constraints(0xa0, "a.test")),
            4 if !leaf => cert.extensions.push(name_constraints(0xa1, "a.test")),
            _ => {}
        }
        if leaf {
            let san = if odd.other == 3 {
                "DNS:b.test"
            } else {
                "DNS:www.a.test"
            };
            cert.extensions.push(words("subjectAltName", san));
        }
    }
    let alg = if odd.weak_signature {
        Alg::Sha1
    } else {
        Alg::Sha256
    };
    let by = match odd.wrong_signature {
        true => &Key::Ec(EcKey::generate(Curve::P256).unwrap()),
        false => by,
    };
    cert.sign(by, Some(alg)).unwrap();
    (cert, name)
}

#[test]
fn c03_chains_with_something_wrong_are_judged_as_openssl_judges_them() {
    let keys = Keys {
        small: Key::Rsa(RsaKey::generate(1024, None).unwrap()),
        all: (0..4)
            .map(|_| Key::Ec(EcKey::generate(Curve::P256).unwrap()))
            .collect(),
    };
    let dir = TempDir::new();
    let mut dice = Dice(11);
    let (mut lenient, mut strict, mut words) = (Vec::new(), Vec::new(), Vec::new());
    let (mut same, mut several) = (0, 0);
    let mut answers = std::collections::BTreeMap::<Option<u16>, usize>::new();
    for _ in 0..1000 {
        let last = 1 + dice.roll(3);
        let mut chain: Vec<Vec<u8>> = Vec::new();
        let (mut issuer, mut odds) = (Name::default(), Vec::new());
        let mut by = &keys.all[0];
        for i in 0..=last {
            let odd = odd(&mut dice);
            let key = if odd.weak_key { &keys.small } else { &keys.all[i] };
            let (cert, name) = issue(odd, i, last, &issuer, key, if i == 0 { key } else { by });
            chain.push(cert.write().unwrap());
            (issuer, by) = (name, key);
            odds.push(odd);
        }
        let trust = vec![chain.remove(0)];
        let leaf = chain.pop().unwrap();
        let usage = if dice.roll(4) == 0 {
            Usage::Client
        } else {
            Usage::Server
        };
        let ours = ours(&trust, &leaf, &chain, 4, usage);
        let theirs = theirs(&dir, &trust, &leaf, &chain, 4, usage);
        *answers.entry(theirs).or_default() += 1;
        let told = format!("ours {ours:?}, openssl {theirs:?}: {usage:?} {odds:?}");
        let faulty = odds.iter().filter(|o| **o != Odd::default()).count();
        let self_issued = odds.iter().any(|o| o.self_issued);
        let constrained = odds.iter().any(|o| matches!(o.other, 3 | 4));
        match (ours, theirs) {
            (a, b) if a == b => same += 1,
            // OpenSSL takes an intermediate that has its issuer's name for one that signed itself.
            (_, Some(7)) if self_issued => {}
            (None, Some(_)) => lenient.push(told),
            // Name constraints are webpki's, and it does not look at a leaf that is a CA or of version 1.
            (Some(34), _) if constrained => {}
            (Some(_), None) => strict.push(told),
            // Of several faults another may be told; signatures are checked first here.
            _ if faulty > 1 || odds.iter().any(|o| o.wrong_signature) => several += 1,
            _ => words.push(told),
        }
    }
    for (what, told) in [
        ("lenient", lenient),
        ("strict", strict),
        ("in other words", words),
    ] {
        assert!(told.is_empty(), "{} {what}:\n{}", told.len(), told.join("\n"));
    }
    assert!(answers.len() > 9, "{answers:?}");
    assert!(
        same > 900 && several < 60,
        "{same} the same, {several} of several faults"
    );
}
