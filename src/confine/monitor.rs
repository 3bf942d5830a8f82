//! The process outside: waits for the guest's first process, passes signals on, keeps the time, and ends as it ended.

use super::limits::Limits;
use super::profile::Policy;
use super::sys::{close_all_but, prctl};
use std::io::Write;
use std::time::{Duration, Instant};

/// timeout(1)'s status.
const EXIT_TIMED_OUT: i32 = 124;

/// All signals, but for those that the kernel raises for an instruction of ours.
pub fn watched() -> libc::sigset_t {
    // SAFETY: a signal set is plain data.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigfillset(&mut set);
        for signo in [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGILL,
            libc::SIGFPE,
            libc::SIGTRAP,
        ] {
            libc::sigdelset(&mut set, signo);
        }
        set
    }
}

/// Blocks the signals of [`watched`] and returns the mask as it was.
pub fn block() -> libc::sigset_t {
    // SAFETY: sets of our own.
    unsafe {
        let mut old = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_SETMASK, &watched(), &mut old);
        old
    }
}

pub fn set_mask(mask: &libc::sigset_t) {
    // SAFETY: a set of the caller's.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, std::ptr::null_mut()) };
}

/// Lets go of what the guest has as well: where its pipes end is the guest's business.
fn close_descriptors(keep: impl IntoIterator<Item = i32>) {
    close_all_but(keep.into_iter().chain([libc::STDERR_FILENO]));
}

/// Watches over process `pid` to its end.
pub fn run(pid: i32, policy: &Policy, limits: Limits) -> ! {
    if policy.die_with_parent {
        // SAFETY: integers only.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    }
    // SAFETY: a disposition that needs no handler: the child must stay to be waited for.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    close_descriptors(limits.descriptors());
    let deadline = policy
        .timeout
        .map(|seconds| (seconds, Instant::now() + Duration::from_secs_f64(seconds)));
    let set = watched();
    let mut timed_out = None;
    loop {
        if let Some(status) = ended(pid) {
            let hits = limits.hits();
            drop(limits);
            for hit in hits {
                say(&hit);
            }
            if let Some(seconds) = timed_out {
                say(&format!("--timeout {seconds}: ended"));
                std::process::exit(EXIT_TIMED_OUT);
            }
            finish(status);
        }
        // A signal that is due has precedence over the clock; SIGCHLD comes in here too.
        let mut info: libc::siginfo_t = zeroed_info();
        let wait = deadline.map_or(Duration::from_secs(3600), |(_, at)| {
            at.saturating_duration_since(Instant::now())
        });
        let wait = libc::timespec {
            tv_sec: wait.as_secs() as libc::time_t,
            tv_nsec: wait.subsec_nanos().into(),
        };
        // SAFETY: set, info and time live over the call.
        let signo = unsafe { libc::sigtimedwait(&set, &mut info, &wait) };
        if signo > 0 && pass_on(pid, signo, &info, policy.new_session) {
            drop(limits);
            die(signo);
        }
        if let Some((seconds, at)) = deadline
            && timed_out.is_none()
            && Instant::now() >= at
        {
            timed_out = Some(seconds);
            kill(pid, libc::SIGKILL);
        }
    }
}

fn zeroed_info() -> libc::siginfo_t {
    // SAFETY: plain data.
    unsafe { std::mem::zeroed() }
}

fn say(text: &str) {
    // Where nobody can be told, the status remains.
    let _ = writeln!(std::io::stderr(), "emu: {text}");
}

fn kill(pid: i32, signo: i32) {
    // SAFETY: a child of ours that has not been waited for.
    unsafe { libc::kill(pid, signo) };
}

fn ended(pid: i32) -> Option<i32> {
    let mut status = 0;
    // SAFETY: `status` is valid for the write.
    (unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) } == pid).then_some(status)
}

