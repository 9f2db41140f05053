//! Natives: Rust functions that Lua calls through LuaJIT's FFI, within its traces, where an op would end them.
//!
//! For calls that are hot and simple. A native is `fn(&Given, &mut Reply) -> c_int`: it is given strings and numbers,
//! answers a number, and leaves bytes, a float or a list in the state's one reply, which the face takes at once. What it can't
//! answer so it leaves to the op ([`OP`]), which the face then calls: messages, phases, odd arguments and long results
//! are the op's alone. Lua finds natives as `require("moongate.native").room.name`, as FFI functions that a face calls
//! with strings and numbers only. Must not: touch a Lua state, unwind, or keep what it was given.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Registrar;
use super::pairs::{BYTES, MOST, Pairs};

/// There is none: nil.
pub const NONE: c_int = -1;
/// The op is to be asked.
pub const OP: c_int = -2;
/// The longest text that a reply holds, bytes.
pub const ROOM: usize = 4096;

/// What a native is called with. Borrowed strings live as long as the call.
#[derive(Debug)]
pub struct Given<'a> {
    /// The first string.
    pub a: &'a [u8],
    /// The second string.
    pub b: &'a [u8],
    /// A whole number.
    pub i: i32,
    /// A number.
    pub x: f64,
    /// A second one.
    pub y: f64,
    /// A third one.
    pub z: f64,
}

/// Where a native leaves what is more than a whole number; the face's `moongate_reply_t`.
#[derive(Debug)]
#[repr(C)]
pub struct Reply {
    /// A number.
    pub number: f64,
    /// Text, whose length the native answers.
    pub bytes: [u8; ROOM],
    /// Names and values, whose count the native answers.
    pub pairs: Pairs,
}

impl Reply {
    /// Leaves a text and answers its length; a long one is the op's.
    #[inline]
    pub fn text(&mut self, text: &[u8]) -> c_int {
        match self.bytes.get_mut(..text.len()) {
            Some(room) => {
                room.copy_from_slice(text);
                text.len() as c_int
            }
            None => OP,
        }
    }

    /// The same, or [`NONE`].
    #[inline]
    pub fn opt(&mut self, text: Option<&[u8]>) -> c_int {
        text.map_or(NONE, |t| self.text(t))
    }
}

/// A native as the FFI sees it.
pub type Native = unsafe extern "C" fn(
    *const c_char,
    usize,
    *const c_char,
    usize,
    *mut Reply,
    c_int,
    f64,
    f64,
    f64,
) -> c_int;

/// The C function for a native. `f` must be a plain function (zero-sized).
pub fn raw<F>(_f: F) -> Native
where
    F: Fn(&Given, &mut Reply) -> c_int + Copy + 'static,
{
    const { assert!(size_of::<F>() == 0, "a native is a plain function") };
    trampoline::<F>
}

/// Bytes that Lua lends for a call.
///
/// # Safety
/// `p` points to `len` bytes, or `len` is 0.
#[inline]
unsafe fn lent<'a>(p: *const c_char, len: usize) -> &'a [u8] {
    if len == 0 {
        return &[];
    }
    // SAFETY: as promised by the caller.
    unsafe { std::slice::from_raw_parts(p.cast(), len) }
}

unsafe extern "C" fn trampoline<F>(
    a: *const c_char,
    a_len: usize,
    b: *const c_char,
    b_len: usize,
    reply: *mut Reply,
    i: c_int,
    x: f64,
    y: f64,
    z: f64,
) -> c_int
where
    F: Fn(&Given, &mut Reply) -> c_int + Copy + 'static,
{
    // SAFETY: faces pass strings with their lengths, or nil and 0, and the state's reply, which no other call uses
    // meanwhile: a native runs no Lua. F is zero-sized (asserted in `raw`), so a value of it can be conjured.
    unsafe {
        let f: F = std::ptr::NonNull::<F>::dangling().read();
        let given = Given {
            a: lent(a, a_len),
            b: lent(b, b_len),
            i,
            x,
            y,
            z,
        };
        // the op, called next, meets with the same and says so
        catch_unwind(AssertUnwindSafe(|| f(&given, &mut *reply))).unwrap_or(OP)
    }
}

/// Brings `moongate.native` into a state.
///
/// # Errors
/// When Lua is out of memory.
pub(super) fn install(lua: &mlua::Lua, loaded: &mlua::Table) -> mlua::Result<()> {
    let (module, reply): (mlua::Table, mlua::Value) = lua
        .load(crate::embed!("native.lua").text().as_ref())
        .set_name("@moongate/vm/native.lua")
        .call((ROOM, MOST, BYTES))?;
    // faces point to it: it lives as long as the state
    lua.set_named_registry_value("moongate.reply", reply)?;
    loaded.set("moongate.native", module)
}

