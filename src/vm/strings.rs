//! `string.find`, `match`, `gmatch` and `gsub` that can be stopped.
//!
//! The functions stay LuaJIT's, by identity and for the JIT compiler; only the C function behind each is changed for
//! one that first tries matches that may take long, step by step ([`super::pattern`]), and gives up once the watchdog
//! wants the handler to end: its hook is met as soon as Lua goes on. Then, and for all others at once, the C function
//! that was there makes the result. Must not: make results.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

use mlua::{Lua, ffi};

use super::pattern::{End, Trial, is_risky};
use super::watchdog;

const NAMES: [&CStr; 4] = [c"find", c"match", c"gmatch", c"gsub"];
const OURS: [ffi::lua_CFunction; 4] = [find, match_, gmatch, gsub];

/// LuaJIT's own C functions, the same in every state.
static OWN: [AtomicUsize; 4] = [const { AtomicUsize::new(0) }; 4];

/// What iterators of `gmatch` call.
static OWN_STEP: AtomicUsize = AtomicUsize::new(0);

/// Where a C function's object has the function's address, on LuaJIT with 64-bit references: behind the collector's
/// header (16 bytes), the environment, the collector's list and the bytecode.
const ADDRESS_AT: usize = 40;

/// Puts the stoppable functions in; a function whose object looks otherwise is left as it is.
///
/// # Errors
/// When Lua is out of memory.
pub(super) fn install(lua: &Lua) -> mlua::Result<()> {
    // SAFETY: runs protected; the stack has room for two values.
    unsafe {
        lua.exec_raw::<()>((), |l| {
            ffi::lua_getglobal(l, c"string".as_ptr());
            for (at, name) in NAMES.iter().enumerate() {
                ffi::lua_getfield(l, -1, name.as_ptr());
                put(l, OURS[at], &OWN[at]);
                ffi::lua_settop(l, -2);
            }
            ffi::lua_settop(l, -2);
        })
    }
}

/// Changes the C function of the object on top of the stack, and notes what was there.
unsafe fn put(l: *mut ffi::lua_State, ours: ffi::lua_CFunction, noted: &AtomicUsize) {
    // SAFETY: a function's object is larger than ADDRESS_AT, as a closure of none of LuaJIT's kinds is smaller; what is
    // there is the address of its C function only if it says so. The object is not moved, and nothing reads the
    // address meanwhile, for this is the only thread of the state.
    unsafe {
        let Some(own) = ffi::lua_tocfunction(l, -1) else {
            return;
        };
        let place = ffi::lua_topointer(l, -1)
            .cast_mut()
            .cast::<u8>()
            .add(ADDRESS_AT)
            .cast::<usize>();
        if own as usize == ours as usize || place.read() != own as usize {
            return;
        }
        noted.store(own as usize, Ordering::Relaxed);
        place.write(ours as usize);
    }
}

/// LuaJIT's own function.
unsafe fn own(noted: &AtomicUsize, l: *mut ffi::lua_State) -> c_int {
    // SAFETY: our functions are reached only through an object that `put` changed, after it noted what was there. The
    // frame is the caller's: arguments and results are where they would have been.
    unsafe {
        let own: ffi::lua_CFunction = std::mem::transmute(noted.load(Ordering::Relaxed));
        own(l)
    }
}

/// A string's bytes.
unsafe fn text<'a>(l: *mut ffi::lua_State, at: c_int) -> &'a [u8] {
    // SAFETY: on a string, which the caller has seen to, lua_tolstring neither allocates nor raises. An argument or an
    // upvalue stays where it is while the call lasts, and nobody keeps the bytes longer.
    unsafe {
        let mut len = 0;
        let p = ffi::lua_tolstring(l, at, &mut len);
        std::slice::from_raw_parts(p.cast::<u8>(), len)
    }
}

/// The subject and the pattern, if a match may take long and somebody wants to know.
unsafe fn risky<'a>(l: *mut ffi::lua_State) -> Option<(&'a [u8], &'a [u8])> {
    // SAFETY: the types are looked at first.
    unsafe {
        if ffi::lua_type(l, 1) != ffi::LUA_TSTRING || ffi::lua_type(l, 2) != ffi::LUA_TSTRING {
            return None;
        }
        let (subject, pattern) = (text(l, 1), text(l, 2));
        (is_risky(subject.len(), pattern) && watchdog::is_watching()).then_some((subject, pattern))
    }
}

