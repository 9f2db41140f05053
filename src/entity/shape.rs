//! Judging a JSON object against a table of fields: defaults, types, checks, with Kong's messages.
//!
//! An error is a tree: an object by field, an array by entry (null where an entry is sound), a text at its leaves.
//!
//! # Source
//! `kong/db/schema/init.lua`

use serde_json::{Map, Value};

/// A check of one value; the error is the message.
pub type Check = fn(&Value) -> Result<(), String>;

/// The type of a field.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A text; not empty.
    Text,
    /// A whole number between two others.
    Integer(i64, i64),
    /// A number between two others.
    Number(f64, f64),
    /// True or false.
    Boolean,
    /// A list.
    Array(&'static Field),
    /// A list without duplicates.
    Set(&'static Field),
    /// An object of any keys that pass the check.
    Map(Check, &'static Field),
    /// An object of these fields.
    Record(&'static [Field]),
    /// A reference to an entity of this name: its id or key, or `{ "id": ... }`.
    Foreign(&'static str),
    /// Anything.
    Any,
}

/// One field of an entity.
#[derive(Clone, Copy)]
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Whether it must be there, once the default is filled in.
    pub required: bool,
    /// Whether no two entities may have the same value.
    pub unique: bool,
    default: Option<&'static str>,
    one_of: &'static [&'static str],
    check: Option<Check>,
}

impl Field {
    /// A field that may be missing.
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            required: false,
            unique: false,
            default: None,
            one_of: &[],
            check: None,
        }
    }

    /// What stands in lists and maps.
    pub const fn element(kind: Kind) -> Self {
        Self::new("", kind)
    }

    /// Must be there.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// No two alike.
    pub const fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    /// A default, as JSON text.
    pub const fn default(mut self, json: &'static str) -> Self {
        self.default = Some(json);
        self
    }

    /// Only these values; numbers by their text.
    pub const fn one_of(mut self, values: &'static [&'static str]) -> Self {
        self.one_of = values;
        self
    }

    /// One more check.
    pub const fn check(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }
}

/// Fills in the defaults, drops nulls and duplicates in sets, and judges; `known` are keys to leave alone.
pub fn judge(
    fields: &[Field],
    object: &mut Map<String, Value>,
    known: &[&str],
    errors: &mut Map<String, Value>,
) {
    for key in object.keys() {
        if !known.contains(&key.as_str()) && !fields.iter().any(|field| field.name == key) {
            errors.insert(key.clone(), Value::from("unknown field"));
        }
    }
    object.retain(|_, value| !value.is_null());
    for field in fields {
        if !object.contains_key(field.name) {
            match field.default.map(serde_json::from_str::<Value>) {
                Some(Ok(default)) => {
                    object.insert(field.name.to_owned(), default);
                }
                // Defaults are literals of this crate; a test reads each of them.
                Some(Err(error)) => {
                    errors.insert(field.name.to_owned(), Value::from(error.to_string()));
                    continue;
                }
                None if field.required => {
                    errors.insert(field.name.to_owned(), Value::from("required field missing"));
                    continue;
                }
                None => continue,
            }
        }
        if let Some(value) = object.get_mut(field.name)
            && let Err(error) = judge_value(field, value)
        {
            errors.insert(field.name.to_owned(), error);
        }
    }
}

fn judge_value(field: &Field, value: &mut Value) -> Result<(), Value> {
    let wrong = |message: &str| Err(Value::from(message));
    match field.kind {
        Kind::Any => {}
        Kind::Text if !value.is_string() => return wrong("expected a string"),
        Kind::Text if value.as_str() == Some("") => return wrong("length must be at least 1"),
        Kind::Text => {}
        Kind::Boolean if !value.is_boolean() => return wrong("expected a boolean"),
        Kind::Boolean => {}
        Kind::Integer(low, high) => judge_integer(value, low, high)?,
        Kind::Number(low, high) => match value.as_f64() {
            None => return wrong("expected a number"),
            Some(number) if number < low || number > high => return Err(between(low as i64, high as i64)),
            Some(_) => {}
        },
        Kind::Array(element) => judge_list(element, value, "expected an array")?,
        Kind::Set(element) => {
            judge_list(element, value, "expected a set")?;
            if let Value::Array(items) = value {
                let mut seen: Vec<Value> = Vec::new();
                items.retain(|item| {
                    !seen.contains(item) && {
                        seen.push(item.clone());
                        true
                    }
                });
            }
        }
        Kind::Map(key_check, element) => judge_map(key_check, element, value)?,
        Kind::Record(fields) => {
            let Value::Object(object) = value else {
                return wrong("expected a record");
            };
            let mut errors = Map::new();
            judge(fields, object, &[], &mut errors);
            if !errors.is_empty() {
                return Err(Value::Object(errors));
            }
        }
        Kind::Foreign(_) => {
            let by_id = value
                .as_object()
                .is_some_and(|o| o.len() == 1 && o.get("id").is_some_and(Value::is_string));
            if !by_id && !value.is_string() {
                return wrong("expected a string");
            }
        }
    }
    if !field.one_of.is_empty() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if !field.one_of.contains(&text.as_str()) {
            return Err(Value::from(format!(
                "expected one of: {}",
                field.one_of.join(", ")
            )));
        }
    }
    field
        .check
        .map_or(Ok(()), |check| check(value).map_err(Value::from))
}

