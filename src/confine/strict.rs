//! The strict filter: of the host's system calls only those that the translator issues, arguments checked where it matters.
//!
//! Which calls those are is the system layer's to say (its table of calls); here stand the exceptions, and the conditions. A
//! call that is not listed does not exist for the process (ENOSYS).

use super::bpf::{self, Verdict};
use super::{ConfineError, caps, policy};
use libc::c_long;
use seccompiler::sock_filter;

/// Where the process may have executable memory: the translator's arena and nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExecutableRange {
    pub start: u64,
    pub len: u64,
}

/// A condition on one call's arguments.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    /// mmap: PROT_EXEC in the arena only, and never with PROT_WRITE.
    ArenaOnly,
    /// None of these bits in the low word of an argument, else the error.
    NoBits { arg: u8, mask: u32, errno: i32 },
    /// The low word of an argument is none of these, else the error.
    NotOneOf {
        arg: u8,
        values: &'static [u32],
        errno: i32,
    },
    /// Not both of two arguments' low words, given as argument and value, else the error.
    NotBoth { pair: [(u8, u32); 2], errno: i32 },
    /// socket: a family of the list; of netlink only routes.
    Families(&'static [u32]),
}

/// A row with a condition.
pub struct Conditional {
    pub number: c_long,
    pub name: &'static str,
    pub check: Check,
    pub reason: &'static str,
}

/// A call that the translator can issue but that is refused here.
pub struct Refused {
    pub number: c_long,
    pub name: &'static str,
    pub errno: i32,
    /// The capability that makes it allowed when the policy adds it.
    pub capability: Option<u8>,
    /// What lets the guest have it or its effect.
    pub option: &'static str,
}

const fn conditional(number: c_long, name: &'static str, check: Check, reason: &'static str) -> Conditional {
    Conditional {
        number,
        name,
        check,
        reason,
    }
}

const fn refused(
    number: c_long,
    name: &'static str,
    errno: i32,
    capability: Option<u8>,
    option: &'static str,
) -> Refused {
    Refused {
        number,
        name,
        errno,
        capability,
        option,
    }
}

const PROT_EXEC: u32 = libc::PROT_EXEC as u32;
const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;
const FAMILIES: [u32; 4] = [
    libc::AF_UNIX as u32,
    libc::AF_INET as u32,
    libc::AF_INET6 as u32,
    libc::AF_NETLINK as u32,
];

#[rustfmt::skip]
pub static CONDITIONAL: [Conditional; 9] = [
    conditional(libc::SYS_mmap,     "mmap",     Check::ArenaOnly,                                                          "executable memory is the translator's alone"),
    conditional(libc::SYS_mprotect, "mprotect", Check::NoBits { arg: 2, mask: PROT_EXEC, errno: libc::EACCES },             "nothing becomes executable"),
    conditional(libc::SYS_shmat,    "shmat",    Check::NoBits { arg: 2, mask: 0o100_000, errno: libc::EACCES },             "no executable segments"),
    conditional(libc::SYS_ioctl,    "ioctl",    Check::NotOneOf { arg: 1, values: &policy::TERMINAL_INPUT, errno: libc::EPERM }, "typing for the caller's terminal"),
    conditional(libc::SYS_clone,    "clone",    Check::NoBits { arg: 0, mask: NAMESPACES, errno: libc::EPERM },             "no further namespaces"),
    // Groups of processes began outside, and no namespace bounds them.
    conditional(libc::SYS_kill,     "kill",     Check::NotOneOf { arg: 0, values: &[0], errno: libc::EPERM },               "the first group of processes began outside"),
    conditional(libc::SYS_setpriority, "setpriority", Check::NotBoth { pair: [(0, 1), (1, 0)], errno: libc::EPERM },        "as kill"),
    conditional(libc::SYS_ioprio_set, "ioprio_set", Check::NotBoth { pair: [(0, 2), (1, 0)], errno: libc::EPERM },          "as kill"),
    conditional(libc::SYS_socket,   "socket",   Check::Families(&FAMILIES),                                                "unix, inet, inet6, netlink routes"),
];

const ADMIN: Option<u8> = Some(caps::SYS_ADMIN);
// With the capability the filter lets them pass, but a kernel with Landlock lets nobody under that change mounts.
const MOUNTS: &str = "--bind, --tmpfs and the like";
const ADMIN_ONLY: &str = "--cap-add sys_admin";
const TRACE: Option<u8> = Some(caps::SYS_PTRACE);
const TRACE_ONLY: &str = "--cap-add sys_ptrace";
const OUTSIDE: &str = "run without --root or --confine";

