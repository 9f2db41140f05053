//! Lua value to JSON text.
//!
//! While it runs no Lua code is called (raw access only); memory is asked for only when the buffer grows.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::mem::MaybeUninit;

use mlua::ffi;

use super::buffer::{Buffer, INLINE};
use super::config::{self, Config, INVALID_NULL, INVALID_OFF};
use super::{Failure, empty_array, fail, number};

/// `cjson.encode(value)`.
pub(super) unsafe extern "C-unwind" fn encode(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by Lua as a function of an instance. `first` and `buf` own nothing.
    unsafe {
        let cfg = config::of(l);
        if ffi::lua_gettop(l) != 1 {
            // also out of the safe one
            return ffi::luaL_argerror(l, 1, c"expected 1 argument".as_ptr());
        }
        let mut first = [MaybeUninit::<u8>::uninit(); INLINE];
        // Index 2 anchors the buffer once it has left the C stack; the value stays on top.
        ffi::lua_pushnil(l);
        ffi::lua_insert(l, 1);
        let mut enc = Encoder {
            l,
            cfg,
            buf: Buffer::new(l, 1, &mut first),
            own_nulls: true,
        };
        let written = if enc.skipped() { Ok(()) } else { enc.value(0) };
        match written {
            Ok(()) => {
                enc.buf.push();
                1
            }
            Err(failure) => fail(l, (*cfg).safe != 0, failure),
        }
    }
}

/// Writes the value on top of the stack into a buffer, and gives the buffer back; nulls among an object's own fields,
/// not deeper ones, are left out.
///
/// # Safety
/// `cfg` is the instance of the running function.
pub(super) unsafe fn without_own_nulls(
    l: *mut ffi::lua_State,
    cfg: *const Config,
    buf: Buffer,
) -> Result<Buffer, Failure> {
    let mut enc = Encoder {
        l,
        cfg,
        buf,
        own_nulls: false,
    };
    // SAFETY: as the caller's.
    unsafe { enc.value(0)? };
    Ok(enc.buf)
}

struct Encoder {
    l: *mut ffi::lua_State,
    cfg: *const Config,
    buf: Buffer,
    /// Whether nulls among the outermost object's fields are written.
    own_nulls: bool,
}

type Step = Result<(), Failure>;

impl Encoder {
    /// Writes the value on top of the stack, which stays there.
    unsafe fn value(&mut self, depth: c_int) -> Step {
        let l = self.l;
        // SAFETY: reads the top of the stack by its type.
        unsafe {
            match ffi::lua_type(l, -1) {
                ffi::LUA_TSTRING => self.string(),
                ffi::LUA_TNUMBER => return self.number(ffi::lua_tonumber(l, -1)),
                ffi::LUA_TTABLE => return self.table(depth + 1),
                ffi::LUA_TBOOLEAN => {
                    let text: &[u8] = if ffi::lua_toboolean(l, -1) != 0 {
                        b"true"
                    } else {
                        b"false"
                    };
                    self.buf.bytes(text);
                }
                ffi::LUA_TNIL => self.buf.bytes(b"null"),
                ffi::LUA_TLIGHTUSERDATA if ffi::lua_touserdata(l, -1).is_null() => self.buf.bytes(b"null"),
                ffi::LUA_TLIGHTUSERDATA if ffi::lua_touserdata(l, -1) == empty_array() => {
                    self.buf.bytes(b"[]");
                }
                // A cdata NULL is no ngx.null and has no JSON either.
                _ => return Err(self.refuse(-1, c"type not supported")),
            }
        }
        Ok(())
    }

    unsafe fn refuse(&self, index: c_int, reason: &'static std::ffi::CStr) -> Failure {
        // SAFETY: lua_typename gives a static string.
        unsafe { Failure::Type(reason, ffi::lua_typename(self.l, ffi::lua_type(self.l, index))) }
    }

