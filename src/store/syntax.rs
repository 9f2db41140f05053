//! JSON and YAML text as one value, within limits.
//!
//! What YAML's aliases expand to is counted against a budget that grows with the text, so that a short text cannot
//! become a great value.

use super::StoreError;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::fmt;

/// Longest text read, in bytes.
const MAX_TEXT: usize = 64 << 20;
/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// What one value costs beside its text.
const NODE_COST: usize = 16;

/// Parses JSON.
pub(super) fn json(text: &str) -> Result<Value, StoreError> {
    within_limit(text)?;
    let mut from = serde_json::Deserializer::from_str(text);
    let budget = budget(text);
    let value = Node {
        budget: &budget,
        depth: 0,
    }
    .deserialize(&mut from)
    .map_err(syntax)?;
    from.end().map_err(syntax)?;
    Ok(value)
}

/// Parses one YAML document, resolving aliases and merge keys.
pub(super) fn yaml(text: &str) -> Result<Value, StoreError> {
    within_limit(text)?;
    let budget = budget(text);
    Node {
        budget: &budget,
        depth: 0,
    }
    .deserialize(serde_norway::Deserializer::from_str(text))
    .map_err(syntax)
}

fn within_limit(text: &str) -> Result<(), StoreError> {
    if text.len() > MAX_TEXT {
        return Err(StoreError::Limit("more than 64 MiB"));
    }
    Ok(())
}

fn budget(text: &str) -> Cell<usize> {
    Cell::new(text.len() * 2 * NODE_COST + (1 << 20))
}

fn syntax(error: impl fmt::Display) -> StoreError {
    StoreError::Syntax(error.to_string())
}

#[derive(Clone, Copy)]
struct Node<'b> {
    budget: &'b Cell<usize>,
    depth: usize,
}

impl Node<'_> {
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
            budget: self.budget,
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.pay(0).map(|()| Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        self.deserialize(from)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.pay(0).map(|()| Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.pay(0).map(|()| Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.pay(0).map(|()| Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.pay(0)?;
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.pay(value.len()).map(|()| Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        self.pay(0)?;
        let inner = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = from.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        self.pay(0)?;
        let inner = self.inner()?;
        let mut fields = Map::new();
        let mut merged = Vec::new();
        while let Some(key) = from.next_key_seed(inner)? {
            let key = match key {
                Value::String(key) => key,
                Value::Number(number) => number.to_string(),
                Value::Bool(value) => value.to_string(),
                _ => return Err(A::Error::custom("a key that is neither a string nor a number")),
            };
            match (key.as_str(), from.next_value_seed(inner)?) {
                ("<<", Value::Object(other)) => merged.push(other),
                ("<<", Value::Array(others)) => {
                    merged.extend(others.into_iter().filter_map(|other| match other {
                        Value::Object(other) => Some(other),
                        _ => None,
                    }));
                }
                (_, value) => {
                    fields.insert(key, value);
                }
            }
        }
        for (key, value) in merged.into_iter().flatten() {
            fields.entry(key).or_insert(value);
        }
        Ok(Value::Object(fields))
    }
}
