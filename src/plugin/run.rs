//! Runs the plugins of one phase.
//!
//! Must not: decide what an error or an exit leads to.

use std::rc::Rc;

use mlua::{Function, Table};

use super::chain::{Plan, plan};
use crate::entity::ConfigIdx;
use crate::exchange::Phase;
use crate::vm::scope::NO_PLUGIN;
use crate::vm::state::Func;
use crate::vm::{Flow, Run, Scope, Vm};

/// The kept Lua functions of the plugin loop, one per phase.
#[derive(Debug, Clone)]
pub struct Phases {
    client_hello: Func,
    certificate: Func,
    rewrite: Func,
    access: Func,
    response: Func,
    header_filter: Func,
    body_filter: Func,
    log: Func,
    call: Func,
    /// Whether the loop makes spans of requests, and so runs without plugins, too.
    traced: bool,
}

impl Phases {
    /// Keeps the loop's functions of a state whose rooms are installed.
    ///
    /// # Errors
    /// When Lua is out of memory.
    pub fn new(vm: &Rc<Vm>) -> mlua::Result<Self> {
        let run: Table = vm.lua().load("return require('moongate.plugin.run')").eval()?;
        let keep = |name: &str| vm.keep(run.get::<Function>(name)?);
        let call: Function = vm
            .lua()
            .load("local run = require('moongate.plugin.run') return function(i) run.call(i, 'init_worker') end")
            .eval()?;
        Ok(Self {
            client_hello: keep("client_hello")?,
            certificate: keep("certificate")?,
            rewrite: keep("rewrite")?,
            access: keep("access")?,
            response: keep("response")?,
            header_filter: keep("header_filter")?,
            body_filter: keep("body_filter")?,
            log: keep("log")?,
            call: vm.keep(call)?,
            traced: run.get("traced")?,
        })
    }

    fn func(&self, phase: Phase) -> Func {
        match phase {
            Phase::ClientHello => self.client_hello,
            Phase::Certificate => self.certificate,
            Phase::Rewrite => self.rewrite,
            Phase::Access => self.access,
            Phase::Response => self.response,
            Phase::HeaderFilter => self.header_filter,
            Phase::BodyFilter => self.body_filter,
            _ => self.log,
        }
    }

    /// Runs the scope's plugins in a phase where handlers may wait. None if there is nothing to run.
    pub fn run(&self, vm: &Rc<Vm>, scope: &Rc<Scope>, phase: Phase) -> Option<Run> {
        scope.phase.set(phase);
        scope.cursor.set(0);
        scope.plugin.set(NO_PLUGIN);
        let plan = plan(scope)?;
        let wanted = match phase {
            Phase::Rewrite if self.traced => true,
            Phase::ClientHello | Phase::Certificate | Phase::Rewrite => {
                plan.handled_globally & phase as u32 != 0
            }
            Phase::Access if !self.traced && plan.handled & phase as u32 == 0 => {
                plan.collect_rest(scope);
                false
            }
            Phase::Access => true,
            _ => scope.handled.get() & phase as u32 != 0,
        };
        wanted.then(|| vm.run(scope, self.func(phase), &[]))
    }

    /// Runs the scope's plugins in a phase where handlers cannot wait. None if there is nothing to run.
    pub fn run_now(&self, vm: &Rc<Vm>, scope: &Rc<Scope>, phase: Phase) -> Option<Flow> {
        let traced = self.traced && matches!(phase, Phase::HeaderFilter | Phase::Log);
        if !traced && scope.handled.get() & phase as u32 == 0 {
            return None;
        }
        scope.phase.set(phase);
        scope.cursor.set(0);
        Some(self.go_on_now(vm, scope))
    }

    /// Goes on after a handler of the same phase failed, with the next plugin (log).
    pub fn go_on_now(&self, vm: &Rc<Vm>, scope: &Rc<Scope>) -> Flow {
        vm.run_now(scope, self.func(scope.phase.get()), &[])
    }

    /// Runs `init_worker` of plugin `index`.
    pub fn init_worker(&self, vm: &Rc<Vm>, scope: &Rc<Scope>, index: u16) -> Run {
        scope.plugin.set(index);
        vm.run(scope, self.call, &[f64::from(index)])
    }
}

/// Lets go of the configuration tables that no request uses any more: those from before `plan`.
///
/// # Errors
/// When Lua fails.
pub fn forget(vm: &Rc<Vm>, plan: &Plan) -> mlua::Result<()> {
    let base = plan.number(ConfigIdx(0));
    vm.guarded(|lua| {
        let run: Table = lua.load("return require('moongate.plugin.run')").eval()?;
        run.get::<Function>("forget")?.call(base)
    })
}

/// Calls `configure` of each plugin that has it, with its configurations or nil. Answers the plugins whose
/// `configure` threw, with what it threw.
pub fn configure(vm: &Rc<Vm>, plan: &Plan, scope: &Rc<Scope>) -> Vec<(String, String)> {
    let mut failed = Vec::new();
    let unconfigure = "require('moongate.plugin.run').unconfigure()";
    if let Err(e) = vm.guarded(|lua| lua.load(unconfigure).exec()) {
        failed.push(("configuration".to_owned(), super::registry::plain(&e)));
    }
    for (id, info) in plan.plugins.iter().enumerate() {
        if !info.configure {
            continue;
        }
        let configs: Vec<f64> = plan
            .snapshot
            .plugins
            .iter()
            .enumerate()
            .filter(|(_, p)| p.name == info.name && p.enabled)
            .map(|(i, _)| plan.number(ConfigIdx(i as u32)))
            .collect();
        scope.plugin.set(id as u16);
        let done = (|| {
            let run: Table = vm.lua().load("return require('moongate.plugin.run')").eval()?;
            let f = run.get::<Function>("configure")?;
            let f = f.bind((id, configs))?;
            let func = vm.keep(f)?;
            let flow = vm.run_now(scope, func, &[]);
            vm.release(func);
            Ok::<_, mlua::Error>(flow)
        })();
        match done {
            Ok(Flow::Failed(fault)) => failed.push((info.name.clone(), fault.message)),
            Ok(_) => {}
            Err(e) => failed.push((info.name.clone(), super::registry::plain(&e))),
        }
    }
    scope.plugin.set(NO_PLUGIN);
    failed
}
