//! What a trace shows of each call beyond its row in the system call table: structures, by argument, and results.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::{files, ioctls, net, process, signals, times, waits};

/// One argument: its word, all of the call's, its place, and what the call has returned, once it has.
pub struct At<'a> {
    pub v: u32,
    pub args: &'a [u32; 6],
    pub word: usize,
    pub returned: Option<u32>,
}

/// Shows an argument; `None`: as its row says.
pub type Show = fn(&At<'_>) -> Option<String>;
/// Shows all arguments of a call, before it and (with its result) once it has succeeded.
pub type Whole = fn(&[u32; 6], Option<u32>) -> Vec<String>;
/// Shows a result that is no error; `None`: the number.
pub type Answer = fn(&[u32; 6], u32) -> Option<String>;

/// When an argument says something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Before the call.
    In,
    /// After it, if it has succeeded.
    Out,
    /// Both: `[16]`, or `[128 => 16]` where the call has changed it.
    Both,
    /// Both: `[0] => [5]`.
    Moved,
}
use When::{Both, In, Moved, Out};

#[rustfmt::skip]
static ARGUMENTS: &[(&str, usize, When, Show)] = &[
    ("accept",                  1, Out,   net::address_out),
    ("accept",                  2, Both,  process::one),
    ("accept4",                 1, Out,   net::address_out),
    ("accept4",                 2, Both,  process::one),
    ("bind",                    1, In,    net::address_in),
    ("brk",                     0, In,    address),
    ("capget",                  0, In,    process::capability_header),
    ("capget",                  1, Out,   process::capabilities),
    ("capset",                  0, In,    process::capability_header),
    ("capset",                  1, In,    process::capabilities),
    ("chown32",                 1, In,    process::id),
    ("chown32",                 2, In,    process::id),
    ("clock_adjtime64",         1, Out,   times::timex64),
    ("clock_getres",            1, Out,   times::timespec),
    ("clock_getres_time64",     1, Out,   times::timespec64),
    ("clock_gettime",           1, Out,   times::timespec),
    ("clock_gettime64",         1, Out,   times::timespec64),
    ("clock_nanosleep",         2, In,    times::timespec),
    ("clock_nanosleep_time64",  2, In,    times::timespec64),
    ("clock_settime",           1, In,    times::timespec),
    ("clock_settime64",         1, In,    times::timespec64),
    ("connect",                 1, In,    net::address_in),
    ("epoll_ctl",               3, In,    waits::epoll_event),
    ("epoll_pwait",             1, Out,   waits::epoll_events),
    ("epoll_pwait",             4, In,    signals::set64),
    ("epoll_pwait2",            1, Out,   waits::epoll_events),
    ("epoll_pwait2",            3, In,    times::timespec64),
    ("epoll_pwait2",            4, In,    signals::set64),
    ("epoll_wait",              1, Out,   waits::epoll_events),
    ("execve",                  1, In,    process::arguments),
    ("execve",                  2, In,    process::environment),
    ("execveat",                2, In,    process::arguments),
    ("execveat",                3, In,    process::environment),
    ("fchown32",                1, In,    process::id),
    ("fchown32",                2, In,    process::id),
    ("fchownat",                2, In,    process::id),
    ("fchownat",                3, In,    process::id),
    ("fgetxattr",               2, Out,   files::text_out),
    ("fsetxattr",               2, In,    files::xattr_set),
    ("fstat",                   1, Out,   files::stat),
    ("fstat64",                 1, Out,   files::stat64),
    ("fstatat64",               2, Out,   files::stat64),
    ("futimesat",               2, In,    times::utimes),
    ("getcpu",                  0, Out,   process::one),
    ("getcpu",                  1, Out,   process::one),
    ("getcpu",                  2, In,    address),
    ("getcwd",                  0, Out,   path_out),
    ("getdents",                1, Out,   files::directory32),
    ("getdents64",              1, Out,   files::directory64),
    ("getgroups32",             1, Out,   process::ids_out),
    ("getitimer",               1, Out,   times::itimerval),
    ("getpeername",             1, Out,   net::address_out),
    ("getpeername",             2, Both,  process::one),
    ("getrandom",               0, Out,   files::random),
    ("getresgid32",             0, Out,   process::one),
    ("getresgid32",             1, Out,   process::one),
    ("getresgid32",             2, Out,   process::one),
    ("getresuid32",             0, Out,   process::one),
    ("getresuid32",             1, Out,   process::one),
    ("getresuid32",             2, Out,   process::one),
    ("getrusage",               1, Out,   process::rusage),
    ("getsockname",             1, Out,   net::address_out),
    ("getsockname",             2, Both,  process::one),
    ("getsockopt",              2, In,    net::option),
    ("getsockopt",              3, Out,   net::value_out),
    ("getsockopt",              4, Both,  process::one),
    ("gettimeofday",            0, Out,   times::timeval),
    ("gettimeofday",            1, Out,   times::timezone),
    ("getxattr",                2, Out,   files::text_out),
    ("kcmp",                    2, In,    process::kcmp),
    ("lchown32",                1, In,    process::id),
    ("lchown32",                2, In,    process::id),
    ("lgetxattr",               2, Out,   files::text_out),
    ("lsetxattr",               2, In,    files::xattr_set),
    ("lstat",                   1, Out,   files::stat),
    ("lstat64",                 1, Out,   files::stat64),
    ("mlockall",                0, In,    process::lock_all),
    ("mmap2",                   0, In,    address),
    ("mmap2",                   5, In,    page_offset),
    ("mq_getsetattr",           1, In,    waits::mq_attributes),
    ("mq_getsetattr",           2, Out,   waits::mq_attributes),
    ("mq_open",                 3, In,    waits::mq_attributes),
    ("mq_timedreceive",         3, Out,   process::one),
    ("mq_timedreceive",         4, In,    times::timespec),
    ("mq_timedreceive_time64",  3, Out,   process::one),
    ("mq_timedreceive_time64",  4, In,    times::timespec64),
    ("mq_timedsend",            4, In,    times::timespec),
    ("mq_timedsend_time64",     4, In,    times::timespec64),
    ("msgctl",                  1, In,    waits::msg_command),
    ("msgget",                  0, In,    waits::key),
    ("msgget",                  1, In,    waits::get_flags),
    ("msgrcv",                  1, Out,   waits::message_out),
    ("msgrcv",                  4, In,    waits::receive_flags),
    ("msgsnd",                  1, In,    waits::message_in),
    ("nanosleep",               0, In,    times::timespec),
    ("personality",             0, In,    process::personality),
    ("pipe",                    0, Out,   files::pipe),
    ("pipe2",                   0, Out,   files::pipe),
    ("poll",                    0, In,    waits::poll),
    ("ppoll",                   0, In,    waits::poll),
    ("ppoll",                   2, In,    times::timespec),
    ("ppoll",                   3, In,    signals::set64),
    ("ppoll_time64",            0, In,    waits::poll),
    ("ppoll_time64",            2, In,    times::timespec64),
    ("ppoll_time64",            3, In,    signals::set64),
    ("preadv",                  1, Out,   files::vector_out),
    ("preadv2",                 1, Out,   files::vector_out),
    ("prlimit64",               2, In,    process::rlimit64),
    ("prlimit64",               3, Out,   process::rlimit64),
    ("process_vm_writev",       1, In,    files::vector_in),
    ("pselect6",                1, In,    waits::select_set),
    ("pselect6",                2, In,    waits::select_set),
    ("pselect6",                3, In,    waits::select_set),
    ("pselect6",                4, In,    times::timespec),
    ("pselect6",                5, In,    waits::pselect_mask),
    ("pselect6_time64",         1, In,    waits::select_set),
    ("pselect6_time64",         2, In,    waits::select_set),
    ("pselect6_time64",         3, In,    waits::select_set),
    ("pselect6_time64",         4, In,    times::timespec64),
    ("pselect6_time64",         5, In,    waits::pselect_mask),
    ("pwritev",                 1, In,    files::vector_in),
    ("pwritev2",                1, In,    files::vector_in),
    ("readv",                   1, Out,   files::vector_out),
    ("recvfrom",                4, Out,   net::address_out),
    ("recvfrom",                5, Both,  process::one),
    ("recvmmsg",                1, Out,   net::messages),
    ("recvmmsg",                4, In,    times::timespec),
    ("recvmmsg_time64",         1, Out,   net::messages),
    ("recvmmsg_time64",         4, In,    times::timespec64),
    ("recvmsg",                 1, Out,   net::message_out),
    ("rt_sigaction",            1, In,    signals::rt_action),
    ("rt_sigaction",            2, Out,   signals::rt_action),
    ("rt_sigpending",           0, Out,   signals::set64),
    ("rt_sigprocmask",          1, In,    signals::set64),
    ("rt_sigprocmask",          2, Out,   signals::set64),
    ("rt_sigqueueinfo",         2, In,    signals::info),
    ("rt_sigsuspend",           0, In,    signals::set64),
    ("rt_sigtimedwait",         0, In,    signals::set64),
    ("rt_sigtimedwait",         1, Out,   signals::info),
    ("rt_sigtimedwait",         2, In,    times::timespec),
    ("rt_sigtimedwait_time64",  0, In,    signals::set64),
    ("rt_sigtimedwait_time64",  1, Out,   signals::info),
    ("rt_sigtimedwait_time64",  2, In,    times::timespec64),
    ("rt_tgsigqueueinfo",       3, In,    signals::info),
    ("rseq",                    1, In,    hexadecimal),
    ("sched_getaffinity",       2, Out,   process::processors_out),
    ("sched_getparam",          1, Out,   process::one),
    ("sched_rr_get_interval",   1, Out,   times::timespec),
    ("sched_rr_get_interval_time64", 1, Out, times::timespec64),
    ("sched_setaffinity",       2, In,    process::processors_in),
    ("sched_setparam",          1, In,    process::one),
    ("sched_setscheduler",      2, In,    process::one),
    ("semctl",                  2, In,    waits::sem_command),
    ("semctl",                  3, In,    waits::sem_argument),
    ("semget",                  0, In,    waits::key),
    ("semget",                  2, In,    waits::get_flags),
    ("semop",                   1, In,    waits::semaphores),
    ("semtimedop",              1, In,    waits::semaphores),
    ("semtimedop",              3, In,    times::timespec),
    ("semtimedop_time64",       1, In,    waits::semaphores),
    ("semtimedop_time64",       3, In,    times::timespec64),
    ("sendfile",                2, Moved, files::offset),
    ("sendfile64",              2, Moved, files::offset64),
    ("sendmmsg",                1, Out,   net::messages),
    ("sendmsg",                 1, In,    net::message_in),
    ("sendto",                  4, In,    net::address_in),
    ("setgroups32",             1, In,    process::ids_in),
    ("setitimer",               1, In,    times::itimerval),
    ("setitimer",               2, Out,   times::itimerval),
    ("setregid32",              0, In,    process::id),
    ("setregid32",              1, In,    process::id),
    ("setresgid32",             0, In,    process::id),
    ("setresgid32",             1, In,    process::id),
    ("setresgid32",             2, In,    process::id),
    ("setresuid32",             0, In,    process::id),
    ("setresuid32",             1, In,    process::id),
    ("setresuid32",             2, In,    process::id),
    ("setreuid32",              0, In,    process::id),
    ("setreuid32",              1, In,    process::id),
    ("setrlimit",               1, In,    process::rlimit),
    ("setsockopt",              2, In,    net::option),
    ("setsockopt",              3, In,    net::value_in),
    ("settimeofday",            0, In,    times::timeval),
    ("settimeofday",            1, In,    times::timezone),
    ("setxattr",                2, In,    files::xattr_set),
    ("shmat",                   1, In,    address),
    ("shmat",                   2, In,    waits::shmat_flags),
    ("shmctl",                  1, In,    waits::shm_command),
    ("shmctl",                  2, Out,   waits::segment),
    ("shmget",                  0, In,    waits::key),
    ("shmget",                  2, In,    waits::get_flags),
    ("sigaction",               1, In,    signals::old_action),
    ("sigaction",               2, Out,   signals::old_action),
    ("sigaltstack",             0, In,    signals::altstack),
    ("sigaltstack",             1, Out,   signals::altstack),
    ("signalfd",                1, In,    signals::set64),
    ("signalfd4",               1, In,    signals::set64),
    ("sigpending",              0, Out,   signals::set32),
    ("sigprocmask",             1, In,    signals::set32),
    ("sigprocmask",             2, Out,   signals::set32),
    ("socket",                  2, In,    net::protocol),
    ("socketpair",              3, Out,   net::pair),
    ("stat",                    1, Out,   files::stat),
    ("stat64",                  1, Out,   files::stat64),
    ("statx",                   2, In,    files::statx_flags),
    ("statx",                   4, Out,   files::statx),
    ("sysinfo",                 0, Out,   process::sysinfo),
    ("timer_create",            1, In,    times::sigevent),
    ("timer_create",            2, Out,   process::one),
    ("timer_gettime",           1, Out,   times::itimerspec),
    ("timer_gettime64",         1, Out,   times::itimerspec64),
    ("timer_settime",           2, In,    times::itimerspec),
    ("timer_settime",           3, Out,   times::itimerspec),
    ("timer_settime64",         2, In,    times::itimerspec64),
    ("timer_settime64",         3, Out,   times::itimerspec64),
    ("timerfd_gettime",         1, Out,   times::itimerspec),
    ("timerfd_gettime64",       1, Out,   times::itimerspec64),
    ("timerfd_settime",         1, In,    times::timerfd_flags),
    ("timerfd_settime",         2, In,    times::itimerspec),
    ("timerfd_settime",         3, Out,   times::itimerspec),
    ("timerfd_settime64",       1, In,    times::timerfd_flags),
    ("timerfd_settime64",       2, In,    times::itimerspec64),
    ("timerfd_settime64",       3, Out,   times::itimerspec64),
    ("times",                   0, Out,   times::tms),
    ("ugetrlimit",              1, Out,   process::rlimit),
    ("uname",                   0, Out,   process::uname),
    ("unshare",                 0, In,    process::namespaces),
    ("utimensat",               2, In,    times::utimensat),
    ("utimensat_time64",        2, In,    times::utimensat64),
    ("utimes",                  1, In,    times::utimes),
    ("vmsplice",                1, In,    files::vector_in),
    ("wait4",                   1, Out,   process::status),
    ("wait4",                   3, Out,   process::rusage),
    ("waitid",                  2, Out,   signals::info_of_child),
    ("waitid",                  4, Out,   process::rusage),
    ("writev",                  1, In,    files::vector_in),
    ("_newselect",              1, In,    waits::select_set),
    ("_newselect",              2, In,    waits::select_set),
    ("_newselect",              3, In,    waits::select_set),
    ("_newselect",              4, In,    times::timeval),
];

