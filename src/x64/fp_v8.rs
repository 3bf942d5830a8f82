//! The scalar floating-point operations of ARMv8: number forms of minimum and maximum, roundings that the instruction
//! names.

use super::asm::{Alu, Cc, Enc, Rm, Sh};
use super::code::FpLoc;
use super::emit::{Cold, Emitter, SoftArg, SoftDst};
use super::fp::Check;
use crate::ir::ops::{Flags, Inst, Op, Type};
use crate::ir::vector::RoundTo;

/// ROUNDSS, ROUNDPS: don't raise Inexact.
pub(super) const QUIET: u8 = 8;

/// The immediate of ROUNDSS and ROUNDPS for a [`RoundTo`], or None if they don't have it.
pub(super) fn rounding(imm: u32) -> Option<u8> {
    Some(match imm & 7 {
        r if r == RoundTo::NearestEven as u32 => 0,
        r if r == RoundTo::MinusInf as u32 => 1,
        r if r == RoundTo::PlusInf as u32 => 2,
        r if r == RoundTo::Zero as u32 => 3,
        r if r == RoundTo::Fpscr as u32 => 4,
        _ => return None,
    })
}

impl Emitter<'_> {
    /// Any NaN traps. Of zeros with different signs the host takes its second operand: done both ways, the results'
    /// signs together are ARM's.
    pub(super) fn number_form(&mut self, inst: &Inst) {
        if self.opts.soft_fp {
            return self.soft(inst);
        }
        let double = inst.op.result() == Type::F64;
        // minss, orps; maxss, andps
        let (opcode, join) = match inst.op {
            Op::FMinNm32 | Op::FMinNm64 => (0x5d, Enc::of(0x56)),
            _ => (0x5f, Enc::of(0x54)),
        };
        let e = Enc::of(opcode).prefix(Self::ss(double));
        let (a, b) = (self.xmm(inst.a), self.xmm(inst.b));
        let dst = self.alloc_xmm();
        let t = self.alloc_xmm();
        let first = self.traps_begin();
        let locs = [FpLoc::Xmm(a), FpLoc::Xmm(b), FpLoc::None];
        for (to, x, y) in [(dst, a, b), (t, b, a)] {
            self.asm.op(Enc::of(0x28), to, Rm::Reg(x));
            self.may_trap(inst, locs, FpLoc::Xmm(dst));
            self.asm.op(e, to, Rm::Reg(y));
        }
        self.asm.op(join, dst, Rm::Reg(t));
        self.traps_end(first);
        self.occupy_xmm(dst, crate::ir::ops::Value(self.at as u32));
    }

    pub(super) fn round_to_integral(&mut self, inst: &Inst) {
        let imm = match rounding(inst.aux.into()) {
            Some(imm) if !self.opts.soft_fp => imm | if inst.aux & 8 == 0 { QUIET } else { 0 },
            _ => return self.soft(inst),
        };
        let check = self.check_for(inst.op);
        if check != Check::None {
            self.pre_clobber(Flags::NONE);
        }
        let a = self.xmm(inst.a);
        let dst = self.def_xmm();
        let (t, scratch) = (self.check_scratch(check), self.denormal_scratch());
        let first = self.traps_begin();
        let locs = [FpLoc::Xmm(a), FpLoc::None, FpLoc::None];
        self.denormal_traps(inst, Rm::Reg(a), scratch, locs, FpLoc::Xmm(dst));
        self.may_trap(inst, locs, FpLoc::Xmm(dst));
        self.rounds(dst, a, inst.op == Op::FRint64, imm);
        let args = [SoftArg::Xmm(a), SoftArg::None, SoftArg::None];
        self.check_scalar(inst, check, t, args, dst);
        self.traps_end(first);
    }

    /// ROUNDSS, ROUNDSD.
    fn rounds(&mut self, dst: u8, src: u8, double: bool, imm: u8) {
        let e = Enc::of(if double { 0x0b } else { 0x0a }).prefix(0x66).map(3);
        self.asm.op_i(e, dst, Rm::Reg(src), imm);
    }

    /// Rounds to integral, converts, and raises Inexact only where that has not found the result out of range.
    pub(super) fn round_to_int(&mut self, inst: &Inst) {
        let imm = match rounding(inst.aux.into()) {
            Some(imm) if !self.opts.soft_fp => imm,
            _ => return self.soft(inst),
        };
        let signed = inst.aux & 8 != 0;
        let double = inst.op == Op::F64Round;
        if !signed {
            self.pre_clobber(Flags::NONE);
        }
        let a = self.xmm(inst.a);
        let t = self.alloc_gpr();
        let whole = self.alloc_xmm();
        let scratch = self.denormal_scratch();
        let first = self.traps_begin();
        let (locs, dst) = ([FpLoc::Xmm(a), FpLoc::None, FpLoc::None], FpLoc::Gpr(t));
        self.denormal_traps(inst, Rm::Reg(a), scratch, locs, dst);
        self.may_trap(inst, locs, dst);
        self.rounds(whole, a, double, imm | QUIET);
        let convert = Enc::of(0x2c).prefix(Self::ss(double));
        let back = self.asm.new_label();
        if signed {
            self.may_trap(inst, locs, dst);
            self.asm.op(convert, t, Rm::Reg(whole));
        } else {
            // Negative numbers, those from 2^32 up and NaNs go to software; the rest the 64-bit conversion has.
            let (mv, exponent, bias) = if double {
                (Enc::of(0x7e).w(), 52, 1023)
            } else {
                (Enc::of(0x7e), 23, 127)
            };
            self.asm.op(mv.prefix(0x66), whole, Rm::Reg(t));
            self.asm.shift_i64(Sh::Shr, t, exponent);
            self.asm.alu_i(Alu::Cmp, Rm::Reg(t), bias + 32);
            self.clobbered();
            let label = self.asm.new_label();
            self.asm.jcc(Cc::Ae, label);
            self.cold.push(Cold::Soft {
                label,
                back,
                inst: *inst,
                args: [SoftArg::Xmm(a), SoftArg::None, SoftArg::None],
                dst: SoftDst::Gpr(t),
            });
            self.asm.op(convert.w(), t, Rm::Reg(whole));
        }
        self.may_trap(inst, locs, dst);
        self.rounds(whole, a, double, imm);
        self.asm.bind(back);
        self.traps_end(first);
        self.finish_in(t);
    }
}
