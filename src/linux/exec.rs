//! execve: ARM programs through this emulator again, scripts, x86-64 programs directly.
//!
//! The emulator is executed by an open descriptor of itself, so nothing depends on where it is installed, on /proc or
//! on a registration in the kernel. Everything that Linux checks before it gives the old program up is checked here
//! first; the program travels as an open descriptor, so what was checked is what runs.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use super::call::SyscallContext;
use super::errno::{ERESTARTSYS, Errno, SysResult};
use super::path::{in_proc, translate_bytes};
use super::process::Process;
use super::signal::set::SigSet;
use super::signal::{deliver, host, inherit};
use super::task::PER_LINUX_32BIT;
use super::{guest, own_fds, raw, seccomp, std_fds};
use crate::cli::Handover;
use crate::diag::log::{self, Items, enabled};
use crate::diag::own_fd;
use crate::exec::family::{self, HandedOver};
use crate::load::{self, Kind, Problem};
use crate::log_line;
use crate::mem::{GuestAddr, space};

/// The emulator's own executable, open; -1 before [`open_self`].
static SELF_FD: AtomicI32 = AtomicI32::new(-1);
/// The kernel itself starts `emu` for ARM programs (binfmt_misc).
static REGISTERED: AtomicBool = AtomicBool::new(false);
/// Interpreters of interpreters that the kernel follows.
const MAX_DEPTH: usize = 5;
/// MAX_ARG_STRLEN.
const MAX_STRING: usize = 131_072;
/// Largest argument block: three quarters of _STK_LIM; and ARG_MAX as the least.
const MAX_BLOCK: u64 = 6 << 20;
const MIN_BLOCK: u64 = 131_072;

/// Opens the emulator's executable, at start: as the descriptor it was executed by, if a guest's execve did that,
/// else through /proc. Without either, execve of ARM programs is left to the kernel where it has `registered` `emu` for
/// them, and fails with ENOENT elsewhere.
pub fn open_self(registered: bool, reexecuted: bool) {
    REGISTERED.store(registered, Ordering::Relaxed);
    let fd = descriptor_we_run_from(reexecuted).unwrap_or_else(|| {
        // SAFETY: a NUL-terminated path.
        let low = unsafe { libc::open(c"/proc/self/exe".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
        own_fd::move_number_high(low)
    });
    SELF_FD.store(fd, Ordering::Relaxed);
}

/// The program that the guest's execve left open at `fd`; to be called once, at start.
pub fn take_program(fd: i32) -> File {
    // SAFETY: `Plan::hand_over` of the process that executed us opened it at this number for us alone.
    let file = unsafe { File::from_raw_fd(fd) };
    // SAFETY: as above; a number that is no descriptor only gives an error.
    unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    file
}

/// AT_EXECFN of a program that was executed by descriptor is /dev/fd/N. It is ours if a guest's execve did that, or if it
/// is where only ours are.
fn descriptor_we_run_from(reexecuted: bool) -> Option<i32> {
    // SAFETY: AT_EXECFN, where present, is the address of a string on the initial stack, which is never unmapped.
    let name = unsafe {
        let name = libc::getauxval(libc::AT_EXECFN) as *const libc::c_char;
        if name.is_null() {
            return None;
        }
        CStr::from_ptr(name)
    };
    let fd: i32 = name.to_str().ok()?.strip_prefix("/dev/fd/")?.parse().ok()?;
    // SAFETY: fcntl on a number; EBADF if it is no descriptor (closed on exec).
    let ours = (reexecuted || fd >= own_fd::LOWEST)
        && unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } == 0;
    ours.then_some(fd)
}

/// Replaces this process, in which no guest has run, by what the emulator's descriptor leads to now, with this command line.
///
/// # Errors
/// execveat's: otherwise it does not return.
pub fn replace_process(command: Vec<OsString>, environment: Vec<Vec<u8>>) -> std::io::Error {
    inherit::undo_runtime();
    std_fds::restore();
    let emulator = SELF_FD.load(Ordering::Relaxed);
    for fd in log::private_fd().into_iter().chain([emulator]) {
        set_inheritable(fd, true);
    }
    let mut plan = Plan::default();
    let strings = command.into_iter().map(OsStringExt::into_vec).collect();
    if plan.set_strings(strings, environment).is_err() {
        return std::io::ErrorKind::InvalidInput.into();
    }
    // SAFETY: the strings and pointers are the plan's, which lives over the call; after it there is nothing of this process.
    unsafe {
        let argv = plan.argv.as_ptr();
        let envp = plan.argv[plan.argc + 1..].as_ptr();
        libc::syscall(
            libc::SYS_execveat,
            emulator,
            c"".as_ptr(),
            argv,
            envp,
            libc::AT_EMPTY_PATH,
        );
    }
    std::io::Error::last_os_error()
}

/// The descriptor that a guest must neither see nor close.
pub fn private_fd() -> Option<i32> {
    Some(SELF_FD.load(Ordering::Relaxed)).filter(|&fd| fd >= 0)
}

/// Before a child or another program is made: lets it share this process's translations.
pub fn found_family(process: &Process) {
    if process.in_family.load(Ordering::Relaxed) {
        family::found();
    }
}

/// Before the process changes its credentials, its namespaces or what else its rights are: from then on those that
/// executed it may have more.
pub fn leave_family(process: &Process) {
    if process.borrows_memory {
        // The memory and the number of the descriptor are its parent's; it leaves both behind at execve.
        process.in_family.store(false, Ordering::Relaxed);
    } else {
        family::leave(own_fds::are_shared());
    }
}

/// Everything the host's execve is given, with the descriptors that go with it.
#[derive(Default)]
#[allow(
    dead_code,
    reason = "strings and descriptors are held for the pointers and numbers made of them"
)]
pub struct Plan {
    strings: Vec<CString>,
    argv: Vec<usize>,
    argc: usize,
    /// The program, where it runs under this emulator.
    arm: Option<Arm>,
    /// Those that become inheritable and stay this process's if execve fails: the emulator, the log, the store.
    kept: Vec<i32>,
    /// Those that were opened for the next program. Plain numbers, as a vfork child's table of descriptors is not that of
    /// the parent who drops this.
    opened: Vec<i32>,
    path: CString,
    dir: i32,
    flags: i32,
}

