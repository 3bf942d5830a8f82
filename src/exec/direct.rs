//! System calls that translated code makes without leaving it: from its stub to the system layer's function and back.
//!
//! During the call the thread counts as out of translated code, as the call may last. The cache may have started again
//! meanwhile: then the thread leaves by the stub, which stays where it is.

use super::runtime;
use super::thread::Thread;
use crate::cpu::state::CpuState;
use crate::x64::stubs::ExitKind;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What has become of a system call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Nothing has been done: the call is the run loop's.
    Refused,
    /// It has been made; no register but r0 has changed.
    Made,
    /// It was entered and left undone, for a signal: -ERESTARTSYS.
    Undone,
}

/// Makes the system call that the registers name, if it is one of those that can be made like this: one host call, by
/// [`syscall_interruptible`](super::signals::syscall_interruptible), behind which it does nothing that can fault, as all
/// signals may be blocked then. r15 is behind the SVC, whose immediate is 0.
pub type Server = fn(&mut CpuState) -> Outcome;

static SERVER: AtomicUsize = AtomicUsize::new(0);

/// Sets the process's function for system calls that translated code makes on its way.
pub fn set_server(server: Server) {
    SERVER.store(server as usize, Ordering::Release);
}

/// What the stub calls: 0 to go on in translated code, else an [`ExitKind`].
pub(super) extern "sysv64" fn call(state: &mut CpuState, imm: u32) -> u32 {
    let server = SERVER.load(Ordering::Acquire);
    // SAFETY: a thread stays in place while it is attached, and this is its own thread.
    let thread = unsafe { Thread::current().as_ref() };
    let (Some(thread), Some(runtime)) = (thread, runtime::get()) else {
        return ExitKind::Svc as u32;
    };
    if server == 0 || imm != 0 || thread.pending().load(Ordering::Relaxed) != 0 {
        return ExitKind::Svc as u32;
    }
    // SAFETY: only `set_server` stores here, and it stores a function of this type.
    let server = unsafe { std::mem::transmute::<usize, Server>(server) };
    thread.come_out();
    thread.in_direct_call.store(true, Ordering::Relaxed);
    let outcome = server(state);
    thread.in_direct_call.store(false, Ordering::Relaxed);
    match outcome {
        Outcome::Refused => return ExitKind::Svc as u32,
        Outcome::Undone => return ExitKind::Undone as u32,
        Outcome::Made => {}
    }
    thread.go_in(runtime.is_single_threaded());
    if thread.epoch.get() != runtime.epoch() || thread.pending().load(Ordering::Relaxed) != 0 {
        return ExitKind::Served as u32;
    }
    0
}
