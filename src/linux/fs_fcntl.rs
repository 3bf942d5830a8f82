//! fcntl(2) and fcntl64(2).

use super::abi::fs::{Flock, Flock64};
use super::abi::open as oflags;
use super::call::{SyscallContext, host, host_blocking, signed};
use super::errno::{Errno, SysResult};
use super::guest;

/// Commands that only the 32-bit ABI has: 64-bit locks beside the 32-bit ones.
const F_GETLK64: u32 = 12;
const F_SETLKW64: u32 = 14;
const F_GETLK: u32 = 5;
const F_SETLK: u32 = 6;
const F_SETLKW: u32 = 7;
const F_SETOWN_EX: u32 = 15;
const F_GETOWN_EX: u32 = 16;
const F_GETOWNER_UIDS: u32 = 17;
const F_OFD_GETLK: u32 = 36;
const F_OFD_SETLKW: u32 = 38;
const F_GET_RW_HINT: u32 = 1035;
const F_SET_FILE_RW_HINT: u32 = 1038;
const F_DUPFD: u32 = 0;
const F_DUPFD_CLOEXEC: u32 = 1030;
/// Whether two descriptors are one open file (Linux 6.10).
const F_DUPFD_QUERY: u32 = 1027;
const F_GETFL: u32 = libc::F_GETFL as u32;
const F_SETFL: u32 = libc::F_SETFL as u32;

pub fn fcntl64(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let (fd, cmd, arg) = (a[0], a[1], a[2]);
    match cmd {
        F_GETLK64..=F_SETLKW64 => lock64(ctx, fd, cmd - F_GETLK64 + F_GETLK, arg),
        _ => fcntl(ctx, a),
    }
}

pub fn fcntl(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let (fd, cmd, arg) = (a[0], a[1], a[2]);
    if super::own_fds::is_hidden(ctx.process, fd as i32) {
        return Err(Errno::EBADF);
    }
    let arg = match cmd {
        F_GETFL => return plain(fd, cmd, 0).map(oflags::from_host),
        F_SETFL => oflags::to_host(arg).into(),
        F_GETLK..=F_SETLKW => return lock32(ctx, fd, cmd, arg),
        F_OFD_GETLK..=F_OFD_SETLKW => return lock64(ctx, fd, cmd, arg),
        F_SETOWN_EX => guest::src(arg, 8)?,
        F_GETOWN_EX | F_GETOWNER_UIDS => guest::dst(arg, 8)?,
        F_GET_RW_HINT..=F_SET_FILE_RW_HINT => guest::dst(arg, 8)?,
        F_GETLK64..=F_SETLKW64 => return Err(Errno::EINVAL),
        F_DUPFD_QUERY if super::own_fds::is_hidden(ctx.process, arg as i32) => return Err(Errno::EBADF),
        F_DUPFD | F_DUPFD_CLOEXEC => {
            let new = plain(fd, cmd, signed(arg))?;
            super::dir::duplicated(fd, new);
            return Ok(new);
        }
        _ => signed(arg),
    };
    plain(fd, cmd, arg)
}

fn plain(fd: u32, cmd: u32, arg: u64) -> SysResult {
    // SAFETY: `arg` is a number or a checked range of the guest's window.
    unsafe { host(libc::SYS_fcntl, &[signed(fd), cmd.into(), arg]) }.map(|v| v as u32)
}

/// A lock call with the host's structure; the host's numbers are the 32-bit ABI's for `struct flock`.
fn lock(ctx: &mut SyscallContext<'_>, fd: u32, cmd: u32, lock: &mut Flock64) -> Result<(), Errno> {
    let args = [signed(fd), cmd.into(), &raw mut *lock as u64];
    // SAFETY: `lock` has the layout of the host's struct flock (asserted where it is declared).
    unsafe {
        if cmd == F_SETLKW || cmd == F_OFD_SETLKW {
            host_blocking(ctx, libc::SYS_fcntl, &args)?;
        } else {
            host(libc::SYS_fcntl, &args)?;
        }
    }
    Ok(())
}

fn lock64(ctx: &mut SyscallContext<'_>, fd: u32, cmd: u32, at: u32) -> SysResult {
    let mut value: Flock64 = guest::get(at)?;
    lock(ctx, fd, cmd, &mut value)?;
    if cmd == F_GETLK || cmd == F_OFD_GETLK {
        guest::put(at, &value)?;
    }
    Ok(0)
}

fn lock32(ctx: &mut SyscallContext<'_>, fd: u32, cmd: u32, at: u32) -> SysResult {
    debug_assert!((F_GETLK..=F_SETLK).contains(&cmd) || cmd == F_SETLKW);
    let mut value = guest::get::<Flock>(at)?.to_64();
    lock(ctx, fd, cmd, &mut value)?;
    if cmd == F_GETLK {
        let result = if value.l_type == libc::F_UNLCK as i16 {
            // Nothing in the way: only the type changes.
            Flock {
                l_type: value.l_type,
                ..guest::get(at)?
            }
        } else {
            Flock::from_64(&value)?
        };
        guest::put(at, &result)?;
    }
    Ok(0)
}
