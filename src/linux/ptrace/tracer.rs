//! The tracer's side: which of the host's stops are the guest's, and what becomes of the others.

use std::collections::BTreeMap;
use std::mem::offset_of;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::block::{
    CHANGED_INFO, Image, Kind, Orders, SECCOMP, SYSCALLS, State, TRACED, WANT_GROUP, WANT_SIGSTOP, WANT_STOP,
    WANT_TRAP,
};
use super::host;
use crate::linux::errno::{ERESTART_RESTARTBLOCK, ERESTARTNOHAND, ERESTARTNOINTR, ERESTARTSYS, Errno};
use crate::linux::raw;
use crate::linux::signal::set::SigSet;
use crate::linux::signal::siginfo::{GuestSigInfo, SI_USER};

pub const O_TRACESYSGOOD: u32 = 1;
pub const O_TRACEEXEC: u32 = 1 << 4;
pub const O_TRACESECCOMP: u32 = 1 << 7;
/// TRACEFORK, TRACEVFORK, TRACECLONE, TRACEVFORKDONE, TRACEEXIT, EXITKILL: the host's own.
pub const O_HOST: u32 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 20;
pub const O_ALL: u32 = O_HOST | O_TRACESYSGOOD | O_TRACEEXEC | O_TRACESECCOMP;

pub const EVENT_FORK: i32 = 1;
pub const EVENT_CLONE: i32 = 3;
pub const EVENT_EXEC: i32 = 4;
pub const EVENT_VFORK_DONE: i32 = 5;
pub const EVENT_EXIT: i32 = 6;
pub const EVENT_SECCOMP: i32 = 7;
pub const EVENT_STOP: i32 = 128;

/// A stop that the guest knows of.
pub struct Stop {
    /// As wait says it.
    pub status: i32,
    pub kind: Kind,
    /// The block as it was; `None` where the thread has none any more.
    pub image: Option<Box<Image>>,
    /// The thread is in a stop of the host's that is the guest's, too.
    pub by_host: bool,
}

/// A thread that this process traces.
pub struct Tracee {
    /// The thread of ours that traces it.
    pub tracer: i32,
    pub seized: bool,
    pub options: u32,
    /// Address of its block, 0 if unknown.
    block: u64,
    pub stop: Option<Stop>,
    /// The next PTRACE_EVENT_STOP is only to tell the thread that it is traced.
    pub quiet: bool,
    /// Last resumed by PTRACE_SYSCALL.
    syscalls: bool,
    /// The tid that it had before execve.
    pub former: u64,
}

static TRACEES: Mutex<BTreeMap<i32, Tracee>> = Mutex::new(BTreeMap::new());

pub fn tracees() -> MutexGuard<'static, BTreeMap<i32, Tracee>> {
    TRACEES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The tracees. Held around fork, so that the child's are not locked for ever.
pub fn hold() -> impl Sized {
    tracees()
}

/// In a child of fork, which traces nobody.
pub fn forget() {
    tracees().clear();
}

fn own_tid() -> i32 {
    // SAFETY: gettid has no preconditions.
    unsafe { libc::gettid() }
}

impl Tracee {
    pub fn new(seized: bool, options: u32) -> Tracee {
        Tracee {
            tracer: own_tid(),
            seized,
            options,
            block: 0,
            stop: None,
            quiet: false,
            syscalls: false,
            former: 0,
        }
    }

    pub fn host_options(&self) -> u64 {
        u64::from(self.options & O_HOST | O_TRACEEXEC)
    }

    fn flags(&self) -> u32 {
        let mut flags = TRACED;
        if self.syscalls {
            flags |= SYSCALLS;
        }
        if self.options & O_TRACESECCOMP != 0 {
            flags |= SECCOMP;
        }
        flags
    }
}

/// What to make of something that the host's wait has said of a child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is the guest's to hear, with this status.
    Report(i32),
    /// It was not for the guest: wait again.
    Again,
}

