//! What one `cjson` instance is set to, and the option functions that set it.
//!
//! Must not: encode or decode.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_void};

use mlua::ffi;

/// How an instance answers NaN and the infinities.
pub(super) const INVALID_OFF: c_int = 0;
/// They are written (and read) as they are.
pub(super) const INVALID_ON: c_int = 1;
/// They are written as `null`.
pub(super) const INVALID_NULL: c_int = 2;

/// The settings of one instance; lives in a userdata that its functions share as an upvalue.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Config {
    pub sparse_convert: c_int,
    pub sparse_ratio: c_int,
    pub sparse_safe: c_int,
    pub encode_max_depth: c_int,
    pub encode_invalid: c_int,
    pub decode_max_depth: c_int,
    pub decode_invalid: c_int,
    pub keep_buffer: c_int,
    pub precision: c_int,
    pub empty_table_as_object: c_int,
    pub array_with_mt: c_int,
    pub escape_slash: c_int,
    pub allow_comment: c_int,
    pub skip_unsupported: c_int,
    /// Whether a Lua call of encode or decode answers `nil, err` instead of raising.
    pub safe: c_int,
    /// Identities of the two marking metatables of this state.
    pub array_mt: *const c_void,
    pub empty_array_mt: *const c_void,
}

impl Config {
    pub(super) const fn new() -> Self {
        Self {
            sparse_convert: 0,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_max_depth: 1000,
            encode_invalid: INVALID_OFF,
            decode_max_depth: 1000,
            decode_invalid: INVALID_ON,
            keep_buffer: 1,
            precision: 14,
            empty_table_as_object: 1,
            array_with_mt: 0,
            escape_slash: 1,
            allow_comment: 0,
            skip_unsupported: 0,
            safe: 0,
            array_mt: std::ptr::null(),
            empty_array_mt: std::ptr::null(),
        }
    }
}

/// The instance that the running function belongs to.
pub(super) unsafe fn of(l: *mut ffi::lua_State) -> *mut Config {
    // SAFETY: every function of an instance is made with the Config userdata as its first upvalue.
    unsafe { ffi::lua_touserdata(l, ffi::lua_upvalueindex(1)).cast() }
}

/// Raises lua-cjson's complaint when there are more than `max` arguments, and makes the rest nil.
unsafe fn args(l: *mut ffi::lua_State, max: c_int) {
    // SAFETY: nothing droppable is alive.
    unsafe {
        if ffi::lua_gettop(l) > max {
            ffi::luaL_argerror(l, max + 1, c"found too many arguments".as_ptr());
        }
        ffi::lua_settop(l, max);
    }
}

/// Sets `setting` from argument `arg` if it is not nil (a whole number within the bounds) and pushes it.
unsafe fn integer(l: *mut ffi::lua_State, arg: c_int, setting: *mut c_int, min: c_int, max: c_int) {
    // SAFETY: `setting` points into the live Config; nothing droppable is alive.
    unsafe {
        if ffi::lua_isnoneornil(l, arg) == 0 {
            let n = ffi::luaL_checknumber(l, arg) as i64;
            if n < i64::from(min) || n > i64::from(max) {
                ffi::lua_pushfstring(l, c"expected integer between %d and %d".as_ptr(), min, max);
                ffi::luaL_argerror(l, arg, ffi::lua_tolstring(l, -1, std::ptr::null_mut()));
            }
            *setting = n as c_int;
        }
        ffi::lua_pushnumber(l, f64::from(*setting));
    }
}

/// Sets `setting` from argument `arg` if it is not nil: a boolean, or one of `names` (by position).
unsafe fn choice(l: *mut ffi::lua_State, arg: c_int, setting: *mut c_int, names: &[&CStr]) {
    // SAFETY: as in `integer`; strings compared are NUL-terminated.
    unsafe {
        if ffi::lua_isnoneornil(l, arg) == 0 {
            if ffi::lua_type(l, arg) == ffi::LUA_TBOOLEAN {
                *setting = ffi::lua_toboolean(l, arg);
            } else {
                let p = ffi::luaL_checklstring(l, arg, std::ptr::null_mut());
                match names.iter().position(|n| libc::strcmp(n.as_ptr(), p) == 0) {
                    Some(i) => *setting = i as c_int,
                    None => {
                        ffi::lua_pushfstring(l, c"invalid option '%s'".as_ptr(), p);
                        ffi::luaL_argerror(l, arg, ffi::lua_tolstring(l, -1, std::ptr::null_mut()));
                    }
                }
            }
        }
        match *setting {
            0 => ffi::lua_pushboolean(l, 0),
            1 => ffi::lua_pushboolean(l, 1),
            n => {
                ffi::lua_pushstring(l, names[n as usize].as_ptr());
            }
        }
    }
}

const SWITCH: &[&CStr] = &[c"off", c"on"];

macro_rules! switch {
    ($name:ident, $field:ident) => {
        pub(super) unsafe extern "C-unwind" fn $name(l: *mut ffi::lua_State) -> c_int {
            // SAFETY: called by Lua as a function of an instance.
            unsafe {
                args(l, 1);
                choice(l, 1, &raw mut (*of(l)).$field, SWITCH);
            }
            1
        }
    };
}

macro_rules! bounded {
    ($name:ident, $field:ident, $max:expr) => {
        pub(super) unsafe extern "C-unwind" fn $name(l: *mut ffi::lua_State) -> c_int {
            // SAFETY: called by Lua as a function of an instance.
            unsafe {
                args(l, 1);
                integer(l, 1, &raw mut (*of(l)).$field, 1, $max);
            }
            1
        }
    };
}

switch!(empty_table_as_object, empty_table_as_object);
switch!(array_with_mt, array_with_mt);
switch!(escape_slash, escape_slash);
switch!(allow_comment, allow_comment);
switch!(skip_unsupported, skip_unsupported);
switch!(keep_buffer, keep_buffer);
switch!(decode_invalid, decode_invalid);
bounded!(encode_depth, encode_max_depth, c_int::MAX);
bounded!(decode_depth, decode_max_depth, c_int::MAX);
bounded!(precision, precision, 16);

pub(super) unsafe extern "C-unwind" fn encode_invalid(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by Lua as a function of an instance.
    unsafe {
        args(l, 1);
        choice(l, 1, &raw mut (*of(l)).encode_invalid, &[c"off", c"on", c"null"]);
    }
    1
}

pub(super) unsafe extern "C-unwind" fn sparse_array(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by Lua as a function of an instance.
    unsafe {
        args(l, 3);
        let cfg = of(l);
        choice(l, 1, &raw mut (*cfg).sparse_convert, SWITCH);
        integer(l, 2, &raw mut (*cfg).sparse_ratio, 0, c_int::MAX);
        integer(l, 3, &raw mut (*cfg).sparse_safe, 0, c_int::MAX);
    }
    3
}
