//! A world of its own for the guest: namespaces of every kind, made without privileges, before anything of the guest runs.
//!
//! The caller's process stays outside and watches ([`super::monitor`]); its child is process 1 of the new pid namespace and
//! becomes the guest. No thread may have been started before.

use super::limits::{self, Limits};
use super::profile::{Net, Policy};
use super::sys::{self, check, prctl};
use super::{ConfineError, Problem, caps, landlock, monitor, mounts, own_program, setup};
use std::fs;
use std::io;

/// What [`enter`] leaves to say about the new surroundings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entered {
    /// The kernel has Landlock and it is in force.
    pub landlock: bool,
    /// The caller could change the emulator's program: the descriptor is one now by which nobody can, and the process is to
    /// be replaced by what is there, so that /proc/self/exe is that too.
    pub execute_again: bool,
    /// RLIMIT_DATA that the guest is to have, in bytes.
    pub data_limit: Option<u64>,
}

/// Moves this process into namespaces of its own as the policy has it. Returns in the guest's first process only; the
/// process that called ends with the guest's status. `emulator` is the descriptor by which guests execute `emu` again,
/// `log` the log's.
///
/// # Errors
/// One line; nothing of the guest has run.
pub fn enter(
    policy: &Policy,
    limits: Limits,
    emulator: Option<i32>,
    log: Option<i32>,
) -> Result<Entered, ConfineError> {
    let given = 0..3 + i32::from(policy.preserve_fds);
    if let Some(fd) = given.clone().find(|&fd| sys::is_directory(fd)) {
        let what = match fd {
            0 => "standard input".into(),
            1 => "standard output".into(),
            2 => "standard error".into(),
            fd => format!("--preserve-fds: descriptor {fd}"),
        };
        let error = io::Error::from_raw_os_error(libc::EISDIR);
        return Err(ConfineError::Setup(Problem::new(
            &what,
            &error,
            "it would lead out of the guest's root; --bind gives a guest directories",
        )));
    }
    // SAFETY: no preconditions.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    let changeable = emulator.filter(|&fd| own_program::is_changeable(fd));
    if uid == 0 {
        // Groups give rights, and cannot be given up later.
        // SAFETY: an empty list.
        unsafe { libc::setgroups(0, std::ptr::null()) };
    }
    // SAFETY: integers only.
    check(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWPID) }).map_err(|error| {
        let what = match error.raw_os_error() {
            // Of namespaces, not of a device.
            Some(libc::ENOSPC) => "cannot make a user namespace, their number is limited (user.max_user_namespaces)",
            _ => "cannot make a user namespace",
        };
        ConfineError::Setup(Problem::new(
            what,
            &error,
            "this host or container forbids them (see emu doctor); emu PROGRAM without --root and --confine runs here",
        ))
    })?;
    map_ids("uid", policy.uid.unwrap_or(uid), uid)?;
    map_ids("gid", policy.gid.unwrap_or(gid), gid)?;
    let mask = monitor::block();
    let (ready, go) = pipe().map_err(|e| setup("a pipe", &e))?;
    // SAFETY: this process has one thread; the child goes on as a copy.
    let pid = check(unsafe { libc::fork() }).map_err(|e| setup("the guest's first process", &e))?;
    if pid != 0 {
        drop(ready);
        let pid = pid as i32;
        if let Err(error) = limits.admit(pid) {
            eprintln!("emu: {}", setup("the control group", &error));
            // SAFETY: a child of ours.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            drop(limits);
            std::process::exit(super::EXIT_SETUP);
        }
        // A child that is gone is found by waiting for it.
        let _ = io::Write::write_all(&mut &go, b"g");
        drop(go);
        monitor::run(pid, policy, limits)
    }
    drop(go);
    let data_limit = limits.data;
    // The groups are the other process's to remove.
    let limits = std::mem::ManuallyDrop::new(limits);
    let mut entered = inside(policy, &limits, ready, (emulator, changeable), log)?;
    entered.data_limit = data_limit;
    monitor::set_mask(&mask);
    Ok(entered)
}

/// What a host does not give.
#[derive(Debug)]
pub enum Impossible {
    Namespaces(io::Error),
    /// A /proc that shows the guest alone: where the caller's own is covered in part, as in most containers.
    Proc(io::Error),
}

/// Whether this user may have namespaces and a /proc in them; tried in a process of its own.
///
/// # Errors
/// The kernel's reason.
pub fn possible() -> Result<(), Impossible> {
    /// Above every errno that comes of this.
    const OF_PROC: i32 = 0x80;
    let errno = |error: io::Error| error.raw_os_error().unwrap_or(libc::EPERM);
    let wait = |pid: i32| {
        let mut status = 0;
        // SAFETY: `status` is valid for the write.
        check(unsafe { libc::waitpid(pid, &mut status, 0) }).map(|_| libc::WEXITSTATUS(status))
    };
    // SAFETY: the children make system calls only, and leave by _exit.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // The second needs the rights that the first should give.
        let kinds = [
            libc::CLONE_NEWUSER | libc::CLONE_NEWPID,
            libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWUTS,
        ];
        for kind in kinds {
            // SAFETY: integers only.
            if let Err(error) = check(unsafe { libc::unshare(kind) }) {
                // SAFETY: ends this process at once.
                unsafe { libc::_exit(errno(error)) };
            }
        }
        // SAFETY: as above. Only a child is in the new pid namespace.
        let inner = unsafe { libc::fork() };
        let status = match inner {
            0 => sys::new_mount(c"proc", &[], 0).map_or_else(|error| errno(error) | OF_PROC, |_| 0),
            pid => wait(pid).unwrap_or(libc::ECHILD),
        };
        // SAFETY: as above.
        unsafe { libc::_exit(status) };
    }
    match wait(pid).map_err(Impossible::Namespaces)? {
        0 => Ok(()),
        status if status & OF_PROC != 0 => {
            Err(Impossible::Proc(io::Error::from_raw_os_error(status & !OF_PROC)))
        }
        errno => Err(Impossible::Namespaces(io::Error::from_raw_os_error(errno))),
    }
}

