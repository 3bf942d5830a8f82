//! Named flags and values of system call arguments, as the guest numbers them; for `--strace`.

/// A set of names: `mask` selects an enumerated field (shown by the entry that equals it), the other entries are bits.
#[derive(Debug)]
pub struct Names {
    /// Bits that hold one enumerated value; all ones for a plain enumeration, 0 for plain flags.
    pub mask: u32,
    /// Values (within `mask`) and bits (outside), most specific first.
    pub names: &'static [(u32, &'static str)],
}

impl Names {
    /// As strace shows a value: `NAME|NAME|0x40`.
    pub fn show(&self, value: u32, out: &mut String) {
        use std::fmt::Write;
        let mut rest = value;
        let begun = out.len();
        let push = |out: &mut String, text: &str| {
            if out.len() > begun {
                out.push('|');
            }
            out.push_str(text);
        };
        if self.mask != 0 {
            let field = value & self.mask;
            match self
                .names
                .iter()
                .find(|(v, _)| v & !self.mask == 0 && *v == field)
            {
                Some((_, name)) => {
                    push(out, name);
                    rest &= !self.mask;
                }
                None if self.mask == u32::MAX => {
                    let _ = write!(out, "{value:#x} /* {}_??? */", self.prefix());
                    return;
                }
                None => {}
            }
        }
        for (bit, name) in self.names {
            if *bit & self.mask == 0 && *bit != 0 && rest & bit == *bit {
                push(out, name);
                rest &= !bit;
            }
        }
        if rest != 0 {
            if out.len() == begun {
                let _ = write!(out, "{rest:#x} /* {}_??? */", self.prefix());
            } else {
                push(out, &format!("{rest:#x}"));
            }
        } else if out.len() == begun {
            match self.names.iter().find(|(v, _)| *v == 0) {
                Some((_, name)) => out.push_str(name),
                None => out.push('0'),
            }
        }
    }
}

impl Names {
    /// What the names have in common, which strace gives a value without name.
    fn prefix(&self) -> &'static str {
        self.names
            .first()
            .map_or("", |(_, name)| name.split('_').next().unwrap_or(name))
    }
}

/// Flags of open(2) that make its mode an argument; O_TMPFILE's own bit.
pub const O_CREAT: u32 = 0o100;
pub const O_TMPFILE: u32 = 0o20_000_000;

