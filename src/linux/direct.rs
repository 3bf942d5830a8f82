//! System calls that translated code makes on its way: those for which the host's own call, with converted arguments, is
//! all there is to it. What is unusual (a trace, a filter, a tracer) goes the long way, by `run` and `call`.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use super::call::convert;
use super::errno::ERESTARTSYS;
use super::process::Process;
use super::ptrace::block;
use super::raw;
use super::table::{self, Handler};
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
    let seen = block::current().is_none_or(|b| b.flags().load(Ordering::Relaxed) & block::SYSCALLS != 0);
    if seen || OFF.load(Ordering::Relaxed) {
        return Outcome::Refused;
    }
    let (Handler::Pass(nr) | Handler::Block(nr)) = row.handler else {
        return Outcome::Refused;
    };
    stats().syscalls.add(1);
    // Taking an exception clears the exclusive monitor.
    cpu.ex_addr = NO_EXCLUSIVE;
    cpu.orig_r0 = cpu.r[0];
    let args = [cpu.r[0], cpu.r[1], cpu.r[2], cpu.r[3], cpu.r[4], cpu.r[5]];
    let value = match convert(process, row.args, &args) {
        // SAFETY: every pointer among the arguments has been checked against the guest's window.
        Ok(host) => unsafe { raw::syscall_interruptible(nr, host, cpu) as i32 },
        Err(errno) => -errno.0,
    };
    if value == -ERESTARTSYS {
        return Outcome::Undone;
    }
    cpu.r[0] = value as u32;
    Outcome::Made
}
