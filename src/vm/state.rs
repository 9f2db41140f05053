//! One Lua state: its birth, its coroutines, its slots, its end.
//!
//! Must not: know what handlers do; it is driven by `driver`.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use mlua::{Lua, LuaOptions, StdLib, Table, ffi};

use super::scope::{NO_PLUGIN, Scope};
use super::watchdog::Watch;
use super::{cdata, loader, native, op, strings, thread, trace};
use crate::exchange::Phase;

/// How a state is made.
#[derive(Debug, Clone)]
pub struct VmOptions {
    /// Cap on Lua's memory in bytes; 0 for none.
    pub memory_limit: usize,
    /// CPU time after which a running handler is stopped.
    pub handler_timeout: Duration,
    /// `lua_package_path` and `lua_package_cpath`.
    pub package_path: String,
    /// See `package_path`.
    pub package_cpath: String,
    /// The drop-in folder.
    pub lua_dir: PathBuf,
}

impl Default for VmOptions {
    fn default() -> Self {
        Self {
            memory_limit: 512 << 20,
            handler_timeout: Duration::from_secs(10),
            package_path: String::new(),
            package_cpath: String::new(),
            lua_dir: PathBuf::from("lua"),
        }
    }
}

/// Through which a room brings its ops and modules into a state.
pub struct Registrar<'a> {
    /// The state, for set-up code.
    pub lua: &'a Lua,
    ops: Table,
}

impl Registrar<'_> {
    /// Registers op `name` of `room`: Lua finds it as `require("moongate.ops").room.name`.
    ///
    /// # Errors
    /// When Lua is out of memory.
    pub fn op(&self, room: &str, name: &str, f: ffi::lua_CFunction) -> mlua::Result<()> {
        // SAFETY: `f` comes from `op::raw`, or is a binding that keeps the same rules.
        let f = unsafe { self.lua.create_c_function(f)? };
        let table = match self.ops.raw_get::<Option<Table>>(room)? {
            Some(t) => t,
            None => {
                let t = self.lua.create_table()?;
                self.ops.raw_set(room, &t)?;
                t
            }
        };
        table.raw_set(name, f)
    }

    /// Registers an embedded Lua module under the name that `require` takes.
    ///
    /// # Errors
    /// When Lua is out of memory.
    pub fn module(&self, name: &str, source: loader::Source) -> mlua::Result<()> {
        loader::preload(self.lua, name, source)
    }
}

/// The error of set-up code that the watchdog may stop, with an error that does not say so.
pub trait Stopped {
    /// The same, with what the watchdog says.
    fn stopped(self, told: String) -> Self;
}

impl Stopped for mlua::Error {
    fn stopped(self, told: String) -> Self {
        Self::RuntimeError(told)
    }
}

/// A room's way into a state.
pub type Install = fn(&Registrar) -> mlua::Result<()>;

/// A coroutine of the pool: its thread and the registry reference that keeps it alive.
#[derive(Debug)]
pub(super) struct Coroutine {
    pub(super) ptr: *mut ffi::lua_State,
    pub(super) reference: c_int,
}

/// A Lua function kept in the registry for [`Vm::run`].
#[derive(Debug, Clone, Copy)]
pub struct Func(pub(super) c_int);

/// One Lua state of one worker thread.
pub struct Vm {
    pub(super) main: *mut ffi::lua_State,
    pub(super) watch: Arc<Watch>,
    idle: RefCell<Vec<Coroutine>>,
    live: Cell<usize>,
    threads: Cell<usize>,
    free_slots: RefCell<Vec<u32>>,
    next_slot: Cell<u32>,
    slots_ref: c_int,
    running_ref: c_int,
    turn: Cell<TurnState>,
    memory_limit: usize,
    retired: Cell<bool>,
    references: Cell<usize>,
    guest: RefCell<Option<Rc<dyn std::any::Any>>>,
    lua: Lua,
}

const IDLE_COROUTINES: usize = 1024;

