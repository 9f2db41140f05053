//! Whether revocation lists revoke a certificate of a chain.
//!
//! A list counts when the certificate's issuer made it and it is of now. One for a part of the certificates only
//! (an issuing distribution point, a delta) is not judged but fails the chain, as anything critical that is not
//! known. Must not: read a clock, or judge the chain otherwise.

use super::cert::Cert;
use super::crl::Crl;
use super::extension::{self, CRL_SIGN};
use super::objects;

/// Judges the leaf of a path, or `all` of its certificates.
///
/// # Errors
/// When one is revoked or there is no list to tell, in OpenSSL's words.
pub fn judge(path: &[Cert], crls: &[Crl], all: bool, now: Option<i64>) -> Result<(), &'static str> {
    let last = if all { path.len() } else { 1 };
    for (i, cert) in path.iter().enumerate().take(last) {
        // the last one of a path issued itself, or nobody knows who did
        let issuer = path.get(i + 1).unwrap_or(cert);
        judge_one(cert, issuer, crls, now)?;
    }
    Ok(())
}

fn judge_one(cert: &Cert, issuer: &Cert, crls: &[Crl], now: Option<i64>) -> Result<(), &'static str> {
    let of_issuer = || crls.iter().filter(|crl| crl.issuer_der() == cert.issuer_der());
    let current = |crl: &&Crl| timely(crl, now).is_ok();
    let crl = of_issuer()
        .find(current)
        .or_else(|| of_issuer().next())
        .ok_or("unable to get certificate CRL")?;
    if issuer.subject_der() != crl.issuer_der() {
        return Err("unable to get CRL issuer certificate");
    }
    if let Some(usage) = issuer.extension("keyUsage")
        && extension::usage_bits(&usage.value).is_none_or(|bits| bits & CRL_SIGN == 0)
    {
        return Err("key usage does not include CRL signing");
    }
    let key = issuer.public_key().ok_or("unable to decode issuer public key")?;
    if !crl.verify(&key).unwrap_or(false) {
        return Err("CRL signature failure");
    }
    timely(crl, now)?;
    if crl.extension("issuingDistributionPoint").is_some() || crl.extension("deltaCRL").is_some() {
        return Err("Different CRL scope");
    }
    let entry = crl.entry(&cert.serial);
    let critical = |list: &[super::signed::Extension]| {
        list.iter()
            .any(|e| e.critical && objects::by_contents(&e.oid).is_none_or(|o| !KNOWN.contains(&o.sn)))
    };
    if critical(&crl.extensions) || crl.revoked.iter().any(|r| critical(&r.extensions)) {
        return Err("unhandled critical CRL extension");
    }
    match entry {
        Some(entry) if !entry.is_removed() => Err("certificate revoked"),
        _ => Ok(()),
    }
}

/// Extensions that change nothing here.
const KNOWN: [&str; 4] = [
    "crlNumber",
    "authorityKeyIdentifier",
    "CRLReason",
    "invalidityDate",
];

fn timely(crl: &Crl, now: Option<i64>) -> Result<(), &'static str> {
    let Some(now) = now else {
        return Ok(());
    };
    if crl.last_update > now {
        return Err("CRL is not yet valid");
    }
    match crl.next_update {
        Some(next) if next < now => Err("CRL has expired"),
        _ => Ok(()),
    }
}
