//! The host's side of signals: raw dispositions and masks, and dying by a signal.
//!
//! Raw system calls throughout: the C library refuses signals 32 and 33, which a guest's C library needs.

use super::action::{SA_NOCLDSTOP, SA_NOCLDWAIT, SA_RESTART, SIG_DFL, SIG_IGN, SigAction};
use super::set::SigSet;
use super::siginfo::HostBytes;
use crate::linux::raw;

/// x86-64's `struct kernel_sigaction`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct KernelSigaction {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

/// Bytes in the kernel's sigset_t, on host and guest.
pub const SIGSET_SIZE: u64 = 8;
const HOST_SA_RESTORER: u64 = 0x0400_0000;

std::arch::global_asm!(
    ".globl emu_signal_restorer",
    ".hidden emu_signal_restorer",
    "emu_signal_restorer:",
    "mov eax, 15", // rt_sigreturn
    "syscall",
);

// SAFETY: the declarations below are those of the symbols that are linked.
unsafe extern "C" {
    fn emu_signal_restorer();
}

fn rt_sigaction(signo: i32, new: Option<&KernelSigaction>) -> KernelSigaction {
    let mut old = KernelSigaction::default();
    let new = new.map_or(0, |n| std::ptr::from_ref(n) as u64);
    let args = [
        signo as u64,
        new,
        std::ptr::from_mut(&mut old) as u64,
        SIGSET_SIZE,
        0,
        0,
    ];
    // SAFETY: both pointers are to structs of the kernel's layout that live through the call. The handler installed
    // is SIG_DFL, SIG_IGN or exec's, which is made to run on any guest thread.
    unsafe { raw::syscall(libc::SYS_rt_sigaction, args) };
    old
}

/// Mirrors a guest's disposition. The handlers of the fault signals stay exec's.
pub fn set_action(signo: i32, action: &SigAction) {
    if SigSet::SYNCHRONOUS.contains(signo) {
        return;
    }
    let passed = u64::from(action.flags & (SA_NOCLDSTOP | SA_NOCLDWAIT));
    let new = match action.handler {
        SIG_DFL | SIG_IGN => KernelSigaction {
            handler: action.handler as usize,
            flags: passed | HOST_SA_RESTORER,
            restorer: emu_signal_restorer as *const () as usize,
            mask: 0,
        },
        _ => KernelSigaction {
            handler: crate::exec::signals::handler(),
            flags: passed
                | u64::from(action.flags & SA_RESTART)
                | (libc::SA_SIGINFO | libc::SA_ONSTACK) as u64
                | HOST_SA_RESTORER,
            restorer: emu_signal_restorer as *const () as usize,
            mask: u64::MAX,
        },
    };
    rt_sigaction(signo, Some(&new));
}

/// Whether the host process ignores `signo` now.
pub fn is_ignored(signo: i32) -> bool {
    rt_sigaction(signo, None).handler == libc::SIG_IGN
}

/// Gives `signo` the host's SIG_DFL or SIG_IGN, fault signals included: before execve and before dying.
/// Returns what [`restore`] needs to take it back.
pub fn set_plain(signo: i32, ignore: bool) -> Saved {
    let new = KernelSigaction {
        handler: usize::from(ignore),
        flags: HOST_SA_RESTORER,
        restorer: emu_signal_restorer as *const () as usize,
        mask: 0,
    };
    Saved(rt_sigaction(signo, Some(&new)))
}

/// A host disposition to be put back.
pub struct Saved(KernelSigaction);

pub fn restore(signo: i32, saved: &Saved) {
    rt_sigaction(signo, Some(&saved.0));
}

/// Sets this thread's mask on the host, exactly; returns the old one.
pub fn set_mask(mask: SigSet) -> SigSet {
    let mut old = 0u64;
    let args = [
        libc::SIG_SETMASK as u64,
        std::ptr::from_ref(&mask.0) as u64,
        std::ptr::from_mut(&mut old) as u64,
        SIGSET_SIZE,
        0,
        0,
    ];
    // SAFETY: two eight-byte sets that live through the call. Every signal this can let in has exec's handler.
    unsafe { raw::syscall(libc::SYS_rt_sigprocmask, args) };
    SigSet(old)
}

/// The host mask that stands for a guest's: what the emulator lives on stays open.
pub fn mask_for(guest: SigSet) -> SigSet {
    guest.without(SigSet::SYNCHRONOUS)
}

/// Sends `signo` with `info` to this thread.
pub fn requeue(signo: i32, info: &HostBytes) {
    // SAFETY: getpid and gettid have no preconditions.
    let (pid, tid) = unsafe { (libc::getpid(), libc::gettid()) };
    let args = [pid as u64, tid as u64, signo as u64, info.as_ptr() as u64, 0, 0];
    // SAFETY: `info` is a whole siginfo that lives through the call.
    unsafe { raw::syscall(libc::SYS_rt_tgsigqueueinfo, args) };
}

/// Ends the process by `signo`, with the wait status (core bit included) of that signal.
pub fn die(signo: i32) -> ! {
    set_mask(SigSet::ALL);
    set_plain(signo, false);
    // SAFETY: getpid, gettid and tgkill have no memory preconditions.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), signo) };
    set_mask(SigSet::ALL.without(SigSet::of(signo)));
    // Only process 1 of a namespace gets here: the kernel shields it from its own default actions.
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(128 + signo) }
}
