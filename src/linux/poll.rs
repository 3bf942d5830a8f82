//! Waiting for descriptors: select, poll with time limits and masks, epoll.

use super::abi::net::{EpollEvent, SigsetArg};
use super::abi::time::{Timespec32, Timespec64, Timeval32};
use super::call::{NOWHERE, SyscallContext, SyscallResult, host, host_blocking, signed};
use super::errno::{Errno, SysResult};
use super::own_fds::is_hidden;
use super::process::Process;
use super::signal::calls::with_mask;
use super::signal::set::SigSet;
use super::task::Rest;
use super::{guest, raw, time};

/// Bytes of a signal set.
const SIGSET_SIZE: u32 = 8;
/// Most descriptors that select looks at: the kernel stops at the descriptor table's size.
const MAX_SELECT: u32 = 1 << 16;
/// Most descriptors of a poll that are looked at: the host refuses more than the limit on open files.
const MAX_POLLED: u32 = 1 << 20;
/// Bytes of the host's packed `struct epoll_event`.
const HOST_EVENT: usize = size_of::<libc::epoll_event>();

/// How a call's time limit is laid out in guest memory.
#[derive(Clone, Copy)]
enum TimeForm {
    Spec32,
    Spec64,
}

fn get_time(addr: u32, form: TimeForm) -> Result<Option<libc::timespec>, Errno> {
    Ok(match form {
        TimeForm::Spec32 => guest::get_opt::<Timespec32>(addr)?.map(Into::into),
        TimeForm::Spec64 => guest::get_opt::<Timespec64>(addr)?.map(Into::into),
    })
}

/// Writes the time left. As in the kernel, a time limit in read-only memory is no error.
fn put_time(addr: u32, form: TimeForm, left: Option<libc::timespec>) {
    let Some(left) = left else { return };
    let _ = match form {
        TimeForm::Spec32 => guest::put(addr, &Timespec32::from(left)),
        TimeForm::Spec64 => guest::put(addr, &Timespec64::from(left)),
    };
}

fn pointer<T>(value: &mut Option<T>) -> u64 {
    value.as_mut().map_or(0, |v| &raw mut *v as u64)
}

/// A signal mask argument: `None` for a null pointer.
pub fn get_mask(addr: u32, size: u32) -> Result<Option<SigSet>, Errno> {
    if addr == 0 {
        return Ok(None);
    }
    if size != SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    Ok(Some(SigSet(guest::get(addr)?)))
}

