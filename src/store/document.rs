//! A declarative document: read, not judged yet.

use super::{Snapshot, StoreError, flatten, migrate, resolve, syntax};
use crate::entity::kinds::EntityKind;
use crate::entity::shape::{Step, put};
use md5::{Digest, Md5};
use serde_json::{Map, Value};
use std::time::SystemTime;

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

/// Why a plugin entity is refused.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// No plugin of that name is enabled.
    NotEnabled,
    /// The tree of errors by field of the entity: `{ "config": { "x": "required field missing" } }`.
    Fields(Map<String, Value>),
}

/// Judges a plugin entity (its name; the entity with `config`, scopes and protocols) and answers its completed
/// `config`.
pub type Judge<'j> = dyn FnMut(&str, &Value) -> Result<Value, Refusal> + 'j;

/// Keys beside the entities' lists; `_info` is decK's, `_gateway` the gateway's own.
const META: &[&str] = &[
    "_format_version",
    "_transform",
    "_comment",
    "_ignore",
    "_info",
    "_gateway",
    "_workspace",
];

/// A declarative document: one object with the entities' lists.
#[derive(Debug, Clone)]
pub struct Document {
    root: Map<String, Value>,
    hash: String,
}

impl Document {
    /// Reads a text.
    ///
    /// # Errors
    /// Where it is no JSON or YAML, no object, or beyond the limits (64 MiB, depth 64, bounded aliases).
    pub fn parse(text: &str, format: Format) -> Result<Self, StoreError> {
        let value = match format {
            Format::Json => syntax::json(text)?,
            Format::Yaml => syntax::yaml(text)?,
            Format::Either => syntax::json(text).or_else(|_| syntax::yaml(text))?,
        };
        let hash = Md5::digest(text.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        match value {
            Value::Object(root) => Ok(Self { root, hash }),
            _ => Err(StoreError::Syntax("expected an object".to_owned())),
        }
    }

    /// The gateway's own settings, under `_gateway`.
    pub fn gateway(&self) -> Option<&Value> {
        self.root.get("_gateway")
    }

    /// MD5 of the text in hex.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Judges the document and makes a snapshot of it; `now` is when entities without a time were created, `daos`
    /// are kinds of entities that plugins bring.
    ///
    /// # Errors
    /// All that is wrong, as one tree.
    pub fn into_snapshot(
        mut self,
        now: SystemTime,
        daos: &'static [EntityKind],
        judge: &mut Judge<'_>,
    ) -> Result<Snapshot, StoreError> {
        let mut errors = Value::Null;
        let transform = self.judge_meta(&mut errors);
        let entries = flatten::entries(self.root, now, daos, judge, &mut errors);
        if !errors.is_null() {
            return Err(StoreError::Invalid(errors));
        }
        let mut snapshot = resolve::snapshot(entries)?;
        snapshot.hash = self.hash;
        snapshot.transform = transform;
        Ok(snapshot)
    }

    /// Judges and removes what is no entity.
    fn judge_meta(&mut self, errors: &mut Value) -> bool {
        let version = self
            .root
            .get("_format_version")
            .filter(|version| !version.is_null());
        let old = matches!(version.and_then(Value::as_str), Some("1.1" | "2.1"));
        let error = match version {
            None => Some("required field missing"),
            Some(Value::String(version)) if ["1.1", "2.1", "3.0"].contains(&version.as_str()) => None,
            Some(Value::String(_)) => Some("expected one of: 1.1, 2.1, 3.0"),
            Some(_) => Some("expected a string"),
        };
        let mut wrong = |field: &str, message: &str| {
            put(errors, &[Step::Field(field.to_owned())], Value::from(message));
        };
        if let Some(message) = error {
            wrong("_format_version", message);
        }
        let transform = match self.root.get("_transform") {
            None | Some(Value::Null) => true,
            Some(Value::Bool(transform)) => *transform,
            Some(_) => {
                wrong("_transform", "expected a boolean");
                true
            }
        };
        if self
            .root
            .get("_comment")
            .is_some_and(|comment| !comment.is_string() && !comment.is_null())
        {
            wrong("_comment", "expected a string");
        }
        if self
            .root
            .get("_ignore")
            .is_some_and(|ignored| !ignored.is_array() && !ignored.is_null())
        {
            wrong("_ignore", "expected an array");
        }
        self.root.retain(|key, _| !META.contains(&key.as_str()));
        if old {
            migrate::route_paths(&mut self.root);
        }
        transform
    }
}
