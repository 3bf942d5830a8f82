//! Delivery: from a queued signal to a handler's frame on the guest stack, and back by sigreturn.
//!
//! The host's mask is closed while the queue holds something (the handler sees to it), so the order of delivery is
//! the host kernel's own. It is opened to the guest's mask here, once nothing deliverable is left; what comes in then
//! goes round again and nests, as in the kernel.

use std::sync::atomic::{AtomicU32, Ordering};

use super::action::{
    SA_ONSTACK, SA_RESTART, SA_RESTORER, SA_SIGINFO, SIG_DFL, SIG_IGN, SigAction, default_ignores,
};
use super::altstack::SS_AUTODISARM;
use super::frame::{self, Context, Registers, SIGINFO_SIZE, UCONTEXT_SIZE, Vfp};
use super::host;
use super::queue::{self, Queued};
use super::set::SigSet;
use super::siginfo::{self, GuestSigInfo, HostBytes};
use crate::cpu::model::Features;
use crate::cpu::state::{CpuState, NO_EXCLUSIVE, PENDING_SEALED, PENDING_SIGNAL};
use crate::exec::machine::Machine;
use crate::linux::call::{SyscallContext, SyscallResult};
use crate::linux::direct;
use crate::linux::errno::{ERESTARTNOINTR, ERESTARTSYS};
use crate::linux::guest;
use crate::linux::process::{self, Process};
use crate::linux::ptrace::{block, tracee, tracer};
use crate::linux::strace;
use crate::linux::task::{AltStack, FaultRecord, Task};

/// What delivery has to settle about the system call that was interrupted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Restart {
    /// No call, or one that is finished.
    No,
    /// The call has to be made again if no handler runs, else it is EINTR (ERESTARTNOHAND).
    NoHandler,
    /// A tracer has had the call left with this error of the kernel's (ERESTARTSYS and its kin), and the pc is back on
    /// the SVC, here: a handler may make EINTR of it.
    Rewound { error: i32, pc: u32 },
}

impl Restart {
    /// A handler for `action` is about to run: the call's result is settled.
    fn settle(&mut self, cpu: &mut CpuState, action: &SigAction) {
        match *self {
            Restart::No => {}
            Restart::NoHandler => cpu.r[0] = (-libc::EINTR) as u32,
            // A tracer that has changed the pc has other plans (arch/arm/kernel/signal.c, do_signal).
            Restart::Rewound { pc, .. } if cpu.r[15] != pc => {}
            Restart::Rewound { error, .. } => {
                let again = match error {
                    ERESTARTNOINTR => true,
                    ERESTARTSYS => action.flags & SA_RESTART != 0,
                    _ => false,
                };
                if !again {
                    cpu.r[0] = (-libc::EINTR) as u32;
                    cpu.r[15] = cpu.r[15].wrapping_add(if cpu.thumb == 1 { 2 } else { 4 });
                }
            }
        }
        *self = Restart::No;
    }
}

/// `pending` as signal handlers on this thread see it.
fn pending(cpu: &mut CpuState) -> &AtomicU32 {
    // SAFETY: the field is aligned and lives as long as the borrow; besides this reference only signal handlers on
    // this thread and translated code (not running now) touch it.
    unsafe { AtomicU32::from_ptr(&raw mut cpu.pending) }
}

/// Makes the thread come to [`deliver_pending`] before it runs guest code again.
pub fn attend(cpu: &mut CpuState) {
    pending(cpu).fetch_or(PENDING_SIGNAL, Ordering::SeqCst);
}

/// The address of the SVC that the pc is behind.
pub fn svc(cpu: &CpuState) -> u32 {
    cpu.r[15].wrapping_sub(if cpu.thumb == 1 { 2 } else { 4 })
}

/// Moves the pc back onto the SVC, so that the call is made again with the registers as they are.
pub fn rewind(cpu: &mut CpuState) {
    cpu.r[15] = svc(cpu);
}

/// The kernel's answer to a call that is none (arch/arm/kernel/traps.c, bad_syscall): the signal's information names
/// the SVC, the frame the instruction behind it.
pub fn bad_call(machine: &mut dyn Machine, task: &mut Task, process: &Process) {
    let at = svc(machine.cpu());
    let info = GuestSigInfo::fault(libc::SIGILL, siginfo::ILL_ILLTRP, at);
    force(machine, task, process, &info);
}