/// An ARM program that is to be executed.
struct Arm {
    /// Its descriptor.
    program: i32,
    /// The program as the guest knows it.
    name: Vec<u8>,
    argv: Vec<OsString>,
    envp: Vec<Vec<u8>>,
}

/// execve(path, argv, envp).
pub fn sys_execve(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [path, argv, envp, ..] = *args;
    execute(ctx, libc::AT_FDCWD, path, argv, envp, 0)
}

/// execveat(dir, path, argv, envp, flags).
pub fn sys_execveat(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [dir, path, argv, envp, flags, _] = *args;
    execute(ctx, dir as i32, path, argv, envp, flags as i32)
}

fn execute(ctx: &mut SyscallContext<'_>, dir: i32, path: u32, argv: u32, envp: u32, flags: i32) -> SysResult {
    if flags & !(libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    let path = read_path(path)?;
    if path.is_empty() && flags & libc::AT_EMPTY_PATH == 0 {
        return Err(Errno::ENOENT);
    }
    let mut room = block_limit();
    let mut argv = read_strings(argv, &mut room)?;
    let envp = read_strings(envp, &mut room)?;
    if argv.is_empty() {
        // As Linux since 5.18.
        argv.push(Vec::new());
    }
    let _held = own_fds::hold(ctx.process);
    let mut plan = if own_fds::are_shared() {
        // What is opened in another process's table stays there. What can fail is tried in it; what is handed over is
        // opened in one of our own.
        prepare(ctx, dir, path.clone(), argv.clone(), envp.clone(), flags)?.close();
        own_fds::make_private(ctx.process);
        prepare(ctx, dir, path, argv, envp, flags)?
    } else {
        prepare(ctx, dir, path, argv, envp, flags)?
    };
    if let Some(arm) = &plan.arm
        && let Err(errno) = fits(ctx, arm)
    {
        plan.close();
        return Err(errno);
    }
    // Kept in the task, not on this stack: see `Task::exec_plan`.
    ctx.task.exec_plan = Some(Box::new(plan));
    let result = go(ctx);
    if let Some(mut plan) = ctx.task.exec_plan.take() {
        plan.close();
    }
    result
}

/// Follows scripts to a program and makes the host's arguments.
fn prepare(
    ctx: &SyscallContext<'_>,
    dir: i32,
    path: Vec<u8>,
    mut argv: Vec<Vec<u8>>,
    envp: Vec<Vec<u8>>,
    flags: i32,
) -> Result<Plan, Errno> {
    let process = ctx.process;
    // What the kernel calls the program where it was opened by descriptor.
    let mut name = if path.is_empty() || (dir != libc::AT_FDCWD && path[0] != b'/') {
        let mut name = format!("/dev/fd/{dir}").into_bytes();
        if !path.is_empty() {
            name.push(b'/');
            name.extend_from_slice(&path);
        }
        name
    } else {
        path.clone()
    };
    // AT_EXECFN and the process's name stay those of the file that execve was given, a script's too.
    let filename = name.clone();
    let (mut dir, mut path, mut flags) = (dir, path, flags);
    for _ in 0..=MAX_DEPTH {
        let follow = flags & libc::AT_SYMLINK_NOFOLLOW == 0;
        path = in_proc(dir, &path).unwrap_or(path);
        let host_path = translate_bytes(process, path.clone(), follow)?;
        let file = open_program(dir, &host_path, flags)?;
        let set_id = is_set_id(&file);
        if set_id {
            note_set_id(process, &name);
        }
        match load::identify(&file).map_err(refused)? {
            Kind::Arm32 => {
                check_program(process, &file)?;
                let by_kernel = set_id && (process.settings.set_id_by_kernel)();
                if by_kernel || private_fd().is_none() && REGISTERED.load(Ordering::Relaxed) {
                    return plan_native(dir, host_path, flags, argv, envp);
                }
                return Ok(plan_arm(ctx, file, &filename, argv, envp));
            }
            Kind::X86_64 if seccomp::active(&ctx.task.seccomp) => {
                // Its calls have other numbers than those that the guest's filter knows.
                log_line!(
                    Items::UNIMP,
                    "execve of an x86-64 program under a seccomp filter: EACCES"
                );
                return Err(Errno::EACCES);
            }
            Kind::X86_64 if ctx.task.trace.is_traced() => {
                log_line!(
                    Items::UNIMP,
                    "execve of an x86-64 program by a traced process: EACCES"
                );
                return Err(Errno::EACCES);
            }
            Kind::X86_64 if process.settings.strict.as_ref().is_some_and(|s| !s.allow_native) => {
                log_line!(
                    Items::POLICY,
                    "execve of {}: an x86-64 program; allowed by --allow-native",
                    String::from_utf8_lossy(&name)
                );
                return Err(Errno::EACCES);
            }
            Kind::X86_64 => return plan_native(dir, host_path, flags, argv, envp),
            Kind::Script {
                interpreter,
                argument,
            } => {
                // The interpreter could not open the script: its descriptor goes with this program.
                if dir != libc::AT_FDCWD && name.starts_with(b"/dev/fd/") && closes_on_exec(dir) {
                    return Err(Errno::ENOENT);
                }
                let rest = argv.split_off(1.min(argv.len()));
                argv = std::iter::once(interpreter.clone())
                    .chain(argument)
                    .chain(std::iter::once(name))
                    .chain(rest)
                    .collect();
                name = interpreter.clone();
                (dir, path, flags) = (libc::AT_FDCWD, interpreter, 0);
            }
            Kind::OtherElf { .. } | Kind::Unknown => return Err(Errno::ENOEXEC),
        }
    }
    Err(Errno::ELOOP)
}

/// Whether executing a file changes the user or group.
fn is_set_id(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata()
        .is_ok_and(|m| m.mode() & (libc::S_ISUID | libc::S_ISGID) != 0)
}

/// One line under `-d policy` for a set-id file whose privileges no_new_privs keeps from it.
fn note_set_id(process: &Process, name: &[u8]) {
    // SAFETY: integers only.
    if enabled(Items::POLICY) && unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) } == 1 {
        let option = match process.settings.strict {
            Some(_) => "in a confined run it has none",
            None => "allowed by --allow-setuid",
        };
        let name = String::from_utf8_lossy(name);
        log_line!(
            Items::POLICY,
            "execve of {name}: a set-id program, without its privileges; {option}"
        );
    }
}

