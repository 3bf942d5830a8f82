//! Resource limits and usage.
//!
//! RLIMIT_AS, RLIMIT_DATA and RLIMIT_STACK are kept here and in `mem` and enforced there: on the host they would
//! count the emulator's own memory.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::abi::sys::{Rlimit32, Rlimit64, Rusage};
use super::call::{SyscallContext, host, signed};
use super::errno::{Errno, SysResult};
use super::{guest, proc_others};
use crate::mem::space;

/// Hard limits of the kept resources: address space, data, stack.
struct Hard([AtomicU64; 3]);

fn hard() -> &'static Hard {
    static HARD: OnceLock<Hard> = OnceLock::new();
    HARD.get_or_init(|| {
        let of = |resource: u32| AtomicU64::new(host_limit(0, resource, None).map_or(u64::MAX, |l| l.max));
        Hard([of(libc::RLIMIT_AS), of(libc::RLIMIT_DATA), of(libc::RLIMIT_STACK)])
    })
}

/// The guest's root is none of the host's and raises no hard limit.
static STRICT: AtomicBool = AtomicBool::new(false);

/// Says that this is a confined run.
pub fn set_strict() {
    STRICT.store(true, Ordering::Relaxed);
}

/// Where a kept resource's limits are: soft, hard.
fn kept(resource: u32) -> Option<(&'static AtomicU64, &'static AtomicU64)> {
    let soft = &space().limits;
    let hard = &hard().0;
    match resource {
        libc::RLIMIT_AS => Some((&soft.address_space, &hard[0])),
        libc::RLIMIT_DATA => Some((&soft.data, &hard[1])),
        libc::RLIMIT_STACK => Some((&soft.stack, &hard[2])),
        _ => None,
    }
}

const KEPT: [u32; 3] = [libc::RLIMIT_AS, libc::RLIMIT_DATA, libc::RLIMIT_STACK];

/// The kept limits, to hand to the next program over execve: soft and hard for each of address space, data, stack.
pub fn kept_limits() -> [u64; 6] {
    let mut out = [u64::MAX; 6];
    for (pair, resource) in out.chunks_exact_mut(2).zip(KEPT) {
        if let Some((soft, hard)) = kept(resource) {
            pair.copy_from_slice(&[soft.load(Ordering::Relaxed), hard.load(Ordering::Relaxed)]);
        }
    }
    out
}

/// The same for a process that is still to be: the host's, but for those given as resource, soft and hard. A limit on descriptors
/// among these comes last; it is for whoever starts the guest to set.
pub fn limits_to_be(given: &[(u32, u64, u64)]) -> Vec<u64> {
    let find = |resource: u32| given.iter().rev().find(|l| l.0 == resource).map(|l| [l.1, l.2]);
    let of = |resource: u32| {
        let host = || host_limit(0, resource, None).map_or([u64::MAX; 2], |l| [l.cur, l.max]);
        find(resource).unwrap_or_else(host)
    };
    let kept = KEPT.into_iter().map(of);
    kept.chain(find(libc::RLIMIT_NOFILE)).flatten().collect()
}

/// What [`limits_to_be`] says about descriptors.
pub fn descriptors_to_be(limits: &[u64]) -> Option<(u64, u64)> {
    limits
        .get(2 * KEPT.len())
        .copied()
        .zip(limits.get(2 * KEPT.len() + 1).copied())
}

/// Takes over the limits that the program before execve had ([`kept_limits`]); fewer than six leave the rest alone.
pub fn adopt_limits(limits: &[u64]) {
    for (pair, resource) in limits.chunks_exact(2).zip(KEPT) {
        if let Some((soft, hard)) = kept(resource) {
            soft.store(pair[0], Ordering::Relaxed);
            hard.store(pair[1], Ordering::Relaxed);
        }
    }
}

/// Sets a kept limit for the process that is about to start, the hard one too. Other resources are the host's.
pub fn set_kept(resource: u32, soft_limit: u64, hard_limit: u64) {
    if let Some((soft, hard)) = kept(resource) {
        soft.store(soft_limit, Ordering::Relaxed);
        hard.store(hard_limit, Ordering::Relaxed);
    }
}

