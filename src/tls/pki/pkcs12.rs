//! The encryption that PKCS#12 brought: keys derived by its own rule, SHA-1 with triple DES or RC2. OpenSSL 3 still
//! writes the former for keys; the latter is read where old files have it.
//!
//! Must not: be chosen for anything new; who encrypts by it was told to.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
use zeroize::Zeroizing;

use super::asn1::{self, Reader};
use super::digest::Alg;
use super::key::Secret;
use super::key_code::{KeyError, Rounds, open_cbc};

/// The contents of `pbeWithSHAAnd3-KeyTripleDES-CBC`'s OID.
pub const SHA1_3DES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x03];
/// Those of RC2 with 128 bits, and with 40.
const SHA1_RC2_128: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x05];
const SHA1_RC2_40: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x06];

/// What a derived key is for.
#[derive(Clone, Copy)]
pub enum Purpose {
    Key = 1,
    Iv = 2,
    Mac = 3,
}

/// Whether the algorithm is one of these.
pub fn known(oid: &[u8]) -> bool {
    [SHA1_3DES, SHA1_RC2_128, SHA1_RC2_40].contains(&oid)
}

/// Deciphers `data` by the algorithm and its parameters, with what is `left` of the file's rounds. The passphrase is
/// as [`wide`] makes it.
///
/// # Errors
/// When the parameters are none, ask for too much, or the passphrase is wrong.
pub fn open(
    oid: &[u8],
    params: &[u8],
    data: &[u8],
    passphrase: &[u8],
    left: &mut Rounds,
) -> Result<Secret, KeyError> {
    let mut inner = Reader::new(params).expect(asn1::SEQUENCE)?.reader();
    let salt = inner.expect(asn1::OCTET_STRING)?.body;
    let rounds = u32::try_from(inner.small()?).unwrap_or(u32::MAX);
    if rounds == 0 || salt.is_empty() || salt.len() > 1024 {
        return Err(KeyError::Unsupported);
    }
    left.take(rounds.into())?;
    let of = |purpose, len| derive(Alg::Sha1, purpose, passphrase, salt, rounds, len);
    let iv = of(Purpose::Iv, 8);
    let opened = match oid {
        SHA1_3DES => open_cbc::<cbc::Decryptor<des::TdesEde3>>(&of(Purpose::Key, 24), &iv, data),
        SHA1_RC2_128 => open_rc2(&of(Purpose::Key, 16), &iv, data),
        SHA1_RC2_40 => open_rc2(&of(Purpose::Key, 5), &iv, data),
        _ => return Err(KeyError::Unsupported),
    };
    opened.ok_or(KeyError::BadDecrypt)
}

/// RC2 as long as its key.
fn open_rc2(key: &[u8], iv: &[u8], data: &[u8]) -> Option<Secret> {
    use aes::cipher::{BlockModeDecrypt as _, InnerIvInit as _};
    let cipher = rc2::Rc2::new_with_eff_key_len(key, key.len() * 8);
    let cipher = cbc::Decryptor::inner_iv_slice_init(cipher, iv).ok()?;
    cipher.decrypt_padded_vec::<Pkcs7>(data).ok().map(Zeroizing::new)
}

/// Encrypts with triple DES: the parameters, and the data.
pub fn seal(data: &[u8], passphrase: &[u8], salt: &[u8], rounds: u32) -> Option<(Vec<u8>, Vec<u8>)> {
    let of = |purpose, len| derive(Alg::Sha1, purpose, passphrase, salt, rounds, len);
    let (key, iv) = (of(Purpose::Key, 24), of(Purpose::Iv, 8));
    let cipher = cbc::Encryptor::<des::TdesEde3>::new_from_slices(&key, &iv).ok()?;
    let params = asn1::list(
        asn1::SEQUENCE,
        &[
            &asn1::element(asn1::OCTET_STRING, salt),
            &asn1::unsigned(&rounds.to_be_bytes()),
        ],
    );
    Some((params, cipher.encrypt_padded_vec::<Pkcs7>(data)))
}

/// A passphrase in UTF-16 and two zeros, as OpenSSL makes it of UTF-8 (else of Latin-1).
pub fn wide(passphrase: &[u8]) -> Secret {
    let units: Vec<u16> = match std::str::from_utf8(passphrase) {
        Ok(text) => text.encode_utf16().collect(),
        Err(_) => passphrase.iter().map(|b| u16::from(*b)).collect(),
    };
    let bytes = units.into_iter().chain([0]).flat_map(u16::to_be_bytes);
    Zeroizing::new(bytes.collect())
}

/// RFC 7292, B.2.
pub fn derive(alg: Alg, purpose: Purpose, passphrase: &[u8], salt: &[u8], rounds: u32, len: usize) -> Secret {
    let block = match alg {
        Alg::Sha384 | Alg::Sha512 => 128,
        _ => 64,
    };
    let fill = |bytes: &[u8]| -> Vec<u8> {
        let size = bytes.len().div_ceil(block) * block;
        bytes.iter().copied().cycle().take(size).collect()
    };
    let mut input = Zeroizing::new([fill(salt), fill(passphrase)].concat());
    let mut out = Zeroizing::new(Vec::with_capacity(len + alg.size()));
    loop {
        let first = Zeroizing::new([&vec![purpose as u8; block], input.as_slice()].concat());
        let mut hash = Zeroizing::new(alg.digest(&first));
        for _ in 1..rounds {
            *hash = alg.digest(&hash);
        }
        out.extend_from_slice(&hash);
        if out.len() >= len {
            out.truncate(len);
            return out;
        }
        // each block of the input plus the hash, repeated, plus one
        for block in input.chunks_mut(block) {
            let mut carry = 1u16;
            for (i, byte) in block.iter_mut().enumerate().rev() {
                carry += u16::from(*byte) + u16::from(hash[i % hash.len()]);
                *byte = carry as u8;
                carry >>= 8;
            }
        }
    }
}
