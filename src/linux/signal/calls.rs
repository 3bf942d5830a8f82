//! The signal system calls.

use super::super::call::SyscallContext;
use super::super::call::SyscallResult;
use super::super::errno::{Errno, SysResult};

pub fn sys_sigaction(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_rt_sigaction(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_sigprocmask(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_rt_sigprocmask(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_sigpending(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_rt_sigpending(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_sigsuspend(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_rt_sigsuspend(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_sigaltstack(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_rt_sigtimedwait(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_rt_sigtimedwait_time64(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_rt_sigqueueinfo(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_rt_tgsigqueueinfo(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_kill(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_tkill(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_tgkill(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_signalfd(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_signalfd4(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_pause(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_restart_syscall(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_sigreturn(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SyscallResult {
    Err(Errno::ENOSYS).into()
}

pub fn sys_rt_sigreturn(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SyscallResult {
    Err(Errno::ENOSYS).into()
}
