//! Floating point on lanes with the standard FPSCR value: to nearest, flush to zero, default NaN.
//!
//! A denormal operand, a tiny result or an invalid operation traps before anything is written, and the interpreter's
//! function settles the whole operation (`exec::fp_traps`). What can differ without a trap is looked at: a NaN that
//! came from a quiet NaN operand is to be the default NaN (and may hide a denormal operand); a product that equals the
//! smallest normal number may have been rounded up to it, where ARM, judging before rounding, flushes.
//!
//! An operation may consist of several instructions that trap: a settled trap goes on behind all of them. So registers
//! are taken, operands loaded and whatever they push out is stored before the first.

use super::super::asm::{Cc, Enc, Rm};
use super::super::code::FpLoc;
use super::super::emit::{Cold, Emitter, NOWHERE, SoftArg, SoftDst};
use super::super::fp::{fp_loc, soft_arg};
use super::host::*;
use crate::ir::ops::{Flags, Inst, Value};
use crate::ir::vector::{Shape, VecOp};
use dynasmrt::DynamicLabel;

pub(super) const ABS: u128 = splat(2, 0x7fff_ffff);
const MIN_NORMAL: u128 = splat(2, 0x0080_0000);
pub(super) const MOVMSKPS: Enc = Enc::of(0x50);
pub(super) const CMPPS: Enc = Enc::of(0xc2);
pub(super) const ADDPS: Enc = Enc::of(0x58);
pub(super) const MULPS: Enc = Enc::of(0x59);
pub(super) const SUBPS: Enc = Enc::of(0x5c);
pub(super) const MINPS: Enc = Enc::of(0x5d);
pub(super) const MAXPS: Enc = Enc::of(0x5f);

/// Comparison predicates (Intel SDM, CMPPS); those above 7 need AVX.
pub(super) mod predicate {
    pub const EQ_OQ: u8 = 0;
    pub const LT_OS: u8 = 1;
    pub const LE_OS: u8 = 2;
    pub const UNORD_Q: u8 = 3;
    /// Equal or unordered.
    pub const EQ_UQ: u8 = 8;
    pub const GE_OS: u8 = 0x0d;
    pub const GT_OS: u8 = 0x0e;
    pub const EQ_OS: u8 = 0x10;
}

/// Where the operands and the result of an operation are while it may trap.
#[derive(Clone, Copy)]
pub(super) struct Operands {
    pub args: [Option<Rm>; 3],
    pub dst: u8,
}

impl Operands {
    pub fn new(args: &[Rm], dst: u8) -> Operands {
        Operands {
            args: std::array::from_fn(|k| args.get(k).copied()),
            dst,
        }
    }

    fn locs(&self) -> [FpLoc; 3] {
        self.args.map(|a| a.map_or(FpLoc::None, fp_loc))
    }

    fn soft(&self) -> [SoftArg; 3] {
        self.args.map(|a| a.map_or(SoftArg::None, soft_arg))
    }
}

/// What can be wrong with a result that has not trapped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    Nan,
    NanOrSmallest,
}

