//! The names that OpenSSL gives to object identifiers: those that keys, certificates and users speak of.
//!
//! Lua may add names of its own; they stay. Must not: grow into a list of everything; an identifier that is not here is
//! shown by its number.

use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwap;

use super::asn1;

/// The number of the first object that Lua names: above OpenSSL's.
const FIRST: u16 = 2000;
/// So many names may be added.
const MOST: usize = 1000;

/// What was added. Read without a lock, and only for what is not in the list below.
static ADDED: LazyLock<ArcSwap<Vec<&'static Object>>> = LazyLock::new(ArcSwap::default);

/// One object: its identifier, OpenSSL's number for it, its short and its long name.
#[derive(Debug, Clone, Copy)]
pub struct Object {
    pub id: &'static str,
    pub nid: u16,
    pub sn: &'static str,
    pub ln: &'static str,
}

fn find(fits: impl Fn(&Object) -> bool) -> Option<&'static Object> {
    let added = || ADDED.load().iter().copied().find(|o| fits(o));
    OBJECTS.iter().find(|o| fits(o)).or_else(added)
}

/// The object called `text`: a short name, a long name or a dotted identifier.
pub fn by_text(text: &str) -> Option<&'static Object> {
    find(|o| o.sn == text)
        .or_else(|| find(|o| o.ln == text))
        .or_else(|| find(|o| o.id == text))
}

/// The object with OpenSSL's number `nid`.
pub fn by_nid(nid: i64) -> Option<&'static Object> {
    find(|o| i64::from(o.nid) == nid)
}

/// The object of an OID's contents.
pub fn by_contents(contents: &[u8]) -> Option<&'static Object> {
    let id = asn1::dotted(contents)?;
    find(|o| o.id == id)
}

/// Adds an object, for as long as the process runs: its number. None when one of the names or the identifier is
/// taken, the identifier is none, or too many were added.
pub fn add(id: &str, sn: &str, ln: &str) -> Option<u16> {
    if [id, sn, ln].iter().any(|text| by_text(text).is_some()) || sn.is_empty() {
        return None;
    }
    asn1::undotted(id)?;
    let mut number = None;
    ADDED.rcu(|added| {
        let mut all = Vec::clone(added);
        number = u16::try_from(all.len()).ok().map(|n| FIRST + n);
        let known = all.iter().any(|o| o.id == id || o.sn == sn || o.ln == ln);
        match number {
            Some(nid) if all.len() < MOST && !known => {
                let keep = |text: &str| -> &'static str { Box::leak(text.into()) };
                let (id, sn, ln) = (keep(id), keep(sn), keep(ln));
                all.push(Box::leak(Box::new(Object { id, nid, sn, ln })));
            }
            _ => number = None,
        }
        Arc::new(all)
    });
    number
}

/// The OID contents that `text` (a name or a dotted identifier) stands for.
pub fn contents(text: &str) -> Option<Vec<u8>> {
    asn1::undotted(by_text(text).map_or(text, |o| o.id))
}

const fn o(id: &'static str, nid: u16, sn: &'static str, ln: &'static str) -> Object {
    Object { id, nid, sn, ln }
}

