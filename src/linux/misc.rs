//! Calls that fit nowhere else: capabilities, keys, file handles, ustat, page cache statistics.

use super::abi::open as oflags;
use super::call::{AT_SYMLINK_NOFOLLOW, SyscallContext, host, signed};
use super::errno::{Errno, SysResult};
use super::exec::leave_family;
use super::path::{self, Purpose};
use super::process::flags;
use super::{exec, guest};
use crate::diag::log::Items;

/// Version 1 of the capability interface has one element, versions 2 and 3 two; an element is 12 bytes.
fn capabilities(nr: i64, a: &[u32; 6]) -> SysResult {
    const VERSION_1: u32 = 0x1998_0330;
    let header = guest::dst(a[0], 8)?;
    let version: u32 = guest::get(a[0])?;
    let size = if version == VERSION_1 { 12 } else { 24 };
    // SAFETY: checked ranges of the guest's window.
    unsafe { host(nr, &[header, guest::dst(a[1], size)?]) }.map(|_| 0)
}

pub fn capget(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    capabilities(libc::SYS_capget, a)
}

pub fn capset(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    leave_family(ctx.process);
    capabilities(libc::SYS_capset, a)
}

pub fn unshare(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    if u64::from(a[0]) & (flags::NEW_ANY | flags::NEWTIME) != 0 {
        leave_family(ctx.process);
    }
    // SAFETY: no pointers.
    unsafe { host(libc::SYS_unshare, &[a[0].into()]) }.map(|_| 0)
}

pub fn setns(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    leave_family(ctx.process);
    // SAFETY: no pointers.
    unsafe { host(libc::SYS_setns, &[signed(a[0]), a[1].into()]) }.map(|_| 0)
}

/// chroot(path).
pub fn chroot(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    leave_family(ctx.process);
    let path = path::translate(ctx.process, a[0], true, Purpose::Change)?;
    // SAFETY: the name lives over the call.
    unsafe { host(libc::SYS_chroot, &[path.as_arg()])? };
    path::leave_sysroot(ctx.process);
    Ok(0)
}

/// pivot_root(new, old).
pub fn pivot_root(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    leave_family(ctx.process);
    let new = path::translate(ctx.process, a[0], true, Purpose::Change)?;
    let old = path::translate(ctx.process, a[1], true, Purpose::Change)?;
    // SAFETY: the names live over the call.
    unsafe { host(libc::SYS_pivot_root, &[new.as_arg(), old.as_arg()])? };
    path::leave_sysroot(ctx.process);
    Ok(0)
}

/// Adds to a guest's ruleset that the emulator's own program may be executed, by which what the guest executes is started. The
/// guest cannot name it. A rule may only have rights that the ruleset handles: those that it does not are not refused.
fn keep_executable(ruleset: u32) {
    const EXECUTE: u64 = 1;
    const READ_FILE: u64 = 4;
    let Some(program) = exec::private_fd() else { return };
    for rights in [EXECUTE, READ_FILE] {
        // `struct landlock_path_beneath_attr`, packed: 64 bits of rights, then the descriptor.
        let mut rule = [0; 12];
        rule[..8].copy_from_slice(&rights.to_le_bytes());
        rule[8..].copy_from_slice(&program.to_le_bytes());
        let args = [signed(ruleset), 1, rule.as_ptr() as u64, 0];
        // SAFETY: twelve bytes that live over the call. What is no ruleset, or handles no such right, is refused.
        let _ = unsafe { host(libc::SYS_landlock_add_rule, &args) };
    }
}

/// landlock_restrict_self(fd, flags).
pub fn landlock_restrict_self(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    leave_family(ctx.process);
    keep_executable(a[0]);
    // SAFETY: no pointers.
    unsafe { host(libc::SYS_landlock_restrict_self, &[signed(a[0]), a[1].into()]) }.map(|_| 0)
}

/// ustat: free blocks, free inodes, two names of six bytes; longs in between.
pub fn ustat(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let mut out = [0u64; 4];
    // SAFETY: 32 bytes that live over the call.
    unsafe { host(libc::SYS_ustat, &[a[0].into(), out.as_mut_ptr() as u64])? };
    let bytes: Vec<u8> = out.iter().flat_map(|w| w.to_le_bytes()).collect();
    let mut guest = [0u8; 20];
    guest[..4].copy_from_slice(&bytes[..4]);
    guest[4..8].copy_from_slice(&bytes[8..12]);
    guest[8..].copy_from_slice(&bytes[16..28]);
    guest::put_bytes(a[1], &guest)?;
    Ok(0)
}

/// keyctl: operations on numbers, strings and plain buffers.
pub fn keyctl(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let numbers = [
        a[0].into(),
        signed(a[1]),
        signed(a[2]),
        signed(a[3]),
        signed(a[4]),
    ];
    let mut args = numbers;
    match a[0] {
        // Keyring ids, revoke, chown, setperm, clear, link, unlink, set timeout, assume authority, invalidate, persistent.
        0 | 3 | 4 | 5 | 7 | 8 | 9 | 14 | 15 | 16 | 18 | 19 | 21 | 22 => {}
        // Join a session by name.
        1 => args[1] = guest::src(a[1], 1)?,
        // Update: id, buffer, length.
        2 => args[2] = guest::src(a[2], a[3])?,
        // Describe, read, security label: id, buffer, length.
        6 | 11 | 17 => args[2] = guest::dst(a[2], a[3])?,
        // Search: keyring, type, description, destination.
        10 => {
            args[2] = guest::src(a[2], 1)?;
            args[3] = guest::src(a[3], 1)?;
        }
        other => {
            crate::log_line!(Items::UNIMP, "keyctl {other}: EOPNOTSUPP");
            return Err(Errno::EOPNOTSUPP);
        }
    }
    // SAFETY: numbers and checked ranges of the guest's window.
    unsafe { host(libc::SYS_keyctl, &args) }.map(|v| v as u32)
}

/// Host address of a `struct file_handle`, which begins with the number of bytes after its 8-byte header.
fn file_handle(addr: u32) -> Result<u64, Errno> {
    let bytes: u32 = guest::get(addr)?;
    guest::dst(addr, bytes.min(128) + 8)
}

pub fn name_to_handle_at(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    const AT_SYMLINK_FOLLOW: u32 = 0x400;
    let follow = a[4] & AT_SYMLINK_FOLLOW != 0 && a[4] & AT_SYMLINK_NOFOLLOW == 0;
    let name = path::translate(ctx.process, a[1], follow, Purpose::Look)?;
    let args = [
        signed(a[0]),
        name.as_arg(),
        file_handle(a[2])?,
        guest::dst(a[3], 4)?,
        a[4].into(),
    ];
    // SAFETY: the name lives over the call; checked ranges of the guest's window.
    unsafe { host(libc::SYS_name_to_handle_at, &args) }.map(|_| 0)
}

pub fn open_by_handle_at(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let args = [signed(a[0]), file_handle(a[1])?, oflags::to_host(a[2]).into()];
    // SAFETY: a checked range of the guest's window.
    unsafe { host(libc::SYS_open_by_handle_at, &args) }.map(|fd| fd as u32)
}