impl Emitter<'_> {
    /// Operations of this file and of `convert`; false if it is none, or the host has no form for it.
    pub(super) fn vec_fp(&mut self, inst: &Inst, op: VecOp, shape: Shape) -> bool {
        if self.opts.soft_fp || self.opts.directed {
            return false;
        }
        if self.vec_convert(inst, op, shape) {
            return true;
        }
        if shape.esize() != 32 {
            return false;
        }
        match op {
            VecOp::FAdd => self.sum(inst, shape, ADDPS, Doubt::Nan),
            VecOp::FSub => self.sum(inst, shape, SUBPS, Doubt::Nan),
            VecOp::FMul => self.sum(inst, shape, MULPS, Doubt::NanOrSmallest),
            VecOp::FMa if self.opts.host.fma => self.multiply_add(inst, shape),
            VecOp::FMin | VecOp::FMinNm => self.extreme(inst, shape, MINPS, POR),
            VecOp::FMax | VecOp::FMaxNm => self.extreme(inst, shape, MAXPS, PAND),
            VecOp::FCmpEq | VecOp::FCmpGe | VecOp::FCmpGt => self.compare_fp(inst, op, shape),
            VecOp::FRecps => self.step(inst, shape, false),
            VecOp::FRsqrts => self.step(inst, shape, true),
            _ => return false,
        }
        true
    }

    /// The operand `v` in a register; of a D form, with zeros in the upper half, or there would be flags of lanes that
    /// don't exist.
    pub(super) fn fp_operand(&mut self, v: Value, shape: Shape) -> u8 {
        if shape.is_q() {
            return self.xmm(v);
        }
        if let Some(k) = self.vec_const(v) {
            let low = self.asm.constant(k & u128::from(u64::MAX));
            return self.t1(MOVAPS, low);
        }
        let x = self.xmm(v);
        if self.upper_zero[v.index()] {
            return x;
        }
        if self.is_wide(v) {
            return self.t1(MOVQ, Rm::Reg(x));
        }
        // Nothing depends on what is there. A spill slot keeps what it has, and may be loaded from again.
        self.asm.op(MOVQ, x, Rm::Reg(x));
        self.upper_zero[v.index()] = self.places[v.index()].spill == NOWHERE;
        x
    }

    /// The same, of a Q form also in memory.
    pub(super) fn fp_operand_rm(&mut self, v: Value, shape: Shape) -> Rm {
        match shape.is_q() && self.vec_const(v).is_none() {
            true => self.xrm(v),
            false => Rm::Reg(self.fp_operand(v, shape)),
        }
    }

    /// The current operation's result has zeros in its upper half if it is a D form.
    pub(super) fn clean_result(&mut self, shape: Shape) {
        self.upper_zero[self.at] = !shape.is_q();
    }

    /// `dst = e(a, b)`, which may trap. Without AVX `dst` must not be `b`.
    pub(super) fn trapping2(&mut self, inst: &Inst, o: Operands, e: Enc, dst: u8, a: u8, b: Rm) {
        if self.opts.host.avx && dst != a {
            self.trapping(inst, o);
            return self.asm.vex(e, dst, a, b);
        }
        self.xmov(dst, a);
        self.trapping(inst, o);
        self.asm.op(e, dst, b);
    }

    /// `dst = e(a, b, imm)`, likewise.
    #[allow(
        clippy::too_many_arguments,
        reason = "an instruction and the operation it is part of"
    )]
    pub(super) fn trapping2_i(&mut self, inst: &Inst, o: Operands, e: Enc, dst: u8, a: u8, b: Rm, imm: u8) {
        if self.opts.host.avx && dst != a {
            self.trapping(inst, o);
            return self.asm.vex_i(e, dst, a, b, imm);
        }
        self.xmov(dst, a);
        self.trapping(inst, o);
        self.asm.op_i(e, dst, b, imm);
    }

    /// The next instruction may trap.
    pub(super) fn trapping(&mut self, inst: &Inst, o: Operands) {
        self.may_trap(inst, o.locs(), FpLoc::Xmm(o.dst));
    }

    /// `dst = e(src)`, which may trap.
    pub(super) fn trapping1(&mut self, inst: &Inst, o: Operands, e: Enc, dst: u8, src: Rm) {
        self.trapping(inst, o);
        self.asm.op(e, dst, src);
    }

    /// `dst += b * c` with one rounding, which may trap.
    pub(super) fn fused(&mut self, inst: &Inst, o: Operands, b: u8, c: Rm) {
        self.trapping(inst, o);
        // vfmadd231ps
        self.asm.vex(op38(0xb8), o.dst, b, c);
    }

    /// The whole operation again in software if a sign bit of `mask` is set; `g` is a scratch register.
    pub(super) fn again_if(&mut self, inst: &Inst, o: Operands, mask: u8, g: u8) {
        self.asm.op(MOVMSKPS, g, Rm::Reg(mask));
        self.asm.test_rr(g, g);
        self.again_on(inst, o, Cc::Ne);
    }

    /// The whole operation again in software on a condition.
    pub(super) fn again_on(&mut self, inst: &Inst, o: Operands, cc: Cc) {
        let back = self.asm.new_label();
        self.again_instead(inst, o, cc, back);
        self.asm.bind(back);
    }

    /// The same before the operation's end, which is at `end`.
    pub(super) fn again_instead(&mut self, inst: &Inst, o: Operands, cc: Cc, end: DynamicLabel) {
        self.clobbered();
        let label = self.asm.new_label();
        self.asm.jcc(cc, label);
        self.cold.push(Cold::Soft {
            label,
            back: end,
            inst: *inst,
            args: o.soft(),
            dst: SoftDst::Xmm(o.dst),
        });
    }

    /// `t` = lanes of `r` that are NaNs, or the smallest normal number of either sign; `t2` is needed without AVX.
    pub(super) fn doubtful(&mut self, doubt: Doubt, r: u8, t: u8, t2: u8) {
        if doubt == Doubt::Nan {
            return self.v2_i(CMPPS, t, r, Rm::Reg(r), predicate::UNORD_Q);
        }
        let (abs, smallest) = (self.asm.constant(ABS), self.asm.constant(MIN_NORMAL));
        self.v2(PAND, t, r, abs);
        if self.opts.host.avx {
            return self.asm.vex_i(CMPPS, t, t, smallest, predicate::EQ_UQ);
        }
        self.xmov(t2, t);
        self.asm.op_i(CMPPS, t, smallest, predicate::EQ_OQ);
        self.asm.op_i(CMPPS, t2, Rm::Reg(t2), predicate::UNORD_Q);
        self.asm.op(POR, t, Rm::Reg(t2));
    }

    /// Registers for [`Emitter::doubtful`], to be taken before the first instruction that may trap.
    pub(super) fn doubt_temps(&mut self, doubt: Doubt) -> (u8, u8) {
        let t = self.temp();
        if doubt == Doubt::NanOrSmallest && !self.opts.host.avx {
            (t, self.temp())
        } else {
            (t, NOWHERE)
        }
    }

    /// One instruction on two operands.
    fn sum(&mut self, inst: &Inst, shape: Shape, e: Enc, doubt: Doubt) {
        self.pre_clobber(Flags::NONE);
        let a = self.fp_operand(inst.a, shape);
        let b = self.fp_operand_rm(inst.b, shape);
        let dst = self.def_xmm();
        let (t, t2) = self.doubt_temps(doubt);
        let g = self.alloc_gpr();
        let first = self.traps_begin();
        let o = Operands::new(&[Rm::Reg(a), b], dst);
        self.trapping2(inst, o, e, dst, a, b);
        self.doubtful(doubt, dst, t, t2);
        self.again_if(inst, o, t, g);
        self.traps_end(first);
        self.clean_result(shape);
    }

    /// a + b * c with one rounding.
    fn multiply_add(&mut self, inst: &Inst, shape: Shape) {
        self.pre_clobber(Flags::NONE);
        let (a, b) = (self.fp_operand(inst.a, shape), self.fp_operand(inst.b, shape));
        let c = self.fp_operand_rm(inst.c, shape);
        let dst = self.def_xmm();
        let (t, t2) = self.doubt_temps(Doubt::NanOrSmallest);
        let g = self.alloc_gpr();
        self.xmov(dst, a);
        let first = self.traps_begin();
        let o = Operands::new(&[Rm::Reg(a), Rm::Reg(b), c], dst);
        self.fused(inst, o, b, c);
        self.doubtful(Doubt::NanOrSmallest, dst, t, t2);
        self.again_if(inst, o, t, g);
        self.traps_end(first);
        self.clean_result(shape);
    }

    /// Minimum or maximum: NaNs trap. Of zeros with different signs the host takes its second operand; done both ways,
    /// the results' signs together are ARM's (`join`).
    fn extreme(&mut self, inst: &Inst, shape: Shape, e: Enc, join: Enc) {
        let a = self.fp_operand(inst.a, shape);
        let b = self.fp_operand(inst.b, shape);
        let (dst, t) = (self.def_xmm(), self.temp());
        let first = self.traps_begin();
        let o = Operands::new(&[Rm::Reg(a), Rm::Reg(b)], dst);
        self.trapping2(inst, o, e, dst, a, Rm::Reg(b));
        self.trapping2(inst, o, e, t, b, Rm::Reg(a));
        self.v2(join, dst, dst, Rm::Reg(t));
        self.traps_end(first);
        self.clean_result(shape);
    }

    /// Comparisons, all of them such that quiet NaNs trap: one may hide a denormal operand, for which ARM raises Input
    /// Denormal.
    fn compare_fp(&mut self, inst: &Inst, op: VecOp, shape: Shape) {
        let a = self.fp_operand(inst.a, shape);
        let b = self.fp_operand(inst.b, shape);
        let (ra, rb) = (Rm::Reg(a), Rm::Reg(b));
        let dst = self.def_xmm();
        let o = Operands::new(&[ra, rb], dst);
        if self.opts.host.avx {
            let predicate = match op {
                VecOp::FCmpEq => predicate::EQ_OS,
                VecOp::FCmpGe => predicate::GE_OS,
                _ => predicate::GT_OS,
            };
            let first = self.traps_begin();
            self.trapping2_i(inst, o, CMPPS, dst, a, rb, predicate);
            return self.traps_end(first);
        }
        let t = if op == VecOp::FCmpEq { self.temp() } else { NOWHERE };
        let first = self.traps_begin();
        match op {
            VecOp::FCmpEq => {
                self.trapping2_i(inst, o, CMPPS, dst, a, rb, predicate::LE_OS);
                self.trapping2_i(inst, o, CMPPS, t, b, ra, predicate::LE_OS);
                self.asm.op(PAND, dst, Rm::Reg(t));
            }
            VecOp::FCmpGe => self.trapping2_i(inst, o, CMPPS, dst, b, ra, predicate::LE_OS),
            _ => self.trapping2_i(inst, o, CMPPS, dst, b, ra, predicate::LT_OS),
        }
        self.traps_end(first);
    }

    /// 2 - a * b, or (3 - a * b) / 2, rounded after the product and after the difference. A NaN in the result is one
    /// in the product.
    fn step(&mut self, inst: &Inst, shape: Shape, root: bool) {
        self.pre_clobber(Flags::NONE);
        let a = self.fp_operand(inst.a, shape);
        let b = self.fp_operand_rm(inst.b, shape);
        let (dst, product) = (self.def_xmm(), self.temp());
        let (t, t2) = self.doubt_temps(Doubt::NanOrSmallest);
        let g = self.alloc_gpr();
        let from = if root { 3f32 } else { 2.0 };
        let from = self.asm.constant(splat(2, from.to_bits().into()));
        let first = self.traps_begin();
        let o = Operands::new(&[Rm::Reg(a), b], dst);
        self.trapping2(inst, o, MULPS, product, a, b);
        self.asm.op(MOVAPS, dst, from);
        self.trapping2(inst, o, SUBPS, dst, dst, Rm::Reg(product));
        if root {
            let half = self.asm.constant(splat(2, 0.5f32.to_bits().into()));
            self.v2(MULPS, dst, dst, half);
        }
        self.doubtful(Doubt::NanOrSmallest, product, t, t2);
        self.again_if(inst, o, t, g);
        self.traps_end(first);
    }
}
