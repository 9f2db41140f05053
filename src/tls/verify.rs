//! Whether a peer is who it should be: rustls' verifiers for upstreams, and the judgement behind them.
//!
//! `rustls-webpki` finds the path. What OpenSSL asks beyond it (an anchor in date that may issue, key usages,
//! strength) is asked too; what webpki refuses only for its form (X.509 version 1, a CA certificate as the leaf,
//! an odd serial number) is judged by [`super::pki::path`] instead, which also names every refusal by OpenSSL's
//! number and words. Must not: prove less than that the peer holds the key of the certificate it shows.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, PeerMisbehaved, SignatureScheme};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

use super::pki::cert::{Cert, outline};
use super::pki::key::{Curve, Key, Okp};
use super::pki::path::{self, Terms};
use super::pki::sign::{self, Padding};
use super::pki::{asn1, key_code, objects};
use super::signing::digest_and_padding;
use super::trust::TrustStore;
use super::{names, provider};

/// What an upstream's certificate is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Verification {
    /// Nothing, as OpenSSL with `SSL_VERIFY_NONE`: expired, self-signed, of X.509 version 1, for another name.
    /// The handshake still proves that the peer holds its key.
    Off,
    /// That it is for the host, and that a path leads to one of `trust`.
    On {
        trust: Arc<TrustStore>,
        /// The most certificates between the leaf and the trusted one, which do not count themselves.
        depth: u8,
    },
    /// The same whoever the certificate is for: cosockets that ask for no name.
    Path { trust: Arc<TrustStore>, depth: u8 },
}

/// What a certificate must be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    Server,
    Client,
}

/// Why a certificate was refused: OpenSSL's number and words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("({code}:{reason})")]
pub struct Refusal {
    /// `X509_V_ERR_…`
    pub code: u16,
    pub reason: &'static str,
}

const REASONS: &[(u16, &str)] = &[
    (1, "unspecified certificate verification error"),
    (2, "unable to get issuer certificate"),
    (6, "unable to decode issuer public key"),
    (7, "certificate signature failure"),
    (9, "certificate is not yet valid"),
    (10, "certificate has expired"),
    (18, "self-signed certificate"),
    (19, "self-signed certificate in certificate chain"),
    (20, "unable to get local issuer certificate"),
    (22, "certificate chain too long"),
    (25, "path length constraint exceeded"),
    (26, "unsuitable certificate purpose"),
    (34, "unhandled critical extension"),
    (47, "permitted subtree violation"),
    (48, "excluded subtree violation"),
    (51, "unsupported name constraint type"),
    (62, "hostname mismatch"),
    (64, "IP address mismatch"),
    (66, "EE certificate key too weak"),
    (67, "CA certificate key too weak"),
    (68, "CA signature digest algorithm too weak"),
    (79, "invalid CA certificate"),
];

impl Refusal {
    fn named(reason: &str) -> Self {
        let listed = REASONS.iter().find(|(_, r)| *r == reason);
        let (code, reason) = listed.copied().unwrap_or(REASONS[0]);
        Self { code, reason }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let other = OtherError(Arc::new(refusal));
        Self::InvalidCertificate(CertificateError::Other(other))
    }
}

/// The refusal that a handshake's error is about.
pub fn refusal(error: &Error) -> Option<Refusal> {
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(e))) => {
            e.downcast_ref::<Refusal>().copied()
        }
        _ => None,
    }
}

/// rustls' verifier for upstreams.
pub fn server_verifier(verification: &Verification) -> Arc<dyn ServerCertVerifier> {
    Arc::new(Verifier(verification.clone()))
}

