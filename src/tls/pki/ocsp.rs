//! OCSP: whom to ask about a certificate, the question, and whether an answer is one.
//!
//! Chains are certificates' DER one behind the other, the leaf first, its issuer next; what is wrong is said in the words
//! of lua-nginx-module. Must not: ask anybody, read a clock.
//!
//! # Source
//! RFC 6960; lua-nginx-module, `ngx_http_lua_ssl_ocsp.c`.

use super::asn1::{self, Asn1Error, Element, Reader};
use super::cert::Cert;
use super::digest::Alg;
use super::extension::{self, KEY_CERT_SIGN};
use super::signed::Seal;
use super::{objects, path, time};

const ENUMERATED: u8 = 0x0a;
const SUCCESSFUL: u8 = 0;

/// Clocks may differ by so many seconds.
const SKEW: i64 = 300;

const NO_CERT: &str = "d2i_X509_bio() failed";

/// The first certificate, and the next if there is one.
fn leaf(chain: &[u8]) -> Result<(Cert, &[u8]), &'static str> {
    let whole = asn1::first(chain, asn1::SEQUENCE).map_err(|_| NO_CERT)?.whole;
    let cert = Cert::read(whole).map_err(|_| NO_CERT)?;
    Ok((cert, &chain[whole.len()..]))
}

fn issuer(rest: &[u8]) -> Result<Cert, &'static str> {
    match rest.is_empty() {
        true => Err("no issuer certificate in chain"),
        false => leaf(rest).map(|(cert, _)| cert),
    }
}

/// The first address at which the leaf's issuer answers; None when the certificate names none.
///
/// # Errors
/// When the chain is none.
pub fn responder(chain: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    let (cert, rest) = leaf(chain)?;
    let Some(address) = address(&cert) else {
        return Ok(None);
    };
    let issuer = issuer(rest)?;
    let usage = issuer
        .extension("keyUsage")
        .map(|e| extension::usage_bits(&e.value));
    let signs = usage.is_none_or(|bits| bits.is_some_and(|bits| bits & KEY_CERT_SIGN != 0));
    match signs && path::may_issue(&issuer, &cert) {
        true => Ok(Some(address)),
        false => Err("issuer certificate not next to leaf"),
    }
}

/// The first URI of kind OCSP in the authority information access.
fn address(cert: &Cert) -> Option<Vec<u8>> {
    let ocsp = objects::contents("OCSP")?;
    let value = &cert.extension("authorityInfoAccess")?.value;
    let mut list = asn1::first(value, asn1::SEQUENCE).ok()?.reader();
    while !list.is_empty() {
        let mut inner = list.expect(asn1::SEQUENCE).ok()?.reader();
        let kind = inner.oid().ok()?;
        let place = inner.next_element().ok()?;
        if kind == ocsp && place.tag == 0x86 {
            return Some(place.body.to_vec());
        }
    }
    None
}

/// What names a certificate in questions and answers: digests by SHA-1, as OpenSSL's are, and the serial number.
fn identifier(cert: &Cert, issuer: &Cert) -> Option<Vec<u8>> {
    let sha1 = objects::contents("SHA1")?;
    let alg = asn1::list(
        asn1::SEQUENCE,
        &[&asn1::oid(&sha1), &asn1::element(asn1::NULL, &[])],
    );
    let octets = |bytes: &[u8]| asn1::element(asn1::OCTET_STRING, &Alg::Sha1.digest(bytes));
    let parts: [&[u8]; 4] = [
        &alg,
        &octets(&cert.issuer_der()),
        &octets(issuer.public_bits()?),
        &asn1::element(asn1::INTEGER, &cert.serial),
    ];
    Some(asn1::list(asn1::SEQUENCE, &parts))
}

/// The question what the leaf's status is, as DER.
///
/// # Errors
/// When the chain is none.
pub fn request(chain: &[u8]) -> Result<Vec<u8>, &'static str> {
    let (cert, rest) = leaf(chain)?;
    let issuer = issuer(rest)?;
    let id = identifier(&cert, &issuer).ok_or("OCSP_cert_to_id() failed")?;
    // Request, requestList, TBSRequest, OCSPRequest
    Ok((0..4).fold(id, |inner, _| asn1::element(asn1::SEQUENCE, &inner)))
}

/// Whether an answer says, in the name of the leaf's issuer and for the time `now`, that the leaf is good; the time of
/// the next answer, if it is said.
///
/// # Errors
/// When it is none, or says something else.
pub fn check(response: &[u8], chain: &[u8], now: i64) -> Result<Option<i64>, String> {
    let (status, bytes) = envelope(response).map_err(|_| "d2i_OCSP_RESPONSE() failed")?;
    if status != SUCCESSFUL {
        let name = status_name(status);
        return Err(format!("OCSP response not successful ({status}: {name})"));
    }
    let basic = bytes
        .and_then(|bytes| Basic::read(bytes).ok())
        .ok_or("OCSP_response_get1_basic() failed")?;
    let (cert, rest) = leaf(chain)?;
    let issuer = issuer(rest)?;
    if !basic.signed(&issuer) {
        return Err("OCSP_basic_verify() failed".into());
    }
    let id = identifier(&cert, &issuer).ok_or("OCSP_cert_to_id() failed")?;
    let found = basic
        .status_of(&id)
        .ok_or("certificate status not found in the OCSP response")?;
    if found.name != "good" {
        return Err(format!(
            "certificate status \"{}\" in the OCSP response",
            found.name
        ));
    }
    let next = found.next_update;
    if found.this_update > now + SKEW || next.is_some_and(|t| t < now - SKEW || t < found.this_update) {
        return Err("OCSP_check_validity() failed".into());
    }
    Ok(next)
}

