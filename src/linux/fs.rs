//! Opening, closing and positioning files.

use super::abi::open as oflags;
use super::call::{SyscallContext, host, host_blocking, join, signed};
use super::errno::{Errno, SysResult};
use super::own_fds::is_hidden;
use super::path::{self, InSysroot, in_proc, is_in_proc, translate_bytes};
use super::process::Process;
use super::{dir, guest, proc, raw};
use crate::cpu::state::CpuState;
use crate::diag::log::Items;
use crate::exec::family;
use std::ffi::CString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

const AT_FDCWD: u32 = libc::AT_FDCWD as u32;

pub fn open(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    open_at(ctx, AT_FDCWD, a[0], a[1], a[2])
}

pub fn creat(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    open_at(
        ctx,
        AT_FDCWD,
        a[0],
        (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as u32,
        a[1],
    )
}

pub fn openat(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    open_at(ctx, a[0], a[1], a[2], a[3])
}

fn open_at(ctx: &mut SyscallContext<'_>, dir: u32, path: u32, flags: u32, mode: u32) -> SysResult {
    let path = guest::path(path)?;
    let path = in_proc(dir as i32, &path).unwrap_or(path);
    if let Some(result) = proc::open(ctx, &path, flags) {
        return result;
    }
    let opened = open_file(ctx.process, ctx.machine.cpu(), (dir, path), flags, mode)?;
    settle(ctx, opened, flags)
}

/// A descriptor for the guest.
enum Opened {
    File(u32),
    /// Of a file of /proc, at this path, whose contents may be made here.
    Proc(u32, Vec<u8>),
}

/// What the guest gets.
fn settle(ctx: &SyscallContext<'_>, opened: Opened, flags: u32) -> SysResult {
    let (fd, path) = match opened {
        Opened::File(fd) => return Ok(fd),
        Opened::Proc(fd, path) => (fd, path),
    };
    let Some(result) = proc::open(ctx, &path, flags) else {
        return Ok(fd);
    };
    close_new(fd);
    result
}

/// Closes what was opened for the guest just now.
fn close_new(fd: u32) {
    // SAFETY: nobody has been told the number.
    unsafe { libc::close(fd as i32) };
}

/// `open` of what is not under /proc.
pub fn open_usual(process: &'static Process, a: &[u32; 6], cpu: &mut CpuState) -> Option<SysResult> {
    openat_usual(process, &[AT_FDCWD, a[0], a[1], a[2], 0, 0], cpu)
}

/// `openat` of what is not under /proc.
pub fn openat_usual(process: &'static Process, a: &[u32; 6], cpu: &mut CpuState) -> Option<SysResult> {
    let path = match guest::path(a[1]) {
        Ok(path) if path.starts_with(b"/proc") || is_in_proc(&path) => return None,
        Ok(path) => path,
        Err(errno) => return Some(Err(errno)),
    };
    Some(match open_file(process, cpu, (a[0], path), a[2], a[3]) {
        Ok(Opened::File(fd)) => Ok(fd),
        Ok(Opened::Proc(fd, _)) => {
            close_new(fd);
            return None;
        }
        Err(errno) => Err(errno),
    })
}

fn open_file(
    process: &Process,
    cpu: &mut CpuState,
    (dir, path): (u32, Vec<u8>),
    flags: u32,
    mode: u32,
) -> Result<Opened, Errno> {
    let exclusive = (libc::O_CREAT | libc::O_EXCL) as u32;
    let follow = flags & oflags::O_NOFOLLOW == 0 && flags & exclusive != exclusive;
    let flags = oflags::to_host(flags);
    let name = match open_under_sysroot(process, cpu, &path, flags) {
        InSysroot::Opened(fd) => return unless_ours(fd),
        InSysroot::Nothing => CString::new(path).map_err(|_| Errno::ENOENT)?,
        InSysroot::Unknown => translate_bytes(process, path, follow)?,
    };
    let args = [signed(dir), name.as_ptr() as u64, flags.into(), mode.into(), 0, 0];
    // SAFETY: `name` is a C string that lives over the call.
    let fd = Errno::check(unsafe { raw::syscall_interruptible(libc::SYS_openat, args, cpu) })?;
    unless_ours(fd as i32)
}

/// Opens what is under the sysroot, where nothing is to be made. `flags` are the host's.
fn open_under_sysroot(process: &Process, cpu: &mut CpuState, path: &[u8], flags: u32) -> InSysroot {
    const MAKES: u32 = (libc::O_CREAT | libc::O_TMPFILE & !libc::O_DIRECTORY) as u32;
    if flags & MAKES != 0 {
        return InSysroot::Unknown;
    }
    path::open_in_sysroot(process, path, flags, Some(cpu))
}

/// What a guest may not open, whatever name led there: /proc/PID/mem, as the memory of a guest process has the emulator in
/// it, its own and that of others; and the family's store. The new descriptor is closed again. Other files of /proc that
/// are not for the guest as they are may have been reached by links.
fn unless_ours(fd: i32) -> Result<Opened, Errno> {
    const PROC_SUPER_MAGIC: libc::c_long = 0x9fa0;
    // SAFETY: stat is plain integers, valid for the write.
    let stat = unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        if libc::fstat(fd, &mut stat) != 0 {
            return Ok(Opened::File(fd as u32));
        }
        stat
    };
    // Only file systems without a device of their own are looked at closely.
    if libc::major(stat.st_dev) != 0 || stat.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Ok(Opened::File(fd as u32));
    }
    // SAFETY: statfs is plain integers, valid for the write.
    let is_proc = unsafe {
        let mut system: libc::statfs = std::mem::zeroed();
        libc::fstatfs(fd, &mut system) == 0 && system.f_type == PROC_SUPER_MAGIC
    };
    let link = if is_proc {
        std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default()
    } else {
        Default::default()
    };
    let name = link.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    let errno = if name == b"mem" || name == b"autogroup" && is_others_session(fd, &link) {
        Errno::EACCES
    } else if family::is_store(stat.st_dev, stat.st_ino) {
        Errno::ENOENT
    } else if proc::is_changed(name) {
        return Ok(Opened::Proc(fd as u32, link.into_os_string().into_vec()));
    } else {
        return Ok(Opened::File(fd as u32));
    };
    close_new(fd as u32);
    Err(errno)
}

