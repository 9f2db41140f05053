//! Diffie-Hellman over the numbers modulo a prime: the groups of RFC 3526, RFC 5114 and RFC 7919, keys, and what two
//! keys agree on.
//!
//! No handshake has any use for them (rustls has no such key exchange); users of `resty.openssl` have. Powers of a
//! secret take the same time whatever it is. Must not: know Lua or PEM.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use num_bigint::{BigInt, BigUint};
use zeroize::Zeroizing;

use super::asn1::strip_zeros;
use super::key::Secret;
use super::prime;

/// The largest modulus in bits (OpenSSL's own limit), and the smallest.
const MODULUS: std::ops::RangeInclusive<usize> = 512..=10_000;
/// The largest modulus that is made here: a safe prime of more bits takes minutes.
const MADE: u32 = 2048;

/// A group: big-endian numbers without leading zeros.
#[derive(Clone)]
pub struct DhGroup {
    pub p: Vec<u8>,
    /// The order of the subgroup; empty where nobody said it.
    pub q: Vec<u8>,
    pub g: Vec<u8>,
    /// The bits of a private key; None for as many as the modulus has.
    pub length: Option<u32>,
}

/// A key.
pub struct DhKey {
    pub group: DhGroup,
    pub public: Vec<u8>,
    pub secret: Option<Secret>,
}

/// RFC 5114's groups: a name, then the hexadecimal digits of `p`, `q` and `g` after the letter.
const GIVEN: &str = include_str!("dh_groups.txt");

/// RFC 3526: name, bits, what is added to pi, bits of a private key.
const MODP: [(&str, u32, u32, u32); 6] = [
    ("modp_1536", 1536, 741_804, 200),
    ("modp_2048", 2048, 124_476, 225),
    ("modp_3072", 3072, 1_690_314, 275),
    ("modp_4096", 4096, 240_904, 325),
    ("modp_6144", 6144, 929_484, 375),
    ("modp_8192", 8192, 4_743_158, 400),
];

/// RFC 7919: the same with e.
const FFDHE: [(&str, u32, u32, u32); 5] = [
    ("ffdhe2048", 2048, 560_316, 225),
    ("ffdhe3072", 3072, 2_625_351, 275),
    ("ffdhe4096", 4096, 5_736_041, 325),
    ("ffdhe6144", 6144, 15_705_020, 375),
    ("ffdhe8192", 8192, 10_965_728, 400),
];

/// The integer part of 2^`bits` * arctan(1 / `n`), to within the number of terms.
fn arctan(n: u32, bits: u32) -> BigInt {
    let mut power = (BigInt::from(1) << bits) / n;
    let (mut sum, mut k) = (power.clone(), 1u32);
    while power.bits() > 0 {
        power /= n * n;
        let term = &power / (2 * k + 1);
        sum = if k % 2 == 1 { sum - term } else { sum + term };
        k += 1;
    }
    sum
}

/// The integer part of 2^`bits` * pi.
fn pi(bits: u32) -> BigUint {
    let spare = 64;
    let pi: BigInt = (arctan(5, bits + spare) * 16 - arctan(239, bits + spare) * 4) >> spare;
    pi.magnitude().clone()
}

/// The integer part of 2^`bits` * e.
fn euler(bits: u32) -> BigUint {
    let spare = 64;
    let mut term = BigUint::from(1u8) << (bits + spare);
    let (mut sum, mut k) = (term.clone(), 1u32);
    while term.bits() > 0 {
        term /= k;
        sum += &term;
        k += 1;
    }
    sum >> spare
}

/// 2^bits - 2^(bits-64) - 1 + 2^64 * (the constant's first bits + x), a safe prime for the right x.
fn nothing_up_my_sleeve(bits: u32, constant: fn(u32) -> BigUint, x: u32) -> BigUint {
    let one = BigUint::from(1u8);
    let middle = (constant(bits - 130) + x) << 64u32;
    (&one << bits) - (&one << (bits - 64)) - one + middle
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    Some(BigUint::parse_bytes(digits.as_bytes(), 16)?.to_bytes_be())
}

fn given(name: &str) -> Option<DhGroup> {
    let mut words = GIVEN.split_ascii_whitespace().skip_while(|w| *w != name).skip(1);
    let mut numbers = [String::new(), String::new(), String::new()];
    let mut at = 0;
    for word in words.by_ref().take_while(|w| !w.starts_with("dh_")) {
        match ["p", "q", "g"].iter().position(|letter| *letter == word) {
            Some(i) => at = i,
            None => numbers[at].push_str(word),
        }
    }
    let [p, q, g] = numbers;
    Some(DhGroup {
        p: unhex(&p)?,
        q: unhex(&q)?,
        g: unhex(&g)?,
        length: None,
    })
}

impl DhGroup {
    /// A group from its numbers; None when there can be none, or one too large to work with.
    pub fn new(p: &[u8], q: &[u8], g: &[u8], length: Option<u32>) -> Option<Self> {
        let [p, q, g] = [p, q, g].map(strip_zeros);
        let bits = p.len() * 8;
        let odd = p.last().is_some_and(|b| b & 1 == 1);
        let below = (g.len(), g) < (p.len(), p);
        if !MODULUS.contains(&bits) || !odd || !below || matches!(g, [] | [0 | 1]) {
            return None;
        }
        Some(Self {
            p: p.to_vec(),
            q: q.to_vec(),
            g: g.to_vec(),
            length: length.filter(|l| *l > 0 && (*l as usize) < bits),
        })
    }

