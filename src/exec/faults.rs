//! Synchronous faults in translated code: from host pc to guest state.

use super::fp_traps::{self, CF, GREGS, OF, PF, SF, ZF};
use super::runtime::{self, Runtime};
use super::safe_syscall;
use super::signals::{FAULT_SIGNALS, Interrupted};
use super::thread::Captured;
use crate::cache::blocks::BlockId;
use crate::cpu::location::Location;
use crate::cpu::state::{CpuState, PENDING_SIGNAL, fp_cmp_to_nzcv};
use crate::diag::stats::stats;
use crate::ir::ops::Flags;
use crate::mem::{self, GuestAddr, Prot};
use crate::x64::code::{FlagsAt, Row};
use crate::x64::regs::PINNED;
use std::sync::atomic::Ordering;

const SEGV_MAPERR: i32 = 1;
const SEGV_ACCERR: i32 = 2;
/// si_code of a fault without an address: the host's address was not canonical.
const SI_KERNEL: i32 = 0x80;
/// Where a 32-bit register plus a displacement can lead, relative to the window.
const REACH: std::ops::Range<i64> = -(1 << 31)..3 << 31;
/// Page-fault error code: the access was a write.
const PF_WRITE: u64 = 2;
/// A fault that the page table says cannot be is tried again this often: another thread may just have changed it.
const RETRIES: u32 = 8;

/// Puts the flags that are in EFLAGS into the state.
fn store_flags(state: &mut CpuState, at: FlagsAt, eflags: u64) {
    let in_eflags = Flags(at.eflags);
    let nzcv = if at.float {
        fp_cmp_to_nzcv((eflags & (ZF | PF | CF)) as u8)
    } else {
        let bit = |mask: u64, to: u32| u32::from(eflags & mask != 0) << to;
        bit(SF, 31) | bit(ZF, 30) | (bit(CF, 29) ^ u32::from(at.inverted) << 29) | bit(OF, 28)
    };
    let wanted = u32::from(in_eflags.0) << 28;
    let merged = state.nzcv() & !wanted | nzcv & wanted;
    state.set_nzcv(merged);
}

/// Writes the whole guest state before the instruction of `row` and sends the thread to the run loop with `why`.
pub fn capture(it: &mut Interrupted<'_>, row: &Row, why: Captured) {
    // SAFETY: the state lives as long as the thread, which is interrupted.
    let state = unsafe { &mut *it.thread.state() };
    for (r, host) in PINNED.iter().enumerate() {
        if let Some(host) = host {
            let value = it.reg(GREGS[usize::from(*host)]);
            // Addresses are formed from these registers: that they are zero-extended keeps accesses in the window.
            debug_assert!(value >> 32 == 0, "r{r} is {value:#x} at {:#x}", row.pc);
            state.r[r] = value as u32;
        }
    }
    store_flags(state, row.flags, it.reg(libc::REG_EFL));
    state.r[15] = row.pc;
    state.thumb = u8::from(row.thumb);
    state.it = row.it;
    state.jit_sp = it.reg(libc::REG_RSP);
    // The exit below leaves out what other exits do: keep the guest's sticky bits.
    if let Some(fp) = fp_traps::fp_regs(it.context) {
        state.mxcsr = fp.mxcsr;
    }
    it.thread.captured.set(why);
    it.set_stepping(false);
    let exit = it.runtime.base() + u64::from(it.runtime.stubs().captured);
    it.set_reg(libc::REG_RIP, exit);
}

/// The thread ran into the entry of a dead block of `location`: sends it to the run loop, to look the place up.
pub fn enter_again(it: &mut Interrupted<'_>, location: Location) {
    // At an entry the flags are in the state.
    let row = Row {
        host: 0,
        pc: location.pc,
        thumb: location.thumb,
        it: location.it,
        boundary: true,
        glue: false,
        flags: FlagsAt::default(),
    };
    capture(it, &row, Captured::Stale);
}

/// Where a faulting thread is: the block and row of translated code.
fn place(it: &Interrupted<'_>) -> Option<(BlockId, u32, Row)> {
    let offset = it.runtime.offset(it.rip())?;
    if it.runtime.in_stubs(offset) {
        return None;
    }
    let shared = it.runtime.shared();
    let id = shared.cache.at_host(offset)?;
    let row = shared.cache.row_at(id, offset)?;
    Some((id, offset, row))
}

/// SIGSEGV or SIGBUS by an access. False if it is none that can be explained.
pub fn memory(it: &mut Interrupted<'_>, signo: i32, info: &libc::siginfo_t) -> bool {
    if let Some(rip) = safe_syscall::refused(it.rip()) {
        it.set_reg(libc::REG_RIP, rip);
        return true;
    }
    // SAFETY: the kernel fills si_addr for these signals.
    let host = unsafe { info.si_addr() } as u64;
    let write = it.reg(libc::REG_ERR) & PF_WRITE != 0;
    let in_translated = it.runtime.offset(it.rip()).is_some();
    if signo == libc::SIGSEGV && in_translated && it.thread.stack.overrun(host) {
        it.set_reg(libc::REG_RSP, it.thread.stack.base());
        return true;
    }
    let guest = host.wrapping_sub(mem::space().base());
    let fixup = mem::copy_fixup(it.rip());
    let ours = in_translated || fixup.is_some();
    if ours && signo == libc::SIGSEGV && guest >> 32 == 0 {
        if write && it.runtime.code_write(guest as u32) {
            return true;
        }
        if try_again(it, guest as u32, write) {
            return true;
        }
    }
    if let Some(rip) = fixup {
        it.set_reg(libc::REG_RIP, rip);
        return true;
    }
    let Some((_, _, row)) = place(it) else {
        return false;
    };
    // An address outside the window is one that wrapped around its ends; the architecture's is modulo 2^32. Anything
    // farther away than a displacement reaches is no guest access but an error of ours.
    if info.si_code == SI_KERNEL || !REACH.contains(&(guest as i64)) {
        return false;
    }
    let addr = guest as u32;
    let code = match signo {
        libc::SIGBUS => info.si_code,
        _ if mem::space().prot(GuestAddr(addr)).is_none() => SEGV_MAPERR,
        _ => SEGV_ACCERR,
    };
    capture(
        it,
        &row,
        Captured::Fault {
            signo,
            code,
            addr,
            write,
        },
    );
    true
}

