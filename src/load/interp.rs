//! Finding the program interpreter: under the sysroot first, then as the path says.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::Problem;
use super::open::open_file;

/// Opens a file for reading, without waiting, as a process whose root is `sysroot` would: absolute symbolic links and `..` stay inside.
pub fn open_in_sysroot(sysroot: &Path, path: &[u8]) -> io::Result<File> {
    let root = File::options()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_PATH)
        .open(sysroot)?;
    let name = CString::new(path).map_err(|_| io::Error::from_raw_os_error(libc::ENOENT))?;
    // SAFETY: an all-zero open_how is valid; pointer and size of a local are passed to a call that only reads them.
    let fd = unsafe {
        let mut how: libc::open_how = std::mem::zeroed();
        how.flags = (libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK) as u64;
        how.resolve = libc::RESOLVE_IN_ROOT;
        libc::syscall(
            libc::SYS_openat2,
            root.as_raw_fd(),
            name.as_ptr(),
            &raw const how,
            size_of::<libc::open_how>(),
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call returned a new descriptor, which nobody else owns.
    Ok(unsafe { File::from_raw_fd(fd as i32) })
}

/// The interpreter's file, and where it was found.
pub(super) fn find(path: &[u8], sysroot: Option<&Path>) -> Result<(File, PathBuf), Problem> {
    let own = Path::new(OsStr::from_bytes(path));
    if let Some(sysroot) = sysroot
        && path.starts_with(b"/")
    {
        match open_in_sysroot(sysroot, path) {
            Ok(file) => {
                let below = own.strip_prefix("/").unwrap_or(own);
                return Ok((file, sysroot.join(below)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // A kernel or a filter without openat2: as a plain path.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                let joined = sysroot.join(own.strip_prefix("/").unwrap_or(own));
                if let Ok(file) = open_file(&joined) {
                    return Ok((file, joined));
                }
            }
            Err(error) => return Err(wrap(path, error)),
        }
    }
    match open_file(own) {
        Ok(file) => Ok((file, own.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Problem::NoInterpreter {
            path: path.into(),
            sysroot: sysroot.map(Path::to_path_buf),
        }),
        Err(error) => Err(wrap(path, error)),
    }
}

fn wrap(path: &[u8], error: io::Error) -> Problem {
    let problem = match error.kind() {
        io::ErrorKind::PermissionDenied => Problem::Permission("read"),
        _ => Problem::Io {
            action: "open",
            error,
        },
    };
    Problem::Interpreter {
        path: path.into(),
        problem: Box::new(problem),
    }
}