impl Vm {
    /// Builds a state and lets each room install itself, in order.
    ///
    /// # Errors
    /// When a room's Lua does not load.
    pub fn new(options: &VmOptions, rooms: &[Install]) -> mlua::Result<Rc<Self>> {
        // SAFETY: `unsafe_new_with` allows ffi, debug and C modules, which plugins need; they are the
        // operator's own code.
        let lua = unsafe { Lua::unsafe_new_with(StdLib::ALL, LuaOptions::default()) };
        if options.memory_limit > 0 {
            lua.set_memory_limit(options.memory_limit)?;
        }
        let mut main = std::ptr::null_mut();
        // SAFETY: only reads the state's pointer; it stays valid as long as `lua` lives.
        unsafe {
            lua.exec_raw::<()>((), |state| main = main_of(state))?;
        }
        let ops = lua.create_table()?;
        let package: Table = lua.globals().get("package")?;
        let loaded: Table = package.get("loaded")?;
        loaded.set("moongate.ops", &ops)?;
        let slots = lua.create_table()?;
        loaded.set("moongate.slots", &slots)?;
        let running = lua.create_sequence_from([0.0, 1.0, 0.0, 0.0, 0.0])?;
        running.raw_set(5, false)?;
        loaded.set("moongate.running", &running)?;
        let registrar = Registrar { lua: &lua, ops };
        strings::install(&lua)?;
        native::install(&lua, &loaded)?;
        cdata::install(&registrar)?;
        registrar.op("vm", "take", op::take)?;
        registrar.op("vm", "lap", op::raw(lap))?;
        registrar.op("vm", "context", op::raw(context))?;
        registrar.op("vm", "traceback", op::raw(trace::of_running))?;
        let away = thread::install(&registrar)?;
        lua.load(include_str!("coroutine.lua"))
            .set_name("@moongate/vm/coroutine.lua")
            .call::<()>((
                mlua::LightUserData(op::wait_sentinel()),
                mlua::LightUserData(op::exit_sentinel()),
                thread::YIELDABLE,
                away,
                &running,
                registrar.ops.get::<Table>("vm")?,
                trace::install(&lua)?,
            ))?;
        loader::search_paths(
            &lua,
            &options.package_path,
            &options.package_cpath,
            &options.lua_dir,
        )?;
        for room in rooms {
            room(&registrar)?;
        }
        let slots_ref = reference(&lua, slots)?;
        let running_ref = reference(&lua, running)?;
        // luaL_unref keeps its free list in a field that the first call makes; made here, later calls allocate
        // nothing and so cannot fail where no protected call is around them
        let first = reference(&lua, true)?;
        // SAFETY: runs protected by mlua, which catches an allocation's failure.
        unsafe {
            lua.exec_raw::<()>((), |state| ffi::luaL_unref(state, ffi::LUA_REGISTRYINDEX, first))?;
        }
        Ok(Rc::new(Self {
            main,
            watch: Watch::new(main, options.handler_timeout),
            idle: RefCell::default(),
            live: Cell::new(0),
            threads: Cell::new(0),
            free_slots: RefCell::default(),
            next_slot: Cell::new(1),
            slots_ref,
            running_ref,
            turn: Cell::new(TurnState::None),
            memory_limit: options.memory_limit,
            retired: Cell::new(false),
            references: Cell::new(0),
            guest: RefCell::default(),
            lua,
        }))
    }

    /// The state, for set-up code (not for the request path).
    pub fn lua(&self) -> &Lua {
        &self.lua
    }

    /// What a higher floor keeps with the state (the plugin room its plan): scopes made from now on have it.
    pub fn set_guest(&self, guest: Rc<dyn std::any::Any>) {
        let before = self.guest.borrow_mut().replace(guest);
        drop(before);
    }

    /// What [`Vm::set_guest`] set last.
    pub(super) fn guest(&self) -> Option<Rc<dyn std::any::Any>> {
        self.guest.borrow().clone()
    }

    /// Runs set-up code under the watchdog.
    ///
    /// # Errors
    /// Those of `f`; what the watchdog says, where it stopped `f`.
    pub fn guarded<R, E: Stopped>(&self, f: impl FnOnce(&Lua) -> Result<R, E>) -> Result<R, E> {
        self.show(None);
        self.watch.begin();
        let r = f(&self.lua);
        match self.watch.end() {
            true => r.map_err(|e| e.stopped(super::watchdog::told(self.main))),
            false => r,
        }
    }

    /// Keeps a function for [`Vm::run`].
    ///
    /// # Errors
    /// When Lua is out of memory.
    pub fn keep(&self, f: mlua::Function) -> mlua::Result<Func> {
        self.references.set(self.references.get() + 1);
        reference(&self.lua, f).map(Func)
    }

    /// Lets go of a function that [`Vm::keep`] kept and that does not run.
    pub fn release(&self, f: Func) {
        self.references.set(self.references.get() - 1);
        // SAFETY: luaL_unref writes only existing integer keys of the registry: no allocation, no error.
        unsafe { ffi::luaL_unref(self.main, ffi::LUA_REGISTRYINDEX, f.0) };
    }

    /// Coroutines that are running or waiting.
    pub fn live_coroutines(&self) -> usize {
        self.live.get()
    }

