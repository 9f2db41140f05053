//! Handlers that run within a call of another handler: the filters of a response, when its first bytes are written.
//!
//! The one that calls stands still meanwhile, below them on the C stack; phase and plugin are its own again when they
//! are through. Must not: be used where an op runs, whose results would be lost.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use mlua::ffi;

use super::op;
use super::scope::{self, Scope};

/// The C function for `f`, which gets the scope and its first argument's truth and answers a boolean: it may run handlers
/// with [`super::Vm::run_now`]. `f` must be a plain function (zero-sized). Outside any scope the answer is false.
pub fn raw<F>(_f: F) -> ffi::lua_CFunction
where
    F: Fn(&Rc<Scope>, bool) -> bool + Copy + 'static,
{
    const { assert!(size_of::<F>() == 0, "a plain function") };
    call::<F>
}

unsafe extern "C-unwind" fn call<F>(state: *mut ffi::lua_State) -> c_int
where
    F: Fn(&Rc<Scope>, bool) -> bool + Copy + 'static,
{
    // SAFETY: Lua calls this with a live state. F is zero-sized (asserted in `raw`), so a value of it can be conjured.
    // Whatever runs within is resumed on coroutines of its own, which catch every Lua error; a panic is caught here. The
    // boolean takes the place of the arguments: no allocation, and nothing droppable is alive any more.
    unsafe {
        let argument = ffi::lua_toboolean(state, 1) != 0;
        let f: F = std::ptr::NonNull::<F>::dangling().read();
        let done = catch_unwind(AssertUnwindSafe(|| standing_still(f, argument)));
        ffi::lua_settop(state, 0);
        ffi::lua_pushboolean(state, c_int::from(done.unwrap_or(false)));
    }
    1
}

fn standing_still(f: impl Fn(&Rc<Scope>, bool) -> bool, argument: bool) -> bool {
    let Some(scope) = scope::current() else {
        return false;
    };
    let kept = Kept {
        phase: scope.phase.get(),
        cursor: scope.cursor.get(),
        plugin: scope.plugin.get(),
        depth: op::depth(),
        scope,
    };
    f(&kept.scope, argument)
}

/// What is the caller's own, put back however the handlers end.
struct Kept {
    phase: crate::exchange::Phase,
    cursor: u32,
    plugin: u16,
    depth: usize,
    scope: Rc<Scope>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        op::set_depth(self.depth);
        self.scope.phase.set(self.phase);
        self.scope.cursor.set(self.cursor);
        self.scope.plugin.set(self.plugin);
        self.scope.vm.show(Some(&self.scope));
    }
}
