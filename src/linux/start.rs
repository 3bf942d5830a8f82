//! What is done before main, and so before Rust's run-time library changes what this process was started with.
//!
//! The C library calls what the section `.init_array` lists, with main's arguments.

use std::ffi::{c_char, c_int};
use std::ptr;

use super::signal::inherit;
use super::std_fds;

/// A stack limit below this, in bytes, is the guest's alone: the emulator takes a stack of its own. It needs some
/// 100 KiB.
const ENOUGH_STACK: u64 = 1 << 20;
const PAGE: usize = 4096;

type Start = extern "C" fn(c_int, *const *const c_char, *const *const c_char);

// SAFETY: the section holds pointers to functions that take main's arguments and return nothing, which this is; they
// run once, on the first thread, before main. It uses nothing that needs initialisation.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: Start = at_start;

extern "C" fn at_start(argc: c_int, argv: *const *const c_char, _envp: *const *const c_char) {
    inherit::note();
    std_fds::note();
    // The other entries of the section have run by now: Rust's own has a priority, and ours have been made one.
    if let Some(top) = stack_instead() {
        // SAFETY: a fresh stack; main gets what the C library would give it and its status goes to exit, as there. It is
        // the C entry point that rustc makes for every program, called by its name in the text: the library's own tests
        // have one in this crate, beside which it may not be declared.
        unsafe {
            std::arch::asm!(
                "mov rsp, {top}",
                "xor ebp, ebp",
                "call main",
                "mov edi, eax",
                "call {exit}",
                "ud2",
                top = in(reg) top,
                exit = sym libc::exit,
                in("edi") argc,
                in("rsi") argv,
                options(noreturn)
            )
        }
    }
}

/// The top of a stack for main, where the limit leaves the kernel's too small and there is memory for another.
fn stack_instead() -> Option<usize> {
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` is a valid destination; a failure leaves "no limit".
    unsafe { libc::getrlimit(libc::RLIMIT_STACK, &mut limit) };
    if limit.rlim_cur >= ENOUGH_STACK {
        return None;
    }
    let len = ENOUGH_STACK as usize;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
    // SAFETY: a new mapping wherever the kernel likes, whose lowest page becomes a guard.
    unsafe {
        let start = libc::mmap(ptr::null_mut(), len, prot, flags, -1, 0);
        if start == libc::MAP_FAILED {
            return None;
        }
        libc::mprotect(start, PAGE, libc::PROT_NONE);
        Some(start as usize + len)
    }
}
