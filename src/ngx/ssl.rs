//! The part of `ngx.ssl` that parses: certificates and private keys from PEM and DER.
//!
//! What it parses goes into [`crate::vm::cdata`] as [`CertificateChain`] and [`PrivateKey`]; errors are
//! lua-nginx-module's texts. Must not: know the request.

use crate::tls::chain::{CertificateChain, ChainError};
use crate::tls::key::{KeyError, PrivateKey};
use crate::vm::{Args, Registrar, Ret, cdata, op};

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ssl", "parse_pem_cert", op::raw(parse_pem_cert))?;
    r.op("ssl", "parse_der_cert", op::raw(parse_der_cert))?;
    r.op("ssl", "parse_pem_priv_key", op::raw(parse_pem_priv_key))?;
    r.op("ssl", "parse_der_priv_key", op::raw(parse_der_priv_key))?;
    r.op("ssl", "cert_pem_to_der", op::raw(cert_pem_to_der))?;
    r.op("ssl", "priv_key_pem_to_der", op::raw(priv_key_pem_to_der))
}

fn pem_words(e: ChainError) -> &'static str {
    match e {
        ChainError::Empty | ChainError::First(_) => "PEM_read_bio_X509_AUX() failed",
        ChainError::Rest(_) => "PEM_read_bio_X509() failed",
        ChainError::TooLong => "certificate chain too long",
    }
}

fn der_words(e: ChainError) -> &'static str {
    match e {
        ChainError::Empty => "invalid argument",
        ChainError::First(_) => "d2i_X509_bio() failed",
        ChainError::Rest(_) => "d2i_X509_bio() failed in rest of chain",
        ChainError::TooLong => "certificate chain too long",
    }
}

fn keep<T: 'static>(r: &mut Ret, parsed: Result<T, &'static str>) {
    match parsed {
        Ok(object) => r.int(cdata::keep(object)),
        Err(e) => r.fail(e),
    };
}

fn chain(a: &Args) -> Result<CertificateChain, &'static str> {
    CertificateChain::from_pem(a.str(1).unwrap_or_default()).map_err(pem_words)
}

fn key(a: &Args) -> Result<PrivateKey, &'static str> {
    let failed = |_: KeyError| "PEM_read_bio_PrivateKey() failed";
    PrivateKey::from_pem(a.str(1).unwrap_or_default(), a.str(2)).map_err(failed)
}

/// `parse_pem_cert(pem)`: the number of a chain, or nil and why.
fn parse_pem_cert(a: &Args, r: &mut Ret) {
    keep(r, chain(a));
}

/// `parse_der_cert(der)`: the number of a chain, or nil and why.
fn parse_der_cert(a: &Args, r: &mut Ret) {
    keep(
        r,
        CertificateChain::from_der(a.str(1).unwrap_or_default()).map_err(der_words),
    );
}

/// `parse_pem_priv_key(pem, passphrase or nil)`: the number of a key, or nil and why.
fn parse_pem_priv_key(a: &Args, r: &mut Ret) {
    keep(r, key(a));
}

/// `parse_der_priv_key(der)`: the number of a key, or nil and why.
fn parse_der_priv_key(a: &Args, r: &mut Ret) {
    let parsed = match a.str(1).unwrap_or_default() {
        [] => Err("invalid argument"),
        der => PrivateKey::from_der(der).map_err(|_| "d2i_PrivateKey_bio() failed"),
    };
    keep(r, parsed);
}

/// `cert_pem_to_der(pem)`: the certificates one after the other, or nil and why.
fn cert_pem_to_der(a: &Args, r: &mut Ret) {
    match chain(a) {
        Ok(chain) => r.str(
            chain
                .certs()
                .iter()
                .map(AsRef::as_ref)
                .collect::<Vec<&[u8]>>()
                .concat(),
        ),
        Err(e) => r.fail(e),
    };
}

/// `priv_key_pem_to_der(pem, passphrase or nil)`: the key, or nil and why.
fn priv_key_pem_to_der(a: &Args, r: &mut Ret) {
    match key(a) {
        Ok(key) => r.str(key.to_traditional_der().as_slice()),
        Err(e) => r.fail(e),
    };
}
