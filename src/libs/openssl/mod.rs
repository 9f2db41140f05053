//! `resty.openssl.*`: keys, certificates, digests and ciphers with the names, results and error texts of
//! lua-resty-openssl, over Rust crates instead of a linked OpenSSL.
//!
//! A Lua object is a table whose `ctx` is a cdata of [`crate::vm::cdata`]; what keys and certificates are is
//! [`crate::tls::pki`]'s. Must not: reach the request or the network; raise where the library returns.

mod bignum;
mod cipher;
mod digest;
mod errors;
mod ops_cert;
mod ops_crl;
mod ops_csr;
mod ops_key;
mod ops_lists;
mod ops_misc;
mod ops_more;
mod ops_signed;
mod ops_store;
#[cfg(test)]
mod tests;

use crate::tls::pki::{
    asn1, cert, crl, csr, extension, general, key, key_code, name, objects, p12, path, pem, places, prime,
    revocation, sign, signed,
};
use crate::vm::loader::Source;
use crate::vm::{Registrar, cdata};

const MODULES: &[(&str, Source)] = &[
    ("moongate.openssl.list", crate::embed!("list.lua")),
    ("moongate.openssl.object", crate::embed!("object.lua")),
    ("moongate.openssl.params", crate::embed!("params.lua")),
    ("moongate.openssl.pkey_params", crate::embed!("pkey_params.lua")),
    ("moongate.openssl.signed", crate::embed!("signed.lua")),
    ("moongate.openssl.jwk", crate::embed!("jwk.lua")),
    ("resty.openssl", crate::embed!("openssl.lua")),
    ("resty.openssl.bn", crate::embed!("bn.lua")),
    ("resty.openssl.cipher", crate::embed!("cipher.lua")),
    ("resty.openssl.digest", crate::embed!("digest.lua")),
    ("resty.openssl.err", crate::embed!("err.lua")),
    ("resty.openssl.hmac", crate::embed!("hmac.lua")),
    ("resty.openssl.kdf", crate::embed!("kdf.lua")),
    ("resty.openssl.mac", crate::embed!("mac.lua")),
    ("resty.openssl.objects", crate::embed!("objects.lua")),
    ("resty.openssl.pkey", crate::embed!("pkey.lua")),
    ("resty.openssl.ctx", crate::embed!("ctx.lua")),
    ("resty.openssl.pkcs12", crate::embed!("pkcs12.lua")),
    ("resty.openssl.dh", crate::embed!("numbers.lua")),
    ("resty.openssl.ec", crate::embed!("numbers.lua")),
    ("resty.openssl.ecx", crate::embed!("numbers.lua")),
    ("resty.openssl.rsa", crate::embed!("numbers.lua")),
    ("resty.openssl.provider", crate::embed!("provider.lua")),
    ("resty.openssl.ssl", crate::embed!("missing.lua")),
    ("resty.openssl.ssl_ctx", crate::embed!("missing.lua")),
    ("resty.openssl.rand", crate::embed!("rand.lua")),
    ("resty.openssl.version", crate::embed!("version.lua")),
    ("resty.openssl.x509", crate::embed!("x509.lua")),
    ("resty.openssl.x509.altname", crate::embed!("x509_altname.lua")),
    ("resty.openssl.x509.chain", crate::embed!("x509_chain.lua")),
    ("resty.openssl.x509.crl", crate::embed!("x509_crl.lua")),
    ("resty.openssl.x509.csr", crate::embed!("x509_csr.lua")),
    (
        "resty.openssl.x509.extension",
        crate::embed!("x509_extension.lua"),
    ),
    (
        "resty.openssl.x509.extension.dist_points",
        crate::embed!("x509_dist_points.lua"),
    ),
    (
        "resty.openssl.x509.extension.info_access",
        crate::embed!("x509_info_access.lua"),
    ),
    (
        "resty.openssl.x509.extensions",
        crate::embed!("x509_extensions.lua"),
    ),
    ("moongate.openssl.luaossl", crate::embed!("luaossl.lua")),
    ("resty.openssl.x509.name", crate::embed!("x509_name.lua")),
    ("resty.openssl.x509.revoked", crate::embed!("x509_revoked.lua")),
    ("resty.openssl.x509.store", crate::embed!("x509_store.lua")),
];

/// Brings the modules and their ops into a state.
///
/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    ops_cert::install(r)?;
    ops_crl::install(r)?;
    ops_csr::install(r)?;
    ops_key::install(r)?;
    ops_lists::install(r)?;
    ops_misc::install(r)?;
    ops_more::install(r)?;
    ops_store::install(r)?;
    for (name, source) in MODULES {
        r.module(name, *source)?;
    }
    Ok(())
}
