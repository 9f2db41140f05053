//! Numbers as text and back, as lua-cjson writes and reads them.
#![allow(unsafe_code)]

use super::buffer::Buffer;

const POW10: [f64; 17] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
];

const PAIRS: &[u8; 200] =
    b"0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

/// Writes a finite number as `printf("%.<precision>g")` does.
pub(super) fn write(buf: &mut Buffer, n: f64, precision: i32) {
    // Within `precision` digits a whole number is written in full; minus zero keeps its sign.
    if n.abs() < POW10[(precision as usize).min(16)] && n == n.trunc() && (n != 0.0 || n.is_sign_positive()) {
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        let mut rest = n.abs() as u64;
        while rest >= 10 {
            let two = (rest % 100) as usize * 2;
            rest /= 100;
            at -= 2;
            digits[at..at + 2].copy_from_slice(&PAIRS[two..two + 2]);
        }
        if rest > 0 || at == digits.len() {
            at -= 1;
            digits[at] = b'0' + rest as u8;
        }
        if n < 0.0 {
            at -= 1;
            digits[at] = b'-';
        }
        buf.bytes(&digits[at..]);
        return;
    }
    let out = buf.spare(32);
    // SAFETY: %.16g needs at most 24 bytes; `spare` gave 32.
    unsafe {
        let n = libc::snprintf(out.cast(), 32, c"%.*g".as_ptr(), precision, n);
        buf.advance(n.clamp(0, 31) as usize);
    }
}

/// Reads the longest number at the start of `s` (`s` ends with a NUL one past its end, as Lua's strings do),
/// with its length; None if there is none.
pub(super) fn read(s: &[u8]) -> Option<(f64, usize)> {
    let mut i = usize::from(s.first() == Some(&b'-'));
    let start = i;
    let mut whole = 0u64;
    while let Some(d) = digit(s, i) {
        whole = whole.wrapping_mul(10).wrapping_add(d);
        i += 1;
    }
    let digits = i - start;
    let next = s.get(i).copied().unwrap_or(0);
    let float = matches!(next, b'.' | b'e' | b'E');
    if digits > 0 && digits <= 15 && !float && (next | 0x20) != b'x' {
        let n = whole as f64;
        return Some((if start == 1 { -n } else { n }, i));
    }
    if digits == 0 && next != b'.' || (next | 0x20) == b'x' {
        return strtod(s);
    }
    let mut fraction = 0;
    if next == b'.' {
        i += 1;
        while digit(s, i).is_some() {
            i += 1;
            fraction += 1;
        }
    }
    if digits + fraction == 0 {
        return None;
    }
    if matches!(s.get(i), Some(b'e' | b'E')) {
        let mut e = i + 1;
        if matches!(s.get(e), Some(b'+' | b'-')) {
            e += 1;
        }
        if digit(s, e).is_some() {
            while digit(s, e).is_some() {
                e += 1;
            }
            i = e;
        }
    }
    let text = std::str::from_utf8(s.get(..i)?).ok()?;
    Some((text.parse().ok()?, i))
}

#[inline]
fn digit(s: &[u8], i: usize) -> Option<u64> {
    s.get(i)
        .filter(|b| b.is_ascii_digit())
        .map(|b| u64::from(b - b'0'))
}

/// Hexadecimal, infinities, NaN: C's own reader.
fn strtod(s: &[u8]) -> Option<(f64, usize)> {
    let mut end = std::ptr::null_mut();
    // SAFETY: the bytes are the tail of a Lua string, which a NUL follows.
    let n = unsafe { libc::strtod(s.as_ptr().cast(), &raw mut end) };
    let used = end as usize - s.as_ptr() as usize;
    // strtod skips leading white space; what we are given starts with none.
    (used > 0 && used <= s.len()).then_some((n, used))
}

/// Whether what starts here is a number that JSON forbids (hexadecimal, leading zeros, `+`, inf, nan).
pub(super) fn is_invalid(s: &[u8]) -> bool {
    let s = match s.first() {
        Some(b'+') => return true,
        Some(b'-') => &s[1..],
        _ => s,
    };
    match s.first() {
        Some(b'0') => matches!(s.get(1), Some(b'x' | b'X' | b'0'..=b'9')),
        Some(b) if *b <= b'9' => false,
        _ => s.len() >= 3 && (s[..3].eq_ignore_ascii_case(b"inf") || s[..3].eq_ignore_ascii_case(b"nan")),
    }
}
