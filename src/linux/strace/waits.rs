//! Waiting in a trace (poll, select, epoll) and System V and POSIX IPC.

use super::decode::At;
use super::memory::{array, bytes, flags, half, long, octal, pointer, word, words};
use super::times::{self, left};
use crate::linux::table::flags as names;
use crate::linux::table::flags::Names;

static POLL: Names = Names {
    mask: 0,
    names: &[
        (1, "POLLIN"),
        (2, "POLLPRI"),
        (4, "POLLOUT"),
        (0x40, "POLLRDNORM"),
        (0x80, "POLLRDBAND"),
        (0x100, "POLLWRNORM"),
        (0x200, "POLLWRBAND"),
        (8, "POLLERR"),
        (0x10, "POLLHUP"),
        (0x20, "POLLNVAL"),
        (0x2000, "POLLRDHUP"),
    ],
};

/// What is waited for.
pub fn poll(at: &At<'_>) -> Option<String> {
    array(at.v, at.args[1], 8, |a| {
        let fd = word(a)? as i32;
        if fd < 0 {
            return Some(format!("{{fd={fd}}}"));
        }
        Some(format!(
            "{{fd={fd}, events={}}}",
            flags(&POLL, half(a + 4)?.into())
        ))
    })
}

/// What has come.
fn poll_events(args: &[u32; 6], count: u32) -> Option<String> {
    if count == 0 {
        return None;
    }
    let mut shown = Vec::new();
    for i in 0..args[1].min(1024) {
        let at = args[0] + 8 * i;
        let events = half(at + 6)?;
        if events != 0 {
            shown.push(format!(
                "{{fd={}, revents={}}}",
                word(at)? as i32,
                flags(&POLL, events.into())
            ));
        }
    }
    Some(format!("[{}]", shown.join(", ")))
}

pub fn poll_result(args: &[u32; 6], value: u32) -> Option<String> {
    Some(match poll_events(args, value) {
        Some(events) => format!("{value} ({events})"),
        None => "0 (Timeout)".into(),
    })
}

fn ppoll_end(args: &[u32; 6], value: u32, time: Option<String>) -> Option<String> {
    Some(match poll_events(args, value) {
        Some(events) => format!("{value} ({events}{})", left(time)),
        None => "0 (Timeout)".into(),
    })
}

fn third(args: &[u32; 6], word: usize) -> At<'_> {
    At {
        v: args[word],
        args,
        word,
        returned: None,
    }
}

pub fn ppoll_result(args: &[u32; 6], value: u32) -> Option<String> {
    ppoll_end(args, value, times::timespec(&third(args, 2)))
}

pub fn ppoll64_result(args: &[u32; 6], value: u32) -> Option<String> {
    ppoll_end(args, value, times::timespec64(&third(args, 2)))
}

/// A set of descriptors below `n`.
fn fd_set(addr: u32, n: u32) -> Option<String> {
    let mut shown = Vec::new();
    for fd in 0..n.min(1024 * 64) {
        if addr == 0 {
            return None;
        }
        if word(addr + fd / 32 * 4)? >> (fd % 32) & 1 == 1 {
            shown.push(fd.to_string());
        }
    }
    Some(format!("[{}]", shown.join(" ")))
}

pub fn select_set(at: &At<'_>) -> Option<String> {
    (at.v != 0).then_some(())?;
    fd_set(at.v, at.args[0])
}

fn select_end(args: &[u32; 6], value: u32, time: Option<String>) -> Option<String> {
    if value == 0 {
        return Some("0 (Timeout)".into());
    }
    let mut parts = Vec::new();
    for (name, set) in ["in", "out", "except"].iter().zip(&args[1..4]) {
        if let Some(shown) = fd_set(*set, args[0]).filter(|s| s != "[]") {
            parts.push(format!("{name} {shown}"));
        }
    }
    Some(format!("{value} ({}{})", parts.join(", "), left(time)))
}

pub fn select_result(args: &[u32; 6], value: u32) -> Option<String> {
    select_end(args, value, times::timeval(&third(args, 4)))
}

pub fn pselect_result(args: &[u32; 6], value: u32) -> Option<String> {
    select_end(args, value, times::timespec(&third(args, 4)))
}

