//! The form of the system call table: one row per call, which drives dispatch, range checks and `--strace`.

pub mod rows;

use super::call::{SyscallContext, SyscallResult};
use super::errno::SysResult;

/// A call's number in one guest ABI; [`NO`] where that ABI lacks it.
pub type Number = u32;
/// "This ABI does not have the call."
pub const NO: Number = u32::MAX;

/// What runs a call.
#[derive(Clone, Copy)]
pub enum Handler {
    /// ENOSYS, with a line under `--strace` and `-d unimp`.
    None,
    /// Returns a value or an errno.
    Call(fn(&mut SyscallContext<'_>, &[u32; 6]) -> SysResult),
    /// May leave the registers alone or end the thread.
    Control(fn(&mut SyscallContext<'_>, &[u32; 6]) -> SyscallResult),
}

/// How far a call is supported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    Full,
    /// What is missing.
    Partial(&'static str),
    /// Why not; the guest sees ENOSYS (or what the note says).
    Missing(&'static str),
}

/// One call.
pub struct Row {
    pub name: &'static str,
    pub arm: Number,
    pub arm64: Number,
    pub handler: Handler,
    pub level: Level,
}

/// First number of the ARM-private calls (cacheflush, set_tls and their kin).
pub const ARM_PRIVATE: u32 = 0xf_0000;

/// The row of an ARM EABI number.
pub fn lookup_arm(nr: u32) -> Option<&'static Row> {
    rows::ROWS.iter().find(|r| r.arm == nr)
}