/// Judges `status` of thread `tid`. To be called for every status, on the thread that has waited.
pub fn judge(tid: i32, status: i32) -> Verdict {
    if !libc::WIFSTOPPED(status) {
        if !libc::WIFCONTINUED(status) {
            tracees().remove(&tid);
        }
        return Verdict::Report(status);
    }
    let mut tracees = tracees();
    if let Some(tracee) = tracees.get(&tid).filter(|t| t.tracer != own_tid()) {
        // Another thread of ours traces it, and has to ask.
        return Verdict::Report(tracee.stop.as_ref().map_or(status, |s| s.status));
    }
    if let Some(stop) = tracees.get(&tid).and_then(|t| t.stop.as_ref())
        && status >> 16 != EVENT_EXIT
    {
        // Looked at before it was waited for.
        return Verdict::Report(stop.status);
    }
    let Ok(regs) = host::registers(tid) else {
        // Not traced (WUNTRACED), or killed meanwhile.
        return match tracees.contains_key(&tid) {
            true => Verdict::Again,
            false => Verdict::Report(status),
        };
    };
    // Whatever fails from here on fails because the thread was killed: wait says so next.
    settle(&mut tracees, tid, status, regs).unwrap_or(Verdict::Again)
}

/// The same for what waitid says, called with `options`: whether it is the guest's to hear.
pub fn judge_info(info: &mut GuestSigInfo, options: u32) -> bool {
    let (tid, code, word) = (info.word(12), info.code(), info.word(20));
    let status = match code {
        libc::CLD_EXITED => (word & 0xff) << 8,
        libc::CLD_KILLED | libc::CLD_DUMPED => word,
        libc::CLD_CONTINUED => return true,
        _ => word << 8 | 0x7f,
    };
    if options & libc::WNOWAIT as u32 != 0 && !libc::WIFSTOPPED(status) {
        return true;
    }
    match judge(tid, status) {
        Verdict::Report(status) => {
            if libc::WIFSTOPPED(status) {
                info.0[20..24].copy_from_slice(&(status >> 8).to_le_bytes());
            }
            true
        }
        Verdict::Again => false,
    }
}

