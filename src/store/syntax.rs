//! JSON and YAML text as one value of any make, within limits.
//!
//! What YAML's aliases expand to is counted against a budget that grows with the text, so that a short text cannot
//! become a great value.

use super::StoreError;
use super::flow::too_deep;
use super::scalar::{Plain, is_bare, plain};
use serde::Deserialize as _;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess as _, Visitor,
};
use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::fmt;

/// Longest text read, in bytes.
pub const MAX_TEXT: usize = 64 << 20;
/// Deepest nesting.
pub const MAX_DEPTH: usize = 64;
/// Deepest nesting of YAML's brackets that is left to the YAML library to refuse.
const MAX_BRACKETS: usize = 2 * MAX_DEPTH;
/// Most `%TAG` lines of a YAML text.
const MAX_TAG_DIRECTIVES: usize = 100;
/// What is said of more.
const TOO_DEEP: &str = "nested too deeply";
/// What one value costs beside its text.
const NODE_COST: usize = 16;

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// JSON only.
    Json,
    /// YAML, of which JSON is a part.
    Yaml,
    /// JSON, else YAML.
    #[default]
    Either,
}

impl Format {
    /// The format a file's name says, by its ending.
    pub fn of_file(name: &str) -> Option<Self> {
        match name.rsplit('.').next() {
            Some("json") => Some(Self::Json),
            Some("yml" | "yaml") => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// Makes values of what a text says, piece by piece.
pub trait Make {
    /// What is made.
    type Made;
    /// A list in the making.
    type List;
    /// An object in the making.
    type Object;
    /// Null.
    fn null(&self) -> Self::Made;
    /// True or false.
    fn bool(&self, value: bool) -> Self::Made;
    /// A whole number.
    fn int(&self, value: i64) -> Self::Made;
    /// A finite number.
    fn float(&self, value: f64) -> Self::Made;
    /// A text.
    ///
    /// # Errors
    /// What the maker has run out of.
    fn text(&self, value: &str) -> Result<Self::Made, String>;
    /// An empty list.
    ///
    /// # Errors
    /// What the maker has run out of.
    fn list(&self) -> Result<Self::List, String>;
    /// Adds to a list.
    ///
    /// # Errors
    /// What the maker has run out of.
    fn push(&self, list: &mut Self::List, item: Self::Made) -> Result<(), String>;
    /// The list as a value.
    fn list_done(&self, list: Self::List) -> Self::Made;
    /// An empty object.
    ///
    /// # Errors
    /// What the maker has run out of.
    fn object(&self) -> Result<Self::Object, String>;
    /// Sets a field; where `always` is false, only if there is none of that name.
    ///
    /// # Errors
    /// What the maker has run out of.
    fn set(
        &self,
        object: &mut Self::Object,
        key: &str,
        value: Self::Made,
        always: bool,
    ) -> Result<(), String>;
    /// The object as a value.
    fn object_done(&self, object: Self::Object) -> Self::Made;
}

/// Fields in the order of the text.
type Fields<T> = Vec<(String, T)>;

/// Makes JSON values.
#[derive(Debug, Clone, Copy)]
pub struct MakeJson;

impl Make for MakeJson {
    type Made = Value;
    type List = Vec<Value>;
    type Object = Map<String, Value>;

    fn null(&self) -> Value {
        Value::Null
    }

    fn bool(&self, value: bool) -> Value {
        Value::Bool(value)
    }

    fn int(&self, value: i64) -> Value {
        Value::from(value)
    }

    fn float(&self, value: f64) -> Value {
        Number::from_f64(value).map_or(Value::Null, Value::Number)
    }

    fn text(&self, value: &str) -> Result<Value, String> {
        Ok(Value::from(value))
    }

    fn list(&self) -> Result<Vec<Value>, String> {
        Ok(Vec::new())
    }

    fn push(&self, list: &mut Vec<Value>, item: Value) -> Result<(), String> {
        list.push(item);
        Ok(())
    }

    fn list_done(&self, list: Vec<Value>) -> Value {
        Value::Array(list)
    }

    fn object(&self) -> Result<Self::Object, String> {
        Ok(Map::new())
    }

    fn set(&self, object: &mut Self::Object, key: &str, value: Value, always: bool) -> Result<(), String> {
        if always || !object.contains_key(key) {
            object.insert(key.to_owned(), value);
        }
        Ok(())
    }

    fn object_done(&self, object: Self::Object) -> Value {
        Value::Object(object)
    }
}

/// Bytes as text.
///
/// # Errors
/// Where they are no UTF-8, with line and column.
pub fn text(bytes: &[u8]) -> Result<&str, StoreError> {
    std::str::from_utf8(bytes).map_err(|e| {
        let before = &bytes[..e.valid_up_to()];
        let line = before.split(|b| *b == b'\n').count();
        let last = before.rsplit(|b| *b == b'\n').next().unwrap_or_default();
        let column = String::from_utf8_lossy(last).chars().count() + 1;
        StoreError::Syntax(format!("{line}:{column}: invalid UTF-8"))
    })
}

/// Makes nothing: only what is wrong with a text is asked.
#[derive(Debug, Clone, Copy)]
pub struct MakeNothing;

impl Make for MakeNothing {
    type Made = ();
    type List = ();
    type Object = ();

    fn null(&self) {}

    fn bool(&self, _: bool) {}

    fn int(&self, _: i64) {}

    fn float(&self, _: f64) {}

    fn text(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn list(&self) -> Result<(), String> {
        Ok(())
    }

    fn push(&self, (): &mut (), (): ()) -> Result<(), String> {
        Ok(())
    }

    fn list_done(&self, (): ()) {}

    fn object(&self) -> Result<(), String> {
        Ok(())
    }

    fn set(&self, (): &mut (), _: &str, (): (), _: bool) -> Result<(), String> {
        Ok(())
    }

    fn object_done(&self, (): ()) {}
}

/// Reads a text as one value.
///
/// # Errors
/// Where it is no JSON or YAML, with line and column, or beyond the limits: 64 MiB, depth 64, bounded aliases.
pub fn parse<M: Make>(text: &str, format: Format, make: &M) -> Result<M::Made, StoreError> {
    if text.len() > MAX_TEXT {
        return Err(StoreError::Limit("more than 64 MiB"));
    }
    match format {
        Format::Json => read_json(text, make).map_err(syntax),
        Format::Yaml => yaml(text, make),
        Format::Either => match read_json(text, make) {
            Ok(value) => Ok(value),
            // JSON, but beyond the limits: as YAML it would be so, too
            Err(e) if e.is_data() => Err(syntax(e)),
            // what starts like JSON is told what is wrong with it as JSON
            Err(e) if text.trim_start().starts_with('{') => yaml(text, make).map_err(|_| syntax(e)),
            Err(_) => yaml(text, make),
        },
    }
}

fn read_json<M: Make>(text: &str, make: &M) -> Result<M::Made, serde_json::Error> {
    let mut from = serde_json::Deserializer::from_str(text);
    let budget = budget(text);
    let value = Node::new(make, &budget, None).deserialize(&mut from)?;
    from.end()?;
    Ok(value)
}

fn yaml<M: Make>(text: &str, make: &M) -> Result<M::Made, StoreError> {
    bounded(text).map_err(StoreError::Syntax)?;
    parse_yaml(text, make, &budget(text))
}

/// Reads YAML that is [`bounded`], at the cost of a budget.
pub(super) fn parse_yaml<M: Make>(text: &str, make: &M, budget: &Cell<usize>) -> Result<M::Made, StoreError> {
    Node::new(make, budget, Some(text))
        .deserialize(serde_norway::Deserializer::from_str(text))
        .map_err(|e| StoreError::Syntax(placed(&e)))
}

/// Refuses at once what the YAML library would take minutes for.
///
/// # Errors
/// Where brackets nest too deeply, or there are too many `%TAG` lines.
pub fn bounded(text: &str) -> Result<(), String> {
    if let Some((line, column)) = too_deep(text, MAX_BRACKETS) {
        return Err(format!("{line}:{column}: {TOO_DEEP}"));
    }
    let tags = memchr::memmem::find_iter(text.as_bytes(), b"%TAG").take(MAX_TAG_DIRECTIVES + 1);
    if tags.count() > MAX_TAG_DIRECTIVES && has_many_tag_directives(text) {
        return Err("too many %TAG directives".to_owned());
    }
    Ok(())
}

/// The YAML library compares each with all before it.
fn has_many_tag_directives(text: &str) -> bool {
    text.lines().filter(|line| line.starts_with("%TAG")).count() > MAX_TAG_DIRECTIVES
}

/// What a text may expand to.
pub(super) fn budget(text: &str) -> Cell<usize> {
    Cell::new(text.len() * 2 * NODE_COST + (1 << 20))
}

/// Longest problem told: the keys on the way to it are part of it.
const MAX_PROBLEM: usize = 1000;

/// `line:column: problem`, as the YAML library of Kong says it.
pub fn placed(error: &serde_norway::Error) -> String {
    let mut text = error.to_string();
    if text.len() > MAX_PROBLEM {
        let place_of = |n: usize| text.char_indices().nth(n).map_or(0, |(at, _)| at);
        let tail = place_of(text.chars().count().saturating_sub(MAX_PROBLEM / 2));
        text = format!("{}...{}", &text[..place_of(MAX_PROBLEM / 2)], &text[tail..]);
    }
    match error.location() {
        Some(at) => {
            let problem = text.split(" at line ").next().unwrap_or(&text);
            format!("{}:{}: {problem}", at.line(), at.column())
        }
        None => text,
    }
}

fn syntax(error: impl fmt::Display) -> StoreError {
    StoreError::Syntax(error.to_string())
}

struct Node<'b, M> {
    make: &'b M,
    /// The text, where plain scalars are to be told as YAML 1.1 does.
    yaml: Option<&'b str>,
    budget: &'b Cell<usize>,
    depth: usize,
}

impl<M> Clone for Node<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Node<'_, M> {}

impl<'b, M: Make> Node<'b, M> {
    fn new(make: &'b M, budget: &'b Cell<usize>, yaml: Option<&'b str>) -> Self {
        Self {
            make,
            yaml,
            budget,
            depth: 0,
        }
    }

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
            return Err(E::custom(TOO_DEEP));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..*self
        })
    }

