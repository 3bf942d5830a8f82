//! The requests of ptrace(2) as 32-bit ARM has them.

use std::os::unix::fs::MetadataExt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::block::{CHANGED_INFO, CHANGED_MASK, CHANGED_NUMBER, Image, Kind, State, TRACED};
use super::tracer::{
    EVENT_STOP, O_ALL, O_TRACESYSGOOD, Resume, Stop, Tracee, look, resume, tracees, wait_stopped,
};
use super::{host, memory, regs};
use crate::diag::log::Items;
use crate::linux::call::SyscallContext;
use crate::linux::errno::{Errno, SysResult};
use crate::linux::signal::set::SigSet;
use crate::linux::signal::siginfo::GuestSigInfo;
use crate::linux::{exec, guest};
use crate::log_line;

const TRACEME: u32 = 0;
const PEEKTEXT: u32 = 1;
const PEEKDATA: u32 = 2;
const PEEKUSR: u32 = 3;
const POKETEXT: u32 = 4;
const POKEDATA: u32 = 5;
const POKEUSR: u32 = 6;
const CONT: u32 = 7;
const KILL: u32 = 8;
const GETREGS: u32 = 12;
const SETREGS: u32 = 13;
const GETFPREGS: u32 = 14;
const SETFPREGS: u32 = 15;
const ATTACH: u32 = 16;
const DETACH: u32 = 17;
const OLDSETOPTIONS: u32 = 21;
const GET_THREAD_AREA: u32 = 22;
const SET_SYSCALL: u32 = 23;
const SYSCALL: u32 = 24;
const GETWMMXREGS: u32 = 18;
const SETWMMXREGS: u32 = 19;
const GETHBPREGS: u32 = 29;
const SETHBPREGS: u32 = 30;
const SECCOMP_GET_FILTER: u32 = 0x420c;
const SECCOMP_GET_METADATA: u32 = 0x420d;
const GETVFPREGS: u32 = 27;
const SETVFPREGS: u32 = 28;
const SETOPTIONS: u32 = 0x4200;
const GETEVENTMSG: u32 = 0x4201;
const GETSIGINFO: u32 = 0x4202;
const SETSIGINFO: u32 = 0x4203;
const GETREGSET: u32 = 0x4204;
const SETREGSET: u32 = 0x4205;
const SEIZE: u32 = 0x4206;
const INTERRUPT: u32 = 0x4207;
const LISTEN: u32 = 0x4208;
const PEEKSIGINFO: u32 = 0x4209;
const GETSIGMASK: u32 = 0x420a;
const SETSIGMASK: u32 = 0x420b;
const GET_SYSCALL_INFO: u32 = 0x420e;

/// Breakpoints and watchpoints that the kernel has numbers for, times two (ARM_MAX_HBP_SLOTS).
const HBP_SLOTS: u32 = 64;

/// Bytes of `struct user`.
const USER: u32 = 296;
/// Pseudo-offsets of PEEKUSR: where the program's code is.
const PT_TEXT_ADDR: u32 = 0x10000;
const PT_DATA_ADDR: u32 = 0x10004;
const PT_TEXT_END_ADDR: u32 = 0x10008;

/// ptrace(request, pid, addr, data).
pub fn sys_ptrace(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [request, tid, addr, data, ..] = *args;
    let tid = tid as i32;
    match request {
        TRACEME => {
            host::control(host::TRACEME, 0, 0)?;
            ctx.task.trace.flags().store(TRACED, Ordering::Relaxed);
            return Ok(0);
        }
        ATTACH => return attach(tid, false, 0),
        SEIZE if addr != 0 || data & !O_ALL != 0 => return Err(Errno::EIO),
        SEIZE => return attach(tid, true, data),
        _ => {}
    }
    if request == INTERRUPT || request == KILL {
        let seized = {
            let tracees = tracees();
            let tracee = tracees.get(&tid).ok_or(Errno::ESRCH)?;
            tracee.seized
        };
        if request == INTERRUPT {
            if !seized {
                return Err(Errno::EIO);
            }
            if let Some(tracee) = tracees().get_mut(&tid) {
                tracee.quiet = false;
            }
            host::control(host::INTERRUPT, tid, 0)?;
        } else {
            host::control(host::KILL, tid, 0)?;
        }
        return Ok(0);
    }
    let stopped = tracees().get(&tid).is_some_and(|t| t.stop.is_some());
    if !stopped {
        look(tid).map_err(|_| Errno::ESRCH)?;
    }
    let mut tracees = tracees();
    let tracee = tracees.get_mut(&tid).ok_or(Errno::ESRCH)?;
    // SAFETY: gettid has no preconditions.
    if tracee.tracer != unsafe { libc::gettid() } || tracee.stop.is_none() {
        return Err(Errno::ESRCH);
    }
    match request {
        CONT => go_on(tracee, tid, Resume::Cont, data),
        SYSCALL => go_on(tracee, tid, Resume::Syscall, data),
        DETACH => {
            go_on(tracee, tid, Resume::Detach, data)?;
            tracees.remove(&tid);
            Ok(0)
        }
        LISTEN => listen(tracee, tid),
        SETOPTIONS | OLDSETOPTIONS => {
            if data & !O_ALL != 0 {
                return Err(Errno::EINVAL);
            }
            tracee.options = data;
            host::control(host::SETOPTIONS, tid, tracee.host_options())?;
            Ok(0)
        }
        GETEVENTMSG => {
            let message = event_message(tracee, tid)?;
            guest::put(data, &message)?;
            Ok(0)
        }
        _ => at_stop(tracee, tid, request, addr, data),
    }
}