/// Calls whose arguments depend on each other, or stand in another order than in the registers.
#[rustfmt::skip]
static WHOLES: &[(&str, Whole)] = &[
    ("_llseek",             files::llseek),
    ("arm_fadvise64_64",    files::fadvise),
    ("arm_sync_file_range", files::sync_range),
    ("clone",               process::clone),
    ("fcntl",               files::fcntl),
    ("fcntl64",             files::fcntl),
    ("futex",               process::futex32),
    ("futex_time64",        process::futex64),
    ("ioctl",               ioctls::ioctl),
    ("membarrier",          process::membarrier),
    ("mknod",               files::mknod),
    ("mknodat",             files::mknodat),
    ("prctl",               process::prctl),
];

#[rustfmt::skip]
static ANSWERS: &[(&str, Answer)] = &[
    ("_newselect",          waits::select_result),
    ("clock_adjtime64",     times::clock_state),
    ("fcntl",               files::fcntl_result),
    ("fcntl64",             files::fcntl_result),
    ("membarrier",          process::membarrier_result),
    ("personality",         process::personality_result),
    ("poll",                waits::poll_result),
    ("ppoll",               waits::ppoll_result),
    ("ppoll_time64",        waits::ppoll64_result),
    ("prctl",               process::prctl_result),
    ("pselect6",            waits::pselect_result),
    ("pselect6_time64",     waits::pselect64_result),
    ("rt_sigtimedwait",     signal_result),
    ("rt_sigtimedwait_time64", signal_result),
    ("sched_getscheduler",  process::scheduler_result),
    ("shmat",               address_result),
    ("brk",                 address_result),
    ("mmap2",               address_result),
    ("mremap",              address_result),
    ("umask",               mode_result),
];