/// Declares one set: mask, then `NAME = value` pairs.
macro_rules! names {
    ($(#[$doc:meta])* $set:ident, $mask:expr; $($name:ident = $value:expr),* $(,)?) => {
        $(#[$doc])*
        pub static $set: Names = Names { mask: $mask, names: &[$(($value as u32, stringify!($name))),*] };
    };
}
/// The same, with values that libc defines (equal on ARM and x86-64).
macro_rules! libc_names {
    ($(#[$doc:meta])* $set:ident, $mask:expr; $($name:ident),* $(,)?) => {
        $(#[$doc])*
        pub static $set: Names = Names { mask: $mask, names: &[$((libc::$name as u32, stringify!($name))),*] };
    };
}

names! { /// open(2), ARM's numbers.
    OPEN, 3;
    O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_CREAT = 0o100, O_EXCL = 0o200, O_NOCTTY = 0o400, O_TRUNC = 0o1000,
    O_APPEND = 0o2000, O_NONBLOCK = 0o4000, O_SYNC = 0o4_010_000, FASYNC = 0o20_000, O_DSYNC = 0o10_000,
    O_DIRECT = 0o200_000, O_LARGEFILE = 0o400_000, O_NOFOLLOW = 0o100_000, O_NOATIME = 0o1_000_000,
    O_CLOEXEC = 0o2_000_000, O_PATH = 0o10_000_000, O_TMPFILE = 0o20_040_000, O_DIRECTORY = 0o40_000,
}
libc_names! { /// access(2).
ACCESS, 0; F_OK, R_OK, W_OK, X_OK }
libc_names! { /// *at calls.
    AT, 0;
    AT_SYMLINK_NOFOLLOW, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, AT_NO_AUTOMOUNT, AT_EMPTY_PATH, AT_STATX_FORCE_SYNC, AT_STATX_DONT_SYNC,
}
names! { /// faccessat2's flags.
FACCESSAT, 0; AT_EACCESS = 0x200, AT_SYMLINK_NOFOLLOW = 0x100, AT_EMPTY_PATH = 0x1000 }
libc_names! { /// lseek(2).
SEEK, u32::MAX; SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE }
libc_names! { /// mmap(2) protection.
PROT, 0; PROT_NONE, PROT_READ, PROT_WRITE, PROT_EXEC, PROT_GROWSDOWN, PROT_GROWSUP }
libc_names! { /// mmap(2) flags.
    MAP, 0xf;
    MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE, MAP_FIXED, MAP_ANONYMOUS, MAP_GROWSDOWN, MAP_DENYWRITE, MAP_EXECUTABLE,
    MAP_LOCKED, MAP_NORESERVE, MAP_POPULATE, MAP_NONBLOCK, MAP_STACK, MAP_HUGETLB, MAP_FIXED_NOREPLACE,
}
libc_names! { /// mremap(2).
MREMAP, 0; MREMAP_MAYMOVE, MREMAP_FIXED, MREMAP_DONTUNMAP }
libc_names! { /// msync(2).
MSYNC, 0; MS_ASYNC, MS_INVALIDATE, MS_SYNC }
libc_names! { /// madvise(2).
    MADVISE, u32::MAX;
    MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_DONTFORK, MADV_DOFORK,
    MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP, MADV_WIPEONFORK, MADV_KEEPONFORK,
}
libc_names! { /// clone(2), exit signal in the low byte.
    CLONE, 0xff;
    SIGCHLD, CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND, CLONE_PIDFD, CLONE_PTRACE, CLONE_VFORK, CLONE_PARENT, CLONE_THREAD,
    CLONE_NEWNS, CLONE_SYSVSEM, CLONE_SETTLS, CLONE_PARENT_SETTID, CLONE_CHILD_CLEARTID, CLONE_UNTRACED, CLONE_CHILD_SETTID,
    CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_IO,
}
libc_names! { /// wait4(2), waitid(2).
WAIT, 0; WNOHANG, WSTOPPED, WEXITED, WCONTINUED, WNOWAIT, __WCLONE, __WALL, __WNOTHREAD }
libc_names! { /// waitid's first argument.
IDTYPE, u32::MAX; P_ALL, P_PID, P_PGID, P_PIDFD }
libc_names! { /// pipe2(2), and the flags of other descriptors that use O_ values.
PIPE, 0; O_NONBLOCK, O_CLOEXEC }
libc_names! { /// fcntl(2).
    FCNTL, u32::MAX;
    F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_SETOWN, F_GETOWN, F_OFD_GETLK, F_OFD_SETLK,
    F_OFD_SETLKW, F_SETLEASE, F_GETLEASE, F_NOTIFY, F_DUPFD_CLOEXEC, F_SETPIPE_SZ, F_GETPIPE_SZ, F_ADD_SEALS, F_GET_SEALS,
}
names! { /// fcntl64(2): the above and the 64-bit locks.
    FCNTL64, u32::MAX;
    F_DUPFD = 0, F_GETFD = 1, F_SETFD = 2, F_GETFL = 3, F_SETFL = 4, F_GETLK = 5, F_SETLK = 6, F_SETLKW = 7, F_SETOWN = 8,
    F_GETOWN = 9, F_SETSIG = 10, F_GETSIG = 11, F_GETLK64 = 12, F_SETLK64 = 13, F_SETLKW64 = 14, F_SETOWN_EX = 15,
    F_GETOWN_EX = 16, F_OFD_GETLK = 36, F_OFD_SETLK = 37, F_OFD_SETLKW = 38, F_SETLEASE = 1024, F_GETLEASE = 1025,
    F_NOTIFY = 1026, F_DUPFD_QUERY = 1027, F_CREATED_QUERY = 1028, F_DUPFD_CLOEXEC = 1030, F_SETPIPE_SZ = 1031,
    F_GETPIPE_SZ = 1032, F_ADD_SEALS = 1033, F_GET_SEALS = 1034, F_GET_RW_HINT = 1035, F_SET_RW_HINT = 1036,
}
libc_names! { /// flock(2).
FLOCK, 0; LOCK_SH, LOCK_EX, LOCK_UN, LOCK_NB }
libc_names! { /// socket(2) domains.
    DOMAIN, u32::MAX;
    AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_BLUETOOTH, AF_ALG, AF_VSOCK, AF_KEY, AF_CAN, AF_TIPC, AF_XDP,
}
libc_names! { /// socket(2) types, with flags.
    SOCKTYPE, 0xf;
    SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET, SOCK_DCCP, SOCK_CLOEXEC, SOCK_NONBLOCK,
}
libc_names! { /// shutdown(2).
SHUT, u32::MAX; SHUT_RD, SHUT_WR, SHUT_RDWR }
libc_names! { /// Message flags.
    MSG, 0;
    MSG_OOB, MSG_PEEK, MSG_DONTROUTE, MSG_CTRUNC, MSG_TRUNC, MSG_DONTWAIT, MSG_EOR, MSG_WAITALL, MSG_CONFIRM, MSG_ERRQUEUE,
    MSG_NOSIGNAL, MSG_MORE, MSG_WAITFORONE, MSG_FASTOPEN, MSG_CMSG_CLOEXEC,
}
names! { /// Socket option levels.
    SOL, u32::MAX;
    SOL_IP = 0, SOL_SOCKET = 1, SOL_TCP = 6, SOL_UDP = 17, SOL_IPV6 = 41, SOL_ICMPV6 = 58, SOL_RAW = 255, SOL_PACKET = 263,
    SOL_NETLINK = 270, SOL_ALG = 279,
}
libc_names! { /// epoll_create1(2).
EPOLL_CREATE, 0; EPOLL_CLOEXEC }
libc_names! { /// epoll_ctl(2).
EPOLL_CTL, u32::MAX; EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD }
libc_names! { /// eventfd2(2).
EVENTFD, 0; EFD_SEMAPHORE, EFD_CLOEXEC, EFD_NONBLOCK }
libc_names! { /// timerfd_create(2).
TIMERFD, 0; TFD_CLOEXEC, TFD_NONBLOCK }
libc_names! { /// timerfd_settime(2), timer_settime(2), clock_nanosleep(2).
TIMER, 0; TIMER_ABSTIME }
libc_names! { /// signalfd4(2).
SIGNALFD, 0; SFD_CLOEXEC, SFD_NONBLOCK }
libc_names! { /// inotify_init1(2).
INOTIFY, 0; IN_CLOEXEC, IN_NONBLOCK }
libc_names! { /// inotify_add_watch(2).
    INOTIFY_MASK, 0;
    IN_ACCESS, IN_MODIFY, IN_ATTRIB, IN_CLOSE_WRITE, IN_CLOSE_NOWRITE, IN_OPEN, IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE,
    IN_DELETE_SELF, IN_MOVE_SELF, IN_ONLYDIR, IN_DONT_FOLLOW, IN_EXCL_UNLINK, IN_MASK_CREATE, IN_MASK_ADD, IN_ISDIR, IN_ONESHOT,
}
libc_names! { /// memfd_create(2).
MEMFD, 0; MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_HUGETLB }
libc_names! { /// Clocks.
    CLOCK, u32::MAX;
    CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
    CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM, CLOCK_TAI,
}
libc_names! { /// Interval timers.
ITIMER, u32::MAX; ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF }
names! { /// futex(2).
    FUTEX, 0x7f;
    FUTEX_WAIT = 0, FUTEX_WAKE = 1, FUTEX_FD = 2, FUTEX_REQUEUE = 3, FUTEX_CMP_REQUEUE = 4, FUTEX_WAKE_OP = 5, FUTEX_LOCK_PI = 6,
    FUTEX_UNLOCK_PI = 7, FUTEX_TRYLOCK_PI = 8, FUTEX_WAIT_BITSET = 9, FUTEX_WAKE_BITSET = 10, FUTEX_WAIT_REQUEUE_PI = 11,
    FUTEX_CMP_REQUEUE_PI = 12, FUTEX_LOCK_PI2 = 13, FUTEX_PRIVATE_FLAG = 128, FUTEX_CLOCK_REALTIME = 256,
}
libc_names! { /// sigprocmask(2).
SIG_HOW, u32::MAX; SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK }
libc_names! { /// getrusage(2).
RUSAGE, u32::MAX; RUSAGE_SELF, RUSAGE_CHILDREN, RUSAGE_THREAD }
libc_names! { /// Resource limits.
    RLIMIT, u32::MAX;
    RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_RSS, RLIMIT_NPROC, RLIMIT_NOFILE, RLIMIT_MEMLOCK,
    RLIMIT_AS, RLIMIT_LOCKS, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_RTPRIO, RLIMIT_RTTIME,
}
libc_names! { /// getpriority(2).
PRIO, u32::MAX; PRIO_PROCESS, PRIO_PGRP, PRIO_USER }
libc_names! { /// getrandom(2).
GRND, 0; GRND_NONBLOCK, GRND_RANDOM }
libc_names! { /// statx(2) masks.
    STATX, 0;
    STATX_ALL, STATX_BASIC_STATS, STATX_TYPE, STATX_MODE, STATX_NLINK, STATX_UID, STATX_GID, STATX_ATIME, STATX_MTIME, STATX_CTIME,
    STATX_INO, STATX_SIZE, STATX_BLOCKS, STATX_BTIME, STATX_MNT_ID, STATX_DIOALIGN,
}
libc_names! { /// fallocate(2).
    FALLOCATE, 0;
    FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_ZERO_RANGE, FALLOC_FL_INSERT_RANGE,
    FALLOC_FL_UNSHARE_RANGE,
}
libc_names! { /// posix_fadvise(2).
    FADVISE, u32::MAX;
    POSIX_FADV_NORMAL, POSIX_FADV_RANDOM, POSIX_FADV_SEQUENTIAL, POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED, POSIX_FADV_NOREUSE,
}
names! { /// renameat2(2).
RENAME, 0; RENAME_NOREPLACE = 1, RENAME_EXCHANGE = 2, RENAME_WHITEOUT = 4 }
libc_names! { /// splice(2).
SPLICE, 0; SPLICE_F_MOVE, SPLICE_F_NONBLOCK, SPLICE_F_MORE, SPLICE_F_GIFT }
names! { /// preadv2(2).
RWF, 0; RWF_HIPRI = 1, RWF_DSYNC = 2, RWF_SYNC = 4, RWF_NOWAIT = 8, RWF_APPEND = 16 }
libc_names! { /// mount(2).
    MOUNT, 0;
    MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_SYNCHRONOUS, MS_REMOUNT, MS_MANDLOCK, MS_DIRSYNC, MS_NOATIME, MS_NODIRATIME,
    MS_BIND, MS_MOVE, MS_REC, MS_SILENT, MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_RELATIME, MS_STRICTATIME,
}
libc_names! { /// umount2(2).
UMOUNT, 0; MNT_FORCE, MNT_DETACH, MNT_EXPIRE, UMOUNT_NOFOLLOW }
libc_names! { /// setxattr(2).
XATTR, 0; XATTR_CREATE, XATTR_REPLACE }
libc_names! { /// Scheduling policies.
SCHED, 0xff; SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE, SCHED_RESET_ON_FORK }
names! { /// IPC get and control flags.
IPC, 0; IPC_CREAT = 0o1000, IPC_EXCL = 0o2000, IPC_NOWAIT = 0o4000 }
names! { /// IPC control commands (IPC_64 marks the 32-bit ABI's newer structures).
    IPC_CMD, 0xff;
    IPC_RMID = 0, IPC_SET = 1, IPC_STAT = 2, IPC_INFO = 3, SHM_LOCK = 11, SHM_UNLOCK = 12, GETALL = 13, GETVAL = 12, GETPID = 11,
    GETNCNT = 14, GETZCNT = 15, SETVAL = 16, SETALL = 17, IPC_64 = 0x100,
}
names! { /// prctl(2).
    PRCTL, u32::MAX;
    PR_SET_PDEATHSIG = 1, PR_GET_PDEATHSIG = 2, PR_GET_DUMPABLE = 3, PR_SET_DUMPABLE = 4, PR_GET_KEEPCAPS = 7, PR_SET_KEEPCAPS = 8,
    PR_GET_TIMING = 13, PR_SET_TIMING = 14, PR_SET_NAME = 15, PR_GET_NAME = 16, PR_GET_SECCOMP = 21, PR_SET_SECCOMP = 22,
    PR_CAPBSET_READ = 23, PR_CAPBSET_DROP = 24, PR_GET_TSC = 25, PR_GET_SECUREBITS = 27, PR_SET_SECUREBITS = 28,
    PR_SET_TIMERSLACK = 29, PR_GET_TIMERSLACK = 30, PR_SET_MM = 35, PR_SET_CHILD_SUBREAPER = 36, PR_GET_CHILD_SUBREAPER = 37,
    PR_SET_NO_NEW_PRIVS = 38, PR_GET_NO_NEW_PRIVS = 39, PR_GET_TID_ADDRESS = 40, PR_SET_THP_DISABLE = 41, PR_GET_THP_DISABLE = 42,
    PR_CAP_AMBIENT = 47, PR_SET_VMA = 0x5356_4d41, PR_SET_PTRACER = 0x5961_6d61,
}
names! { /// ioctl(2) requests seen most.
    IOCTL, u32::MAX;
    TCGETS = 0x5401, TCSETS = 0x5402, TCSETSW = 0x5403, TCSETSF = 0x5404, TCSBRK = 0x5409, TCXONC = 0x540a, TCFLSH = 0x540b,
    TIOCSCTTY = 0x540e, TIOCGPGRP = 0x540f, TIOCSPGRP = 0x5410, TIOCOUTQ = 0x5411, TIOCSTI = 0x5412, TIOCGWINSZ = 0x5413,
    TIOCSWINSZ = 0x5414, FIONREAD = 0x541b, FIONBIO = 0x5421, TIOCNOTTY = 0x5422, TIOCGSID = 0x5429, FIONCLEX = 0x5450,
    FIOCLEX = 0x5451, FIOASYNC = 0x5452, TIOCGPTN = 0x8004_5430, TIOCSPTLCK = 0x4004_5431, SIOCGIFCONF = 0x8912,
    SIOCGIFFLAGS = 0x8913, SIOCGIFADDR = 0x8915, SIOCGIFINDEX = 0x8933, FICLONE = 0x4004_9409, FS_IOC32_GETFLAGS = 0x8004_6601,
    FS_IOC32_SETFLAGS = 0x4004_6602, BLKGETSIZE64 = 0x8004_1272, TIOCEXCL = 0x540c, TIOCNXCL = 0x540d, TCSBRKP = 0x5425,
    TIOCSBRK = 0x5427, TIOCCBRK = 0x5428, TIOCMGET = 0x5415, TIOCMBIS = 0x5416, TIOCMBIC = 0x5417, TIOCMSET = 0x5418,
    TIOCGSOFTCAR = 0x5419, TIOCLINUX = 0x541c, TIOCCONS = 0x541d, TIOCPKT = 0x5420, TIOCGETD = 0x5424, TIOCSETD = 0x5423,
    TIOCGPTPEER = 0x5441, FIOQSIZE = 0x5460, SIOCATMARK = 0x8905, SIOCGSTAMP_OLD = 0x8906, SIOCSIFFLAGS = 0x8914,
    SIOCSIFADDR = 0x8916, SIOCGIFDSTADDR = 0x8917, SIOCGIFBRDADDR = 0x8919, SIOCGIFNETMASK = 0x891b, SIOCGIFMETRIC = 0x891d,
    SIOCGIFMTU = 0x8921, SIOCSIFMTU = 0x8922, SIOCGIFHWADDR = 0x8927, SIOCGIFNAME = 0x8910, SIOCGIFTXQLEN = 0x8942,
    SIOCETHTOOL = 0x8946, BLKROGET = 0x125e, BLKGETSIZE = 0x1260, BLKFLSBUF = 0x1261, BLKRAGET = 0x1263, BLKSSZGET = 0x1268,
    BLKPBSZGET = 0x127b, LOOP_SET_FD = 0x4c00, LOOP_CLR_FD = 0x4c01, LOOP_GET_STATUS64 = 0x4c05, LOOP_CTL_GET_FREE = 0x4c82,
    TUNSETIFF = 0x4004_54ca, TUNGETIFF = 0x8004_54d2,
}
names! { /// close_range(2).
CLOSE_RANGE, 0; CLOSE_RANGE_UNSHARE = 2, CLOSE_RANGE_CLOEXEC = 4 }
names! { /// membarrier(2).
    MEMBARRIER, u32::MAX;
    MEMBARRIER_CMD_QUERY = 0, MEMBARRIER_CMD_GLOBAL = 1, MEMBARRIER_CMD_GLOBAL_EXPEDITED = 2,
    MEMBARRIER_CMD_PRIVATE_EXPEDITED = 8, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED = 16,
}

/// Signal names by number, 1 to 31.
#[rustfmt::skip]
const SIGNALS: [&str; 31] = [
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2",
    "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG",
    "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS",
];

/// A signal's name ("SIGHUP", "SIGRT_3") or its number.
pub fn signal_name(signo: u32) -> String {
    match signo {
        1..=31 => SIGNALS[signo as usize - 1].to_string(),
        32 => "SIGRTMIN".to_string(),
        33..=64 => format!("SIGRT_{}", signo - 32),
        _ => (signo as i32).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(names: &Names, value: u32) -> String {
        let mut out = String::new();
        names.show(value, &mut out);
        out
    }

    /// As strace prints the same values.
    #[test]
    fn as_strace_shows_them() {
        assert_eq!(shown(&OPEN, 0o2_000_000), "O_RDONLY|O_CLOEXEC");
        assert_eq!(shown(&OPEN, 0o101 | 0o1000), "O_WRONLY|O_CREAT|O_TRUNC");
        assert_eq!(shown(&MAP, 0x22), "MAP_PRIVATE|MAP_ANONYMOUS");
        assert_eq!(shown(&PROT, 0), "PROT_NONE");
        assert_eq!(shown(&PROT, 5), "PROT_READ|PROT_EXEC");
        assert_eq!(shown(&FUTEX, 0x81), "FUTEX_WAKE|FUTEX_PRIVATE_FLAG");
        assert_eq!(shown(&SOCKTYPE, 0o2_000_001), "SOCK_STREAM|SOCK_CLOEXEC");
        assert_eq!(shown(&AT, 0), "0");
        assert_eq!(shown(&SEEK, 9), "0x9 /* SEEK_??? */");
        assert_eq!(signal_name(17), "SIGCHLD");
        assert_eq!(signal_name(34), "SIGRT_2");
    }
}
