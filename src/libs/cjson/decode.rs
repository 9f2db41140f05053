//! JSON text to Lua value.
//!
//! The text stays at stack index 1 while it is read, or is not Lua's at all. The fields of a small object and the items of a small array
//! are gathered on the stack first, so that the table is made in its final size. Strings with escapes are undone
//! on the C stack, or in a Lua userdata when they are long.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int};
use std::mem::MaybeUninit;

use mlua::ffi;

use super::config::{self, Config};
use super::{ARRAY_MT, Failure, fail, marker, number};

/// `cjson.decode(text)`.
pub(super) unsafe extern "C-unwind" fn decode(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by Lua as a function of an instance. Nothing on this frame owns anything.
    unsafe {
        let cfg = config::of(l);
        let safe = (*cfg).safe != 0;
        if ffi::lua_gettop(l) != 1 {
            // also out of the safe one
            return ffi::luaL_argerror(l, 1, c"expected 1 argument".as_ptr());
        }
        if safe && ffi::lua_isstring(l, 1) == 0 {
            let name = ffi::lua_typename(l, ffi::lua_type(l, 1));
            ffi::lua_pushnil(l);
            ffi::lua_pushfstring(
                l,
                c"bad argument #1 to '?' (string expected, got %s)".as_ptr(),
                name,
            );
            return 2;
        }
        let mut len = 0usize;
        let p = ffi::luaL_checklstring(l, 1, &mut len).cast::<u8>();
        let text = std::slice::from_raw_parts(p, len);
        self::text(l, text, &*cfg)
    }
}

/// Decodes a text and pushes its value, or fails as the instance does; what is on the stack from index 2 on may go.
///
/// # Safety
/// The text stays in place until this is left, whatever the collector does.
pub(super) unsafe fn text(l: *mut ffi::lua_State, text: &[u8], cfg: &Config) -> c_int {
    let safe = cfg.safe != 0;
    // SAFETY: nothing on this frame owns anything.
    unsafe {
        if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
            let failure = Failure::Text(c"JSON parser does not support UTF-16 or UTF-32");
            return fail(l, safe, failure);
        }
        let mut dec = Decoder {
            l,
            text,
            at: 0,
            cfg: *cfg,
            depth: 0,
        };
        match dec.document() {
            Ok(()) => 1,
            Err(failure) => fail(l, safe, failure),
        }
    }
}

struct Decoder<'a> {
    l: *mut ffi::lua_State,
    text: &'a [u8],
    at: usize,
    cfg: Config,
    depth: c_int,
}

type Step = Result<(), Failure>;

/// How many fields or items wait on the stack for their table.
const BATCH: c_int = 16;

const VALUE: &CStr = c"value";
const TOKEN: &CStr = c"invalid token";

