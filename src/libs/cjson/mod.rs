//! `cjson` and `cjson.safe`: JSON between Lua values and text, on the raw Lua stack, as OpenResty's lua-cjson
//! behaves (settings per instance, messages, markers for arrays).
//!
//! These are bindings, not ops: they read and build Lua tables while they work, so a Lua error (out of memory, a
//! value that has no JSON) may leave any of these frames. Hence the rule of the whole room: nothing droppable is
//! alive across a Lua call; buffers are on the C stack or Lua's own userdata.
//! Must not: know the request.
//!
//! # Source
//! <https://github.com/openresty/lua-cjson> (manual.adoc).
#![allow(unsafe_code)]

mod buffer;
mod config;
mod decode;
mod encode;
pub(crate) mod lent;
mod number;
#[cfg(test)]
mod tests;

use std::ffi::{CStr, c_int, c_void};

use mlua::{Lua, Table, ffi};

use config::Config;

static EMPTY_ARRAY: u8 = 1;
static ARRAY_MT: u8 = 2;
static EMPTY_ARRAY_MT: u8 = 3;

/// The light userdata that stands for `[]`.
fn empty_array() -> *mut c_void {
    std::ptr::from_ref(&EMPTY_ARRAY).cast_mut().cast()
}

const FUNCTIONS: &[(&CStr, ffi::lua_CFunction)] = &[
    (c"encode", encode::encode),
    (c"decode", decode::decode),
    (c"encode_empty_table_as_object", config::empty_table_as_object),
    (c"decode_array_with_array_mt", config::array_with_mt),
    (c"encode_sparse_array", config::sparse_array),
    (c"encode_max_depth", config::encode_depth),
    (c"decode_max_depth", config::decode_depth),
    (c"encode_number_precision", config::precision),
    (c"encode_keep_buffer", config::keep_buffer),
    (c"encode_invalid_numbers", config::encode_invalid),
    (c"decode_invalid_numbers", config::decode_invalid),
    (c"encode_escape_forward_slash", config::escape_slash),
    (c"decode_allow_comment", config::allow_comment),
    (c"encode_skip_unsupported_value_types", config::skip_unsupported),
];

/// Registers `cjson` and `cjson.safe` in `package.preload`.
pub(super) fn install(lua: &Lua) -> mlua::Result<()> {
    let package: Table = lua.globals().get("package")?;
    let preload: Table = package.get("preload")?;
    // SAFETY: both functions keep this room's rules.
    unsafe {
        preload.set("cjson", lua.create_c_function(open)?)?;
        preload.set("cjson.safe", lua.create_c_function(open_safe)?)?;
    }
    Ok(())
}

unsafe extern "C-unwind" fn open(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { instance(l, Config::new()) }
}

unsafe extern "C-unwind" fn open_safe(l: *mut ffi::lua_State) -> c_int {
    // What Kong sets for every plugin: whole doubles, and arrays with wide gaps.
    let config = Config {
        safe: 1,
        precision: 16,
        sparse_safe: 1 << 15,
        ..Config::new()
    };
    // SAFETY: called by Lua.
    unsafe { instance(l, config) }
}

/// `new()`: a fresh instance of the same kind, with lua-cjson's own defaults.
unsafe extern "C-unwind" fn new(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by Lua as a function of an instance.
    unsafe {
        let safe = (*config::of(l)).safe;
        instance(
            l,
            Config {
                safe,
                ..Config::new()
            },
        )
    }
}