#[derive(Debug)]
struct Verifier(Verification);

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // A certificate that is none cannot prove anything.
        outline(leaf).map_err(|_| CertificateError::BadEncoding)?;
        match &self.0 {
            Verification::Off => {}
            Verification::On { trust, depth } => {
                let cert = judged(trust, leaf, rest, *depth, Usage::Server, now)?;
                names_host(&cert, name)?;
            }
            Verification::Path { trust, depth } => {
                judged(trust, leaf, rest, *depth, Usage::Server, now)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(message, leaf, signed, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(message, leaf, signed, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}

/// The signatures that are taken in handshakes.
pub const SCHEMES: &[SignatureScheme] = &[
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

/// Whether the key of `leaf` made a handshake's signature, for either side and a certificate of any version.
///
/// # Errors
/// When it did not, or cannot have.
pub fn verify_signature(
    message: &[u8],
    leaf: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    tls13: bool,
) -> Result<HandshakeSignatureValid, Error> {
    if !SCHEMES.contains(&signed.scheme) {
        return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
    }
    let spki = outline(leaf).map_err(|_| CertificateError::BadEncoding)?.spki;
    let key = key_code::read_spki(spki).map_err(|_| CertificateError::BadEncoding)?;
    if !suits(&key, signed.scheme, tls13) {
        return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
    }
    let good = match digest_and_padding(signed.scheme) {
        Some((alg, padding)) => sign::verify_digested(&key, alg, message, signed.signature(), padding),
        None => sign::verify_text(&key, message, signed.signature()),
    };
    match good {
        Ok(true) => Ok(HandshakeSignatureValid::assertion()),
        _ => Err(CertificateError::BadSignature.into()),
    }
}

/// Whether a key may sign under a scheme. TLS 1.3 ties the curve to the scheme and has no PKCS#1 padding.
fn suits(key: &Key, scheme: SignatureScheme, tls13: bool) -> bool {
    let curve = match scheme {
        SignatureScheme::ECDSA_NISTP256_SHA256 => Some(Curve::P256),
        SignatureScheme::ECDSA_NISTP384_SHA384 => Some(Curve::P384),
        SignatureScheme::ECDSA_NISTP521_SHA512 => Some(Curve::P521),
        _ => None,
    };
    match key {
        Key::Rsa(_) => match digest_and_padding(scheme) {
            Some((_, Padding::Pss { .. })) => true,
            Some(_) => curve.is_none() && !tls13,
            None => false,
        },
        Key::Ec(k) => curve.is_some_and(|c| k.curve.in_tls() && (!tls13 || c == k.curve)),
        Key::Okp(k) => k.kind == Okp::Ed25519 && scheme == SignatureScheme::ED25519,
        Key::Dh(_) => false,
    }
}

/// Whether a path leads from `leaf`, over `rest` and what else the store holds, to a certificate of the store.
///
/// # Errors
/// When there is none, with what OpenSSL would say.
pub fn judge(
    trust: &TrustStore,
    leaf: &CertificateDer<'_>,
    rest: &[CertificateDer<'_>],
    depth: u8,
    usage: Usage,
    now: UnixTime,
) -> Result<(), Refusal> {
    judged(trust, leaf, rest, depth, usage, now).map(drop)
}

/// As [`judge`]; the leaf as it was read.
fn judged(
    trust: &TrustStore,
    leaf: &CertificateDer<'_>,
    rest: &[CertificateDer<'_>],
    depth: u8,
    usage: Usage,
    now: UnixTime,
) -> Result<Cert, Refusal> {
    let cert = Cert::read(leaf).map_err(|_| Refusal::named(""))?;
    // As OpenSSL: a weak leaf is refused before anybody looks for a path.
    path::strong_leaf(&cert).map_err(Refusal::named)?;
    let purpose = match usage {
        Usage::Server => objects::by_text("serverAuth"),
        Usage::Client => objects::by_text("clientAuth"),
    };
    let terms = Terms {
        now: Some(i64::try_from(now.as_secs()).unwrap_or(i64::MAX)),
        depth: usize::from(depth),
        partial: false,
        ignore_critical: false,
        purpose: purpose.map(|o| o.id),
        strong: true,
        constraints_judged: true,
    };
    let Err(e) = by_webpki(trust, (leaf, &cert), rest, terms, usage, now) else {
        return Ok(cert);
    };
    let only_form = matches!(
        e,
        webpki::Error::UnsupportedCertVersion
            | webpki::Error::CaUsedAsEndEntity
            | webpki::Error::InvalidSerialNumber
    );
    // What webpki did not look at, nobody judged name constraints of.
    let terms = Terms {
        constraints_judged: !only_form,
        ..terms
    };
    let untrusted: Vec<Cert> = rest.iter().filter_map(|c| Cert::read(c).ok()).collect();
    match path::verify(&cert, &untrusted, &trust.prepared().all, terms) {
        Ok(_) if only_form => Ok(cert),
        Ok(found) if e == webpki::Error::NameConstraintViolation => {
            Err(Refusal::named(which_subtree(&found)))
        }
        Ok(_) => Err(Refusal::named(words(&e))),
        Err(why) => Err(Refusal::named(why)),
    }
}

fn by_webpki(
    trust: &TrustStore,
    (der, leaf): (&CertificateDer<'_>, &Cert),
    rest: &[CertificateDer<'_>],
    terms: Terms,
    usage: Usage,
    now: UnixTime,
) -> Result<(), webpki::Error> {
    let prepared = trust.prepared();
    let end = EndEntityCert::try_from(der)?;
    let between: Vec<CertificateDer<'_>> = rest
        .iter()
        .chain(&prepared.intermediates)
        .map(|c| CertificateDer::from(c.as_ref()))
        .collect();
    let usage = match usage {
        Usage::Server => KeyUsage::server_auth(),
        Usage::Client => KeyUsage::client_auth(),
    };
    let stands = |path: &VerifiedPath<'_>| match stands(trust, path, leaf, terms) {
        true => Ok(()),
        false => Err(webpki::Error::UnknownIssuer),
    };
    let algorithms = provider().signature_verification_algorithms.all;
    end.verify_for_usage(
        algorithms,
        &prepared.anchors,
        &between,
        now,
        usage,
        None,
        Some(&stands),
    )
    .map(drop)
}

/// Whether a path that webpki found is one that OpenSSL takes: no longer than allowed, its anchor in date and one
/// that may issue, key usages and strength as they should be, none of which webpki asks.
fn stands(trust: &TrustStore, path: &VerifiedPath<'_>, leaf: &Cert, terms: Terms) -> bool {
    let mut certs = vec![leaf.clone()];
    for cert in path.intermediate_certificates() {
        let Ok(cert) = Cert::read(&cert.der()) else {
            return false;
        };
        certs.push(cert);
    }
    if certs.len() > terms.depth + 1 {
        return false;
    }
    let anchor = path.anchor();
    // An anchor has the contents of the elements only.
    let ends = |cert: &&Cert| {
        cert.subject_der().ends_with(&anchor.subject) && cert.spki.ends_with(&anchor.subject_public_key_info)
    };
    trust.prepared().all.iter().filter(ends).any(|end| {
        // A leaf that is trusted itself is the whole path.
        let itself = certs.len() == 1 && end.write() == leaf.write();
        if !itself {
            certs.push(end.clone());
        }
        let good = path::judge(&certs, terms).is_ok();
        if !itself {
            certs.pop();
        }
        good
    })
}

/// Which of the two violations it can have been: webpki does not tell.
fn which_subtree(path: &[Cert]) -> &'static str {
    let permits = |cert: &Cert| {
        let value = cert.extension("nameConstraints").map(|e| e.value.as_slice());
        let list = value.and_then(|v| asn1::first(v, asn1::SEQUENCE).ok());
        list.is_some_and(|l| l.reader().peek() == Some(0xa0))
    };
    match path.iter().any(permits) {
        true => "permitted subtree violation",
        false => "excluded subtree violation",
    }
}

fn words(e: &webpki::Error) -> &'static str {
    use webpki::Error as E;
    match e {
        E::CertExpired { .. } => "certificate has expired",
        E::CertNotValidYet { .. } => "certificate is not yet valid",
        E::EndEntityUsedAsCa => "invalid CA certificate",
        E::InvalidSignatureForPublicKey => "certificate signature failure",
        E::MaximumPathDepthExceeded => "certificate chain too long",
        E::PathLenConstraintViolated => "path length constraint exceeded",
        E::RequiredEkuNotFoundContext(_) => "unsuitable certificate purpose",
        E::UnknownIssuer => "unable to get local issuer certificate",
        E::UnsupportedCriticalExtension => "unhandled critical extension",
        E::UnsupportedSignatureAlgorithmContext(_)
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => "CA signature digest algorithm too weak",
        _ => "",
    }
}

/// Whether the leaf is for the host.
fn names_host(leaf: &Cert, name: &ServerName<'_>) -> Result<(), Refusal> {
    let (good, why) = match name {
        ServerName::IpAddress(ip) => (names::for_address(leaf, IpAddr::from(*ip)), "IP address mismatch"),
        ServerName::DnsName(name) => (
            names::for_host(leaf, name.as_ref().as_bytes()),
            "hostname mismatch",
        ),
        _ => (false, "hostname mismatch"),
    };
    match good {
        true => Ok(()),
        false => Err(Refusal::named(why)),
    }
}
