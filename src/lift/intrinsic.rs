//! `imm` of [`Trap::Intrinsic`](crate::ir::ops::Trap::Intrinsic): an instruction that must leave the block in the middle
//! of an IT block, where no exit can carry ITSTATE. The state is that before the instruction (ITSTATE in
//! `CpuState::it`); the run loop has [`step`] execute it.

use crate::cpu::cond::Cond;
use crate::cpu::state::CpuState;
use crate::ir::interp;

/// SVC; bits 7-0 are its immediate.
pub const IT_SVC: u32 = 1 << 24;
/// Undefined instruction.
pub const IT_UNDEFINED: u32 = 2 << 24;
/// ISB, WFE, WFI: nothing but the end of the block.
pub const IT_NOP: u32 = 3 << 24;
/// VMSR FPSCR; bits 3-0 are the core register.
pub const IT_VMSR: u32 = 4 << 24;
/// The instruction has four bytes.
pub const SIZE4: u32 = 1 << 16;

const KIND: u32 = 0xff00_0000;

/// What [`step`] leaves to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing: execution goes on at the state's pc.
    Done,
    /// A system call with this immediate; the pc is behind the SVC.
    Svc(u32),
    /// The instruction at the pc is undefined.
    Undefined,
}

/// Executes the instruction that `arg` describes on the state before it: pc, ITSTATE and what it does.
pub fn step(state: &mut CpuState, arg: u32) -> Step {
    let holds = interp::holds(Cond::from_bits(u32::from(state.it >> 4)), state.nzcv());
    if holds && arg & KIND == IT_UNDEFINED {
        return Step::Undefined;
    }
    let size = if arg & SIZE4 != 0 { 4 } else { 2 };
    state.r[15] = state.r[15].wrapping_add(size);
    state.it = interp::advance_it(state.it);
    match arg & KIND {
        IT_SVC if holds => return Step::Svc(arg & 0xff),
        IT_VMSR if holds => {
            let value = state.r[(arg & 15) as usize];
            interp::write_fpscr(state, value);
        }
        _ => {}
    }
    Step::Done
}
