//! Certificates of every kind, made while the tests run: authorities, intermediates, leaves, old ones, odd ones.
//!
//! `rcgen` writes them. What it cannot write (X.509 v1, a P-521 subject) is its certificate with the fields
//! exchanged and signed again; what only OpenSSL can do (RSA keys, encrypted PEM) is asked of its command.

pub mod der;
pub mod keys;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber, SigningKey as _,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

pub use keys::{Key, Kind};

/// A certificate with its key and the intermediates above it.
#[derive(Clone)]
pub struct Cert {
    pub der: Vec<u8>,
    pub key: Key,
    /// From the one that signed this to the one below the root; empty when the root signed it.
    pub above: Vec<Vec<u8>>,
}

impl Cert {
    /// The leaf alone.
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    /// The leaf and its intermediates, leaf first.
    pub fn chain_pem(&self) -> String {
        self.pem() + &self.above_pem()
    }

    /// The intermediates alone.
    pub fn above_pem(&self) -> String {
        self.above.iter().map(|der| pem("CERTIFICATE", der)).collect()
    }

    /// The leaf and its intermediates, leaf first.
    pub fn chain(&self) -> Vec<Vec<u8>> {
        [std::slice::from_ref(&self.der), &self.above].concat()
    }

    /// Its key as PKCS#8; other ways to write it are `cert.key`'s.
    pub fn key_pem(&self) -> String {
        self.key.pkcs8_pem()
    }

    /// SHA-256 over the leaf, in lower-case hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.der)
    }

    pub fn common_name(&self) -> String {
        der::common_name(&self.der)
    }

    /// The chain as rustls takes it.
    pub fn rustls_chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain().into_iter().map(CertificateDer::from).collect()
    }

    /// The key as rustls takes it.
    pub fn rustls_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.pkcs8().to_vec()).into()
    }

    /// The same certificate, sent without its intermediates.
    pub fn without_chain(mut self) -> Self {
        self.above.clear();
        self
    }
}

/// SHA-256 in lower-case hexadecimal digits.
pub fn fingerprint(der: &[u8]) -> String {
    Sha256::digest(der).iter().map(|b| format!("{b:02x}")).collect()
}

/// PEM of lines of 64 characters.
pub fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// What a leaf shall be.
#[derive(Clone)]
pub struct Leaf {
    cn: String,
    names: Vec<String>,
    uris: Vec<String>,
    key: Option<Key>,
    kind: Kind,
    from: i64,
    until: i64,
    version_1: bool,
    purposes: Vec<ExtendedKeyUsagePurpose>,
}

const DAY: i64 = 24 * 3600;

impl Leaf {
    /// A P-256 leaf of this common name, and of this DNS name or address in its SAN; valid since yesterday, for
    /// 90 days and a half (which no second turns into 89).
    pub fn named(name: &str) -> Self {
        Self {
            names: vec![name.into()],
            ..Self::cn_only(name)
        }
    }

    /// Without any subject alternative name.
    pub fn cn_only(cn: &str) -> Self {
        Self {
            cn: cn.into(),
            names: Vec::new(),
            uris: Vec::new(),
            key: None,
            kind: Kind::P256,
            from: -DAY,
            until: 90 * DAY + DAY / 2,
            version_1: false,
            purposes: Vec::new(),
        }
    }

    /// Other subject alternative names: DNS names (wildcards too) and IP addresses.
    pub fn san(mut self, names: &[&str]) -> Self {
        self.names = names.iter().map(|n| (*n).to_owned()).collect();
        self
    }

    /// A URI among the subject alternative names.
    pub fn uri(mut self, uri: &str) -> Self {
        self.uris.push(uri.into());
        self
    }

    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Over a key that exists.
    pub fn key(mut self, key: &Key) -> Self {
        self.kind = key.kind;
        self.key = Some(key.clone());
        self
    }

    /// Valid until yesterday.
    pub fn expired(self) -> Self {
        self.valid(-30 * DAY, -DAY)
    }

    /// Valid from tomorrow on.
    pub fn not_yet(self) -> Self {
        self.valid(DAY, 30 * DAY + DAY / 2)
    }

    /// Seconds from now.
    pub fn valid(mut self, from: i64, until: i64) -> Self {
        (self.from, self.until) = (from, until);
        self
    }

    /// X.509 v1: no extensions, so no subject alternative names.
    pub fn v1(mut self) -> Self {
        self.version_1 = true;
        self
    }

    /// Extended key usage: clients only.
    pub fn for_clients(mut self) -> Self {
        self.purposes = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self
    }

    /// Extended key usage: servers only.
    pub fn for_servers(mut self) -> Self {
        self.purposes = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self
    }

    /// Signed by itself.
    pub fn self_signed(self) -> Cert {
        let key = self.own_key();
        let params = self.params();
        let pair = key.pair();
        let der = params.self_signed(pair).unwrap().der().to_vec();
        Cert {
            der: self.rewritten(der, &key, pair),
            key,
            above: Vec::new(),
        }
    }