#[rustfmt::skip]
const OBJECTS: &[Object] = &[
    o("1.2.840.113549.1.1.1", 6, "rsaEncryption", "rsaEncryption"),
    o("1.2.840.113549.1.1.10", 912, "RSASSA-PSS", "rsassaPss"),
    o("1.2.840.10045.2.1", 408, "id-ecPublicKey", "id-ecPublicKey"),
    o("1.3.101.112", 1087, "ED25519", "ED25519"),
    o("1.3.101.113", 1088, "ED448", "ED448"),
    o("1.3.101.110", 1034, "X25519", "X25519"),
    o("1.3.101.111", 1035, "X448", "X448"),
    o("1.2.840.10040.4.1", 116, "DSA", "dsaEncryption"),
    o("1.2.840.10046.2.1", 920, "dhpublicnumber", "X9.42 DH"),
    o("1.2.840.113549.1.3.1", 28, "dhKeyAgreement", "dhKeyAgreement"),
    o("2.16.840.1.101.3.4.1.2", 419, "AES-128-CBC", "aes-128-cbc"),
    o("2.16.840.1.101.3.4.1.22", 423, "AES-192-CBC", "aes-192-cbc"),
    o("2.16.840.1.101.3.4.1.42", 427, "AES-256-CBC", "aes-256-cbc"),
    o("1.2.840.113549.1.12.1.3", 146, "PBE-SHA1-3DES", "pbeWithSHA1And3-KeyTripleDES-CBC"),
    o("1.2.840.113549.1.12.1.5", 148, "PBE-SHA1-RC2-128", "pbeWithSHA1And128BitRC2-CBC"),
    o("1.2.840.113549.1.12.1.6", 149, "PBE-SHA1-RC2-40", "pbeWithSHA1And40BitRC2-CBC"),
    o("1.2.840.113549.1.9.20", 156, "friendlyName", "friendlyName"),
    o("1.2.840.113549.1.9.21", 157, "localKeyID", "localKeyID"),
    o("1.2.840.113549.1.1.4", 8, "RSA-MD5", "md5WithRSAEncryption"),
    o("1.2.840.113549.1.1.5", 65, "RSA-SHA1", "sha1WithRSAEncryption"),
    o("1.2.840.113549.1.1.14", 671, "RSA-SHA224", "sha224WithRSAEncryption"),
    o("1.2.840.113549.1.1.11", 668, "RSA-SHA256", "sha256WithRSAEncryption"),
    o("1.2.840.113549.1.1.12", 669, "RSA-SHA384", "sha384WithRSAEncryption"),
    o("1.2.840.113549.1.1.13", 670, "RSA-SHA512", "sha512WithRSAEncryption"),
    o("1.2.840.10045.4.1", 416, "ecdsa-with-SHA1", "ecdsa-with-SHA1"),
    o("1.2.840.10045.4.3.1", 793, "ecdsa-with-SHA224", "ecdsa-with-SHA224"),
    o("1.2.840.10045.4.3.2", 794, "ecdsa-with-SHA256", "ecdsa-with-SHA256"),
    o("1.2.840.10045.4.3.3", 795, "ecdsa-with-SHA384", "ecdsa-with-SHA384"),
    o("1.2.840.10045.4.3.4", 796, "ecdsa-with-SHA512", "ecdsa-with-SHA512"),
    o("1.2.840.113549.2.5", 4, "MD5", "md5"),
    o("1.3.14.3.2.26", 64, "SHA1", "sha1"),
    o("2.16.840.1.101.3.4.2.4", 675, "SHA224", "sha224"),
    o("2.16.840.1.101.3.4.2.1", 672, "SHA256", "sha256"),
    o("2.16.840.1.101.3.4.2.2", 673, "SHA384", "sha384"),
    o("2.16.840.1.101.3.4.2.3", 674, "SHA512", "sha512"),
    o("1.2.840.10045.3.1.7", 415, "prime256v1", "prime256v1"),
    o("1.3.132.0.34", 715, "secp384r1", "secp384r1"),
    o("1.3.132.0.35", 716, "secp521r1", "secp521r1"),
    o("1.3.132.0.10", 714, "secp256k1", "secp256k1"),
    o("1.2.840.10045.3.1.1", 409, "prime192v1", "prime192v1"),
    o("1.3.132.0.33", 713, "secp224r1", "secp224r1"),
    o("2.5.4.3", 13, "CN", "commonName"),
    o("2.5.4.4", 100, "SN", "surname"),
    o("2.5.4.42", 99, "GN", "givenName"),
    o("2.5.4.41", 173, "name", "name"),
    o("2.5.4.5", 105, "serialNumber", "serialNumber"),
    o("2.5.4.6", 14, "C", "countryName"),
    o("2.5.4.7", 15, "L", "localityName"),
    o("2.5.4.8", 16, "ST", "stateOrProvinceName"),
    o("2.5.4.9", 660, "street", "streetAddress"),
    o("2.5.4.10", 17, "O", "organizationName"),
    o("2.5.4.11", 18, "OU", "organizationalUnitName"),
    o("2.5.4.12", 106, "title", "title"),
    o("2.5.4.13", 107, "description", "description"),
    o("2.5.4.17", 661, "postalCode", "postalCode"),
    o("2.5.4.43", 101, "initials", "initials"),
    o("2.5.4.44", 509, "generationQualifier", "generationQualifier"),
    o("2.5.4.46", 174, "dnQualifier", "dnQualifier"),
    o("2.5.4.65", 510, "pseudonym", "pseudonym"),
    o("1.2.840.113549.1.9.1", 48, "emailAddress", "emailAddress"),
    o("1.2.840.113549.1.9.2", 49, "unstructuredName", "unstructuredName"),
    o("0.9.2342.19200300.100.1.1", 458, "UID", "userId"),
    o("0.9.2342.19200300.100.1.25", 391, "DC", "domainComponent"),
    o("2.5.4.15", 860, "businessCategory", "businessCategory"),
    o("2.5.4.97", 1089, "organizationIdentifier", "organizationIdentifier"),
    o("1.3.6.1.4.1.311.60.2.1.3", 957, "jurisdictionC", "jurisdictionCountryName"),
    o("1.3.6.1.4.1.311.60.2.1.2", 956, "jurisdictionST", "jurisdictionStateOrProvinceName"),
    o("1.3.6.1.4.1.311.60.2.1.1", 955, "jurisdictionL", "jurisdictionLocalityName"),
    o("2.5.29.14", 82, "subjectKeyIdentifier", "X509v3 Subject Key Identifier"),
    o("2.5.29.15", 83, "keyUsage", "X509v3 Key Usage"),
    o("2.5.29.16", 84, "privateKeyUsagePeriod", "X509v3 Private Key Usage Period"),
    o("2.5.29.17", 85, "subjectAltName", "X509v3 Subject Alternative Name"),
    o("2.5.29.18", 86, "issuerAltName", "X509v3 Issuer Alternative Name"),
    o("2.5.29.19", 87, "basicConstraints", "X509v3 Basic Constraints"),
    o("2.5.29.30", 666, "nameConstraints", "X509v3 Name Constraints"),
    o("2.5.29.31", 103, "crlDistributionPoints", "X509v3 CRL Distribution Points"),
    o("2.5.29.32", 89, "certificatePolicies", "X509v3 Certificate Policies"),
    o("2.5.29.33", 747, "policyMappings", "X509v3 Policy Mappings"),
    o("2.5.29.35", 90, "authorityKeyIdentifier", "X509v3 Authority Key Identifier"),
    o("2.5.29.36", 401, "policyConstraints", "X509v3 Policy Constraints"),
    o("2.5.29.37", 126, "extendedKeyUsage", "X509v3 Extended Key Usage"),
    o("2.5.29.46", 857, "freshestCRL", "X509v3 Freshest CRL"),
    o("2.5.29.54", 748, "inhibitAnyPolicy", "X509v3 Inhibit Any Policy"),
    o("1.3.6.1.5.5.7.1.1", 177, "authorityInfoAccess", "Authority Information Access"),
    o("1.3.6.1.5.5.7.1.11", 398, "subjectInfoAccess", "Subject Information Access"),
    o("1.3.6.1.5.5.7.1.24", 1020, "tlsfeature", "TLS Feature"),
    o("1.3.6.1.4.1.11129.2.4.2", 951, "ct_precert_scts", "CT Precertificate SCTs"),
    o("1.3.6.1.4.1.11129.2.4.3", 952, "ct_precert_poison", "CT Precertificate Poison"),
    o("2.16.840.1.113730.1.1", 71, "nsCertType", "Netscape Cert Type"),
    o("2.16.840.1.113730.1.13", 78, "nsComment", "Netscape Comment"),
    o("2.5.29.21", 141, "CRLReason", "X509v3 CRL Reason Code"),
    o("2.5.29.24", 142, "invalidityDate", "Invalidity Date"),
    o("2.5.29.27", 140, "deltaCRL", "X509v3 Delta CRL Indicator"),
    o("2.5.29.28", 770, "issuingDistributionPoint", "X509v3 Issuing Distribution Point"),
    o("2.5.29.20", 88, "crlNumber", "X509v3 CRL Number"),
    o("1.3.6.1.5.5.7.3.1", 129, "serverAuth", "TLS Web Server Authentication"),
    o("1.3.6.1.5.5.7.3.2", 130, "clientAuth", "TLS Web Client Authentication"),
    o("1.3.6.1.5.5.7.3.3", 131, "codeSigning", "Code Signing"),
    o("1.3.6.1.5.5.7.3.4", 132, "emailProtection", "E-mail Protection"),
    o("1.3.6.1.5.5.7.3.8", 133, "timeStamping", "Time Stamping"),
    o("1.3.6.1.5.5.7.3.9", 180, "OCSPSigning", "OCSP Signing"),
    o("2.5.29.37.0", 910, "anyExtendedKeyUsage", "Any Extended Key Usage"),
    o("1.3.6.1.4.1.311.20.2.3", 649, "msUPN", "Microsoft User Principal Name"),
    o("1.3.6.1.4.1.311.10.3.3", 137, "msSGC", "Microsoft Server Gated Crypto"),
    o("2.16.840.1.113730.4.1", 139, "nsSGC", "Netscape Server Gated Crypto"),
    o("1.3.6.1.4.1.311.2.1.21", 134, "msCodeInd", "Microsoft Individual Code Signing"),
    o("1.3.6.1.4.1.311.2.1.22", 135, "msCodeCom", "Microsoft Commercial Code Signing"),
    o("1.3.6.1.4.1.311.20.2.2", 648, "msSmartcardLogin", "Microsoft Smartcard Login"),
    o("1.3.6.1.5.5.7.3.5", 294, "ipsecEndSystem", "IPSec End System"),
    o("1.3.6.1.5.5.7.3.6", 295, "ipsecTunnel", "IPSec Tunnel"),
    o("1.3.6.1.5.5.7.3.7", 296, "ipsecUser", "IPSec User"),
    o("1.3.6.1.5.5.7.48.1", 178, "OCSP", "OCSP"),
    o("1.3.6.1.5.5.7.48.2", 179, "caIssuers", "CA Issuers"),
    o("1.2.840.113549.1.5.12", 69, "PBKDF2", "PBKDF2"),
    o("1.3.6.1.4.1.11591.4.11", 973, "id-scrypt", "scrypt"),
];
