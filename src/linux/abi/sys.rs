//! System and process information: sysinfo, rusage, rlimit, utsname, 16-bit user ids.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::layout;
use super::time::Timeval32;

/// `struct sysinfo` (compat_sysinfo).
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Sysinfo {
    pub uptime: i32,
    pub loads: [u32; 3],
    pub totalram: u32,
    pub freeram: u32,
    pub sharedram: u32,
    pub bufferram: u32,
    pub totalswap: u32,
    pub freeswap: u32,
    pub procs: u16,
    pub pad: u16,
    pub totalhigh: u32,
    pub freehigh: u32,
    pub mem_unit: u32,
    pub f: [u8; 8],
}
layout!(Sysinfo, 64, procs @ 40, mem_unit @ 52);

impl Sysinfo {
    /// As kernel/sys.c compat_sysinfo: amounts of memory too large for 32 bits are counted in pages.
    pub fn from_host(s: &libc::sysinfo) -> Sysinfo {
        let mut unit = s.mem_unit;
        let mut shift = 0;
        if (s.totalram >> 32) != 0 || (s.totalswap >> 32) != 0 {
            while unit < 4096 {
                unit <<= 1;
                shift += 1;
            }
        }
        let amount = |v: u64| (v >> shift) as u32;
        Sysinfo {
            uptime: s.uptime as i32,
            loads: s.loads.map(|l| l as u32),
            totalram: amount(s.totalram),
            freeram: amount(s.freeram),
            sharedram: amount(s.sharedram),
            bufferram: amount(s.bufferram),
            totalswap: amount(s.totalswap),
            freeswap: amount(s.freeswap),
            procs: s.procs,
            pad: 0,
            totalhigh: amount(s.totalhigh),
            freehigh: amount(s.freehigh),
            mem_unit: unit,
            f: [0; 8],
        }
    }
}

/// `struct rusage`.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Rusage {
    pub utime: Timeval32,
    pub stime: Timeval32,
    /// maxrss, ixrss, idrss, isrss, minflt, majflt, nswap, inblock, oublock, msgsnd, msgrcv, nsignals, nvcsw, nivcsw.
    pub counts: [i32; 14],
}
layout!(Rusage, 72, counts @ 16);

impl Rusage {
    pub fn from_host(r: &libc::rusage) -> Rusage {
        let counts = [
            r.ru_maxrss,
            r.ru_ixrss,
            r.ru_idrss,
            r.ru_isrss,
            r.ru_minflt,
            r.ru_majflt,
            r.ru_nswap,
            r.ru_inblock,
            r.ru_oublock,
            r.ru_msgsnd,
            r.ru_msgrcv,
            r.ru_nsignals,
            r.ru_nvcsw,
            r.ru_nivcsw,
        ];
        Rusage {
            utime: r.ru_utime.into(),
            stime: r.ru_stime.into(),
            counts: counts.map(|c| c as i32),
        }
    }
}

/// `struct rlimit` of 32-bit programs; all ones is infinity.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Rlimit32 {
    pub cur: u32,
    pub max: u32,
}
layout!(Rlimit32, 8);

/// `struct rlimit64`, of prlimit64; the host's layout.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Rlimit64 {
    pub cur: u64,
    pub max: u64,
}
layout!(Rlimit64, 16);

impl Rlimit32 {
    /// As kernel/sys.c compat getrlimit: what does not fit reads as infinity.
    pub fn from_64(r: &Rlimit64) -> Rlimit32 {
        let clamp = |v: u64| u32::try_from(v).unwrap_or(u32::MAX);
        Rlimit32 {
            cur: clamp(r.cur),
            max: clamp(r.max),
        }
    }

    pub fn to_64(self) -> Rlimit64 {
        let widen = |v: u32| if v == u32::MAX { u64::MAX } else { v.into() };
        Rlimit64 {
            cur: widen(self.cur),
            max: widen(self.max),
        }
    }
}

/// `struct new_utsname`: six strings of 65 bytes, the same for every ABI.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Utsname {
    pub sysname: [u8; 65],
    pub nodename: [u8; 65],
    pub release: [u8; 65],
    pub version: [u8; 65],
    pub machine: [u8; 65],
    pub domainname: [u8; 65],
}
layout!(Utsname, 390, machine @ 260);

/// A user or group id for a 16-bit field: what does not fit is the overflow id (include/linux/highuid.h).
pub fn uid_to_16(id: u32) -> u16 {
    u16::try_from(id).unwrap_or(65534)
}

/// A 16-bit id from a guest register: 0xffff stands for "leave alone" (-1).
pub fn uid_from_16(id: u32) -> u32 {
    match id as u16 {
        u16::MAX => u32::MAX,
        id => id.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_16_bits() {
        assert_eq!(uid_to_16(1000), 1000);
        assert_eq!(uid_to_16(70000), 65534);
        assert_eq!(uid_from_16(0xffff), u32::MAX);
        assert_eq!(uid_from_16(0x1_0005), 5);
    }

    #[test]
    fn memory_beyond_32_bits_is_counted_in_pages() {
        // SAFETY: sysinfo is plain integers.
        let mut host: libc::sysinfo = unsafe { std::mem::zeroed() };
        host.totalram = 8 << 30;
        host.freeram = 1 << 30;
        host.mem_unit = 1;
        let guest = Sysinfo::from_host(&host);
        assert_eq!(
            (guest.totalram, guest.freeram, guest.mem_unit),
            (2 << 20, 1 << 18, 4096)
        );
    }
}
