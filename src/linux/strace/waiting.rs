//! Whether a call is going to wait, asked just before it is made: such a call is shown as it begins.
//!
//! The kernel is asked without taking anything from it. What it says may be another thing a moment later, and locks and
//! queues cannot be asked: then a call that did not wait takes two lines, or one that waits none until it ends.

use super::memory::{half, raw, word, words};
use crate::linux::table::Row;

/// Waits that a time-out ends sooner than this, in nanoseconds, are not worth two lines.
const SHORT: u64 = 10_000_000;

/// Whether the call is going to wait.
pub fn waits(row: &Row, args: &[u32; 6]) -> bool {
    let name = row.name;
    let wide = name.ends_with("_time64") || name == "epoll_pwait2";
    let fd = args[0] as i32;
    match name.trim_end_matches("_time64") {
        "read" | "readv" | "accept" | "accept4" | "mq_timedreceive" => !ready(fd, libc::POLLIN),
        "recv" | "recvfrom" | "recvmmsg" => received_later(fd, args[3]),
        "recvmsg" => received_later(fd, args[2]),
        "write" | "writev" | "send" | "sendto" | "sendmsg" | "mq_timedsend" => !ready(fd, libc::POLLOUT),
        "connect" => blocking(fd) && handshakes(fd),
        "flock" => args[1] as i32 & (libc::LOCK_NB | libc::LOCK_UN) == 0,
        "fcntl" | "fcntl64" => matches!(args[1] as i32, libc::F_SETLKW | F_SETLKW64 | libc::F_OFD_SETLKW),
        "futex" => futex(args, wide),
        "futex_waitv" => long(args[3], true),
        "wait4" => child_later(args[0] as i32, args[2] as i32 | libc::WEXITED),
        "waitid" => nothing_yet(args[0], args[1], args[3] as i32),
        "vfork" => true,
        "clone" => args[0] & libc::CLONE_VFORK as u32 != 0,
        "nanosleep" => sleeps(args[0], wide),
        "clock_nanosleep" => args[1] & 1 != 0 || sleeps(args[2], wide),
        "pause" | "sigsuspend" | "rt_sigsuspend" => true,
        "rt_sigtimedwait" => long(args[2], wide),
        "poll" => (args[2] as i32 >= 10 || (args[2] as i32) < 0) && none_ready(args),
        "ppoll" => long(args[2], wide) && none_ready(args),
        "_newselect" => timeval_long(args[4]) && none_selected(args),
        "pselect6" => long(args[4], wide) && none_selected(args),
        "epoll_wait" | "epoll_pwait" => {
            (args[3] as i32 >= 10 || (args[3] as i32) < 0) && !polled(fd, libc::POLLIN)
        }
        "epoll_pwait2" => long(args[3], wide) && !polled(fd, libc::POLLIN),
        "msgrcv" => args[4] as i32 & libc::IPC_NOWAIT == 0,
        "semop" | "semtimedop" => takes(args[1], args[2]),
        _ => false,
    }
}

/// ARM's fcntl64 alone has it (asm-generic/fcntl.h).
const F_SETLKW64: i32 = 14;

/// Seconds and nanoseconds at `addr`.
fn timespec(addr: u32, wide: bool) -> Option<u64> {
    let [seconds, rest] = if wide {
        let fields = words::<4>(addr)?;
        [fields[0], fields[2]]
    } else {
        words::<2>(addr)?
    };
    Some(u64::from(seconds) * 1_000_000_000 + u64::from(rest))
}

/// A time-out that is none, or not a short one.
fn long(addr: u32, wide: bool) -> bool {
    addr == 0 || sleeps(addr, wide)
}

fn sleeps(addr: u32, wide: bool) -> bool {
    timespec(addr, wide).is_some_and(|time| time >= SHORT)
}

fn timeval_long(addr: u32) -> bool {
    let time = || words::<2>(addr).map(|[s, us]| u64::from(s) * 1_000_000_000 + u64::from(us) * 1000);
    addr == 0 || time().is_some_and(|time| time >= SHORT)
}

fn blocking(fd: i32) -> bool {
    // SAFETY: F_GETFL has no preconditions.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    flags >= 0 && flags & libc::O_NONBLOCK == 0
}

/// poll(2) has something to say of `fd`.
fn polled(fd: i32, events: i16) -> bool {
    let mut one = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    // SAFETY: one record, which the call writes.
    unsafe { libc::poll(&mut one, 1, 0) != 0 }
}

/// A transfer does not wait.
fn ready(fd: i32, events: i16) -> bool {
    !blocking(fd) || polled(fd, events)
}

