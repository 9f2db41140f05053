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

type Crypted = Result<(Vec<u8>, Option<Vec<u8>>), CipherError>;

fn crypt(
    cipher: Cipher,
    encrypt: bool,
    key: &[u8],
    iv: &[u8],
    aad: &[u8],
    tag: Option<&[u8]>,
    data: &[u8],
) -> Crypted {
    let mut running = cipher.start(&Setup {
        encrypt,
        padded: true,
        key,
        iv,
    })?;
    running.authenticate(aad);
    running.set_tag(tag.unwrap_or_default());
    let out = running.run(data)?;
    Ok((out, running.made.take()))
}

#[test]
fn d4_keys_are_wrapped_as_others_wrap_them() {
    let hex = |text: &str| -> Vec<u8> {
        let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).unwrap() as u8).collect();
        digits.chunks(2).map(|p| p[0] << 4 | p[1]).collect()
    };
    // RFC 3394, 4.1
    let (kek, key) = (
        hex("000102030405060708090A0B0C0D0E0F"),
        hex("00112233445566778899AABBCCDDEEFF"),
    );
    let wrap = Cipher::by_name("aes-128-wrap").unwrap();
    assert_eq!(Cipher::by_name("id-aes128-wrap"), Some(wrap));
    let (wrapped, _) = crypt(wrap, true, &kek, &[0xa6; 8], b"", None, &key).unwrap();
    assert_eq!(wrapped, hex("1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"));
    // RFC 5649, 6
    let pad = Cipher::by_name("aes-192-wrap-pad").unwrap();
    let (kek2, iv) = (
        hex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8"),
        hex("a65959a6"),
    );
    let (wrapped2, _) = crypt(pad, true, &kek2, &iv, b"", None, &hex("466f7250617369")).unwrap();
    assert_eq!(wrapped2, hex("afbeb0f07dfbf5419200f2ccb50bb24f"));
    for (cipher, kek, iv, wrapped, key) in [
        (wrap, &kek, &[0xa6; 8][..], &wrapped, key.as_slice()),
        (pad, &kek2, &iv, &wrapped2, b"ForPasi"),
    ] {
        let open = |wrapped: &[u8]| crypt(cipher, false, kek, iv, b"", None, wrapped);
        assert_eq!(open(wrapped).unwrap().0, key);
        let mut broken = wrapped.clone();
        broken[3] ^= 1;
        assert!(matches!(open(&broken), Err(CipherError::BadDecrypt)));
        for n in 0..wrapped.len() {
            assert!(open(&wrapped[..n]).is_err());
        }
        let other = crypt(cipher, true, kek, &vec![0; iv.len()], b"", None, key);
        assert!(matches!(other, Err(CipherError::InitialValue)));
    }
    for n in [0, 8, 15, 17] {
        assert!(crypt(wrap, true, &kek, &[0xa6; 8], b"", None, &vec![0; n]).is_err());
    }
    assert!(crypt(pad, true, &kek2, &iv, b"", None, b"").is_err());
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
            let (sealed, tag) = crypt(cipher, true, &key, &iv, b"aad", None, &data).unwrap();
            let open = |key: &[u8], aad: &[u8], tag: Option<&[u8]>| {
                crypt(cipher, false, key, &iv, aad, tag, &sealed).map(|(data, _)| data)
            };
            assert_eq!(open(&key, b"aad", tag.as_deref()).unwrap(), data, "{name} {n}");
            assert!(open(b"short", b"aad", tag.as_deref()).is_err());
            if tag.is_some() {
                assert!(open(&key, b"other", tag.as_deref()).is_err());
                assert!(open(&key, b"aad", None).is_err());
                assert!(open(&key, b"aad", Some(b"x")).is_err());
            }
            // in pieces the same comes out
            for encrypt in [true, false] {
                let (from, to) = if encrypt {
                    (&data, &sealed)
                } else {
                    (&sealed, &data)
                };
                let setup = Setup {
                    encrypt,
                    padded: true,
                    key: &key,
                    iv: &iv,
                };
                let mut running = cipher.start(&setup).unwrap();
                running.authenticate(b"aad");
                running.set_tag(tag.as_deref().unwrap_or_default());
                let mut out = Vec::new();
                for piece in from.chunks(7) {
                    out.extend(running.update(piece).unwrap());
                }
                out.extend(running.finish().unwrap());
                assert_eq!(&out, to, "{name} {n}");
                assert_eq!(running.made, if encrypt { tag.clone() } else { None });
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
