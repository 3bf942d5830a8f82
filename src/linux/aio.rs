//! Asynchronous I/O (io_setup and its kin): the host's contexts, with control blocks of our own for the guest's.
//!
//! A guest's context is a page of its memory, as the kernel's ring is, in which the host's is noted: the kernel looks at
//! every context before it believes in it, so the guest may write there. What libaio looks for in a ring is not there, so
//! that it asks by system calls. Control blocks are copied before they are checked, and live until their event is told.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::call::{NOWHERE, SyscallContext, host};
use super::errno::{Errno, SysResult};
use super::fs_io::import_iov;
use super::own_fds::is_hidden;
use super::poll::get_mask;
use super::signal::calls::with_mask;
use super::signal::host::SIGSET_SIZE;
use super::signal::set::SigSet;
use super::{abi::net::SigsetArg, guest, raw, time};
use crate::mem::{GuestAddr, MapRequest, Prot, space};

/// Bytes of the guest's page for a context, and where in it the host's context is, behind `struct aio_ring`.
const PAGE: u32 = 4096;
const HOST_CONTEXT: u32 = 64;
/// The number of io_pgetevents on x86-64.
const IO_PGETEVENTS: i64 = 333;
/// Most events of one call: more than any ring has (fs.aio-max-nr).
const MAX_EVENTS: u32 = 1 << 16;

/// `struct iocb`, one layout for every ABI (include/uapi/linux/aio_abi.h).
#[repr(C)]
#[derive(Clone, Copy, Default, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable)]
struct Iocb {
    data: u64,
    key: u32,
    rw_flags: u32,
    opcode: u16,
    priority: i16,
    fd: u32,
    buf: u64,
    nbytes: u64,
    offset: i64,
    reserved2: u64,
    flags: u32,
    resfd: u32,
}
const _: () = assert!(size_of::<Iocb>() == 64);
/// Offset of `aio_key`, which the kernel sets to 0.
const KEY: u32 = 8;
const FLAG_RESFD: u32 = 1;

/// Operations whose `buf` is an address; the others' is a number.
mod opcode {
    pub const PREAD: u16 = 0;
    pub const PWRITE: u16 = 1;
    pub const PREADV: u16 = 7;
    pub const PWRITEV: u16 = 8;
}

/// `struct io_event`, one layout too.
#[repr(C)]
#[derive(Clone, Copy, Default, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable)]
struct IoEvent {
    data: u64,
    obj: u64,
    res: i64,
    res2: i64,
}

/// A control block that the kernel has, by its address.
struct Submitted {
    /// Only its address is wanted after the submission.
    _iocb: Box<Iocb>,
    /// The guest's, and its context.
    guest: u32,
    context: u32,
}

static SUBMITTED: Mutex<BTreeMap<u64, Submitted>> = Mutex::new(BTreeMap::new());

/// The control blocks. Held around fork, so that the child's are not locked for ever.
pub fn hold() -> impl Sized {
    submitted()
}

fn submitted() -> MutexGuard<'static, BTreeMap<u64, Submitted>> {
    SUBMITTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The host's context for a guest's.
fn context(guest: u32) -> Result<u64, Errno> {
    let at = guest.checked_add(HOST_CONTEXT).ok_or(Errno::EINVAL)?;
    guest::get::<u64>(at).map_err(|_| Errno::EINVAL)
}

fn destroy(context: u64) -> Result<u64, Errno> {
    // SAFETY: a context, which the kernel checks.
    unsafe { host(libc::SYS_io_destroy, &[context]) }
}

/// io_setup(events, context).
pub fn io_setup(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    if guest::get::<u32>(a[1])? != 0 || a[0] == 0 {
        return Err(Errno::EINVAL);
    }
    let mut context = 0u64;
    // SAFETY: the kernel writes one word.
    unsafe { host(libc::SYS_io_setup, &[a[0].into(), &raw mut context as u64])? };
    let request = MapRequest {
        addr: 0,
        len: PAGE,
        prot: Prot::READ | Prot::WRITE,
        flags: libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        fd: -1,
        offset: 0,
    };
    let page = space().mmap(&request).map_err(Errno);
    let told = page.and_then(|page| {
        guest::put(page + HOST_CONTEXT, &context)?;
        guest::put(a[1], &page)
    });
    if let Err(errno) = told {
        let _ = destroy(context);
        if let Ok(page) = page {
            let _ = space().munmap(page, PAGE);
        }
        return Err(errno);
    }
    Ok(0)
}

