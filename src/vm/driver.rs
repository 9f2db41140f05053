//! Runs Lua functions on pooled coroutines by raw resume, and waits for what they wait for.
//!
//! Must not: know phases' meaning; who calls decides what a [`Flow`] leads to.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use mlua::ffi;

use super::crew::{Crew, Heir, Id, Spawned};
use super::op::{self, Ask, Pending};
use super::scope::{self, Scope};
use super::spin::Spin;
use super::state::{Coroutine, Func, Vm};
use super::{thread, trace, watchdog};

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

impl Fault {
    /// The line for a handler that could wait, as OpenResty has it; `who` is `entry` or `user`.
    pub fn aborted(&self, who: &str) -> String {
        let what = match self.kind {
            FaultKind::Memory => "memory allocation error",
            FaultKind::Error | FaultKind::Runaway => "runtime error",
        };
        self.with_traceback(format!("lua {who} thread aborted: {what}: {}", self.message))
    }

    /// A line with the traceback behind it.
    pub fn with_traceback(&self, mut line: String) -> String {
        if !self.traceback.is_empty() {
            line.push('\n');
            line.push_str(&self.traceback);
        }
        line
    }
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
    Ask(Ask),
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
    /// From the first light thread on; then the coroutine is in there.
    crew: Option<Rc<Crew>>,
    spin: Spin,
}

/// How many members of a crew go on, or are looked at, before others get their turn.
const AT_ONCE: usize = 256;

/// Takes what a light thread failed with: `ngx` logs it.
pub type ThreadReport = fn(&Scope, &Fault);

thread_local! {
    static REPORT: std::cell::Cell<Option<ThreadReport>> = const { std::cell::Cell::new(None) };
}

/// Sets who is told that a light thread of this OS thread's runs failed.
pub fn report_threads(report: ThreadReport) {
    REPORT.set(Some(report));
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
            crew: None,
            spin: Spin::default(),
        }
    }

    /// Runs `func(args...)` where waiting is not possible (header_filter, body_filter, log).
    pub fn run_now(self: &Rc<Self>, scope: &Rc<Scope>, func: Func, args: &[f64]) -> Flow {
        let mut run = self.run(scope, func, args);
        let _turn = self.turn();
        match run.begin() {
            Step::Ended(flow) => flow,
            Step::Ask(_) | Step::Turn => Flow::Failed(Fault {
                kind: FaultKind::Error,
                message: format!("attempt to yield in {}", scope.phase.get().name()),
                traceback: String::new(),
            }),
        }
    }

    /// Resumes a coroutine; the step, and whether it waits in a user coroutine of its own.
    fn resume(&self, co: Id, scope: &Rc<Scope>, nargs: c_int, crew: Option<&Rc<Crew>>) -> (Step, bool) {
        drop(op::take_asked());
        // the handlers of a filter, within a call of another handler
        let within = self.watch.is_running();
        if !within {
            op::reset_depth();
        }
        let entered = scope::enter(scope.clone());
        let running = thread::running(co, crew);
        self.show(Some(scope));
        self.show_turn();
        if !within {
            self.watch.begin();
        }
        // SAFETY: the coroutine is alive (referenced from the registry), not running, and its stack holds the
        // function or the yield point and `nargs` arguments. lua_resume catches every Lua error.
        let status = unsafe { ffi::lua_resume_(co, nargs) };
        let stopped = if within {
            self.watch.is_told()
        } else {
            self.watch.end()
        };
        drop(running);
        drop(entered);
        scope.show_variables();
        let mut nested = false;
        let step = match status {
            // what it returned stays on its stack
            0 => Step::Ended(Flow::Done),
            // the watchdog's way out
            ffi::LUA_YIELD if stopped => {
                let parents = crew.map(|c| c.parents(co)).unwrap_or_default();
                let traceback = self.traceback(co, scope, &parents);
                let message = watchdog::take_message(co);
                Step::Ended(Flow::Failed(Fault {
                    kind: FaultKind::Runaway,
                    message,
                    traceback,
                }))
            }
            ffi::LUA_YIELD => {
                // SAFETY: reads the stack, then empties it.
                let mark = unsafe {
                    let n = ffi::lua_gettop(co);
                    let p = if n > 0 && ffi::lua_type(co, 1) == ffi::LUA_TLIGHTUSERDATA {
                        nested = n > 1;
                        ffi::lua_touserdata(co, 1)
                    } else {
                        std::ptr::null_mut()
                    };
                    ffi::lua_settop(co, 0);
                    p
                };
                if mark == op::exit_sentinel() {
                    Step::Ended(Flow::Exit(op::exit_code()))
                } else if mark == op::wait_sentinel()
                    && let Some(ask) = op::take_asked()
                {
                    Step::Ask(ask)
                } else {
                    Step::Turn
                }
            }
            status => {
                let parents = crew.map(|c| c.parents(co)).unwrap_or_default();
                Step::Ended(Flow::Failed(self.fault(co, status, stopped, scope, &parents)))
            }
        };
        (step, nested)
    }

    fn fault(&self, co: Id, status: c_int, stopped: bool, scope: &Scope, parents: &[Id]) -> Fault {
        let traceback = self.traceback(co, scope, parents);
        let message = match stopped {
            true => watchdog::take_message(co),
            false => message_of(co),
        };
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
            traceback,
        }
    }

    /// What a run fails with whose steps compute for too long together.
    fn runaway(&self, co: Id, scope: &Scope, parents: &[Id]) -> Flow {
        Flow::Failed(Fault {
            kind: FaultKind::Runaway,
            message: watchdog::MESSAGE.to_string_lossy().into_owned(),
            traceback: self.traceback(co, scope, parents),
        })
    }

    /// As OpenResty writes it of a handler that can wait; the others' as LuaJIT itself does.
    fn traceback(&self, co: Id, scope: &Scope, parents: &[Id]) -> String {
        if scope.phase.get().can_yield() {
            return trace::traceback(self.main, co, parents);
        }
        let mut traced = Traced {
            co,
            text: String::new(),
        };
        // SAFETY: `trace` runs protected; the error it may leave is popped.
        unsafe {
            let top = ffi::lua_gettop(self.main);
            ffi::lua_cpcall(self.main, plain, (&raw mut traced).cast::<c_void>());
            ffi::lua_settop(self.main, top);
        }
        traced.text
    }
}

