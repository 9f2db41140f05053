//! Whether a chain of certificates leads to one that is trusted.
//!
//! Judges signatures, names, key identifiers, validity, basic constraints, key usage, path length, critical
//! extensions and, if asked, purpose and strength, and says what is wrong in OpenSSL's words. Revocation lists
//! and name constraints are not judged: name constraints fail the chain, critical or not, unless somebody else
//! judges them. Must not: read a clock or decide which certificates are trusted.

use super::cert::Cert;
use super::extension::{self, KEY_CERT_SIGN};
use super::key::Key;
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
    /// The dotted purpose that no certificate must exclude.
    pub purpose: Option<&'a str>,
    /// Whether keys and signatures must be as strong as OpenSSL's security level 2 wants them.
    pub strong: bool,
    /// Whether somebody else judges name constraints; if not they fail the chain.
    pub constraints_judged: bool,
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

/// Whether the key of a leaf is strong enough.
///
/// # Errors
/// When it is not, in OpenSSL's words.
pub fn strong_leaf(leaf: &Cert) -> Result<(), &'static str> {
    match has_strong_key(leaf) {
        true => Ok(()),
        false => Err("EE certificate key too weak"),
    }
}

fn same(a: &Cert, b: &Cert) -> bool {
    a.write() == b.write()
}

/// Whether by its names and identifiers `issuer` may have issued `cert`.
pub(super) fn may_issue(issuer: &Cert, cert: &Cert) -> bool {
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
///
/// # Errors
/// When something is wrong with it, in OpenSSL's words.
pub fn judge(path: &[Cert], terms: Terms) -> Result<(), &'static str> {
    if terms.strong
        && let Some(leaf) = path.first()
    {
        strong_leaf(leaf)?;
    }
    let mut below = 0;
    for (i, cert) in path.iter().enumerate() {
        if !terms.ignore_critical && has_unknown_critical(cert, terms) {
            return Err("unhandled critical extension");
        }
        if i > 0 {
            if !terms.constraints_judged && cert.extension("nameConstraints").is_some() {
                return Err("unsupported name constraint type");
            }
            may_sign(cert)?;
        }
        if let Some(purpose) = terms.purpose {
            suits(cert, purpose, i == 0)?;
        }
        if i > 0 {
            if let Ok(Some((_, Some(most)))) = cert.basic_constraints()
                && most < below
            {
                return Err("path length constraint exceeded");
            }
            if cert.subject_der() != cert.issuer_der() {
                below += 1;
            }
        }
    }
    if terms.strong {
        strong(path)?;
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

/// 112 bits: OpenSSL's security level 2.
fn has_strong_key(cert: &Cert) -> bool {
    match cert.public_key() {
        Some(Key::Rsa(k)) => k.size() >= 256,
        Some(_) => true,
        None => false,
    }
}

fn strong(path: &[Cert]) -> Result<(), &'static str> {
    for (i, cert) in path.iter().enumerate() {
        if i > 0 && !has_strong_key(cert) {
            return Err("CA certificate key too weak");
        }
        let algorithm = cert.signature_algorithm();
        let name = algorithm.and_then(|(oid, _)| objects::by_contents(oid));
        let weak = name.is_none_or(|o| o.sn.ends_with("MD5") || o.sn.ends_with("SHA1"));
        if i + 1 < path.len() && weak {
            return Err("CA signature digest algorithm too weak");
        }
    }
    Ok(())
}

fn has_unknown_critical(cert: &Cert, terms: Terms) -> bool {
    cert.extensions.iter().any(|e| {
        let name = objects::by_contents(&e.oid).map_or("", |o| o.sn);
        let known = KNOWN.contains(&name) || terms.constraints_judged && name == "nameConstraints";
        e.critical && !known
    })
}

/// Whether `cert` may issue certificates.
fn may_sign(cert: &Cert) -> Result<(), &'static str> {
    let constraints = cert.basic_constraints().map_err(|_| "invalid CA certificate")?;
    match constraints {
        Some((true, _)) => {}
        // A certificate from before there were extensions is a CA if it is a root.
        None if cert.version == 1 && cert.subject_der() == cert.issuer_der() => {}
        _ => return Err("invalid CA certificate"),
    }
    match uses(cert) {
        None => Ok(()),
        Some(bits) if bits & KEY_CERT_SIGN != 0 => Ok(()),
        Some(_) => Err("invalid CA certificate"),
    }
}

/// The key usages that a certificate lists; all of none that can be read.
fn uses(cert: &Cert) -> Option<u16> {
    let extension = cert.extension("keyUsage")?;
    Some(extension::usage_bits(&extension.value).unwrap_or(0))
}

const DIGITAL_SIGNATURE: u16 = 0x8000;
const KEY_ENCIPHERMENT: u16 = 0x2000;
const KEY_AGREEMENT: u16 = 0x0800;

/// Whether a certificate does not exclude a purpose: by its extended key usage, and a leaf by its key usage.
fn suits(cert: &Cert, purpose: &str, leaf: bool) -> Result<(), &'static str> {
    let wrong = Err("unsuitable certificate purpose");
    if let Some(extension) = cert.extension("extendedKeyUsage") {
        let listed =
            extension::purposes(&extension.value).is_some_and(|all| all.iter().any(|id| id == purpose));
        if !listed {
            return wrong;
        }
    }
    let needed = match objects::by_text(purpose).map_or("", |o| o.sn) {
        "serverAuth" => DIGITAL_SIGNATURE | KEY_ENCIPHERMENT | KEY_AGREEMENT,
        "clientAuth" => DIGITAL_SIGNATURE | KEY_AGREEMENT,
        _ => return Ok(()),
    };
    match uses(cert) {
        Some(bits) if leaf && bits & needed == 0 => wrong,
        _ => Ok(()),
    }
}
