//! Ops: Rust functions that Lua calls as raw `lua_CFunction`s.
//!
//! An op is `fn(&Args, &mut Ret)`: typed, total, and without Lua while it computes. The trampoline runs it
//! inside `catch_unwind`, and only afterwards pushes what it left in [`Ret`], when nothing droppable is alive:
//! a Rust panic never crosses a Lua frame, and a Lua error (out of memory while pushing) never crosses Rust
//! destructors. An op that waits leaves a future with [`Ret::wait`]; its Lua face then calls `take()` for the
//! results. Must not: know which ops exist.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell, UnsafeCell};
use std::ffi::{c_int, c_void};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use bytes::Bytes;
use mlua::ffi;

use super::crew::Spawned;

/// What a Lua argument is, as `type()` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    None,
    Nil,
    Boolean,
    Light,
    Number,
    String,
    Table,
    Function,
    Userdata,
    Thread,
    Cdata,
}

/// The arguments of one op call. Borrowed strings live as long as the call.
pub struct Args {
    state: *mut ffi::lua_State,
    top: c_int,
}

impl Args {
    /// How many arguments were given.
    pub fn len(&self) -> usize {
        self.top as usize
    }

    /// The coroutine that called.
    pub(super) fn state(&self) -> *mut ffi::lua_State {
        self.state
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.top == 0
    }

    /// The kind of argument `i`, counted from 1.
    pub fn kind(&self, i: usize) -> Kind {
        // SAFETY: the state is live during the call; lua_type neither allocates nor raises.
        match unsafe { ffi::lua_type(self.state, i as c_int) } {
            ffi::LUA_TNIL => Kind::Nil,
            ffi::LUA_TBOOLEAN => Kind::Boolean,
            ffi::LUA_TLIGHTUSERDATA => Kind::Light,
            ffi::LUA_TNUMBER => Kind::Number,
            ffi::LUA_TSTRING => Kind::String,
            ffi::LUA_TTABLE => Kind::Table,
            ffi::LUA_TFUNCTION => Kind::Function,
            ffi::LUA_TUSERDATA => Kind::Userdata,
            ffi::LUA_TTHREAD => Kind::Thread,
            ffi::LUA_TNONE => Kind::None,
            _ => Kind::Cdata,
        }
    }

    /// Argument `i` if it is a string (numbers are the Lua face's to convert).
    #[inline]
    pub fn str(&self, i: usize) -> Option<&[u8]> {
        // SAFETY: on a value of type string lua_tolstring neither allocates nor raises; the string is an
        // argument on the stack and so stays alive and in place during the call.
        unsafe {
            if ffi::lua_type(self.state, i as c_int) != ffi::LUA_TSTRING {
                return None;
            }
            let mut len = 0usize;
            let p = ffi::lua_tolstring(self.state, i as c_int, &mut len);
            Some(std::slice::from_raw_parts(p.cast::<u8>(), len))
        }
    }

    /// Argument `i` if it is a number.
    #[inline]
    pub fn num(&self, i: usize) -> Option<f64> {
        // SAFETY: type checked first; lua_tonumber on a number is total.
        unsafe {
            (ffi::lua_type(self.state, i as c_int) == ffi::LUA_TNUMBER)
                .then(|| ffi::lua_tonumber(self.state, i as c_int))
        }
    }

    /// Argument `i` as an integer (truncated, saturating), if it is a number.
    #[inline]
    pub fn int(&self, i: usize) -> Option<i64> {
        self.num(i).map(|n| n as i64)
    }

    /// Argument `i` as Lua judges truth.
    #[inline]
    pub fn truthy(&self, i: usize) -> bool {
        // SAFETY: total.
        unsafe { ffi::lua_toboolean(self.state, i as c_int) != 0 }
    }
}

#[derive(Clone, Copy)]
enum Val {
    Nil,
    Bool(bool),
    Num(f64),
    Str { off: usize, len: usize },
    Static(&'static [u8]),
    Held(usize),
    Light(*mut c_void),
    Table { narr: c_int, nrec: c_int },
    RawSet,
    RawSeti(c_int),
}

/// Values on their way to Lua: an instruction list and the bytes it speaks of.
#[derive(Default)]
pub struct Out {
    vals: Vec<Val>,
    bytes: Vec<u8>,
    held: Vec<Bytes>,
    count: c_int,
    depth: u32,
    deepest: u32,
}

impl Out {
    /// No values.
    pub fn new() -> Self {
        Self::empty()
    }

