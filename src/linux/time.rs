//! Clocks, sleeping and timers.

use zerocopy::IntoBytes;

use super::abi::time::{Itimerspec32, Itimerspec64, Timespec32, Timespec64, Timeval32, Tms};
use super::call::SyscallContext;
use super::errno::{ERESTARTSYS, Errno, SysResult};
use super::process::Process;
use super::task::Rest;
use super::{guest, raw};

const ZERO: libc::timespec = libc::timespec {
    tv_sec: 0,
    tv_nsec: 0,
};
const ZERO_TIMER: libc::itimerspec = libc::itimerspec {
    it_interval: ZERO,
    it_value: ZERO,
};

/// A 32-bit timespec at `addr` in the host's form; `None` for a null pointer.
pub fn read_timespec32(addr: u32) -> Result<Option<libc::timespec>, Errno> {
    Ok(guest::get_opt::<Timespec32>(addr)?.map(Into::into))
}

/// A 64-bit timespec at `addr` in the host's form; `None` for a null pointer.
pub fn read_timespec64(addr: u32) -> Result<Option<libc::timespec>, Errno> {
    Ok(guest::get_opt::<Timespec64>(addr)?.map(Into::into))
}

fn required<T>(value: Option<T>) -> Result<T, Errno> {
    value.ok_or(Errno::EFAULT)
}

/// A pointer argument for the host.
fn to<T>(value: &T) -> u64 {
    std::ptr::from_ref(value) as u64
}

fn to_mut<T>(value: &mut T) -> u64 {
    std::ptr::from_mut(value) as u64
}

fn sign(value: u32) -> u64 {
    i64::from(value as i32) as u64
}

/// A host call whose pointers are all to locals of the caller with the kernel's layout.
fn call(nr: i64, args: &[u64]) -> Result<u64, Errno> {
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    // SAFETY: the callers in this file pass plain numbers and pointers to locals of the kernel's layout only.
    Errno::check(unsafe { raw::syscall(nr, all) })
}

fn get_clock(nr: i64, clock: u32) -> Result<libc::timespec, Errno> {
    let mut time = ZERO;
    call(nr, &[sign(clock), to_mut(&mut time)])?;
    Ok(time)
}

pub fn sys_clock_gettime(_process: &'static Process, args: &[u32; 6]) -> SysResult {
    let time = get_clock(libc::SYS_clock_gettime, args[0])?;
    guest::put(args[1], &Timespec32::from(time))?;
    Ok(0)
}

pub fn sys_clock_gettime64(_process: &'static Process, args: &[u32; 6]) -> SysResult {
    let time = get_clock(libc::SYS_clock_gettime, args[0])?;
    guest::put(args[1], &Timespec64::from(time))?;
    Ok(0)
}

pub fn sys_clock_getres(_process: &'static Process, args: &[u32; 6]) -> SysResult {
    let time = get_clock(libc::SYS_clock_getres, args[0])?;
    guest::put_opt(args[1], &Timespec32::from(time))?;
    Ok(0)
}

pub fn sys_clock_getres_time64(_process: &'static Process, args: &[u32; 6]) -> SysResult {
    let time = get_clock(libc::SYS_clock_getres, args[0])?;
    guest::put_opt(args[1], &Timespec64::from(time))?;
    Ok(0)
}

fn set_clock(clock: u32, time: Option<libc::timespec>) -> SysResult {
    let time = required(time)?;
    Ok(call(libc::SYS_clock_settime, &[sign(clock), to(&time)])? as u32)
}

pub fn sys_clock_settime(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    set_clock(args[0], read_timespec32(args[1])?)
}

pub fn sys_clock_settime64(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    set_clock(args[0], read_timespec64(args[1])?)
}

const NANOSECONDS: i64 = 1_000_000_000;

fn monotonic() -> libc::timespec {
    let mut now = ZERO;
    // SAFETY: the kernel (or its vDSO) writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now
}

/// The time `length` from now on the monotonic clock; `None` if that is for ever.
pub fn deadline(length: &libc::timespec) -> Option<libc::timespec> {
    let now = monotonic();
    let nanoseconds = now.tv_nsec.checked_add(length.tv_nsec)?;
    Some(libc::timespec {
        tv_sec: now
            .tv_sec
            .checked_add(length.tv_sec)?
            .checked_add(nanoseconds / NANOSECONDS)?,
        tv_nsec: nanoseconds % NANOSECONDS,
    })
}

