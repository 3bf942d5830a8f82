//! Host system calls that a signal cannot slip past: it is seen either before the kernel is entered, or by the kernel.
//!
//! A handler that interrupts the window between the check of `pending` and the SYSCALL instruction moves the pc out
//! of it. The kernel itself does so for a restartable call that a signal ended: it puts the pc back on SYSCALL, which
//! is in the window. So the caller sees -ERESTARTSYS exactly where the kernel would consult SA_RESTART.
//!
//! And one call of the i386 ABI, which a kernel without that ABI answers with a fault.

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
    // (rdi general registers of a context, rsi its floating-point state): goes on behind the call that it interrupted.
    ".p2align 4",
    ".globl emu_safe_syscall_go_on",
    ".hidden emu_safe_syscall_go_on",
    "emu_safe_syscall_go_on:",
    "ldmxcsr [rsi + {mxcsr}]",
    "mov r12, [rdi + 8 * {r12}]",
    "mov r13, [rdi + 8 * {r13}]",
    "mov r14, [rdi + 8 * {r14}]",
    "mov r15, [rdi + 8 * {r15}]",
    "mov rbp, [rdi + 8 * {rbp}]",
    "mov rbx, [rdi + 8 * {rbx}]",
    "mov rax, [rdi + 8 * {rax}]",
    "mov rsp, [rdi + 8 * {rsp}]",
    "jmp emu_safe_syscall_end",
    // (edi list head, esi its length) -> eax
    ".p2align 4",
    ".globl emu_set_robust_list_32, emu_set_robust_list_32_int, emu_set_robust_list_32_refused",
    ".hidden emu_set_robust_list_32, emu_set_robust_list_32_int, emu_set_robust_list_32_refused",
    "emu_set_robust_list_32:",
    "push rbx",
    "mov ebx, edi",
    "mov ecx, esi",
    "mov eax, {set_robust_list}",
    "emu_set_robust_list_32_int:",
    "int 0x80",
    "pop rbx",
    "ret",
    "emu_set_robust_list_32_refused:",
    "mov eax, -{enosys}",
    "pop rbx",
    "ret",
    ".popsection",
    restart = const ERESTARTSYS,
    mxcsr = const std::mem::offset_of!(libc::_libc_fpstate, mxcsr),
    r12 = const libc::REG_R12,
    r13 = const libc::REG_R13,
    r14 = const libc::REG_R14,
    r15 = const libc::REG_R15,
    rbp = const libc::REG_RBP,
    rbx = const libc::REG_RBX,
    rax = const libc::REG_RAX,
    rsp = const libc::REG_RSP,
    set_robust_list = const I386_SET_ROBUST_LIST,
    enosys = const libc::ENOSYS,
);

/// The number of set_robust_list in the i386 ABI.
const I386_SET_ROBUST_LIST: i32 = 311;

// SAFETY: the routine above with its signature, and two of its labels.
unsafe extern "C" {
    fn emu_safe_syscall(nr: i64, args: *const u64, pending: *const u32) -> i64;
    fn emu_safe_syscall_window();
    fn emu_safe_syscall_end();
    fn emu_safe_syscall_interrupted();
    fn emu_safe_syscall_go_on(registers: *const i64, fp: *const libc::_libc_fpstate) -> !;
    fn emu_set_robust_list_32(head: u32, len: u32) -> i32;
    fn emu_set_robust_list_32_int();
    fn emu_set_robust_list_32_refused();
}

/// Has the kernel look after the calling thread's robust list in the 32-bit layout, at host address `head`, in place of
/// the one before (0: none): 0, or -ENOSYS from a kernel without the i386 ABI. The fault handlers must be installed, and
/// no system call filter may stand against it.
pub fn set_robust_list_32(head: u32) -> i32 {
    const HEAD_BYTES: u32 = 12;
    // SAFETY: the kernel notes the address; what it finds there at the thread's end it treats as any bad pointer. A fault
    // of the instruction itself is fixed up ([`refused`]).
    unsafe { emu_set_robust_list_32(head, HEAD_BYTES) }
}

/// Where a thread goes on whose instruction at `rip` the kernel refused by a fault, if that is the one above.
pub(super) fn refused(rip: u64) -> Option<u64> {
    (rip == emu_set_robust_list_32_int as *const () as u64)
        .then_some(emu_set_robust_list_32_refused as *const () as u64)
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

/// From a signal handler that interrupted the end of a call of [`syscall_interruptible`]: goes on there without the kernel's
/// rt_sigreturn. The mask stays the handler's.
///
/// # Safety
/// The context is one at [`syscall_pc`], with floating-point state. The handler's own frames are given up, so they must own
/// nothing.
pub(super) unsafe fn go_on(context: &libc::ucontext_t) -> ! {
    let machine = &context.uc_mcontext;
    // SAFETY: behind a call of this file's routine no other registers matter: those that the C ABI has functions preserve,
    // the result, and MXCSR, part of which is preserved too.
    unsafe { emu_safe_syscall_go_on(machine.gregs.as_ptr(), machine.fpregs) }
}

/// The host's pc of a thread that is in, or comes out of, a call of [`syscall_interruptible`].
pub fn syscall_pc() -> u64 {
    emu_safe_syscall_end as *const () as u64
}

/// Where such a thread goes on to return -ERESTARTSYS.
pub fn interrupted_pc() -> u64 {
    emu_safe_syscall_interrupted as *const () as u64
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
    fn the_32_bit_list_is_the_kernels_to_walk() {
        // Other threads of the harness may be anywhere: the child makes system calls only.
        let low = 0x4800_0000usize;
        // SAFETY: an address that nothing of this process uses, or an error.
        let page = unsafe {
            let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
            libc::mmap(
                low as *mut _,
                4096,
                libc::PROT_READ | libc::PROT_WRITE,
                flags,
                -1,
                0,
            )
        };
        assert_eq!(page as usize, low);
        let words = page.cast::<u32>();
        // SAFETY: words of the page: a head with one entry at 0x20, whose futex is at 0x40, held by the child.
        let status = unsafe {
            let at = low as u32;
            words.copy_from([at + 0x20, 0x20, 0].as_ptr(), 3);
            words.add(8).write(at);
            let pid = libc::fork();
            if pid == 0 {
                words.add(16).write(libc::getpid() as u32);
                let answer = set_robust_list_32(at);
                libc::_exit(if answer == 0 { 0 } else { 1 });
            }
            let mut status = 0;
            libc::waitpid(pid, &mut status, 0);
            status
        };
        // SAFETY: as above.
        let word = unsafe { words.add(16).read_volatile() };
        // Without handlers for faults a kernel that lacks the ABI ends the child.
        if status == 0 {
            assert_eq!(word, 0x4000_0000, "FUTEX_OWNER_DIED");
        } else {
            assert!(libc::WIFSIGNALED(status), "{status:#x}");
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