/// Takes what the host's handler has queued over into `held`.
pub fn take_in(task: &mut Task) {
    task.queue.drain(&mut task.held);
}

/// Whether a signal has been taken from the host that the guest, with mask `mask`, does not block: a call that
/// depends on what is pending must let it be delivered first.
pub fn deliverable(task: &mut Task, mask: SigSet) -> bool {
    take_in(task);
    task.held.iter().any(|q| !mask.contains(q.signo))
}

/// Sets the host's mask to what stands for `mask`.
pub fn set_host_mask(task: &mut Task, mask: SigSet) {
    let unblocked = task.queue.unblocked();
    task.queue.set_open();
    host::set_mask(host::mask_for(mask));
    task.queue.settle_unblocked(unblocked);
    task.host_mask = Some(mask);
}

/// Before the guest's first system call with a mask that the host's has not taken up: calls can wait, ask for the mask or
/// hand it on. A handler that makes none, as most that set a flag, saves the host two.
pub fn catch_up(task: &mut Task) {
    if task.queue.unblocked() != SigSet::EMPTY {
        set_host_mask(task, task.mask);
    }
}

/// Opens the host's mask to the guest's. What the guest blocks besides it takes up when such a signal comes, or
/// [`catch_up`] is called, if the signal can be given back then and there is no other thread that should have had it.
fn open_mask(task: &mut Task, process: &Process) {
    if let Some(known) = task.host_mask.map(host::mask_for) {
        let wanted = host::mask_for(task.mask);
        let rest = wanted.without(known);
        let plain = rest == SigSet::EMPTY
            || rest.is_within(SigSet::PLAIN) && process.has_one_thread() && !task.trace.is_traced();
        if known.is_within(wanted) && plain {
            task.queue.set_unblocked(rest);
            if !task.queue.is_closed() {
                return;
            }
        }
    }
    set_host_mask(task, task.mask);
}

/// The host's mask is that of its handler ([`PENDING_SEALED`]). Opens it so that it need not be set again when the guest's
/// handler of the signal that waits begins, or even when it ends; what else comes in waits behind that signal.
fn unseal(task: &mut Task, process: &Process) {
    take_in(task);
    let mask = task.mask;
    let next = task.held.iter().find(|q| !mask.contains(q.signo));
    let action = next.map(|q| (q.signo, process.actions.get(q.signo)));
    match action {
        Some((signo, action)) if action.is_handler() => {
            let plain = process.actions.plainly_blocks(signo);
            if let Some(blocks) = plain.filter(|_| process.has_one_thread() && !task.trace.is_traced()) {
                task.queue.set_unblocked(blocks.without(mask));
                task.queue.set_open();
                host::set_mask(host::mask_for(mask));
                task.host_mask = Some(mask);
            } else {
                set_host_mask(task, mask | action.blocks(signo));
            }
        }
        _ => {
            host::set_mask(SigSet::ALL.without(SigSet::SYNCHRONOUS));
            task.host_mask = None;
        }
    }
}

/// Delivers all pending signals and opens the host's mask to the guest's. To be called before guest code runs
/// whenever PENDING_SIGNAL is set or a call has ended with `restart`.
pub fn deliver_pending(machine: &mut dyn Machine, task: &mut Task, process: &Process, mut restart: Restart) {
    if pending(machine.cpu()).fetch_and(!PENDING_SEALED, Ordering::SeqCst) & PENDING_SEALED != 0 {
        unseal(task, process);
    }
    loop {
        pending(machine.cpu()).fetch_and(!PENDING_SIGNAL, Ordering::SeqCst);
        take_in(task);
        tracee::settle(machine, task);
        let next = next_of(task);
        let Some(next) = next else {
            if let Some(mask) = task.saved_mask.take() {
                task.mask = mask;
                if restart == Restart::NoHandler {
                    rewind(machine.cpu());
                    restart = Restart::No;
                }
                continue;
            }
            open_mask(task, process);
            if task.queue.is_empty() && !task.queue.is_closed() {
                break;
            }
            continue;
        };
        let mut queued = task.held.remove(next);
        if queued.signo == libc::SIGCHLD
            && queued.info.si_code == libc::CLD_TRAPPED
            && !child_trapped(&mut queued)
        {
            continue;
        }
        if task.trace.is_traced() {
            let info = GuestSigInfo::from_host(siginfo::host_bytes(&queued.info));
            let Some(info) = tracee::signal(machine, task, &info) else {
                continue;
            };
            queued = host_form(&info);
            if task.mask.contains(queued.signo) {
                task.held.push(queued);
                continue;
            }
        }
        strace::signal(&GuestSigInfo::from_host(siginfo::host_bytes(&queued.info)));
        let action = process.actions.take(queued.signo);
        match action.handler {
            SIG_IGN => {}
            SIG_DFL => default_action(machine, task, process, &queued),
            _ => {
                restart.settle(machine.cpu(), &action);
                let info = GuestSigInfo::from_host(siginfo::host_bytes(&queued.info));
                call_handler(machine, task, process, &action, &info);
            }
        }
    }
    if restart == Restart::NoHandler {
        rewind(machine.cpu());
    }
}

