//! What the machine says of itself: uname, sysinfo.

use zerocopy::FromZeros;

use super::abi::sys::{Sysinfo, Utsname};
use super::call::{SyscallContext, host};
use super::errno::SysResult;
use super::guest;

/// uname: the host's kernel, with the model's machine name.
pub fn uname(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let mut name = Utsname::new_zeroed();
    // SAFETY: the structure lives over the call and has the kernel's layout.
    unsafe { host(libc::SYS_uname, &[&raw mut name as u64])? };
    name.machine = [0; 65];
    let machine = ctx.process.settings.model.machine.as_bytes();
    name.machine[..machine.len().min(64)].copy_from_slice(&machine[..machine.len().min(64)]);
    guest::put(a[0], &name)?;
    Ok(0)
}

pub fn sysinfo(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    // SAFETY: plain integers.
    let mut info: libc::sysinfo = unsafe { std::mem::zeroed() };
    // SAFETY: the structure lives over the call.
    unsafe { host(libc::SYS_sysinfo, &[&raw mut info as u64])? };
    guest::put(a[0], &Sysinfo::from_host(&info))?;
    Ok(0)
}
