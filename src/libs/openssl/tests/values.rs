//! Encodings, digests, ciphers, numbers.

use super::*;

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
    let next = |bytes: &[u8]| Reader::new(bytes).next_element().map(|e| e.body.len());
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
        assert_eq!(
            time::read(&Reader::new(&der).next_element().unwrap()),
            Ok(seconds)
        );
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
        assert!(
            time::read(&Reader::new(&der).next_element().unwrap()).is_err(),
            "{text}"
        );
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
