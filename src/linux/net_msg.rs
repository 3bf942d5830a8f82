//! Messages with control data: sendmsg, recvmsg and their multiples.

use zerocopy::{FromBytes, IntoBytes};

use super::abi::net::{Cmsghdr, Mmsghdr, Msghdr};
use super::abi::time::{Timespec32, Timespec64, Timeval32};
use super::call::{SyscallContext, host_blocking, signed};
use super::errno::{Errno, SysResult};
use super::fs_io::import_iov;
use super::guest;
use super::own_fds::is_hidden;
use super::process::Process;

/// Most messages of one sendmmsg or recvmmsg (UIO_MAXIOV).
const VLEN_MAX: u32 = 1024;
/// Most control data taken from the guest (net.core.optmem_max is far less).
const CONTROL_MAX: u32 = 1 << 20;
const HEADER: usize = size_of::<Cmsghdr>();
/// x86-64's `struct cmsghdr`: a 64-bit length, level, type.
const HOST_HEADER: usize = 16;
const SCM_TIMESTAMP_OLD: i32 = 29;
const SCM_TIMESTAMPNS_OLD: i32 = 35;
const SCM_TIMESTAMPING_OLD: i32 = 37;

/// A message in the host's form, with the memory it points to.
struct Message {
    guest: Msghdr,
    iov: Vec<libc::iovec>,
    control: Vec<u64>,
    host: libc::msghdr,
}

impl Message {
    /// `receive`: buffers are written, control data comes back.
    fn import(process: &Process, guest: Msghdr, receive: bool) -> Result<Message, Errno> {
        if guest.iovlen > 1024 {
            return Err(Errno::EMSGSIZE);
        }
        let iov = import_iov(guest.iov, guest.iovlen, receive)?;
        // SAFETY: integers and pointers, for which zero is valid.
        let mut host: libc::msghdr = unsafe { std::mem::zeroed() };
        if guest.name != 0 && guest.namelen != 0 {
            let len = u32::try_from(guest.namelen).map_err(|_| Errno::EINVAL)?.min(128);
            let name = if receive {
                guest::dst(guest.name, len)?
            } else {
                guest::src(guest.name, len)?
            };
            host.msg_name = name as *mut libc::c_void;
            host.msg_namelen = len;
        }
        let mut control = Vec::new();
        let mut control_len = 0;
        if guest.control != 0 && guest.controllen != 0 {
            if guest.controllen > CONTROL_MAX {
                return Err(Errno::ENOBUFS);
            }
            if receive {
                // Room for what fits the guest after the headers have shrunk.
                control = vec![0; guest.controllen as usize / 4 + 8];
                control_len = control.len() * 8;
            } else {
                let bytes = guest::get_vec(guest.control, guest.controllen as usize)?;
                let converted = control_to_host(&bytes, |fd| is_hidden(process, fd))?;
                control_len = converted.len();
                control = vec![0; control_len.div_ceil(8)];
                control.as_mut_bytes()[..control_len].copy_from_slice(&converted);
            }
        }
        host.msg_flags = guest.flags as i32;
        host.msg_controllen = control_len;
        Ok(Message {
            guest,
            iov,
            control,
            host,
        })
    }

    /// Completes the pointers to memory of its own: once the value does not move any more.
    fn link(&mut self) -> &mut libc::msghdr {
        self.host.msg_iov = self.iov.as_mut_ptr();
        self.host.msg_iovlen = self.iov.len();
        if self.host.msg_controllen != 0 {
            self.host.msg_control = self.control.as_mut_ptr().cast();
        }
        &mut self.host
    }

    /// After a receive into `host`: control data to the guest, the header's changed fields at `addr`.
    fn export(&self, host: &libc::msghdr, addr: u32) -> Result<(), Errno> {
        let mut flags = host.msg_flags as u32;
        let received = &self.control.as_bytes()[..host.msg_controllen.min(self.control.len() * 8)];
        let room = if self.guest.control == 0 {
            0
        } else {
            self.guest.controllen as usize
        };
        let (control, cut) = control_to_guest(received, room);
        if cut {
            flags |= libc::MSG_CTRUNC as u32;
        }
        if !control.is_empty() {
            guest::put_bytes(self.guest.control, &control)?;
        }
        let namelen = if self.guest.name != 0 {
            host.msg_namelen as i32
        } else {
            self.guest.namelen
        };
        let out = Msghdr {
            namelen,
            controllen: control.len() as u32,
            flags,
            ..self.guest
        };
        guest::put(addr, &out)
    }
}

