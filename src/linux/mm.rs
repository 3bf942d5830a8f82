//! Memory mapping calls, over `mem::space()`.

use std::ffi::CString;

use super::call::{SyscallContext, host};
use super::errno::{Errno, SysResult};
use super::{guest, ptrace, raw};
use crate::mem::{GuestAddr, MapRequest, PAGE_SIZE, Prot, space};

const PAGE_MASK: u32 = PAGE_SIZE - 1;
/// Protection bits that name no page permission on ARM: PROT_SEM, and PROT_GROWSDOWN and PROT_GROWSUP of mprotect.
const PROT_SEM: u32 = 8;
const PROT_GROWS: u32 = 0x0300_0000;
const MAP_HUGETLB: u32 = libc::MAP_HUGETLB as u32;
const PROT_GROWSDOWN: u32 = 0x0100_0000;

/// PROT_* as the guest gives it; bits that the kernel ignores are dropped.
fn prot(bits: u32) -> Prot {
    Prot::from_bits_truncate((bits & 7) as u8)
}

fn unit(result: Result<(), i32>) -> SysResult {
    result.map(|()| 0).map_err(Errno)
}

fn map(addr: u32, len: u32, bits: u32, flags: u32, fd: u32, offset: u64) -> SysResult {
    let request = MapRequest {
        addr,
        len,
        prot: prot(bits),
        flags: flags as i32,
        fd: fd as i32,
        offset,
    };
    space().mmap(&request).map_err(Errno)
}

/// mmap2(addr, len, prot, flags, fd, offset in units of 4096).
pub fn sys_mmap2(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [addr, len, bits, flags, fd, pages] = *args;
    // Page numbers of a file have 32 bits (do_mmap, file_mmap_ok).
    if pages.checked_add(len.div_ceil(PAGE_SIZE)).is_none() && len != 0 && flags & MAP_HUGETLB == 0 {
        return Err(Errno(libc::EOVERFLOW));
    }
    map(
        addr,
        len,
        bits,
        flags,
        fd,
        u64::from(pages) * u64::from(PAGE_SIZE),
    )
}

/// The old call: one pointer to the six arguments, offset in bytes.
pub fn sys_mmap(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [addr, len, bits, flags, fd, offset] = guest::get::<[u32; 6]>(args[0])?;
    if offset & PAGE_MASK != 0 {
        return Err(Errno::EINVAL);
    }
    map(addr, len, bits, flags, fd, offset.into())
}

/// As a kernel without huge pages: mappings of files of them have other bounds than those that are asked for.
pub fn sys_memfd_create(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    if args[1] & libc::MFD_HUGETLB != 0 {
        // MFD_CLOEXEC to MFD_EXEC, and the size of a page.
        const KNOWN: u32 = 0x1f | 0x3f << 26;
        let known = args[1] & !KNOWN == 0;
        return Err(if known { Errno::ENOSYS } else { Errno::EINVAL });
    }
    // What cannot be read is the kernel's to refuse, after the flags.
    let name = space().read_cstr(GuestAddr(args[0]), 4096).ok();
    let name = name.and_then(|name| CString::new(name).ok());
    let at = name.as_ref().map_or(0, |name| name.as_ptr() as u64);
    // SAFETY: a string of ours that ends in a NUL, or none.
    unsafe { host(libc::SYS_memfd_create, &[at, args[1].into()]) }.map(|fd| fd as u32)
}

pub fn sys_munmap(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    unit(space().munmap(args[0], args[1]))
}

pub fn sys_mprotect(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [addr, len, bits, ..] = *args;
    if bits & !(7 | PROT_SEM | PROT_GROWS) != 0 || bits & PROT_GROWS == PROT_GROWS {
        return Err(Errno::EINVAL);
    }
    if bits & PROT_GROWS != 0 && len != 0 && addr & PAGE_MASK == 0 {
        // From the first page of what grows, which only the stack does, and downwards.
        let end = addr
            .checked_add(len.next_multiple_of(PAGE_SIZE))
            .ok_or(Errno::ENOMEM)?;
        if !space().is_mapped(addr.into(), 1) {
            return Err(Errno::ENOMEM);
        }
        let start = space()
            .stack_start(addr)
            .filter(|_| bits & PROT_GROWS == PROT_GROWSDOWN);
        let start = start.ok_or(Errno::EINVAL)?;
        return unit(space().mprotect(start, end - start, prot(bits)));
    }
    unit(space().mprotect(addr, len, prot(bits)))
}

