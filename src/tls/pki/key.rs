//! Keys as values: RSA, four NIST curves and secp256k1, Ed25519, X25519, Ed448 and X448, Diffie-Hellman's; public, or
//! with the private part.
//!
//! What a key needs for an operation (tables of a modulus, a validated private key) is made at the first
//! operation, so that judging a configuration of many keys only reads them. Must not: know Lua, PEM labels or
//! who uses the key.

use std::sync::OnceLock;

use rsa::BoxedUint;
use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};
use zeroize::Zeroizing;

pub use super::dh::{DhGroup, DhKey};

/// Bytes that are overwritten when dropped.
pub type Secret = Zeroizing<Vec<u8>>;

/// The largest RSA modulus in bits that is worked with (OpenSSL's own limit).
const MAX_RSA_BITS: usize = 16384;

/// A key.
pub enum Key {
    Rsa(RsaKey),
    Ec(EcKey),
    Okp(OkpKey),
    /// Not in TLS.
    Dh(DhKey),
}

/// An RSA key: big-endian numbers without leading zeros.
pub struct RsaKey {
    pub n: Vec<u8>,
    pub e: Vec<u8>,
    pub secret: Option<RsaSecret>,
    public: OnceLock<Option<Box<rsa::PublicKey>>>,
    private: OnceLock<Option<Box<rsa::PrivateKey>>>,
    pair: OnceLock<Option<Box<ring::rsa::KeyPair>>>,
}

/// The private part of an RSA key. Only `d` is always there.
#[derive(Clone, Default)]
pub struct RsaSecret {
    pub d: Secret,
    pub p: Secret,
    pub q: Secret,
    pub dp: Secret,
    pub dq: Secret,
    pub qi: Secret,
}

fn uint(bytes: &[u8]) -> Option<BoxedUint> {
    let bits = u32::try_from(bytes.len() * 8).ok()?;
    BoxedUint::from_be_slice(bytes, bits.max(8)).ok()
}

fn bytes(n: &BoxedUint) -> Vec<u8> {
    super::asn1::strip_zeros(&n.to_be_bytes()).to_vec()
}

impl RsaKey {
    /// A key from its numbers; None when they are too large to work with.
    pub fn new(n: &[u8], e: &[u8], secret: Option<RsaSecret>) -> Option<Self> {
        let (n, e) = (super::asn1::strip_zeros(n), super::asn1::strip_zeros(e));
        if n.is_empty() || e.is_empty() || n.len() * 8 > MAX_RSA_BITS || e.len() > n.len() {
            return None;
        }
        Some(Self {
            n: n.to_vec(),
            e: e.to_vec(),
            secret,
            public: OnceLock::new(),
            private: OnceLock::new(),
            pair: OnceLock::new(),
        })
    }

    /// Makes a key of `bits` bits with exponent `e` (65537 if None).
    pub fn generate(bits: usize, e: Option<u64>) -> Option<Self> {
        let e = BoxedUint::from(e.unwrap_or(65537));
        let key = rsa::PrivateKey::new_with_exp_unchecked(&mut getrandom::SysRng, bits, e).ok()?;
        let secret = secret_of(&key)?;
        let made = Self::new(&bytes(key.n()), &bytes(key.e()), Some(secret))?;
        let _ = made.private.set(Some(Box::new(key)));
        Some(made)
    }

    /// The key for public operations.
    pub fn public(&self) -> Option<&rsa::PublicKey> {
        self.public
            .get_or_init(|| {
                let (n, e) = (uint(&self.n)?, uint(&self.e)?);
                rsa::PublicKey::new_with_size_limits(n, e, 256..=MAX_RSA_BITS)
                    .ok()
                    .map(Box::new)
            })
            .as_deref()
    }

    /// The key for private operations; None without a private part, or when the numbers do not fit.
    pub fn private(&self) -> Option<&rsa::PrivateKey> {
        self.private
            .get_or_init(|| {
                let s = self.secret.as_ref()?;
                self.public()?;
                let primes = if s.p.is_empty() || s.q.is_empty() {
                    Vec::new()
                } else {
                    vec![uint(&s.p)?, uint(&s.q)?]
                };
                rsa::PrivateKey::from_components(uint(&self.n)?, uint(&self.e)?, uint(&s.d)?, primes)
                    .ok()
                    .map(Box::new)
            })
            .as_deref()
    }

    /// ring's form of the key, if ring takes it.
    pub fn pair(&self) -> Option<&ring::rsa::KeyPair> {
        self.pair
            .get_or_init(|| super::fast::rsa_pair(self).map(Box::new))
            .as_deref()
    }

    /// The private part with nothing left out.
    pub fn full_secret(&self) -> Option<RsaSecret> {
        let s = self.secret.as_ref()?;
        if [&s.p, &s.q, &s.dp, &s.dq, &s.qi].iter().all(|v| !v.is_empty()) {
            return Some(s.clone());
        }
        secret_of(self.private()?)
    }

    /// The bytes of a signature.
    pub fn size(&self) -> usize {
        self.n.len()
    }
}

