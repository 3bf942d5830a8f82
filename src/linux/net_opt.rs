//! Socket options: those whose values are laid out differently in 32 bits.

use super::abi::net::{GROUP_REQ, GROUP_SOURCE_REQ, SockFprog};
use super::abi::time::Timeval32;
use super::call::{SyscallContext, host, signed};
use super::errno::{Errno, SysResult};
use super::{guest, net_opt_ptr};
use crate::diag::log::Items;

/// How an option's value reaches the host.
enum Form {
    /// The same bytes.
    Same,
    /// SO_RCVTIMEO and SO_SNDTIMEO of old: a timeval of 32-bit words.
    Timeval,
    /// A program of 8-byte instructions by pointer.
    Filter,
    /// group_req or group_source_req of this size: what follows the first word is 4 bytes further on x86-64.
    Group(usize),
}

const SO_RCVTIMEO_OLD: u32 = 20;
const SO_SNDTIMEO_OLD: u32 = 21;
const SO_ATTACH_FILTER: u32 = 26;
const SO_ATTACH_REUSEPORT_CBPF: u32 = 51;
const SOL_IP: u32 = 0;
const SOL_SOCKET: u32 = 1;
const SOL_IPV6: u32 = 41;

fn form(level: u32, option: u32) -> Form {
    match (level, option) {
        (SOL_SOCKET, SO_RCVTIMEO_OLD | SO_SNDTIMEO_OLD) => Form::Timeval,
        (SOL_SOCKET, SO_ATTACH_FILTER | SO_ATTACH_REUSEPORT_CBPF) => Form::Filter,
        // MCAST_JOIN_GROUP and MCAST_LEAVE_GROUP; the four source requests.
        (SOL_IP | SOL_IPV6, 42 | 45) => Form::Group(GROUP_REQ),
        (SOL_IP | SOL_IPV6, 43 | 44 | 46 | 47) => Form::Group(GROUP_SOURCE_REQ),
        _ => Form::Same,
    }
}

fn set(a: &[u32; 6], value: u64, len: u64) -> SysResult {
    // SAFETY: `value` is a checked range of the guest's window or a local of the caller's, `len` bytes long.
    unsafe {
        host(
            libc::SYS_setsockopt,
            &[signed(a[0]), a[1].into(), a[2].into(), value, len],
        )
    }
    .map(|_| 0)
}

pub fn setsockopt(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let (value, len) = (a[3], a[4]);
    if (len as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    if net_opt_ptr::is_refused(a[1], a[2]) {
        return Err(refused(a));
    }
    let form = form(a[1], a[2]);
    if a[1] == SOL_SOCKET && matches!(form, Form::Timeval | Form::Filter) {
        // The kernel first reads every option of this level as an int.
        if (len as usize) < size_of::<i32>() {
            return Err(Errno::EINVAL);
        }
        guest::get::<i32>(value)?;
    }
    match form {
        Form::Same => set(a, guest::src(value, len)?, len.into()),
        Form::Timeval => {
            if (len as usize) < size_of::<Timeval32>() {
                return Err(Errno::EINVAL);
            }
            let time: libc::timeval = guest::get::<Timeval32>(value)?.into();
            set(a, &raw const time as u64, size_of::<libc::timeval>() as u64)
        }
        Form::Filter => {
            if (len as usize) < size_of::<SockFprog>() {
                return Err(Errno::EINVAL);
            }
            let program: SockFprog = guest::get(value)?;
            let filter = guest::src(program.filter, u32::from(program.len) * 8)?;
            let program = libc::sock_fprog {
                len: program.len,
                filter: filter as *mut libc::sock_filter,
            };
            set(a, &raw const program as u64, size_of::<libc::sock_fprog>() as u64)
        }
        Form::Group(size) => {
            if (len as usize) < size {
                return Err(Errno::EINVAL);
            }
            let bytes = guest::get_vec(value, size)?;
            let mut request = vec![0u8; size + 4];
            request[..4].copy_from_slice(&bytes[..4]);
            request[8..].copy_from_slice(&bytes[4..]);
            set(a, request.as_ptr() as u64, request.len() as u64)
        }
    }
}

/// An option that the guest does not get, as on a kernel without it.
fn refused(a: &[u32; 6]) -> Errno {
    let (level, option) = (a[1], a[2]);
    crate::log_line!(
        Items::UNIMP,
        "socket option {option} of level {level}: ENOPROTOOPT"
    );
    Errno(libc::ENOPROTOOPT)
}

pub fn getsockopt(_ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    if net_opt_ptr::is_refused(a[1], a[2]) {
        return Err(refused(a));
    }
    if let Some(result) = net_opt_ptr::getsockopt(a) {
        return result;
    }
    let room: i32 = guest::get(a[4])?;
    let room = u32::try_from(room).map_err(|_| Errno::EINVAL)?;
    if matches!(form(a[1], a[2]), Form::Timeval) {
        let mut time = libc::timeval {
            tv_sec: 0,
            tv_usec: 0,
        };
        let mut len = size_of::<libc::timeval>() as u32;
        let args = [
            signed(a[0]),
            a[1].into(),
            a[2].into(),
            &raw mut time as u64,
            &raw mut len as u64,
        ];
        // SAFETY: value and length live over the call.
        unsafe { host(libc::SYS_getsockopt, &args)? };
        let time = Timeval32::from(time);
        let bytes = zerocopy::IntoBytes::as_bytes(&time);
        let n = bytes.len().min(room as usize);
        guest::put_bytes(a[3], &bytes[..n])?;
        guest::put(a[4], &(n as u32))?;
        return Ok(0);
    }
    // SO_GET_FILTER (the number of SO_ATTACH_FILTER) counts instructions of 8 bytes, everything else bytes.
    let unit = if a[1] == SOL_SOCKET && a[2] == SO_ATTACH_FILTER {
        8
    } else {
        1
    };
    let value = guest::dst(a[3], room.saturating_mul(unit))?;
    let args = [
        signed(a[0]),
        a[1].into(),
        a[2].into(),
        value,
        guest::dst(a[4], 4)?,
    ];
    // SAFETY: checked ranges of the guest's window.
    unsafe { host(libc::SYS_getsockopt, &args) }.map(|_| 0)
}