    const fn empty() -> Self {
        Self {
            vals: Vec::new(),
            bytes: Vec::new(),
            held: Vec::new(),
            count: 0,
            depth: 0,
            deepest: 0,
        }
    }

    #[inline]
    fn clear(&mut self) {
        if self.vals.is_empty() {
            return;
        }
        self.vals.clear();
        self.bytes.clear();
        if self.bytes.capacity() > 1 << 20 {
            self.bytes = Vec::new();
        }
        if !self.held.is_empty() {
            self.held.clear();
        }
        self.count = 0;
        self.depth = 0;
        self.deepest = 0;
    }

    #[inline]
    fn push(&mut self, v: Val) -> &mut Self {
        if self.depth == 0 {
            self.count += 1;
        }
        self.vals.push(v);
        self
    }

    /// Pushes nil.
    pub fn nil(&mut self) -> &mut Self {
        self.push(Val::Nil)
    }

    /// Pushes a boolean.
    pub fn bool(&mut self, b: bool) -> &mut Self {
        self.push(Val::Bool(b))
    }

    /// Pushes a number.
    pub fn num(&mut self, n: impl Into<f64>) -> &mut Self {
        self.push(Val::Num(n.into()))
    }

    /// Pushes an integer as a Lua number.
    pub fn int(&mut self, n: i64) -> &mut Self {
        self.push(Val::Num(n as f64))
    }

    /// Pushes a copy of a string.
    #[inline]
    pub fn str(&mut self, s: impl AsRef<[u8]>) -> &mut Self {
        let s = s.as_ref();
        let off = self.bytes.len();
        self.bytes.extend_from_slice(s);
        self.push(Val::Str { off, len: s.len() })
    }

    /// Pushes a string that lives for ever, without a copy of ours.
    pub fn lit(&mut self, s: &'static str) -> &mut Self {
        self.push(Val::Static(s.as_bytes()))
    }

    /// Pushes a (large) buffer without a copy of ours.
    pub fn held(&mut self, b: Bytes) -> &mut Self {
        self.held.push(b);
        let i = self.held.len() - 1;
        self.push(Val::Held(i))
    }

    /// Pushes a string or nil.
    pub fn opt(&mut self, s: Option<impl AsRef<[u8]>>) -> &mut Self {
        match s {
            Some(s) => self.str(s),
            None => self.nil(),
        }
    }

    /// Pushes a light userdata.
    pub fn light(&mut self, p: *mut c_void) -> &mut Self {
        self.push(Val::Light(p))
    }

    /// Pushes `nil, message`.
    pub fn fail(&mut self, message: impl AsRef<[u8]>) -> &mut Self {
        self.nil().str(message)
    }

    /// Builds a table: inside `f`, each pushed pair followed by [`Out::set`] is a field, each pushed value
    /// followed by [`Out::seti`] an array item.
    pub fn table(&mut self, narr: usize, nrec: usize, f: impl FnOnce(&mut Out)) -> &mut Self {
        self.push(Val::Table {
            narr: narr.min(1 << 20) as c_int,
            nrec: nrec.min(1 << 20) as c_int,
        });
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        f(self);
        self.depth -= 1;
        self
    }

    /// `table[key] = value` for the two values pushed last.
    pub fn set(&mut self) -> &mut Self {
        self.vals.push(Val::RawSet);
        self
    }

    /// `table[i] = value` for the value pushed last.
    pub fn seti(&mut self, i: usize) -> &mut Self {
        self.vals.push(Val::RawSeti(i as c_int));
        self
    }
}

/// A wait that an op began; resolves to what its `take()` returns.
pub type Pending = Pin<Box<dyn Future<Output = Out>>>;

enum After {
    Return,
    Raise,
    Wait,
    Exit,
}

/// Where an op leaves its results.
pub struct Ret {
    out: Out,
    after: After,
    pending: Option<Pending>,
}

impl std::ops::Deref for Ret {
    type Target = Out;
    fn deref(&self) -> &Out {
        &self.out
    }
}

impl std::ops::DerefMut for Ret {
    fn deref_mut(&mut self) -> &mut Out {
        &mut self.out
    }
}

impl Ret {
    const fn new() -> Self {
        Self {
            out: Out::empty(),
            after: After::Return,
            pending: None,
        }
    }

    /// Makes the call raise `message` (prefixed with the caller's position) instead of returning.
    pub fn raise(&mut self, message: impl AsRef<[u8]>) {
        self.out.clear();
        self.out.str(message);
        self.after = After::Raise;
    }