    /// Light threads that are running, waiting or not yet waited for.
    pub fn live_threads(&self) -> usize {
        self.threads.get()
    }

    /// Counts light threads as they come and go.
    pub(super) fn count_thread(&self, n: isize) {
        self.threads.set(self.threads.get().saturating_add_signed(n));
    }

    /// Registry references held: kept functions and coroutines, idle ones included.
    pub fn references(&self) -> usize {
        self.references.get()
    }

    /// Whether memory could not be won back: the worker should build a new state.
    pub fn retired(&self) -> bool {
        self.retired.get()
    }

    /// A slot for the tables of one scope.
    pub(super) fn take_slot(&self) -> u32 {
        self.free_slots.borrow_mut().pop().unwrap_or_else(|| {
            let n = self.next_slot.get();
            self.next_slot.set(n + 1);
            n
        })
    }

    /// Slots in use.
    pub fn live_slots(&self) -> usize {
        self.next_slot.get() as usize - 1 - self.free_slots.borrow().len()
    }

    /// Writes into `moongate.running` what runs now: slot, phase, plugin (or false), whether `ngx.ctx` is to be
    /// filled anew, not the time (see [`Vm::turn`]). Faces read it there, which costs them a table access and no
    /// call.
    #[inline]
    pub(super) fn show(&self, scope: Option<&Scope>) {
        let (slot, phase, plugin, stale) = scope.map_or((0, Phase::InitWorker, NO_PLUGIN, false), |s| {
            let stale = s.ctx_phase.get() != s.phase.get() as u32 || s.target_stale.get();
            (s.slot, s.phase.get(), s.plugin.get(), stale)
        });
        // SAFETY: the table's array part has room for these five since it was made and nobody takes them out, so
        // that rawseti neither allocates nor raises; the main state is not running, and its stack is put back.
        unsafe {
            let top = ffi::lua_gettop(self.main);
            ffi::lua_rawgeti(self.main, ffi::LUA_REGISTRYINDEX, self.running_ref.into());
            ffi::lua_pushnumber(self.main, f64::from(slot));
            ffi::lua_rawseti(self.main, -2, 1);
            ffi::lua_pushnumber(self.main, f64::from(phase as u32));
            ffi::lua_rawseti(self.main, -2, 2);
            if plugin == NO_PLUGIN {
                ffi::lua_pushboolean(self.main, 0);
            } else {
                ffi::lua_pushnumber(self.main, f64::from(plugin));
            }
            ffi::lua_rawseti(self.main, -2, 3);
            ffi::lua_pushboolean(self.main, c_int::from(stale));
            ffi::lua_rawseti(self.main, -2, 4);
            ffi::lua_settop(self.main, top);
        }
    }

    /// Begins a turn, during which `ngx.now` answers what it answered first, as between two looks of nginx's for events.
    /// It ends with what is returned; within another there is none of its own.
    pub(super) fn turn(self: &Rc<Self>) -> Option<Turn> {
        (self.turn.get() == TurnState::None).then(|| {
            self.turn.set(TurnState::Begun);
            Turn(self.clone())
        })
    }

    /// In a turn, before anything of it runs: nothing was answered yet.
    #[inline]
    pub(super) fn show_turn(&self) {
        if self.turn.get() == TurnState::Begun {
            self.turn.set(TurnState::Shown);
            self.show_time(true);
        }
    }

    /// Makes the time in `moongate.running` one that is to be asked for once, or each time: outside turns, and in set-up
    /// code, which may run for long.
    fn show_time(&self, once: bool) {
        // SAFETY: as in `show`.
        unsafe {
            let top = ffi::lua_gettop(self.main);
            ffi::lua_rawgeti(self.main, ffi::LUA_REGISTRYINDEX, self.running_ref.into());
            if once {
                ffi::lua_pushnumber(self.main, 0.0);
            } else {
                ffi::lua_pushboolean(self.main, 0);
            }
            ffi::lua_rawseti(self.main, -2, 5);
            ffi::lua_settop(self.main, top);
        }
    }

    /// Forgets the slot's tables and lets another scope have it.
    pub(super) fn free_slot(&self, slot: u32) {
        self.clear_slot(slot);
        self.free_slots.borrow_mut().push(slot);
    }

