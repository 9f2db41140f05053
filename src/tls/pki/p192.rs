//! P-192 in the shape that the other curves' crates have: its own has all that is needed but keys that sign.
//!
//! Too weak for anything new; `resty.openssl.pkey` makes keys on it when nobody names a curve. Must not: be used in TLS.

use ::p192::NistP192;
pub use ::p192::elliptic_curve;

pub type PublicKey = elliptic_curve::PublicKey<NistP192>;
pub type SecretKey = elliptic_curve::SecretKey<NistP192>;

/// Signatures.
pub mod ecdsa {
    use ::ecdsa::hazmat::sign_prehashed_rfc6979;
    use ::p192::NistP192;
    pub use ::p192::ecdsa::{Error, Signature, VerifyingKey, signature};

    /// A private key.
    pub struct SigningKey(::ecdsa::SigningKey<NistP192>);

    impl SigningKey {
        /// From the scalar.
        ///
        /// # Errors
        /// When it is none.
        pub fn from_slice(bytes: &[u8]) -> Result<Self, Error> {
            ::ecdsa::SigningKey::from_slice(bytes).map(Self)
        }

        /// Its public part.
        pub fn verifying_key(&self) -> &VerifyingKey {
            self.0.verifying_key()
        }
    }

    impl signature::hazmat::PrehashSigner<Signature> for SigningKey {
        fn sign_prehash(&self, hash: &[u8]) -> Result<Signature, Error> {
            let scalar = self.0.as_nonzero_scalar();
            Ok(sign_prehashed_rfc6979::<NistP192, sha2::Sha256>(scalar, hash, &[]).0)
        }
    }
}
