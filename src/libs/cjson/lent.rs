//! Decoding from texts that Rust holds, and encoding into what Rust takes, without a Lua string in between: what a
//! whole configuration goes through, item by item and row by row.
//!
//! An instance opened here has two functions more than others, `item(list, at)` and `row(kind, value)`. They work
//! with what is lent to the running thread at the time ([`lend`]) and answer nil where nothing is. Must not: know what
//! the texts mean.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use mlua::{Lua, Table, ffi};

use super::buffer::{Buffer, INLINE};
use super::config::{self, Config};
use super::{decode, encode, fail, instance};

/// What is lent: texts to decode, and a place for what was encoded.
pub(crate) trait Lent {
    /// The JSON text of an item of a list; both count from 0.
    fn item(&mut self, list: usize, at: usize) -> Option<&str>;
    /// Takes a row of a kind, as JSON text. False where it is not wanted any more.
    fn row(&mut self, kind: &str, text: &str) -> bool;
}

thread_local! {
    static LENT: Cell<Option<NonNull<dyn Lent>>> = const { Cell::new(None) };
}

/// Takes back what was lent, however `lend` is left.
struct TakenBack(Option<NonNull<dyn Lent>>);

impl Drop for TakenBack {
    fn drop(&mut self) {
        LENT.set(self.0);
    }
}