/// Data of a control message with a 32-bit time in place of the host's 64-bit one.
fn times_to_32(level: i32, kind: i32, data: &[u8]) -> Option<Vec<u8>> {
    if level != libc::SOL_SOCKET {
        return None;
    }
    let pairs: Vec<[i64; 2]> = data
        .chunks_exact(16)
        .filter_map(|c| <[i64; 2]>::read_from_bytes(c).ok())
        .collect();
    match kind {
        SCM_TIMESTAMP_OLD => {
            let [sec, usec] = *pairs.first()?;
            Some(
                Timeval32 {
                    sec: sec as i32,
                    usec: usec as i32,
                }
                .as_bytes()
                .to_vec(),
            )
        }
        SCM_TIMESTAMPNS_OLD | SCM_TIMESTAMPING_OLD => {
            let to_32 = |[sec, nsec]: [i64; 2]| Timespec32 {
                sec: sec as i32,
                nsec: nsec as i32,
            };
            Some(
                pairs
                    .into_iter()
                    .flat_map(|p| to_32(p).as_bytes().to_vec())
                    .collect(),
            )
        }
        _ => None,
    }
}

/// Of AF_RDS: its control messages hold addresses of 64 bits (linux/rds.h).
const SOL_RDS: i32 = 276;

/// Guest control messages to the host's: longer headers, data aligned to 8. Descriptors that the guest has not are EBADF.
fn control_to_host(bytes: &[u8], is_hidden: impl Fn(i32) -> bool) -> Result<Vec<u8>, Errno> {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    let mut rest = bytes;
    while rest.len() >= HEADER {
        let (header, _) = Cmsghdr::read_from_prefix(rest).map_err(|_| Errno::EINVAL)?;
        let len = header.len as usize;
        if len < HEADER || len > rest.len() {
            return Err(Errno::EINVAL);
        }
        if header.level == SOL_RDS {
            return Err(Errno::EINVAL);
        }
        let data = &rest[HEADER..len];
        let is_rights = header.level == libc::SOL_SOCKET && header.kind == libc::SCM_RIGHTS;
        let mut fds = data.chunks_exact(4).filter_map(|c| i32::read_from_bytes(c).ok());
        if is_rights && fds.any(&is_hidden) {
            return Err(Errno::EBADF);
        }
        out.extend_from_slice(&((HOST_HEADER + data.len()) as u64).to_le_bytes());
        out.extend_from_slice(&header.level.to_le_bytes());
        out.extend_from_slice(&header.kind.to_le_bytes());
        out.extend_from_slice(data);
        out.resize(out.len().next_multiple_of(8), 0);
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
    }
    Ok(out)
}

/// Host control messages to the guest's, in at most `room` bytes; whether something was cut. Descriptors that do not
/// fit are closed, as the kernel does not install them.
fn control_to_guest(bytes: &[u8], room: usize) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let mut cut = false;
    let mut rest = bytes;
    while rest.len() >= HOST_HEADER {
        let Ok((words, _)) = <[u32; 4]>::read_from_prefix(rest) else {
            break;
        };
        let len = (words[0] as usize).min(rest.len());
        if len < HOST_HEADER {
            break;
        }
        let (level, kind) = (words[2] as i32, words[3] as i32);
        let data = &rest[HOST_HEADER..len];
        rest = rest.get(len.next_multiple_of(8)..).unwrap_or(&[]);
        let is_rights = level == libc::SOL_SOCKET && kind == libc::SCM_RIGHTS;
        let converted = times_to_32(level, kind, data);
        let data = converted.as_deref().unwrap_or(data);
        let left = room - out.len();
        let mut fits = left.saturating_sub(HEADER).min(data.len());
        if is_rights {
            fits -= fits % 4;
            for fd in data[fits..]
                .chunks_exact(4)
                .filter_map(|c| i32::read_from_bytes(c).ok())
            {
                // SAFETY: a descriptor that this call has just received and nobody else knows.
                unsafe { libc::close(fd) };
            }
        }
        if fits < data.len() {
            cut = true;
        }
        if left < HEADER || is_rights && fits == 0 && !data.is_empty() {
            continue;
        }
        let header = Cmsghdr {
            len: (HEADER + fits) as u32,
            level,
            kind,
        };
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(&data[..fits]);
        out.resize(out.len().next_multiple_of(4).min(room), 0);
    }
    (out, cut)
}

pub fn sendmsg(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let mut message = Message::import(ctx.process, guest::get(a[1])?, false)?;
    let header = &raw mut *message.link() as u64;
    // SAFETY: the message and all it points to live over the call.
    unsafe { host_blocking(ctx, libc::SYS_sendmsg, &[signed(a[0]), header, a[2].into()]) }.map(|n| n as u32)
}

pub fn recvmsg(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let mut message = Message::import(ctx.process, guest::get(a[1])?, true)?;
    let header = &raw mut *message.link() as u64;
    // SAFETY: the message and all it points to live over the call.
    let n = unsafe { host_blocking(ctx, libc::SYS_recvmsg, &[signed(a[0]), header, a[2].into()])? };
    message.export(&message.host, a[1])?;
    Ok(n as u32)
}

/// A vector of messages in both forms.
struct Vector {
    messages: Vec<Message>,
    host: Vec<libc::mmsghdr>,
}

