//! The baseline policy as data: which host system calls this process gives up for good, and why.
//!
//! The baseline denies what no ARM program's translation needs and what administers or opens up the kernel;
//! everything else stays allowed, because programs for x86-64 that a guest starts inherit the filter.

use libc::c_long;

/// How a denied call fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denial {
    /// EPERM: the call exists and this process may not.
    NotPermitted,
    /// ENOSYS: programs that probe for the call take their fallback.
    NotImplemented,
}

impl Denial {
    pub const fn errno(self) -> i32 {
        match self {
            Denial::NotPermitted => libc::EPERM,
            Denial::NotImplemented => libc::ENOSYS,
        }
    }
}

/// One denied call.
pub struct Rule {
    pub number: c_long,
    pub name: &'static str,
    pub denial: Denial,
    pub reason: &'static str,
}

const fn rule(number: c_long, name: &'static str, denial: Denial, reason: &'static str) -> Rule {
    Rule {
        number,
        name,
        denial,
        reason,
    }
}

const PERM: Denial = Denial::NotPermitted;
const NOSYS: Denial = Denial::NotImplemented;

#[rustfmt::skip]
pub static BASELINE: [Rule; 23] = [
    rule(libc::SYS_kexec_load,         "kexec_load",         PERM,  "replaces the kernel"),
    rule(libc::SYS_kexec_file_load,    "kexec_file_load",    PERM,  "replaces the kernel"),
    rule(libc::SYS_reboot,             "reboot",             PERM,  "stops the host"),
    rule(libc::SYS_init_module,        "init_module",        PERM,  "loads kernel code"),
    rule(libc::SYS_finit_module,       "finit_module",       PERM,  "loads kernel code"),
    rule(libc::SYS_delete_module,      "delete_module",      PERM,  "removes kernel code"),
    rule(libc::SYS_bpf,                "bpf",                PERM,  "runs programs in the kernel"),
    rule(libc::SYS_perf_event_open,    "perf_event_open",    PERM,  "observes the host, wide attack surface"),
    rule(libc::SYS_lookup_dcookie,     "lookup_dcookie",     PERM,  "profiling of the host"),
    rule(libc::SYS_userfaultfd,        "userfaultfd",        NOSYS, "stops kernel code at will; would see the host's addresses"),
    rule(libc::SYS_io_uring_setup,     "io_uring_setup",     NOSYS, "system calls that no filter and no address check sees"),
    rule(libc::SYS_io_uring_enter,     "io_uring_enter",     NOSYS, "as io_uring_setup"),
    rule(libc::SYS_io_uring_register,  "io_uring_register",  NOSYS, "as io_uring_setup"),
    rule(libc::SYS_swapon,             "swapon",             PERM,  "administers the host"),
    rule(libc::SYS_swapoff,            "swapoff",            PERM,  "administers the host"),
    rule(libc::SYS_acct,               "acct",               PERM,  "administers the host"),
    rule(libc::SYS_quotactl,           "quotactl",           PERM,  "administers the host"),
    rule(libc::SYS_quotactl_fd,        "quotactl_fd",        PERM,  "administers the host"),
    rule(libc::SYS_setns,              "setns",              PERM,  "enters namespaces that are not this process's own"),
    rule(libc::SYS_open_by_handle_at,  "open_by_handle_at",  PERM,  "opens files past every directory's permissions and every root"),
    rule(libc::SYS_iopl,               "iopl",               PERM,  "x86 ports"),
    rule(libc::SYS_ioperm,             "ioperm",             PERM,  "x86 ports"),
    rule(libc::SYS_modify_ldt,         "modify_ldt",         NOSYS, "x86 segments; an exit to 32-bit code"),
];

/// The option that would allow a guest's call which failed with `errno`, if it was the baseline that denied it.
pub fn option_for(name: &str, args: &[u32; 6], errno: i32) -> Option<&'static str> {
    let rule = BASELINE.iter().find(|r| r.name == name);
    let by_rule = rule.is_some_and(|r| r.denial.errno() == errno);
    let typing = name == "ioctl" && TERMINAL_INPUT.contains(&args[1]) && errno == libc::EPERM;
    (by_rule || typing).then_some("--unconfined")
}

/// A number that the kernel does not use, answered with [`MARKER_ERRNO`] by our filter and by no other: how a process
/// after execve knows that the filter is there, so that filters do not pile up along a chain of execs.
pub const MARKER: c_long = 0x3ff0_0001;
pub const MARKER_ERRNO: i32 = libc::EBADE;
/// The marker's answer where another's filter was there before ours, which may kill for a call of the i386 ABI.
pub const MARKER_BEHIND_ERRNO: i32 = libc::EBADRQC;

/// The marker's answers under the strict filter.
pub const MARKER_STRICT_ERRNO: i32 = libc::EBADSLT;
pub const MARKER_STRICT_BEHIND_ERRNO: i32 = libc::EBFONT;

/// Requests of ioctl that put characters into a terminal's input, as if the user had typed them: TIOCSTI and
/// TIOCLINUX. EPERM under every filter.
pub const TERMINAL_INPUT: [u32; 2] = [0x5412, 0x541c];

/// set_robust_list of the i386 ABI, the one call of that ABI that passes: by it the kernel looks after the 32-bit robust
/// futex list of a guest's thread. It only notes two words that the kernel reads at the thread's end.
pub const I386_SET_ROBUST_LIST: u32 = 311;

/// Numbers from here on are the x32 ABI's (`__X32_SYSCALL_BIT`): the process is killed.
pub const X32_BIT: u32 = 0x4000_0000;