    /// An object; what it takes over by `<<` gives way to its own fields.
    fn object<'de, A: MapAccess<'de>>(self, mut from: A) -> Result<M::Made, A::Error> {
        let inner = self.inner()?;
        let mut object = self.make.object().map_err(A::Error::custom)?;
        let mut merged = Vec::new();
        while let Some(Key(key)) = from.next_key()? {
            self.pay(key.len())?;
            if key == "<<" && self.yaml.is_some() {
                merged.extend(from.next_value_seed(Merge(inner))?);
            } else {
                let value = from.next_value_seed(inner)?;
                let set = self.make.set(&mut object, &key, value, true);
                set.map_err(A::Error::custom)?;
            }
        }
        for (key, value) in merged {
            let set = self.make.set(&mut object, &key, value, false);
            set.map_err(A::Error::custom)?;
        }
        Ok(self.make.object_done(object))
    }

    /// The fields of an object that another takes over.
    fn fields<'de, A: MapAccess<'de>>(self, mut from: A) -> Result<Fields<M::Made>, A::Error> {
        let inner = self.inner()?;
        let (mut own, mut merged) = (Vec::new(), Vec::new());
        while let Some(Key(key)) = from.next_key()? {
            self.pay(key.len())?;
            if key == "<<" && self.yaml.is_some() {
                merged.extend(from.next_value_seed(Merge(inner))?);
            } else {
                own.push((key, from.next_value_seed(inner)?));
            }
        }
        own.append(&mut merged);
        Ok(own)
    }
}

