//! Signals taken from the host and not yet delivered to the guest: written by the host's signal handler.

use std::cell::UnsafeCell;

/// One signal with its siginfo, as the host kernel gave it.
#[derive(Clone, Copy)]
pub struct Queued {
    pub signo: i32,
    pub info: libc::siginfo_t,
}

/// Room for the signals that can arrive before the mask closes: one blockable signal for each time the thread opens
/// its mask without looking here first (at most two), and one of each kind that the host never blocks.
const CAPACITY: usize = 16;

struct Inner {
    len: usize,
    slots: [Option<Queued>; CAPACITY],
}

/// A thread's queue. Only its own thread touches it: in the signal handler, or with nothing more than that handler
/// running over it; `pop` and `push` tolerate exactly this nesting.
pub struct SignalQueue {
    inner: UnsafeCell<Inner>,
}

impl Default for SignalQueue {
    fn default() -> SignalQueue {
        SignalQueue {
            inner: UnsafeCell::new(Inner {
                len: 0,
                slots: [None; CAPACITY],
            }),
        }
    }
}
