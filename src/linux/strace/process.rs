//! Processes in a trace: clone, wait, limits, prctl, scheduling.

use super::decode::At;
use super::memory::{array, flags, number, pointer, quoted, raw, string, word, words};
use super::times;
use crate::linux::table::flags as names;
use crate::linux::table::flags::{Names, signal_name};

static CLONE: Names = Names {
    mask: 0,
    names: &[
        (0x100, "CLONE_VM"),
        (0x200, "CLONE_FS"),
        (0x400, "CLONE_FILES"),
        (0x800, "CLONE_SIGHAND"),
        (0x1000, "CLONE_PIDFD"),
        (0x2000, "CLONE_PTRACE"),
        (0x4000, "CLONE_VFORK"),
        (0x8000, "CLONE_PARENT"),
        (0x1_0000, "CLONE_THREAD"),
        (0x2_0000, "CLONE_NEWNS"),
        (0x4_0000, "CLONE_SYSVSEM"),
        (0x8_0000, "CLONE_SETTLS"),
        (0x10_0000, "CLONE_PARENT_SETTID"),
        (0x20_0000, "CLONE_CHILD_CLEARTID"),
        (0x40_0000, "CLONE_DETACHED"),
        (0x80_0000, "CLONE_UNTRACED"),
        (0x100_0000, "CLONE_CHILD_SETTID"),
        (0x200_0000, "CLONE_NEWCGROUP"),
        (0x400_0000, "CLONE_NEWUTS"),
        (0x800_0000, "CLONE_NEWIPC"),
        (0x1000_0000, "CLONE_NEWUSER"),
        (0x2000_0000, "CLONE_NEWPID"),
        (0x4000_0000, "CLONE_NEWNET"),
        (0x8000_0000, "CLONE_IO"),
    ],
};

/// clone(flags, stack, parent_tid, tls, child_tid): what the flags ask for, by name.
pub fn clone(args: &[u32; 6], returned: Option<u32>) -> Vec<String> {
    const PARENT_TID: u32 = 0x10_0000 | 0x1000;
    const TLS: u32 = 0x8_0000;
    const CHILD_TID: u32 = 0x20_0000 | 0x100_0000;
    let [bits, stack, parent, tls, child, _] = *args;
    let mut how = match bits & !0xff {
        0 => String::new(),
        rest => flags(&CLONE, rest),
    };
    if bits & 0xff != 0 || how.is_empty() {
        if !how.is_empty() {
            how.push('|');
        }
        how += &signal_name(bits & 0xff);
    }
    let mut shown = vec![format!("child_stack={}", pointer(stack)), format!("flags={how}")];
    if bits & PARENT_TID != 0 {
        let tid = returned.and_then(|_| number(parent));
        shown.push(format!("parent_tid={}", tid.unwrap_or_else(|| pointer(parent))));
    }
    if bits & TLS != 0 {
        shown.push(format!("tls={}", pointer(tls)));
    }
    if bits & CHILD_TID != 0 {
        shown.push(format!("child_tidptr={}", pointer(child)));
    }
    shown
}

pub fn namespaces(at: &At<'_>) -> Option<String> {
    Some(flags(&CLONE, at.v))
}

/// A wait status, of a child that there was.
pub fn status(at: &At<'_>) -> Option<String> {
    let status = word(at.v).filter(|_| at.returned != Some(0))?;
    let (low, high) = (status & 0x7f, status >> 8 & 0xff);
    Some(match status {
        0xffff => "[{WIFCONTINUED(s)}]".into(),
        _ if low == 0 => format!("[{{WIFEXITED(s) && WEXITSTATUS(s) == {high}}}]"),
        _ if low == 0x7f => {
            let event = match status >> 16 {
                0 => String::new(),
                event => format!(" | {event:#x} << 16"),
            };
            format!(
                "[{{WIFSTOPPED(s) && WSTOPSIG(s) == {}}}{event}]",
                signal_name(high)
            )
        }
        _ => {
            let core = if status & 0x80 != 0 {
                " && WCOREDUMP(s)"
            } else {
                ""
            };
            format!(
                "[{{WIFSIGNALED(s) && WTERMSIG(s) == {}{core}}}]",
                signal_name(low)
            )
        }
    })
}

