//! The guest's address space: reservation, page permissions, mapping calls, fault-safe copies.
//!
//! A guest address is a host address minus [`Space::base`]. The host protection of a page always equals the guest's
//! read and write permission, so translated code checks nothing: it faults. No guest page is ever executable on the
//! host; the guest's execute permission is kept in the page table only. See `docs/memory.md`.

mod access;
mod addr;
mod brk;
mod host;
mod list;
mod map;
mod page;
mod remap;
mod space;
mod usage;

pub use access::copy_fixup;
pub use addr::{Fault, GuestAddr, PAGE_SIZE, Prot, STACK_TOP, TASK_SIZE, VECTORS, WINDOW};
pub use list::MapEntry;
pub use map::MapRequest;
pub use space::{InitError, Limits, Space, SpaceConfig, WindowPlace, space};
pub use usage::{MemoryUse, Used};