    fn own_key(&self) -> Key {
        self.key.clone().unwrap_or_else(|| Key::of(self.kind))
    }

    fn params(&self) -> CertificateParams {
        let mut params = params(&self.cn, self.from, self.until);
        for name in &self.names {
            let san = match name.parse() {
                Ok(ip) => SanType::IpAddress(ip),
                Err(_) => SanType::DnsName(name.as_str().try_into().unwrap()),
            };
            params.subject_alt_names.push(san);
        }
        for uri in &self.uris {
            let uri = SanType::URI(uri.as_str().try_into().unwrap());
            params.subject_alt_names.push(uri);
        }
        params.extended_key_usages = self.purposes.clone();
        params
    }

    /// What rcgen made, or the same with what it cannot write.
    fn rewritten(&self, der: Vec<u8>, key: &Key, issuer: &KeyPair) -> Vec<u8> {
        let foreign = key.rcgen().is_none();
        if !foreign && !self.version_1 {
            return der;
        }
        der::rewrite(
            &der,
            |message| issuer.sign(message).unwrap(),
            |fields| {
                if foreign {
                    fields[6] = key.spki().to_vec();
                }
                if self.version_1 {
                    fields.truncate(7);
                    fields.remove(0);
                }
            },
        )
    }
}

fn params(cn: &str, from: i64, until: i64) -> CertificateParams {
    static SERIAL: AtomicU64 = AtomicU64::new(1);
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Moongate tests");
    if !cn.is_empty() {
        params.distinguished_name.push(DnType::CommonName, cn);
    }
    let now = OffsetDateTime::now_utc();
    let at = |seconds: i64| {
        let span = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 { now - span } else { now + span }
    };
    (params.not_before, params.not_after) = (at(from), at(until));
    let serial = u64::from(std::process::id()) << 32 | SERIAL.fetch_add(1, Ordering::Relaxed);
    params.serial_number = Some(SerialNumber::from(serial));
    params
}

/// A certificate authority: a root, or an intermediate below one.
#[derive(Clone)]
pub struct Ca {
    pub cert: Cert,
    params: Arc<CertificateParams>,
    root: bool,
}

impl Ca {
    /// A P-256 root.
    pub fn new(cn: &str) -> Self {
        Self::of(Kind::P256, cn)
    }

    /// A root with a key of this kind; any but P-521.
    pub fn of(kind: Kind, cn: &str) -> Self {
        Self::valid(&Key::of(kind), cn, -DAY, 365 * DAY)
    }

    /// A root that is no longer valid.
    pub fn expired(cn: &str) -> Self {
        Self::valid(&Key::of(Kind::P256), cn, -30 * DAY, -DAY)
    }

    fn valid(key: &Key, cn: &str, from: i64, until: i64) -> Self {
        let params = ca_params(cn, from, until);
        let der = params.self_signed(key.pair()).unwrap().der().to_vec();
        let cert = Cert {
            der,
            key: key.clone(),
            above: Vec::new(),
        };
        Self {
            cert,
            params: Arc::new(params),
            root: true,
        }
    }

    pub fn pem(&self) -> String {
        self.cert.pem()
    }

    /// An intermediate below this one.
    pub fn intermediate(&self, cn: &str) -> Self {
        let key = Key::of(Kind::P256);
        let params = ca_params(cn, -DAY, 180 * DAY);
        let der = params.signed_by(key.pair(), &self.issuer()).unwrap();
        let cert = Cert {
            der: der.der().to_vec(),
            key,
            above: self.above(),
        };
        Self {
            cert,
            params: Arc::new(params),
            root: false,
        }
    }

    /// An intermediate below `n` others.
    pub fn below(&self, n: usize) -> Self {
        (0..n).fold(self.clone(), |ca, i| {
            ca.intermediate(&format!("Intermediate {}", i + 1))
        })
    }

    /// Signs a leaf.
    pub fn issue(&self, leaf: &Leaf) -> Cert {
        let key = leaf.own_key();
        // a subject that rcgen cannot write gets its own key afterwards
        let placeholder;
        let subject = match key.rcgen() {
            Some(pair) => pair,
            None => {
                placeholder = Key::of(Kind::P256);
                placeholder.pair()
            }
        };
        let der = leaf.params().signed_by(subject, &self.issuer()).unwrap();
        Cert {
            der: leaf.rewritten(der.der().to_vec(), &key, self.cert.key.pair()),
            key,
            above: self.above(),
        }
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, self.cert.key.pair())
    }

    /// What a certificate signed by this one sends above itself.
    fn above(&self) -> Vec<Vec<u8>> {
        if self.root { Vec::new() } else { self.cert.chain() }
    }
}

fn ca_params(cn: &str, from: i64, until: i64) -> CertificateParams {
    let mut params = params(cn, from, until);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params.use_authority_key_identifier_extension = !cn.is_empty();
    params
}
