//! The traced thread's side: it stops for its tracer where all of the guest's state is in memory.

use std::cell::UnsafeCell;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::block::{
    self, CHANGED_MASK, CHANGED_REGS, CHANGED_VFP, DIRTY_WORDS, Dirty, Kind, Place, SECCOMP, SYSCALLS, State,
    TRACED, WANT_EXEC, WANT_GROUP, WANT_SIGSTOP, WANT_STOP, WANT_TRAP,
};
use crate::exec::machine::Machine;
use crate::exec::signals::{interrupted_pc, stop_for_tracer, stop_pc, syscall_pc};
use crate::linux::process::Process;
use crate::linux::signal::deliver;
use crate::linux::signal::set::SigSet;
use crate::linux::signal::siginfo::{GuestSigInfo, SI_USER};
use crate::linux::task::Task;
use crate::mem::space;

/// Set in AT_FLAGS by the tracer of a process that executes a program: the kernel leaves it 0.
pub const AT_FLAGS_TRACED: u64 = 0x4000_0000;

/// Where tracers say what they have written.
struct DirtyCell(UnsafeCell<Dirty>);

// SAFETY: read under `FLUSHING` and written there but for what other processes write, which is read volatile.
unsafe impl Sync for DirtyCell {}

static DIRTY: DirtyCell = DirtyCell(UnsafeCell::new(Dirty {
    written: 0,
    flushed: 0,
    words: [0; DIRTY_WORDS],
}));
/// Held while code is dropped, so that no other thread goes on before that is done.
static FLUSHING: Mutex<()> = Mutex::new(());

/// Prepares a thread that begins to run guest code, or goes on doing so as another task. What its tracer, if it has one
/// from birth, wants of it follows at the first delivery.
pub fn begin(task: &Task, process: &Process) {
    // SAFETY: getpid has no preconditions.
    let pid = unsafe { libc::getpid() };
    let auxv = &process.image.auxv;
    // First, as by its tid a tracer knows the block, and may put orders there.
    task.trace.clear_orders();
    task.trace.set_place(&Place {
        stop_pc: stop_pc(),
        syscall_pc: syscall_pc(),
        leave_pc: interrupted_pc(),
        base: space().base(),
        pages: space().page_bytes(),
        dirty: DIRTY.0.get() as u64,
        auxv: auxv.as_ptr() as u64,
        auxv_len: size_of_val(auxv.as_slice()) as u64,
        tid: task.tid,
        pid,
        start_code: process.image.code_start,
        end_code: process.image.code_end,
    });
    let wants = block::take_newborn();
    if wants != 0 {
        task.trace.flags().store(TRACED, Ordering::Relaxed);
        task.trace.want_signal().store(libc::SIGTRAP, Ordering::Relaxed);
        task.trace.wants().store(wants, Ordering::Relaxed);
    }
}

/// Before a program's first thread begins: whether the process was traced when it executed this program.
pub fn begin_program(machine: &mut dyn Machine, task: &Task, process: &Process) {
    // start_thread clears all registers.
    machine.cpu().orig_r0 = 0;
    begin(task, process);
    // SAFETY: getauxval has no preconditions.
    if unsafe { libc::getauxval(libc::AT_FLAGS) } & AT_FLAGS_TRACED != 0 {
        task.trace.flags().store(TRACED, Ordering::Relaxed);
        task.trace.wants().store(WANT_EXEC, Ordering::Relaxed);
    }
}

pub fn wants_syscalls(task: &Task) -> bool {
    const BOTH: u32 = TRACED | SYSCALLS;
    task.trace.flags().load(Ordering::Relaxed) & BOTH == BOTH
}

fn capture(machine: &mut dyn Machine, task: &Task) -> State {
    let fpscr = machine.fpscr();
    let cpu = machine.cpu();
    let mut regs = [0; 18];
    regs[..16].copy_from_slice(&cpu.r);
    regs[16] = cpu.cpsr();
    regs[17] = cpu.orig_r0;
    State {
        signal: 0,
        message: 0,
        changed: 0,
        resume: 0,
        number: cpu.r[7],
        // SAFETY: getuid has no preconditions.
        uid: unsafe { libc::getuid() },
        tls: cpu.tpidruro,
        fpscr,
        regs,
        d: cpu.d,
        mask: task.mask.0,
        info: [0; 128],
    }
}

