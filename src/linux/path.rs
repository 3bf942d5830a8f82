//! Paths: the sysroot, and what the guest finds under /proc/self in place of the emulator's own entries.

use std::ffi::CString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::call::{host, signed};
use super::errno::{Errno, SysResult};
use super::process::Process;
use super::{guest, own_fds, proc, proc_others, raw};
use crate::cpu::state::CpuState;
use crate::diag::own_fd;

/// A path for the host kernel.
pub enum HostPath {
    /// The guest's own string, or NULL.
    Guest(u64),
    Owned(CString),
}

impl HostPath {
    /// The host's file of that name, whatever the sysroot has.
    pub fn outside(path: Vec<u8>) -> HostPath {
        HostPath::Owned(c_string(path))
    }

    /// The pointer to pass; good while `self` lives.
    pub fn as_arg(&self) -> u64 {
        match self {
            HostPath::Guest(p) => *p,
            HostPath::Owned(s) => s.as_ptr() as u64,
        }
    }
}

/// What a call wants with a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// To read or inspect: what exists under the sysroot is taken there.
    Look,
    /// To change, create or go to: what exists outside the sysroot is taken there, so that a directory and the files
    /// made in it by absolute names stay together; the sysroot comes second.
    Change,
}

/// Where a path lies that is relative to the directory `dir`, or absolute in more parts than it needs, if that is under /proc
/// and the name is one of those that the guest must not find as they are.
pub fn in_proc(dir: i32, path: &[u8]) -> Option<Vec<u8>> {
    if !is_in_proc(path) {
        return None;
    }
    let mut out = match (path.first(), dir) {
        (Some(b'/'), _) => Vec::new(),
        (_, libc::AT_FDCWD) => directory("/proc/self/cwd")?,
        _ => directory(&format!("/proc/self/fd/{dir}"))?,
    };
    for part in path.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => out.truncate(out.iter().rposition(|&b| b == b'/').unwrap_or(0)),
            part => {
                out.push(b'/');
                out.extend_from_slice(part);
            }
        }
    }
    out.starts_with(b"/proc/").then_some(out)
}

/// Where a descriptor leads, if that is in /proc.
fn directory(link: &str) -> Option<Vec<u8>> {
    let path = std::fs::read_link(link).ok()?.into_os_string().into_vec();
    path.starts_with(b"/proc").then_some(path)
}

/// Whether a path that does not begin with /proc has a name of those that [`in_proc`] is about: a relative one, or one with
/// empty parts, "." or "..".
pub fn is_in_proc(path: &[u8]) -> bool {
    let odd = || path.windows(2).any(|two| two == b"//" || two == b"/.");
    let name = path.rsplit(|&b| b == b'/').next().unwrap_or_default();
    !path.is_empty() && proc::is_changed(name) && (path[0] != b'/' || odd())
}

/// [`translate`] of a path that is relative to the directory `dir`.
pub fn translate_at(
    process: &Process,
    dir: u32,
    addr: u32,
    follow: bool,
    purpose: Purpose,
) -> Result<HostPath, Errno> {
    if addr == 0 {
        return Ok(HostPath::Guest(0));
    }
    let path = guest::path(addr)?;
    match in_proc(dir as i32, &path) {
        Some(path) => Ok(HostPath::Owned(translate_bytes(process, path, follow)?)),
        None => translate_path(process, path, follow, purpose),
    }
}

/// The guest's path at `addr` for the host: an absolute path is sought under the sysroot as the purpose says, and
/// /proc/self/exe means the guest's program. NULL stays NULL (some calls take it).
pub fn translate(process: &Process, addr: u32, follow: bool, purpose: Purpose) -> Result<HostPath, Errno> {
    if addr == 0 {
        return Ok(HostPath::Guest(0));
    }
    translate_path(process, guest::path(addr)?, follow, purpose)
}

fn translate_path(
    process: &Process,
    path: Vec<u8>,
    follow: bool,
    purpose: Purpose,
) -> Result<HostPath, Errno> {
    if purpose == Purpose::Change
        && sysroot(process).is_some()
        && path.first() == Some(&b'/')
        && exists(&path)
        && !own_fds::is_hidden_path(process, &path)
    {
        return Ok(HostPath::Owned(c_string(path)));
    }
    Ok(HostPath::Owned(translate_bytes(process, path, follow)?))
}

