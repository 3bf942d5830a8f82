//! Numbers for the emulator's own descriptors: out of the way of those that a guest opens, which are the lowest.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

/// They live here and above where the limit on descriptors allows it, else just below the limit.
pub const LOWEST: i32 = 900;

/// Moves a descriptor out of the guest's way, close-on-exec. Where no higher number is free it stays.
pub fn move_high(low: OwnedFd) -> OwnedFd {
    use std::os::fd::AsFd;
    copy_high(low.as_fd()).unwrap_or(low)
}

/// [`move_high`] of a number that is a descriptor of the caller's alone, or negative, which stays.
pub fn move_number_high(low: i32) -> i32 {
    if low < 0 {
        return low;
    }
    // SAFETY: the caller owns it and uses the result in its place.
    move_high(unsafe { OwnedFd::from_raw_fd(low) }).into_raw_fd()
}

/// A duplicate that is out of the guest's way, close-on-exec.
///
/// # Errors
/// No higher number is free.
pub fn copy_high(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let at_or_above = |lowest: i32| {
        // SAFETY: `fd` is open; the result is a new descriptor or an error.
        match unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, lowest) } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: made just now, without another owner.
            new => Ok(unsafe { OwnedFd::from_raw_fd(new) }),
        }
    };
    let first = at_or_above(LOWEST);
    if first.is_ok() {
        return first;
    }
    let limit = limit().min(LOWEST);
    // Others of the emulator's may be there already.
    let mut higher = (fd.as_raw_fd() + 1..limit).rev().map(at_or_above);
    higher.find(Result::is_ok).unwrap_or(first)
}

/// One more than the largest number that a new descriptor may have.
fn limit() -> i32 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid for the write.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } {
        0 => i32::try_from(limit.rlim_cur).unwrap_or(i32::MAX),
        _ => 0,
    }
}
