//! What a dictionary's bytes hold, counted as nginx's slab allocator counts them: chunks of a power of two in pages of
//! their own kind, and whole pages for what is longer.
//!
//! Only counts: the values lie on the heap. Pages are packed without gaps, so a little more fits than in nginx.
//! Must not: know what the chunks are for.

/// The size of a page.
pub(super) const PAGE: usize = 4096;
/// The longest chunk that shares a page.
const LONGEST: usize = PAGE / 2;
/// How many chunks of 8, 16, ... 2048 bytes a page holds; the small kinds keep their bitmap in it.
const PER_PAGE: [usize; 9] = [504, 254, 127, 64, 32, 16, 8, 4, 2];
/// nginx's bookkeeping before the pages, and for each of them.
const HEAD: usize = 712;
const PER_PAGE_HEAD: usize = 24;

/// The pages of one dictionary.
#[derive(Debug)]
pub(super) struct Room {
    chunks: [usize; PER_PAGE.len()],
    free: usize,
    pages: usize,
    /// Pages that were taken from the start.
    own: usize,
}

impl Room {
    /// The pages that nginx makes of `bytes`, less what the module takes for itself.
    pub(super) fn new(bytes: usize) -> Self {
        let pages = bytes.saturating_sub(HEAD) / (PAGE + PER_PAGE_HEAD);
        let start = (HEAD + pages * PER_PAGE_HEAD).next_multiple_of(PAGE);
        let pages = pages.min(bytes.saturating_sub(start) / PAGE);
        let mut room = Self {
            chunks: [0; PER_PAGE.len()],
            free: pages,
            pages,
            own: 0,
        };
        // the tree with its queue, and the name for the log
        room.take(128);
        room.take(64);
        room.own = pages - room.free;
        room
    }

    /// Takes `size` bytes; false, and nothing taken, if there is no room for them.
    pub(super) fn take(&mut self, size: usize) -> bool {
        let Some(kind) = kind(size) else {
            let pages = size.div_ceil(PAGE);
            if pages > self.free {
                return false;
            }
            self.free -= pages;
            return true;
        };
        if self.chunks[kind].is_multiple_of(PER_PAGE[kind]) {
            if self.free == 0 {
                return false;
            }
            self.free -= 1;
        }
        self.chunks[kind] += 1;
        true
    }

    /// Gives back what `take` took.
    pub(super) fn give(&mut self, size: usize) {
        let Some(kind) = kind(size) else {
            self.free += size.div_ceil(PAGE);
            return;
        };
        self.chunks[kind] -= 1;
        if self.chunks[kind].is_multiple_of(PER_PAGE[kind]) {
            self.free += 1;
        }
    }

    /// Whether `size` bytes could ever be taken.
    pub(super) fn could_hold(&self, size: usize) -> bool {
        match kind(size) {
            Some(_) => self.pages > self.own,
            None => size.div_ceil(PAGE) + self.own <= self.pages,
        }
    }

    /// Whole pages that nothing is in.
    pub(super) fn free_pages(&self) -> usize {
        self.free
    }

    /// Pages that values are in.
    pub(super) fn used_pages(&self) -> usize {
        self.pages - self.free - self.own
    }
}

/// Which kind of chunk holds `size` bytes; None for whole pages.
fn kind(size: usize) -> Option<usize> {
    (size <= LONGEST).then(|| size.max(8).next_power_of_two().trailing_zeros() as usize - 3)
}

/// Whether two sizes take the same room.
pub(super) fn alike(a: usize, b: usize) -> bool {
    match (kind(a), kind(b)) {
        (None, None) => a.div_ceil(PAGE) == b.div_ceil(PAGE),
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d03_pages_are_counted_as_nginx_counts_them() {
        // what lua-resty-core's free_space says of zones of 16k and 100k
        let mut small = Room::new(16 << 10);
        assert_eq!(small.free_pages(), 1);
        assert_eq!(Room::new(100 << 10).free_pages(), 22);
        for _ in 0..31 {
            assert!(small.take(84));
        }
        assert_eq!(small.free_pages(), 1, "the page of the tree had room for 31");
        for _ in 0..32 {
            assert!(small.take(84));
        }
        assert_eq!(small.free_pages(), 0);
        assert!(!small.take(84) && !small.take(3000));
        (0..63).for_each(|_| small.give(100));
        assert_eq!(small.free_pages(), 1);
        assert!(small.take(4096) && !small.take(4097));
        assert!(!small.could_hold(4097) && small.could_hold(1));
        assert!(!Room::new(1000).could_hold(1));
    }
}
