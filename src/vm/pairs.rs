//! Names and values that a native answers with, from which the face builds a table within its trace.
//!
//! Must not: join what comes several times (the face does), or hold more than its room: a longer list is the op's.

use std::ffi::c_int;

use super::native::OP;

/// The most pairs.
pub const MOST: usize = 128;
/// The most bytes of all names and values.
pub const BYTES: usize = 8192;

/// The list itself; the face's `moongate_pairs_t`.
#[derive(Debug)]
#[repr(C)]
pub struct Pairs {
    /// Another with each list: the face sees whether its own is still there.
    serial: c_int,
    /// Of each name and of its value in turn; -1 is a value that is `true`.
    lengths: [c_int; 2 * MOST],
    /// Names and values without anything between them.
    text: [u8; BYTES],
}

/// A list that is being made.
#[derive(Debug)]
pub struct Filling<'a> {
    pairs: &'a mut Pairs,
    count: usize,
    used: usize,
    full: bool,
}

// === impl Pairs ===

impl Pairs {
    /// Begins a list; the one before is gone.
    #[inline]
    pub fn fill(&mut self) -> Filling<'_> {
        self.serial = self.serial.wrapping_add(1);
        Filling {
            pairs: self,
            count: 0,
            used: 0,
            full: false,
        }
    }
}

// === impl Filling ===

impl Filling<'_> {
    #[inline]
    fn put(&mut self, text: &[u8]) -> Option<&mut [u8]> {
        let room = self.pairs.text.get_mut(self.used..self.used + text.len())?;
        room.copy_from_slice(text);
        self.used += text.len();
        Some(room)
    }

    #[inline]
    fn add_as(&mut self, name: &[u8], value: Option<&[u8]>, low: bool) -> Option<()> {
        let lengths = self.pairs.lengths.get_mut(2 * self.count..2 * self.count + 2)?;
        lengths[0] = name.len() as c_int;
        lengths[1] = value.map_or(-1, |v| v.len() as c_int);
        let name = self.put(name)?;
        if low {
            name.make_ascii_lowercase();
        }
        if let Some(value) = value {
            self.put(value)?;
        }
        self.count += 1;
        Some(())
    }

    /// Adds a pair; no value is `true`.
    #[inline]
    pub fn add(&mut self, name: &[u8], value: Option<&[u8]>) {
        self.full |= self.add_as(name, value, false).is_none();
    }

    /// Adds a pair whose name goes lower-case.
    #[inline]
    pub fn add_low(&mut self, name: &[u8], value: &[u8]) {
        self.full |= self.add_as(name, Some(value), true).is_none();
    }

    /// How many pairs there are, or that the op is to be asked.
    #[inline]
    pub fn done(self) -> c_int {
        if self.full { OP } else { self.count as c_int }
    }
}
