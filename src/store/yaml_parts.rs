//! A large YAML document read part by part, so that only one part's events are in memory at a time: its top level is
//! taken apart by lines, and the parts go through the same reader as a whole document.
//!
//! What is unusual is read as a whole, and so is what has anything wrong with it, or aliases that leave their part:
//! the whole tells the place. That the parts say what the whole says follows from indentation: at a line that begins
//! a new item or key, no less indented than nothing, a scanner that could stop there cannot be inside a scalar. Must
//! not: read what the reader of whole documents would not.

use std::cell::Cell;

use super::StoreError;
use super::json_text::{MAX_MADE, MakeText};
use super::scalar::{Plain, plain};
use super::syntax::{self, Format};

/// Shorter documents are read as a whole, in bytes.
const SMALL: usize = 256 << 10;
/// A part of a list ends with the item that goes beyond it, in bytes.
const PART: usize = 128 << 10;

/// A YAML text as JSON text.
///
/// # Errors
/// As [`syntax::parse`].
pub fn yaml_to_json(text: &str) -> Result<String, StoreError> {
    if (SMALL..=syntax::MAX_TEXT).contains(&text.len()) {
        syntax::bounded(text).map_err(StoreError::Syntax)?;
        if let Some(made) = by_parts(text, PART) {
            return Ok(made);
        }
    }
    let make = MakeText::default();
    syntax::parse(text, Format::Yaml, &make)?;
    Ok(make.into_text())
}

/// Whether a line's text is a key and nothing else: a name that is a text to every reader.
fn bare_key(line: &str) -> Option<&str> {
    let key = line.trim_end().strip_suffix(':')?;
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let first = key.bytes().next()?;
    let usual = (first.is_ascii_alphabetic() || first == b'_') && key.bytes().all(word);
    (usual && plain(key) == Plain::Text(key)).then_some(key)
}

/// Whether a line has nothing in it.
fn is_blank(line: &str) -> bool {
    let line = line.trim_start_matches(' ').trim_end_matches(['\r', '\n']);
    line.is_empty() || line.starts_with('#')
}

/// How far an item is indented, where a line begins one.
fn item_indent(line: &str) -> Option<usize> {
    let rest = line.trim_start_matches(' ');
    let after = rest.strip_prefix('-')?;
    (after.is_empty() || after.starts_with([' ', '\r', '\n'])).then_some(line.len() - rest.len())
}

/// The lines that begin with a key of the document, as places in the text; none where there is something else.
fn sections(text: &str) -> Option<Vec<usize>> {
    let mut starts = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        match line.bytes().next() {
            Some(b' ' | b'#' | b'\r' | b'\n') => {}
            // of a list that is not indented; a document's end is no item
            Some(b'-') if item_indent(line) == Some(0) => {}
            Some(first) if first.is_ascii_alphanumeric() || first == b'_' => starts.push(start),
            _ => return None,
        }
        if starts.is_empty() && !is_blank(line) {
            return None;
        }
    }
    Some(starts)
}

/// Reads parts and puts their JSON together.
struct Parts {
    made: String,
    budget: Cell<usize>,
}

impl Parts {
    /// The members that a part makes, without the braces.
    fn members(&self, part: &str) -> Option<String> {
        let make = MakeText::default();
        syntax::parse_yaml(part, &make, &self.budget).ok()?;
        let text = make.into_text();
        let inner = text.strip_prefix('{')?.strip_suffix('}')?;
        (self.made.len() + inner.len() <= MAX_MADE).then(|| inner.to_owned())
    }

    fn list(&mut self, key: &str, items: &[&str]) -> Option<()> {
        let opening = format!("\"{key}\":[");
        for (n, item) in items.iter().enumerate() {
            let members = self.members(&format!("{key}:\n{item}"))?;
            let inner = members.strip_prefix(&*opening)?.strip_suffix(']')?;
            self.made.push_str(if n == 0 { &opening } else { "," });
            self.made.push_str(inner);
        }
        self.made.push(']');
        Some(())
    }
}

fn by_parts(text: &str, part: usize) -> Option<String> {
    let text = text.strip_prefix("---\n").unwrap_or(text);
    let starts = sections(text)?;
    let mut parts = Parts {
        made: String::with_capacity(text.len()),
        budget: syntax::budget(text),
    };
    parts.made.push('{');
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    for (start, end) in starts.iter().zip(ends) {
        if parts.made.len() > 1 {
            parts.made.push(',');
        }
        let section = text.get(*start..end)?;
        match items_of(section, part) {
            Some((key, items)) => parts.list(key, &items)?,
            None => {
                let members = parts.members(section)?;
                parts.made.push_str(&members);
            }
        }
    }
    parts.made.push('}');
    (!starts.is_empty()).then_some(parts.made)
}