struct Traced {
    co: *mut ffi::lua_State,
    text: String,
}

unsafe extern "C-unwind" fn plain(state: *mut ffi::lua_State) -> c_int {
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
            _ => "unknown reason".into(),
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
        let (step, _) = self.vm.resume(co.ptr, &self.scope, self.nargs as c_int, None);
        self.after(co, step)
    }

    /// Puts the coroutine where it belongs after a step.
    fn after(&mut self, co: Coroutine, step: Step) -> Step {
        match &step {
            Step::Ended(Flow::Done) => {
                // SAFETY: shrinking a stack is total.
                unsafe { ffi::lua_settop(co.ptr, 0) };
                self.vm.give_coroutine(co);
            }
            Step::Ended(flow) => {
                self.vm.drop_coroutine(co);
                if matches!(flow, Flow::Failed(_)) {
                    self.vm.recover_memory();
                }
            }
            Step::Ask(_) | Step::Turn => self.co = Some(co),
        }
        step
    }
}

impl Run {
    /// The entry handler makes its first light thread: from now on it is one of a crew.
    fn gather(&mut self, spawned: Spawned) -> Option<Flow> {
        let co = self.co.take()?;
        let id = co.ptr;
        let crew = Crew::new(self.vm.clone(), co, self.scope.plugin.get());
        self.crew = Some(crew.clone());
        let thread = self.take_in(&crew, id, spawned);
        self.advance(&crew, thread.0, thread.1)
    }

    /// The client is gone: what `ngx.on_abort` was given runs beside what runs already. False if there is nothing
    /// to run it beside, or nothing was given.
    pub fn client_gone(&mut self) -> bool {
        let Some(spawned) = self.scope.on_abort.borrow_mut().take() else {
            return false;
        };
        let crew = match (&self.crew, self.co.take()) {
            (Some(crew), _) => crew.clone(),
            (None, None) => return false,
            (None, Some(co)) => {
                let id = co.ptr;
                let crew = Crew::new(self.vm.clone(), co, self.scope.plugin.get());
                match self.wait.take() {
                    Some(wait) => crew.wait(id, wait),
                    None => crew.post(id, 0),
                }
                self.crew.insert(crew).clone()
            }
        };
        let nargs = spawned.nargs;
        let id = crew.spawn(spawned);
        crew.post(id, nargs);
        true
    }

    /// Queues the member that made a thread, with the handle it gets; the thread, which is next, and its arguments.
    fn take_in(&self, crew: &Crew, by: Id, spawned: Spawned) -> (Id, c_int) {
        let nargs = spawned.nargs;
        let id = crew.spawn(spawned);
        // SAFETY: the thread's stack has room for one more (`spawn` saw to it) and the other is empty.
        unsafe {
            ffi::lua_pushthread(id);
            ffi::lua_xmove(id, by, 1);
        }
        crew.post(by, 1);
        (id, nargs)
    }

