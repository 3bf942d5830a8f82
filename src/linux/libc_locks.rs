//! The C library's own locks around a fork that is not the C library's: clone with flags that fork(3) cannot pass on.
//!
//! fork(3) sees to it that the child's allocator and list of threads are whole whatever other threads were doing. For
//! the other kind of fork the same is done here, with the symbols that the C library has for itself. They are hidden but
//! linked, since this program is static; where they are not (another C library, a dynamic build) nothing is locked.

use std::ffi::c_void;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use super::thread::{wait_private, wake_private};

std::arch::global_asm!(
    ".weak __malloc_fork_lock_parent, __malloc_fork_unlock_parent, __malloc_fork_unlock_child",
    ".hidden __malloc_fork_lock_parent, __malloc_fork_unlock_parent, __malloc_fork_unlock_child",
    ".weak _dl_stack_cache_lock, __nptl_nthreads",
    ".hidden _dl_stack_cache_lock, __nptl_nthreads",
    ".pushsection .data.rel.ro.emu_libc_locks, \"aw\", @progbits",
    ".p2align 3",
    ".globl emu_libc_locks",
    ".hidden emu_libc_locks",
    "emu_libc_locks:",
    ".quad __malloc_fork_lock_parent, __malloc_fork_unlock_parent, __malloc_fork_unlock_child",
    ".quad _dl_stack_cache_lock, __nptl_nthreads",
    ".popsection",
);

/// A function of the C library's own fork.
///
/// # Safety
/// To be called on the thread that forks, in the order of the C library's fork.
type ForkFunction = unsafe extern "C" fn();

/// glibc's malloc/arena.c, nptl/nptl-stack.c and nptl/nptl_nthreads.c.
#[repr(C)]
struct Symbols {
    lock: Option<ForkFunction>,
    unlock_parent: Option<ForkFunction>,
    unlock_child: Option<ForkFunction>,
    /// 0 free, 1 taken, 2 taken and waited for (lowlevellock.h).
    stacks: *const c_void,
    threads: *const c_void,
}

// SAFETY: defined in the assembly above with this layout; a missing symbol is a null pointer.
unsafe extern "C" {
    static emu_libc_locks: Symbols;
}

/// Locks held over a fork.
pub struct Held(());

impl Held {
    /// Takes them: the list of stacks first, which the C library holds while it frees memory.
    pub fn take() -> Held {
        if let Some(word) = stacks() {
            let free = word.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed);
            while free.is_err() && word.swap(2, Ordering::Acquire) != 0 {
                wait_private(word, 2);
            }
        }
        // SAFETY: the C library's own function, called as its fork calls it; `Held` says that it will be undone.
        unsafe {
            if let Some(lock) = emu_libc_locks.lock {
                lock();
            }
        }
        Held(())
    }

    /// In the parent, also where there is no child.
    pub fn release(self) {
        // SAFETY: undoes `take` on the same thread.
        unsafe {
            if let Some(unlock) = emu_libc_locks.unlock_parent {
                unlock();
            }
        }
        if let Some(word) = stacks()
            && word.swap(0, Ordering::Release) == 2
        {
            wake_private(word);
        }
    }

    /// In the child, which has one thread.
    pub fn release_in_child(self) {
        // SAFETY: undoes `take` on the copy of the same thread.
        unsafe {
            if let Some(unlock) = emu_libc_locks.unlock_child {
                unlock();
            }
        }
        if let Some(word) = stacks() {
            word.store(0, Ordering::Release);
        }
        // SAFETY: the C library's count of threads, an unsigned int that it changes atomically.
        unsafe {
            if let Some(count) = emu_libc_locks.threads.cast::<AtomicU32>().as_ref() {
                count.store(1, Ordering::Relaxed);
            }
        }
    }
}

fn stacks() -> Option<&'static AtomicI32> {
    // SAFETY: an int of the C library's that it uses as a futex; it lives for ever.
    unsafe { emu_libc_locks.stacks.cast::<AtomicI32>().as_ref() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shipped binary is linked statically with a C library that has all of them.
    #[test]
    fn the_symbols_are_there() {
        // SAFETY: only compared with null.
        let all = unsafe {
            emu_libc_locks.lock.is_some()
                && emu_libc_locks.unlock_parent.is_some()
                && emu_libc_locks.unlock_child.is_some()
                && !emu_libc_locks.stacks.is_null()
                && !emu_libc_locks.threads.is_null()
        };
        assert_eq!(all, cfg!(target_feature = "crt-static"));
    }

    #[test]
    fn locks_are_free_again() {
        for _ in 0..3 {
            Held::take().release();
            drop(std::hint::black_box(vec![1u8; 100_000]));
            std::thread::spawn(|| ()).join().expect("a thread can be made");
        }
    }
}