    /// The group of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        let (p, length) = if let Some((_, bits, x, length)) = MODP.iter().find(|g| g.0 == name) {
            (nothing_up_my_sleeve(*bits, pi, *x), *length)
        } else if let Some((_, bits, x, length)) = FFDHE.iter().find(|g| g.0 == name) {
            (nothing_up_my_sleeve(*bits, euler, *x), *length)
        } else {
            return given(name);
        };
        Some(Self {
            q: (&p >> 1u32).to_bytes_be(),
            p: p.to_bytes_be(),
            g: vec![2],
            length: Some(length),
        })
    }

    /// Makes a group with a modulus of `bits` bits: a safe prime for which 2 is a generator.
    pub fn generate(bits: u32) -> Option<Self> {
        if !MODULUS.contains(&(bits as usize)) || bits > MADE {
            return None;
        }
        let p = std::iter::repeat_with(|| prime::generate(bits, true))
            .take(64)
            .find(|p| p.as_ref().is_none_or(|p| p % 24u32 == BigUint::from(23u8)))??;
        Self::new(&p.to_bytes_be(), &[], &[2], None)
    }

    /// `base` to the power `exponent`, modulo `p`; None for a base that is not below it.
    fn power(&self, base: &[u8], exponent: &[u8]) -> Option<Vec<u8>> {
        let bits = u32::try_from(self.p.len() * 8).ok()?;
        let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, bits).ok();
        let steps = u32::try_from(exponent.len() * 8).ok()?.min(bits);
        let (p, base, exponent) = (number(&self.p)?, number(base)?, number(exponent)?);
        if base >= p {
            return None;
        }
        let params = BoxedMontyParams::new(Option::from(Odd::new(p))?);
        let power = BoxedMontyForm::new(base, &params)
            .pow_bounded_exp(&exponent, steps)
            .retrieve();
        Some(strip_zeros(&power.to_be_bytes()).to_vec())
    }

    /// Whether `public` is a number that somebody's key may be: neither 0, nor 1, nor one below the modulus.
    fn holds(&self, public: &[u8]) -> bool {
        let (p, y) = (BigUint::from_bytes_be(&self.p), BigUint::from_bytes_be(public));
        let one = BigUint::from(1u8);
        y > one && y < p - one
    }

    /// The order of the subgroup where `p` has others beside it that are small: of a safe prime it has none.
    fn small_order(&self) -> Option<Vec<u8>> {
        let q = match self.q.is_empty() {
            // OpenSSL, too, knows these groups by their numbers: what is read from PEM says no order
            true => {
                ["dh_1024_160", "dh_2048_224", "dh_2048_256"]
                    .into_iter()
                    .filter_map(given)
                    .find(|g| g.same(self))?
                    .q
            }
            false => self.q.clone(),
        };
        let half = BigUint::from_bytes_be(&self.p) >> 1u32;
        (BigUint::from_bytes_be(&q) != half).then_some(q)
    }

    /// Whether a number generates nothing but what the group's own keys are of.
    fn is_member(&self, public: &[u8]) -> bool {
        match self.small_order() {
            Some(q) => self.power(public, &q).is_some_and(|one| one == [1]),
            None => true,
        }
    }

    /// Whether both are the same.
    fn same(&self, other: &Self) -> bool {
        self.p == other.p && self.g == other.g
    }
}

impl DhKey {
    /// A key from its numbers; what is public follows from what is not. None when they are none.
    pub fn new(group: DhGroup, public: Option<&[u8]>, secret: Option<&[u8]>) -> Option<Self> {
        let secret = secret.map(|s| Zeroizing::new(strip_zeros(s).to_vec()));
        let public = match (public, &secret) {
            (Some(public), _) => strip_zeros(public).to_vec(),
            (None, Some(secret)) => group.power(&group.g, secret)?,
            (None, None) => return None,
        };
        let fits = secret.as_ref().is_none_or(|s| s.len() <= group.p.len());
        (fits && group.holds(&public)).then_some(Self {
            group,
            public,
            secret,
        })
    }

    /// Makes a key.
    pub fn generate(group: DhGroup) -> Option<Self> {
        let bits = |n: &[u8]| BigUint::from_bytes_be(n).bits();
        let order = match (group.length, group.q.is_empty()) {
            (Some(length), _) => u64::from(length),
            (None, false) => bits(&group.q),
            (None, true) => bits(&group.p) - 1,
        };
        let size = usize::try_from(order.div_ceil(8)).ok()?;
        (0..256).find_map(|_| {
            let mut secret = Zeroizing::new(vec![0; size]);
            getrandom::fill(&mut secret).ok()?;
            secret[0] &= 0xff >> (size as u64 * 8 - order);
            let below =
                group.length.is_some() || group.q.is_empty() || (secret.len(), &**secret) < (size, &group.q);
            below
                .then(|| Self::new(group.clone(), None, Some(&secret)))
                .flatten()
        })
    }

    /// What the key agrees on with another's public one; None without a private part, in another group, or where the
    /// other's lies in a subgroup so small that what is agreed on tells of the private part.
    pub fn derive(&self, peer: &Self) -> Option<Vec<u8>> {
        let secret = self.secret.as_ref()?;
        if !self.group.same(&peer.group) || !self.group.is_member(&peer.public) {
            return None;
        }
        let shared = self.group.power(&peer.public, secret)?;
        (shared != [1]).then_some(shared)
    }
}
