//! Paths in the form routes are compared with, and back in a form that can be sent.
//!
//! # Source
//! `kong/tools/uri.lua`, RFC 3986 sections 2.3 and 5.2.4

use std::borrow::Cow;

/// Characters whose percent-encoding means something else than themselves.
fn is_reserved(byte: u8) -> bool {
    b"!*'();:@&=+$,/?%#[]".contains(&byte)
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// Decodes percent-encoded triplets except those of reserved characters, whose hex digits become upper case.
fn decode(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.contains(&b'%') {
        return Cow::Borrowed(path);
    }
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        let pair = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        let Some((high, low)) = pair else {
            out.push(*first);
            rest = after;
            continue;
        };
        let byte = high << 4 | low;
        if is_reserved(byte) {
            out.extend(rest[..3].iter().map(u8::to_ascii_uppercase));
        } else {
            out.push(byte);
        }
        rest = &after[2..];
    }
    Cow::Owned(out)
}

/// Decodes what needs no encoding, removes dot segments and, where asked, merges slashes.
pub fn normalize(path: &[u8], merge_slashes: bool) -> Cow<'_, [u8]> {
    if path.is_empty() || path == b"/" {
        return Cow::Borrowed(path);
    }
    let decoded = decode(path);
    let slashes = merge_slashes && decoded.windows(2).any(|pair| pair == b"//");
    if !decoded.contains(&b'.') && !slashes {
        return decoded;
    }
    Cow::Owned(remove_dots(&decoded, merge_slashes))
}

fn remove_dots(path: &[u8], merge_slashes: bool) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(path.len());
    // Where each kept segment starts in `out`.
    let mut starts: Vec<usize> = Vec::new();
    let up = |out: &mut Vec<u8>, starts: &mut Vec<usize>| {
        if let Some(start) = starts.pop() {
            out.truncate(start);
        }
    };
    let mut rest = path;
    while !rest.is_empty() {
        match rest {
            b"/." => rest = b"/",
            b"/.." => {
                rest = b"/";
                up(&mut out, &mut starts);
            }
            b"." | b".." => rest = b"",
            [b'.', b'.', b'/', ..] => rest = &rest[3..],
            [b'.', b'/', ..] => rest = &rest[2..],
            [b'/', b'.', b'/', ..] => rest = &rest[2..],
            [b'/', b'.', b'.', b'/', ..] => {
                rest = &rest[3..];
                up(&mut out, &mut starts);
            }
            [b'/', b'/', ..] if merge_slashes => rest = &rest[1..],
            _ => {
                let end = rest
                    .iter()
                    .skip(1)
                    .position(|b| *b == b'/')
                    .map_or(rest.len(), |at| at + 1);
                starts.push(out.len());
                out.extend_from_slice(&rest[..end]);
                rest = &rest[end..];
            }
        }
    }
    out
}

/// Which bytes of a path stay as they are.
const SAFE: [bool; 256] = {
    let mut safe = [false; 256];
    let mut b = 0;
    while b < 256 {
        safe[b] = (b as u8).is_ascii_alphanumeric();
        b += 1;
    }
    let others = b"!#$&'()*+,/:;=?@[]-_.~%";
    let mut i = 0;
    while i < others.len() {
        safe[others[i] as usize] = true;
        i += 1;
    }
    safe
};

/// Encodes what may not stand in a request target; `%` stays.
pub fn escape(path: &[u8]) -> Cow<'_, [u8]> {
    let safe = |b: &u8| SAFE[usize::from(*b)];
    if path.iter().all(safe) {
        return Cow::Borrowed(path);
    }
    let mut out = Vec::with_capacity(path.len() + 8);
    for byte in path {
        if safe(byte) {
            out.push(*byte);
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            out.extend([
                b'%',
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ]);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(path: &str) -> String {
        String::from_utf8_lossy(&normalize(path.as_bytes(), true)).into_owned()
    }

    #[test]
    fn a12_normalize_decodes_all_but_reserved() {
        assert_eq!(merged("/a%62c"), "/abc");
        assert_eq!(merged("/a%2fb"), "/a%2Fb");
        assert_eq!(merged("/%7euser/%3f"), "/~user/%3F");
        assert_eq!(merged("/a%zz%4"), "/a%zz%4");
        assert_eq!(merged("/a%20b"), "/a b");
        assert_eq!(&*normalize(b"/%ff", true), b"/\xff");
    }

    #[test]
    fn a12_normalize_removes_dot_segments() {
        for (path, wanted) in [
            ("", ""),
            ("/", "/"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/b/.", "/a/b/"),
            ("/../../a", "/a"),
            ("/%2e%2E/a", "/a"),
            ("/a/b/c/./../../g", "/a/g"),
            ("/a.b/..c", "/a.b/..c"),
            ("//a///b", "/a/b"),
            ("/a//../b", "/b"),
        ] {
            assert_eq!(merged(path), wanted, "{path}");
        }
        assert_eq!(&*normalize(b"//a//.", false), b"//a//");
    }

    #[test]
    fn a12_normalize_is_idempotent_without_encoded_percents() {
        for path in ["/a/..//b/./c", "/%41/%2F/..", "///", "/x/%2e%2e/y"] {
            let once = merged(path);
            assert_eq!(merged(&once), once);
        }
    }

    #[test]
    fn a12_escape_keeps_reserved() {
        assert_eq!(&*escape(b"/a b\xff?x=1%20\"<"), b"/a%20b%FF?x=1%20%22%3C");
        assert!(matches!(escape(b"/plain-path_~."), Cow::Borrowed(_)));
    }
}
