//! The encoder's buffer: first on the C stack, then, when that is full, in a Lua userdata.
//!
//! Nothing here needs a destructor: a Lua error may leave at any point, the collector takes the userdata.
//! Being on the stack it is also safe against a finalizer that encodes while the collector runs.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use mlua::ffi;

/// How much fits before Lua is asked for memory.
pub(super) const INLINE: usize = 4096;

/// A growing run of bytes. `slot` is the stack index that keeps the userdata alive.
pub(super) struct Buffer {
    ptr: *mut u8,
    len: usize,
    cap: usize,
    l: *mut ffi::lua_State,
    slot: i32,
}

/// LuaJIT's largest userdata, in bytes.
const LARGEST: usize = 0x7fff_ff00;

impl Buffer {
    /// Starts in `first`; the Lua stack must have a value at `slot` that may be replaced.
    pub(super) fn new(l: *mut ffi::lua_State, slot: i32, first: &mut [MaybeUninit<u8>; INLINE]) -> Self {
        Self {
            ptr: first.as_mut_ptr().cast(),
            len: 0,
            cap: INLINE,
            l,
            slot,
        }
    }

    #[inline]
    pub(super) fn byte(&mut self, b: u8) {
        // SAFETY: `room` leaves space for one byte at `len`.
        unsafe {
            self.room(1);
            *self.ptr.add(self.len) = b;
        }
        self.len += 1;
    }

    #[inline]
    pub(super) fn bytes(&mut self, s: &[u8]) {
        // SAFETY: `room` leaves space for `s`; the source is a Lua string or static, never this buffer.
        unsafe {
            self.room(s.len());
            std::ptr::copy_nonoverlapping(s.as_ptr(), self.ptr.add(self.len), s.len());
        }
        self.len += s.len();
    }

    /// Takes back the last byte.
    #[inline]
    pub(super) fn pop(&mut self) {
        self.len -= 1;
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Space for `n` bytes at the end, to be filled and then told with [`Buffer::advance`].
    #[inline]
    pub(super) fn spare(&mut self, n: usize) -> *mut u8 {
        // SAFETY: after `room`, `len` is within the allocation.
        unsafe {
            self.room(n);
            self.ptr.add(self.len)
        }
    }

    /// # Safety
    /// The next `n` bytes were written through [`Buffer::spare`].
    #[inline]
    pub(super) unsafe fn advance(&mut self, n: usize) {
        self.len += n;
    }

    /// The bytes.
    pub(super) fn written(&self) -> &[u8] {
        // SAFETY: as in `push`.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }

    /// Pushes the bytes as a Lua string.
    pub(super) fn push(&self) {
        // SAFETY: ptr..len is initialised and alive (own frame or anchored userdata).
        unsafe {
            ffi::lua_pushlstring(self.l, self.ptr.cast(), self.len);
        }
    }

    #[inline]
    unsafe fn room(&mut self, n: usize) {
        if self.cap - self.len < n {
            // SAFETY: as this function's.
            unsafe { self.grow(n) }
        }
    }

    #[cold]
    unsafe fn grow(&mut self, n: usize) {
        let cap = (self.cap * 2).min(LARGEST).max(self.len + n);
        // SAFETY: the old memory stays alive until lua_replace lets go of it, after the copy.
        unsafe {
            let new: *mut u8 = ffi::lua_newuserdata(self.l, cap).cast();
            std::ptr::copy_nonoverlapping(self.ptr, new, self.len);
            ffi::lua_replace(self.l, self.slot);
            self.ptr = new;
            self.cap = cap;
        }
    }
}
