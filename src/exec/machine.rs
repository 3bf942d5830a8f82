//! What the system layer sees of a guest thread's execution: registers, and "run until something happens".

pub use super::direct::{Outcome, Server, set_server};
use crate::cpu::state::CpuState;
use std::io;

/// Why [`Machine::run`] came back. The state in [`Machine::cpu`] is the exact architectural state: for a fault,
/// that of the faulting instruction (r15 is its address); for a system call, that after the SVC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// SVC; `imm` is its immediate (0 for EABI). r15 is the address of the next instruction.
    Syscall { imm: u32 },
    /// A system call has been made by the function of [`set_server`]: the results are in the
    /// registers, and something else wants attention.
    Served,
    /// The same function has left a system call undone.
    Undone,
    /// A synchronous fault, in the host kernel's terms: `signo` SIGSEGV, SIGBUS or SIGFPE, `code` the si_code as the
    /// guest is to see it, `addr` the guest address, `write` whether the access was a write.
    Fault {
        signo: i32,
        code: i32,
        addr: u32,
        write: bool,
    },
    /// Undefined or unimplemented instruction at r15: SIGILL.
    Undefined,
    /// BKPT at r15: SIGTRAP.
    Breakpoint,
    /// The `PENDING_*` bits in `cpu().pending` want attention; nothing else happened.
    Interrupted,
}

/// A guest thread's processor. One per guest thread; the translated code behind it is shared by the process.
pub trait Machine: Send {
    fn cpu(&mut self) -> &mut CpuState;

    /// Executes guest code until an [`Event`]. Returns at once with `Interrupted` while `cpu().pending` is not 0.
    fn run(&mut self) -> Event;

    /// FPSCR as the guest reads it, cumulative flags of the host included.
    fn fpscr(&mut self) -> u32;

    /// Sets FPSCR (signal return, ptrace).
    fn set_fpscr(&mut self, value: u32);

    /// The guest declares that `[start, end)` holds new code (cacheflush).
    fn flush_code(&mut self, start: u32, end: u32);

    /// A machine for a new guest thread of this process, starting from a copy of this one's state.
    ///
    /// # Errors
    /// The host's, when there is no memory for another thread.
    fn fork_thread(&mut self) -> io::Result<Box<dyn Machine>>;

    /// Around fork(2): takes every lock of the translator, so that the child's copy is consistent. `private_files` says
    /// that no other process shares the descriptors of this one or of the child.
    fn before_fork(&mut self, private_files: bool);

    /// In the parent after fork(2) (also when it failed).
    fn after_fork_parent(&mut self);

    /// In the child: code memory of its own, no other threads.
    fn after_fork_child(&mut self);
}
