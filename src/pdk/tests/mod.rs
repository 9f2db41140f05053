//! `kong.*` in a scope around exchanges made by hand.
#![allow(clippy::unwrap_used)]

mod faces;
mod phases;
mod request;
mod response;
mod service;

use std::cell::RefCell;
use std::rc::Rc;

use crate::exchange::{Exchange, Phase, testing};
use crate::vm::{Flow, Scope, Vm, VmOptions};

/// One state, one request.
pub(super) struct Bench {
    pub vm: Rc<Vm>,
    pub scope: Rc<Scope>,
    pub lines: Rc<RefCell<Vec<(u8, String)>>>,
}

/// Lua that every snippet may use: checks of values and of errors.
const PRELUDE: &str = r#"
    package.loaded["moongate.ngx.log"] = { write = ..., get_level = function() return 7 end }
    function eq(got, want)
      if got ~= want then error(("got %s, want %s"):format(tostring(got), tostring(want)), 2) end
    end
    function raises(want, f, ...)
      local ok, err = pcall(f, ...)
      if ok then error("no error, want " .. want, 2) end
      if not tostring(err):find(want, 1, true) then error(("got error %q, want %q"):format(err, want), 2) end
    end
"#;

impl Bench {
    pub fn new(exchange: Exchange) -> Self {
        let lines = Rc::new(RefCell::new(Vec::new()));
        let vm = Vm::new(
            &VmOptions::default(),
            &[crate::libs::install, crate::pdk::install],
        )
        .unwrap();
        let sink = lines.clone();
        let write = vm.lua().create_function(move |_, (level, line): (u8, String)| {
            sink.borrow_mut().push((level, line));
            Ok(())
        });
        vm.lua().load(PRELUDE).call::<()>(write.unwrap()).unwrap();
        let scope = Scope::new(&vm, Phase::Access, Some(exchange));
        Self { vm, scope, lines }
    }

    pub fn get(head: &str) -> Self {
        Self::new(testing::exchange(head))
    }

    /// Runs a snippet in `phase`, as a handler of a file `plugin.lua`.
    pub fn flow(&self, phase: Phase, src: &str) -> Flow {
        self.scope.phase.set(phase);
        let chunk = self.vm.lua().load(src).set_name("@plugins/plugin.lua");
        let f = self.vm.keep(chunk.into_function().unwrap()).unwrap();
        if !phase.can_yield() {
            return self.vm.run_now(&self.scope, f, &[]);
        }
        let rt = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        rt.block_on(self.vm.run(&self.scope, f, &[]))
    }

    /// Runs a snippet that must return.
    #[track_caller]
    pub fn ok(&self, phase: Phase, src: &str) {
        let flow = self.flow(phase, src);
        assert!(matches!(flow, Flow::Done), "{flow:?}");
    }

    pub fn with<R>(&self, f: impl FnOnce(&mut Exchange) -> R) -> R {
        f(&mut self.scope.exchange.as_ref().unwrap().borrow_mut())
    }
}
