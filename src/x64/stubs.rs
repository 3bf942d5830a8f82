//! The code that every process's arena starts with: entry, exits, the miss of the jump table.

use super::regs;
use crate::cpu::state::CpuState;
use std::mem::offset_of;

/// Why translated code came back (`CpuState::exit_kind`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum ExitKind {
    /// `pending` was set at entry: nothing ran.
    Pending = 0,
    /// A direct exit that is not linked: `exit_arg` is its identifier.
    Link = 1,
    /// An indirect branch whose target has no table entry: `exit_arg` is the guest address with the T bit.
    Lookup = 2,
    /// SVC: `exit_arg` is the immediate, r15 the next instruction's address.
    Svc = 3,
    /// `exit_arg` is an `ir::ops::Trap`, `exit_addr` its argument; r15 is the instruction's address.
    Trap = 4,
    /// FPSCR was written: r15 is set, the FP mode must be looked at.
    Fpscr = 5,
    /// A signal handler wrote the whole guest state and sent the thread here.
    Captured = 6,
    /// Alignment fault at `exit_addr`; r15 is the instruction's address.
    Align = 7,
}

/// Indices in `CpuState::helpers`: stubs that blocks jump to, and functions that they call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Helper {
    /// eax: exit identifier.
    ExitLink = 0,
    /// ecx: guest address.
    ExitLookup = 1,
    /// eax: SVC immediate.
    ExitSvc = 2,
    /// eax: trap kind; edx: argument.
    ExitTrap = 3,
    ExitFpscr = 4,
    /// eax: address.
    ExitAlign = 5,
    /// Called, not jumped to: calls the Rust function whose helper index is in eax with the state and `call_args`;
    /// the result is in rax. Pinned registers are stored before and loaded after.
    CallRust = 6,
    /// Rust functions from here on: `extern "sysv64" fn(&mut CpuState, u64, u64, u64, u64) -> u64`.
    /// (op | aux << 8, imm | imm2 << 32) are packed in the first argument by [`pack_op`].
    FpOp = 8,
    GetFpscr = 9,
    SetFpscr = 10,
    /// Integer operations too rare for inline code, arguments as `FpOp`.
    IntOp = 11,
    /// vDSO and kuser intrinsics that need Rust.
    Intrinsic = 12,
}

/// Displacement from the state pointer of entry `h` of the helper table.
pub const fn helper_disp(h: Helper) -> i32 {
    regs::disp(offset_of!(CpuState, helpers) + 8 * h as usize)
}

/// Offsets of the stubs from the start of the arena.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stubs {
    /// `extern "sysv64" fn(state: *mut CpuState, code: *const u8)`: enters translated code at `code`; returns when it exits.
    pub enter: u32,
    /// Part of `enter` after the check of `pending` up to the jump: a signal handler that finds the pc in
    /// `[enter_window.0, enter_window.1)` moves it to `enter_pending`.
    pub enter_window: (u32, u32),
    pub enter_pending: u32,
    /// Where a handler sends a thread after it has written the guest state (pinned registers included) itself:
    /// restores the host's registers from `host_sp` and returns from `enter` with kind `Captured`.
    pub captured: u32,
    /// The stubs by [`Helper`] index (0-6).
    pub jumps: [u32; 8],
}
