//! ioctl(2): a table of the requests that are known to be the same, or how they differ, in 32 bits.

use super::abi::open as oflags;
use super::call::{SyscallContext, host, host_blocking, signed};
use super::errno::{Errno, SysResult};
use super::own_fds::is_hidden;
use super::{guest, ioctl_net};
use crate::diag::log::Items;

/// What the third argument of a request is.
#[derive(Clone, Copy)]
pub enum Form {
    /// A number, or nothing.
    Value,
    /// A pointer to this many bytes, the same in both ABIs.
    Bytes(u32),
    /// A pointer to as many bytes as the request's number says, the same in both ABIs.
    Sized,
    /// The same bytes (their number given), but another request number on x86-64.
    Renumbered(u32, u32),
    /// A pointer to a 32-bit long, filled from the host's 64-bit one.
    LongOut,
    Special(fn(u32, u32, u32) -> SysResult),
}

use Form::*;

/// Requests, ascending by number: first, last, form.
#[rustfmt::skip]
const REQUESTS: &[(u32, u32, Form)] = &[
    (0x0001,      0x0002,      Bytes(4)),                 // FIBMAP, FIGETBSZ
    (0x0301,      0x0301,      Special(hdio_getgeo)),     // HDIO_GETGEO
    (0x125d,      0x125e,      Bytes(4)),                 // BLKROSET, BLKROGET
    (0x125f,      0x125f,      Value),                    // BLKRRPART
    (0x1260,      0x1260,      LongOut),                  // BLKGETSIZE
    (0x1261,      0x1262,      Value),                    // BLKFLSBUF, BLKRASET
    (0x1263,      0x1263,      LongOut),                  // BLKRAGET
    (0x1264,      0x1264,      Value),                    // BLKFRASET
    (0x1265,      0x1265,      LongOut),                  // BLKFRAGET
    (0x1267,      0x1267,      Bytes(2)),                 // BLKSECTGET
    (0x1268,      0x1268,      Bytes(4)),                 // BLKSSZGET
    (0x1277,      0x1277,      Bytes(16)),                // BLKDISCARD
    (0x1278,      0x127c,      Bytes(4)),                 // BLKIOMIN, BLKIOOPT, BLKALIGNOFF, BLKPBSZGET, BLKDISCARDZEROES
    (0x127d,      0x127d,      Bytes(16)),                // BLKSECDISCARD
    (0x127e,      0x127e,      Bytes(2)),                 // BLKROTATIONAL
    (0x127f,      0x127f,      Bytes(16)),                // BLKZEROOUT
    (0x4b33,      0x4b33,      Bytes(1)),                 // KDGKBTYPE
    (0x4b3a,      0x4b3a,      Value),                    // KDSETMODE
    (0x4b3b,      0x4b3b,      Bytes(4)),                 // KDGETMODE
    (0x4b44,      0x4b44,      Bytes(4)),                 // KDGKBMODE
    (0x4b45,      0x4b45,      Value),                    // KDSKBMODE
    (0x4c00,      0x4c01,      Value),                    // LOOP_SET_FD, LOOP_CLR_FD
    (0x4c04,      0x4c05,      Bytes(232)),               // LOOP_SET_STATUS64, LOOP_GET_STATUS64
    (0x4c06,      0x4c09,      Value),                    // LOOP_CHANGE_FD, LOOP_SET_CAPACITY, _DIRECT_IO, _BLOCK_SIZE
    (0x4c0a,      0x4c0a,      Bytes(304)),               // LOOP_CONFIGURE
    (0x4c80,      0x4c82,      Value),                    // LOOP_CTL_ADD, LOOP_CTL_REMOVE, LOOP_CTL_GET_FREE
    (0x5401,      0x5404,      Bytes(36)),                // TCGETS, TCSETS, TCSETSW, TCSETSF
    (0x5405,      0x5408,      Bytes(18)),                // TCGETA, TCSETA, TCSETAW, TCSETAF
    (0x5409,      0x5409,      Value),                    // TCSBRK
    (0x540a,      0x540e,      Value),                    // TCXONC, TCFLSH, TIOCEXCL, TIOCNXCL, TIOCSCTTY
    (0x540f,      0x5411,      Bytes(4)),                 // TIOCGPGRP, TIOCSPGRP, TIOCOUTQ
    (0x5412,      0x5412,      Bytes(1)),                 // TIOCSTI
    (0x5413,      0x5414,      Bytes(8)),                 // TIOCGWINSZ, TIOCSWINSZ
    (0x5415,      0x541b,      Bytes(4)),                 // TIOCMGET, _BIS, _BIC, _SET, TIOCGSOFTCAR, TIOCSSOFTCAR, FIONREAD
    (0x541d,      0x541d,      Value),                    // TIOCCONS
    (0x5420,      0x5421,      Bytes(4)),                 // TIOCPKT, FIONBIO
    (0x5422,      0x5422,      Value),                    // TIOCNOTTY
    (0x5423,      0x5424,      Bytes(4)),                 // TIOCSETD, TIOCGETD
    (0x5425,      0x5425,      Value),                    // TCSBRKP
    (0x5427,      0x5428,      Value),                    // TIOCSBRK, TIOCCBRK
    (0x5429,      0x5429,      Bytes(4)),                 // TIOCGSID
    (0x5437,      0x5437,      Value),                    // TIOCVHANGUP
    (0x5441,      0x5441,      Special(tiocgptpeer)),     // TIOCGPTPEER
    (0x5450,      0x5451,      Value),                    // FIONCLEX, FIOCLEX
    (0x5452,      0x5452,      Bytes(4)),                 // FIOASYNC
    (0x5456,      0x5457,      Bytes(36)),                // TIOCGLCKTRMIOS, TIOCSLCKTRMIOS
    (0x5459,      0x5459,      Bytes(4)),                 // TIOCSERGETLSR
    (0x545c,      0x545c,      Value),                    // TIOCMIWAIT
    (0x545d,      0x545d,      Bytes(80)),                // TIOCGICOUNT
    (0x545e,      0x545e,      Renumbered(8, 0x5460)),    // FIOQSIZE
    (0x5600,      0x5600,      Bytes(4)),                 // VT_OPENQRY
    (0x5601,      0x5602,      Bytes(8)),                 // VT_GETMODE, VT_SETMODE
    (0x5603,      0x5603,      Bytes(6)),                 // VT_GETSTATE
    (0x5605,      0x5606,      Value),                    // VT_RELDISP, VT_ACTIVATE
    (0x5607,      0x5607,      Value),                    // VT_WAITACTIVE
    (0x8901,      0x8905,      Bytes(4)),                 // FIOSETOWN, SIOCSPGRP, FIOGETOWN, SIOCGPGRP, SIOCATMARK
    (0x8906,      0x8906,      Special(ioctl_net::stamp)), // SIOCGSTAMP of old
    (0x8907,      0x8907,      Special(ioctl_net::stamp)), // SIOCGSTAMPNS of old
    (0x8910,      0x8911,      Special(ioctl_net::ifreq)), // SIOCGIFNAME, SIOCSIFLINK
    (0x8912,      0x8912,      Special(ioctl_net::ifconf)), // SIOCGIFCONF
    (0x8913,      0x893f,      Special(ioctl_net::ifreq)), // SIOCGIFFLAGS ...
    // Not SIOCGIFBR and SIOCSIFBR: three longs in place of an ifreq, one of them an address.
    (0x8942,      0x8945,      Special(ioctl_net::ifreq)), // SIOCGIFTXQLEN ...
    (0x8946,      0x8946,      Special(ioctl_net::ifreq_pointer)), // SIOCETHTOOL
    (0x8947,      0x8949,      Special(ioctl_net::ifreq)), // SIOCGMIIPHY, SIOCGMIIREG, SIOCSMIIREG
    (0x894b,      0x894b,      Bytes(4)),                 // SIOCOUTQNSD
    (0x8953,      0x8955,      Bytes(68)),                // SIOCDARP, SIOCGARP, SIOCSARP
    (0x8970,      0x8971,      Special(ioctl_net::ifmap)), // SIOCGIFMAP, SIOCSIFMAP
    (0x89a0,      0x89a1,      Bytes(16)),                // SIOCBRADDBR, SIOCBRDELBR
    (0x89a2,      0x89a3,      Special(ioctl_net::ifreq)), // SIOCBRADDIF, SIOCBRDELIF
    (0xb704,      0xb704,      Bytes(4)),                 // NS_GET_OWNER_UID
    (0x4004_1271, 0x4004_1271, Renumbered(4, 0x4008_1271)), // BLKBSZSET
    (0x4004_5431, 0x4004_5431, Sized),                    // TIOCSPTLCK
    (0x4004_54ca, 0x4004_54ca, Special(ioctl_net::ifreq)), // TUNSETIFF
    (0x4004_54cb, 0x4004_54cf, Value),                    // TUNSETPERSIST, _OWNER, _LINK, _GROUP ...
    (0x4004_6602, 0x4004_6602, Renumbered(4, 0x4008_6602)), // FS_IOC_SETFLAGS
    (0x4004_7602, 0x4004_7602, Renumbered(4, 0x4008_7602)), // FS_IOC_SETVERSION
    (0x401c_5820, 0x401c_5820, Sized),                    // FS_IOC_FSSETXATTR
    (0x402c_542b, 0x402c_542d, Bytes(44)),                // TCSETS2, TCSETSW2, TCSETSF2
    (0x4100_9432, 0x4100_9432, Sized),                    // FS_IOC_SETFSLABEL
    (0x8004_1270, 0x8004_1270, Renumbered(4, 0x8008_1270)), // BLKBSZGET
    (0x8004_1272, 0x8004_1272, Renumbered(8, 0x8008_1272)), // BLKGETSIZE64
    (0x8004_5200, 0x8004_5200, Sized),                    // RNDGETENTCNT
    (0x8004_5430, 0x8004_5430, Sized),                    // TIOCGPTN
    (0x8004_5432, 0x8004_5432, Sized),                    // TIOCGDEV
    (0x8004_5438, 0x8004_5440, Sized),                    // TIOCGPKT, TIOCGPTLCK, TIOCGEXCL
    (0x8004_54cf, 0x8004_54cf, Sized),                    // TUNGETFEATURES
    (0x8004_54d2, 0x8004_54d2, Special(ioctl_net::ifreq)), // TUNGETIFF
    (0x8004_6601, 0x8004_6601, Renumbered(4, 0x8008_6601)), // FS_IOC_GETFLAGS
    (0x8004_7601, 0x8004_7601, Renumbered(4, 0x8008_7601)), // FS_IOC_GETVERSION
    (0x8010_8906, 0x8010_8907, Sized),                    // SIOCGSTAMP_NEW, SIOCGSTAMPNS_NEW
    (0x801c_581f, 0x801c_581f, Sized),                    // FS_IOC_FSGETXATTR
    (0x802c_542a, 0x802c_542a, Bytes(44)),                // TCGETS2
    (0x8100_9431, 0x8100_9431, Sized),                    // FS_IOC_GETFSLABEL
    (0xc004_5877, 0xc004_5878, Sized),                    // FIFREEZE, FITHAW
    (0xc018_5879, 0xc018_5879, Sized),                    // FITRIM
    (0xc020_660b, 0xc020_660b, Special(fiemap)),          // FS_IOC_FIEMAP
];

