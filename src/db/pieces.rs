//! A JSON document taken apart without being decoded: what it says about itself, and its lists of entities, item by
//! item, the lists of entities inside an item apart from the item.
//!
//! A large file is then judged with one item's tables in memory at a time. What is unusual is not taken apart (the
//! whole document is decoded then), and what is no JSON inside a piece is found when the piece is decoded. Must not:
//! judge, or accept what the decoder of whole documents would not.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

/// Deepest nesting taken apart: below that of whole documents, so that those are refused by their own reader.
const MAX_DEPTH: usize = 60;
/// Most brackets and commas taken apart, for the same reason.
const MAX_MARKS: usize = 10_000_000;

/// The kinds of entities, each with those whose lists may stand inside it.
pub(super) type Kinds = HashMap<String, Vec<String>>;

/// A list of entities of one kind.
#[derive(Debug)]
struct List {
    kind: String,
    items: Vec<Range<u32>>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pieces<'t> {
    text: &'t str,
    kinds: Kinds,
    /// The document without its lists, as JSON text.
    pub(super) head: String,
    top: HashMap<String, usize>,
    lists: Vec<List>,
    /// The text of the newest item that was put together.
    own: String,
}

impl<'t> Pieces<'t> {
    /// Takes a document apart; none where it is anything but an object whose members of these kinds are lists.
    pub(super) fn new(text: &'t str, kinds: Kinds) -> Option<Self> {
        u32::try_from(text.len()).ok()?;
        let mut pieces = Self {
            text,
            kinds,
            head: String::from("{"),
            top: HashMap::new(),
            lists: Vec::new(),
            own: String::new(),
        };
        let mut scan = Scan::new(text, 0);
        let mut seen = std::collections::HashSet::new();
        scan.space();
        scan.object(|scan, key, whole| {
            if !seen.insert(key) || seen.len() > 1000 {
                return None;
            }
            if pieces.kinds.contains_key(key) && scan.peek() != b'n' {
                let items = scan.list()?;
                pieces.top.insert(key.to_owned(), pieces.lists.len());
                pieces.lists.push(List {
                    kind: key.to_owned(),
                    items,
                });
                return Some(());
            }
            let value = scan.value()?;
            if !pieces.kinds.contains_key(key) {
                if pieces.head.len() > 1 {
                    pieces.head.push(',');
                }
                pieces.head.push_str(&text[whole]);
                pieces.head.push(':');
                pieces.head.push_str(&text[value]);
            }
            Some(())
        })?;
        scan.space();
        (scan.at == text.len()).then_some(())?;
        pieces.head.push('}');
        Some(pieces)
    }

    /// Whether any of these names is mentioned at all.
    pub(super) fn mentions(&self, names: &[String]) -> bool {
        let found = |name: &String| memchr::memmem::find(self.text.as_bytes(), name.as_bytes()).is_some();
        names.iter().any(found)
    }

    /// The document's own list of a kind.
    pub(super) fn top(&self, kind: &str) -> Option<usize> {
        self.top.get(kind).copied()
    }

    /// How many items a list has.
    pub(super) fn len(&self, list: usize) -> usize {
        self.lists.get(list).map_or(0, |list| list.items.len())
    }

    /// Forgets a list's items.
    pub(super) fn done(&mut self, list: usize) {
        if let Some(list) = self.lists.get_mut(list) {
            list.items = Vec::new();
        }
    }

    /// The JSON text of an item, in which the number of a list stands for a list of entities; none where there is
    /// no such item or it is unusual.
    pub(super) fn item(&mut self, list: usize, at: usize) -> Option<&str> {
        let list = self.lists.get(list)?;
        let range = list.items.get(at)?;
        let (start, end) = (range.start as usize, range.end as usize);
        let text: &'t str = &self.text[start..end];
        let inner = self.kinds.get(&list.kind)?;
        if inner.is_empty() || !text.starts_with('{') {
            return Some(text);
        }
        let (lists, own) = (&mut self.lists, &mut self.own);
        own.clear();
        let mut scan = Scan::new(&self.text[..end], start);
        own.push('{');
        scan.object(|scan, key, whole| {
            if own.len() > 1 {
                own.push(',');
            }
            own.push_str(&self.text[whole]);
            own.push(':');
            if scan.peek() != b'n' && inner.iter().any(|name| name == key) {
                let items = scan.list()?;
                write!(own, "{}", lists.len()).ok()?;
                lists.push(List {
                    kind: key.to_owned(),
                    items,
                });
            } else {
                own.push_str(&self.text[scan.value()?]);
            }
            Some(())
        })?;
        own.push('}');
        Some(own)
    }
}

/// Goes over JSON text; ranges are of the whole text.
struct Scan<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    marks: usize,
}

