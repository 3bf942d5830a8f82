//! Branches: direct, with link, through registers and tables, and how calls and returns are told apart.
//!
//! Calls and returns are paired by the back end, so what is one matters for speed, never for meaning:
//! - a call is BL, BLX, or a branch through a register or load when lr is known to hold the address behind it
//!   (`mov lr, pc; bx r3`, as ARMv4 code calls);
//! - a return is `bx lr`, `mov pc, lr`, a load of the pc from the stack, or `bx` of the register that the
//!   instruction before it popped (Thumb code for ARMv4T).

use super::{Flow, Lifter};
use crate::cpu::model::Features;
use crate::ir::ops::{Op, Value};
use crate::isa::insn::Reg;

impl Lifter<'_> {
    /// BL and BLX (immediate).
    pub fn branch_link(&mut self, offset: i32, exchange: bool) -> Flow {
        let ret = self.next_target();
        let target = match (exchange, self.thumb) {
            (false, _) => self.target(self.pc_read().wrapping_add_signed(offset)),
            (true, false) => self.pc_read().wrapping_add_signed(offset) | 1,
            (true, true) => self.pc_aligned().wrapping_add_signed(offset) & !3,
        };
        let lr = self.b.iconst(ret);
        self.b.set_reg(14, lr);
        if target == ret {
            // How position-independent code reads the pc: nothing returns from it.
            return Flow::Goto(self.next());
        }
        self.b.call(target, ret);
        Flow::Ended
    }

    pub fn branch_exchange(&mut self, rm: Reg) -> Flow {
        if rm == Reg::PC {
            // `bx pc`: to A32 (interworking veneers). From a Thumb instruction that is not word-aligned it is UNPREDICTABLE;
            // as in QEMU, the target is then misaligned and faults.
            let target = self.pc_read();
            self.b.jump(target);
            return Flow::Ended;
        }
        let v = self.b.get_reg(rm.0);
        let is_return = rm == Reg::LR || self.popped >> rm.0 & 1 == 1;
        self.branch_to(v, is_return)
    }

    pub fn call_register(&mut self, rm: Reg) -> Flow {
        let ret = self.next_target();
        let target = self.reg(rm);
        let lr = self.b.iconst(ret);
        self.b.set_reg(14, lr);
        self.b.call_ind(target, ret);
        Flow::Ended
    }

    /// A computed branch to `v`, T in bit 0: a call if lr holds the address of the next instruction, a return if
    /// `is_return`, else a jump.
    pub fn branch_to(&mut self, v: Value, is_return: bool) -> Flow {
        let ret = self.next_target();
        if self.b.known_const(14) == Some(ret) {
            self.b.call_ind(v, ret);
        } else if is_return {
            self.b.ret(v);
        } else {
            self.b.jump_ind(v);
        }
        Flow::Ended
    }

    /// LoadWritePC: a loaded value interworks from ARMv5T on.
    pub fn load_write_pc(&mut self, v: Value, is_return: bool) -> Flow {
        if self.has(Features::V5T) {
            self.branch_to(v, is_return)
        } else {
            self.branch_write_pc(v, is_return)
        }
    }

    /// CBZ and CBNZ.
    pub fn compare_branch(&mut self, nonzero: bool, rn: Reg, offset: i32) -> Flow {
        let target = self.target(self.pc_read().wrapping_add_signed(offset));
        let v = self.reg(rn);
        if nonzero {
            self.b.exit_if_nonzero(v, target);
        } else {
            self.b.exit_if_zero(v, target);
        }
        Flow::Next
    }

    /// TBB and TBH: forward by twice the table's entry.
    pub fn table_branch(&mut self, half: bool, rn: Reg, rm: Reg) -> Flow {
        let base = self.reg(rn);
        let index = self.reg(rm);
        let entry = if half {
            self.b.load(Op::Load16, base, index, 1, 0)
        } else {
            self.b.load(Op::Load8, base, index, 0, 0)
        };
        let distance = self.b.op1i(Op::Shl, entry, 1);
        let target = self.add_const(distance, self.pc_read() | 1);
        self.b.jump_ind(target);
        Flow::Ended
    }
}