fn closes_on_exec(fd: i32) -> bool {
    // SAFETY: fcntl on a number.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    flags >= 0 && flags & libc::FD_CLOEXEC != 0
}

/// Opens a regular file that may be executed; the errors are execve's.
fn open_program(dir: i32, name: &CStr, flags: i32) -> Result<File, Errno> {
    let open = |how: i32| {
        // SAFETY: NUL-terminated path.
        let fd = unsafe { libc::openat(dir, name.as_ptr(), how | libc::O_CLOEXEC) };
        if fd < 0 {
            return Err(Errno::last());
        }
        // SAFETY: a new descriptor that nothing else owns.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    };
    let follow = if flags & libc::AT_SYMLINK_NOFOLLOW != 0 {
        libc::O_NOFOLLOW
    } else {
        0
    };
    if name.is_empty() && dir == libc::AT_FDCWD {
        // The working directory.
        return Err(Errno::EACCES);
    }
    // First without opening it for good: a device or FIFO must not notice.
    let place = if name.is_empty() {
        // SAFETY: a descriptor of the guest's, duplicated.
        let fd = unsafe { libc::fcntl(dir, libc::F_DUPFD_CLOEXEC, 0) };
        if fd < 0 {
            return Err(Errno::last());
        }
        // SAFETY: as above.
        unsafe { OwnedFd::from_raw_fd(fd) }
    } else {
        open(libc::O_PATH | follow)?
    };
    // SAFETY: stat is plain integers; the empty path means the descriptor itself.
    let mode = unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        if libc::fstat(place.as_raw_fd(), &mut stat) != 0 {
            return Err(Errno::last());
        }
        stat.st_mode & libc::S_IFMT
    };
    if mode == libc::S_IFLNK {
        return Err(Errno::ELOOP);
    }
    if mode != libc::S_IFREG {
        return Err(Errno::EACCES);
    }
    let access = [
        place.as_raw_fd() as u64,
        c"".as_ptr() as u64,
        libc::X_OK as u64,
        (libc::AT_EACCESS | libc::AT_EMPTY_PATH) as u64,
        0,
        0,
    ];
    // SAFETY: faccessat2 reads an empty string; noexec mounts and permission bits are the kernel's to judge.
    Errno::check(unsafe { raw::syscall(libc::SYS_faccessat2, access) })?;
    if name.is_empty() {
        return reopen(place);
    }
    match open(libc::O_RDONLY | follow) {
        // The last free descriptor is taken.
        Err(Errno(libc::EMFILE)) => {
            drop(place);
            open(libc::O_RDONLY | follow).map(File::from)
        }
        file => file.map(File::from),
    }
}