/// Tries what `find` and `match` will; false when it was stopped.
unsafe fn first(l: *mut ffi::lua_State) -> bool {
    // SAFETY: as in `risky`; a number is read where there is one.
    unsafe {
        let Some((subject, pattern)) = risky(l) else {
            return true;
        };
        let init = ffi::lua_tonumber(l, 3);
        let from = match init {
            n if n > 0.0 => (n as usize).saturating_sub(1).min(subject.len()),
            n if n < 0.0 => subject.len().saturating_sub((-n) as usize),
            _ => 0,
        };
        goes_through(subject, pattern, from, Until::First)
    }
}

/// What a call looks for.
#[derive(Clone, Copy)]
enum Until {
    First,
    /// The next of `gmatch`, where `^` anchors nothing.
    Next,
    /// So many, of `gsub`.
    Count(f64),
}

/// Whether what a call looks for was found, or is not there, or LuaJIT refuses; false when the trial was stopped.
fn goes_through(subject: &[u8], pattern: &[u8], from: usize, until: Until) -> bool {
    // a fault of ours costs the protection, not the call
    catch_unwind(|| tried(subject, pattern, from, until)).unwrap_or(true)
}

fn tried(subject: &[u8], pattern: &[u8], from: usize, until: Until) -> bool {
    let anchored = !matches!(until, Until::Next) && pattern.first() == Some(&b'^');
    let mut trial = Trial::new(subject, &pattern[usize::from(anchored)..], watchdog::goes_on);
    let (mut at, mut found) = (from, 0.0);
    while at <= subject.len() {
        let end = match trial.at(at) {
            Ok(end) => end,
            Err(End::Refused) => return true,
            Err(End::Stopped) => return false,
        };
        if end.is_some() {
            found += 1.0;
            let enough = match until {
                Until::First | Until::Next => true,
                Until::Count(most) => found >= most,
            };
            if enough {
                return true;
            }
        }
        if anchored {
            return true;
        }
        at = end.filter(|end| *end > at).unwrap_or(at + 1);
    }
    true
}

unsafe extern "C-unwind" fn find(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by Lua. Where the trial was stopped the hook is met before Lua sees the result.
    unsafe {
        if ffi::lua_toboolean(l, 4) == 0 && !first(l) {
            return 0;
        }
        own(&OWN[0], l)
    }
}

unsafe extern "C-unwind" fn match_(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: as in `find`.
    unsafe {
        if !first(l) {
            return 0;
        }
        own(&OWN[1], l)
    }
}

unsafe extern "C-unwind" fn gmatch(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: as in `find`; the iterator that was made is on top of the stack.
    unsafe {
        let risky = risky(l).is_some();
        let n = own(&OWN[2], l);
        if risky {
            put(l, step, &OWN_STEP);
        }
        n
    }
}

/// An iterator of `gmatch`: the subject, the pattern and the place in the subject are its upvalues, the place as the lower
/// half of a number's bits.
unsafe extern "C-unwind" fn step(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: as in `find`; the upvalues are those of LuaJIT's own function, strings and a number.
    unsafe {
        let at = ffi::lua_tonumber(l, ffi::lua_upvalueindex(3)).to_bits() as u32 as usize;
        let (subject, pattern) = (
            text(l, ffi::lua_upvalueindex(1)),
            text(l, ffi::lua_upvalueindex(2)),
        );
        if is_risky(subject.len().saturating_sub(at), pattern)
            && watchdog::is_watching()
            && !goes_through(subject, pattern, at, Until::Next)
        {
            return 0;
        }
        own(&OWN_STEP, l)
    }
}

unsafe extern "C-unwind" fn gsub(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: as in `find`.
    unsafe {
        if let Some((subject, pattern)) = risky(l) {
            let most = match ffi::lua_type(l, 4) {
                ffi::LUA_TNUMBER => ffi::lua_tonumber(l, 4),
                _ => f64::INFINITY,
            };
            if most >= 1.0 && !goes_through(subject, pattern, 0, Until::Count(most)) {
                return 0;
            }
        }
        own(&OWN[3], l)
    }
}
