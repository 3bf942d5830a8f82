//! Sockets: addresses and plain sends and receives.

use super::call::{SyscallContext, host, host_blocking, signed};
use super::errno::{Errno, SysResult};
use super::guest;

pub fn send(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let args = [signed(a[0]), guest::src(a[1], a[2])?, a[2].into(), a[3].into()];
    // SAFETY: a checked range of the guest's window.
    unsafe { host_blocking(ctx, libc::SYS_sendto, &args) }.map(|n| n as u32)
}

pub fn recv(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let args = [signed(a[0]), guest::dst(a[1], a[2])?, a[2].into(), a[3].into()];
    // SAFETY: a checked range of the guest's window.
    unsafe { host_blocking(ctx, libc::SYS_recvfrom, &args) }.map(|n| n as u32)
}

/// Where a call writes an address: the buffer, and the word that holds its length before and after.
fn address_out(buf: u32, len: u32) -> Result<(u64, u64), Errno> {
    if buf == 0 {
        return Ok((0, guest::dst(len, 4)?));
    }
    let room: i32 = guest::get(len)?;
    let room = u32::try_from(room).map_err(|_| Errno::EINVAL)?;
    Ok((guest::dst(buf, room)?, guest::dst(len, 4)?))
}

pub fn recvfrom(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let (addr, len) = if a[4] == 0 {
        (0, 0)
    } else {
        address_out(a[4], a[5])?
    };
    let args = [
        signed(a[0]),
        guest::dst(a[1], a[2])?,
        a[2].into(),
        a[3].into(),
        addr,
        len,
    ];
    // SAFETY: checked ranges of the guest's window.
    unsafe { host_blocking(ctx, libc::SYS_recvfrom, &args) }.map(|n| n as u32)
}

pub fn accept(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    accept_with(ctx, a, 0)
}

pub fn accept4(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    accept_with(ctx, a, a[3])
}

fn accept_with(ctx: &mut SyscallContext<'_>, a: &[u32; 6], flags: u32) -> SysResult {
    let (addr, len) = if a[1] == 0 {
        (0, 0)
    } else {
        address_out(a[1], a[2])?
    };
    // SAFETY: checked ranges of the guest's window.
    unsafe { host_blocking(ctx, libc::SYS_accept4, &[signed(a[0]), addr, len, flags.into()]) }
        .map(|fd| fd as u32)
}

pub fn getsockname(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    name(libc::SYS_getsockname, a)
}

pub fn getpeername(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    name(libc::SYS_getpeername, a)
}

fn name(nr: i64, a: &[u32; 6]) -> SysResult {
    let (addr, len) = address_out(a[1], a[2])?;
    // SAFETY: checked ranges of the guest's window.
    unsafe { host(nr, &[signed(a[0]), addr, len]) }.map(|_| 0)
}
