//! The life of a guest thread: run, serve system calls and faults, deliver signals, until it is over.

use std::sync::atomic::Ordering;

use super::call::{SyscallContext, SyscallResult, syscall};
use super::direct;
use super::errno::{ERESTART_RESTARTBLOCK, ERESTARTNOHAND, ERESTARTNOINTR, ERESTARTSYS, Errno};
use super::proc_others;
use super::process::Process;
use super::ptrace::tracee;
use super::signal::deliver::{self, Restart};
use super::signal::host;
use super::signal::inherit;
use super::signal::set::SigSet;
use super::signal::siginfo::{self, GuestSigInfo};
use super::strace;
use super::task::{Rest, Resume, Task};
use crate::cpu::state::{CpuState, NO_EXCLUSIVE, PENDING_SIGNAL};
use crate::diag::log::{Items, enabled};
use crate::diag::stats::stats;
use crate::exec::machine::{Event, Machine};
use crate::exec::signals;
use crate::log_line;
use crate::mem::space;

/// End of the ARM-private system calls that answer ENOSYS; larger numbers are SIGILL (`compat_arm_syscall`).
const PRIVATE_END: u32 = 0xf_0800;
/// The part of a personality that says which system it is: execve sets it (arch/arm/kernel/elf.c).
const PER_MASK: u32 = 0xff;
/// SVC immediates of the old ABI: 0x900000 + number.
const OABI: std::ops::RangeInclusive<u32> = 0x90_0000..=0x9f_ffff;
const OABI_BASE: u32 = 0x90_0000;

/// sigreturn and rt_sigreturn.
const SIGRETURNS: [u32; 2] = [119, 173];

/// Runs a loaded program from `machine`'s state to its end, on the process's first thread.
///
/// `personality` is the one that execve keeps, without what every ARM program gets.
pub fn run(
    process: &'static Process,
    mut machine: Box<dyn Machine>,
    seccomp: super::seccomp::State,
    personality: u32,
) -> ! {
    inherit::undo_runtime();
    super::std_fds::restore();
    set_name(process);
    // Until the handlers are in place nothing may come in; the mask this process was started with is the guest's.
    let inherited = host::set_mask(SigSet::ALL.without(SigSet::SYNCHRONOUS));
    let mut task = Task::new(inherited.without(SigSet::UNBLOCKABLE));
    task.seccomp = seccomp;
    task.personality |= personality & !PER_MASK;
    if space().read_implies_exec() {
        task.personality |= libc::READ_IMPLIES_EXEC as u32;
    }
    process.add_thread(&task);
    signals::set_signal_sink(super::signal::queue::sink);
    deliver::adopt(&task, process);
    if enabled(Items::STRACE | Items::POLICY) {
        direct::turn_off();
    }
    direct::begin();
    strace::started(process);
    tracee::begin_program(&mut *machine, &task, process);
    attach(&mut *machine);
    let status = run_thread(process, &mut *machine, &mut task);
    super::thread::exit_first_thread(status)
}

/// The kernel names a process after the file it executes (`comm`), which for this one is `emu`, and shows its arguments.
fn set_name(process: &Process) {
    if let Some(name) = proc_others::process_name(process) {
        // SAFETY: a NUL-terminated string; the kernel cuts it to 15 bytes.
        unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    }
    proc_others::publish(process);
}

/// Makes the calling host thread the one that `machine` runs on, so that the host's signal handler finds it: that is
/// the first thing `run` does, and with something pending it does nothing else. Signals must be closed.
pub fn attach(machine: &mut dyn Machine) {
    deliver::attend(machine.cpu());
    machine.run();
}

