//! Children that share the guest's memory but are processes of their own: vfork, posix_spawn, clone(CLONE_VM).
//!
//! The child is a real CLONE_VM|CLONE_VFORK child of the host: it runs the thread loop on a host stack of its own,
//! with a `Machine` of its own, while the thread that made it waits in the kernel. The two share the host thread's
//! local storage, so the parent takes it back when it goes on. A child of CLONE_VM without CLONE_VFORK is made by a
//! helper thread that does the waiting, so that the guest's thread need not.

use std::ffi::c_void;
use std::ptr;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use super::call::SyscallContext;
use super::errno::{Errno, SysResult};
use super::process::{CloneRequest, Process, flags, host_clone_args, start_child};
use super::run::{attach, run_thread};
use super::signal::deliver;
use super::task::Task;
use super::{exec, guest, own_fds, thread};
use crate::exec::machine::Machine;

const STACK_SIZE: usize = 256 * 1024;

/// A child's state, owned by whoever waits for it.
struct Child {
    process: Process,
    machine: Box<dyn Machine>,
    task: Task,
    request: CloneRequest,
    /// The child's pid once it is set up.
    pid: AtomicI32,
    /// While the table of descriptors is copied; the child lets go of it, as its parent waits for long.
    held: Option<MutexGuard<'static, ()>>,
}

impl Child {
    fn new(ctx: &mut SyscallContext<'_>, request: &CloneRequest) -> Result<Child, Errno> {
        let mut task = thread::child_task(ctx.task);
        if request.flags & flags::VFORK != 0 {
            // The kernel keeps the alternate stack for vfork only.
            task.altstack = ctx.task.altstack;
        }
        Ok(Child {
            process: ctx.process.in_same_memory(request.flags & flags::SIGHAND != 0),
            machine: ctx.machine.fork_thread().map_err(|_| Errno::ENOMEM)?,
            task,
            request: request.clone(),
            pid: AtomicI32::new(0),
            held: None,
        })
    }
}

/// clone with CLONE_VM and without CLONE_THREAD. The host's signal mask is closed.
pub fn spawn(ctx: &mut SyscallContext<'_>, request: &CloneRequest) -> SysResult {
    exec::found_family(ctx.process);
    if request.flags & flags::FILES != 0 {
        own_fds::note_shared();
    }
    let mut child = Box::new(Child::new(ctx, request)?);
    let pid = if request.flags & flags::VFORK != 0 {
        let pid = run_child(ctx.process, &mut child);
        // The child has used this thread's storage as its own.
        deliver::adopt(ctx.task, ctx.process);
        attach(ctx.machine);
        pid?
    } else {
        spawn_with_helper(ctx.process, child)?
    };
    Ok(pid as u32)
}

/// Makes the child and waits in the kernel until it has called execve or is over.
fn run_child(parent: &Process, child: &mut Child) -> Result<i32, Errno> {
    let stack = Stack::take()?;
    let host_flags = child.request.flags & !flags::OURS | flags::VFORK;
    let mut args = host_clone_args(&child.request, host_flags)?;
    args[5] = stack.base as u64;
    args[6] = STACK_SIZE as u64;
    child.held = own_fds::hold(parent);
    // SAFETY: the child starts on a stack of its own, in `child_main` with `child`, which outlives it: this thread
    // goes on only when the child no longer uses this memory.
    let ret = unsafe { clone3_on_stack(&args, child_main, ptr::from_mut(child).cast()) };
    // Still there if there was no child.
    child.held = None;
    Ok(Errno::check(ret)? as i32)
}

/// clone3 where the child calls `main(arg)` on the stack that `args` names.
///
/// # Safety
/// `main` must not return; `arg` must stay good for as long as the child runs in this memory.
unsafe fn clone3_on_stack(args: &[u64; 11], main: extern "C" fn(*mut c_void) -> !, arg: *mut c_void) -> i64 {
    let ret: i64;
    // SAFETY: the parent passes through as after any system call; the child never leaves this block.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => ret,
            in("rdi") args.as_ptr(),
            in("rsi") size_of_val(args),
            in("r12") arg,
            in("r13") main,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    ret
}

