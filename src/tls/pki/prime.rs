//! Primes: finding one, and judging a number (Baillie-PSW).
//!
//! Must not: be asked for more bits than the caller has time for; both take no limit of their own.

use crypto_bigint::rand_core::UnwrapErr;
use crypto_bigint::{BoxedUint, Resize as _};
use crypto_primes::Flavor;
use crypto_primes::hazmat::{SetBits, SmallFactorsSieveFactory};
use num_bigint::BigUint;

/// A random prime of `bits` bits, its first two set as OpenSSL sets them; `safe`: of which half is a prime, too.
/// None when there is none so small.
pub fn generate(bits: u32, safe: bool) -> Option<BigUint> {
    let flavor = if safe { Flavor::Safe } else { Flavor::Any };
    let factory = SmallFactorsSieveFactory::<BoxedUint>::new(flavor, bits, SetBits::TwoMsb).ok()?;
    let mut rng = UnwrapErr(getrandom::SysRng);
    let fits = |_: &mut UnwrapErr<getrandom::SysRng>, n: &BoxedUint| crypto_primes::is_prime(flavor, n);
    let found = crypto_primes::sieve_and_find(&mut rng, factory, fits).ok()??;
    Some(BigUint::from_bytes_be(&found.to_be_bytes()))
}

/// Whether `n` is a prime.
pub fn is_prime(n: &BigUint) -> bool {
    let bytes = n.to_bytes_be();
    let bits = u32::try_from(bytes.len() * 8).unwrap_or(u32::MAX);
    BoxedUint::from_be_slice(&bytes, bits)
        .map(|n| n.resize(bits.next_multiple_of(64)))
        .is_ok_and(|n| crypto_primes::is_prime(Flavor::Any, &n))
}
