//! Certificates and chains.

use super::*;

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
        let about = extension::About {
            subject: Some(&cert),
            ..Default::default()
        };
        let made = extension::make(name, text, about).unwrap();
        cert.extensions.push(made);
    }
    cert.sign(by, None).unwrap();
    Cert::read(&cert.write().unwrap()).unwrap()
}

pub(super) const TERMS: Terms = Terms {
    now: Some(1500),
    depth: 100,
    partial: false,
    ignore_critical: false,
    purpose: None,
    strong: false,
    constraints_judged: false,
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
        path::verify(leaf, untrusted, trusted, terms).map(|chain| chain.len())
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
    assert!(path::verify(&crossed[1], &crossed, &[], TERMS).is_err());
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
        assert!(!cert.verify(&key).unwrap());
    }
}
