//! The emulator's own memory: when the host has none left, the program ends with one line that says so.

use std::alloc::{GlobalAlloc, Layout, System};

/// Exit status as for a program that cannot be run: without memory for the emulator it cannot go on.
const EXIT_CANNOT_RUN: i32 = 126;

/// The C library's allocator, which never fails: see the module.
pub struct Allocator;

// SAFETY: the system's allocator does the work under the same contract; a failure does not return.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract.
        checked(unsafe { System.alloc(layout) }, layout.size())
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract.
        checked(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    #[inline]
    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's contract.
        checked(unsafe { System.realloc(old, layout, size) }, size)
    }

    #[inline]
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(p, layout) }
    }
}

#[inline]
fn checked(p: *mut u8, size: usize) -> *mut u8 {
    if p.is_null() {
        exhausted(size);
    }
    p
}

#[cold]
fn exhausted(size: usize) -> ! {
    super::log::fatal(format_args!(
        "emu: no memory for {size} bytes of the emulator's own; raise the limits (ulimit -v, ulimit -d) or free memory"
    ));
    // SAFETY: _exit has no preconditions; nothing of ours waits to be written.
    unsafe { libc::_exit(EXIT_CANNOT_RUN) }
}
