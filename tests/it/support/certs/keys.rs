//! Private keys of every kind, in every way they are written.

use std::collections::HashMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use p521::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _};
use rcgen::{KeyPair, PublicKeyData as _};
use rustls::pki_types::PrivatePkcs8KeyDer;

use super::der;

/// Kinds of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Rsa2048,
    Rsa3072,
    Rsa4096,
    P256,
    P384,
    P521,
    Ed25519,
}

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::P256,
        Self::P384,
        Self::P521,
        Self::Ed25519,
    ];

    fn rsa_bits(self) -> Option<u32> {
        match self {
            Self::Rsa2048 => Some(2048),
            Self::Rsa3072 => Some(3072),
            Self::Rsa4096 => Some(4096),
            _ => None,
        }
    }
}

enum Made {
    Rcgen(Box<KeyPair>),
    P521(Vec<u8>),
}

struct Inner {
    pkcs8: Vec<u8>,
    spki: Vec<u8>,
    made: Made,
}

/// A private key.
#[derive(Clone)]
pub struct Key {
    pub kind: Kind,
    inner: Arc<Inner>,
}

impl Key {
    /// A new key; of RSA, the one of its length that all tests of this run share.
    pub fn of(kind: Kind) -> Self {
        static SHARED: OnceLock<Mutex<HashMap<Kind, Key>>> = OnceLock::new();
        if kind.rsa_bits().is_none() {
            return Self::new(kind);
        }
        let shared = SHARED.get_or_init(Mutex::default);
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.entry(kind).or_insert_with(|| Self::new(kind)).clone()
    }

    /// A key of nobody else's, RSA included (which takes a while).
    pub fn new(kind: Kind) -> Self {
        let algorithm = match kind {
            Kind::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Kind::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Kind::Ed25519 => &rcgen::PKCS_ED25519,
            Kind::P521 => return Self::p521(),
            _ => return Self::rsa(kind),
        };
        Self::from_pair(kind, KeyPair::generate_for(algorithm).unwrap())
    }

    fn rsa(kind: Kind) -> Self {
        let bits = format!("rsa_keygen_bits:{}", kind.rsa_bits().unwrap());
        let pem = openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", &bits], b"");
        let args = ["pkcs8", "-topk8", "-nocrypt", "-outform", "DER"];
        let der = PrivatePkcs8KeyDer::from(openssl(&args, &pem));
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_RSA_SHA256).unwrap();
        Self::from_pair(kind, pair)
    }

    fn from_pair(kind: Kind, pair: KeyPair) -> Self {
        let inner = Inner {
            pkcs8: version_1(pair.serialized_der()),
            spki: pair.subject_public_key_info(),
            made: Made::Rcgen(Box::new(pair)),
        };
        Self {
            kind,
            inner: Arc::new(inner),
        }
    }

    fn p521() -> Self {
        let mut scalar = [0; 66];
        getrandom::fill(&mut scalar).unwrap();
        // below the group's order, which has 521 bits
        scalar[0] = 0;
        let secret = p521::SecretKey::from_slice(&scalar).unwrap();
        let inner = Inner {
            pkcs8: secret.to_pkcs8_der().unwrap().as_bytes().to_vec(),
            spki: secret.public_key().to_public_key_der().unwrap().into_vec(),
            made: Made::P521(scalar.to_vec()),
        };
        Self {
            kind: Kind::P521,
            inner: Arc::new(inner),
        }
    }

    /// What rcgen signs with; P-521 is none of its kinds.
    pub fn rcgen(&self) -> Option<&KeyPair> {
        match &self.inner.made {
            Made::Rcgen(pair) => Some(pair),
            Made::P521(_) => None,
        }
    }

    #[track_caller]
    pub fn pair(&self) -> &KeyPair {
        self.rcgen().expect("nothing here signs certificates with P-521")
    }

    /// The P-521 scalar.
    pub fn p521_scalar(&self) -> Option<&[u8]> {
        match &self.inner.made {
            Made::P521(scalar) => Some(scalar),
            Made::Rcgen(_) => None,
        }
    }

    /// PKCS#8, DER.
    pub fn pkcs8(&self) -> &[u8] {
        &self.inner.pkcs8
    }

    /// SubjectPublicKeyInfo, DER.
    pub fn spki(&self) -> &[u8] {
        &self.inner.spki
    }

    /// `BEGIN PRIVATE KEY`.
    pub fn pkcs8_pem(&self) -> String {
        super::pem("PRIVATE KEY", self.pkcs8())
    }

    /// PKCS#1 of RSA (`BEGIN RSA PRIVATE KEY`), SEC1 of EC (`BEGIN EC PRIVATE KEY`); Ed25519 has no such form.
    pub fn traditional_pem(&self) -> String {
        self.convert(&["pkey", "-inform", "DER", "-traditional"])
    }

    /// PKCS#1 or SEC1, DER.
    pub fn traditional_der(&self) -> Vec<u8> {
        let args = ["pkey", "-inform", "DER", "-traditional", "-outform", "DER"];
        openssl(&args, self.pkcs8())
    }

    /// `BEGIN ENCRYPTED PRIVATE KEY`: PBES2, AES-256-CBC.
    pub fn encrypted_pem(&self, passphrase: &str) -> String {
        let out = format!("pass:{passphrase}");
        self.convert(&[
            "pkcs8",
            "-topk8",
            "-inform",
            "DER",
            "-v2",
            "aes-256-cbc",
            "-passout",
            &out,
        ])
    }

    /// The old way: `Proc-Type: 4,ENCRYPTED`, AES-128-CBC.
    pub fn old_encrypted_pem(&self, passphrase: &str) -> String {
        let out = format!("pass:{passphrase}");
        self.convert(&[
            "pkey",
            "-inform",
            "DER",
            "-traditional",
            "-aes-128-cbc",
            "-passout",
            &out,
        ])
    }

    fn convert(&self, args: &[&str]) -> String {
        String::from_utf8(openssl(args, self.pkcs8())).unwrap()
    }
}

/// ring writes Ed25519 keys in a second version of PKCS#8, with the public key behind; OpenSSL reads the first only.
fn version_1(pkcs8: &[u8]) -> Vec<u8> {
    let fields = der::elements(der::element(pkcs8).content);
    if fields[0].content != [1] {
        return pkcs8.to_vec();
    }
    let version = der::write(2, &[0]);
    der::write(0x30, &[&version, fields[1].whole, fields[2].whole].concat())
}

/// What OpenSSL's command says to this input; it must succeed.
#[track_caller]
pub fn openssl(args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command openssl is missing: apt-get install openssl");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let out = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "openssl {args:?}: {said}");
    out.stdout
}