impl Registrar<'_> {
    /// Registers native `name` of `room`.
    ///
    /// # Errors
    /// When Lua is out of memory.
    pub fn native(&self, room: &str, name: &str, f: Native) -> mlua::Result<()> {
        let package: mlua::Table = self.lua.globals().get("package")?;
        let loaded: mlua::Table = package.get("loaded")?;
        let natives: mlua::Table = loaded.get("moongate.native")?;
        let add: mlua::Function = natives.get("add")?;
        add.call((room, name, mlua::LightUserData(f as *mut c_void)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::vm::{Vm, VmOptions};

    fn room(r: &Registrar) -> mlua::Result<()> {
        r.native("t", "echo", raw(|g, reply| reply.text(g.a)))?;
        r.native(
            "t",
            "second",
            raw(|g, reply| reply.opt((!g.b.is_empty()).then_some(g.b))),
        )?;
        r.native("t", "panics", raw(|g, _| panic!("{}", g.i)))?;
        let sum = |g: &Given, reply: &mut Reply| {
            reply.number = f64::from(g.i) + g.x + g.y + g.z;
            0
        };
        r.native("t", "sum", raw(sum))
    }

    #[test]
    fn d05_natives_answer_with_lists() {
        fn room(r: &Registrar) -> mlua::Result<()> {
            // item i of a: its name repeated, its value i times "v", or true
            let list = |g: &Given, reply: &mut Reply| {
                let mut pairs = reply.pairs.fill();
                for i in 0..g.i as usize {
                    let name = [g.a, &b"0123456789"[i % 10..][..1]].concat();
                    let value = vec![b'v'; i];
                    match g.x {
                        0.0 => pairs.add(&name, (i % 3 != 0).then_some(&value[..])),
                        _ => pairs.add_low(&name, &value),
                    }
                }
                pairs.done()
            };
            r.native("t", "list", raw(list))
        }
        let vm = Vm::new(&VmOptions::default(), &[room]).unwrap();
        let source = r#"
            local native = require "moongate.native"
            local list, reply, collect = native.t.list, native.reply, native.collect
            local function get(name, n, low)
                local count = list(name, #name, nil, 0, reply, n, low and 1 or 0, 0, 0)
                if count < 0 then return count end
                local t = {}
                assert(collect(t, count))
                return t
            end
            assert(next(get("x", 0)) == nil)
            for round = 1, 100 do
                local t = get("A", 10)
                assert(t.A0 == true and t.A1 == "v" and t.A2 == "vv" and t.A3 == true and t.a1 == nil)
                t = get("A", 10, true)
                assert(t.a0 == "" and t.a9 == ("v"):rep(9) and t.A1 == nil)
                t = get("A", 10 + round % 100)
                local rest = 10 + round % 100 - 10
                for i = 0, 9 do
                    local several = t["A" .. i]
                    if rest > i then
                        assert(#several == 1 + math.ceil((rest - i) / 10), i .. " " .. rest)
                        for at, v in ipairs(several) do
                            local n = i + (at - 1) * 10
                            assert(v == (n % 3 == 0 or ("v"):rep(n)))
                        end
                    else
                        assert(type(several) ~= "table")
                    end
                end
            end
            -- too many, and too long
            assert(get("x", 127) ~= -2 and get("x", 129) == -2)
            assert(get(("x"):rep(4000), 2) ~= -2 and get(("x"):rep(4096), 2) == -2)
            -- another list meanwhile
            local n = list("x", 1, nil, 0, reply, 3, 0, 0, 0)
            local t = setmetatable({}, { __newindex = function(t, k, v)
                list("y", 1, nil, 0, reply, 5, 0, 0, 0)
                rawset(t, k, v)
            end })
            assert(not collect(t, n))
        "#;
        vm.lua().load(source).exec().unwrap();
    }

    #[test]
    fn d05_natives_answer_and_never_unwind() {
        let vm = Vm::new(&VmOptions::default(), &[room]).unwrap();
        let source = r#"
            local native = require "moongate.native"
            local t, reply, str = native.t, native.reply, require("ffi").string
            for i = 1, 300 do
                local s = ("a\0b"):rep(i)
                assert(str(native.bytes, t.echo(s, #s, nil, 0, reply, 0, 0, 0, 0)) == s)
                assert(t.second(nil, 0, nil, 0, reply, 0, 0, 0, 0) == -1)
                assert(str(native.bytes, t.second(nil, 0, s, #s, reply, 0, 0, 0, 0)) == s)
                assert(t.sum(nil, 0, nil, 0, reply, -1, 0.5, i, 1) == 0 and reply.number == i + 0.5)
            end
            local room = ("x"):rep(4096)
            assert(t.echo(room, #room, nil, 0, reply, 0, 0, 0, 0) == 4096)
            assert(str(native.bytes, 4096) == room)
            assert(t.echo(room .. "x", #room + 1, nil, 0, reply, 0, 0, 0, 0) == -2)
            assert(t.panics(nil, 0, nil, 0, reply, 7, 0, 0, 0) == -2)
            package.loaded["moongate.native"] = nil
            native = nil
            collectgarbage() collectgarbage()
            assert(t.sum(nil, 0, nil, 0, reply, 1, 1, 1, 1) == 0 and reply.number == 4)
        "#;
        vm.lua().load(source).exec().unwrap();
    }
}
