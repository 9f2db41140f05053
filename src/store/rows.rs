//! The rows of one kind of entity, packed as JSON, with the ways to find them.
//!
//! Must not: know what the fields mean; which are keys and references is said by the kind.

use super::texts::Texts;
use hashbrown::HashMap;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What the schema says of a kind of entity: its keys and references.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
pub struct EntityKind {
    /// Its name: `routes`, `keyauth_credentials`.
    pub name: String,
    /// The fields of the primary key; `id` for most.
    pub primary_key: Vec<String>,
    /// The field that can stand for the id in paths and references.
    #[serde(default)]
    pub endpoint_key: Option<String>,
    /// The composed key, where there is one: `plugins:{name}:{route}:{service}:{consumer}::{ws_id}`.
    #[serde(default)]
    pub cache_key_template: Option<String>,
    /// Fields of which no two rows have the same value.
    #[serde(default)]
    pub unique: Vec<String>,
    /// Fields that refer to other entities.
    #[serde(default)]
    pub foreign: Vec<Foreign>,
    /// All fields; a row that is shown whole has null where one of them is unset.
    #[serde(default)]
    pub fields: Vec<String>,
}

/// A field that refers to another entity.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Foreign {
    /// The field.
    pub field: String,
    /// The kind referred to.
    pub reference: String,
}

/// Rows of one kind, in the order they were added.
#[derive(Debug, Default)]
pub struct Rows {
    /// The kind.
    pub kind: EntityKind,
    /// The names of the fields that rows are found by.
    interest: Vec<Box<str>>,
    rows: Texts,
    ids: HashMap<Box<str>, u32>,
    /// By unique field.
    keys: Vec<HashMap<Box<str>, u32>>,
    composed: HashMap<Box<str>, u32>,
    /// By reference: the rows of each entity referred to.
    children: Vec<HashMap<Box<str>, Vec<u32>>>,
    tags: HashMap<Box<str>, Vec<u32>>,
    /// The rows by id, ascending.
    order: Vec<u32>,
    /// The place of each row in `order`.
    rank: Vec<u32>,
}

/// A composed key, or its template, without the workspace at its end where there is one, if an empty one: all rows
/// are in the same.
fn without_workspace<'k>(template: &str, key: &'k str) -> &'k str {
    let scoped = template.ends_with(":{ws_id}") || template.ends_with(':');
    match key.rsplit_once(':') {
        Some((rest, _)) if scoped => rest,
        _ => key,
    }
}

/// A composed key as its template says.
fn composed(template: &str, field: impl Fn(&str) -> Option<String>) -> String {
    let mut key = String::new();
    for (n, part) in without_workspace(template, template).split(':').enumerate() {
        if n > 0 {
            key.push(':');
        }
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) => key.push_str(&field(name).unwrap_or_default()),
            None => key.push_str(part),
        }
    }
    key
}

/// A value as it stands in a key: a reference is its id.
fn key_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Object(fields) => fields.get("id").and_then(Value::as_str).map(str::to_owned),
        Value::Null | Value::Array(_) => None,
    }
}

/// A field's name, as it stands in the text where nothing is escaped in it.
#[derive(serde::Deserialize)]
struct Name<'k>(#[serde(borrow)] Cow<'k, str>);

/// All fields of a row, in the order they stand in, their values as text.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(Cow<'de, str>, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(24);
        while let Some((Name(name), value)) = from.next_entry::<_, &RawValue>()? {
            fields.push((name, value.get()));
        }
        Ok(fields)
    }
}