const FICLONE: u32 = 0x4004_9409;
const FICLONERANGE: u32 = 0x4020_940d;
const FIDEDUPERANGE: u32 = 0xc018_9436;

/// Bytes of data that a request's number declares, 0 for none (asm-generic/ioctl.h).
fn declared_size(request: u32) -> u32 {
    if request >> 30 == 0 {
        0
    } else {
        request >> 16 & 0x3fff
    }
}

fn form_of(request: u32) -> Option<Form> {
    REQUESTS
        .iter()
        .find(|(first, last, _)| (*first..=*last).contains(&request))
        .map(|(.., form)| *form)
}

pub fn ioctl(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let (fd, request, arg) = (a[0], a[1], a[2]);
    if let FICLONE | FICLONERANGE | FIDEDUPERANGE = request {
        return share_data(ctx, fd, request, arg);
    }
    let (number, value) = match form_of(request) {
        Some(Value) => (request, arg.into()),
        Some(Bytes(size)) => (request, guest::dst(arg, size)?),
        Some(Sized) => (request, guest::dst(arg, declared_size(request))?),
        Some(Renumbered(size, number)) => (number, guest::dst(arg, size)?),
        Some(LongOut) => {
            let mut value = 0u64;
            plain(fd, request, &raw mut value as u64)?;
            let value = u32::try_from(value).map_err(|_| Errno::EFBIG)?;
            guest::put(arg, &value)?;
            return Ok(0);
        }
        Some(Special(f)) => return f(fd, request, arg),
        // No data by its number, and none of the old requests of terminals, disks, consoles and sockets, whose
        // numbers say nothing.
        None if is_dataless(request) => (request, arg.into()),
        None => {
            crate::log_line!(
                Items::UNIMP,
                "ioctl {request:#x} on descriptor {}: ENOTTY",
                fd as i32
            );
            // A bad descriptor is EBADF whatever the request, and so is one that only names a file.
            // SAFETY: no pointers.
            let flags = unsafe { host(libc::SYS_fcntl, &[signed(fd), libc::F_GETFL as u64])? };
            return Err(if flags & libc::O_PATH as u64 != 0 {
                Errno::EBADF
            } else {
                Errno::ENOTTY
            });
        }
    };
    // A terminal's requests can stop the caller (SIGTTOU) or wait for output.
    // SAFETY: `value` is a number or a checked range of the guest's window, as the table says.
    unsafe { host_blocking(ctx, libc::SYS_ioctl, &[signed(fd), number.into(), value]) }.map(|v| v as u32)
}

