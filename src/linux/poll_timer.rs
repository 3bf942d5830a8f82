//! Timers as descriptors, with 32-bit and 64-bit times.

use super::abi::time::{Itimerspec32, Itimerspec64};
use super::call::{SyscallContext, host, signed};
use super::errno::{Errno, SysResult};
use super::guest;

const ZERO: libc::itimerspec = libc::itimerspec {
    it_interval: libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    },
    it_value: libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    },
};

fn set(fd: u32, flags: u32, new: libc::itimerspec) -> Result<libc::itimerspec, Errno> {
    let mut old = ZERO;
    let args = [
        signed(fd),
        flags.into(),
        &raw const new as u64,
        &raw mut old as u64,
    ];
    // SAFETY: both structures live over the call.
    unsafe { host(libc::SYS_timerfd_settime, &args)? };
    Ok(old)
}

fn get(fd: u32) -> Result<libc::itimerspec, Errno> {
    let mut now = ZERO;
    // SAFETY: the structure lives over the call.
    unsafe { host(libc::SYS_timerfd_gettime, &[signed(fd), &raw mut now as u64])? };
    Ok(now)
}

pub fn timerfd_settime(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let old = set(a[0], a[1], guest::get::<Itimerspec32>(a[2])?.into())?;
    guest::put_opt(a[3], &Itimerspec32::from(old))?;
    Ok(0)
}

pub fn timerfd_settime64(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let old = set(a[0], a[1], guest::get::<Itimerspec64>(a[2])?.into())?;
    guest::put_opt(a[3], &Itimerspec64::from(old))?;
    Ok(0)
}

pub fn timerfd_gettime(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    guest::put(a[1], &Itimerspec32::from(get(a[0])?))?;
    Ok(0)
}

pub fn timerfd_gettime64(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    guest::put(a[1], &Itimerspec64::from(get(a[0])?))?;
    Ok(0)
}
