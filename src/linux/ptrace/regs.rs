//! The tracee's registers as ARM's ptrace shows them (arch/arm/kernel/ptrace.c), read from and written to its block.

use super::block::{CHANGED_REGS, CHANGED_VFP, State};
use crate::linux::errno::Errno;

/// Bytes of `struct pt_regs`: r0-r15, CPSR, ORIG_r0.
pub const REGS: usize = 72;
/// Bytes of the VFP's registers: D0-D31 and FPSCR.
pub const VFP: usize = 260;
/// Bytes of `struct user_fp`, the registers of the FPA, which no processor has any more.
pub const FPA: usize = 116;

const CPSR: usize = 16;

/// `valid_user_regs`: what is no user mode's CPSR is made one and refused.
fn valid_cpsr(cpsr: &mut u32) -> bool {
    const F_AND_A: u32 = 1 << 6 | 1 << 8;
    const I: u32 = 1 << 7;
    const MODE: u32 = 0x1f;
    const USER: u32 = 0x10;
    *cpsr &= !F_AND_A;
    if *cpsr & I == 0 && *cpsr & MODE == USER {
        return true;
    }
    // PSR_f | PSR_s | PSR_x | T | MODE32_BIT.
    *cpsr = *cpsr & (0xffff_ff00 | 1 << 5 | 0x10) | USER;
    false
}

pub fn core(state: &State) -> [u8; REGS] {
    let mut out = [0; REGS];
    for (to, word) in out.chunks_exact_mut(4).zip(state.regs) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    out
}

/// Sets the first words of the core registers from `bytes`, a multiple of four long. EINVAL for a CPSR of another mode.
pub fn set_core(state: &mut State, bytes: &[u8]) -> Result<(), Errno> {
    let mut regs = state.regs;
    for (reg, word) in regs.iter_mut().zip(bytes.chunks_exact(4)) {
        *reg = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
    }
    if !valid_cpsr(&mut regs[CPSR]) {
        return Err(Errno::EINVAL);
    }
    state.regs = regs;
    state.changed |= CHANGED_REGS;
    Ok(())
}

/// POKEUSR of word `index` of the core registers.
pub fn set_one(state: &mut State, index: usize, value: u32) -> Result<(), Errno> {
    let mut regs = state.regs;
    regs[index] = value;
    if !valid_cpsr(&mut regs[CPSR]) {
        return Err(Errno::EINVAL);
    }
    state.regs[index] = value;
    state.changed |= CHANGED_REGS;
    Ok(())
}

pub fn vfp(state: &State) -> [u8; VFP] {
    let mut out = [0; VFP];
    for (to, d) in out.chunks_exact_mut(8).zip(state.d) {
        to.copy_from_slice(&d.to_le_bytes());
    }
    out[256..].copy_from_slice(&state.fpscr.to_le_bytes());
    out
}

pub fn set_vfp(state: &mut State, bytes: &[u8]) {
    let mut all = vfp(state);
    let n = bytes.len().min(VFP);
    all[..n].copy_from_slice(&bytes[..n]);
    for (d, from) in state.d.iter_mut().zip(all.chunks_exact(8)) {
        *d = u64::from_le_bytes(std::array::from_fn(|i| from[i]));
    }
    state.fpscr = u32::from_le_bytes([all[256], all[257], all[258], all[259]]);
    state.changed |= CHANGED_VFP;
}