/// Whether an unlisted request's number says that it carries no data, in a scheme where numbers say so. Printers, floppies, I2C,
/// SCSI, VFIO, frame buffers, watch queues, ATM, wireless interfaces (WEXT), raw devices and KVM have requests with such numbers and
/// data, which may hold addresses.
fn is_dataless(request: u32) -> bool {
    const OLD: [u8; 19] = [
        0x02, 0x03, 0x06, 0x07, 0x12, 0x22, 0x3b, 0x46, 0x4b, 0x4c, 0x53, 0x54, 0x56, 0x57, 0x61, 0x89, 0x8b,
        0xac, 0xae,
    ];
    let kind = (request >> 8) as u8;
    request >> 16 == 0 && kind != 0 && !OLD.contains(&kind)
}

/// The host's ioctl.
pub fn plain(fd: u32, request: u32, value: u64) -> SysResult {
    // SAFETY: `value` is a number, a checked range of the guest's window or a local of the caller's, as the table says.
    unsafe { host(libc::SYS_ioctl, &[signed(fd), request.into(), value]) }.map(|v| v as u32)
}

/// TIOCGPTPEER: the argument is open flags.
fn tiocgptpeer(fd: u32, request: u32, arg: u32) -> SysResult {
    plain(fd, request, oflags::to_host(arg).into())
}