    unsafe fn number(&mut self, n: f64) -> Step {
        // SAFETY: `cfg` is the instance's userdata, kept alive by the running function.
        let cfg = unsafe { &*self.cfg };
        if !n.is_finite() {
            match cfg.encode_invalid {
                INVALID_OFF => {
                    // SAFETY: a type name is a static string.
                    let name = unsafe { ffi::lua_typename(self.l, ffi::LUA_TNUMBER) };
                    return Err(Failure::Type(c"must not be NaN or Infinity", name));
                }
                INVALID_NULL => self.buf.bytes(b"null"),
                _ if n.is_nan() => self.buf.bytes(b"NaN"),
                _ if n < 0.0 => self.buf.bytes(b"-Infinity"),
                _ => self.buf.bytes(b"Infinity"),
            }
            return Ok(());
        }
        number::write(&mut self.buf, n, cfg.precision);
        Ok(())
    }

    /// Writes the string on top of the stack.
    unsafe fn string(&mut self) {
        let mut len = 0usize;
        // SAFETY: the value is a string, stays on the stack while its bytes are read, and does not move; the
        // output has room for six bytes for each of the input's.
        unsafe {
            let p = ffi::lua_tolstring(self.l, -1, &mut len).cast::<u8>();
            let s = std::slice::from_raw_parts(p, len);
            let slash = (*self.cfg).escape_slash != 0;
            self.buf.byte(b'"');
            // without a branch in the loop it goes many bytes at a time
            let odd = |b: u8| (b < 0x20) | (b == b'"') | (b == b'\\') | (b == b'/') | (b >= 0x7f);
            if !s.iter().fold(false, |any, &b| any | odd(b)) {
                self.buf.bytes(s);
                return self.buf.byte(b'"');
            }
            let mut from = 0;
            for (i, &b) in s.iter().enumerate() {
                let esc = ESCAPE[usize::from(b)];
                if esc == 0 || (b == b'/' && !slash) {
                    continue;
                }
                self.buf.bytes(&s[from..i]);
                from = i + 1;
                if esc == b'u' {
                    const HEX: &[u8; 16] = b"0123456789abcdef";
                    self.buf.bytes(b"\\u00");
                    self.buf.byte(HEX[usize::from(b >> 4)]);
                    self.buf.byte(HEX[usize::from(b & 15)]);
                } else {
                    self.buf.bytes(&[b'\\', esc]);
                }
            }
            self.buf.bytes(&s[from..]);
            self.buf.byte(b'"');
        }
    }

    unsafe fn table(&mut self, depth: c_int) -> Step {
        let l = self.l;
        // SAFETY: `cfg` as in `number`; the stack slots are asked for before they are used.
        unsafe {
            let cfg = &*self.cfg;
            if depth > cfg.encode_max_depth || ffi::lua_checkstack(l, 6) == 0 {
                return Err(Failure::Depth(depth));
            }
            let mut meta = std::ptr::null();
            if ffi::lua_getmetatable(l, -1) != 0 {
                meta = ffi::lua_topointer(l, -1);
                ffi::lua_settop(l, -2);
                if meta == cfg.array_mt {
                    return self.array(ffi::lua_objlen(l, -1), depth);
                }
            }
            match self.shape()? {
                Shape::Array(n) => self.array(n, depth),
                Shape::Empty if cfg.empty_table_as_object == 0 || meta == cfg.empty_array_mt => {
                    self.buf.bytes(b"[]");
                    Ok(())
                }
                Shape::Empty => {
                    self.buf.bytes(b"{}");
                    Ok(())
                }
                Shape::Object => self.object(depth),
            }
        }
    }

    /// What the table on top of the stack is: an array has only whole keys from 1 on.
    unsafe fn shape(&mut self) -> Result<Shape, Failure> {
        let l = self.l;
        // SAFETY: plain traversal of the table on top; the stack is put back.
        unsafe {
            let (mut max, mut items) = (0f64, 0f64);
            ffi::lua_pushnil(l);
            while ffi::lua_next(l, -2) != 0 {
                let mut key = 0.0;
                if ffi::lua_type(l, -2) == ffi::LUA_TNUMBER {
                    key = ffi::lua_tonumber(l, -2);
                }
                if key < 1.0 || key.floor() != key {
                    ffi::lua_settop(l, -3);
                    return Ok(Shape::Object);
                }
                max = f64::max(max, key);
                items += 1.0;
                ffi::lua_settop(l, -2);
            }
            if items == 0.0 {
                return Ok(Shape::Empty);
            }
            let cfg = &*self.cfg;
            if cfg.sparse_ratio > 0
                && max > items * f64::from(cfg.sparse_ratio)
                && max > f64::from(cfg.sparse_safe)
            {
                if cfg.sparse_convert == 0 {
                    return Err(self.refuse(-1, c"excessively sparse array"));
                }
                return Ok(Shape::Object);
            }
            // Without a ratio nothing else bounds the gap that one large key opens.
            if max > f64::from(c_int::MAX) {
                return Err(self.refuse(-1, c"excessively sparse array"));
            }
            Ok(Shape::Array(max as usize))
        }
    }

