//! Clocks, sleeping and timers.

use super::call::SyscallContext;
use super::errno::{Errno, SysResult};

pub fn sys_clock_gettime(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_clock_gettime64(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_clock_getres(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_clock_getres_time64(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_clock_settime(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_clock_settime64(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_clock_nanosleep(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_clock_nanosleep_time64(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_clock_adjtime(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_clock_adjtime64(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_nanosleep(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_gettimeofday(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_settimeofday(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_time(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_stime(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_getitimer(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_setitimer(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_alarm(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_timer_create(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_timer_settime(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_timer_settime64(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_timer_gettime(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_timer_gettime64(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_timer_getoverrun(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_timer_delete(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_times(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_adjtimex(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}