impl<'t> Scan<'t> {
    fn new(text: &'t str, at: usize) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at,
            marks: 0,
        }
    }

    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek() == byte).then(|| self.at += 1)
    }

    /// A string with its quotes.
    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        self.expect(b'"')?;
        loop {
            let rest = self.bytes.get(self.at..)?;
            self.at += memchr::memchr2(b'"', b'\\', rest)?;
            if self.peek() == b'"' {
                self.at += 1;
                return Some(start..self.at);
            }
            self.at += 2;
        }
    }

    /// Any value; brackets are only counted.
    fn value(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let mut depth = 0usize;
        loop {
            match self.peek() {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.marks += 1;
                    self.at += 1;
                    if depth > MAX_DEPTH {
                        return None;
                    }
                    continue;
                }
                b'}' | b']' => {
                    // one too many is not part of this value
                    if depth == 0 {
                        return None;
                    }
                    depth -= 1;
                    self.at += 1;
                }
                b',' if depth > 0 => {
                    self.marks += 1;
                    self.at += 1;
                    continue;
                }
                b':' | b' ' | b'\t' | b'\n' | b'\r' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                _ => self.bare()?,
            }
            if self.marks > MAX_MARKS {
                return None;
            }
            if depth == 0 {
                return Some(start..self.at);
            }
        }
    }

    /// A number or a word.
    fn bare(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.peek(), b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.') {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    /// The items of a list.
    fn list(&mut self) -> Option<Vec<Range<u32>>> {
        self.expect(b'[')?;
        let mut items = Vec::new();
        self.space();
        if self.expect(b']').is_some() {
            return Some(items);
        }
        loop {
            self.space();
            let item = self.value()?;
            items.push(item.start as u32..item.end as u32);
            self.marks += 1;
            self.space();
            if self.expect(b',').is_none() {
                self.expect(b']')?;
                return Some(items);
            }
        }
    }

    /// The members of an object: `member` gets each key, the range of the key with its quotes, and must take the
    /// value. A key with anything escaped in it is unusual.
    fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &'t str, Range<usize>) -> Option<()>,
    ) -> Option<()> {
        self.expect(b'{')?;
        self.space();
        if self.expect(b'}').is_some() {
            return Some(());
        }
        loop {
            self.space();
            let whole = self.string()?;
            let key = &self.text[whole.start + 1..whole.end - 1];
            if key.contains('\\') {
                return None;
            }
            self.space();
            self.expect(b':')?;
            self.space();
            member(self, key, whole)?;
            self.space();
            if self.expect(b',').is_none() {
                return self.expect(b'}');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Kinds, Pieces};

    fn kinds() -> Kinds {
        let kind =
            |name: &str, inner: &[&str]| (name.to_owned(), inner.iter().map(|n| (*n).to_owned()).collect());
        Kinds::from([
            kind("services", &["routes", "plugins"]),
            kind("routes", &["plugins"]),
            kind("plugins", &[]),
        ])
    }

    #[test]
    fn b04_lists_stand_apart_from_what_they_stand_in() {
        let text = r#" { "_format_version" : "3.0", "services": [ {"name": "a]\"}", "routes": [ {"plugins":[{"name":"x"}], "n": {"k": [1]}}, 7 ],
            "plugins": null}, {} ], "plugins": null, "other": [1, {"services": []}] } "#;
        let mut pieces = Pieces::new(text, kinds()).unwrap();
        assert_eq!(
            pieces.head,
            r#"{"_format_version":"3.0","other":[1, {"services": []}]}"#
        );
        assert_eq!(pieces.top("plugins"), None);
        let services = pieces.top("services").unwrap();
        assert_eq!(pieces.len(services), 2);
        assert_eq!(
            pieces.item(services, 0).unwrap(),
            r#"{"name":"a]\"}","routes":1,"plugins":null}"#
        );
        assert_eq!(pieces.item(1, 0).unwrap(), r#"{"plugins":2,"n":{"k": [1]}}"#);
        assert_eq!(pieces.item(1, 1).unwrap(), "7");
        assert_eq!(pieces.item(2, 0).unwrap(), r#"{"name":"x"}"#);
        assert_eq!(pieces.item(services, 1).unwrap(), "{}");
        assert!(pieces.item(services, 2).is_none() && pieces.item(9, 0).is_none());
        pieces.done(services);
        assert_eq!(pieces.len(services), 0);
        assert!(pieces.mentions(&["zzz".to_owned(), "other".to_owned()]));
        assert!(!pieces.mentions(&["zzz".to_owned()]));
    }

    #[test]
    fn b04_what_is_unusual_is_not_taken_apart() {
        let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(61), "]".repeat(61));
        for text in [
            "",
            " ",
            "[]",
            "7",
            "{",
            "{}}",
            "{} x",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{,"a":1}"#,
            r#"{"a":1 "b":2}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"services":{}}"#,
            r#"{"services":5}"#,
            r#"{"services":[}"#,
            r#"{"services":[1,]}"#,
            r#"{"services":[1 2]}"#,
            r#"{"\u0061":1}"#,
            r#"{"a":"unended}"#,
            r#"{"a":"x\"#,
            r#"{"a":]}"#,
            r#"{"a":"b"#,
            r#"{"services":["#,
            &deep,
        ] {
            assert!(Pieces::new(text, kinds()).is_none(), "{text}");
        }
        let mut pieces = Pieces::new(r#"{"services":[{"routes":5},{"routes":[},{"a" 1}]}"#, kinds());
        assert!(pieces.is_none());
        pieces = Pieces::new(r#"{"services":[{"routes":5},{"a" 1}]}"#, kinds());
        let mut pieces = pieces.unwrap();
        assert!(pieces.item(0, 0).is_none() && pieces.item(0, 1).is_none());
    }
}