/// Looks, 50 us apart, at a thread that was seized.
const ATTACH_ROUNDS: u32 = 200;

/// Whether `tid` runs this emulator. Without /proc it is taken to.
fn is_guest(tid: i32) -> bool {
    let Ok(file) = std::fs::metadata(format!("/proc/{tid}/exe")) else {
        return true;
    };
    let same = |other: std::io::Result<std::fs::Metadata>| {
        other.is_ok_and(|own| own.dev() == file.dev() && own.ino() == file.ino())
    };
    same(std::fs::metadata("/proc/self/exe"))
        || exec::private_fd().is_some_and(|fd| same(std::fs::metadata(format!("/proc/self/fd/{fd}"))))
}

fn attach(tid: i32, seize: bool, options: u32) -> SysResult {
    if !is_guest(tid) {
        log_line!(Items::UNIMP, "ptrace of process {tid}, which is no guest: EPERM");
        return Err(Errno::EPERM);
    }
    let mut tracee = Tracee::new(seize, options);
    if !seize {
        host::control(host::ATTACH, tid, 0)?;
        tracees().insert(tid, tracee);
        return Ok(0);
    }
    host::control(host::SEIZE, tid, tracee.host_options())?;
    tracee.quiet = true;
    tracees().insert(tid, tracee);
    // The thread must know that it is traced: a stop that nobody hears of. Where it doesn't come now it does later.
    host::control(host::INTERRUPT, tid, 0)?;
    for _ in 0..ATTACH_ROUNDS {
        look(tid)?;
        if tracees().get(&tid).is_none_or(|t| !t.quiet || t.stop.is_some()) {
            break;
        }
        std::thread::sleep(Duration::from_micros(50));
    }
    Ok(0)
}

fn go_on(tracee: &mut Tracee, tid: i32, how: Resume, signal: u32) -> SysResult {
    if signal > 64 {
        return Err(Errno::EIO);
    }
    resume(tracee, tid, how, signal as i32)?;
    Ok(0)
}

/// PTRACE_LISTEN: leaves a group stop's tracee stopped until something happens to it.
fn listen(tracee: &mut Tracee, tid: i32) -> SysResult {
    let stop = tracee.stop.as_ref().ok_or(Errno::ESRCH)?;
    if !tracee.seized || stop.status >> 16 != EVENT_STOP {
        return Err(Errno::EIO);
    }
    let (status, mut over) = (stop.status, false);
    if !stop.by_host {
        // From our own stop into the host's, which is where the thread finds itself before it does anything.
        host::control(host::INTERRUPT, tid, 0)?;
        resume(tracee, tid, Resume::Cont, 0)?;
        let now = wait_stopped(tid, libc::WSTOPPED | libc::__WALL)?.unwrap_or(status);
        over = now >> 8 & 0xff == libc::SIGTRAP && status >> 8 & 0xff != libc::SIGTRAP;
    }
    tracee.stop = None;
    host::control(host::LISTEN, tid, 0)?;
    if over {
        // SIGCONT has come since the stop that is listened to: the kernel would say so at once.
        host::control(host::INTERRUPT, tid, 0)?;
    }
    Ok(0)
}

fn event_message(tracee: &Tracee, tid: i32) -> Result<u32, Errno> {
    let stop = tracee.stop.as_ref().ok_or(Errno::ESRCH)?;
    Ok(match (stop.kind, &stop.image) {
        _ if stop.by_host => host::event_message(tid)? as u32,
        (Kind::Exec, _) => tracee.former as u32,
        (_, Some(image)) => image.state.message,
        _ => 0,
    })
}

