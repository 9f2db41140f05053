//! YAML as it is written: block style, and quotes around whatever a reader of YAML 1.1 or 1.2 could take for
//! something else than a text.
//!
//! Must not: know what the values mean.

use super::scalar::{self, Plain};
use serde_json::Value;

/// Writes a value as an item of a list.
pub(super) fn item(out: &mut String, value: &Value) {
    element(out, value, 0);
}

fn element(out: &mut String, value: &Value, depth: usize) {
    indent(out, depth);
    out.push('-');
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (n, (key, value)) in fields.iter().enumerate() {
                if n == 0 {
                    out.push(' ');
                } else {
                    indent(out, depth + 1);
                }
                field(out, key, value, depth + 1);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                element(out, item, depth + 1);
            }
        }
        single => scalar_line(out, single),
    }
}

fn field(out: &mut String, key: &str, value: &Value, depth: usize) {
    text(out, key);
    out.push(':');
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            out.push('\n');
            for (key, value) in fields {
                indent(out, depth + 1);
                field(out, key, value, depth + 1);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                element(out, item, depth);
            }
        }
        single => scalar_line(out, single),
    }
}

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}

fn scalar_line(out: &mut String, value: &Value) {
    out.push(' ');
    match value {
        Value::String(s) => text(out, s),
        // null, true, false, numbers, {} and [] are the same in JSON
        other => out.push_str(&other.to_string()),
    }
    out.push('\n');
}

fn text(out: &mut String, text: &str) {
    if is_bare(text) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // what is a control character or a line break to YAML 1.1
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Whether a text without quotes is read as itself.
fn is_bare(text: &str) -> bool {
    let Some(first) = text.bytes().next() else {
        return false;
    };
    let safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'/' | b'-' | b'@' | b'+');
    if !text.bytes().all(safe) {
        return false;
    }
    let is_uuid = || {
        let dashes = text
            .bytes()
            .enumerate()
            .filter(|(_, b)| *b == b'-')
            .map(|(at, _)| at);
        text.len() == 36 && dashes.eq([8, 13, 18, 23])
    };
    let begins_as_text = first.is_ascii_alphabetic() || matches!(first, b'_' | b'/') || is_uuid();
    let single_letter_bool = matches!(text, "y" | "Y" | "n" | "N");
    begins_as_text && !single_letter_bool && scalar::plain(text) == Plain::Text(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::syntax::{Format, MakeJson, parse};
    use super::*;
    use serde_json::json;

    #[test]
    fn b04_what_is_written_is_read_back() {
        let texts = [
            "",
            " ",
            "a",
            "yes",
            "No",
            "ON",
            "off",
            "y",
            "n",
            "null",
            "~",
            "true",
            "1",
            "01",
            "0x1f",
            "0o17",
            "1e3",
            "1_000",
            "12:30:45",
            ".inf",
            "-",
            "- a",
            "a: b",
            "a:",
            "#",
            "a #b",
            "'q'",
            "\"q\"",
            "a\nb\n",
            " lead",
            "trail ",
            "\t",
            "\u{7f}\u{1}\u{85}\u{2028}\u{feff}",
            "é 日本",
            "%x",
            "@x",
            "!tag",
            "&a",
            "*a",
            "|",
            ">",
            "{a}",
            "[a]",
            "?",
            "=",
            "<<",
            "2020-01-01",
            "0855b320-0dd2-547d-891d-601e9b38647f",
            "11111111-1111-4111-8111-111111111111",
            "\\",
            "a\\nb",
            "---",
            "...",
            "\r\n",
            "_x",
            "/a/b",
            "x@y",
        ];
        let value = json!({
            "texts": texts.as_slice(),
            "numbers": [0, -1, 1.5, 1e300, 9_007_199_254_740_991_i64],
            "others": [null, true, false, {}, [], [[]], [[1, [2]], { "a": { "b": [{ "c": null, "d": [] }] } }]],
            "keys": texts.iter().filter(|t| **t != "<<").map(|t| ((*t).to_owned(), json!(t))).collect::<serde_json::Map<_, _>>(),
        });
        let mut out = String::new();
        item(&mut out, &value);
        let back = parse(&out, Format::Yaml, &MakeJson).unwrap();
        let numbers = |value: &Value| {
            value["numbers"]
                .as_array()
                .unwrap()
                .iter()
                .map(Value::as_f64)
                .collect::<Vec<_>>()
        };
        assert_eq!(numbers(&back[0]), numbers(&value));
        for part in ["texts", "others", "keys"] {
            assert_eq!(back[0][part], value[part], "{out}");
        }
        let plain = "- id: 0855b320-0dd2-547d-891d-601e9b38647f\n  name: s\n  tags:\n  - a\n  - \"1\"\n";
        let mut out = String::new();
        item(
            &mut out,
            &json!({ "id": "0855b320-0dd2-547d-891d-601e9b38647f", "name": "s", "tags": ["a", "1"] }),
        );
        assert_eq!(out, plain);
    }
}