/// What is left until `deadline`, at least 0.
fn until(deadline: &libc::timespec) -> libc::timespec {
    let now = monotonic();
    let total = |t: &libc::timespec| i128::from(t.tv_sec) * i128::from(NANOSECONDS) + i128::from(t.tv_nsec);
    let left = (total(deadline) - total(&now)).max(0);
    libc::timespec {
        tv_sec: (left / i128::from(NANOSECONDS)) as i64,
        tv_nsec: (left % i128::from(NANOSECONDS)) as i64,
    }
}

/// The time limit of a call that goes on after an interruption, which was `whole` at its start.
pub fn rest_of(rest: Option<Rest>, whole: libc::timespec) -> libc::timespec {
    match rest {
        Some(Rest::Until(end)) => until(&end),
        Some(Rest::For(length)) => length,
        Some(Rest::Arguments) | None => whole,
    }
}

/// Whether a call that waits was left before its end.
pub fn was_interrupted(ret: i64) -> bool {
    ret == -i64::from(libc::EINTR) || ret == -i64::from(ERESTARTSYS)
}

/// clock_nanosleep and nanosleep: the time left goes to `left` if a signal ended a relative sleep.
fn sleep(
    ctx: &mut SyscallContext<'_>,
    clock: u32,
    flags: u32,
    time: Option<libc::timespec>,
    left: impl FnOnce(libc::timespec) -> Result<(), Errno>,
) -> SysResult {
    let relative = flags & libc::TIMER_ABSTIME as u32 == 0;
    let resumed = ctx.task.rest.take().filter(|_| relative);
    let time = rest_of(resumed, required(time)?);
    let mut remaining = time;
    let args = [sign(clock), flags.into(), to(&time), to_mut(&mut remaining), 0, 0];
    // SAFETY: two timespecs that live through the call.
    let ret = unsafe { raw::syscall_interruptible(libc::SYS_clock_nanosleep, args, ctx.machine.cpu()) };
    if was_interrupted(ret) {
        let processors = matches!(
            clock as i32,
            libc::CLOCK_PROCESS_CPUTIME_ID | libc::CLOCK_THREAD_CPUTIME_ID | i32::MIN..0
        );
        ctx.task.rest = Some(if !relative {
            Rest::Arguments
        } else if processors {
            Rest::For(remaining)
        } else {
            deadline(&remaining).map_or(Rest::Arguments, Rest::Until)
        });
    }
    // Or a stop has interrupted it: the kernel has said then what was left, and gone on.
    let stopped = ret == 0 && (remaining.tv_sec, remaining.tv_nsec) != (time.tv_sec, time.tv_nsec);
    if relative && (stopped || ret == -i64::from(libc::EINTR)) {
        left(remaining)?;
    }
    Ok(Errno::check(ret)? as u32)
}

pub fn sys_clock_nanosleep(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [clock, flags, time, left, ..] = *args;
    sleep(ctx, clock, flags, read_timespec32(time)?, |t| {
        guest::put_opt(left, &Timespec32::from(t))
    })
}

pub fn sys_clock_nanosleep_time64(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [clock, flags, time, left, ..] = *args;
    sleep(ctx, clock, flags, read_timespec64(time)?, |t| {
        guest::put_opt(left, &Timespec64::from(t))
    })
}

/// nanosleep sleeps on the monotonic clock, as in the kernel.
pub fn sys_nanosleep(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [time, left, ..] = *args;
    let clock = libc::CLOCK_MONOTONIC as u32;
    sleep(ctx, clock, 0, read_timespec32(time)?, |t| {
        guest::put_opt(left, &Timespec32::from(t))
    })
}

pub fn sys_gettimeofday(_process: &'static Process, args: &[u32; 6]) -> SysResult {
    let mut time = libc::timeval {
        tv_sec: 0,
        tv_usec: 0,
    };
    let mut zone = [0i32; 2];
    call(libc::SYS_gettimeofday, &[to_mut(&mut time), to_mut(&mut zone)])?;
    guest::put_opt(args[0], &Timeval32::from(time))?;
    guest::put_opt(args[1], &zone)?;
    Ok(0)
}

pub fn sys_settimeofday(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let time: Option<libc::timeval> = guest::get_opt::<Timeval32>(args[0])?.map(Into::into);
    let zone = guest::get_opt::<[i32; 2]>(args[1])?;
    let time = time.as_ref().map_or(0, to);
    let zone = zone.as_ref().map_or(0, to);
    Ok(call(libc::SYS_settimeofday, &[time, zone])? as u32)
}

/// Seconds since 1970; not in the EABI, kept for completeness of the table.
pub fn sys_time(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let seconds = get_clock(libc::SYS_clock_gettime, libc::CLOCK_REALTIME as u32)?.tv_sec as u32;
    guest::put_opt(args[0], &seconds)?;
    Ok(seconds)
}

