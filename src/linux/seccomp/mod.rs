//! The guest's own seccomp: filters over ARM call numbers, evaluated here, before a call is dispatched.
//!
//! The host never sees these filters: its calls are the translator's, with other numbers. Filters are a thread's, its
//! children's, and those of whatever it executes; execve hands them over in a memory file. An x86-64 program could
//! not be held to a filter over ARM numbers, so under one it is not executed.

mod bpf;

use std::io::Write;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::call::{SyscallContext, SyscallResult};
use super::direct;
use super::errno::{Errno, SysResult};
use super::exec::leave_family;
use super::guest;
use super::ptrace::tracee;
use super::signal::deliver;
use super::signal::siginfo::GuestSigInfo;
use crate::diag::log::Items;
use bpf::MAX_INSNS;
pub use bpf::{Data, Insn, Program};
use zerocopy::{FromBytes, IntoBytes};

// include/uapi/linux/seccomp.h
pub const MODE_STRICT: u32 = 1;
pub const MODE_FILTER: u32 = 2;
const SET_MODE_STRICT: u32 = 0;
const SET_MODE_FILTER: u32 = 1;
const GET_ACTION_AVAIL: u32 = 2;
const GET_NOTIF_SIZES: u32 = 3;
const FLAG_TSYNC: u32 = 1;
const FLAG_LOG: u32 = 2;
const FLAG_SPEC_ALLOW: u32 = 4;
const FLAG_TSYNC_ESRCH: u32 = 16;
const RET_KILL_PROCESS: u32 = 0x8000_0000;
const RET_KILL_THREAD: u32 = 0;
const RET_TRAP: u32 = 0x0003_0000;
const RET_ERRNO: u32 = 0x0005_0000;
const RET_TRACE: u32 = 0x7ff0_0000;
const RET_LOG: u32 = 0x7ffc_0000;
const RET_ALLOW: u32 = 0x7fff_0000;
const RET_ACTION: u32 = 0xffff_0000;
const RET_DATA: u32 = 0xffff;
const SYS_SECCOMP: i32 = 1;
/// AUDIT_ARCH_ARM: EM_ARM, little-endian.
const ARCH_ARM: u32 = 0x4000_0028;
/// MAX_INSNS_PER_PATH: instructions of all filters of a thread, four counted extra for each.
const MAX_TOTAL: usize = (1 << 18) / size_of::<Insn>();
const MAX_ERRNO: u32 = 4095;

/// A filter and those installed before it.
pub struct Filter {
    program: Program,
    older: Option<Arc<Filter>>,
    /// As MAX_TOTAL counts.
    total: usize,
}

/// A thread's seccomp mode.
#[derive(Clone, Default)]
pub enum Mode {
    #[default]
    Off,
    /// read, write, exit, rt_sigreturn.
    Strict,
    Filter(Arc<Filter>),
}

impl Mode {
    fn number(&self) -> u32 {
        match self {
            Mode::Off => 0,
            Mode::Strict => MODE_STRICT,
            Mode::Filter(_) => MODE_FILTER,
        }
    }

    fn filter(&self) -> Option<&Arc<Filter>> {
        match self {
            Mode::Filter(f) => Some(f),
            _ => None,
        }
    }
}

impl Filter {
    /// The most restrictive verdict; among equal actions the newest filter's data count.
    fn run(&self, data: &Data) -> u32 {
        let mut verdict = RET_ALLOW;
        let mut at = Some(self);
        while let Some(f) = at {
            let this = f.program.run(data);
            if ((this & RET_ACTION) as i32) < (verdict & RET_ACTION) as i32 {
                verdict = this;
            }
            at = f.older.as_deref();
        }
        verdict
    }
}

/// What TSYNC has spread: threads take it over at their next call.
#[derive(Default)]
pub struct Synced {
    mode: Mutex<Mode>,
    /// Changes with each TSYNC.
    round: AtomicU32,
    /// Thread that installed a filter for itself alone while others ran, 0 if none.
    alone: AtomicU32,
}

/// Per-thread part.
#[derive(Clone, Default)]
pub struct State {
    pub mode: Mode,
    round: u32,
}

static SYNCED: OnceLock<Synced> = OnceLock::new();

fn synced() -> &'static Synced {
    SYNCED.get_or_init(Synced::default)
}

/// The fast path's question: whether a call needs [`check`] at all.
pub fn active(state: &State) -> bool {
    !matches!(state.mode, Mode::Off)
        || SYNCED
            .get()
            .is_some_and(|s| s.round.load(Ordering::Acquire) != state.round)
}