extern "C" fn child_main(child: *mut c_void) -> ! {
    // SAFETY: the parent keeps the child's state alive and does not look at it while this runs, `pid` excepted.
    let child = unsafe { &mut *child.cast::<Child>() };
    child.held = None;
    // SAFETY: gettid has no preconditions.
    child.task.tid = unsafe { libc::gettid() };
    // SAFETY: run_thread wants a process that lives as long as the host process sees it: this child's life.
    let process: &'static Process = unsafe { &*ptr::from_ref(&child.process) };
    deliver::adopt(&child.task, process);
    attach(&mut *child.machine);
    if child.request.flags & flags::PARENT_SETTID != 0 {
        let _ = guest::put(child.request.parent_tid, &child.task.tid);
    }
    let machine = &mut *child.machine;
    let mut ctx = SyscallContext {
        machine,
        task: &mut child.task,
        process,
    };
    start_child(&mut ctx, &child.request);
    child.pid.store(child.task.tid, Ordering::Release);
    thread::wake_private(&child.pid);
    let status = run_thread(process, &mut *child.machine, &mut child.task);
    thread::exit_first_thread(status)
}

/// What the helper thread is given.
struct Helped {
    child: Box<Child>,
    /// The one that the child is made by.
    process: &'static Process,
    /// 1 once the thread that asked needs the box no more.
    seen: AtomicI32,
}

/// A host thread that makes the child, lends it its thread-local storage, and waits in the parent's stead.
fn spawn_with_helper(process: &'static Process, child: Box<Child>) -> Result<i32, Errno> {
    let helped = Box::into_raw(Box::new(Helped {
        child,
        process,
        seen: AtomicI32::new(0),
    }));
    if let Err(errno) = thread::create_host_thread(&process.actions, helper_main, helped.cast()) {
        // SAFETY: the thread does not exist, so the box is this function's again.
        drop(unsafe { Box::from_raw(helped) });
        return Err(errno);
    }
    // SAFETY: the helper frees the box only when `seen` is set, below.
    let (pid, seen) = unsafe { (&(*helped).child.pid, &(*helped).seen) };
    while pid.load(Ordering::Acquire) == 0 {
        thread::wait_private(pid, 0);
    }
    let answer = pid.load(Ordering::Acquire);
    let word = ptr::from_ref(seen);
    seen.store(1, Ordering::Release);
    // The box may be gone by now: the wake-up only names the address.
    thread::wake_private(word);
    if answer > 0 {
        Ok(answer)
    } else {
        Err(Errno(-answer))
    }
}

extern "C" fn helper_main(helped: *mut c_void) -> *mut c_void {
    // No signal of the guest's process is this thread's.
    thread::close_mask();
    let helped = helped.cast::<Helped>();
    // SAFETY: the box is alive; only the atomics are shared with the thread that waits.
    let made = unsafe { run_child((*helped).process, &mut (*helped).child) };
    // SAFETY: as above.
    let (pid, seen) = unsafe { (&(*helped).child.pid, &(*helped).seen) };
    if let Err(errno) = made {
        pid.store(-errno.0, Ordering::Release);
        thread::wake_private(pid);
    }
    while seen.load(Ordering::Acquire) == 0 {
        thread::wait_private(seen, 0);
    }
    deliver::disown();
    // SAFETY: made by Box::into_raw; the other side has let go of it.
    drop(unsafe { Box::from_raw(helped) });
    ptr::null_mut()
}

/// A host stack for a child. One spare is kept: vfork comes in series.
struct Stack {
    base: usize,
}

static SPARE: AtomicUsize = AtomicUsize::new(0);

impl Stack {
    fn take() -> Result<Stack, Errno> {
        let base = SPARE.swap(0, Ordering::AcqRel);
        if base != 0 {
            return Ok(Stack { base });
        }
        // SAFETY: a new private mapping.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                STACK_SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(Errno::ENOMEM);
        }
        Ok(Stack { base: base as usize })
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if SPARE
            .compare_exchange(0, self.base, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            // SAFETY: mapped in `take`; the child that ran on it has left this memory.
            unsafe { libc::munmap(self.base as *mut c_void, STACK_SIZE) };
        }
    }
}
