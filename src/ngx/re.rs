//! `ngx.re` on PCRE2: compiling, matching and replacing, called by the face through FFI.
//!
//! A compiled pattern is a struct that Lua sees as cdata, with the offsets of its last match in it: a match that is
//! asked for again and again costs a call that LuaJIT compiles into its traces. The face keeps the patterns and says
//! when one goes. The bindings are `pcre2-sys`, as the safe `pcre2` crate has neither the DFA matcher, nor
//! `PCRE2_ALT_BSUX` and its kin, nor a match context. Must not: touch a Lua state, unwind, or keep what a
//! subject's pointer points to.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_uchar, c_uint, c_void};
use std::io::Write as _;
use std::ptr::{null, null_mut};

use pcre2_sys as pcre;

use super::re_template::{self, Part};
use crate::vm::{Args, Registrar, Ret, op};

/// Kong's `lua_regex_match_limit`: backtracking ends there.
const MATCH_LIMIT: u32 = 100_000;
/// Kong's `lua_regex_cache_max_entries`.
const CACHE: u32 = 8192;
/// The least stack of a JIT-compiled pattern.
const JIT_STACK: usize = 32 * 1024;
/// How much room a DFA match has, as in OpenResty.
const WORKSPACE: usize = 100;
/// What a match with the interpreter may leave allocated.
const FRAMES_KEPT: usize = 1 << 20;
/// How much memory one match may take for backtracking, in KiB (PCRE2 itself would allow 20 GB).
const HEAP_LIMIT: u32 = 256 * 1024;
/// How much a replacement may grow.
const RESULT_CAP: usize = 256 << 20;

/// The face's flags beside PCRE2's options.
mod flag {
    pub const DFA: u32 = 2;
    pub const JIT: u32 = 4;
    pub const NO_UTF_CHECK: u32 = 16;
}

/// A compiled pattern; the first fields are the face's `moongate_regex_t`.
#[repr(C)]
struct Pattern {
    /// Groups beyond the whole match; none in DFA mode.
    ncaptures: c_int,
    name_count: c_int,
    name_entry_size: c_int,
    /// Set by the face where somebody may still hold the pattern when the cache forgets it.
    pinned: c_int,
    /// Pairs of offsets, -1 where a group took no part.
    captures: *mut c_int,
    name_table: *const c_uchar,
    code: *mut pcre::pcre2_code_8,
    offsets: Vec<c_int>,
}

/// What `replace` made; the bytes stay until the next call.
#[repr(C)]
struct Replaced {
    data: *const c_uchar,
    len: usize,
}

/// What one thread's matches share.
struct Engine {
    context: *mut pcre::pcre2_match_context_8,
    stack: *mut pcre::pcre2_jit_stack_8,
    data: *mut pcre::pcre2_match_data_8,
    pairs: u32,
    out: Vec<u8>,
}

thread_local! {
    static ENGINE: RefCell<Engine> = const { RefCell::new(Engine::new()) };
    static LIMITS: Cell<(u32, u32)> = const { Cell::new((MATCH_LIMIT, CACHE)) };
}

/// Sets this thread's `lua_regex_match_limit` (0 for PCRE2's own) and `lua_regex_cache_max_entries`, before its
/// states are made.
pub fn configure(match_limit: u32, cache: u32) {
    LIMITS.set((match_limit, cache));
}

impl Engine {
    const fn new() -> Self {
        Self {
            context: null_mut(),
            stack: null_mut(),
            data: null_mut(),
            pairs: 0,
            out: Vec::new(),
        }
    }

    fn context(&mut self) -> *mut pcre::pcre2_match_context_8 {
        if self.context.is_null() {
            // SAFETY: plain calls; a null context is one with PCRE2's defaults.
            unsafe {
                self.context = pcre::pcre2_match_context_create_8(null_mut());
                let limit = LIMITS.get().0;
                if !self.context.is_null() {
                    pcre::pcre2_set_heap_limit_8(self.context, HEAP_LIMIT);
                    if limit > 0 {
                        pcre::pcre2_set_match_limit_8(self.context, limit);
                    }
                }
            }
        }
        self.context
    }

