//! The encryption of PKCS#8 keys that PKCS#12 brought and that OpenSSL 3 still writes: SHA-1 and triple DES.
//!
//! Must not: encrypt; nobody should any more.

use sha1::{Digest as _, Sha1};
use zeroize::Zeroizing;

use super::asn1::{self, Reader};
use super::key::Secret;
use super::key_code::{KeyError, open_cbc};

/// The contents of `pbeWithSHAAnd3-KeyTripleDES-CBC`'s OID.
pub const SHA1_3DES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x03];

/// The block of SHA-1.
const BLOCK: usize = 64;

/// Deciphers `data` by the algorithm's parameters, which may ask for no more than `max_rounds`.
///
/// # Errors
/// When the parameters are none, ask for too much, or the passphrase is wrong.
pub fn open(params: &[u8], data: &[u8], passphrase: &[u8], max_rounds: u32) -> Result<Secret, KeyError> {
    let mut inner = Reader::new(params).expect(asn1::SEQUENCE)?.reader();
    let salt = inner.expect(asn1::OCTET_STRING)?.body;
    let rounds = u32::try_from(inner.small()?).unwrap_or(u32::MAX);
    if rounds == 0 || rounds > max_rounds || salt.is_empty() || salt.len() > 1024 {
        return Err(KeyError::Unsupported);
    }
    let text = wide(passphrase);
    let key = derive(1, &text, salt, rounds, 24);
    let iv = derive(2, &text, salt, rounds, 8);
    open_cbc::<cbc::Decryptor<des::TdesEde3>>(&key, &iv, data).ok_or(KeyError::BadDecrypt)
}

/// A passphrase in UTF-16 and two zeros, as OpenSSL makes it of UTF-8 (else of Latin-1).
fn wide(passphrase: &[u8]) -> Secret {
    let units: Vec<u16> = match std::str::from_utf8(passphrase) {
        Ok(text) => text.encode_utf16().collect(),
        Err(_) => passphrase.iter().map(|b| u16::from(*b)).collect(),
    };
    let bytes = units.into_iter().chain([0]).flat_map(u16::to_be_bytes);
    Zeroizing::new(bytes.collect())
}

/// RFC 7292, B.2, with SHA-1.
fn derive(id: u8, passphrase: &[u8], salt: &[u8], rounds: u32, len: usize) -> Secret {
    let fill = |bytes: &[u8]| -> Vec<u8> {
        let size = bytes.len().div_ceil(BLOCK) * BLOCK;
        bytes.iter().copied().cycle().take(size).collect()
    };
    let mut input = Zeroizing::new([fill(salt), fill(passphrase)].concat());
    let mut out = Zeroizing::new(Vec::with_capacity(len + 20));
    loop {
        let mut hash = Sha1::new()
            .chain_update([id; BLOCK])
            .chain_update(&*input)
            .finalize();
        for _ in 1..rounds {
            hash = Sha1::digest(hash);
        }
        out.extend_from_slice(&hash);
        if out.len() >= len {
            out.truncate(len);
            return out;
        }
        // each block of the input plus the hash, repeated, plus one
        for block in input.chunks_mut(BLOCK) {
            let mut carry = 1u16;
            for (i, byte) in block.iter_mut().enumerate().rev() {
                carry += u16::from(*byte) + u16::from(hash[i % 20]);
                *byte = carry as u8;
                carry >>= 8;
            }
        }
    }
}
