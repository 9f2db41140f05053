//! Whether a chain of certificates leads to one that is trusted.
//!
//! Judges signatures, names, key identifiers, validity, basic constraints, key usage, path length, critical
//! extensions and, if asked, the leaf's purpose, and says what is wrong in OpenSSL's words. Revocation lists
//! and name constraints are not judged: name constraints fail the chain, critical or not. Must not: read a
//! clock or decide which certificates are trusted.

use super::cert::Cert;
use super::extension::{self, KEY_CERT_SIGN};
use super::objects;

/// No more signatures than this are checked in one verification: certificates that all name each other would
/// otherwise make for very many paths.
const MAX_SIGNATURES: usize = 256;

/// Critical extensions that are judged, or need no judging.
const KNOWN: [&str; 6] = [
    "basicConstraints",
    "keyUsage",
    "extendedKeyUsage",
    "subjectAltName",
    "subjectKeyIdentifier",
    "authorityKeyIdentifier",
];

/// What is asked of a chain.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Seconds since 1970; None asks nothing of validity.
    pub now: Option<i64>,
    /// The most certificates between the leaf and the trusted one.
    pub depth: usize,
    /// Whether a trusted certificate need not be self-signed.
    pub partial: bool,
    /// Whether critical extensions that are not known are passed over.
    pub ignore_critical: bool,
    /// The dotted purpose that the leaf must not exclude.
    pub purpose: Option<&'a str>,
}

struct Search<'a> {
    trusted: &'a [Cert],
    untrusted: &'a [Cert],
    terms: Terms<'a>,
    signatures: usize,
    failure: Option<&'static str>,
}

/// The chain from `leaf` to a trusted certificate.
///
/// # Errors
/// When there is none, in OpenSSL's words.
pub fn verify(
    leaf: &Cert,
    untrusted: &[Cert],
    trusted: &[Cert],
    terms: Terms,
) -> Result<Vec<Cert>, &'static str> {
    let mut search = Search {
        trusted,
        untrusted,
        terms,
        signatures: 0,
        failure: None,
    };
    let mut path = vec![leaf.clone()];
    if !search.complete(&mut path, false) {
        return Err(search.failure.unwrap_or("unable to get local issuer certificate"));
    }
    judge(&path, terms)?;
    Ok(path)
}

fn same(a: &Cert, b: &Cert) -> bool {
    a.write() == b.write()
}

/// Whether by its names and identifiers `issuer` may have issued `cert`.
fn may_issue(issuer: &Cert, cert: &Cert) -> bool {
    if issuer.subject_der() != cert.issuer_der() {
        return false;
    }
    let ids = extension::authority_identifier(cert).zip(extension::key_identifier(issuer));
    ids.is_none_or(|(a, b)| a == b)
}

impl Search<'_> {
    fn fail(&mut self, why: &'static str) -> bool {
        self.failure.get_or_insert(why);
        false
    }

    /// Whether `issuer`'s key made the signature of `cert`.
    fn signed_by(&mut self, cert: &Cert, issuer: &Cert) -> bool {
        self.signatures += 1;
        if self.signatures > MAX_SIGNATURES {
            return self.fail("certificate chain too long");
        }
        match issuer.public_key() {
            Some(key) => cert.verify(&key).unwrap_or(false),
            None => self.fail("unable to decode issuer public key"),
        }
    }

    /// Adds issuers to `path` until it ends at a trusted certificate. Once one came from the trusted ones
    /// (`trusting`), the peer's are no longer looked at, as OpenSSL has it.
    fn complete(&mut self, path: &mut Vec<Cert>, trusting: bool) -> bool {
        let Some(last) = path.last().cloned() else {
            return false;
        };
        let self_issued = may_issue(&last, &last);
        let is_trusted = self.trusted.iter().any(|t| same(t, &last));
        if is_trusted && (self_issued || self.terms.partial) {
            return true;
        }
        if path.len() > self.terms.depth + 1 {
            return self.fail("certificate chain too long");
        }
        if self_issued && self.signed_by(&last, &last) {
            return self.fail(match path.len() {
                1 => "self-signed certificate",
                _ => "self-signed certificate in certificate chain",
            });
        }
        let mut wrong_signature = false;
        for (pool, trusting_next) in [(self.trusted, true), (self.untrusted, false)] {
            if trusting && !trusting_next {
                continue;
            }
            for issuer in pool {
                if !may_issue(issuer, &last) || path.iter().any(|c| same(c, issuer)) {
                    continue;
                }
                if !self.signed_by(&last, issuer) {
                    wrong_signature = true;
                    continue;
                }
                path.push(issuer.clone());
                if self.complete(path, trusting_next) {
                    return true;
                }
                path.pop();
            }
        }
        self.fail(match (wrong_signature, trusting) {
            (true, _) => "certificate signature failure",
            (_, true) => "unable to get issuer certificate",
            _ => "unable to get local issuer certificate",
        })
    }
}

/// Judges a path whose names and signatures fit.
fn judge(path: &[Cert], terms: Terms) -> Result<(), &'static str> {
    let mut below = 0;
    for (i, cert) in path.iter().enumerate() {
        if !terms.ignore_critical && has_unknown_critical(cert) {
            return Err("unhandled critical extension");
        }
        if i > 0 {
            if cert.extension("nameConstraints").is_some() {
                return Err("unsupported name constraint type");
            }
            may_sign(cert, below)?;
            if cert.subject_der() != cert.issuer_der() {
                below += 1;
            }
        }
    }
    if let Some((leaf, purpose)) = path.first().zip(terms.purpose) {
        suits(leaf, purpose)?;
    }
    let Some(now) = terms.now else {
        return Ok(());
    };
    for cert in path.iter().rev() {
        if cert.not_before > now {
            return Err("certificate is not yet valid");
        }
        if cert.not_after < now {
            return Err("certificate has expired");
        }
    }
    Ok(())
}

fn has_unknown_critical(cert: &Cert) -> bool {
    cert.extensions.iter().any(|e| {
        let name = objects::by_contents(&e.oid).map_or("", |o| o.sn);
        e.critical && !KNOWN.contains(&name)
    })
}

/// Whether `cert` may issue a certificate with `below` intermediate ones under it.
///
/// # Errors
/// When it may not, in OpenSSL's words.
pub fn may_sign(cert: &Cert, below: i64) -> Result<(), &'static str> {
    let constraints = cert.basic_constraints().map_err(|_| "invalid CA certificate")?;
    match constraints {
        Some((true, Some(path))) if path < below => return Err("path length constraint exceeded"),
        Some((true, _)) => {}
        // A certificate from before there were extensions is a CA if it is a root.
        None if cert.version == 1 && cert.subject_der() == cert.issuer_der() => {}
        _ => return Err("invalid CA certificate"),
    }
    match cert
        .extension("keyUsage")
        .map(|e| extension::usage_bits(&e.value))
    {
        None => Ok(()),
        Some(Some(bits)) if bits & KEY_CERT_SIGN != 0 => Ok(()),
        Some(_) => Err("invalid CA certificate"),
    }
}

fn suits(leaf: &Cert, purpose: &str) -> Result<(), &'static str> {
    let Some(extension) = leaf.extension("extendedKeyUsage") else {
        return Ok(());
    };
    let any = objects::by_text("anyExtendedKeyUsage").map_or("", |o| o.id);
    let listed = extension::purposes(&extension.value)
        .is_some_and(|all| all.iter().any(|id| id == purpose || id == any));
    match listed {
        true => Ok(()),
        false => Err("unsuitable certificate purpose"),
    }
}
