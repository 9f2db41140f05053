//! The process's memory: the allocator of everything, Rust's and Lua's, and what is asked of the system about it.
//!
//! Must not: know what the memory is for.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;

use libmimalloc_sys as mi;

/// Every block of at least this size is aligned to it (`MI_MAX_ALIGN_SIZE`).
const NATURAL: usize = 16;

/// mimalloc. Lua and Rust allocate and free small blocks all the time; glibc's malloc was 7 % of a proxied request's
/// CPU.
///
/// The `mimalloc` crate asks for an alignment every time, and version 3 then takes any size that is no power of two
/// from a larger class, on a slow path: of a Lua state's blocks that is nearly all. Usual alignments need not be
/// asked for.
#[derive(Debug, Clone, Copy)]
pub struct Allocator;

#[inline]
fn is_natural(size: usize, align: usize) -> bool {
    align <= NATURAL && align <= size
}

// SAFETY: mimalloc's functions allocate as GlobalAlloc asks: null where there is no memory, blocks that stay until they
// are freed by any thread, and no unwinding. A block of `size` bytes or more is aligned to `NATURAL`, and a smaller one to
// its size, if that is a power of two (asserted in mimalloc's `_mi_page_malloc_zero`, tested below); other alignments are asked
// for. `mi_free` and both reallocs take blocks of either kind.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: see above.
        let block = unsafe {
            match is_natural(size, align) {
                true => mi::mi_malloc(size),
                false => mi::mi_malloc_aligned(size, align),
            }
        };
        block.cast()
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: see above.
        let block = unsafe {
            match is_natural(size, align) {
                true => mi::mi_zalloc(size),
                false => mi::mi_zalloc_aligned(size, align),
            }
        };
        block.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: see above; the caller gives a block of this allocator.
        unsafe { mi::mi_free(block.cast::<c_void>()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        // SAFETY: see above; the caller gives a block of this allocator.
        let block = unsafe {
            match is_natural(size, align) {
                true => mi::mi_realloc(block.cast(), size),
                false => mi::mi_realloc_aligned(block.cast(), size, align),
            }
        };
        block.cast()
    }
}

/// Has memory in small pages only: in huge ones a Lua state or a configuration takes up to half as much again, and
/// no workload of the benchmark was faster with them. Child processes inherit it.
pub fn without_huge_pages() {
    // SAFETY: PR_SET_THP_DISABLE takes integers and touches no memory of ours. That an old kernel refuses it is all
    // right.
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0);
    }
}

/// Gives memory that was freed back to the system: the allocator does so only when it is asked for more.
pub fn give_back() {
    // SAFETY: mi_collect takes a flag, works on the calling thread's heap and on what no thread owns, and may be
    // called by any thread at any time.
    unsafe { mi::mi_collect(true) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn b04_blocks_are_aligned_as_asked_for_whatever_their_size() {
        let mut blocks = Vec::new();
        for align in (0..13).map(|n| 1usize << n) {
            for size in (1..200).chain((200..9000).step_by(37)).chain([65_537, 2 << 20]) {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: sizes are not zero; each block is written within its size.
                unsafe {
                    let zeroed = size % 2 == 0;
                    let block = match zeroed {
                        true => Allocator.alloc_zeroed(layout),
                        false => Allocator.alloc(layout),
                    };
                    assert!(
                        !block.is_null() && block.addr().is_multiple_of(align),
                        "{size} {align}"
                    );
                    if zeroed {
                        let bytes = std::slice::from_raw_parts(block, size);
                        assert!(bytes.iter().all(|byte| *byte == 0));
                    }
                    block.write_bytes(size as u8, size);
                    blocks.push((block, layout));
                }
            }
        }
        // every other one is freed before the rest grow or shrink, so that places are taken again
        for (n, (block, layout)) in blocks.into_iter().enumerate() {
            let (old, align) = (layout.size(), layout.align());
            // SAFETY: each block came with this layout and is freed once, with the one it has then.
            unsafe {
                if n % 2 == 0 {
                    Allocator.dealloc(block, layout);
                    continue;
                }
                let new = if n % 4 == 1 { old * 2 + 1 } else { old / 3 + 1 };
                let block = Allocator.realloc(block, layout, new);
                assert!(
                    !block.is_null() && block.addr().is_multiple_of(align),
                    "{old} {new} {align}"
                );
                let kept = std::slice::from_raw_parts(block, old.min(new));
                assert!(kept.iter().all(|byte| *byte == old as u8));
                Allocator.dealloc(block, Layout::from_size_align(new, align).unwrap());
            }
        }
    }
}
