//! Plugin entities: one plugin's configuration for some scope.

use super::shape::{Field, Kind};
use super::{ConsumerIdx, Protocol, RouteIdx, ServiceIdx, text};
use serde::Deserialize;
use serde_json::Value;

/// A plugin's configuration and where it applies.
///
/// # Source
/// `kong/db/schema/entities/plugins.lua`
#[derive(Debug, Clone, Deserialize)]
pub struct PluginEntity {
    /// UUID.
    pub id: String,
    /// The plugin's name.
    pub name: String,
    /// Unique name of this configuration.
    pub instance_name: Option<String>,
    /// Whether it applies at all.
    pub enabled: bool,
    /// Protocols it applies to.
    pub protocols: Vec<Protocol>,
    /// The configuration, judged and completed by the plugin's schema.
    #[serde(default)]
    pub config: Value,
    /// Free labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The route it applies to.
    #[serde(skip)]
    pub route: Option<RouteIdx>,
    /// The service it applies to.
    #[serde(skip)]
    pub service: Option<ServiceIdx>,
    /// The consumer it applies to.
    #[serde(skip)]
    pub consumer: Option<ConsumerIdx>,
    /// The entity's table as Lua sees it.
    #[serde(skip)]
    pub raw: Value,
}

pub(super) const FIELDS: &[Field] = &[
    Field::new("name", Kind::Text).required(),
    Field::new("instance_name", Kind::Text)
        .unique()
        .check(text::utf8_name),
    Field::new("route", Kind::Foreign("routes")),
    Field::new("service", Kind::Foreign("services")),
    Field::new("consumer", Kind::Foreign("consumers")),
    Field::new("config", Kind::Any),
    Field::new(
        "protocols",
        Kind::Set(&Field::element(Kind::Text).one_of(Protocol::NAMES)),
    )
    .required()
    .default(r#"["grpc","grpcs","http","https"]"#),
    Field::new("enabled", Kind::Boolean).required().default("true"),
];
