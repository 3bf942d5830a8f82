//! futex(2) in both time ABIs.

use super::call::SyscallContext;
use super::errno::{Errno, SysResult};

pub fn sys_futex(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_futex_time64(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_futex_waitv(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}
