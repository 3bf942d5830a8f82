//! Data processing: arithmetic, logic, moves, comparisons, and what writing the pc with them means.

use super::{Flow, Lifter};
use crate::cpu::model::Features;
use crate::ir::ops::{Flags, Op, Value};
use crate::isa::insn::{AluOp, Operand, Reg, Shift, TestOp};

impl Lifter<'_> {
    /// `rm` shifted by a constant. With `flags`, those flags of the shift are set.
    pub fn shift_imm(&mut self, rm: Value, shift: Shift, amount: u8, flags: Flags) -> Value {
        let (op, amount) = match shift {
            Shift::Lsl => (Op::Shl, amount),
            Shift::Lsr => (Op::Shr, amount),
            Shift::Asr => (Op::Sar, amount),
            Shift::Ror => (Op::Ror, amount),
            Shift::Rrx => (Op::Rrx, 0),
        };
        self.b.op1if(op, rm, u32::from(amount), flags)
    }

    /// The flexible operand. With `flags`, a shift sets those of its flags (C is the shifter's carry-out).
    fn operand_flags(&mut self, src: Operand, flags: Flags) -> Value {
        match src {
            Operand::Imm { value, .. } => self.b.iconst(value),
            Operand::Reg(rm) => self.reg(rm),
            Operand::ShiftImm { rm, shift, amount } => {
                let v = self.reg(rm);
                self.shift_imm(v, shift, amount, flags)
            }
            Operand::ShiftReg { rm, shift, rs } => {
                let v = self.reg(rm);
                let n = self.reg(rs);
                let op = match shift {
                    Shift::Lsl => Op::ShlReg,
                    Shift::Lsr => Op::ShrReg,
                    Shift::Asr => Op::SarReg,
                    Shift::Ror | Shift::Rrx => Op::RorReg,
                };
                self.b.op2f(op, v, n, flags)
            }
        }
    }

    pub fn operand(&mut self, src: Operand) -> Value {
        self.operand_flags(src, Flags::NONE)
    }

    /// C from an immediate whose encoding rotates it.
    fn carry_of_immediate(&mut self, src: Operand) {
        if let Operand::Imm { carry: Some(c), .. } = src {
            let v = self.b.iconst(u32::from(c));
            self.b.op2f(Op::SetC, v, Value::NONE, Flags::C);
        }
    }

    /// Operation, and whether the operands are taken in reverse order.
    fn alu_op(op: AluOp) -> (Op, bool) {
        match op {
            AluOp::And => (Op::And, false),
            AluOp::Eor => (Op::Xor, false),
            AluOp::Sub => (Op::Sub, false),
            AluOp::Rsb => (Op::Sub, true),
            AluOp::Add => (Op::Add, false),
            AluOp::Adc => (Op::Adc, false),
            AluOp::Sbc => (Op::Sbc, false),
            AluOp::Rsc => (Op::Sbc, true),
            AluOp::Orr => (Op::Or, false),
            AluOp::Bic => (Op::AndNot, false),
            AluOp::Orn => (Op::OrNot, false),
        }
    }

    pub fn alu(&mut self, op: AluOp, s: bool, rd: Reg, rn: Reg, src: Operand) -> Flow {
        if s && rd == Reg::PC {
            // SUBS PC, LR and kin: an exception return, not for user mode.
            return self.undefined();
        }
        if let (Reg::PC, Operand::Imm { value, .. }, false, AluOp::Add | AluOp::Sub) = (rn, src, s, op) {
            let pc = self.pc_read();
            let value = if op == AluOp::Add {
                pc.wrapping_add(value)
            } else {
                pc.wrapping_sub(value)
            };
            let v = self.b.iconst(value);
            return self.write_result(rd, v);
        }
        let (ir, swapped) = Self::alu_op(op);
        let logical = matches!(op, AluOp::And | AluOp::Eor | AluOp::Orr | AluOp::Bic | AluOp::Orn);
        let n = self.reg(rn);
        let shift_flags = if s && logical { Flags::C } else { Flags::NONE };
        let m = self.operand_flags(src, shift_flags);
        let flags = match (s, logical) {
            (false, _) => Flags::NONE,
            (true, true) => Flags::NZ,
            (true, false) => Flags::NZCV,
        };
        let (x, y) = if swapped { (m, n) } else { (n, m) };
        let v = self.b.op2f(ir, x, y, flags);
        if s && logical {
            self.carry_of_immediate(src);
        }
        self.write_result(rd, v)
    }

    pub fn test(&mut self, op: TestOp, rn: Reg, src: Operand) -> Flow {
        let (ir, logical) = match op {
            TestOp::Tst => (Op::And, true),
            TestOp::Teq => (Op::Xor, true),
            TestOp::Cmp => (Op::Sub, false),
            TestOp::Cmn => (Op::Add, false),
        };
        let n = self.reg(rn);
        let m = self.operand_flags(src, if logical { Flags::C } else { Flags::NONE });
        let flags = if logical { Flags::NZ } else { Flags::NZCV };
        self.b.op2f(ir, n, m, flags);
        if logical {
            self.carry_of_immediate(src);
        }
        Flow::Next
    }

    /// MOV, the shifts, and MVN.
    pub fn mov(&mut self, s: bool, rd: Reg, src: Operand, not: bool) -> Flow {
        if s && rd == Reg::PC {
            return self.undefined();
        }
        if let (false, Reg::PC, Operand::Reg(Reg::LR)) = (not, rd, src) {
            let lr = self.b.get_reg(14);
            return self.alu_write_pc(lr, true);
        }
        if let Operand::Imm { value, .. } = src {
            let v = self.b.iconst(if not { !value } else { value });
            if s {
                self.b.op2f(Op::TestNz, v, Value::NONE, Flags::NZ);
                self.carry_of_immediate(src);
            }
            return self.write_result(rd, v);
        }
        let shifted = matches!(src, Operand::ShiftImm { .. } | Operand::ShiftReg { .. });
        let v = match (s, not, shifted) {
            (false, false, _) => self.operand(src),
            (false, true, _) => {
                let v = self.operand(src);
                self.b.op1(Op::Not, v)
            }
            (true, false, true) => self.operand_flags(src, Flags::NZC),
            (true, false, false) => {
                let v = self.operand(src);
                self.b.op2f(Op::TestNz, v, Value::NONE, Flags::NZ);
                v
            }
            (true, true, _) => {
                let v = self.operand_flags(src, Flags::C);
                self.b.op2f(Op::Not, v, Value::NONE, Flags::NZ)
            }
        };
        self.write_result(rd, v)
    }

    pub fn movw(&mut self, rd: Reg, imm: u16) -> Flow {
        let v = self.b.iconst(u32::from(imm));
        self.set(rd, v);
        Flow::Next
    }

    pub fn movt(&mut self, rd: Reg, imm: u16) -> Flow {
        let high = u32::from(imm) << 16;
        // MOVW/MOVT pairs are one constant.
        let v = match self.b.known_const(rd.0) {
            Some(low) => self.b.iconst(low & 0xffff | high),
            None => {
                let old = self.reg(rd);
                let half = self.b.iconst(u32::from(imm));
                self.b.bfi(old, half, 16, 16)
            }
        };
        self.set(rd, v);
        Flow::Next
    }

    pub fn adr(&mut self, rd: Reg, offset: i32) -> Flow {
        let v = self.pc_aligned().wrapping_add_signed(offset);
        let v = self.b.iconst(v);
        self.write_result(rd, v)
    }

    fn write_result(&mut self, rd: Reg, v: Value) -> Flow {
        if rd == Reg::PC {
            return self.alu_write_pc(v, false);
        }
        self.set(rd, v);
        Flow::Next
    }

    /// ALUWritePC: interworks in A32 from ARMv7 on, else
    /// stays in the instruction set.
    fn alu_write_pc(&mut self, v: Value, is_return: bool) -> Flow {
        if self.thumb || !self.has(Features::V7) {
            return self.branch_write_pc(v, is_return);
        }
        self.branch_to(v, is_return)
    }

    /// BranchWritePC: the instruction set stays.
    pub fn branch_write_pc(&mut self, v: Value, is_return: bool) -> Flow {
        let v = if self.thumb {
            let one = self.b.iconst(1);
            self.b.op2(Op::Or, v, one)
        } else {
            let mask = self.b.iconst(!3);
            self.b.op2(Op::And, v, mask)
        };
        self.branch_to(v, is_return)
    }
}