/// Pushes the module table of an instance.
unsafe fn instance(l: *mut ffi::lua_State, config: Config) -> c_int {
    // SAFETY: only pushes; Config is plain data, written into a userdata of its size.
    unsafe {
        ffi::luaL_checkstack(l, 8, std::ptr::null());
        ffi::lua_createtable(l, 0, 24);
        let at = ffi::lua_gettop(l);
        let cfg: *mut Config = ffi::lua_newuserdata(l, size_of::<Config>()).cast();
        cfg.write(config);
        marker(l, &ARRAY_MT);
        (*cfg).array_mt = ffi::lua_topointer(l, -1);
        ffi::lua_setfield(l, at, c"array_mt".as_ptr());
        marker(l, &EMPTY_ARRAY_MT);
        (*cfg).empty_array_mt = ffi::lua_topointer(l, -1);
        ffi::lua_setfield(l, at, c"empty_array_mt".as_ptr());
        let functions = FUNCTIONS
            .iter()
            .chain(std::iter::once(&(c"new", new as ffi::lua_CFunction)));
        for (name, f) in functions {
            ffi::lua_pushvalue(l, at + 1);
            ffi::lua_pushcclosure(l, *f, 1);
            ffi::lua_setfield(l, at, name.as_ptr());
        }
        ffi::lua_pushlightuserdata(l, std::ptr::null_mut());
        ffi::lua_setfield(l, at, c"null".as_ptr());
        ffi::lua_pushlightuserdata(l, empty_array());
        ffi::lua_setfield(l, at, c"empty_array".as_ptr());
        ffi::lua_pushstring(l, c"cjson".as_ptr());
        ffi::lua_setfield(l, at, c"_NAME".as_ptr());
        ffi::lua_pushstring(l, c"2.1.0.14".as_ptr());
        ffi::lua_setfield(l, at, c"_VERSION".as_ptr());
        ffi::lua_settop(l, at);
    }
    1
}

/// Pushes the state's marking metatable kept in the registry under the address of `key`.
unsafe fn marker(l: *mut ffi::lua_State, key: &'static u8) {
    let key: *mut c_void = std::ptr::from_ref(key).cast_mut().cast();
    // SAFETY: plain stack work.
    unsafe {
        ffi::lua_pushlightuserdata(l, key);
        ffi::lua_rawget(l, ffi::LUA_REGISTRYINDEX);
        if ffi::lua_type(l, -1) == ffi::LUA_TTABLE {
            return;
        }
        ffi::lua_settop(l, -2);
        ffi::lua_createtable(l, 0, 0);
        ffi::lua_pushlightuserdata(l, key);
        ffi::lua_pushvalue(l, -2);
        ffi::lua_rawset(l, ffi::LUA_REGISTRYINDEX);
    }
}

/// Why an encode or decode failed, as plain data: the message is made where nothing is alive any more.
#[derive(Clone, Copy)]
enum Failure {
    /// `Cannot serialise <type>: <reason>`.
    Type(&'static CStr, *const std::ffi::c_char),
    /// `Cannot serialise, excessive depth (<depth>)`.
    Depth(c_int),
    /// `Expected <what> but found <token> at character <position>`.
    Expected(&'static CStr, &'static CStr, usize),
    /// `Found too many nested data structures (<depth>) at character <position>`.
    Nested(c_int, usize),
    /// A fixed text.
    Text(&'static CStr),
}

/// Raises the failure, or returns `nil, message` in a safe instance.
unsafe fn fail(l: *mut ffi::lua_State, safe: bool, failure: Failure) -> c_int {
    // SAFETY: `failure` holds only static strings and numbers; nothing droppable is alive.
    unsafe {
        ffi::lua_settop(l, 1);
        if safe {
            ffi::lua_pushnil(l);
        } else {
            ffi::luaL_where(l, 1);
        }
        match failure {
            Failure::Type(reason, name) => {
                ffi::lua_pushfstring(l, c"Cannot serialise %s: %s".as_ptr(), name, reason.as_ptr())
            }
            Failure::Depth(depth) => {
                ffi::lua_pushfstring(l, c"Cannot serialise, excessive depth (%d)".as_ptr(), depth)
            }
            Failure::Expected(what, token, at) => ffi::lua_pushfstring(
                l,
                c"Expected %s but found %s at character %d".as_ptr(),
                what.as_ptr(),
                token.as_ptr(),
                at as c_int,
            ),
            Failure::Nested(depth, at) => ffi::lua_pushfstring(
                l,
                c"Found too many nested data structures (%d) at character %d".as_ptr(),
                depth,
                at as c_int,
            ),
            Failure::Text(text) => ffi::lua_pushstring(l, text.as_ptr()),
        };
        if safe {
            return 2;
        }
        ffi::lua_concat(l, 2);
        ffi::lua_error(l)
    }
}