fn secret_of(key: &rsa::PrivateKey) -> Option<RsaSecret> {
    let (p, q) = (key.p()?, key.q()?);
    let wrap = |n: &BoxedUint| Zeroizing::new(bytes(n));
    Some(RsaSecret {
        d: wrap(key.d()),
        p: wrap(p.modulus()),
        q: wrap(q.modulus()),
        dp: wrap(key.dp()?),
        dq: wrap(key.dq()?),
        qi: wrap(&key.crt_coefficient()?),
    })
}

/// A curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// Not in TLS.
    P192,
    P256,
    P384,
    P521,
    /// secp256k1, not in TLS; tokens are signed with it (ES256K).
    K256,
}

impl Curve {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::P192, Self::P256, Self::P384, Self::P521, Self::K256];

    /// OpenSSL's short name.
    pub fn name(self) -> &'static str {
        match self {
            Self::K256 => "secp256k1",
            Self::P192 => "prime192v1",
            Self::P256 => "prime256v1",
            Self::P384 => "secp384r1",
            Self::P521 => "secp521r1",
        }
    }

    /// NIST's name, which JWKs have, too.
    pub fn jose_name(self) -> &'static str {
        match self {
            Self::K256 => "secp256k1",
            Self::P192 => "P-192",
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// The curve called `name` by OpenSSL, by NIST or in a JWK.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|c| c.name() == name || c.jose_name() == name)
            .or((name == "secp256r1").then_some(Self::P256))
    }

    /// The bytes of a coordinate, and of a scalar.
    pub fn size(self) -> usize {
        match self {
            Self::P192 => 24,
            Self::P256 | Self::K256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// Whether handshakes know the curve.
    pub fn in_tls(self) -> bool {
        matches!(self, Self::P256 | Self::P384 | Self::P521)
    }
}

/// Runs `$body` with `$c` standing for the crate of curve `$curve`.
macro_rules! with_curve {
    ($curve:expr, $c:ident => $body:expr) => {
        match $curve {
            $crate::tls::pki::key::Curve::K256 => {
                use k256 as $c;
                $body
            }
            $crate::tls::pki::key::Curve::P192 => {
                use $crate::tls::pki::p192 as $c;
                $body
            }
            $crate::tls::pki::key::Curve::P256 => {
                use p256 as $c;
                $body
            }
            $crate::tls::pki::key::Curve::P384 => {
                use p384 as $c;
                $body
            }
            $crate::tls::pki::key::Curve::P521 => {
                use p521 as $c;
                $body
            }
        }
    };
}
pub(crate) use with_curve;

/// A key on a [`Curve`].
pub struct EcKey {
    pub curve: Curve,
    /// The public point, uncompressed: 4, x, y.
    pub point: Vec<u8>,
    /// The scalar, in the curve's size.
    pub secret: Option<Secret>,
}

impl EcKey {
    /// A public key from a point in any of its forms; None when it is not on the curve.
    pub fn from_point(curve: Curve, point: &[u8]) -> Option<Self> {
        let point = with_curve!(curve, c => {
            let key = c::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
            key.to_sec1_point(false).as_bytes().to_vec()
        });
        Some(Self {
            curve,
            point,
            secret: None,
        })
    }

    /// A public key from its coordinates.
    pub fn from_coordinates(curve: Curve, x: &[u8], y: &[u8]) -> Option<Self> {
        let mut point = vec![4];
        point.extend(pad(x, curve.size())?);
        point.extend(pad(y, curve.size())?);
        Self::from_point(curve, &point)
    }

    /// A private key from its scalar and its point, which is not computed again.
    pub fn from_pair(curve: Curve, scalar: &[u8], point: &[u8]) -> Option<Self> {
        let secret = Zeroizing::new(pad(scalar, curve.size())?);
        with_curve!(curve, c => c::SecretKey::from_slice(&secret).map(|_| ()).ok())?;
        let mut key = Self::from_point(curve, point)?;
        key.secret = Some(secret);
        Some(key)
    }

    /// A private key from its scalar.
    pub fn from_scalar(curve: Curve, scalar: &[u8]) -> Option<Self> {
        let secret = Zeroizing::new(pad(scalar, curve.size())?);
        let point = with_curve!(curve, c => {
            let key = c::ecdsa::SigningKey::from_slice(&secret).ok()?;
            key.verifying_key().to_sec1_point(false).as_bytes().to_vec()
        });
        Some(Self {
            curve,
            point,
            secret: Some(secret),
        })
    }

    /// Makes a key.
    pub fn generate(curve: Curve) -> Option<Self> {
        // A random string is a valid scalar but for a chance below 2^-30; P-521 has seven bits to spare.
        (0..64).find_map(|_| {
            let mut scalar = Zeroizing::new(vec![0; curve.size()]);
            getrandom::fill(&mut scalar).ok()?;
            if curve == Curve::P521 {
                scalar[0] &= 1;
            }
            Self::from_scalar(curve, &scalar)
        })
    }

    /// The x coordinate.
    pub fn x(&self) -> &[u8] {
        &self.point[1..1 + self.curve.size()]
    }

    /// The y coordinate.
    pub fn y(&self) -> &[u8] {
        &self.point[1 + self.curve.size()..]
    }
}

/// `bytes` with zeros before, or without some of them, `size` long; None when it is a larger number.
fn pad(bytes: &[u8], size: usize) -> Option<Vec<u8>> {
    let spare = bytes.len().saturating_sub(size);
    let (zeros, rest) = bytes.split_at(spare);
    if zeros.iter().any(|b| *b != 0) {
        return None;
    }
    let mut out = vec![0; size - rest.len()];
    out.extend_from_slice(rest);
    Some(out)
}

/// A kind of key that is but octets (RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Okp {
    Ed25519,
    Ed448,
    X25519,
    X448,
}