    /// Yields the running handler until `future` is done. Outside a yieldable place Lua raises
    /// "attempt to yield across C-call boundary" and the future is dropped.
    pub fn wait(&mut self, future: impl Future<Output = Out> + 'static) {
        self.pending = Some(Box::pin(future));
        self.after = After::Wait;
    }

    /// Abandons the running handler with `code` (`ngx.exit` in the yielding phases).
    pub fn exit(&mut self, code: i64) {
        EXIT_CODE.set(code);
        self.after = After::Exit;
    }
}

thread_local! {
    /// The second is for an op that a finalizer calls while the results of another are pushed.
    static RETS: [UnsafeCell<Ret>; 2] = const { [UnsafeCell::new(Ret::new()), UnsafeCell::new(Ret::new())] };
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static ASKED: RefCell<Option<Ask>> = const { RefCell::new(None) };
    static TAKEN: UnsafeCell<Out> =
        const { UnsafeCell::new(Out::empty()) };
    static EXIT_CODE: Cell<i64> = const { Cell::new(0) };
}

static WAIT_MARK: u8 = 1;
static EXIT_MARK: u8 = 2;

/// The light userdata that a waiting coroutine yields.
pub fn wait_sentinel() -> *mut c_void {
    std::ptr::from_ref(&WAIT_MARK).cast_mut().cast()
}

/// The light userdata that an exiting coroutine yields.
pub fn exit_sentinel() -> *mut c_void {
    std::ptr::from_ref(&EXIT_MARK).cast_mut().cast()
}

/// No op is under way: forgets a depth that an error while pushing left behind.
pub(super) fn reset_depth() {
    DEPTH.set(0);
}

/// How many ops are under way.
pub(super) fn depth() -> usize {
    DEPTH.get()
}

/// As many ops are under way as were before other handlers ran.
pub(super) fn set_depth(depth: usize) {
    DEPTH.set(depth);
}

/// What a yield asks of the driver.
pub(super) enum Ask {
    /// To go on when this is done.
    Wait(Pending),
    /// To run a light thread first.
    Spawn(Spawned),
    /// To go on when one of these light threads has ended.
    Join(Vec<*mut ffi::lua_State>),
}

/// Leaves what the yield that follows asks for.
pub(super) fn ask(ask: Ask) {
    let before = ASKED.with(|a| a.borrow_mut().replace(ask));
    drop(before);
}

/// What was asked by who yielded last.
#[inline]
pub(super) fn take_asked() -> Option<Ask> {
    ASKED.with(|a| a.borrow_mut().take())
}

/// The code given to the exit that yielded last.
pub(super) fn exit_code() -> i64 {
    EXIT_CODE.get()
}

/// Sets what the next `take()` returns.
pub(super) fn set_results(out: Out) {
    // SAFETY: thread-local, and no reference to it outlives the statement that makes it.
    TAKEN.with(|t| unsafe { *t.get() = out });
}

/// The raw C function for an op. `f` must be a plain function (zero-sized).
pub fn raw<F>(_f: F) -> ffi::lua_CFunction
where
    F: Fn(&Args, &mut Ret) + Copy + 'static,
{
    const { assert!(size_of::<F>() == 0, "an op is a plain function") };
    trampoline::<F>
}

/// Pushes the position of the nearest caller that is not one of the gateway's own Lua faces: the line that the
/// plugin's author knows.
///
/// # Safety
/// A valid state with room on its stack; may raise when out of memory, so nothing droppable may be alive.
unsafe fn push_where(state: *mut ffi::lua_State) {
    let mut level = 1;
    // SAFETY: lua_Debug is plain data that lua_getstack and lua_getinfo fill in; `short_src` is then a C string.
    unsafe {
        let mut debug: ffi::lua_Debug = std::mem::zeroed();
        while ffi::lua_getstack(state, level, &raw mut debug) != 0 {
            ffi::lua_getinfo(state, c"S".as_ptr(), &raw mut debug);
            let source = std::ffi::CStr::from_ptr(debug.short_src.as_ptr());
            if !source.to_bytes().starts_with(b"moongate/") {
                break;
            }
            level += 1;
        }
        ffi::luaL_where(state, level);
    }
}

unsafe extern "C-unwind" fn trampoline<F>(state: *mut ffi::lua_State) -> c_int
where
    F: Fn(&Args, &mut Ret) + Copy + 'static,
{
    // SAFETY: Lua calls this with a live state. An op runs no Lua, so `ret` is not used by another call; pushing
    // results may collect garbage and so run a finalizer that calls an op, which gets the next Ret by DEPTH. F is
    // zero-sized (asserted in `raw`), so a value of it can be conjured.
    unsafe {
        let depth = DEPTH.get();
        let Some(ret) = RETS.with(|r| r.get(depth).map(UnsafeCell::get)) else {
            return ffi::luaL_error(state, c"an op was called by a finalizer of a finalizer".as_ptr());
        };
        (*ret).out.clear();
        (*ret).after = After::Return;
        let args = Args {
            state,
            top: ffi::lua_gettop(state),
        };
        let f: F = std::ptr::NonNull::<F>::dangling().read();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| f(&args, &mut *ret))) {
            panicked(ret, panic);
        }
        match (*ret).after {
            After::Return if (*ret).out.vals.is_empty() => 0,
            After::Return => {
                DEPTH.set(depth + 1);
                let n = push_all(state, &raw const (*ret).out);
                DEPTH.set(depth);
                n
            }
            After::Raise => {
                DEPTH.set(depth + 1);
                push_where(state);
                push_all(state, &raw const (*ret).out);
                ffi::lua_concat(state, 2);
                DEPTH.set(depth);
                ffi::lua_error(state)
            }
            After::Wait => {
                if let Some(pending) = (*ret).pending.take() {
                    ask(Ask::Wait(pending));
                }
                ffi::lua_settop(state, 0);
                ffi::lua_pushlightuserdata(state, wait_sentinel());
                ffi::lua_yield(state, 1)
            }
            After::Exit => {
                ffi::lua_settop(state, 0);
                ffi::lua_pushlightuserdata(state, exit_sentinel());
                ffi::lua_yield(state, 1)
            }
        }
    }
}

