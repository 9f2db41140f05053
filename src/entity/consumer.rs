//! Consumers: who calls.

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
}