/// A readable descriptor of its own for a file given by descriptor, which may be O_PATH or write-only.
fn reopen(place: OwnedFd) -> Result<File, Errno> {
    let link = format!("/proc/self/fd/{}", place.as_raw_fd());
    let link = CString::new(link).map_err(|_| Errno::ENOENT)?;
    // SAFETY: NUL-terminated path.
    let fd = unsafe { libc::open(link.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    if fd < 0 {
        // Without /proc the descriptor itself has to do.
        return if Errno::last() == Errno::ENOENT {
            Ok(place.into())
        } else {
            Err(Errno::last())
        };
    }
    // SAFETY: a new descriptor that nothing else owns.
    Ok(unsafe { File::from_raw_fd(fd) })
}

fn refused(problem: Problem) -> Errno {
    Errno(problem.errno())
}

/// What the kernel makes sure of before the point of no return: a program that can be loaded, and an interpreter that
/// can be executed.
fn check_program(process: &Process, file: &File) -> Result<(), Errno> {
    let program = load::plan(file).map_err(refused)?;
    let Some(path) = program.interpreter.clone() else {
        return Ok(());
    };
    let interpreter = match open_program(libc::AT_FDCWD, &translate_bytes(process, path, true)?, 0) {
        // The kernel needs no descriptor for it: what is wrong with it the next emulator says.
        Err(Errno(libc::EMFILE)) => return Ok(()),
        interpreter => interpreter?,
    };
    match load::plan(&interpreter) {
        Ok(_) => Ok(()),
        Err(_) => Err(Errno(libc::ELIBBAD)),
    }
}

/// What the kernel answers to the arguments with which this emulator is executed (fs/exec.c bprm_stack_limits), which
/// are somewhat more than those of the program.
fn fits(ctx: &SyscallContext<'_>, arm: &Arm) -> Result<(), Errno> {
    /// More than the options of the emulator's take, but for what the user gave it.
    const OPTIONS: usize = 8192;
    let size = |len: usize| len + 1 + size_of::<usize>();
    let block = |strings: &[usize]| strings.iter().map(|&len| size(len)).sum::<usize>();
    let env: Vec<usize> = arm.envp.iter().map(Vec::len).collect();
    let argv: Vec<usize> = arm.argv.iter().map(|s| s.len()).collect();
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` is a valid destination.
    unsafe { libc::getrlimit(libc::RLIMIT_STACK, &mut limit) };
    let limit = (limit.rlim_cur / 4).clamp(MIN_BLOCK, MAX_BLOCK) as usize;
    if block(&env) + block(&argv) + OPTIONS <= limit {
        return Ok(());
    }
    let command = command(ctx, arm, &Descriptors::default());
    let command: Vec<usize> = command.iter().map(|s| s.len()).collect();
    if block(&env) + block(&command) + size("/dev/fd/2147483647".len()) > limit {
        return Err(Errno::E2BIG);
    }
    Ok(())
}

impl Plan {
    /// Where execve failed: what was opened is closed, what is kept closes on exec again.
    pub fn close(&mut self) {
        for fd in self.opened.drain(..) {
            // SAFETY: descriptors that were opened for the next program and that nothing else knows.
            unsafe { libc::close(fd) };
        }
        for fd in self.kept.drain(..) {
            set_inheritable(fd, false);
        }
    }

    fn set_strings(&mut self, argv: Vec<Vec<u8>>, envp: Vec<Vec<u8>>) -> Result<(), Errno> {
        self.argc = argv.len();
        self.strings = argv
            .into_iter()
            .chain(envp)
            .map(|s| CString::new(s).map_err(|_| Errno::EINVAL))
            .collect::<Result<Vec<_>, _>>()?;
        self.argv = self.strings.iter().map(|s| s.as_ptr() as usize).collect();
        self.argv.insert(self.argc, 0);
        self.argv.push(0);
        Ok(())
    }

    /// What the next emulator needs is made to survive execve, in a table of descriptors that is `private` where the host
    /// can give one; only then the family's secret is among it.
    fn hand_over(&mut self, ctx: &SyscallContext<'_>, private: bool) -> Result<(), Errno> {
        let Some(mut arm) = self.arm.take() else {
            return Ok(());
        };
        let emulator = private_fd().ok_or(Errno::ENOENT)?;
        self.kept.push(emulator);
        let mut fds = Descriptors {
            seccomp: seccomp::hand_over(&ctx.task.seccomp)?,
            ..Descriptors::default()
        };
        self.opened.extend(fds.seccomp);
        if ctx.process.settings.strict.is_some() {
            // The log's file has no name in the guest's root.
            fds.log = log::private_fd();
            self.kept.extend(fds.log);
        }
        if private && ctx.process.in_family.load(Ordering::Relaxed) {
            fds.family = family::hand_over();
        }
        if let Some(HandedOver { store, letter }) = fds.family {
            self.kept.push(store);
            self.opened.push(letter);
        }
        for &fd in self.kept.iter().chain(&self.opened) {
            set_inheritable(fd, true);
        }
        let command = command(ctx, &arm, &fds);
        let envp = std::mem::take(&mut arm.envp);
        self.set_strings(command.into_iter().map(OsStringExt::into_vec).collect(), envp)?;
        (self.dir, self.flags) = (emulator, libc::AT_EMPTY_PATH);
        Ok(())
    }
}

/// Clears or sets a descriptor's flag to close on exec.
fn set_inheritable(fd: i32, inheritable: bool) {
    let flag = if inheritable { 0 } else { libc::FD_CLOEXEC };
    // SAFETY: fcntl on a number.
    unsafe { libc::fcntl(fd, libc::F_SETFD, flag) };
}

/// What the next emulator is handed besides the program.
#[derive(Default)]
struct Descriptors {
    seccomp: Option<i32>,
    log: Option<i32>,
    family: Option<HandedOver>,
}

/// The command line of the emulator that runs `arm`.
fn command(ctx: &SyscallContext<'_>, arm: &Arm, fds: &Descriptors) -> Vec<OsString> {
    (ctx.process.settings.reexec_args)(&Handover {
        log: fds.log,
        strict: ctx.process.settings.strict.as_ref(),
        program: arm.program,
        name: OsStr::from_bytes(&arm.name),
        argv: &arm.argv,
        personality: Some(ctx.task.personality).filter(|&p| p != PER_LINUX_32BIT),
        seccomp: fds.seccomp,
        family: fds.family.map(|f| (f.store, f.letter)),
    })
}

fn plan_arm(
    ctx: &SyscallContext<'_>,
    file: File,
    name: &[u8],
    argv: Vec<Vec<u8>>,
    envp: Vec<Vec<u8>>,
) -> Plan {
    found_family(ctx.process);
    let program = file.into_raw_fd();
    Plan {
        arm: Some(Arm {
            program,
            name: name.to_vec(),
            argv: argv.into_iter().map(OsString::from_vec).collect(),
            envp,
        }),
        opened: vec![program],
        ..Plan::default()
    }
}

fn plan_native(
    dir: i32,
    path: CString,
    flags: i32,
    argv: Vec<Vec<u8>>,
    envp: Vec<Vec<u8>>,
) -> Result<Plan, Errno> {
    let mut plan = Plan {
        dir,
        path,
        flags,
        ..Plan::default()
    };
    plan.set_strings(argv, envp)?;
    Ok(plan)
}

/// The point of no return. Comes back only with an error.
fn go(ctx: &mut SyscallContext<'_>) -> SysResult {
    if !deliver::close_mask(ctx.task) {
        deliver::attend(ctx.machine.cpu());
        return Err(Errno(ERESTARTSYS));
    }
    let Some(mut plan) = ctx.task.exec_plan.take() else {
        return Err(Errno::ENOENT);
    };
    // From here on this thread's descriptors are its own: those that are handed over are nobody else's.
    let private = own_fds::make_private(ctx.process);
    let ready = plan.hand_over(ctx, private);
    let plan = ctx.task.exec_plan.insert(plan);
    if let Err(errno) = ready {
        deliver::attend(ctx.machine.cpu());
        return Err(errno);
    }
    let args = [
        plan.dir as i64 as u64,
        plan.path.as_ptr() as u64,
        plan.argv.as_ptr() as u64,
        plan.argv[plan.argc + 1..].as_ptr() as u64,
        plan.flags as u64,
        0,
    ];
    // Ignored fault signals stay ignored and blocked ones blocked, though the host has never seen that.
    let ignored = ctx.process.actions.ignored() & SigSet::SYNCHRONOUS;
    let saved: Vec<_> = (1..=64)
        .filter(|&s| ignored.contains(s))
        .map(|s| (s, host::set_plain(s, true)))
        .collect();
    // From here a signal is the next program's or, by the interruptible call, stops this one's replacement.
    ctx.task.queue.set_open();
    host::set_mask(ctx.task.mask);
    // SAFETY: path, pointers and strings are kept in the plan; between here and the call nothing can fault.
    let ret = unsafe { raw::syscall_interruptible(libc::SYS_execveat, args, ctx.machine.cpu()) };
    host::set_mask(SigSet::ALL.without(SigSet::SYNCHRONOUS));
    for (signo, old) in &saved {
        host::restore(*signo, old);
    }
    deliver::attend(ctx.machine.cpu());
    Ok(Errno::check(ret)? as u32)
}

/// The most that arguments and environment may take: a quarter of the stack limit.
fn block_limit() -> u64 {
    let stack = space().limits.stack.load(Ordering::Relaxed);
    (stack / 4).clamp(MIN_BLOCK, MAX_BLOCK)
}

fn read_path(addr: u32) -> Result<Vec<u8>, Errno> {
    const PATH_MAX: usize = 4096;
    let path = space().read_cstr(GuestAddr(addr), PATH_MAX)?;
    if path.len() >= PATH_MAX {
        Err(Errno::ENAMETOOLONG)
    } else {
        Ok(path)
    }
}

/// A null-terminated array of strings; `room` is what the block may still take.
fn read_strings(addr: u32, room: &mut u64) -> Result<Vec<Vec<u8>>, Errno> {
    let mut out = Vec::new();
    if addr == 0 {
        return Ok(out);
    }
    loop {
        let pointer = guest::get::<u32>(addr.wrapping_add(4 * out.len() as u32))?;
        if pointer == 0 {
            return Ok(out);
        }
        let string = space().read_cstr(GuestAddr(pointer), MAX_STRING)?;
        let size = string.len() as u64 + 1 + size_of::<u32>() as u64;
        if string.len() >= MAX_STRING || size > *room {
            return Err(Errno::E2BIG);
        }
        *room -= size;
        out.push(string);
    }
}