impl Decoder<'_> {
    #[inline]
    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    /// Skips white space (and comments, where allowed) and answers what follows; 0 also stands for the end.
    #[inline]
    fn next(&mut self) -> Result<u8, Failure> {
        loop {
            let b = self.peek();
            match b {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                b'/' if self.cfg.allow_comment != 0 && self.comment() => {}
                _ => return Ok(b),
            }
        }
    }

    /// Skips the comment that begins here; false when there is none, or none that ends.
    fn comment(&mut self) -> bool {
        let rest = &self.text[self.at..];
        if rest.starts_with(b"//") {
            self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            return true;
        }
        let end = match rest.starts_with(b"/*") {
            true => memchr::memmem::find(&rest[2..], b"*/"),
            false => None,
        };
        self.at += end.map_or(0, |n| n + 4);
        end.is_some()
    }

    fn bad(&self, expected: &'static CStr, found: &'static CStr, at: usize) -> Failure {
        Failure::Expected(expected, found, at + 1)
    }

    unsafe fn document(&mut self) -> Step {
        // SAFETY: pushes one value; see `value`.
        unsafe {
            self.next()?;
            self.value()?;
            self.next()?;
            if self.at < self.text.len() {
                return Err(self.unexpected(c"the end"));
            }
            Ok(())
        }
    }

    /// What stands at the reader's place instead of what was expected: names a whole token, as lua-cjson does.
    unsafe fn unexpected(&mut self, expected: &'static CStr) -> Failure {
        let at = self.at;
        let rest = &self.text[at..];
        let found = match self.peek() {
            b'/' if self.cfg.allow_comment != 0 && rest.starts_with(b"/*") => {
                return self.bad(expected, c"unclosed multi-line comment", self.text.len());
            }
            b'{' => c"T_OBJ_BEGIN",
            b'}' => c"T_OBJ_END",
            b'[' => c"T_ARR_BEGIN",
            b']' => c"T_ARR_END",
            b',' => c"T_COMMA",
            b':' => c"T_COLON",
            b'"' => {
                // SAFETY: pushes one string, which `fail` drops with the rest.
                match unsafe { self.string(expected) } {
                    Ok(()) => c"T_STRING",
                    Err(failure) => return failure,
                }
            }
            0 if rest.is_empty() => c"T_END",
            b'-' | b'0'..=b'9' => match self.number_here() {
                Some((_, n)) if rest[..n].iter().all(|b| b.is_ascii_digit() || *b == b'-') => c"T_INTEGER",
                Some(_) => c"T_NUMBER",
                None => c"invalid number",
            },
            _ if rest.starts_with(b"true") || rest.starts_with(b"false") => c"T_BOOLEAN",
            _ if rest.starts_with(b"null") => c"T_NULL",
            _ if self.cfg.decode_invalid != 0 && number::is_invalid(rest) => match number::read(rest) {
                Some(_) => c"T_NUMBER",
                None => c"invalid number",
            },
            _ => TOKEN,
        };
        self.bad(expected, found, at)
    }

    fn number_here(&self) -> Option<(f64, usize)> {
        let rest = &self.text[self.at..];
        if self.cfg.decode_invalid == 0 && number::is_invalid(rest) {
            return None;
        }
        number::read(rest)
    }

    /// Pushes the value that starts here (white space is skipped already).
    unsafe fn value(&mut self) -> Step {
        let l = self.l;
        // SAFETY: the caller has room for one value and what a table needs is asked for in `descend`.
        unsafe {
            match self.peek() {
                b'"' => return self.string(VALUE),
                b'{' => return self.object(),
                b'[' => return self.array(),
                b'-' | b'0'..=b'9' => {
                    let Some((n, used)) = self.number_here() else {
                        return Err(self.bad(VALUE, c"invalid number", self.at));
                    };
                    self.at += used;
                    ffi::lua_pushnumber(l, n);
                }
                b't' if self.word(b"true") => ffi::lua_pushboolean(l, 1),
                b'f' if self.word(b"false") => ffi::lua_pushboolean(l, 0),
                b'n' if self.word(b"null") => ffi::lua_pushlightuserdata(l, std::ptr::null_mut()),
                _ => {
                    let rest = &self.text[self.at..];
                    if self.cfg.decode_invalid == 0 || !number::is_invalid(rest) {
                        return Err(self.unexpected(VALUE));
                    }
                    let Some((n, used)) = number::read(rest) else {
                        return Err(self.bad(VALUE, c"invalid number", self.at));
                    };
                    self.at += used;
                    ffi::lua_pushnumber(l, n);
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn word(&mut self, word: &[u8]) -> bool {
        let is = self.text[self.at..].starts_with(word);
        if is {
            self.at += word.len();
        }
        is
    }

    unsafe fn descend(&mut self) -> Step {
        self.depth += 1;
        self.at += 1;
        // SAFETY: asking for stack is total.
        if self.depth > self.cfg.decode_max_depth || unsafe { ffi::lua_checkstack(self.l, 8) } == 0 {
            return Err(Failure::Nested(self.depth, self.at));
        }
        Ok(())
    }

    /// Room for one more pair; false when the stack is full, so that what waits must go into its table.
    #[inline]
    unsafe fn room(&self) -> bool {
        // SAFETY: total.
        unsafe { ffi::lua_checkstack(self.l, 8) != 0 }
    }

    unsafe fn object(&mut self) -> Step {
        let l = self.l;
        // SAFETY: stack discipline: `base` is the table's index once it is made; waiting pairs lie above it.
        unsafe {
            self.descend()?;
            if self.next()? == b'}' {
                self.at += 1;
                self.depth -= 1;
                ffi::lua_createtable(l, 0, 0);
                return Ok(());
            }
            let base = ffi::lua_gettop(l) + 1;
            let (mut waiting, mut made) = (0, false);
            loop {
                if self.peek() != b'"' {
                    return Err(self.unexpected(c"object key string"));
                }
                if waiting == BATCH || !self.room() {
                    self.gather_fields(base, waiting, made, BATCH * 3)?;
                    (waiting, made) = (0, true);
                }
                self.string(c"object key string")?;
                if self.next()? != b':' {
                    return Err(self.unexpected(c"colon"));
                }
                self.at += 1;
                self.next()?;
                self.value()?;
                waiting += 1;
                match self.next()? {
                    b',' => {
                        self.at += 1;
                        self.next()?;
                    }
                    b'}' => {
                        self.at += 1;
                        self.depth -= 1;
                        return self.gather_fields(base, waiting, made, waiting);
                    }
                    _ => return Err(self.unexpected(c"comma or object end")),
                }
            }
        }
    }

    /// Moves the `waiting` pairs on top of the stack into the table at `base`, made now if it is not there yet.
    unsafe fn gather_fields(&mut self, base: c_int, waiting: c_int, made: bool, size: c_int) -> Step {
        let l = self.l;
        // SAFETY: pairs lie at first, first+1, ...; `room` or `descend` left space for three more values.
        unsafe {
            if ffi::lua_checkstack(l, 4) == 0 {
                return Err(Failure::Nested(self.depth, self.at));
            }
            if !made {
                ffi::lua_createtable(l, 0, size);
                ffi::lua_insert(l, base);
            }
            // In order, so that of two equal keys the later one wins.
            for i in 0..waiting {
                ffi::lua_pushvalue(l, base + 1 + i * 2);
                ffi::lua_pushvalue(l, base + 2 + i * 2);
                ffi::lua_rawset(l, base);
            }
            ffi::lua_settop(l, base);
        }
        Ok(())
    }

    unsafe fn array(&mut self) -> Step {
        let l = self.l;
        // SAFETY: as in `object`.
        unsafe {
            self.descend()?;
            let base = ffi::lua_gettop(l) + 1;
            let (mut waiting, mut done, mut made) = (0, 0usize, false);
            if self.next()? == b']' {
                self.at += 1;
            } else {
                loop {
                    if waiting == BATCH || !self.room() {
                        self.gather_items(base, waiting, done, made, BATCH * 3)?;
                        done += waiting as usize;
                        (waiting, made) = (0, true);
                    }
                    self.value()?;
                    waiting += 1;
                    match self.next()? {
                        b',' => {
                            self.at += 1;
                            self.next()?;
                        }
                        b']' => {
                            self.at += 1;
                            break;
                        }
                        _ => return Err(self.unexpected(c"comma or array end")),
                    }
                }
            }
            self.depth -= 1;
            self.gather_items(base, waiting, done, made, waiting)?;
            if self.cfg.array_with_mt != 0 {
                marker(l, &ARRAY_MT);
                ffi::lua_setmetatable(l, -2);
            }
        }
        Ok(())
    }

    unsafe fn gather_items(
        &mut self,
        base: c_int,
        waiting: c_int,
        done: usize,
        made: bool,
        size: c_int,
    ) -> Step {
        let l = self.l;
        // SAFETY: as in `gather_fields`; each rawseti pops one item.
        unsafe {
            if ffi::lua_checkstack(l, 4) == 0 {
                return Err(Failure::Nested(self.depth, self.at));
            }
            if !made {
                ffi::lua_createtable(l, size, 0);
                ffi::lua_insert(l, base);
            }
            if done == 0 {
                for i in (1..=waiting as usize).rev() {
                    ffi::lua_rawseti(l, base, i as _);
                }
            } else {
                // Upwards, or the table would put its growth into the hash part.
                for i in 1..=waiting {
                    ffi::lua_pushvalue(l, base + i);
                    ffi::lua_rawseti(l, base, (done + i as usize) as _);
                }
            }
            ffi::lua_settop(l, base);
        }
        Ok(())
    }

    /// Pushes the string whose opening quote is here.
    unsafe fn string(&mut self, expected: &'static CStr) -> Step {
        let start = self.at + 1;
        let mut i = start;
        let mut escaped = false;
        loop {
            match self.text.get(i) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    // The escape itself is judged below, in order, before a missing end is.
                    i += if i + 1 < self.text.len() { 2 } else { 1 };
                }
                Some(0) | None => return Err(self.unterminated(expected, start, i.min(self.text.len()))),
                Some(_) => i += 1,
            }
        }
        let raw = &self.text[start..i];
        // SAFETY: one value is pushed (two while a long string is undone); `undo` writes at most raw.len() bytes.
        unsafe {
            if !escaped {
                ffi::lua_pushlstring(self.l, raw.as_ptr().cast(), raw.len());
            } else if raw.len() <= 1024 {
                let mut small = [MaybeUninit::<u8>::uninit(); 1024];
                let n = self.undo(raw, start, small.as_mut_ptr().cast(), expected)?;
                ffi::lua_pushlstring(self.l, small.as_ptr().cast(), n);
            } else {
                let big: *mut u8 = ffi::lua_newuserdata(self.l, raw.len()).cast();
                let n = self.undo(raw, start, big, expected)?;
                ffi::lua_pushlstring(self.l, big.cast(), n);
                ffi::lua_remove(self.l, -2);
            }
        }
        self.at = i + 1;
        Ok(())
    }

    /// The failure of a string without an end: an earlier bad escape is told first.
    fn unterminated(&self, expected: &'static CStr, start: usize, end: usize) -> Failure {
        let mut i = start;
        while i < end {
            if self.text[i] != b'\\' {
                i += 1;
                continue;
            }
            match escape(&self.text[i..]) {
                Ok((_, used)) => i += used,
                Err(what) => return self.bad(expected, what, i),
            }
        }
        self.bad(expected, c"unexpected end of string", end)
    }

    /// Undoes the escapes of `raw` into `out`, which has room for as many bytes; answers how many it wrote.
    unsafe fn undo(
        &self,
        raw: &[u8],
        start: usize,
        out: *mut u8,
        expected: &'static CStr,
    ) -> Result<usize, Failure> {
        let (mut i, mut n) = (0, 0);
        while i < raw.len() {
            let plain = memchr::memchr(b'\\', &raw[i..]).unwrap_or(raw.len() - i);
            // SAFETY: an escape is never shorter than what it stands for, so n <= i always holds.
            unsafe { std::ptr::copy_nonoverlapping(raw.as_ptr().add(i), out.add(n), plain) };
            i += plain;
            n += plain;
            if i == raw.len() {
                break;
            }
            let (c, used) = escape(&raw[i..]).map_err(|what| self.bad(expected, what, start + i))?;
            let mut utf8 = [0u8; 4];
            let utf8 = c.encode_utf8(&mut utf8).as_bytes();
            // SAFETY: as above.
            unsafe { std::ptr::copy_nonoverlapping(utf8.as_ptr(), out.add(n), utf8.len()) };
            i += used;
            n += utf8.len();
        }
        Ok(n)
    }
}

/// Reads the escape that starts `s`: the character and how many bytes it took.
fn escape(s: &[u8]) -> Result<(char, usize), &'static CStr> {
    let c = match s.get(1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode(s).ok_or(c"invalid unicode escape code"),
        _ => return Err(c"invalid escape code"),
    };
    Ok((c, 2))
}

fn unicode(s: &[u8]) -> Option<(char, usize)> {
    let unit = hex4(s.get(2..6)?)?;
    if unit & 0xf800 != 0xd800 {
        return Some((char::from_u32(unit)?, 6));
    }
    if unit & 0x400 != 0 || s.get(6..8)? != b"\\u" {
        return None;
    }
    let low = hex4(s.get(8..12)?)?;
    if low & 0xfc00 != 0xdc00 {
        return None;
    }
    Some((
        char::from_u32((((unit & 0x3ff) << 10) | (low & 0x3ff)) + 0x1_0000)?,
        12,
    ))
}

fn hex4(s: &[u8]) -> Option<u32> {
    s.iter()
        .try_fold(0, |n, b| Some(n * 16 + char::from(*b).to_digit(16)?))
}
