//! Reading directories.
//!
//! ext4 gives a 64-bit process positions of 64 bits (a hash and its continuation) and a 32-bit one the upper half
//! only. 32-bit C libraries answer EOVERFLOW to larger positions, so the guest is shown what it would get from its
//! own kernel: the upper half; seeking shifts back.

use std::sync::atomic::{AtomicU64, Ordering};

use super::call::{SyscallContext, host_blocking, signed};
use super::errno::{Errno, SysResult};
use super::{guest, own_fds, proc, proc_others};
use std::os::unix::ffi::OsStrExt;

/// Largest record buffer of one host call.
const CHUNK: u32 = 64 * 1024;
/// Header of a 64-bit record (d_ino, d_off, d_reclen, d_type), then the name.
const HEADER: usize = 19;

/// Descriptors (below 4096) whose directory positions have been halved.
static HALVED: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];

fn halved_bit(fd: u32) -> Option<(&'static AtomicU64, u64)> {
    HALVED.get(fd as usize / 64).map(|word| (word, 1 << (fd % 64)))
}

fn is_halved(fd: u32) -> bool {
    halved_bit(fd).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
}

/// The descriptor is about to be closed or replaced.
pub fn forget(fd: u32) {
    if let Some((word, bit)) = halved_bit(fd)
        && word.load(Ordering::Relaxed) & bit != 0
    {
        word.fetch_and(!bit, Ordering::Relaxed);
    }
}

/// Descriptors up to and with `last` are closed.
pub fn forget_range(first: u32, last: u32) {
    (first..=last.min(64 * HALVED.len() as u32)).for_each(forget);
}

/// `new` has been made a duplicate of `old`.
pub fn duplicated(old: u32, new: u32) {
    match halved_bit(new) {
        Some((word, bit)) if is_halved(old) => {
            word.fetch_or(bit, Ordering::Relaxed);
        }
        _ => forget(new),
    }
}

/// What lseek's SEEK_SET means for this descriptor.
pub fn position_to_host(fd: u32, at: i64) -> i64 {
    match at {
        _ if !is_halved(fd) => at,
        0x7fff_ffff => i64::MAX,
        0..0x7fff_ffff => at << 32,
        _ => at,
    }
}

/// What lseek's result is to the guest.
pub fn position_to_guest(fd: u32, at: i64) -> i64 {
    if is_halved(fd) && at > i64::from(i32::MAX) {
        at >> 32
    } else {
        at
    }
}

/// Records for the guest, at most `len` bytes: none is left only at the end of the directory.
fn list(ctx: &mut SyscallContext<'_>, fd: u32, len: u32) -> Result<Vec<u8>, Errno> {
    loop {
        let raw = read_records(ctx, fd, len)?;
        let at_end = raw.is_empty();
        let mut buf = hide_own(ctx, fd, raw);
        if at_end || !buf.is_empty() {
            halve_positions(fd, &mut buf);
            return Ok(buf);
        }
    }
}

/// Records of the host's getdents64, at most `len` bytes.
fn read_records(ctx: &mut SyscallContext<'_>, fd: u32, len: u32) -> Result<Vec<u8>, Errno> {
    let mut buf = vec![0u8; len.min(CHUNK) as usize];
    let args = [signed(fd), buf.as_mut_ptr() as u64, buf.len() as u64];
    // SAFETY: the buffer lives over the call.
    let n = unsafe { host_blocking(ctx, libc::SYS_getdents64, &args)? };
    buf.truncate(n as usize);
    Ok(buf)
}

/// One record: where it lies, and its name's end.
struct Record<'a> {
    bytes: &'a mut [u8],
}

impl Record<'_> {
    fn u64_at(&self, at: usize) -> u64 {
        let mut word = [0; 8];
        word.copy_from_slice(&self.bytes[at..at + 8]);
        u64::from_le_bytes(word)
    }

    fn name(&self) -> &[u8] {
        let name = &self.bytes[HEADER..];
        &name[..name.iter().position(|&b| b == 0).unwrap_or(name.len())]
    }
}

