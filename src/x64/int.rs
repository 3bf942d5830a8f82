//! Integer operations, registers, flags as data.

use super::asm::{Alu, Cc, Enc, Mem, Rm, Sh};
use super::emit::Emitter;
use super::flags::{C, NZ, Test, V};
use super::regs::{PINNED, RAX, RCX, RDX, disp};
use super::stubs::Helper;
use crate::cpu::state::CpuState;
use crate::ir::ops::{Flags, Inst, Op, Value};
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use std::mem::offset_of;

const Q: i32 = disp(offset_of!(CpuState, q));
const GE: i32 = disp(offset_of!(CpuState, ge));

impl Emitter<'_> {
    pub(super) fn int(&mut self, inst: &Inst) {
        match inst.op {
            Op::GetReg => {
                // An earlier value of the same register keeps a place of its own.
                self.leave_home(inst.imm as u8);
                self.home[inst.imm as usize] = Value(self.at as u32);
            }
            Op::SetReg => self.set_reg(inst.imm as u8, inst.a),
            Op::GetS | Op::GetD | Op::SetS | Op::SetD => self.fp_context(inst),
            Op::GetNzcv => {
                self.spill_flags(self.flags.eflags - self.flags.mem);
                let dst = self.def();
                let tmp = self.alloc_gpr();
                self.pack_nzcv(dst, tmp);
            }
            Op::SetNzcv => self.set_nzcv(inst),
            Op::SetC => self.set_c(inst),
            Op::TestNz => {
                if !inst.flags.is_empty() {
                    self.pre_clobber(inst.flags);
                    let r = self.reg(inst.a);
                    self.asm.test_rr(r, r);
                    self.flags_set(inst.flags, false);
                }
            }
            Op::TestNz64 => {
                if !inst.flags.is_empty() {
                    self.pre_clobber(inst.flags);
                    let r = self.reg(inst.a);
                    self.asm.op(Enc::new(0x85).w(), r, Rm::Reg(r));
                    self.flags_set(inst.flags, false);
                }
            }
            Op::SetCond => self.set_cond(inst),
            Op::GetQ => {
                let dst = self.def();
                self.asm.op(Enc::of(0xb6), dst, Mem::state(Q).into());
            }
            Op::SetQ => {
                self.pre_clobber(Flags::NONE);
                let t = self.alloc_gpr();
                self.copy_to(t, inst.a);
                self.asm.alu_i(Alu::And, Rm::Reg(t), 1);
                self.asm.op(Enc::new(0x88).byte(), t, Mem::state(Q).into());
                self.clobbered();
            }
            Op::GetGe => {
                let dst = self.def();
                self.asm.mov_rm(dst, Mem::state(GE).into());
            }
            Op::SetGe => {
                let r = self.reg(inst.a);
                self.asm.store(Mem::state(GE), r);
            }
            Op::GetSys => {
                let dst = self.def();
                self.asm.mov_rm(dst, Mem::state(sys_disp(inst.imm)).into());
            }
            Op::SetSys => {
                let r = self.reg(inst.a);
                self.asm.store(Mem::state(sys_disp(inst.imm)), r);
            }
            Op::Add => self.add(inst),
            Op::Sub => self.sub(inst),
            Op::Adc => self.adc(inst),
            Op::Sbc => self.sbc(inst),
            Op::And => self.logic(inst, Alu::And),
            Op::Or => self.logic(inst, Alu::Or),
            Op::Xor => self.logic(inst, Alu::Xor),
            Op::AndNot => self.logic_not(inst, Alu::And),
            Op::OrNot => self.logic_not(inst, Alu::Or),
            Op::Not => {
                self.pre_clobber_if_flags(inst.flags);
                let dst = self.unary_dst(inst.a);
                self.asm.not(dst);
                self.nz_after(dst, inst.flags);
            }
            Op::Shl | Op::Shr | Op::Sar | Op::Ror | Op::Rrx => self.shift(inst),
            Op::ShlReg | Op::ShrReg | Op::SarReg | Op::RorReg => self.shift_reg(inst),
            Op::Mul => self.mul(inst),
            Op::UDiv | Op::SDiv => self.div(inst),
            Op::Clz => self.clz(inst),
            Op::Rbit => self.rbit(inst),
            Op::Rev => {
                let dst = self.unary_dst(inst.a);
                self.bswap(dst);
            }
            Op::Rev16 => {
                self.pre_clobber(Flags::NONE);
                let dst = self.unary_dst(inst.a);
                self.bswap(dst);
                self.asm.shift_i(Sh::Ror, dst, 16);
                self.clobbered();
            }
            Op::Sext8 | Op::Sext16 | Op::Zext8 | Op::Zext16 => self.extend(inst),
            Op::Ubfx | Op::Sbfx => self.bit_field(inst),
            Op::Bfi => self.bfi(inst),
            Op::Select => self.select(inst),
            Op::BitSelect => self.bit_select(inst),
            Op::Crc32 if inst.aux & 1 == 1 => self.crc32c(inst),
            Op::UMul64
            | Op::SMul64
            | Op::Add64
            | Op::Sub64
            | Op::Concat
            | Op::Lo
            | Op::Hi
            | Op::Sext64
            | Op::Sar64 => self.wide(inst),
            Op::QAdd | Op::QSub => self.saturating(inst),
            Op::AddSetQ => {
                self.pre_clobber(Flags::NONE);
                let rb = self.rm(inst.b);
                let t = self.alloc_gpr();
                self.copy_to(t, inst.a);
                self.asm.alu(Alu::Add, t, rb);
                self.set_q_if(Cc::O);
                self.clobbered();
                self.finish_in(t);
            }
            Op::NarrowSetQ => {
                self.pre_clobber(Flags::NONE);
                let a = self.reg(inst.a);
                let t = self.alloc_gpr();
                self.asm.op(Enc::new(0x63).w(), t, Rm::Reg(a));
                self.asm.alu64(Alu::Cmp, t, Rm::Reg(a));
                self.set_q_if(Cc::Ne);
                self.clobbered();
                self.asm.mov_rr(t, a);
                // The upper half must be clear even when the two were one register.
                self.asm.op(Enc::new(0x8b), t, Rm::Reg(t));
                self.finish_in(t);
            }
            Op::SSat | Op::USat => self.saturate(inst),
            Op::Parallel => self.parallel(inst),
            Op::Crc32 | Op::SSat16 | Op::USat16 | Op::Usada8 => self.int_helper(inst),
            _ => unreachable!("{:?} is not an integer operation", inst.op),
        }
    }

    fn pre_clobber_if_flags(&mut self, f: Flags) {
        if !f.is_empty() {
            self.pre_clobber(f);
        }
    }

    /// The current value is in scratch register `t`: moves it to its pinned register, or leaves it there.
    pub(super) fn finish_in(&mut self, t: u8) {
        if self.unused() {
            return;
        }
        match self.def_hinted() {
            Some(dst) => self.asm.mov_rr(dst, t),
            None => self.def_in(t),
        }
    }

    /// Q |= `cc`. EFLAGS are destroyed.
    fn set_q_if(&mut self, cc: Cc) {
        let over = self.jcc_over(cc.invert());
        dynasm!(self.asm.ops; .arch x64; mov BYTE [BYTE rbp + Q as i8], 1);
        self.asm.bind(over);
    }

    /// Destination of a one-operand operation, with the operand's value in it.
    fn unary_dst(&mut self, a: Value) -> u8 {
        if let Some(k) = self.imm(a) {
            let dst = self.def();
            self.asm.mov_ri(dst, k);
            return dst;
        }
        let src = self.rm(a);
        let dst = self.def_over(a);
        self.asm.mov_rm(dst, src);
        dst
    }

    /// N and Z of `r`, if they are wanted.
    fn nz_after(&mut self, r: u8, f: Flags) {
        if !f.is_empty() {
            self.asm.test_rr(r, r);
            self.flags_set(f, false);
        }
    }

    fn set_reg(&mut self, r: u8, v: Value) {
        if self.home[usize::from(r)] == v {
            return;
        }
        self.leave_home(r);
        match (PINNED[usize::from(r)], self.imm(v)) {
            (Some(h), Some(0)) if self.eflags_free() && self.flags.eflags.is_empty() => {
                self.asm.alu(Alu::Xor, h, Rm::Reg(h));
                self.clobbered();
            }
            (Some(h), Some(k)) => self.asm.mov_ri(h, k),
            (Some(h), None) => {
                let rm = self.rm(v);
                self.asm.mov_rm(h, rm);
            }
            (None, Some(k)) => self.asm.store_imm(Self::reg_mem(r), k),
            (None, None) => {
                let s = self.reg(v);
                self.asm.store(Self::reg_mem(r), s);
            }
        }
        self.home[usize::from(r)] = v;
    }

    fn set_nzcv(&mut self, inst: &Inst) {
        if inst.flags.is_empty() {
            return;
        }
        self.pre_clobber(inst.flags);
        let r = self.reg(inst.a);
        let t = self.alloc_gpr();
        if inst.flags.intersects(Flags::NZ) {
            self.asm.mov_rr(t, r);
            self.asm.shift_i(Sh::Shr, t, 24);
            self.asm.op(Enc::new(0x88).byte(), t, Mem::state(NZ).into());
        }
        for (flag, at, shift) in [(Flags::C, C, 29), (Flags::V, V, 28)] {
            if inst.flags.intersects(flag) {
                self.asm.mov_rr(t, r);
                self.asm.shift_i(Sh::Shr, t, shift);
                self.asm.alu_i(Alu::And, Rm::Reg(t), 1);
                self.asm.op(Enc::new(0x88).byte(), t, Mem::state(at).into());
            }
        }
        self.clobbered();
        self.flags.mem = self.flags.mem | inst.flags;
    }

    fn set_c(&mut self, inst: &Inst) {
        if !inst.flags.contains(Flags::C) {
            return;
        }
        if self.flags.float {
            self.spill_flags(self.flags.eflags - self.flags.mem);
        }
        if let Some(k) = self.imm(inst.a) {
            dynasm!(self.asm.ops; .arch x64; mov BYTE [BYTE rbp + C as i8], (k & 1) as i8);
        } else {
            self.pre_clobber(Flags::C);
            let t = self.alloc_gpr();
            self.copy_to(t, inst.a);
            self.asm.alu_i(Alu::And, Rm::Reg(t), 1);
            self.asm.op(Enc::new(0x88).byte(), t, Mem::state(C).into());
            self.clobbered();
        }
        self.flags.eflags = self.flags.eflags - Flags::C;
        self.flags.mem = self.flags.mem | Flags::C;
    }

    fn set_cond(&mut self, inst: &Inst) {
        let test = self.test_cond(inst.cond, Flags::NONE);
        let t = self.alloc_gpr();
        match test {
            Test::Always => self.asm.mov_ri(t, 1),
            Test::One(cc) => {
                self.asm.mov_ri(t, 0);
                self.asm.setcc(cc, Rm::Reg(t));
            }
            Test::Or(a, b) | Test::And(a, b) => {
                let or = matches!(test, Test::Or(..));
                self.asm.mov_ri(t, u32::from(or));
                let (a, b) = if or { (a, b) } else { (a.invert(), b.invert()) };
                let done = self.jcc_over(a);
                let done2 = self.jcc_over(b);
                self.asm.mov_ri(t, u32::from(!or));
                self.asm.bind(done);
                self.asm.bind(done2);
            }
        }
        self.finish_in(t);
    }

    fn add(&mut self, inst: &Inst) {
        let (mut a, mut b) = (inst.a, inst.b);
        if self.imm(a).is_some() {
            (a, b) = (b, a);
        }
        if inst.flags.is_empty() {
            return self.add_plain(a, b);
        }
        self.pre_clobber(inst.flags);
        self.alu2(Alu::Add, a, b, true);
        self.flags_set(inst.flags, false);
    }

    /// Addition without flags: LEA where it saves a move or EFLAGS.
    fn add_plain(&mut self, a: Value, b: Value) {
        if let (Some(x), Some(y)) = (self.imm(a), self.imm(b)) {
            let dst = self.def();
            return self.asm.mov_ri(dst, x.wrapping_add(y));
        }
        let free = self.eflags_free();
        if let Some(k) = self.imm(b) {
            let src = self.rm(a);
            let Rm::Reg(ra) = src else {
                // From memory: load, then add in place.
                let dst = self.def();
                self.asm.mov_rm(dst, src);
                return self.add_imm_in_place(dst, k, free);
            };
            let dst = self.def_over(a);
            if dst == ra {
                return self.add_imm_in_place(dst, k, free);
            }
            return self.asm.lea(dst, Mem::at(ra, k as i32));
        }
        let ra = self.reg(a);
        let rb = if free { self.rm(b) } else { Rm::Reg(self.reg(b)) };
        let dst = self.def_over(a);
        match rb {
            Rm::Reg(r) if dst == ra && free => self.plain_alu(Alu::Add, dst, Rm::Reg(r)),
            Rm::Reg(r) if dst == r && free => self.plain_alu(Alu::Add, dst, Rm::Reg(ra)),
            Rm::Reg(r) => {
                let m = Mem {
                    base: Some(ra),
                    index: Some((r, 0)),
                    disp: 0,
                    addr32: false,
                    gs: false,
                };
                self.asm.lea(dst, m);
            }
            m => {
                self.asm.mov_rr(dst, ra);
                self.plain_alu(Alu::Add, dst, m);
            }
        }
    }

    fn add_imm_in_place(&mut self, dst: u8, k: u32, free: bool) {
        if free {
            self.asm.alu_i(Alu::Add, Rm::Reg(dst), k);
            self.clobbered();
        } else {
            self.asm.lea(dst, Mem::at(dst, k as i32));
        }
    }

    fn plain_alu(&mut self, op: Alu, dst: u8, rm: Rm) {
        self.asm.alu(op, dst, rm);
        self.clobbered();
    }

    fn sub(&mut self, inst: &Inst) {
        if inst.flags.is_empty() {
            if let (Some(k), None) = (self.imm(inst.b), self.imm(inst.a)) {
                return self.sub_imm(inst.a, k);
            }
            if !self.eflags_free() && self.imm(inst.b).is_none() {
                return self.sub_keeping_flags(inst.a, inst.b);
            }
            self.pre_clobber(Flags::NONE);
            self.alu2(Alu::Sub, inst.a, inst.b, false);
            return self.clobbered();
        }
        self.pre_clobber(inst.flags);
        if self.unused() {
            // A comparison.
            match self.imm(inst.b) {
                Some(0) if self.imm(inst.a).is_none() => {
                    // Against zero: TEST gives the same N and Z, V = 0, but CF = 0 where ARM's C is 1: CF inverted is 1.
                    let a = self.reg(inst.a);
                    self.asm.test_rr(a, a);
                }
                Some(k) => {
                    let a = self.rm(inst.a);
                    self.asm.alu_i(Alu::Cmp, a, k);
                }
                None => {
                    let a = self.reg(inst.a);
                    let b = self.rm(inst.b);
                    self.asm.alu(Alu::Cmp, a, b);
                }
            }
        } else {
            self.alu2(Alu::Sub, inst.a, inst.b, false);
        }
        self.flags_set(inst.flags, true);
    }

    /// a - b as a + !b + 1: neither NOT nor LEA touches EFLAGS.
    fn sub_keeping_flags(&mut self, a: Value, b: Value) {
        let base = self.imm(a).is_none().then(|| self.reg(a));
        let t = self.alloc_gpr();
        self.copy_to(t, b);
        self.asm.not(t);
        let m = match (base, self.imm(a)) {
            (Some(r), _) => Mem {
                base: Some(r),
                index: Some((t, 0)),
                disp: 1,
                addr32: false,
                gs: false,
            },
            (None, k) => Mem::at(t, k.unwrap_or(0).wrapping_add(1) as i32),
        };
        let dst = self.def_hinted();
        self.asm.lea(dst.unwrap_or(t), m);
        if dst.is_none() && !self.unused() {
            self.def_in(t);
        }
    }

    fn sub_imm(&mut self, a: Value, k: u32) {
        let free = self.eflags_free();
        let src = self.rm(a);
        let dst = self.def_over(a);
        match src {
            Rm::Reg(ra) if ra != dst => self.asm.lea(dst, Mem::at(ra, k.wrapping_neg() as i32)),
            _ => {
                self.asm.mov_rm(dst, src);
                self.add_imm_in_place(dst, k.wrapping_neg(), free);
            }
        }
    }

    /// `dst = a op b` in two-operand form; an unused result goes to a scratch register.
    fn alu2(&mut self, op: Alu, a: Value, b: Value, commutes: bool) {
        if let Some(k) = self.imm(b) {
            let dst = self.unary_dst(a);
            return self.asm.alu_i(op, Rm::Reg(dst), k);
        }
        let rb = self.rm(b);
        if let (Some(0), Alu::Sub) = (self.imm(a), op) {
            // NEG sets the flags of 0 - b.
            let dst = self.def_over(b);
            self.asm.mov_rm(dst, rb);
            return self.asm.neg(dst);
        }
        if let Some(k) = self.imm(a) {
            let dst = self.def();
            if rb != Rm::Reg(dst) {
                self.asm.mov_ri(dst, k);
                return self.asm.alu(op, dst, rb);
            }
            let t = self.alloc_gpr();
            self.asm.mov_ri(t, k);
            self.asm.alu(op, t, rb);
            return self.asm.mov_rr(dst, t);
        }
        let ra = self.rm(a);
        let dst = self.def_over(a);
        if ra == Rm::Reg(dst) {
            self.asm.alu(op, dst, rb);
        } else if rb != Rm::Reg(dst) {
            self.asm.mov_rm(dst, ra);
            self.asm.alu(op, dst, rb);
        } else if commutes {
            self.asm.alu(op, dst, ra);
        } else {
            let t = self.alloc_gpr();
            self.asm.mov_rm(t, ra);
            self.asm.alu(op, t, rb);
            self.asm.mov_rr(dst, t);
        }
    }

    fn adc(&mut self, inst: &Inst) {
        self.pre_clobber(inst.flags);
        self.ensure_carry(false);
        self.alu2(Alu::Adc, inst.a, inst.b, true);
        self.after_carry_op(inst.flags, false);
    }

    fn sbc(&mut self, inst: &Inst) {
        self.pre_clobber(inst.flags);
        self.ensure_carry(true);
        self.alu2(Alu::Sbb, inst.a, inst.b, false);
        self.after_carry_op(inst.flags, true);
    }

    fn after_carry_op(&mut self, f: Flags, inverted: bool) {
        if f.is_empty() {
            self.clobbered();
        } else {
            self.flags_set(f, inverted);
        }
    }

    fn logic(&mut self, inst: &Inst, op: Alu) {
        self.pre_clobber(inst.flags);
        let (mut a, mut b) = (inst.a, inst.b);
        if self.imm(a).is_some() {
            (a, b) = (b, a);
        }
        if op != Alu::And && self.unused() && self.imm(b) == Some(0) && self.imm(a).is_none() {
            let ra = self.reg(a);
            self.asm.test_rr(ra, ra);
        } else if op == Alu::And && self.unused() && !inst.flags.is_empty() && self.imm(a).is_none() {
            match self.imm(b) {
                Some(k) => {
                    let ra = self.rm(a);
                    self.asm.test_ri(ra, k);
                }
                None => {
                    let (ra, rb) = (self.reg(a), self.reg(b));
                    self.asm.test_rr(ra, rb);
                }
            }
        } else {
            self.alu2(op, a, b, true);
        }
        self.after_carry_op(inst.flags, false);
    }

    /// a op !b.
    fn logic_not(&mut self, inst: &Inst, op: Alu) {
        self.pre_clobber(inst.flags);
        if let Some(k) = self.imm(inst.b) {
            let dst = self.unary_dst(inst.a);
            self.asm.alu_i(op, Rm::Reg(dst), !k);
        } else {
            let ra = if self.imm(inst.a).is_some() {
                Rm::Reg(self.reg(inst.a))
            } else {
                self.rm(inst.a)
            };
            let t = self.alloc_gpr();
            self.copy_to(t, inst.b);
            self.asm.not(t);
            self.asm.alu(op, t, ra);
            self.finish_in(t);
        }
        self.after_carry_op(inst.flags, false);
    }

    fn shift(&mut self, inst: &Inst) {
        let n = inst.imm as u8;
        if inst.op == Op::Shl && inst.flags.is_empty() && n <= 3 {
            let ra = self.reg(inst.a);
            let dst = self.def_over(inst.a);
            if dst == ra && self.eflags_free() {
                self.asm.shift_i(Sh::Shl, dst, n);
                return self.clobbered();
            }
            let m = Mem {
                base: None,
                index: Some((ra, n)),
                disp: 0,
                addr32: false,
                gs: false,
            };
            if n == 1 {
                return self.asm.lea(
                    dst,
                    Mem {
                        base: Some(ra),
                        index: Some((ra, 0)),
                        ..m
                    },
                );
            }
            return self.asm.lea(dst, m);
        }
        let count = match inst.op {
            Op::Shl => Some(0x66),
            Op::Shr if n < 32 => Some(0xf2),
            Op::Sar if n < 32 => Some(0xf3),
            _ => None,
        };
        if let (Some(prefix), true, true, false) = (
            count,
            inst.flags.is_empty(),
            self.opts.host.bmi2,
            self.eflags_free(),
        ) {
            // SHLX, SHRX, SARX leave EFLAGS alone; they want the count in a register.
            let a = self.rm_or_const(inst.a);
            let c = self.alloc_gpr();
            self.asm.mov_ri(c, u32::from(n));
            let dst = self.def_over(inst.a);
            return self.asm.vex(Enc::of(0xf7).prefix(prefix).map(2), dst, c, a);
        }
        self.pre_clobber(inst.flags);
        if inst.op == Op::Rrx {
            self.ensure_carry(false);
        }
        if inst.op == Op::Ror && inst.flags.is_empty() && self.opts.host.bmi2 && self.imm(inst.a).is_none() {
            let ra = self.rm(inst.a);
            let dst = self.def_over(inst.a);
            // rorx dst, ra, n
            self.asm.vex(Enc::of(0xf0).prefix(0xf2).map(3), dst, 0, ra);
            self.asm.ops.push(n);
            return;
        }
        let dst = self.unary_dst(inst.a);
        match (inst.op, n) {
            (Op::Shl, _) => self.asm.shift_i(Sh::Shl, dst, n),
            (Op::Shr, 32) => {
                self.asm.shift_i(Sh::Shr, dst, 31);
                self.asm.shift_i(Sh::Shr, dst, 1);
            }
            (Op::Shr, _) => self.asm.shift_i(Sh::Shr, dst, n),
            (Op::Sar, 32) => {
                self.asm.shift_i(Sh::Sar, dst, 31);
                self.asm.shift_i(Sh::Sar, dst, 1);
            }
            (Op::Sar, _) => self.asm.shift_i(Sh::Sar, dst, n),
            (Op::Ror, _) => self.asm.shift_i(Sh::Ror, dst, n),
            _ => self.asm.shift_i(Sh::Rcr, dst, 1),
        }
        if inst.flags.is_empty() {
            return self.clobbered();
        }
        if matches!(inst.op, Op::Ror | Op::Rrx) {
            // Rotates leave SF and ZF alone: C to memory, then test.
            if inst.flags.intersects(Flags::C) {
                self.flags_set(Flags::C, false);
                self.spill_flags(Flags::C);
            }
            let nz = inst.flags - Flags::C;
            if nz.is_empty() {
                return;
            }
            self.asm.test_rr(dst, dst);
            let mem = self.flags.mem;
            self.flags_set(nz, false);
            self.flags.mem = mem - nz;
        } else {
            self.flags_set(inst.flags, false);
        }
    }

    /// Shift by the bottom byte of a register, ARM's rules for amounts of 32 and more.
    fn shift_reg(&mut self, inst: &Inst) {
        self.pre_clobber(inst.flags);
        if inst.flags.intersects(Flags::C) {
            return self.shift_reg_carry(inst);
        }
        self.take(RCX);
        let t = self.alloc_gpr();
        self.amount_in_ecx(inst.b);
        self.copy_to(t, inst.a);
        match inst.op {
            Op::RorReg => self.asm.shift_cl(Sh::Ror, t),
            Op::SarReg => {
                self.clamp_ecx(31);
                self.asm.shift_cl(Sh::Sar, t);
            }
            op => {
                self.asm
                    .shift_cl(if op == Op::ShlReg { Sh::Shl } else { Sh::Shr }, t);
                // All ones below 32, else zero.
                self.asm.alu_i(Alu::Cmp, Rm::Reg(RCX), 32);
                self.asm.alu(Alu::Sbb, RCX, Rm::Reg(RCX));
                self.asm.alu(Alu::And, t, Rm::Reg(RCX));
            }
        }
        self.clobbered();
        self.nz_after(t, inst.flags);
        self.finish_in(t);
    }

    /// The same with the carry out, which an amount of zero leaves as it was: the bit that a 64-bit shift has moved
    /// just past the word's end.
    fn shift_reg_carry(&mut self, inst: &Inst) {
        if self.flags.eflags.contains(Flags::C) && !self.flags.mem.contains(Flags::C) {
            self.spill_flags(Flags::C);
        }
        self.take(RCX);
        let t = self.alloc_gpr();
        self.amount_in_ecx(inst.b);
        self.copy_to(t, inst.a);
        let carry_bit = match inst.op {
            Op::ShlReg => {
                self.clamp_ecx(63);
                self.asm.shift_cl64(Sh::Shl, t);
                32
            }
            Op::RorReg => {
                self.asm.shift_cl(Sh::Ror, t);
                31
            }
            op => {
                self.clamp_ecx(63);
                self.asm.shift_i64(Sh::Shl, t, 32);
                self.asm
                    .shift_cl64(if op == Op::ShrReg { Sh::Shr } else { Sh::Sar }, t);
                31
            }
        };
        self.asm.test_rr(RCX, RCX);
        let unchanged = self.jcc_over(Cc::E);
        // bt t, carry_bit
        self.asm.op(Enc::of(0xba).w(), 4, Rm::Reg(t));
        self.asm.ops.push(carry_bit);
        self.asm.setcc(Cc::B, Mem::state(C).into());
        self.asm.bind(unchanged);
        match inst.op {
            Op::ShlReg => self.asm.op(Enc::new(0x8b), t, Rm::Reg(t)),
            Op::RorReg => {}
            _ => self.asm.shift_i64(Sh::Shr, t, 32),
        }
        self.clobbered();
        self.flags.mem = self.flags.mem | Flags::C;
        let nz = inst.flags - Flags::C;
        if !nz.is_empty() {
            self.asm.test_rr(t, t);
            self.flags_set(nz, false);
        }
        self.finish_in(t);
    }

    /// The bottom byte of `b` in ecx, which has been taken.
    fn amount_in_ecx(&mut self, b: Value) {
        match self.imm(b) {
            Some(k) => self.asm.mov_ri(RCX, k & 0xff),
            None => {
                // sil, dil and the like need the byte form's REX prefix.
                let amount = self.rm(b);
                self.asm.op(Enc::of(0xb6).byte(), RCX, amount);
            }
        }
    }

    fn clamp_ecx(&mut self, max: u32) {
        self.asm.alu_i(Alu::Cmp, Rm::Reg(RCX), max);
        let fits = self.jcc_over(Cc::Be);
        self.asm.mov_ri(RCX, max);
        self.asm.bind(fits);
    }

    fn rm_or_const(&mut self, v: Value) -> Rm {
        if self.imm(v).is_some() {
            Rm::Reg(self.reg(v))
        } else {
            self.rm(v)
        }
    }

    fn mul(&mut self, inst: &Inst) {
        self.pre_clobber(inst.flags);
        let (a, b) = if self.imm(inst.a).is_some() {
            (inst.b, inst.a)
        } else {
            (inst.a, inst.b)
        };
        let dst;
        if let Some(k) = self.imm(b) {
            let ra = self.rm_or_const(a);
            dst = self.def_over(a);
            self.asm.op(Enc::new(0x69), dst, ra);
            self.asm.ops.push_u32(k);
        } else {
            let (ra, rb) = (self.rm(a), self.rm(b));
            dst = self.def_over(a);
            if rb == Rm::Reg(dst) {
                self.asm.imul(dst, ra);
            } else {
                self.asm.mov_rm(dst, ra);
                self.asm.imul(dst, rb);
            }
        }
        self.clobbered();
        self.nz_after(dst, inst.flags);
    }

    fn div(&mut self, inst: &Inst) {
        self.pre_clobber(Flags::NONE);
        self.take(RAX);
        self.take(RDX);
        self.take(RCX);
        // Neither operand may be in rax or rdx when it is needed: the divisor goes to rcx.
        self.copy_to(RCX, inst.b);
        self.copy_to(RAX, inst.a);
        let (zero, done) = (self.asm.new_label(), self.asm.new_label());
        self.asm.test_rr(RCX, RCX);
        self.asm.jcc(Cc::E, zero);
        if inst.op == Op::UDiv {
            dynasm!(self.asm.ops; .arch x64; xor edx, edx; div ecx; jmp =>done);
        } else {
            // MIN / -1 overflows on x86: negate instead.
            dynasm!(self.asm.ops; .arch x64
                ; cmp ecx, -1
                ; je >negate
                ; cdq
                ; idiv ecx
                ; jmp =>done
                ; negate:
                ; neg eax
                ; jmp =>done
            );
        }
        self.asm.bind(zero);
        self.asm.mov_ri(RAX, 0);
        self.asm.bind(done);
        self.clobbered();
        self.finish_in(RAX);
    }

    fn clz(&mut self, inst: &Inst) {
        self.pre_clobber(Flags::NONE);
        let a = self.rm_or_const(inst.a);
        if self.opts.host.lzcnt {
            let dst = self.def();
            self.asm.op(Enc::of(0xbd).prefix(0xf3), dst, a);
        } else {
            let t = self.alloc_gpr();
            let m = self.alloc_gpr();
            self.asm.mov_ri(m, 63);
            self.asm.op(Enc::of(0xbd), t, a);
            self.asm.cmov(Cc::E, t, Rm::Reg(m));
            self.asm.alu_i(Alu::Xor, Rm::Reg(t), 31);
            self.finish_in(t);
        }
        self.clobbered();
    }

    fn bswap(&mut self, r: u8) {
        if r >= 8 {
            self.asm.ops.push(0x41);
        }
        self.asm.ops.extend(&[0x0f, 0xc8 | r & 7]);
    }

    fn rbit(&mut self, inst: &Inst) {
        self.pre_clobber(Flags::NONE);
        let t = self.alloc_gpr();
        self.copy_to(t, inst.a);
        let u = self.alloc_gpr();
        self.bswap(t);
        for (mask, n) in [(0x0f0f_0f0f, 4), (0x3333_3333, 2), (0x5555_5555, 1)] {
            self.asm.mov_rr(u, t);
            self.asm.shift_i(Sh::Shr, u, n);
            self.asm.alu_i(Alu::And, Rm::Reg(u), mask);
            self.asm.alu_i(Alu::And, Rm::Reg(t), mask);
            self.asm.shift_i(Sh::Shl, t, n);
            self.asm.alu(Alu::Or, t, Rm::Reg(u));
        }
        self.clobbered();
        self.finish_in(t);
    }

    fn extend(&mut self, inst: &Inst) {
        let (opcode, byte) = match inst.op {
            Op::Zext8 => (0xb6, true),
            Op::Sext8 => (0xbe, true),
            Op::Zext16 => (0xb7, false),
            _ => (0xbf, false),
        };
        let a = self.rm_or_const(inst.a);
        let dst = self.def_over(inst.a);
        let e = Enc::of(opcode);
        // The destination is never a byte register here; forcing REX for it is harmless.
        self.asm.op(if byte { e.byte() } else { e }, dst, a);
    }

    fn bit_field(&mut self, inst: &Inst) {
        let (lsb, width) = (inst.imm as u8, inst.imm2 as u8);
        let signed = inst.op == Op::Sbfx;
        if lsb == 0 && matches!(width, 8 | 16) {
            let op = match (width, signed) {
                (8, false) => Op::Zext8,
                (8, true) => Op::Sext8,
                (_, false) => Op::Zext16,
                _ => Op::Sext16,
            };
            return self.extend(&Inst { op, ..*inst });
        }
        self.pre_clobber(Flags::NONE);
        let dst = self.unary_dst(inst.a);
        if signed {
            let up = 32 - lsb - width;
            if up > 0 {
                self.asm.shift_i(Sh::Shl, dst, up);
            }
            if width < 32 {
                self.asm.shift_i(Sh::Sar, dst, 32 - width);
            }
        } else {
            if lsb > 0 {
                self.asm.shift_i(Sh::Shr, dst, lsb);
            }
            if lsb + width < 32 {
                self.asm.alu_i(Alu::And, Rm::Reg(dst), (1u32 << width) - 1);
            }
        }
        self.clobbered();
    }

    fn bfi(&mut self, inst: &Inst) {
        self.pre_clobber(Flags::NONE);
        let (lsb, width) = (inst.imm as u8, inst.imm2 as u8);
        let mask = if width >= 32 {
            u32::MAX
        } else {
            ((1u32 << width) - 1) << lsb
        };
        let t = self.alloc_gpr();
        match self.imm(inst.b) {
            Some(k) => self.asm.mov_ri(t, k << lsb & mask),
            None => {
                self.copy_to(t, inst.b);
                if lsb > 0 {
                    self.asm.shift_i(Sh::Shl, t, lsb);
                }
                if u32::from(lsb + width) < 32 || lsb == 0 && width < 32 {
                    self.asm.alu_i(Alu::And, Rm::Reg(t), mask);
                }
            }
        }
        let u = self.alloc_gpr();
        self.copy_to(u, inst.a);
        self.asm.alu_i(Alu::And, Rm::Reg(u), !mask);
        self.asm.alu(Alu::Or, t, Rm::Reg(u));
        self.clobbered();
        self.finish_in(t);
    }

    fn select(&mut self, inst: &Inst) {
        let test = self.test_cond(inst.cond, Flags::NONE);
        let a = self.rm_or_const(inst.a);
        let b = self.rm_or_const(inst.b);
        let dst = self.def();
        match test {
            Test::One(cc) if a == Rm::Reg(dst) => self.asm.cmov(cc.invert(), dst, b),
            Test::One(cc) => {
                self.asm.mov_rm(dst, b);
                self.asm.cmov(cc, dst, a);
            }
            Test::Always => self.asm.mov_rm(dst, a),
            // Compound conditions of floating-point comparisons: two conditional moves.
            Test::Or(c1, c2) if a != Rm::Reg(dst) => {
                self.asm.mov_rm(dst, b);
                self.asm.cmov(c1, dst, a);
                self.asm.cmov(c2, dst, a);
            }
            Test::And(c1, c2) if b != Rm::Reg(dst) => {
                self.asm.mov_rm(dst, a);
                self.asm.cmov(c1.invert(), dst, b);
                self.asm.cmov(c2.invert(), dst, b);
            }
            Test::Or(c1, c2) => {
                // dst is a: take b when neither holds.
                let done = self.jcc_over(c1);
                self.asm.cmov(c2.invert(), dst, b);
                self.asm.bind(done);
            }
            Test::And(c1, c2) => {
                // dst is b: take a when both hold.
                let done = self.jcc_over(c1.invert());
                self.asm.cmov(c2, dst, a);
                self.asm.bind(done);
            }
        }
    }

    fn bit_select(&mut self, inst: &Inst) {
        self.pre_clobber(Flags::NONE);
        let t = self.alloc_gpr();
        // ((a ^ b) & c) ^ b
        self.copy_to(t, inst.a);
        for (op, v) in [(Alu::Xor, inst.b), (Alu::And, inst.c), (Alu::Xor, inst.b)] {
            match self.imm(v) {
                Some(k) => self.asm.alu_i(op, Rm::Reg(t), k),
                None => {
                    let rm = self.rm(v);
                    self.asm.alu(op, t, rm);
                }
            }
        }
        self.clobbered();
        self.finish_in(t);
    }

    fn crc32c(&mut self, inst: &Inst) {
        let b = self.rm_or_const(inst.b);
        let t = self.alloc_gpr();
        self.copy_to(t, inst.a);
        let e = Enc {
            prefix: 0xf2,
            map: 2,
            opcode: 0xf1,
            w: false,
            byte: false,
        };
        match inst.imm {
            1 => self.asm.op(Enc { opcode: 0xf0, ..e }.byte(), t, b),
            2 => {
                self.asm.ops.push(0x66);
                self.asm.op(e, t, b);
            }
            _ => self.asm.op(e, t, b),
        }
        self.finish_in(t);
    }

    fn wide(&mut self, inst: &Inst) {
        match inst.op {
            Op::Lo => {
                let a = self.reg(inst.a);
                let dst = self.def();
                self.asm.op(Enc::new(0x8b), dst, Rm::Reg(a));
                return;
            }
            Op::Sext64 => {
                let a = self.rm_or_const(inst.a);
                let t = self.alloc_gpr();
                self.asm.op(Enc::new(0x63).w(), t, a);
                return self.def_in(t);
            }
            _ => {}
        }
        self.pre_clobber(Flags::NONE);
        let t = match inst.op {
            Op::UMul64 => {
                let b = self.reg(inst.b);
                let t = self.alloc_gpr();
                self.copy_to(t, inst.a);
                self.asm.op(Enc::of(0xaf).w(), t, Rm::Reg(b));
                t
            }
            Op::SMul64 => {
                let t = self.alloc_gpr();
                self.copy_to(t, inst.a);
                self.asm.op(Enc::new(0x63).w(), t, Rm::Reg(t));
                let u = self.alloc_gpr();
                self.copy_to(u, inst.b);
                self.asm.op(Enc::new(0x63).w(), u, Rm::Reg(u));
                self.asm.op(Enc::of(0xaf).w(), t, Rm::Reg(u));
                t
            }
            Op::Add64 | Op::Sub64 => {
                let b = self.reg(inst.b);
                let t = self.take_over(inst.a);
                self.asm.alu64(
                    if inst.op == Op::Add64 { Alu::Add } else { Alu::Sub },
                    t,
                    Rm::Reg(b),
                );
                t
            }
            Op::Concat => {
                let a = self.reg(inst.a);
                let t = self.take_over(inst.b);
                self.asm.shift_i64(Sh::Shl, t, 32);
                self.asm.alu64(Alu::Or, t, Rm::Reg(a));
                t
            }
            Op::Hi => {
                let t = self.take_over(inst.a);
                self.asm.shift_i64(Sh::Shr, t, 32);
                t
            }
            _ => {
                let t = self.take_over(inst.a);
                if inst.imm > 0 {
                    self.asm.shift_i64(Sh::Sar, t, inst.imm as u8);
                }
                t
            }
        };
        self.clobbered();
        self.finish_in(t);
    }

    /// Saturating addition or subtraction; Q is set when it saturates.
    fn saturating(&mut self, inst: &Inst) {
        self.pre_clobber(Flags::NONE);
        let b = self.rm_or_const(inst.b);
        let t = self.alloc_gpr();
        self.copy_to(t, inst.a);
        self.asm
            .alu(if inst.op == Op::QAdd { Alu::Add } else { Alu::Sub }, t, b);
        let done = self.jcc_over(Cc::No);
        // Overflow: the sign of the wrapped result is the wrong one.
        self.asm.shift_i(Sh::Sar, t, 31);
        self.asm.alu_i(Alu::Xor, Rm::Reg(t), 0x8000_0000);
        dynasm!(self.asm.ops; .arch x64; mov BYTE [BYTE rbp + Q as i8], 1);
        self.asm.bind(done);
        self.clobbered();
        self.finish_in(t);
    }

    fn saturate(&mut self, inst: &Inst) {
        self.pre_clobber(Flags::NONE);
        let bits = inst.imm;
        let (min, max) = if inst.op == Op::SSat {
            (-(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1)
        } else {
            (0, (1i64 << bits) - 1)
        };
        let t = self.alloc_gpr();
        self.copy_to(t, inst.a);
        let done = self.asm.new_label();
        for (bound, ok) in [(max, Cc::Le), (min, Cc::Ge)] {
            self.asm.alu_i(Alu::Cmp, Rm::Reg(t), bound as u32);
            let fits = self.jcc_over(ok);
            self.asm.mov_ri(t, bound as u32);
            dynasm!(self.asm.ops; .arch x64; mov BYTE [BYTE rbp + Q as i8], 1; jmp =>done);
            self.asm.bind(fits);
        }
        self.asm.bind(done);
        self.clobbered();
        self.finish_in(t);
    }

    /// The parallel additions and subtractions that string routines live on, in XMM registers; the rest in Rust.
    fn parallel(&mut self, inst: &Inst) {
        const SIGNED_SAT: u8 = 1;
        const UNSIGNED: u8 = 3;
        const UNSIGNED_SAT: u8 = 4;
        let (kind, op) = (inst.aux >> 3, inst.aux & 7);
        let half = op == 0 || op == 3;
        let sub = op == 3 || op == 5;
        if matches!(op, 1 | 2) || !matches!(kind, UNSIGNED | SIGNED_SAT | UNSIGNED_SAT) {
            return self.int_helper(inst);
        }
        let e = |opcode: u8| Enc::of(opcode).prefix(0x66);
        let (a, b) = (self.rm_or_const(inst.a), self.rm_or_const(inst.b));
        let (x, y) = (self.alloc_xmm(), self.alloc_xmm());
        self.asm.op(e(0x6e), x, a);
        self.asm.op(e(0x6e), y, b);
        // PADDB, PSUBB, their saturating forms; the halfword form is the next opcode.
        let base = match (kind, sub) {
            (UNSIGNED, false) => 0xfc,
            (UNSIGNED, true) => 0xf8,
            (SIGNED_SAT, false) => 0xec,
            (SIGNED_SAT, true) => 0xe8,
            (_, false) => 0xdc,
            (_, true) => 0xd8,
        };
        if kind == UNSIGNED {
            // GE: no borrow is a >= b; a carry is a sum below a. Both come from an unsigned maximum.
            let z = self.alloc_xmm();
            self.asm.op(Enc::of(0x28), z, Rm::Reg(x));
            let (max, eq) = if half {
                (e(0x3e).map(2), e(0x75))
            } else {
                (e(0xde), e(0x74))
            };
            if sub {
                self.asm.op(max, z, Rm::Reg(y));
                self.asm.op(eq, z, Rm::Reg(x));
                self.asm.op(e(base + u8::from(half)), x, Rm::Reg(y));
            } else {
                self.asm.op(e(base + u8::from(half)), x, Rm::Reg(y));
                // max(sum, a) == sum means no carry: complement.
                self.asm.op(max, z, Rm::Reg(x));
                self.asm.op(eq, z, Rm::Reg(x));
                self.asm.op(eq, y, Rm::Reg(y));
                self.asm.op(Enc::of(0x57), z, Rm::Reg(y));
            }
            self.asm.op(e(0x7e), z, Mem::state(GE).into());
        } else {
            self.asm.op(e(base + u8::from(half)), x, Rm::Reg(y));
        }
        if !self.unused() {
            let dst = self.def();
            self.asm.op(e(0x7e), x, Rm::Reg(dst));
        }
    }

    /// An operation done by the run time in Rust.
    fn int_helper(&mut self, inst: &Inst) {
        // C may be read (shift by zero) and written by it: all flags that matter must be in memory.
        let reads = if inst.flags.is_empty() {
            Flags::NONE
        } else {
            Flags::NZCV
        };
        let live = self.fates[self.at].live_after | reads;
        self.spill_flags(Flags(live.0 & self.flags.eflags.0) - self.flags.mem);
        self.call_rust(Helper::IntOp, inst, &[inst.a, inst.b, inst.c]);
        if !inst.flags.is_empty() {
            self.flags.mem = self.flags.mem | inst.flags;
        }
        let unused = self.unused();
        if !unused {
            self.finish_in(RAX);
        }
    }

    pub(super) fn clock_call(&mut self, inst: &Inst) {
        self.pre_clobber(Flags::NONE);
        self.call_rust(Helper::ClockCall, inst, &[inst.a, inst.b]);
        if !self.unused() {
            self.finish_in(RAX);
        }
    }

    /// Calls the run time with the operation and the bits of `args`; the result is in rax, which is taken.
    pub(super) fn call_rust(&mut self, h: Helper, inst: &Inst, args: &[Value]) {
        let base = disp(offset_of!(CpuState, call_args));
        for (k, v) in args.iter().enumerate() {
            if v.is_none() {
                continue;
            }
            let at = Mem::state(base + 8 * (k as i32 + 1));
            if self.is_fp(*v) {
                let x = self.xmm(*v);
                self.asm.op(Enc::of(0xd6).prefix(0x66), x, at.into());
            } else {
                let r = self.reg(*v);
                self.asm.op(Enc::new(0x89).w(), r, at.into());
                self.locked = 0;
            }
        }
        self.save_all();
        let packed = super::fp::pack_op(inst);
        self.asm.mov_ri64(RAX, packed);
        dynasm!(self.asm.ops; .arch x64; mov QWORD [rbp + base], rax);
        self.asm.mov_ri(RAX, h as u32);
        let call = super::stubs::helper_disp(Helper::CallRust);
        dynasm!(self.asm.ops; .arch x64; call QWORD [rbp + call]);
        self.clobbered();
        self.take(RAX);
    }
}

fn sys_disp(sys: u32) -> i32 {
    disp(if sys == 0 {
        offset_of!(CpuState, tpidruro)
    } else {
        offset_of!(CpuState, tpidrurw)
    })
}