/// The thread loop. Returns the status with which the thread has exited; signals are closed then.
pub fn run_thread(process: &'static Process, machine: &mut dyn Machine, task: &mut Task) -> i32 {
    loop {
        if machine.cpu().pending & PENDING_SIGNAL != 0 {
            deliver::deliver_pending(machine, task, process, Restart::No);
        }
        match machine.run() {
            Event::Syscall { imm } => {
                if let Some(status) = serve(process, machine, task, imm) {
                    return status;
                }
            }
            Event::Fault {
                signo,
                code,
                addr,
                write,
            } => {
                machine.cpu().orig_r0 = u32::MAX;
                let info = deliver::fault_info(task, signo, code, addr, write);
                deliver::force(machine, task, process, &info);
            }
            Event::Undefined => {
                machine.cpu().orig_r0 = u32::MAX;
                let info = deliver::undefined_info(task, machine.cpu());
                if info.signo() == libc::SIGILL {
                    log_undefined(machine.cpu());
                }
                deliver::force(machine, task, process, &info);
            }
            Event::Breakpoint => {
                machine.cpu().orig_r0 = u32::MAX;
                let info = GuestSigInfo::fault(libc::SIGTRAP, siginfo::TRAP_BRKPT, machine.cpu().r[15]);
                deliver::force(machine, task, process, &info);
            }
            Event::Interrupted => machine.cpu().orig_r0 = u32::MAX,
            Event::Served => {}
            Event::Undone => {
                let number = machine.cpu().r[7];
                task.rest = None;
                let undone = SyscallResult::Return(-ERESTARTSYS);
                finish(process, machine, task, number, undone);
            }
        }
    }
}

/// One system call. `Some` when it was exit.
fn serve(process: &'static Process, machine: &mut dyn Machine, task: &mut Task, imm: u32) -> Option<i32> {
    let cpu = machine.cpu();
    // Taking an exception clears the exclusive monitor.
    cpu.ex_addr = NO_EXCLUSIVE;
    if cpu.pending & PENDING_SIGNAL != 0 {
        // Came before the call: it is delivered first and the call made after it.
        deliver::rewind(cpu);
        return None;
    }
    let mut number = cpu.r[7];
    if !SIGRETURNS.contains(&number) {
        deliver::catch_up(task);
    }
    cpu.orig_r0 = cpu.r[0];
    let svc = deliver::svc(cpu);
    task.rest = task.resumes.take().filter(|r| r.pc == svc).map(|r| r.rest);
    stats().syscalls.add(1);
    let traced = tracee::wants_syscalls(task);
    if traced {
        number = tracee::syscall_entry(machine, task, number);
        if number == u32::MAX {
            // The tracer has had the call left out, and r0 is what it says.
            return leave(machine, task, number);
        }
    }
    let cpu = machine.cpu();
    // A non-zero immediate is ignored by EABI kernels, but with the old ABI's number the program is an OABI one,
    // whose arguments would be misread: refuse it clearly.
    let oabi = OABI.contains(&imm) && imm - OABI_BASE != number;
    if oabi || number >= PRIVATE_END {
        let text = if oabi {
            "old ABI (OABI) system call"
        } else {
            "bad system call"
        };
        let which = if oabi { imm } else { number };
        log_line!(Items::UNIMP, "{text} {which:#x} at {:#010x}", cpu.r[15]);
        deliver::bad_call(machine, task, process);
        return None;
    }
    let args = [cpu.r[0], cpu.r[1], cpu.r[2], cpu.r[3], cpu.r[4], cpu.r[5]];
    let mut ctx = SyscallContext {
        machine,
        task,
        process,
    };
    let result = syscall(&mut ctx, number, args);
    if traced {
        return serve_traced(process, machine, task, number, result);
    }
    finish(process, machine, task, number, result)
}

