//! Guest threads: start, identity, thread pointer and end. A guest thread is a host thread with its own `Machine`.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU8, Ordering};

use super::call::SyscallContext;
use super::errno::{Errno, SysResult};
use super::process::{CloneRequest, Process, flags, start_child};
use super::run::{attach, run_thread};
use super::signal::action::Actions;
use super::signal::set::SigSet;
use super::signal::{deliver, host};
use super::task::{AltStack, Task};
use super::{guest, raw};
use crate::confine;
use crate::exec::machine::Machine;
use crate::exec::signals::set_robust_list_32;
use crate::mem::{GuestAddr, space};

/// Host stack of a guest thread: the run loop, a system call, the translator. Touched pages only are resident.
const STACK_SIZE: usize = 256 * 1024;

/// What a new thread is given; lives on its parent's stack until `answer` is set.
struct Start<'a> {
    process: &'static Process,
    machine: Option<Box<dyn Machine>>,
    task: Option<Task>,
    request: &'a CloneRequest,
    /// 0 until the thread is set up: then its tid, or -errno.
    answer: AtomicI32,
}

/// clone with CLONE_THREAD. The host's signal mask is closed, and the new thread inherits that.
pub fn spawn(ctx: &mut SyscallContext<'_>, request: &CloneRequest) -> SysResult {
    let mut start = Start {
        process: ctx.process,
        machine: Some(ctx.machine.fork_thread().map_err(|_| Errno::EAGAIN)?),
        task: Some(child_task(ctx.task)),
        request,
        answer: AtomicI32::new(0),
    };
    create_host_thread(
        &ctx.process.actions,
        thread_main,
        ptr::from_mut(&mut start).cast(),
    )?;
    loop {
        let answer = start.answer.load(Ordering::Acquire);
        if answer != 0 {
            return if answer < 0 {
                Err(Errno(-answer))
            } else {
                Ok(answer as u32)
            };
        }
        wait_private(&start.answer, 0);
    }
}

/// The state of a task that shares its parent's memory: no alternate stack, nothing pending.
pub fn child_task(parent: &Task) -> Task {
    Task {
        altstack: AltStack::default(),
        personality: parent.personality,
        seccomp: parent.seccomp.clone(),
        ..Task::new(parent.mask)
    }
}

/// The signal by which C libraries change user ids in all threads.
const SIGSETXID: i32 = 33;

/// pthread_create rather than std's threads: no name, no handle, no second alternate signal stack to map for each.
///
/// A process's first pthread_create makes the host's C library take signal 33 for itself; the guest's C library has
/// the same use for it, so `actions` are mirrored again. (It also opens the mask for 32 and 33, which were closed:
/// what comes in is queued.)
pub(super) fn create_host_thread(
    actions: &Actions,
    main: extern "C" fn(*mut c_void) -> *mut c_void,
    start: *mut c_void,
) -> Result<(), Errno> {
    // SAFETY: attr is initialised before use and destroyed after; `main` has the signature that is wanted, and its
    // argument is the caller's to keep alive.
    let error = unsafe {
        let mut attr: libc::pthread_attr_t = std::mem::zeroed();
        libc::pthread_attr_init(&mut attr);
        libc::pthread_attr_setstacksize(&mut attr, STACK_SIZE);
        libc::pthread_attr_setdetachstate(&mut attr, libc::PTHREAD_CREATE_DETACHED);
        let mut thread = 0;
        let error = libc::pthread_create(&mut thread, &attr, main, start);
        libc::pthread_attr_destroy(&mut attr);
        error
    };
    actions.mirror(SIGSETXID);
    if error == 0 { Ok(()) } else { Err(Errno::EAGAIN) }
}

/// Waits on a word of the emulator's own while it holds `value`.
pub(super) fn wait_private(word: &AtomicI32, value: i32) {
    let op = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    let args = [word.as_ptr() as u64, op as u64, value as u64, 0, 0, 0];
    // SAFETY: the word lives through the call.
    unsafe { raw::syscall(libc::SYS_futex, args) };
}

/// Wakes the one that waits. The word itself is not read: it may be gone.
pub(super) fn wake_private(word: *const AtomicI32) {
    let op = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: FUTEX_WAKE on a private word compares addresses only.
    unsafe { raw::syscall(libc::SYS_futex, [word as u64, op as u64, 1, 0, 0, 0]) };
}

/// The first thing that a new host thread does: closes its mask. It has inherited a closed one, but pthread_create takes
/// signal 32 out of it, which the guest may have left at its default: the death of the process.
pub(super) fn close_mask() {
    host::set_mask(SigSet::ALL.without(SigSet::SYNCHRONOUS));
}