/// Sets the clock to whole seconds; not in the EABI, as `time`.
pub fn sys_stime(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let time = libc::timespec {
        tv_sec: guest::get::<i32>(args[0])?.into(),
        tv_nsec: 0,
    };
    set_clock(libc::CLOCK_REALTIME as u32, Some(time))
}

/// `struct itimerval` with 32-bit times: interval, value.
type Itimerval32 = [Timeval32; 2];

fn itimerval_from_host(host: &[libc::timeval; 2]) -> [u8; 16] {
    let mut out = [0; 16];
    for (i, time) in host.iter().enumerate() {
        out[8 * i..8 * i + 8].copy_from_slice(Timeval32::from(*time).as_bytes());
    }
    out
}

const ZERO_ITIMER: [libc::timeval; 2] = [libc::timeval {
    tv_sec: 0,
    tv_usec: 0,
}; 2];

pub fn sys_getitimer(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let mut value = ZERO_ITIMER;
    call(libc::SYS_getitimer, &[sign(args[0]), to_mut(&mut value)])?;
    guest::put(args[1], &itimerval_from_host(&value))?;
    Ok(0)
}

/// setitimer(which, new, old): a null `new` disarms.
pub fn sys_setitimer(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let new = match guest::get_opt::<Itimerval32>(args[1])? {
        Some(new) => new.map(libc::timeval::from),
        None => ZERO_ITIMER,
    };
    let mut old = ZERO_ITIMER;
    call(libc::SYS_setitimer, &[sign(args[0]), to(&new), to_mut(&mut old)])?;
    guest::put_opt(args[2], &itimerval_from_host(&old))?;
    Ok(0)
}

/// alarm(seconds); not in the EABI, whose C libraries use setitimer.
pub fn sys_alarm(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    Ok(call(libc::SYS_alarm, &[args[0].into()])? as u32)
}

/// x86-64's `struct sigevent`: value, signo, notify, thread id or function pointer.
#[repr(C)]
struct HostSigevent {
    value: u64,
    signo: i32,
    notify: i32,
    tid: i32,
    pad: [i32; 11],
}

/// A guest's sigevent (value, signo, notify, tid; 64 bytes) in the host's form. The value is 32 bits wide and
/// comes back as such in siginfo.
fn read_sigevent(addr: u32) -> Result<Option<HostSigevent>, Errno> {
    let guest = guest::get_opt::<[u32; 16]>(addr)?;
    Ok(guest.map(|words| HostSigevent {
        value: words[0].into(),
        signo: words[1] as i32,
        notify: words[2] as i32,
        tid: words[3] as i32,
        pad: [0; 11],
    }))
}

/// timer_create(clock, event, id).
pub fn sys_timer_create(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let event = read_sigevent(args[1])?;
    let mut id = 0i32;
    let pointer = event.as_ref().map_or(0, to);
    call(libc::SYS_timer_create, &[sign(args[0]), pointer, to_mut(&mut id)])?;
    if let Err(fault) = guest::put(args[2], &id) {
        call(libc::SYS_timer_delete, &[sign(id as u32)])?;
        return Err(fault);
    }
    Ok(0)
}

fn set_timer(id: u32, flags: u32, new: Option<libc::itimerspec>) -> Result<libc::itimerspec, Errno> {
    let new = new.ok_or(Errno::EINVAL)?;
    let mut old = ZERO_TIMER;
    call(
        libc::SYS_timer_settime,
        &[sign(id), flags.into(), to(&new), to_mut(&mut old)],
    )?;
    Ok(old)
}

/// timer_settime(id, flags, new, old).
pub fn sys_timer_settime(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let new = guest::get_opt::<Itimerspec32>(args[2])?.map(Into::into);
    let old = set_timer(args[0], args[1], new)?;
    guest::put_opt(args[3], &Itimerspec32::from(old))?;
    Ok(0)
}

pub fn sys_timer_settime64(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let new = guest::get_opt::<Itimerspec64>(args[2])?.map(Into::into);
    let old = set_timer(args[0], args[1], new)?;
    guest::put_opt(args[3], &Itimerspec64::from(old))?;
    Ok(0)
}

fn get_timer(id: u32) -> Result<libc::itimerspec, Errno> {
    let mut value = ZERO_TIMER;
    call(libc::SYS_timer_gettime, &[sign(id), to_mut(&mut value)])?;
    Ok(value)
}

pub fn sys_timer_gettime(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    guest::put(args[1], &Itimerspec32::from(get_timer(args[0])?))?;
    Ok(0)
}

pub fn sys_timer_gettime64(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    guest::put(args[1], &Itimerspec64::from(get_timer(args[0])?))?;
    Ok(0)
}