/// Requests about the state of a stopped tracee.
fn at_stop(tracee: &mut Tracee, tid: i32, request: u32, addr: u32, data: u32) -> SysResult {
    let options = tracee.options;
    let stop = tracee.stop.as_mut().ok_or(Errno::ESRCH)?;
    if request == GETSIGINFO {
        guest::put_bytes(data, &siginfo(stop, tid)?.0)?;
        return Ok(0);
    }
    let image = stop.image.as_mut().ok_or(Errno::EIO)?;
    let state = &mut image.state;
    match request {
        PEEKTEXT | PEEKDATA => guest::put(data, &memory::peek(tid, image, addr)?)?,
        POKETEXT | POKEDATA => memory::poke(tid, image, addr, data)?,
        PEEKUSR => {
            let value = peek_user(image, addr)?;
            guest::put(data, &value)?;
        }
        POKEUSR => {
            if addr & 3 != 0 || addr >= USER {
                return Err(Errno::EIO);
            }
            if (addr as usize) < regs::REGS {
                regs::set_one(state, addr as usize / 4, data)?;
            }
        }
        GETREGS => guest::put_bytes(data, &regs::core(state))?,
        SETREGS => {
            let mut bytes = [0; regs::REGS];
            guest::get_bytes(data, &mut bytes)?;
            regs::set_core(state, &bytes)?;
        }
        GETFPREGS => guest::put_bytes(data, &[0; regs::FPA])?,
        SETFPREGS => guest::get_bytes(data, &mut [0; regs::FPA])?,
        GETVFPREGS => guest::put_bytes(data, &regs::vfp(state))?,
        SETVFPREGS => {
            let mut bytes = [0; regs::VFP];
            guest::get_bytes(data, &mut bytes)?;
            regs::set_vfp(state, &bytes);
        }
        GET_THREAD_AREA => guest::put(data, &state.tls)?,
        SET_SYSCALL => {
            state.number = data;
            state.changed |= CHANGED_NUMBER;
        }
        SETSIGINFO => {
            let mut bytes = [0; 128];
            guest::get_bytes(data, &mut bytes)?;
            if stop.kind == Kind::Group {
                return Err(Errno::EINVAL);
            }
            state.info = bytes;
            state.changed |= CHANGED_INFO;
        }
        GETSIGMASK | SETSIGMASK if addr != 8 => return Err(Errno::EINVAL),
        GETSIGMASK => guest::put(data, &state.mask)?,
        SETSIGMASK => {
            state.mask = SigSet(guest::get(data)?).without(SigSet::UNBLOCKABLE).0;
            state.changed |= CHANGED_MASK;
        }
        // No iWMMXt, and no debug registers to set breakpoints in; filters are shown to no one.
        GETWMMXREGS => return Err(Errno::ENODATA),
        SETWMMXREGS | SECCOMP_GET_FILTER | SECCOMP_GET_METADATA => return Err(Errno::EACCES),
        GETHBPREGS if (addr as i32).unsigned_abs() <= HBP_SLOTS => guest::put(data, &0u32)?,
        SETHBPREGS if addr == 0 => {}
        SETHBPREGS if (addr as i32).unsigned_abs() <= HBP_SLOTS => {
            guest::get::<u32>(data)?;
            return Err(Errno::ENOSPC);
        }
        GETHBPREGS | SETHBPREGS => return Err(Errno::EINVAL),
        PEEKSIGINFO => return peek_siginfo(tid, addr, data),
        GETREGSET | SETREGSET => regset(state, addr, data, request == SETREGSET)?,
        GET_SYSCALL_INFO => return syscall_info(stop, options, addr, data),
        _ => return Err(Errno::EIO),
    }
    Ok(0)
}

/// The siginfo of the stop (kernel/signal.c, ptrace_notify).
fn siginfo(stop: &Stop, tid: i32) -> Result<GuestSigInfo, Errno> {
    let Some(image) = &stop.image else {
        return Ok(GuestSigInfo::from_host(&host::siginfo(tid)?));
    };
    if stop.kind == Kind::Signal {
        return Ok(GuestSigInfo(image.state.info));
    }
    if stop.kind == Kind::Group || stop.by_host && stop.status >> 16 == 0 {
        return Err(Errno::EINVAL);
    }
    let code = stop.status >> 8;
    let signal = match stop.kind {
        Kind::Stop => image.state.signal,
        _ if stop.status >> 16 == EVENT_STOP => code & 0x7f,
        _ => libc::SIGTRAP,
    };
    let mut info = GuestSigInfo::header(signal, code);
    info.0[12..16].copy_from_slice(&tid.to_le_bytes());
    info.0[16..20].copy_from_slice(&image.state.uid.to_le_bytes());
    Ok(info)
}

