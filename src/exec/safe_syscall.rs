//! Host system calls that a signal cannot slip past: it is seen either before the kernel is entered, or by the kernel.
//!
//! A handler that interrupts the window between the check of `pending` and the SYSCALL instruction moves the pc out
//! of it. The kernel itself does so for a restartable call that a signal ended: it puts the pc back on SYSCALL, which
//! is in the window. So the caller sees -ERESTARTSYS exactly where the kernel would consult SA_RESTART.

use crate::cpu::state::CpuState;
use std::arch::global_asm;

/// Linux's internal "restart if the handler has SA_RESTART".
const ERESTARTSYS: i64 = 512;

global_asm!(
    ".pushsection .text.emu_safe_syscall, \"ax\", @progbits",
    // Global, as the code that names them may be in another object file; hidden, as no other program is to.
    ".globl emu_safe_syscall, emu_safe_syscall_window, emu_safe_syscall_end, emu_safe_syscall_interrupted",
    ".hidden emu_safe_syscall, emu_safe_syscall_window, emu_safe_syscall_end, emu_safe_syscall_interrupted",
    ".p2align 4",
    // (rdi number, rsi -> six arguments, rdx -> pending) -> rax
    "emu_safe_syscall:",
    "push rbx",
    "mov rbx, rdx",
    "mov rax, rdi",
    "mov r11, rsi",
    "mov rdi, [r11]",
    "mov rsi, [r11 + 8]",
    "mov rdx, [r11 + 16]",
    "mov r10, [r11 + 24]",
    "mov r8, [r11 + 32]",
    "mov r9, [r11 + 40]",
    "emu_safe_syscall_window:",
    "cmp dword ptr [rbx], 0",
    "jne 2f",
    "syscall",
    "emu_safe_syscall_end:",
    "pop rbx",
    "ret",
    "emu_safe_syscall_interrupted:",
    "2:",
    "mov rax, -{restart}",
    "pop rbx",
    "ret",
    ".popsection",
    restart = const ERESTARTSYS,
);

// SAFETY: the routine above with its signature, and two of its labels.
unsafe extern "C" {
    fn emu_safe_syscall(nr: i64, args: *const u64, pending: *const u32) -> i64;
    fn emu_safe_syscall_window();
    fn emu_safe_syscall_end();
    fn emu_safe_syscall_interrupted();
}

/// A host system call: the kernel's raw value, or -ERESTARTSYS (-512) when `state.pending` is set or a signal came
/// before the kernel was entered (or ended the call in a way that admits restarting it).
///
/// # Safety
/// As the call itself: pointers among the arguments must be good for what the kernel does with them.
pub unsafe fn syscall_interruptible(nr: i64, args: [u64; 6], state: &mut CpuState) -> i64 {
    // SAFETY: both pointers live through the call; the rest is the caller's contract.
    unsafe { emu_safe_syscall(nr, args.as_ptr(), &raw const state.pending) }
}

/// Where a handler that interrupted `rip` sends the thread, if that is in the window.
pub(super) fn rewind(rip: u64) -> Option<u64> {
    let window = emu_safe_syscall_window as *const () as u64..emu_safe_syscall_end as *const () as u64;
    window
        .contains(&rip)
        .then_some(emu_safe_syscall_interrupted as *const () as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_go_through_unless_something_is_pending() {
        let mut state = CpuState::new();
        // SAFETY: getpid takes no pointers.
        let pid = unsafe { syscall_interruptible(libc::SYS_getpid, [0; 6], &mut state) };
        assert_eq!(pid, i64::from(std::process::id()));
        let mut fds = [0i32; 2];
        let args = [fds.as_mut_ptr() as u64, libc::O_CLOEXEC as u64, 0, 0, 0, 0];
        // SAFETY: the kernel writes two descriptors.
        let done = unsafe { syscall_interruptible(libc::SYS_pipe2, args, &mut state) };
        assert_eq!(done, 0);
        assert!(fds[0] > 2 && fds[1] > fds[0]);
        state.pending = 1;
        // SAFETY: as above; nothing is entered.
        let refused = unsafe { syscall_interruptible(libc::SYS_pipe2, args, &mut state) };
        assert_eq!(refused, -512);
        for fd in fds {
            // SAFETY: the test's own descriptors.
            unsafe { libc::close(fd) };
        }
    }

    #[test]
    fn the_window_ends_after_the_instruction() {
        let start = emu_safe_syscall_window as *const () as u64;
        let end = emu_safe_syscall_end as *const () as u64;
        // cmp (3 bytes), jne (2), syscall (2).
        assert_eq!(end - start, 7);
        assert!(rewind(start).is_some() && rewind(end - 2).is_some());
        assert!(rewind(start - 1).is_none() && rewind(end).is_none());
    }
}
