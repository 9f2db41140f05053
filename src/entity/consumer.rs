//! Consumers: who calls.

use super::or_default;
use serde::Deserialize;

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
    #[serde(default, deserialize_with = "or_default")]
    pub tags: Vec<String>,
}