    /// Resumes a member, and whom that leads to at once; the flow if the run is over.
    fn advance(&mut self, crew: &Rc<Crew>, mut id: Id, mut nargs: c_int) -> Option<Flow> {
        loop {
            if self.spin.exceeds(self.vm.watch.limit) {
                return Some(self.vm.runaway(id, &self.scope, &crew.parents(id)));
            }
            crew.with(id, |m| self.scope.plugin.set(m.plugin));
            let captures = self.scope.captures.get();
            let began = self.spin.begin();
            let (step, nested) = self.vm.resume(id, &self.scope, nargs, Some(crew));
            self.spin.end(began);
            crew.with(id, |m| {
                m.plugin = self.scope.plugin.get();
                m.nested = nested;
                m.captures = self.scope.captures.get() > captures;
            });
            match step {
                Step::Ended(Flow::Exit(code)) => return Some(Flow::Exit(code)),
                Step::Ended(flow) if crew.is_entry(id) => return self.entry_ended(crew, id, flow),
                Step::Ended(flow) => {
                    if let Flow::Failed(fault) = &flow {
                        self.report(id, fault);
                    }
                    match crew.ended(id, matches!(flow, Flow::Done)) {
                        Heir::Waiting(by) => {
                            nargs = crew.results(id, by);
                            id = by;
                        }
                        _ if crew.any_left() => return None,
                        _ => return Some(Flow::Done),
                    }
                }
                Step::Ask(Ask::Wait(future)) => {
                    crew.wait(id, future);
                    return None;
                }
                Step::Ask(Ask::Join(threads)) => {
                    crew.join(id, threads);
                    return None;
                }
                Step::Ask(Ask::Spawn(spawned)) => (id, nargs) = self.take_in(crew, id, spawned),
                Step::Turn => {
                    crew.post(id, 0);
                    return None;
                }
            }
        }
    }

    fn entry_ended(&self, crew: &Crew, id: Id, flow: Flow) -> Option<Flow> {
        if matches!(flow, Flow::Failed(_)) {
            return Some(flow); // the crew goes with the run
        }
        let (co, any) = crew.entry_ended(id);
        if let Some(co) = co {
            // SAFETY: shrinking a stack is total.
            unsafe { ffi::lua_settop(co.ptr, 0) };
            self.vm.give_coroutine(co);
        }
        (!any).then_some(flow)
    }

    /// A light thread failed: logged. Who waits gets, as in OpenResty, what lay on the stack of the function that
    /// failed, the error last.
    fn report(&mut self, id: Id, fault: &Fault) {
        let began = self.spin.begin();
        if fault.kind != FaultKind::Error {
            // there OpenResty's process ends; here what took the memory must go, and the message alone is left
            // SAFETY: keeps the value on top, which the error is, and drops what is below.
            unsafe {
                if ffi::lua_gettop(id) > 1 {
                    ffi::lua_replace(id, 1);
                    ffi::lua_settop(id, 1);
                }
            }
        }
        if let Some(report) = REPORT.get() {
            let entered = scope::enter(self.scope.clone());
            report(&self.scope, fault);
            drop(entered);
        }
        self.vm.recover_memory();
        self.spin.end(began);
    }

    fn poll_crew(&mut self, crew: &Rc<Crew>, cx: &mut Context<'_>) -> Poll<Flow> {
        crew.listen(cx.waker());
        for _ in 0..AT_ONCE {
            let next = match crew.next_ready() {
                Some(next) => next,
                None => {
                    let entered = scope::enter(self.scope.clone());
                    let woken = crew.next_woken();
                    drop(entered);
                    match woken {
                        None => {
                            self.spin.rest();
                            return Poll::Pending;
                        }
                        Some(None) => continue,
                        Some(Some((id, out))) => {
                            op::set_results(out);
                            (id, 0)
                        }
                    }
                }
            };
            if let Some(flow) = self.advance(crew, next.0, next.1) {
                return Poll::Ready(flow);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Future for Run {
    type Output = Flow;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Flow> {
        let this = &mut *self;
        let _turn = this.vm.turn();
        loop {
            if let Some(crew) = this.crew.clone() {
                let polled = this.poll_crew(&crew, cx);
                if polled.is_ready() {
                    this.crew = None;
                }
                return polled;
            }
            let step = if !this.started {
                this.begin()
            } else {
                if let Some(wait) = &mut this.wait {
                    let entered = scope::enter(this.scope.clone());
                    let polled = wait.as_mut().poll(cx);
                    drop(entered);
                    let Poll::Ready(out) = polled else {
                        this.spin.rest();
                        return Poll::Pending;
                    };
                    this.wait = None;
                    op::set_results(out);
                }
                let Some(co) = this.co.take() else {
                    return Poll::Ready(Flow::Done);
                };
                if this.spin.exceeds(this.vm.watch.limit) {
                    let flow = this.vm.runaway(co.ptr, &this.scope, &[]);
                    this.vm.drop_coroutine(co);
                    return Poll::Ready(flow);
                }
                let began = this.spin.begin();
                let (step, _) = this.vm.resume(co.ptr, &this.scope, 0, None);
                this.spin.end(began);
                this.after(co, step)
            };
            match step {
                Step::Ended(flow) => return Poll::Ready(flow),
                Step::Ask(Ask::Wait(wait)) => {
                    this.wait = Some(wait);
                    // one that is over at once does not let go of the thread by itself
                    if this.spin.is_unfair() {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
                Step::Ask(Ask::Spawn(spawned)) => {
                    if let Some(flow) = this.gather(spawned) {
                        this.crew = None;
                        return Poll::Ready(flow);
                    }
                }
                Step::Ask(Ask::Join(_)) | Step::Turn => {
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
        self.crew = None;
        if let Some(co) = self.co.take() {
            self.vm.drop_coroutine(co);
        }
    }
}