/// mremap(addr, old_len, new_len, flags, new_addr).
pub fn sys_mremap(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [addr, old_len, new_len, flags, new_addr, _] = *args;
    space()
        .mremap(addr, old_len, new_len, flags as i32, new_addr)
        .map_err(Errno)
}

pub fn sys_madvise(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    unit(space().madvise(args[0], args[1], args[2] as i32))
}

/// A host call on a range of the guest's pages that changes no mapping.
fn on_range(nr: i64, addr: u32, len: u32, rest: &[u64]) -> SysResult {
    let end = u64::from(addr) + ((u64::from(len) + u64::from(PAGE_MASK)) & !u64::from(PAGE_MASK));
    if end > crate::mem::WINDOW {
        return Err(Errno::ENOMEM);
    }
    let host = space().host(addr.into()) as u64;
    let mut args = [host, len.into(), 0, 0, 0, 0];
    args[2..2 + rest.len()].copy_from_slice(rest);
    // SAFETY: the range lies in the guest's window; msync and the mlock family change no mapping's address,
    // protection or contents.
    Ok(Errno::check(unsafe { raw::syscall(nr, args) })? as u32)
}

/// ENOMEM where the range has a hole, which the host does not see: the reservation is mapped.
fn whole(addr: u32, len: u32) -> Result<(), Errno> {
    if space().is_mapped(addr.into(), len) {
        Ok(())
    } else {
        Err(Errno::ENOMEM)
    }
}

/// Holes are reported after what is mapped has been written.
pub fn sys_msync(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let done = on_range(libc::SYS_msync, args[0], args[1], &[args[2].into()])?;
    whole(args[0], args[1])?;
    Ok(done)
}

pub fn sys_mlock(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    whole(args[0], args[1])?;
    on_range(libc::SYS_mlock, args[0], args[1], &[])
}

pub fn sys_mlock2(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    whole(args[0], args[1])?;
    on_range(libc::SYS_mlock2, args[0], args[1], &[args[2].into()])
}

pub fn sys_munlock(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    whole(args[0], args[1])?;
    on_range(libc::SYS_munlock, args[0], args[1], &[])
}

const MCL_CURRENT: u32 = 1;
const MCL_FUTURE: u32 = 2;
const MCL_ONFAULT: u32 = 4;

