//! Numbers of any size.
//!
//! Must not: hold secrets for long; this arithmetic takes a time that depends on the numbers.

use num_bigint::{BigInt, BigUint, Sign};

/// Results of more bits than this are refused: one line of Lua must not fill the memory.
const MAX_BITS: u64 = 1 << 20;

/// The number at the beginning of a text in base 10 or 16; None when there is no digit.
pub fn parse(text: &str, base: u32) -> Option<BigInt> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let end = digits.find(|c: char| !c.is_digit(base)).unwrap_or(digits.len());
    let digits = &digits[..end];
    if digits.is_empty() || digits.len() as u64 > MAX_BITS / 4 {
        return None;
    }
    let n = BigUint::parse_bytes(digits.as_bytes(), base)?;
    let sign = if negative { Sign::Minus } else { Sign::Plus };
    Some(BigInt::from_biguint(sign, n))
}

/// The number as OpenSSL writes it in base 16: capital letters, whole octets.
pub fn to_hex(n: &BigInt) -> String {
    let digits = n.magnitude().to_str_radix(16).to_uppercase();
    let odd = digits.len() % 2 == 1 && digits != "0";
    let sign = if n.sign() == Sign::Minus { "-" } else { "" };
    format!("{sign}{}{digits}", if odd { "0" } else { "" })
}

/// The magnitude's octets, `width` of them if given; None for none at all, or too few.
pub fn to_binary(n: &BigInt, width: Option<usize>) -> Option<Vec<u8>> {
    let bytes = match n.sign() {
        Sign::NoSign => Vec::new(),
        _ => n.magnitude().to_bytes_be(),
    };
    match width {
        None => (!bytes.is_empty()).then_some(bytes),
        Some(w) if w < bytes.len() || w as u64 > MAX_BITS => None,
        Some(w) => {
            let mut out = vec![0; w - bytes.len()];
            out.extend(bytes);
            Some(out)
        }
    }
}

fn modulo(n: BigInt, m: &BigInt) -> Option<BigInt> {
    if m.sign() == Sign::NoSign {
        return None;
    }
    let m = BigInt::from(m.magnitude().clone());
    let rest = n % &m;
    Some(if rest.sign() == Sign::Minus {
        rest + m
    } else {
        rest
    })
}

fn gcd(a: &BigInt, b: &BigInt) -> BigInt {
    let (mut a, mut b) = (a.magnitude().clone(), b.magnitude().clone());
    while b.bits() > 0 {
        (a, b) = (b.clone(), a % b);
    }
    a.into()
}

/// One operation; None when there is no result (a division by zero, or one that is too large).
pub fn compute(op: &str, a: &BigInt, b: &BigInt, m: &BigInt) -> Option<BigInt> {
    let fits = |bits: u64| (bits <= MAX_BITS).then_some(());
    let power = || u32::try_from(b).ok();
    let divisor = (b.sign() != Sign::NoSign).then_some(b);
    Some(match op {
        "add" => a + b,
        "sub" => a - b,
        "mul" => {
            fits(a.bits() + b.bits())?;
            a * b
        }
        "div" => a / divisor?,
        "mod" => a % divisor?,
        "sqr" => {
            fits(2 * a.bits())?;
            a * a
        }
        "gcd" => gcd(a, b),
        "exp" => {
            fits(a.bits().checked_mul(u64::from(power()?))?)?;
            a.pow(power()?)
        }
        "shl" => {
            fits(a.bits() + u64::from(power()?))?;
            a << power()?
        }
        "shr" => BigInt::from_biguint(a.sign(), a.magnitude() >> power()?),
        "unm" => -a,
        "mod_add" => modulo(a + b, m)?,
        "mod_sub" => modulo(a - b, m)?,
        "mod_mul" => modulo(a * b, m)?,
        "mod_sqr" => modulo(a * a, m)?,
        "mod_exp" if b.sign() != Sign::Minus && m.sign() == Sign::Plus => a.modpow(b, m),
        _ => return None,
    })
}
