//! Consumers: who calls.

use super::shape::{Field, Kind, entity_error, is_nonempty};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A client known by name.
///
/// # Source
/// `kong/db/schema/entities/consumers.lua`
#[derive(Debug, Clone, Deserialize)]
pub struct Consumer {
    /// UUID.
    pub id: String,
    /// Unique name.
    pub username: Option<String>,
    /// Unique name elsewhere.
    pub custom_id: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The entity's table as Lua sees it.
    #[serde(skip)]
    pub raw: Value,
}

pub(super) const FIELDS: &[Field] = &[
    Field::new("username", Kind::Text).unique(),
    Field::new("custom_id", Kind::Text).unique(),
];

pub(super) fn check(consumer: &Map<String, Value>, errors: &mut Map<String, Value>) {
    if !is_nonempty(consumer.get("username")) && !is_nonempty(consumer.get("custom_id")) {
        entity_error(
            errors,
            "at least one of these fields must be non-empty: 'custom_id', 'username'",
        );
    }
}
