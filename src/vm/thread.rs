//! `ngx.thread.spawn`, `wait`, `kill`, and what `coroutine.lua` needs beyond Lua's own functions.
//!
//! These are no ops: they move values between Lua stacks and yield to the driver, which resumes each light thread
//! itself, in the order in which OpenResty does. A frame here owns nothing droppable while Lua may raise.
//! Must not: decide who runs next.
//!
//! # Source
//! lua-nginx-module: `ngx_http_lua_uthread.c`, `ngx_http_lua_coroutine.c`.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_int};
use std::rc::Rc;

use mlua::ffi;

use super::crew::{Crew, Id, Spawned, Standing};
use super::op::{self, Ask};
use super::scope;
use super::state::{Coroutine, Registrar};
use crate::exchange::Phase;

thread_local! {
    /// The coroutine that the driver resumed.
    static TOP: Cell<Id> = const { Cell::new(std::ptr::null_mut()) };
    /// The light threads of the run that runs.
    static CREW: RefCell<Option<Rc<Crew>>> = const { RefCell::new(None) };
    /// `lua_check_client_abort`
    static CHECK_ABORT: Cell<bool> = const { Cell::new(false) };
}

/// The key of the table of coroutines that `coroutine.resume` must not touch: `false` for the driver's own, a number
/// for a light thread ([`origin`]), and for a user coroutine that waits its status.
static AWAY: u8 = 0;

fn away_key() -> *const std::ffi::c_void {
    std::ptr::from_ref(&AWAY).cast()
}

/// Says which coroutine of which crew runs until the guard is dropped.
pub(super) struct Running {
    outer: Id,
    outer_crew: Option<Rc<Crew>>,
    crewed: bool,
}

pub(super) fn running(top: Id, crew: Option<&Rc<Crew>>) -> Running {
    let crewed = crew.is_some() || CREW.with_borrow(Option::is_some);
    Running {
        outer: TOP.replace(top),
        outer_crew: if crewed { CREW.replace(crew.cloned()) } else { None },
        crewed,
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        TOP.set(self.outer);
        if self.crewed {
            CREW.replace(self.outer_crew.take());
        }
    }
}

fn crew<R>(f: impl FnOnce(&Rc<Crew>) -> R) -> Option<R> {
    let crew = CREW.with_borrow(Option::clone)?;
    Some(f(&crew))
}

/// Where handlers may wait.
pub const YIELDABLE: u32 = Phase::Certificate as u32
    | Phase::ClientHello as u32
    | Phase::Rewrite as u32
    | Phase::Access as u32
    | Phase::Response as u32
    | Phase::Timer as u32
    | Phase::Error as u32
    | Phase::AdminApi as u32;

/// Raises unless handlers may wait here.
unsafe fn check_here(state: Id) {
    // SAFETY: only strings that live for ever are pushed before the error is raised.
    unsafe {
        if scope::with(|_| ()).is_none() {
            raise(state, c"no request found");
        }
        if scope::phase() as u32 & YIELDABLE == 0 {
            disabled(state);
        }
    }
}

/// Raises that a function is not to be used in the running phase.
unsafe fn disabled(state: Id) -> c_int {
    // SAFETY: as in `check_here`.
    unsafe {
        ffi::luaL_where(state, 1);
        ffi::lua_pushstring(state, c"API disabled in the context of ".as_ptr());
        let place = scope::phase().lua_context();
        ffi::lua_pushlstring(state, place.as_ptr().cast(), place.len());
        ffi::lua_concat(state, 3);
        ffi::lua_error(state);
    }
}

unsafe fn raise(state: Id, text: &CStr) -> c_int {
    // SAFETY: the format has one place and the text is a C string.
    unsafe { ffi::luaL_error(state, c"%s".as_ptr(), text.as_ptr()) }
}

