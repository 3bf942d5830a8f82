//! Standard descriptors that were closed at start: the run-time library opens them, the guest must find them closed.

use std::sync::atomic::{AtomicU32, Ordering};

/// Bits 0 to 2: descriptors that were closed when this program was executed.
static CLOSED: AtomicU32 = AtomicU32::new(0);

/// Called before main, and so before Rust's run-time opens /dev/null in place of closed descriptors.
pub(super) fn note() {
    for fd in 0..3 {
        // SAFETY: no pointers.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            CLOSED.fetch_or(1 << fd, Ordering::Relaxed);
        }
    }
}

/// Closes again what was closed at start. Before the guest runs, after everything of the emulator's is open.
pub fn restore() {
    let closed = CLOSED.swap(0, Ordering::Relaxed);
    for fd in (0..3).filter(|fd| closed >> fd & 1 == 1) {
        // SAFETY: the descriptor is the run-time's /dev/null, which nobody uses.
        unsafe { libc::close(fd) };
    }
}