/// The fields of a row that it is found by; the others are only skimmed.
struct Keys<'k>(&'k [Box<str>]);

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = Vec<(usize, Value)>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = Vec<(usize, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::with_capacity(self.0.len());
        while let Some(Name(key)) = from.next_key()? {
            match self.0.iter().position(|name| **name == key) {
                Some(at) => found.push((at, from.next_value()?)),
                None => {
                    from.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

impl Rows {
    /// No rows of this kind yet.
    pub(super) fn new(kind: EntityKind) -> Self {
        let foreign = kind.foreign.iter().map(|foreign| &foreign.field);
        let listed = kind.primary_key.iter().chain(&kind.unique).chain(foreign);
        let mut interest: Vec<Box<str>> = listed.map(|name| name.as_str().into()).collect();
        let template = kind
            .cache_key_template
            .iter()
            .flat_map(|template| template.split(':'));
        let composing = template.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        interest.extend(composing.map(Box::from));
        interest.push("tags".into());
        Self {
            keys: kind.unique.iter().map(|_| HashMap::new()).collect(),
            children: kind.foreign.iter().map(|_| HashMap::new()).collect(),
            interest,
            kind,
            ..Self::default()
        }
    }

    /// Adds a row, given as JSON text; a later row of the same key takes its place in the indexes.
    ///
    /// # Errors
    /// Where the text is no JSON object.
    pub(super) fn add(&mut self, row: &str) -> Result<(), serde_json::Error> {
        let at = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        let found = Keys(&self.interest).deserialize(&mut serde_json::Deserializer::from_str(row))?;
        let value = |name: &str| {
            let found = found.iter().find(|(i, _)| *self.interest[*i] == *name);
            found.map(|(_, value)| value)
        };
        let field = |name: &str| value(name).and_then(key_text);
        let id: Vec<String> = self
            .kind
            .primary_key
            .iter()
            .filter_map(|name| field(name))
            .collect();
        self.ids.insert(id.join(":").into(), at);
        for (name, index) in self.kind.unique.iter().zip(&mut self.keys) {
            if let Some(key) = field(name) {
                index.insert(key.into(), at);
            }
        }
        if let Some(template) = &self.kind.cache_key_template {
            self.composed.insert(composed(template, field).into(), at);
        }
        for (Foreign { field: name, .. }, index) in self.kind.foreign.iter().zip(&mut self.children) {
            if let Some(parent) = field(name) {
                index.entry(parent.into()).or_default().push(at);
            }
        }
        for tag in value("tags").and_then(Value::as_array).into_iter().flatten() {
            if let Some(tag) = tag.as_str() {
                self.tags.entry(tag.into()).or_default().push(at);
            }
        }
        self.rows.push(row);
        Ok(())
    }

    /// Fixes the order of pages.
    pub(super) fn finish(&mut self) {
        let mut ids: Vec<(&str, u32)> = self.ids.iter().map(|(id, at)| (&**id, *at)).collect();
        ids.sort_unstable();
        self.order = ids.into_iter().map(|(_, at)| at).collect();
        self.rank = vec![u32::MAX; self.rows.len()];
        for (rank, at) in self.order.iter().enumerate() {
            self.rank[*at as usize] = rank as u32;
        }
        let lists = self.children.iter_mut().flat_map(HashMap::values_mut);
        for list in lists.chain(self.tags.values_mut()) {
            list.sort_unstable_by_key(|at| self.rank[*at as usize]);
            list.shrink_to_fit();
        }
        self.rows.finish();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 0
    }

    /// A row as JSON text, by its place.
    pub fn text(&self, at: u32) -> Option<&str> {
        self.rows.get(at as usize)
    }

    /// The same where nothing in the row can be null.
    pub fn plain_text(&self, at: u32) -> Option<&str> {
        let text = self.text(at)?;
        memchr::memmem::find(text.as_bytes(), b"null")
            .is_none()
            .then_some(text)
    }

    /// A row by its place.
    pub fn value(&self, at: u32) -> Option<Value> {
        serde_json::from_str(self.text(at)?).ok()
    }

    /// The fields of a row by its place: names, and values as JSON text.
    pub(super) fn fields(&self, at: u32) -> Option<Vec<(Cow<'_, str>, &str)>> {
        let mut text = serde_json::Deserializer::from_str(self.text(at)?);
        text.deserialize_map(Fields).ok()
    }

    /// The place of a row by its primary key (several fields are joined by `:`).
    pub fn by_id(&self, id: &str) -> Option<u32> {
        self.ids.get(id).copied()
    }

    /// The place of a row by a unique field.
    pub fn by_key(&self, field: &str, key: &str) -> Option<u32> {
        let index = self.kind.unique.iter().position(|name| name == field)?;
        self.keys[index].get(key).copied()
    }

    /// The place of a row by its composed key, as its DAO makes it.
    pub fn by_composed(&self, key: &str) -> Option<u32> {
        let template = self.kind.cache_key_template.as_deref()?;
        self.composed.get(without_workspace(template, key)).copied()
    }

    /// The primary key of a row.
    pub(super) fn id_of(&self, row: &Value) -> String {
        let fields = self.kind.primary_key.iter();
        let parts: Vec<String> = fields
            .filter_map(|name| row.get(name).and_then(key_text))
            .collect();
        parts.join(":")
    }

    /// The places of all rows, by id ascending.
    pub fn all(&self) -> &[u32] {
        &self.order
    }

    /// The places of the rows that refer to `parent` by `field`, by id ascending.
    pub fn of_parent(&self, field: &str, parent: &str) -> &[u32] {
        let at = self
            .kind
            .foreign
            .iter()
            .position(|foreign| foreign.field == field);
        at.and_then(|at| self.children[at].get(parent))
            .map_or(&[], Vec::as_slice)
    }

    /// The places of the rows with all of the tags, or any of them, by id ascending.
    pub fn tagged(&self, tags: &[&str], all: bool) -> Vec<u32> {
        let of = |tag: &&str| self.tags.get(*tag).map_or(&[][..], Vec::as_slice);
        let mut found: Vec<u32> = Vec::new();
        if all {
            let lists: Vec<&[u32]> = tags.iter().map(of).collect();
            let Some(shortest) = lists.iter().min_by_key(|list| list.len()) else {
                return found;
            };
            let has = |list: &&[u32], at: &u32| {
                list.binary_search_by_key(&self.rank[*at as usize], |o| self.rank[*o as usize])
                    .is_ok()
            };
            found.extend(
                shortest
                    .iter()
                    .filter(|at| lists.iter().all(|list| has(list, at))),
            );
        } else {
            found.extend(tags.iter().flat_map(of));
            found.sort_unstable_by_key(|at| self.rank[*at as usize]);
            found.dedup();
        }
        found
    }
}
