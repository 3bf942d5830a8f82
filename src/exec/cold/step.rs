//! One instruction: data processing and branches; loads and stores are next door.
//!
//! `None` means that the instruction is left to translated code. Core registers and flags are unchanged then: they are
//! written when nothing can go wrong any more. Of a transfer of several registers, memory or floating-point registers may
//! have been written; translated code does it again from the start.

use crate::cpu::model::Features;
use crate::cpu::state::{CpuState, NO_EXCLUSIVE};
use crate::ir::interp::arith::{add_with_carry, asr, lsl, lsr, ror};
use crate::ir::interp::parallel;
use crate::isa::insn::{AluOp, Barrier, ExtendFrom, Hint, Insn, Operand, Reg, RevOp, Shift, TestOp};
use std::sync::atomic::{Ordering, fence};

/// Where execution goes on.
pub(super) enum Flow {
    Next,
    /// T bit in bit 0.
    Branch(u32),
    /// A system call with this immediate, then the next instruction.
    Call(u32),
}

/// A value shifted, and the shifter's carry (`None`: C stays). `amount` as in [`Operand::ShiftImm`], or a register's
/// bottom byte.
fn shifted(value: u32, shift: Shift, amount: u32, carry: bool) -> (u32, Option<bool>) {
    let (value, carry) = match (shift, amount) {
        (Shift::Rrx, _) => (u32::from(carry) << 31 | value >> 1, value & 1 != 0),
        (_, 0) => return (value, None),
        (Shift::Lsl, _) => lsl(value, amount),
        (Shift::Lsr, _) => lsr(value, amount),
        (Shift::Asr, _) => asr(value, amount),
        (Shift::Ror, _) => ror(value, amount),
    };
    (value, Some(carry))
}

/// Whether a hint may be ignored here.
fn is_nothing(hint: Hint) -> bool {
    !matches!(hint, Hint::Wfe | Hint::Wfi)
}

fn data_barrier(barrier: Barrier) -> Option<Flow> {
    matches!(barrier, Barrier::Dmb | Barrier::Dsb).then(|| {
        fence(Ordering::SeqCst);
        Flow::Next
    })
}

/// A state about to execute an instruction.
pub(super) struct Stepper<'a> {
    pub state: &'a mut CpuState,
    pub features: Features,
    size: u8,
}

