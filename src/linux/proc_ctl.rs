//! prctl(2): the operations that mean the same for the guest, by what their arguments are.

use std::sync::atomic::{AtomicU32, Ordering};

use super::call::{SyscallContext, host, signed};
use super::errno::{Errno, SysResult};
use super::exec::leave_family;
use super::{guest, seccomp};
use crate::diag::log::Items;

/// What an operation's arguments are.
enum Form {
    /// Numbers.
    Values,
    /// The second is a pointer to this many bytes.
    Pointer(u32),
    /// The guest's own seccomp; the emulator's filter is not the guest's.
    GetSeccomp,
    SetSeccomp,
    /// A pointer to a pointer.
    TidAddress,
    /// Names a range of memory: address, length, string.
    Vma,
    /// EPERM, as for a process without the capability.
    NotPermitted,
    /// Refused, as on a kernel without it.
    Refused,
}

/// After one of these what the process executes may have fewer rights than its relatives.
const GIVES_UP_RIGHTS: [i32; 4] = [
    libc::PR_CAPBSET_DROP,
    libc::PR_SET_SECUREBITS,
    libc::PR_SET_NO_NEW_PRIVS,
    libc::PR_CAP_AMBIENT,
];

fn form(operation: u32) -> Form {
    match operation {
        // PDEATHSIG, DUMPABLE, KEEPCAPS, TIMING, capability bounding set, securebits, timer slack, perf events on and off, MCE_KILL, subreaper,
        // NO_NEW_PRIVS, THP_DISABLE, ambient capabilities, speculation, IO_FLUSHER.
        1
        | 3
        | 4
        | 7
        | 8
        | 13
        | 14
        | 23
        | 24
        | 27..=32
        | 33
        | 34
        | 36
        | 38
        | 39
        | 41
        | 42
        | 47
        | 52
        | 53
        | 57
        | 58 => Form::Values,
        // PR_SET_PTRACER.
        0x5961_6d61 => Form::Values,
        // PR_GET_PDEATHSIG, PR_GET_CHILD_SUBREAPER.
        2 | 37 => Form::Pointer(4),
        // PR_SET_NAME, PR_GET_NAME.
        15 | 16 => Form::Pointer(16),
        21 => Form::GetSeccomp,
        22 => Form::SetSeccomp,
        40 => Form::TidAddress,
        0x5356_4d41 => Form::Vma,
        // PR_SET_MM: the host's fields are the emulator's.
        35 => Form::NotPermitted,
        // Among them unaligned access and FP emulation control, endianness, TSC, vector lengths, tagged
        // addresses, syscall dispatch and memory-deny-write-execute, which are the emulator's.
        _ => Form::Refused,
    }
}

/// PR_SET_PDEATHSIG as a confined run's first process has it.
static PDEATHSIG: AtomicU32 = AtomicU32::new(0);

/// The first process of a confined run ends with the one outside that waits for it, and cannot ask for anything else: the signal
/// that it sets is only noted.
fn first_process_pdeathsig(ctx: &SyscallContext<'_>, a: &[u32; 6]) -> Option<SysResult> {
    /// valid_signal(): up to the last real-time signal.
    const MOST: u32 = 64;
    // SAFETY: no preconditions.
    if ctx.process.settings.strict.is_none() || unsafe { libc::getpid() } != 1 {
        return None;
    }
    match a[0] as i32 {
        libc::PR_SET_PDEATHSIG if a[1] > MOST => Some(Err(Errno::EINVAL)),
        libc::PR_SET_PDEATHSIG => {
            PDEATHSIG.store(a[1], Ordering::Relaxed);
            Some(Ok(0))
        }
        libc::PR_GET_PDEATHSIG => Some(guest::put(a[1], &PDEATHSIG.load(Ordering::Relaxed)).map(|()| 0)),
        _ => None,
    }
}

pub fn prctl(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let mut args = [
        u64::from(a[0]),
        signed(a[1]),
        a[2].into(),
        a[3].into(),
        a[4].into(),
    ];
    if let Some(result) = first_process_pdeathsig(ctx, a) {
        return result;
    }
    if GIVES_UP_RIGHTS.contains(&(a[0] as i32)) {
        leave_family(ctx.process);
    }
    match form(a[0]) {
        Form::Values => args[1] = a[1].into(),
        Form::Pointer(size) => args[1] = guest::dst(a[1], size)?,
        Form::GetSeccomp => return Ok(seccomp::mode_number(ctx)),
        Form::SetSeccomp => return seccomp::set_by_prctl(ctx, a[1], a[2]),
        Form::TidAddress => {
            guest::put(a[1], &ctx.task.clear_child_tid)?;
            return Ok(0);
        }
        Form::Vma => {
            args[2] = guest::src(a[2], a[3])?;
            args[4] = guest::src(a[4], 1)?;
        }
        Form::NotPermitted => return Err(Errno::EPERM),
        Form::Refused => {
            crate::log_line!(Items::UNIMP, "prctl {:#x}: EINVAL", a[0]);
            return Err(Errno::EINVAL);
        }
    }
    // SAFETY: numbers and checked ranges of the guest's window, as the operation's form says.
    unsafe { host(libc::SYS_prctl, &args) }.map(|v| v as u32)
}
