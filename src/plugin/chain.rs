//! Which plugin comes next: the walk over the index in rewrite and access, over the collected chain later.
//!
//! Must not: call handlers (run.lua does).

use std::rc::Rc;
use std::sync::Arc;

use super::{PluginInfo, references};
use crate::entity::ConfigIdx;
use crate::exchange::Phase;
use crate::store::{PluginId, PluginIndex, Snapshot};
use crate::vm::scope::{self, NO_PLUGIN, Scope};
use crate::vm::{Args, Out, Registrar, Ret, op};

/// What the loop needs of one generation; kept with the Lua state.
#[derive(Debug)]
pub struct Plan {
    /// The loaded plugins by id.
    pub plugins: Rc<Vec<PluginInfo>>,
    /// Which configuration applies.
    pub index: PluginIndex,
    /// The configuration.
    pub snapshot: Arc<Snapshot>,
    /// Phases that any plugin with a configuration handles.
    pub handled: u32,
    /// Phases that any plugin with a global configuration handles.
    pub handled_globally: u32,
}

impl Plan {
    /// Prepares a plan.
    pub fn new(plugins: Rc<Vec<PluginInfo>>, index: PluginIndex, snapshot: Arc<Snapshot>) -> Self {
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
            plugins,
            index,
            snapshot,
        }
    }

    fn info(&self, id: PluginId) -> Option<&PluginInfo> {
        self.plugins.get(usize::from(id.0))
    }

    /// The next plugin for the scope's phase: walks on from the scope's cursor.
    pub fn next(&self, scope: &Scope) -> Option<(u16, ConfigIdx)> {
        let phase = scope.phase.get();
        let found = match phase {
            Phase::Rewrite => self.next_global(scope, phase),
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

/// The plan of the scope's state.
pub fn plan(scope: &Scope) -> Option<&Plan> {
    scope.vm.guest::<Plan>()
}

fn next(_: &Args, r: &mut Ret) {
    match scope::with(|s| plan(s).and_then(|p| p.next(s))).flatten() {
        Some((id, config)) => r.num(id).num(config.0),
        None => r.nil(),
    };
}

fn conf(a: &Args, r: &mut Ret) {
    let at = ConfigIdx(a.int(1).unwrap_or(-1) as u32);
    let found = scope::with(|s| plan(s).map(|p| p.snapshot.clone())).flatten();
    let Some(snapshot) = found else {
        r.nil();
        return;
    };
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
        out.str("__seq__").num(at.0 + 1).set();
    };
    match &plugin.config {
        serde_json::Value::Object(map) => r.table(0, map.len() + 6, |out| {
            fields(out, map);
            own(out);
        }),
        _ => r.table(0, 6, own),
    };
    r.bool(references::is_in(&plugin.config));
}

fn fields(out: &mut Out, map: &serde_json::Map<String, serde_json::Value>) {
    for (key, value) in map {
        if !value.is_null() {
            out.str(key);
            push(out, value);
            out.set();
        }
    }
}

/// Pushes a JSON value; null fields are left out of tables, as plugins' `conf` has them.
fn push(out: &mut Out, value: &serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::Null => out.nil(),
        Value::Bool(b) => out.bool(*b),
        Value::Number(n) => out.num(n.as_f64().unwrap_or(0.0)),
        Value::String(s) => out.str(s),
        Value::Array(list) => out.table(list.len(), 0, |out| {
            for (i, v) in list.iter().enumerate() {
                push(out, v);
                out.seti(i + 1);
            }
        }),
        Value::Object(map) => out.table(0, map.len(), |out| fields(out, map)),
    };
}

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("plugin", "next", op::raw(next))?;
    r.op("plugin", "conf", op::raw(conf))
}
