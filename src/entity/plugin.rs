//! Plugin entities: one plugin's configuration for some scope.

use super::{ConsumerIdx, Protocol, RouteIdx, ServiceIdx, or_default};
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
    #[serde(default, deserialize_with = "or_default")]
    pub config: Value,
    /// The route it applies to.
    #[serde(skip)]
    pub route: Option<RouteIdx>,
    /// The service it applies to.
    #[serde(skip)]
    pub service: Option<ServiceIdx>,
    /// The consumer it applies to.
    #[serde(skip)]
    pub consumer: Option<ConsumerIdx>,
}