fn settle(
    tracees: &mut BTreeMap<i32, Tracee>,
    tid: i32,
    status: i32,
    mut regs: libc::user_regs_struct,
) -> Result<Verdict, Errno> {
    let (signal, event) = (status >> 8 & 0xff, status >> 16);
    if event == EVENT_EXEC || event == 0 && signal == libc::SIGTRAP && regs.fs_base == 0 {
        let tracee = tracees.entry(tid).or_insert_with(|| Tracee::new(false, 0));
        tracee.block = 0;
        tracee.stop = None;
        let options = tracee.host_options();
        let former = host::event_message(tid)?;
        tracee.former = if event == EVENT_EXEC { former } else { tid as u64 };
        if tracee.former != tid as u64 {
            tracees.remove(&(former as i32));
        }
        host::control(host::SETOPTIONS, tid, options)?;
        host::mark_program(tid, regs.rsp)?;
        return go_on(tid, 0);
    }
    let image = locate(tracees, tid, regs.fs_base, event);
    let tracee = tracees.entry(tid).or_insert_with(|| Tracee::new(false, 0));
    let Some((block, image)) = image else {
        // Not a guest thread yet, or no more.
        if event == EVENT_EXIT {
            return Ok(by_host(tracee, status, None));
        }
        return match (event, signal) {
            (EVENT_STOP, _) if tracee.quiet => {
                // The emulator is starting: let it, and try again.
                let verdict = go_on(tid, 0);
                std::thread::sleep(std::time::Duration::from_micros(200));
                host::control(host::INTERRUPT, tid, 0)?;
                verdict
            }
            (EVENT_STOP, _) => {
                host::set_newborn(tid, regs.fs_base, WANT_STOP)?;
                go_on(tid, 0)
            }
            (0, libc::SIGSTOP) => {
                host::set_newborn(tid, regs.fs_base, WANT_SIGSTOP)?;
                go_on(tid, 0)
            }
            (0, signal) => go_on(tid, signal),
            _ => go_on(tid, 0),
        };
    };
    tracee.block = block;
    let kind = Kind::of(image.orders.kind);
    let mut orders = image.orders;
    orders.flags |= tracee.flags();
    match event {
        EVENT_FORK..=EVENT_CLONE | EVENT_VFORK_DONE => {
            // A thread of the emulator's own is none of the guest's.
            if kind != Kind::Clone {
                return go_on(tid, 0);
            }
            let (seized, options) = (tracee.seized, tracee.options);
            let verdict = by_host(tracee, status, Some(image));
            if event != EVENT_VFORK_DONE {
                let child = host::event_message(tid)? as i32;
                tracees
                    .entry(child)
                    .or_insert_with(|| Tracee::new(seized, options));
            }
            Ok(verdict)
        }
        EVENT_EXIT => Ok(by_host(tracee, status, Some(image))),
        EVENT_STOP if std::mem::take(&mut tracee.quiet) && signal == libc::SIGTRAP => {
            put_orders(tid, block, &orders)?;
            go_on(tid, 0)
        }
        EVENT_STOP if kind != Kind::Running => Ok(by_host(tracee, status, Some(image))),
        EVENT_STOP => {
            orders.wants |= WANT_STOP;
            orders.want_signal = signal;
            poke(tid, block, &image, orders, &mut regs, true)
        }
        0 => {
            let Ok(info) = host::siginfo(tid) else {
                if kind != Kind::Running {
                    return Ok(by_host(tracee, status, Some(image)));
                }
                orders.wants |= WANT_GROUP;
                orders.want_signal = signal;
                return poke(tid, block, &image, orders, &mut regs, true);
            };
            if signal == libc::SIGTRAP && regs.rip == image.place.stop_pc && kind != Kind::Running {
                return guest_stop(tracee, tid, image);
            }
            if orders.passing == signal {
                orders.passing = 0;
                put_orders(tid, block, &orders)?;
                return go_on(tid, signal);
            }
            let code = i32::from_le_bytes([info[8], info[9], info[10], info[11]]);
            let fault = SigSet::SYNCHRONOUS.contains(signal) && code > 0;
            if fault || signal == libc::SIGTRAP && orders.poked != 0 {
                return go_on(tid, signal);
            }
            orders.taken = signal;
            orders.taken_info = info;
            poke(tid, block, &image, orders, &mut regs, false)
        }
        _ => go_on(tid, 0),
    }
}

fn go_on(tid: i32, signal: i32) -> Result<Verdict, Errno> {
    host::control(host::CONT, tid, signal as u64)?;
    Ok(Verdict::Again)
}

fn put_orders(tid: i32, block: u64, orders: &Orders) -> Result<(), Errno> {
    host::put(tid, block + offset_of!(Image, orders) as u64, orders)
}

/// A stop of the host's that the guest sees as it is.
fn by_host(tracee: &mut Tracee, status: i32, image: Option<Box<Image>>) -> Verdict {
    tracee.stop = Some(Stop {
        status,
        kind: image.as_ref().map_or(Kind::Running, |i| Kind::of(i.orders.kind)),
        image,
        by_host: true,
    });
    Verdict::Report(status)
}

/// The thread's block and what is in it, if it has one of its own. One that is new to us is traced from its birth, or since
/// it has asked for it.
fn locate(
    tracees: &mut BTreeMap<i32, Tracee>,
    tid: i32,
    fs_base: u64,
    event: i32,
) -> Option<(u64, Box<Image>)> {
    let read = |at: u64| -> Option<Box<Image>> {
        let image: Box<Image> = Box::new(host::get(tid, at).ok()?);
        (image.magic == super::block::MAGIC).then_some(image)
    };
    let known = tracees.get(&tid).map_or(0, |t| t.block);
    if known != 0
        && let Some(image) = read(known)
        && image.place.tid == tid
    {
        return Some((known, image));
    }
    let block = host::anchor(tid, fs_base).ok()?;
    let image = (block != 0).then(|| read(block)).flatten();
    if let Some(image) = image.as_ref().filter(|i| i.place.tid == tid) {
        return Some((block, image.clone()));
    }
    if !tracees.contains_key(&tid) {
        // A child's block is a copy of its parent's, or the parent's itself; a thread has none.
        let parent = match &image {
            Some(image) => tracees.get(&image.place.tid),
            None => tracees
                .iter()
                .find(|(other, _)| same_group(**other, tid))
                .map(|(_, t)| t),
        };
        let (seized, options) = parent.map_or((event == EVENT_STOP, 0), |t| (t.seized, t.options));
        tracees.insert(tid, Tracee::new(seized, options));
    }
    None
}

