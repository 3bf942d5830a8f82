//! Time: 32-bit and 64-bit timespec and timeval, interval timers, clock ticks.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::layout;

/// `struct old_timespec32`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Timespec32 {
    pub sec: i32,
    pub nsec: i32,
}
layout!(Timespec32, 8);

/// `struct __kernel_timespec`: the layout of the host's timespec, of which 32-bit callers may leave the upper half of
/// the nanoseconds undefined.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Timespec64 {
    pub sec: i64,
    pub nsec: i64,
}
layout!(Timespec64, 16);

/// `struct old_timeval32`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Timeval32 {
    pub sec: i32,
    pub usec: i32,
}
layout!(Timeval32, 8);

/// `struct old_itimerspec32`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Itimerspec32 {
    pub interval: Timespec32,
    pub value: Timespec32,
}
layout!(Itimerspec32, 16);

/// `struct __kernel_itimerspec`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Itimerspec64 {
    pub interval: Timespec64,
    pub value: Timespec64,
}
layout!(Itimerspec64, 32);

/// `struct tms`: clock ticks, 32-bit.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Tms {
    pub utime: i32,
    pub stime: i32,
    pub cutime: i32,
    pub cstime: i32,
}
layout!(Tms, 16);

impl From<Timespec32> for libc::timespec {
    fn from(t: Timespec32) -> Self {
        libc::timespec {
            tv_sec: t.sec.into(),
            tv_nsec: t.nsec.into(),
        }
    }
}

impl From<Timespec64> for libc::timespec {
    /// The upper half of the nanoseconds is padding for a 32-bit caller (get_timespec64 in kernel/time/time.c).
    fn from(t: Timespec64) -> Self {
        libc::timespec {
            tv_sec: t.sec,
            tv_nsec: i64::from(t.nsec as u32),
        }
    }
}

impl From<libc::timespec> for Timespec32 {
    fn from(t: libc::timespec) -> Self {
        Timespec32 {
            sec: t.tv_sec as i32,
            nsec: t.tv_nsec as i32,
        }
    }
}

impl From<libc::timespec> for Timespec64 {
    fn from(t: libc::timespec) -> Self {
        Timespec64 {
            sec: t.tv_sec,
            nsec: t.tv_nsec,
        }
    }
}

impl From<Timeval32> for libc::timeval {
    fn from(t: Timeval32) -> Self {
        libc::timeval {
            tv_sec: t.sec.into(),
            tv_usec: t.usec.into(),
        }
    }
}

impl From<libc::timeval> for Timeval32 {
    fn from(t: libc::timeval) -> Self {
        Timeval32 {
            sec: t.tv_sec as i32,
            usec: t.tv_usec as i32,
        }
    }
}

impl From<Itimerspec32> for libc::itimerspec {
    fn from(t: Itimerspec32) -> Self {
        libc::itimerspec {
            it_interval: t.interval.into(),
            it_value: t.value.into(),
        }
    }
}

impl From<Itimerspec64> for libc::itimerspec {
    fn from(t: Itimerspec64) -> Self {
        libc::itimerspec {
            it_interval: t.interval.into(),
            it_value: t.value.into(),
        }
    }
}

impl From<libc::itimerspec> for Itimerspec32 {
    fn from(t: libc::itimerspec) -> Self {
        Itimerspec32 {
            interval: t.it_interval.into(),
            value: t.it_value.into(),
        }
    }
}

impl From<libc::itimerspec> for Itimerspec64 {
    fn from(t: libc::itimerspec) -> Self {
        Itimerspec64 {
            interval: t.it_interval.into(),
            value: t.it_value.into(),
        }
    }
}
