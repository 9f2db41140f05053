//! YAML text as Lua has it: the op behind `lyaml`.
//!
//! Plain scalars are told as YAML 1.1 does (`yes`, `on`, `010`), since that is what users of `lyaml` write;
//! limits are those of the store's parser. Must not: know what a document means.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::store::scalar::{Plain, is_bare, plain};
use crate::store::syntax::{bounded, placed};
use crate::vm::{Args, Out, Registrar, Ret, op};

/// Longest text read, in bytes.
const MAX_TEXT: usize = 64 << 20;
/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// What one value costs beside its text.
const NODE_COST: usize = 16;

/// Registers the ops.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("yaml", "load", op::raw(load))?;
    r.op("yaml", "is_plain", op::raw(is_plain))
}

/// The documents of a YAML stream as a table, or nil and what is wrong, with its place; null is the null
/// light userdata.
fn load(a: &Args, r: &mut Ret) {
    let Some(bytes) = a.str(1) else {
        r.fail("expected a string");
        return;
    };
    match documents(bytes) {
        Ok(documents) => {
            r.table(documents.len(), 0, |out| {
                for (i, document) in documents.iter().enumerate() {
                    document.push(out);
                    out.seti(i + 1);
                }
            });
        }
        Err(text) => {
            r.fail(text);
        }
    }
}

/// Whether a text, written plainly, is read as itself (and not as a number, a boolean or null).
fn is_plain(a: &Args, r: &mut Ret) {
    let is_plain = a
        .str(1)
        .and_then(|s| std::str::from_utf8(s).ok())
        .is_some_and(|s| matches!(plain(s), Plain::Text(_)));
    r.bool(is_plain);
}

fn documents(bytes: &[u8]) -> Result<Vec<Node>, String> {
    if bytes.len() > MAX_TEXT {
        return Err("more than 64 MiB".to_string());
    }
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let line = 1 + bytes[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count();
        format!("{line}:1: control characters are not allowed")
    })?;
    bounded(text)?;
    let budget = Cell::new(text.len() * 2 * NODE_COST + (1 << 20));
    let seed = Seed {
        text,
        budget: &budget,
        depth: 0,
    };
    let mut found = Vec::new();
    let is_blank = |line: &str| line.trim_start().is_empty() || line.trim_start().starts_with('#');
    if text.lines().all(is_blank) {
        return Ok(found);
    }
    for document in serde_norway::Deserializer::from_str(text) {
        found.push(seed.deserialize(document).map_err(|e| placed(&e))?);
    }
    Ok(found)
}

enum Node {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Fields(Vec<(Node, Node)>),
}

impl Node {
    fn push(&self, out: &mut Out) {
        match self {
            Self::Null => out.light(std::ptr::null_mut()),
            Self::Bool(b) => out.bool(*b),
            Self::Number(n) => out.num(*n),
            Self::Text(s) => out.str(s),
            Self::List(items) => out.table(items.len(), 0, |out| {
                for (i, item) in items.iter().enumerate() {
                    item.push(out);
                    out.seti(i + 1);
                }
            }),
            Self::Fields(fields) => out.table(0, fields.len(), |out| {
                for (key, value) in fields {
                    key.push(out);
                    value.push(out);
                    out.set();
                }
            }),
        };
    }

    /// Whether Lua can have it as a key; what it cannot (a table, NaN) would never be found again.
    fn is_key(&self) -> bool {
        match self {
            Self::Bool(_) | Self::Text(_) => true,
            Self::Number(n) => !n.is_nan(),
            _ => false,
        }
    }

    /// A text that is the same for keys that are the same.
    fn as_key(&self) -> String {
        match self {
            Self::Text(s) => format!("s{s}"),
            Self::Number(n) => format!("n{n}"),
            Self::Bool(b) => format!("b{b}"),
            _ => String::new(),
        }
    }
}

impl From<Plain<'_>> for Node {
    fn from(plain: Plain) -> Self {
        match plain {
            Plain::Null => Self::Null,
            Plain::Bool(b) => Self::Bool(b),
            Plain::Number(n) => Self::Number(n),
            Plain::Text(s) => Self::Text(s.to_owned()),
        }
    }
}

#[derive(Clone, Copy)]
struct Seed<'t> {
    text: &'t str,
    budget: &'t Cell<usize>,
    depth: usize,
}