#[rustfmt::skip]
pub static REFUSED: [Refused; 34] = [
    refused(libc::SYS_mount,             "mount",             libc::EPERM,  ADMIN, MOUNTS),
    refused(libc::SYS_umount2,           "umount2",           libc::EPERM,  ADMIN, MOUNTS),
    refused(libc::SYS_pivot_root,        "pivot_root",        libc::EPERM,  ADMIN, MOUNTS),
    refused(libc::SYS_move_mount,        "move_mount",        libc::EPERM,  ADMIN, MOUNTS),
    refused(libc::SYS_open_tree,         "open_tree",         libc::EPERM,  ADMIN, MOUNTS),
    refused(libc::SYS_fsopen,            "fsopen",            libc::EPERM,  ADMIN, MOUNTS),
    refused(libc::SYS_fsconfig,          "fsconfig",          libc::EPERM,  ADMIN, MOUNTS),
    refused(libc::SYS_fsmount,           "fsmount",           libc::EPERM,  ADMIN, MOUNTS),
    refused(libc::SYS_fspick,            "fspick",            libc::EPERM,  ADMIN, MOUNTS),
    refused(libc::SYS_mount_setattr,     "mount_setattr",     libc::EPERM,  ADMIN, MOUNTS),
    refused(libc::SYS_setns,             "setns",             libc::EPERM,  ADMIN, ADMIN_ONLY),
    refused(libc::SYS_unshare,           "unshare",           libc::EPERM,  ADMIN, ADMIN_ONLY),
    refused(libc::SYS_sethostname,       "sethostname",       libc::EPERM,  ADMIN, "--hostname, or --cap-add sys_admin"),
    refused(libc::SYS_setdomainname,     "setdomainname",     libc::EPERM,  ADMIN, ADMIN_ONLY),
    refused(libc::SYS_chroot,            "chroot",            libc::EPERM,  Some(caps::SYS_CHROOT), "--cap-add sys_chroot"),
    refused(libc::SYS_ptrace,            "ptrace",            libc::EPERM,  TRACE, TRACE_ONLY),
    refused(libc::SYS_process_vm_readv,  "process_vm_readv",  libc::EPERM,  TRACE, TRACE_ONLY),
    refused(libc::SYS_process_vm_writev, "process_vm_writev", libc::EPERM,  TRACE, TRACE_ONLY),
    refused(libc::SYS_swapon,            "swapon",            libc::EPERM,  None,  OUTSIDE),
    refused(libc::SYS_swapoff,           "swapoff",           libc::EPERM,  None,  OUTSIDE),
    refused(libc::SYS_acct,              "acct",              libc::EPERM,  None,  OUTSIDE),
    refused(libc::SYS_syslog,            "syslog",            libc::EPERM,  None,  OUTSIDE),
    refused(libc::SYS_vhangup,           "vhangup",           libc::EPERM,  None,  OUTSIDE),
    refused(libc::SYS_settimeofday,      "settimeofday",      libc::EPERM,  None,  OUTSIDE),
    refused(libc::SYS_clock_settime,     "clock_settime",     libc::EPERM,  None,  OUTSIDE),
    refused(libc::SYS_open_by_handle_at, "open_by_handle_at", libc::EPERM,  None,  OUTSIDE),
    refused(libc::SYS_name_to_handle_at, "name_to_handle_at", libc::EPERM,  None,  OUTSIDE),
    refused(libc::SYS_fanotify_init,     "fanotify_init",     libc::EPERM,  None,  OUTSIDE),
    refused(libc::SYS_pidfd_getfd,       "pidfd_getfd",       libc::EPERM,  None,  OUTSIDE),
    refused(libc::SYS_kcmp,              "kcmp",              libc::EPERM,  None,  OUTSIDE),
    refused(libc::SYS_add_key,           "add_key",           libc::ENOSYS, None,  OUTSIDE),
    refused(libc::SYS_request_key,       "request_key",       libc::ENOSYS, None,  OUTSIDE),
    refused(libc::SYS_keyctl,            "keyctl",            libc::ENOSYS, None,  OUTSIDE),
    refused(libc::SYS_remap_file_pages,  "remap_file_pages",  libc::ENOSYS, None,  OUTSIDE),
];

