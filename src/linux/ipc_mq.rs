//! POSIX message queues.

use super::abi::ipc::{HostMqAttr, MqAttr};
use super::abi::open as oflags;
use super::abi::time::{Timespec32, Timespec64};
use super::call::{SyscallContext, host, host_blocking, signed};
use super::errno::SysResult;
use super::guest;

pub fn mq_open(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let creates = a[1] & libc::O_CREAT as u32 != 0;
    let attr: Option<HostMqAttr> = if creates {
        guest::get_opt::<MqAttr>(a[3])?.map(Into::into)
    } else {
        None
    };
    let attr = attr.as_ref().map_or(0, |v| std::ptr::from_ref(v) as u64);
    let args = [
        guest::src(a[0], 1)?,
        oflags::to_host(a[1]).into(),
        a[2].into(),
        attr,
    ];
    // SAFETY: a string within the guest's window; the attributes live over the call.
    unsafe { host_blocking(ctx, libc::SYS_mq_open, &args) }.map(|fd| fd as u32)
}

fn send(ctx: &mut SyscallContext<'_>, a: &[u32; 6], time: Option<libc::timespec>) -> SysResult {
    let limit = time.as_ref().map_or(0, |t| std::ptr::from_ref(t) as u64);
    let args = [
        signed(a[0]),
        guest::src(a[1], a[2])?,
        a[2].into(),
        a[3].into(),
        limit,
    ];
    // SAFETY: a checked range of the guest's window; the time limit lives over the call.
    unsafe { host_blocking(ctx, libc::SYS_mq_timedsend, &args) }.map(|_| 0)
}

fn receive(ctx: &mut SyscallContext<'_>, a: &[u32; 6], time: Option<libc::timespec>) -> SysResult {
    let limit = time.as_ref().map_or(0, |t| std::ptr::from_ref(t) as u64);
    let args = [
        signed(a[0]),
        guest::dst(a[1], a[2])?,
        a[2].into(),
        guest::dst(a[3], 4)?,
        limit,
    ];
    // SAFETY: checked ranges of the guest's window; the time limit lives over the call.
    unsafe { host_blocking(ctx, libc::SYS_mq_timedreceive, &args) }.map(|n| n as u32)
}

pub fn mq_timedsend(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let time = guest::get_opt::<Timespec32>(a[4])?.map(Into::into);
    send(ctx, a, time)
}

pub fn mq_timedsend_time64(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let time = guest::get_opt::<Timespec64>(a[4])?.map(Into::into);
    send(ctx, a, time)
}

pub fn mq_timedreceive(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let time = guest::get_opt::<Timespec32>(a[4])?.map(Into::into);
    receive(ctx, a, time)
}

pub fn mq_timedreceive_time64(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let time = guest::get_opt::<Timespec64>(a[4])?.map(Into::into);
    receive(ctx, a, time)
}

/// `struct sigevent` is 64 bytes in both ABIs; its value is 4 bytes here and 8 there. With SIGEV_THREAD the value points
/// to a cookie of 32 bytes and the signal number is a socket.
pub fn mq_notify(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    const COOKIE: u32 = 32;
    let Some([value, signo, notify, thread]) = guest::get_opt::<[u32; 4]>(a[1])? else {
        // SAFETY: no pointers.
        return unsafe { host(libc::SYS_mq_notify, &[signed(a[0]), 0]) }.map(|_| 0);
    };
    let mut event = [0u64; 8];
    event[0] = if notify == libc::SIGEV_THREAD as u32 {
        guest::src(value, COOKIE)?
    } else {
        value.into()
    };
    event[1] = u64::from(notify) << 32 | u64::from(signo);
    event[2] = thread.into();
    // SAFETY: 64 bytes that live over the call; the cookie is a checked range of the guest's window.
    unsafe { host(libc::SYS_mq_notify, &[signed(a[0]), event.as_ptr() as u64]) }.map(|_| 0)
}

pub fn mq_getsetattr(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let new: Option<HostMqAttr> = guest::get_opt::<MqAttr>(a[1])?.map(Into::into);
    let new = new.as_ref().map_or(0, |v| std::ptr::from_ref(v) as u64);
    let mut old = HostMqAttr::default();
    let wanted = if a[2] == 0 { 0 } else { &raw mut old as u64 };
    // SAFETY: both structures live over the call.
    unsafe { host(libc::SYS_mq_getsetattr, &[signed(a[0]), new, wanted])? };
    guest::put_opt(a[2], &MqAttr::from(old))?;
    Ok(0)
}
