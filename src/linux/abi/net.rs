//! Sockets and readiness: msghdr, cmsghdr, epoll_event, ifreq, filters, multicast requests.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::layout;

/// `struct msghdr`.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Msghdr {
    pub name: u32,
    pub namelen: i32,
    pub iov: u32,
    pub iovlen: u32,
    pub control: u32,
    pub controllen: u32,
    pub flags: u32,
}
layout!(Msghdr, 28);

/// `struct mmsghdr`.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Mmsghdr {
    pub hdr: Msghdr,
    pub len: u32,
}
layout!(Mmsghdr, 32);

/// `struct cmsghdr`; data follows, aligned to 4.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Cmsghdr {
    pub len: u32,
    pub level: i32,
    pub kind: i32,
}
layout!(Cmsghdr, 12);

/// `struct epoll_event`: not packed on ARM.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct EpollEvent {
    pub events: u32,
    pub pad: u32,
    pub data: u64,
}
layout!(EpollEvent, 16, data @ 8);

/// `struct ifreq`: a name and 16 bytes whose meaning the request chooses (24 on x86-64).
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Ifreq {
    pub name: [u8; 16],
    pub data: [u8; 16],
}
layout!(Ifreq, 32);

/// `struct ifconf`.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Ifconf {
    pub len: i32,
    pub buf: u32,
}
layout!(Ifconf, 8);

/// `struct sock_fprog`.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SockFprog {
    pub len: u16,
    pub pad: u16,
    pub filter: u32,
}
layout!(SockFprog, 8);

/// Sizes of `struct group_req` and `struct group_source_req`: on ARM the addresses follow the interface index at
/// once, on x86-64 at offset 8.
pub const GROUP_REQ: usize = 132;
pub const GROUP_SOURCE_REQ: usize = 260;

/// The sixth argument of pselect6: a pointer to this.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SigsetArg {
    pub sigset: u32,
    pub size: u32,
}
layout!(SigsetArg, 8);