pub fn rusage(at: &At<'_>) -> Option<String> {
    let [us, uu, ss, su] = words::<4>(at.v).filter(|_| at.returned != Some(0) || at.word == 1)?;
    Some(format!(
        "{{ru_utime={{tv_sec={us}, tv_usec={uu}}}, ru_stime={{tv_sec={ss}, tv_usec={su}}}, ...}}"
    ))
}

fn limit(value: u64, unlimited: u64, name: &str) -> String {
    match value {
        v if v == unlimited => name.into(),
        v if v > 1024 && v % 1024 == 0 => format!("{}*1024", v / 1024),
        v => v.to_string(),
    }
}

pub fn rlimit(at: &At<'_>) -> Option<String> {
    let [soft, hard] = words::<2>(at.v)?;
    let show = |v: u32| limit(v.into(), u32::MAX.into(), "RLIM_INFINITY");
    Some(format!("{{rlim_cur={}, rlim_max={}}}", show(soft), show(hard)))
}

pub fn rlimit64(at: &At<'_>) -> Option<String> {
    let [a, b, c, d] = words::<4>(at.v)?;
    let show = |low: u32, high: u32| {
        limit(
            u64::from(high) << 32 | u64::from(low),
            u64::MAX,
            "RLIM64_INFINITY",
        )
    };
    Some(format!("{{rlim_cur={}, rlim_max={}}}", show(a, b), show(c, d)))
}

/// execve's arguments: the array, and how many variables there are.
pub fn arguments(at: &At<'_>) -> Option<String> {
    let mut shown = Vec::new();
    for i in 0..=32 {
        match word(at.v.checked_add(4 * i)?)? {
            0 => return Some(format!("[{}]", shown.join(", "))),
            _ if i == 32 => break,
            one => shown.push(string(one)),
        }
    }
    Some(format!("[{}, ...]", shown.join(", ")))
}

pub fn environment(at: &At<'_>) -> Option<String> {
    let count = (0..65536).find(|i| word(at.v.wrapping_add(4 * i)).is_none_or(|w| w == 0))?;
    (at.v != 0).then(|| variables(at.v, count as usize))
}

/// An environment at `addr`.
pub fn variables(addr: u32, count: usize) -> String {
    format!("{addr:#x} /* {count} var{} */", if count == 1 { "" } else { "s" })
}

/// uname's first fields.
pub fn uname(at: &At<'_>) -> Option<String> {
    let field = |i: u32| {
        let bytes = raw(at.v + 65 * i, 65)?;
        Some(quoted(bytes.split(|&b| b == 0).next()?))
    };
    Some(format!("{{sysname={}, nodename={}, ...}}", field(0)?, field(1)?))
}

pub fn sysinfo(at: &At<'_>) -> Option<String> {
    let w = words::<14>(at.v)?;
    Some(format!(
        "{{uptime={}, loads=[{}, {}, {}], totalram={}, freeram={}, sharedram={}, bufferram={}, totalswap={}, freeswap={}, \
         procs={}, totalhigh={}, freehigh={}, mem_unit={}}}",
        w[0],
        w[1],
        w[2],
        w[3],
        w[4],
        w[5],
        w[6],
        w[7],
        w[8],
        w[9],
        w[10] & 0xffff,
        w[11],
        w[12],
        w[13]
    ))
}

/// A pointer to one number.
pub fn one(at: &At<'_>) -> Option<String> {
    number(at.v)
}

/// A user or group id: -1 leaves it.
pub fn id(at: &At<'_>) -> Option<String> {
    Some(if at.v == u32::MAX {
        "-1".into()
    } else {
        at.v.to_string()
    })
}

/// As many ids as the call has returned.
pub fn ids_out(at: &At<'_>) -> Option<String> {
    array(at.v, at.returned?, 4, |a| word(a).map(|v| v.to_string())).filter(|_| at.args[0] != 0)
}