/// Whether the policy lets a row of [`REFUSED`] pass.
fn granted(row: &Refused, cap_add: &[u8]) -> bool {
    row.capability.is_some_and(|needed| cap_add.contains(&needed))
}

/// What the filter says to every number that it knows, in order.
pub fn verdicts(calls: &[c_long], cap_add: &[u8]) -> Vec<(u32, Verdict)> {
    let mut rows: Vec<(u32, Verdict)> = Vec::with_capacity(calls.len());
    for &number in calls {
        let verdict = if let Some(row) = REFUSED
            .iter()
            .find(|r| r.number == number && !granted(r, cap_add))
        {
            Verdict::Errno(row.errno)
        } else if let Some(row) = CONDITIONAL.iter().find(|c| c.number == number) {
            Verdict::If(row.check)
        } else {
            Verdict::Allow
        };
        rows.push((number as u32, verdict));
    }
    rows.sort_by_key(|row| row.0);
    rows.dedup_by_key(|row| row.0);
    rows
}

/// The program that lets `calls` pass, as far as the policy does.
pub fn program(
    calls: &[c_long],
    cap_add: &[u8],
    arena: ExecutableRange,
    marker_errno: i32,
) -> Vec<sock_filter> {
    bpf::build(&verdicts(calls, cap_add), arena, marker_errno)
}

/// Installs it on the calling process, which has one thread, unless it is there already.
///
/// # Errors
/// The kernel refuses filters.
pub fn install(calls: &[c_long], cap_add: &[u8], arena: ExecutableRange) -> Result<(), ConfineError> {
    let (present, marker_errno) = match super::marker() {
        Some(super::Marker { strict: true, .. }) => (true, 0),
        Some(super::Marker { alone: true, .. }) => (false, policy::MARKER_STRICT_ERRNO),
        None if super::no_filter() => (false, policy::MARKER_STRICT_ERRNO),
        _ => (false, policy::MARKER_STRICT_BEHIND_ERRNO),
    };
    if !present {
        let program = program(calls, cap_add, arena, marker_errno);
        seccompiler::apply_filter(&program).map_err(|error| ConfineError::Filter(error.to_string()))?;
    }
    super::note_confined(super::marker().is_some_and(|m| m.alone));
    super::refuse_exec_gain();
    Ok(())
}

/// The option that would allow a guest's call which failed with `errno`, if it was the policy that refused it. `name` and
/// `args` are the guest's.
pub fn option_for(name: &str, args: &[u32; 6], errno: i32, cap_add: &[u8]) -> Option<&'static str> {
    const SOCK_RAW: u32 = libc::SOCK_RAW as u32;
    let plain = name.strip_suffix("64").unwrap_or(name);
    if let Some(row) = REFUSED.iter().find(|r| r.name == name || r.name == plain) {
        return (!granted(row, cap_add) && row.errno == errno).then_some(row.option);
    }
    match (name, errno) {
        // User namespaces are all used up, which is the set-up's doing.
        ("clone", libc::EPERM | libc::ENOSPC) if args[0] & NAMESPACES != 0 => Some(ADMIN_ONLY),
        ("ioctl", libc::EPERM) if policy::TERMINAL_INPUT.contains(&args[1]) => Some(OUTSIDE),
        ("socket", libc::EAFNOSUPPORT) if !FAMILIES.contains(&args[0]) => Some(OUTSIDE),
        ("socket", libc::EPROTONOSUPPORT) if args[0] == libc::AF_NETLINK as u32 => Some(OUTSIDE),
        ("socket", libc::EPERM) if args[1] & 15 == SOCK_RAW => Some("--cap-add net_raw"),
        ("connect" | "sendto" | "sendmsg", libc::ENETUNREACH) if alone() => Some("--net host"),
        _ => None,
    }
}

/// Whether the network is a loopback alone.
fn alone() -> bool {
    let devices = std::fs::read_to_string("/proc/net/dev").unwrap_or_default();
    // Below two lines of headings.
    let mut names = devices.lines().skip(2).filter_map(|line| line.split(':').next());
    names.all(|name| name.trim() == "lo")
}

/// The option that a refused call's row names.
pub fn option_of(number: c_long) -> &'static str {
    let row = REFUSED.iter().find(|r| r.number == number);
    row.map_or("", |r| r.option)
}