unsafe fn fail(state: Id, text: &'static CStr) -> c_int {
    // SAFETY: pushes two values; every C function has room for them.
    unsafe {
        ffi::lua_pushnil(state);
        ffi::lua_pushstring(state, text.as_ptr());
    }
    2
}

unsafe fn check_lua_function(state: Id) {
    // SAFETY: reads the type of argument 1.
    unsafe {
        if ffi::lua_type(state, 1) != ffi::LUA_TFUNCTION || ffi::lua_iscfunction(state, 1) != 0 {
            ffi::luaL_argerror(state, 1, c"Lua function expected".as_ptr());
        }
    }
}

unsafe fn check_thread(state: Id, i: c_int, message: &CStr) -> Id {
    // SAFETY: reads argument i.
    unsafe {
        let co = ffi::lua_tothread(state, i);
        if co.is_null() {
            ffi::luaL_argerror(state, i, message.as_ptr());
        }
        co
    }
}

unsafe fn check_yieldable(state: Id) {
    // SAFETY: reads the state.
    unsafe {
        if lua_isyieldable(state) == 0 {
            // without a position, as lua_yield itself has it
            ffi::lua_pushstring(state, c"attempt to yield across C-call boundary".as_ptr());
            ffi::lua_error(state);
        }
    }
}

unsafe extern "C-unwind" {
    fn lua_isyieldable(state: *mut ffi::lua_State) -> c_int;
}

unsafe fn yield_to_driver(state: Id, ask: Ask) -> c_int {
    op::ask(ask);
    // SAFETY: the sentinel alone is yielded; `ask` was moved away, so nothing droppable is alive.
    unsafe {
        ffi::lua_pushlightuserdata(state, op::wait_sentinel());
        ffi::lua_yield(state, 1)
    }
}

/// `spawn(f, ...)`: a light thread that runs at once; the caller goes on when it waits.
pub(super) unsafe extern "C-unwind" fn spawn(state: Id) -> c_int {
    // SAFETY: every call that may raise is made while this frame owns plain numbers and pointers only.
    unsafe {
        if scope::with(|_| ()).is_none() {
            return raise(state, c"no request found");
        }
        check_lua_function(state);
        check_here(state);
        check_yieldable(state);
        if crew(|c| c.is_full()) == Some(true) {
            return raise(state, c"too many light threads");
        }
        let n = ffi::lua_gettop(state);
        // a place for each reference first, so that a failure leaves nothing behind
        let anchor = if state == TOP.get() {
            None
        } else {
            ffi::lua_pushthread(state);
            Some(ffi::luaL_ref(state, ffi::LUA_REGISTRYINDEX))
        };
        let co = ffi::lua_newthread(state);
        set_away(state, origin(state));
        let reference = ffi::luaL_ref(state, ffi::LUA_REGISTRYINDEX);
        let main = scope::with(|s| s.vm.main).unwrap_or(state);
        // one more for the handle that the driver moves to the caller
        let room = ffi::lua_checkstack(co, n + 1) != 0;
        let made = Coroutine { ptr: co, reference };
        if !room {
            drop(Spawned::new(main, made, state, anchor, 0));
            return raise(state, c"too many arguments");
        }
        ffi::lua_xmove(state, co, n);
        yield_to_driver(state, Ask::Spawn(Spawned::new(main, made, state, anchor, n - 1)))
    }
}

/// What is known of a light thread when it is gone: the slot of its run, and in the lower bits a sign of its parent.
fn origin(parent: Id) -> f64 {
    let slot = scope::with(|s| u64::from(s.slot)).unwrap_or_default();
    ((slot << SIGN_BITS) | sign(parent)) as f64
}

const SIGN_BITS: u32 = 20;

fn sign(parent: Id) -> u64 {
    ((parent as usize >> 4) as u64) & ((1 << SIGN_BITS) - 1)
}