extern "C" fn thread_main(start: *mut c_void) -> *mut c_void {
    close_mask();
    // SAFETY: the parent keeps Start alive until `answer` is set, which is the last use of it here.
    let start = unsafe { &mut *start.cast::<Start<'_>>() };
    let (Some(mut machine), Some(mut task)) = (start.machine.take(), start.task.take()) else {
        return ptr::null_mut();
    };
    let process = start.process;
    let answer = set_up(start, &mut *machine, &mut task);
    let word = ptr::from_ref(&start.answer);
    // SAFETY: `answer` is still waited for; it may be gone once it is stored.
    unsafe { (*word).store(answer, Ordering::Release) };
    wake_private(word);
    if answer < 0 {
        deliver::disown();
        return ptr::null_mut();
    }
    let status = run_thread(process, &mut *machine, &mut task);
    // After fork in this thread it is the first of a new process.
    // SAFETY: getpid has no preconditions.
    if task.tid == unsafe { libc::getpid() } {
        exit_first_thread(status);
    }
    if task.trace.is_traced() {
        // Looked at by the tracer until the host's thread is over; that one's status is always 0, the guest's may not be.
        std::mem::forget(std::mem::take(&mut task.trace));
        if status != 0 {
            exit_first_thread(status);
        }
        deliver::disown_queue();
    } else {
        deliver::disown();
    }
    ptr::null_mut()
}

/// Makes the new thread a guest thread. Returns its tid or -errno.
fn set_up(start: &mut Start<'_>, machine: &mut dyn Machine, task: &mut Task) -> i32 {
    let request = start.request;
    // SAFETY: gettid has no preconditions.
    task.tid = unsafe { libc::gettid() };
    // What a host thread shares by nature and this clone does not.
    let mut unshare = request.flags & (flags::NEW_ANY | flags::NEWTIME);
    for flag in [flags::FS, flags::FILES, flags::SYSVSEM] {
        if request.flags & flag == 0 {
            unshare |= flag;
        }
    }
    // SAFETY: unshare takes no pointers; it concerns this thread only.
    if unshare != 0 && unsafe { libc::unshare(unshare as i32) } != 0 {
        return -Errno::last().0;
    }
    deliver::adopt(task, start.process);
    attach(machine);
    let tid = task.tid;
    if request.flags & flags::PARENT_SETTID != 0 {
        let _ = guest::put(request.parent_tid, &tid);
    }
    let mut ctx = SyscallContext {
        machine,
        task,
        process: start.process,
    };
    start_child(&mut ctx, request);
    tid
}

/// What the kernel does for a task that is about to go: robust futexes, then the word that joiners wait for.
pub fn release(task: &mut Task) {
    release_robust_list(task.robust_list, task.tid);
    task.robust_list = 0;
    if std::mem::take(&mut task.kernel_list) {
        // Who waits for the thread may use the memory again before the host's thread is over.
        set_robust_list_32(0);
    }
    let word = std::mem::take(&mut task.clear_child_tid);
    if word != 0 && guest::put(word, &0u32).is_ok() {
        wake(word);
    }
}

/// FUTEX_WAKE of one waiter, shared form, as the kernel's own.
fn wake(addr: u32) {
    if let Ok(host) = guest::dst(addr, 4) {
        // SAFETY: FUTEX_WAKE looks at the address only.
        unsafe { raw::syscall(libc::SYS_futex, [host, libc::FUTEX_WAKE as u64, 1, 0, 0, 0]) };
    }
}

/// Entries looked at, against lists that are circles without the head (kernel/futex/core.c).
const ROBUST_LIST_LIMIT: u32 = 2048;
const FUTEX_WAITERS: u32 = 0x8000_0000;
const FUTEX_OWNER_DIED: u32 = 0x4000_0000;
const FUTEX_TID_MASK: u32 = 0x3fff_ffff;

/// `exit_robust_list` for the 32-bit list: head, futex offset, pending entry; bit 0 of a pointer says PI.
fn release_robust_list(head: u32, tid: i32) {
    if head == 0 {
        return;
    }
    let Ok([first, offset, pending]) = guest::get::<[u32; 3]>(head) else {
        return;
    };
    let futex = |entry: u32| (entry & !1).wrapping_add(offset);
    let mut entry = first;
    for _ in 0..ROBUST_LIST_LIMIT {
        if entry & !1 == head {
            break;
        }
        // Before the word is released: the entry may be reused then.
        let next = guest::get::<u32>(entry & !1);
        if entry & !1 != pending & !1 && !owner_died(futex(entry), tid, entry & 1 == 1, false) {
            return;
        }
        match next {
            Ok(next) => entry = next,
            Err(_) => return,
        }
    }
    if pending & !1 != 0 {
        owner_died(futex(pending), tid, pending & 1 == 1, true);
    }
}

/// Before the whole process ends: the lists of all its threads, where the kernel does not know them. The others may still
/// run meanwhile.
pub fn release_all(process: &Process) {
    if process.borrows_memory || KERNEL_LISTS.load(Ordering::Relaxed) == YES {
        return;
    }
    let threads: Vec<(i32, u32)> = process
        .threads()
        .iter()
        .map(|(&tid, &head)| (tid, head))
        .collect();
    for (tid, head) in threads {
        release_robust_list(head, tid);
    }
}

/// Whether the host's kernel takes 32-bit robust lists (a kernel with the i386 ABI, no filter in its way, and the guest's
/// addresses being the host's): 0 is not known yet.
static KERNEL_LISTS: AtomicU8 = AtomicU8::new(0);
const YES: u8 = 1;
const NO: u8 = 2;

/// Tells the kernel of the list at `head`; whether it will walk it.
fn tell_kernel(head: u32) -> bool {
    let known = KERNEL_LISTS.load(Ordering::Relaxed);
    let told = known != NO
        && (known == YES || space().base() == 0 && confine::i386_call_passes())
        && set_robust_list_32(head) == 0;
    KERNEL_LISTS.store(if told { YES } else { NO }, Ordering::Relaxed);
    told
}

/// `handle_futex_death`: marks a futex that `tid` holds and wakes a waiter. False if the word cannot be used.
fn owner_died(addr: u32, tid: i32, pi: bool, pending: bool) -> bool {
    if addr & 3 != 0 {
        return false;
    }
    loop {
        let Ok(value) = guest::get::<u32>(addr) else {
            return false;
        };
        if pending && !pi && value == 0 {
            wake(addr);
            return true;
        }
        if value & FUTEX_TID_MASK != tid as u32 {
            return true;
        }
        let marked = value & FUTEX_WAITERS | FUTEX_OWNER_DIED;
        match space().cmpxchg_u32(GuestAddr(addr), value, marked) {
            Err(_) => return false,
            Ok(seen) if seen != value => continue,
            Ok(_) => {}
        }
        if !pi && value & FUTEX_WAITERS != 0 {
            wake(addr);
        }
        return true;
    }
}

/// Ends a host thread that pthread_create did not make, the process's first, while others run on.
pub fn exit_first_thread(status: i32) -> ! {
    loop {
        // SAFETY: exit ends this thread; its stack and what is on it stay mapped.
        unsafe { libc::syscall(libc::SYS_exit, status) };
    }
}

pub fn sys_set_tid_address(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    ctx.task.clear_child_tid = args[0];
    Ok(ctx.task.tid as u32)
}

/// Bytes in a 32-bit `struct robust_list_head`.
const ROBUST_HEAD_SIZE: u32 = 12;

/// set_robust_list(head, size).
pub fn sys_set_robust_list(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    if args[1] != ROBUST_HEAD_SIZE {
        return Err(Errno::EINVAL);
    }
    ctx.task.robust_list = args[0];
    ctx.task.kernel_list = tell_kernel(args[0]);
    ctx.process.add_thread(ctx.task);
    Ok(0)
}

/// get_robust_list(tid, head, size): threads of this process only; others' lists are not for a guest to see.
pub fn sys_get_robust_list(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [tid, head, size, ..] = *args;
    let list = if tid == 0 {
        ctx.task.robust_list
    } else {
        let known = ctx.process.threads().get(&(tid as i32)).copied();
        match known {
            Some(list) => list,
            // SAFETY: signal 0 only asks whether the process is there.
            None if unsafe { libc::kill(tid as i32, 0) } != 0 && Errno::last() == Errno::ESRCH => {
                return Err(Errno::ESRCH);
            }
            None => return Err(Errno::EPERM),
        }
    };
    guest::put(size, &ROBUST_HEAD_SIZE)?;
    guest::put(head, &list)?;
    Ok(0)
}

/// set_tls(value): what the kuser helper and TPIDRURO give back.
pub fn sys_set_tls(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    ctx.machine.cpu().tpidruro = args[0];
    Ok(0)
}

pub fn sys_get_tls(ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Ok(ctx.machine.cpu().tpidruro)
}