pub fn pselect64_result(args: &[u32; 6], value: u32) -> Option<String> {
    select_end(args, value, times::timespec64(&third(args, 4)))
}

/// pselect6's last argument: a set and its size.
pub fn pselect_mask(at: &At<'_>) -> Option<String> {
    let [set, size] = words::<2>(at.v)?;
    let shown = long(set).map_or_else(|| pointer(set), super::signals::set);
    Some(format!("{{sigmask={shown}, sigsetsize={size}}}"))
}

static EPOLL: Names = Names {
    mask: 0,
    names: &[
        (1, "EPOLLIN"),
        (2, "EPOLLPRI"),
        (4, "EPOLLOUT"),
        (0x40, "EPOLLRDNORM"),
        (0x80, "EPOLLRDBAND"),
        (0x100, "EPOLLWRNORM"),
        (0x200, "EPOLLWRBAND"),
        (0x400, "EPOLLMSG"),
        (8, "EPOLLERR"),
        (0x10, "EPOLLHUP"),
        (0x2000, "EPOLLRDHUP"),
        (0x1000_0000, "EPOLLEXCLUSIVE"),
        (0x2000_0000, "EPOLLWAKEUP"),
        (0x4000_0000, "EPOLLONESHOT"),
        (0x8000_0000, "EPOLLET"),
    ],
};

/// struct epoll_event of ARM: events, a word of padding, 64 bits of data.
fn epoll_event_at(addr: u32) -> Option<String> {
    let (events, data) = (word(addr)?, long(addr + 8)?);
    Some(format!(
        "{{events={}, data={{u32={}, u64={data}}}}}",
        flags(&EPOLL, events),
        data as u32
    ))
}

pub fn epoll_event(at: &At<'_>) -> Option<String> {
    const EPOLL_CTL_DEL: u32 = 2;
    if at.args[1] == EPOLL_CTL_DEL {
        None
    } else {
        epoll_event_at(at.v)
    }
}

pub fn epoll_events(at: &At<'_>) -> Option<String> {
    array(at.v, at.returned?, 16, epoll_event_at)
}

/// Operations of semop(2).
pub fn semaphores(at: &At<'_>) -> Option<String> {
    const FLAGS: Names = Names {
        mask: 0,
        names: &[(0x1000, "SEM_UNDO"), (0o4000, "IPC_NOWAIT")],
    };
    array(at.v, at.args[2], 6, |a| {
        let (number, op, bits) = (half(a)?, half(a + 2)? as i16, half(a + 4)?);
        Some(format!(
            "{{sem_num={number}, sem_op={op}, sem_flg={}}}",
            flags(&FLAGS, bits.into())
        ))
    })
}

/// A key, of which 0 is a name.
pub fn key(at: &At<'_>) -> Option<String> {
    Some(if at.v == 0 {
        "IPC_PRIVATE".into()
    } else {
        format!("{:#x}", at.v)
    })
}

/// Flags and permissions of the get calls.
pub fn get_flags(at: &At<'_>) -> Option<String> {
    const FLAGS: Names = Names {
        mask: 0,
        names: &[
            (0o1000, "IPC_CREAT"),
            (0o2000, "IPC_EXCL"),
            (0o4000, "SHM_HUGETLB"),
            (0o10000, "SHM_NORESERVE"),
        ],
    };
    let mode = octal(at.v & 0o777);
    Some(match at.v & !0o777 {
        0 => mode,
        rest => format!("{}|{mode}", flags(&FLAGS, rest)),
    })
}

pub fn shmat_flags(at: &At<'_>) -> Option<String> {
    const FLAGS: Names = Names {
        mask: 0,
        names: &[
            (0o10000, "SHM_RDONLY"),
            (0o20000, "SHM_RND"),
            (0o40000, "SHM_REMAP"),
            (0o100000, "SHM_EXEC"),
        ],
    };
    Some(flags(&FLAGS, at.v))
}