/// Names that strace knows calls by, where the table has the kernel's.
static RENAMED: &[(&str, &str)] = &[
    ("arm_fadvise64_64", "fadvise64_64"),
    ("arm_sync_file_range", "sync_file_range2"),
];

fn address(at: &At<'_>) -> Option<String> {
    Some(super::memory::pointer(at.v))
}

fn hexadecimal(at: &At<'_>) -> Option<String> {
    Some(format!("{:#x}", at.v))
}

/// mmap2's offset is in units of 4096 bytes.
fn page_offset(at: &At<'_>) -> Option<String> {
    Some(match u64::from(at.v) * 4096 {
        0 => "0".into(),
        bytes => format!("{bytes:#x}"),
    })
}

/// A path that the call has written, with its NUL.
fn path_out(at: &At<'_>) -> Option<String> {
    at.returned.map(|_| super::memory::string(at.v))
}

fn address_result(_: &[u32; 6], value: u32) -> Option<String> {
    Some(format!("{value:#x}"))
}

fn mode_result(_: &[u32; 6], value: u32) -> Option<String> {
    Some(format!("0{value:o}"))
}

fn signal_result(_: &[u32; 6], value: u32) -> Option<String> {
    Some(format!(
        "{value} ({})",
        crate::linux::table::flags::signal_name(value)
    ))
}