/// io_destroy(context): waits for what is under way.
pub fn io_destroy(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    destroy(context(a[0])?)?;
    submitted().retain(|_, s| s.context != a[0]);
    let _ = space().munmap(a[0], PAGE);
    Ok(0)
}

/// io_submit(context, count, control blocks): how many were taken; the error of the first if none was.
pub fn io_submit(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let context = context(a[0])?;
    if (a[1] as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    // Whether there is such a context.
    // SAFETY: no control blocks.
    unsafe { host(libc::SYS_io_submit, &[context, 0, 0])? };
    for i in 0..a[1] {
        let one = guest::get::<u32>(a[2].wrapping_add(4 * i)).and_then(|at| submit(ctx, a[0], context, at));
        match one {
            Ok(()) => {}
            Err(errno) if i == 0 => return Err(errno),
            Err(_) => return Ok(i),
        }
    }
    Ok(a[1])
}

fn submit(ctx: &mut SyscallContext<'_>, guest_context: u32, context: u64, at: u32) -> Result<(), Errno> {
    let mut iocb: Iocb = guest::get(at)?;
    guest::put(at.wrapping_add(KEY), &0u32)?;
    let wide = iocb.buf > u32::MAX.into() || iocb.nbytes > i32::MAX as u64;
    if iocb.reserved2 != 0 || wide {
        return Err(Errno::EINVAL);
    }
    let resfd = iocb.flags & FLAG_RESFD != 0 && is_hidden(ctx.process, iocb.resfd as i32);
    if is_hidden(ctx.process, iocb.fd as i32) || resfd {
        return Err(Errno::EBADF);
    }
    let (buf, len) = (iocb.buf as u32, iocb.nbytes as u32);
    // Copied by the kernel when it takes the control block.
    let parts;
    iocb.buf = match iocb.opcode {
        opcode::PREAD => guest::dst(buf, len).unwrap_or(NOWHERE),
        opcode::PWRITE => guest::src(buf, len).unwrap_or(NOWHERE),
        opcode::PREADV | opcode::PWRITEV => {
            parts = import_iov(buf, len, iocb.opcode == opcode::PREADV)?;
            parts.as_ptr() as u64
        }
        _ => iocb.buf,
    };
    let iocb = Box::new(iocb);
    let address = std::ptr::from_ref(&*iocb) as u64;
    let entry = Submitted {
        _iocb: iocb,
        guest: at,
        context: guest_context,
    };
    // Before the kernel has it, as its event may be told to another thread at once.
    submitted().insert(address, entry);
    let args = [context, 1, &raw const address as u64, 0, 0, 0];
    // SAFETY: the control block lives in the map until its event; its buffers lie in the guest's window, which the kernel
    // may write at any time, or it is refused.
    let ret = unsafe { raw::syscall_interruptible(libc::SYS_io_submit, args, ctx.machine.cpu()) };
    if ret != 1 {
        submitted().remove(&address);
    }
    Errno::check(ret).map(|_| ())
}

/// io_cancel(context, control block, event): the event comes the usual way, so success is EINPROGRESS.
pub fn io_cancel(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let key: u32 = guest::get(a[1].wrapping_add(KEY))?;
    if key != 0 {
        return Err(Errno::EINVAL);
    }
    let context = context(a[0])?;
    let found = submitted()
        .iter()
        .find(|(_, s)| s.guest == a[1] && s.context == a[0])
        .map(|(&address, _)| address);
    let mut event = IoEvent::default();
    let address = found.ok_or(Errno::EINVAL)?;
    // SAFETY: the kernel looks for the address; should it be gone since, it reads a key there or answers EFAULT.
    let done = unsafe { host(libc::SYS_io_cancel, &[context, address, &raw mut event as u64]) };
    done.map(|value| value as u32)
}

/// Events of the host as the guest's; their control blocks are done with.
fn tell(addr: u32, events: &mut [IoEvent]) -> SysResult {
    for event in events.iter_mut() {
        let done = submitted().remove(&event.obj);
        event.obj = done.map_or(0, |s| s.guest.into());
    }
    guest::put_array(addr, events)?;
    Ok(events.len() as u32)
}

/// How many events, at most `most`, can be written to the guest's memory from `addr` on.
fn writable(addr: u32, most: u32) -> u32 {
    const EVENT: u64 = size_of::<IoEvent>() as u64;
    let start = u64::from(addr);
    let limit = (start + u64::from(most.min(MAX_EVENTS)) * EVENT).min(1 << 32);
    let can_write = |at: u64| {
        space()
            .prot(GuestAddr(at as u32))
            .is_some_and(|p| p.contains(Prot::WRITE))
    };
    let mut end = start;
    while end < limit && can_write(end) {
        end = (end | u64::from(PAGE - 1)) + 1;
    }
    ((end.min(limit) - start) / EVENT) as u32
}

/// The common part of io_getevents and io_pgetevents.
fn get_events(
    ctx: &mut SyscallContext<'_>,
    a: &[u32; 6],
    limit: Option<libc::timespec>,
    mask: Option<SigSet>,
) -> SysResult {
    let context = context(a[0])?;
    let (least, most) = (a[1] as i32, a[2] as i32);
    if least < 0 || most < 0 || least > most {
        return Err(Errno::EINVAL);
    }
    let mut room = writable(a[3], a[2]);
    let mut events = vec![IoEvent::default(); room as usize];
    let limit = limit.as_ref().map_or(0, |t| std::ptr::from_ref(t) as u64);
    let buffer = if room == 0 {
        // The kernel finds that out when there is an event, which it keeps.
        room = a[2].min(MAX_EVENTS);
        NOWHERE
    } else {
        events.as_mut_ptr() as u64
    };
    let least = a[1].min(room);
    let args = [context, least.into(), room.into(), buffer, limit];
    let ret = match mask {
        Some(mask) => with_mask(ctx, mask, |ctx, set| {
            let with_size = [std::ptr::from_ref(set) as u64, SIGSET_SIZE];
            let [a, b, c, d, e] = args;
            let args = [a, b, c, d, e, with_size.as_ptr() as u64];
            // SAFETY: events, time limit and mask live over the call.
            unsafe { raw::syscall_interruptible(IO_PGETEVENTS, args, ctx.machine.cpu()) }
        }),
        None => {
            let [a, b, c, d, e] = args;
            // SAFETY: events and time limit live over the call.
            unsafe {
                raw::syscall_interruptible(libc::SYS_io_getevents, [a, b, c, d, e, 0], ctx.machine.cpu())
            }
        }
    };
    let n = Errno::check(ret)? as usize;
    tell(a[3], &mut events[..n])
}

/// io_getevents(context, least, most, events, time limit).
pub fn io_getevents(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let limit = time::read_timespec32(a[4])?;
    get_events(ctx, a, limit, None)
}

/// io_pgetevents: with a mask, behind one more pointer, and its size.
pub fn io_pgetevents(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let limit = time::read_timespec32(a[4])?;
    masked_events(ctx, a, limit)
}

pub fn io_pgetevents_time64(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let limit = time::read_timespec64(a[4])?;
    masked_events(ctx, a, limit)
}

fn masked_events(ctx: &mut SyscallContext<'_>, a: &[u32; 6], limit: Option<libc::timespec>) -> SysResult {
    let mask = match guest::get_opt::<SigsetArg>(a[5])? {
        Some(arg) => get_mask(arg.sigset, arg.size)?,
        None => None,
    };
    get_events(ctx, a, limit, mask)
}
