//! The system calls of confinement that the C library has no functions for, with checked results.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

// include/uapi/linux/mount.h.
const OPEN_TREE_CLONE: u32 = 1;
const FSOPEN_CLOEXEC: u32 = 1;
const FSMOUNT_CLOEXEC: u32 = 1;
const FSCONFIG_SET_FLAG: u32 = 0;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 4;
const MOVE_MOUNT_T_SYMLINKS: u32 = 0x10;

/// Attributes of a mount (MOUNT_ATTR_*).
pub mod attr {
    pub const RDONLY: u64 = 1;
    pub const NOSUID: u64 = 2;
    pub const NODEV: u64 = 4;
    pub const NOEXEC: u64 = 8;
}

/// The result of a C library call, or errno.
pub fn check(ret: impl Into<i64>) -> io::Result<i64> {
    match ret.into() {
        -1 => Err(io::Error::last_os_error()),
        value => Ok(value),
    }
}

/// A path for the kernel. EINVAL where it holds a NUL.
pub fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

fn owned(fd: io::Result<i64>) -> io::Result<OwnedFd> {
    // SAFETY: the callers pass the result of a call that makes a new descriptor.
    fd.map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// A detached copy of the mounts at `path`, those below it included.
pub fn clone_tree(path: &Path) -> io::Result<OwnedFd> {
    open_tree(libc::AT_FDCWD, &c_path(path)?)
}

/// The same of `name` in a directory.
pub fn clone_tree_in(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    open_tree(dir.as_raw_fd(), name)
}

fn open_tree(dir: i32, path: &CStr) -> io::Result<OwnedFd> {
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as u32 | libc::AT_RECURSIVE as u32;
    // SAFETY: a C string that lives over the call.
    owned(check(unsafe {
        libc::syscall(libc::SYS_open_tree, dir, path.as_ptr(), flags)
    }))
}

/// The mode of `name` in a directory, links not followed.
pub fn mode_in(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<u32> {
    // SAFETY: stat is plain integers, valid for the write; a C string.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        check(libc::fstatat(
            dir.as_raw_fd(),
            name.as_ptr(),
            &raw mut stat,
            libc::AT_SYMLINK_NOFOLLOW,
        ))?;
        Ok(stat.st_mode)
    }
}

/// Whether the calling process, as what it is now, may read or write `name` in a directory.
pub fn accessible_in(dir: BorrowedFd<'_>, name: &CStr) -> bool {
    // SAFETY: a C string.
    let may = |how| unsafe { libc::faccessat(dir.as_raw_fd(), name.as_ptr(), how, libc::AT_EACCESS) } == 0;
    may(libc::R_OK) || may(libc::W_OK)
}

/// Makes an empty file in a directory.
pub fn make_file_in(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_CLOEXEC;
    // SAFETY: a C string; the descriptor is closed at once.
    let file = unsafe { libc::openat(dir.as_raw_fd(), name.as_ptr(), flags, 0o666) };
    owned(check(file)).map(drop)
}

/// Makes a directory of this very mode in a directory.
pub fn make_dir_in(dir: BorrowedFd<'_>, name: &CStr, mode: u32) -> io::Result<()> {
    // SAFETY: C strings.
    unsafe {
        check(libc::mkdirat(dir.as_raw_fd(), name.as_ptr(), mode))?;
        check(libc::fchmodat(dir.as_raw_fd(), name.as_ptr(), mode, 0))?;
    }
    Ok(())
}

/// Makes a link in a directory.
pub fn make_link_in(dir: BorrowedFd<'_>, name: &CStr, target: &CStr) -> io::Result<()> {
    // SAFETY: C strings.
    check(unsafe { libc::symlinkat(target.as_ptr(), dir.as_raw_fd(), name.as_ptr()) })?;
    Ok(())
}