/// Whether a descriptor of /proc/PID/autogroup may be written by which the processor time of a session outside of a confined run is set:
/// the run's first processes are in the caller's, with all that it has started there.
fn is_others_session(fd: i32, path: &Path) -> bool {
    // SAFETY: no pointers.
    if unsafe { libc::fcntl(fd, libc::F_GETFL) } & libc::O_ACCMODE == libc::O_RDONLY {
        return false;
    }
    let pid = path
        .parent()
        .and_then(|dir| dir.file_name()?.to_str()?.parse().ok());
    // SAFETY: no pointers. A session whose leader cannot be named reads as 0.
    let outside = pid.is_none_or(|pid: i32| unsafe { libc::getsid(pid) } == 0);
    if outside {
        crate::log_line!(
            Items::POLICY,
            "{}: the session began outside; allowed by --new-session",
            path.display()
        );
    }
    outside
}

/// openat2: `struct open_how` is three 64-bit words in every ABI.
pub fn openat2(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    const SIZE: u32 = 24;
    if a[3] < SIZE {
        return Err(Errno::EINVAL);
    }
    if a[3] > 4096 {
        return Err(Errno::E2BIG);
    }
    let how: [u64; 3] = guest::get(a[2])?;
    let rest = guest::get_vec(a[2].wrapping_add(SIZE), (a[3] - SIZE) as usize)?;
    if rest.iter().any(|&b| b != 0) {
        return Err(Errno::E2BIG);
    }
    let mut path = guest::path(a[1])?;
    if how[2] == 0 {
        path = in_proc(a[0] as i32, &path).unwrap_or(path);
    }
    let flags = u32::try_from(how[0]).map_err(|_| Errno::EINVAL)?;
    if how[2] == 0
        && let Some(result) = proc::open(ctx, &path, flags)
    {
        return result;
    }
    let name = if how[2] == 0 {
        translate_bytes(ctx.process, path, flags & oflags::O_NOFOLLOW == 0)?
    } else {
        // The caller confines the lookup itself.
        CString::new(path).map_err(|_| Errno::ENOENT)?
    };
    let how = [u64::from(oflags::to_host(flags)), how[1], how[2]];
    let args = [
        signed(a[0]),
        name.as_ptr() as u64,
        how.as_ptr() as u64,
        SIZE.into(),
    ];
    // SAFETY: `name` and `how` live over the call.
    let fd = unsafe { host_blocking(ctx, libc::SYS_openat2, &args)? };
    settle(ctx, unless_ours(fd as i32)?, flags)
}

