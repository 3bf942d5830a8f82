//! The signal system calls.

use super::action::SigAction;
use super::deliver::{self, deliverable};
use super::host::{self, SIGSET_SIZE};
use super::set::SigSet;
use super::siginfo::{self, GuestSigInfo, host_bytes};
use crate::linux::call::{SyscallContext, SyscallResult};
use crate::linux::errno::{ERESTARTNOHAND, ERESTARTSYS, Errno, SysResult};
use crate::linux::guest;
use crate::linux::task::AltStack;
use crate::linux::{raw, time};
use std::sync::atomic::Ordering;

fn check_size(size: u32) -> Result<(), Errno> {
    if u64::from(size) == SIGSET_SIZE {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// sigaction(sig, act, oact), the old form: handler, 32-bit mask, flags, restorer.
pub fn sys_sigaction(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [sig, act, oact, ..] = *args;
    let new = guest::get_opt::<[u8; 16]>(act)?.map(|b| SigAction {
        handler: word(&b, 0),
        mask: SigSet(word(&b, 4).into()),
        flags: word(&b, 8),
        restorer: word(&b, 12),
    });
    let old = set_action(ctx, sig as i32, new)?;
    let words = [old.handler, old.mask.0 as u32, old.flags, old.restorer];
    guest::put_opt(oact, &words)?;
    Ok(0)
}

/// rt_sigaction(sig, act, oact, size): handler, flags, restorer, 64-bit mask.
pub fn sys_rt_sigaction(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [sig, act, oact, size, ..] = *args;
    check_size(size)?;
    let new = guest::get_opt::<[u8; 20]>(act)?.map(|b| SigAction {
        handler: word(&b, 0),
        flags: word(&b, 4),
        restorer: word(&b, 8),
        mask: SigSet(u64::from(word(&b, 12)) | u64::from(word(&b, 16)) << 32),
    });
    let old = set_action(ctx, sig as i32, new)?;
    let (low, high) = (old.mask.0 as u32, (old.mask.0 >> 32) as u32);
    guest::put_opt(oact, &[old.handler, old.flags, old.restorer, low, high])?;
    Ok(0)
}

fn set_action(ctx: &mut SyscallContext<'_>, sig: i32, new: Option<SigAction>) -> Result<SigAction, Errno> {
    let old = ctx.process.actions.set(sig, new)?;
    // The host kernel drops pending signals that become ignored; so must those that wait here.
    if new.is_some() && ctx.process.actions.ignores(sig) {
        ctx.task.held.retain(|q| q.signo != sig);
    }
    Ok(old)
}

/// Sets the guest's mask to `new`. A signal that was taken from the host before and that `new` would block came
/// before this call, so the call has to be made again after its handler.
fn set_mask(ctx: &mut SyscallContext<'_>, new: SigSet) -> Result<(), Errno> {
    let new = new.without(SigSet::UNBLOCKABLE);
    let task = &mut *ctx.task;
    if new == task.mask && !task.queue.is_closed() {
        return Ok(());
    }
    if task.queue.is_closed() || task.host_mask.map(host::mask_for) != Some(host::mask_for(new)) {
        deliver::set_host_mask(task, new);
    }
    task.host_mask = Some(new);
    let earlier = task.mask | !new;
    if deliverable(task, earlier) {
        task.host_mask = None;
        deliver::attend(ctx.machine.cpu());
        return Err(Errno(ERESTARTSYS));
    }
    task.mask = new;
    if deliverable(task, new) {
        deliver::attend(ctx.machine.cpu());
    }
    Ok(())
}

fn combine(old: SigSet, how: u32, set: SigSet) -> Result<SigSet, Errno> {
    match how as i32 {
        libc::SIG_BLOCK => Ok(old | set),
        libc::SIG_UNBLOCK => Ok(old.without(set)),
        libc::SIG_SETMASK => Ok(set),
        _ => Err(Errno::EINVAL),
    }
}

/// sigprocmask(how, set, oset), the old form: the first 32 signals only.
pub fn sys_sigprocmask(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [how, set, oset, ..] = *args;
    let old = ctx.task.mask;
    if let Some(set) = guest::get_opt::<u32>(set)? {
        let low = combine(SigSet(old.0 & 0xffff_ffff), how, SigSet(set.into()))?;
        set_mask(ctx, SigSet(old.0 & !0xffff_ffff | low.0))?;
    }
    guest::put_opt(oset, &(old.0 as u32))?;
    Ok(0)
}

/// rt_sigprocmask(how, set, oset, size).
pub fn sys_rt_sigprocmask(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [how, set, oset, size, ..] = *args;
    check_size(size)?;
    let old = ctx.task.mask;
    if let Some(set) = guest::get_opt::<u64>(set)? {
        let new = combine(old, how, SigSet(set))?;
        set_mask(ctx, new)?;
    }
    guest::put_opt(oset, &old.0)?;
    Ok(0)
}

fn pending_set(ctx: &mut SyscallContext<'_>) -> SigSet {
    let mut set = 0u64;
    let args = [std::ptr::from_mut(&mut set) as u64, SIGSET_SIZE, 0, 0, 0, 0];
    // SAFETY: an eight-byte set that lives through the call.
    unsafe { raw::syscall(libc::SYS_rt_sigpending, args) };
    deliverable(ctx.task, SigSet::ALL);
    let held = ctx
        .task
        .held
        .iter()
        .fold(SigSet::EMPTY, |set, q| set | SigSet::of(q.signo));
    (SigSet(set) | held) & ctx.task.mask
}

pub fn sys_sigpending(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let set = pending_set(ctx).0 as u32;
    guest::put(args[0], &set)?;
    Ok(0)
}

/// rt_sigpending(set, size): a size up to 8 is taken.
pub fn sys_rt_sigpending(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let size = args[1] as usize;
    if size > SIGSET_SIZE as usize {
        return Err(Errno::EINVAL);
    }
    let set = pending_set(ctx).0.to_le_bytes();
    guest::put_bytes(args[0], &set[..size])?;
    Ok(0)
}

/// Swaps the mask for the length of a call that waits (sigsuspend, ppoll, pselect6, epoll_pwait): `call` gets the
/// host's mask to hand to the kernel and returns the kernel's result. Where it says EINTR the old mask is put back
/// by delivery, so that the signal that interrupted is seen under the new mask; else at once.
pub fn with_mask(
    ctx: &mut SyscallContext<'_>,
    mask: SigSet,
    call: impl FnOnce(&mut SyscallContext<'_>, &u64) -> i64,
) -> i64 {
    let mask = mask.without(SigSet::UNBLOCKABLE);
    let old = ctx.task.mask;
    let interrupted = -i64::from(libc::EINTR);
    let ret = if deliverable(ctx.task, mask) {
        // A fault signal from another process that waits here and is now let in.
        deliver::attend(ctx.machine.cpu());
        interrupted
    } else {
        match call(ctx, &host::mask_for(mask).0) {
            // Left for a tracer.
            ret if ret == -i64::from(ERESTARTSYS)
                && ctx.task.trace.interrupted().load(Ordering::Relaxed) != 0 =>
            {
                interrupted
            }
            ret => ret,
        }
    };
    if ret == interrupted {
        ctx.task.saved_mask = Some(old);
        ctx.task.mask = mask;
        deliver::attend(ctx.machine.cpu());
    }
    ret
}

fn suspend(ctx: &mut SyscallContext<'_>, mask: SigSet) -> SysResult {
    let ret = with_mask(ctx, mask, |ctx, host_mask| {
        let args = [std::ptr::from_ref(host_mask) as u64, SIGSET_SIZE, 0, 0, 0, 0];
        // SAFETY: an eight-byte set that lives through the call.
        unsafe { raw::syscall_interruptible(libc::SYS_rt_sigsuspend, args, ctx.machine.cpu()) }
    });
    Err(no_handler(ret))
}

/// EINTR of the calls that the kernel restarts if it turns out that no handler runs.
fn no_handler(ret: i64) -> Errno {
    match -ret as i32 {
        libc::EINTR => Errno(ERESTARTNOHAND),
        other => Errno(other),
    }
}

/// sigsuspend(unused, unused, mask).
pub fn sys_sigsuspend(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let mask = SigSet(args[2].into());
    suspend(ctx, mask)
}

/// rt_sigsuspend(mask, size).
pub fn sys_rt_sigsuspend(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    check_size(args[1])?;
    let mask = SigSet(guest::get(args[0])?);
    suspend(ctx, mask)
}

pub fn sys_pause(ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    // SAFETY: pause takes no arguments.
    let ret = unsafe { raw::syscall_interruptible(libc::SYS_pause, [0; 6], ctx.machine.cpu()) };
    Err(no_handler(ret))
}

/// sigaltstack(new, old).
pub fn sys_sigaltstack(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let sp = ctx.machine.cpu().r[13];
    let new = guest::get_opt::<[u8; 12]>(args[0])?;
    let stack = &mut ctx.task.altstack;
    let old = AltStack {
        flags: stack.state(sp) | stack.flags & super::altstack::SS_AUTODISARM,
        ..*stack
    };
    if let Some(new) = new {
        stack.set(AltStack::from_bytes(&new), sp)?;
    }
    guest::put_opt(args[1], &old.to_bytes())?;
    Ok(0)
}

fn timed_wait(ctx: &mut SyscallContext<'_>, args: &[u32; 6], timeout: Option<libc::timespec>) -> SysResult {
    let [set, info, _, size, ..] = *args;
    check_size(size)?;
    let set = SigSet(guest::get(set)?).without(SigSet::UNBLOCKABLE);
    let mut host_info = [0u8; 128];
    let (signo, found) = loop {
        deliverable(ctx.task, SigSet::ALL);
        if let Some(at) = ctx.task.held.iter().position(|q| set.contains(q.signo)) {
            let queued = ctx.task.held.remove(at);
            break (queued.signo, *host_bytes(&queued.info));
        }
        let timeout = timeout.as_ref().map_or(0, |t| std::ptr::from_ref(t) as u64);
        let call = [
            std::ptr::from_ref(&set.0) as u64,
            host_info.as_mut_ptr() as u64,
            timeout,
            SIGSET_SIZE,
            0,
            0,
        ];
        // SAFETY: set, siginfo and timespec have the kernel's layouts and live through the call.
        let ret = unsafe { raw::syscall_interruptible(libc::SYS_rt_sigtimedwait, call, ctx.machine.cpu()) };
        if ret == -i64::from(libc::EINTR) {
            deliverable(ctx.task, SigSet::ALL);
            if ctx.task.held.iter().any(|q| set.contains(q.signo)) {
                continue;
            }
        }
        break (Errno::check(ret)? as i32, host_info);
    };
    guest::put_opt(info, &GuestSigInfo::from_host(&found).0)?;
    Ok(signo as u32)
}

/// rt_sigtimedwait(set, info, timeout, size) with a 32-bit timespec.
pub fn sys_rt_sigtimedwait(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let timeout = time::read_timespec32(args[2])?;
    timed_wait(ctx, args, timeout)
}

pub fn sys_rt_sigtimedwait_time64(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let timeout = time::read_timespec64(args[2])?;
    timed_wait(ctx, args, timeout)
}

fn queue_info(nr: i64, ids: &[u32], sig: u32, info: u32) -> SysResult {
    let mut guest = GuestSigInfo::ZERO;
    guest::get_bytes(info, &mut guest.0)?;
    guest.0[..4].copy_from_slice(&sig.to_le_bytes());
    let host = guest.to_host();
    let mut args = [0; 6];
    for (slot, id) in args.iter_mut().zip(ids) {
        *slot = i64::from(*id as i32) as u64;
    }
    args[ids.len()] = i64::from(sig as i32) as u64;
    args[ids.len() + 1] = host.as_ptr() as u64;
    // SAFETY: a whole siginfo that lives through the call.
    Ok(Errno::check(unsafe { raw::syscall(nr, args) })? as u32)
}

/// rt_sigqueueinfo(pid, sig, info).
pub fn sys_rt_sigqueueinfo(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    queue_info(libc::SYS_rt_sigqueueinfo, &args[..1], args[1], args[2])
}

/// rt_tgsigqueueinfo(tgid, tid, sig, info).
pub fn sys_rt_tgsigqueueinfo(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    queue_info(libc::SYS_rt_tgsigqueueinfo, &args[..2], args[2], args[3])
}

/// Whether a signal that the calling thread sends to itself goes to the thread's handler at once: nothing that the kernel
/// does for it on its way can be seen then. Real-time signals can be refused (RLIMIT_SIGPENDING); stops and SIGCONT
/// discard each other; what the host never blocks comes to the queue.
fn is_for_own_handler(ctx: &mut SyscallContext<'_>, sig: u32) -> bool {
    let signo = sig as i32;
    SigSet::PLAIN.without(ctx.task.mask).contains(signo)
        && !ctx.task.trace.is_traced()
        && ctx.process.actions.get(signo).is_handler()
}

/// kill(pid, sig) of the caller's own process, where it is the only thread and that needs no kernel; `None` elsewhere.
pub fn kill_self(ctx: &mut SyscallContext<'_>, pid: u32, sig: u32) -> Option<SysResult> {
    let own = pid as i32 == ctx.task.tid && ctx.process.has_one_thread() && is_for_own_handler(ctx, sig);
    own.then(|| signal_self(ctx, sig, pid as i32, siginfo::SI_USER))
}

/// Gives the calling thread `sig` of its own, as the kernel would (`do_tkill`, `kill`).
fn signal_self(ctx: &mut SyscallContext<'_>, sig: u32, pid: i32, code: i32) -> SysResult {
    // SAFETY: getuid has no preconditions.
    let uid = unsafe { libc::getuid() } as i32;
    let mut info = GuestSigInfo::header(sig as i32, code);
    info.0[12..16].copy_from_slice(&pid.to_le_bytes());
    info.0[16..20].copy_from_slice(&uid.to_le_bytes());
    deliverable(ctx.task, SigSet::ALL);
    deliver::hold(ctx.task, sig as i32, &info.to_host());
    deliver::attend(ctx.machine.cpu());
    Ok(0)
}

fn send_to_thread(nr: i64, ids: &[u32], sig: u32) -> SysResult {
    let mut args = [0; 6];
    for (slot, value) in args.iter_mut().zip(ids.iter().chain([&sig])) {
        *slot = i64::from(*value as i32) as u64;
    }
    // SAFETY: no pointers.
    Ok(Errno::check(unsafe { raw::syscall(nr, args) })? as u32)
}

/// tkill(tid, sig).
pub fn sys_tkill(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [tid, sig, ..] = *args;
    if tid as i32 == ctx.task.tid && is_for_own_handler(ctx, sig) {
        // SAFETY: getpid has no preconditions.
        let pid = unsafe { libc::getpid() };
        return signal_self(ctx, sig, pid, siginfo::SI_TKILL);
    }
    send_to_thread(libc::SYS_tkill, &args[..1], sig)
}

/// tgkill(tgid, tid, sig).
pub fn sys_tgkill(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [tgid, tid, sig, ..] = *args;
    if tid as i32 == ctx.task.tid && is_for_own_handler(ctx, sig) {
        // SAFETY: getpid has no preconditions.
        let pid = unsafe { libc::getpid() };
        if tgid as i32 == pid {
            return signal_self(ctx, sig, pid, siginfo::SI_TKILL);
        }
    }
    send_to_thread(libc::SYS_tgkill, &args[..2], sig)
}

fn signalfd(fd: u32, mask: u32, size: u32, flags: u32) -> SysResult {
    check_size(size)?;
    let mask: u64 = guest::get(mask)?;
    let args = [
        i64::from(fd as i32) as u64,
        std::ptr::from_ref(&mask) as u64,
        SIGSET_SIZE,
        flags.into(),
        0,
        0,
    ];
    // SAFETY: an eight-byte set that lives through the call. SFD_CLOEXEC and SFD_NONBLOCK are ARM's numbers too.
    Ok(Errno::check(unsafe { raw::syscall(libc::SYS_signalfd4, args) })? as u32)
}

/// signalfd(fd, mask, size).
pub fn sys_signalfd(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    signalfd(args[0], args[1], args[2], 0)
}

/// signalfd4(fd, mask, size, flags).
pub fn sys_signalfd4(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    signalfd(args[0], args[1], args[2], args[3])
}

/// Calls that the kernel would continue this way are continued by the host kernel itself or are EINTR here.
pub fn sys_restart_syscall(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::EINTR)
}

pub fn sys_sigreturn(ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SyscallResult {
    deliver::sigreturn(ctx, false)
}

pub fn sys_rt_sigreturn(ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SyscallResult {
    deliver::sigreturn(ctx, true)
}

/// breakpoint: SIGTRAP at the SVC itself, which a debugger replaces (arch/arm/kernel/traps.c, arm_syscall).
pub fn sys_breakpoint(ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SyscallResult {
    deliver::rewind(ctx.machine.cpu());
    let info = GuestSigInfo::fault(libc::SIGTRAP, siginfo::TRAP_BRKPT, ctx.machine.cpu().r[15]);
    deliver::force(ctx.machine, ctx.task, ctx.process, &info);
    SyscallResult::NoReturn
}

/// usr26 and usr32: SIGILL on every processor without the 26-bit modes.
pub fn sys_no_26_bit(ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SyscallResult {
    deliver::bad_call(ctx.machine, ctx.task, ctx.process);
    SyscallResult::NoReturn
}
