//! Scalar half precision: conversions, and arithmetic in single precision.
//!
//! Single precision has more than twice the bits of half precision and two: a sum, difference, product, quotient or
//! square root that is rounded to it first and then to half precision is what one rounding would give (Figueroa), of
//! denormal halves too. So the host needs conversions only (F16C), and raises the same exceptions.

use super::asm::{Alu, Cc, Enc, Mem, Rm};
use super::code::FpLoc;
use super::emit::{Cold, Emitter, SoftArg, SoftDst};
use super::regs::disp;
use super::vector::{op3a, op38, op66};
use crate::cpu::state::CpuState;
use crate::ir::ops::{Flags, Inst, Type};
use crate::ir::vector::HalfOp;
use dynasmrt::DynamicLabel;
use std::mem::offset_of;

pub(super) const CVTPH2PS: Enc = op38(0x13);
pub(super) const CVTPS2PH: Enc = op3a(0x1d);
const INSERTPS: Enc = op3a(0x21);
/// MOVD between an XMM and a general register.
const TO_XMM: Enc = op66(0x6e);
const FROM_XMM: Enc = op66(0x7e);
/// The rounding mode is MXCSR's (immediate of VCVTPS2PH).
const BY_MXCSR: u8 = 4;
/// FPSCR.FZ16 and FPSCR.AHP.
pub(super) const FZ16: u32 = 1 << 19;
pub(super) const AHP: u32 = 1 << 26;

