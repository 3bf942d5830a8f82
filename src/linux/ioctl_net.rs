//! Requests of network interfaces: `struct ifreq` is 32 bytes on ARM and 40 on x86-64.

use super::abi::net::{Ifconf, Ifreq};
use super::abi::time::{Timespec32, Timeval32};
use super::errno::{Errno, SysResult};
use super::guest;
use super::ioctl::plain;

/// The host's ifreq: the name, and 24 bytes of data.
type HostIfreq = [u8; 40];

fn to_host(request: &Ifreq) -> HostIfreq {
    let mut host = [0; 40];
    host[..16].copy_from_slice(&request.name);
    host[16..32].copy_from_slice(&request.data);
    host
}

fn from_host(host: &HostIfreq) -> Ifreq {
    let mut request = Ifreq::default();
    request.name.copy_from_slice(&host[..16]);
    request.data.copy_from_slice(&host[16..32]);
    request
}

/// Requests whose data is in the structure and the same in both ABIs.
pub fn ifreq(fd: u32, request: u32, arg: u32) -> SysResult {
    let mut host = to_host(&guest::get(arg)?);
    let value = plain(fd, request, host.as_mut_ptr() as u64)?;
    guest::put(arg, &from_host(&host))?;
    Ok(value)
}

/// Requests whose data is a pointer.
pub fn ifreq_pointer(fd: u32, request: u32, arg: u32) -> SysResult {
    let guest: Ifreq = guest::get(arg)?;
    let pointer = u32::from_le_bytes([guest.data[0], guest.data[1], guest.data[2], guest.data[3]]);
    let mut host = to_host(&guest);
    host[16..24].copy_from_slice(&guest::dst(pointer, 4)?.to_le_bytes());
    plain(fd, request, host.as_mut_ptr() as u64)
}

/// SIOCGIFMAP, SIOCSIFMAP: two longs, then 16-bit base, irq, dma, port.
pub fn ifmap(fd: u32, request: u32, arg: u32) -> SysResult {
    let guest: Ifreq = guest::get(arg)?;
    let mut host = to_host(&guest);
    host[16..40].fill(0);
    host[16..20].copy_from_slice(&guest.data[..4]);
    host[24..28].copy_from_slice(&guest.data[4..8]);
    host[32..37].copy_from_slice(&guest.data[8..13]);
    let value = plain(fd, request, host.as_mut_ptr() as u64)?;
    let mut out = from_host(&host);
    out.data[..4].copy_from_slice(&host[16..20]);
    out.data[4..8].copy_from_slice(&host[24..28]);
    out.data[8..13].copy_from_slice(&host[32..37]);
    out.data[13..].fill(0);
    guest::put(arg, &out)?;
    Ok(value)
}

/// SIOCGIFCONF: an array of ifreq by pointer; with a null pointer the size it would take.
pub fn ifconf(fd: u32, request: u32, arg: u32) -> SysResult {
    const GUEST: usize = size_of::<Ifreq>();
    const HOST: usize = size_of::<HostIfreq>();
    let mut conf: Ifconf = guest::get(arg)?;
    let room = usize::try_from(conf.len).map_err(|_| Errno::EINVAL)? / GUEST;
    // No machine has this many addresses; a larger buffer need not be mirrored.
    let room = room.min(4096);
    let mut entries = vec![[0u8; HOST]; room];
    let pointer = if conf.buf == 0 {
        std::ptr::null_mut()
    } else {
        entries.as_mut_ptr()
    };
    let mut host = libc::ifconf {
        ifc_len: (room * HOST) as i32,
        ifc_ifcu: libc::__c_anonymous_ifc_ifcu {
            ifcu_buf: pointer.cast(),
        },
    };
    plain(fd, request, &raw mut host as u64)?;
    let count = host.ifc_len as usize / HOST;
    if conf.buf != 0 {
        let out: Vec<Ifreq> = entries.iter().take(count).map(from_host).collect();
        guest::put_array(conf.buf, &out)?;
    }
    conf.len = (count * GUEST) as i32;
    guest::put(arg, &conf)?;
    Ok(0)
}

/// SIOCGSTAMP and SIOCGSTAMPNS of old: a 32-bit time.
pub fn stamp(fd: u32, request: u32, arg: u32) -> SysResult {
    let mut time = [0i64; 2];
    plain(fd, request, time.as_mut_ptr() as u64)?;
    let (sec, fraction) = (time[0] as i32, time[1] as i32);
    if request == 0x8906 {
        guest::put(arg, &Timeval32 { sec, usec: fraction })?;
    } else {
        guest::put(arg, &Timespec32 { sec, nsec: fraction })?;
    }
    Ok(0)
}
