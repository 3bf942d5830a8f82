//! The one host signal handler: tells faults of the guest from signals for it, and gets threads out of translated code.
//!
//! A signal for the guest goes to the sink of the system layer, and `PENDING_SIGNAL` is set. All signals but the
//! fault signals are then blocked on return, so that the host's mask goes on standing for the guest's until the
//! system layer has delivered this one, unless the system layer says that it looks after that itself. A thread in translated code leaves at the next boundary of guest
//! instructions: at once if it is at one, else by single-stepping with the trap flag, 11 us a step, which costs
//! nothing while no signal comes. A thread in the run time sees `pending` before it next enters translated code,
//! and one about to enter, or about to make a system call, is moved back.

use super::faults;
use super::runtime::{self, Runtime};
use super::safe_syscall;
use super::thread::{Captured, Thread};
use crate::cpu::state::{PENDING_SEALED, PENDING_SIGNAL};
use std::sync::atomic::{AtomicUsize, Ordering};

pub use super::safe_syscall::{interrupted_pc, set_robust_list_32, syscall_interruptible, syscall_pc};
pub use super::stop::{stop_for_tracer, stop_pc};

/// What the thread's mask is to be when the handler is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MaskAfter {
    /// All signals but those of faults, which the run time lives on, are blocked.
    Closed,
    /// As it was.
    Kept,
    /// The signal was not for the guest yet and has been given back: as it was, and these signals (bit n-1 for signal n).
    With(u64),
}

/// The system layer's function for signals that are not faults of this thread. `sealed`: the mask will be
/// [`MaskAfter::Closed`] whatever it says.
pub type Sink = fn(signo: i32, info: &libc::siginfo_t, sealed: bool) -> MaskAfter;

/// Signals by which the host reports what translated code did. They are never blocked.
pub const FAULT_SIGNALS: [i32; 5] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
];

static SINK: AtomicUsize = AtomicUsize::new(0);

/// Sets the function that is told of signals: in the handler, on the thread that got the signal, with all signals
/// blocked. It must only do what a signal handler may.
pub fn set_signal_sink(sink: Sink) {
    SINK.store(sink as usize, Ordering::Release);
}

/// The handler, for sigaction with SA_SIGINFO | SA_ONSTACK and a full mask.
pub fn handler() -> usize {
    handle as *const () as usize
}

/// Installs the handler for the fault signals.
pub(super) fn install() {
    for signo in FAULT_SIGNALS {
        // SAFETY: all of sigaction is plain data, for which zeros are valid.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handler();
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        // SAFETY: `action` is valid; the handler meets the conditions of one.
        unsafe {
            libc::sigfillset(&mut action.sa_mask);
            libc::sigaction(signo, &action, std::ptr::null_mut());
        }
    }
}

/// The trap flag in EFLAGS.
const TRAP_FLAG: i64 = 0x100;

/// The interrupted thread: what every part of the handler works on.
pub(super) struct Interrupted<'a> {
    pub context: &'a mut libc::ucontext_t,
    pub thread: &'a Thread,
    pub runtime: &'static Runtime,
}