impl Emitter<'_> {
    /// Jumps to `label` if FPSCR has `bit`.
    fn unless(&mut self, bit: u32, label: DynamicLabel) {
        let fpscr = Mem::state(disp(offset_of!(CpuState, fpscr)));
        self.asm.test_ri(fpscr.into(), bit);
        self.clobbered();
        self.asm.jcc(Cc::Ne, label);
    }

    /// Denormal halves are normal numbers of the wider formats: only signalling NaNs trap.
    pub(super) fn half_to_float(&mut self, inst: &Inst) {
        if self.opts.soft_fp || !self.opts.host.f16c {
            return self.soft(inst);
        }
        self.pre_clobber(Flags::NONE);
        let source = self.reg(inst.a);
        let t = self.low_half(source, false);
        let dst = self.def_xmm();
        let args = [SoftArg::Gpr(source), SoftArg::None, SoftArg::None];
        let (label, back) = (self.asm.new_label(), self.asm.new_label());
        let first = self.traps_begin();
        self.unless(AHP, label);
        self.asm.op(TO_XMM, dst, Rm::Reg(t));
        self.may_trap(
            inst,
            [FpLoc::Gpr(source), FpLoc::None, FpLoc::None],
            FpLoc::Xmm(dst),
        );
        self.asm.vex(CVTPH2PS, dst, 0, Rm::Reg(dst));
        if inst.op.result() == Type::F64 {
            self.asm.vex(Enc::of(0x5a).prefix(0xf3), dst, dst, Rm::Reg(dst));
        }
        if self.opts.default_nan {
            let ucomis = Enc::of(0x2e).prefix(if inst.op.result() == Type::F64 { 0x66 } else { 0 });
            self.asm.op(ucomis, dst, Rm::Reg(dst));
            self.asm.jcc(Cc::P, label);
        }
        self.asm.bind(back);
        self.cold.push(Cold::Soft {
            label,
            back,
            inst: *inst,
            args,
            dst: SoftDst::Xmm(dst),
        });
        self.traps_end(first);
    }

    /// What yields a denormal half traps as Underflow, whether exact or not; what has been rounded up to the smallest
    /// normal half may have raised Underflow on ARM.
    pub(super) fn float_to_half(&mut self, inst: &Inst) {
        if self.opts.soft_fp || !self.opts.host.f16c {
            return self.soft(inst);
        }
        self.pre_clobber(Flags::NONE);
        let a = self.xmm(inst.a);
        let (t, x) = (self.alloc_gpr(), self.alloc_xmm());
        let args = [SoftArg::Xmm(a), SoftArg::None, SoftArg::None];
        let (label, back) = (self.asm.new_label(), self.asm.new_label());
        let first = self.traps_begin();
        self.unless(AHP, label);
        // Zeros in the other lanes, which would raise what they have.
        self.asm.vex_i(INSERTPS, x, a, Rm::Reg(a), 0b1110);
        self.may_trap(inst, [FpLoc::Xmm(a), FpLoc::None, FpLoc::None], FpLoc::Gpr(t));
        self.half_out(x, t, label);
        self.asm.bind(back);
        self.cold.push(Cold::Soft {
            label,
            back,
            inst: *inst,
            args,
            dst: SoftDst::Gpr(t),
        });
        self.traps_end(first);
        self.finish_in(t);
    }

    /// The single in `x`, whose other lanes are zeros, to half precision in `t`, which may trap; to `label` where ARM's
    /// result or flags may be others.
    fn half_out(&mut self, x: u8, t: u8, label: DynamicLabel) {
        // The source is the register, the destination what ModRM may have in memory.
        self.asm.vex_i(CVTPS2PH, x, 0, Rm::Reg(x), BY_MXCSR);
        self.asm.op(FROM_XMM, x, Rm::Reg(t));
        self.asm.alu_i(Alu::And, Rm::Reg(t), 0x7fff);
        self.asm.alu_i(Alu::Cmp, Rm::Reg(t), 0x0400);
        self.asm.jcc(Cc::E, label);
        if self.opts.default_nan {
            self.asm.alu_i(Alu::Cmp, Rm::Reg(t), 0x7c00);
            self.asm.jcc(Cc::A, label);
        }
        // Again: there is no register to keep it in.
        self.asm.op(FROM_XMM, x, Rm::Reg(t));
    }

    /// Arithmetic on the low 16 bits of integers; what is no such, and everything under FZ16, is software's.
    pub(super) fn half_arithmetic(&mut self, inst: &Inst) {
        let opcode = match HalfOp::from_aux(inst.aux) {
            Some(HalfOp::Add) => 0x58,
            Some(HalfOp::Sub) => 0x5c,
            Some(HalfOp::Mul) => 0x59,
            Some(HalfOp::Div) => 0x5e,
            Some(HalfOp::Sqrt) => 0x51,
            _ => return self.soft(inst),
        };
        if self.opts.soft_fp || !self.opts.host.f16c {
            return self.soft(inst);
        }
        self.pre_clobber(Flags::NONE);
        let one = opcode == 0x51;
        let a = self.reg(inst.a);
        let b = if one { a } else { self.reg(inst.b) };
        let t = self.alloc_gpr();
        let (x, y) = (self.alloc_xmm(), self.alloc_xmm());
        let args = [Some(a), (!one).then_some(b), None];
        let locs = args.map(|r| r.map_or(FpLoc::None, FpLoc::Gpr));
        let (label, back) = (self.asm.new_label(), self.asm.new_label());
        let first = self.traps_begin();
        self.unless(FZ16, label);
        for (half, to) in [(a, x), (b, y)] {
            self.asm.op(Enc::of(0xb7), t, Rm::Reg(half));
            self.asm.op(TO_XMM, to, Rm::Reg(t));
            self.may_trap(inst, locs, FpLoc::Gpr(t));
            self.asm.vex(CVTPH2PS, to, 0, Rm::Reg(to));
        }
        self.may_trap(inst, locs, FpLoc::Gpr(t));
        self.asm.vex(Enc::of(opcode).prefix(0xf3), x, x, Rm::Reg(y));
        self.may_trap(inst, locs, FpLoc::Gpr(t));
        self.half_out(x, t, label);
        self.asm.bind(back);
        self.cold.push(Cold::Soft {
            label,
            back,
            inst: *inst,
            args: args.map(|r| r.map_or(SoftArg::None, SoftArg::Gpr)),
            dst: SoftDst::Gpr(t),
        });
        self.traps_end(first);
        self.finish_in(t);
    }
}