/// Judges call `nr`, which a tracer may make another. `Some` is the call's end without it having been made.
pub fn check(ctx: &mut SyscallContext<'_>, nr: &mut u32, args: &mut [u32; 6]) -> Option<SyscallResult> {
    judge(ctx, nr, args, false)
}

/// `traced`: a tracer has been asked already.
fn judge(
    ctx: &mut SyscallContext<'_>,
    number: &mut u32,
    args: &mut [u32; 6],
    traced: bool,
) -> Option<SyscallResult> {
    let nr = *number;
    take_over(&mut ctx.task.seccomp);
    let filter = match &ctx.task.seccomp.mode {
        Mode::Off => return None,
        Mode::Strict => {
            // read, write, exit, rt_sigreturn.
            if matches!(nr, 3 | 4 | 1 | 173) {
                return None;
            }
            return Some(kill(ctx, libc::SIGKILL, false));
        }
        Mode::Filter(filter) => filter.clone(),
    };
    let pc = ctx.machine.cpu().r[15];
    let mut data: Data = [0; 16];
    data[0] = nr;
    data[1] = ARCH_ARM;
    data[2] = pc;
    for (i, arg) in args.iter().enumerate() {
        data[4 + 2 * i] = *arg;
    }
    let verdict = filter.run(&data);
    let value = verdict & RET_DATA;
    match verdict & RET_ACTION {
        RET_ALLOW | RET_LOG => None,
        RET_ERRNO => Some(SyscallResult::Return(-(value.min(MAX_ERRNO) as i32))),
        RET_TRACE if traced => None,
        RET_TRACE => {
            let Some(new) = tracee::seccomp(ctx.machine, ctx.task, nr, value) else {
                // No tracer asks for these: the answer is that of a call that is not there.
                return Some(SyscallResult::Return(-libc::ENOSYS));
            };
            if new == u32::MAX {
                return Some(SyscallResult::NoReturn);
            }
            *number = new;
            args.copy_from_slice(&ctx.machine.cpu().r[..6]);
            judge(ctx, number, args, true)
        }
        RET_TRAP => {
            let mut info = GuestSigInfo::fault(libc::SIGSYS, SYS_SECCOMP, pc);
            info.0[4..8].copy_from_slice(&value.to_le_bytes());
            info.0[16..20].copy_from_slice(&nr.to_le_bytes());
            info.0[20..24].copy_from_slice(&ARCH_ARM.to_le_bytes());
            deliver::force(ctx.machine, ctx.task, ctx.process, &info);
            Some(SyscallResult::NoReturn)
        }
        RET_KILL_THREAD => Some(kill(ctx, libc::SIGSYS, false)),
        // RET_USER_NOTIF needs a listener, which cannot be had; unknown actions kill, as in the kernel.
        0x7fc0_0000 => Some(SyscallResult::Return(-libc::ENOSYS)),
        _ => Some(kill(ctx, libc::SIGSYS, true)),
    }
}

/// Ends the thread, or with `all` (and where it is the only one) the process, as by signal `signo`.
fn kill(ctx: &mut SyscallContext<'_>, signo: i32, all: bool) -> SyscallResult {
    if all || ctx.process.threads().len() <= 1 {
        super::process::die(ctx.process, signo);
    }
    ctx.task.exit_status = signo;
    SyscallResult::ExitThread
}

fn take_over(state: &mut State) {
    let Some(synced) = SYNCED.get() else { return };
    let round = synced.round.load(Ordering::Acquire);
    if round != state.round {
        state.mode = synced.mode.lock().unwrap_or_else(PoisonError::into_inner).clone();
        state.round = round;
    }
}