/// Whether the host has something of that name, be it a dangling link.
fn exists(path: &[u8]) -> bool {
    std::fs::symlink_metadata(std::ffi::OsStr::from_bytes(path)).is_ok()
}

/// A path to look at that has been read already.
pub fn translate_bytes(process: &Process, mut path: Vec<u8>, follow: bool) -> Result<CString, Errno> {
    if path.first() == Some(&b'/') {
        if own_fds::is_hidden_path(process, &path) {
            return Err(Errno::ENOENT);
        }
        if follow && proc::is_own(&path) == Some(b"exe") {
            path.clone_from(&process.image.exe);
        } else if follow && let Some(exe) = proc_others::link_target(&path) {
            path = exe;
        }
        if let Some(under) = under_sysroot(process, &path, follow) {
            return Ok(under);
        }
    }
    Ok(c_string(path))
}

/// A C string of bytes that came from one.
fn c_string(bytes: Vec<u8>) -> CString {
    // An interior NUL cannot occur in what read_cstr returns; cut there if it did.
    CString::new(bytes).unwrap_or_else(|e| {
        let end = e.nul_position();
        let mut bytes = e.into_vec();
        bytes.truncate(end);
        CString::new(bytes).unwrap_or_default()
    })
}

/// The process has another root than when it began.
static OTHER_ROOT: AtomicBool = AtomicBool::new(false);

/// Paths are looked up in the new root alone from now on. A child in its parent's memory says so only for itself: it is
/// about to execute something, or to end.
pub fn leave_sysroot(process: &Process) {
    if !process.borrows_memory {
        OTHER_ROOT.store(true, Ordering::Relaxed);
    }
}

/// The directory in which absolute paths are looked up first.
pub fn sysroot(process: &Process) -> Option<&Path> {
    let root = process.settings.sysroot.as_deref();
    root.filter(|_| !OTHER_ROOT.load(Ordering::Relaxed))
}

/// Descriptor of the sysroot directory, opened once and kept out of the guest's way.
fn sysroot_fd(dir: &Path) -> Option<i32> {
    static FD: OnceLock<Option<i32>> = OnceLock::new();
    *FD.get_or_init(|| {
        let name = CString::new(dir.as_os_str().as_bytes()).ok()?;
        // SAFETY: a C string and plain flags.
        let low = unsafe { libc::open(name.as_ptr(), libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) };
        Some(own_fd::move_number_high(low)).filter(|&fd| fd >= 0)
    })
}

/// Whether a descriptor is the sysroot's own.
pub fn is_sysroot_fd(process: &Process, fd: i32) -> bool {
    process.settings.sysroot.as_deref().and_then(sysroot_fd) == Some(fd)
}

/// Opens the sysroot, if there is one: before the guest runs, as a child that borrows the memory has a table of its own.
pub fn open_sysroot(process: &Process) {
    process.settings.sysroot.as_deref().and_then(sysroot_fd);
}

/// Where `path` (absolute) is under the sysroot, if it exists there. Symbolic links, absolute ones too, and ".." are
/// resolved within the sysroot by the kernel (RESOLVE_IN_ROOT).
fn under_sysroot(process: &Process, path: &[u8], follow: bool) -> Option<CString> {
    let root = sysroot(process)?;
    let fd = sysroot_fd(root)?;
    let name = CString::new(path).ok()?;
    let how = open_how((libc::O_PATH | libc::O_CLOEXEC | if follow { 0 } else { libc::O_NOFOLLOW }) as u32);
    // SAFETY: a C string and a structure that live over the call.
    let found = unsafe {
        host(
            libc::SYS_openat2,
            &[
                fd as u64,
                name.as_ptr() as u64,
                &raw const how as u64,
                size_of::<libc::open_how>() as u64,
            ],
        )
    };
    let found = match found {
        Ok(found) => found as i32,
        Err(Errno::ENOENT | Errno::ENOTDIR) => return None,
        // It may be there all the same: the call itself is to say what is wrong, if it is wrong for the call.
        Err(_) => return joined(root, path).filter(|name| !is_absent(name)),
    };
    let target = std::fs::read_link(format!("/proc/self/fd/{found}"));
    // SAFETY: our own descriptor.
    unsafe { libc::close(found) };
    match target {
        Ok(t) => CString::new(t.as_os_str().as_bytes()).ok(),
        // No /proc: the textual path will do, symbolic links out of the sysroot excepted.
        Err(_) => joined(root, path),
    }
}

