//! What the machine says of itself: uname, sysinfo.

use zerocopy::FromZeros;

use super::abi::sys::{Sysinfo, Utsname};
use super::call::{SyscallContext, host};
use super::errno::SysResult;
use super::guest;

/// The personality bit of programs that want a version 2.6.
const UNAME26: u32 = 0x0002_0000;

/// uname: the host's kernel, with the model's machine name.
pub fn uname(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let mut name = Utsname::new_zeroed();
    // SAFETY: the structure lives over the call and has the kernel's layout.
    unsafe { host(libc::SYS_uname, &[&raw mut name as u64])? };
    name.machine = [0; 65];
    let machine = ctx.process.settings.model.machine.as_bytes();
    name.machine[..machine.len().min(64)].copy_from_slice(&machine[..machine.len().min(64)]);
    if ctx.task.personality & UNAME26 != 0 {
        release_2_6(&mut name.release);
    }
    guest::put(a[0], &name)?;
    Ok(0)
}

/// The release for programs that want a 2.6 kernel: 2.6.(60 + minor number), then what follows the numbers
/// (kernel/sys.c, override_release).
fn release_2_6(release: &mut [u8; 65]) {
    let text = String::from_utf8_lossy(release.split(|&b| b == 0).next().unwrap_or(&[])).into_owned();
    let mut dots = 0;
    let numbers = text
        .find(|c: char| {
            dots += u32::from(c == '.');
            dots == 3 || !(c.is_ascii_digit() || c == '.')
        })
        .unwrap_or(text.len());
    let minor = text.split(|c: char| !c.is_ascii_digit()).nth(1);
    let minor: u32 = minor.and_then(|m| m.parse().ok()).unwrap_or(0);
    let new = format!("2.6.{}{}", minor.saturating_add(60), &text[numbers..]);
    let len = new.len().min(64);
    *release = [0; 65];
    release[..len].copy_from_slice(&new.as_bytes()[..len]);
}

pub fn sysinfo(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    // SAFETY: plain integers.
    let mut info: libc::sysinfo = unsafe { std::mem::zeroed() };
    // SAFETY: the structure lives over the call.
    unsafe { host(libc::SYS_sysinfo, &[&raw mut info as u64])? };
    guest::put(a[0], &Sysinfo::from_host(&info))?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// kernel/sys.c, override_release: the text starts again behind the third dot or what is no number.
    #[test]
    fn old_releases() {
        for (have, want) in [
            ("6.1.0-50-armmp", "2.6.61-50-armmp"),
            ("6.18.44", "2.6.78"),
            ("6.1.7.3-x", "2.6.61.3-x"),
            ("6.12-rc1", "2.6.72-rc1"),
        ] {
            let mut release = [0; 65];
            release[..have.len()].copy_from_slice(have.as_bytes());
            release_2_6(&mut release);
            assert_eq!(&release[..want.len() + 1], [want.as_bytes(), b"\0"].concat());
        }
    }
}
