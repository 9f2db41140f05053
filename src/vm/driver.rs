//! Runs Lua functions on pooled coroutines by raw resume, and waits for what they wait for.
//!
//! Must not: know phases' meaning; who calls decides what a [`Flow`] leads to.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use mlua::ffi;

use super::op::{self, Pending};
use super::scope::{self, Scope};
use super::state::{Coroutine, Func, Vm};

/// Why a run failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// `error()`, or an op that raised.
    Error,
    /// The memory cap.
    Memory,
    /// The watchdog.
    Runaway,
}

/// A failed run.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What kind.
    pub kind: FaultKind,
    /// Lua's message, with file:line.
    pub message: String,
    /// The stack traceback, may be empty.
    pub traceback: String,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub enum Flow {
    /// The function returned.
    Done,
    /// `ngx.exit(code)` abandoned it.
    Exit(i64),
    /// It failed.
    Failed(Fault),
}

enum Step {
    Ended(Flow),
    Wait(Pending),
    /// A bare `coroutine.yield()` of the outermost handler: goes on at the next turn, as in OpenResty.
    Turn,
}

/// A run in progress. Dropping it abandons the coroutine and what it waits for.
pub struct Run {
    vm: Rc<Vm>,
    scope: Rc<Scope>,
    func: Func,
    args: [f64; 2],
    nargs: usize,
    co: Option<Coroutine>,
    wait: Option<Pending>,
    started: bool,
}

impl Vm {
    /// Runs `func(args...)` in `scope`; nothing happens before the first poll.
    pub fn run(self: &Rc<Self>, scope: &Rc<Scope>, func: Func, args: &[f64]) -> Run {
        let mut a = [0.0; 2];
        let nargs = args.len().min(2);
        a[..nargs].copy_from_slice(&args[..nargs]);
        Run {
            vm: self.clone(),
            scope: scope.clone(),
            func,
            args: a,
            nargs,
            co: None,
            wait: None,
            started: false,
        }
    }

    /// Runs `func(args...)` where waiting is not possible (header_filter, body_filter, log).
    pub fn run_now(self: &Rc<Self>, scope: &Rc<Scope>, func: Func, args: &[f64]) -> Flow {
        let mut run = self.run(scope, func, args);
        match run.begin() {
            Step::Ended(flow) => flow,
            Step::Wait(_) | Step::Turn => Flow::Failed(Fault {
                kind: FaultKind::Error,
                message: format!("attempt to yield in {}", scope.phase.get().name()),
                traceback: String::new(),
            }),
        }
    }

    fn resume(&self, co: &Coroutine, scope: &Rc<Scope>, nargs: c_int) -> Step {
        drop(op::take_pending());
        op::reset_depth();
        let entered = scope::enter(scope.clone());
        self.show(Some(scope));
        self.watch.begin();
        // SAFETY: the coroutine is alive (referenced from the registry), not running, and its stack holds the
        // function or the yield point and `nargs` arguments. lua_resume catches every Lua error.
        let status = unsafe { ffi::lua_resume_(co.ptr, nargs) };
        let stopped = self.watch.end();
        drop(entered);
        match status {
            0 => {
                // SAFETY: shrinking a stack is total.
                unsafe { ffi::lua_settop(co.ptr, 0) };
                Step::Ended(Flow::Done)
            }
            ffi::LUA_YIELD => {
                // SAFETY: reads the top of the stack, then empties it.
                let mark = unsafe {
                    let p = if ffi::lua_gettop(co.ptr) > 0
                        && ffi::lua_type(co.ptr, 1) == ffi::LUA_TLIGHTUSERDATA
                    {
                        ffi::lua_touserdata(co.ptr, 1)
                    } else {
                        std::ptr::null_mut()
                    };
                    ffi::lua_settop(co.ptr, 0);
                    p
                };
                if mark == op::exit_sentinel() {
                    Step::Ended(Flow::Exit(op::exit_code()))
                } else if mark == op::wait_sentinel()
                    && let Some(wait) = op::take_pending()
                {
                    Step::Wait(wait)
                } else {
                    Step::Turn
                }
            }
            status => Step::Ended(Flow::Failed(self.fault(co, status, stopped))),
        }
    }

