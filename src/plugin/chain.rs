//! Which plugin comes next: the walk over the index in rewrite and access, over the collected chain later.
//!
//! Must not: call handlers (run.lua does).

use std::ffi::c_int;
use std::rc::Rc;
use std::sync::Arc;

use super::{PluginInfo, references};
use crate::entity::ConfigIdx;
use crate::exchange::Phase;
use crate::store::{PluginId, PluginIndex, Snapshot};
use crate::vm::native::{self, Given, Reply};
use crate::vm::scope::{self, NO_PLUGIN, Scope};
use crate::vm::{Args, Out, Registrar, Ret, json, op};

/// What the loop needs of one generation; kept with the Lua state.
#[derive(Debug)]
pub struct Plan {
    /// The loaded plugins by id.
    pub plugins: Rc<Vec<PluginInfo>>,
    /// Which configuration applies.
    pub index: PluginIndex,
    /// The configuration.
    pub snapshot: Arc<Snapshot>,
    /// What Lua adds to a [`ConfigIdx`] to tell configurations of one state apart across swaps.
    pub base: u64,
    /// Phases that any plugin with a configuration handles.
    pub handled: u32,
    /// Phases that any plugin with a global configuration handles.
    pub handled_globally: u32,
}

impl Plan {
    /// Prepares a plan; `before` is the one it follows in the same state.
    pub fn new(
        plugins: Rc<Vec<PluginInfo>>,
        index: PluginIndex,
        snapshot: Arc<Snapshot>,
        before: Option<&Self>,
    ) -> Self {
        let bits = |id: &PluginId| plugins.get(usize::from(id.0)).map_or(0, |p| p.phases);
        let handled = index.used().iter().map(bits).fold(0, |a, b| a | b);
        let globally = index
            .used()
            .iter()
            .filter(|id| index.globals(**id).is_some())
            .map(bits)
            .fold(0, |a, b| a | b);
        Self {
            handled,
            handled_globally: globally,
            base: before.map_or(0, |plan| plan.base + plan.snapshot.plugins.len() as u64),
            plugins,
            index,
            snapshot,
        }
    }

    /// The number by which Lua knows a configuration.
    pub fn number(&self, config: ConfigIdx) -> f64 {
        (self.base + u64::from(config.0)) as f64
    }

    fn info(&self, id: PluginId) -> Option<&PluginInfo> {
        self.plugins.get(usize::from(id.0))
    }

    /// The next plugin for the scope's phase: walks on from the scope's cursor.
    pub fn next(&self, scope: &Scope) -> Option<(u16, ConfigIdx)> {
        let phase = scope.phase.get();
        let found = match phase {
            Phase::ClientHello | Phase::Certificate | Phase::Rewrite => self.next_global(scope, phase),
            Phase::Access => self.next_collecting(scope, Some(phase)),
            _ => self.next_collected(scope, phase),
        };
        scope.plugin.set(found.map_or(NO_PLUGIN, |(p, _)| p));
        found
    }

    fn next_global(&self, scope: &Scope, phase: Phase) -> Option<(u16, ConfigIdx)> {
        let used = self.index.used();
        let mut at = scope.cursor.get() as usize;
        while let Some(id) = used.get(at) {
            at += 1;
            if self.info(*id).is_some_and(|i| i.phases & phase as u32 != 0)
                && let Some(config) = self.index.globals(*id)
            {
                scope.cursor.set(at as u32);
                return Some((id.0, config));
            }
        }
        scope.cursor.set(at as u32);
        None
    }

    /// Looks each plugin's configuration up at its turn, as an earlier one may just have set the consumer.
    fn next_collecting(&self, scope: &Scope, run: Option<Phase>) -> Option<(u16, ConfigIdx)> {
        let used = self.index.used();
        let mut at = scope.cursor.get() as usize;
        let (route, service, consumer) = scope
            .exchange
            .as_ref()
            .map(|x| {
                let x = x.borrow();
                let m = x.matched.as_ref();
                (m.map(|m| m.route), m.and_then(|m| m.service), x.client.consumer)
            })
            .unwrap_or_default();
        while let Some(id) = used.get(at) {
            at += 1;
            let Some(info) = self.info(*id) else { continue };
            let Some(config) = self.index.lookup(*id, route, service, consumer, info.blind) else {
                continue;
            };
            scope.chain.borrow_mut().push((id.0, config.0));
            scope.handled.set(scope.handled.get() | info.phases);
            if run.is_some_and(|p| info.phases & p as u32 != 0) {
                scope.cursor.set(at as u32);
                return Some((id.0, config));
            }
        }
        scope.cursor.set(at as u32);
        None
    }

