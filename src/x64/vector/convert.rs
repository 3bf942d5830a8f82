//! Conversions, rounding and estimates of single-precision lanes, and what is computed on half-precision or bfloat16
//! lanes in single precision.

use super::super::asm::{Cc, Enc, Mem, Rm};
use super::super::emit::Emitter;
use super::super::evex::Evex;
use super::super::fp_half::{AHP, CVTPH2PS, CVTPS2PH, FZ16};
use super::super::fp_v8::{QUIET, rounding};
use super::super::regs::disp;
use super::super::stubs::{Helper, helper_disp};
use super::fp::*;
use super::host::*;
use crate::cpu::state::CpuState;
use crate::ir::ops::{Flags, Inst};
use crate::ir::vector::{RoundTo, Shape, VecOp};
use dynasmrt::DynamicLabel;
use std::mem::offset_of;

const CVTDQ2PS: Enc = Enc::of(0x5b);
const CVTPS2DQ: Enc = op66(0x5b);
const CVTTPS2DQ: Enc = Enc::of(0x5b).prefix(0xf3);
/// VCVTTPS2UDQ, VCVTUDQ2PS (EVEX).
const CVTTPS2UDQ: Enc = Enc::of(0x78);
const CVTUDQ2PS: Enc = Enc::of(0x7a).prefix(0xf2);
const ROUNDPS: Enc = op3a(0x08);
const PTEST: Enc = op38(0x17);
const PEXTRB: Enc = op3a(0x14);
const PINSRB: Enc = op3a(0x20);

/// 2^`n` in single precision.
fn power(n: i32) -> u64 {
    ((127 + n) as u64) << 23
}

