//! Guest error numbers: ARM Linux uses asm-generic's values, which are x86-64's too, so a number passes unchanged.

use std::fmt;

/// A positive errno value. ARM and x86-64 share asm-generic/errno.h, so host errors are guest errors.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

/// What most handlers return: the value for r0, or an error.
pub type SysResult = Result<u32, Errno>;

/// The kernel's internal "interrupted before the call began; restart or EINTR, as the handler's flags say".
pub const ERESTARTSYS: i32 = 512;
/// Its kin: always made again; made again unless a handler runs; the same, with what is left of a time.
pub const ERESTARTNOINTR: i32 = 513;
pub const ERESTARTNOHAND: i32 = 514;
pub const ERESTART_RESTARTBLOCK: i32 = 516;

macro_rules! errnos {
    ($($name:ident $text:literal),* $(,)?) => {
        impl Errno {
            $(pub const $name: Errno = Errno(libc::$name);)*
            /// The symbolic name ("ENOENT"), `None` for a number without one.
            pub fn name(self) -> Option<&'static str> {
                $(if self == Errno::$name { return Some(stringify!($name)); })*
                match self.0 {
                    ERESTARTSYS => Some("ERESTARTSYS"),
                    ERESTARTNOINTR => Some("ERESTARTNOINTR"),
                    ERESTARTNOHAND => Some("ERESTARTNOHAND"),
                    ERESTART_RESTARTBLOCK => Some("ERESTART_RESTARTBLOCK"),
                    _ => None,
                }
            }
            /// strerror's text, as strace appends it.
            pub fn text(self) -> &'static str {
                $(if self == Errno::$name { return $text; })*
                match self.0 {
                    ERESTARTSYS => "To be restarted if SA_RESTART is set",
                    ERESTARTNOINTR => "To be restarted",
                    ERESTARTNOHAND => "To be restarted if no handler",
                    ERESTART_RESTARTBLOCK => "Interrupted by signal",
                    _ => "Unknown error",
                }
            }
        }
    };
}

#[rustfmt::skip]
errnos! {
    EPERM "Operation not permitted",
    ENOENT "No such file or directory",
    ESRCH "No such process",
    EINTR "Interrupted system call",
    EIO "Input/output error",
    ENXIO "No such device or address",
    E2BIG "Argument list too long",
    ENOEXEC "Exec format error",
    EBADF "Bad file descriptor",
    ECHILD "No child processes",
    EAGAIN "Resource temporarily unavailable",
    ENOMEM "Cannot allocate memory",
    EACCES "Permission denied",
    EFAULT "Bad address",
    ENOTBLK "Block device required",
    EBUSY "Device or resource busy",
    EEXIST "File exists",
    EXDEV "Invalid cross-device link",
    ENODEV "No such device",
    ENOTDIR "Not a directory",
    EISDIR "Is a directory",
    EINVAL "Invalid argument",
    ENFILE "Too many open files in system",
    EMFILE "Too many open files",
    ENOTTY "Inappropriate ioctl for device",
    ETXTBSY "Text file busy",
    EFBIG "File too large",
    ENOSPC "No space left on device",
    ESPIPE "Illegal seek",
    EROFS "Read-only file system",
    EMLINK "Too many links",
    EPIPE "Broken pipe",
    EDOM "Numerical argument out of domain",
    ERANGE "Numerical result out of range",
    EDEADLK "Resource deadlock avoided",
    ENAMETOOLONG "File name too long",
    ENOLCK "No locks available",
    ENOSYS "Function not implemented",
    ENOTEMPTY "Directory not empty",
    ELOOP "Too many levels of symbolic links",
    ENOMSG "No message of desired type",
    EIDRM "Identifier removed",
    ENOSTR "Device not a stream",
    ENODATA "No data available",
    ETIME "Timer expired",
    ENOLINK "Link has been severed",
    EPROTO "Protocol error",
    EBADMSG "Bad message",
    EOVERFLOW "Value too large for defined data type",
    EILSEQ "Invalid or incomplete multibyte or wide character",
    EUSERS "Too many users",
    ENOTSOCK "Socket operation on non-socket",
    EDESTADDRREQ "Destination address required",
    EMSGSIZE "Message too long",
    EPROTOTYPE "Protocol wrong type for socket",
    ENOPROTOOPT "Protocol not available",
    EPROTONOSUPPORT "Protocol not supported",
    ESOCKTNOSUPPORT "Socket type not supported",
    EOPNOTSUPP "Operation not supported",
    EPFNOSUPPORT "Protocol family not supported",
    EAFNOSUPPORT "Address family not supported by protocol",
    EADDRINUSE "Address already in use",
    EADDRNOTAVAIL "Cannot assign requested address",
    ENETDOWN "Network is down",
    ENETUNREACH "Network is unreachable",
    ENETRESET "Network dropped connection on reset",
    ECONNABORTED "Software caused connection abort",
    ECONNRESET "Connection reset by peer",
    ENOBUFS "No buffer space available",
    EISCONN "Transport endpoint is already connected",
    ENOTCONN "Transport endpoint is not connected",
    ESHUTDOWN "Cannot send after transport endpoint shutdown",
    ETIMEDOUT "Connection timed out",
    ECONNREFUSED "Connection refused",
    EHOSTDOWN "Host is down",
    EHOSTUNREACH "No route to host",
    EALREADY "Operation already in progress",
    EINPROGRESS "Operation now in progress",
    ESTALE "Stale file handle",
    EDQUOT "Disk quota exceeded",
    ENOMEDIUM "No medium found",
    ECANCELED "Operation canceled",
    ENOKEY "Required key not available",
    EKEYEXPIRED "Key has expired",
    EKEYREVOKED "Key has been revoked",
    EOWNERDEAD "Owner died",
    ENOTRECOVERABLE "State not recoverable",
    ERFKILL "Operation not possible due to RF-kill",
}

impl Errno {
    /// EWOULDBLOCK is the same number.
    pub const EWOULDBLOCK: Errno = Errno::EAGAIN;

    /// The calling thread's `errno`.
    pub fn last() -> Errno {
        Errno(
            std::io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or(libc::EIO),
        )
    }

    /// A raw kernel result: -4095..-1 is an error, anything else a value (ERESTARTSYS included as an error).
    pub fn check(ret: i64) -> Result<u64, Errno> {
        if (-4095..0).contains(&ret) {
            Err(Errno(-ret as i32))
        } else {
            Ok(ret as u64)
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl From<crate::mem::Fault> for Errno {
    fn from(_: crate::mem::Fault) -> Errno {
        Errno::EFAULT
    }
}

impl From<std::io::Error> for Errno {
    fn from(e: std::io::Error) -> Errno {
        Errno(e.raw_os_error().unwrap_or(libc::EIO))
    }
}