impl<'a> Stepper<'a> {
    pub fn new(state: &'a mut CpuState, features: Features, size: u8) -> Stepper<'a> {
        Stepper {
            state,
            features,
            size,
        }
    }

    fn thumb(&self) -> bool {
        self.state.thumb != 0
    }

    /// The pc as instructions read it.
    pub fn pc_read(&self) -> u32 {
        self.state.r[15].wrapping_add(if self.thumb() { 4 } else { 8 })
    }

    pub fn reg(&self, r: Reg) -> u32 {
        match r {
            Reg::PC => self.pc_read(),
            Reg(r) => self.state.r[usize::from(r & 15)],
        }
    }

    /// Writes a register that is not the pc.
    pub fn set(&mut self, r: Reg, value: u32) -> Option<()> {
        if r == Reg::PC {
            return None;
        }
        self.state.r[usize::from(r.0 & 15)] = value;
        Some(())
    }

    fn set_then_next(&mut self, r: Reg, value: u32) -> Option<Flow> {
        self.set(r, value)?;
        Some(Flow::Next)
    }

    fn set_nz(&mut self, value: u32) {
        self.state.nz = (value >> 24) as u8 & 0x80 | u8::from(value == 0) << 6;
    }

    fn set_c(&mut self, carry: Option<bool>) {
        if let Some(c) = carry {
            self.state.c = u8::from(c);
        }
    }

    fn carry(&self) -> bool {
        self.state.c != 0
    }

    pub fn shift(&self, value: u32, shift: Shift, amount: u32) -> u32 {
        shifted(value, shift, amount, self.carry()).0
    }

    /// The flexible operand and the shifter's carry.
    fn operand(&self, src: Operand) -> (u32, Option<bool>) {
        match src {
            Operand::Imm { value, carry } => (value, carry),
            Operand::Reg(rm) => (self.reg(rm), None),
            Operand::ShiftImm { rm, shift, amount } => {
                shifted(self.reg(rm), shift, amount.into(), self.carry())
            }
            Operand::ShiftReg { rm, shift, rs } => {
                shifted(self.reg(rm), shift, self.reg(rs) & 0xff, self.carry())
            }
        }
    }

    /// The address of the next instruction, T bit in bit 0.
    fn next_target(&self) -> u32 {
        self.state.r[15].wrapping_add(self.size.into()) | u32::from(self.thumb())
    }

    /// ALUWritePC.
    fn alu_write_pc(&self, value: u32) -> Flow {
        if self.thumb() || !self.features.contains(Features::V7) {
            return self.branch_write_pc(value);
        }
        Flow::Branch(value)
    }

    /// BranchWritePC.
    pub fn branch_write_pc(&self, value: u32) -> Flow {
        Flow::Branch(if self.thumb() { value | 1 } else { value & !3 })
    }

    fn alu(&mut self, op: AluOp, s: bool, rd: Reg, rn: Reg, src: Operand) -> Option<Flow> {
        let (m, shifter) = self.operand(src);
        let (n, c) = (self.reg(rn), self.carry());
        let logic = |value| (value, None);
        let sum = |x, y, carry| {
            let (value, c, v) = add_with_carry(x, y, carry);
            (value, Some((c, v)))
        };
        let (value, carry_overflow) = match op {
            AluOp::And => logic(n & m),
            AluOp::Eor => logic(n ^ m),
            AluOp::Orr => logic(n | m),
            AluOp::Bic => logic(n & !m),
            AluOp::Orn => logic(n | !m),
            AluOp::Add => sum(n, m, false),
            AluOp::Adc => sum(n, m, c),
            AluOp::Sub => sum(n, !m, true),
            AluOp::Sbc => sum(n, !m, c),
            AluOp::Rsb => sum(m, !n, true),
            AluOp::Rsc => sum(m, !n, c),
        };
        if rd == Reg::PC {
            return (!s).then(|| self.alu_write_pc(value));
        }
        self.set(rd, value)?;
        if s {
            self.set_flags(value, carry_overflow, shifter);
        }
        Some(Flow::Next)
    }

    /// The flags of arithmetic (with carry and overflow) or logic (with the shifter's carry).
    fn set_flags(&mut self, value: u32, carry_overflow: Option<(bool, bool)>, shifter: Option<bool>) {
        self.set_nz(value);
        match carry_overflow {
            Some((c, v)) => (self.state.c, self.state.v) = (u8::from(c), u8::from(v)),
            None => self.set_c(shifter),
        }
    }

    fn test(&mut self, op: TestOp, rn: Reg, src: Operand) -> Option<Flow> {
        let (m, shifter) = self.operand(src);
        let n = self.reg(rn);
        let arithmetic = |y, carry| {
            let (value, c, v) = add_with_carry(n, y, carry);
            (value, Some((c, v)))
        };
        let (value, carry_overflow) = match op {
            TestOp::Tst => (n & m, None),
            TestOp::Teq => (n ^ m, None),
            TestOp::Cmp => arithmetic(!m, true),
            TestOp::Cmn => arithmetic(m, false),
        };
        self.set_flags(value, carry_overflow, shifter);
        Some(Flow::Next)
    }

    /// MOV, the shifts, and MVN.
    fn mov(&mut self, s: bool, rd: Reg, src: Operand, not: bool) -> Option<Flow> {
        let (value, shifter) = self.operand(src);
        let value = if not { !value } else { value };
        if rd == Reg::PC {
            return (!s).then(|| self.alu_write_pc(value));
        }
        self.set(rd, value)?;
        if s {
            self.set_flags(value, None, shifter);
        }
        Some(Flow::Next)
    }

    fn branch_link(&mut self, offset: i32, exchange: bool) -> Flow {
        let pc = self.pc_read();
        let target = match (exchange, self.thumb()) {
            (false, thumb) => pc.wrapping_add_signed(offset) & !1 | u32::from(thumb),
            (true, false) => pc.wrapping_add_signed(offset) | 1,
            (true, true) => (pc & !3).wrapping_add_signed(offset) & !3,
        };
        self.state.r[14] = self.next_target();
        Flow::Branch(target)
    }

    /// A branch by `offset` in the same instruction set.
    fn branch(&self, offset: i32) -> Flow {
        Flow::Branch(self.pc_read().wrapping_add_signed(offset) & !1 | u32::from(self.thumb()))
    }

    /// Multiplication and division.
    fn multiply(&mut self, insn: &Insn) -> Option<Flow> {
        let (rd, value, s) = match *insn {
            Insn::Mul { s, rd, rn, rm } => (rd, self.reg(rn).wrapping_mul(self.reg(rm)), s),
            Insn::Mla { s, rd, rn, rm, ra } => {
                let product = self.reg(rn).wrapping_mul(self.reg(rm));
                (rd, product.wrapping_add(self.reg(ra)), s)
            }
            Insn::Mls { rd, rn, rm, ra } => {
                let product = self.reg(rn).wrapping_mul(self.reg(rm));
                (rd, self.reg(ra).wrapping_sub(product), false)
            }
            Insn::Div { signed, rd, rn, rm } => {
                let (n, m) = (self.reg(rn), self.reg(rm));
                let value = match (m, signed) {
                    (0, _) => 0,
                    (_, true) => (n as i32).wrapping_div(m as i32) as u32,
                    (_, false) => n / m,
                };
                (rd, value, false)
            }
            _ => return None,
        };
        self.set(rd, value)?;
        if s {
            self.set_nz(value);
        }
        Some(Flow::Next)
    }

    fn multiply_long(&mut self, insn: &Insn) -> Option<Flow> {
        let Insn::MulLong {
            signed,
            accumulate,
            s,
            rdlo,
            rdhi,
            rn,
            rm,
        } = *insn
        else {
            return None;
        };
        if rdlo == Reg::PC || rdhi == Reg::PC {
            return None;
        }
        let (n, m) = (self.reg(rn), self.reg(rm));
        let product = match signed {
            true => (i64::from(n as i32) * i64::from(m as i32)) as u64,
            false => u64::from(n) * u64::from(m),
        };
        let sum = match accumulate {
            true => u64::from(self.reg(rdhi)) << 32 | u64::from(self.reg(rdlo)),
            false => 0,
        };
        let value = product.wrapping_add(sum);
        self.set(rdlo, value as u32)?;
        self.set(rdhi, (value >> 32) as u32)?;
        if s {
            self.state.nz = (value >> 56) as u8 & 0x80 | u8::from(value == 0) << 6;
        }
        Some(Flow::Next)
    }

    fn extend(&mut self, insn: &Insn) -> Option<Flow> {
        let Insn::Extend {
            signed,
            from,
            rd,
            rn,
            rm,
            rotate,
        } = *insn
        else {
            return None;
        };
        let m = self.reg(rm).rotate_right(rotate.into());
        let value = match (from, signed) {
            (ExtendFrom::Byte, false) => m & 0xff,
            (ExtendFrom::Byte, true) => m as i8 as u32,
            (ExtendFrom::Half, false) => m & 0xffff,
            (ExtendFrom::Half, true) => m as i16 as u32,
            (ExtendFrom::Byte16, _) => return None,
        };
        let base = rn.map_or(0, |rn| self.reg(rn));
        self.set_then_next(rd, base.wrapping_add(value))
    }

    /// Bit fields: BFC, BFI, SBFX, UBFX.
    fn field(&mut self, insn: &Insn) -> Option<Flow> {
        let mask = |width: u8| u32::MAX >> (32 - u32::from(width).clamp(1, 32));
        let (rd, value) = match *insn {
            Insn::Bfc { rd, lsb, width } => (rd, self.reg(rd) & !(mask(width) << (lsb & 31))),
            Insn::Bfi { rd, rn, lsb, width } => {
                let field = mask(width) << (lsb & 31);
                (rd, self.reg(rd) & !field | self.reg(rn) << (lsb & 31) & field)
            }
            Insn::Bfx {
                signed,
                rd,
                rn,
                lsb,
                width,
            } => {
                let value = self.reg(rn) >> (lsb & 31) & mask(width);
                let unused = 32 - u32::from(width).clamp(1, 32);
                match signed {
                    true => (rd, ((value << unused) as i32 >> unused) as u32),
                    false => (rd, value),
                }
            }
            _ => return None,
        };
        self.set_then_next(rd, value)
    }

    fn reverse(&mut self, op: RevOp, rd: Reg, rm: Reg) -> Option<Flow> {
        let m = self.reg(rm);
        let value = match op {
            RevOp::Rev => m.swap_bytes(),
            RevOp::Rev16 => m.swap_bytes().rotate_left(16),
            RevOp::Revsh => (m as u16).swap_bytes() as i16 as u32,
            RevOp::Rbit => m.reverse_bits(),
        };
        self.set_then_next(rd, value)
    }

    /// Coprocessor access: the thread pointer is read often.
    fn coprocessor(&mut self, insn: &Insn) -> Option<Flow> {
        match *insn {
            Insn::Coproc {
                load: true,
                cp: 15,
                opc1: 0,
                crn: 13,
                crm: 0,
                opc2: 3,
                rt,
            } if self.features.contains(Features::V6K) => self.set_then_next(rt, self.state.tpidruro),
            _ => None,
        }
    }

    /// Executes `insn`, taken as unconditional, all but its effect on the pc and ITSTATE.
    pub fn step(&mut self, insn: &Insn) -> Option<Flow> {
        use Insn::*;
        match *insn {
            Alu { op, s, rd, rn, src } => self.alu(op, s, rd, rn, src),
            Mov { s, rd, src } => self.mov(s, rd, src, false),
            Mvn { s, rd, src } => self.mov(s, rd, src, true),
            Test { op, rn, src } => self.test(op, rn, src),
            MovW { rd, imm } => self.set_then_next(rd, imm.into()),
            MovT { rd, imm } => self.set_then_next(rd, self.reg(rd) & 0xffff | u32::from(imm) << 16),
            Adr { rd, offset } if rd != Reg::PC => {
                self.set_then_next(rd, (self.pc_read() & !3).wrapping_add_signed(offset))
            }

            Mul { .. } | Mla { .. } | Mls { .. } | Div { .. } => self.multiply(insn),
            MulLong { .. } => self.multiply_long(insn),
            Extend { .. } => self.extend(insn),
            Bfc { .. } | Bfi { .. } | Bfx { .. } => self.field(insn),
            Parallel { kind, op, rd, rn, rm } => {
                let (value, ge) = parallel(kind as u8 * 8 + op as u8, self.reg(rn), self.reg(rm));
                self.set(rd, value)?;
                self.state.ge = ge.unwrap_or(self.state.ge);
                Some(Flow::Next)
            }
            Sel { rd, rn, rm } => {
                let ge = self.state.ge;
                self.set_then_next(rd, self.reg(rn) & ge | self.reg(rm) & !ge)
            }
            Rev { op, rd, rm } => self.reverse(op, rd, rm),
            Clz { rd, rm } => self.set_then_next(rd, self.reg(rm).leading_zeros()),

            Load {
                size,
                signed,
                rt,
                addr,
                ..
            } => self.load(size, signed, rt, &addr),
            Store { size, rt, addr, .. } => self.store(size, rt, &addr),
            LoadDual { rt, rt2, addr } => self.load_dual(rt, rt2, &addr),
            StoreDual { rt, rt2, addr } => self.store_dual(rt, rt2, &addr),
            LoadMultiple {
                rn,
                regs,
                mode,
                writeback,
            } => self.load_multiple(rn, regs, mode, writeback),
            StoreMultiple {
                rn,
                regs,
                mode,
                writeback,
            } => self.store_multiple(rn, regs, mode, writeback),
            LoadExclusive {
                size, rt, rn, imm, ..
            } => self.load_exclusive(size, rt, rn, imm),
            StoreExclusive {
                size,
                rd,
                rt,
                rn,
                imm,
                ..
            } => self.store_exclusive(size, rd, rt, rn, imm),
            Clrex => {
                self.state.ex_addr = NO_EXCLUSIVE;
                Some(Flow::Next)
            }
            Preload => Some(Flow::Next),

            B { offset } => Some(self.branch(offset)),
            Bl { offset, exchange } => Some(self.branch_link(offset, exchange)),
            Bx { rm } => Some(Flow::Branch(self.reg(rm))),
            BlxReg { rm } => {
                let target = self.reg(rm);
                self.state.r[14] = self.next_target();
                Some(Flow::Branch(target))
            }
            Cbz { nonzero, rn, offset } => Some(match (self.reg(rn) != 0) == nonzero {
                true => self.branch(offset),
                false => Flow::Next,
            }),
            TableBranch { half, rn, rm } => self.table_branch(half, rn, rm),
            // ITSTATE is the caller's business.
            It { .. } => Some(Flow::Next),

            Svc { imm } => Some(Flow::Call(imm)),
            Hint(hint) => is_nothing(hint).then_some(Flow::Next),
            Barrier(barrier) => data_barrier(barrier),
            Coproc { .. } => self.coprocessor(insn),
            Vfp(ref vfp) => self.transfer_fp(vfp),
            _ => None,
        }
    }
}