/// Runs `f` while this thread's `item` and `row` work with `lent`.
pub(crate) fn lend<R>(lent: &mut dyn Lent, f: impl FnOnce() -> R) -> R {
    // SAFETY: only the lifetime is forgotten. The pointer is gone from LENT before this function is left, and until
    // then `lent` is borrowed by it, and by nobody else.
    let lent =
        unsafe { std::mem::transmute::<NonNull<dyn Lent + '_>, NonNull<dyn Lent>>(NonNull::from(lent)) };
    let _taken_back = TakenBack(LENT.replace(Some(lent)));
    f()
}

/// What `f` makes of what is lent; none if nothing is, or `f` panics.
fn with<R>(f: impl FnOnce(&mut dyn Lent) -> R) -> Option<R> {
    // taken out meanwhile: nobody else has it then
    let mut lent = LENT.take()?;
    let _put_back = TakenBack(Some(lent));
    // SAFETY: see `lend`; the borrow ends with this call, which calls no Lua.
    catch_unwind(AssertUnwindSafe(|| f(unsafe { lent.as_mut() }))).ok()
}

/// An instance as of `cjson.safe.new()`, with `item` and `row`.
///
/// # Errors
/// When Lua is out of memory.
pub(crate) fn open(lua: &Lua) -> mlua::Result<Table> {
    // SAFETY: the function keeps this room's rules.
    unsafe { lua.create_c_function(open_raw)? }.call(())
}

unsafe extern "C-unwind" fn open_raw(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by Lua; the instance is on top, and its Config is the first upvalue of each of its functions.
    unsafe {
        ffi::luaL_checkstack(l, 8, std::ptr::null());
        instance(
            l,
            Config {
                safe: 1,
                ..Config::new()
            },
        );
        let at = ffi::lua_gettop(l);
        for (name, f) in [(c"item", item as ffi::lua_CFunction), (c"row", row)] {
            ffi::lua_getfield(l, at, c"decode".as_ptr());
            ffi::lua_getupvalue(l, -1, 1);
            ffi::lua_pushcclosure(l, f, 1);
            ffi::lua_setfield(l, at, name.as_ptr());
            ffi::lua_settop(l, at);
        }
    }
    1
}

/// A place that Lua counts from 1.
unsafe fn place(l: *mut ffi::lua_State, index: c_int) -> usize {
    // SAFETY: total.
    let n = unsafe { ffi::lua_tonumber(l, index) };
    // no place at all where it is no number
    (n as usize).wrapping_sub(1)
}

/// `item(list, at)`: the value of an item's text; nil where there is none, and with why where it is no JSON.
unsafe extern "C-unwind" fn item(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by Lua as a function of an instance. The text is the lender's, who is not asked again before it
    // has been decoded: decoding runs no Lua code. Nothing on this frame owns anything.
    unsafe {
        let (list, at) = (ffi::lua_tonumber(l, 1) as usize, place(l, 2));
        ffi::lua_settop(l, 1);
        let found = with(|lent| lent.item(list, at).map(|text| NonNull::from(text.as_bytes())));
        match found.flatten() {
            Some(text) => decode::text(l, text.as_ref(), &*config::of(l)),
            None => {
                ffi::lua_pushnil(l);
                1
            }
        }
    }
}

/// `row(kind, value)`: hands a row over, without the nulls among its own fields; whether it was wanted, or nil and why
/// it has no JSON.
unsafe extern "C-unwind" fn row(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by Lua as a function of an instance. `first` and the encoder own nothing; the kind and the buffer
    // stay on the Lua stack while they are lent.
    unsafe {
        let cfg = config::of(l);
        ffi::lua_settop(l, 2);
        if ffi::lua_type(l, 1) != ffi::LUA_TSTRING {
            ffi::lua_pushnil(l);
            return 1;
        }
        let mut first = [MaybeUninit::<u8>::uninit(); INLINE];
        // index 3 anchors the buffer; the value is on top, as the encoder has it
        ffi::lua_pushnil(l);
        ffi::lua_pushvalue(l, 2);
        let buffer = match encode::without_own_nulls(l, cfg, Buffer::new(l, 3, &mut first)) {
            Ok(buffer) => buffer,
            Err(failure) => return fail(l, true, failure),
        };
        let mut len = 0usize;
        let kind = ffi::lua_tolstring(l, 1, &mut len).cast::<u8>();
        let kind = std::str::from_utf8(std::slice::from_raw_parts(kind, len));
        let (Ok(kind), Ok(text)) = (kind, std::str::from_utf8(buffer.written())) else {
            ffi::lua_pushnil(l);
            ffi::lua_pushstring(l, c"what is no UTF-8 has no JSON".as_ptr());
            return 2;
        };
        match with(|lent| lent.row(kind, text)) {
            Some(wanted) => ffi::lua_pushboolean(l, c_int::from(wanted)),
            None => ffi::lua_pushnil(l),
        }
        1
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Default)]
    struct Shelf {
        items: Vec<&'static str>,
        rows: Vec<(String, String)>,
    }

    impl Lent for Shelf {
        fn item(&mut self, _: usize, at: usize) -> Option<&str> {
            assert!(at != 13, "unlucky");
            self.items.get(at).copied()
        }

        fn row(&mut self, kind: &str, text: &str) -> bool {
            self.rows.push((kind.to_owned(), text.to_owned()));
            self.rows.len() < 3
        }
    }

    #[test]
    fn b04_what_is_lent_is_decoded_and_taken_while_it_is_lent() {
        let lua = Lua::new();
        lua.globals().set("json", open(&lua).unwrap()).unwrap();
        let run = |code: &str| lua.load(code).eval::<Vec<mlua::Value>>();
        let told = |code: &str| -> String { lua.load(code).eval().unwrap() };
        let told_of_item = "local v, err = json.item(0, ...) return tostring(v) .. ' ' .. tostring(err)";
        let item = |at: f64| -> String { lua.load(told_of_item).call(at).unwrap() };
        // nothing is lent
        assert_eq!(item(1.0), "nil nil");
        assert_eq!(told("return tostring(json.row('a', {}))"), "nil");
        let mut shelf = Shelf {
            items: vec![r#"{"a":[1,null,"x\n"]}"#, "[1", "7"],
            ..Shelf::default()
        };
        lend(&mut shelf, || {
            let code = "local v = json.item(0, 1) return { v.a[1], v.a[2] == json.null and 2, v.a[3] }";
            let found = run(code).unwrap();
            assert_eq!(format!("{found:?}"), r#"[Integer(1), Integer(2), String("x\n")]"#);
            assert_eq!(item(3.0), "7 nil");
            assert_eq!(
                item(2.0),
                "nil Expected comma or array end but found T_END at character 3"
            );
            // no place, one that is not there, one whose lender fails
            for at in [0.0, -1.0, 4.0, f64::NAN, 1e300, 14.0] {
                assert_eq!(item(at), "nil nil", "{at}");
            }
            let long = "local s = ('y'):rep(9000) return tostring(json.row('b', { a = json.null, s = s, t = { json.null } }))";
            assert_eq!(told(long), "true");
            assert_eq!(told("return tostring(json.row('c', { json.null, 2 }))"), "true");
            let bad = "local ok, err = json.row('c', { f = print }) return tostring(ok) .. err";
            assert_eq!(told(bad), "nilCannot serialise function: type not supported");
            let deep =
                "json.encode_max_depth(3) local ok, err = json.row('c', {{{{}}}}) return tostring(ok) .. err";
            assert_eq!(told(deep), "nilCannot serialise, excessive depth (4)");
            assert!(told("return select(2, json.row('c', { '\\255' }))").contains("UTF-8"));
            assert_eq!(told("return tostring(json.row(nil, {}))"), "nil");
            assert_eq!(told("return tostring(json.row('d', 5))"), "false");
        });
        assert_eq!(item(1.0), "nil nil");
        let s = "y".repeat(9000);
        assert_eq!(shelf.rows[0].0, "b");
        let one: serde_json::Value = serde_json::from_str(&shelf.rows[0].1).unwrap();
        assert_eq!(one, serde_json::json!({ "s": s, "t": [null] }));
        assert_eq!(shelf.rows[1], ("c".to_owned(), "[null,2]".to_owned()));
        assert_eq!(shelf.rows[2], ("d".to_owned(), "5".to_owned()));
    }
}