/// What is known of one call.
#[derive(Default)]
pub struct Known {
    pub arguments: Vec<(usize, When, Show)>,
    pub whole: Option<Whole>,
    pub answer: Option<Answer>,
}

impl Known {
    /// When the argument in `word` says something, if anything is known of it.
    pub fn at(&self, word: usize) -> Option<When> {
        let known = self.arguments.iter().find(|(w, ..)| *w == word);
        known.map(|(_, when, _)| *when)
    }
}

/// What is known of the call `name`.
pub fn known(name: &str) -> Option<&'static Known> {
    static ALL: OnceLock<HashMap<&'static str, Known>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let mut all: HashMap<&'static str, Known> = HashMap::new();
        for (name, word, when, show) in ARGUMENTS {
            all.entry(name).or_default().arguments.push((*word, *when, *show));
        }
        for (name, whole) in WHOLES {
            all.entry(name).or_default().whole = Some(*whole);
        }
        for (name, answer) in ANSWERS {
            all.entry(name).or_default().answer = Some(*answer);
        }
        all
    });
    all.get(name)
}

/// The name that a trace shows.
pub fn shown_name(name: &'static str) -> &'static str {
    RENAMED
        .iter()
        .find(|(ours, _)| *ours == name)
        .map_or(name, |(_, shown)| shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::table;

    #[test]
    fn every_name_is_a_calls() {
        let names = ARGUMENTS.iter().map(|(n, ..)| n);
        for name in names
            .chain(WHOLES.iter().map(|(n, _)| n))
            .chain(ANSWERS.iter().map(|(n, _)| n))
        {
            assert!(table::lookup_name(name).is_some(), "{name}");
        }
        for (name, word, ..) in ARGUMENTS {
            let words: usize =
                table::lookup_name(name).map_or(0, |row| row.args.iter().map(|a| a.words()).sum());
            assert!(*word < words, "{name} has no argument {word}");
        }
    }
}