/// A stream socket whose peer has to answer.
fn handshakes(fd: i32) -> bool {
    let option = |name| {
        let (mut value, mut len) = (0i32, 4);
        // SAFETY: the call writes at most the four bytes of `value`.
        let r = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, name, (&raw mut value).cast(), &mut len) };
        (r == 0).then_some(value)
    };
    option(libc::SO_TYPE) == Some(libc::SOCK_STREAM) && option(libc::SO_DOMAIN) != Some(libc::AF_UNIX)
}

fn received_later(fd: i32, flags: u32) -> bool {
    flags as i32 & libc::MSG_DONTWAIT == 0 && !ready(fd, libc::POLLIN)
}

fn futex(args: &[u32; 6], wide: bool) -> bool {
    let value = || word(args[0]);
    match args[1] as i32 & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME) {
        libc::FUTEX_WAIT => value() == Some(args[2]) && long(args[3], wide),
        libc::FUTEX_WAIT_BITSET | libc::FUTEX_WAIT_REQUEUE_PI => value() == Some(args[2]),
        libc::FUTEX_LOCK_PI | FUTEX_LOCK_PI2 => value() != Some(0),
        _ => false,
    }
}

const FUTEX_LOCK_PI2: i32 = 13;

/// Of the children that wait4's `pid` means, none has anything to say.
fn child_later(pid: i32, options: i32) -> bool {
    match pid {
        -1 => nothing_yet(libc::P_ALL, 0, options),
        0 => nothing_yet(libc::P_PGID, 0, options),
        ..-1 => nothing_yet(libc::P_PGID, pid.unsigned_abs(), options),
        _ => nothing_yet(libc::P_PID, pid as u32, options),
    }
}

fn nothing_yet(kind: u32, id: u32, options: i32) -> bool {
    // SAFETY: a siginfo_t of zeros is valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = options | libc::WNOWAIT;
    // SAFETY: the call writes `info`; WNOWAIT leaves the child as it is.
    let r = unsafe { libc::waitid(kind, id, &mut info, options | libc::WNOHANG) };
    // SAFETY: waitid wrote it, or it is all zeros.
    options & libc::WNOHANG == 0 && r == 0 && unsafe { info.si_pid() } == 0
}

/// Nothing of a pollfd array, which is the host's, is ready.
fn none_ready(args: &[u32; 6]) -> bool {
    let Some(bytes) = raw(args[0], args[1].min(1024) as usize * 8).or((args[1] == 0).then(Vec::new)) else {
        return false;
    };
    let records = bytes.as_chunks::<8>().0.iter();
    let mut set: Vec<libc::pollfd> = records
        .map(|r| libc::pollfd {
            fd: i32::from_le_bytes([r[0], r[1], r[2], r[3]]),
            events: i16::from_le_bytes([r[4], r[5]]),
            revents: 0,
        })
        .collect();
    // SAFETY: an array of that many records.
    unsafe { libc::poll(set.as_mut_ptr(), set.len() as libc::nfds_t, 0) == 0 }
}

/// Nothing of select's three sets, of 32-bit words that together are the host's longs, is ready.
fn none_selected(args: &[u32; 6]) -> bool {
    let count = args[0] as usize;
    if count > libc::FD_SETSIZE {
        return false;
    }
    let mut sets = [[0u64; libc::FD_SETSIZE / 64]; 3];
    for (set, &addr) in sets.iter_mut().zip(&args[1..4]) {
        let bytes = raw(addr, count.div_ceil(32) * 4).unwrap_or_default();
        for (i, b) in bytes.iter().enumerate() {
            set[i / 8] |= u64::from(*b) << (i % 8 * 8);
        }
    }
    let mut now = libc::timeval {
        tv_sec: 0,
        tv_usec: 0,
    };
    let [read, write, except] = sets.each_mut().map(|s| s.as_mut_ptr().cast::<libc::fd_set>());
    // SAFETY: three sets of FD_SETSIZE bits, and a time.
    unsafe { libc::select(count as i32, read, write, except, &mut now) == 0 }
}

/// Whether one of `count` sembufs takes from a semaphore, or waits for its zero, and is ready to wait.
fn takes(addr: u32, count: u32) -> bool {
    (0..count.min(500)).any(|i| {
        let field = |at| half(addr.wrapping_add(6 * i + at));
        let taken = field(2).is_some_and(|op| op as i16 <= 0);
        taken && field(4).is_some_and(|flags| i32::from(flags) & libc::IPC_NOWAIT == 0)
    })
}
