//! The host's ptrace, and another process's memory.

use super::block::{Anchor, Block};
use crate::linux::errno::Errno;
use crate::linux::raw;
use std::mem::offset_of;

pub const TRACEME: u64 = 0;
pub const PEEKDATA: u64 = 2;
pub const POKEDATA: u64 = 5;
pub const CONT: u64 = 7;
pub const KILL: u64 = 8;
pub const GETREGS: u64 = 12;
pub const SETREGS: u64 = 13;
pub const ATTACH: u64 = 16;
pub const DETACH: u64 = 17;
pub const SETOPTIONS: u64 = 0x4200;
pub const GETEVENTMSG: u64 = 0x4201;
pub const GETSIGINFO: u64 = 0x4202;
pub const PEEKSIGINFO: u64 = 0x4209;
pub const SEIZE: u64 = 0x4206;
pub const INTERRUPT: u64 = 0x4207;
pub const LISTEN: u64 = 0x4208;

/// A request without memory of ours, or with memory that the caller vouches for.
///
/// # Safety
/// `data` and `addr` must be good for what the request does with them.
unsafe fn request(number: u64, tid: i32, addr: u64, data: u64) -> Result<u64, Errno> {
    let args = [number, tid as u64, addr, data, 0, 0];
    // SAFETY: the caller's contract.
    Errno::check(unsafe { raw::syscall(libc::SYS_ptrace, args) })
}

/// A request whose operands are numbers: none of TRACEME, CONT, KILL, ATTACH, DETACH, SETOPTIONS, SEIZE, INTERRUPT, LISTEN
/// follows a pointer.
pub fn control(number: u64, tid: i32, data: u64) -> Result<(), Errno> {
    // SAFETY: as above.
    unsafe { request(number, tid, 0, data) }.map(drop)
}

pub fn registers(tid: i32) -> Result<libc::user_regs_struct, Errno> {
    // SAFETY: plain integers, which the kernel fills in.
    unsafe {
        let mut regs: libc::user_regs_struct = std::mem::zeroed();
        request(GETREGS, tid, 0, &raw mut regs as u64)?;
        Ok(regs)
    }
}

pub fn set_registers(tid: i32, regs: &libc::user_regs_struct) -> Result<(), Errno> {
    // SAFETY: a whole structure that the kernel reads.
    unsafe { request(SETREGS, tid, 0, std::ptr::from_ref(regs) as u64) }.map(drop)
}

pub fn event_message(tid: i32) -> Result<u64, Errno> {
    let mut message = 0u64;
    // SAFETY: the kernel writes one word.
    unsafe { request(GETEVENTMSG, tid, 0, &raw mut message as u64)? };
    Ok(message)
}

/// The siginfo of a signal-delivery-stop; EINVAL at a group stop.
pub fn siginfo(tid: i32) -> Result<[u8; 128], Errno> {
    let mut info = [0u8; 128];
    // SAFETY: the kernel writes a siginfo's 128 bytes.
    unsafe { request(GETSIGINFO, tid, 0, info.as_mut_ptr() as u64)? };
    Ok(info)
}

/// Up to `count` signals of a queue from the `from`th on; of the process's queue with flag 1.
pub fn queued(tid: i32, from: u64, flags: u32, count: i32) -> Result<Vec<[u8; 128]>, Errno> {
    let args = [from, u64::from(flags) | (count as u64) << 32];
    let mut infos = vec![[0u8; 128]; count as usize];
    // SAFETY: the arguments' structure, and room for as many siginfos as are asked for.
    let n = unsafe { request(PEEKSIGINFO, tid, args.as_ptr() as u64, infos.as_mut_ptr() as u64)? };
    infos.truncate(n as usize);
    Ok(infos)
}

/// One aligned word of memory, whatever its protection.
pub fn peek(tid: i32, addr: u64) -> Result<u64, Errno> {
    let mut word = 0u64;
    // SAFETY: the kernel writes one word.
    unsafe { request(PEEKDATA, tid, addr, &raw mut word as u64)? };
    Ok(word)
}

pub fn poke(tid: i32, addr: u64, word: u64) -> Result<(), Errno> {
    // SAFETY: the value is a number; the address is the other process's.
    unsafe { request(POKEDATA, tid, addr, word) }.map(drop)
}

fn vm(number: i64, tid: i32, at: u64, local: u64, len: usize) -> Result<(), Errno> {
    let local = [local, len as u64];
    let remote = [at, len as u64];
    let args = [tid as u64, local.as_ptr() as u64, 1, remote.as_ptr() as u64, 1, 0];
    // SAFETY: both vectors live over the call; `local` is the callers' slice.
    let done = Errno::check(unsafe { raw::syscall(number, args) })?;
    if done == len as u64 {
        Ok(())
    } else {
        Err(Errno::EFAULT)
    }
}

/// Fills `out` from another process's memory.
pub fn read(tid: i32, at: u64, out: &mut [u8]) -> Result<(), Errno> {
    vm(
        libc::SYS_process_vm_readv,
        tid,
        at,
        out.as_mut_ptr() as u64,
        out.len(),
    )
}

pub fn write(tid: i32, at: u64, bytes: &[u8]) -> Result<(), Errno> {
    vm(
        libc::SYS_process_vm_writev,
        tid,
        at,
        bytes.as_ptr() as u64,
        bytes.len(),
    )
}

pub fn get<T: zerocopy::FromBytes + zerocopy::IntoBytes>(tid: i32, at: u64) -> Result<T, Errno> {
    let mut value = T::new_zeroed();
    read(tid, at, value.as_mut_bytes())?;
    Ok(value)
}

pub fn put<T: zerocopy::IntoBytes + zerocopy::Immutable>(tid: i32, at: u64, value: &T) -> Result<(), Errno> {
    write(tid, at, value.as_bytes())
}

/// The anchor of a thread with this fs base: its block's address, 0 for none. An error if there is no anchor (yet).
pub fn anchor(tid: i32, fs_base: u64) -> Result<u64, Errno> {
    if fs_base == 0 {
        return Err(Errno::ESRCH);
    }
    let at = anchor_at(fs_base);
    let magic: u64 = get(tid, at + offset_of!(Anchor, magic) as u64)?;
    if magic != super::block::MAGIC {
        return Err(Errno::ESRCH);
    }
    get(tid, at + offset_of!(Anchor, block) as u64)
}

/// Leaves word for a thread without a block.
pub fn set_newborn(tid: i32, fs_base: u64, wants: u32) -> Result<(), Errno> {
    put(
        tid,
        anchor_at(fs_base) + offset_of!(Anchor, newborn) as u64,
        &wants,
    )
}

fn anchor_at(fs_base: u64) -> u64 {
    fs_base.wrapping_add(super::block::anchor_offset())
}

const _: () = assert!(size_of::<Block>() == size_of::<super::block::Image>());

/// Sets [`super::tracee::AT_FLAGS_TRACED`] in the auxiliary vector of a process that has just executed a program, whose
/// stack pointer is `sp`: argc, argv, envp and the vector lie there.
pub fn mark_program(tid: i32, sp: u64) -> Result<(), Errno> {
    let argc: u64 = get(tid, sp)?;
    let mut at = sp + 8 * (argc + 2);
    while get::<u64>(tid, at)? != 0 {
        at += 8;
    }
    at += 8;
    loop {
        let [kind, value]: [u64; 2] = get(tid, at)?;
        match kind {
            libc::AT_NULL => return Err(Errno::ENOENT),
            libc::AT_FLAGS => return put(tid, at + 8, &(value | super::tracee::AT_FLAGS_TRACED)),
            _ => at += 16,
        }
    }
}
