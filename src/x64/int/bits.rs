//! Products, quotients, bit counts, bit fields, extensions, choices, checksums.

use crate::ir::ops::{Flags, Inst, Op};
use crate::x64::asm::{Alu, Cc, Enc, Rm, Sh};
use crate::x64::emit::Emitter;
use crate::x64::flags::Test;
use crate::x64::regs::{RAX, RCX, RDX};
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

impl Emitter<'_> {
    pub(super) fn mul(&mut self, inst: &Inst) {
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

    pub(super) fn div(&mut self, inst: &Inst) {
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

    pub(super) fn clz(&mut self, inst: &Inst) {
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

    pub(super) fn bswap(&mut self, r: u8) {
        if r >= 8 {
            self.asm.ops.push(0x41);
        }
        self.asm.ops.extend(&[0x0f, 0xc8 | r & 7]);
    }

    pub(super) fn rbit(&mut self, inst: &Inst) {
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

    pub(super) fn extend(&mut self, inst: &Inst) {
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

    pub(super) fn bit_field(&mut self, inst: &Inst) {
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

    pub(super) fn bfi(&mut self, inst: &Inst) {
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

    pub(super) fn select(&mut self, inst: &Inst) {
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

    pub(super) fn bit_select(&mut self, inst: &Inst) {
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

    pub(super) fn crc32c(&mut self, inst: &Inst) {
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
}
