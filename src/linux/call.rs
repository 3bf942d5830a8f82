//! Dispatch: from a number and six words to the row's handler and back.

use crate::exec::machine::Machine;

use super::errno::{Errno, SysResult};
use super::process::Process;
use super::table::{self, Handler};
use super::task::Task;

/// What a handler works on: the thread that made the call.
pub struct SyscallContext<'a> {
    pub machine: &'a mut dyn Machine,
    pub task: &'a mut Task,
    pub process: &'static Process,
}

/// How a system call ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyscallResult {
    /// The value for r0: a result or -errno (-512 asks for restart or EINTR at signal delivery).
    Return(i32),
    /// The handler has set the registers itself (sigreturn): r0 is left alone.
    NoReturn,
    /// This guest thread is over (exit).
    ExitThread,
}

impl From<SysResult> for SyscallResult {
    fn from(r: SysResult) -> SyscallResult {
        SyscallResult::Return(match r {
            Ok(v) => v as i32,
            Err(Errno(e)) => -e,
        })
    }
}

/// Runs system call `nr` of the ARM EABI with r0-r5 in `args`.
pub fn syscall(ctx: &mut SyscallContext<'_>, nr: u32, args: [u32; 6]) -> SyscallResult {
    let Some(row) = table::lookup_arm(nr) else {
        return SyscallResult::Return(-libc::ENOSYS);
    };
    match row.handler {
        Handler::None => SyscallResult::Return(-libc::ENOSYS),
        Handler::Call(f) => f(ctx, &args).into(),
        Handler::Control(f) => f(ctx, &args),
    }
}
