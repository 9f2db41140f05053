//! Which configuration of a plugin applies to a request.
//!
//! Must not: know a request; route, service and consumer are arguments.
//!
//! # Source
//! `kong/runloop/plugins_iterator.lua`

use super::Snapshot;
use crate::entity::{ConfigIdx, ConsumerIdx, Protocol, RouteIdx, ServiceIdx};
use hashbrown::HashMap;

/// A plugin's place in the order of execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PluginId(pub u16);

/// The plugins by name, in their order of execution: PRIORITY descending, ties by name descending.
#[derive(Debug, Clone, Default)]
pub struct PluginOrder {
    names: Vec<String>,
}

impl PluginOrder {
    /// Orders plugins given as name and PRIORITY.
    pub fn new(plugins: impl IntoIterator<Item = (String, f64)>) -> Self {
        let mut plugins: Vec<_> = plugins.into_iter().collect();
        plugins.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| b.0.cmp(&a.0)));
        plugins.truncate(usize::from(u16::MAX));
        Self {
            names: plugins.into_iter().map(|(name, _)| name).collect(),
        }
    }

    /// The names in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// A plugin's place; for set-up, not for requests.
    pub fn id(&self, name: &str) -> Option<PluginId> {
        self.names
            .iter()
            .position(|n| n == name)
            .map(|at| PluginId(at as u16))
    }
}

/// What a plugin's handler asks not to be looked at: its fields `no_route`, `no_service`, `no_consumer`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Blind {
    /// The handler has `no_route`.
    pub no_route: bool,
    /// The handler has `no_service`.
    pub no_service: bool,
    /// The handler has `no_consumer`.
    pub no_consumer: bool,
}

const ANY: u32 = u32::MAX;

type Scope = (u32, u32, u32);

#[derive(Debug, Default)]
struct Configs {
    global: Option<ConfigIdx>,
    scoped: HashMap<Scope, ConfigIdx>,
    /// Which of the eight combinations occur at all; bit 4 route, bit 2 service, bit 1 consumer.
    shapes: u8,
}

/// For each plugin: which configuration applies where.
#[derive(Debug, Default)]
pub struct PluginIndex {
    configs: Vec<Configs>,
    /// The plugins that have any configuration, in order: what a request walks.
    used: Vec<PluginId>,
}

/// Kong's precedence; bit 4 route, bit 2 service, bit 1 consumer.
const PRECEDENCE: [u8; 7] = [0b111, 0b101, 0b011, 0b110, 0b001, 0b100, 0b010];

impl PluginIndex {
    /// Indexes the snapshot's plugin entities; plugins not in `order` are left out.
    pub fn build(snapshot: &Snapshot, order: &PluginOrder) -> Self {
        let mut configs: Vec<Configs> = order.names.iter().map(|_| Configs::default()).collect();
        let ids: HashMap<&str, usize> = order
            .names
            .iter()
            .enumerate()
            .map(|(i, n)| (n.as_str(), i))
            .collect();
        for (at, plugin) in snapshot.plugins.iter().enumerate() {
            if !plugin.enabled || !plugin.protocols.iter().copied().any(Protocol::is_http) {
                continue;
            }
            let Some(slot) = ids.get(plugin.name.as_str()).and_then(|id| configs.get_mut(*id)) else {
                continue;
            };
            let (route, service, consumer) = (plugin.route, plugin.service, plugin.consumer);
            let config = ConfigIdx::from(at);
            if route.is_none() && service.is_none() && consumer.is_none() {
                slot.global = Some(config);
                continue;
            }
            slot.shapes |= 1
                << (u8::from(route.is_some()) << 2
                    | u8::from(service.is_some()) << 1
                    | u8::from(consumer.is_some()));
            let scope = (
                route.map_or(ANY, |r| r.0),
                service.map_or(ANY, |s| s.0),
                consumer.map_or(ANY, |c| c.0),
            );
            slot.scoped.insert(scope, config);
        }
        let has_any = |c: &Configs| c.global.is_some() || !c.scoped.is_empty();
        let used = configs
            .iter()
            .enumerate()
            .filter(|(_, c)| has_any(c))
            .map(|(i, _)| PluginId(i as u16))
            .collect();
        Self { configs, used }
    }

    /// The plugins that have any configuration, in their order of execution.
    pub fn used(&self) -> &[PluginId] {
        &self.used
    }

    /// The one configuration of a plugin for a request, by Kong's precedence.
    pub fn lookup(
        &self,
        plugin: PluginId,
        route: Option<RouteIdx>,
        service: Option<ServiceIdx>,
        consumer: Option<ConsumerIdx>,
        blind: Blind,
    ) -> Option<ConfigIdx> {
        let configs = self.configs.get(usize::from(plugin.0))?;
        if configs.shapes == 0 {
            return configs.global;
        }
        let route = route.filter(|_| !blind.no_route).map(|r| r.0);
        let service = service.filter(|_| !blind.no_service).map(|s| s.0);
        let consumer = consumer.filter(|_| !blind.no_consumer).map(|c| c.0);
        let known =
            u8::from(route.is_some()) << 2 | u8::from(service.is_some()) << 1 | u8::from(consumer.is_some());
        for shape in PRECEDENCE {
            if configs.shapes & (1 << shape) == 0 || known & shape != shape {
                continue;
            }
            let part = |bit: u8, value: Option<u32>| {
                if shape & bit == 0 {
                    ANY
                } else {
                    value.unwrap_or(ANY)
                }
            };
            let scope = (part(4, route), part(2, service), part(1, consumer));
            if let Some(config) = configs.scoped.get(&scope) {
                return Some(*config);
            }
        }
        configs.global
    }

    /// A plugin's configuration that has no scope: what rewrite and requests without a route run.
    pub fn globals(&self, plugin: PluginId) -> Option<ConfigIdx> {
        self.configs.get(usize::from(plugin.0))?.global
    }
}
