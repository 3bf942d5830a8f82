//! futex(2) in both time ABIs: the words are at host addresses of the guest's window, so the host kernel does it all.

use super::call::SyscallContext;
use super::errno::{Errno, SysResult};
use super::process::Process;
use super::task::Rest;
use super::{guest, raw, time};
use crate::cpu::state::CpuState;

const FUTEX_CMD_MASK: u32 = 127;
const WAIT: u32 = 0;
const WAKE: u32 = 1;
const REQUEUE: u32 = 3;
const CMP_REQUEUE: u32 = 4;
const WAKE_OP: u32 = 5;
const LOCK_PI: u32 = 6;
const WAIT_BITSET: u32 = 9;
const WAKE_BITSET: u32 = 10;
const WAIT_REQUEUE_PI: u32 = 11;
const CMP_REQUEUE_PI: u32 = 12;
const LOCK_PI2: u32 = 13;

/// What the fourth argument is.
enum Fourth {
    Timeout,
    Number,
    Unused,
}

fn fourth(op: u32) -> Fourth {
    match op & FUTEX_CMD_MASK {
        WAIT | LOCK_PI | LOCK_PI2 | WAIT_BITSET | WAIT_REQUEUE_PI => Fourth::Timeout,
        REQUEUE | CMP_REQUEUE | CMP_REQUEUE_PI | WAKE_OP => Fourth::Number,
        _ => Fourth::Unused,
    }
}

/// Whether the fifth argument is the address of a second word. Elsewhere it is whatever the caller's r4 holds.
fn has_second_word(op: u32) -> bool {
    matches!(
        op & FUTEX_CMD_MASK,
        REQUEUE | CMP_REQUEUE | WAKE_OP | WAIT_REQUEUE_PI | CMP_REQUEUE_PI
    )
}

type ReadTime = fn(u32) -> Result<Option<libc::timespec>, Errno>;

/// The host's arguments, but for the fourth.
fn host_args([addr, op, value, _, addr2, value3]: [u32; 6], fourth: u64) -> Result<[u64; 6], Errno> {
    let word = |addr: u32| match addr {
        // Address 0 is the kernel's to refuse, also where the window's base is not 0.
        0 => Ok(0),
        _ => guest::dst(addr, 4),
    };
    let second = if has_second_word(op) { word(addr2)? } else { 0 };
    Ok([
        word(addr)?,
        op.into(),
        value.into(),
        fourth,
        second,
        value3.into(),
    ])
}

fn futex(ctx: &mut SyscallContext<'_>, args: &[u32; 6], read_time: ReadTime) -> SysResult {
    let [_, op, _, fourth_arg, _, _] = *args;
    let timeout;
    let resumed = ctx.task.rest.take();
    let mut rest = Rest::Arguments;
    let fourth_host = match fourth(op) {
        Fourth::Timeout => {
            timeout = match read_time(fourth_arg)? {
                // The one that is a length, not a time.
                Some(whole) if op & FUTEX_CMD_MASK == WAIT => {
                    let left = time::rest_of(resumed, whole);
                    rest = time::deadline(&left).map_or(Rest::Arguments, Rest::Until);
                    Some(left)
                }
                other => other,
            };
            timeout.as_ref().map_or(0, |t| std::ptr::from_ref(t) as u64)
        }
        Fourth::Number => i64::from(fourth_arg as i32) as u64,
        Fourth::Unused => 0,
    };
    let host = host_args(*args, fourth_host)?;
    // SAFETY: the words are in the guest's window, where the kernel checks them itself; the timeout is a local.
    let ret = unsafe { raw::syscall_interruptible(libc::SYS_futex, host, ctx.machine.cpu()) };
    if time::was_interrupted(ret) {
        ctx.task.rest = Some(rest);
    }
    Ok(Errno::check(ret)? as u32)
}

/// FUTEX_WAKE and FUTEX_WAKE_BITSET, which wait for nothing and have no time among their arguments.
pub fn at_once(_process: &'static Process, args: &[u32; 6], _cpu: &mut CpuState) -> Option<SysResult> {
    if !matches!(args[1] & FUTEX_CMD_MASK, WAKE | WAKE_BITSET) {
        return None;
    }
    Some(host_args(*args, 0).and_then(|host| {
        // SAFETY: the word is in the guest's window, where the kernel checks it itself.
        let ret = unsafe { raw::syscall(libc::SYS_futex, host) };
        Ok(Errno::check(ret)? as u32)
    }))
}

pub fn sys_futex(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    futex(ctx, args, time::read_timespec32)
}

pub fn sys_futex_time64(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    futex(ctx, args, time::read_timespec64)
}

/// `struct futex_waitv`, one layout for every ABI: value, address, flags, reserved.
#[repr(C)]
#[derive(Clone, Copy, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable)]
pub struct Waiter {
    value: u64,
    addr: u64,
    flags: u32,
    reserved: u32,
}

/// FUTEX_WAITV_MAX.
const MAX_WAITERS: u32 = 128;

/// `count` waiters, their addresses the host's.
pub fn read_waiters(waiters: u32, count: u32) -> Result<Vec<Waiter>, Errno> {
    let mut list: Vec<Waiter> = guest::get_array(waiters, count as usize)?;
    for waiter in &mut list {
        let addr = u32::try_from(waiter.addr).map_err(|_| Errno::EFAULT)?;
        waiter.addr = guest::dst(addr, 4)?;
    }
    Ok(list)
}

/// futex_waitv(waiters, count, flags, timeout, clock): a 64-bit timespec in both ABIs.
pub fn sys_futex_waitv(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [waiters, count, flags, timeout, clock, _] = *args;
    if count == 0 || count > MAX_WAITERS || waiters == 0 {
        return Err(Errno::EINVAL);
    }
    let list = read_waiters(waiters, count)?;
    let timeout = time::read_timespec64(timeout)?;
    let host = [
        list.as_ptr() as u64,
        count.into(),
        flags.into(),
        timeout.as_ref().map_or(0, |t| std::ptr::from_ref(t) as u64),
        clock.into(),
        0,
    ];
    // SAFETY: the list and the timeout are locals; the words they name are in the guest's window.
    let ret = unsafe { raw::syscall_interruptible(libc::SYS_futex_waitv, host, ctx.machine.cpu()) };
    Ok(Errno::check(ret)? as u32)
}

/// futex_wake(word, mask, count, flags).
pub fn sys_futex_wake(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [addr, mask, count, flags, ..] = *args;
    let host = [
        guest::dst(addr, 4)?,
        mask.into(),
        i64::from(count as i32) as u64,
        flags.into(),
        0,
        0,
    ];
    // SAFETY: the word is in the guest's window.
    Ok(Errno::check(unsafe { raw::syscall(454, host) })? as u32)
}

/// futex_wait(word, value, mask, flags, timeout, clock): a 64-bit timespec in both ABIs.
pub fn sys_futex_wait(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [addr, value, mask, flags, timeout, clock] = *args;
    let timeout = time::read_timespec64(timeout)?;
    let host = [
        guest::dst(addr, 4)?,
        value.into(),
        mask.into(),
        flags.into(),
        timeout.as_ref().map_or(0, |t| std::ptr::from_ref(t) as u64),
        clock.into(),
    ];
    // SAFETY: the word is in the guest's window, the timeout a local.
    let ret = unsafe { raw::syscall_interruptible(455, host, ctx.machine.cpu()) };
    Ok(Errno::check(ret)? as u32)
}