pub fn ids_in(at: &At<'_>) -> Option<String> {
    array(at.v, at.args[0], 4, |a| word(a).map(|v| v.to_string()))
}

/// A set of processors of `len` bytes.
fn processors(addr: u32, len: u32) -> Option<String> {
    let bytes = raw(addr, len.min(1024) as usize)?;
    let set = (0..bytes.len() * 8).filter(|i| bytes[i / 8] >> (i % 8) & 1 == 1);
    Some(format!(
        "[{}]",
        set.map(|i| i.to_string()).collect::<Vec<_>>().join(" ")
    ))
}

pub fn processors_in(at: &At<'_>) -> Option<String> {
    processors(at.v, at.args[1])
}

pub fn processors_out(at: &At<'_>) -> Option<String> {
    processors(at.v, at.returned?)
}

pub fn lock_all(at: &At<'_>) -> Option<String> {
    const FLAGS: Names = Names {
        mask: 0,
        names: &[(1, "MCL_CURRENT"), (2, "MCL_FUTURE"), (4, "MCL_ONFAULT")],
    };
    Some(flags(&FLAGS, at.v))
}

pub fn kcmp(at: &At<'_>) -> Option<String> {
    const KINDS: [&str; 8] = [
        "FILE",
        "VM",
        "FILES",
        "FS",
        "SIGHAND",
        "IO",
        "SYSVSEM",
        "EPOLL_TFD",
    ];
    KINDS.get(at.v as usize).map(|kind| format!("KCMP_{kind}"))
}

pub fn scheduler_result(_: &[u32; 6], value: u32) -> Option<String> {
    Some(format!("{value:#x} ({})", flags(&names::SCHED, value)).replace("0x0 ", "0 "))
}

fn dumpable(value: u32) -> String {
    ["SUID_DUMP_DISABLE", "SUID_DUMP_USER", "SUID_DUMP_ROOT"]
        .get(value as usize)
        .map_or_else(|| value.to_string(), |n| (*n).into())
}

/// Capabilities by number (include/uapi/linux/capability.h).
#[rustfmt::skip]
const CAPABILITIES: [&str; 41] = [
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT",
    "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
    "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
    "PERFMON", "BPF", "CHECKPOINT_RESTORE",
];

fn capability(v: u32) -> String {
    CAPABILITIES
        .get(v as usize)
        .map_or_else(|| format!("{v:#x} /* CAP_??? */"), |name| format!("CAP_{name}"))
}

pub fn capability_header(at: &At<'_>) -> Option<String> {
    let [version, pid] = words::<2>(at.v)?;
    let version = match version {
        0x1998_0330 => "_LINUX_CAPABILITY_VERSION_1".into(),
        0x2007_1026 => "_LINUX_CAPABILITY_VERSION_2".into(),
        0x2008_0522 => "_LINUX_CAPABILITY_VERSION_3".into(),
        other => format!("{other:#x} /* _LINUX_CAPABILITY_VERSION_??? */"),
    };
    Some(format!("{{version={version}, pid={}}}", pid as i32))
}

/// Three sets, in two halves where the header's version has them.
pub fn capabilities(at: &At<'_>) -> Option<String> {
    let low = words::<3>(at.v)?;
    let high = if word(at.args[0])? == 0x1998_0330 {
        [0; 3]
    } else {
        words::<3>(at.v + 12)?
    };
    let set = |i: usize| {
        let bits = u64::from(high[i]) << 32 | u64::from(low[i]);
        let names: Vec<_> = (0..64)
            .filter(|b| bits >> b & 1 == 1)
            .map(|b| format!("1<<{}", capability(b)))
            .collect();
        if names.is_empty() {
            "0".into()
        } else {
            names.join("|")
        }
    };
    Some(format!(
        "{{effective={}, permitted={}, inheritable={}}}",
        set(0),
        set(1),
        set(2)
    ))
}

