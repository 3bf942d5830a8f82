//! The dispositions this process was started with, read before the Rust runtime changes some of them.
//!
//! The runtime ignores SIGPIPE and catches SIGSEGV and SIGBUS before main; a guest must inherit what its parent
//! left, so it is noted first.

use std::sync::atomic::{AtomicU64, Ordering};

use super::host;
use super::set::SigSet;

static IGNORED: AtomicU64 = AtomicU64::new(0);

/// Called before main.
pub(in crate::linux) fn note() {
    let set = (1..=64)
        .filter(|&s| host::is_ignored(s))
        .fold(SigSet::EMPTY, |set, s| set | SigSet::of(s));
    IGNORED.store(set.0, Ordering::Relaxed);
}

/// Signals that were ignored when the process started.
pub fn ignored() -> SigSet {
    SigSet(IGNORED.load(Ordering::Relaxed))
}

/// Gives the host back what the runtime has taken: SIGPIPE as it was inherited.
pub fn undo_runtime() {
    let signo = libc::SIGPIPE;
    host::set_plain(signo, ignored().contains(signo));
}