impl Interrupted<'_> {
    pub fn reg(&self, index: i32) -> u64 {
        self.context.uc_mcontext.gregs[index as usize] as u64
    }

    pub fn set_reg(&mut self, index: i32, value: u64) {
        self.context.uc_mcontext.gregs[index as usize] = value as i64;
    }

    pub fn rip(&self) -> u64 {
        self.reg(libc::REG_RIP)
    }

    pub fn set_stepping(&mut self, on: bool) {
        let flags = &mut self.context.uc_mcontext.gregs[libc::REG_EFL as usize];
        *flags = *flags & !TRAP_FLAG | if on { TRAP_FLAG } else { 0 };
    }

    fn pending(&self) -> bool {
        self.thread.pending().load(Ordering::Relaxed) & PENDING_SIGNAL != 0
    }

    /// A signal is pending: makes the thread leave translated code as soon as it may. Called when the signal
    /// arrives, after each step, and whenever a handler has moved the pc.
    pub fn leave_soon(&mut self) {
        self.set_stepping(false);
        let Some(offset) = self.runtime.offset(self.rip()) else {
            // The stub that calls Rust from translated code looks at `pending` on the way back.
            if let Some(rip) = safe_syscall::rewind(self.rip()) {
                self.set_reg(libc::REG_RIP, rip);
            }
            return;
        };
        if self.runtime.calls_rust(offset) {
            return self.set_stepping(true);
        }
        if self.runtime.in_stubs(offset) {
            let stubs = self.runtime.stubs();
            if (stubs.enter_window.0..stubs.enter_window.1).contains(&offset) {
                let back = self.runtime.base() + u64::from(stubs.enter_pending);
                self.set_reg(libc::REG_RIP, back);
            }
            // Else the thread is on its way out, or in has not looked at `pending` yet.
            return;
        }
        let row = {
            let shared = self.runtime.shared();
            shared
                .cache
                .at_host(offset)
                .and_then(|id| shared.cache.row_at(id, offset))
        };
        match row {
            Some(row) if row.boundary && !row.glue && row.host == offset => {
                faults::capture(self, &row, Captured::Interrupted);
            }
            _ => self.set_stepping(true),
        }
    }

    /// SIGTRAP of our own making: a step done, or the entry of a dead block.
    fn trap(&mut self, info: &libc::siginfo_t) -> bool {
        const TRAP_TRACE: i32 = 2;
        let rip = self.rip();
        if info.si_code == TRAP_TRACE {
            if self.pending() {
                self.leave_soon();
            } else {
                self.set_stepping(false);
            }
            return true;
        }
        if rip == stop_pc() {
            // No tracer has seen it.
            self.set_reg(libc::REG_RAX, 1);
            return true;
        }
        let Some(offset) = self.runtime.offset(rip.wrapping_sub(1)) else {
            return false;
        };
        let location = self.runtime.shared().cache.dead_entry(offset);
        match location {
            Some(location) => {
                faults::enter_again(self, location);
                true
            }
            None => false,
        }
    }
}

extern "C" fn handle(signo: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes both, and nothing else uses them while the handler runs.
    let (info, context) = unsafe { (&*info, &mut *context.cast::<libc::ucontext_t>()) };
    // SAFETY: errno is this thread's; the interrupted code must find it unchanged.
    let errno = unsafe { &mut *libc::__errno_location() };
    let saved = *errno;
    // SAFETY: a thread stays in place while it is attached, and this is its own thread.
    let thread = unsafe { Thread::current().as_ref() };
    let mut sealed = false;
    match (thread, runtime::get()) {
        (Some(thread), Some(runtime)) => {
            let mut interrupted = Interrupted {
                context,
                thread,
                runtime,
            };
            let by_host = looks_like_fault(signo, info, interrupted.context);
            if by_host && synchronous(&mut interrupted, signo, info) {
                // Settled.
            } else if by_host && !after_syscall(interrupted.rip(), info) {
                faults::die(signo, info, interrupted.context);
            } else {
                sealed = asynchronous(&mut interrupted, signo, info);
            }
        }
        (_, runtime) if looks_like_fault(signo, info, context) => {
            if !faults::without_thread(runtime, info, context) {
                faults::die(signo, info, context);
            }
        }
        _ => {
            tell_sink(signo, info, true);
        }
    }
    *errno = saved;
    // Signals of the thread's own making come here, and cost no more than natively.
    if sealed {
        // SAFETY: the context is that of a call's end; nothing in this function owns anything.
        unsafe { safe_syscall::go_on(context) };
    }
}

