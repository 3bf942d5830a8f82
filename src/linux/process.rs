//! A guest process: what it owns, how it forks, ends and is waited for.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::abi::sys::Rusage;
use super::call::{SyscallContext, SyscallResult};
use super::errno::{ERESTARTSYS, Errno, SysResult};
use super::ptrace::block::Kind;
use super::ptrace::{tracee, tracer};
use super::signal::action::{Actions, SigAction};
use super::signal::siginfo::GuestSigInfo;
use super::signal::{deliver, host};
use super::strace;
use super::task::Task;
use super::{aio, exec, guest, libc_locks, own_fds, raw, thread};
use crate::confine;
use crate::cpu::model::Model;
use crate::load::ProcessImage;
use crate::mem::space;

/// What a process was started from: what /proc/self and a later execve need to know. Paths are the guest's.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Absolute path of the program file (`/proc/self/exe`).
    pub exe: Vec<u8>,
    /// The path that was executed, a script's where its interpreter runs.
    pub filename: Vec<u8>,
    pub argv: Vec<Vec<u8>>,
    /// `NAME=VALUE` strings.
    pub envp: Vec<Vec<u8>>,
    /// The auxiliary vector as the guest got it, AT_NULL included.
    pub auxv: Vec<(u32, u32)>,
    /// Address of argc on the initial stack, and the addresses that /proc/self/stat shows.
    pub stack_start: u32,
    pub code_start: u32,
    pub code_end: u32,
    /// Guest addresses of the argument and environment strings on the initial stack.
    pub arg_start: u32,
    pub arg_end: u32,
    pub env_start: u32,
    pub env_end: u32,
}