impl Seed<'_> {
    fn pay<E: Error>(&self, text: usize) -> Result<(), E> {
        match self.budget.get().checked_sub(NODE_COST + text) {
            Some(left) => {
                self.budget.set(left);
                Ok(())
            }
            None => Err(E::custom("expands to too much")),
        }
    }

    fn inner<E: Error>(&self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..*self
        })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Node, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        self.pay(0).map(|()| Node::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Node, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Node, D::Error> {
        self.deserialize(from)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        self.pay(0).map(|()| Node::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        self.pay(0).map(|()| Node::Number(value as f64))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        self.pay(0).map(|()| Node::Number(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        self.pay(0).map(|()| Node::Number(value))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Node, E> {
        self.pay(value.len())?;
        Ok(match is_bare(self.text, value) {
            true => plain(value).into(),
            false => Node::Text(value.to_string()),
        })
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        self.pay(value.len()).map(|()| Node::Text(value.to_string()))
    }

    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, from: A) -> Result<Node, A::Error> {
        use serde::de::VariantAccess as _;
        let (_, value) = from.variant_seed(Tag)?;
        value.newtype_variant_seed(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Node, A::Error> {
        self.pay(0)?;
        let inner = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = from.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Node, A::Error> {
        self.pay(0)?;
        let inner = self.inner()?;
        let mut fields: Vec<(Node, Node)> = Vec::new();
        let mut merged = Vec::new();
        while let Some(key) = from.next_key_seed(inner)? {
            let value = from.next_value_seed(inner)?;
            match (key, value) {
                (Node::Text(key), Node::Fields(other)) if key == "<<" => merged.extend(other),
                (Node::Text(key), Node::List(others)) if key == "<<" => {
                    for other in others {
                        match other {
                            Node::Fields(other) => merged.extend(other),
                            _ => return Err(A::Error::custom("invalid '<<' sequence element")),
                        }
                    }
                }
                (Node::Text(key), _) if key == "<<" => {
                    return Err(A::Error::custom("invalid '<<' merge event"));
                }
                (key, value) if key.is_key() => fields.push((key, value)),
                _ => return Err(A::Error::custom("a key that is neither a string nor a number")),
            }
        }
        if !merged.is_empty() {
            let mut known: HashSet<String> = fields.iter().map(|(key, _)| key.as_key()).collect();
            for (key, value) in merged {
                if known.insert(key.as_key()) {
                    fields.push((key, value));
                }
            }
        }
        Ok(Node::Fields(fields))
    }
}

/// The name of a tag, which is not used: a tagged value is its value.
struct Tag;

impl<'de> DeserializeSeed<'de> for Tag {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        serde::de::IgnoredAny::deserialize(from).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        fn show(node: &Node) -> String {
            match node {
                Node::Null => "null".to_string(),
                Node::Bool(b) => b.to_string(),
                Node::Number(n) => n.to_string(),
                Node::Text(s) => format!("{s:?}"),
                Node::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(",")),
                Node::Fields(fields) => {
                    let fields: Vec<_> = fields
                        .iter()
                        .map(|(k, v)| format!("{}:{}", show(k), show(v)))
                        .collect();
                    format!("{{{}}}", fields.join(","))
                }
            }
        }
        Ok(documents(text.as_bytes())?
            .iter()
            .map(show)
            .collect::<Vec<_>>()
            .join(" "))
    }

    #[test]
    fn b4_plain_scalars_are_told_as_yaml_1_1_does() {
        for (text, wanted) in [
            ("[yes, No, ON, off, True]", "[true,false,true,false,true]"),
            (r#"["yes", 'no', "010", '~']"#, r#"["yes","no","010","~"]"#),
            ("[010, 0x1F, 0b101, 1_000, 1.5e3, -12]", "[8,31,5,1000,1500,-12]"),
            ("[190:20:30, 1:60, 12:30:45.5]", r#"[685230,"1:60",45045.5]"#),
            (
                "[1.2.3.4, '3.0', 3.0, 089, a:b, 'x y']",
                r#"["1.2.3.4","3.0",3,89,"a:b","x y"]"#,
            ),
            ("{a: , 1: b, yes: c}", r#"{"a":null,1:"b",true:"c"}"#),
            (
                "x: &a {p: 1, q: 2}\ny: {<<: *a, p: 3}",
                r#"{"x":{"p":1,"q":2},"y":{"p":3,"q":2}}"#,
            ),
            (
                "[!!str 12, !!str yes, !!int '3', !t yes]",
                r#"["12","yes",3,true]"#,
            ),
            ("# nothing\n\n", ""),
            ("--- 1\n--- two\n", "1 \"two\""),
            ("a: |\n  yes\n", r#"{"a":"yes\n"}"#),
        ] {
            assert_eq!(read(text).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn b4_bad_yaml_has_a_place_and_bombs_do_not_go_off() {
        let e = read("a: [1,\nb: 2").unwrap_err();
        assert!(e.starts_with("2:") || e.starts_with("3:"), "{e}");
        assert!(read(&"[".repeat(1000)).is_err());
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for i in 1..10 {
            let refs = vec![format!("*a{}", i - 1); 10].join(",");
            bomb.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
        }
        assert!(read(&bomb).is_err());
    }
}