/// A key as text.
struct Key(String);

impl<'de> serde::Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key that is a string or a number")
            }

            fn visit_str<E: Error>(self, key: &str) -> Result<Key, E> {
                Ok(Key(key.to_owned()))
            }

            fn visit_string<E: Error>(self, key: String) -> Result<Key, E> {
                Ok(Key(key))
            }

            fn visit_bool<E: Error>(self, key: bool) -> Result<Key, E> {
                Ok(Key(key.to_string()))
            }

            fn visit_i64<E: Error>(self, key: i64) -> Result<Key, E> {
                Ok(Key(key.to_string()))
            }

            fn visit_u64<E: Error>(self, key: u64) -> Result<Key, E> {
                Ok(Key(key.to_string()))
            }

            fn visit_f64<E: Error>(self, key: f64) -> Result<Key, E> {
                Ok(Key(key.to_string()))
            }
        }
        from.deserialize_any(Text)
    }
}

/// What stands behind a merge key: an object, or a list of them, of which the first counts most.
struct Merge<'b, M>(Node<'b, M>);

impl<'de, M: Make> DeserializeSeed<'de> for Merge<'_, M> {
    type Value = Fields<M::Made>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, M: Make> Visitor<'de> for Merge<'_, M> {
    type Value = Fields<M::Made>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object to merge, or a list of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let inner = self.0.inner()?;
        let mut parts = Vec::new();
        while let Some(part) = from.next_element_seed(Merge(inner))? {
            parts.push(part);
        }
        Ok(parts.into_iter().flatten().collect())
    }

    fn visit_map<A: MapAccess<'de>>(self, from: A) -> Result<Self::Value, A::Error> {
        self.0.fields(from)
    }
}

