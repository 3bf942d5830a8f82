//! Calls of newer kernels whose structures are the same in every ABI but hold addresses: extended attributes by
//! directory descriptor, the second futex interface, the configuration of mounts, mount queries. A host kernel
//! without them answers ENOSYS, as an ARM kernel of its age does.

use super::abi::open as oflags;
use super::call::{AT_SYMLINK_NOFOLLOW, SyscallContext, host, join, signed};
use super::errno::{Errno, SysResult};
use super::path::{self, Purpose};
use super::{futex, guest, raw};

/// include/uapi/linux/xattr.h: value address, size, flags. Callers say how many bytes they know; unknown ones
/// must be zero.
const XATTR_ARGS: u32 = 16;
const SYS_SETXATTRAT: i64 = 463;
const SYS_GETXATTRAT: i64 = 464;

/// setxattrat and getxattrat(dirfd, path, flags, name, args, size).
fn xattrat(ctx: &mut SyscallContext<'_>, a: &[u32; 6], nr: i64) -> SysResult {
    let set = nr == SYS_SETXATTRAT;
    if a[5] < XATTR_ARGS {
        return Err(Errno::EINVAL);
    }
    if a[5] > 4096 {
        return Err(Errno::E2BIG);
    }
    let [value_low, value_high, size, flags]: [u32; 4] = guest::get(a[4])?;
    let rest = guest::get_vec(a[4].wrapping_add(XATTR_ARGS), (a[5] - XATTR_ARGS) as usize)?;
    if rest.iter().any(|&b| b != 0) {
        return Err(Errno::E2BIG);
    }
    if value_high != 0 {
        return Err(Errno::EFAULT);
    }
    let value = if set {
        guest::src(value_low, size)?
    } else {
        guest::dst(value_low, size)?
    };
    let purpose = if set { Purpose::Change } else { Purpose::Look };
    let path = path::translate(ctx.process, a[1], a[2] & AT_SYMLINK_NOFOLLOW == 0, purpose)?;
    let args = [value, join(size, flags)];
    let host_args = [
        signed(a[0]),
        path.as_arg(),
        a[2].into(),
        guest::src(a[3], 1)?,
        args.as_ptr() as u64,
        XATTR_ARGS.into(),
    ];
    // SAFETY: the value is a checked range of the guest's window, path and structure are locals.
    unsafe { host(nr, &host_args) }.map(|v| v as u32)
}

pub fn setxattrat(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    xattrat(ctx, a, SYS_SETXATTRAT)
}

pub fn getxattrat(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    xattrat(ctx, a, SYS_GETXATTRAT)
}

/// futex_requeue(waiters, flags, wake, requeue): the two words are a `futex_waitv` each.
pub fn futex_requeue(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    if a[0] == 0 {
        return Err(Errno::EINVAL);
    }
    let pair = futex::read_waiters(a[0], 2)?;
    let args = [pair.as_ptr() as u64, a[1].into(), signed(a[2]), signed(a[3])];
    // SAFETY: the list is a local; the words that it names are in the guest's window.
    unsafe { host(456, &args) }.map(|v| v as u32)
}

/// fsconfig(fd, command, key, value, aux); commands of include/uapi/linux/mount.h.
pub fn fsconfig(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    const SET_STRING: u32 = 1;
    const SET_BINARY: u32 = 2;
    const SET_PATH: u32 = 3;
    const SET_PATH_EMPTY: u32 = 4;
    let path;
    let value = match a[1] {
        SET_STRING => guest::src(a[3], 1)?,
        SET_BINARY => guest::src(a[3], a[4])?,
        SET_PATH | SET_PATH_EMPTY if a[3] != 0 => {
            path = path::translate(ctx.process, a[3], true, Purpose::Look)?;
            path.as_arg()
        }
        // The others take none, and refuse one.
        _ => a[3].into(),
    };
    let args = [
        signed(a[0]),
        a[1].into(),
        guest::src(a[2], 1)?,
        value,
        signed(a[4]),
    ];
    // SAFETY: pointers are checked addresses of the guest's window or a local; a value of another command is refused
    // or not looked at.
    unsafe { host(libc::SYS_fsconfig, &args) }.map(|v| v as u32)
}

/// statmount and listmount(request, buffer, length, flags): `struct mnt_id_req` says its own size first.
fn mount_query(a: &[u32; 6], nr: i64, element: u64) -> SysResult {
    let size: u32 = guest::get(a[0])?;
    let bytes = u32::try_from(element * u64::from(a[2])).map_err(|_| Errno::EFAULT)?;
    let args = [
        guest::src(a[0], size.min(4096))?,
        guest::dst(a[1], bytes)?,
        a[2].into(),
        a[3].into(),
    ];
    // SAFETY: checked ranges of the guest's window; the kernel refuses requests larger than a page.
    unsafe { host(nr, &args) }.map(|v| v as u32)
}

pub fn statmount(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    mount_query(a, 457, 1)
}

pub fn listmount(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    mount_query(a, 458, 8)
}

/// fanotify_init(flags, event_f_flags): the second are open flags.
pub fn fanotify_init(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let args = [a[0].into(), oflags::to_host(a[1]).into()];
    // SAFETY: no pointers.
    unsafe { host(libc::SYS_fanotify_init, &args) }.map(|v| v as u32)
}

/// fanotify_mark(fd, flags, mask in two words, dirfd, path).
pub fn fanotify_mark(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    const FAN_MARK_DONT_FOLLOW: u32 = 4;
    let follow = a[1] & FAN_MARK_DONT_FOLLOW == 0;
    let path;
    let name = if a[5] == 0 {
        0
    } else {
        path = path::translate(ctx.process, a[5], follow, Purpose::Look)?;
        path.as_arg()
    };
    let args = [signed(a[0]), a[1].into(), join(a[2], a[3]), signed(a[4]), name, 0];
    // SAFETY: the path is a local or null.
    Errno::check(unsafe { raw::syscall(libc::SYS_fanotify_mark, args) }).map(|v| v as u32)
}
