//! Values on their way between Lua and requests: JSON, tables with repeated names, encoded arguments, header text.
//!
//! Must not: know the request.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::exchange::header_names;
use crate::vm::Out;

/// A value of a table with repeated names: text, or `true` for an argument without `=`.
pub(super) type Item<'a> = Option<Cow<'a, [u8]>>;

struct Named<'a> {
    name: Cow<'a, [u8]>,
    first: Item<'a>,
    rest: Vec<Item<'a>>,
}

/// Names with one or more values, in order of first appearance.
#[derive(Default)]
pub(super) struct Multi<'a> {
    list: Vec<Named<'a>>,
    index: HashMap<Vec<u8>, usize>,
}

/// Up to this many names are searched one by one.
const FEW: usize = 24;

impl<'a> Multi<'a> {
    /// Adds a value.
    pub(super) fn add(&mut self, name: Cow<'a, [u8]>, value: Item<'a>) {
        let known = if self.index.is_empty() {
            self.list.iter().position(|n| n.name == name)
        } else {
            self.index.get(name.as_ref()).copied()
        };
        if let Some(at) = known {
            self.list[at].rest.push(value);
            return;
        }
        if !self.index.is_empty() {
            self.index.insert(name.to_vec(), self.list.len());
        }
        self.list.push(Named {
            name,
            first: value,
            rest: Vec::new(),
        });
        if self.index.is_empty() && self.list.len() > FEW {
            let names = self.list.iter().enumerate();
            self.index = names.map(|(i, n)| (n.name.to_vec(), i)).collect();
        }
    }

    /// Pushes it as a table whose repeated names have arrays.
    pub(super) fn push(&self, out: &mut Out) {
        out.table(0, self.list.len(), |t| {
            for named in &self.list {
                t.str(&named.name);
                if named.rest.is_empty() {
                    push_item(t, &named.first);
                } else {
                    t.table(named.rest.len() + 1, 0, |values| {
                        push_item(values, &named.first);
                        values.seti(1);
                        for (i, item) in named.rest.iter().enumerate() {
                            push_item(values, item);
                            values.seti(i + 2);
                        }
                    });
                }
                t.set();
            }
        });
    }
}

fn push_item(out: &mut Out, item: &Item) {
    match item {
        Some(text) => out.str(text),
        None => out.bool(true),
    };
}

/// The arguments of a query or form, as `ngx.decode_args` reads them: at most `max`, empty names skipped.
pub(super) fn arguments(text: &[u8], max: usize) -> impl Iterator<Item = (Cow<'_, [u8]>, Item<'_>)> {
    let pairs = text.split(|b| *b == b'&').map(|pair| {
        let (name, value) = match memchr::memchr(b'=', pair) {
            Some(at) => (&pair[..at], Some(&pair[at + 1..])),
            None => (pair, None),
        };
        (unescape(name), value.map(unescape))
    });
    pairs.filter(|(name, _)| !name.is_empty()).take(max)
}

/// Pushes the arguments of `text` as a table, and `"truncated"` where there are more than `max`.
pub(super) fn push_arguments(out: &mut Out, text: &[u8], max: usize) {
    let mut multi = Multi::default();
    for (name, value) in arguments(text, max) {
        multi.add(name, value);
    }
    multi.push(out);
    if memchr::memchr_iter(b'&', text).count() >= max {
        out.lit("truncated");
    }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// Decodes `%XX` and `+`; what is no triplet stays.
pub(super) fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'%', b'+', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let pair = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        if let Some((high, low)) = pair {
            out.push(high << 4 | low);
            rest = &after[2..];
        } else {
            out.push(if *first == b'+' { b' ' } else { *first });
            rest = after;
        }
    }
    Cow::Owned(out)
}

/// Encodes every byte that `plain` does not allow.
pub(super) fn escape(text: &[u8], plain: impl Fn(u8) -> bool) -> Cow<'_, [u8]> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if text.iter().all(|b| plain(*b)) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len() + 16);
    for byte in text {
        if plain(*byte) {
            out.push(*byte);
        } else {
            let digits = [
                b'%',
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ];
            out.extend_from_slice(&digits);
        }
    }
    Cow::Owned(out)
}

/// What `ngx.encode_args` leaves as it is.
pub(super) fn is_component(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!*'()".contains(&byte)
}

/// Header text that cannot break a head: other control characters than tab are encoded, as ngx_lua does.
pub(super) fn header_value(text: &[u8]) -> Cow<'_, [u8]> {
    if header_names::is_plain_value(text) {
        return Cow::Borrowed(text);
    }
    escape(text, |b| b == b'\t' || (b >= 0x20 && b != 0x7f))
}

/// Text as UTF-8, with bytes that are none percent-encoded.
pub(super) fn to_uri_text(text: &[u8]) -> String {
    let safe = escape(text, |b| b > 0x20 && b != 0x7f);
    match String::from_utf8(safe.into_owned()) {
        Ok(text) => text,
        Err(e) => String::from_utf8_lossy(&escape(e.as_bytes(), |b| b.is_ascii())).into_owned(),
    }
}
