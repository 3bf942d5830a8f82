//! A guest thread as the system layer sees it.

use super::ptrace::block::Block;
use super::signal::queue::{Queued, SignalQueue};
use super::signal::set::SigSet;

/// The personality of a program of the 32-bit EABI: ADDR_LIMIT_32BIT (arch/arm/kernel/elf.c).
pub const PER_LINUX_32BIT: u32 = 0x0080_0000;

/// The guest's alternate signal stack (sigaltstack).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AltStack {
    pub sp: u32,
    /// `SS_DISABLE` and `SS_AUTODISARM` only; `SS_ONSTACK` is computed.
    pub flags: u32,
    pub size: u32,
}

/// What the last synchronous fault left for the `sigcontext` of signal frames (`thread_struct` in the kernel).
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct FaultRecord {
    pub trap_no: u32,
    pub error_code: u32,
    pub address: u32,
}

/// The time that an interrupted call has left (`restart_block` in the kernel).
#[derive(Clone, Copy, Debug)]
pub enum Rest {
    /// Its arguments say it: they are as they were, or the call has changed them.
    Arguments,
    /// It ends at this time of CLOCK_MONOTONIC.
    Until(libc::timespec),
    /// So much of a clock that does not run while the thread is stopped.
    For(libc::timespec),
}

/// An interrupted call whose SVC is at `pc`.
#[derive(Clone, Copy, Debug)]
pub struct Resume {
    pub pc: u32,
    pub rest: Rest,
}

/// Per-thread state of the system layer.
pub struct Task {
    /// Thread id, the host's own.
    pub tid: i32,
    /// Blocked signals as the guest sees them.
    pub mask: SigSet,
    /// The mask to go back to when a call that swapped the mask (sigsuspend, ppoll, pselect6, epoll_pwait) was
    /// interrupted; a handler's frame saves this one.
    pub saved_mask: Option<SigSet>,
    pub altstack: AltStack,
    /// Head of the 32-bit robust futex list, 0 for none.
    pub robust_list: u32,
    /// The host's kernel knows that list and walks it at the task's end, however that comes.
    pub kernel_list: bool,
    /// CLONE_CHILD_CLEARTID / set_tid_address, 0 for none.
    pub clear_child_tid: u32,
    pub fault: FaultRecord,
    /// Signals that the host handler took for this thread and that have not been delivered.
    pub queue: Box<SignalQueue>,
    /// Signals taken from `queue` that the guest blocks or that are next.
    pub held: Vec<Queued>,
    /// The guest mask that the host's was last set for; `None` if it is not known.
    pub host_mask: Option<SigSet>,
    /// Status given to exit(2), once it was called.
    pub exit_status: i32,
    pub personality: u32,
    /// A call that was interrupted and goes on where it was, if the thread comes to it next: restart_syscall to a tracer.
    pub resumes: Option<Resume>,
    /// What a call that waits, and was interrupted, has left of its time; at its start, what its first part left.
    pub rest: Option<Rest>,
    /// What this thread shares with a tracer.
    pub trace: Box<Block>,
    /// The guest's own system call filters.
    pub seccomp: super::seccomp::State,
    /// Arguments of a host execve in flight: kept here so that a vfork parent can free what its child allocated in
    /// the memory they shared.
    pub exec_plan: Option<Box<super::exec::Plan>>,
}

impl Default for AltStack {
    fn default() -> AltStack {
        AltStack {
            sp: 0,
            flags: super::signal::altstack::SS_DISABLE,
            size: 0,
        }
    }
}

impl Task {
    /// The state of a process's first thread, with signals `mask` blocked.
    pub fn new(mask: SigSet) -> Task {
        // SAFETY: gettid has no preconditions.
        let tid = unsafe { libc::gettid() };
        Task {
            tid,
            mask,
            saved_mask: None,
            altstack: AltStack::default(),
            robust_list: 0,
            kernel_list: false,
            clear_child_tid: 0,
            fault: FaultRecord::default(),
            queue: Box::default(),
            held: Vec::new(),
            host_mask: None,
            exit_status: 0,
            personality: PER_LINUX_32BIT,
            resumes: None,
            rest: None,
            trace: Box::default(),
            seccomp: super::seccomp::State::default(),
            exec_plan: None,
        }
    }
}

impl Default for Task {
    fn default() -> Task {
        Task::new(SigSet::EMPTY)
    }
}
