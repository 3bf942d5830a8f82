//! Signal dispositions: what sigaction sets, kept for the guest and mirrored to the host.
//!
//! Default and ignored dispositions are passed on as they are, so that stops, deaths, core bits and the flushing of
//! ignored signals are the host kernel's own. A handler becomes the emulator's handler with the same SA_RESTART,
//! so that the host kernel also decides which interrupted calls restart.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::host;
use super::set::SigSet;
use crate::linux::errno::Errno;

pub const SIG_DFL: u32 = 0;
pub const SIG_IGN: u32 = 1;

pub const SA_NOCLDSTOP: u32 = 1;
pub const SA_NOCLDWAIT: u32 = 2;
pub const SA_SIGINFO: u32 = 4;
pub const SA_EXPOSE_TAGBITS: u32 = 0x800;
pub const SA_THIRTYTWO: u32 = 0x0200_0000;
pub const SA_RESTORER: u32 = 0x0400_0000;
pub const SA_ONSTACK: u32 = 0x0800_0000;
pub const SA_RESTART: u32 = 0x1000_0000;
pub const SA_NODEFER: u32 = 0x4000_0000;
pub const SA_RESETHAND: u32 = 0x8000_0000;
/// UAPI_SA_FLAGS of include/linux/signal_types.h for ARM; the kernel forgets all others.
const SA_VALID: u32 = SA_NOCLDSTOP
    | SA_NOCLDWAIT
    | SA_SIGINFO
    | SA_EXPOSE_TAGBITS
    | SA_THIRTYTWO
    | SA_RESTORER
    | SA_ONSTACK
    | SA_RESTART
    | SA_NODEFER
    | SA_RESETHAND;

/// A disposition as the guest set it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SigAction {
    /// `SIG_DFL`, `SIG_IGN`, or the handler's address (bit 0: Thumb).
    pub handler: u32,
    pub flags: u32,
    pub restorer: u32,
    pub mask: SigSet,
}

impl SigAction {
    pub fn is_handler(&self) -> bool {
        self.handler != SIG_DFL && self.handler != SIG_IGN
    }

    /// What a handler of `signo` blocks while it runs, besides what is blocked already.
    pub fn blocks(&self, signo: i32) -> SigSet {
        if self.flags & SA_NODEFER == 0 {
            self.mask | SigSet::of(signo)
        } else {
            self.mask
        }
    }

    /// The same, if the host need not be told: the signals are of those that can be given back to it.
    fn plainly_blocks(&self, signo: i32) -> Option<SigSet> {
        let blocks = self.blocks(signo).without(SigSet::SYNCHRONOUS);
        let plain = self.is_handler() && SigSet::PLAIN.contains(signo) && blocks.is_within(SigSet::PLAIN);
        plain.then_some(blocks)
    }
}

/// Whether SIG_DFL ignores `signo` (signal(7)).
pub fn default_ignores(signo: i32) -> bool {
    matches!(
        signo,
        libc::SIGCHLD | libc::SIGCONT | libc::SIGURG | libc::SIGWINCH
    )
}

/// The dispositions of a process, or of several that share them (CLONE_SIGHAND).
pub struct Actions {
    table: Mutex<[SigAction; 64]>,
    /// For signal handlers, which can take no lock: [`SigAction::plainly_blocks`], or [`NOT_PLAIN`].
    plain: [AtomicU64; 64],
}

const NOT_PLAIN: u64 = u64::MAX;

impl Actions {
    /// All default but for `ignored`.
    pub fn new(ignored: SigSet) -> Actions {
        Actions::from_table(std::array::from_fn(|i| SigAction {
            handler: if ignored.contains(i as i32 + 1) {
                SIG_IGN
            } else {
                SIG_DFL
            },
            ..SigAction::default()
        }))
    }

    /// An independent copy, as fork makes.
    pub fn fork(&self) -> Actions {
        Actions::from_table(*self.lock())
    }

    fn from_table(table: [SigAction; 64]) -> Actions {
        let plain = std::array::from_fn(|i| {
            let blocks = table[i].plainly_blocks(i as i32 + 1);
            AtomicU64::new(blocks.map_or(NOT_PLAIN, |b| b.0))
        });
        Actions {
            table: Mutex::new(table),
            plain,
        }
    }

    /// What the handler of `signo`, if it has one, blocks while it runs, as far as the host need not be told at once.
    pub fn plainly_blocks(&self, signo: i32) -> Option<SigSet> {
        let blocks = self.plain[index(signo)].load(Ordering::Relaxed);
        (blocks != NOT_PLAIN).then_some(SigSet(blocks))
    }

    /// Writes a disposition to table and host.
    fn put(&self, table: &mut [SigAction; 64], signo: i32, action: SigAction) {
        table[index(signo)] = action;
        let blocks = action.plainly_blocks(signo).map_or(NOT_PLAIN, |b| b.0);
        self.plain[index(signo)].store(blocks, Ordering::Relaxed);
        host::set_action(signo, &action);
    }

    /// Held around fork, so that the child's copy is not locked for ever.
    pub fn lock(&self) -> MutexGuard<'_, [SigAction; 64]> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disposition of `signo`, 1 to 64.
    pub fn get(&self, signo: i32) -> SigAction {
        self.lock()[index(signo)]
    }

    /// sigaction: sets (if `new`) and returns the old disposition. EINVAL: no such signal, or SIGKILL and SIGSTOP.
    pub fn set(&self, signo: i32, new: Option<SigAction>) -> Result<SigAction, Errno> {
        if !(1..=64).contains(&signo) || (new.is_some() && SigSet::UNBLOCKABLE.contains(signo)) {
            return Err(Errno::EINVAL);
        }
        let mut all = self.lock();
        let old = all[index(signo)];
        if let Some(mut new) = new {
            new.flags &= SA_VALID;
            new.mask = new.mask.without(SigSet::UNBLOCKABLE);
            // Under the lock, so that another thread's sigaction cannot leave guest and host different.
            self.put(&mut all, signo, new);
        }
        Ok(old)
    }

    /// Gives the host the disposition of `signo` again, after something else has changed it.
    pub fn mirror(&self, signo: i32) {
        let all = self.lock();
        host::set_action(signo, &all[index(signo)]);
    }

    /// Whether `signo`, 1 to 64, goes nowhere: ignored, or default where that ignores.
    pub fn ignores(&self, signo: i32) -> bool {
        match self.get(signo).handler {
            SIG_IGN => true,
            SIG_DFL => default_ignores(signo),
            _ => false,
        }
    }

    /// For delivery: the disposition, reset to default where it is a handler with SA_RESETHAND.
    pub fn take(&self, signo: i32) -> SigAction {
        let mut all = self.lock();
        let action = all[index(signo)];
        if action.is_handler() && action.flags & SA_RESETHAND != 0 {
            let reset = SigAction {
                handler: SIG_DFL,
                ..action
            };
            self.put(&mut all, signo, reset);
        }
        action
    }

    /// What execve does: handlers become default, ignored signals stay ignored, flags and masks go
    /// (flush_signal_handlers). Only the guest's view: the host kernel does its own.
    pub fn ignored(&self) -> SigSet {
        let all = self.lock();
        (1..=64)
            .filter(|&s| all[index(s)].handler == SIG_IGN)
            .fold(SigSet::EMPTY, |set, s| set | SigSet::of(s))
    }
}

fn index(signo: i32) -> usize {
    (signo - 1) as usize & 63
}