/// prctl(2): how many arguments follow, and what they are, is the first one's to say.
pub fn prctl(args: &[u32; 6], returned: Option<u32>) -> Vec<String> {
    let [option, a, b, c, d, _] = *args;
    let mut shown = vec![flags(&names::PRCTL, option)];
    let plain = |v: u32| v.to_string();
    let hex = |v: u32| if v == 0 { "0".into() } else { format!("{v:#x}") };
    match option {
        1 => shown.push(signal_name(a)),
        2 => {
            let signal = returned
                .and_then(|_| word(a))
                .map(|s| format!("[{}]", signal_name(s)));
            shown.push(signal.unwrap_or_else(|| pointer(a)));
        }
        // Nothing follows: PR_GET_DUMPABLE, KEEPCAPS, TIMING, SECCOMP, SECUREBITS, TIMERSLACK.
        3 | 7 | 13 | 21 | 27 | 30 => {}
        4 => shown.push(dumpable(a)),
        8 | 14 | 29 | 36 => shown.push(plain(a)),
        15 => shown.push(name16(a)),
        16 => shown.push(returned.map_or_else(|| pointer(a), |_| name16(a))),
        23 | 24 => shown.push(capability(a)),
        37 | 40 => shown.push(returned.and_then(|_| number(a)).unwrap_or_else(|| pointer(a))),
        38 | 41 => shown.extend([plain(a), hex(b), hex(c), hex(d)]),
        39 | 42 => shown.extend([hex(a), hex(b), hex(c), hex(d)]),
        0x5356_4d41 => {
            shown.push(if a == 0 {
                "PR_SET_VMA_ANON_NAME".into()
            } else {
                hex(a)
            });
            shown.extend([
                pointer(b),
                plain(c),
                if d == 0 { "NULL".into() } else { string(d) },
            ]);
        }
        _ => shown.extend([hex(a), hex(b), hex(c), hex(d)]),
    }
    shown
}

/// A name of at most 15 bytes.
fn name16(addr: u32) -> String {
    match raw(addr, 16).or_else(|| raw(addr, 1)) {
        Some(bytes) => quoted(bytes.split(|&b| b == 0).next().unwrap_or_default()),
        None => pointer(addr),
    }
}

pub fn prctl_result(args: &[u32; 6], value: u32) -> Option<String> {
    (args[0] == 3).then(|| format!("{value} ({})", dumpable(value)))
}

/// personality(2): flags behind a field of one byte.
fn persona(v: u32) -> String {
    static BITS: Names = Names {
        mask: 0,
        names: &[
            (0x002_0000, "UNAME26"),
            (0x004_0000, "ADDR_NO_RANDOMIZE"),
            (0x008_0000, "FDPIC_FUNCPTRS"),
            (0x010_0000, "MMAP_PAGE_ZERO"),
            (0x020_0000, "ADDR_COMPAT_LAYOUT"),
            (0x040_0000, "READ_IMPLIES_EXEC"),
            (0x080_0000, "ADDR_LIMIT_32BIT"),
            (0x100_0000, "SHORT_INODE"),
            (0x200_0000, "WHOLE_SECONDS"),
            (0x400_0000, "STICKY_TIMEOUTS"),
            (0x800_0000, "ADDR_LIMIT_3GB"),
        ],
    };
    let kind = match v & 0xff {
        0 => "PER_LINUX".into(),
        8 => "PER_LINUX32".into(),
        other => format!("{other:#x} /* PER_??? */"),
    };
    match v & !0xff {
        0 => kind,
        rest => format!("{kind}|{}", flags(&BITS, rest)),
    }
}

pub fn personality(at: &At<'_>) -> Option<String> {
    Some(if at.v == u32::MAX {
        "0xffffffff".into()
    } else {
        persona(at.v)
    })
}

pub fn personality_result(_: &[u32; 6], value: u32) -> Option<String> {
    Some(format!("{value:#x} ({})", persona(value)).replacen("0x0 ", "0 ", 1))
}

pub fn membarrier(args: &[u32; 6], _: Option<u32>) -> Vec<String> {
    vec![
        flags(&names::MEMBARRIER, args[0]),
        if args[1] == 0 {
            "0".into()
        } else {
            format!("{:#x}", args[1])
        },
    ]
}