fn between(low: i64, high: i64) -> Value {
    Value::from(format!("value should be between {low} and {high}"))
}

fn judge_integer(value: &mut Value, low: i64, high: i64) -> Result<(), Value> {
    let whole = value.as_f64().filter(|number| number.fract() == 0.0);
    let Some(number) = value
        .as_i64()
        .or_else(|| whole.filter(|n| n.abs() < 9e15).map(|n| n as i64))
    else {
        return Err(Value::from("expected an integer"));
    };
    if number < low || number > high {
        return Err(between(low, high));
    }
    *value = Value::from(number);
    Ok(())
}

fn judge_list(element: &Field, value: &mut Value, wrong: &str) -> Result<(), Value> {
    // An empty object is an empty list: Lua, and what was exported from it, has one empty table.
    if value.as_object().is_some_and(Map::is_empty) {
        *value = Value::Array(Vec::new());
    }
    let Value::Array(items) = value else {
        return Err(Value::from(wrong));
    };
    let mut errors = Value::Null;
    for (at, item) in items.iter_mut().enumerate() {
        let judged = if item.is_null() {
            Err(Value::from("required field missing"))
        } else {
            judge_value(element, item)
        };
        if let Err(error) = judged {
            put(&mut errors, &[Step::Entry(at)], error);
        }
    }
    if errors.is_null() { Ok(()) } else { Err(errors) }
}

fn judge_map(key_check: Check, element: &Field, value: &mut Value) -> Result<(), Value> {
    if value.as_array().is_some_and(Vec::is_empty) {
        *value = Value::Object(Map::new());
    }
    let Value::Object(object) = value else {
        return Err(Value::from("expected a map"));
    };
    for (key, item) in object.iter_mut() {
        key_check(&Value::from(key.as_str())).map_err(Value::from)?;
        judge_value(element, item)?;
    }
    Ok(())
}

/// A step on the way to an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into a field.
    Field(String),
    /// Into an entry of a list, counted from 0.
    Entry(usize),
}

/// Puts an error into a tree; objects that meet are merged.
pub fn put(tree: &mut Value, path: &[Step], error: Value) {
    let Some((step, rest)) = path.split_first() else {
        match (tree, error) {
            (Value::Object(old), Value::Object(new)) => old.extend(new),
            (tree, error) => *tree = error,
        }
        return;
    };
    match step {
        Step::Field(name) => {
            // A list whose entries are also called by name becomes an object, its entries keyed by their number.
            if let Value::Array(items) = tree {
                let numbered = std::mem::take(items).into_iter().enumerate();
                let wrong = numbered.filter(|(_, item)| !item.is_null());
                *tree = Value::Object(wrong.map(|(at, item)| ((at + 1).to_string(), item)).collect());
            }
            if !tree.is_object() {
                *tree = Value::Object(Map::new());
            }
            if let Value::Object(object) = tree {
                put(object.entry(name.clone()).or_insert(Value::Null), rest, error);
            }
        }
        Step::Entry(at) => {
            if let Value::Object(object) = tree {
                let slot = object.entry((at + 1).to_string()).or_insert(Value::Null);
                return put(slot, rest, error);
            }
            if !tree.is_array() {
                *tree = Value::Array(Vec::new());
            }
            if let Value::Array(items) = tree {
                while items.len() <= *at {
                    items.push(Value::Null);
                }
                if let Some(slot) = items.get_mut(*at) {
                    put(slot, rest, error);
                }
            }
        }
    }
}

/// Adds a message about the entity as a whole.
pub fn entity_error(errors: &mut Map<String, Value>, message: impl Into<String>) {
    let list = errors
        .entry("@entity")
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(list) = list {
        list.push(Value::from(message.into()));
    }
}

/// Whether Kong calls a field non-empty.
pub fn is_nonempty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(fields)) => !fields.is_empty(),
        Some(_) => true,
    }
}