fn host_limit(pid: u32, resource: u32, new: Option<Rlimit64>) -> Result<Rlimit64, Errno> {
    let mut old = Rlimit64::default();
    let new = new.as_ref().map_or(0, |n| std::ptr::from_ref(n) as u64);
    // SAFETY: both structures live over the call.
    unsafe {
        host(
            libc::SYS_prlimit64,
            &[signed(pid), resource.into(), new, &raw mut old as u64],
        )?
    };
    Ok(old)
}

/// From where on a limit is none: a 32-bit kernel keeps limits in a word (kernel/sys.c, rlim64_is_infinity).
const INFINITE: u64 = 0xffff_ffff;

/// A limit as a 32-bit kernel knows it.
fn infinite(value: u64) -> u64 {
    if value >= INFINITE { u64::MAX } else { value }
}

/// prlimit64's two steps in one: the old limits, and new ones if given. What a 32-bit kernel cannot count is infinite.
fn limit(pid: u32, resource: u32, new: Option<Rlimit64>) -> Result<Rlimit64, Errno> {
    let new = match new {
        None => None,
        Some(new) => {
            // The host may have a finite limit where the guest sees none: then that is what "none" is.
            let none = match host_limit(pid, resource, None) {
                Ok(now) if now.max >= INFINITE => now.max,
                _ => u64::MAX,
            };
            let wide = |value: u64| if value >= INFINITE { none } else { value };
            Some(Rlimit64 {
                cur: wide(new.cur),
                max: wide(new.max),
            })
        }
    };
    let old = exact_limit(pid, resource, new)?;
    Ok(Rlimit64 {
        cur: infinite(old.cur),
        max: infinite(old.max),
    })
}

/// Whether a number is the calling process's or one of its threads'.
fn is_own(pid: u32) -> bool {
    pid == 0
        || pid == std::process::id()
        || std::fs::exists(format!("/proc/self/task/{pid}")).unwrap_or(false)
}

fn exact_limit(pid: u32, resource: u32, new: Option<Rlimit64>) -> Result<Rlimit64, Errno> {
    let Some((soft, hard)) = kept(resource) else {
        return host_limit(pid, resource, new);
    };
    if !is_own(pid) {
        // Another emulator keeps them where nobody else gets at them; on the host they would be the emulator's.
        if new.is_some() && proc_others::entry_of_guest(format!("/proc/{pid}/stat").as_bytes()).is_some() {
            return Err(Errno::EPERM);
        }
        return host_limit(pid, resource, new);
    }
    let old = Rlimit64 {
        cur: soft.load(Ordering::Relaxed),
        max: hard.load(Ordering::Relaxed),
    };
    if let Some(new) = new {
        if new.cur > new.max {
            return Err(Errno::EINVAL);
        }
        // SAFETY: geteuid has no preconditions. Root stands for CAP_SYS_RESOURCE, but not in namespaces of its own.
        if new.max > old.max && (STRICT.load(Ordering::Relaxed) || unsafe { libc::geteuid() } != 0) {
            return Err(Errno::EPERM);
        }
        soft.store(new.cur, Ordering::Relaxed);
        hard.store(new.max, Ordering::Relaxed);
    }
    Ok(old)
}

pub fn getrlimit(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    guest::put(a[1], &Rlimit32::from_64(&limit(0, a[0], None)?))?;
    Ok(0)
}

pub fn setrlimit(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    limit(0, a[0], Some(guest::get::<Rlimit32>(a[1])?.to_64()))?;
    Ok(0)
}

pub fn prlimit64(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let old = limit(a[0], a[1], guest::get_opt(a[2])?)?;
    guest::put_opt(a[3], &old)?;
    Ok(0)
}

pub fn getrusage(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    // SAFETY: plain integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the structure lives over the call.
    unsafe { host(libc::SYS_getrusage, &[signed(a[0]), &raw mut usage as u64])? };
    guest::put(a[1], &Rusage::from_host(&usage))?;
    Ok(0)
}
