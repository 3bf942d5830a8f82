//! The emulator's own program, so that a guest who reaches the file (by a link to /proc/self/exe, say) changes nothing about it.
//!
//! Who owns a file, or is root, may change its mode, owner, times and attributes through any descriptor, running or not; a guest with
//! its caller's ids could make the emulator a set-id program on the host. On a read-only mount the kernel refuses all of it.

use super::sys::{self, attr, check};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The program at `path`, open for reading on a read-only mount that is attached nowhere.
///
/// # Errors
/// EPERM where the caller may not mount.
pub fn read_only_mount(path: &Path) -> io::Result<OwnedFd> {
    let tree = sys::clone_tree(path)?;
    sys::add_attributes(tree.as_fd(), attr::RDONLY)?;
    // A descriptor of the file itself keeps the mount when the tree's, which is O_PATH, is closed.
    Ok(File::open(by_descriptor(tree.as_raw_fd()))?.into())
}

/// A copy in memory that nobody can change.
///
/// # Errors
/// The kernel's.
pub fn sealed_copy(path: &Path) -> io::Result<OwnedFd> {
    /// Kernels before 6.3 do not know it, and need none.
    const MFD_EXEC: u32 = 0x10;
    let mut from = File::open(path)?;
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    let make = |flags: u32| {
        // SAFETY: a NUL-terminated name; the result is a new descriptor or an error, and nothing else knows it.
        check(unsafe { libc::memfd_create(c"emu".as_ptr(), flags) })
            .map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
    };
    let fd = make(flags | MFD_EXEC).or_else(|_| make(flags))?;
    let mut to = File::from(fd);
    io::copy(&mut from, &mut to)?;
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: fcntl with numbers.
    check(unsafe { libc::fcntl(to.as_raw_fd(), libc::F_ADD_SEALS, seals) })?;
    Ok(to.into())
}

fn by_descriptor(fd: i32) -> PathBuf {
    format!("/proc/self/fd/{fd}").into()
}

/// Whether the calling process may change the file of a descriptor, or what is said about it.
pub(super) fn is_changeable(fd: i32) -> bool {
    // SAFETY: stat is plain integers, valid for the write; an empty C string; no preconditions.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        let user = libc::geteuid();
        let flags = libc::AT_EACCESS | libc::AT_EMPTY_PATH;
        libc::fstat(fd, &raw mut stat) != 0
            || user == 0
            || stat.st_uid == user
            || libc::faccessat(fd, c"".as_ptr(), libc::W_OK, flags) == 0
    }
}

/// Puts the same program, where it cannot be changed, in place of a descriptor. In a mount namespace of the caller's own, with the
/// host's files still there.
pub(super) fn replace(fd: i32) -> io::Result<()> {
    let link = by_descriptor(fd);
    let mounted = std::fs::read_link(&link).and_then(|path| read_only_mount(&path));
    let safe = match mounted {
        Ok(file) if same_file(file.as_raw_fd(), fd) => file,
        // It has been replaced or removed since, or has no name here.
        _ => sealed_copy(&link)?,
    };
    // SAFETY: numbers only; `fd` stays the caller's.
    check(unsafe { libc::dup3(safe.as_raw_fd(), fd, libc::O_CLOEXEC) })?;
    Ok(())
}

fn same_file(a: i32, b: i32) -> bool {
    let identity = |fd: i32| {
        // SAFETY: stat is plain integers, valid for the write.
        unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            (libc::fstat(fd, &raw mut stat) == 0).then_some((stat.st_dev, stat.st_ino))
        }
    };
    identity(a).is_some() && identity(a) == identity(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn neither_way_can_be_written_through() {
        let dir = std::env::temp_dir().join(format!("own-program-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let path = dir.join("program");
        std::fs::write(&path, "contents").expect("a file");
        let ways = [read_only_mount(&path), sealed_copy(&path)];
        for (i, fd) in ways.iter().enumerate() {
            let fd = match fd {
                Ok(fd) => fd,
                Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                    println!("skipped: no right to mount here");
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            let link = by_descriptor(fd.as_raw_fd());
            assert_eq!(std::fs::read_to_string(&link).expect("readable"), "contents");
            let written = OpenOptions::new().write(true).open(&link).and_then(|mut f| {
                use std::io::Write;
                f.write_all(b"X")
            });
            assert!(written.is_err());
            // The mode of a copy is the copy's.
            let changed = std::fs::set_permissions(&link, PermissionsExt::from_mode(0o4755));
            assert!(i == 1 || changed.is_err());
        }
        let mode = path.metadata().expect("its mode").permissions().mode();
        assert_eq!(mode & 0o7000, 0);
        std::fs::remove_dir_all(&dir).expect("removed");
    }
}
