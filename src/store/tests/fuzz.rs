//! Mutated texts, the same ones on every run; `MOONGATE_FUZZ=10` makes ten times as many.

use super::*;
use crate::store::testing::{Dice, rounds};

const SEEDS: &[&str] = &[
    r#"{"_format_version":"3.0","services":[{"name":"s","host":"h","port":80,"tags":["a","b"],"routes":[{"name":"r","paths":["/a","~/b/\\d+"],"headers":{"x-v":["1"]}}]}],"consumers":[{"username":"ann","custom_id":null,"keyauth_credentials":[{"key":"\u00fc\ud83d\ude00","ttl":-0.5e-3}]}],"plugins":[]}"#,
    "_format_version: '3.0'\n_transform: false\nservices:\n- name: s\n  url: \"http://h:80/p\\u00e9\"\n  routes:\n  - name: r\n    paths: [ /a, '~/b' ]\n    strip_path: no\n",
    "# a comment\nbase: &base { retries: 1, host: h }\nservices:\n- <<: *base\n  name: one\n- <<: [ *base, { port: 0x50 } ]\n  name: !!str 2\n  tags: &tags [ a, b ]\n- tags: *tags\n",
    "certificates:\n- cert: |\n    -----BEGIN CERTIFICATE-----\n    MIIB\n    -----END CERTIFICATE-----\n  key: >-\n    folded\n    text\n\n    more\n  snis:\n    - name: a.test\n? complex\n: - - - 1\n    - ~\n...\n---\nb: .inf\n",
    "a: 1_000\nb: 010\nc: 1e3\nd: .5\ne: 12:30:45\nf: -0\ng: '0'\nh: yes\ni: null\nj: !custom { k: !!float 1 }\nk: !!binary aGk=\nl: 2001-01-01\n",
    "[1,2.5,-3e308,\"\",{},[],[[[[[[]]]]]],true,false,null]",
    "\u{feff}a: \u{2028}b\u{85}c\n\"d\\x41\\\n  e\": \tf\n",
];

const TOKENS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"- ",
    b"\n",
    b"\n  ",
    b"\t",
    b"\"",
    b"'",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"&a ",
    b"*a",
    b"*base",
    b"<<: ",
    b"!",
    b"!!str ",
    b"!!null",
    b"|\n",
    b">\n",
    b"? ",
    b"%YAML 1.1\n---\n",
    b"---\n",
    b"...\n",
    b"#",
    b"~",
    b"null",
    b"1e999",
    b"-",
    b"0x",
    b".nan",
    b"99999999999999999999",
    b"\0",
    b"\xc3",
    b"\xf0\x9f\x98\x80",
    b"\xe2\x80\xa8",
    b"@",
    b"`",
    b"a: &x [*x]",
];

/// A text with up to eight changes: cut off, overwritten, something put in or taken out, a piece repeated, two
/// texts joined.
fn mutated(dice: &mut Dice) -> String {
    let mut text = dice.one(SEEDS).as_bytes().to_vec();
    for _ in 0..dice.roll(9) {
        let at = dice.roll(text.len());
        match dice.roll(8) {
            0 => text.truncate(at),
            1 if !text.is_empty() => text[at] ^= 1 << dice.roll(8),
            2 => drop(text.splice(at..at, dice.one(TOKENS).iter().copied())),
            3 => drop(text.drain(at..(at + dice.roll(12)).min(text.len()))),
            4 | 5 => {
                let piece = text[at..(at + dice.roll(24)).min(text.len())].to_vec();
                let piece = piece.repeat(1 + dice.roll(40));
                drop(text.splice(at..at, piece));
            }
            6 => {
                let other = dice.one(SEEDS).as_bytes();
                let from = dice.roll(other.len());
                text.truncate(at);
                text.extend_from_slice(&other[from..]);
            }
            _ => text = dice.one(TOKENS).iter().chain(&text).copied().collect(),
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Depth, number of values, length of all texts.
fn measure(value: &Value) -> (usize, usize, usize) {
    let inner: Vec<(usize, usize, usize)> = match value {
        Value::Array(items) => items.iter().map(measure).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| {
                let (depth, count, length) = measure(value);
                (depth, count, length + key.len())
            })
            .collect(),
        Value::String(text) => return (0, 1, text.len()),
        _ => return (0, 1, 0),
    };
    let depth = inner.iter().map(|i| i.0 + 1).max().unwrap_or(1);
    (
        depth,
        1 + inner.iter().map(|i| i.1).sum::<usize>(),
        inner.iter().map(|i| i.2).sum(),
    )
}

#[test]
fn b04_fuzz_text_is_read_within_its_limits_or_refused_with_a_reason() {
    let mut dice = Dice::new(1);
    let (mut read, mut refused) = (0, 0);
    for round in 0..rounds(24_000) {
        let text = mutated(&mut dice);
        let format = [Format::Json, Format::Yaml, Format::Either][round % 3];
        match parse(&text, format, &MakeJson) {
            Ok(value) => {
                let (depth, count, length) = measure(&value);
                assert!(depth <= syntax::MAX_DEPTH, "depth {depth}: {text}");
                let budget = text.len() * 32 + (1 << 20);
                assert!(
                    count * 16 + length <= budget,
                    "{count} values, {length} bytes: {text}"
                );
                // what was read is told again, by either reader
                let again = value.to_string();
                assert_eq!(parse(&again, Format::Json, &MakeJson).unwrap(), value, "{text}");
                read += 1;
            }
            Err(error) => {
                let error = error.to_string();
                let reason = error.strip_prefix("failed parsing declarative configuration: ");
                assert!(reason.is_some_and(|reason| !reason.is_empty()), "{error}: {text}");
                refused += 1;
            }
        }
    }
    assert!(read > 1_000 && refused > 1_000, "{read} read, {refused} refused");
}

/// What its library reads slowly: each of these took it minutes, or would have.
#[test]
fn b04_yaml_that_is_slow_to_read_is_refused_at_once() {
    let n = 100_000;
    for (text, wanted) in [
        ("[".repeat(n), "1:129: nested too deeply"),
        ("{\"a\":".repeat(n), "nested too deeply"),
        ("a:\n - {b: ".to_owned() + &"[a, ".repeat(n), "nested too deeply"),
        (
            (0..n).map(|i| format!("%TAG !a{i}! b\n")).collect(),
            "too many %TAG directives",
        ),
        (
            "a: b\n...\n".to_owned() + &(0..n).map(|i| format!("%TAG !a{i}! b\n")).collect::<String>(),
            "too many %TAG",
        ),
    ] {
        let begun = std::time::Instant::now();
        let error = yaml(&text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        assert!(begun.elapsed().as_secs() < 5, "{:?}: {error}", begun.elapsed());
    }
    let spaced = format!(
        "a: &a {}yes\nb:\n{}",
        " ".repeat(1 << 20),
        "- *a\n".repeat(10_000)
    );
    assert_eq!(yaml(&spaced).unwrap()["b"][9_999], json!(true));
    let quoted = "a: x ".to_owned() + &"\" ' [ | ".repeat(n);
    assert!(yaml(&quoted).is_ok());
}
