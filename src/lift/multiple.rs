//! LDM and STM in all modes, PUSH and POP among them.
//!
//! Loads write each register as it arrives, the base register and the pc last, so that an access that faults in the
//! middle can be started again: what the architecture promises (base restored, the other registers UNKNOWN).
//! A base register in the list: a load leaves the loaded value in it (UNPREDICTABLE with writeback from ARMv7 on);
//! a store stores the old base wherever it stands in the list (UNKNOWN from ARMv7 on unless it is the lowest).

use super::{Flow, Lifter};
use crate::ir::ops::{Op, Value};
use crate::isa::insn::{Multi, Reg};

impl Lifter<'_> {
    /// Displacement of the lowest address, and what writeback adds.
    fn multiple_span(regs: u16, mode: Multi) -> (i32, i32) {
        let bytes = 4 * regs.count_ones() as i32;
        match mode {
            Multi::Ia => (0, bytes),
            Multi::Ib => (4, bytes),
            Multi::Da => (4 - bytes, -bytes),
            Multi::Db => (-bytes, -bytes),
        }
    }

    pub fn load_multiple(&mut self, rn: Reg, regs: u16, mode: Multi, writeback: bool) -> Flow {
        let (mut disp, delta) = Self::multiple_span(regs, mode);
        let base = self.reg(rn);
        let mut pc = None;
        let mut new_base = None;
        for r in 0..16u8 {
            if regs >> r & 1 == 0 {
                continue;
            }
            let v = self.b.load(Op::Load32, base, Value::NONE, 0, disp);
            disp += 4;
            match Reg(r) {
                Reg::PC => pc = Some(v),
                r if r == rn => new_base = Some(v),
                r => self.set(r, v),
            }
        }
        match new_base {
            Some(v) => self.set(rn, v),
            None if writeback => {
                let v = self.add_const(base, delta as u32);
                self.set(rn, v);
            }
            None => {}
        }
        match pc {
            Some(v) => {
                // `pop {..., pc}`, and `ldm fp, {..., sp, pc}` of the frames of the old procedure call standard.
                let is_return = rn == Reg::SP || regs >> 13 & 1 == 1;
                self.load_write_pc(v, is_return)
            }
            None => Flow::Next,
        }
    }

    pub fn store_multiple(&mut self, rn: Reg, regs: u16, mode: Multi, writeback: bool) -> Flow {
        let (mut disp, delta) = Self::multiple_span(regs, mode);
        let base = self.reg(rn);
        for r in 0..16u8 {
            if regs >> r & 1 == 0 {
                continue;
            }
            let v = self.reg(Reg(r));
            self.b.store(Op::Store32, base, Value::NONE, 0, disp, v);
            disp += 4;
        }
        if writeback {
            let v = self.add_const(base, delta as u32);
            self.set(rn, v);
        }
        Flow::Next
    }
}