    unsafe fn array(&mut self, n: usize, depth: c_int) -> Step {
        let l = self.l;
        self.buf.byte(b'[');
        let mut written = 0usize;
        for i in 1..=n {
            let before = self.buf.len();
            if written > 0 {
                self.buf.byte(b',');
            }
            // SAFETY: the table is on top; one slot was asked for.
            unsafe {
                ffi::lua_rawgeti(l, -1, i as _);
                if self.skipped() {
                    self.buf.truncate(before);
                } else {
                    self.value(depth)?;
                    written += 1;
                }
                ffi::lua_settop(l, -2);
            }
        }
        self.buf.byte(b']');
        Ok(())
    }

    unsafe fn object(&mut self, depth: c_int) -> Step {
        let l = self.l;
        self.buf.byte(b'{');
        let mut empty = true;
        // SAFETY: the table is on top; key and value are pushed and popped around each field.
        unsafe {
            ffi::lua_pushnil(l);
            while ffi::lua_next(l, -2) != 0 {
                if self.skipped() || depth == 1 && !self.own_nulls && self.is_null() {
                    ffi::lua_settop(l, -2);
                    continue;
                }
                match ffi::lua_type(l, -2) {
                    ffi::LUA_TSTRING => {
                        ffi::lua_pushvalue(l, -2);
                        self.string();
                        ffi::lua_settop(l, -2);
                    }
                    ffi::LUA_TNUMBER => {
                        self.buf.byte(b'"');
                        self.number(ffi::lua_tonumber(l, -2))?;
                        self.buf.byte(b'"');
                    }
                    _ => return Err(self.refuse(-2, c"table key must be a number or string")),
                }
                self.buf.byte(b':');
                self.value(depth)?;
                self.buf.byte(b',');
                empty = false;
                ffi::lua_settop(l, -2);
            }
        }
        if !empty {
            self.buf.pop();
        }
        self.buf.byte(b'}');
        Ok(())
    }

    /// Whether the value on top is null.
    unsafe fn is_null(&self) -> bool {
        // SAFETY: only asks for the value's type and address.
        unsafe {
            ffi::lua_type(self.l, -1) == ffi::LUA_TLIGHTUSERDATA && ffi::lua_touserdata(self.l, -1).is_null()
        }
    }

    /// Whether the value on top is to be left out (`encode_skip_unsupported_value_types`).
    unsafe fn skipped(&self) -> bool {
        // SAFETY: only asks for types.
        unsafe {
            if (*self.cfg).skip_unsupported == 0 {
                return false;
            }
            match ffi::lua_type(self.l, -1) {
                ffi::LUA_TSTRING | ffi::LUA_TNUMBER | ffi::LUA_TTABLE | ffi::LUA_TBOOLEAN | ffi::LUA_TNIL => {
                    false
                }
                ffi::LUA_TLIGHTUSERDATA => {
                    let p = ffi::lua_touserdata(self.l, -1);
                    !p.is_null() && p != empty_array()
                }
                _ => true,
            }
        }
    }
}

enum Shape {
    Empty,
    Array(usize),
    Object,
}

/// For each byte: 0 as it is, `u` as `\u00XX`, else the letter after the backslash.
static ESCAPE: [u8; 256] = {
    let mut t = [0u8; 256];
    let mut i = 0;
    while i < 32 {
        t[i] = b'u';
        i += 1;
    }
    t[127] = b'u';
    t[8] = b'b';
    t[9] = b't';
    t[10] = b'n';
    t[12] = b'f';
    t[13] = b'r';
    t[b'"' as usize] = b'"';
    t[b'\\' as usize] = b'\\';
    t[b'/' as usize] = b'/';
    t
};