    /// Room for at least `pairs` pairs of offsets; null when out of memory.
    fn data(&mut self, pairs: u32) -> *mut pcre::pcre2_match_data_8 {
        if self.data.is_null() || self.pairs < pairs {
            let pairs = pairs.max(16);
            // SAFETY: the old one is ours and no match is under way.
            unsafe {
                pcre::pcre2_match_data_free_8(self.data);
                self.data = pcre::pcre2_match_data_create_8(pairs, null_mut());
                self.pairs = pairs;
            }
        }
        self.data
    }

    fn forget_frames(&mut self) {
        // SAFETY: ours, and no match is under way.
        unsafe {
            if pcre::pcre2_get_match_data_heapframes_size_8(self.data) > FRAMES_KEPT {
                pcre::pcre2_match_data_free_8(self.data);
                self.data = null_mut();
            }
        }
    }

    /// The result code of one match; the offsets are left in the pattern.
    fn run(&mut self, p: &mut Pattern, flags: u32, subject: &[u8], from: usize) -> c_int {
        let dfa = flags & flag::DFA != 0;
        let pairs = if dfa { 1 } else { p.ncaptures as u32 + 1 };
        let context = self.context();
        let data = self.data(pairs);
        if data.is_null() {
            return pcre::PCRE2_ERROR_NOMEMORY;
        }
        // SAFETY: code, data and context are live and of this thread; the subject is borrowed for the call.
        let rc = unsafe {
            if dfa {
                let mut space = [0; WORKSPACE];
                pcre::pcre2_dfa_match_8(
                    p.code,
                    subject.as_ptr(),
                    subject.len(),
                    from,
                    0,
                    data,
                    context,
                    space.as_mut_ptr(),
                    WORKSPACE,
                )
            } else {
                pcre::pcre2_match_8(p.code, subject.as_ptr(), subject.len(), from, 0, data, context)
            }
        };
        if rc >= 0 {
            // SAFETY: the data holds at least `pairs` pairs; of a pattern's own, those that a match did not reach are PCRE2_UNSET, whose low
            // half is -1.
            let found = unsafe {
                std::slice::from_raw_parts(pcre::pcre2_get_ovector_pointer_8(data), 2 * pairs as usize)
            };
            for (to, from) in p.offsets.iter_mut().zip(found) {
                *to = *from as c_int;
            }
        }
        self.forget_frames();
        rc
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: all are ours or null, and the thread is at its end.
        unsafe {
            pcre::pcre2_match_data_free_8(self.data);
            pcre::pcre2_match_context_free_8(self.context);
            if !self.stack.is_null() {
                pcre::pcre2_jit_stack_free_8(self.stack);
            }
        }
    }
}

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_re", "functions", op::raw(functions))?;
    r.op("ngx_re", "cache_size", op::raw(cache_size))
}

fn cache_size(_: &Args, r: &mut Ret) {
    r.num(LIMITS.get().1);
}

