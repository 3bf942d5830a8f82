//! Scheduling: affinity masks in 32-bit words, time slices.

use super::abi::time::{Timespec32, Timespec64};
use super::call::{SyscallContext, host, signed};
use super::errno::{Errno, SysResult};
use super::guest;

/// Most bytes of an affinity mask.
const MASK_MAX: usize = 1024;

pub fn sched_setaffinity(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let len = (a[1] as usize).min(MASK_MAX);
    let mut mask = [0u8; MASK_MAX];
    guest::get_bytes(a[2], &mut mask[..len])?;
    let args = [signed(a[0]), len.next_multiple_of(8) as u64, mask.as_ptr() as u64];
    // SAFETY: the mask lives over the call.
    unsafe { host(libc::SYS_sched_setaffinity, &args) }.map(|_| 0)
}

/// The length must be a multiple of 4 and hold all processors; the result is the bytes written.
pub fn sched_getaffinity(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    if !a[1].is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    let mut mask = [0u8; MASK_MAX];
    // SAFETY: the mask lives over the call.
    let n = unsafe {
        host(
            libc::SYS_sched_getaffinity,
            &[signed(a[0]), MASK_MAX as u64, mask.as_mut_ptr() as u64],
        )?
    };
    let n = n as usize;
    let used = mask[..n].iter().rposition(|&b| b != 0).map_or(0, |i| i + 1);
    if (a[1] as usize) < used {
        return Err(Errno::EINVAL);
    }
    let out = n.min(a[1] as usize);
    guest::put_bytes(a[2], &mask[..out])?;
    Ok(out as u32)
}

fn rr_interval(pid: u32) -> Result<libc::timespec, Errno> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the structure lives over the call.
    unsafe {
        host(
            libc::SYS_sched_rr_get_interval,
            &[signed(pid), &raw mut time as u64],
        )?
    };
    Ok(time)
}

pub fn sched_rr_get_interval(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    guest::put(a[1], &Timespec32::from(rr_interval(a[0])?))?;
    Ok(0)
}

pub fn sched_rr_get_interval_time64(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    guest::put(a[1], &Timespec64::from(rr_interval(a[0])?))?;
    Ok(0)
}

/// sched_setattr: the structure begins with its own size.
pub fn sched_setattr(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    if a[1] == 0 || (a[0] as i32) < 0 || a[2] != 0 {
        return Err(Errno::EINVAL);
    }
    let size: u32 = guest::get(a[1])?;
    let attr = guest::dst(a[1], size.clamp(4, 4096))?;
    // SAFETY: a checked range of the guest's window.
    unsafe { host(libc::SYS_sched_setattr, &[signed(a[0]), attr, a[2].into()]) }.map(|_| 0)
}