    fn next_collected(&self, scope: &Scope, phase: Phase) -> Option<(u16, ConfigIdx)> {
        let chain = scope.chain.borrow();
        let mut at = scope.cursor.get() as usize;
        while let Some((id, config)) = chain.get(at) {
            at += 1;
            if self
                .info(PluginId(*id))
                .is_some_and(|i| i.phases & phase as u32 != 0)
            {
                scope.cursor.set(at as u32);
                return Some((*id, ConfigIdx(*config)));
            }
        }
        scope.cursor.set(at as u32);
        None
    }

    /// After access ended early: collects the remaining plugins for the later phases, running none.
    pub fn collect_rest(&self, scope: &Scope) {
        self.next_collecting(scope, None);
    }

    /// For a request that ends before access: the later phases of global plugins.
    pub fn collect_globals(&self, scope: &Scope) {
        let mut chain = scope.chain.borrow_mut();
        chain.clear();
        let mut handled = 0;
        for id in self.index.used() {
            if let (Some(config), Some(info)) = (self.index.globals(*id), self.info(*id)) {
                chain.push((id.0, config.0));
                handled |= info.phases;
            }
        }
        scope.handled.set(handled);
    }
}

/// The plan that the scope runs with.
pub fn plan(scope: &Scope) -> Option<&Plan> {
    scope.guest::<Plan>()
}

fn next(_: &Args, r: &mut Ret) {
    let found = scope::with(|s| {
        let plan = plan(s)?;
        plan.next(s).map(|(id, config)| (id, plan.number(config)))
    });
    match found.flatten() {
        Some((id, config)) => r.num(id).num(config),
        None => r.nil(),
    };
}

/// The plugin's index, the configuration's number in the reply.
fn next_native(_: &Given, reply: &mut Reply) -> c_int {
    let found = scope::with(|s| {
        let plan = plan(s)?;
        plan.next(s).map(|(id, config)| (id, plan.number(config)))
    });
    let Some((id, config)) = found.flatten() else {
        return native::NONE;
    };
    reply.number = config;
    c_int::from(id)
}

fn conf(a: &Args, r: &mut Ret) {
    let number = a.int(1).and_then(|n| u64::try_from(n).ok());
    let found = scope::with(|s| plan(s).map(|p| (p.snapshot.clone(), p.base))).flatten();
    let (Some((snapshot, base)), Some(number)) = (found, number) else {
        r.nil();
        return;
    };
    let at = ConfigIdx(number.checked_sub(base).map_or(u32::MAX, |at| at as u32));
    let Some(plugin) = snapshot.plugin(at) else {
        r.nil();
        return;
    };
    let own = |out: &mut Out| {
        let mut field = |key: &str, value: &str| {
            out.str(key).str(value).set();
        };
        field("__plugin_id", &plugin.id);
        if let Some(name) = &plugin.instance_name {
            field("plugin_instance_name", name);
        }
        let route = plugin
            .route
            .and_then(|i| snapshot.route(i))
            .map(|e| e.id.as_str());
        let service = plugin
            .service
            .and_then(|i| snapshot.service(i))
            .map(|e| e.id.as_str());
        let consumer = plugin
            .consumer
            .and_then(|i| snapshot.consumer(i))
            .map(|e| e.id.as_str());
        for (key, id) in [
            ("route_id", route),
            ("service_id", service),
            ("consumer_id", consumer),
        ] {
            if let Some(id) = id {
                field(key, id);
            }
        }
        let key = format!(
            "plugins:{}:{}:{}:{}:::",
            plugin.name,
            route.unwrap_or(""),
            service.unwrap_or(""),
            consumer.unwrap_or("")
        );
        field("__key__", &key);
        out.str("__seq__").num((number + 1) as f64).set();
    };
    match &plugin.config {
        serde_json::Value::Object(map) => r.table(0, map.len() + 6, |out| {
            json::fields(out, map);
            own(out);
        }),
        _ => r.table(0, 6, own),
    };
    r.bool(references::is_in(&plugin.config));
}

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("plugin", "next", op::raw(next))?;
    r.op("plugin", "conf", op::raw(conf))?;
    r.native("plugin", "next", native::raw(next_native))
}