/// seccomp(operation, flags, args).
pub fn sys_seccomp(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [operation, flags, arg, ..] = *args;
    match operation {
        SET_MODE_STRICT if flags == 0 && arg == 0 => set_strict(ctx),
        SET_MODE_FILTER => set_filter(ctx, flags, arg),
        GET_ACTION_AVAIL if flags == 0 => {
            let action: u32 = guest::get(arg)?;
            match action {
                RET_KILL_PROCESS | RET_KILL_THREAD | RET_TRAP | RET_ERRNO | RET_TRACE | RET_LOG
                | RET_ALLOW => Ok(0),
                _ => Err(Errno::EOPNOTSUPP),
            }
        }
        GET_NOTIF_SIZES if flags == 0 => {
            // seccomp_notif, seccomp_notif_resp, seccomp_data: no field depends on the ABI.
            guest::put(arg, &[80u16, 24, 64])?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// prctl(PR_SET_SECCOMP, mode, program).
pub fn set_by_prctl(ctx: &mut SyscallContext<'_>, mode: u32, program: u32) -> SysResult {
    match mode {
        MODE_STRICT => set_strict(ctx),
        MODE_FILTER => set_filter(ctx, 0, program),
        _ => Err(Errno::EINVAL),
    }
}

/// prctl(PR_GET_SECCOMP).
pub fn mode_number(ctx: &SyscallContext<'_>) -> u32 {
    ctx.task.seccomp.mode.number()
}

fn set_strict(ctx: &mut SyscallContext<'_>) -> SysResult {
    leave_family(ctx.process);
    match ctx.task.seccomp.mode {
        Mode::Filter(_) => Err(Errno::EINVAL),
        _ => {
            direct::turn_off();
            ctx.task.seccomp.mode = Mode::Strict;
            Ok(0)
        }
    }
}

fn set_filter(ctx: &mut SyscallContext<'_>, flags: u32, fprog: u32) -> SysResult {
    const KNOWN: u32 = FLAG_TSYNC | FLAG_LOG | FLAG_SPEC_ALLOW | FLAG_TSYNC_ESRCH;
    if flags & !KNOWN != 0 {
        crate::log_line!(Items::UNIMP, "seccomp flags {flags:#x}: EINVAL");
        return Err(Errno::EINVAL);
    }
    // struct sock_fprog: a 16-bit length, padding, a pointer.
    let [len, pointer]: [u32; 2] = guest::get(fprog)?;
    let len = (len & 0xffff) as usize;
    if len == 0 || len > MAX_INSNS {
        return Err(Errno::EINVAL);
    }
    if !may_filter() {
        return Err(Errno::EACCES);
    }
    leave_family(ctx.process);
    let program = Program::new(guest::get_array(pointer, len)?).ok_or(Errno::EINVAL)?;
    if matches!(ctx.task.seccomp.mode, Mode::Strict) {
        return Err(Errno::EINVAL);
    }
    take_over(&mut ctx.task.seccomp);
    let others = ctx.process.threads().len() > 1;
    if flags & FLAG_TSYNC != 0 && others {
        let diverged = synced().alone.load(Ordering::Relaxed);
        let runs = ctx.process.threads().contains_key(&(diverged as i32));
        if diverged != ctx.task.tid as u32 && runs {
            return if flags & FLAG_TSYNC_ESRCH != 0 {
                Err(Errno(libc::ESRCH))
            } else {
                Ok(diverged)
            };
        }
    }
    let filter = push(ctx.task.seccomp.mode.filter().cloned(), program).ok_or(Errno::ENOMEM)?;
    direct::turn_off();
    ctx.task.seccomp.mode = Mode::Filter(Arc::new(filter));
    if flags & FLAG_TSYNC != 0 {
        let synced = synced();
        *synced.mode.lock().unwrap_or_else(PoisonError::into_inner) = ctx.task.seccomp.mode.clone();
        ctx.task.seccomp.round = synced.round.fetch_add(1, Ordering::AcqRel) + 1;
    } else if others {
        synced().alone.store(ctx.task.tid as u32, Ordering::Relaxed);
    }
    Ok(0)
}

/// A filter on top of `older`, unless they are too many.
fn push(older: Option<Arc<Filter>>, program: Program) -> Option<Filter> {
    let total = older.as_ref().map_or(0, |f| f.total + 4) + program.insns().len();
    (total <= MAX_TOTAL).then_some(Filter {
        program,
        older,
        total,
    })
}

/// no_new_privs, or CAP_SYS_ADMIN.
fn may_filter() -> bool {
    // SAFETY: prctl with numbers; geteuid has no preconditions.
    unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 || libc::geteuid() == 0 }
}

/// Writes what execve must hand over into a memory file, close-on-exec still: `None` for nothing to hand over.
pub fn hand_over(state: &State) -> Result<Option<i32>, Errno> {
    let mut words: Vec<u8> = Vec::new();
    match &state.mode {
        Mode::Off => return Ok(None),
        // execve is not among strict mode's calls.
        Mode::Strict => return Err(Errno::EPERM),
        Mode::Filter(newest) => {
            let mut at = Some(newest);
            while let Some(f) = at {
                write_to(&mut words, &f.program);
                at = f.older.as_ref();
            }
        }
    }
    Ok(Some(memory_file(&words, libc::MFD_CLOEXEC)?.into_raw_fd()))
}

/// A memory file with one filter, as `emu --reexec-seccomp` takes it: for who starts a guest under a filter from its first
/// instruction.
pub fn file_with(program: &Program) -> Result<std::fs::File, Errno> {
    let mut words = Vec::new();
    write_to(&mut words, program);
    memory_file(&words, 0)
}

fn write_to(words: &mut Vec<u8>, program: &Program) {
    words.extend((program.insns().len() as u32).to_le_bytes());
    words.extend(program.insns().as_bytes());
}

fn memory_file(words: &[u8], flags: u32) -> Result<std::fs::File, Errno> {
    // SAFETY: a NUL-terminated name; the descriptor is new and ours.
    let mut file = unsafe {
        let fd = libc::memfd_create(c"seccomp".as_ptr(), flags);
        if fd < 0 {
            return Err(Errno::last());
        }
        std::fs::File::from_raw_fd(fd)
    };
    file.write_all(words).map_err(|_| Errno::ENOMEM)?;
    Ok(file)
}

/// Takes over what [`hand_over`] of the process before execve wrote. A file that is not that stops the start.
pub fn adopt(fd: i32) -> Option<State> {
    // SAFETY: the process that executed this one opened it at this number for us alone.
    let file = unsafe { std::fs::File::from_raw_fd(fd) };
    let mut bytes = Vec::new();
    let mut at = 0;
    loop {
        let mut chunk = [0; 4096];
        let n = std::os::unix::fs::FileExt::read_at(&file, &mut chunk, at).ok()?;
        if n == 0 {
            break;
        }
        bytes.extend(&chunk[..n]);
        at += n as u64;
    }
    let mut programs = Vec::new();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let (len, tail) = rest.split_at_checked(4)?;
        let len = u32::from_le_bytes(len.try_into().ok()?) as usize * size_of::<Insn>();
        let (body, tail) = tail.split_at_checked(len)?;
        let insns = body
            .chunks_exact(size_of::<Insn>())
            .map(|b| Insn::read_from_bytes(b).ok())
            .collect::<Option<Vec<_>>>()?;
        programs.push(Program::new(insns)?);
        rest = tail;
    }
    let mut chain = None;
    for program in programs.into_iter().rev() {
        chain = Some(Arc::new(push(chain, program)?));
    }
    // The descriptor was only for this.
    // SAFETY: `into_raw_fd` gives up the file, so nothing closes it twice.
    unsafe { libc::close(file.into_raw_fd()) };
    direct::turn_off();
    Some(State {
        mode: chain.map_or(Mode::Off, Mode::Filter),
        round: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returning(value: u32) -> Program {
        Program::new(vec![Insn {
            code: 6,
            jt: 0,
            jf: 0,
            k: value,
        }])
        .expect("one return")
    }

    fn chain(values: &[u32]) -> Filter {
        let mut older = None;
        for v in &values[..values.len() - 1] {
            older = Some(Arc::new(push(older, returning(*v)).expect("few")));
        }
        push(older, returning(values[values.len() - 1])).expect("few")
    }

    #[test]
    fn the_most_restrictive_verdict_counts_and_of_equals_the_newest() {
        let data = [0; 16];
        assert_eq!(chain(&[RET_ALLOW, RET_LOG, RET_ALLOW]).run(&data), RET_LOG);
        assert_eq!(chain(&[RET_ERRNO | 1, RET_ERRNO | 2]).run(&data), RET_ERRNO | 2);
        assert_eq!(
            chain(&[RET_TRAP, RET_ERRNO | 2, RET_KILL_THREAD]).run(&data),
            RET_KILL_THREAD
        );
        // KILL_PROCESS is the lowest as a signed number.
        assert_eq!(
            chain(&[RET_KILL_THREAD, RET_KILL_PROCESS]).run(&data),
            RET_KILL_PROCESS
        );
    }

    #[test]
    fn filters_survive_the_hand_over() {
        let state = State {
            mode: Mode::Filter(Arc::new(chain(&[RET_ERRNO | 1, RET_ERRNO | 2, RET_LOG]))),
            round: 0,
        };
        let fd = hand_over(&state).expect("a memory file").expect("something");
        let again = adopt(fd).expect("what was written");
        let filter = again.mode.filter().expect("filters");
        assert_eq!((filter.run(&[0; 16]), filter.total), (RET_ERRNO | 2, 11));
    }
}