/// Calls `f` for every record of a buffer.
fn for_each(buf: &mut [u8], mut f: impl FnMut(Record<'_>)) {
    let mut rest = buf;
    while rest.len() > HEADER {
        let len = usize::from(u16::from_le_bytes([rest[16], rest[17]]));
        if len <= HEADER || len > rest.len() {
            return;
        }
        let (record, tail) = rest.split_at_mut(len);
        f(Record { bytes: record });
        rest = tail;
    }
}

/// Halves positions beyond 31 bits, and notes that for the descriptor.
fn halve_positions(fd: u32, buf: &mut [u8]) {
    let mut any = false;
    for_each(buf, |r| {
        let at = r.u64_at(8);
        if at > i32::MAX as u64 {
            any = true;
            r.bytes[8..16].copy_from_slice(&(at >> 32).to_le_bytes());
        }
    });
    if any && let Some((word, bit)) = halved_bit(fd) {
        word.fetch_or(bit, Ordering::Relaxed);
    }
}

/// Takes the emulator's own descriptors out of a listing of /proc/self/fd and its kin, and of another guest's.
fn hide_own(ctx: &SyscallContext<'_>, fd: u32, buf: Vec<u8>) -> Vec<u8> {
    /// Where the emulator's are, of a process with that many.
    const HIGH: i32 = 100;
    let number = |name: &[u8]| std::str::from_utf8(name).ok()?.parse::<i32>().ok();
    let mut buf = buf;
    let mut found = false;
    for_each(&mut buf, |r| {
        found |= proc::is_range(r.name())
            || number(r.name()).is_some_and(|n| n >= HIGH || own_fds::is_hidden(ctx.process, n));
    });
    if !found {
        return buf;
    }
    let Ok(dir) = std::fs::read_link(format!("/proc/self/fd/{fd}")) else {
        return buf;
    };
    let dir = dir.as_os_str().as_bytes();
    let mut mappings = false;
    let other = match proc::is_own(dir) {
        Some(b"fd" | b"fdinfo") => None,
        Some(b"map_files") => {
            mappings = true;
            None
        }
        Some(_) => return buf,
        None if proc_others::is_mappings_of_guest(dir) => {
            mappings = true;
            None
        }
        None => match proc_others::descriptors_of_guest(dir) {
            Some(other) => Some(other),
            None => return buf,
        },
    };
    let is_own = |name: &[u8]| {
        if mappings {
            return proc::is_range(name) && proc::is_outside(name);
        }
        number(name).is_some_and(|n| match &other {
            None => own_fds::is_hidden(ctx.process, n),
            Some(other) => n >= HIGH && proc_others::is_own_fd(other, n),
        })
    };
    let mut out = Vec::with_capacity(buf.len());
    for_each(&mut buf, |r| {
        if !is_own(r.name()) {
            out.extend_from_slice(r.bytes);
        }
    });
    out
}

/// getdents64: the record layout is the same in every ABI.
pub fn getdents64(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let buf = list(ctx, a[0], a[2])?;
    guest::put_bytes(a[1], &buf)?;
    Ok(buf.len() as u32)
}

/// getdents: records of 32-bit words with the type in the last byte. Such a record is never longer than the 64-bit
/// one, so what was read fits. An inode number beyond 32 bits is EOVERFLOW (fs/readdir.c compat_filldir).
pub fn getdents(ctx: &mut SyscallContext<'_>, a: &[u32; 6]) -> SysResult {
    let mut buf = list(ctx, a[0], a[2])?;
    let mut out = Vec::with_capacity(buf.len());
    let mut overflow = false;
    for_each(&mut buf, |r| {
        let ino = u32::try_from(r.u64_at(0)).unwrap_or_else(|_| {
            overflow = true;
            0
        });
        let name = r.name();
        // d_ino, d_off, d_reclen, name, NUL, padding, type.
        let len = (10 + name.len() + 2).next_multiple_of(4);
        let start = out.len();
        out.extend_from_slice(&ino.to_le_bytes());
        out.extend_from_slice(&(r.u64_at(8) as u32).to_le_bytes());
        out.extend_from_slice(&(len as u16).to_le_bytes());
        out.extend_from_slice(name);
        out.resize(start + len, 0);
        out[start + len - 1] = r.bytes[18];
    });
    if overflow {
        return Err(Errno::EOVERFLOW);
    }
    guest::put_bytes(a[1], &out)?;
    Ok(out.len() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(ino: u64, off: u64, kind: u8, name: &[u8]) -> Vec<u8> {
        let len = (HEADER + name.len() + 1).next_multiple_of(8);
        let mut out = Vec::new();
        out.extend_from_slice(&ino.to_le_bytes());
        out.extend_from_slice(&off.to_le_bytes());
        out.extend_from_slice(&(len as u16).to_le_bytes());
        out.push(kind);
        out.extend_from_slice(name);
        out.resize(len, 0);
        out
    }

    /// The end-of-directory position of ext4 is 2^63-1 for 64-bit and 2^31-1 for 32-bit callers (fs/ext4/dir.c).
    #[test]
    fn positions_are_those_of_a_32_bit_caller() {
        let mut buf = record(11, 0x1234_5678_9abc_def0, 4, b"a");
        buf.extend(record(12, i64::MAX as u64, 8, b"file"));
        halve_positions(77, &mut buf);
        let mut seen = Vec::new();
        for_each(&mut buf, |r| {
            seen.push((r.u64_at(0), r.u64_at(8), r.name().to_vec()))
        });
        assert_eq!(
            seen,
            [
                (11, 0x1234_5678, b"a".to_vec()),
                (12, 0x7fff_ffff, b"file".to_vec())
            ]
        );
        assert_eq!(position_to_host(77, 0x1234_5678), 0x1234_5678 << 32);
        assert_eq!(position_to_host(77, 0x7fff_ffff), i64::MAX);
        assert_eq!(position_to_guest(77, i64::MAX), 0x7fff_ffff);
        forget(77);
        assert_eq!(position_to_host(77, 0x1234_5678), 0x1234_5678);
    }
}