/// Makes the argument vector with which `emu` runs another program.
pub type ReexecArgs = Box<dyn Fn(&crate::cli::Handover<'_>) -> Vec<OsString> + Send + Sync>;

/// What the command line decides about every process of this run.
pub struct Settings {
    /// Directory in which absolute guest paths are looked up first.
    pub sysroot: Option<PathBuf>,
    pub model: &'static Model,
    pub strace: bool,
    /// Set in a confined run.
    pub strict: Option<crate::cli::confine::Inherited>,
    /// Whether set-id ARM programs are the kernel's to execute: by a registration that gives them their privileges.
    pub set_id_by_kernel: fn() -> bool,
    pub reexec_args: ReexecArgs,
    /// Called once when the process ends by exit or exit_group (statistics).
    pub at_exit: fn(),
}

/// Per-process state of the system layer.
pub struct Process {
    pub settings: &'static Settings,
    pub image: Arc<Image>,
    /// Shared with another process only after CLONE_SIGHAND.
    pub actions: Arc<Actions>,
    /// Guest address of the page with the sigreturn trampolines (`[sigpage]`).
    pub sigpage: u32,
    /// This process runs in its parent's memory (vfork) and must leave what the parent will look at alone.
    pub borrows_memory: bool,
    /// False once it has changed its credentials while it borrows memory: its parent's family is not its own then.
    pub in_family: AtomicBool,
    threads: Mutex<BTreeMap<i32, u32>>,
    /// How many they are, for signal handlers.
    thread_count: AtomicUsize,
}

impl Image {
    /// What the loader says of the program, with the strings it was given.
    pub fn new(loaded: &ProcessImage, argv: Vec<Vec<u8>>, envp: Vec<Vec<u8>>) -> Image {
        let word = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        Image {
            exe: loaded.exe.as_os_str().as_bytes().to_vec(),
            filename: Vec::new(),
            argv,
            envp,
            auxv: loaded
                .auxv
                .chunks_exact(8)
                .map(|pair| (word(pair), word(&pair[4..])))
                .collect(),
            stack_start: loaded.start_stack,
            code_start: loaded.code.start,
            code_end: loaded.code.end,
            arg_start: loaded.args.start,
            arg_end: loaded.args.end,
            env_start: loaded.env.start,
            env_end: loaded.env.end,
        }
    }
}

impl Process {
    /// The process that the loader has prepared, with its page of sigreturn trampolines at `sigpage`. It lives until
    /// the host process ends.
    pub fn new(settings: &'static Settings, image: Image, sigpage: u32) -> &'static Process {
        let ignored = super::signal::inherit::ignored();
        Box::leak(Box::new(Process {
            settings,
            image: Arc::new(image),
            actions: Arc::new(Actions::new(ignored)),
            sigpage,
            borrows_memory: false,
            in_family: AtomicBool::new(true),
            threads: Mutex::default(),
            thread_count: AtomicUsize::new(0),
        }))
    }

    /// The child of a clone that shares memory but is another process.
    pub fn in_same_memory(&self, share_actions: bool) -> Process {
        Process {
            settings: self.settings,
            image: self.image.clone(),
            actions: if share_actions {
                self.actions.clone()
            } else {
                Arc::new(self.actions.fork())
            },
            sigpage: self.sigpage,
            borrows_memory: true,
            in_family: AtomicBool::new(self.in_family.load(Ordering::Relaxed)),
            threads: Mutex::default(),
            thread_count: AtomicUsize::new(0),
        }
    }

    /// Whether the calling thread is the only one. Only it can change that.
    pub fn has_one_thread(&self) -> bool {
        self.thread_count.load(Ordering::Relaxed) < 2
    }

    /// Thread ids with the robust list heads, for get_robust_list and to know the last thread.
    pub fn threads(&self) -> MutexGuard<'_, BTreeMap<i32, u32>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add_thread(&self, task: &Task) {
        let mut threads = self.threads();
        threads.insert(task.tid, task.robust_list);
        self.thread_count.store(threads.len(), Ordering::Relaxed);
    }

    /// Returns how many threads are left.
    pub fn remove_thread(&self, tid: i32) -> usize {
        let mut threads = self.threads();
        threads.remove(&tid);
        self.thread_count.store(threads.len(), Ordering::Relaxed);
        threads.len()
    }
}

/// Flags of clone that libc lacks or types as i32.
pub mod flags {
    pub const CSIGNAL: u64 = 0xff;
    pub const VM: u64 = libc::CLONE_VM as u64;
    pub const FS: u64 = libc::CLONE_FS as u64;
    pub const FILES: u64 = libc::CLONE_FILES as u64;
    pub const SIGHAND: u64 = libc::CLONE_SIGHAND as u64;
    pub const PIDFD: u64 = libc::CLONE_PIDFD as u64;
    pub const VFORK: u64 = libc::CLONE_VFORK as u64;
    pub const THREAD: u64 = libc::CLONE_THREAD as u64;
    pub const SYSVSEM: u64 = libc::CLONE_SYSVSEM as u64;
    pub const SETTLS: u64 = libc::CLONE_SETTLS as u64;
    pub const PARENT_SETTID: u64 = libc::CLONE_PARENT_SETTID as u64;
    pub const CHILD_CLEARTID: u64 = libc::CLONE_CHILD_CLEARTID as u64;
    pub const CHILD_SETTID: u64 = libc::CLONE_CHILD_SETTID as u64;
    pub const NEW_ANY: u64 = (libc::CLONE_NEWNS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET) as u64;
    pub const NEWTIME: u64 = 0x80;
    pub const CLEAR_SIGHAND: u64 = 1 << 32;
    pub const INTO_CGROUP: u64 = 1 << 33;
    /// What this layer does itself with guest addresses; never handed to the host.
    pub const OURS: u64 = SETTLS | PARENT_SETTID | CHILD_CLEARTID | CHILD_SETTID | CLEAR_SIGHAND;
}

/// What clone, clone3, fork and vfork ask for.
#[derive(Clone, Debug, Default)]
pub struct CloneRequest {
    /// Without the exit signal.
    pub flags: u64,
    pub exit_signal: u32,
    /// Initial stack pointer, 0 for the parent's.
    pub stack: u32,
    pub parent_tid: u32,
    pub child_tid: u32,
    pub tls: u32,
    /// Where CLONE_PIDFD goes.
    pub pidfd: u32,
    pub set_tid: Vec<i32>,
    pub cgroup: u64,
}

/// clone(flags, stack, parent_tid, tls, child_tid): ARM has CLONE_BACKWARDS.
pub fn sys_clone(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [word, stack, parent_tid, tls, child_tid, _] = *args;
    let request = CloneRequest {
        flags: u64::from(word) & !flags::CSIGNAL,
        // A number that is no signal's is kept by the kernel and never sent.
        exit_signal: Some(word & flags::CSIGNAL as u32)
            .filter(|&s| s <= 64)
            .unwrap_or(0),
        stack,
        parent_tid,
        child_tid,
        tls,
        pidfd: parent_tid,
        ..CloneRequest::default()
    };
    if request.flags & flags::PIDFD != 0 && request.flags & flags::PARENT_SETTID != 0 {
        return Err(Errno::EINVAL);
    }
    clone(ctx, &request)
}

/// clone3(args, size): `struct clone_args` is eleven 64-bit words on every architecture.
pub fn sys_clone3(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    const MIN_SIZE: u32 = 64;
    const MAX_SIZE: u32 = 4096;
    const MAX_LEVELS: u64 = 32;
    let [addr, size, ..] = *args;
    if size > MAX_SIZE {
        return Err(Errno::E2BIG);
    }
    if size < MIN_SIZE {
        return Err(Errno::EINVAL);
    }
    let mut bytes = vec![0u8; (size as usize).max(88)];
    guest::get_bytes(addr, &mut bytes[..size as usize])?;
    if bytes[88..].iter().any(|&b| b != 0) {
        return Err(Errno::E2BIG);
    }
    let word = |i: usize| u64::from_le_bytes(std::array::from_fn(|j| bytes[8 * i + j]));
    let narrow = |i: usize| u32::try_from(word(i)).map_err(|_| Errno::EINVAL);
    let (flags, exit_signal) = (word(0), word(4));
    let (stack, stack_size) = (narrow(5)?, narrow(6)?);
    let known = 0xffff_ffff | flags::CLEAR_SIGHAND | flags::INTO_CGROUP;
    let refused = libc::CLONE_DETACHED as u64 | flags::CSIGNAL & !flags::NEWTIME;
    let one_parent = flags::THREAD | libc::CLONE_PARENT as u64;
    if flags & (!known | refused) != 0
        || exit_signal > 64
        || (stack == 0) != (stack_size == 0)
        || (flags & one_parent != 0 && exit_signal != 0)
        || flags & (flags::SIGHAND | flags::CLEAR_SIGHAND) == flags::SIGHAND | flags::CLEAR_SIGHAND
        || word(9) > MAX_LEVELS
        || (word(8) == 0) != (word(9) == 0)
    {
        return Err(Errno::EINVAL);
    }
    let set_tid = (0..word(9) as u32)
        .map(|i| guest::get::<i32>((word(8) as u32).wrapping_add(4 * i)))
        .collect::<Result<Vec<_>, _>>()?;
    let request = CloneRequest {
        flags,
        exit_signal: exit_signal as u32,
        stack: stack.wrapping_add(stack_size),
        pidfd: narrow(1)?,
        child_tid: narrow(2)?,
        parent_tid: narrow(3)?,
        tls: narrow(7)?,
        set_tid,
        cgroup: word(10),
    };
    clone(ctx, &request)
}

pub fn sys_fork(ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    let request = CloneRequest {
        exit_signal: libc::SIGCHLD as u32,
        ..CloneRequest::default()
    };
    clone(ctx, &request)
}

pub fn sys_vfork(ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    let request = CloneRequest {
        flags: flags::VFORK | flags::VM,
        exit_signal: libc::SIGCHLD as u32,
        ..CloneRequest::default()
    };
    clone(ctx, &request)
}

/// The rules of copy_process that the host cannot check for us, then the three ways to make a task.
fn clone(ctx: &mut SyscallContext<'_>, request: &CloneRequest) -> SysResult {
    let has = |flag: u64| request.flags & flag != 0;
    let thread_ok = !has(flags::THREAD) || has(flags::SIGHAND);
    let sighand_ok = !has(flags::SIGHAND) || has(flags::VM);
    let user_ok =
        !has(flags::THREAD) || !has((libc::CLONE_NEWUSER | libc::CLONE_NEWPID) as u64 | flags::PIDFD);
    if !thread_ok || !sighand_ok || !user_ok {
        return Err(Errno::EINVAL);
    }
    // A signal must not be half-way between host and guest while the task is copied.
    if !deliver::close_mask(ctx.task) {
        return Err(Errno(ERESTARTSYS));
    }
    deliver::attend(ctx.machine.cpu());
    let traced = ctx.task.trace.is_traced();
    if traced {
        tracee::expose(ctx.machine, ctx.task, Kind::Clone, 0);
    }
    let result = if has(flags::THREAD) {
        thread::spawn(ctx, request)
    } else if has(flags::VM) {
        super::vfork::spawn(ctx, request)
    } else {
        fork(ctx, request)
    };
    // Not in a child, whose orders are its own.
    if traced && result != Ok(0) {
        tracee::cover(ctx.machine, ctx.task);
    }
    result
}

/// Registers and tid words of a new task, in the new task.
pub fn start_child(ctx: &mut SyscallContext<'_>, request: &CloneRequest) {
    let has = |flag: u64| request.flags & flag != 0;
    if has(flags::NEW_ANY | flags::NEWTIME) {
        exec::leave_family(ctx.process);
    }
    let cpu = ctx.machine.cpu();
    cpu.r[0] = 0;
    if request.stack != 0 {
        cpu.r[13] = request.stack;
    }
    if has(flags::SETTLS) {
        cpu.tpidruro = request.tls;
    }
    deliver::attend(cpu);
    if has(flags::CHILD_SETTID) {
        // As the kernel's schedule_tail: a bad address goes unnoticed.
        let _ = guest::put(request.child_tid, &ctx.task.tid);
    }
    ctx.task.clear_child_tid = if has(flags::CHILD_CLEARTID) {
        request.child_tid
    } else {
        0
    };
    ctx.task.robust_list = 0;
    ctx.task.kernel_list = false;
    if has(flags::CLEAR_SIGHAND) {
        for signo in 1..=64 {
            if ctx.process.actions.get(signo).is_handler() {
                // Only a handler is replaced, so the signal is one that can be set.
                let _ = ctx.process.actions.set(signo, Some(SigAction::default()));
            }
        }
    }
    ctx.process.add_thread(ctx.task);
    tracee::begin(ctx.task, ctx.process);
}

/// A child with a copy of the memory.
fn fork(ctx: &mut SyscallContext<'_>, request: &CloneRequest) -> SysResult {
    let host_flags = request.flags & !flags::OURS;
    let plain = host_flags == 0 && request.exit_signal == libc::SIGCHLD as u32 && request.set_tid.is_empty();
    let process = ctx.process;
    if host_flags & flags::FILES != 0 {
        own_fds::note_shared();
    }
    // Before locks are taken: this may look at the guest's memory.
    let args = (!plain)
        .then(|| host_clone_args(request, host_flags))
        .transpose()?;
    exec::found_family(process);
    let traced = (tracer::hold(), tracee::hold());
    let held = own_fds::hold(process);
    ctx.machine.before_fork(!own_fds::are_shared());
    let mut threads = process.threads();
    let actions = process.actions.lock();
    let blocks = aio::hold();
    let ret = if let Some(args) = args {
        let (memory, libc_locks) = (space().hold(), libc_locks::Held::take());
        // SAFETY: every lock of ours that the child will need is held by this thread: translator, threads, actions,
        // mem's and the C library's.
        let ret = unsafe { raw_fork(&args) };
        if ret == 0 {
            libc_locks.release_in_child();
        } else {
            libc_locks.release();
        }
        drop(memory);
        ret
    } else {
        // The C library's fork keeps its own locks and mem's consistent.
        // SAFETY: as above.
        match unsafe { libc::fork() } {
            -1 => -i64::from(Errno::last().0),
            pid => pid.into(),
        }
    };
    drop((actions, blocks));
    drop((held, traced));
    if ret != 0 {
        drop(threads);
        ctx.machine.after_fork_parent();
        let pid = Errno::check(ret)? as u32;
        if request.flags & flags::PARENT_SETTID != 0 {
            let _ = guest::put(request.parent_tid, &pid);
        }
        return Ok(pid);
    }
    threads.clear();
    drop(threads);
    tracer::forget();
    if host_flags & flags::FILES == 0 {
        own_fds::note_unshared();
    }
    ctx.machine.after_fork_child();
    confine::after_fork();
    space().drop_unforked();
    // SAFETY: gettid has no preconditions.
    ctx.task.tid = unsafe { libc::gettid() };
    ctx.task.queue.set_tid(ctx.task.tid);
    ctx.task.held.clear();
    start_child(ctx, request);
    Ok(0)
}

/// x86-64's `struct clone_args` for what is left to the host.
pub fn host_clone_args(request: &CloneRequest, host_flags: u64) -> Result<[u64; 11], Errno> {
    let mut args = [0u64; 11];
    args[0] = host_flags;
    if host_flags & flags::PIDFD != 0 {
        args[1] = guest::dst(request.pidfd, 4)?;
    }
    // clone3 wants none with CLONE_PARENT; clone takes the caller's own whatever it says (kernel/fork.c, copy_process).
    if host_flags & libc::CLONE_PARENT as u64 == 0 {
        args[4] = request.exit_signal.into();
    }
    if !request.set_tid.is_empty() {
        args[8] = request.set_tid.as_ptr() as u64;
        args[9] = request.set_tid.len() as u64;
    }
    args[10] = request.cgroup;
    Ok(args)
}

/// clone3 without CLONE_VM: returns twice, on a copy of this stack.
///
/// # Safety
/// As fork's: the child is a copy with one thread.
unsafe fn raw_fork(args: &[u64; 11]) -> i64 {
    let call = [args.as_ptr() as u64, size_of_val(args) as u64, 0, 0, 0, 0];
    // SAFETY: the structure lives through the call; without CLONE_VM and stack the child goes on as a copy.
    unsafe { raw::syscall(libc::SYS_clone3, call) }
}

/// exit: this thread is over; the process when it was the last.
pub fn sys_exit(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SyscallResult {
    // A signal of the process that this thread has taken must not end with it.
    if !deliver::close_mask(ctx.task) {
        return SyscallResult::Return(-ERESTARTSYS);
    }
    if ctx.task.trace.is_traced() {
        tracee::expose(ctx.machine, ctx.task, Kind::Passing, 0);
    }
    ctx.task.exit_status = args[0] as i32 & 0xff;
    // Counted out before joiners are woken: who then exits is the last, and its status is the process's.
    let left = ctx.process.remove_thread(ctx.task.tid);
    thread::release(ctx.task);
    if left == 0 {
        exit_process(ctx.process, ctx.task.exit_status);
    }
    strace::exited(ctx.task.exit_status);
    SyscallResult::ExitThread
}

pub fn sys_exit_group(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SyscallResult {
    if ctx.task.trace.is_traced() {
        tracee::expose(ctx.machine, ctx.task, Kind::Passing, 0);
    }
    thread::release(ctx.task);
    thread::release_all(ctx.process);
    exit_process(ctx.process, args[0] as i32 & 0xff)
}

/// Ends the process by signal `signo`.
pub fn die(process: &Process, signo: i32) -> ! {
    strace::killed(signo);
    thread::release_all(process);
    host::die(signo)
}

/// Ends the process, all threads with it.
pub fn exit_process(process: &Process, status: i32) -> ! {
    strace::exited(status);
    if !process.borrows_memory {
        (process.settings.at_exit)();
    }
    // SAFETY: _exit has no preconditions; nothing of ours waits to be written.
    unsafe { libc::_exit(status) }
}

/// wait4(pid, status, options, rusage).
pub fn sys_wait4(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [pid, status, options, rusage, ..] = *args;
    let mut host_status = 0i32;
    // SAFETY: rusage is plain integers.
    let mut host_usage: libc::rusage = unsafe { std::mem::zeroed() };
    let call = [
        i64::from(pid as i32) as u64,
        std::ptr::from_mut(&mut host_status) as u64,
        options.into(),
        std::ptr::from_mut(&mut host_usage) as u64,
        0,
        0,
    ];
    let child = loop {
        // SAFETY: status and rusage have the kernel's layout and live through the call.
        let ret = unsafe { raw::syscall_interruptible(libc::SYS_wait4, call, ctx.machine.cpu()) };
        let child = Errno::check(ret)? as u32;
        if child == 0 {
            break child;
        }
        if let tracer::Verdict::Report(status) = tracer::judge(child as i32, host_status) {
            host_status = status;
            break child;
        }
    };
    if child != 0 {
        guest::put_opt(status, &host_status)?;
        guest::put_opt(rusage, &Rusage::from_host(&host_usage))?;
    }
    Ok(child)
}

/// waitpid(pid, status, options); not in the EABI, whose C libraries use wait4.
pub fn sys_waitpid(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [pid, status, options, ..] = *args;
    sys_wait4(ctx, &[pid, status, options, 0, 0, 0])
}

/// waitid(type, id, info, options, rusage).
pub fn sys_waitid(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [kind, id, info, options, rusage, _] = *args;
    let mut host_info = [0u8; 128];
    // SAFETY: rusage is plain integers.
    let mut host_usage: libc::rusage = unsafe { std::mem::zeroed() };
    let call = [
        kind.into(),
        i64::from(id as i32) as u64,
        host_info.as_mut_ptr() as u64,
        options.into(),
        std::ptr::from_mut(&mut host_usage) as u64,
        0,
    ];
    let guest = loop {
        // SAFETY: siginfo and rusage have the kernel's sizes and live through the call.
        let ret = unsafe { raw::syscall_interruptible(libc::SYS_waitid, call, ctx.machine.cpu()) };
        Errno::check(ret)?;
        // The kernel writes signo to status, and zeros if nothing has changed yet.
        let mut guest = GuestSigInfo::from_host(&host_info);
        if guest.signo() == 0 || tracer::judge_info(&mut guest, options) {
            break guest;
        }
    };
    if info != 0 {
        guest::put_bytes(info, &guest.0[..24])?;
    }
    if guest.signo() != 0 {
        guest::put_opt(rusage, &Rusage::from_host(&host_usage))?;
    }
    Ok(0)
}

/// A host call whose arguments are all plain numbers.
fn plain(nr: i64, args: &[u64]) -> SysResult {
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    // SAFETY: the callers in this file pass calls without pointers only.
    Ok(Errno::check(unsafe { raw::syscall(nr, all) })? as u32)
}

pub fn sys_getpid(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    plain(libc::SYS_getpid, &[])
}

pub fn sys_getppid(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    plain(libc::SYS_getppid, &[])
}

pub fn sys_gettid(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    plain(libc::SYS_gettid, &[])
}

pub fn sys_sched_yield(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    plain(libc::SYS_sched_yield, &[])
}

/// pidfd_open(pid, flags).
pub fn sys_pidfd_open(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    plain(
        libc::SYS_pidfd_open,
        &[i64::from(args[0] as i32) as u64, args[1].into()],
    )
}

/// pidfd_send_signal(fd, sig, info, flags).
pub fn sys_pidfd_send_signal(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [fd, sig, info, flags, ..] = *args;
    let host = guest::get_opt::<[u8; 128]>(info)?.map(|bytes| GuestSigInfo(bytes).to_host());
    let pointer = host.as_ref().map_or(0, |h| h.as_ptr() as u64);
    let fd = i64::from(fd as i32) as u64;
    plain(
        libc::SYS_pidfd_send_signal,
        &[fd, sig.into(), pointer, flags.into()],
    )
}

/// personality(persona): the guest's own, nothing of it reaches the host. PER_LINUX32 changes nothing for a 32-bit
/// program.
pub fn sys_personality(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    const QUERY: u32 = 0xffff_ffff;
    let old = ctx.task.personality;
    if args[0] != QUERY {
        ctx.task.personality = args[0];
        space().set_read_implies_exec(args[0] & libc::READ_IMPLIES_EXEC as u32 != 0);
    }
    Ok(old)
}