fn status_name(status: u8) -> &'static str {
    match status {
        1 => "malformedrequest",
        2 => "internalerror",
        3 => "trylater",
        5 => "sigrequired",
        6 => "unauthorized",
        _ => "(UNKNOWN)",
    }
}

/// The status of a response and what it holds, if that is of the basic kind.
fn envelope(response: &[u8]) -> Result<(u8, Option<&[u8]>), Asn1Error> {
    let mut r = asn1::first(response, asn1::SEQUENCE)?.reader();
    let [status] = r.expect(ENUMERATED)?.body else {
        return Err(Asn1Error::Value);
    };
    let Some(bytes) = r.optional(0xa0)? else {
        return Ok((*status, None));
    };
    let mut inner = bytes.reader().expect(asn1::SEQUENCE)?.reader();
    let basic = asn1::dotted(inner.oid()?).as_deref() == Some("1.3.6.1.5.5.7.48.1.1");
    let held = inner.expect(asn1::OCTET_STRING)?.body;
    Ok((*status, basic.then_some(held)))
}

/// A basic response.
struct Basic<'a> {
    tbs: &'a [u8],
    seal: Seal,
    responder: Element<'a>,
    certs: Vec<Cert>,
    /// SingleResponse elements.
    answers: Reader<'a>,
}

/// What one answer says.
struct Status {
    name: &'static str,
    this_update: i64,
    next_update: Option<i64>,
}

impl<'a> Basic<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Asn1Error> {
        /// More certificates of responders than anybody sends are not looked at.
        const MAX_CERTS: usize = 8;
        let mut outer = asn1::first(bytes, asn1::SEQUENCE)?.reader();
        let tbs = outer.expect(asn1::SEQUENCE)?;
        let seal = Seal::read(&mut outer)?;
        let mut certs = Vec::new();
        if let Some(list) = outer.optional(0xa0)? {
            let mut list = list.reader().expect(asn1::SEQUENCE)?.reader();
            while !list.is_empty() && certs.len() < MAX_CERTS {
                certs.push(Cert::read(list.expect(asn1::SEQUENCE)?.whole)?);
            }
        }
        let mut r = tbs.reader();
        r.optional(0xa0)?;
        let responder = r.next_element()?;
        time::read(&r.expect(asn1::GENERALIZED_TIME)?)?;
        let answers = r.expect(asn1::SEQUENCE)?.reader();
        Ok(Self {
            tbs: tbs.whole,
            seal,
            responder,
            certs,
            answers,
        })
    }

    /// Whether a certificate is the one that the response says it is of.
    fn is_of(&self, cert: &Cert) -> bool {
        match self.responder.tag {
            0xa1 => cert.subject_der() == self.responder.body,
            0xa2 => {
                let hash = self.responder.reader().expect(asn1::OCTET_STRING);
                let own = cert.public_bits().map(|bits| Alg::Sha1.digest(bits));
                hash.is_ok_and(|hash| own.as_deref() == Some(hash.body))
            }
            _ => false,
        }
    }

    /// Whether the one signed it that it says it is of: the issuer, or one whose certificate comes along, whoever made
    /// that (clients judge it, nginx's module does not).
    fn signed(&self, issuer: &Cert) -> bool {
        let signer = std::iter::once(issuer)
            .chain(&self.certs)
            .find(|cert| self.is_of(cert));
        let key = signer.and_then(Cert::public_key);
        key.is_some_and(|key| self.seal.verify(&key, self.tbs).unwrap_or(false))
    }

    /// The first answer that is about a certificate.
    fn status_of(&self, id: &[u8]) -> Option<Status> {
        let mut answers = self.answers;
        while !answers.is_empty() {
            let mut r = answers.expect(asn1::SEQUENCE).ok()?.reader();
            if !same_identifier(r.expect(asn1::SEQUENCE).ok()?.whole, id) {
                continue;
            }
            let name = match r.next_element().ok()?.tag {
                0x80 => "good",
                0xa1 => "revoked",
                _ => "unknown",
            };
            let this_update = time::read(&r.expect(asn1::GENERALIZED_TIME).ok()?).ok()?;
            let next_update = match r.optional(0xa0).ok()? {
                Some(next) => Some(time::read(&next.reader().expect(asn1::GENERALIZED_TIME).ok()?).ok()?),
                None => None,
            };
            return Some(Status {
                name,
                this_update,
                next_update,
            });
        }
        None
    }
}

/// Whether two identifiers are the same; parameters of the digest may be left out.
fn same_identifier(a: &[u8], b: &[u8]) -> bool {
    let parts = |id: &[u8]| -> Option<(Vec<u8>, Vec<u8>)> {
        let mut r = asn1::first(id, asn1::SEQUENCE).ok()?.reader();
        let alg = r.algorithm().ok()?.0.to_vec();
        let mut rest = Vec::new();
        for tag in [asn1::OCTET_STRING, asn1::OCTET_STRING, asn1::INTEGER] {
            rest.extend_from_slice(r.expect(tag).ok()?.whole);
        }
        Some((alg, rest))
    };
    parts(a).is_some_and(|a| Some(a) == parts(b))
}