pub fn receive_flags(at: &At<'_>) -> Option<String> {
    const FLAGS: Names = Names {
        mask: 0,
        names: &[
            (0o10000, "MSG_NOERROR"),
            (0o20000, "MSG_EXCEPT"),
            (0o40000, "MSG_COPY"),
            (0o4000, "IPC_NOWAIT"),
        ],
    };
    Some(flags(&FLAGS, at.v))
}

/// A control call's command; what the C library adds says which structures are meant.
fn command(v: u32, kind: &[(u32, &str)]) -> String {
    const COMMON: [(u32, &str); 4] = [(0, "IPC_RMID"), (1, "IPC_SET"), (2, "IPC_STAT"), (3, "IPC_INFO")];
    let plain = v & !0x100;
    let name = kind.iter().chain(&COMMON).find(|(n, _)| *n == plain);
    let name = name.map_or_else(|| format!("{plain:#x}"), |(_, n)| (*n).to_string());
    if v & 0x100 != 0 {
        format!("IPC_64|{name}")
    } else {
        name
    }
}

pub fn shm_command(at: &At<'_>) -> Option<String> {
    Some(command(
        at.v,
        &[
            (11, "SHM_LOCK"),
            (12, "SHM_UNLOCK"),
            (13, "SHM_STAT"),
            (14, "SHM_INFO"),
            (15, "SHM_STAT_ANY"),
        ],
    ))
}

/// struct shmid64_ds, where the command asks for it.
pub fn segment(at: &At<'_>) -> Option<String> {
    const IPC_STAT: u32 = 2;
    (at.args[1] & !0x100 == IPC_STAT).then_some(())?;
    let [key, uid, gid, cuid, cgid, mode] = words::<6>(at.v)?;
    let [size, access, _, detach, _, change, _, creator, last, attached] =
        words::<10>(at.v.checked_add(36)?)?;
    Some(format!(
        "{{shm_perm={{uid={uid}, gid={gid}, mode={}, key={}, cuid={cuid}, cgid={cgid}}}, shm_segsz={size}, \
         shm_cpid={creator}, shm_lpid={last}, shm_nattch={attached}, shm_atime={access}, shm_dtime={detach}, shm_ctime={change}}}",
        octal(mode),
        if key == 0 { "0".into() } else { format!("{key:#x}") }
    ))
}

pub fn msg_command(at: &At<'_>) -> Option<String> {
    Some(command(
        at.v,
        &[(11, "MSG_STAT"), (12, "MSG_INFO"), (13, "MSG_STAT_ANY")],
    ))
}

pub fn sem_command(at: &At<'_>) -> Option<String> {
    const COMMANDS: [(u32, &str); 10] = [
        (11, "GETPID"),
        (12, "GETVAL"),
        (13, "GETALL"),
        (14, "GETNCNT"),
        (15, "GETZCNT"),
        (16, "SETVAL"),
        (17, "SETALL"),
        (18, "SEM_STAT"),
        (19, "SEM_INFO"),
        (20, "SEM_STAT_ANY"),
    ];
    Some(command(at.v, &COMMANDS))
}

/// semctl's last argument: a number where a value is set.
pub fn sem_argument(at: &At<'_>) -> Option<String> {
    const SETVAL: u32 = 16;
    Some(if at.args[2] & !0x100 == SETVAL {
        format!("{:#x}", at.v)
    } else {
        pointer(at.v)
    })
}

/// A System V message: its type and `len` bytes.
fn message(addr: u32, len: u32) -> Option<String> {
    Some(format!(
        "{{mtype={}, mtext={}}}",
        word(addr)? as i32,
        bytes(addr.checked_add(4)?, len)
    ))
}

pub fn message_in(at: &At<'_>) -> Option<String> {
    message(at.v, at.args[2])
}

pub fn message_out(at: &At<'_>) -> Option<String> {
    message(at.v, at.args[2])
}

/// struct mq_attr.
pub fn mq_attributes(at: &At<'_>) -> Option<String> {
    let [bits, most, size, now] = words::<4>(at.v)?;
    let bits = if bits == 0 {
        "0".into()
    } else {
        flags(&names::OPEN, bits)
    };
    Some(format!(
        "{{mq_flags={bits}, mq_maxmsg={most}, mq_msgsize={size}, mq_curmsgs={now}}}"
    ))
}