fn peek_user(image: &Image, offset: u32) -> Result<u32, Errno> {
    if offset & 3 != 0 {
        return Err(Errno::EIO);
    }
    match offset {
        PT_TEXT_ADDR => Ok(image.place.start_code),
        PT_TEXT_END_ADDR => Ok(image.place.end_code),
        PT_DATA_ADDR => Ok(image.place.end_code),
        _ if (offset as usize) < regs::REGS => Ok(image.state.regs[offset as usize / 4]),
        _ if offset >= USER => Err(Errno::EIO),
        _ => Ok(0),
    }
}

/// PTRACE_PEEKSIGINFO: what waits in the host's queues. `args` names a `struct ptrace_peeksiginfo_args`: where to begin, flags,
/// how many.
fn peek_siginfo(tid: i32, args: u32, data: u32) -> SysResult {
    const MOST: i32 = 64;
    const GUEST: u32 = 128;
    let [low, high, flags, count]: [u32; 4] = guest::get(args)?;
    if count as i32 <= 0 || flags & !1 != 0 {
        return Err(Errno::EINVAL);
    }
    let from = u64::from(high) << 32 | u64::from(low);
    let infos = host::queued(tid, from, flags, (count as i32).min(MOST))?;
    for (i, info) in infos.iter().enumerate() {
        let at = data.wrapping_add(GUEST * i as u32);
        guest::put_bytes(at, &GuestSigInfo::from_host(info).0)?;
    }
    Ok(infos.len() as u32)
}

/// GETREGSET and SETREGSET: `data` names a `struct iovec`.
fn regset(state: &mut State, kind: u32, data: u32, set: bool) -> Result<(), Errno> {
    const NT_PRSTATUS: u32 = 1;
    const NT_PRFPREG: u32 = 2;
    const NT_ARM_VFP: u32 = 0x400;
    let [base, len]: [u32; 2] = guest::get(data)?;
    let bytes: Vec<u8> = match kind {
        NT_PRSTATUS => regs::core(state).to_vec(),
        NT_PRFPREG => vec![0; regs::FPA],
        NT_ARM_VFP => regs::vfp(state).to_vec(),
        _ => return Err(Errno::EINVAL),
    };
    if len % 4 != 0 {
        return Err(Errno::EINVAL);
    }
    let n = (len as usize).min(bytes.len());
    if set {
        let new = guest::get_vec(base, n)?;
        match kind {
            NT_PRSTATUS => regs::set_core(state, &new)?,
            NT_ARM_VFP => regs::set_vfp(state, &new),
            _ => {}
        }
    } else {
        guest::put_bytes(base, &bytes[..n])?;
    }
    guest::put(data.wrapping_add(4), &(n as u32))
}

/// PTRACE_GET_SYSCALL_INFO: `struct ptrace_syscall_info` (kernel/ptrace.c).
fn syscall_info(stop: &Stop, options: u32, size: u32, data: u32) -> SysResult {
    const AUDIT_ARCH_ARM: u32 = 0x4000_0028;
    const ENTRY: u8 = 1;
    const EXIT: u8 = 2;
    const SECCOMP: u8 = 3;
    let state = &stop.image.as_ref().ok_or(Errno::EIO)?.state;
    let mut out = [0u8; 88];
    let mut put = |at: usize, value: u64, len: usize| {
        out[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
    };
    put(4, AUDIT_ARCH_ARM.into(), 4);
    put(8, state.regs[15].into(), 8);
    put(16, state.regs[13].into(), 8);
    let op = match stop.kind {
        Kind::SyscallEntry if options & O_TRACESYSGOOD != 0 => ENTRY,
        Kind::SyscallExit if options & O_TRACESYSGOOD != 0 => EXIT,
        Kind::Seccomp => SECCOMP,
        _ => 0,
    };
    put(0, op.into(), 1);
    let actual = match op {
        ENTRY | SECCOMP => {
            put(24, state.number.into(), 8);
            put(32, state.regs[17].into(), 8);
            for i in 1..6 {
                put(32 + 8 * i, state.regs[i].into(), 8);
            }
            if op == SECCOMP {
                put(80, state.message.into(), 4);
                84
            } else {
                80
            }
        }
        EXIT => {
            let value = state.regs[0] as i32;
            put(24, i64::from(value) as u64, 8);
            put(32, u64::from((-4095..0).contains(&value)), 1);
            33
        }
        _ => 24,
    };
    let n = actual.min(size as usize);
    guest::put_bytes(data, &out[..n])?;
    Ok(actual as u32)
}
