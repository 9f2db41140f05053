//! Names beside OpenSSL's `X509_check_host` and `X509_check_ip`.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::store::testing::{Dice, rounds};
use crate::tls::names::{for_address, for_host, matches, utf8};
use crate::tls::pki::asn1;
use crate::tls::pki::cert::{Cert, Extension};
use crate::tls::pki::general::{self, GeneralName};
use crate::tls::pki::key::{Curve, EcKey, Key};
use crate::tls::pki::name::{Entry, Name};
use crate::tls::pki::{key_code, objects, pem};

#[test]
fn c03_names_match_as_x509_check_host_has_it() {
    for (pattern, host, want) in [
        ("a.test", "a.test", true),
        ("A.Test", "a.tEST", true),
        ("a.test", "b.a.test", false),
        ("a.test", "a.test.", false),
        ("*.a.test", "b.a.test", true),
        ("*.a.test", "B.A.TEST", true),
        ("*.a.test", "a.test", false),
        ("*.a.test", ".a.test", false),
        ("*.a.test", "c.b.a.test", false),
        ("*.a.test", "xn--b.a.test", true),
        ("*.a.test", "*.a.test", true),
        ("*.a.test", "b_c.a.test", false),
        ("*.test", "a.test", false),
        ("*", "a", false),
        ("a*.b.test", "ax.b.test", true),
        ("a*.b.test", "a.b.test", true),
        ("*a.b.test", "xa.b.test", true),
        ("a*c.b.test", "abc.b.test", false),
        ("a-*.b.test", "a-b.b.test", false),
        ("*-a.b.test", "x-a.b.test", true),
        ("x*.b.test", "xn--a.b.test", false),
        ("xn--*.b.test", "xn--a.b.test", false),
        ("a.*.test", "a.b.test", false),
        ("**.b.test", "a.b.test", false),
        ("*.b-.test", "a.b-.test", false),
        ("*.-b.test", "a.-b.test", false),
        ("*.b..test", "a.b..test", false),
        ("*.b.test.", "a.b.test.", false),
        ("-*.b.test", "-a.b.test", false),
        ("*.b_c.test", "a.b_c.test", false),
        ("b_c.test", "b_c.test", true),
        ("a.test\0.evil", "a.test", false),
        ("a.test\0", "a.test", false),
        ("ü.test", "ü.test", true),
    ] {
        assert_eq!(
            matches(pattern.as_bytes(), host.as_bytes()),
            want,
            "{pattern} {host}"
        );
    }
}

#[test]
fn c03_strings_of_names_become_utf8() {
    assert_eq!(utf8(0x1e, &[0, b'a', 0, 0xfc]).unwrap(), "aü".as_bytes());
    assert_eq!(utf8(0x1e, &[0, b'a', 0]), None);
    assert_eq!(utf8(0x1c, &[0, 0, 0, b'a']).unwrap(), b"a");
    assert_eq!(utf8(0x14, &[0xfc]).unwrap(), "ü".as_bytes());
    assert_eq!(utf8(0x0c, &[0xfc]), None);
    assert_eq!(utf8(0x04, b"a"), None);
}

/// A certificate with these common names (tag and bytes) and this subjectAltName.
fn certificate(key: &Key, common: &[(u8, &[u8])], alternative: Option<Vec<u8>>) -> Cert {
    let mut cert = Cert::empty();
    cert.version = 3;
    cert.serial = vec![1];
    cert.not_after = 4_000_000_000;
    cert.spki = key_code::write_spki(key);
    let entries = common.iter().map(|(tag, value)| Entry {
        oid: objects::contents("CN").unwrap(),
        tag: *tag,
        value: value.to_vec(),
        joined: false,
    });
    cert.subject = Name {
        entries: entries.collect(),
    };
    cert.issuer = cert.subject.clone();
    cert.extensions.extend(alternative.map(|value| Extension {
        oid: objects::contents("subjectAltName").unwrap(),
        critical: false,
        value,
    }));
    cert.sign(key, None).unwrap();
    Cert::read(&cert.write().unwrap()).unwrap()
}