/// `away[the coroutine on top of the stack] = number`
unsafe fn set_away(state: Id, number: f64) {
    // SAFETY: pushes and pops; may raise when out of memory.
    unsafe {
        ffi::lua_rawgetp(state, ffi::LUA_REGISTRYINDEX, away_key());
        ffi::lua_pushvalue(state, -2);
        ffi::lua_pushnumber(state, number);
        ffi::lua_rawset(state, -3);
        ffi::lua_settop(state, -2);
    }
}

/// What the table says of argument `i`: its Lua type, and the number if it is one. The value stays on the stack.
unsafe fn away_of(state: Id, i: c_int) -> (c_int, f64) {
    // SAFETY: pushes two values and takes one away; the key exists since the state was made.
    unsafe {
        ffi::lua_rawgetp(state, ffi::LUA_REGISTRYINDEX, away_key());
        ffi::lua_pushvalue(state, i);
        ffi::lua_rawget(state, -2);
        let kind = ffi::lua_type(state, -1);
        let number = if kind == ffi::LUA_TNUMBER {
            ffi::lua_tonumber(state, -1)
        } else {
            0.0
        };
        (kind, number)
    }
}

/// Whether argument `i`, no member, was a light thread of this run, and if so whether the running coroutine made
/// it; raises if it was one of another run.
unsafe fn was_thread(state: Id, i: c_int) -> Option<bool> {
    // SAFETY: as in `away_of`.
    unsafe {
        let (kind, number) = away_of(state, i);
        ffi::lua_settop(state, -3);
        if kind != ffi::LUA_TNUMBER {
            return None;
        }
        let number = number as u64;
        if scope::with(|s| u64::from(s.slot)) != Some(number >> SIGN_BITS) {
            raise(state, c"no co ctx found");
        }
        Some(number & ((1 << SIGN_BITS) - 1) == sign(state))
    }
}

/// `wait(thread, ...)`: the results of the first to end.
pub(super) unsafe extern "C-unwind" fn wait(state: Id) -> c_int {
    // SAFETY: as in `spawn`; the list of threads is made when nothing raises any more.
    unsafe {
        check_here(state);
        let n = ffi::lua_gettop(state);
        if n == 0 {
            return raise(state, c"at least one coroutine should be specified");
        }
        let mut alive = 0;
        for i in 1..=n {
            let co = check_thread(state, i, c"lua thread expected");
            match crew(|c| c.standing(co, state)).unwrap_or(Standing::None) {
                Standing::None => match was_thread(state, i) {
                    Some(true) if i == n => return fail(state, c"already waited or killed"),
                    Some(true) => {}
                    Some(false) => return raise(state, c"only the parent coroutine can wait on the thread"),
                    None => {
                        return raise(state, c"attempt to wait on a coroutine that is not a user thread");
                    }
                },
                Standing::NotYours => {
                    return raise(state, c"only the parent coroutine can wait on the thread");
                }
                Standing::Ended => {
                    ffi::luaL_checkstack(state, ffi::lua_gettop(co) + 1, c"too many results".as_ptr());
                    return crew(|c| c.results(co, state)).unwrap_or_default();
                }
                Standing::Alive => alive += 1,
            }
        }
        check_yieldable(state);
        let mut threads = Vec::with_capacity(alive);
        for i in 1..=n {
            let co = ffi::lua_tothread(state, i);
            if matches!(crew(|c| c.standing(co, state)), Some(Standing::Alive)) {
                threads.push(co);
            }
        }
        ffi::lua_settop(state, 0);
        yield_to_driver(state, Ask::Join(threads))
    }
}