impl Emitter<'_> {
    /// Operations of this file; false if it is none, or the host has no form for it.
    pub(super) fn vec_convert(&mut self, inst: &Inst, op: VecOp, shape: Shape) -> bool {
        if shape.esize() == 16 {
            return match op {
                VecOp::HalfToF if self.opts.host.f16c => self.half_to_single(inst),
                VecOp::FToHalf if self.opts.host.f16c => self.single_to_half(inst),
                VecOp::FMlal if self.opts.host.fma && self.opts.host.f16c => {
                    self.half_multiply_add(inst, shape)
                }
                VecOp::BfMlal if self.opts.host.fma => self.bf16_multiply_add(inst),
                _ => self.vec_half(inst, op, shape),
            };
        }
        match op {
            VecOp::FToInt => self.lanes_to_int(inst, shape),
            VecOp::FToFixed => self.lanes_to_fixed(inst, shape),
            VecOp::IntToF => self.int_to_f(inst, shape, 0),
            VecOp::FixedToF => self.int_to_f(inst, shape, inst.imm),
            VecOp::FRint => self.round_lanes(inst, shape),
            VecOp::FRecpe => self.recip_estimate(inst, shape),
            VecOp::FRsqrte => self.rsqrt_estimate(inst, shape),
            _ => false,
        }
    }

    /// NaNs and what is out of range trap; denormal operands, of which conversions don't take notice, do in a
    /// comparison.
    fn lanes_to_int(&mut self, inst: &Inst, shape: Shape) -> bool {
        let imm = match rounding(inst.imm) {
            Some(imm) if imm < 4 => imm,
            _ => return false,
        };
        if shape.is_unsigned() {
            return imm == 3 && self.lanes_to_unsigned(inst, shape);
        }
        let a = self.fp_operand(inst.a, shape);
        let (dst, t) = (self.def_xmm(), self.temp());
        let first = self.traps_begin();
        let o = Operands::new(&[Rm::Reg(a)], dst);
        self.denormals_trap(inst, o, a, t);
        match imm {
            0 => self.trapping1(inst, o, CVTPS2DQ, dst, Rm::Reg(a)),
            3 => self.trapping1(inst, o, CVTTPS2DQ, dst, Rm::Reg(a)),
            _ => {
                // Inexact is raised last, as only then nothing can be out of range any more.
                self.asm.op_i(ROUNDPS, t, Rm::Reg(a), imm | QUIET);
                self.trapping1(inst, o, CVTTPS2DQ, dst, Rm::Reg(t));
                self.trapping(inst, o);
                self.asm.op_i(ROUNDPS, t, Rm::Reg(a), imm);
            }
        }
        self.traps_end(first);
        self.clean_result(shape);
        true
    }

    /// Towards zero.
    fn lanes_to_unsigned(&mut self, inst: &Inst, shape: Shape) -> bool {
        if self.opts.host.avx512 {
            let a = self.fp_operand(inst.a, shape);
            let (dst, t) = (self.def_xmm(), self.temp());
            let first = self.traps_begin();
            let o = Operands::new(&[Rm::Reg(a)], dst);
            self.denormals_trap(inst, o, a, t);
            self.trapping(inst, o);
            self.asm.evex(CVTTPS2UDQ, Evex::X, dst, 0, Rm::Reg(a));
            self.traps_end(first);
            self.clean_result(shape);
            return true;
        }
        // Numbers from -1 down and from 2^32 up go to software. Denormals and NaNs trap in the comparisons.
        self.pre_clobber(Flags::NONE);
        let a = self.fp_operand(inst.a, shape);
        let (dst, t, high) = (self.def_xmm(), self.temp(), self.temp());
        let g = self.alloc_gpr();
        let one = self.asm.constant(splat(2, power(0) | 1 << 31));
        let limit = self.asm.constant(splat(2, power(32)));
        let first = self.traps_begin();
        let o = Operands::new(&[Rm::Reg(a)], dst);
        self.trapping2_i(inst, o, CMPPS, t, a, one, predicate::LE_OS);
        self.asm.op(MOVAPS, high, limit);
        self.trapping2_i(inst, o, CMPPS, high, high, Rm::Reg(a), predicate::LE_OS);
        self.v2(POR, t, t, Rm::Reg(high));
        let end = self.asm.new_label();
        self.again_if_lanes(inst, o, t, g, shape, end);
        self.xmov(high, a);
        self.unsigned_in_range(inst, o, high, t);
        self.asm.bind(end);
        self.traps_end(first);
        self.clean_result(shape);
        true
    }

    /// `o.dst` = `x`, above -1 and below 2^32, towards zero: what is from 2^31 up less 2^31, with that bit afterwards.
    /// `x` is destroyed.
    fn unsigned_in_range(&mut self, inst: &Inst, o: Operands, x: u8, t: u8) {
        let dst = o.dst;
        let half = self.asm.constant(splat(2, power(31)));
        self.asm.op(MOVAPS, dst, half);
        self.v2_i(CMPPS, dst, dst, Rm::Reg(x), predicate::LE_OS);
        self.v2(PAND, t, dst, half);
        self.v2(SUBPS, x, x, Rm::Reg(t));
        self.trapping1(inst, o, CVTTPS2DQ, x, Rm::Reg(x));
        self.vshift(Shift::Left, 2, dst, dst, 31);
        self.v2(PXOR, dst, dst, Rm::Reg(x));
    }

    /// Times 2^imm, which is exact, then to an integer; what would be out of range goes to software before.
    fn lanes_to_fixed(&mut self, inst: &Inst, shape: Shape) -> bool {
        self.pre_clobber(Flags::NONE);
        let n = inst.imm as i32;
        let a = self.fp_operand(inst.a, shape);
        let (dst, t, u) = (self.def_xmm(), self.temp(), self.temp());
        let g = self.alloc_gpr();
        let unsigned = shape.is_unsigned();
        let magnitude = self.asm.constant(ABS);
        let limit = self
            .asm
            .constant(splat(2, power(if unsigned { 32 } else { 31 } - n)));
        let scale = self.asm.constant(splat(2, power(n)));
        let first = self.traps_begin();
        let o = Operands::new(&[Rm::Reg(a)], dst);
        self.v2(PAND, u, a, magnitude);
        self.asm.op(MOVAPS, t, limit);
        self.trapping2_i(inst, o, CMPPS, t, t, Rm::Reg(u), predicate::LE_OS);
        if unsigned {
            // Down to -2^-n exclusive.
            let low = self.asm.constant(splat(2, power(-n) | 1 << 31));
            self.v2_i(CMPPS, u, a, low, predicate::LE_OS);
            self.v2(POR, t, t, Rm::Reg(u));
        }
        let end = self.asm.new_label();
        self.again_if_lanes(inst, o, t, g, shape, end);
        self.v2(MULPS, u, a, scale);
        if !unsigned {
            self.trapping1(inst, o, CVTTPS2DQ, dst, Rm::Reg(u));
        } else if self.opts.host.avx512 {
            self.trapping(inst, o);
            self.asm.evex(CVTTPS2UDQ, Evex::X, dst, 0, Rm::Reg(u));
        } else {
            self.unsigned_in_range(inst, o, u, t);
        }
        self.asm.bind(end);
        self.traps_end(first);
        self.clean_result(shape);
        true
    }

    /// From integers, times 2^-`frac`, which is exact.
    fn int_to_f(&mut self, inst: &Inst, shape: Shape, frac: u32) -> bool {
        let a = self.fp_operand(inst.a, shape);
        let (dst, low) = (self.def_xmm(), self.temp());
        let o = Operands::new(&[Rm::Reg(a)], dst);
        let first = self.traps_begin();
        if !shape.is_unsigned() {
            self.trapping1(inst, o, CVTDQ2PS, dst, Rm::Reg(a));
        } else if self.opts.host.avx512 {
            self.trapping(inst, o);
            self.asm.evex(CVTUDQ2PS, Evex::X, dst, 0, Rm::Reg(a));
        } else {
            // Both halves are exact; only their sum is rounded.
            self.vshift(Shift::Logical, 2, dst, a, 16);
            self.asm.op(CVTDQ2PS, dst, Rm::Reg(dst));
            let (mask, scale) = (
                self.asm.constant(splat(2, 0xffff)),
                self.asm.constant(splat(2, power(16))),
            );
            self.v2(PAND, low, a, mask);
            self.asm.op(CVTDQ2PS, low, Rm::Reg(low));
            self.v2(MULPS, dst, dst, scale);
            self.trapping2(inst, o, ADDPS, dst, dst, Rm::Reg(low));
        }
        if frac > 0 {
            let scale = self.asm.constant(splat(2, power(-(frac as i32))));
            self.v2(MULPS, dst, dst, scale);
        }
        self.traps_end(first);
        self.clean_result(shape);
        true
    }

    fn round_lanes(&mut self, inst: &Inst, shape: Shape) -> bool {
        let Some(imm) = rounding(inst.imm).filter(|_| inst.imm & 7 != RoundTo::Fpscr as u32) else {
            return false;
        };
        self.pre_clobber(Flags::NONE);
        let a = self.fp_operand(inst.a, shape);
        let (dst, t) = (self.def_xmm(), self.temp());
        let g = self.alloc_gpr();
        let first = self.traps_begin();
        let o = Operands::new(&[Rm::Reg(a)], dst);
        self.denormals_trap(inst, o, a, t);
        let quiet = if inst.imm & 8 == 0 { QUIET } else { 0 };
        self.trapping(inst, o);
        self.asm.op_i(ROUNDPS, dst, Rm::Reg(a), imm | quiet);
        self.again_if(inst, o, t, g);
        self.traps_end(first);
        self.clean_result(shape);
        true
    }

    /// Raises what a denormal or signalling NaN in `x` raises, where the operation's own instructions don't look for
    /// it; `t` = lanes that are NaNs.
    fn denormals_trap(&mut self, inst: &Inst, o: Operands, x: u8, t: u8) {
        self.trapping2_i(inst, o, CMPPS, t, x, Rm::Reg(x), predicate::UNORD_Q);
    }

    /// The whole operation in software if FPSCR has `bit`; it ends at `end`.
    pub(super) fn unless_mode(&mut self, inst: &Inst, o: Operands, bit: u32, end: DynamicLabel) {
        let fpscr = Mem::state(disp(offset_of!(CpuState, fpscr)));
        self.asm.test_ri(fpscr.into(), bit);
        self.again_instead(inst, o, Cc::Ne, end);
    }

    /// The whole operation in software, which ends at `end`, if a lane of `mask` has its sign bit set.
    fn again_if_lanes(&mut self, inst: &Inst, o: Operands, mask: u8, g: u8, shape: Shape, end: DynamicLabel) {
        self.asm.op(MOVMSKPS, g, Rm::Reg(mask));
        if shape.is_q() {
            self.asm.test_rr(g, g);
        } else {
            self.asm.test_ri(Rm::Reg(g), 3);
        }
        self.again_instead(inst, o, Cc::Ne, end);
    }

    /// Denormal halves are normal singles: only signalling NaNs trap.
    fn half_to_single(&mut self, inst: &Inst) -> bool {
        self.pre_clobber(Flags::NONE);
        let a = self.xmm(inst.a);
        let (dst, t) = (self.def_xmm(), self.temp());
        let g = self.alloc_gpr();
        let first = self.traps_begin();
        let o = Operands::new(&[Rm::Reg(a)], dst);
        let end = self.asm.new_label();
        self.unless_mode(inst, o, AHP, end);
        self.trapping(inst, o);
        self.asm.vex(CVTPH2PS, dst, 0, Rm::Reg(a));
        self.v2_i(CMPPS, t, dst, Rm::Reg(dst), predicate::UNORD_Q);
        self.again_if(inst, o, t, g);
        self.asm.bind(end);
        self.traps_end(first);
        true
    }

    /// What yields denormal halves traps as Underflow, whether exact or not. What has been rounded up to the smallest
    /// normal half may have raised Underflow on ARM.
    fn single_to_half(&mut self, inst: &Inst) -> bool {
        self.pre_clobber(Flags::NONE);
        let a = self.xmm(inst.a);
        let (dst, t, u) = (self.def_xmm(), self.temp(), self.temp());
        let magnitude = self.asm.constant(splat(1, 0x7fff));
        let smallest = self.asm.constant(splat(1, 0x0400));
        let first = self.traps_begin();
        let o = Operands::new(&[Rm::Reg(a)], dst);
        let end = self.asm.new_label();
        self.unless_mode(inst, o, AHP, end);
        self.denormals_trap(inst, o, a, u);
        self.trapping(inst, o);
        // The source is the register, the destination what ModRM may have in memory. Bit 2 clear: to nearest.
        self.asm.vex_i(CVTPS2PH, a, 0, Rm::Reg(dst), 0);
        self.v2(PAND, t, dst, magnitude);
        self.v2(pcmpeq(1), t, t, smallest);
        self.v2(POR, t, t, Rm::Reg(u));
        self.asm.op(PTEST, t, Rm::Reg(t));
        self.again_on(inst, o, Cc::Ne);
        self.asm.bind(end);
        self.traps_end(first);
        self.upper_zero[self.at] = true;
        true
    }

    /// Fused a + b * c with factors of half precision.
    fn half_multiply_add(&mut self, inst: &Inst, shape: Shape) -> bool {
        self.pre_clobber(Flags::NONE);
        let a = self.fp_operand(inst.a, shape);
        let (b, c) = (self.xmm(inst.b), self.xmm(inst.c));
        let (dst, x, y) = (self.def_xmm(), self.temp(), self.temp());
        let (t, t2) = self.doubt_temps(Doubt::NanOrSmallest);
        let g = self.alloc_gpr();
        self.xmov(dst, a);
        let first = self.traps_begin();
        let o = Operands::new(&[Rm::Reg(a), Rm::Reg(b), Rm::Reg(c)], dst);
        let end = self.asm.new_label();
        self.unless_mode(inst, o, FZ16, end);
        self.trapping(inst, o);
        self.asm.vex(CVTPH2PS, x, 0, Rm::Reg(b));
        self.trapping(inst, o);
        self.asm.vex(CVTPH2PS, y, 0, Rm::Reg(c));
        if !shape.is_q() {
            self.asm.op(MOVQ, x, Rm::Reg(x));
            self.asm.op(MOVQ, y, Rm::Reg(y));
        }
        self.fused(inst, o, x, Rm::Reg(y));
        self.doubtful(Doubt::NanOrSmallest, dst, t, t2);
        self.again_if(inst, o, t, g);
        self.asm.bind(end);
        self.traps_end(first);
        self.clean_result(shape);
        true
    }

    /// Fused a + b * c with every other bfloat16 of b and c.
    fn bf16_multiply_add(&mut self, inst: &Inst) -> bool {
        self.pre_clobber(Flags::NONE);
        let (a, b, c) = (self.xmm(inst.a), self.xmm(inst.b), self.xmm(inst.c));
        let (dst, x, y) = (self.def_xmm(), self.temp(), self.temp());
        let (t, t2) = self.doubt_temps(Doubt::NanOrSmallest);
        let g = self.alloc_gpr();
        self.xmov(dst, a);
        if inst.imm & 1 == 1 {
            let mask = self.asm.constant(splat(2, 0xffff_0000));
            self.v2(PAND, x, b, mask);
            self.v2(PAND, y, c, mask);
        } else {
            self.vshift(Shift::Left, 2, x, b, 16);
            self.vshift(Shift::Left, 2, y, c, 16);
        }
        let first = self.traps_begin();
        let o = Operands::new(&[Rm::Reg(a), Rm::Reg(b), Rm::Reg(c)], dst);
        self.fused(inst, o, x, Rm::Reg(y));
        self.doubtful(Doubt::NanOrSmallest, dst, t, t2);
        self.again_if(inst, o, t, g);
        self.traps_end(first);
        true
    }

    /// FPRecipEstimate of normal numbers whose reciprocal is normal; the rest in software.
    fn recip_estimate(&mut self, inst: &Inst, shape: Shape) -> bool {
        self.pre_clobber(Flags::NONE);
        let a = self.xmm(inst.a);
        let (dst, t, u) = (self.def_xmm(), self.temp(), self.temp());
        let (g, table) = (self.alloc_gpr(), self.alloc_gpr());
        let o = Operands::new(&[Rm::Reg(a)], dst);
        // Exponents from 1 to 252.
        let exponent = self.asm.constant(splat(2, 0x7f80_0000));
        let one = self.asm.constant(splat(2, 1 << 23));
        let largest = self.asm.constant(splat(2, 252 << 23));
        self.v2(PAND, u, a, exponent);
        self.asm.op(MOVAPS, t, one);
        self.v2(pcmpgt(2), t, t, Rm::Reg(u));
        self.asm.op(MOVAPS, dst, Rm::Reg(u));
        self.v2(pcmpgt(2), dst, dst, largest);
        self.v2(POR, t, t, Rm::Reg(dst));
        let end = self.asm.new_label();
        self.again_if_lanes(inst, o, t, g, shape, end);
        // The exponent of the result is 253 less the operand's; sign and fraction are the table's and the operand's.
        let from = self.asm.constant(splat(2, 253 << 23));
        self.asm.op(MOVAPS, dst, from);
        self.v2(psub(2), dst, dst, Rm::Reg(u));
        let sign = self.asm.constant(splat(2, 1 << 31));
        self.v2(PAND, t, a, sign);
        self.v2(POR, dst, dst, Rm::Reg(t));
        self.vshift(Shift::Logical, 2, t, a, 15);
        self.look_up(t, u, shape, g, table, 0);
        self.vshift(Shift::Logical, 2, u, u, 1);
        self.v2(POR, dst, dst, Rm::Reg(u));
        self.asm.bind(end);
        true
    }

    /// FPRSqrtEstimate of positive normal numbers; the rest in software.
    fn rsqrt_estimate(&mut self, inst: &Inst, shape: Shape) -> bool {
        self.pre_clobber(Flags::NONE);
        let a = self.xmm(inst.a);
        let (dst, t, u) = (self.def_xmm(), self.temp(), self.temp());
        let (g, table) = (self.alloc_gpr(), self.alloc_gpr());
        let o = Operands::new(&[Rm::Reg(a)], dst);
        // From the smallest to the largest normal number, as integers.
        let smallest = self.asm.constant(splat(2, 1 << 23));
        let largest = self.asm.constant(splat(2, 0x7f7f_ffff));
        self.asm.op(MOVAPS, t, smallest);
        self.v2(pcmpgt(2), t, t, Rm::Reg(a));
        self.v2(pcmpgt(2), u, a, largest);
        self.v2(POR, t, t, Rm::Reg(u));
        let end = self.asm.new_label();
        self.again_if_lanes(inst, o, t, g, shape, end);
        let from = self.asm.constant(splat(2, 380));
        self.vshift(Shift::Logical, 2, t, a, 23);
        self.asm.op(MOVAPS, dst, from);
        self.v2(psub(2), dst, dst, Rm::Reg(t));
        self.vshift(Shift::Logical, 2, dst, dst, 1);
        self.vshift(Shift::Left, 2, dst, dst, 23);
        self.vshift(Shift::Logical, 2, t, a, 16);
        self.look_up(t, u, shape, g, table, 256);
        self.vshift(Shift::Logical, 2, u, u, 1);
        self.v2(POR, dst, dst, Rm::Reg(u));
        self.asm.bind(end);
        true
    }

    /// Byte 2 of each lane of `to` = the byte that the low byte of that lane of `index` selects in the table of
    /// estimates from `first` on; the rest zeros.
    fn look_up(&mut self, index: u8, to: u8, shape: Shape, g: u8, table: u8, first: i32) {
        let pointer = Mem::state(helper_disp(Helper::Estimates));
        self.asm.op(Enc::new(0x8b).w(), table, pointer.into());
        self.asm.op(PXOR, to, Rm::Reg(to));
        for lane in 0..shape.lanes() as u8 {
            self.asm.op_i(PEXTRB, index, Rm::Reg(g), 4 * lane);
            let at = Mem {
                index: Some((g, 0)),
                ..Mem::at(table, first)
            };
            self.v2_i(PINSRB, to, to, at.into(), 4 * lane + 2);
        }
    }
}
