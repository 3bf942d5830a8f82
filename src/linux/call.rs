//! Dispatch: from a number and six words to the row's handler and back.

use crate::confine;
use crate::cpu::state::CpuState;
use crate::diag::log::{self, Items, enabled};
use crate::exec::machine::Machine;

use super::errno::{Errno, SysResult};
use super::path::{self, HostPath, Purpose};
use super::process::Process;
use super::signal::action::{SIG_DFL, default_ignores};
use super::signal::deliver;
use super::signal::siginfo::{GuestSigInfo, SEGV_MAPERR};
use super::table::{self, Arg, Handler, PartHandler, PlainHandler, Row};
use super::task::Task;
use super::{guest, own_fds, raw, seccomp, strace};

/// What a handler works on: the thread that made the call.
pub struct SyscallContext<'a> {
    pub machine: &'a mut dyn Machine,
    pub task: &'a mut Task,
    pub process: &'static Process,
}

/// How a system call ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyscallResult {
    /// The value for r0: a result or -errno (-512 asks for restart or EINTR at signal delivery).
    Return(i32),
    /// The handler has set the registers itself (sigreturn): r0 is left alone.
    NoReturn,
    /// This guest thread is over (exit).
    ExitThread,
}

impl From<SysResult> for SyscallResult {
    fn from(r: SysResult) -> SyscallResult {
        SyscallResult::Return(match r {
            Ok(v) => v as i32,
            Err(Errno(e)) => -e,
        })
    }
}

/// AT_SYMLINK_NOFOLLOW, the same in every ABI.
pub const AT_SYMLINK_NOFOLLOW: u32 = 0x100;

/// Runs system call `nr` of the ARM EABI with r0-r5 in `args`.
pub fn syscall(ctx: &mut SyscallContext<'_>, mut nr: u32, mut args: [u32; 6]) -> SyscallResult {
    if seccomp::active(&ctx.task.seccomp)
        && let Some(end) = seccomp::check(ctx, &mut nr, &mut args)
    {
        strace::refused(nr, &args, end);
        return end;
    }
    let Some(row) = table::lookup_arm(nr) else {
        strace::unknown(nr, &args);
        return unknown(ctx, nr);
    };
    if enabled(Items::STRACE | Items::POLICY) {
        return told(ctx, row, &args);
    }
    run(ctx, row, &args)
}

/// With a line for the call, or for its denial.
#[cold]
fn told(ctx: &mut SyscallContext<'_>, row: &'static Row, args: &[u32; 6]) -> SyscallResult {
    let sp = ctx.machine.cpu().r[13];
    let line = enabled(Items::STRACE).then(|| strace::before(row, args, sp));
    if let Some(line) = &line
        && let Some((signo, doomed)) = ends_itself(ctx, row, args)
    {
        strace::last_words(line, row, signo, doomed);
    }
    let result = run(ctx, row, args);
    if let Some(line) = line {
        strace::after(line, row, args, result, ctx.machine.cpu().r[0]);
    }
    if enabled(Items::POLICY) {
        note_denied(ctx.process, row.name, args, result);
    }
    result
}

/// Whether a call sends a signal to the caller that the host's kernel acts on alone, and whether that is its end.
fn ends_itself(ctx: &SyscallContext<'_>, row: &Row, args: &[u32; 6]) -> Option<(i32, bool)> {
    let (target, signo) = match row.name {
        "kill" | "tkill" => (args[0] as i32, args[1] as i32),
        "tgkill" => (args[1] as i32, args[2] as i32),
        _ => return None,
    };
    let own = target == ctx.task.tid && (1..=64).contains(&signo);
    own.then(|| {
        let stops = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
        let deadly = ctx.process.actions.get(signo).handler == SIG_DFL
            && !default_ignores(signo)
            && !stops.contains(&signo);
        (signo, deadly && !ctx.task.mask.contains(signo))
    })
}