/// Whether a signal is one that the host's processor raised, as far as its parts agree. Others may have a si_code above 0
/// too: a child's end is told by any signal that clone(2) was given, with CLD_EXITED and a pid where the address would be.
/// Source: arch/x86/mm/fault.c, arch/x86/kernel/traps.c.
fn looks_like_fault(signo: i32, info: &libc::siginfo_t, context: &libc::ucontext_t) -> bool {
    const SI_KERNEL: i32 = 0x80;
    if info.si_code <= 0 || !FAULT_SIGNALS.contains(&signo) {
        return false;
    }
    let registers = &context.uc_mcontext.gregs;
    // SAFETY: the field exists for these signals; of others it is bits that are only compared.
    let addr = unsafe { info.si_addr() } as i64;
    match signo {
        // A breakpoint, or an address that is not canonical.
        _ if info.si_code == SI_KERNEL => true,
        libc::SIGSEGV | libc::SIGBUS => addr == registers[libc::REG_CR2 as usize],
        _ => addr == registers[libc::REG_RIP as usize],
    }
}

/// Whether `rip` is behind a SYSCALL instruction: then a signal that looks like a fault is one that the thread sent to
/// itself with rt_sigqueueinfo(2), which lets a process choose the si_code.
fn after_syscall(rip: u64, info: &libc::siginfo_t) -> bool {
    // SAFETY: the field exists for these signals (and for others is bits that we only compare).
    let addr = unsafe { info.si_addr() } as u64;
    // A fetch at `rip` that fails is a fault; else there is code before it.
    // SAFETY: execution came to `rip`, so the two bytes before it are readable code.
    rip > 4096 && addr != rip && unsafe { *((rip - 2) as *const [u8; 2]) == [0x0f, 0x05] }
}

fn synchronous(interrupted: &mut Interrupted<'_>, signo: i32, info: &libc::siginfo_t) -> bool {
    match signo {
        libc::SIGTRAP => interrupted.trap(info),
        libc::SIGFPE => faults::floating_point(interrupted),
        libc::SIGSEGV | libc::SIGBUS => faults::memory(interrupted, signo, info),
        _ => false,
    }
}

fn tell_sink(signo: i32, info: &libc::siginfo_t, sealed: bool) -> MaskAfter {
    let sink = SINK.load(Ordering::Acquire);
    if sink == 0 {
        return MaskAfter::Closed;
    }
    // SAFETY: only `set_signal_sink` stores here, and it stores a function of this type.
    let sink = unsafe { std::mem::transmute::<usize, Sink>(sink) };
    sink(signo, info, sealed)
}

/// All signals but those of faults, which the run time lives on.
const CLOSED: u64 = {
    let mut mask = u64::MAX;
    let mut i = 0;
    while i < FAULT_SIGNALS.len() {
        mask &= !(1 << (FAULT_SIGNALS[i] - 1));
        i += 1;
    }
    mask
};

/// A signal for the guest. True: the thread may go on with the handler's own mask, behind the call that it interrupted.
fn asynchronous(interrupted: &mut Interrupted<'_>, signo: i32, info: &libc::siginfo_t) -> bool {
    let thread = interrupted.thread;
    let sealed = thread.in_direct_call.load(Ordering::Relaxed)
        && interrupted.rip() == syscall_pc()
        && !interrupted.context.uc_mcontext.fpregs.is_null();
    let after = tell_sink(signo, info, sealed);
    let mask = (&raw mut interrupted.context.uc_sigmask).cast::<u64>();
    match after {
        MaskAfter::Kept => {}
        // SAFETY: the kernel's set is the first eight bytes of the mask.
        MaskAfter::Closed => unsafe { mask.write(CLOSED) },
        MaskAfter::With(more) => {
            // SAFETY: as above.
            unsafe { mask.write(mask.read() | more) };
            return false;
        }
    }
    let why = if sealed {
        PENDING_SIGNAL | PENDING_SEALED
    } else {
        PENDING_SIGNAL
    };
    thread.pending().fetch_or(why, Ordering::SeqCst);
    if sealed {
        return true;
    }
    interrupted.leave_soon();
    false
}