pub fn sys_timer_getoverrun(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    Ok(call(libc::SYS_timer_getoverrun, &[sign(args[0])])? as u32)
}

pub fn sys_timer_delete(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    Ok(call(libc::SYS_timer_delete, &[sign(args[0])])? as u32)
}

/// times(buffer): ticks, cut to 32 bits.
pub fn sys_times(_process: &'static Process, args: &[u32; 6]) -> SysResult {
    let mut host = [0i64; 4];
    let ticks = call(libc::SYS_times, &[to_mut(&mut host)])?;
    let [utime, stime, cutime, cstime] = host.map(|t| t as i32);
    let guest = Tms {
        utime,
        stime,
        cutime,
        cstime,
    };
    guest::put_opt(args[0], &guest)?;
    Ok(ticks as u32)
}

/// `struct timex` is 32 words on ARM: which of them is which field of the host's.
mod timex {
    /// modes, then offset, freq, maxerror, esterror.
    pub const HEAD: usize = 5;
    pub const STATUS: usize = 5;
    /// constant, precision, tolerance.
    pub const MIDDLE: std::ops::Range<usize> = 6..9;
    pub const SECONDS: usize = 9;
    pub const MICROSECONDS: usize = 10;
    /// tick, ppsfreq, jitter.
    pub const TICK: std::ops::Range<usize> = 11..14;
    pub const SHIFT: usize = 14;
    /// stabil, jitcnt, calcnt, errcnt, stbcnt.
    pub const TAIL: std::ops::Range<usize> = 15..20;
    pub const TAI: usize = 20;
}

fn timex_to_host(w: &[i32; 32]) -> libc::timex {
    // SAFETY: timex is plain integers.
    let mut host: libc::timex = unsafe { std::mem::zeroed() };
    host.modes = w[0] as u32;
    [host.offset, host.freq, host.maxerror, host.esterror] = [1, 2, 3, 4].map(|i| w[i].into());
    host.status = w[timex::STATUS];
    [host.constant, host.precision, host.tolerance] = [0, 1, 2].map(|i| w[timex::MIDDLE.start + i].into());
    host.time.tv_sec = w[timex::SECONDS].into();
    host.time.tv_usec = w[timex::MICROSECONDS].into();
    [host.tick, host.ppsfreq, host.jitter] = [0, 1, 2].map(|i| w[timex::TICK.start + i].into());
    host.shift = w[timex::SHIFT];
    host
}

fn timex_from_host(host: &libc::timex) -> [i32; 32] {
    let mut w = [0; 32];
    let head = [
        i64::from(host.modes),
        host.offset,
        host.freq,
        host.maxerror,
        host.esterror,
    ];
    let middle = [host.constant, host.precision, host.tolerance];
    let tick = [host.tick, host.ppsfreq, host.jitter];
    let tail = [host.stabil, host.jitcnt, host.calcnt, host.errcnt, host.stbcnt];
    let mut put = |start: usize, values: &[i64]| {
        for (slot, value) in w[start..].iter_mut().zip(values) {
            *slot = *value as i32;
        }
    };
    put(timex::HEAD - head.len(), &head);
    put(timex::MIDDLE.start, &middle);
    put(timex::SECONDS, &[host.time.tv_sec, host.time.tv_usec]);
    put(timex::TICK.start, &tick);
    put(timex::TAIL.start, &tail);
    w[timex::STATUS] = host.status;
    w[timex::SHIFT] = host.shift;
    w[timex::TAI] = host.tai;
    w
}

fn adjust(clock: Option<u32>, addr: u32) -> SysResult {
    let words = guest::get::<[i32; 32]>(addr)?;
    let mut host = timex_to_host(&words);
    let state = match clock {
        Some(clock) => call(libc::SYS_clock_adjtime, &[sign(clock), to_mut(&mut host)])?,
        None => call(libc::SYS_adjtimex, &[to_mut(&mut host)])?,
    };
    guest::put(addr, &timex_from_host(&host))?;
    Ok(state as u32)
}

pub fn sys_adjtimex(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    adjust(None, args[0])
}

/// clock_adjtime(clock, timex) with 32-bit times.
pub fn sys_clock_adjtime(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    adjust(Some(args[0]), args[1])
}

/// clock_adjtime64: `struct __kernel_timex` has the host's layout on every architecture.
pub fn sys_clock_adjtime64(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let mut host = [0u8; size_of::<libc::timex>()];
    guest::get_bytes(args[1], &mut host)?;
    let state = call(
        libc::SYS_clock_adjtime,
        &[sign(args[0]), host.as_mut_ptr() as u64],
    )?;
    guest::put_bytes(args[1], &host)?;
    Ok(state as u32)
}
