//! Vectored and positioned input and output, and transfers between descriptors.

use super::abi::fs::Iovec;
use super::call::{SyscallContext, host, host_blocking, join, signed};
use super::errno::{Errno, SysResult};
use super::guest;

/// Most elements of an iovec array (UIO_MAXIOV).
const IOV_MAX: u32 = 1024;
/// Most bytes of one transfer (MAX_RW_COUNT).
const MAX_RW: u32 = 0x7fff_f000;

/// The guest's iovec array for the host, as lib/iov_iter.c imports a compat one: EINVAL for too many elements or a
/// negative length, EFAULT outside the window, the total cut at MAX_RW_COUNT. `writes`: the kernel writes the buffers.
pub fn import_iov(addr: u32, count: u32, writes: bool) -> Result<Vec<libc::iovec>, Errno> {
    if count > IOV_MAX {
        return Err(Errno::EINVAL);
    }
    let mut left = MAX_RW;
    guest::get_array::<Iovec>(addr, count as usize)?
        .into_iter()
        .map(|v| {
            if v.len > i32::MAX as u32 {
                return Err(Errno::EINVAL);
            }
            let len = v.len.min(left);
            left -= len;
            let base = if writes {
                guest::dst(v.base, len)?
            } else {
                guest::src(v.base, len)?
            };
            Ok(libc::iovec {
                iov_base: base as *mut libc::c_void,
                iov_len: len as usize,
            })
        })
        .collect()
}

/// A vectored call: `nr` with (fd, iov, count, rest...).
fn vectored(ctx: &mut SyscallContext<'_>, nr: i64, a: &[u32; 6], writes: bool, rest: [u64; 3]) -> SysResult {
    let iov = import_iov(a[1], a[2], writes)?;
    let args = [
        signed(a[0]),
        iov.as_ptr() as u64,
        iov.len() as u64,
        rest[0],
        rest[1],
        rest[2],
    ];
    // SAFETY: `iov` lives over the call and its ranges lie in the guest's window.
    unsafe { host_blocking(ctx, nr, &args) }.map(|n| n as u32)
}

pub fn readv(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    vectored(ctx, libc::SYS_readv, a, true, [0; 3])
}

pub fn writev(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    vectored(ctx, libc::SYS_writev, a, false, [0; 3])
}

/// The position of the p calls: on a 64-bit host all of it is in the low word's argument.
fn position(a: &[u32; 6]) -> u64 {
    join(a[3], a[4])
}

pub fn preadv(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    vectored(ctx, libc::SYS_preadv, a, true, [position(a), 0, 0])
}

pub fn pwritev(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    vectored(ctx, libc::SYS_pwritev, a, false, [position(a), 0, 0])
}

pub fn preadv2(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    vectored(ctx, libc::SYS_preadv2, a, true, [position(a), 0, a[5].into()])
}

pub fn pwritev2(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    vectored(ctx, libc::SYS_pwritev2, a, false, [position(a), 0, a[5].into()])
}

pub fn vmsplice(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    vectored(ctx, libc::SYS_vmsplice, a, true, [a[3].into(), 0, 0])
}

/// sendfile with a 32-bit offset.
pub fn sendfile(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let offset: Option<i32> = guest::get_opt(a[2])?;
    let mut at = i64::from(offset.unwrap_or(0));
    let pointer = if offset.is_some() { &raw mut at as u64 } else { 0 };
    let args = [signed(a[0]), signed(a[1]), pointer, a[3].into()];
    // SAFETY: `at` lives over the call.
    let n = unsafe { host_blocking(ctx, libc::SYS_sendfile, &args)? };
    if offset.is_some() {
        guest::put(a[2], &(at as i32))?;
    }
    Ok(n as u32)
}

/// arm_fadvise64_64(fd, advice, offset, len): the advice second, so that both 64-bit values are aligned.
pub fn fadvise64(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let args = [signed(a[0]), join(a[2], a[3]), join(a[4], a[5]), signed(a[1])];
    // SAFETY: no pointers.
    unsafe { host(libc::SYS_fadvise64, &args) }.map(|_| 0)
}

/// arm_sync_file_range(fd, flags, offset, len).
pub fn sync_file_range(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let args = [signed(a[0]), join(a[2], a[3]), join(a[4], a[5]), a[1].into()];
    // SAFETY: no pointers.
    unsafe { host_blocking(ctx, libc::SYS_sync_file_range, &args) }.map(|_| 0)
}
