//! What OpenSSL says last of a chain that it does not stop at: `$ssl_client_verify` of a listener that takes any
//! certificate, where each fault is noted and the next one replaces it.
//!
//! Must not: decide whether a chain is good ([`verify::judge`](crate::tls::verify::judge) does); it only finds words.
//!
//! # Source
//! OpenSSL 3.0 `x509_vfy.c`: `build_chain`, `check_extensions`, `internal_verify`

use crate::tls::pki::cert::Cert;
use crate::tls::pki::extension::{self, KEY_CERT_SIGN};

/// `clientAuth`
const CLIENTS: &str = "1.3.6.1.5.5.7.3.2";

/// digitalSignature and keyAgreement among [`extension::usage_bits`].
const SIGNING: u16 = 0x8000 | 0x8000 >> 4;

/// A chain and what it is judged by.
pub(super) struct Chain<'a> {
    pub leaf: &'a Cert,
    pub untrusted: &'a [Cert],
    pub trusted: &'a [Cert],
    /// The most certificates between the leaf and the trusted one.
    pub depth: usize,
    /// Seconds since 1970.
    pub now: i64,
}

/// Whether by its names and identifiers `issuer` may have issued `cert`.
fn may_issue(issuer: &Cert, cert: &Cert) -> bool {
    let ids = extension::authority_identifier(cert).zip(extension::key_identifier(issuer));
    issuer.subject_der() == cert.issuer_der() && ids.is_none_or(|(a, b)| a == b)
}

impl<'a> Chain<'a> {
    fn find(&self, among: impl Iterator<Item = &'a Cert> + Clone, cert: &Cert) -> Option<&'a Cert> {
        let mut fitting = among.clone().filter(|c| may_issue(c, cert));
        let in_time = |c: &&Cert| c.not_before <= self.now && self.now <= c.not_after;
        among
            .clone()
            .filter(|c| may_issue(c, cert))
            .find(in_time)
            .or_else(|| fitting.next())
    }

    /// The longest way up, how much of it is not trusted, and whether it ends at a trusted root.
    fn build(&self) -> (Vec<&'a Cert>, usize, bool) {
        let longest = self.depth.saturating_add(1);
        let (mut chain, mut own) = (vec![self.leaf], 1);
        let mut pool: Vec<&'a Cert> = self.untrusted.iter().collect();
        let mut trusted_only = false;
        while chain.len() <= longest {
            let last = chain[chain.len() - 1];
            let root = may_issue(last, last);
            let above = self.find(self.trusted.iter(), last);
            match above {
                Some(issuer) if root => return (chain, own, issuer.write() == last.write()),
                Some(issuer) => {
                    chain.push(issuer);
                    trusted_only = true;
                    if may_issue(issuer, issuer) {
                        return (chain, own, true);
                    }
                }
                None if root || trusted_only => break,
                None => match self.find(pool.clone().into_iter(), last) {
                    Some(issuer) => {
                        pool.retain(|c| !std::ptr::eq(*c, issuer));
                        chain.push(issuer);
                        own += 1;
                    }
                    None => break,
                },
            }
        }
        (chain, own, false)
    }

    /// The last fault.
    pub fn words(&self) -> Option<&'static str> {
        let (chain, own, trusted) = self.build();
        let last = chain.len() - 1;
        let root = may_issue(chain[last], chain[last]);
        let mut fault = (!trusted).then_some(match (root, last) {
            (true, 0) => "self-signed certificate",
            (true, _) => "self-signed certificate in certificate chain",
            (false, _) if own <= last => "unable to get issuer certificate",
            (false, _) => "unable to get local issuer certificate",
        });
        for (i, cert) in chain.iter().enumerate() {
            if i > 0 && !may_sign(cert) {
                fault = Some("invalid CA certificate");
            }
            if !suits(cert, i == 0) {
                fault = Some("unsuitable certificate purpose");
            }
        }
        let first = match (root, last) {
            (true, _) => last,
            (false, 0) => {
                fault = Some("unable to verify the first certificate");
                0
            }
            (false, _) => last - 1,
        };
        for i in (0..=first).rev() {
            if let Some(issuer) = chain.get(i + 1) {
                fault = signed(chain[i], issuer).err().or(fault);
            }
            if chain[i].not_before > self.now {
                fault = Some("certificate is not yet valid");
            } else if chain[i].not_after < self.now {
                fault = Some("certificate has expired");
            }
        }
        fault
    }
}

fn signed(cert: &Cert, issuer: &Cert) -> Result<(), &'static str> {
    let key = issuer.public_key().ok_or("unable to decode issuer public key")?;
    match cert.verify(&key) {
        Ok(true) => Ok(()),
        _ => Err("certificate signature failure"),
    }
}

/// Whether a certificate may issue others.
fn may_sign(cert: &Cert) -> bool {
    let ca = match cert.basic_constraints() {
        Ok(Some((ca, _))) => ca,
        Ok(None) => cert.version == 1 && cert.subject_der() == cert.issuer_der(),
        Err(_) => false,
    };
    let usage = cert.extension("keyUsage");
    ca && usage.is_none_or(|e| extension::usage_bits(&e.value).is_some_and(|bits| bits & KEY_CERT_SIGN != 0))
}

/// Whether a certificate's own words let it stand for a client, or above one.
fn suits(cert: &Cert, leaf: bool) -> bool {
    let purposes = cert.extension("extendedKeyUsage");
    let named = purposes.is_none_or(|e| {
        let all = extension::purposes(&e.value).unwrap_or_default();
        all.iter().any(|purpose| purpose == CLIENTS)
    });
    let usage = cert.extension("keyUsage").filter(|_| leaf);
    let may_sign =
        usage.is_none_or(|e| extension::usage_bits(&e.value).is_some_and(|bits| bits & SIGNING != 0));
    named && may_sign
}