impl Vector {
    fn import(process: &Process, addr: u32, count: u32, receive: bool) -> Result<Vector, Errno> {
        let headers: Vec<Mmsghdr> = guest::get_array(addr, count.min(VLEN_MAX) as usize)?;
        let mut messages = headers
            .iter()
            .map(|h| Message::import(process, h.hdr, receive))
            .collect::<Result<Vec<_>, _>>()?;
        let host = messages
            .iter_mut()
            .map(|m| libc::mmsghdr {
                msg_hdr: *m.link(),
                msg_len: 0,
            })
            .collect();
        Ok(Vector { messages, host })
    }
}

/// Offset of msg_len in `struct mmsghdr`.
const MSG_LEN: u32 = size_of::<Msghdr>() as u32;

pub fn sendmmsg(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let mut v = Vector::import(ctx.process, a[1], a[2], false)?;
    let args = [
        signed(a[0]),
        v.host.as_mut_ptr() as u64,
        v.host.len() as u64,
        a[3].into(),
    ];
    // SAFETY: the messages and all they point to live over the call.
    let n = unsafe { host_blocking(ctx, libc::SYS_sendmmsg, &args)? };
    for (i, sent) in v.host.iter().take(n as usize).enumerate() {
        guest::put(
            a[1] + size_of::<Mmsghdr>() as u32 * i as u32 + MSG_LEN,
            &sent.msg_len,
        )?;
    }
    Ok(n as u32)
}

/// recvmmsg with the time limit in the host's form; the time left is stored there.
fn receive_many(ctx: &mut SyscallContext<'_>, a: &[u32; 6], time: Option<&mut libc::timespec>) -> SysResult {
    let mut v = Vector::import(ctx.process, a[1], a[2], true)?;
    let limit = time.map_or(0, |t| &raw mut *t as u64);
    let args = [
        signed(a[0]),
        v.host.as_mut_ptr() as u64,
        v.host.len() as u64,
        a[3].into(),
        limit,
    ];
    // SAFETY: the messages, all they point to and the time limit live over the call.
    let n = unsafe { host_blocking(ctx, libc::SYS_recvmmsg, &args)? };
    for (i, (got, message)) in v.host.iter().zip(&v.messages).take(n as usize).enumerate() {
        let at = a[1] + size_of::<Mmsghdr>() as u32 * i as u32;
        message.export(&got.msg_hdr, at)?;
        guest::put(at + MSG_LEN, &got.msg_len)?;
    }
    Ok(n as u32)
}

pub fn recvmmsg(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let mut time = guest::get_opt::<Timespec32>(a[4])?.map(libc::timespec::from);
    let n = receive_many(ctx, a, time.as_mut())?;
    if let Some(left) = time {
        guest::put(a[4], &Timespec32::from(left))?;
    }
    Ok(n)
}

pub fn recvmmsg_time64(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let mut time = guest::get_opt::<Timespec64>(a[4])?.map(libc::timespec::from);
    let n = receive_many(ctx, a, time.as_mut())?;
    if let Some(left) = time {
        guest::put(a[4], &Timespec64::from(left))?;
    }
    Ok(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    /// Layouts by the CMSG_ macros of an ARM and an x86-64 C program.
    #[test]
    fn rights_there_and_back() {
        let guest = words(&[20, 1, 1, 7, 8]);
        let host = control_to_host(&guest, |fd| fd == 9).expect("well-formed");
        assert_eq!(host, words(&[24, 0, 1, 1, 7, 8]));
        let (back, cut) = control_to_guest(&host, 64);
        assert_eq!((back, cut), (guest.clone(), false));
        assert_eq!(control_to_host(&guest, |fd| fd == 8), Err(Errno::EBADF));
    }

    #[test]
    fn a_length_beyond_the_buffer_is_einval() {
        assert_eq!(
            control_to_host(&words(&[24, 1, 1, 7, 8]), |_| false),
            Err(Errno::EINVAL)
        );
    }

    #[test]
    fn old_timestamps_shrink_and_new_ones_stay() {
        let old = words(&[32, 0, 1, 29, 5, 0, 6, 0]);
        assert_eq!(control_to_guest(&old, 64).0, words(&[20, 1, 29, 5, 6]));
        let new = words(&[32, 0, 1, 63, 5, 0, 6, 0]);
        assert_eq!(control_to_guest(&new, 64).0, words(&[28, 1, 63, 5, 0, 6, 0]));
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        let credentials = words(&[28, 0, 1, 2, 10, 11, 12]);
        let mut padded = credentials.clone();
        padded.extend([0; 4]);
        let (out, cut) = control_to_guest(&padded, 16);
        assert_eq!((out, cut), (words(&[16, 1, 2, 10]), true));
        assert_eq!(control_to_guest(&padded, 8), (Vec::new(), true));
    }
}