/// In a program that a confined run's first process has executed: it still ends with the process outside. The kernel keeps that over
/// execve only if the first thread calls it.
pub fn still_first() {
    // SAFETY: no preconditions; integers only.
    unsafe {
        if libc::getpid() == 1 {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        }
    }
}

/// The child's part. The emulator's descriptor is given twice where the caller could change its file.
fn inside(
    policy: &Policy,
    limits: &Limits,
    mut ready: fs::File,
    (emulator, changeable): (Option<i32>, Option<i32>),
    log: Option<i32>,
) -> Result<Entered, ConfineError> {
    // The guest has no life without the process that waits for it.
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0, 0).map_err(|e| setup("the parent's end", &e))?;
    if io::Read::read(&mut ready, &mut [0]).unwrap_or(0) != 1 {
        std::process::exit(super::EXIT_SETUP);
    }
    drop(ready);
    let mut kinds = libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;
    if policy.net == Net::None {
        kinds |= libc::CLONE_NEWNET;
    }
    // SAFETY: integers only.
    check(unsafe { libc::unshare(kinds) }).map_err(|error| {
        ConfineError::Setup(Problem::new(
            "cannot make namespaces",
            &error,
            "user namespaces have no rights on this host (see emu doctor); emu PROGRAM without --root and --confine runs here",
        ))
    })?;
    if policy.net == Net::None {
        // Without it there is no 127.0.0.1, which is no reason to stop.
        let _ = loopback_up();
    }
    if let Some(name) = &policy.hostname {
        // SAFETY: the bytes live over the call.
        check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) })
            .map_err(|e| setup(&format!("--hostname {name}"), &e))?;
    }
    let root = mounts::prepare(policy)?;
    // Judged by what the caller is on the host.
    let execute_again = changeable.is_some();
    if let Some(fd) = changeable {
        own_program::replace(fd).map_err(|e| setup("the emulator's own program", &e))?;
    }
    if !policy.cap_add.contains(&caps::SYS_ADMIN) {
        // In a user namespace below it a guest would have all capabilities again. Where there is no such setting,
        // there are no user namespaces.
        let _ = fs::write("/proc/sys/user/max_user_namespaces", "0");
    }
    // What else the caller has open, the guest does not get, as under the container run-times: before names in the root are used,
    // which links may lead to /proc/self/fd.
    let given = 0..3 + i32::from(policy.preserve_fds);
    let own = root.descriptors().into_iter().chain(emulator).chain(log);
    sys::close_all_but(given.clone().chain(own));
    root.enter(policy)?;
    limits::set_rlimits(policy, limits)?;
    if policy.new_session {
        // SAFETY: no preconditions. The first process of a namespace leads its group already only if it was made to.
        unsafe { libc::setsid() };
    }
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0).map_err(|e| setup("no_new_privs", &e))?;
    if policy.init {
        // SAFETY: one thread, as before.
        let child = check(unsafe { libc::fork() }).map_err(|e| setup("--init", &e))?;
        if child != 0 {
            caps::keep(&[]).map_err(|e| setup("capabilities", &e))?;
            monitor::reap(child as i32);
        }
    }
    caps::keep(&policy.cap_add).map_err(|e| setup("capabilities", &e))?;
    let programs: Vec<i32> = emulator.into_iter().collect();
    let files: Vec<i32> = given.collect();
    Ok(Entered {
        landlock: landlock::restrict(&programs, &files).map_err(ConfineError::Landlock)?,
        execute_again,
        data_limit: None,
    })
}

/// One id of the guest's for one of the caller's: more would need privileges.
fn map_ids(kind: &str, inside: u32, outside: u32) -> Result<(), ConfineError> {
    if kind == "gid" {
        // An unprivileged process must give up changing its groups first.
        let _ = fs::write("/proc/self/setgroups", "deny");
    }
    let text = format!("{inside} {outside} 1\n");
    fs::write(format!("/proc/self/{kind}_map"), text).map_err(|error| {
        ConfineError::Setup(Problem::new(
            &format!("--{kind} {inside}"),
            &error,
            "the host lets no id be mapped (is /proc mounted?)",
        ))
    })
}

fn pipe() -> io::Result<(fs::File, fs::File)> {
    use std::os::fd::FromRawFd;
    let mut fds = [0; 2];
    // SAFETY: two new descriptors that the files own.
    unsafe {
        check(libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC))?;
        Ok((fs::File::from_raw_fd(fds[0]), fs::File::from_raw_fd(fds[1])))
    }
}

fn loopback_up() -> io::Result<()> {
    // SAFETY: ifreq is plain data that lives over the calls; the socket is closed here.
    unsafe {
        let socket = check(libc::socket(
            libc::AF_INET,
            libc::SOCK_DGRAM | libc::SOCK_CLOEXEC,
            0,
        ))? as i32;
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
        let result = check(libc::ioctl(socket, libc::SIOCSIFFLAGS, &request));
        libc::close(socket);
        result.map(|_| ())
    }
}
