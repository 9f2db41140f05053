//! Documents of the formats 1.1 and 2.1, in which a path was a regular expression by its looks.
//!
//! # Source
//! `kong/db/declarative/migrations/route_path.lua`, `kong/db/migrations/migrate_path_280_300.lua`

use crate::entity::path::normalize;
use serde_json::{Map, Value};

/// Marks regular expressions in routes' paths with `~`.
pub(super) fn route_paths(document: &mut Map<String, Value>) {
    migrate_routes(document.get_mut("routes"));
    for service in document
        .get_mut("services")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        migrate_routes(service.get_mut("routes"));
    }
}

fn migrate_routes(routes: Option<&mut Value>) {
    for route in routes.and_then(Value::as_array_mut).into_iter().flatten() {
        for path in route
            .get_mut("paths")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if let Value::String(text) = path {
                *text = migrate(text);
            }
        }
    }
}

fn migrate(path: &str) -> String {
    if path
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b".-_~/%".contains(&b))
    {
        return String::from_utf8_lossy(&normalize(path.as_bytes(), true)).into_owned();
    }
    format!("~{}", decode_regex(path))
}

/// Decodes triplets once more, as paths were; what means something in a regular expression is escaped.
fn decode_regex(path: &str) -> String {
    let mut out: Vec<u8> = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let pair = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        let byte = pair
            .filter(|_| *first == b'%')
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let Some(byte) = byte else {
            out.push(*first);
            rest = after;
            continue;
        };
        match byte {
            byte if b"!#$%&'()*+,/:;=?@[]".contains(&byte) => {
                out.extend(rest[..3].iter().map(u8::to_ascii_uppercase));
            }
            byte if b".^-{}\\|".contains(&byte) => out.extend([b'\\', byte]),
            byte => out.push(byte),
        }
        rest = &after[2..];
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a12_old_formats_mark_regular_expressions() {
        for (old, new) in [
            ("/plain/path", "/plain/path"),
            ("/a%41//b", "/aA/b"),
            (r"/users/\d+$", r"~/users/\d+$"),
            ("/a%2e(b)%2f", r"~/a\.(b)%2F"),
        ] {
            assert_eq!(migrate(old), new, "{old}");
        }
    }
}
