//! Setting file times.

use super::abi::time::{Timespec32, Timespec64, Timeval32};
use super::call::{AT_SYMLINK_NOFOLLOW, SyscallContext, host, signed};
use super::errno::{Errno, SysResult};
use super::guest;
use super::path::{self, Purpose};

/// utimensat with times already in the host's form; a null path means the descriptor itself.
fn set(
    ctx: &SyscallContext<'_>,
    dir: u32,
    path: u32,
    times: Option<[libc::timespec; 2]>,
    flags: u32,
) -> SysResult {
    let name = path::translate(
        ctx.process,
        path,
        flags & AT_SYMLINK_NOFOLLOW == 0,
        Purpose::Change,
    )?;
    let times = times.as_ref().map_or(0, |t| t.as_ptr() as u64);
    // SAFETY: name and times live over the call.
    unsafe {
        host(
            libc::SYS_utimensat,
            &[signed(dir), name.as_arg(), times, flags.into()],
        )
    }
    .map(|_| 0)
}

fn from_timevals(addr: u32) -> Result<Option<[libc::timespec; 2]>, Errno> {
    let Some(pair) = guest::get_opt::<[Timeval32; 2]>(addr)? else {
        return Ok(None);
    };
    // Microseconds out of range must not turn into UTIME_NOW or UTIME_OMIT.
    if pair.iter().any(|t| !(0..1_000_000).contains(&t.usec)) {
        return Err(Errno::EINVAL);
    }
    Ok(Some(pair.map(|t| libc::timespec {
        tv_sec: t.sec.into(),
        tv_nsec: i64::from(t.usec) * 1000,
    })))
}

pub fn utimes(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let times = from_timevals(a[1])?;
    if a[0] == 0 {
        return Err(Errno::EFAULT);
    }
    set(ctx, libc::AT_FDCWD as u32, a[0], times, 0)
}

pub fn futimesat(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let times = from_timevals(a[2])?;
    set(ctx, a[0], a[1], times, 0)
}

pub fn utimensat(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let times = guest::get_opt::<[Timespec32; 2]>(a[2])?;
    set(ctx, a[0], a[1], times.map(|p| p.map(Into::into)), a[3])
}

pub fn utimensat_time64(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let times = guest::get_opt::<[Timespec64; 2]>(a[2])?;
    set(ctx, a[0], a[1], times.map(|p| p.map(Into::into)), a[3])
}
