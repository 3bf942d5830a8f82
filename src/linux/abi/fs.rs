//! Files: stat, statfs, file locks, iovec (arch/arm/include/uapi/asm/{stat,statfs}.h, asm-generic/fcntl.h).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::layout;
use crate::linux::errno::Errno;

/// `struct stat64`.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Stat64 {
    pub st_dev: u64,
    pub pad0: u32,
    /// Low half of the inode number, for old programs.
    pub ino_low: u32,
    pub st_mode: u32,
    pub st_nlink: u32,
    pub st_uid: u32,
    pub st_gid: u32,
    pub st_rdev: u64,
    pub pad3: [u32; 2],
    pub st_size: i64,
    pub st_blksize: u32,
    pub pad4: u32,
    pub st_blocks: u64,
    pub st_atime: u32,
    pub st_atime_nsec: u32,
    pub st_mtime: u32,
    pub st_mtime_nsec: u32,
    pub st_ctime: u32,
    pub st_ctime_nsec: u32,
    pub st_ino: u64,
}
layout!(Stat64, 104, ino_low @ 12, st_rdev @ 32, st_size @ 48, st_blksize @ 56, st_blocks @ 64, st_atime @ 72, st_ino @ 96);

impl Stat64 {
    pub fn from_host(s: &libc::stat) -> Stat64 {
        Stat64 {
            st_dev: s.st_dev,
            ino_low: s.st_ino as u32,
            st_mode: s.st_mode,
            st_nlink: s.st_nlink as u32,
            st_uid: s.st_uid,
            st_gid: s.st_gid,
            st_rdev: s.st_rdev,
            st_size: s.st_size,
            st_blksize: s.st_blksize as u32,
            st_blocks: s.st_blocks as u64,
            st_atime: s.st_atime as u32,
            st_atime_nsec: s.st_atime_nsec as u32,
            st_mtime: s.st_mtime as u32,
            st_mtime_nsec: s.st_mtime_nsec as u32,
            st_ctime: s.st_ctime as u32,
            st_ctime_nsec: s.st_ctime_nsec as u32,
            st_ino: s.st_ino,
            ..Stat64::default()
        }
    }
}

/// `struct stat`, of the calls without "64".
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Stat {
    pub st_dev: u32,
    pub st_ino: u32,
    pub st_mode: u16,
    pub st_nlink: u16,
    pub st_uid: u16,
    pub st_gid: u16,
    pub st_rdev: u32,
    pub st_size: u32,
    pub st_blksize: u32,
    pub st_blocks: u32,
    pub st_atime: u32,
    pub st_atime_nsec: u32,
    pub st_mtime: u32,
    pub st_mtime_nsec: u32,
    pub st_ctime: u32,
    pub st_ctime_nsec: u32,
    pub unused: [u32; 2],
}
layout!(Stat, 64, st_size @ 20, st_blksize @ 24, st_atime @ 32);

impl Stat {
    /// EOVERFLOW where fs/stat.c's cp_compat_stat says so: a device number, inode number, link count or size that
    /// does not fit.
    pub fn from_host(s: &libc::stat) -> Result<Stat, Errno> {
        let small_dev = |dev: u64| libc::major(dev) < 256 && libc::minor(dev) < 256;
        if !small_dev(s.st_dev) || !small_dev(s.st_rdev) || s.st_size > i64::from(i32::MAX) {
            return Err(Errno::EOVERFLOW);
        }
        let old_dev = |dev: u64| libc::major(dev) << 8 | libc::minor(dev);
        Ok(Stat {
            st_dev: old_dev(s.st_dev),
            st_ino: u32::try_from(s.st_ino).map_err(|_| Errno::EOVERFLOW)?,
            st_mode: s.st_mode as u16,
            st_nlink: u16::try_from(s.st_nlink).map_err(|_| Errno::EOVERFLOW)?,
            st_uid: super::sys::uid_to_16(s.st_uid),
            st_gid: super::sys::uid_to_16(s.st_gid),
            st_rdev: old_dev(s.st_rdev),
            st_size: s.st_size as u32,
            st_blksize: s.st_blksize as u32,
            st_blocks: s.st_blocks as u32,
            st_atime: s.st_atime as u32,
            st_atime_nsec: s.st_atime_nsec as u32,
            st_mtime: s.st_mtime as u32,
            st_mtime_nsec: s.st_mtime_nsec as u32,
            st_ctime: s.st_ctime as u32,
            st_ctime_nsec: s.st_ctime_nsec as u32,
            unused: [0; 2],
        })
    }
}

/// `struct statfs`.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Statfs {
    pub f_type: u32,
    pub f_bsize: u32,
    pub f_blocks: u32,
    pub f_bfree: u32,
    pub f_bavail: u32,
    pub f_files: u32,
    pub f_ffree: u32,
    pub f_fsid: [u32; 2],
    pub f_namelen: u32,
    pub f_frsize: u32,
    pub f_flags: u32,
    pub f_spare: [u32; 4],
}
layout!(Statfs, 64);