fn apply(machine: &mut dyn Machine, task: &mut Task, state: &State, kind: Kind) {
    if state.changed & CHANGED_REGS != 0 {
        let cpu = machine.cpu();
        let ip = cpu.r[12];
        cpu.r.copy_from_slice(&state.regs[..16]);
        if matches!(kind, Kind::SyscallEntry | Kind::SyscallExit) {
            // It only told the tracer which of the two it was (arch/arm/kernel/ptrace.c, report_syscall).
            cpu.r[12] = ip;
        }
        cpu.set_cpsr(state.regs[16]);
        cpu.r[15] &= if cpu.thumb == 1 { !1 } else { !3 };
        cpu.orig_r0 = state.regs[17];
    }
    if state.changed & CHANGED_VFP != 0 {
        machine.cpu().d = state.d;
        machine.set_fpscr(state.fpscr);
    }
    if state.changed & CHANGED_MASK != 0 {
        task.mask = SigSet(state.mask).without(SigSet::UNBLOCKABLE);
        task.host_mask = None;
        deliver::attend(machine.cpu());
    }
}

/// Stops for the tracer. `None`: there is none any more.
fn stop(
    machine: &mut dyn Machine,
    task: &mut Task,
    kind: Kind,
    fill: impl FnOnce(&mut State),
) -> Option<State> {
    let mut state = capture(machine, task);
    fill(&mut state);
    task.trace.set_state(&state);
    task.trace.kind().store(kind as u32, Ordering::SeqCst);
    let seen = stop_for_tracer();
    task.trace.kind().store(Kind::Running as u32, Ordering::SeqCst);
    if !seen {
        task.trace.clear_orders();
        return None;
    }
    let state = task.trace.state();
    apply(machine, task, &state, kind);
    flush(machine);
    Some(state)
}

/// Lets the tracer see this state at stops that the host makes, until [`cover`].
pub fn expose(machine: &mut dyn Machine, task: &mut Task, kind: Kind, signal: i32) {
    let state = State {
        signal,
        ..capture(machine, task)
    };
    task.trace.set_state(&state);
    task.trace.kind().store(kind as u32, Ordering::SeqCst);
}

/// The thread is about to die or stop by `signo`, whose stop has been.
pub fn pass(machine: &mut dyn Machine, task: &mut Task, signo: i32) {
    expose(machine, task, Kind::Passing, signo);
    task.trace.passing().store(signo, Ordering::SeqCst);
}

pub fn cover(machine: &mut dyn Machine, task: &mut Task) {
    let kind = Kind::of(task.trace.kind().swap(Kind::Running as u32, Ordering::SeqCst));
    let state = task.trace.state();
    apply(machine, task, &state, kind);
    flush(machine);
}