    fn fault(&self, co: &Coroutine, status: c_int, stopped: bool) -> Fault {
        let message = message_of(co.ptr);
        let mut traced = Traced {
            co: co.ptr,
            text: String::new(),
        };
        // SAFETY: `trace` runs protected; the error it may leave is popped.
        unsafe {
            let top = ffi::lua_gettop(self.main);
            ffi::lua_cpcall(self.main, trace, (&raw mut traced).cast::<c_void>());
            ffi::lua_settop(self.main, top);
        }
        let kind = if stopped {
            FaultKind::Runaway
        } else if status == ffi::LUA_ERRMEM || message == "not enough memory" {
            FaultKind::Memory
        } else {
            FaultKind::Error
        };
        Fault {
            kind,
            message,
            traceback: traced.text,
        }
    }
}

struct Traced {
    co: *mut ffi::lua_State,
    text: String,
}

unsafe extern "C-unwind" fn trace(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: the light userdata is the caller's Traced; nothing droppable is alive while Lua may raise, and
    // the copy at the end calls no Lua.
    unsafe {
        let traced = ffi::lua_touserdata(state, 1).cast::<Traced>();
        ffi::luaL_traceback(state, (*traced).co, std::ptr::null(), 0);
        (*traced).text = message_of(state);
    }
    0
}

/// The string on top of a stack.
fn message_of(state: *mut ffi::lua_State) -> String {
    // SAFETY: type checked before lua_tolstring, which is then total.
    unsafe {
        match ffi::lua_type(state, -1) {
            ffi::LUA_TSTRING => {
                let mut len = 0;
                let p = ffi::lua_tolstring(state, -1, &mut len);
                String::from_utf8_lossy(std::slice::from_raw_parts(p.cast::<u8>(), len)).into_owned()
            }
            ffi::LUA_TNUMBER => ffi::lua_tonumber(state, -1).to_string(),
            ffi::LUA_TNIL => "nil".into(),
            ffi::LUA_TTABLE => "(error object is a table)".into(),
            _ => "(error object is not a string)".into(),
        }
    }
}

impl Run {
    fn begin(&mut self) -> Step {
        self.started = true;
        let Some(co) = self.vm.take_coroutine() else {
            self.vm.recover_memory();
            return Step::Ended(Flow::Failed(Fault {
                kind: FaultKind::Memory,
                message: "not enough memory".into(),
                traceback: String::new(),
            }));
        };
        // SAFETY: an idle coroutine's stack is empty and has room for LUA_MINSTACK values; rawgeti on the
        // registry and numbers do not allocate.
        unsafe {
            ffi::lua_rawgeti(co.ptr, ffi::LUA_REGISTRYINDEX, self.func.0.into());
            for a in &self.args[..self.nargs] {
                ffi::lua_pushnumber(co.ptr, *a);
            }
        }
        let step = self.vm.resume(&co, &self.scope, self.nargs as c_int);
        self.after(co, step)
    }

    /// Puts the coroutine where it belongs after a step.
    fn after(&mut self, co: Coroutine, step: Step) -> Step {
        match &step {
            Step::Ended(Flow::Done) => self.vm.give_coroutine(co),
            Step::Ended(flow) => {
                self.vm.drop_coroutine(co);
                if matches!(flow, Flow::Failed(_)) {
                    self.vm.recover_memory();
                }
            }
            Step::Wait(_) | Step::Turn => self.co = Some(co),
        }
        step
    }
}

impl Future for Run {
    type Output = Flow;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Flow> {
        let this = &mut *self;
        loop {
            let step = if !this.started {
                this.begin()
            } else {
                if let Some(wait) = &mut this.wait {
                    let out = std::task::ready!(wait.as_mut().poll(cx));
                    this.wait = None;
                    op::set_results(out);
                }
                let Some(co) = this.co.take() else {
                    return Poll::Ready(Flow::Done);
                };
                let step = this.vm.resume(&co, &this.scope, 0);
                this.after(co, step)
            };
            match step {
                Step::Ended(flow) => return Poll::Ready(flow),
                Step::Wait(wait) => this.wait = Some(wait),
                Step::Turn => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.wait = None;
        if let Some(co) = self.co.take() {
            self.vm.drop_coroutine(co);
        }
    }
}