/// Turns a panic into the message of a Lua error.
unsafe fn panicked(ret: *mut Ret, panic: Box<dyn std::any::Any + Send>) {
    let text = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_string())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown panic".to_string());
    // SAFETY: see `trampoline`: the caller's exclusive pointer to this thread's Ret.
    let ret = unsafe { &mut *ret };
    ret.pending = None;
    ret.raise(format!("panic in an op: {text}"));
}

/// `take()`: the results of the wait that just ended.
///
/// # Safety
/// Only Lua may call it, with a live state, as any `lua_CFunction`.
pub unsafe extern "C-unwind" fn take(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: pushes from this thread's results; nothing droppable is alive on this frame.
    unsafe {
        let out: *mut Out = TAKEN.with(UnsafeCell::get);
        push_all(state, out)
    }
}

/// Pushes every value; may raise a Lua memory error, so the caller's frame owns nothing.
unsafe fn push_all(state: *mut ffi::lua_State, out: *const Out) -> c_int {
    // SAFETY: `out` is live and not changed meanwhile (no op runs inside a push); raw loops hold only
    // copies of plain data, so an unwinding Lua error leaks nothing.
    unsafe {
        let n = (*out).vals.len();
        if n > 12 {
            // An open table, a key and a value per level.
            let nested = 3 * (*out).deepest as c_int;
            ffi::luaL_checkstack(state, (*out).count + nested + 12, c"too many results".as_ptr());
        }
        let vals = (*out).vals.as_ptr();
        let bytes = (*out).bytes.as_ptr();
        for i in 0..n {
            match *vals.add(i) {
                Val::Nil => ffi::lua_pushnil(state),
                Val::Bool(b) => ffi::lua_pushboolean(state, c_int::from(b)),
                Val::Num(x) => ffi::lua_pushnumber(state, x),
                Val::Str { off, len } => {
                    ffi::lua_pushlstring(state, bytes.add(off).cast(), len);
                }
                Val::Static(s) => {
                    ffi::lua_pushlstring(state, s.as_ptr().cast(), s.len());
                }
                Val::Held(h) => {
                    let b = (*out).held.as_ptr().add(h);
                    ffi::lua_pushlstring(state, (*b).as_ptr().cast(), (*b).len());
                }
                Val::Light(p) => ffi::lua_pushlightuserdata(state, p),
                Val::Table { narr, nrec } => ffi::lua_createtable(state, narr, nrec),
                Val::RawSet => ffi::lua_rawset(state, -3),
                Val::RawSeti(i) => ffi::lua_rawseti(state, -2, ffi::lua_Integer::from(i) as _),
            }
        }
        (*out).count
    }
}