pub fn membarrier_result(args: &[u32; 6], value: u32) -> Option<String> {
    static BITS: Names = Names {
        mask: 0,
        names: &[
            (1, "MEMBARRIER_CMD_GLOBAL"),
            (2, "MEMBARRIER_CMD_GLOBAL_EXPEDITED"),
            (4, "MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED"),
            (8, "MEMBARRIER_CMD_PRIVATE_EXPEDITED"),
            (16, "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED"),
            (32, "MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE"),
            (64, "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE"),
            (128, "MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ"),
            (256, "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ"),
        ],
    };
    (args[0] == 0 && value != 0).then(|| format!("{value:#x} ({})", flags(&BITS, value)))
}

/// futex(2): the operation says what follows, and whether the fourth word is a time or a number.
pub fn futex(args: &[u32; 6], long: bool) -> Vec<String> {
    let [uaddr, op, val, fourth, uaddr2, val3] = *args;
    let private = if op & 128 != 0 { "_PRIVATE" } else { "" };
    let operation = op & !(128 | 256);
    let mut name = flags(&names::FUTEX, operation);
    if !name.contains('?') {
        name += private;
    }
    if op & 256 != 0 {
        name += "|FUTEX_CLOCK_REALTIME";
    }
    let mut shown = vec![pointer(uaddr), name];
    let time = || {
        let at = At {
            v: fourth,
            args,
            word: 3,
            returned: None,
        };
        let time = if long {
            times::timespec64(&at)
        } else {
            times::timespec(&at)
        };
        time.unwrap_or_else(|| pointer(fourth))
    };
    let bits = || {
        if val3 == u32::MAX {
            "FUTEX_BITSET_MATCH_ANY".into()
        } else {
            format!("{val3:#x}")
        }
    };
    match operation {
        0 => shown.extend([val.to_string(), time()]),
        1 => shown.push(val.to_string()),
        2 => shown.push(signal_name(val)),
        3 => shown.extend([val.to_string(), fourth.to_string(), pointer(uaddr2)]),
        4 | 12 => shown.extend([
            val.to_string(),
            fourth.to_string(),
            pointer(uaddr2),
            val3.to_string(),
        ]),
        5 => shown.extend([
            val.to_string(),
            fourth.to_string(),
            pointer(uaddr2),
            wake_op(val3),
        ]),
        6 | 13 => shown.push(time()),
        7 | 8 => {}
        9 => shown.extend([val.to_string(), time(), bits()]),
        10 => shown.extend([val.to_string(), bits()]),
        11 => shown.extend([val.to_string(), time(), pointer(uaddr2)]),
        _ => shown.extend([
            val.to_string(),
            pointer(fourth),
            pointer(uaddr2),
            format!("{val3:#x}"),
        ]),
    }
    shown
}

pub fn futex32(args: &[u32; 6], _: Option<u32>) -> Vec<String> {
    futex(args, false)
}

pub fn futex64(args: &[u32; 6], _: Option<u32>) -> Vec<String> {
    futex(args, true)
}

/// FUTEX_WAKE_OP's word: an operation and a comparison with twelve bits each.
fn wake_op(v: u32) -> String {
    const OPS: [&str; 5] = ["SET", "ADD", "OR", "ANDN", "XOR"];
    const COMPARISONS: [&str; 6] = ["EQ", "NE", "LT", "LE", "GT", "GE"];
    let name = |prefix: &str, list: &[&str], i: u32| match list.get(i as usize) {
        Some(name) => format!("{prefix}{name}"),
        None => format!("{i:#x}"),
    };
    let shift = if v >> 31 == 1 {
        "FUTEX_OP_OPARG_SHIFT<<28|"
    } else {
        ""
    };
    let hex = |n: u32| if n == 0 { "0".into() } else { format!("{n:#x}") };
    format!(
        "{shift}{}<<28|{}<<12|{}<<24|{}",
        name("FUTEX_OP_", &OPS, v >> 28 & 7),
        hex(v >> 12 & 0xfff),
        name("FUTEX_OP_CMP_", &COMPARISONS, v >> 24 & 0xf),
        hex(v & 0xfff)
    )
}
