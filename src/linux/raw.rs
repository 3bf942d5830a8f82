//! Host system calls by number: plain, and interruptible by guest signals without a race.

/// As [`syscall`], but returns -ERESTARTSYS without entering the kernel when a guest signal is pending.
pub use crate::exec::signals::syscall_interruptible;

/// A host system call. Returns the kernel's raw value: -4095..-1 is an error.
///
/// # Safety
/// As the call itself: pointers among the arguments must be good for what the kernel does with them (guest memory
/// always is: the kernel answers EFAULT).
pub unsafe fn syscall(nr: i64, args: [u64; 6]) -> i64 {
    let ret: i64;
    // SAFETY: the SYSCALL instruction clobbers rcx and r11 only; the rest is the caller's contract.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") nr => ret,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack)
        );
    }
    ret
}