/// The end of a call that no tracer has seen begin. `Some` when it was exit.
fn finish(
    process: &'static Process,
    machine: &mut dyn Machine,
    task: &mut Task,
    number: u32,
    result: SyscallResult,
) -> Option<i32> {
    if task.trace.interrupted().load(Ordering::Relaxed) != 0 {
        return serve_traced(process, machine, task, number, result);
    }
    match result {
        SyscallResult::Return(value) if value == -ERESTARTSYS => {
            // Not made, or to be made again: r0 is still the argument.
            deliver::rewind(machine.cpu());
            deliver::attend(machine.cpu());
        }
        SyscallResult::Return(value) if value == -ERESTARTNOHAND => {
            deliver::deliver_pending(machine, task, process, Restart::NoHandler);
        }
        SyscallResult::Return(value) if value == -Errno::EINTR.0 && unheard(process, task) => {
            let cpu = machine.cpu();
            deliver::rewind(cpu);
            deliver::attend(cpu);
            let pc = cpu.r[15];
            task.resumes = task.rest.map(|rest| Resume { pc, rest });
        }
        SyscallResult::Return(value) => machine.cpu().r[0] = value as u32,
        SyscallResult::NoReturn => {}
        SyscallResult::ExitThread => return Some(task.exit_status),
    }
    None
}

/// Whether a call that waits was interrupted by what only the emulator hears: a fault's signal that another process has
/// sent and that the guest blocks or ignores.
fn unheard(process: &Process, task: &mut Task) -> bool {
    task.rest.is_some() && task.queue.is_closed() && {
        let mask = task.mask;
        deliver::take_in(task);
        !task
            .held
            .iter()
            .any(|q| !mask.contains(q.signo) && !process.actions.ignores(q.signo))
    }
}

/// The end of a call that a tracer sees, or that was left undone for one.
#[cold]
fn serve_traced(
    process: &'static Process,
    machine: &mut dyn Machine,
    task: &mut Task,
    number: u32,
    result: SyscallResult,
) -> Option<i32> {
    let left = task.trace.interrupted().swap(0, Ordering::Relaxed) as i32;
    let value = match result {
        SyscallResult::ExitThread => return Some(task.exit_status),
        SyscallResult::NoReturn => return leave(machine, task, number),
        SyscallResult::Return(value) => value,
    };
    let error = match -value {
        ERESTARTSYS | ERESTARTNOHAND | libc::EINTR if left != 0 => left,
        // Not made at all.
        ERESTARTSYS => ERESTARTNOINTR,
        ERESTARTNOHAND => ERESTARTNOHAND,
        _ => {
            machine.cpu().r[0] = value as u32;
            return leave(machine, task, number);
        }
    };
    let cpu = machine.cpu();
    let pc = cpu.r[15];
    cpu.r[0] = -error as u32;
    leave(machine, task, number);
    let cpu = machine.cpu();
    let mut restart = Restart::No;
    if cpu.r[15] == pc && cpu.r[0] as i32 == -error {
        cpu.r[0] = cpu.orig_r0;
        deliver::rewind(cpu);
        restart = Restart::Rewound { error, pc: cpu.r[15] };
        let rest = task.rest.unwrap_or(Rest::Arguments);
        task.resumes = (error == ERESTART_RESTARTBLOCK).then_some(Resume { pc: cpu.r[15], rest });
    }
    deliver::deliver_pending(machine, task, process, restart);
    None
}

/// Syscall-exit-stop where it is wanted: the result is in r0.
fn leave(machine: &mut dyn Machine, task: &mut Task, number: u32) -> Option<i32> {
    if tracee::wants_syscalls(task) {
        tracee::syscall_exit(machine, task, number);
    }
    None
}

fn log_undefined(cpu: &CpuState) {
    let mut bytes = [0; 4];
    // A word that cannot be read whole shows as zeros.
    let _ = super::guest::get_bytes(cpu.r[15], &mut bytes);
    let word = u32::from_le_bytes(bytes);
    if cpu.thumb == 1 {
        let (first, second) = (word & 0xffff, word >> 16);
        log_line!(
            Items::UNIMP,
            "undefined T32 instruction {first:04x} {second:04x} at {:#010x}",
            cpu.r[15]
        );
    } else {
        log_line!(
            Items::UNIMP,
            "undefined A32 instruction {word:08x} at {:#010x}",
            cpu.r[15]
        );
    }
}
