//! Calls for all of the caller's process group: kill, setpriority, ioprio_set with 0.
//!
//! A confined guest's first processes are in a group that began outside, and whose other members the host's kernel would
//! reach too: pid namespaces bound who can be named, not who is in a group. The strict filter refuses such calls, and they
//! are made here for those members that can be named.

use super::call::{SyscallContext, host, signed};
use super::errno::{Errno, SysResult};
use super::process::Process;
use super::raw;
use super::signal::{calls, queue};
use crate::cpu::state::CpuState;

/// PRIO_PGRP of include/uapi/linux/resource.h.
const PRIO_PGRP: u32 = 1;
/// IOPRIO_WHO_PGRP and IOPRIO_WHO_PROCESS of include/uapi/linux/ioprio.h.
const IOPRIO_WHO_PGRP: u32 = 2;
const IOPRIO_WHO_PROCESS: u64 = 1;

/// The members of the caller's group that its pid namespace shows, the caller last: what ends it ends the others first.
fn members() -> Vec<u64> {
    // SAFETY: no preconditions.
    let (own, group) = unsafe { (libc::getpid(), libc::getpgrp()) };
    let in_group = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // After the name, which may hold anything: state, parent, group.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        fields.split(' ').nth(3) == Some(&group.to_string())
    };
    let names = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut found: Vec<i32> = pids.filter(|&pid| pid != own && in_group(pid)).collect();
    found.push(own);
    found.into_iter().map(|pid| pid as u64).collect()
}

/// Makes the call of `args` for a group with number 0, and if that is refused `each` for its members: success if one of them
/// succeeds.
fn for_group(nr: i64, args: &[u64], is_own: bool, each: impl Fn(u64) -> [u64; 3]) -> SysResult {
    // SAFETY: integers only.
    let all = unsafe { host(nr, args) };
    if !is_own || all != Err(Errno::EPERM) {
        return all.map(|result| result as u32);
    }
    let mut result = Err(Errno::ESRCH);
    for pid in members() {
        // SAFETY: integers only.
        match unsafe { host(nr, &each(pid)) } {
            Ok(_) => result = Ok(0),
            Err(error) if result.is_err() => result = Err(error),
            Err(_) => {}
        }
    }
    result
}

/// kill(pid, sig) of one other process.
pub fn kill_usual(_: &'static Process, args: &[u32; 6], cpu: &mut CpuState) -> Option<SysResult> {
    let [pid, sig, ..] = *args;
    if pid as i32 <= 0 || queue::is_of(pid as i32) {
        return None;
    }
    // SAFETY: no pointers.
    let ret =
        unsafe { raw::syscall_interruptible(libc::SYS_kill, [signed(pid), signed(sig), 0, 0, 0, 0], cpu) };
    Some(Errno::check(ret).map(|value| value as u32))
}

/// kill(pid, sig).
pub fn sys_kill(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [pid, sig, ..] = *args;
    if let Some(done) = calls::kill_self(ctx, pid, sig) {
        return done;
    }
    let call = [signed(pid), signed(sig)];
    for_group(libc::SYS_kill, &call, pid == 0, |pid| [pid, signed(sig), 0])
}

/// setpriority(which, who, prio).
pub fn sys_setpriority(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [which, who, priority, ..] = *args;
    let call = [which.into(), signed(who), signed(priority)];
    let is_own = which == PRIO_PGRP && who == 0;
    for_group(libc::SYS_setpriority, &call, is_own, |pid| {
        [libc::PRIO_PROCESS.into(), pid, signed(priority)]
    })
}

/// ioprio_set(which, who, ioprio).
pub fn sys_ioprio_set(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [which, who, priority, ..] = *args;
    let call = [which.into(), signed(who), signed(priority)];
    let is_own = which == IOPRIO_WHO_PGRP && who == 0;
    for_group(libc::SYS_ioprio_set, &call, is_own, |pid| {
        [IOPRIO_WHO_PROCESS, pid, signed(priority)]
    })
}