    /// Forgets the slot's tables.
    pub(super) fn clear_slot(&self, slot: u32) {
        // SAFETY: rawgeti on the registry and rawseti of nil on a plain table neither allocate nor raise; the
        // main state is not running (drops happen outside Lua), and its stack is put back.
        unsafe {
            let top = ffi::lua_gettop(self.main);
            ffi::lua_rawgeti(self.main, ffi::LUA_REGISTRYINDEX, self.slots_ref.into());
            ffi::lua_rawgeti(self.main, -1, i64::from(slot) as _);
            let used = ffi::lua_type(self.main, -1) != ffi::LUA_TNIL;
            ffi::lua_settop(self.main, top + 1);
            if used {
                ffi::lua_pushnil(self.main);
                ffi::lua_rawseti(self.main, -2, i64::from(slot) as _);
            }
            ffi::lua_settop(self.main, top);
        }
    }

    /// A fresh or used coroutine; None when Lua is out of memory.
    pub(super) fn take_coroutine(&self) -> Option<Coroutine> {
        let co = self.idle.borrow_mut().pop().or_else(|| {
            let mut made = Coroutine {
                ptr: std::ptr::null_mut(),
                reference: 0,
            };
            // SAFETY: `new_coroutine` runs protected and writes through the pointer before it returns.
            let status =
                unsafe { ffi::lua_cpcall(self.main, new_coroutine, (&raw mut made).cast::<c_void>()) };
            if status != 0 {
                // SAFETY: drops the error message.
                unsafe { ffi::lua_settop(self.main, -2) };
                return None;
            }
            self.references.set(self.references.get() + 1);
            Some(made)
        })?;
        self.live.set(self.live.get() + 1);
        Some(co)
    }

    /// Takes back a coroutine whose function returned.
    pub(super) fn give_coroutine(&self, co: Coroutine) {
        self.live.set(self.live.get() - 1);
        let mut idle = self.idle.borrow_mut();
        if idle.len() < IDLE_COROUTINES {
            idle.push(co);
        } else {
            self.forget(co);
        }
    }

    /// Drops an errored or abandoned coroutine.
    pub(super) fn drop_coroutine(&self, co: Coroutine) {
        self.live.set(self.live.get() - 1);
        self.forget(co);
    }

    fn forget(&self, co: Coroutine) {
        self.references.set(self.references.get() - 1);
        // SAFETY: luaL_unref writes only existing integer keys of the registry: no allocation, no error.
        unsafe { ffi::luaL_unref(self.main, ffi::LUA_REGISTRYINDEX, co.reference) };
    }

    /// After a failed handler: if memory is short, collects everything; retires the state if that wins too little.
    pub(super) fn recover_memory(&self) {
        if self.memory_limit == 0 || self.lua.used_memory() < self.memory_limit / 4 * 3 {
            return;
        }
        self.idle.borrow_mut().drain(..).for_each(|co| self.forget(co));
        let _ = self.lua.gc_collect();
        let _ = self.lua.gc_collect();
        if self.lua.used_memory() > self.memory_limit / 10 * 9 {
            self.retired.set(true);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TurnState {
    None,
    Begun,
    /// Something of it ran.
    Shown,
}

/// A turn; see [`Vm::turn`].
pub(super) struct Turn(Rc<Vm>);

impl Drop for Turn {
    fn drop(&mut self) {
        if self.0.turn.replace(TurnState::None) == TurnState::Shown {
            self.0.show_time(false);
        }
    }
}

/// How OpenResty names the running phase in its messages; nothing outside any.
fn context(_: &op::Args, ret: &mut op::Ret) {
    if super::scope::with(|_| ()).is_some() {
        ret.lit(super::scope::phase().lua_context());
    }
}

/// Set-up code that works through a long list says that it has come a step further.
fn lap(_: &op::Args, _: &mut op::Ret) {
    super::watchdog::lap();
}

fn reference(lua: &Lua, value: impl mlua::IntoLua) -> mlua::Result<c_int> {
    let mut r = 0;
    // SAFETY: runs protected by mlua with `value` on top of the stack, which luaL_ref pops.
    unsafe {
        lua.exec_raw::<()>(value, |state| r = ffi::luaL_ref(state, ffi::LUA_REGISTRYINDEX))?;
    }
    Ok(r)
}

/// The main state behind a coroutine (mlua may hand out one of its own).
unsafe fn main_of(state: *mut ffi::lua_State) -> *mut ffi::lua_State {
    // mlua runs set-up code on the state it was created with, which is the main one.
    state
}

unsafe extern "C-unwind" fn new_coroutine(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by lua_cpcall with the pointer to a Coroutine as its light userdata; nothing droppable.
    unsafe {
        let made = ffi::lua_touserdata(state, 1).cast::<Coroutine>();
        let ptr = ffi::lua_newthread(state);
        thread::mark_driven(state);
        let reference = ffi::luaL_ref(state, ffi::LUA_REGISTRYINDEX);
        *made = Coroutine { ptr, reference };
    }
    0
}