/// arch/arm/kernel/traps.c arm_syscall: of the private range the kernel answers ENOSYS up to 0xf07ff, but for the first;
/// what lies beyond never comes here.
fn unknown(ctx: &mut SyscallContext<'_>, nr: u32) -> SyscallResult {
    if nr == table::ARM_PRIVATE {
        // "Branch through zero".
        ctx.machine.cpu().r[0] = 0;
        let info = GuestSigInfo::fault(libc::SIGSEGV, SEGV_MAPERR, 0);
        deliver::force(ctx.machine, ctx.task, ctx.process, &info);
        return SyscallResult::NoReturn;
    }
    SyscallResult::Return(-libc::ENOSYS)
}

fn run(ctx: &mut SyscallContext<'_>, row: &'static Row, args: &[u32; 6]) -> SyscallResult {
    match row.handler {
        Handler::Pass(host) => pass(ctx, row, host, args, false).into(),
        Handler::Block(host) => pass(ctx, row, host, args, true).into(),
        Handler::Plain(f) => plain(ctx.process, row, f, args).into(),
        Handler::Call(f) | Handler::Partly(_, f) => {
            let result = check_arguments(ctx.process, row, args).and_then(|()| f(ctx, args));
            result.map_err(|errno| right_error(errno, row, args)).into()
        }
        Handler::Control(f) => f(ctx, args),
        Handler::None => {
            strace::unimplemented(row, args);
            Err(Errno::ENOSYS).into()
        }
    }
}

/// A call that needs nothing of its thread.
pub fn plain(process: &'static Process, row: &Row, f: PlainHandler, args: &[u32; 6]) -> SysResult {
    let result = check_arguments(process, row, args).and_then(|()| f(process, args));
    result.map_err(|errno| right_error(errno, row, args))
}

/// The usual cases of a call, for translated code that goes on behind it.
pub fn part(
    process: &'static Process,
    row: &Row,
    f: PartHandler,
    args: &[u32; 6],
    cpu: &mut CpuState,
) -> Option<SysResult> {
    let result = match check_arguments(process, row, args) {
        Ok(()) => f(process, args, cpu)?,
        Err(errno) => Err(errno),
    };
    Some(result.map_err(|errno| right_error(errno, row, args)))
}

/// EBADF instead of EFAULT where the kernel looks at the descriptor first.
fn right_error(errno: Errno, row: &Row, args: &[u32; 6]) -> Errno {
    match errno {
        Errno::EFAULT => descriptor_error(row, args).unwrap_or(errno),
        _ => errno,
    }
}

/// Calls that follow a pointer before they look at the descriptor.
const POINTER_FIRST: [&str; 19] = [
    "epoll_ctl",
    "epoll_pwait2",
    "mq_getsetattr",
    "mq_notify",
    "mq_timedreceive",
    "mq_timedreceive_time64",
    "mq_timedsend",
    "mq_timedsend_time64",
    "open_by_handle_at",
    "recv",
    "recvfrom",
    "recvmmsg",
    "recvmmsg_time64",
    "send",
    "sendfile",
    "sendfile64",
    "sendto",
    "timerfd_settime",
    "timerfd_settime64",
];
/// Calls that look whether the descriptor is a socket's before they follow a pointer.
const SOCKET_FIRST: [&str; 10] = [
    "accept",
    "accept4",
    "bind",
    "connect",
    "getpeername",
    "getsockname",
    "getsockopt",
    "recvmsg",
    "sendmsg",
    "setsockopt",
];

