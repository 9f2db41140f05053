//! The stack traceback of a handler that failed, as OpenResty writes it: coroutine by coroutine, the one that failed
//! first, then those that wait for it.
//!
//! Must not: run Lua, or change a stack.
//!
//! # Source
//! lua-nginx-module: `ngx_http_lua_thread_traceback`.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt::Write as _;

use mlua::ffi;

use super::crew::Id;
use super::op::{Args, Ret};

/// The key of the table that `coroutine.lua` fills: through which coroutines the latest error came that passed a
/// `coroutine.wrap`. Who it came to, its text, how many they are, and they themselves, innermost first.
static TRAIL: u8 = 0;

fn trail_key() -> *const c_void {
    std::ptr::from_ref(&TRAIL).cast()
}

/// How many frames of a coroutine are told.
const DEPTH: usize = 22;
/// How many coroutines are.
pub(super) const COROUTINES: usize = 5;

/// The traceback of `co`, which failed and has its error on its stack, or was stopped, and of those behind it,
/// `parents`; all of them must be alive.
pub(super) fn traceback(main: Id, co: Id, parents: &[Id]) -> String {
    // SAFETY: reads a coroutine at rest, whose stack keeps the string.
    let text = unsafe {
        if ffi::lua_gettop(co) > 0 && ffi::lua_type(co, -1) == ffi::LUA_TSTRING {
            ffi::lua_tolstring(co, -1, std::ptr::null_mut())
        } else {
            std::ptr::null()
        }
    };
    written(&Came::of(main, co, text), 0, parents)
}

fn written(came: &Came, skip: c_int, parents: &[Id]) -> String {
    let mut out = String::from("stack traceback:");
    let inner = came.through[..came.count].iter();
    let stacks = inner.chain([&came.co]).chain(parents);
    for (number, co) in stacks.take(COROUTINES).enumerate() {
        let _ = write!(out, "\ncoroutine {number}:");
        frames(&mut out, *co, if *co == came.co { skip } else { 0 });
    }
    out
}

/// Through which coroutines the error of `co` came to it.
struct Came {
    co: Id,
    /// The error, as Lua has it; null for what is no string.
    text: *const c_char,
    through: [Id; COROUTINES],
    count: usize,
}

impl Came {
    fn of(state: Id, co: Id, text: *const c_char) -> Self {
        let mut came = Self {
            co,
            text,
            through: [std::ptr::null_mut(); COROUTINES],
            count: 0,
        };
        if !text.is_null() {
            // SAFETY: `came_through` runs protected; the error it may leave is popped.
            unsafe {
                let top = ffi::lua_gettop(state);
                ffi::lua_cpcall(state, came_through, (&raw mut came).cast::<c_void>());
                ffi::lua_settop(state, top);
            }
        }
        came
    }
}

unsafe extern "C-unwind" fn came_through(state: Id) -> c_int {
    // SAFETY: the light userdata is the caller's Came; nothing droppable is alive while Lua may raise. The table's
    // coroutines live until the collector runs, which it does not before the caller is done with them.
    unsafe {
        let came = ffi::lua_touserdata(state, 1).cast::<Came>();
        ffi::lua_rawgetp(state, ffi::LUA_REGISTRYINDEX, trail_key());
        ffi::lua_rawgeti(state, 2, 1);
        ffi::lua_rawgeti(state, 2, 2);
        // Lua has every string but once
        let same = ffi::lua_type(state, 4) == ffi::LUA_TSTRING
            && ffi::lua_tolstring(state, 4, std::ptr::null_mut()) == (*came).text;
        if !same || ffi::lua_tothread(state, 3) != (*came).co {
            return 0;
        }
        for i in 0..COROUTINES {
            ffi::lua_rawgeti(state, 2, i as ffi::lua_Integer + 4);
            let co = ffi::lua_tothread(state, -1);
            if co.is_null() {
                break;
            }
            (*came).through[i] = co;
            (*came).count = i + 1;
        }
    }
    0
}

/// Makes the table that `coroutine.lua` fills.
pub(super) fn install(lua: &mlua::Lua) -> mlua::Result<mlua::Table> {
    let trail = lua.create_table_with_capacity(COROUTINES + 3, 0)?;
    // weak: what a coroutine that failed holds must not stay because of it
    let mode = lua.create_table()?;
    mode.raw_set("__mode", "v")?;
    trail.set_metatable(Some(mode))?;
    // SAFETY: runs protected by mlua with the table on the stack, which rawsetp pops.
    unsafe {
        lua.exec_raw::<()>(&trail, |state| {
            ffi::lua_rawsetp(state, ffi::LUA_REGISTRYINDEX, trail_key())
        })?;
    }
    Ok(trail)
}

/// Appends a coroutine's frames from `first` on.
fn frames(out: &mut String, co: Id, first: c_int) {
    for level in 0.. {
        // SAFETY: lua_Debug is plain data, filled in by the two calls, which only read the coroutine and, with these
        // letters, neither push nor allocate.
        let ar = unsafe {
            let mut ar: ffi::lua_Debug = std::mem::zeroed();
            if ffi::lua_getstack(co, first + level, &raw mut ar) == 0 {
                return;
            }
            ffi::lua_getinfo(co, c"Snl".as_ptr(), &raw mut ar);
            ar
        };
        if level as usize >= DEPTH {
            out.push_str("\n\t...");
            return;
        }
        frame(out, &ar);
    }
}

fn frame(out: &mut String, ar: &ffi::lua_Debug) {
    let source = words(ar.short_src.as_ptr());
    let _ = write!(out, "\n\t{source}:");
    if ar.currentline > 0 {
        let _ = write!(out, "{}:", ar.currentline);
    }
    let (name, what) = (words(ar.name), words(ar.what));
    if !words(ar.namewhat).is_empty() {
        let _ = write!(out, " in function '{name}'");
    } else if what.starts_with('m') {
        out.push_str(" in main chunk");
    } else if what.starts_with('C') {
        out.push_str(" ?");
    } else {
        let _ = write!(out, " in function <{source}:{}>", ar.linedefined);
    }
}

/// A C string of `lua_Debug`'s, empty where there is none.
fn words(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: lua_getinfo leaves C strings: in `lua_Debug` itself, in Lua's own literals, or in strings of the
    // functions on the stack.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// `traceback(skip, error)`: that of the running coroutine, which catches `error`, without its innermost `skip`
/// frames, this op's not counted.
pub(super) fn of_running(a: &Args, r: &mut Ret) {
    let skip = a.int(1).unwrap_or(0).clamp(0, 200) as c_int;
    let text = a.str(2).map_or(std::ptr::null(), |text| text.as_ptr().cast());
    r.str(written(&Came::of(a.state(), a.state(), text), skip + 1, &[]));
}
