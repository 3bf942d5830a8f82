//! The clock functions of the vDSO, as IR: a block that starts at one asks the run time instead of the kernel.

use super::decode::Fetch;
use crate::ir::builder::Builder;
use crate::ir::ops::{Block, Inst, Op};

/// Bytes of a function that are looked at.
pub const CODE_BYTES: usize = 16;

/// A clock function of the vDSO.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockFunction {
    /// Address of its A32 code.
    pub pc: u32,
    /// The ARM EABI's number of the system call with its arguments and result.
    pub number: u32,
    /// How its code starts: a guest may have mapped something else there.
    pub code: [u8; CODE_BYTES],
}

impl ClockFunction {
    fn is_there(&self, fetch: &dyn Fetch) -> bool {
        let mut halves = (self.pc..).step_by(2).zip(self.code.chunks_exact(2));
        halves.all(|(at, half)| fetch.fetch16(at) == Some(u16::from_le_bytes([half[0], half[1]])))
    }
}

/// The block of the function at `pc` (A32 state), if there is one: r0 = call(r0, r1), then back to lr.
pub(crate) fn translate(pc: u32, fetch: &dyn Fetch, functions: &[ClockFunction]) -> Option<Block> {
    let function = functions.iter().find(|f| f.pc == pc && f.is_there(fetch))?;
    let mut b = Builder::new();
    b.insn_start(pc, false, 0);
    let (clock, to) = (b.get_reg(0), b.get_reg(1));
    let result = b.push(Inst {
        a: clock,
        b: to,
        imm: function.number,
        ..Inst::new(Op::ClockCall)
    });
    b.set_reg(0, result);
    let lr = b.get_reg(14);
    b.ret(lr);
    let block = b.block_mut();
    block.start = pc;
    block.end = pc.saturating_add(CODE_BYTES as u32);
    Some(b.finish())
}
