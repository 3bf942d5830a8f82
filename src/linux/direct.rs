//! System calls that translated code makes on its way: those that need nothing of the thread but its registers. What is
//! unusual (a trace, a filter, a tracer) goes the long way, by `run` and `call`.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use super::call::{self, Paths, convert};
use super::errno::{ERESTARTSYS, Errno, SysResult};
use super::process::Process;
use super::ptrace::block;
use super::raw;
use super::signal::queue;
use super::table::{self, Handler, Row};
use crate::cpu::state::{CpuState, NO_EXCLUSIVE};
use crate::diag::stats::stats;
use crate::exec::machine::{Outcome, set_server};

/// Every call of this process is to be looked at.
static OFF: AtomicBool = AtomicBool::new(false);

/// From now on this process's calls go the long way.
pub fn turn_off() {
    OFF.store(true, Ordering::SeqCst);
}

/// To be called once, before guest code runs.
pub fn begin() {
    set_server(serve);
}

thread_local! {
    static PROCESS: Cell<Option<&'static Process>> = const { Cell::new(None) };
}

/// Makes `process` the one that this host thread belongs to.
pub fn set_process(process: Option<&'static Process>) {
    PROCESS.set(process);
}

fn serve(cpu: &mut CpuState) -> Outcome {
    let Some(row) = table::direct_arm(cpu.r[7]) else {
        return Outcome::Refused;
    };
    let Some(process) = PROCESS.get() else {
        return Outcome::Refused;
    };
    if queue::lets_more_in() {
        return Outcome::Refused;
    }
    let seen = block::current().is_none_or(|b| b.flags().load(Ordering::Relaxed) & block::SYSCALLS != 0);
    if seen || OFF.load(Ordering::Relaxed) {
        return Outcome::Refused;
    }
    // Taking an exception clears the exclusive monitor.
    cpu.ex_addr = NO_EXCLUSIVE;
    cpu.orig_r0 = cpu.r[0];
    let args = [cpu.r[0], cpu.r[1], cpu.r[2], cpu.r[3], cpu.r[4], cpu.r[5]];
    let value = match answer(process, row, &args, cpu) {
        Some(Ok(value)) => value as i32,
        Some(Err(errno)) => -errno.0,
        None => return Outcome::Refused,
    };
    stats().syscalls.add(1);
    if value == -ERESTARTSYS {
        return Outcome::Undone;
    }
    cpu.r[0] = value as u32;
    Outcome::Made
}

/// What the call answers, if it can be made here.
fn answer(process: &'static Process, row: &Row, args: &[u32; 6], cpu: &mut CpuState) -> Option<SysResult> {
    match row.handler {
        Handler::Pass(nr) | Handler::Block(nr) => {
            let mut paths = Paths::default();
            Some(convert(process, row.args, args, &mut paths).and_then(|host| {
                // SAFETY: every pointer among the arguments has been checked against the guest's window, or is one of `paths`.
                let ret = unsafe { raw::syscall_interruptible(nr, host, cpu) };
                Ok(Errno::check(ret)? as u32)
            }))
        }
        Handler::Plain(f) => Some(call::plain(process, row, f, args)),
        Handler::Partly(f, _) => call::part(process, row, f, args, cpu),
        _ => None,
    }
}