/// The path under the sysroot as text.
fn joined(root: &Path, path: &[u8]) -> Option<CString> {
    let mut joined = root.as_os_str().as_bytes().to_vec();
    joined.extend_from_slice(path);
    CString::new(joined).ok()
}

/// Whether the host says that there is no such file.
fn is_absent(name: &CString) -> bool {
    std::fs::symlink_metadata(std::ffi::OsStr::from_bytes(name.as_bytes()))
        .is_err_and(|e| matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)))
}

/// What opening a path under the sysroot alone has come to.
pub enum InSysroot {
    Opened(i32),
    /// There is no such file: the host's own is meant.
    Nothing,
    /// Not tried, or it failed for another reason: [`translate_bytes`] decides.
    Unknown,
}

/// Opens an absolute path under the sysroot, if there is one, in a single call, which guest signals interrupt where `cpu`
/// is given. `flags` are the host's, without those that make files.
pub fn open_in_sysroot(process: &Process, path: &[u8], flags: u32, cpu: Option<&mut CpuState>) -> InSysroot {
    // The emulator's own entries, and links of the kernel's, are found there only.
    let special = [&b"/proc"[..], b"/dev/fd"].iter().any(|p| path.starts_with(p));
    let Some(root) = sysroot(process).filter(|_| !special) else {
        return InSysroot::Unknown;
    };
    let (Some(root), b'/') = (sysroot_fd(root), path.first().copied().unwrap_or(0)) else {
        return InSysroot::Unknown;
    };
    let Ok(name) = CString::new(path) else {
        return InSysroot::Unknown;
    };
    let how = open_how(flags);
    let args = [
        root as u64,
        name.as_ptr() as u64,
        &raw const how as u64,
        size_of::<libc::open_how>() as u64,
        0,
        0,
    ];
    // SAFETY: a C string and a structure that live over the call.
    let answer = unsafe {
        match cpu {
            Some(cpu) => raw::syscall_interruptible(libc::SYS_openat2, args, cpu),
            None => raw::syscall(libc::SYS_openat2, args),
        }
    };
    match Errno::check(answer) {
        Ok(fd) => InSysroot::Opened(fd as i32),
        Err(Errno::ENOENT) => InSysroot::Nothing,
        Err(_) => InSysroot::Unknown,
    }
}

/// For a lookup under the sysroot: symbolic links, absolute ones too, and ".." stay in it.
fn open_how(flags: u32) -> libc::open_how {
    // SAFETY: plain integers, all zeros are valid.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = flags.into();
    how.resolve = libc::RESOLVE_IN_ROOT;
    how
}

pub fn readlink(process: &'static Process, a: &[u32; 6]) -> SysResult {
    read_link(process, libc::AT_FDCWD as u32, a[0], a[1], a[2])
}

pub fn readlinkat(process: &'static Process, a: &[u32; 6]) -> SysResult {
    read_link(process, a[0], a[1], a[2], a[3])
}

fn read_link(process: &Process, dir: u32, path: u32, buf: u32, len: u32) -> SysResult {
    if (len as i32) <= 0 {
        return Err(Errno::EINVAL);
    }
    let bytes = guest::path(path)?;
    let bytes = in_proc(dir as i32, &bytes).unwrap_or(bytes);
    if proc::is_own(&bytes) == Some(b"exe") {
        let exe = &process.image.exe;
        let n = exe.len().min(len as usize);
        guest::put_bytes(buf, &exe[..n])?;
        return Ok(n as u32);
    }
    if let Some(exe) = proc_others::link_target(&bytes) {
        let n = exe.len().min(len as usize);
        guest::put_bytes(buf, &exe[..n])?;
        return Ok(n as u32);
    }
    let name = translate_bytes(process, bytes, false)?;
    let out = guest::dst(buf, len)?;
    // SAFETY: a C string, and a range within the guest's window.
    let n = unsafe {
        host(
            libc::SYS_readlinkat,
            &[signed(dir), name.as_ptr() as u64, out, signed(len)],
        )?
    };
    Ok(n as u32)
}
