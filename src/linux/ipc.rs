//! System V IPC. Only the structures of IPC_64 exist in the EABI's C libraries; commands without it are EINVAL.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::abi::ipc::*;
use super::abi::time::{Timespec32, Timespec64};
use super::call::{SyscallContext, host, host_blocking, signed};
use super::errno::{Errno, SysResult};
use super::guest;
use crate::mem::space;

/// Marks the newer structures in a control command.
const IPC_64: u32 = 0x100;
const IPC_SET: u32 = 1;
const IPC_STAT: u32 = 2;
const IPC_INFO: u32 = 3;

/// A control call that fills `T` (or leaves it alone).
fn control<T: FromBytes + IntoBytes + Immutable>(nr: i64, args: &[u64], value: &mut T) -> SysResult {
    let mut all = args.to_vec();
    all.push(&raw mut *value as u64);
    // SAFETY: the structure lives over the call and is what the command takes.
    unsafe { host(nr, &all) }.map(|v| v as u32)
}

/// The command without IPC_64; `with_struct` commands need the mark.
fn command(cmd: u32, with_struct: bool) -> Result<u32, Errno> {
    if with_struct && cmd & IPC_64 == 0 {
        Err(Errno::EINVAL)
    } else {
        Ok(cmd & !IPC_64)
    }
}

pub fn semctl(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    const GETALL: u32 = 13;
    const SETALL: u32 = 17;
    const SEM_STAT: u32 = 18;
    const SEM_INFO: u32 = 19;
    const SEM_STAT_ANY: u32 = 20;
    let plain = a[2] & !IPC_64;
    let cmd = command(
        a[2],
        matches!(plain, IPC_SET | IPC_STAT | SEM_STAT | SEM_STAT_ANY),
    )?;
    let args = [signed(a[0]), signed(a[1]), cmd.into()];
    match cmd {
        IPC_STAT | SEM_STAT | SEM_STAT_ANY => {
            let mut ds = HostSemid64::default();
            let value = control(libc::SYS_semctl, &args, &mut ds)?;
            guest::put(a[3], &Semid64::from(&ds))?;
            Ok(value)
        }
        IPC_SET => {
            let ds: Semid64 = guest::get(a[3])?;
            let mut ds = HostSemid64 {
                perm: ds.perm.to_host(),
                ..HostSemid64::default()
            };
            control(libc::SYS_semctl, &args, &mut ds)
        }
        GETALL | SETALL => {
            // The set's size says how long the array of 16-bit values is.
            let mut ds = HostSemid64::default();
            control(libc::SYS_semctl, &[args[0], 0, IPC_STAT.into()], &mut ds)?;
            let array = guest::dst(a[3], (ds.nsems as u32).saturating_mul(2))?;
            // SAFETY: a checked range of the guest's window.
            unsafe { host(libc::SYS_semctl, &[args[0], args[1], args[2], array]) }.map(|v| v as u32)
        }
        IPC_INFO | SEM_INFO => {
            let info = guest::dst(a[3], 40)?;
            // SAFETY: a checked range of the guest's window; seminfo is ten ints in every ABI.
            unsafe { host(libc::SYS_semctl, &[args[0], args[1], args[2], info]) }.map(|v| v as u32)
        }
        _ => {
            // SAFETY: the argument is a number (SETVAL) or unused.
            unsafe { host(libc::SYS_semctl, &[args[0], args[1], args[2], signed(a[3])]) }.map(|v| v as u32)
        }
    }
}

fn semop_timed(ctx: &mut SyscallContext<'_>, a: &[u32; 6], time: Option<libc::timespec>) -> SysResult {
    let ops = guest::src(a[1], a[2].checked_mul(6).ok_or(Errno::E2BIG)?)?;
    let limit = time.as_ref().map_or(0, |t| std::ptr::from_ref(t) as u64);
    // SAFETY: a checked range of the guest's window; the time limit lives over the call.
    unsafe {
        host_blocking(
            ctx,
            libc::SYS_semtimedop,
            &[signed(a[0]), ops, a[2].into(), limit],
        )
    }
    .map(|v| v as u32)
}

pub fn semtimedop(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let time = guest::get_opt::<Timespec32>(a[3])?.map(Into::into);
    semop_timed(ctx, a, time)
}

pub fn semtimedop_time64(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let time = guest::get_opt::<Timespec64>(a[3])?.map(Into::into);
    semop_timed(ctx, a, time)
}

/// msgsnd: the type before the text is a long, so the message is built anew.
/// Bytes of the longest message, as far as can be told.
fn longest_message() -> u32 {
    let setting = std::fs::read_to_string("/proc/sys/kernel/msgmax");
    setting
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(8192)
}