/// The place in `held` of the signal that the kernel would take first (kernel/signal.c, next_signal): faults' signals by
/// their number, then in the order in which the host gave them.
fn next_of(task: &Task) -> Option<usize> {
    let open = || {
        task.held
            .iter()
            .enumerate()
            .filter(|(_, q)| !task.mask.contains(q.signo))
    };
    let faults = open().filter(|(_, q)| SigSet::SYNCHRONOUS.contains(q.signo));
    faults
        .min_by_key(|(_, q)| q.signo)
        .or_else(|| open().next())
        .map(|(at, _)| at)
}

/// A signal that was caught when it arrived and is default now.
fn default_action(machine: &mut dyn Machine, task: &mut Task, process: &Process, queued: &Queued) {
    if default_ignores(queued.signo) {
        return;
    }
    let traced = task.trace.is_traced();
    if traced {
        tracee::pass(machine, task, queued.signo);
    }
    if SigSet::SYNCHRONOUS.contains(queued.signo) {
        // SAFETY: no preconditions. The first process of a pid namespace gets no signal that it has no handler for
        // (kernel/signal.c, SIGNAL_UNKILLABLE), unless it is a fault of its own.
        if unsafe { libc::getpid() } == 1 {
            return;
        }
        process::die(process, queued.signo);
    }
    // The host has SIG_DFL too by now: give it the signal back and let it in.
    host::requeue(queued.signo, siginfo::host_bytes(&queued.info));
    open_mask(task, process);
    if traced {
        tracee::cover(machine, task);
    }
}

/// A fault of the guest's own (`force_sig`): cannot be blocked or ignored.
pub fn force(machine: &mut dyn Machine, task: &mut Task, process: &Process, info: &GuestSigInfo) {
    let signo = info.signo();
    if task.trace.is_traced() {
        return force_traced(machine, task, process, info);
    }
    strace::signal(info);
    let action = process.actions.take(signo);
    if !action.is_handler() || task.mask.contains(signo) {
        process::die(process, signo);
    }
    call_handler(machine, task, process, &action, info);
}

/// The same with a tracer, which may want the thread to go on (kernel/signal.c, force_sig_info_to_task: what is blocked or
/// ignored becomes default for good).
fn force_traced(machine: &mut dyn Machine, task: &mut Task, process: &Process, info: &GuestSigInfo) {
    let signo = info.signo();
    if task.mask.contains(signo) || process.actions.get(signo).handler == SIG_IGN {
        // A fault's signal can be set.
        let _ = process.actions.set(signo, Some(SigAction::default()));
        task.mask = task.mask.without(SigSet::of(signo));
    }
    // Before any other that waits.
    task.held.insert(0, host_form(info));
    attend(machine.cpu());
}

/// SIGCHLD of a child that the host has stopped for its tracer: what the guest is to see of it, if anything.
fn child_trapped(queued: &mut Queued) -> bool {
    let mut info = GuestSigInfo::from_host(siginfo::host_bytes(&queued.info));
    let heard = tracer::child_trapped(&mut info);
    *queued = host_form(&info);
    heard
}

/// A signal as the host would have given it.
fn host_form(info: &GuestSigInfo) -> Queued {
    // SAFETY: siginfo_t is 128 bytes of plain data.
    let host = unsafe { std::mem::transmute::<HostBytes, libc::siginfo_t>(info.to_host()) };
    Queued {
        signo: info.signo(),
        info: host,
    }
}