/// What is wrong with a call's descriptors, which the kernel mostly says before EFAULT.
#[cold]
fn descriptor_error(row: &Row, args: &[u32; 6]) -> Option<Errno> {
    if POINTER_FIRST.contains(&row.name) {
        return None;
    }
    let mut word = 0;
    for &arg in row.args {
        let fd = args[word] as i32;
        word += arg.words();
        // SAFETY: asks for a flag, no pointers.
        if matches!(arg, Arg::Fd) && unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            return Some(Errno::EBADF);
        }
    }
    if !SOCKET_FIRST.contains(&row.name) {
        return None;
    }
    let (mut kind, mut len) = (0i32, size_of::<i32>() as libc::socklen_t);
    let (option, value) = (libc::SO_TYPE, (&raw mut kind).cast());
    // SAFETY: value and length live over the call.
    let answer = unsafe { libc::getsockopt(args[0] as i32, libc::SOL_SOCKET, option, value, &mut len) };
    (answer < 0).then(Errno::last)
}

/// Bytes that a pointer argument spans, if the row tells, and whether the call writes them.
fn span(arg: Arg, args: &[u32; 6]) -> Option<(u64, bool)> {
    match arg {
        Arg::In(size) => Some((size.into(), false)),
        Arg::Out(size) => Some((size.into(), true)),
        Arg::Buf(len) => Some((args[len].into(), false)),
        Arg::OutBuf(len) => Some((args[len].into(), true)),
        // A negative count is the call's own error.
        Arg::Array(_, count) if (args[count] as i32) < 0 => None,
        Arg::Array(size, count) => Some((u64::from(size) * u64::from(args[count]), true)),
        _ => None,
    }
}

/// Every pointer with a known extent lies in the guest's window, and no descriptor is the emulator's own.
fn check_arguments(process: &Process, row: &Row, args: &[u32; 6]) -> Result<(), Errno> {
    let mut word = 0;
    for &arg in row.args {
        if matches!(arg, Arg::Fd | Arg::DirFd) {
            guest_fd(process, args[word])?;
        }
        if let Some((len, writes)) = span(arg, args)
            && args[word] != 0
        {
            host_range(args[word], len, writes)?;
        }
        word += arg.words();
    }
    Ok(())
}

/// A descriptor argument as the host wants it; the emulator's own are none of the guest's.
fn guest_fd(process: &Process, value: u32) -> Result<u64, Errno> {
    if own_fds::is_hidden(process, value as i32) {
        return Err(Errno::EBADF);
    }
    Ok(signed(value))
}

/// A pointer that the host kernel answers EFAULT to where it follows it: the guest's is outside the window, and the host
/// decides whether something else is wrong first.
pub const NOWHERE: u64 = 0xffff_8000_0000_0000;

fn host_range(addr: u32, len: u64, writes: bool) -> Result<u64, Errno> {
    let len = u32::try_from(len).map_err(|_| Errno::EFAULT)?;
    if writes {
        guest::dst(addr, len)
    } else {
        guest::src(addr, len)
    }
}

/// The host's call of the same meaning: arguments widened, pointers checked and moved, paths translated, as the row
/// says.
fn pass(ctx: &mut SyscallContext<'_>, row: &Row, nr: i64, args: &[u32; 6], blocks: bool) -> SysResult {
    let mut paths = Paths::default();
    let host = convert(ctx.process, row.args, args, &mut paths)?;
    // SAFETY: every pointer among the arguments has been checked against the guest's window, or is one of `paths`.
    let ret = unsafe {
        if blocks {
            raw::syscall_interruptible(nr, host, ctx.machine.cpu())
        } else {
            raw::syscall(nr, host)
        }
    };
    Ok(Errno::check(ret)? as u32)
}

/// The paths of a call as the host takes them.
pub type Paths = [Option<HostPath>; 2];

