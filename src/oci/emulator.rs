//! The emulator that runs a container's programs: found on the host, executed inside by descriptor, and never writable there.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Descriptors of ours stay above those that a guest uses.
const LOWEST_FD: i32 = 900;

/// Where `emu` is: where `option` says, else beside this program.
///
/// # Errors
/// One line.
pub fn find(option: Option<&Path>) -> Result<PathBuf, String> {
    let path = match option {
        Some(path) => path.to_path_buf(),
        None => {
            let own = std::env::current_exe().map_err(|error| format!("/proc/self/exe: {error}"))?;
            own.with_file_name("emu")
        }
    };
    match path.metadata() {
        Ok(meta) if meta.is_file() => Ok(path),
        Ok(_) => Err(format!("{}: not a file; --emu says where emu is", path.display())),
        Err(error) => Err(format!("{}: {error}; --emu says where emu is", path.display())),
    }
}

/// Opens the emulator so that whoever reaches its file through the descriptor, or through /proc/PID/exe, cannot write to
/// it, be he root in the container: on a read-only mount that is attached nowhere, or where making one is not permitted,
/// a sealed copy in memory.
///
/// # Errors
/// One line.
pub fn open(path: &Path) -> Result<OwnedFd, String> {
    let opened = read_only_mount(path).or_else(|error| match error.raw_os_error() {
        Some(libc::EPERM | libc::ENOSYS | libc::EINVAL) => sealed_copy(path),
        _ => Err(error),
    });
    let low = opened.map_err(|error| format!("{}: {error}", path.display()))?;
    // SAFETY: `low` is open; the result is a new descriptor or an error.
    let high = unsafe { libc::fcntl(low.as_raw_fd(), libc::F_DUPFD_CLOEXEC, LOWEST_FD) };
    match owned(high) {
        Ok(high) => Ok(high),
        // The limit on descriptors is lower.
        Err(_) => Ok(low),
    }
}

fn read_only_mount(path: &Path) -> io::Result<OwnedFd> {
    /// `struct mount_attr`.
    #[repr(C)]
    struct MountAttr {
        attr_set: u64,
        attr_clr: u64,
        propagation: u64,
        userns_fd: u64,
    }
    const MOUNT_ATTR_RDONLY: u64 = 1;
    let name = CString::new(path.as_os_str().as_bytes())?;
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: a NUL-terminated path; the result is a new descriptor or an error.
    let tree =
        owned(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, name.as_ptr(), flags) } as i32)?;
    let attr = MountAttr {
        attr_set: MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: an empty path means the descriptor; `attr` has the size that is given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // A descriptor of the file itself keeps the mount when the tree's, which is O_PATH, is closed.
    let link = format!("/proc/self/fd/{}", tree.as_raw_fd());
    Ok(File::open(link)?.into())
}

fn sealed_copy(path: &Path) -> io::Result<OwnedFd> {
    /// Kernels before 6.3 do not know it, and need none.
    const MFD_EXEC: u32 = 0x10;
    let mut from = File::open(path)?;
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    let make = |flags: u32| {
        // SAFETY: a NUL-terminated name; the result is a new descriptor or an error.
        owned(unsafe { libc::memfd_create(c"emu".as_ptr(), flags) })
    };
    let fd = make(flags | MFD_EXEC).or_else(|_| make(flags))?;
    let mut to = File::from(fd);
    io::copy(&mut from, &mut to)?;
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: fcntl with numbers.
    if unsafe { libc::fcntl(to.as_raw_fd(), libc::F_ADD_SEALS, seals) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(to.into())
}

fn owned(fd: i32) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller got it from the kernel just now, and nothing else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;

    #[test]
    fn neither_way_can_be_written_through() {
        let dir = std::env::temp_dir().join(format!("emu-oci-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let path = dir.join("program");
        std::fs::write(&path, "contents").expect("a file");
        let ways = [read_only_mount(&path), sealed_copy(&path)];
        for fd in &ways {
            let fd = match fd {
                Ok(fd) => fd,
                Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                    println!("skipped: no right to mount here");
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
            assert_eq!(std::fs::read_to_string(&link).expect("readable"), "contents");
            let written = OpenOptions::new().write(true).open(&link).and_then(|mut f| {
                use std::io::Write;
                f.write_all(b"X")
            });
            assert!(written.is_err());
        }
        std::fs::remove_dir_all(&dir).expect("removed");
    }
}