impl<'de, M: Make> DeserializeSeed<'de> for Node<'_, M> {
    type Value = M::Made;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<M::Made, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, M: Make> Visitor<'de> for Node<'_, M> {
    type Value = M::Made;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<M::Made, E> {
        self.pay(0).map(|()| self.make.null())
    }

    fn visit_none<E: Error>(self) -> Result<M::Made, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<M::Made, D::Error> {
        self.deserialize(from)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<M::Made, E> {
        self.pay(0).map(|()| self.make.bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<M::Made, E> {
        self.pay(0).map(|()| self.make.int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<M::Made, E> {
        self.pay(0)?;
        Ok(match i64::try_from(value) {
            Ok(value) => self.make.int(value),
            Err(_) => self.make.float(value as f64),
        })
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<M::Made, E> {
        self.pay(0)?;
        if !value.is_finite() {
            return Err(E::custom("a number that is not finite"));
        }
        Ok(self.make.float(value))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<M::Made, E> {
        match self.yaml {
            Some(text) if is_bare(text, value) => match plain(value) {
                Plain::Null => self.visit_unit(),
                Plain::Bool(value) => self.visit_bool(value),
                Plain::Number(value) => self.visit_f64(value),
                Plain::Text(value) => self.visit_str(value),
            },
            _ => self.visit_str(value),
        }
    }

    /// A tagged value is its value.
    fn visit_enum<A: EnumAccess<'de>>(self, from: A) -> Result<M::Made, A::Error> {
        let (_, value) = from.variant_seed(Tag)?;
        value.newtype_variant_seed(self)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<M::Made, E> {
        self.pay(value.len())?;
        self.make.text(value).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<M::Made, A::Error> {
        self.pay(0)?;
        let inner = self.inner()?;
        let mut list = self.make.list().map_err(A::Error::custom)?;
        while let Some(item) = from.next_element_seed(inner)? {
            self.make.push(&mut list, item).map_err(A::Error::custom)?;
        }
        Ok(self.make.list_done(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, from: A) -> Result<M::Made, A::Error> {
        self.pay(0)?;
        self.object(from)
    }
}

/// The name of a tag, which is not used.
struct Tag;

impl<'de> DeserializeSeed<'de> for Tag {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        serde::de::IgnoredAny::deserialize(from).map(|_| ())
    }
}