/// A fault on a host thread that runs no guest thread (yet): only a copy to or from guest memory may do that.
pub fn without_thread(
    runtime: Option<&Runtime>,
    info: &libc::siginfo_t,
    context: &mut libc::ucontext_t,
) -> bool {
    let registers = &mut context.uc_mcontext.gregs;
    let Some(fixup) = mem::copy_fixup(registers[libc::REG_RIP as usize] as u64) else {
        return false;
    };
    // SAFETY: copies raise SIGSEGV and SIGBUS only, for which the kernel fills si_addr.
    let guest = (unsafe { info.si_addr() } as u64).wrapping_sub(mem::space().base());
    let write = registers[libc::REG_ERR as usize] as u64 & PF_WRITE != 0;
    let tried_again = write && guest >> 32 == 0 && runtime.is_some_and(|r| r.code_write(guest as u32));
    if !tried_again {
        registers[libc::REG_RIP as usize] = fixup as i64;
    }
    true
}

/// Whether the access should be tried again, because the guest's page table allows it (now).
fn try_again(it: &Interrupted<'_>, addr: u32, write: bool) -> bool {
    let need = if write { Prot::WRITE } else { Prot::READ };
    if mem::space()
        .prot(GuestAddr(addr))
        .is_none_or(|p| !p.contains(need))
    {
        return false;
    }
    let (rip, at, times) = it.thread.retried.get();
    let times = if (rip, at) == (it.rip(), addr.into()) {
        times + 1
    } else {
        1
    };
    it.thread.retried.set((it.rip(), addr.into(), times));
    if times <= RETRIES {
        return true;
    }
    it.thread.retried.set((0, 0, 0));
    false
}

/// SIGFPE by an instruction that host and ARM see differently: computes what ARM would, and goes on after it.
pub fn floating_point(it: &mut Interrupted<'_>) -> bool {
    let Some((id, offset, _)) = place(it) else {
        return false;
    };
    let Some(row) = it.runtime.shared().cache.fp_row_at(id, offset) else {
        return false;
    };
    // SAFETY: the state lives as long as the thread, which is interrupted.
    let state = unsafe { &mut *it.thread.state() };
    if !fp_traps::settle(it.context, state, &row) {
        return false;
    }
    stats().fp_traps.add(1);
    it.runtime.shared().cache.count_trap(id, nanoseconds());
    if it.thread.pending().load(Ordering::Relaxed) & PENDING_SIGNAL != 0 {
        it.leave_soon();
    }
    true
}

/// The time since some moment.
fn nanoseconds() -> u64 {
    // SAFETY: plain data.
    let mut now: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: a timespec to write to; async-signal-safe.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    (now.tv_sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(now.tv_nsec as u64)
}

/// A fault that is nobody's but ours: one line, then the signal's own action once the handler returns.
pub fn die(signo: i32, info: &libc::siginfo_t, context: &mut libc::ucontext_t) {
    let rip = context.uc_mcontext.gregs[libc::REG_RIP as usize] as u64;
    // SAFETY: the field exists for the signals that get here.
    let addr = unsafe { info.si_addr() } as u64;
    let where_ = match runtime::get().and_then(|r| r.offset(rip)) {
        Some(_) => "in translated code",
        None => "outside translated code",
    };
    let mut line = Line::default();
    use std::fmt::Write;
    let _ = writeln!(
        line,
        "emu: internal error: signal {signo} (code {}) at host pc {rip:#x} {where_}, address {addr:#x}; please report this",
        info.si_code
    );
    // SAFETY: the buffer is valid for its length.
    unsafe { libc::write(libc::STDERR_FILENO, line.bytes.as_ptr().cast(), line.used) };
    // SAFETY: plain data, and the default action needs no handler.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = libc::SIG_DFL;
        libc::sigaction(signo, &action, std::ptr::null_mut());
        libc::sigdelset(&mut context.uc_sigmask, signo);
    }
    if !FAULT_SIGNALS.contains(&signo) || signo == libc::SIGTRAP {
        // Returning would not raise it again.
        // SAFETY: raise has no preconditions.
        unsafe { libc::raise(signo) };
    }
}

/// A line without allocation.
struct Line {
    bytes: [u8; 256],
    used: usize,
}

impl Default for Line {
    fn default() -> Line {
        Line {
            bytes: [0; 256],
            used: 0,
        }
    }
}

impl std::fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let n = text.len().min(self.bytes.len() - self.used);
        self.bytes[self.used..self.used + n].copy_from_slice(&text.as_bytes()[..n]);
        self.used += n;
        Ok(())
    }
}