/// Locks what the guest has mapped; what it maps later stays unlocked (the host's MCL_FUTURE would take the
/// emulator's own memory too), which only timing can tell.
pub fn sys_mlockall(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let flags = args[0];
    if flags == 0 || flags & !(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0 || flags == MCL_ONFAULT {
        return Err(Errno::EINVAL);
    }
    if flags & MCL_CURRENT != 0 {
        for entry in space().maps() {
            let on_fault = u64::from(flags & MCL_ONFAULT != 0);
            on_range(
                libc::SYS_mlock2,
                entry.start,
                entry.end.wrapping_sub(entry.start),
                &[on_fault],
            )?;
        }
    }
    Ok(0)
}

pub fn sys_munlockall(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    for entry in space().maps() {
        on_range(
            libc::SYS_munlock,
            entry.start,
            entry.end.wrapping_sub(entry.start),
            &[],
        )?;
    }
    Ok(0)
}

/// mincore(addr, len, vec): only what the guest has mapped counts.
pub fn sys_mincore(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [addr, len, vec, ..] = *args;
    if addr & PAGE_MASK != 0 {
        return Err(Errno::EINVAL);
    }
    if u64::from(addr) + u64::from(len) > crate::mem::WINDOW || !space().is_mapped(addr.into(), len) {
        return Err(Errno::ENOMEM);
    }
    let mut resident = vec![0u8; len.div_ceil(PAGE_SIZE) as usize];
    on_range(libc::SYS_mincore, addr, len, &[resident.as_mut_ptr() as u64])?;
    guest::put_bytes(vec, &resident)?;
    Ok(0)
}

pub fn sys_brk(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    Ok(space().brk(args[0]))
}

/// cacheflush(start, end, flags): flags must be 0.
pub fn sys_cacheflush(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [start, end, flags, ..] = *args;
    if end < start || flags != 0 {
        return Err(Errno::EINVAL);
    }
    ctx.machine.flush_code(start, end);
    Ok(0)
}

/// process_vm_readv and process_vm_writev on the process itself and on those that it traces and that are stopped; others'
/// memory has the emulator in it, and a guest may not see that: EPERM.
fn process_vm(args: &[u32; 6], write: bool) -> SysResult {
    let [pid, local, local_count, remote, remote_count, flags] = *args;
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let local = read_iovec(local, local_count)?;
    if local.iter().all(|part| part.1 == 0) {
        return Ok(0);
    }
    // SAFETY: getpid has no preconditions.
    if pid as i32 != unsafe { libc::getpid() } {
        if let Some(done) = ptrace::process_vm(pid as i32, &local, remote, remote_count, write) {
            return done;
        }
        // SAFETY: signal 0 only asks whether the process is there.
        let missing = unsafe { libc::kill(pid as i32, 0) } != 0 && Errno::last() == Errno::ESRCH;
        return Err(if missing { Errno::ESRCH } else { Errno::EPERM });
    }
    let remote = read_iovec(remote, remote_count)?;
    let (mut from, to) = if write { (local, remote) } else { (remote, local) };
    let mut done = 0u32;
    let mut source = from.drain(..);
    let mut current = (0u32, 0u32);
    let mut chunk = [0u8; PAGE_SIZE as usize];
    for (mut addr, mut len) in to {
        while len > 0 {
            while current.1 == 0 {
                match source.next() {
                    Some(next) => current = next,
                    None => return Ok(done),
                }
            }
            let n = len.min(current.1).min(PAGE_SIZE);
            let part = &mut chunk[..n as usize];
            let copied = guest::get_bytes(current.0, part).and_then(|()| guest::put_bytes(addr, part));
            if copied.is_err() {
                return if done == 0 { Err(Errno::EFAULT) } else { Ok(done) };
            }
            (current.0, current.1) = (current.0.wrapping_add(n), current.1 - n);
            (addr, len) = (addr.wrapping_add(n), len - n);
            done += n;
        }
    }
    Ok(done)
}

/// UIO_MAXIOV.
const MAX_IOVEC: u32 = 1024;

pub(super) fn read_iovec(addr: u32, count: u32) -> Result<Vec<(u32, u32)>, Errno> {
    if count > MAX_IOVEC {
        return Err(Errno::EINVAL);
    }
    let mut total = 0u64;
    let mut out = Vec::with_capacity(count as usize);
    for i in 0..count {
        let [base, len] = guest::get::<[u32; 2]>(addr.wrapping_add(8 * i))?;
        total += u64::from(len);
        if total > i32::MAX as u64 {
            return Err(Errno::EINVAL);
        }
        out.push((base, len));
    }
    Ok(out)
}

pub fn sys_process_vm_readv(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    process_vm(args, false)
}

pub fn sys_process_vm_writev(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    process_vm(args, true)
}

/// membarrier(cmd, flags, cpu): the host's, as guest threads are host threads.
pub fn sys_membarrier(_ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [cmd, flags, cpu, ..] = args.map(u64::from);
    // SAFETY: membarrier takes no pointers.
    Ok(Errno::check(unsafe { raw::syscall(libc::SYS_membarrier, [cmd, flags, cpu, 0, 0, 0]) })? as u32)
}

/// remap_file_pages(start, size, prot, pgoff, flags): as a mapping of the same file over the range, which is how the
/// kernel itself has done it since 4.0; the range must lie in one shared file mapping, prot must be 0.
pub fn sys_remap_file_pages(ctx: &mut SyscallContext<'_>, args: &[u32; 6]) -> SysResult {
    let [start, size, bits, pgoff, flags, _] = *args;
    if bits != 0 {
        return Err(Errno::EINVAL);
    }
    let (start, size) = (start & !PAGE_MASK, size & !PAGE_MASK);
    let end = u64::from(start) + u64::from(size);
    let inside = space()
        .maps()
        .into_iter()
        .any(|m| m.shared && m.inode != 0 && m.start <= start && end <= u64::from(m.end));
    if size == 0 || !inside {
        return Err(Errno::EINVAL);
    }
    let host = [
        space().host(start.into()) as u64,
        size.into(),
        0,
        pgoff.into(),
        flags.into(),
        0,
    ];
    // SAFETY: the range is a shared file mapping of the guest's; the kernel maps another part of the same file there
    // with the same protection. Code on it is flushed below.
    Errno::check(unsafe { raw::syscall(libc::SYS_remap_file_pages, host) })?;
    ctx.machine.flush_code(start, end as u32);
    Ok(0)
}
