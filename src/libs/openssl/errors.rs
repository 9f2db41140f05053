//! The words in which OpenSSL 3.2 says what is wrong: users match them, and Kong's own tests do.
//!
//! Must not: be longer than what users are told.

use super::asn1::{Asn1Error, Reader, SEQUENCE};
use super::key_code::KeyError;
use super::pem::PemError;
use super::sign::OpError;

const UNSUPPORTED: &str =
    "error:1E08010C:DECODER routines:OSSL_DECODER_from_bio:unsupported:encode_decode/decoder_lib.c:102:";

/// What is said of a PEM text without what is looked for.
pub fn pem(e: PemError) -> &'static str {
    match e {
        PemError::NoStart => "error:480006C:PEM routines:get_name:no start line:pem/pem_lib.c:763:",
        PemError::BadEnd => "error:4800066:PEM routines:get_header_and_data:bad end line:pem/pem_lib.c:903:",
        PemError::BadBase64 => {
            "error:4800064:PEM routines:PEM_read_bio_ex:bad base64 decode:pem/pem_lib.c:969:"
        }
    }
}

/// What is said of a PEM block whose bytes are not what the label says.
pub fn pem_contents() -> &'static str {
    "error:488000D:PEM routines:PEM_ASN1_read_bio:ASN1 lib:pem/pem_oth.c:33:"
}

/// What is said of bytes that are not the DER of a SEQUENCE such as was looked for; None of no bytes.
pub fn der(bytes: &[u8]) -> Option<&'static str> {
    let tag = bytes.first()?;
    Some(match Reader::new(bytes).next_element() {
        Err(Asn1Error::Short) if bytes.len() > 1 => {
            "error:680008E:asn1 encoding routines:asn1_d2i_read_bio:not enough data:asn1/a_d2i_fp.c:218:"
        }
        Err(_) => "error:680007B:asn1 encoding routines:ASN1_get_object:header too long:asn1/asn1_lib.c:105:",
        Ok(_) if *tag != SEQUENCE => {
            "error:688010A:asn1 encoding routines:asn1_item_embed_d2i:nested asn1 error:asn1/tasn_dec.c:349:"
        }
        Ok(_) => {
            "error:688010A:asn1 encoding routines:asn1_template_noexp_d2i:nested asn1 error:asn1/tasn_dec.c:685:"
        }
    })
}

/// What is said of a text that is no key.
pub fn key(e: KeyError) -> &'static str {
    match e {
        KeyError::NoPassphrase => {
            "error:480006D:PEM routines:PEM_def_callback:problems getting password:pem/pem_lib.c:62:"
        }
        KeyError::BadDecrypt => {
            "error:11800074:PKCS12 routines:PKCS12_pbe_crypt_ex:pkcs12 cipherfinal error:pkcs12/p12_decr.c:92:"
        }
        KeyError::Asn1(_) | KeyError::Unsupported => UNSUPPORTED,
    }
}

/// What is said of an operation that did not take place, after the name of the function.
pub fn op(e: OpError) -> String {
    match e {
        OpError::NoPrivate => "missing private key".to_string(),
        e => format!("error:{e}"),
    }
}