/// What `openssl x509 -checkhost` (or `-checkip`) says.
fn openssl_says(cert: &Cert, option: &str, host: &str) -> bool {
    let mut child = Command::new("openssl")
        .args(["x509", "-noout", option, host])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = pem::write("CERTIFICATE", &cert.write().unwrap());
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let yes = said.contains("does match certificate");
    assert!(
        yes || said.contains("does NOT match certificate"),
        "{option} {host}: {said} {}",
        String::from_utf8_lossy(&out.stderr)
    );
    yes
}

fn dns(names: &[&str]) -> Option<Vec<u8>> {
    let names: Vec<_> = names
        .iter()
        .map(|n| GeneralName::Dns(n.as_bytes().to_vec()))
        .collect();
    Some(general::write(&names))
}

const UTF8: u8 = asn1::UTF8_STRING;

#[test]
fn c03_odd_certificates_name_whom_openssl_says() {
    let key = Key::Ec(EcKey::generate(Curve::P256).unwrap());
    let long = format!("{}.a.test", "x".repeat(60));
    let longer = "x".repeat(70_000);
    let for_long: [&str; 2] = [&long, "a.test"];
    let empty = Some(asn1::element(asn1::SEQUENCE, &[]));
    let mail = Some(general::write(&[GeneralName::Email(b"a@a.test".to_vec())]));
    let addresses = Some(general::write(&[
        GeneralName::Ip("10.0.0.1".parse().unwrap()),
        GeneralName::Ip("::1".parse().unwrap()),
    ]));
    let cases: Vec<(Cert, &[&str])> = vec![
        (
            certificate(&key, &[(UTF8, b"a.test")], None),
            &["a.test", "A.TEST", "b.test"],
        ),
        (
            certificate(&key, &[(UTF8, b"*.a.test")], None),
            &["x.a.test", "a.test"],
        ),
        (
            certificate(&key, &[(UTF8, b"x.test"), (UTF8, b"a.test")], None),
            &["a.test", "x.test"],
        ),
        (
            certificate(&key, &[(UTF8, b"a.test")], dns(&["b.test"])),
            &["a.test", "b.test"],
        ),
        (certificate(&key, &[(UTF8, b"a.test")], dns(&[""])), &["a.test"]),
        (certificate(&key, &[(UTF8, b"a.test")], empty), &["a.test"]),
        (
            certificate(&key, &[(UTF8, b"a.test")], mail),
            &["a.test", "a@a.test"],
        ),
        (
            certificate(&key, &[(UTF8, b"a.test")], addresses),
            &["a.test", "10.0.0.1", "::1"],
        ),
        (certificate(&key, &[(UTF8, b"10.0.0.1")], None), &["10.0.0.1"]),
        (
            certificate(&key, &[(UTF8, b"a.test\0.evil.test")], None),
            &["a.test"],
        ),
        (certificate(&key, &[(UTF8, b"a.test\0")], None), &["a.test"]),
        (
            certificate(&key, &[], dns(&["a.test\0.evil.test", "b.test\0"])),
            &["a.test", "b.test"],
        ),
        (
            certificate(&key, &[(UTF8, "ü.test".as_bytes())], None),
            &["ü.test", "xn--tda.test"],
        ),
        (certificate(&key, &[(0x14, b"\xfc.test")], None), &["ü.test"]),
        (
            certificate(&key, &[(0x1e, b"\0a\0.\0t\0e\0s\0t")], None),
            &["a.test"],
        ),
        (
            certificate(&key, &[(0x1c, b"\0\0\0a\0\0\0.\0\0\0b")], None),
            &["a.b"],
        ),
        (
            certificate(&key, &[(asn1::PRINTABLE_STRING, b"a.test")], None),
            &["a.test"],
        ),
        (certificate(&key, &[(UTF8, b"")], None), &["a.test"]),
        (certificate(&key, &[], None), &["a.test"]),
        (certificate(&key, &[(UTF8, long.as_bytes())], None), &for_long),
        (
            certificate(&key, &[(UTF8, longer.as_bytes())], dns(&[&longer, "a.test"])),
            &["a.test", "x"],
        ),
    ];
    for (cert, hosts) in &cases {
        for host in *hosts {
            let ours = for_host(cert, host.as_bytes());
            assert_eq!(
                ours,
                openssl_says(cert, "-checkhost", host),
                "{host} {:?}",
                cert.subject
            );
        }
    }
}

