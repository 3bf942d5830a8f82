//! The emulator's own descriptors among the guest's: which they are, that the guest does not get at them, and that
//! nobody else is made with those that are only there for a moment.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::call::{NOWHERE, SyscallContext, host, signed};
use super::errno::{Errno, SysResult};
use super::path::is_sysroot_fd;
use super::process::Process;
use super::{exec, proc, proc_others};
use crate::diag::log;
use crate::exec::family;

/// Whether a descriptor is one of the emulator's own, which the guest neither sees nor closes.
pub fn is_hidden(process: &Process, fd: i32) -> bool {
    let own = [log::private_fd(), exec::private_fd(), family::private_fd()];
    own.contains(&Some(fd)) || is_sysroot_fd(process, fd)
}

/// Whether a path names one of them by its number: /proc/self/fd/900, /proc/PID/fdinfo/900, /dev/fd/900.
/// Or one of the emulator's mappings, its own or another's: /proc/PID/map_files/7f0000000000-7f0000001000.
pub fn is_hidden_path(process: &Process, path: &[u8]) -> bool {
    let mapping = path
        .starts_with(b"/proc/")
        .then(|| proc::is_own(path).or_else(|| proc_others::mapping_of_guest(path)))
        .flatten()
        .and_then(|name| name.strip_prefix(b"map_files/"));
    if let Some(name) = mapping {
        return proc::is_outside(name);
    }
    let number = path
        .strip_prefix(b"/dev/fd/")
        .or_else(|| proc::is_own(path)?.strip_prefix(b"fd/"))
        .or_else(|| proc::is_own(path)?.strip_prefix(b"fdinfo/"));
    match number {
        Some(n) => std::str::from_utf8(n).is_ok_and(|n| n.parse().is_ok_and(|fd| is_hidden(process, fd))),
        None => proc_others::names_own_fd(path),
    }
}

/// A descriptor that the guest has just been given, by whatever name: closed again with `errno` where it is the family's
/// store.
pub fn unless_store(fd: i32, errno: Errno) -> SysResult {
    // SAFETY: stat is plain integers, valid for the write.
    let stat = unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        if libc::fstat(fd, &mut stat) != 0 {
            return Ok(fd as u32);
        }
        stat
    };
    if !family::is_store(stat.st_dev, stat.st_ino) {
        return Ok(fd as u32);
    }
    // SAFETY: the descriptor was made for the guest just now.
    unsafe { libc::close(fd) };
    Err(errno)
}

/// landlock_add_rule(ruleset, type, attributes, flags): a rule for a path holds a descriptor. The kernel gets a copy, in
/// which one of the emulator's own is none, and looks at everything in its own order.
pub fn sys_landlock_add_rule(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    const PATH_BENEATH: u32 = 1;
    /// Of `struct landlock_path_beneath_attr`, packed: 64 bits of rights, then the descriptor.
    const PARENT: std::ops::Range<usize> = 8..12;
    let [ruleset, kind, attributes, flags, ..] = *args;
    let mut bytes = [0u8; 16];
    // A rule for a port is four bytes longer.
    let size = if kind == PATH_BENEATH { PARENT.end } else { 16 };
    let copied = super::guest::get_bytes(attributes, &mut bytes[..size]).is_ok();
    let mut parent = [0; 4];
    parent.copy_from_slice(&bytes[PARENT]);
    if kind == PATH_BENEATH && is_hidden(ctx.process, i32::from_le_bytes(parent)) {
        bytes[PARENT].copy_from_slice(&(-1i32).to_le_bytes());
    }
    let attributes = if copied { bytes.as_ptr() as u64 } else { NOWHERE };
    let call = [signed(ruleset), kind.into(), attributes, flags.into()];
    // SAFETY: the bytes live over the call, which reads no more than these.
    unsafe { host(libc::SYS_landlock_add_rule, &call) }.map(|result| result as u32)
}

/// pidfd_getfd(pidfd, fd, flags).
pub fn pidfd_getfd(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let args = [signed(a[0]), signed(a[1]), a[2].into()];
    // SAFETY: no pointers.
    let fd = unsafe { host(libc::SYS_pidfd_getfd, &args)? };
    unless_store(fd as i32, Errno::EBADF)
}

/// Held while there are descriptors that no child is to be made with.
static MOMENTARY: Mutex<()> = Mutex::new(());

/// Keeps this process's other threads from making a child, who would have the emulator's momentary descriptors; and who
/// makes a child from doing so while there are any. A process in its parent's memory has a table of its own, and may not
/// hold what its parent waits for: nothing there.
pub fn hold(process: &Process) -> Option<MutexGuard<'static, ()>> {
    (!process.borrows_memory).then(|| MOMENTARY.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Whether this process has (had) a parent or child with the same table of descriptors.
static SHARED: AtomicBool = AtomicBool::new(false);

/// From now on another process may use the table.
pub fn note_shared() {
    SHARED.store(true, Ordering::Relaxed);
}

/// This process has a table of its own again.
pub fn note_unshared() {
    SHARED.store(false, Ordering::Relaxed);
}

/// Whether another process may use the table.
pub fn are_shared() -> bool {
    SHARED.load(Ordering::Relaxed)
}

/// Sees to it that the calling thread has a table of its own, as execve does anyway. False where the host allows neither
/// call for it.
pub fn make_private(process: &Process) -> bool {
    const CLOSE_RANGE_UNSHARE: u64 = 2;
    if process.threads().len() < 2 && !are_shared() {
        return true;
    }
    // Of no descriptors: filters that forbid unshare let it pass.
    let nothing = [u32::MAX.into(), u32::MAX.into(), CLOSE_RANGE_UNSHARE];
    // SAFETY: no pointers; both concern this thread's descriptors only, and change none.
    unsafe {
        host(libc::SYS_close_range, &nothing).is_ok()
            || host(libc::SYS_unshare, &[libc::CLONE_FILES as u64]).is_ok()
    }
}