/// `kill(thread)`: 1, or nil and why not.
pub(super) unsafe extern "C-unwind" fn kill(state: Id) -> c_int {
    // SAFETY: as in `spawn`.
    unsafe {
        check_here(state);
        let co = check_thread(state, 1, c"lua thread expected");
        match crew(|c| c.standing(co, state)).unwrap_or(Standing::None) {
            Standing::None => match was_thread(state, 1) {
                Some(true) => fail(state, c"already waited or killed"),
                Some(false) => fail(state, c"killer not parent"),
                None => fail(state, c"not user thread"),
            },
            // a parent that this very thread resumed
            Standing::Alive if co == TOP.get() => fail(state, c"killer not parent"),
            Standing::NotYours => fail(state, c"killer not parent"),
            Standing::Ended => {
                crew(|c| c.kill(co));
                fail(state, c"already terminated")
            }
            Standing::Alive if crew(|c| c.captures(co)) == Some(true) => fail(state, c"pending subrequests"),
            Standing::Alive => {
                crew(|c| c.kill(co));
                ffi::lua_pushnumber(state, 1.0);
                1
            }
        }
    }
}

/// Says whether `ngx.on_abort` is there for this OS thread's handlers (`lua_check_client_abort`).
pub fn check_client_abort(on: bool) {
    CHECK_ABORT.set(on);
}

/// Whether it is.
pub fn checks_client_abort() -> bool {
    CHECK_ABORT.get()
}

/// `on_abort(f)`: keeps a light thread that runs when the client goes away; 1, or nil and why not.
unsafe extern "C-unwind" fn on_abort(state: Id) -> c_int {
    // SAFETY: as in `spawn`.
    unsafe {
        match scope::with(|s| (s.exchange.is_some(), s.minds_abort())) {
            None => return raise(state, c"no request found"),
            Some((false, _)) => return disabled(state),
            Some((true, true)) => return fail(state, c"duplicate call"),
            Some((true, false)) => {}
        }
        if !CHECK_ABORT.get() {
            return fail(state, c"lua_check_client_abort is off");
        }
        check_lua_function(state);
        check_here(state);
        let co = ffi::lua_newthread(state);
        set_away(state, origin(std::ptr::null_mut()));
        let reference = ffi::luaL_ref(state, ffi::LUA_REGISTRYINDEX);
        let main = scope::with(|s| s.vm.main).unwrap_or(state);
        ffi::lua_settop(state, 1);
        ffi::lua_xmove(state, co, 1);
        scope::with(|s| {
            let made = Coroutine { ptr: co, reference };
            let kept = Spawned::new(main, made, std::ptr::null_mut(), None, 0);
            *s.on_abort.borrow_mut() = Some(kept);
        });
        ffi::lua_pushnumber(state, 1.0);
        1
    }
}

/// `status(co)`: as Lua's, and as OpenResty's of light threads and of coroutines that wait.
unsafe extern "C-unwind" fn status(state: Id) -> c_int {
    // SAFETY: reads coroutines that are arguments.
    unsafe {
        let co = check_thread(state, 1, c"coroutine expected");
        let phase = scope::phase() as u32;
        let own = scope::with(|_| ()).is_some();
        if own && phase & (YIELDABLE | FILTERS) == 0 {
            check_here(state);
        }
        let word = plain_status(state, co);
        if own && phase & FILTERS == 0 && co != TOP.get() && word != c"normal" {
            if let Some(word) = crew(|c| c.status(co)).flatten() {
                ffi::lua_pushstring(state, word.as_ptr());
                return 1;
            }
            match away_of(state, 1).0 {
                ffi::LUA_TSTRING => return 1,
                // a thread that is gone, or another run's
                ffi::LUA_TNUMBER => {
                    ffi::lua_pushstring(state, c"dead".as_ptr());
                    return 1;
                }
                _ => {}
            }
        }
        ffi::lua_pushstring(state, word.as_ptr());
        1
    }
}

const FILTERS: u32 = Phase::HeaderFilter as u32 | Phase::BodyFilter as u32;

