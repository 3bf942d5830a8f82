//! User and group ids, those of 16 bits among them, and nice.

use super::abi::sys::{uid_from_16, uid_to_16};
use super::call::{SyscallContext, host, signed};
use super::errno::{Errno, SysResult};
use super::exec::leave_family;
use super::guest;
use super::path::{self, Purpose};

/// Most supplementary groups (NGROUPS_MAX).
const NGROUPS_MAX: u32 = 65536;

/// A host call that sets ids.
fn set(ctx: &SyscallContext<'_>, nr: i64, values: &[u32]) -> SysResult {
    leave_family(ctx.process);
    let args: Vec<u64> = values.iter().map(|&v| v.into()).collect();
    // SAFETY: no pointers.
    unsafe { host(nr, &args) }.map(|v| v as u32)
}

/// The same with ids of 16 bits.
fn set16(ctx: &SyscallContext<'_>, nr: i64, values: &[u32]) -> SysResult {
    leave_family(ctx.process);
    let args: Vec<u64> = values.iter().map(|&v| uid_from_16(v).into()).collect();
    // SAFETY: no pointers.
    unsafe { host(nr, &args) }.map(|v| v as u32)
}

fn get16(nr: i64) -> SysResult {
    // SAFETY: no pointers.
    unsafe { host(nr, &[]) }.map(|id| uid_to_16(id as u32).into())
}

macro_rules! calls {
    ($($name:ident, $name16:ident = $nr:ident($count:literal);)*) => {
        $(pub fn $name(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
            set(ctx, libc::$nr, &a[..$count])
        }
        pub fn $name16(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
            set16(ctx, libc::$nr, &a[..$count])
        })*
    };
}
macro_rules! getters {
    ($($name:ident = $nr:ident;)*) => {
        $(pub fn $name(_ctx: &mut SyscallContext<'_>, _a: &[u32; 6]) -> SysResult {
            get16(libc::$nr)
        })*
    };
}

calls! {
    setuid, setuid16 = SYS_setuid(1);
    setgid, setgid16 = SYS_setgid(1);
    setreuid, setreuid16 = SYS_setreuid(2);
    setregid, setregid16 = SYS_setregid(2);
    setresuid, setresuid16 = SYS_setresuid(3);
    setresgid, setresgid16 = SYS_setresgid(3);
    setfsuid, setfsuid16 = SYS_setfsuid(1);
    setfsgid, setfsgid16 = SYS_setfsgid(1);
}
getters! {
    getuid16 = SYS_getuid;
    getgid16 = SYS_getgid;
    geteuid16 = SYS_geteuid;
    getegid16 = SYS_getegid;
}

fn triple(nr: i64, a: &[u32; 6]) -> SysResult {
    let mut values = [0u32; 3];
    let [r, e, s] = &mut values;
    // SAFETY: three words that live over the call.
    unsafe { host(nr, &[&raw mut *r as u64, &raw mut *e as u64, &raw mut *s as u64])? };
    for (&at, value) in a.iter().zip(values) {
        guest::put(at, &uid_to_16(value))?;
    }
    Ok(0)
}

pub fn getresuid16(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    triple(libc::SYS_getresuid, a)
}

pub fn getresgid16(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    triple(libc::SYS_getresgid, a)
}

pub fn getgroups16(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    if (a[0] as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let mut groups = vec![0u32; a[0].min(NGROUPS_MAX) as usize];
    // SAFETY: the vector lives over the call.
    let n = unsafe {
        host(
            libc::SYS_getgroups,
            &[groups.len() as u64, groups.as_mut_ptr() as u64],
        )?
    };
    if a[0] != 0 {
        let out: Vec<u16> = groups[..n as usize].iter().map(|&g| uid_to_16(g)).collect();
        guest::put_array(a[1], &out)?;
    }
    Ok(n as u32)
}

pub fn setgroups(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    leave_family(ctx.process);
    // The host says which error comes first; at address 0 it reads nothing.
    let list = guest::src(a[1], a[0].min(NGROUPS_MAX) * 4).unwrap_or(0);
    // SAFETY: a checked range of the guest's window; of more groups than there may be the host reads none.
    unsafe { host(libc::SYS_setgroups, &[a[0].into(), list]) }.map(|_| 0)
}

pub fn setgroups16(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    leave_family(ctx.process);
    if a[0] > NGROUPS_MAX {
        // More than there may be: the host says which error comes first.
        // SAFETY: nothing is read.
        return unsafe { host(libc::SYS_setgroups, &[a[0].into(), 0]) }.map(|_| 0);
    }
    let groups: Vec<u16> = guest::get_array(a[1], a[0] as usize)?;
    let groups: Vec<u32> = groups.into_iter().map(|g| uid_from_16(g.into())).collect();
    // SAFETY: the vector lives over the call.
    unsafe {
        host(
            libc::SYS_setgroups,
            &[groups.len() as u64, groups.as_ptr() as u64],
        )
    }
    .map(|_| 0)
}

fn chown_path(ctx: &SyscallContext<'_>, a: &[u32; 6], nr: i64, follow: bool) -> SysResult {
    let name = path::translate(ctx.process, a[0], follow, Purpose::Change)?;
    // SAFETY: the name lives over the call.
    unsafe {
        host(
            nr,
            &[name.as_arg(), uid_from_16(a[1]).into(), uid_from_16(a[2]).into()],
        )
    }
    .map(|_| 0)
}

pub fn chown16(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    chown_path(ctx, a, libc::SYS_chown, true)
}

pub fn lchown16(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    chown_path(ctx, a, libc::SYS_lchown, false)
}

pub fn fchown16(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let args = [signed(a[0]), uid_from_16(a[1]).into(), uid_from_16(a[2]).into()];
    // SAFETY: no pointers.
    unsafe { host(libc::SYS_fchown, &args) }.map(|_| 0)
}

/// nice: x86-64 has no such call; setpriority refuses with EACCES where nice says EPERM (kernel/sched/syscalls.c).
pub fn nice(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let process = libc::PRIO_PROCESS as u64;
    // SAFETY: no pointers.
    let now = unsafe { host(libc::SYS_getpriority, &[process, 0])? };
    // The raw call answers 20 - nice.
    let now = 20 - now as i32;
    let step = (a[0] as i32).clamp(-40, 40);
    let new = (now + step).clamp(-20, 19);
    // SAFETY: no pointers.
    match unsafe { host(libc::SYS_setpriority, &[process, 0, signed(new as u32)]) } {
        Ok(_) => Ok(0),
        Err(Errno::EACCES) => Err(Errno::EPERM),
        Err(e) => Err(e),
    }
}