/// The functions that the face calls through FFI, by name.
fn functions(_: &Args, r: &mut Ret) {
    let all: [(&'static str, *mut c_void); 5] = [
        ("compile", compile as *mut c_void),
        ("free", free as *mut c_void),
        ("exec", exec as *mut c_void),
        ("replace", replace as *mut c_void),
        ("set_jit_stack", set_jit_stack as *mut c_void),
    ];
    r.table(0, all.len(), |t| {
        for (name, f) in all {
            t.lit(name).light(f).set();
        }
    });
}

/// Bytes that Lua lends for a call.
///
/// # Safety
/// `p` points to `len` bytes, or `len` is 0.
unsafe fn lent<'a>(p: *const c_uchar, len: usize) -> &'a [u8] {
    if len == 0 {
        return &[];
    }
    // SAFETY: as promised by the caller.
    unsafe { std::slice::from_raw_parts(p, len) }
}

/// Writes a message with a zero at its end, as much of it as there is room for.
unsafe fn say(message: &[u8], to: *mut c_uchar, size: usize) {
    let n = message.len().min(size.saturating_sub(1));
    // SAFETY: `to` has room for `size` bytes.
    unsafe {
        std::ptr::copy_nonoverlapping(message.as_ptr(), to, n);
        to.add(n).write(0);
    }
}

/// PCRE2's options; in a pattern that may see text which isn't UTF-8 unchecked (`U`), bad sequences just don't match.
fn options(flags: u32, options: u32) -> u32 {
    if flags & flag::NO_UTF_CHECK != 0 && flags & flag::DFA == 0 {
        return options | pcre::PCRE2_MATCH_INVALID_UTF;
    }
    options
}

fn compile_error(code: c_int, at: usize, pattern: &[u8]) -> Vec<u8> {
    let mut reason = [0u8; 128];
    // SAFETY: a buffer and its size.
    unsafe { pcre::pcre2_get_error_message_8(code, reason.as_mut_ptr(), reason.len()) };
    let text = |b: &[u8]| b.iter().position(|c| *c == 0).unwrap_or(b.len());
    let mut said = Vec::new();
    let _ = said.write_all(b"pcre2_compile() failed: ");
    let _ = said.write_all(&reason[..text(&reason)]);
    let _ = said.write_all(b" in \"");
    let _ = said.write_all(pattern);
    let _ = said.write_all(b"\"");
    if let Some(rest) = pattern.get(at..).filter(|rest| !rest.is_empty()) {
        let _ = said.write_all(b" at \"");
        let _ = said.write_all(&rest[..text(rest)]);
        let _ = said.write_all(b"\"");
    }
    said
}

unsafe extern "C" fn compile(
    text: *const c_uchar,
    len: usize,
    flags: c_uint,
    pcre_options: c_uint,
    err: *mut c_uchar,
    err_size: usize,
) -> *mut Pattern {
    let (mut code, mut at) = (0, 0);
    // SAFETY: Lua passes a string and its length, and a buffer and its size; `code` is live from here on.
    unsafe {
        let pattern = lent(text, len);
        let compiled = pcre::pcre2_compile_8(
            pattern.as_ptr(),
            len,
            options(flags, pcre_options),
            &raw mut code,
            &raw mut at,
            null_mut(),
        );
        if compiled.is_null() {
            say(&compile_error(code, at, pattern), err, err_size);
            return null_mut();
        }
        if flags & flag::JIT != 0 {
            // a pattern that can't be compiled to machine code is interpreted
            pcre::pcre2_jit_compile_8(compiled, pcre::PCRE2_JIT_COMPLETE);
        }
        Box::into_raw(Box::new(Pattern::new(compiled, flags)))
    }
}

impl Pattern {
    /// # Safety
    /// `code` is a live compiled pattern, which the new value owns.
    unsafe fn new(code: *mut pcre::pcre2_code_8, flags: u32) -> Self {
        let info = |what: u32| -> u32 {
            let mut n = 0u32;
            // SAFETY: each of these is a 32-bit number.
            unsafe { pcre::pcre2_pattern_info_8(code, what, (&raw mut n).cast()) };
            n
        };
        let mut table: *const c_uchar = null();
        // SAFETY: the name table is a pointer into the code.
        unsafe { pcre::pcre2_pattern_info_8(code, pcre::PCRE2_INFO_NAMETABLE, (&raw mut table).cast()) };
        let groups = if flags & flag::DFA != 0 {
            0
        } else {
            info(pcre::PCRE2_INFO_CAPTURECOUNT) as c_int
        };
        let mut offsets = vec![-1; 2 * (groups as usize + 1)];
        Self {
            ncaptures: groups,
            name_count: info(pcre::PCRE2_INFO_NAMECOUNT) as c_int,
            name_entry_size: info(pcre::PCRE2_INFO_NAMEENTRYSIZE) as c_int,
            pinned: 0,
            captures: offsets.as_mut_ptr(),
            name_table: table,
            code,
            offsets,
        }
    }
}

unsafe extern "C" fn free(p: *mut Pattern) {
    if !p.is_null() {
        // SAFETY: made by `compile`; the face frees each once.
        unsafe {
            let p = Box::from_raw(p);
            pcre::pcre2_code_free_8(p.code);
        }
    }
}

/// One match from byte `from` on: the number of groups, or PCRE2's error.
unsafe extern "C" fn exec(
    p: *mut Pattern,
    flags: c_uint,
    subject: *const c_uchar,
    len: usize,
    from: c_int,
) -> c_int {
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    // SAFETY: the pattern is live and nobody else's during the call; the subject is a Lua string.
    let (p, subject) = unsafe { (&mut *p, lent(subject, len)) };
    ENGINE.with_borrow_mut(|engine| engine.run(p, flags, subject, from))
}

/// What `replace` answers where it is not a count or PCRE2's error.
const BAD_TEMPLATE: c_int = -1000;
const TOO_LARGE: c_int = -1001;

/// Replaces the first or every match by a template; the number of replacements, or an error. What was made, or
/// what is wrong with the template, is in `result`.
unsafe extern "C" fn replace(
    p: *mut Pattern,
    flags: c_uint,
    subject: *const c_uchar,
    len: usize,
    template: *const c_uchar,
    template_len: usize,
    global: c_int,
    result: *mut Replaced,
) -> c_int {
    // SAFETY: see `exec`; the template is a Lua string, too.
    let (p, subject, template) = unsafe { (&mut *p, lent(subject, len), lent(template, template_len)) };
    ENGINE.with_borrow_mut(|engine| {
        let mut out = std::mem::take(&mut engine.out);
        out.clear();
        if out.capacity() > 1 << 20 {
            out = Vec::new();
        }
        let count = match re_template::parse(template) {
            Ok(parts) => engine.replace(p, flags, subject, &parts, global != 0, &mut out),
            Err(e) => {
                out = e;
                BAD_TEMPLATE
            }
        };
        engine.out = out;
        // SAFETY: the face's own struct; the bytes stay in place until the next call.
        unsafe {
            (*result).data = engine.out.as_ptr();
            (*result).len = engine.out.len();
        }
        count
    })
}

impl Engine {
    fn replace(
        &mut self,
        p: &mut Pattern,
        flags: u32,
        subject: &[u8],
        parts: &[Part],
        global: bool,
        out: &mut Vec<u8>,
    ) -> c_int {
        let (mut count, mut copied, mut at) = (0, 0, 0);
        loop {
            let rc = self.run(p, flags, subject, at);
            if rc == pcre::PCRE2_ERROR_NOMATCH {
                break;
            }
            if rc < 0 {
                return rc;
            }
            count += 1;
            let (from, to) = (p.offsets[0].max(0) as usize, p.offsets[1].max(0) as usize);
            out.extend_from_slice(subject.get(copied..from).unwrap_or_default());
            for part in parts {
                match part {
                    Part::Text(t) => out.extend_from_slice(t),
                    Part::Group(n) => out.extend_from_slice(p.group(*n, rc, subject)),
                }
            }
            if out.len() > RESULT_CAP {
                return TOO_LARGE;
            }
            copied = copied.max(to);
            // an empty match moves on by one byte, as OpenResty does
            at = at.max(to) + usize::from(from >= to);
            if !global || at > subject.len() {
                break;
            }
        }
        if count > 0 {
            out.extend_from_slice(subject.get(copied..).unwrap_or_default());
        }
        count
    }
}

impl Pattern {
    fn group<'s>(&self, n: usize, matched: c_int, subject: &'s [u8]) -> &'s [u8] {
        if n > 0 && n >= matched.max(1) as usize {
            return &[];
        }
        match self.offsets.get(2 * n..2 * n + 2) {
            Some(&[from, to]) if from >= 0 => subject.get(from as usize..to as usize).unwrap_or_default(),
            _ => &[],
        }
    }
}

/// `ngx.re.opt("jit_stack_size", size)`: 0, or -1 when out of memory.
unsafe extern "C" fn set_jit_stack(size: c_int) -> c_int {
    let size = usize::try_from(size).unwrap_or(0).clamp(JIT_STACK, 64 << 20);
    ENGINE.with_borrow_mut(|engine| {
        let context = engine.context();
        // SAFETY: no match is under way; the context forgets the old stack before that goes.
        unsafe {
            let stack = pcre::pcre2_jit_stack_create_8(JIT_STACK, size, null_mut());
            if stack.is_null() || context.is_null() {
                return -1;
            }
            pcre::pcre2_jit_stack_assign_8(context, None, stack.cast());
            if !engine.stack.is_null() {
                pcre::pcre2_jit_stack_free_8(engine.stack);
            }
            engine.stack = stack;
        }
        0
    })
}