fn same_group(leader: i32, tid: i32) -> bool {
    // SAFETY: signal 0 only asks whether the thread is one of the process.
    unsafe { libc::syscall(libc::SYS_tgkill, leader, tid, 0) == 0 }
}

/// Makes the thread come to a stop of ours, from wherever it is. `queue`: it is not at a signal's stop.
fn poke(
    tid: i32,
    block: u64,
    image: &Image,
    mut orders: Orders,
    regs: &mut libc::user_regs_struct,
    queue: bool,
) -> Result<Verdict, Errno> {
    const RESTARTS: [i32; 4] = [ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK];
    let error = (regs.rax as i64).wrapping_neg();
    if regs.rip == image.place.syscall_pc
        && regs.orig_rax as i64 >= 0
        && RESTARTS.iter().any(|&e| i64::from(e) == error)
    {
        // Left as if it had not been entered, and without the EINTR that our own handler would make of it.
        regs.rip = image.place.leave_pc;
        regs.orig_rax = u64::MAX;
        host::set_registers(tid, regs)?;
        orders.interrupted = error as u32;
    }
    orders.poked = 1;
    put_orders(tid, block, &orders)?;
    if queue {
        // SAFETY: numbers only.
        unsafe { libc::syscall(libc::SYS_tgkill, image.place.pid, tid, libc::SIGTRAP) };
        go_on(tid, 0)
    } else {
        go_on(tid, libc::SIGTRAP)
    }
}

/// A stop that the thread's emulator has made.
fn guest_stop(tracee: &mut Tracee, tid: i32, image: Box<Image>) -> Result<Verdict, Errno> {
    const TRAP: i32 = libc::SIGTRAP;
    let kind = Kind::of(image.orders.kind);
    let signal = match kind {
        Kind::Signal | Kind::Group => image.state.signal,
        Kind::SyscallEntry | Kind::SyscallExit if tracee.options & O_TRACESYSGOOD != 0 => TRAP | 0x80,
        Kind::SyscallEntry | Kind::SyscallExit => TRAP,
        Kind::Exec if tracee.options & O_TRACEEXEC != 0 => TRAP | EVENT_EXEC << 8,
        Kind::Exec => {
            // No event: a plain SIGTRAP for those that were not seized.
            let mut orders = image.orders;
            orders.flags = tracee.flags();
            if !tracee.seized {
                orders.wants |= WANT_TRAP;
            }
            put_orders(tid, tracee.block, &orders)?;
            return go_on(tid, 0);
        }
        Kind::Seccomp => TRAP | EVENT_SECCOMP << 8,
        Kind::Stop => image.state.signal | EVENT_STOP << 8,
        Kind::Running | Kind::Clone | Kind::Passing => return go_on(tid, 0),
    };
    let status = signal << 8 | 0x7f;
    tracee.stop = Some(Stop {
        status,
        kind,
        image: Some(image),
        by_host: false,
    });
    Ok(Verdict::Report(status))
}

/// How a tracee goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    Cont,
    Syscall,
    Detach,
}