/// The list that a section is, cut between items; none where it is something else, or short.
fn items_of(section: &str, part: usize) -> Option<(&str, Vec<&str>)> {
    let (first, list) = section.split_once('\n')?;
    let key = bare_key(first)?;
    if list.len() <= part {
        return None;
    }
    let indent = item_indent(list.split_inclusive('\n').find(|line| !is_blank(line))?)?;
    let mut items = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in list.split_inclusive('\n') {
        if at - start > part && item_indent(line) == Some(indent) {
            items.push(list.get(start..at)?);
            start = at;
        }
        at += line.len();
    }
    items.push(list.get(start..)?);
    Some((key, items))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn whole(text: &str) -> Result<String, StoreError> {
        let make = MakeText::default();
        syntax::parse(text, Format::Yaml, &make).map(|_| make.into_text())
    }

    #[test]
    fn b04_parts_say_what_the_whole_says() {
        for text in [
            "a: 1\nb:\n- x\n- y: [1,\n 2]\n  z: \"q\n  r\"\n-\n  - deep\n# end\n",
            "---\n# head\n\n_format_version: \"3.0\"\nservices:\n  # one\n  - name: a\n    url: http://x\n    routes:\n    - name: r\n\n  - name: b\n  - *other\n"
                .replace("  - *other\n", "")
                .as_str(),
            "k:\n- |\n  text\n  - not an item\n- >-\n  folded\n\n  more\n- 'it''s'\n- ~\n- yes\n- 010\nlast: {}\n",
            "k:\r\n- a\r\n- b\r\nl: [1, 2]\r\n",
            "k:\n- &x {a: 1}\n- <<: *x\n  b: 2\n",
            "k:\n- ? complex\n  : value\n- !tag v\n",
            "services: []\nk:\nl: null\n",
            "k:\n- a\nk:\n- b\n",
        ] {
            let expected = whole(text).unwrap();
            for part in [0, 1, 8, 1000] {
                if let Some(made) = by_parts(text, part) {
                    assert_eq!(made, expected, "{text}");
                }
            }
            assert!(by_parts(text, 1000).is_some(), "{text}");
        }
    }

    #[test]
    fn b04_what_has_no_parts_is_read_as_a_whole() {
        for text in [
            "",
            "- a\n- b\n",
            "7",
            "{a: 1}",
            "? a\n: b\n",
            "\"a\": 1\n",
            "a: 1\n---\nb: 2\n",
            "%YAML 1.1\n---\na: 1\n",
            "a: 1\n...\n",
            "\ta: 1\n",
            "a: \"x\nb: y\"\n",
            "&x a: 1\n",
            "<<: {a: 1}\n",
            "  a: 1\n",
            "a: 1\n b: 2\n",
            "x\n",
            "a: [1\nb: 2]\n",
        ] {
            assert!(by_parts(text, 0).is_none(), "{text}");
        }
        // an alias that leaves its part, quotes over two items
        for text in ["k:\n- &x 1\n- *x\n", "k:\n- \"a\n- b\"\n"] {
            assert!(
                by_parts(text, 0).is_none() && by_parts(text, 100).is_some(),
                "{text}"
            );
        }
        // what expands is counted over all parts
        let line = format!(
            "- [&x \"{}\", {}]\n",
            "y".repeat(2000),
            vec!["*x"; 2000].join(",")
        );
        let text = format!("k:\n{}", line.repeat(40));
        assert!(by_parts(&text, 0).is_none() && whole(&text).is_err());
    }

    #[test]
    fn b04_a_large_document_is_read_either_way() {
        let item = "- name: service-NN\n  url: http://127.0.0.1:9/NN\n  tags: [a, 'b']\n  routes:\n  - paths:\n    - /NN\n";
        let items: String = (0..5000).map(|n| item.replace("NN", &n.to_string())).collect();
        let text = format!(
            "_format_version: '3.0'\nservices:\n{items}consumers:\n{}",
            "- username: u\n".repeat(9)
        );
        assert!(text.len() > SMALL + PART && by_parts(&text, PART).is_some());
        assert_eq!(yaml_to_json(&text).unwrap(), whole(&text).unwrap());
        let broken = text.replace("name: service-4000\n", "name: \"service-4000\n");
        let told = |made: Result<String, StoreError>| made.unwrap_err().to_string();
        assert_eq!(told(yaml_to_json(&broken)), told(whole(&broken)));
        let aliased =
            text.replacen("- name: service-0\n", "- &one\n  name: service-0\n", 1) + "other: *one\n";
        assert!(by_parts(&aliased, PART).is_none());
        assert_eq!(yaml_to_json(&aliased).unwrap(), whole(&aliased).unwrap());
    }

    #[test]
    fn b04_fuzz_parts_never_say_what_the_whole_does_not() {
        const LINES: &[&str] = &[
            "k:",
            "l: ",
            "m: 1",
            "n: |",
            "o: >2",
            "- a",
            "-",
            "- b: 1",
            "-  c",
            "- |",
            "- >-",
            "- 'it",
            "- \"q",
            "- [1,",
            "- {x: 1,",
            "- &a v",
            "- *a",
            "- ? q",
            "- - d",
            "  - e",
            "  - f: 2",
            "  g: 3",
            "   text",
            " s'",
            " r\"",
            "r\"",
            "s'",
            " 2]",
            "2]",
            "}",
            "  : w",
            "# c",
            "  # d",
            "",
            " ",
            "---",
            "...",
            "x",
            "\ty",
            "- !t u",
            "- !!str 1",
            "- yes",
            "  i:",
            "  j: |1",
            "    - h",
            "- \"w\" x",
            "  <<: *a",
            "-z",
        ];
        let mut state = 0x2545_f491_4f6c_dd1du64;
        let mut next = |n: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) as usize % n
        };
        let (mut taken, mut cut) = (0, 0);
        for _ in 0..60_000 {
            let mut text = String::from(if next(4) == 0 { "" } else { "k:\n" });
            for _ in 0..=next(7) {
                text.push_str(LINES[next(LINES.len())]);
                text.push_str(if next(20) == 0 { "\r\n" } else { "\n" });
            }
            if let Some(made) = by_parts(&text, 0) {
                assert_eq!(whole(&text).ok(), Some(made), "{text:?}");
                taken += 1;
                cut += usize::from(items_of(&text, 0).is_some_and(|(_, items)| items.len() > 1));
            }
        }
        assert!(taken > 5000 && cut > 500, "{taken} {cut}");
    }
}
