//! Shifts and rotations, by immediates and by registers with ARM's rules for large amounts.

use crate::ir::ops::{Flags, Inst, Op, Value};
use crate::x64::asm::{Alu, Cc, Enc, Mem, Rm, Sh};
use crate::x64::emit::Emitter;
use crate::x64::flags::C;
use crate::x64::regs::RCX;
use dynasmrt::DynasmApi;

impl Emitter<'_> {
    pub(super) fn shift(&mut self, inst: &Inst) {
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
    pub(super) fn shift_reg(&mut self, inst: &Inst) {
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
    pub(super) fn shift_reg_carry(&mut self, inst: &Inst) {
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
    pub(super) fn amount_in_ecx(&mut self, b: Value) {
        match self.imm(b) {
            Some(k) => self.asm.mov_ri(RCX, k & 0xff),
            None => {
                // sil, dil and the like need the byte form's REX prefix.
                let amount = self.rm(b);
                self.asm.op(Enc::of(0xb6).byte(), RCX, amount);
            }
        }
    }

    pub(super) fn clamp_ecx(&mut self, max: u32) {
        self.asm.alu_i(Alu::Cmp, Rm::Reg(RCX), max);
        let fits = self.jcc_over(Cc::Be);
        self.asm.mov_ri(RCX, max);
        self.asm.bind(fits);
    }
}