/// Lets a stopped tracee go on, with `signal`.
pub fn resume(tracee: &mut Tracee, tid: i32, how: Resume, signal: i32) -> Result<(), Errno> {
    let Some(stop) = tracee.stop.take() else {
        return Err(Errno::ESRCH);
    };
    tracee.syscalls = how == Resume::Syscall;
    if let Some(mut image) = stop.image {
        image.orders.flags = if how == Resume::Detach { 0 } else { tracee.flags() };
        put_orders(tid, tracee.block, &image.orders)?;
        give(&mut image.state, stop.kind, signal);
        host::put(tid, tracee.block + offset_of!(Image, state) as u64, &image.state)?;
        let injected = matches!(stop.kind, Kind::SyscallEntry | Kind::SyscallExit);
        if signal != 0 && injected {
            // SAFETY: numbers only.
            unsafe { libc::syscall(libc::SYS_tgkill, image.place.pid, tid, signal) };
        }
    }
    let request = match how {
        Resume::Detach => host::DETACH,
        _ => host::CONT,
    };
    host::control(request, tid, 0)
}

/// The signal to go on with, whose information a tracer that has chosen another number has not given.
fn give(state: &mut State, kind: Kind, signal: i32) {
    if kind != Kind::Signal {
        return;
    }
    state.resume = signal;
    if signal != 0 && GuestSigInfo(state.info).signo() != signal {
        let mut info = GuestSigInfo::header(signal, SI_USER);
        // SAFETY: neither has preconditions.
        let (pid, uid) = unsafe { (libc::getpid(), libc::getuid()) };
        info.0[12..16].copy_from_slice(&pid.to_le_bytes());
        info.0[16..20].copy_from_slice(&uid.to_le_bytes());
        state.info = info.0;
        state.changed |= CHANGED_INFO;
    }
}

/// Finds out whether a tracee that the tracer has not waited for has stopped: what the host has to say is settled, and
/// what is the guest's stays to be waited for.
pub fn look(tid: i32) -> Result<(), Errno> {
    loop {
        let peek = libc::WSTOPPED | libc::__WALL | libc::WNOHANG | libc::WNOWAIT;
        let Some(status) = wait_stopped(tid, peek)? else {
            return Ok(());
        };
        if let Verdict::Report(_) = judge(tid, status) {
            return Ok(());
        }
        // It is settled: what wait said is old. A stop that came meanwhile shows in the next round.
        std::thread::yield_now();
    }
}

/// For a SIGCHLD of a tracee's stop, before it is delivered: settles the stop and puts the guest's signal number there. False
/// if no child has anything to say to wait: the stop was none of the guest's.
pub fn child_trapped(info: &mut GuestSigInfo) -> bool {
    let tid = info.word(12);
    // A child that is gone, or another's.
    let _ = look(tid);
    if let Some(stop) = tracees().get(&tid).and_then(|t| t.stop.as_ref()) {
        let signal = stop.status >> 8 & 0x7f;
        info.0[20..24].copy_from_slice(&signal.to_le_bytes());
        return true;
    }
    // SAFETY: siginfo_t is plain integers.
    let mut any: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options =
        libc::WEXITED | libc::WSTOPPED | libc::WCONTINUED | libc::__WALL | libc::WNOHANG | libc::WNOWAIT;
    let args = [libc::P_ALL as u64, 0, &raw mut any as u64, options as u64, 0, 0];
    // SAFETY: the kernel writes a siginfo; the field is there for SIGCHLD, and 0 where there was nothing.
    unsafe { raw::syscall(libc::SYS_waitid, args) != 0 || any.si_pid() != 0 }
}

/// The wait status of a stopped thread.
pub fn wait_stopped(tid: i32, options: i32) -> Result<Option<i32>, Errno> {
    // SAFETY: siginfo_t is plain integers.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let args = [
        libc::P_PID as u64,
        tid as u64,
        &raw mut info as u64,
        options as u64,
        0,
        0,
    ];
    // SAFETY: the kernel writes a siginfo.
    Errno::check(unsafe { raw::syscall(libc::SYS_waitid, args) })?;
    // SAFETY: waitid has filled in these fields, or left zeros.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok((pid != 0).then_some(status << 8 | 0x7f))
}