/// SIGSEGV without an address, for frames that cannot be written or read.
fn force_segv(machine: &mut dyn Machine, task: &mut Task, process: &Process, while_delivering: i32) {
    if while_delivering == libc::SIGSEGV {
        process::die(process, libc::SIGSEGV);
    }
    let info = GuestSigInfo::header(libc::SIGSEGV, siginfo::SI_KERNEL);
    force(machine, task, process, &info);
}

/// Sets up the handler's frame and registers (`handle_signal`). The host's mask follows in [`deliver_pending`].
fn call_handler(
    machine: &mut dyn Machine,
    task: &mut Task,
    process: &Process,
    action: &SigAction,
    info: &GuestSigInfo,
) {
    let signo = info.signo();
    let rt = action.flags & SA_SIGINFO != 0;
    let thumb = action.handler & 1 == 1;
    let fpscr = machine.fpscr();
    let cpu = machine.cpu();
    let context = Context {
        regs: Registers::of(cpu),
        vfp: has_vfp(process).then_some(Vfp { d: cpu.d, fpscr }),
        mask: task.saved_mask.unwrap_or(task.mask),
        fault: task.fault,
        altstack: task.altstack,
    };
    let index = frame::sigreturn_index(thumb, rt);
    let restorer = action.flags & SA_RESTORER != 0;
    let retcode = if restorer {
        [0, 0]
    } else {
        [frame::SIGRETURN_CODES[index], frame::SIGRETURN_CODES[index + 1]]
    };
    let frame = frame::Frame::new(&context, rt.then_some(info), retcode);
    let bytes = frame.bytes();
    let top = task.altstack.frame_top(cpu.r[13], action.flags & SA_ONSTACK != 0);
    let sp = top.wrapping_sub(bytes.len() as u32) & !7;
    if guest::put_bytes(sp, bytes).is_err() {
        return force_segv(machine, task, process, signo);
    }
    cpu.r[0] = signo as u32;
    if rt {
        cpu.r[1] = sp;
        cpu.r[2] = sp + SIGINFO_SIZE as u32;
    }
    cpu.r[13] = sp;
    cpu.r[14] = if restorer {
        action.restorer
    } else {
        process.sigpage + 4 * index as u32 + u32::from(thumb)
    };
    cpu.r[15] = action.handler & if thumb { !1 } else { !3 };
    let cpsr = frame::handler_cpsr(cpu.cpsr(), action.handler);
    cpu.set_cpsr(cpsr);
    cpu.ex_addr = NO_EXCLUSIVE;
    task.saved_mask = None;
    task.mask = task.mask | action.blocks(signo);
    if task.altstack.flags & SS_AUTODISARM != 0 {
        task.altstack = AltStack::default();
    }
    attend(cpu);
}

fn has_vfp(process: &Process) -> bool {
    process.settings.model.features.contains(Features::VFP2)
}

/// sigreturn and rt_sigreturn. Nothing in the frame is trusted: what is not a frame is SIGSEGV.
pub fn sigreturn(ctx: &mut SyscallContext<'_>, rt: bool) -> SyscallResult {
    if restore_frame(ctx, rt).is_err() {
        force_segv(ctx.machine, ctx.task, ctx.process, 0);
    }
    SyscallResult::NoReturn
}

fn restore_frame(ctx: &mut SyscallContext<'_>, rt: bool) -> Result<(), frame::BadFrame> {
    let sp = ctx.machine.cpu().r[13];
    if sp & 7 != 0 {
        return Err(frame::BadFrame);
    }
    let mut uc = [0; UCONTEXT_SIZE];
    let at = if rt {
        sp.wrapping_add(SIGINFO_SIZE as u32)
    } else {
        sp
    };
    guest::get_bytes(at, &mut uc).map_err(|_| frame::BadFrame)?;
    let context = Context::decode(&uc, has_vfp(ctx.process))?;
    if let Some(vfp) = &context.vfp {
        ctx.machine.cpu().d = vfp.d;
        ctx.machine.set_fpscr(vfp.fpscr);
    }
    let cpu = ctx.machine.cpu();
    cpu.r = context.regs.r;
    cpu.set_cpsr(context.regs.cpsr);
    cpu.ex_addr = NO_EXCLUSIVE;
    if rt {
        // As the kernel's restore_altstack: a stack that cannot be set is left as it is.
        let _ = ctx.task.altstack.set(context.altstack, cpu.r[13]);
    }
    ctx.task.mask = context.mask;
    attend(cpu);
    Ok(())
}