#[test]
fn c03_addresses_are_named_as_openssl_says() {
    let key = Key::Ec(EcKey::generate(Curve::P256).unwrap());
    let addresses = Some(general::write(&[
        GeneralName::Ip("10.0.0.1".parse().unwrap()),
        GeneralName::Ip("2001:db8::1".parse().unwrap()),
        GeneralName::Dns(b"a.test".to_vec()),
    ]));
    let cert = certificate(&key, &[(UTF8, b"10.0.0.9")], addresses);
    for (ip, want) in [
        ("10.0.0.1", true),
        ("2001:db8::1", true),
        ("2001:DB8:0::1", true),
        ("10.0.0.9", false),
        ("10.0.0.2", false),
        ("::ffff:10.0.0.1", false),
    ] {
        assert_eq!(for_address(&cert, ip.parse().unwrap()), want, "{ip}");
        assert_eq!(openssl_says(&cert, "-checkip", ip), want, "{ip}");
    }
    // nginx compares an address as if it were a host's name
    let named = certificate(&key, &[(UTF8, b"10.0.0.9")], None);
    assert!(for_address(&named, "10.0.0.9".parse().unwrap()));
    assert!(openssl_says(&named, "-checkhost", "10.0.0.9"));
}

#[test]
fn c03_a_list_of_names_that_cannot_be_read_names_nobody() {
    let key = Key::Ec(EcKey::generate(Curve::P256).unwrap());
    let short_ip = asn1::element(asn1::SEQUENCE, &asn1::element(0x87, &[1, 2, 3]));
    for value in [vec![], vec![0x30], b"junk".to_vec(), short_ip] {
        let cert = certificate(&key, &[(UTF8, b"a.test")], Some(value));
        assert!(!for_host(&cert, b"a.test"));
        assert!(!for_address(&cert, "10.0.0.9".parse().unwrap()));
    }
    let mut twice = certificate(&key, &[(UTF8, b"a.test")], dns(&["a.test"]));
    assert!(for_host(&twice, b"a.test"));
    let again = twice.extensions[0].clone();
    twice.extensions.push(again);
    assert!(!for_host(&twice, b"a.test"));
}

const PIECES: &[&str] = &[
    "a", "b", "*", "-", ".", ".test", "xn--", "A", "_", "a.b", "*.", "1",
];

#[test]
fn c03_random_patterns_match_as_openssl_matches_them() {
    let key = Key::Ec(EcKey::generate(Curve::P256).unwrap());
    let mut dice = Dice::new(4);
    let mut yes = 0;
    for _ in 0..rounds(400) {
        let mut text = |n: usize| -> String { (0..1 + dice.roll(n)).map(|_| *dice.one(PIECES)).collect() };
        let mut pattern = text(5) + ".b.test";
        let mut host = pattern.replace('*', &text(2));
        if host.starts_with('-') || dice.roll(8) == 0 {
            host = format!("a{host}");
        }
        if dice.roll(8) == 0 {
            host = host.to_ascii_uppercase();
        }
        if dice.roll(4) == 0 {
            pattern = pattern.replacen('a', "*", 1);
        }
        let cert = match dice.roll(3) {
            0 => certificate(&key, &[(UTF8, pattern.as_bytes())], None),
            _ => certificate(&key, &[], dns(&[&pattern])),
        };
        let ours = for_host(&cert, host.as_bytes());
        assert_eq!(ours, openssl_says(&cert, "-checkhost", &host), "{pattern} {host}");
        yes += usize::from(ours);
    }
    assert!(yes > rounds(50), "only {yes} matched");
}