/// What dropping code needs. Held around fork, and taken before the machine's locks, as [`flush`] does.
pub fn hold() -> impl Sized {
    FLUSHING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Drops the code that tracers have written over.
fn flush(machine: &mut dyn Machine) {
    let _flushing = FLUSHING.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: a valid structure; volatile, as other processes write there.
    let dirty = unsafe { DIRTY.0.get().read_volatile() };
    let new = dirty.written.wrapping_sub(dirty.flushed);
    if new == 0 {
        return;
    }
    if new as usize > DIRTY_WORDS {
        machine.flush_code(0, 0);
    } else {
        for i in 0..new {
            let word = dirty.words[dirty.flushed.wrapping_add(i) as usize % DIRTY_WORDS];
            machine.flush_code(word, word.wrapping_add(4));
        }
    }
    // SAFETY: as above; under the lock only this writes the field.
    unsafe { (&raw mut (*DIRTY.0.get()).flushed).write_volatile(dirty.written) };
}

/// Does what the tracer has asked for. To be called before signals are delivered.
pub fn settle(machine: &mut dyn Machine, task: &mut Task) {
    if !task.trace.is_traced() {
        return;
    }
    flush(machine);
    loop {
        let wants = task.trace.wants().swap(0, Ordering::SeqCst);
        if wants == 0 {
            return;
        }
        settle_wants(machine, task, wants);
    }
}

fn settle_wants(machine: &mut dyn Machine, task: &mut Task, wants: u32) {
    let signal = task.trace.want_signal().load(Ordering::Relaxed);
    if wants & WANT_EXEC != 0 && stop(machine, task, Kind::Exec, |_| ()).is_some() && wants_syscalls(task) {
        syscall_exit(machine, task, 0);
    }
    if wants & WANT_SIGSTOP != 0 {
        let info = GuestSigInfo::header(libc::SIGSTOP, SI_USER);
        take(machine, task, &info);
    }
    if wants & WANT_TRAP != 0 {
        let mut info = GuestSigInfo::header(libc::SIGTRAP, SI_USER);
        // SAFETY: neither has preconditions.
        let (pid, uid) = unsafe { (libc::getpid() as u32, libc::getuid()) };
        info.0[12..16].copy_from_slice(&pid.to_le_bytes());
        info.0[16..20].copy_from_slice(&uid.to_le_bytes());
        take(machine, task, &info);
    }
    if wants & WANT_STOP != 0 {
        stop(machine, task, Kind::Stop, |s| s.signal = signal);
    }
    if wants & WANT_GROUP != 0 {
        stop(machine, task, Kind::Group, |s| s.signal = signal);
    }
}

/// Puts a signal into the thread's queue that no one has sent.
fn take(machine: &mut dyn Machine, task: &mut Task, info: &GuestSigInfo) {
    deliver::hold(task, info.signo(), &info.to_host());
    deliver::attend(machine.cpu());
}

/// Signal-delivery-stop: the signal with which the thread is to go on.
pub fn signal(machine: &mut dyn Machine, task: &mut Task, info: &GuestSigInfo) -> Option<GuestSigInfo> {
    let signo = info.signo();
    let stopped = stop(machine, task, Kind::Signal, |s| {
        s.signal = signo;
        s.resume = signo;
        s.info = info.0;
    });
    let Some(state) = stopped else {
        return Some(*info);
    };
    let after = GuestSigInfo(state.info);
    match state.resume {
        0 => None,
        same if same == after.signo() => Some(after),
        // Another one: the tracer's emulator has made its information.
        other => Some(GuestSigInfo::header(other, SI_USER)),
    }
}

/// The call by which the kernel goes on with one that was interrupted.
const RESTART_SYSCALL: u32 = 0;

/// Syscall-entry-stop: the number of the call to make, which the tracer may have changed.
pub fn syscall_entry(machine: &mut dyn Machine, task: &mut Task, number: u32) -> u32 {
    let shown = if task.rest.is_some() {
        RESTART_SYSCALL
    } else {
        number
    };
    let stopped = stop(machine, task, Kind::SyscallEntry, |s| {
        s.number = shown;
        s.regs[12] = 0;
        s.message = 1;
    });
    match stopped {
        Some(state) if state.changed & block::CHANGED_NUMBER != 0 => state.number,
        _ => number,
    }
}

/// Syscall-exit-stop; the result is in r0 already.
pub fn syscall_exit(machine: &mut dyn Machine, task: &mut Task, number: u32) {
    stop(machine, task, Kind::SyscallExit, |s| {
        s.number = number;
        s.regs[12] = 1;
        s.message = 2;
    });
}

/// PTRACE_EVENT_SECCOMP: the call's number afterwards, or `None` without a tracer that wants the event.
pub fn seccomp(machine: &mut dyn Machine, task: &mut Task, number: u32, data: u32) -> Option<u32> {
    if task.trace.flags().load(Ordering::Relaxed) & (TRACED | SECCOMP) != TRACED | SECCOMP {
        return None;
    }
    let state = stop(machine, task, Kind::Seccomp, |s| {
        s.number = number;
        s.message = data;
    })?;
    Some(if state.changed & block::CHANGED_NUMBER != 0 {
        state.number
    } else {
        number
    })
}