/// HDIO_GETGEO: heads, sectors, cylinders, and a start of type long.
fn hdio_getgeo(fd: u32, request: u32, arg: u32) -> SysResult {
    let mut geometry = [0u64; 2];
    plain(fd, request, geometry.as_mut_ptr() as u64)?;
    guest::put(arg, &[geometry[0] as u32, geometry[1] as u32])?;
    Ok(0)
}

/// FS_IOC_FIEMAP: a header of 32 bytes, extents of 56 each; their number is at offset 24.
fn fiemap(fd: u32, request: u32, arg: u32) -> SysResult {
    let count: u32 = guest::get(arg.wrapping_add(24))?;
    let size = count
        .checked_mul(56)
        .and_then(|n| n.checked_add(32))
        .ok_or(Errno::EINVAL)?;
    plain(fd, request, guest::dst(arg, size)?)
}

/// FICLONE, FICLONERANGE and FIDEDUPERANGE, whose arguments hold descriptors of further files: in the number itself; in a
/// range's first word; in the first word of each destination (32 bytes, after a header of 24 with their number at offset 16). They are
/// looked at in a copy, which other threads cannot change.
fn share_data(ctx: &SyscallContext<'_>, fd: u32, request: u32, arg: u32) -> SysResult {
    let visible = |fd: i64| match is_hidden(ctx.process, fd as i32) {
        true => Err(Errno::EBADF),
        false => Ok(()),
    };
    let word = |bytes: &[u8]| bytes.first_chunk().map_or(-1, |b| i64::from_le_bytes(*b));
    let (size, first) = match request {
        FICLONE => {
            visible(arg.into())?;
            return plain(fd, request, arg.into());
        }
        FICLONERANGE => (32, 0),
        _ => (
            24 + 32 * usize::from(guest::get::<u16>(arg.wrapping_add(16))?),
            24,
        ),
    };
    let mut bytes = vec![0; size];
    guest::get_bytes(arg, &mut bytes)?;
    if request == FIDEDUPERANGE {
        // The number that the size was made for.
        bytes[16..18].copy_from_slice(&(((size - 24) / 32) as u16).to_le_bytes());
    }
    bytes[first..]
        .chunks(32)
        .try_for_each(|part| visible(word(part)))?;
    let result = plain(fd, request, bytes.as_mut_ptr() as u64)?;
    if request == FIDEDUPERANGE {
        guest::put_bytes(arg, &bytes)?;
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_request_is_listed_twice() {
        for (i, (first, last, _)) in REQUESTS.iter().enumerate() {
            assert!(first <= last);
            for (other_first, other_last, _) in &REQUESTS[i + 1..] {
                assert!(
                    last < other_first || first > other_last,
                    "{first:#x} and {other_first:#x}"
                );
            }
        }
    }

    /// Sizes as the numbers print them (an ARM C program under qemu-arm).
    #[test]
    fn sizes_in_numbers() {
        assert_eq!(declared_size(0x8100_9431), 256);
        assert_eq!(declared_size(0xc018_5879), 24);
        assert_eq!(declared_size(0x5401), 0);
        assert!(is_dataless(0xb702) && !is_dataless(0x5499));
        // FDRAWCMD, I2C_RDWR, SG_IO, VFIO_IOMMU_MAP_DMA, FBIOGETCMAP: a pointer to addresses each.
        let addresses = [0x0258, 0x0707, 0x2285, 0x3b71, 0x4604];
        assert!(addresses.iter().all(|&request| !is_dataless(request)));
    }
}