/// Lua's own word for a coroutine.
unsafe fn plain_status(state: Id, co: Id) -> &'static CStr {
    // SAFETY: reads a coroutine that is alive.
    unsafe {
        if co == state {
            return c"running";
        }
        match ffi::lua_status(co) {
            ffi::LUA_YIELD => c"suspended",
            0 => {
                let mut ar: ffi::lua_Debug = std::mem::zeroed();
                if ffi::lua_getstack(co, 0, &raw mut ar) != 0 {
                    c"normal"
                } else if ffi::lua_gettop(co) == 0 {
                    c"dead"
                } else {
                    c"suspended"
                }
            }
            _ => c"dead",
        }
    }
}

/// The stack of a thread that runs Lua, bytes: C functions that call Lua back (`string.gsub`) go about as deep as Lua's
/// own stack has room for, 64 Ki slots, and that must end in Lua's error. Only what is touched takes memory.
pub const STACK: usize = 64 << 20;

thread_local! {
    /// Where this thread's stack is half full; 0 where the system does not say.
    static HALF: usize = half_of_stack();
}

fn half_of_stack() -> usize {
    // SAFETY: the calls fill in and free what they are given, and ask only about the calling thread.
    unsafe {
        let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
        if libc::pthread_getattr_np(libc::pthread_self(), &raw mut attributes) != 0 {
            return 0;
        }
        let (mut low, mut size) = (std::ptr::null_mut(), 0);
        let known = libc::pthread_attr_getstack(&raw const attributes, &raw mut low, &raw mut size) == 0;
        libc::pthread_attr_destroy(&raw mut attributes);
        if known { low as usize + size / 2 } else { 0 }
    }
}

/// `refused(f)`: why `create` and `wrap` do not take it, with a place for the function's name; nil if they do.
unsafe extern "C-unwind" fn refused(state: Id) -> c_int {
    // SAFETY: reads argument 1, pushes at most one string.
    unsafe {
        let plain = ffi::lua_type(state, 1) == ffi::LUA_TFUNCTION;
        let own = scope::with(|_| ()).is_some() && scope::phase() as u32 & FILTERS == 0;
        // coroutines in coroutines, each on the C stack of the last, are limited by nothing else
        if std::ptr::from_ref(&plain) as usize <= HALF.with(|h| *h) {
            ffi::lua_pushstring(state, c"C stack overflow".as_ptr());
            return 1;
        }
        if plain && (!own || ffi::lua_iscfunction(state, 1) == 0) {
            return 0;
        }
        let expected: *const c_char = if own {
            c"bad argument #1 to '%s' (Lua function expected)".as_ptr()
        } else {
            c"bad argument #1 to '%s' (function expected)".as_ptr()
        };
        ffi::lua_pushstring(state, expected);
        1
    }
}

/// Brings the table of what is away and the functions into a state; what `coroutine.lua` takes.
pub(super) fn install(r: &Registrar) -> mlua::Result<mlua::Table> {
    r.op("vm", "spawn", spawn)?;
    r.op("vm", "wait_threads", wait)?;
    r.op("vm", "kill", kill)?;
    r.op("vm", "status", status)?;
    r.op("vm", "on_abort", on_abort)?;
    r.op("vm", "refused", refused)?;
    let away = r.lua.create_table()?;
    let weak = r.lua.create_table()?;
    weak.set("__mode", "k")?;
    away.set_metatable(Some(weak))?;
    // SAFETY: runs protected by mlua with the table on the stack, which rawsetp pops.
    unsafe {
        r.lua.exec_raw::<()>(&away, |state| {
            ffi::lua_rawsetp(state, ffi::LUA_REGISTRYINDEX, away_key());
        })?;
    }
    Ok(away)
}

/// Marks a coroutine of the driver's, on top of the stack, as none that user code may resume.
pub(super) unsafe fn mark_driven(state: Id) {
    // SAFETY: as in `set_away`.
    unsafe {
        ffi::lua_rawgetp(state, ffi::LUA_REGISTRYINDEX, away_key());
        ffi::lua_pushvalue(state, -2);
        ffi::lua_pushboolean(state, 1);
        ffi::lua_rawset(state, -3);
        ffi::lua_settop(state, -2);
    }
}