/// The signal of a memory fault, alignment fault or arithmetic trap.
pub fn fault_info(task: &mut Task, signo: i32, code: i32, addr: u32, write: bool) -> GuestSigInfo {
    /// DFSR status values: alignment, translation (page), permission (page), in user domain 1.
    const ALIGNMENT: u32 = 0x01;
    const TRANSLATION: u32 = 0x17;
    const PERMISSION: u32 = 0x1f;
    /// Data abort.
    const TRAP_NO: u32 = 14;
    const SEGV_MAPERR: i32 = 1;
    let status = match (signo, code) {
        (libc::SIGBUS, libc::BUS_ADRALN) => ALIGNMENT,
        (_, SEGV_MAPERR) => TRANSLATION,
        _ => PERMISSION,
    };
    task.fault = FaultRecord {
        trap_no: TRAP_NO,
        error_code: status | u32::from(write) << 11,
        address: addr,
    };
    GuestSigInfo::fault(signo, code, addr)
}

/// The signal of an undefined instruction: SIGTRAP for those that Linux has set aside for debuggers, else SIGILL.
pub fn undefined_info(task: &mut Task, cpu: &CpuState) -> GuestSigInfo {
    /// Undefined instruction.
    const TRAP_NO: u32 = 6;
    let pc = cpu.r[15];
    task.fault.trap_no = TRAP_NO;
    task.fault.error_code = 0;
    let mut bytes = [0; 4];
    // The second half may be on a page that is not there.
    let read = guest::get_bytes(pc, &mut bytes[..2]).is_ok();
    let long = read && guest::get_bytes(pc.wrapping_add(2), &mut bytes[2..]).is_ok();
    let (first, second) = (
        u32::from(bytes[0]) | u32::from(bytes[1]) << 8,
        u32::from(bytes[2]) | u32::from(bytes[3]) << 8,
    );
    let debugger = if cpu.thumb == 1 {
        read && (first == 0xde01 || (long && first == 0xf7f0 && second == 0xa000))
    } else {
        long && (second << 16 | first) & 0x0fff_ffff == 0x07f0_01f0
    };
    if debugger {
        GuestSigInfo::fault(libc::SIGTRAP, siginfo::TRAP_BRKPT, pc)
    } else {
        GuestSigInfo::fault(libc::SIGILL, siginfo::ILL_ILLOPC, pc)
    }
}

/// Puts the host's mask to `mask` for the duration of a system call that another thread's signals must not enter
/// half-way (fork, exec, thread exit): everything is blocked. Returns false if a signal was already taken and must be
/// delivered first; the mask then stays closed and delivery opens it.
pub fn close_mask(task: &mut Task) -> bool {
    host::set_mask(SigSet::ALL.without(SigSet::SYNCHRONOUS));
    task.queue.set_unblocked(SigSet::EMPTY);
    task.host_mask = None;
    !deliverable(task, task.mask)
}

/// Makes this thread's signals go to `task`'s queue.
pub fn adopt(task: &Task, process: &'static Process) {
    direct::set_process(Some(process));
    task.queue.set_process(process);
    task.queue.set_tid(task.tid);
    queue::set_current(&raw const *task.queue);
    block::set_current(&raw const *task.trace);
}

/// This thread is no guest thread any more.
pub fn disown() {
    disown_queue();
    block::set_current(std::ptr::null());
}

/// The same, but a tracer may still look at what it was.
pub fn disown_queue() {
    direct::set_process(None);
    queue::set_current(std::ptr::null());
}

/// Queues a signal to the thread itself, in the host's form: for signals that the host never blocks and the guest
/// was found to block.
pub fn hold(task: &mut Task, signo: i32, info: &HostBytes) {
    // SAFETY: siginfo_t is 128 bytes of plain data.
    let info = unsafe { std::mem::transmute_copy::<HostBytes, libc::siginfo_t>(info) };
    task.held.push(Queued { signo, info });
}
