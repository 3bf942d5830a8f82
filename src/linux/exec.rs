//! execve: ARM programs through this emulator again, scripts, x86-64 programs directly.

use super::call::SyscallContext;
use super::errno::{Errno, SysResult};

pub fn sys_execve(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_execveat(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}
