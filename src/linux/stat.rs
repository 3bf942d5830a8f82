//! The stat and statfs families.

use super::abi::fs::{HostStatfs, Stat, Stat64, Statfs, Statfs64};
use super::call::{AT_SYMLINK_NOFOLLOW, NOWHERE, host, signed};
use super::errno::{Errno, SysResult};
use super::guest;
use super::path::{self, HostPath, InSysroot, Purpose};
use super::process::Process;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const AT_FDCWD: u32 = libc::AT_FDCWD as u32;

/// What a call that looks at a file is to look at.
enum Seen {
    /// A file under the sysroot.
    File(OwnedFd),
    Name(HostPath),
}

fn find(process: &Process, dir: u32, addr: u32, flags: u32) -> Result<Seen, Errno> {
    const PLAIN: i32 = libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT | libc::AT_STATX_SYNC_TYPE;
    let follow = flags & AT_SYMLINK_NOFOLLOW == 0;
    if path::sysroot(process).is_some() && addr != 0 && flags & !PLAIN as u32 == 0 {
        let how = libc::O_PATH | libc::O_CLOEXEC | if follow { 0 } else { libc::O_NOFOLLOW };
        let name = guest::path(addr)?;
        match path::open_in_sysroot(process, &name, how as u32, None) {
            // SAFETY: opened just now, without another owner.
            InSysroot::Opened(fd) => return Ok(Seen::File(unsafe { OwnedFd::from_raw_fd(fd) })),
            InSysroot::Nothing => return Ok(Seen::Name(HostPath::outside(name))),
            InSysroot::Unknown => {}
        }
    }
    path::translate_at(process, dir, addr, follow, Purpose::Look).map(Seen::Name)
}

fn of_path(process: &Process, dir: u32, path: u32, flags: u32) -> Result<libc::stat, Errno> {
    let name = match find(process, dir, path, flags)? {
        Seen::File(fd) => return of_fd(fd.as_raw_fd() as u32),
        Seen::Name(name) => name,
    };
    // SAFETY: plain integers, all zeros are valid.
    let mut out: libc::stat = unsafe { std::mem::zeroed() };
    let args = [signed(dir), name.as_arg(), &raw mut out as u64, flags.into()];
    // SAFETY: name and out live over the call.
    unsafe { host(libc::SYS_newfstatat, &args)? };
    Ok(out)
}

/// statx(dir, path, flags, mask, out): one structure for every ABI.
pub fn statx(process: &'static Process, a: &[u32; 6]) -> SysResult {
    let [dir, path, flags, mask, out, _] = *a;
    let out = guest::dst(out, size_of::<libc::statx>() as u32).unwrap_or(NOWHERE);
    let seen = find(process, dir, path, flags)?;
    let (dir, name, flags) = match &seen {
        Seen::File(fd) => {
            let flags = flags & !AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH as u32;
            (fd.as_raw_fd() as u64, c"".as_ptr() as u64, flags)
        }
        Seen::Name(name) => (signed(dir), name.as_arg(), flags),
    };
    let args = [dir, name, flags.into(), mask.into(), out];
    // SAFETY: the name lives over the call; a checked range of the guest's window.
    unsafe { host(libc::SYS_statx, &args) }.map(|_| 0)
}

fn of_fd(fd: u32) -> Result<libc::stat, Errno> {
    // SAFETY: plain integers, all zeros are valid.
    let mut out: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: out lives over the call.
    unsafe { host(libc::SYS_fstat, &[signed(fd), &raw mut out as u64])? };
    Ok(out)
}

fn put_old(addr: u32, host: &libc::stat) -> SysResult {
    guest::put(addr, &Stat::from_host(host)?)?;
    Ok(0)
}

fn put_64(addr: u32, host: &libc::stat) -> SysResult {
    guest::put(addr, &Stat64::from_host(host))?;
    Ok(0)
}

pub fn stat(process: &'static Process, a: &[u32; 6]) -> SysResult {
    put_old(a[1], &of_path(process, AT_FDCWD, a[0], 0)?)
}

pub fn lstat(process: &'static Process, a: &[u32; 6]) -> SysResult {
    put_old(a[1], &of_path(process, AT_FDCWD, a[0], AT_SYMLINK_NOFOLLOW)?)
}

pub fn fstat(_process: &'static Process, a: &[u32; 6]) -> SysResult {
    put_old(a[1], &of_fd(a[0])?)
}

pub fn stat64(process: &'static Process, a: &[u32; 6]) -> SysResult {
    put_64(a[1], &of_path(process, AT_FDCWD, a[0], 0)?)
}

pub fn lstat64(process: &'static Process, a: &[u32; 6]) -> SysResult {
    put_64(a[1], &of_path(process, AT_FDCWD, a[0], AT_SYMLINK_NOFOLLOW)?)
}

pub fn fstat64(_process: &'static Process, a: &[u32; 6]) -> SysResult {
    put_64(a[1], &of_fd(a[0])?)
}

pub fn fstatat64(process: &'static Process, a: &[u32; 6]) -> SysResult {
    put_64(a[2], &of_path(process, a[0], a[1], a[3])?)
}

fn fs_of_path(process: &Process, path: u32) -> Result<HostStatfs, Errno> {
    let name = path::translate(process, path, true, Purpose::Look)?;
    let mut out = HostStatfs::default();
    // SAFETY: name and out live over the call.
    unsafe { host(libc::SYS_statfs, &[name.as_arg(), &raw mut out as u64])? };
    Ok(out)
}

fn fs_of_fd(fd: u32) -> Result<HostStatfs, Errno> {
    let mut out = HostStatfs::default();
    // SAFETY: out lives over the call.
    unsafe { host(libc::SYS_fstatfs, &[signed(fd), &raw mut out as u64])? };
    Ok(out)
}

/// ARM accepts 84 (the packed structure) and 88 (what a compiler without the packing says):
/// arch/arm/kernel/sys_oabi-compat.c and arch/arm64/kernel/sys32.c.
fn check_statfs64_size(size: u32) -> Result<(), Errno> {
    if size == 84 || size == 88 {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

pub fn statfs(process: &'static Process, a: &[u32; 6]) -> SysResult {
    guest::put(a[1], &Statfs::from_host(&fs_of_path(process, a[0])?)?)?;
    Ok(0)
}

pub fn fstatfs(_process: &'static Process, a: &[u32; 6]) -> SysResult {
    guest::put(a[1], &Statfs::from_host(&fs_of_fd(a[0])?)?)?;
    Ok(0)
}

pub fn statfs64(process: &'static Process, a: &[u32; 6]) -> SysResult {
    check_statfs64_size(a[1])?;
    guest::put(a[2], &Statfs64::from_host(&fs_of_path(process, a[0])?))?;
    Ok(0)
}

pub fn fstatfs64(_process: &'static Process, a: &[u32; 6]) -> SysResult {
    check_statfs64_size(a[1])?;
    guest::put(a[2], &Statfs64::from_host(&fs_of_fd(a[0])?))?;
    Ok(0)
}
