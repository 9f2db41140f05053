//! Replacement templates of `ngx.re.sub` and `gsub`: `$0`, `$1`, `${1}`, `$$`.
//!
//! Must not: know matches.
//!
//! # Source
//! lua-nginx-module's README, `ngx.re.sub`; the messages are its log lines.

/// A part of a replacement template.
#[derive(Debug, PartialEq)]
pub(super) enum Part<'a> {
    Text(&'a [u8]),
    Group(usize),
}

fn quoted(before: &str, name: &[u8], after: &str) -> Vec<u8> {
    [before.as_bytes(), b"\"", name, b"\"", after.as_bytes()].concat()
}

/// The parts of a template, or what its log line says.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Part<'_>>, Vec<u8>> {
    let invalid = || quoted("lua script: invalid capturing variable name found in ", text, "");
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'$', rest) {
        if at > 0 {
            parts.push(Part::Text(&rest[..at]));
        }
        let after = &rest[at + 1..];
        rest = match after.first() {
            None => return Err(invalid()),
            Some(b'$') => {
                parts.push(Part::Text(&after[..1]));
                &after[1..]
            }
            Some(b'{') if after.len() == 1 => return Err(invalid()),
            Some(b'{') => {
                let inner = &after[1..];
                let len = name_length(inner);
                if inner.get(len) != Some(&b'}') {
                    let missing = quoted("the closing bracket in ", &inner[..len], " variable is missing");
                    return Err(missing);
                }
                parts.push(Part::Group(group(&inner[..len]).ok_or_else(invalid)??));
                &inner[len + 1..]
            }
            Some(_) => {
                let len = name_length(after);
                parts.push(Part::Group(group(&after[..len]).ok_or_else(invalid)??));
                &after[len..]
            }
        };
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(parts)
}

/// How far a variable's name goes: digits if it begins with one, else letters, digits and `_`.
fn name_length(s: &[u8]) -> usize {
    let number = s.first().is_some_and(u8::is_ascii_digit);
    s.iter()
        .take_while(|b| b.is_ascii_digit() || !number && (b.is_ascii_alphanumeric() || **b == b'_'))
        .count()
}

/// The group that a name means; None for an empty name.
fn group(name: &[u8]) -> Option<Result<usize, Vec<u8>>> {
    let first = name.first()?;
    if !first.is_ascii_digit() {
        return Some(Err(quoted(
            "attempt to use named capturing variable ",
            name,
            " (named captures not supported yet)",
        )));
    }
    let digit = |n: usize, b: &u8| n.saturating_mul(10).saturating_add(usize::from(b - b'0'));
    // no pattern has as many groups
    Some(Ok(name.iter().fold(0, digit).min(1 << 20)))
}

#[cfg(test)]
mod tests {
    use super::{Part, parse};

    #[test]
    fn d04_templates_are_read_as_openresty_does() {
        let group = |n| Part::Group(n);
        assert_eq!(parse(b""), Ok(vec![]));
        assert_eq!(
            parse(b"a$0b${12}c$$"),
            Ok(vec![
                Part::Text(b"a"),
                group(0),
                Part::Text(b"b"),
                group(12),
                Part::Text(b"c"),
                Part::Text(b"$")
            ])
        );
        assert_eq!(parse(b"$1a"), Ok(vec![group(1), Part::Text(b"a")]));
        for (text, said) in [
            (
                &b"a$"[..],
                &b"lua script: invalid capturing variable name found in \"a$\""[..],
            ),
            (
                b"$-",
                b"lua script: invalid capturing variable name found in \"$-\"",
            ),
            (
                b"${",
                b"lua script: invalid capturing variable name found in \"${\"",
            ),
            (
                b"${}",
                b"lua script: invalid capturing variable name found in \"${}\"",
            ),
            (b"${1", b"the closing bracket in \"1\" variable is missing"),
            (b"${1a}", b"the closing bracket in \"1\" variable is missing"),
            (
                b"$hello!",
                b"attempt to use named capturing variable \"hello\" (named captures not supported yet)",
            ),
        ] {
            assert_eq!(parse(text), Err(said.to_vec()), "{}", text.escape_ascii());
        }
    }
}