pub fn msgsnd(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    if (a[2] as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let kind: i32 = guest::get(a[1])?;
    let text = match guest::get_vec(a[1].wrapping_add(4), a[2] as usize) {
        Ok(text) => text,
        // The kernel refuses type and size before it reads the text.
        Err(_) if kind < 1 || a[2] > longest_message() => return Err(Errno::EINVAL),
        Err(e) => return Err(e),
    };
    let mut message = i64::from(kind).to_le_bytes().to_vec();
    message.extend_from_slice(&text);
    let args = [signed(a[0]), message.as_ptr() as u64, a[2].into(), a[3].into()];
    // SAFETY: the message lives over the call.
    unsafe { host_blocking(ctx, libc::SYS_msgsnd, &args) }.map(|_| 0)
}

pub fn msgrcv(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    if (a[2] as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    guest::dst(a[1], a[2].saturating_add(4))?;
    let mut message = vec![0u8; 8 + a[2] as usize];
    let args = [
        signed(a[0]),
        message.as_mut_ptr() as u64,
        a[2].into(),
        signed(a[3]),
        a[4].into(),
    ];
    // SAFETY: the buffer lives over the call.
    let n = unsafe { host_blocking(ctx, libc::SYS_msgrcv, &args)? };
    // A 64-bit process may have sent a type that 32 bits cut.
    guest::put_bytes(a[1], &message[..4])?;
    guest::put_bytes(a[1].wrapping_add(4), &message[8..8 + n as usize])?;
    Ok(n as u32)
}

pub fn msgctl(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    const MSG_STAT: u32 = 11;
    const MSG_INFO: u32 = 12;
    const MSG_STAT_ANY: u32 = 13;
    let plain = a[1] & !IPC_64;
    let cmd = command(
        a[1],
        matches!(plain, IPC_SET | IPC_STAT | MSG_STAT | MSG_STAT_ANY),
    )?;
    let args = [signed(a[0]), cmd.into()];
    match cmd {
        IPC_STAT | MSG_STAT | MSG_STAT_ANY => {
            let mut ds = HostMsqid64::default();
            let value = control(libc::SYS_msgctl, &args, &mut ds)?;
            guest::put(a[2], &Msqid64::from(&ds))?;
            Ok(value)
        }
        IPC_SET => {
            let ds: Msqid64 = guest::get(a[2])?;
            let mut ds = HostMsqid64 {
                perm: ds.perm.to_host(),
                qbytes: ds.qbytes.into(),
                ..HostMsqid64::default()
            };
            control(libc::SYS_msgctl, &args, &mut ds)
        }
        IPC_INFO | MSG_INFO => {
            let info = guest::dst(a[2], 32)?;
            // SAFETY: a checked range of the guest's window; msginfo is seven ints and a short in every ABI.
            unsafe { host(libc::SYS_msgctl, &[args[0], args[1], info]) }.map(|v| v as u32)
        }
        _ => {
            // SAFETY: no pointer is followed (IPC_RMID, or a command that does not exist).
            unsafe { host(libc::SYS_msgctl, &[args[0], args[1], 0]) }.map(|v| v as u32)
        }
    }
}

pub fn shmctl(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    const SHM_STAT: u32 = 13;
    const SHM_INFO: u32 = 14;
    const SHM_STAT_ANY: u32 = 15;
    let plain = a[1] & !IPC_64;
    let cmd = command(
        a[1],
        matches!(plain, IPC_SET | IPC_STAT | SHM_STAT | SHM_STAT_ANY),
    )?;
    let args = [signed(a[0]), cmd.into()];
    match cmd {
        IPC_STAT | SHM_STAT | SHM_STAT_ANY => {
            let mut ds = HostShmid64::default();
            let value = control(libc::SYS_shmctl, &args, &mut ds)?;
            guest::put(a[2], &Shmid64::from(&ds))?;
            Ok(value)
        }
        IPC_SET => {
            let ds: Shmid64 = guest::get(a[2])?;
            let mut ds = HostShmid64 {
                perm: ds.perm.to_host(),
                ..HostShmid64::default()
            };
            control(libc::SYS_shmctl, &args, &mut ds)
        }
        IPC_INFO => {
            let mut info = HostShminfo::default();
            let value = control(libc::SYS_shmctl, &args, &mut info)?;
            let limits = info.limits.map(|v| u32::try_from(v).unwrap_or(i32::MAX as u32));
            guest::put(
                a[2],
                &Shminfo {
                    limits,
                    unused: [0; 4],
                },
            )?;
            Ok(value)
        }
        SHM_INFO => {
            let mut info = HostShmInfo::default();
            let value = control(libc::SYS_shmctl, &args, &mut info)?;
            guest::put(
                a[2],
                &ShmInfo {
                    used_ids: info.used_ids,
                    counts: info.counts.map(|v| v as u32),
                },
            )?;
            Ok(value)
        }
        _ => {
            // SAFETY: no pointer is followed (IPC_RMID, SHM_LOCK, SHM_UNLOCK, or a command that does not exist).
            unsafe { host(libc::SYS_shmctl, &[args[0], args[1], 0]) }.map(|v| v as u32)
        }
    }
}

/// As a kernel without huge pages: there is no segment of them to be made, and one that is there has other pages.
pub fn shmget(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    const SHM_HUGETLB: u32 = 0o4000;
    let get = |flags: u32| {
        // SAFETY: no pointers.
        unsafe { host(libc::SYS_shmget, &[a[0].into(), a[1].into(), flags.into()]) }.map(|id| id as u32)
    };
    if a[2] & SHM_HUGETLB == 0 {
        return get(a[2]);
    }
    let create = libc::IPC_CREAT as u32;
    let is_new = a[0] == libc::IPC_PRIVATE as u32;
    match if is_new {
        Err(Errno::ENOENT)
    } else {
        get(a[2] & !SHM_HUGETLB & !create)
    } {
        Err(Errno::ENOENT) if is_new || a[2] & create != 0 => Err(Errno::EINVAL),
        other => other,
    }
}

pub fn shmat(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    space().map_shm(a[0] as i32, a[1], a[2] as i32).map_err(Errno)
}

pub fn shmdt(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    space().unmap_shm(a[0]).map(|()| 0).map_err(Errno)
}