/// The host's arguments: widened, pointers checked and moved, paths translated, as the row says; those live in `paths`.
pub fn convert(
    process: &Process,
    kinds: &[Arg],
    args: &[u32; 6],
    paths: &mut Paths,
) -> Result<[u64; 6], Errno> {
    let mut host = [0u64; 6];
    let (mut word, mut slot, mut dir) = (0, 0, libc::AT_FDCWD as u32);
    for &arg in kinds {
        if matches!(arg, Arg::DirFd) {
            dir = args[word];
        }
        if !matches!(arg, Arg::Pad) {
            host[slot] = if arg.is_path() {
                let path = translate(process, arg, args, (word, dir))?;
                let free = usize::from(paths[0].is_some());
                paths[free].insert(path).as_arg()
            } else {
                convert_one(process, arg, args, word)?
            };
            slot += 1;
        }
        word += arg.words();
    }
    Ok(host)
}

#[inline(always)]
fn convert_one(process: &Process, arg: Arg, args: &[u32; 6], word: usize) -> Result<u64, Errno> {
    let value = args[word];
    Ok(match arg {
        Arg::Fd | Arg::DirFd => guest_fd(process, value)?,
        Arg::Int | Arg::Sig => signed(value),
        Arg::Off64 => join(value, args[word + 1]),
        Arg::Str | Arg::Ptr => guest::src(value, 1).unwrap_or(NOWHERE),
        Arg::In(_) | Arg::Out(_) | Arg::Buf(_) | Arg::OutBuf(_) | Arg::Array(..) => match span(arg, args) {
            Some((len, writes)) if value != 0 => host_range(value, len, writes).unwrap_or(NOWHERE),
            _ => 0,
        },
        _ => value.into(),
    })
}

/// The path in `args[word]`, for what the row says of it.
fn translate(
    process: &Process,
    arg: Arg,
    args: &[u32; 6],
    (word, dir): (usize, u32),
) -> Result<HostPath, Errno> {
    let (follow, purpose) = match arg {
        Arg::LinkPath => (false, Purpose::Look),
        Arg::PathAt(flags) => (args[flags] & AT_SYMLINK_NOFOLLOW == 0, Purpose::Look),
        Arg::Name => (true, Purpose::Change),
        Arg::LinkName => (false, Purpose::Change),
        Arg::NameAt(flags) => (args[flags] & AT_SYMLINK_NOFOLLOW == 0, Purpose::Change),
        _ => (true, Purpose::Look),
    };
    path::translate_at(process, dir, args[word], follow, purpose)
}

/// One line under `-d policy` where it was the filter that refused a call.
#[cold]
fn note_denied(process: &Process, name: &str, args: &[u32; 6], result: SyscallResult) {
    let SyscallResult::Return(value) = result else {
        return;
    };
    let strict = process.settings.strict.as_ref().filter(|s| !s.allow_native);
    let option = match strict {
        Some(strict) => confine::strict::option_for(name, args, -value, &strict.cap_add),
        None => confine::policy::option_for(name, args, -value),
    };
    if let Some(option) = option {
        log::line(format_args!(
            "{name}: denied by the policy, errno {}; allowed by: {option}",
            -value
        ));
    }
}

/// Two words, low half first, as one value.
pub fn join(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// A host call from a handler. The caller vouches for the pointers.
///
/// # Safety
/// As [`raw::syscall`].
pub unsafe fn host(nr: i64, args: &[u64]) -> Result<u64, Errno> {
    // SAFETY: the caller's contract.
    Errno::check(unsafe { raw::syscall(nr, six(args)) })
}

/// A host call that can block and that guest signals interrupt.
///
/// # Safety
/// As [`raw::syscall`].
pub unsafe fn host_blocking(ctx: &mut SyscallContext<'_>, nr: i64, args: &[u64]) -> Result<u64, Errno> {
    // SAFETY: the caller's contract.
    Errno::check(unsafe { raw::syscall_interruptible(nr, six(args), ctx.machine.cpu()) })
}

fn six(args: &[u64]) -> [u64; 6] {
    std::array::from_fn(|i| args.get(i).copied().unwrap_or(0))
}

/// A descriptor or another signed argument as the host wants it.
pub fn signed(value: u32) -> u64 {
    i64::from(value as i32) as u64
}
