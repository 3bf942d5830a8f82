//! Arithmetic on half-precision lanes, in single precision (`x64::fp_half` says why that is exact), or by AVX512-FP16
//! where only one rounding will do. FZ16 is software's.

use super::super::asm::{Cc, Enc, Rm};
use super::super::emit::{Emitter, NOWHERE};
use super::super::evex::{Evex, MAP6};
use super::super::fp_half::{CVTPH2PS, CVTPS2PH, FZ16};
use super::fp::*;
use super::host::*;
use crate::ir::ops::{Flags, Inst};
use crate::ir::vector::{Shape, VecOp};

/// VFMADD231PH (EVEX).
const FMADD231PH: Enc = op66(0xb8).map(MAP6);
const PACKSSDW: Enc = op66(0x6b);
const PTEST: Enc = op38(0x17);
/// The upper half to the lower (immediate of PSHUFD).
const UPPER: u8 = 0b1110;

/// The magnitude of a half, the smallest normal one, infinity.
const MAGNITUDE: u128 = splat(1, 0x7fff);
const SMALLEST: u128 = splat(1, 0x0400);
const INFINITY: u128 = splat(1, 0x7c00);

impl Emitter<'_> {
    /// Operations of this file on lanes of 16 bits; false if it is none, or the host has no form for it.
    pub(super) fn vec_half(&mut self, inst: &Inst, op: VecOp, shape: Shape) -> bool {
        if op == VecOp::FMa {
            return self.opts.host.avx512_fp16 && self.half_fused(inst, shape);
        }
        if !self.opts.host.f16c {
            return false;
        }
        match op {
            VecOp::FAdd => self.half_lanes(inst, shape, |e, inst, o, x, y| {
                e.trapping2(inst, o, ADDPS, x, x, Rm::Reg(y));
            }),
            VecOp::FSub => self.half_lanes(inst, shape, |e, inst, o, x, y| {
                e.trapping2(inst, o, SUBPS, x, x, Rm::Reg(y));
            }),
            VecOp::FMul => self.half_lanes(inst, shape, |e, inst, o, x, y| {
                e.trapping2(inst, o, MULPS, x, x, Rm::Reg(y));
            }),
            VecOp::FCmpEq => self.half_compare(inst, shape, predicate::EQ_OQ),
            VecOp::FCmpGe => self.half_compare(inst, shape, predicate::GE_OS),
            VecOp::FCmpGt => self.half_compare(inst, shape, predicate::GT_OS),
            _ => return false,
        }
        true
    }

    /// Four halves of `a` and of `b`, the lower or the upper ones, as singles in `x` and `y`.
    fn widen(&mut self, inst: &Inst, o: Operands, (a, b): (u8, u8), upper: bool, (x, y): (u8, u8)) {
        for (from, to) in [(a, x), (b, y)] {
            let mut from = from;
            if upper {
                self.asm.op_i(PSHUFD, to, Rm::Reg(from), UPPER);
                from = to;
            }
            self.trapping(inst, o);
            self.asm.vex(CVTPH2PS, to, 0, Rm::Reg(from));
        }
    }

    /// `x = operation(x, y)` on singles, and back. Tiny results trap; the smallest normal number may be one that was.
    fn half_lanes(
        &mut self,
        inst: &Inst,
        shape: Shape,
        operation: impl Fn(&mut Self, &Inst, Operands, u8, u8),
    ) {
        self.pre_clobber(Flags::NONE);
        let (a, b) = (self.xmm(inst.a), self.xmm(inst.b));
        let dst = self.def_xmm();
        let (x, y) = (self.temp(), self.temp());
        let low = if shape.is_q() { self.temp() } else { NOWHERE };
        let first = self.traps_begin();
        let o = Operands::new(&[Rm::Reg(a), Rm::Reg(b)], dst);
        let end = self.asm.new_label();
        self.unless_mode(inst, o, FZ16, end);
        self.widen(inst, o, (a, b), false, (x, y));
        operation(self, inst, o, x, y);
        let lower = if shape.is_q() { low } else { dst };
        self.halves_out(inst, o, lower, x);
        if shape.is_q() {
            self.widen(inst, o, (a, b), true, (x, y));
            operation(self, inst, o, x, y);
            self.halves_out(inst, o, x, x);
            self.v2(PUNPCKLQDQ, dst, low, Rm::Reg(x));
        }
        self.half_doubtful(dst, x, y);
        self.again_on(inst, o, Cc::Ne);
        self.asm.bind(end);
        self.traps_end(first);
        self.clean_result(shape);
    }

    fn halves_out(&mut self, inst: &Inst, o: Operands, to: u8, from: u8) {
        self.trapping(inst, o);
        // The source is the register, the destination what ModRM may have in memory. Bit 2 clear: to nearest.
        self.asm.vex_i(CVTPS2PH, from, 0, Rm::Reg(to), 0);
    }

    /// ZF is clear if a half in `r` is a NaN or the smallest normal number.
    fn half_doubtful(&mut self, r: u8, t: u8, u: u8) {
        let (magnitude, smallest) = (self.asm.constant(MAGNITUDE), self.asm.constant(SMALLEST));
        let infinity = self.asm.constant(INFINITY);
        self.v2(PAND, t, r, magnitude);
        self.v2(pcmpgt(1), u, t, infinity);
        self.v2(pcmpeq(1), t, t, smallest);
        self.v2(POR, t, t, Rm::Reg(u));
        self.asm.op(PTEST, t, Rm::Reg(t));
    }

    /// NaNs trap where ARM raises Invalid for them.
    fn half_compare(&mut self, inst: &Inst, shape: Shape, predicate: u8) {
        self.pre_clobber(Flags::NONE);
        let (a, b) = (self.xmm(inst.a), self.xmm(inst.b));
        let dst = self.def_xmm();
        let (x, y) = (self.temp(), self.temp());
        let low = if shape.is_q() { self.temp() } else { NOWHERE };
        let first = self.traps_begin();
        let o = Operands::new(&[Rm::Reg(a), Rm::Reg(b)], dst);
        let end = self.asm.new_label();
        self.unless_mode(inst, o, FZ16, end);
        self.widen(inst, o, (a, b), false, (x, y));
        self.trapping2_i(inst, o, CMPPS, x, x, Rm::Reg(y), predicate);
        if shape.is_q() {
            self.xmov(low, x);
            self.widen(inst, o, (a, b), true, (x, y));
            self.trapping2_i(inst, o, CMPPS, x, x, Rm::Reg(y), predicate);
            self.v2(PACKSSDW, dst, low, Rm::Reg(x));
        } else {
            self.v2(PACKSSDW, dst, x, Rm::Reg(x));
        }
        self.asm.bind(end);
        self.traps_end(first);
    }

    /// a + b * c with one rounding. Denormal operands trap.
    fn half_fused(&mut self, inst: &Inst, shape: Shape) -> bool {
        self.pre_clobber(Flags::NONE);
        let (a, b) = (self.fp_operand(inst.a, shape), self.fp_operand(inst.b, shape));
        let c = self.fp_operand(inst.c, shape);
        let dst = self.def_xmm();
        let (t, u) = (self.temp(), self.temp());
        self.xmov(dst, a);
        let first = self.traps_begin();
        let o = Operands::new(&[Rm::Reg(a), Rm::Reg(b), Rm::Reg(c)], dst);
        let end = self.asm.new_label();
        self.unless_mode(inst, o, FZ16, end);
        self.trapping(inst, o);
        self.asm.evex(FMADD231PH, Evex::X, dst, b, Rm::Reg(c));
        self.half_doubtful(dst, t, u);
        self.again_on(inst, o, Cc::Ne);
        self.asm.bind(end);
        self.traps_end(first);
        self.clean_result(shape);
        true
    }
}