/// `struct statfs64`, packed to 4 bytes on ARM; every 64-bit count as two words.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Statfs64 {
    pub f_type: u32,
    pub f_bsize: u32,
    pub f_blocks: [u32; 2],
    pub f_bfree: [u32; 2],
    pub f_bavail: [u32; 2],
    pub f_files: [u32; 2],
    pub f_ffree: [u32; 2],
    pub f_fsid: [u32; 2],
    pub f_namelen: u32,
    pub f_frsize: u32,
    pub f_flags: u32,
    pub f_spare: [u32; 4],
}
layout!(Statfs64, 84, f_fsid @ 48);

/// x86-64's `struct statfs` as the kernel writes it (libc's has private fields).
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct HostStatfs {
    pub f_type: i64,
    pub f_bsize: i64,
    pub f_blocks: u64,
    pub f_bfree: u64,
    pub f_bavail: u64,
    pub f_files: u64,
    pub f_ffree: u64,
    pub f_fsid: [u32; 2],
    pub f_namelen: i64,
    pub f_frsize: i64,
    pub f_flags: i64,
    pub f_spare: [i64; 4],
}
layout!(HostStatfs, 120);

fn halves(v: u64) -> [u32; 2] {
    [v as u32, (v >> 32) as u32]
}

impl Statfs64 {
    pub fn from_host(s: &HostStatfs) -> Statfs64 {
        Statfs64 {
            f_type: s.f_type as u32,
            f_bsize: s.f_bsize as u32,
            f_blocks: halves(s.f_blocks),
            f_bfree: halves(s.f_bfree),
            f_bavail: halves(s.f_bavail),
            f_files: halves(s.f_files),
            f_ffree: halves(s.f_ffree),
            f_fsid: s.f_fsid,
            f_namelen: s.f_namelen as u32,
            f_frsize: s.f_frsize as u32,
            f_flags: s.f_flags as u32,
            f_spare: [0; 4],
        }
    }
}

impl Statfs {
    /// EOVERFLOW where a count does not fit (fs/statfs.c put_compat_statfs); all ones in the file counts means unknown.
    pub fn from_host(s: &HostStatfs) -> Result<Statfs, Errno> {
        let fit = |v: u64| u32::try_from(v).map_err(|_| Errno::EOVERFLOW);
        let fit_files = |v: u64| if v == u64::MAX { Ok(u32::MAX) } else { fit(v) };
        Ok(Statfs {
            f_type: s.f_type as u32,
            f_bsize: fit(s.f_bsize as u64)?,
            f_blocks: fit(s.f_blocks)?,
            f_bfree: fit(s.f_bfree)?,
            f_bavail: fit(s.f_bavail)?,
            f_files: fit_files(s.f_files)?,
            f_ffree: fit_files(s.f_ffree)?,
            f_fsid: s.f_fsid,
            f_namelen: s.f_namelen as u32,
            f_frsize: fit(s.f_frsize as u64)?,
            f_flags: s.f_flags as u32,
            f_spare: [0; 4],
        })
    }
}

/// `struct flock` of fcntl(2); `struct flock64` has x86-64's layout (asserted below) and passes unchanged.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Flock {
    pub l_type: i16,
    pub l_whence: i16,
    pub l_start: i32,
    pub l_len: i32,
    pub l_pid: i32,
}
layout!(Flock, 16);

/// `struct flock64`, ARM's and x86-64's.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Flock64 {
    pub l_type: i16,
    pub l_whence: i16,
    pub pad: u32,
    pub l_start: i64,
    pub l_len: i64,
    pub l_pid: i32,
    pub pad2: u32,
}
layout!(Flock64, 32, l_start @ 8, l_pid @ 24);
const _: () =
    assert!(std::mem::size_of::<libc::flock>() == 32 && std::mem::offset_of!(libc::flock, l_pid) == 24);

impl Flock {
    pub fn to_64(self) -> Flock64 {
        Flock64 {
            l_type: self.l_type,
            l_whence: self.l_whence,
            l_start: self.l_start.into(),
            l_len: self.l_len.into(),
            l_pid: self.l_pid,
            ..Flock64::default()
        }
    }

    /// As fs/locks.c posix_lock_to_flock on a 32-bit kernel: a start or an end that does not fit is EOVERFLOW.
    pub fn from_64(f: &Flock64) -> Result<Flock, Errno> {
        // The end of a lock to the end of the file, length 0, may lie anywhere.
        if f.l_len > 0 && f.l_start + (f.l_len - 1) > i32::MAX.into() {
            return Err(Errno::EOVERFLOW);
        }
        Ok(Flock {
            l_type: f.l_type,
            l_whence: f.l_whence,
            l_start: i32::try_from(f.l_start).map_err(|_| Errno::EOVERFLOW)?,
            l_len: f.l_len.min(i32::MAX.into()) as i32,
            l_pid: f.l_pid,
        })
    }
}

/// `struct iovec`.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Iovec {
    pub base: u32,
    pub len: u32,
}
layout!(Iovec, 8);