impl Okp {
    /// The name of its object.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ED25519",
            Self::Ed448 => "ED448",
            Self::X25519 => "X25519",
            Self::X448 => "X448",
        }
    }

    /// The one called `name`, in any case.
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::Ed25519, Self::Ed448, Self::X25519, Self::X448]
            .into_iter()
            .find(|o| o.name().eq_ignore_ascii_case(name))
    }

    /// The octets of a public key, and of a private one.
    pub fn size(self) -> usize {
        match self {
            Self::Ed448 => 57,
            Self::X448 => 56,
            Self::Ed25519 | Self::X25519 => 32,
        }
    }
}

/// An Ed25519, Ed448, X25519 or X448 key.
pub struct OkpKey {
    pub kind: Okp,
    /// As many octets as the kind has, as those of the private part.
    pub public: Vec<u8>,
    pub secret: Option<Secret>,
}

impl OkpKey {
    /// A public key.
    pub fn from_public(kind: Okp, public: &[u8]) -> Option<Self> {
        (public.len() == kind.size()).then(|| Self {
            kind,
            public: public.to_vec(),
            secret: None,
        })
    }

    /// A private key.
    pub fn from_secret(kind: Okp, secret: &[u8]) -> Option<Self> {
        let secret = Zeroizing::new(secret.to_vec());
        let octets = || Some(Zeroizing::new(<[u8; 32]>::try_from(secret.as_slice()).ok()?));
        let public = match kind {
            Okp::Ed25519 => ed25519_dalek::SigningKey::from_bytes(&*octets()?)
                .verifying_key()
                .to_bytes()
                .to_vec(),
            Okp::X25519 => curve25519_dalek::MontgomeryPoint::mul_base_clamped(*octets()?)
                .to_bytes()
                .to_vec(),
            Okp::X448 => {
                let secret = <[u8; 56]>::try_from(secret.as_slice()).ok()?;
                x448::x448(secret, x448::X448_BASEPOINT_BYTES)?.to_vec()
            }
            Okp::Ed448 => ed448_goldilocks::SigningKey::try_from(secret.as_slice())
                .ok()?
                .verifying_key()
                .to_bytes()
                .to_vec(),
        };
        Some(Self {
            kind,
            public,
            secret: Some(secret),
        })
    }

    /// Makes a key.
    pub fn generate(kind: Okp) -> Option<Self> {
        let mut secret = Zeroizing::new(vec![0; kind.size()]);
        getrandom::fill(&mut secret).ok()?;
        Self::from_secret(kind, &secret)
    }
}

impl Key {
    /// Whether the private part is there.
    pub fn is_private(&self) -> bool {
        match self {
            Self::Rsa(k) => k.secret.is_some(),
            Self::Ec(k) => k.secret.is_some(),
            Self::Okp(k) => k.secret.is_some(),
            Self::Dh(k) => k.secret.is_some(),
        }
    }

    /// The name of the object that says what kind of key this is.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "rsaEncryption",
            Self::Ec(_) => "id-ecPublicKey",
            Self::Okp(k) => k.kind.name(),
            Self::Dh(_) => "dhKeyAgreement",
        }
    }

    /// The most bytes that a signature takes.
    pub fn size(&self) -> usize {
        match self {
            Self::Rsa(k) => k.size(),
            // In DER a number whose first bit is set has a zero before it; those of P-521 never have it set.
            Self::Ec(k) => match k.curve {
                Curve::P521 => 2 * (k.curve.size() + 2) + 3,
                _ => 2 * (k.curve.size() + 3) + 2,
            },
            Self::Okp(k) => match k.kind {
                Okp::Ed25519 => 64,
                Okp::Ed448 => 114,
                Okp::X25519 => 32,
                Okp::X448 => 56,
            },
            Self::Dh(k) => k.group.p.len(),
        }
    }

    /// Whether both have the same public part.
    pub fn same_public(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rsa(a), Self::Rsa(b)) => a.n == b.n && a.e == b.e,
            (Self::Ec(a), Self::Ec(b)) => a.curve == b.curve && a.point == b.point,
            (Self::Okp(a), Self::Okp(b)) => a.kind == b.kind && a.public == b.public,
            (Self::Dh(a), Self::Dh(b)) => a.group.p == b.group.p && a.public == b.public,
            _ => false,
        }
    }
}
