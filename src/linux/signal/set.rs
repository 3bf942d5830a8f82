//! Sets of signals, 1 to 64, in the kernel's layout (bit n-1 for signal n), the same on ARM and x86-64.

use std::ops::{BitAnd, BitOr, Not};

/// A set of signals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SigSet(pub u64);

impl SigSet {
    pub const EMPTY: SigSet = SigSet(0);
    pub const ALL: SigSet = SigSet(u64::MAX);
    /// SIGKILL and SIGSTOP: never blocked, caught or ignored.
    pub const UNBLOCKABLE: SigSet = SigSet(1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1));
    /// The signals that faults raise. The host's handlers for them are always in place and never blocked, whatever
    /// the guest says: the emulator's own fault-safe copies and traps live on them.
    pub const SYNCHRONOUS: SigSet = SigSet(
        1 << (libc::SIGSEGV - 1)
            | 1 << (libc::SIGBUS - 1)
            | 1 << (libc::SIGILL - 1)
            | 1 << (libc::SIGFPE - 1)
            | 1 << (libc::SIGTRAP - 1),
    );

    /// Standard signals of which the kernel does nothing but keep one until it can be delivered: one that has been taken
    /// too early can be given back. Not so those that stop and continue a process, which discard each other.
    pub const PLAIN: SigSet = SigSet(
        (u32::MAX >> 1) as u64
            & !(Self::UNBLOCKABLE.0
                | Self::SYNCHRONOUS.0
                | 1 << (libc::SIGCONT - 1)
                | 1 << (libc::SIGTSTP - 1)
                | 1 << (libc::SIGTTIN - 1)
                | 1 << (libc::SIGTTOU - 1)),
    );

    /// The set of `signo` alone; empty for a number outside 1 to 64.
    pub fn of(signo: i32) -> SigSet {
        match signo {
            1..=64 => SigSet(1 << (signo - 1)),
            _ => SigSet::EMPTY,
        }
    }

    pub fn contains(self, signo: i32) -> bool {
        self.0 & SigSet::of(signo).0 != 0
    }

    pub fn is_within(self, other: SigSet) -> bool {
        self.0 & !other.0 == 0
    }

    pub fn without(self, other: SigSet) -> SigSet {
        SigSet(self.0 & !other.0)
    }
}

impl BitOr for SigSet {
    type Output = SigSet;
    fn bitor(self, other: SigSet) -> SigSet {
        SigSet(self.0 | other.0)
    }
}

impl BitAnd for SigSet {
    type Output = SigSet;
    fn bitand(self, other: SigSet) -> SigSet {
        SigSet(self.0 & other.0)
    }
}

impl Not for SigSet {
    type Output = SigSet;
    fn not(self) -> SigSet {
        SigSet(!self.0)
    }
}