pub fn close(_process: &'static Process, a: &[u32; 6]) -> SysResult {
    dir::forget(a[0]);
    // SAFETY: no pointers; dispatch has refused the emulator's own descriptors.
    unsafe { host(libc::SYS_close, &[signed(a[0])]) }.map(|_| 0)
}

pub fn close_range(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let (mut first, last, flags) = (a[0], a[1], a[2]);
    if first > last {
        return Err(Errno::EINVAL);
    }
    // The ranges between the emulator's own descriptors, all of which lie low enough to be looked at one by one.
    let candidates = first..=last.min(4096);
    let hidden: Vec<u32> = candidates
        .filter(|&fd| is_hidden(ctx.process, fd as i32))
        .collect();
    let call = |from: u32, to: u32| {
        // SAFETY: no pointers; the emulator's own descriptors lie outside the range.
        let result = unsafe { host(libc::SYS_close_range, &[from.into(), to.into(), flags.into()]) };
        if result.is_ok() && flags & libc::CLOSE_RANGE_CLOEXEC == 0 {
            dir::forget_range(from, to);
        }
        result
    };
    for fd in hidden {
        if fd > first {
            call(first, fd - 1)?;
        }
        first = fd + 1;
    }
    if first <= last {
        call(first, last)?;
    }
    Ok(0)
}

pub fn dup(_process: &'static Process, a: &[u32; 6]) -> SysResult {
    // SAFETY: no pointers; dispatch has refused the emulator's own descriptors.
    let fd = unsafe { host(libc::SYS_dup, &[signed(a[0])])? } as u32;
    dir::duplicated(a[0], fd);
    Ok(fd)
}

pub fn dup2(_process: &'static Process, a: &[u32; 6]) -> SysResult {
    // SAFETY: no pointers; dispatch has refused the emulator's own descriptors.
    let fd = unsafe { host(libc::SYS_dup2, &[signed(a[0]), signed(a[1])])? } as u32;
    dir::duplicated(a[0], fd);
    Ok(fd)
}

pub fn dup3(_process: &'static Process, a: &[u32; 6]) -> SysResult {
    // SAFETY: no pointers; dispatch has refused the emulator's own descriptors.
    let fd = unsafe { host(libc::SYS_dup3, &[signed(a[0]), signed(a[1]), a[2].into()])? } as u32;
    dir::duplicated(a[0], fd);
    Ok(fd)
}

/// pipe2: O_DIRECT is one of the flags that ARM numbers differently.
pub fn pipe2(_process: &'static Process, a: &[u32; 6]) -> SysResult {
    let out = guest::dst(a[0], 8)?;
    // SAFETY: a checked range of the guest's window.
    unsafe { host(libc::SYS_pipe2, &[out, oflags::to_host(a[1]).into()]) }.map(|_| 0)
}

/// lseek: a position beyond 31 bits is EOVERFLOW, although the file has moved there (fs/read_write.c).
pub fn lseek(_process: &'static Process, a: &[u32; 6]) -> SysResult {
    let at = seek(a[0], i64::from(a[1] as i32), a[2])?;
    i32::try_from(at).map(|v| v as u32).map_err(|_| Errno::EOVERFLOW)
}

pub fn llseek(_process: &'static Process, a: &[u32; 6]) -> SysResult {
    let at = seek(a[0], join(a[2], a[1]) as i64, a[4])?;
    guest::put(a[3], &at)?;
    Ok(0)
}

fn seek(fd: u32, offset: i64, whence: u32) -> Result<i64, Errno> {
    let offset = if whence == libc::SEEK_SET as u32 {
        dir::position_to_host(fd, offset)
    } else {
        offset
    };
    // SAFETY: no pointers.
    let at = unsafe { host(libc::SYS_lseek, &[signed(fd), offset as u64, whence.into()])? };
    Ok(dir::position_to_guest(fd, at as i64))
}