/// Runs a waiting call, `call` with the host address of the mask to wait under (0: none).
fn masked(
    ctx: &mut SyscallContext<'_>,
    mask: Option<SigSet>,
    call: impl FnOnce(&mut SyscallContext<'_>, u64) -> i64,
) -> Result<u64, Errno> {
    Errno::check(match mask {
        Some(mask) => with_mask(ctx, mask, |ctx, set| call(ctx, std::ptr::from_ref(set) as u64)),
        None => call(ctx, 0),
    })
}

/// After a call that writes the time left where its time limit was.
fn note_interruption<T>(ctx: &mut SyscallContext<'_>, result: &Result<T, Errno>) {
    ctx.task.rest = (result.as_ref().err() == Some(&Errno::EINTR)).then_some(Rest::Arguments);
}

fn ppoll_form(ctx: &mut SyscallContext<'_>, a: &[u32; 6], form: TimeForm) -> SysResult {
    let mask = get_mask(a[3], a[4])?;
    let mut time = get_time(a[2], form)?;
    let bytes = a[1].checked_mul(8).ok_or(Errno::EINVAL)?;
    let fds = guest::dst(a[0], bytes)?;
    let limit = pointer(&mut time);
    let mut without_own = Polled::get(ctx.process, a[0], a[1]);
    let fds = without_own
        .as_mut()
        .map_or(fds, |p| p.entries.as_mut_ptr() as u64);
    let result = masked(ctx, mask, |ctx, set| {
        let args = [fds, a[1].into(), limit, set, SIGSET_SIZE.into(), 0];
        // SAFETY: a checked range of the guest's window or entries of ours; time limit and set live over the call.
        unsafe { raw::syscall_interruptible(libc::SYS_ppoll, args, ctx.machine.cpu()) }
    });
    put_time(a[2], form, time);
    note_interruption(ctx, &result);
    if let (Some(polled), Ok(_)) = (without_own, result) {
        polled.put()?;
    }
    result.map(|n| n as u32)
}

/// A guest's pollfd array (descriptor; events and results of 16 bits each) in which there are descriptors of the emulator's.
struct Polled {
    addr: u32,
    entries: Vec<[u32; 2]>,
}

impl Polled {
    /// `None` where the guest's own array will do. In the copy the emulator's descriptors are numbers that no table has.
    fn get(process: &Process, addr: u32, count: u32) -> Option<Polled> {
        if count > MAX_POLLED {
            return None;
        }
        let mut entries: Vec<[u32; 2]> = guest::get_array(addr, count as usize).ok()?;
        let mut any = false;
        for [fd, _] in &mut entries {
            if is_hidden(process, *fd as i32) {
                *fd = i32::MAX as u32;
                any = true;
            }
        }
        any.then_some(Polled { addr, entries })
    }

    /// The results to the guest.
    fn put(&self) -> Result<(), Errno> {
        for (entry, [_, words]) in (0..).zip(&self.entries) {
            guest::put(self.addr + 8 * entry + 6, &((words >> 16) as u16))?;
        }
        Ok(())
    }
}

/// poll(fds, count, milliseconds). Where the array is nowhere the host says what else is wrong first.
pub fn poll(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SyscallResult {
    poll_host(ctx, a).into()
}

fn poll_host(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let bytes = a[1].checked_mul(8).ok_or(Errno::EINVAL)?;
    let fds = guest::dst(a[0], bytes).unwrap_or(NOWHERE);
    let mut without_own = Polled::get(ctx.process, a[0], a[1]);
    let fds = without_own
        .as_mut()
        .map_or(fds, |p| p.entries.as_mut_ptr() as u64);
    let limit = poll_limit(ctx.task.rest.take(), a[2] as i32);
    let mut rest = Rest::Arguments;
    if limit > 0 {
        let length = libc::timespec {
            tv_sec: i64::from(limit) / 1000,
            tv_nsec: i64::from(limit) % 1000 * 1_000_000,
        };
        rest = time::deadline(&length).map_or(Rest::Arguments, Rest::Until);
    }
    let args = [fds, a[1].into(), signed(limit as u32), 0, 0, 0];
    // SAFETY: a checked range of the guest's window, or entries that live over the call.
    let ret = unsafe { raw::syscall_interruptible(libc::SYS_poll, args, ctx.machine.cpu()) };
    if time::was_interrupted(ret) {
        ctx.task.rest = Some(rest);
    }
    let n = Errno::check(ret)?;
    if let Some(polled) = without_own {
        polled.put()?;
    }
    Ok(n as u32)
}

/// Milliseconds that a poll may wait, when its first part has left `rest`.
fn poll_limit(rest: Option<Rest>, whole: i32) -> i32 {
    match rest {
        Some(Rest::Until(_)) => {
            let left = time::rest_of(
                rest,
                libc::timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                },
            );
            let milliseconds = left.tv_sec * 1000 + (left.tv_nsec + 999_999) / 1_000_000;
            i32::try_from(milliseconds).unwrap_or(whole)
        }
        _ => whole,
    }
}

pub fn ppoll(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    ppoll_form(ctx, a, TimeForm::Spec32)
}

pub fn ppoll_time64(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    ppoll_form(ctx, a, TimeForm::Spec64)
}

/// A guest's fd_set (32-bit words) as the host's (64-bit words): the same bits, in a size rounded up.
struct FdSet {
    addr: u32,
    guest_bytes: usize,
    words: Vec<u64>,
}

impl FdSet {
    fn get(addr: u32, count: u32) -> Result<FdSet, Errno> {
        let guest_bytes = count.div_ceil(32) as usize * 4;
        let mut words = vec![0u64; count.div_ceil(64) as usize];
        if addr != 0 {
            let mut bytes = vec![0u8; guest_bytes];
            guest::get_bytes(addr, &mut bytes)?;
            for (word, chunk) in words.iter_mut().zip(bytes.chunks(8)) {
                let mut le = [0; 8];
                le[..chunk.len()].copy_from_slice(chunk);
                *word = u64::from_le_bytes(le);
            }
        }
        Ok(FdSet {
            addr,
            guest_bytes,
            words,
        })
    }

    /// Leaves in the set what `keep` says.
    fn retain(&mut self, keep: impl Fn(i32) -> bool) {
        for (first, word) in (0..).step_by(64).zip(&mut self.words) {
            let mut bits = *word;
            while bits != 0 {
                let bit = bits.trailing_zeros() as i32;
                bits &= bits - 1;
                if !keep(first + bit) {
                    *word &= !(1 << bit);
                }
            }
        }
    }

    fn as_arg(&mut self) -> u64 {
        if self.addr == 0 {
            0
        } else {
            self.words.as_mut_ptr() as u64
        }
    }

    fn put(&self) -> Result<(), Errno> {
        if self.addr == 0 {
            return Ok(());
        }
        let bytes: Vec<u8> = self.words.iter().flat_map(|w| w.to_le_bytes()).collect();
        guest::put_bytes(self.addr, &bytes[..self.guest_bytes])
    }
}

/// The common part of the select family: `call` gets the number of descriptors and the three sets.
fn select_sets(
    process: &Process,
    a: &[u32; 6],
    call: impl FnOnce([u64; 4]) -> Result<u64, Errno>,
) -> SysResult {
    if (a[0] as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let count = a[0].min(MAX_SELECT);
    let mut sets = [
        FdSet::get(a[1], count)?,
        FdSet::get(a[2], count)?,
        FdSet::get(a[3], count)?,
    ];
    // The emulator's own descriptors lie beyond the table of a guest that has not so many: not looked at.
    for set in &mut sets {
        set.retain(|fd| !is_hidden(process, fd));
    }
    let [r, w, e] = &mut sets;
    let n = call([count.into(), r.as_arg(), w.as_arg(), e.as_arg()])?;
    sets.iter().try_for_each(FdSet::put)?;
    Ok(n as u32)
}

/// _newselect: a timeval in, the time left out.
pub fn select(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let mut time: Option<libc::timeval> = guest::get_opt::<Timeval32>(a[4])?.map(Into::into);
    let limit = pointer(&mut time);
    let result = select_sets(ctx.process, a, |[n, r, w, e]| {
        // SAFETY: sets and time limit live over the call.
        unsafe { host_blocking(ctx, libc::SYS_select, &[n, r, w, e, limit]) }
    });
    if let Some(left) = time {
        // As in the kernel, a time limit in read-only memory is no error.
        let _ = guest::put(a[4], &Timeval32::from(left));
    }
    note_interruption(ctx, &result);
    result
}

fn pselect_form(ctx: &mut SyscallContext<'_>, a: &[u32; 6], form: TimeForm) -> SysResult {
    let mask = match guest::get_opt::<SigsetArg>(a[5])? {
        Some(arg) => get_mask(arg.sigset, arg.size)?,
        None => None,
    };
    let mut time = get_time(a[4], form)?;
    let limit = pointer(&mut time);
    let result = select_sets(ctx.process, a, |[n, r, w, e]| {
        masked(ctx, mask, |ctx, set| {
            let with_size = [set, SIGSET_SIZE.into()];
            let args = [n, r, w, e, limit, with_size.as_ptr() as u64];
            // SAFETY: sets, time limit and mask live over the call.
            unsafe { raw::syscall_interruptible(libc::SYS_pselect6, args, ctx.machine.cpu()) }
        })
    });
    put_time(a[4], form, time);
    note_interruption(ctx, &result);
    result
}

pub fn pselect6(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    pselect_form(ctx, a, TimeForm::Spec32)
}

pub fn pselect6_time64(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    pselect_form(ctx, a, TimeForm::Spec64)
}

/// epoll_ctl: ARM's event is 16 bytes, x86-64's 12.
pub fn epoll_ctl(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let mut event = if a[1] == libc::EPOLL_CTL_DEL as u32 {
        None
    } else {
        let from: EpollEvent = guest::get(a[3])?;
        Some(libc::epoll_event {
            events: from.events,
            u64: from.data,
        })
    };
    let pointer = pointer(&mut event);
    // SAFETY: the event lives over the call.
    unsafe {
        host(
            libc::SYS_epoll_ctl,
            &[signed(a[0]), a[1].into(), signed(a[2]), pointer],
        )
    }
    .map(|_| 0)
}

/// epoll_wait and its kin: `call` gets the buffer and its length. The host packs its events into 12 bytes each at
/// the start of the guest's own buffer, where they are then spread to 16.
fn epoll_form(
    ctx: &mut SyscallContext<'_>,
    a: &[u32; 6],
    mask: Option<SigSet>,
    call: impl FnOnce(&mut SyscallContext<'_>, u64, u64, u64) -> i64,
) -> SysResult {
    if a[2] as i32 <= 0 || a[2] > i32::MAX as u32 / size_of::<EpollEvent>() as u32 {
        return Err(Errno::EINVAL);
    }
    let buffer = guest::dst(a[1], a[2] * size_of::<EpollEvent>() as u32)?;
    let n = masked(ctx, mask, |ctx, set| call(ctx, buffer, a[2].into(), set))?;
    let packed = guest::get_vec(a[1], n as usize * HOST_EVENT)?;
    let events: Vec<_> = packed
        .chunks_exact(HOST_EVENT)
        .map(|e| EpollEvent {
            events: u32::from_ne_bytes(*e.first_chunk().unwrap_or(&[0; 4])),
            pad: 0,
            data: u64::from_ne_bytes(*e.last_chunk().unwrap_or(&[0; 8])),
        })
        .collect();
    guest::put_array(a[1], &events)?;
    Ok(n as u32)
}

fn epoll_timed(ctx: &mut SyscallContext<'_>, a: &[u32; 6], mask: Option<SigSet>) -> SysResult {
    epoll_form(ctx, a, mask, |ctx, buffer, room, set| {
        let args = [signed(a[0]), buffer, room, signed(a[3]), set, SIGSET_SIZE.into()];
        // SAFETY: a checked range of the guest's window; the mask lives over the call.
        unsafe { raw::syscall_interruptible(libc::SYS_epoll_pwait, args, ctx.machine.cpu()) }
    })
}

pub fn epoll_wait(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    epoll_timed(ctx, a, None)
}

pub fn epoll_pwait(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let mask = get_mask(a[4], a[5])?;
    epoll_timed(ctx, a, mask)
}

pub fn epoll_pwait2(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let mask = get_mask(a[4], a[5])?;
    let mut time = get_time(a[3], TimeForm::Spec64)?;
    let limit = pointer(&mut time);
    epoll_form(ctx, a, mask, |ctx, buffer, room, set| {
        let args = [signed(a[0]), buffer, room, limit, set, SIGSET_SIZE.into()];
        // SAFETY: a checked range of the guest's window; time limit and mask live over the call.
        unsafe { raw::syscall_interruptible(libc::SYS_epoll_pwait2, args, ctx.machine.cpu()) }
    })
}
