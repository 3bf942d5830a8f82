//! The boundary convention: what every host register holds at each block entry and exit.
//!
//! | host | holds |
//! | --- | --- |
//! | rsp | the translation stack: return tags and host return addresses of guest calls |
//! | rbp | the state pointer: `&CpuState` + `STATE_BIAS` |
//! | gs base | the jump table: 32-bit offsets from the start of the code arena, indexed by guest address and T bit; where the guest's window is not at host address 0, its base (the table is then at `jump_table` in the state) |
//! | rax, rcx, rdx | scratch |
//! | the other eleven | r0-r7, r12, sp, lr, zero-extended to 64 bits (a security invariant: see `docs/memory.md`) |
//!
//! r8-r11 and the VFP registers are in the state; NZCV in the state's bytes; XMM registers hold nothing.

use crate::cpu::state::{CpuState, STATE_BIAS};
use std::mem::offset_of;

/// Host register numbers, as encoded.
pub const RAX: u8 = 0;
pub const RCX: u8 = 1;
pub const RDX: u8 = 2;
pub const RBX: u8 = 3;
pub const RSP: u8 = 4;
pub const RBP: u8 = 5;
pub const RSI: u8 = 6;
pub const RDI: u8 = 7;

/// Host register of each guest register 0-14, or `None` where it lives in the state. The three most used guest
/// registers (r3, r2, r1) have the hosts that need no REX prefix; r12 and rsp as bases cost a SIB byte, so sp avoids them.
pub const PINNED: [Option<u8>; 15] = [
    Some(8),   // r0
    Some(RDI), // r1
    Some(RSI), // r2
    Some(RBX), // r3
    Some(9),   // r4
    Some(10),  // r5
    Some(11),  // r6
    Some(12),  // r7
    None,      // r8
    None,      // r9
    None,      // r10
    None,      // r11
    Some(13),  // r12
    Some(14),  // sp
    Some(15),  // lr
];

/// Guest register pinned to each host register.
pub const PINNED_BY_HOST: [Option<u8>; 16] = {
    let mut t = [None; 16];
    let mut i = 0;
    while i < 15 {
        if let Some(h) = PINNED[i] {
            t[h as usize] = Some(i as u8);
        }
        i += 1;
    }
    t
};

/// Guest registers that are pinned: a bit each.
pub const PINNED_SET: u16 = {
    let mut set = 0;
    let mut i = 0;
    while i < 15 {
        if PINNED[i].is_some() {
            set |= 1 << i;
        }
        i += 1;
    }
    set
};

/// Displacement from the state pointer of a byte offset in [`CpuState`].
pub const fn disp(offset: usize) -> i32 {
    offset as i32 - STATE_BIAS as i32
}

/// Displacement of guest register `r` (0-15) in the state.
pub const fn reg_disp(r: u8) -> i32 {
    disp(offset_of!(CpuState, r) + 4 * r as usize)
}

pub const fn s_disp(s: u8) -> i32 {
    disp(offset_of!(CpuState, d) + 4 * s as usize)
}

pub const fn d_disp(d: u8) -> i32 {
    disp(offset_of!(CpuState, d) + 8 * d as usize)
}
