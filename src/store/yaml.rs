//! Values as YAML in block style, in the way that YAML 1.1 and 1.2 read alike.

use super::scalar::{Plain, plain};
use serde_json::Value;

/// Writes a value that stands at `indent`, after whatever leads to it on its line; ends the line.
pub fn write(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                pad(out, indent);
                write_item(out, item, indent);
            }
        }
        Value::Object(fields) if !fields.is_empty() => {
            out.push('\n');
            for (key, value) in fields {
                pad(out, indent);
                write_field(out, key, value, indent);
            }
        }
        _ => {
            out.push(' ');
            write_leaf(out, value, indent);
            out.push('\n');
        }
    }
}

/// Writes an item of a list at `indent`; an object begins on its line.
pub fn write_item(out: &mut String, item: &Value, indent: usize) {
    out.push('-');
    match item {
        Value::Object(fields) if !fields.is_empty() => {
            for (n, (key, value)) in fields.iter().enumerate() {
                match n {
                    0 => out.push(' '),
                    _ => pad(out, indent + 2),
                }
                write_field(out, key, value, indent + 2);
            }
        }
        other => write(out, other, indent + 2),
    }
}

fn write_field(out: &mut String, key: &str, value: &Value, indent: usize) {
    write_text(out, key);
    out.push(':');
    let inner = if value.is_array() { indent } else { indent + 2 };
    write(out, value, inner);
}

fn write_leaf(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::String(text) if is_block(text) => {
            out.push_str(if text.ends_with('\n') { "|" } else { "|-" });
            for line in text.lines() {
                out.push('\n');
                pad(out, indent);
                out.push_str(line);
            }
        }
        Value::String(text) => write_text(out, text),
        // `{}`, `[]`, numbers, true, false, null: as JSON has them
        other => out.push_str(&other.to_string()),
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Whether a text is lines, none of them empty or with a space at its ends.
fn is_block(text: &str) -> bool {
    let lines = text.strip_suffix('\n').unwrap_or(text);
    lines.contains('\n')
        && lines.split('\n').all(|line| {
            let ascii = line.bytes().all(|b| (b' '..=b'~').contains(&b));
            ascii && !line.is_empty() && !line.starts_with(' ') && !line.ends_with(' ')
        })
}

fn write_text(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            ' '..='~' => out.push(c),
            // what is no plain letter to every reader: controls, further breaks of lines, byte order marks
            _ if c.is_alphanumeric() => out.push(c),
            _ if u32::from(c) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
}

/// Whether a text without quotes is a text, whoever reads it.
fn is_plain(text: &str) -> bool {
    let first = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b"/_".contains(&b));
    let middle = |b: u8| b.is_ascii_alphanumeric() || b"/_.-@+".contains(&b);
    // `y` and `n` are booleans to some
    first && text.len() > 1 && text.bytes().all(middle) && plain(text) == Plain::Text(text)
}
