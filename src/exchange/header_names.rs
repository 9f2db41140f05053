//! Names of response headers as plugins write them: `_` stands for `-`, and what no name may hold is percent-encoded.
//!
//! Must not: know a header's meaning.

use std::borrow::Cow;
use std::cell::RefCell;

use http::HeaderName;

use crate::net::plain::is_plain;

/// How many names a worker remembers.
const NAMES: usize = 64;
/// The longest that is remembered.
const LONGEST: usize = 64;

type Known = (Box<[u8]>, HeaderName);

thread_local! {
    /// Names as written, and what they stand for: the same few come with each request.
    static KNOWN: RefCell<[Option<Known>; NAMES]> = const { RefCell::new([const { None }; NAMES]) };
}

/// Shows `f` the name that `text` stands for; None for what can't be made one. `f` must not ask for another.
#[inline]
pub fn with<R>(text: &[u8], f: impl FnOnce(&HeaderName) -> R) -> Option<R> {
    let (first, last) = (*text.first()?, *text.last()?);
    if text.len() > LONGEST {
        return spell(text).map(|name| f(&name));
    }
    let at = (usize::from(first) * 31 + usize::from(last) * 7 + text.len() * 13) % NAMES;
    KNOWN.with_borrow_mut(|known| {
        let known = &mut known[at];
        if known.as_ref().is_none_or(|(written, _)| **written != *text) {
            *known = Some((text.into(), spell(text)?));
        }
        known.as_ref().map(|(_, name)| f(name))
    })
}

/// The name that `text` stands for.
#[inline]
pub fn of(text: &[u8]) -> Option<HeaderName> {
    with(text, HeaderName::clone)
}

fn spell(text: &[u8]) -> Option<HeaderName> {
    let dashed = text
        .contains(&b'_')
        .then(|| text.iter().map(|b| if *b == b'_' { b'-' } else { *b }).collect());
    let text = dashed.map_or(Cow::Borrowed(text), Cow::<[u8]>::Owned);
    HeaderName::from_bytes(&escape(&text)).ok()
}

/// Which bytes a header name may have (RFC 9110, 5.6.2).
const TOKEN: [bool; 256] = {
    let mut may = [false; 256];
    let mut b = 0;
    while b < 256 {
        may[b] = (b as u8).is_ascii_alphanumeric();
        b += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut i = 0;
    while i < others.len() {
        may[others[i] as usize] = true;
        i += 1;
    }
    may
};

/// A name with everything but token characters percent-encoded: one that cannot break a head.
pub fn escape(text: &[u8]) -> Cow<'_, [u8]> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if text.iter().all(|b| TOKEN[usize::from(*b)]) {
        return Cow::Borrowed(text);
    }
    let mut safe = Vec::with_capacity(text.len() + 8);
    for b in text {
        if TOKEN[usize::from(*b)] {
            safe.push(*b);
        } else {
            let (high, low) = (DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]);
            safe.extend_from_slice(&[b'%', high, low]);
        }
    }
    Cow::Owned(safe)
}

/// Whether a value may stand in a head as it is: no control characters but tab.
#[inline]
pub fn is_plain_value(value: &[u8]) -> bool {
    is_plain(value) || !value.iter().any(|b| b.is_ascii_control() && *b != b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d02_names_are_known_by_how_they_are_written() {
        for (written, name) in [
            (&b"X-One"[..], "x-one"),
            (b"X_One", "x-one"),
            (b"x-onE", "x-one"),
            (b"X-Oae", "x-oae"),
            (b"a b", "a%20b"),
            (b"a\0", "a%00"),
            (b"Content_Type", "content-type"),
        ] {
            for _ in 0..2 {
                assert_eq!(of(written).map(|n| n.to_string()).as_deref(), Some(name));
            }
        }
        assert_eq!(of(b""), None);
        let long = vec![b'x'; 70_000];
        assert_eq!(of(&long), None);
        assert_eq!(of(&long[..100]).map(|n| n.as_str().len()), Some(100));
        assert!(is_plain_value(b"a\tb \xff") && !is_plain_value(b"a\nb") && !is_plain_value(b"\x7f"));
    }
}