/// A detached new mount of file system `kind`. An option without a value is a flag.
pub fn new_mount(kind: &CStr, options: &[(&CStr, Option<&CStr>)], attributes: u64) -> io::Result<OwnedFd> {
    // SAFETY: C strings that live over the calls; the last argument of the last two is a number.
    unsafe {
        let context = owned(check(libc::syscall(
            libc::SYS_fsopen,
            kind.as_ptr(),
            FSOPEN_CLOEXEC,
        )))?;
        let fd = context.as_raw_fd();
        for (key, value) in options {
            let (command, value) = match value {
                Some(value) => (FSCONFIG_SET_STRING, value.as_ptr()),
                None => (FSCONFIG_SET_FLAG, std::ptr::null()),
            };
            check(libc::syscall(
                libc::SYS_fsconfig,
                fd,
                command,
                key.as_ptr(),
                value,
                0,
            ))?;
        }
        let none = std::ptr::null::<u8>();
        check(libc::syscall(
            libc::SYS_fsconfig,
            fd,
            FSCONFIG_CMD_CREATE,
            none,
            none,
            0,
        ))?;
        owned(check(libc::syscall(
            libc::SYS_fsmount,
            fd,
            FSMOUNT_CLOEXEC,
            attributes as u32,
        )))
    }
}

/// Adds attributes to a detached mount and those below it.
pub fn add_attributes(mount: BorrowedFd<'_>, attributes: u64) -> io::Result<()> {
    // struct mount_attr: set, clear, propagation, user namespace.
    let how = [attributes, 0, 0, 0];
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the empty path and the structure live over the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const how,
            size_of_val(&how),
        )
    })?;
    Ok(())
}

/// Puts a detached mount at `path`, or where that leads if it is a link.
pub fn attach(mount: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    move_mount(mount, libc::AT_FDCWD, &c_path(path)?, MOVE_MOUNT_T_SYMLINKS)
}

/// Puts a detached mount over `name` in a directory, which is no link.
pub fn attach_in(mount: BorrowedFd<'_>, dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    move_mount(mount, dir.as_raw_fd(), name, 0)
}

fn move_mount(mount: BorrowedFd<'_>, dir: i32, path: &CStr, flags: u32) -> io::Result<()> {
    // SAFETY: C strings that live over the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            dir,
            path.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH | flags,
        )
    })?;
    Ok(())
}

/// Makes the directory of `fd` the root of this mount namespace and lets go of the old one.
pub fn change_root(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: C strings and descriptors of our own. Old and new root are both ".", one above the other (pivot_root(2)).
    unsafe {
        let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
        let old = owned(check(libc::open(c"/".as_ptr(), flags)))?;
        check(libc::fchdir(fd.as_raw_fd()))?;
        check(libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()))?;
        check(libc::fchdir(old.as_raw_fd()))?;
        check(libc::umount2(c".".as_ptr(), libc::MNT_DETACH))?;
        check(libc::chdir(c"/".as_ptr()))?;
    }
    Ok(())
}

/// No mount made from here on is seen elsewhere, nor the other way round.
pub fn make_mounts_private() -> io::Result<()> {
    let none = std::ptr::null();
    // SAFETY: with these flags only the target is read.
    check(unsafe {
        libc::mount(
            none,
            c"/".as_ptr(),
            none,
            libc::MS_REC | libc::MS_PRIVATE,
            none.cast(),
        )
    })?;
    Ok(())
}

/// Closes every descriptor that is not in `kept`.
pub fn close_all_but(kept: impl IntoIterator<Item = i32>) {
    let mut kept: Vec<u32> = kept.into_iter().filter_map(|fd| u32::try_from(fd).ok()).collect();
    kept.sort_unstable();
    let mut first = 0;
    for fd in kept.into_iter().chain([u32::MAX]) {
        if fd > first {
            let last = fd - u32::from(fd != u32::MAX);
            // SAFETY: the callers own no descriptor but those kept any more.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
        first = first.max(fd.saturating_add(1));
    }
}

/// Whether a descriptor is open, and of a directory.
pub fn is_directory(fd: i32) -> bool {
    // SAFETY: stat is plain integers, valid for the write; a number that is no descriptor is an error.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        libc::fstat(fd, &mut stat) == 0 && stat.st_mode & libc::S_IFMT == libc::S_IFDIR
    }
}

/// prctl with numbers only.
pub fn prctl(option: i32, a: u64, b: u64, c: u64) -> io::Result<i64> {
    // SAFETY: the callers use options that take no pointers.
    check(unsafe { libc::prctl(option, a, b, c, 0u64) })
}