/// What a signal to this process means for the guest. From a terminal the guest has it already, being in the same process
/// group. The kernel keeps signals without a handler from the first process of a pid namespace: for those that end a
/// process, that end is made here. Returns whether it was: the guest is no more, and this process is to end by the same signal.
fn pass_on(pid: i32, signo: i32, info: &libc::siginfo_t, other_session: bool) -> bool {
    let job_control = [
        libc::SIGCHLD,
        libc::SIGCONT,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGWINCH,
    ];
    if [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].contains(&signo) && !handles(pid, signo) {
        stop(pid, signo);
    }
    if job_control.contains(&signo) {
        return false;
    }
    let sent_by_a_process = info.si_code <= 0;
    if sent_by_a_process || other_session {
        kill(pid, signo);
    }
    let ends = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT].contains(&signo);
    let ended = ends && !handles(pid, signo);
    if ended {
        kill(pid, libc::SIGKILL);
        let mut status = 0;
        // SAFETY: `status` is valid for the write.
        unsafe { libc::waitpid(pid, &mut status, 0) };
    }
    ended
}

/// Stops this process and the guest's first one, which the kernel lets no signal of its terminal stop, until they are continued. The
/// guest's others have the terminal's signal themselves. In an orphaned group nothing stops.
fn stop(pid: i32, signo: i32) {
    kill(pid, libc::SIGSTOP);
    // SAFETY: the default disposition and a set of our own; the process goes on here after SIGCONT.
    unsafe {
        libc::signal(signo, libc::SIG_DFL);
        libc::raise(signo);
        let mut one: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut one);
        libc::sigaddset(&mut one, signo);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &one, std::ptr::null_mut());
        libc::pthread_sigmask(libc::SIG_BLOCK, &one, std::ptr::null_mut());
    }
    kill(pid, libc::SIGCONT);
}

/// Whether a process ignores or catches a signal, or keeps it blocked for longer than the emulator does at work.
fn handles(pid: i32, signo: i32) -> bool {
    let has = |text: &str, key: &str| {
        let mask = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(":\t"));
        mask.and_then(|m| u64::from_str_radix(m, 16).ok())
            .is_some_and(|m| m >> (signo - 1) & 1 == 1)
    };
    for _ in 0..40 {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        if has(&text, "SigIgn") || has(&text, "SigCgt") {
            return true;
        }
        if !has(&text, "SigBlk") {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Ends as the guest has ended.
fn finish(status: i32) -> ! {
    if libc::WIFSIGNALED(status) {
        die(libc::WTERMSIG(status));
    }
    std::process::exit(libc::WEXITSTATUS(status))
}

/// Ends this process by a signal, without a core file of its own.
fn die(signo: i32) -> ! {
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: plain data that lives over the calls; the default disposition ends the process.
    unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &none);
        libc::signal(signo, libc::SIG_DFL);
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::pthread_sigmask(libc::SIG_SETMASK, &set, std::ptr::null_mut());
        libc::kill(libc::getpid(), signo);
    }
    std::process::exit(128 + signo)
}

/// `--init`: the first process of the namespace, which waits for orphans and ends with `child`'s status. Signals that it
/// gets are the child's.
pub fn reap(child: i32) -> ! {
    super::mm_map::rename(c"init");
    // It has no filter: nobody gets at its memory. A kernel that refuses leaves what the guest's own filter refuses.
    let _ = prctl(libc::PR_SET_DUMPABLE, 0, 0, 0);
    close_descriptors([]);
    let set = watched();
    loop {
        loop {
            let mut status = 0;
            // SAFETY: `status` is valid for the write.
            let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
            if pid == child {
                let code = match libc::WIFSIGNALED(status) {
                    true => 128 + libc::WTERMSIG(status),
                    false => libc::WEXITSTATUS(status),
                };
                std::process::exit(code);
            }
            if pid <= 0 {
                break;
            }
        }
        let mut info = zeroed_info();
        // SAFETY: set and info live over the call.
        let signo = unsafe { libc::sigwaitinfo(&set, &mut info) };
        if signo > 0 && signo != libc::SIGCHLD && info.si_code <= 0 {
            kill(child, signo);
        }
    }
}
