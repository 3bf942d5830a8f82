//! The emulator that runs a container's programs: found on the host, executed inside by descriptor, and never writable there.

use emu::confine::own_program::{read_only_mount, sealed_copy};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
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

fn owned(fd: i32) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller got it from the kernel just now, and nothing else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
