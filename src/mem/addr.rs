//! Guest addresses, permissions, and the constants of the guest's layout.

use std::fmt;
use std::ops::{Add, Sub};

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes in a guest page (and in a host page: both are 4 KiB).
pub const PAGE_SIZE: u32 = 4096;
/// Binary logarithm of [`PAGE_SIZE`].
pub(super) const PAGE_SHIFT: u32 = 12;
/// End of what a guest can map: TASK_SIZE_32 of a 64-bit ARM kernel with 4 KiB pages.
pub const TASK_SIZE: u32 = 0xffff_f000;
/// Upper end of the initial stack before randomisation.
pub const STACK_TOP: u32 = 0xffff_0000;
/// The page of the kuser helpers, `[vectors]`.
pub const VECTORS: u32 = 0xffff_0000;
/// Bytes in the guest's window.
pub const WINDOW: u64 = 1 << 32;

/// An address in the guest's window.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct GuestAddr(pub u32);

impl GuestAddr {
    /// Address plus `offset`, or `None` past 4 GiB.
    pub fn checked_add(self, offset: u32) -> Option<GuestAddr> {
        self.0.checked_add(offset).map(GuestAddr)
    }

    /// Address minus `offset`, or `None` below 0.
    pub fn checked_sub(self, offset: u32) -> Option<GuestAddr> {
        self.0.checked_sub(offset).map(GuestAddr)
    }

    /// Number of the page that holds the address.
    pub fn page(self) -> u32 {
        self.0 >> PAGE_SHIFT
    }

    pub fn is_null(self) -> bool {
        self.0 == 0
    }
}

/// Wraps, as the guest's arithmetic does.
impl Add<u32> for GuestAddr {
    type Output = GuestAddr;
    fn add(self, offset: u32) -> GuestAddr {
        GuestAddr(self.0.wrapping_add(offset))
    }
}

/// Wraps, as the guest's arithmetic does.
impl Sub<u32> for GuestAddr {
    type Output = GuestAddr;
    fn sub(self, offset: u32) -> GuestAddr {
        GuestAddr(self.0.wrapping_sub(offset))
    }
}

impl From<u32> for GuestAddr {
    fn from(address: u32) -> GuestAddr {
        GuestAddr(address)
    }
}

impl fmt::Debug for GuestAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl fmt::Display for GuestAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A guest pointer could not be followed: EFAULT.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("bad guest address")]
pub struct Fault;

bitflags! {
    /// Guest page permissions; the bits are those of PROT_READ, PROT_WRITE and PROT_EXEC.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Prot: u8 {
        const READ = 1;
        const WRITE = 2;
        const EXEC = 4;
    }
}

impl Prot {
    /// What the host page gets. ARM has neither write-only nor (in AArch32) execute-only pages, so anything
    /// implies read; execution never reaches the host.
    pub(super) fn host(self) -> i32 {
        if self.contains(Prot::WRITE) {
            libc::PROT_READ | libc::PROT_WRITE
        } else if self.is_empty() {
            libc::PROT_NONE
        } else {
            libc::PROT_READ
        }
    }
}

/// Bytes to whole pages, rounded up.
pub(super) fn pages(len: u64) -> u64 {
    len.div_ceil(u64::from(PAGE_SIZE))
}

/// Whether an address or length is a multiple of the page size.
pub(super) fn aligned(value: u32) -> bool {
    value.is_multiple_of(PAGE_SIZE)
}
